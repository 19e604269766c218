"""Sentences of page 10 that depend on what was found."""

import numpy as np
import pandas as pd

from journeybook.privacy.attacks import MembershipAttack
from journeybook.privacy.guarantees import Audit
from journeybook.privacy.releases import Grouping, PrivateReleases, clamped_sums


def describe_uniqueness(found: pd.DataFrame) -> str:
    """Say how many people a table without names still points at."""
    last = found.iloc[-1]
    return (
        f"**What we see.** Whoever knows *{last.known}* of someone finds {last.unique_share:.1%} of the people "
        f"alone in the table ({last.n_unique:,}); {last.below_5_share:.1%} share their values with fewer than "
        "four others. **What it does not show.** What else an outsider knows; there is always more. **What to "
        "do.** Taking names out of a table does not make it anonymous: publish figures with noise, not rows."
    )


def describe_releases(released: PrivateReleases, revenue: pd.Series, groups: Grouping) -> str:
    """Say which figures are of use, which drown in noise, and what clamping takes off beside it."""
    figures = released.figures[released.figures.mechanism != "computed"]
    half = (figures.value_high - figures.value_low) / 2
    drowned = figures[half > figures.value]
    lost = "; ".join(f"{row.release} of *{row.group}*" for row in drowned.itertuples())
    which = f"{len(drowned)} of {len(figures)} drown in it ({lost})." if len(drowned) else "none drowns in it."
    total, sums = revenue.clip(lower=0).sum(), figures[figures.release == "revenue"]
    clamped = 1 - clamped_sums(revenue, groups).sum() / total
    # Laplace noise of scale b has standard deviation b times the square root of 2.
    noise = np.sqrt(2 * ((sums.sensitivity / sums.epsilon) ** 2).sum()) / total
    return (
        f"**What we see.** For epsilon {released.epsilon:g} in all, noise blurs each figure by the interval "
        f"drawn: {which} Of all revenue together, noise blurs {_percent(noise)} (one standard deviation), and "
        f"clamping each person takes {_percent(clamped)} off for good, which no interval shows. That share is an "
        "exact figure, for the house alone. **What it does not show.** Small figures are not left out, for noise "
        "protects them already; they are just of little use. **What to do.** Where a figure drowns, ask for wider "
        "groups, not for more budget."
    )


def describe_audit(audit: Audit) -> str:
    """Say what the release's own draws prove of what it gives away."""
    both = audit.proven[(audit.proven.figure == "both") & (audit.proven.group == "all")].iloc[0]
    kept = "no more than is claimed" if audit.excess <= 0 else "**more than is claimed: the promise is broken**"
    people = "one person" if both.n_people_more == 1 else f"{both.n_people_more} people"
    return (
        f"**What we see.** With {people} more in a group, counts and sums together may give away epsilon "
        f"{both.epsilon:g}; the draws prove {both.epsilon_low:.2f} at least, {kept}. **What it does not show.** A "
        "lower bound finds a broken promise; it proves no kept one."
    )


def describe_budget(errors: pd.DataFrame, costs: pd.DataFrame) -> str:
    """Say what a budget buys in accuracy, and what repeating a release costs."""
    counts = errors[errors.mechanism == "geometric"].sort_values("epsilon")
    tight, wide = counts.iloc[0], counts.iloc[-1]
    last = costs.iloc[-1]
    return (
        f"**What we see.** A count is off by {tight.closed_form:.1f} people on average at epsilon "
        f"{tight.epsilon:g} and by {wide.closed_form:.1f} at {wide.epsilon:g}: to be right to 10 %, a group "
        f"needs {10 * tight.closed_form:,.0f} people or {10 * wide.closed_form:,.0f}. {last.n_releases:.0f} "
        f"releases of epsilon {last.epsilon:g} cost {last.epsilon_sum:.1f} together, or "
        f"{last.epsilon_advanced:.1f} if a chance of {last.delta:g} is allowed that the promise fails. **What it "
        "does not show.** What was published of the same people elsewhere; it counts too. **What to do.** "
        "Publish less often and for wider groups, rather than everything with more noise."
    )


def describe_attack(attack: MembershipAttack) -> str:
    """Say what bounds taken from the data give away."""
    least = attack.success.iloc[0]
    broken = attack.success[attack.success.from_data > attack.success.ceiling + 3 * attack.success.standard_error]
    promise = (
        f"more than the {least.ceiling:.1%} that epsilon allows"
        if least.epsilon in set(broken.epsilon)
        else f"not told apart from the {least.ceiling:.1%} that epsilon allows"
    )
    return (
        f"**What we see.** At epsilon {least.epsilon:g} a guesser is right {least.declared:.1%} of the time "
        "where the bound was declared. Where the noise was fitted to the biggest value found, "
        f"{least.from_data:.1%}, {promise}: the size of the noise tells. Where histogram edges came from the "
        f"data, {least.edges:.0%}. **What it does not show.** The biggest spender is the worst case; this one "
        f"spent {attack.outlier_ratio:.1f} times what the second did. **What to do.** Declare bounds and edges "
        "from what the business is, before looking."
    )


def _percent(share: float) -> str:
    # To whole percents: a finer figure could be one person's.
    return "less than 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")
