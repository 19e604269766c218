"""What is published: counts and sums that a mechanism has noised, and what they cost."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import ibis
import numpy as np
import pandas as pd
from diffprivlib import BudgetAccountant
from diffprivlib.mechanisms import Geometric, Laplace

from journeybook.errors import TooLittle

CENTS = 100
NOT_PRIVATE = "NOT PRIVATE"


@dataclass(frozen=True, eq=False)
class PrivateReleases:
    """Figures that may be published, and what they cost. No field holds an exact figure.

    Attributes:
        figures: One row a figure: `row`, `release` (`people`, `revenue`, `mean revenue`), `group`, `value`,
            `value_low`, `value_high` (95 % interval of the exact figure, from the noise alone; missing for
            means), `mechanism`, `sensitivity`, `epsilon` (0 where computed from other figures), `privacy`.
        epsilon: What all releases cost together, by diffprivlib's accountant.
    """

    figures: pd.DataFrame
    epsilon: float

    @property
    def noised(self) -> pd.DataFrame:
        """The figures that a mechanism noised: all but the means."""
        return self.figures[self.figures.mechanism != "computed"]

    @property
    def budget(self) -> pd.DataFrame:
        """One row a release: `release`, `mechanism`, `sensitivity` (the greatest of the groups), `epsilon`."""
        by_release = self.figures.groupby(["release", "mechanism"], sort=False)
        return by_release[["sensitivity", "epsilon"]].max().reset_index()


@dataclass(frozen=True, eq=False)
class Grouping:
    """People in groups that were declared before anyone looked at the data.

    Attributes:
        names: The groups, in their order; a group without people is one of them.
        codes: Position of each person's group, shape (n_people,).
        max_revenue: Greatest revenue that a person in each group counts with, shape (n_groups,).
    """

    names: tuple[str, ...]
    codes: np.ndarray
    max_revenue: np.ndarray


def check_mode(mode: str) -> None:
    """Raise ValueError unless the mode is `teaching`."""
    if mode != "teaching":
        other = "; `journeybook release` publishes for good" if mode == "release" else ""
        raise ValueError(f"mode is {mode!r}: needed is 'teaching'{other}.")


def people_at_end(features: ibis.Table, segments: ibis.Table | None) -> pd.DataFrame:
    """Return what this page uses of each person of the last snapshot, and nothing else, in the order of `row`.

    That is `person_id`, `revenue`, and the `segment` of `segments`.

    Raises:
        TooLittle: Fewer than two people have revenue.
    """
    last = features.filter(features.as_of == features.as_of.max()).order_by("row")
    people = last.select("person_id", "revenue").to_pandas().astype({"revenue": float})
    if (n := int((people["revenue"] > 0).sum())) < 2:
        raise TooLittle(f"features describe {n} people with revenue, and a group to hide in has two or more.")
    if segments is None:
        return people
    at_end = segments.filter(segments.as_of == segments.as_of.max()).select("person_id", "segment").to_pandas()
    return people.merge(at_end, on="person_id", how="left", validate="one_to_one")


def seed_name(people: pd.DataFrame) -> str:
    """Return a name for the noise that changes with `revenue` or `segment` of any person, whatever their order.

    With the seed's noise alone, the difference of two weekly runs would be one person's figures.
    """
    made_of = people[[c for c in ("revenue", "segment") if c in people]]
    rows = np.sort(pd.util.hash_pandas_object(made_of, index=False).to_numpy())
    return f"noise {hashlib.sha256(rows.tobytes()).hexdigest()}"


def group_people(
    people: pd.DataFrame, *, segment_names: Sequence[str], band_edges: Sequence[float], max_revenue: float
) -> Grouping:
    """Return people by segment where segments are named (a missing one is `none`), else by bands of revenue.

    Raises:
        ValueError: A segment was not declared, or the edges do not ascend between 0 and `max_revenue`.
    """
    if segment_names:
        names, segment = (*segment_names, "none"), people.segment.fillna("none").astype(str)
        if unknown := sorted(set(segment) - set(names)):
            raise ValueError(f"group {unknown[0]!r} was not declared: declared are {', '.join(names)}.")
        return Grouping(names, pd.Index(names).get_indexer(segment), np.full(len(names), float(max_revenue)))
    if not all(low < high for low, high in pairwise([0.0, *band_edges, max_revenue])):
        raise ValueError(f"band_edges are {list(band_edges)}: needed is an ascent between 0 and {max_revenue:g}.")
    codes = np.searchsorted(np.asarray(band_edges, float), people.revenue.to_numpy(dtype=float), side="right")
    return Grouping(band_names(band_edges), codes, np.array([*band_edges, max_revenue], dtype=float))


def band_names(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the bands that ascending edges cut.

    >>> band_names([100, 1000])
    ('under 100', '100 to 1,000', '1,000 and more')
    """
    if not edges:
        return ("all",)
    between = [f"{low:,.0f} to {high:,.0f}" for low, high in pairwise(edges)]
    return f"under {edges[0]:,.0f}", *between, f"{edges[-1]:,.0f} and more"


