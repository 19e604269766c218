"""How many units the next test needs and for how long, from the spread and pace of the last one's units."""

from collections.abc import Mapping, Sequence

import ibis
import numpy as np
import pandas as pd

from journeybook.statistics.contrasts import ArmMoments, arm_moments, ratio_moments
from journeybook.statistics.power import (
    cuped_deviation,
    duration_days,
    minimum_detectable_effect,
    sample_size,
    share_deviation,
)

# Of the columns of an experiment, those that name a unit or its assignment.
NOT_MEASURED = ("row", "variant", "stratum", "cluster", "unconverted", "withdrew")
BEFORE = "pre_"


def last_units(experiment: ibis.Table | None) -> pd.DataFrame:
    """The units of the last experiment in their order; no rows where there was none."""
    return pd.DataFrame() if experiment is None else experiment.order_by("row").to_pandas()


def units_a_day(units: pd.DataFrame, *, given: float | None) -> float | None:
    """Units that enter a day: as given, else as in the last experiment; None where its times span no day."""
    if given is not None or "occurred_at" not in units.columns or units["occurred_at"].isna().all():
        return given
    days = (units["occurred_at"].max() - units["occurred_at"].min()) / pd.Timedelta("1D")
    return float(units["occurred_at"].notna().sum() / days) if days >= 1 else None


def spread(
    units: pd.DataFrame, *, metrics: Sequence[str] | None, covariates: Sequence[str] | None, baseline: float
) -> pd.DataFrame:
    """What is known of the units before the next test: mean and spread within arms, and what covariates explain.

    No effect that was found plays a part: power at the effect found says nothing that its p value does not (Hoenig
    & Heisey 2001). A ratio is written `spend/orders`; without metrics every number that varies and is no covariate
    is taken, without units a share of `baseline`.

    Returns:
        One row a metric: metric, kind (share, mean or ratio), n, mean, deviation of a unit, explained_share.

    Raises:
        ValueError: A column is missing or no number, or `baseline` is not between 0 and 1.
    """
    if not 0 < baseline < 1:
        raise ValueError(f"baseline: found {baseline:g}, needed a share between 0 and 1.")
    named = metrics is not None
    if covariates is None:
        covariates = [column for column in units.columns if column.startswith(BEFORE)]
    if metrics is None:
        metrics = _numbers(units, covariates)
    rows = []
    for metric in metrics:
        own = metric.split("/")
        columns = [_values(units, column) for column in (*own, *covariates)]
        known = ~np.isnan(sum(columns[: len(own)]))
        filled = [column[known] for column in columns[: len(own)]]
        filled += [np.where(np.isnan(x), np.nanmean(x), x)[known] for x in columns[len(own) :]]
        codes = pd.factorize(units["variant"].astype(str)[known])[0]
        arms = arm_moments(filled, codes, n_arms=int(codes.max()) + 1)
        pooled = ratio_moments(_together(arms)) if len(own) > 1 else _together(arms)
        mean, within = float(pooled.mean[0, 0]), pooled.covariance[0]
        if not within[0, 0] > 0:
            if named:
                raise ValueError(f"metrics: '{metric}' does not vary within the arms, so no size can be told.")
            continue
        explained = within[0, 1:] @ np.linalg.pinv(within[1:, 1:], hermitian=True) @ within[1:, 0] / within[0, 0]
        share = len(own) == 1 and np.isin(filled[0], (0, 1)).all()
        kind = "ratio" if len(own) > 1 else "share" if share else "mean"
        row = {"metric": metric, "kind": kind, "n": int(known.sum()), "mean": mean}
        rows.append(row | {"deviation": float(within[0, 0] ** 0.5), "explained_share": float(explained)})
    if not rows:
        sd = float(share_deviation(baseline))
        row = {"metric": "conversion", "kind": "share", "n": 0, "mean": baseline, "deviation": sd}
        rows = [row | {"explained_share": 0.0}]
    return pd.DataFrame(rows)


