"""Whether the release keeps its promise, and what that costs: audit, one left out, error, composition, checks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from diffprivlib import BudgetAccountant
from diffprivlib.mechanisms import Laplace
from numpy.typing import NDArray
from scipy import integrate, special, stats

from journeybook.privacy import releases
from journeybook.privacy.releases import Grouping, PrivateReleases

GroupedBy = Callable[[pd.DataFrame], Grouping]
ReleasedBy = Callable[..., PrivateReleases]

# One end of one interval is wrong once in 30,000, as beyond four standard errors.
_ERROR = float(stats.norm.sf(4))
_LEFT_OUT = 1000
_COLUMNS = ["name", "value", "rule", "reference", "tolerance", "source"]


@dataclass(frozen=True, eq=False)
class Audit:
    """A release drawn many times from two tables, one of which holds some people more in each group.

    Attributes:
        proven: One row a `figure` (`people`, `revenue`, `both`) and `group` (or `all`): `n_people_more` in each
            group, `epsilon` claimed for so many, `epsilon_low` that the draws prove at least.
        excess: Greatest `epsilon_low` over the claim; above 0 the promise is broken.
        tightness: Least share proven of a claim (of at most 4) over all groups; 0.5 notices half the noise.
        correlation: Greatest correlation of the noise of any two figures, in standard errors.
        coverage: Share of 95 % intervals of revenue above 0 that hold; NaN where none is.
        coverage_reach: Four of its standard errors.
        counts_held: Share of 95 % intervals of people that hold.
        gap: How far the release without noise is from a recount, in people or currency.
    """

    proven: pd.DataFrame
    excess: float
    tightness: float
    correlation: float
    coverage: float
    coverage_reach: float
    counts_held: float
    gap: float


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
    n_groups = len(groups.names)
    n_draws = max(200, -(-n_draws // n_groups))
    claimed = released_by(people.revenue, groups, rng=rng).noised.groupby("release").epsilon.max()
    n_more = max(1, int(np.ceil(1 / claimed.min())))
    joined = pd.concat([people, *[_newcomers(people, groups)] * n_more], ignore_index=True)
    exact = recount(people, groups).reshape(-1)
    most = np.concatenate([np.ones(n_groups), groups.max_revenue])
    scores = []
    for table in (joined, people):
        of_table = grouped_by(table)
        drawn = [released_by(table.revenue, of_table, rng=rng).figures for _ in range(n_draws)]
        value, low, high = (
            np.array([figures[name].to_numpy()[: exact.size] for figures in drawn])
            for name in ("value", "value_low", "value_high")
        )
        scores.append(((value - exact) / (n_more * most)).reshape(n_draws, 2, n_groups))
    rows = []
    for figure, used in (("people", [0]), ("revenue", [1]), ("both", [0, 1])):
        claim = n_more * (epsilon if figure == "both" else float(claimed[figure]))
        for place, group in enumerate(["all", *groups.names]):
            at = slice(None) if group == "all" else slice(place - 1, place)
            found = _proven(*(score[:, used, at] for score in scores))
            rows.append((figure, group, n_more, claim, found))
    proven = pd.DataFrame(rows, columns=["figure", "group", "n_people_more", "epsilon", "epsilon_low"])
    over_all = proven[proven.group == "all"]
    # Intervals, and noise side by side, of the table as it is. Cut at nothing, the interval of a sum of nothing
    # holds it more often than it promises, so that such a sum tells nothing.
    sums = np.flatnonzero(exact[n_groups:] > 0) + n_groups
    holds = (low <= exact) & (exact <= high)
    held = holds[:, sums]
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = np.abs(np.corrcoef(value, rowvar=False))[np.triu_indices(exact.size, k=1)]
    return Audit(
        proven=proven,
        excess=float((proven.epsilon_low - proven.epsilon).max()),
        tightness=float((over_all.epsilon_low / over_all.epsilon.clip(upper=4)).min()),
        correlation=float(alike.max() * np.sqrt(n_draws)),
        coverage=float(held.mean()) if held.size else float("nan"),
        coverage_reach=4 * (0.95 * 0.05 / max(1, held.size)) ** 0.5,
        counts_held=float(holds[:, :n_groups].mean()),
        gap=float(np.abs(released_by(people.revenue, groups, epsilon=1e15, rng=rng).noised.value - exact).max()),
    )


def recount(people: pd.DataFrame, groups: Grouping) -> NDArray[np.float64]:
    """Return people and clamped revenue of each group, person by person in whole cents, shape (2, n_groups)."""
    counted = np.zeros((2, len(groups.names)))
    for amount, code in zip(people.revenue.astype(float), groups.codes, strict=True):
        counted[0, code] += 1
        counted[1, code] += round(100 * min(max(amount, 0.0), float(groups.max_revenue[code])))
    return counted / [[1], [100]]


def error_curve(epsilons: Sequence[float], *, sensitivity: float) -> pd.DataFrame:
    """Return the error that noise adds, in closed form; ValueError if a budget is not above 0.

    One row an `epsilon`: mean size `geometric` (people, 1 / sinh(epsilon)) and `laplace` (sensitivity /
    epsilon), and what 95 of 100 stay within, `geometric_within` and `laplace_within`.
    """
    if not epsilons or min(epsilons) <= 0:
        raise ValueError(f"epsilons are {list(epsilons)}: needed are values above 0.")
    budget = np.asarray(epsilons, dtype=float)
    mean = {"epsilon": budget, "geometric": 1 / np.sinh(budget), "laplace": sensitivity / budget}
    within = [releases.geometric_reach(float(one)) for one in budget]
    return pd.DataFrame(mean | {"geometric_within": within, "laplace_within": mean["laplace"] * np.log(20)})


def composition(*, epsilon: float, n_releases: Sequence[int], slack: float) -> pd.DataFrame:
    """Return what repeated releases of one epsilon cost together; ValueError if `slack` is not between 0 and 1.

    One row a number: `n_releases`, `epsilon` (of each), `epsilon_sum` (of all, delta 0), and by diffprivlib's
    accountant, with `slack` for delta (Kairouz, Oh & Viswanath 2017), `epsilon_advanced` and `delta`.
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

    Every person is left out in turn, with all their rows (of more than 1,000 the two extremes and an even spread
    between them), and people whom no group expects join: the table is grouped, clamped and summed again each time.
    The shares of all groups are added, for a person is in one of them. At most 1, or the figures are not private.
    """
    used = people[[c for c in ("revenue", "segment") if c in people]]
    stated = figures.sensitivity[figures.mechanism != "computed"].to_numpy().reshape(2, -1)
    exact = releases.exact_figures(used.revenue, grouped_by(used))

    def changed(other: pd.DataFrame) -> float:
        change = np.abs(exact - releases.exact_figures(other.revenue, grouped_by(other)))
        return float((change / stated).sum(axis=1).max())

    ranked = people.sort_values("revenue", kind="stable").person_id.unique()
    left_out = ranked[np.unique(np.linspace(0, len(ranked) - 1, min(len(ranked), _LEFT_OUT)).astype(int))]
    rows_of = people.groupby("person_id").indices
    changes = [changed(used.iloc[np.delete(np.arange(len(used)), rows_of[person])]) for person in left_out]
    joining = _newcomers(used, grouped_by(used))
    joining = pd.concat([joining, joining.assign(revenue=-1e9), joining.assign(revenue=1e9)])
    changes += [changed(pd.concat([used, joining.iloc[[i]]])) for i in range(len(joining))]
    return round(max(changes), 9)


def _newcomers(people: pd.DataFrame, groups: Grouping) -> pd.DataFrame:
    """One more person for each group, with the most revenue it can hold; where nothing bounds it, far beyond."""
    beyond = 100 * groups.max_revenue
    if "segment" in people:
        return pd.DataFrame({"revenue": beyond, "segment": groups.names})
    return pd.DataFrame({"revenue": np.append(groups.max_revenue[:-1] - 0.01, beyond[-1])})


def _proven(draws_with: NDArray[np.float64], draws_without: NDArray[np.float64]) -> float:
    """Return the epsilon that events `score >= t` or `score <= t` prove; shapes (n_draws, n_figures, n_groups)."""
    half = len(draws_with) // 2
    best, proven = -np.inf, -np.inf
    for threshold in np.arange(-1, 2.01, 0.25) - 1e-9:
        for sign in (1, -1):
            # As often with the people more as without: an event and its mirror image, which turns the two around.
            seen = [(sign * (d - threshold) >= 0).all(axis=1) for d in (draws_with, draws_without)][::sign]
            chosen, judged = (_log_low(*(s[part] for s in seen)) for part in (slice(half), slice(half, None)))
            if chosen > best:
                best, proven = chosen, judged
    return proven


def _log_low(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    n_first, n_second = int(first.sum()), int(second.sum())
    low = special.betaincinv(n_first, first.size - n_first + 1, _ERROR) if n_first else 0.0
    high = special.betainccinv(n_second + 1, second.size - n_second, _ERROR) if n_second < second.size else 1.0
    return float(np.log(low / high)) if low > 0 else -np.inf


def release_holds(
    released: PrivateReleases, audit: Audit, *, largest: float, epsilon: float, count_share: float
) -> pd.DataFrame:
    """Hold the release against what it promises; `largest` is what `largest_change` returns."""
    spent, error = released.budget.epsilon.sum(), audit.coverage_reach
    on_counts = released.budget.epsilon.iloc[0] / epsilon
    wide = released.figures.pivot(index="group", columns="release", values="value")
    wide = wide[wide.people >= 1]
    means = float((wide["mean revenue"] - wide.revenue / wide.people).abs().max()) if len(wide) else 0.0
    shown = audit.proven.assign(over=audit.proven.epsilon_low - audit.proven.epsilon)
    claim = (
        shown.n_people_more
        * epsilon
        * shown.figure.map({"people": count_share, "revenue": 1 - count_share, "both": 1})
    )
    off = max(abs(shown.over.max() - audit.excess), (shown.epsilon - claim).abs().max())
    rows = [
        ("audit: claims and proofs as shown, off", off, "within", 0, 1e-9, "the budget and its shares"),
        ("audit: epsilon proven over the claim", audit.excess, "at most", 0, 0, "the promise"),
        ("audit: share of the claim not proven", 1 - audit.tightness, "at most", 0.5, 0, "half the noise"),
        ("audit: noise alike, in standard errors", audit.correlation, "at most", 4.5, 0, "drawn apart"),
        # Exactly 1, for those who join spend all that their group can hold.
        ("one person's share of a sensitivity", largest, "within", 1, 1e-6, "each person left out in turn"),
        ("audit: intervals of people that hold", audit.counts_held, "at least", 0.95 - error, 0, "at least 95 %"),
        ("share of the budget on counts", on_counts, "within", count_share, 1e-9, "as declared"),
        ("figures without noise, off", audit.gap, "within", 0, 0.006, "a second road"),
        ("means off", means, "within", 0, 0.006, "published sums over published counts"),
        ("epsilon of all releases", spent, "within", epsilon, 1e-9, "the budget"),
        ("epsilon spent", released.epsilon, "within", epsilon, 1e-9, "diffprivlib's accountant"),
    ]
    if np.isfinite(audit.coverage):
        rows.append(("audit: intervals that hold", audit.coverage, "within", 0.95, error, "4 standard errors"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def methods_hold(
    features: ibis.Table,
    people: pd.DataFrame,
    attack: pd.DataFrame,
    errors: pd.DataFrame,
    *,
    twenty: pd.DataFrame,
    by_hand: Sequence[float],
    seeds: Sequence[str],
    released: PrivateReleases,
    groups: Grouping,
    sentence: str,
) -> pd.DataFrame:
    """Hold people and attack against a second road, noise and composition against what is published.

    `twenty` is the `composition` of 20 releases of epsilon 0.05 with slack 0.001; `by_hand` are sizes of Laplace
    noise, drawn at the first budget of `errors`; `seeds` name the noise with and without one person; `sentence`
    is what `say_releases` says of `released`.
    """
    last = features.select("person_id", "as_of", "revenue").to_pandas().query("as_of == as_of.max()")
    due, ours = (frame.groupby("person_id").revenue.agg(["sum", "size"]).astype(float) for frame in (last, people))
    told = float((attack_gap(attack, people.revenue) / attack.standard_error).max())
    drawn = float(np.mean(by_hand) / errors.laplace.iloc[0] - 1) * len(by_hand) ** 0.5
    documented, total = "diffprivlib, documentation of BudgetAccountant", "(1 + total variation) / 2"
    closed, epsilon = "diffprivlib's Laplace mechanism", twenty.epsilon_advanced.iloc[0]
    # Sizes 1, 2, ... of geometric noise, each as likely as (1 - a) / (1 + a) times a to its power, and its sign.
    sizes, a = np.arange(1, 10_000), np.exp(-errors.epsilon.to_numpy()[:, None])
    likely = 2 * (1 - a) / (1 + a) * a**sizes
    geometric, reach = (sizes * likely).sum(axis=1), errors.geometric_within.to_numpy()[:, None]
    beyond, not_less = (
        1 - (1 - a[:, 0]) / (1 + a[:, 0]) - (likely * (sizes <= at)).sum(axis=1) for at in (reach, reach - 1)
    )
    # A reach of 0 cannot be less.
    not_less = np.where(reach[:, 0] > 0, not_less, 1.0)
    held = float(np.mean([size <= errors.laplace_within.iloc[0] for size in by_hand]))
    rows = [
        ("people of the last snapshot, off", (~((due - ours).abs() < 1e-6)).any(axis=1).sum(), "within", 0, 0,
         "plain pandas"),
        ("noise that stays when a person leaves", len(seeds) - len(set(seeds)), "within", 0, 0, "names compared"),
        ("mean geometric noise, off", np.abs(errors.geometric - geometric).max(), "within", 0, 1e-6, "summed"),
        ("attacker's ceiling off", (attack.ceiling / (1 - attack.ceiling) - np.exp(attack.epsilon)).abs().max(),
         "within", 0, 1e-6, "odds of exp(epsilon) at most"),
        ("shares of noise and clamping said otherwise", _said_otherwise(sentence, released, people, groups),
         "within", 0, 0, "diffprivlib's variance; each person clamped"),
        ("attack off, in standard errors", told, "at most", 4, 0, total),
        ("noise by hand: mean error off, in standard errors", drawn, "within", 0, 4, closed),
        ("counts off beyond the reach, share", beyond.max(), "at most", 0.05 + 1e-9, 0, "summed"),
        ("counts off by the reach or more, share", not_less.min(), "at least", 0.05, 0, "summed"),
        ("noise by hand within the reach", held, "within", 0.95, 4 * (0.0475 / len(by_hand)) ** 0.5, closed),
        ("20 times 0.05: epsilon", epsilon, "within", 0.7613352285668463, 1e-12, documented),
        ("20 times 0.05, added up: epsilon", twenty.epsilon_sum.iloc[0], "within", 1, 1e-12, "sum"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS).assign(kind=["witness"] * 10 + ["constant"] * 2)


def _said_otherwise(sentence: str, released: PrivateReleases, people: pd.DataFrame, groups: Grouping) -> int:
    """Count the shares of all revenue, that noise blurs and clamping takes, which a sentence says otherwise."""
    sums, total = released.noised.query("release == 'revenue'"), sum(max(float(v), 0) for v in people.revenue)
    variance = sum(Laplace(epsilon=r.epsilon, sensitivity=r.sensitivity).variance(0) for r in sums.itertuples())
    shares = {"noise blurs": variance**0.5, "clamping takes": total - recount(people, groups)[1].sum()}
    words = {what: f"{off / total:.0%}" if off >= 0.01 * total else "less than 1%" for what, off in shares.items()}
    return sum(f"{what} {word} " not in sentence for what, word in words.items())


def attack_gap(attack: pd.DataFrame, values: pd.Series) -> pd.Series:
    """Return how far the attacker's success with noise fitted to the data is from the integral that it estimates.

    The best guess between two densities is right (1 + their total variation) / 2 of the time.
    """
    second, biggest = np.sort(values.to_numpy(dtype=float))[-2:]
    ratio, found = biggest / second, []
    for epsilon in attack.epsilon:
        grid = np.union1d(np.linspace(-1, 1, 400_001) * (ratio + 40 * ratio / epsilon), [0.0, ratio])
        here, gone = stats.laplace(ratio, ratio / epsilon).pdf(grid), stats.laplace(0, 1 / epsilon).pdf(grid)
        found.append(0.5 + integrate.trapezoid(np.abs(here - gone), grid) / 4)
    return (attack.from_data - found).abs()
