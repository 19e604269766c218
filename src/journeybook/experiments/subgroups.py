"""For whom it works: effects in planned subgroups, and whether they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from journeybook.experiments.measures import Measures, Metric, filled_covariates, known_values, numbers
from journeybook.experiments.variants import arms_of
from journeybook.statistics.contrasts import ArmMoments, arm_moments, contrast, equal_effects, ratio_moments
from journeybook.statistics.corrections import holm
from journeybook.statistics.survival import common_horizon, restricted_mean_moments

SUBGROUP_COLUMNS = ["metric", "kind", "variant", "subgroup", "level", "n_control", "n_treatment", "effect", "effect_low", "effect_high", "p_value", "interaction_p_value"]
# Numbers with more distinct values than this are cut into bands.
MAX_LEVELS = 8
# Units that every arm needs in a level; smaller levels are put together.
MIN_UNITS = 30
OTHER, MISSING = "(other)", "(missing)"


@dataclass(frozen=True, eq=False)
class Levels:
    """The level of each unit in a column known before assignment.

    Attributes:
        codes: Number of the level, shape (units,).
        labels: Names of the levels.
        edges: Upper ends of the bands but the last, where the column is a number cut into bands; else empty.
    """

    codes: np.ndarray
    labels: list[str]
    edges: np.ndarray


def levels(units: pd.DataFrame, column: str, *, n_bands: int) -> Levels:
    """Take a column's values as levels; a number of many values is cut at its quantiles over all units."""
    if column not in units.columns:
        raise ValueError(
            f"subgroups: column '{column}' is not in the table, which has {', '.join(units.columns)}."
        )
    values = units[column]
    if values.nunique(dropna=False) < 2:
        raise ValueError(f"subgroups: column '{column}' is the same for every unit, so it makes no subgroups.")
    missing = values.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MAX_LEVELS:
        known = numbers(units, column)
        edges = np.unique(np.nanquantile(known, np.arange(1, n_bands) / n_bands))
        edges = edges[edges < np.nanmax(known)]
        codes = np.searchsorted(edges, known, side="left")
        labels = [f"up to {edges[0]:.4g}"]
        labels += [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
        labels.append(f"above {edges[-1]:.4g}")
    else:
        edges = np.empty(0)
        codes, found = pd.factorize(values, sort=True)
        labels = [str(label) for label in found]
    if missing.any():
        codes = np.where(missing, len(labels), codes)
        labels = [*labels, MISSING]
    return Levels(codes=codes, labels=labels, edges=edges)


def subgroups(
    units: pd.DataFrame, *, measured: Measures, control: str | None, planned: Sequence[str], alpha: float
) -> pd.DataFrame:
    """Each variant's effect in each level of the planned columns, and whether the levels' effects differ.

    An effect that is clear in one level and not in another is no difference of effects; the interaction test is.
    It is Welch's (1951) F of the levels' effects, which for two levels is the t test of their difference. Its
    Holm correction is over all interaction tests of the table; the levels' own intervals are not corrected.

    Args:
        units: One row a unit.
        measured: Metrics and covariates of `measures`; quantiles are left out.
        control: The variant compared against; None is resolved by `choose_control`.
        planned: Columns known before assignment, named in the plan. Numbers of many values are cut into quarters;
            levels with fewer than `MIN_UNITS` units in an arm are put together, and left out if still fewer.
        alpha: One less the level of the intervals.

    Returns:
        One row a metric, variant, column and level: `SUBGROUP_COLUMNS` and `interaction_p_adjusted`.
    """
    arms = arms_of(units, control=control)
    n_arms = len(arms.names)
    covariates = filled_covariates(units, measured)
    rows = []
    for column in planned:
        if column in measured.outcomes:
            raise ValueError(f"subgroups: '{column}' is an outcome; a column known before assignment is needed.")
        grouped = levels(units, column, n_bands=4)
        for metric in (metric for metric in measured.metrics if metric.kind != "quantile"):
            values, known = known_values(units, metric)
            codes, labels = _large_levels(grouped, arms.number, known, n_arms=n_arms)
            if not labels:
                continue
            kept = known & (codes >= 0)
            parts = [x[kept] for x in (*values.T, *covariates)]
            code = codes[kept] * n_arms + arms.number[kept]
            found = metric_parts(metric, parts, code, n_parts=len(labels), n_arms=n_arms)
            for number, name in enumerate(arms.names[1:], start=1):
                pair = found.pick(range(found.mean.shape[-1]), arms=[0, number])
                rows += _rows(metric, name, column, labels, pair, alpha)
    tests = pd.DataFrame(rows, columns=SUBGROUP_COLUMNS)
    test = tests.groupby(["metric", "variant", "subgroup"], sort=False).ngroup().to_numpy()
    first = np.unique(test, return_index=True)[1]
    adjusted = holm(tests["interaction_p_value"].to_numpy(dtype=float)[first])
    return tests.assign(interaction_p_adjusted=adjusted[test])


def metric_parts(
    metric: Metric, columns: Sequence[np.ndarray], code: np.ndarray, *, n_parts: int, n_arms: int
) -> ArmMoments:
    """A metric's statistics in parts of the units, ready for `contrast`, shape (parts, arms).

    A time to an event is averaged up to its horizon, or to the longest time that every part was observed for.

    Args:
        metric: A metric of any kind but quantile.
        columns: Its columns, then the covariates, without missing values.
        code: Number of the part times `n_arms`, plus the number of the arm.
        n_parts: Number of parts.
        n_arms: Number of arms.
    """
    n = n_parts * n_arms
    if metric.kind == "time_to_event":
        time, happened = columns[:2]
        horizon = min(metric.horizon, common_horizon(time, code, n_arms=n))
        found = restricted_mean_moments(time, happened > 0, code, n_arms=n, horizon=horizon)
    else:
        found = arm_moments(columns, code, n_arms=n)
        found = ratio_moments(found) if metric.kind == "ratio" else found
    return found.shaped(n_parts, n_arms)


def _large_levels(
    grouped: Levels, arm: np.ndarray, known: np.ndarray, *, n_arms: int
) -> tuple[np.ndarray, list[str]]:
    """Levels with enough known units in every arm; the others together, or -1 where these are too few as well."""
    n = np.zeros((len(grouped.labels), n_arms), dtype=int)
    np.add.at(n, (grouped.codes[known], arm[known]), 1)
    large = np.all(n >= MIN_UNITS, axis=1)
    labels = [label for label, kept in zip(grouped.labels, large, strict=True) if kept]
    together = -1
    if (n[~large].sum(axis=0) >= MIN_UNITS).all():
        together, labels = len(labels), [*labels, OTHER]
    renumbered = np.where(large, np.cumsum(large) - 1, together)
    return renumbered[grouped.codes], labels


def _rows(
    metric: Metric, variant: str, column: str, labels: Sequence[str], arms: ArmMoments, alpha: float
) -> list[tuple]:
    found = contrast(arms, weights=(-1, 1))
    margin, p = found.margin(alpha=alpha), found.p_value
    varies = found.standard_error > 0
    interaction = 1.0
    if varies.sum() > 1:
        interaction = equal_effects(found.effect[varies], found.standard_error[varies], found.df[varies])
    rows = []
    for at, label in enumerate(labels):
        effect, half = float(found.effect[at]), float(margin[at])
        low, high, p_value = (effect - half, effect + half, float(p[at])) if varies[at] else (np.nan,) * 3
        n = arms.n[at].astype(int).tolist()
        rows.append(
            (metric.name, metric.kind, variant, column, label, *n, effect, low, high, p_value, interaction)
        )
    return rows
