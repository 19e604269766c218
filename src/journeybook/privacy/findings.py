"""Titles and sentences of page 10 that depend on what was found, and its findings for whoever decides."""

from typing import Any

import numpy as np
import pandas as pd

from journeybook.findings import Finding, say_count, say_share
from journeybook.privacy.anonymity import Anonymised
from journeybook.privacy.guarantees import Audit
from journeybook.privacy.releases import Grouping, PrivateReleases, clamped_sums
from journeybook.privacy.utility import DECISIONS

_ALONE, _PUBLISHED = "How anonymous is a table without names?", "What is published, and what does it cost?"
_HOLDS, _PITFALL = "Does it hold?", "The pitfall: bounds taken from the data"

_PROTECTS_FEW = 0.9  # share of right guesses from which on a budget protects hardly anyone


def half_widths(released: PrivateReleases) -> pd.Series:
    """Return how far noise may be off each noised figure, as a share of it; above 1 the figure drowns."""
    figures = released.noised.set_index(["release", "group"])
    return (figures.value_high - figures.value_low) / 2 / figures.value.clip(lower=1e-9)


def title_releases(released: PrivateReleases) -> str:
    """Say how much noise blurs, or how many figures drown in it."""
    off, figures = half_widths(released), released.noised
    if (off > 1).any():
        return f"{(off > 1).sum()} of {len(off)} counts and sums drown in the noise that protects them"
    reach = ((figures.value_high - figures.value_low) / 2)[figures.release == "people"].max()
    blur = say_share(off["revenue"].max())
    return f"Noise blurs a group's revenue by up to {blur} and its people by {say_count(reach)}"


def say_releases(released: PrivateReleases, people: pd.DataFrame, groups: Grouping) -> str:
    """Say what noise and clamping do to all revenue together."""
    off, figures = half_widths(released), released.noised
    lost = "; ".join(f"{release} of *{group}*" for release, group in off.index[off > 1])
    total, sums = people.revenue.clip(lower=0).sum(), figures[figures.release == "revenue"]
    clamped = 1 - clamped_sums(people.revenue, groups).sum() / total
    # Laplace noise of scale b has standard deviation b times the square root of 2.
    noise = np.sqrt(2 * ((sums.sensitivity / sums.epsilon) ** 2).sum()) / total
    # To whole percents: a finer figure could be one person's.
    said = ["less than 1%" if share < 0.01 else f"{share:.0%}" for share in (noise, clamped)]
    return (
        f"Of all revenue together noise blurs {said[0]} (one standard deviation), and clamping takes "
        f"{said[1]} off for good, which no interval shows; that share is exact, for the house alone."
        + (f" Drowned: {lost}." if lost else "")
    )


def title_linkage(linked: pd.DataFrame, published: Anonymised) -> str:
    """Say whom linking finds by the rows as they are, and by the coarsened ones."""
    before, after = linked.iloc[0], linked.iloc[1]
    found = f"Linking finds {say_share(before.reidentified_share)} where names are taken off"
    if not published.k:
        return f"{found}; no coarser table hides everybody"
    return f"{found}, {say_share(after.reidentified_share)} where at least {published.k} people share a row"


def say_anonymity(linked: pd.DataFrame, published: Anonymised, *, n_people: int) -> str:
    """Say what the coarsened table lost, and who is not in it."""
    before, after = linked.iloc[0], linked.iloc[1]
    unknown = n_people - len(published.rows)
    apart = (
        f" {unknown:,} people without a profile that may be used for this are in neither table." if unknown else ""
    )
    if not published.k:
        return f"No combination of the steps hides enough people: nothing could be published.{apart}"
    whole = [row.column for row in published.columns.itertuples() if not row.step]
    gone = f", of them {', '.join(f'`{column}`' for column in whole)} whole" if whole else ""
    lost, told = (
        say_share(published.columns.coarsened.mean()),
        [say_share(row.told_share) for row in (before, after)],
    )
    said = f"Left out: {say_share(published.suppressed_share)} of the people, and {lost} of the steps{gone}. "
    return f"{said}An outsider is sure of the group of {told[0]} of all people before, of {told[1]} after.{apart}"


def say_decisions(budgets: pd.DataFrame) -> str:
    """Say from which budget on each decision is right 95 times of 100."""
    kept = budgets[np.isfinite(budgets.budget)].itertuples()
    each = [f"{DECISIONS[r.decision]} by {r.release} {r.budget:.3g} ({r.low:.3g} to {r.high:.3g})" for r in kept]
    told = (
        f"Epsilon from which on it is right 95 times of 100, the noised figures taken as true: {'; '.join(each)}."
    )
    return told if each else "No budget makes a decision right 95 times of 100, the noised figures taken as true."


def title_costs(errors: pd.DataFrame, costs: pd.DataFrame) -> str:
    """Say what a budget buys in accuracy, and what repeating a release costs."""
    ordered, last = errors.sort_values("epsilon"), costs.iloc[-1]
    tight, wide = ordered.iloc[0], ordered.iloc[-1]
    return (
        f"At epsilon {tight.epsilon:g} a count is off by {tight.geometric:.1f} people, at {wide.epsilon:g} by "
        f"{wide.geometric:.1f}; {last.n_releases:.0f} releases of {last.epsilon:g} cost {last.epsilon_sum:.1f}, "
        f"or {last.epsilon_advanced:.1f} if the promise may fail"
    )