def sizes(
    known: pd.DataFrame,
    *,
    lift: float,
    shares: Mapping[str, float],
    alpha: float,
    power: float,
    units_per_day: float | None,
) -> pd.DataFrame:
    """Units and days that the lift worth having needs, without covariates and with them.

    The lift is a share of a metric's mean; metrics whose mean is 0 have none and are left out. Shares are of the
    variants, the control first, on any scale; each variant is tested against it at alpha over their number.

    Returns:
        One row a metric and method (`plain`, `with covariates`): metric, kind, method, mean, effect, deviation,
        n_units (all arms), n_smallest_arm, days (whole weeks), detectable_share (lift that as many units as last
        time would find).

    Raises:
        ValueError: Lift or shares are not above 0, or there is no second variant.
    """
    planned = np.array([float(share) for share in shares.values()])
    if len(planned) < 2 or not (planned > 0).all() or not lift > 0:
        raise ValueError(f"shares and lift: found {dict(shares)} and {lift:g}, needed two variants, all above 0.")
    planned = planned / planned.sum()
    smallest, level = planned[1:].min(), alpha / (len(planned) - 1)
    pair = planned[0] + smallest
    rows = []
    for row in known[known["mean"] != 0].itertuples():
        effect = lift * abs(row.mean)
        for method, deviation in _deviations(row):
            found = sample_size(
                effect, sd_control=deviation, treatment_share=smallest / pair, alpha=level, power=power
            )
            n = float(np.ceil((found.n_control + found.n_treatment) / pair))
            days = np.nan if units_per_day is None else float(duration_days(n, units_per_day=units_per_day))
            least = np.nan
            if row.n * planned.min() >= 2:
                arms = {"n_control": row.n * planned[0], "n_treatment": row.n * smallest}
                least = float(minimum_detectable_effect(**arms, sd_control=deviation, alpha=level, power=power))
            rows.append(
                {
                    "metric": row.metric,
                    "kind": row.kind,
                    "method": method,
                    "mean": row.mean,
                    "effect": effect,
                    "deviation": deviation,
                    "n_units": n,
                    "n_smallest_arm": float(np.ceil(n * planned.min())),
                    "days": days,
                    "detectable_share": least / abs(row.mean),
                }
            )
    return pd.DataFrame(rows)


def detectable(needed: pd.DataFrame, *, shares: Mapping[str, float], alpha: float, power: float) -> pd.DataFrame:
    """The lift that a number of units finds, for the first metric of `sizes` and by the same shares and levels.

    Returns:
        metric, method, n_units (from a tenth to four times what is needed), detectable_share.
    """
    first = needed[needed["metric"] == needed["metric"].iloc[0]]
    planned = np.array([float(share) for share in shares.values()]) / sum(shares.values())
    n = first["n_units"].max() * np.geomspace(0.1, 4, 41)
    arms = {"n_control": n * planned[0], "n_treatment": n * planned[1:].min()}
    curves = []
    for row in first.itertuples():
        level = alpha / (len(planned) - 1)
        least = minimum_detectable_effect(**arms, sd_control=row.deviation, alpha=level, power=power)
        curve = {"metric": row.metric, "method": row.method, "n_units": n}
        curves.append(pd.DataFrame(curve | {"detectable_share": least / abs(row.mean)}))
    return pd.concat(curves, ignore_index=True)


def _deviations(row) -> list[tuple[str, float]]:
    found = [("plain", row.deviation)]
    if row.explained_share > 0:
        left = cuped_deviation(row.deviation, explained_share=row.explained_share)
        found.append(("with covariates", float(left)))
    return found


def _together(arms: ArmMoments) -> ArmMoments:
    """The arms as one, with the covariance within them."""
    n = arms.n.astype(float)
    within = np.where(n[:, None, None] > 1, (n - 1)[:, None, None] * arms.covariance, 0).sum(axis=0)
    mean = (n[:, None] * arms.mean).sum(axis=0) / n.sum()
    return ArmMoments(np.array([n.sum()]), mean[None], within[None] / ((n - 1).clip(0).sum() or np.nan))


def _numbers(units: pd.DataFrame, covariates: Sequence[str]) -> list[str]:
    """Columns that can be measured: numbers that name nothing and were not known before."""
    left_out = {*NOT_MEASURED, *covariates}
    columns = [c for c in units.columns if c not in left_out and not c.endswith(("_id", "_at"))]
    return [c for c in columns if pd.api.types.is_numeric_dtype(units[c]) and units[c].notna().any()]


def _values(units: pd.DataFrame, column: str) -> np.ndarray:
    if column not in units.columns or not pd.api.types.is_numeric_dtype(units[column]):
        raise ValueError(f"metrics, covariates: '{column}' is no column of numbers in {', '.join(units.columns)}.")
    return units[column].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
