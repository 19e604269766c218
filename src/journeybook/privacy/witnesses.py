"""Figures of page 10 computed a second time, by another road."""

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import integrate, stats

from journeybook.privacy.attacks import MembershipAttack
from journeybook.privacy.releases import Grouping, PrivateReleases

GroupedBy = Callable[[pd.DataFrame], Grouping]
ReleasedBy = Callable[..., PrivateReleases]


def recount(people: pd.DataFrame, groups: Grouping) -> NDArray[np.float64]:
    """Return people and clamped revenue of each group, person by person in whole cents, shape (2, n_groups)."""
    counted = np.zeros((2, len(groups.names)))
    for amount, code in zip(people.revenue.astype(float), groups.codes, strict=True):
        counted[0, code] += 1
        counted[1, code] += round(100 * min(max(amount, 0.0), float(groups.max_revenue[code])))
    return counted / [[1], [100]]


def exact_gap(
    people: pd.DataFrame, *, grouped_by: GroupedBy, released_by: ReleasedBy, rng: np.random.Generator
) -> float:
    """Return how far the page's release, at a budget without noise, is from the recount; people or currency."""
    groups = grouped_by(people)
    figures = released_by(people.revenue, groups, epsilon=1e15, rng=rng).figures
    published = figures[figures.mechanism != "computed"].value.to_numpy()
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
