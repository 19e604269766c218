"""Sentences of page 10 that depend on what was found."""

import numpy as np
import pandas as pd

from journeybook.findings import say_count, say_share
from journeybook.privacy.attacks import MembershipAttack
from journeybook.privacy.releases import Grouping, PrivateReleases, clamped_sums


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
    return (
        f"Of all revenue together noise blurs {_percent(noise)} (one standard deviation), and clamping takes "
        f"{_percent(clamped)} off for good, which no interval shows; that share is exact, for the house alone."
        + (f" Drowned: {lost}." if lost else "")
    )


def title_costs(errors: pd.DataFrame, costs: pd.DataFrame) -> str:
    """Say what a budget buys in accuracy, and what repeating a release costs."""
    counts, last = errors[errors.mechanism == "geometric"].sort_values("epsilon"), costs.iloc[-1]
    tight, wide = counts.iloc[0], counts.iloc[-1]
    return (
        f"At epsilon {tight.epsilon:g} a count is off by {tight.closed_form:.1f} people, at {wide.epsilon:g} by "
        f"{wide.closed_form:.1f}; {last.n_releases:.0f} releases of {last.epsilon:g} cost {last.epsilon_sum:.1f}, "
        f"or {last.epsilon_advanced:.1f} if the promise may fail"
    )


def title_attack(attack: MembershipAttack) -> str:
    """Say what bounds taken from the data give away at the least budget."""
    least = attack.success.iloc[0]
    beyond = least.from_data > least.ceiling + 3 * least.standard_error
    return (
        f"At epsilon {least.epsilon:g} limits from the data tell {say_share(least.from_data)}, "
        f"{'more than' if beyond else 'not told apart from'} the {say_share(least.ceiling)} that is promised"
    )


def headline_figures(
    alone: pd.DataFrame, released: PrivateReleases, proven: pd.DataFrame, attack: MembershipAttack
) -> dict[str, float]:
    """The page's figures for the index, flat."""
    worst = attack.success.iloc[0]
    return {
        "epsilon_spent": released.epsilon,
        "n_figures_published": len(released.figures),
        "unique_share": alone.unique_share.iloc[-1],
        "audit_epsilon_proven": proven.epsilon_low.max(),
        "audit_epsilon_claimed": proven.epsilon.max(),
        "attack_epsilon": worst.epsilon,
    } | {f"attack_{name}_share": worst[name] for name in ("ceiling", "edges", "declared", "from_data")}


def _percent(share: float) -> str:
    # To whole percents: a finer figure could be one person's.
    return "less than 1%" if share < 0.01 else f"{share:.0%}"
