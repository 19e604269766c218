"""Figures of page 10 computed a second time, by another road, and held against what was promised."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import integrate, stats

from journeybook.privacy.attacks import MembershipAttack
from journeybook.privacy.guarantees import Audit, GroupedBy, ReleasedBy, recount
from journeybook.privacy.releases import PrivateReleases

_COLUMNS = ["name", "value", "rule", "reference", "tolerance", "source"]


def release_holds(
    people: pd.DataFrame,
    released: PrivateReleases,
    audit: Audit,
    *,
    largest_change: float,
    grouped_by: GroupedBy,
    released_by: ReleasedBy,
    epsilon: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Hold the release against what it promises, and its figures against those of another road.

    `largest_change` is one person's share of a sensitivity. Returns rows as `results.checks_of` reads them.
    """
    again, spent = "a second road", released.budget.epsilon.sum()
    error = 4 * (0.95 * 0.05 / audit.n_intervals) ** 0.5
    gap = exact_gap(people, grouped_by=grouped_by, released_by=released_by, rng=rng)
    means, sums = means_gap(released.figures), "published sums over published counts"
    rows = [
        ("audit: epsilon proven over the claim", audit.excess, "at most", 0, 0, "the promise"),
        ("audit: share of the claim not proven", 1 - audit.tightness, "at most", 0.5, 0, "half the noise"),
        ("audit: noise alike, in standard errors", audit.correlation, "at most", 4.5, 0, "drawn apart"),
        ("audit: intervals that hold", audit.coverage, "within", 0.95, error, "95 %, 4 standard errors"),
        ("one person's share of a sensitivity", largest_change, "at most", 1, 0, "each person left out in turn"),
        ("figures without noise, off", gap, "within", 0, 0.006, again),
        ("means off", means, "within", 0, 0.006, sums),
        ("epsilon of all releases", spent, "within", epsilon, 1e-9, "the budget"),
        ("epsilon spent", released.epsilon, "within", epsilon, 1e-9, "diffprivlib's accountant"),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def methods_hold(
    people: pd.DataFrame,
    alone: pd.DataFrame,
    attack: MembershipAttack,
    errors: pd.DataFrame,
    twenty: pd.DataFrame,
    *,
    quasi_identifiers: Mapping[str, float],
    max_revenue: float,
) -> pd.DataFrame:
    """Hold uniqueness and attack against a second road, noise and composition against what is published.

    `twenty` is the `composition` of 20 releases of epsilon 0.05 with slack 0.001.
    """
    off = uniqueness_gap(alone, people, quasi_identifiers=quasi_identifiers)
    told, furthest = attack_gap(attack, people.revenue, max_value=max_revenue), errors.deviation.abs().max()
    documented, total = "diffprivlib, documentation of BudgetAccountant", "(1 + total variation) / 2"
    closed = "Laplace: sensitivity / epsilon; geometric: 1 / sinh(epsilon)"
    epsilon, delta = twenty[["epsilon_advanced", "delta"]].iloc[0]
    rows = [
        ("people alone, off", off, "within", 0, 1e-6, "a second road"),
        ("attack off, in standard errors", told, "at most", 4, 0, total),
        ("noise: mean error off, in standard errors", furthest, "at most", 4, 0, closed),
        ("20 times 0.05: epsilon", epsilon, "within", 0.7613352285668463, 1e-12, documented),
        ("20 times 0.05: delta", delta, "within", 1e-3, 1e-12, documented),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).assign(kind=["witness"] * 2 + ["constant"] * 3)


def exact_gap(
    people: pd.DataFrame, *, grouped_by: GroupedBy, released_by: ReleasedBy, rng: np.random.Generator
) -> float:
    """Return how far the page's release, at a budget without noise, is from the recount; people or currency."""
    groups = grouped_by(people)
    published = released_by(people.revenue, groups, epsilon=1e15, rng=rng).noised.value.to_numpy()
    return float(np.abs(published - recount(people, groups).reshape(-1)).max())


def means_gap(figures: pd.DataFrame) -> float:
    """Return how far the published means are from those that the published counts and sums make, in currency."""
    wide = figures.pivot(index="group", columns="release", values="value")
    wide = wide[wide.people >= 1]
    return float((wide["mean revenue"] - wide.revenue / wide.people).abs().max()) if len(wide) else 0.0


def uniqueness_gap(found: pd.DataFrame, people: pd.DataFrame, *, quasi_identifiers: Mapping[str, float]) -> float:
    """Return the greatest difference in people alone, or with fewer than four others, counted value by value."""
    columns = [column for column in quasi_identifiers if column in people]
    values = [[float(v) // quasi_identifiers[c] for v in people[c]] for c in columns]
    gaps = [float(abs(len(found) - len(columns)))]
    for n, row in enumerate(found.itertuples(), start=1):
        shared = Counter(zip(*values[:n], strict=True))
        alone = sum(times == 1 for times in shared.values())
        few = sum(times for times in shared.values() if times < 5)
        gaps += [abs(row.n_unique - alone), abs(row.unique_share * len(people) - alone)]
        gaps += [abs(row.below_5_share * len(people) - few)]
    return float(max(gaps))


def attack_gap(attack: MembershipAttack, values: pd.Series, *, max_value: float) -> float:
    """Return how far the attacker's success is from the integral that it estimates, in standard errors.

    The best guess between two densities is right (1 + their total variation) / 2 of the time.
    """
    second, biggest = np.sort(values.to_numpy(dtype=float))[-2:]
    gaps = []
    for row in attack.success.itertuples():
        clamped = min(biggest, max_value) / max_value
        declared = _told_apart(clamped, 1 / row.epsilon, 1 / row.epsilon)
        fitted = _told_apart(biggest / second, biggest / second / row.epsilon, 1 / row.epsilon)
        gaps += [abs(row.declared - declared), abs(row.from_data - fitted)]
        gaps += [abs(row.ceiling - np.exp(row.epsilon) / (1 + np.exp(row.epsilon)))]
    return float(max(gaps) / attack.success.standard_error.max())


def _told_apart(centre: float, scale: float, other_scale: float) -> float:
    """Return how often the best guess is right between Laplace noise at `centre` and at 0."""
    reach = centre + 40 * max(scale, other_scale)
    grid = np.union1d(np.linspace(-reach, reach, 400_001), [0.0, centre])
    here, gone = stats.laplace(centre, scale).pdf(grid), stats.laplace(0, other_scale).pdf(grid)
    return float(0.5 + integrate.trapezoid(np.abs(here - gone), grid) / 4)
