"""For whom it works, asked without a plan: a search on one half of the units, tested on the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.measures import Measures, filled_covariates, known_values
from journeybook.experiments.subgroups import DIVIDED, MIN_UNITS, MISSING, Levels, levels
from journeybook.experiments.variants import arms_of
from journeybook.statistics.contrasts import ArmMoments, arm_moments, contrast, merged, ratio_moments
from journeybook.statistics.corrections import holm

HETEROGENEITY_COLUMNS = [
    "metric",
    "variant",
    "inside",
    "share_inside",
    "effect_inside",
    "effect_outside",
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "difference_when_found",
]
# Bands of a number, between which the search may cut.
N_BANDS = 10


@dataclass(frozen=True, eq=False)
class Heterogeneity:
    """What a search for whom it works found, and what was left of it.

    Attributes:
        found: The best split of each metric and variant: `HETEROGENEITY_COLUMNS`, `p_adjusted`. `inside` says
            which units; effects, `difference` (inside less outside) and its interval are from the half that the
            search did not see, `difference_when_found` from the half it chose on. `p_adjusted` is Holm's.
        n_splits: Splits that were searched.
    """

    found: pd.DataFrame
    n_splits: int


@dataclass(frozen=True, eq=False)
class Splits:
    """Effects on both sides of splits of the units; the first axis is the splits, others are experiments.

    Attributes:
        inside: Effect among the units of a split.
        outside: Effect among the others.
        standard_error: Standard error of the difference of the two.
        df: Degrees of freedom of its t distribution.
    """

    inside: np.ndarray
    outside: np.ndarray
    standard_error: np.ndarray
    df: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """Difference over its standard error; 0 where an effect does not vary."""
        difference = self.inside - self.outside
        return np.divide(difference, self.standard_error, out=np.zeros_like(difference), where=self.df > 0)


def search_heterogeneity(
    units: pd.DataFrame,
    *,
    measured: Measures,
    control: str | None,
    columns: Sequence[str],
    alpha: float,
    rng: np.random.Generator,
) -> Heterogeneity:
    """Look for the split of the units between whose sides the effect differs most, and test it honestly.

    One random half chooses the split, the other estimates and tests it (Athey & Imbens 2016), so that however
    many splits were tried, the test is one test. The price is half the units. The columns are known before
    assignment: numbers are cut at deciles, other columns at each value. A split needs `MIN_UNITS` units of both
    arms on both sides of both halves.
    """
    arms = arms_of(units, control=control)
    grouped = [levels(units, column, measured=measured, n_bands=N_BANDS) for column in columns]
    members = [candidate_splits(group) for group in grouped]
    half = rng.permutation(len(units)) % 2
    covariates, n_arms = filled_covariates(units, measured), len(arms.names)
    rows = []
    for metric in (metric for metric in measured.metrics if metric.kind in DIVIDED):
        values, known = known_values(units, metric)
        data, ratio = [x[known] for x in (*values.T, *covariates)], metric.kind == "ratio"
        parts = []
        for group in grouped:
            shape = (2, len(group.labels), n_arms)
            cell = np.ravel_multi_index((half, group.codes, arms.number), shape)[known]
            parts.append(arm_moments(data, cell, n_arms=int(np.prod(shape))).shaped(*shape))
        for number, name in enumerate(arms.names[1:], start=1):
            best, strength = None, -1.0
            for column, group, split, part in zip(columns, grouped, members, parts, strict=True):
                pair = part.pick(range(len(data)), arms=[0, number])
                inside = split[_large_enough(pair, split)]
                if not len(inside):
                    continue
                searched, tested = (split_effects(pair.at(side), inside, ratio=ratio) for side in (0, 1))
                chosen = int(strongest(searched))
                if abs(searched.z[chosen]) > strength:
                    strength, by_level = abs(searched.z[chosen]), pair.n.sum(axis=(0, 2))
                    shown = (
                        _words(column, group, inside[chosen]),
                        float(inside[chosen] @ by_level / by_level.sum()),
                    )
                    best = (metric.name, name, *shown, *_tested(searched, tested, chosen, alpha))
            rows += [best] if best else []
    table = pd.DataFrame(rows, columns=HETEROGENEITY_COLUMNS)
    adjusted = table.assign(p_adjusted=holm(table["p_value"].to_numpy(dtype=float)))
    return Heterogeneity(adjusted, sum(map(len, members)))


def candidate_splits(grouped: Levels) -> np.ndarray:
    """Which levels each split holds, shape (splits, levels): those above each cut of a number, else each one."""
    n_levels = len(grouped.labels)
    if len(grouped.edges):
        n_bands = len(grouped.edges) + 1
        level = np.arange(n_levels)
        above = (level > np.arange(n_bands - 1)[:, None]) & (level < n_bands)
        return np.vstack([above, np.eye(n_levels)[n_bands:]])
    return np.eye(n_levels)[: 1 if n_levels == 2 else None]


def split_effects(parts: ArmMoments, members: np.ndarray, *, ratio: bool) -> Splits:
    """Effects inside and outside of splits, from the statistics of the levels (first axis) of two arms.

    Args:
        parts: Statistics by level, control first.
        members: Levels inside each split, shape (splits, levels).
        ratio: Whether the first two columns are a ratio's numerator and denominator.
    """
    sides = []
    for inside in (members, 1 - members):
        arms = merged(parts, inside)
        sides.append(contrast(ratio_moments(arms) if ratio else arms, weights=(-1, 1)))
    variances = [side.standard_error**2 for side in sides]
    total = variances[0] + variances[1]
    with np.errstate(invalid="ignore"):
        df = total**2 / sum(v**2 / side.df for v, side in zip(variances, sides, strict=True))
    return Splits(sides[0].effect, sides[1].effect, np.sqrt(total), df)


def strongest(searched: Splits) -> np.ndarray:
    """The split with the clearest difference, a number for each experiment."""
    return np.abs(searched.z).argmax(axis=0)


def _large_enough(parts: ArmMoments, members: np.ndarray) -> np.ndarray:
    sizes = [np.einsum("sl,hla->sha", side, parts.n) for side in (members, 1 - members)]
    return (np.minimum(*sizes) >= MIN_UNITS).all(axis=(1, 2))


def _tested(searched: Splits, tested: Splits, chosen: int, alpha: float) -> tuple[float, ...]:
    """The columns from `effect_inside` on."""
    inside, outside = float(tested.inside[chosen]), float(tested.outside[chosen])
    difference, df = inside - outside, float(tested.df[chosen])
    margin = float(stats.t.isf(alpha / 2, df) * tested.standard_error[chosen])
    p = float(2 * stats.t.sf(abs(tested.z[chosen]), df))
    when_found = float(searched.inside[chosen] - searched.outside[chosen])
    return inside, outside, difference, difference - margin, difference + margin, p, when_found


def _words(column: str, grouped: Levels, inside: np.ndarray) -> str:
    """Which units a split holds, in words."""
    first = int(inside.argmax())
    if len(grouped.edges) and grouped.labels[first] != MISSING:
        return f"{column} above {grouped.edges[first - 1]:.4g}"
    return f"{column} is {grouped.labels[first]}"
