"""Whether the release keeps its promise, and what it costs: an audit, each person left out, error, composition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from diffprivlib import BudgetAccountant
from diffprivlib.mechanisms import Geometric, Laplace
from numpy.typing import NDArray
from scipy import special, stats

from journeybook.privacy import releases
from journeybook.privacy.releases import Grouping, PrivateReleases

GroupedBy = Callable[[pd.DataFrame], Grouping]
ReleasedBy = Callable[..., PrivateReleases]

# One end of one interval is wrong once in 30,000, as beyond four standard errors.
_ERROR = float(stats.norm.sf(4))


@dataclass(frozen=True, eq=False)
class Audit:
    """A release drawn many times from two tables, one of which holds some people more in each group.

    Attributes:
        proven: One row a figure (`people`, `revenue`, `both`) and group, or over all groups (`all`): `figure`,
            `group`, `n_people_more` (in each group), `epsilon` (claimed for so many), `epsilon_low` (that the
            draws prove at least).
        excess: Greatest `epsilon_low` over the claim; above 0 the promise is broken.
        tightness: Least share of the claim (of 4 where it claims more) that is proven over all groups; from 0.5
            on, half the noise would be noticed.
        correlation: Greatest correlation of the noise of any two figures, in standard errors.
        coverage: Share of 95 % intervals of revenue that hold the exact sum.
        n_intervals: Intervals that were looked at.
    """

    proven: pd.DataFrame
    excess: float
    tightness: float
    correlation: float
    coverage: float
    n_intervals: int


def audit_release(
    people: pd.DataFrame,
    *,
    grouped_by: GroupedBy,
    released_by: ReleasedBy,
    epsilon: float,
    n_draws: int,
    rng: np.random.Generator,
) -> Audit:
    """Draw a release many times from two tables and prove from what comes out how much it gives away at least.

    The second table holds k people more in each group, each with as much revenue as the group can hold or, in the
    last, a hundred times what is declared. Groups share nobody, so k people in each cost as much as k in one: k
    times epsilon. k is such that this is about 1, where a few hundred draws tell. The event that proves most is
    chosen on the first half of the draws and judged on the second, with exact intervals (Clopper & Pearson 1934;
    the method is that of Jagielski, Ullman & Oprea 2020).

    Args:
        people: What the page publishes figures of, one row a person.
        grouped_by: The page's own grouping.
        released_by: The page's own release, with its budget.
        epsilon: Claimed for all figures together.
        n_draws: Draws of a figure from each table, over all groups; a release is drawn 200 times at least.
        rng: Seeds the noise.
    """
    groups = grouped_by(people)
    n_draws = max(200, -(-n_draws // len(groups.names)))
    claimed = released_by(people.revenue, groups, rng=rng).noised.groupby("release").epsilon.max()
    n_more = max(1, int(np.ceil(1 / claimed.min())))
    joined = pd.concat([people, *[_newcomers(people, groups)] * n_more], ignore_index=True)
    shape = (2, len(groups.names))
    exact = recount(people, groups).reshape(-1)
    drawn, held = [], 0
    for table in (joined, people):
        of_table = grouped_by(table)
        draws = np.empty((n_draws, exact.size))
        for i in range(n_draws):
            rows = released_by(table.revenue, of_table, rng=rng).figures.iloc[: exact.size]
            draws[i] = rows.value
            within = (rows.value_low.to_numpy() <= exact) & (exact <= rows.value_high.to_numpy())
            held += int(within[shape[1] :].sum()) if table is people else 0
        drawn.append(draws)
    most = np.concatenate([np.ones(shape[1]), groups.max_revenue])
    scores = [((draws - exact) / (n_more * most)).reshape(n_draws, *shape) for draws in drawn]
    rows = []
    for figure, used in (("people", [0]), ("revenue", [1]), ("both", [0, 1])):
        claim = n_more * (epsilon if figure == "both" else float(claimed[figure]))
        for place, group in enumerate(["all", *groups.names]):
            at = slice(None) if group == "all" else slice(place - 1, place)
            found = _proven(*(score[:, used, at] for score in scores))
            rows.append((figure, group, n_more, claim, found))
    proven = pd.DataFrame(rows, columns=["figure", "group", "n_people_more", "epsilon", "epsilon_low"])
    over_all = proven[proven.group == "all"]
    return Audit(
        proven=proven,
        excess=float((proven.epsilon_low - proven.epsilon).max()),
        tightness=float((over_all.epsilon_low / over_all.epsilon.clip(upper=4)).min()),
        correlation=_correlation(drawn[1]),
        coverage=held / (n_draws * shape[1]),
        n_intervals=n_draws * shape[1],
    )


def recount(people: pd.DataFrame, groups: Grouping) -> NDArray[np.float64]:
    """Return people and clamped revenue of each group, person by person in whole cents, shape (2, n_groups)."""
    counted = np.zeros((2, len(groups.names)))
    for amount, code in zip(people.revenue.astype(float), groups.codes, strict=True):
        counted[0, code] += 1
        counted[1, code] += round(100 * min(max(amount, 0.0), float(groups.max_revenue[code])))
    return counted / [[1], [100]]


def error_curve(
    epsilons: Sequence[float], *, sensitivity: float, n_draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the mean absolute error that noise adds, drawn and by closed form; it depends on no data.

    Expected |noise| is sensitivity / epsilon for the Laplace mechanism and 1 / sinh(epsilon) for the
    geometric one at sensitivity 1.

    Returns:
        One row a mechanism and epsilon: `mechanism`, `epsilon`, `mean_error`, `standard_error`,
        `closed_form`, `deviation` (in standard errors).

    Raises:
        ValueError: A budget is not above 0, or there are fewer than 1,000 draws.
    """
    if n_draws < 1000 or not epsilons or min(epsilons) <= 0:
        raise ValueError(
            f"epsilons are {epsilons} and n_draws {n_draws}: needed are values above 0, and 1,000 or more."
        )
    rows = []
    for epsilon in epsilons:
        for name, expected in (("geometric", 1 / np.sinh(epsilon)), ("Laplace", sensitivity / epsilon)):
            made, most = (Geometric, 1) if name == "geometric" else (Laplace, sensitivity)
            mechanism = made(epsilon=epsilon, sensitivity=most, random_state=int(rng.integers(2**31)))
            errors = np.abs([mechanism.randomise(0) for _ in range(n_draws)])
            mean, standard_error = errors.mean(), errors.std(ddof=1) / np.sqrt(n_draws)
            rows.append((name, epsilon, mean, standard_error, expected, (mean - expected) / standard_error))
    return pd.DataFrame(
        rows, columns=["mechanism", "epsilon", "mean_error", "standard_error", "closed_form", "deviation"]
    )


