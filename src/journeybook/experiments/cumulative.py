"""The effect as it stood at each look, with the interval that may be looked at and the one that may not."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from journeybook.experiments.measures import Measures, Metric, filled_covariates, known_values
from journeybook.experiments.variants import arms_of
from journeybook.statistics.contrasts import ArmMoments, Contrast, arm_moments, contrast, cumulated, ratio_moments
from journeybook.statistics.sequential import always_valid

FOLLOWED_KINDS = ("proportion", "mean", "ratio")
# Fewer units in an arm, and the normal approximation behind every look is poor.
MIN_UNITS_AN_ARM = 100


def effects_so_far(
    units: pd.DataFrame,
    *,
    measured: Measures,
    control: str | None,
    alpha: float,
    planned_units: int,
    n_looks: int,
) -> pd.DataFrame:
    """Each effect at looks that are equally many units apart, in the order of assignment.

    Means, proportions and ratios are followed, with CUPED where covariates are named. The outcomes are those
    known at the end: what a look saw of a unit that had just been assigned is not recorded. Without
    `planned_units` (0) the units that are there were planned; fewer looks than `n_looks` are taken where one would
    add fewer than 100 units an arm.

    Returns:
        One row a metric, variant and look with 100 units an arm or more: metric, variant, until (when its last
        unit was assigned), and the columns of `follow`. No rows where a unit has no time of assignment.
    """
    arms, nothing = arms_of(units, control=control), pd.DataFrame(columns=["metric", "variant"])
    if "occurred_at" not in units.columns or units["occurred_at"].isna().any():
        return nothing
    looks = max(1, min(n_looks, len(units) // (MIN_UNITS_AN_ARM * len(arms.names))))
    assigned = units["occurred_at"].to_numpy()
    order = np.argsort(assigned, kind="stable")
    look = np.empty(len(units), dtype=np.int64)
    look[order] = np.arange(len(units)) * looks // len(units)
    until = pd.Series(assigned[order]).groupby(look[order]).max().astype(str).to_numpy()
    covariates, shape = filled_covariates(units, measured), (looks, len(arms.names))
    found = []
    for metric in [metric for metric in measured.metrics if metric.kind in FOLLOWED_KINDS]:
        so_far = _so_far(units, metric, covariates, look * len(arms.names) + arms.number, shape)
        for number, name in enumerate(arms.names[1:], 1):
            pair = so_far.pick(range(so_far.mean.shape[-1]), arms=[0, number])
            enough = pair.n.min(axis=-1) >= MIN_UNITS_AN_ARM
            with np.errstate(divide="ignore", invalid="ignore"):
                enough &= contrast(pair, weights=(-1, 1)).standard_error > 0
            if not enough.any():
                continue
            first = int(enough.argmax())
            n = pair.n[first:].sum(axis=-1)
            planned = planned_units * float(n[-1] / so_far.n[-1].sum())
            seen = contrast(pair.at(slice(first, None)), weights=(-1, 1))
            rows = follow(seen, n=n, alpha=alpha, planned_n=planned)
            about = {"metric": metric.name, "variant": name, "until": until[first:]}
            found.append(pd.concat([pd.DataFrame(about), rows], axis=1))
    return pd.concat(found, ignore_index=True) if found else nothing


def clearest(followed: pd.DataFrame, comparisons: pd.DataFrame) -> pd.DataFrame:
    """The rows of `effects_so_far` of the first metric and the variant that moves it most clearly."""
    rows = comparisons[comparisons["metric"] == comparisons["metric"].iloc[0]]
    first = rows.loc[rows["p_value"].idxmin()]
    return followed[(followed["metric"] == first["metric"]) & (followed["variant"] == first["variant"])]


def follow(looks: Contrast, *, n: ArrayLike, alpha: float, planned_n: float) -> pd.DataFrame:
    """One effect at each look: the naive interval, and the always-valid one.

    Args:
        looks: Contrasts of all units so far, one a look.
        n: Units of all arms at each look, rising.
        alpha: Accepted rate of false positives.
        planned_n: Units planned at the end; fewer than were found takes those of the last look.

    Returns:
        One row a look. `always_valid_p_value` is the smallest so far.
    """
    units = np.asarray(n, dtype=float)
    planned = float(max(planned_n, units[-1]))
    effect, se, naive = looks.effect, looks.standard_error, looks.margin(alpha=alpha)
    always = always_valid(effect, se, n=units, alpha=alpha, planned_n=planned)
    running = np.minimum.accumulate(always.p_value)
    return pd.DataFrame(
        {
            "look": np.arange(1, len(units) + 1),
            "n": units.astype(np.int64),
            "fraction": units / planned,
            "effect": effect,
            "standard_error": se,
            "p_value": looks.p_value,
            "effect_low": effect - naive,
            "effect_high": effect + naive,
            "always_valid_low": always.low,
            "always_valid_high": always.high,
            "always_valid_p_value": running,
            "crossed_naive": np.logical_or.accumulate(np.abs(effect) > naive),
            "crossed_always_valid": running <= alpha,
        }
    )


def _so_far(
    units: pd.DataFrame, metric: Metric, covariates: list[np.ndarray], cell: np.ndarray, shape: tuple[int, int]
) -> ArmMoments:
    """Sufficient statistics of all units up to each look, shape (looks, arms)."""
    values, known = known_values(units, metric)
    columns = [*values[known].T, *(covariate[known] for covariate in covariates)]
    each = arm_moments(columns, cell[known], n_arms=shape[0] * shape[1])
    total = cumulated(each.shaped(*shape))
    return ratio_moments(total) if metric.kind == "ratio" else total
