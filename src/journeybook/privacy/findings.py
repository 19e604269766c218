"""What the page found, for whoever decides."""

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
    weak = ceiling > _PROTECTS_FEW
    return Finding(
        text=f"{len(released.figures)} figures can be published such that an attacker who knows everybody else "
        f"tells whether someone is in the data {say_share(ceiling)} of the time at most; guessing gives 50%.",
        action="Lower the budget: it protects hardly anyone."
        if weak
        else "Publish such figures with fresh noise; this page's own can be drawn again, and protects nobody.",
        strength="contradicted" if audit.excess > 0 else "counted",
        worth=2,
        section=_PUBLISHED,
        value=ceiling,
        unit="share",
    )


def _error(released: PrivateReleases, audit: Audit) -> Finding:
    """How wrong the figures are, beside how often the intervals held the exact ones."""
    off = half_widths(released)
    n_drowned = int((off > 1).sum())
    held = abs(audit.coverage - 0.95) <= 4 * (0.95 * 0.05 / audit.n_intervals) ** 0.5
    return Finding(
        text=f"{title_releases(released)}; {say_share(audit.coverage)} of repeated draws held the exact revenue "
        "in their interval, which promises 95.0%.",
        action="Ask for wider groups, not for more budget." if n_drowned else "Use them with their intervals.",
        strength="known answer recovered" if held else "contradicted",
        worth=2,
        section=_PUBLISHED,
        value=float(n_drowned or off["revenue"].max()),
        unit="figures" if n_drowned else "share",
    )


def _unique(alone: pd.DataFrame) -> Finding:
    last, n = alone.iloc[-1], len(alone)
    return Finding(
        text=f"Whoever knows {'one thing' if n == 1 else f'{n} things'} of each person finds "
        f"{say_share(last.unique_share)} of them alone in a table without names.",
        action="Publish figures with noise, never rows, however few columns they have.",
        strength="counted",
        worth=2 if last.n_unique else 3,
        section=_ALONE,
        value=float(last.unique_share),
        unit="share",
        figure=None,
    )


def _bounds(attack: MembershipAttack) -> Finding:
    """What bounds taken from the data give away, where they do most beyond the promise."""
    table = attack.success
    beyond = (table.from_data - table.ceiling) / table.standard_error
    worst = table.loc[beyond.idxmax()]
    told = bool(beyond.max() > 3 or worst.edges > worst.ceiling)
    share, promised = say_share(worst.from_data), say_share(worst.ceiling)
    said = f"whether the biggest customer is there {share} of the time"
    if told:
        said += f" by the noise and {say_share(worst.edges)} by the histogram; promised is {promised}"
    else:
        said += f", not told apart from the {promised} that is promised"
    reach = 1.96 * worst.standard_error
    return Finding(
        text=f"Limits taken from the data tell {said} at most.",
        action="Declare limits and histogram edges from what the business is, before anyone looks at the data.",
        strength="contradicted" if told else "cannot be told",
        worth=2 if told else 3,
        section=_PITFALL,
        value=float(worst.from_data),
        low=float(worst.from_data - reach),
        high=float(worst.from_data + reach),
        unit="share",
    )


def _promise(audit: Audit) -> Finding:
    over_all = audit.proven[(audit.proven.figure == "both") & (audit.proven.group == "all")].iloc[0]
    worst = audit.proven.loc[(audit.proven.epsilon_low - audit.proven.epsilon).idxmax()]
    broken, weak = audit.excess > 0, audit.tightness < 0.5
    row = worst if broken else over_all
    loss, claim = say_count(row.epsilon_low), say_count(row.epsilon)
    said = f"repeated draws prove a privacy loss of {loss}, where {claim} is claimed"
    return Finding(
        text=f"The promise is broken: {said}." if broken else f"No attack of ours broke the promise: {said}.",
        action="Publish nothing before the mechanism is mended."
        if broken
        else "Draw more often: half the noise could be missing and would not be noticed."
        if weak
        else "Keep the claim: half the noise would have been noticed, though no audit proves a promise kept.",
        strength="contradicted" if broken else "cannot be told" if weak else "clear",
        worth=1 if broken else 3,
        section=_HOLDS,
        value=float(row.epsilon_low),
        figure=None,
    )