def title_attack(attack: pd.DataFrame) -> str:
    """Say what bounds taken from the data give away at the least budget."""
    least = attack.iloc[0]
    beyond = least.from_data > least.ceiling + 3 * least.standard_error
    return (
        f"At epsilon {least.epsilon:g} limits from the data tell {say_share(least.from_data)}, "
        f"{'more than' if beyond else 'not told apart from'} the {say_share(least.ceiling)} that is promised"
    )


def find(
    linked: pd.DataFrame, published: Anonymised, released: PrivateReleases, audit: Audit, attack: pd.DataFrame
) -> list[Finding]:
    """Return the page's findings."""
    blurred = [_error(released, audit)] if np.isfinite(audit.coverage) else []
    return [_cost(released, audit), *blurred, _linked(linked, published), _bounds(attack), _promise(audit)]


def _cost(released: PrivateReleases, audit: Audit) -> Finding:
    # What no attacker exceeds who knows everybody else and finds the person there half the time.
    ceiling = float(1 / (1 + np.exp(-released.epsilon)))
    text = f"{len(released.figures)} figures can be published such that an attacker who knows everybody else "
    text += f"tells whether someone is in the data {say_share(ceiling)} of the time at most; guessing gives 50%."
    action = "Publish such figures with fresh noise; this page's own can be drawn again, and protects nobody."
    if ceiling > _PROTECTS_FEW:
        action = "Lower the budget: it protects hardly anyone."
    about: dict[str, Any] = {"strength": "contradicted" if audit.excess > 0 else "counted", "section": _PUBLISHED}
    return Finding(text=text, action=action, worth=2, value=ceiling, unit="share", **about)


def _error(released: PrivateReleases, audit: Audit) -> Finding:
    """How wrong the figures are, beside how often the intervals held the exact ones."""
    off = half_widths(released)
    text = f"{title_releases(released)}; {say_share(audit.coverage)} of repeated draws held the exact revenue "
    text += "in their interval, which promises 95.0%."
    action, value, unit = "Use them with their intervals.", float(off["revenue"].max()), "share"
    if (off > 1).any():
        action, value, unit = "Ask for wider groups, not for more budget.", float((off > 1).sum()), "figures"
    held = abs(audit.coverage - 0.95) <= audit.coverage_reach
    about: dict[str, Any] = {
        "strength": "known answer recovered" if held else "contradicted",
        "section": _PUBLISHED,
    }
    return Finding(text=text, action=action, worth=2, value=value, unit=unit, **about)


def _linked(linked: pd.DataFrame, published: Anonymised) -> Finding:
    before, after, n = linked.iloc[0], linked.iloc[1], len(published.columns)
    text = f"Whoever knows {'one thing' if n == 1 else f'{n} things'} of each person finds "
    text += f"{say_share(before.reidentified_share)} of them in a table without names, "
    action = "Publish figures with noise, never rows, however few columns they have."
    if published.k:
        text += f"{say_share(after.reidentified_share)} where at least {published.k} share a row."
        action = "Prefer figures with noise: coarsened rows hide who, and promise nothing beside a second table."
    else:
        text += "and no coarser one hides everybody."
    value, low, high = (float(before[name]) for name in ("reidentified_share", "low", "high"))
    about: dict[str, Any] = {"value": value, "low": low, "high": high, "unit": "share", "section": _ALONE}
    return Finding(text=text, action=action, strength="counted", worth=2 if value else 3, **about)


def _bounds(attack: pd.DataFrame) -> Finding:
    """What bounds taken from the data give away, where they do most beyond the promise."""
    beyond = (attack.from_data - attack.ceiling) / attack.standard_error
    worst = attack.loc[beyond.idxmax()]
    share, promised = say_share(worst.from_data), say_share(worst.ceiling)
    text = f"Noise limits taken from the data let a guesser tell whether the biggest customer is in it {share}"
    action = "Declare limits and histogram edges from what the business is, before anyone looks at the data."
    value, reach = float(worst.from_data), float(1.96 * worst.standard_error)
    about: dict[str, Any] = {"value": value, "low": value - reach, "high": value + reach, "unit": "share"}
    about["section"] = _PITFALL
    if beyond.max() > 3 or worst.edges > worst.ceiling:
        text += f" of the time, histogram edges {say_share(worst.edges)}; the promise is {promised} at most."
        return Finding(text=text, action=action, strength="contradicted", worth=3, **about)
    text += f" of the time, no clearer than the {promised} promised at most."
    return Finding(text=text, action=action, strength="cannot be told", worth=3, **about)


def _promise(audit: Audit) -> Finding:
    row = audit.proven[(audit.proven.figure == "both") & (audit.proven.group == "all")].iloc[0]
    told, strength, worth = "No attack of ours broke the promise", "clear", 3
    action = "Keep the claim: half the noise would have been noticed, though no audit proves a promise kept."
    if audit.tightness < 0.5:
        strength = "cannot be told"
        action = "Draw more often: half the noise could be missing and would not be noticed."
    if audit.excess > 0:
        row = audit.proven.loc[(audit.proven.epsilon_low - audit.proven.epsilon).idxmax()]
        told, strength, worth = "The promise is broken", "contradicted", 1
        action = "Publish nothing before the mechanism is mended."
    text = f"{told}: repeated draws prove a privacy loss of {say_count(row.epsilon_low)}, where "
    text += f"{say_count(row.epsilon)} is claimed."
    about: dict[str, Any] = {"value": float(row.epsilon_low), "section": _HOLDS, "figure": None}
    return Finding(text=text, action=action, strength=strength, worth=worth, **about)
