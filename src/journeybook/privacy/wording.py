"""Sentences of page 10 that depend on what was found."""

import pandas as pd

from journeybook.privacy.attacks import MembershipAttack
from journeybook.privacy.releases import PrivateReleases


def describe_uniqueness(found: pd.DataFrame) -> str:
    """Say how many people a table without names still points at."""
    last = found.iloc[-1]
    return (
        f"**What we see.** Whoever knows *{last.known}* of someone finds {last.unique_share:.0%} of the people alone "
        f"in the table ({last.n_unique:,}); {last.below_5_share:.0%} share their values with fewer than four others. "
        "**What it does not show.** What else an outsider knows; there is always more. **What to do.** Taking names "
        "out of a table does not make it anonymous: publish figures with noise, not rows."
    )


def describe_releases(released: PrivateReleases) -> str:
    """Say which figures are of use, and which drown in noise."""
    figures = released.figures[released.figures.mechanism != "computed"]
    half = (figures.value_high - figures.value_low) / 2
    drowned = figures[half > figures.value]
    lost = "; ".join(f"{row.release} of *{row.group}*" for row in drowned.itertuples())
    which = f"{len(drowned)} of {len(figures)} drown in it ({lost})." if len(drowned) else "none drowns in it."
    return (
        f"**What we see.** For epsilon {released.epsilon:g} in all, noise blurs each figure by the interval drawn: {which} "
        "**What it does not show.** A small figure is not suppressed, for noise protects it already; it is just of "
        "little use. **What to do.** Where a figure drowns, ask for wider groups, not for more budget."
    )


def describe_attack(attack: MembershipAttack) -> str:
    """Say what bounds taken from the data give away."""
    least = attack.success.iloc[0]
    broken = attack.success[attack.success.from_data > attack.success.ceiling + 3 * attack.success.standard_error]
    promise = (
        f"more than the {least.ceiling:.1%} that epsilon allows"
        if least.epsilon in set(broken.epsilon)
        else f"within the {least.ceiling:.1%} that epsilon allows, here by luck of the values"
    )
    return (
        f"**What we see.** At epsilon {least.epsilon:g} a guesser is right {least.declared:.1%} of the time where the bounds "
        f"were declared. Where the noise was fitted to the biggest value found, {least.from_data:.1%}, {promise}; "
        f"the smaller epsilon, the larger the gap, because the noise itself tells. Where histogram edges "
        f"came from the data, {least.edges:.0%}. **What it does not show.** The biggest spender is the worst case; this one "
        f"spent {attack.outlier_ratio:.1f} times what the second did. **What to do.** Declare bounds and edges from what "
        "the business is, before looking."
    )