def release_figures(
    revenue: pd.Series, groups: Grouping, *, epsilon: float, count_share: float, rng: np.random.Generator
) -> PrivateReleases:
    """Publish the number of people and their revenue by group, with differential privacy.

    Two data sets are neighbours if one has one person more. That person is in one group, so the counts of all
    groups cost as much as one (parallel composition); the same holds for the sums. A person adds 1 to a
    count (geometric mechanism, Ghosh, Roughgarden & Sundararajan 2012), and to a sum at most the group's
    greatest revenue (Laplace mechanism, Dwork et al. 2006), because revenue is clamped to between 0 and that.
    Means are computed from noised figures and cost nothing. Afterwards negative figures become 0 and sums
    are rounded to cents, which costs nothing either, but pulls figures near 0 upwards.

    Args:
        revenue: Of each person, shape (n_people,).
        groups: Of the same people.
        epsilon: Privacy budget of all figures together, above 0.
        count_share: Part of the budget that goes to the counts, between 0 and 1; the rest goes to the sums.
        rng: Seeds the noise, which can be drawn again and taken off: it teaches, and protects nobody.

    Raises:
        ValueError: `epsilon` or `count_share` is out of range.
    """
    if not (epsilon > 0 and 0 < count_share < 1):
        raise ValueError(f"epsilon is {epsilon} and count_share {count_share}: needed are above 0, and 0 to 1.")
    for_counts, for_sums = epsilon * count_share, epsilon * (1 - count_share)
    accountant = BudgetAccountant(epsilon=epsilon * (1 + 1e-12), delta=0)  # the parts add up but for rounding
    accountant.spend(for_counts, 0)
    accountant.spend(for_sums, 0)
    exact = exact_figures(revenue, groups)
    counting = Geometric(epsilon=for_counts, sensitivity=1, random_state=_seed(rng))
    people = np.array([counting.randomise(int(n)) for n in exact[0]], dtype=float)
    adding = [Laplace(epsilon=for_sums, sensitivity=float(m), random_state=_seed(rng)) for m in groups.max_revenue]
    totals = np.array([add.randomise(float(total)) for add, total in zip(adding, exact[1], strict=True)])
    n_groups = len(groups.names)
    reach = [np.full(n_groups, geometric_reach(for_counts)), groups.max_revenue / for_sums * np.log(20)]
    value, around = np.concatenate([people, totals]), np.concatenate(reach)
    # Means are made from published figures; missing where the noised count is below 1.
    means = np.where(people >= 1, np.maximum(totals, 0) / np.maximum(people, 1), np.nan)
    missing = np.full(n_groups, np.nan)
    figures = pd.DataFrame(
        {
            "row": np.arange(1, 3 * n_groups + 1),
            "release": np.repeat(["people", "revenue", "mean revenue"], n_groups),
            "group": [*groups.names] * 3,
            "value": np.concatenate([np.maximum(value, 0), means]).round(2),
            "value_low": np.concatenate([np.maximum(value - around, 0), missing]).round(2),
            "value_high": np.concatenate([np.maximum(value + around, 0), missing]).round(2),
            "mechanism": np.repeat(["geometric", "Laplace", "computed"], n_groups),
            "sensitivity": np.concatenate([np.ones(n_groups), groups.max_revenue, np.zeros(n_groups)]),
            "epsilon": np.repeat([for_counts, for_sums, 0.0], n_groups),
            "privacy": NOT_PRIVATE,
        }
    )
    return PrivateReleases(figures, epsilon=float(accountant.total()[0]))


def exact_figures(revenue: pd.Series, groups: Grouping) -> np.ndarray:
    """Return what noise is added to: people and clamped revenue of each group, shape (2, n_groups)."""
    return np.array([np.bincount(groups.codes, minlength=len(groups.names)), clamped_sums(revenue, groups)])


def clamped_sums(revenue: pd.Series, groups: Grouping) -> np.ndarray:
    """Return the exact revenue of each group, each person's clamped to between 0 and the group's greatest."""
    # Cents are added as whole numbers, so that the order of people plays no part.
    most = np.floor(groups.max_revenue * CENTS + 1e-6)[groups.codes]
    cents = np.clip(np.rint(revenue.to_numpy(dtype=float) * CENTS), 0, most)
    return np.bincount(groups.codes, weights=cents, minlength=len(groups.names)) / CENTS


def geometric_reach(epsilon: float) -> int:
    """Return the least k that geometric noise exceeds with probability 5 % at most, 2 a^(k+1) / (1 + a).

    >>> geometric_reach(1.0)
    3
    """
    a = np.exp(-epsilon)
    return int(max(0, np.ceil(np.log(0.05 * (1 + a) / 2) / -epsilon - 1)))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
