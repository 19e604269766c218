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

DIVIDED = ("proportion", "mean", "ratio")
SUBGROUP_COLUMNS = [
    "metric",
    "kind",
    "variant",
    "subgroup",
    "level",
    "n_control",
    "n_treatment",
    "effect",
    "effect_low",
    "effect_high",
    "p_value",
    "interaction_p_value",
]
# Numbers with more distinct values than this are cut into bands.
MAX_LEVELS = 8
# Units that every arm needs in a level; smaller levels are left out.
MIN_UNITS = 30
MISSING = "(missing)"


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


def levels(units: pd.DataFrame, column: str, *, measured: Measures, n_bands: int) -> Levels:
    """Take a column's values as levels; a number of many values is cut at its quantiles over all units.

    Raises:
        ValueError: The column is missing, has one level, or is an outcome.
    """
    if column not in units.columns:
        raise ValueError(
            f"subgroups: column '{column}' is not in the table, which has {', '.join(units.columns)}."
        )
    if column in measured.outcomes:
        raise ValueError(f"subgroups: '{column}' is an outcome; a column known before assignment is needed.")
    values, edges = units[column], np.empty(0)
    if values.nunique(dropna=False) < 2:
        raise ValueError(f"subgroups: column '{column}' is the same for every unit, so it makes no subgroups.")
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > MAX_LEVELS:
        known = numbers(units, column)
        edges = np.unique(np.nanquantile(known, np.arange(1, n_bands) / n_bands))
        edges = edges[edges < np.nanmax(known)]
        codes = np.searchsorted(edges, known, side="left")
        between = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
        labels = [f"up to {edges[0]:.4g}", *between, f"above {edges[-1]:.4g}"]
    else:
        codes, found = pd.factorize(values, sort=True)
        labels = [str(label) for label in found]
    missing = values.isna().to_numpy()
    if missing.any():
        codes, labels = np.where(missing, len(labels), codes), [*labels, MISSING]
    return Levels(codes=codes, labels=labels, edges=edges)


def divided(metric: Metric, data: Sequence[np.ndarray], cell: np.ndarray, shape: tuple[int, ...]) -> ArmMoments:
    """Statistics of a metric's columns and the covariates by cell, laid out as `shape`, arms last."""
    found = arm_moments(data, cell, n_arms=int(np.prod(shape)))
    return (ratio_moments(found) if metric.kind == "ratio" else found).shaped(*shape)


def subgroups(
    units: pd.DataFrame, *, measured: Measures, control: str | None, planned: Sequence[str], alpha: float
) -> pd.DataFrame:
    """Each variant's effect in each level of the planned columns, and whether the levels' effects differ.

    An effect that is clear in one level and not in another is no difference of effects; the interaction test is.
    It is Welch's (1951) F of the levels' effects, which for two levels is the t test of their difference, with
    Holm's correction over all of the table; the levels' own intervals are not corrected. Shares, means and ratios
    are divided. Numbers of many values are cut into quarters; levels with fewer than `MIN_UNITS` units in an arm
    are left out.

    Returns:
        One row a metric, variant, column and level: `SUBGROUP_COLUMNS` and `interaction_p_adjusted`.
    """
    arms, rows = arms_of(units, control=control), []
    covariates = filled_covariates(units, measured)
    for column in planned:
        grouped = levels(units, column, measured=measured, n_bands=4)
        shape = (len(grouped.labels), len(arms.names))
        for metric in (metric for metric in measured.metrics if metric.kind in DIVIDED):
            values, known = known_values(units, metric)
            cell = (grouped.codes * shape[1] + arms.number)[known]
            parts = divided(metric, [x[known] for x in (*values.T, *covariates)], cell, shape)
            large = np.flatnonzero((parts.n >= MIN_UNITS).all(axis=1))
            for number, name in enumerate(arms.names[1:] if len(large) else (), start=1):
                pair = parts.at(large).pick(range(parts.mean.shape[-1]), arms=[0, number])
                labels = [grouped.labels[at] for at in large]
                rows += _rows((metric.name, metric.kind, name, column), labels, pair, alpha)
    tests = pd.DataFrame(rows, columns=SUBGROUP_COLUMNS)
    test = tests.groupby(["metric", "variant", "subgroup"], sort=False).ngroup().to_numpy()
    first = np.unique(test, return_index=True)[1]
    adjusted = holm(tests["interaction_p_value"].to_numpy(dtype=float)[first])
    return tests.assign(interaction_p_adjusted=adjusted[test])


def _rows(about: tuple[str, ...], labels: Sequence[str], arms: ArmMoments, alpha: float) -> list[tuple]:
    found = contrast(arms, weights=(-1, 1))
    margin, p, varies, interaction = found.margin(alpha=alpha), found.p_value, found.standard_error > 0, 1.0
    if varies.sum() > 1:
        interaction = equal_effects(found.effect[varies], found.standard_error[varies], found.df[varies])
    rows = []
    for at, label in enumerate(labels):
        effect, half = float(found.effect[at]), float(margin[at])
        ends = (effect - half, effect + half, float(p[at])) if varies[at] else (np.nan,) * 3
        rows.append((*about, label, *arms.n[at].astype(int).tolist(), effect, *ends, interaction))
    return rows