def composition(*, epsilon: float, n_releases: Sequence[int], slack: float) -> pd.DataFrame:
    """Return what repeated releases of one epsilon cost together.

    Returns:
        One row a number: `n_releases`, `epsilon` (of each), `epsilon_sum` (of all, delta 0), and by diffprivlib's
        accountant, with `slack` for delta (Kairouz, Oh & Viswanath 2017), `epsilon_advanced` and `delta`.

    Raises:
        ValueError: `slack` is not between 0 and 1.
    """
    if not 0 < slack < 1:
        raise ValueError(f"slack is {slack}: needed is a probability between 0 and 1.")
    rows = []
    for n in n_releases:
        total = BudgetAccountant(slack=slack, spent_budget=[(epsilon, 0)] * n).total()
        rows.append((n, epsilon, n * epsilon, float(total[0]), float(total[1])))
    return pd.DataFrame(rows, columns=["n_releases", "epsilon", "epsilon_sum", "epsilon_advanced", "delta"])


def largest_change(people: pd.DataFrame, *, grouped_by: GroupedBy, figures: pd.DataFrame) -> float:
    """Return the most that one person changes what noise is added to, as a share of the stated sensitivity.

    Every person is left out in turn, with all their rows (of more than 5,000 the two extremes and an even spread
    between them), and people whom no group expects join: the table is grouped, clamped and summed again each time.
    The shares of all groups are added, for a person is in one of them. At most 1, or the figures are not private.
    """
    stated = figures.sensitivity[figures.mechanism != "computed"].to_numpy().reshape(2, -1)
    exact = releases.exact_figures(people.revenue, grouped_by(people))

    def changed(other: pd.DataFrame) -> float:
        change = np.abs(exact - releases.exact_figures(other.revenue, grouped_by(other)))
        return float((change / stated).sum(axis=1).max())

    ranked = people.sort_values("revenue", kind="stable").person_id.unique()
    left_out = ranked[np.unique(np.linspace(0, len(ranked) - 1, min(len(ranked), 5000)).astype(int))]
    rows_of = people.groupby("person_id").indices
    changes = [changed(people.iloc[np.delete(np.arange(len(people)), rows_of[person])]) for person in left_out]
    joining = _newcomers(people, grouped_by(people))
    joining = pd.concat([joining, joining.assign(revenue=-1e9), joining.assign(revenue=1e9)])
    changes += [changed(pd.concat([people, joining.iloc[[i]]])) for i in range(len(joining))]
    return round(max(changes), 9)


def _newcomers(people: pd.DataFrame, groups: Grouping) -> pd.DataFrame:
    """One more person for each group, with the most revenue it can hold; where nothing bounds it, far beyond."""
    beyond = 100 * groups.max_revenue
    if "segment" in people:
        return pd.DataFrame({"revenue": beyond, "segment": groups.names})
    return pd.DataFrame({"revenue": np.append(groups.max_revenue[:-1] - 0.01, beyond[-1])})


def _correlation(draws: NDArray[np.float64]) -> float:
    """Return the greatest correlation of any two figures' noise, in standard errors; nan without noise."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.abs(np.corrcoef(draws, rowvar=False))
    return float(np.max(found[np.triu_indices_from(found, k=1)]) * np.sqrt(len(draws)))


def _proven(draws_with: NDArray[np.float64], draws_without: NDArray[np.float64]) -> float:
    """Return the epsilon that events `score >= t` or `score <= t` prove; shapes (n_draws, n_figures, n_groups)."""
    scores = [np.moveaxis(d, 1, 2).reshape(-1, d.shape[2], d.shape[1]) for d in (draws_with, draws_without)]
    half = len(draws_with) // 2
    best, proven = -np.inf, -np.inf
    for threshold in np.arange(-1, 2.01, 0.25) - 1e-9:
        for sign in (1, -1):
            # As often with the people more as without: an event and its mirror image, which turns the two around.
            seen = [(sign * (d - threshold) >= 0).all(axis=2) for d in scores]
            first, second = (seen[0], seen[1]) if sign == 1 else (seen[1], seen[0])
            chosen = _log_low(first[:half], second[:half])
            if chosen > best:
                best, proven = chosen, _log_low(first[half:], second[half:])
    return proven


def _log_low(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    n_first, n_second = int(first.sum()), int(second.sum())
    low = special.betaincinv(n_first, first.size - n_first + 1, _ERROR) if n_first else 0.0
    high = special.betainccinv(n_second + 1, second.size - n_second, _ERROR) if n_second < second.size else 1.0
    return float(np.log(low / high)) if low > 0 else -np.inf
