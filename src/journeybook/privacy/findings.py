"""What the page found, for whoever decides."""

from functools import partial

import numpy as np
import pandas as pd

from journeybook.findings import Finding, say_count, say_share
from journeybook.privacy.attacks import MembershipAttack
from journeybook.privacy.guarantees import Audit
from journeybook.privacy.releases import PrivateReleases
from journeybook.privacy.words import half_widths, title_releases

_ALONE, _PUBLISHED = "How anonymous is a table without names?", "What is published, and what does it cost?"
_HOLDS, _PITFALL = "Does it hold?", "The pitfall: bounds taken from the data"

_PROTECTS_FEW = 0.9  # share of right guesses from which on a budget protects hardly anyone


def find(alone: pd.DataFrame, released: PrivateReleases, audit: Audit, attack: MembershipAttack) -> list[Finding]:
    """Return the page's findings."""
    return [_cost(released, audit), _error(released, audit), _unique(alone), _bounds(attack), _promise(audit)]


def _cost(released: PrivateReleases, audit: Audit) -> Finding:
    # What no attacker exceeds who knows everybody else and finds the person there half the time.
    ceiling = float(1 / (1 + np.exp(-released.epsilon)))
    text = f"{len(released.figures)} figures can be published such that an attacker who knows everybody else "
    text += f"tells whether someone is in the data {say_share(ceiling)} of the time at most; guessing gives 50%."
    action = "Publish such figures with fresh noise; this page's own can be drawn again, and protects nobody."
    if ceiling > _PROTECTS_FEW:
        action = "Lower the budget: it protects hardly anyone."
    strength = "contradicted" if audit.excess > 0 else "counted"
    about = partial(Finding, section=_PUBLISHED, value=ceiling, unit="share")
    return about(text=text, action=action, strength=strength, worth=2)


def _error(released: PrivateReleases, audit: Audit) -> Finding:
    """How wrong the figures are, beside how often the intervals held the exact ones."""
    off = half_widths(released)
    n_drowned = int((off > 1).sum())
    held = abs(audit.coverage - 0.95) <= 4 * (0.95 * 0.05 / audit.n_intervals) ** 0.5
    text = f"{title_releases(released)}; {say_share(audit.coverage)} of repeated draws held the exact revenue "
    text += "in their interval, which promises 95.0%."
    strength = "known answer recovered" if held else "contradicted"
    about = partial(Finding, text=text, strength=strength, worth=2, section=_PUBLISHED)
    if n_drowned:
        return about(action="Ask for wider groups, not for more budget.", value=float(n_drowned), unit="figures")
    return about(action="Use them with their intervals.", value=float(off["revenue"].max()), unit="share")


def _unique(alone: pd.DataFrame) -> Finding:
    last, n = alone.iloc[-1], len(alone)
    text = f"Whoever knows {'one thing' if n == 1 else f'{n} things'} of each person finds "
    text += f"{say_share(last.unique_share)} of them alone in a table without names."
    action = "Publish figures with noise, never rows, however few columns they have."
    about = partial(Finding, section=_ALONE, value=float(last.unique_share), unit="share", figure=None)
    return about(text=text, action=action, strength="counted", worth=2 if last.n_unique else 3)


def _bounds(attack: MembershipAttack) -> Finding:
    """What bounds taken from the data give away, where they do most beyond the promise."""
    table = attack.success
    beyond = (table.from_data - table.ceiling) / table.standard_error
    worst = table.loc[beyond.idxmax()]
    share, promised = say_share(worst.from_data), say_share(worst.ceiling)
    said, strength, worth = f", not told apart from the {promised} that is promised", "cannot be told", 3
    if beyond.max() > 3 or worst.edges > worst.ceiling:
        said = f" by the noise and {say_share(worst.edges)} by the histogram; promised is {promised}"
        strength, worth = "contradicted", 2
    text = (
        f"Limits taken from the data tell whether the biggest customer is there {share} of the time{said} at most."
    )
    action = "Declare limits and histogram edges from what the business is, before anyone looks at the data."
    value, reach = float(worst.from_data), float(1.96 * worst.standard_error)
    about = partial(Finding, section=_PITFALL, value=value, low=value - reach, high=value + reach, unit="share")
    return about(text=text, action=action, strength=strength, worth=worth)


def _promise(audit: Audit) -> Finding:
    row = audit.proven[(audit.proven.figure == "both") & (audit.proven.group == "all")].iloc[0]
    told, strength, worth = "No attack of ours broke the promise", "clear", 3
    action = "Keep the claim: half the noise would have been noticed, though no audit proves a promise kept."
    if audit.tightness < 0.5:
        action = "Draw more often: half the noise could be missing and would not be noticed."
        strength = "cannot be told"
    if audit.excess > 0:
        row = audit.proven.loc[(audit.proven.epsilon_low - audit.proven.epsilon).idxmax()]
        told, strength, worth = "The promise is broken", "contradicted", 1
        action = "Publish nothing before the mechanism is mended."
    text = f"{told}: repeated draws prove a privacy loss of {say_count(row.epsilon_low)}, where "
    text += f"{say_count(row.epsilon)} is claimed."
    about = partial(Finding, section=_HOLDS, value=float(row.epsilon_low), figure=None)
    return about(text=text, action=action, strength=strength, worth=worth)
