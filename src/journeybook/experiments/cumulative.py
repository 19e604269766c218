"""The effect as it stood at each look, with the interval that may be looked at and the one that may not."""

import numpy as np
import pandas as pd

from journeybook.experiments.contrasts import ArmMoments, arm_moments, contrast, cumulated, ratio_moments
from journeybook.experiments.measures import Measures, Metric, known_values, numbers
from journeybook.experiments.sequential import SEQUENTIAL_COLUMNS, follow
from journeybook.experiments.variants import Arms

FOLLOWED_COLUMNS = ("metric", "variant", "until", *SEQUENTIAL_COLUMNS)
FOLLOWED_KINDS = ("proportion", "mean", "ratio")
# Fewer units in an arm, and the normal approximation behind every look is poor.
MIN_UNITS_AN_ARM = 100


def effects_so_far(
    units: pd.DataFrame,
    *,
    measured: Measures,
    arms: Arms,
    alpha: float,
    planned_units: int,
    spending: str,
    n_looks: int,
) -> pd.DataFrame:
    """Each effect at looks that are equally many units apart, in the order of assignment.

    Means, proportions and ratios are followed, with CUPED where covariates are named. The outcomes are those
    known at the end: what a look saw of a unit that had just been assigned is not recorded.

    Args:
        units: One row a unit.
        measured: Metrics and covariates of `measures`.
        arms: Variant of each unit.
        alpha: Accepted rate of false positives.
        planned_units: Units of all arms at the planned end; 0 takes the units that are there.
        spending: Group sequential rule, one of `sequential.SPENDING`.
        n_looks: Greatest number of looks; fewer are taken where a look would add fewer than 100 units an arm.

    Returns:
        One row a metric, variant and look, columns `FOLLOWED_COLUMNS`; `until` is when the last unit of the
        look was assigned. No rows where a unit has no time of assignment. Looks with fewer than 100 units in an
        arm are left out.
    """
    nothing = pd.DataFrame(columns=list(FOLLOWED_COLUMNS))
    if "occurred_at" not in units.columns or units["occurred_at"].isna().any():
        return nothing
    looks = max(1, min(n_looks, len(units) // (MIN_UNITS_AN_ARM * len(arms.names))))
    assigned = units["occurred_at"].to_numpy()
    order = np.argsort(assigned, kind="stable")
    look = np.empty(len(units), dtype=np.int64)
    look[order] = np.arange(len(units)) * looks // len(units)
    until = pd.Series(assigned[order]).groupby(look[order]).max().astype(str).to_numpy()
    covariates = [
        np.where(np.isnan(x), np.nanmean(x), x) for x in (numbers(units, c) for c in measured.covariates)
    ]
    found = []
    for metric in [metric for metric in measured.metrics if metric.kind in FOLLOWED_KINDS]:
        so_far = _so_far(units, metric, covariates, look * len(arms.names) + arms.number, (looks, len(arms.names)))
        for number, name in enumerate(arms.names[1:], 1):
            pair = so_far.pick(range(so_far.mean.shape[-1]), arms=[0, number])
            enough = pair.n.min(axis=-1) >= MIN_UNITS_AN_ARM
            with np.errstate(divide="ignore", invalid="ignore"):
                enough &= contrast(pair, weights=(-1, 1)).standard_error > 0
            if not enough.any():
                continue
            first = int(enough.argmax())
            kept = ArmMoments(pair.n[first:], pair.mean[first:], pair.covariance[first:])
            share = kept.n.sum(axis=-1) / so_far.n[first:].sum(axis=-1)
            rows = follow(
                contrast(kept, weights=(-1, 1)),
                n=kept.n.sum(axis=-1),
                alpha=alpha,
                planned_n=planned_units * float(share[-1]),
                spending=spending,
            )
            rows.insert(0, "until", until[first:])
            rows.insert(0, "variant", name)
            rows.insert(0, "metric", metric.name)
            found.append(rows)
    return pd.concat(found, ignore_index=True) if found else nothing


def _so_far(
    units: pd.DataFrame, metric: Metric, covariates: list[np.ndarray], cell: np.ndarray, shape: tuple[int, int]
) -> ArmMoments:
    """Sufficient statistics of all units up to each look, shape (looks, arms)."""
    values, known = known_values(units, metric)
    columns = [*values[known].T, *(covariate[known] for covariate in covariates)]
    each = arm_moments(columns, cell[known], n_arms=shape[0] * shape[1])
    width = len(columns)
    total = cumulated(
        ArmMoments(
            n=each.n.reshape(shape),
            mean=each.mean.reshape(*shape, width),
            covariance=each.covariance.reshape(*shape, width, width),
        )
    )
    return ratio_moments(total) if metric.kind == "ratio" else total
