"""How large an experiment must be, what it can detect, and how long it takes.

Every kind of metric comes down to one figure, the deviation: the standard deviation of what one unit
contributes to the estimate. It is the metric's own for a mean, `share_deviation` for a proportion,
`ratio_deviation` for a ratio of two columns, and `cuped_deviation` of each of them where covariates are named.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

POWER_COLUMNS = (
    *("metric", "variant", "method", "control", "n_control", "n_treatment", "deviation"),
    *("minimum_detectable_effect", "minimum_detectable_relative", "planned_effect", "power"),
    *("n_control_needed", "n_treatment_needed", "days_needed"),
)
# Beyond this many units an arm no sample size is looked for.
MAX_UNITS = 10**12


@dataclass(frozen=True, eq=False)
class SampleSize:
    """Units needed; shapes are those of the effect.

    Attributes:
        n_control: Units of the control, infinite where no size below `MAX_UNITS` is enough.
        n_treatment: Units of the treatment.
    """

    n_control: NDArray[np.float64]
    n_treatment: NDArray[np.float64]


def share_deviation(share: ArrayLike) -> NDArray[np.float64]:
    """Deviation of a unit whose outcome is 1 with the given probability and else 0.

    >>> share_deviation(0.2).item()
    0.4
    """
    p = np.asarray(share, dtype=float)
    return np.sqrt(p * (1 - p))


def ratio_deviation(means: ArrayLike, covariance: ArrayLike) -> NDArray[np.float64]:
    """Deviation of one unit's contribution to the ratio of two means, by the delta method.

    Args:
        means: Means of numerator and denominator a unit, shape (..., 2).
        covariance: Their covariance over units, shape (..., 2, 2).

    >>> ratio_deviation([1.0, 2.0], [[1.0, 0.0], [0.0, 0.0]]).item()
    0.5
    """
    mean, spread = np.asarray(means, dtype=float), np.asarray(covariance, dtype=float)
    ratio = mean[..., 0] / mean[..., 1]
    variance = spread[..., 0, 0] - 2 * ratio * spread[..., 0, 1] + ratio**2 * spread[..., 1, 1]
    return np.sqrt(np.maximum(variance, 0)) / np.abs(mean[..., 1])


def cuped_deviation(deviation: ArrayLike, *, explained_share: ArrayLike) -> NDArray[np.float64]:
    """Deviation that is left when covariates explain a share of the variance (the squared correlation, if one).

    >>> round(cuped_deviation(10.0, explained_share=0.36).item(), 9)
    8.0
    """
    return np.asarray(deviation, dtype=float) * np.sqrt(1 - np.asarray(explained_share, dtype=float))


def power_of(
    effect: ArrayLike,
    *,
    n_control: ArrayLike,
    n_treatment: ArrayLike,
    sd_control: ArrayLike,
    sd_treatment: ArrayLike | None = None,
    alpha: float,
) -> NDArray[np.float64]:
    """Probability that the two-sided Welch test at `alpha` calls an effect significant, in either direction.

    The noncentral t distribution with Welch-Satterthwaite's degrees of freedom; exact for normal outcomes of equal
    spread in equal arms.

    Args:
        effect: True difference of means.
        n_control: Units of the control, 2 or more.
        n_treatment: Units of the treatment, 2 or more.
        sd_control: Deviation of a unit in the control.
        sd_treatment: Deviation of a unit in the treatment; None is that of the control.
        alpha: Level of the test.
    """
    delta, n0, n1, s0 = (np.asarray(x, dtype=float) for x in (effect, n_control, n_treatment, sd_control))
    s1 = s0 if sd_treatment is None else np.asarray(sd_treatment, dtype=float)
    part0, part1 = s0**2 / n0, s1**2 / n1
    df = (part0 + part1) ** 2 / (part0**2 / (n0 - 1) + part1**2 / (n1 - 1))
    shift = np.abs(delta) / np.sqrt(part0 + part1)
    limit = stats.t.isf(alpha / 2, df)
    # Where the effect is so large that nctdtr gives up, nothing is left below the limits.
    below, far = (np.nan_to_num(special.nctdtr(df, shift, end)) for end in (limit, -limit))
    return np.where(np.isnan(shift), np.nan, np.clip(1 - below + far, 0, 1))


def minimum_detectable_effect(
    *,
    n_control: ArrayLike,
    n_treatment: ArrayLike,
    sd_control: ArrayLike,
    sd_treatment: ArrayLike | None = None,
    alpha: float,
    power: float,
) -> NDArray[np.float64]:
    """Smallest effect that is called significant with the given probability; arguments as in `power_of`.

    Raises:
        ValueError: The power is not between alpha and 1.
    """
    _check_power(power, alpha)
    n0, n1, s0 = (np.asarray(x, dtype=float) for x in (n_control, n_treatment, sd_control))
    s1 = s0 if sd_treatment is None else np.asarray(sd_treatment, dtype=float)
    error = np.sqrt(s0**2 / n0 + s1**2 / n1)
    low, high = np.zeros_like(error), 100 * error
    for _ in range(60):
        middle = (low + high) / 2
        found = power_of(middle, n_control=n0, n_treatment=n1, sd_control=s0, sd_treatment=s1, alpha=alpha)
        low, high = np.where(found < power, middle, low), np.where(found < power, high, middle)
    return high


def sample_size(
    effect: ArrayLike,
    *,
    sd_control: ArrayLike,
    sd_treatment: ArrayLike | None = None,
    treatment_share: float = 0.5,
    alpha: float,
    power: float,
) -> SampleSize:
    """Fewest units with which an effect is called significant with the given probability.

    Args:
        effect: True difference of means worth detecting, not 0.
        sd_control: Deviation of a unit in the control.
        sd_treatment: Deviation of a unit in the treatment; None is that of the control.
        treatment_share: Share of all units in the treatment, between 0 and 1.
        alpha: Level of the two-sided test.
        power: Probability wanted, between alpha and 1.

    Raises:
        ValueError: The effect is 0, or power or share is out of range.

    >>> sample_size(0.5, sd_control=1.0, alpha=0.05, power=0.8).n_control.item()
    64.0
    """
    _check_power(power, alpha)
    if not 0 < treatment_share < 1:
        raise ValueError(f"treatment_share: found {treatment_share}, needed a number between 0 and 1.")
    delta = np.asarray(effect, dtype=float)
    if (delta == 0).any():
        raise ValueError("effect: found 0, needed a difference worth detecting: no size detects none.")
    low, high = np.broadcast_arrays(np.full(delta.shape, 4.0), np.asarray(sd_control) * 0 + MAX_UNITS)
    shares = np.array([1 - treatment_share, treatment_share])
    for _ in range(60):
        middle = np.sqrt(low * high)
        n0, n1 = (np.maximum(np.ceil(np.round(middle * share, 6)), 2) for share in shares)
        found = power_of(
            delta, n_control=n0, n_treatment=n1, sd_control=sd_control, sd_treatment=sd_treatment, alpha=alpha
        )
        low, high = np.where(found < power, middle, low), np.where(found < power, high, middle)
    n0, n1 = (np.maximum(np.ceil(np.round(high * share, 6)), 2) for share in shares)
    possible = high < MAX_UNITS
    return SampleSize(np.where(possible, n0, np.inf), np.where(possible, n1, np.inf))


def duration_days(n_units: ArrayLike, *, units_per_day: float) -> NDArray[np.float64]:
    """Days to collect the units, in whole weeks, so that every weekday counts alike.

    >>> duration_days(1000, units_per_day=100).item()
    14.0
    """
    if not units_per_day > 0:
        raise ValueError(f"units_per_day: found {units_per_day}, needed a number above 0.")
    return 7 * np.ceil(np.asarray(n_units, dtype=float) / units_per_day / 7)


def power_table(
    rows: pd.DataFrame,
    *,
    minimum_effects: Mapping[str, float],
    alpha: float,
    power: float,
    units_per_day: float | None,
) -> pd.DataFrame:
    """What the experiment can detect, and what the effects worth detecting would need.

    The deviation is the one that gives the standard error found, in both arms; no effect that was found plays a
    part (power at the effect found says nothing that its p value does not; Hoenig & Heisey 2001).

    Args:
        rows: One row a metric, variant and method: metric, variant, method, control (mean), n_control,
            n_treatment, standard_error.
        minimum_effects: Smallest effect worth detecting by metric, as a difference; a metric may be absent.
        alpha: Level at which one row is tested.
        power: Probability wanted to detect an effect.
        units_per_day: Units that enter all arms a day; None where times are not known.

    Returns:
        Columns `POWER_COLUMNS`; the planned columns are missing where a metric names no effect.
    """
    n0, n1, sd = _design(rows)
    detectable = minimum_detectable_effect(n_control=n0, n_treatment=n1, sd_control=sd, alpha=alpha, power=power)
    control = rows["control"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(control > 0, detectable / control, np.nan)
    planned = np.array([minimum_effects.get(metric, np.nan) for metric in rows["metric"]], dtype=float)
    reached = power_of(planned, n_control=n0, n_treatment=n1, sd_control=sd, alpha=alpha)
    needed = np.full((2, len(rows)), np.nan)
    for at in np.flatnonzero(~np.isnan(planned)):
        share = n1[at] / (n0[at] + n1[at])
        found = sample_size(planned[at], sd_control=sd[at], treatment_share=share, alpha=alpha, power=power)
        needed[:, at] = found.n_control, found.n_treatment
    days = np.full(len(rows), np.nan)
    if units_per_day is not None:
        days = duration_days(needed.sum(axis=0), units_per_day=units_per_day)
    return pd.DataFrame(
        {
            "metric": rows["metric"].to_numpy(),
            "variant": rows["variant"].to_numpy(),
            "method": rows["method"].to_numpy(),
            "control": control,
            "n_control": n0.astype(np.int64),
            "n_treatment": n1.astype(np.int64),
            "deviation": sd,
            "minimum_detectable_effect": detectable,
            "minimum_detectable_relative": relative,
            "planned_effect": planned,
            "power": reached,
            "n_control_needed": needed[0],
            "n_treatment_needed": needed[1],
            "days_needed": days,
        },
        columns=list(POWER_COLUMNS),
    )


def power_curve(rows: pd.DataFrame, *, metric: str, variant: str, alpha: float) -> pd.DataFrame:
    """Power of each method against the true effect, for one metric and variant.

    Args:
        rows: As in `power_table`.
        metric: Name of the metric.
        variant: Name of the variant.
        alpha: Level at which the row is tested.

    Returns:
        Columns metric, variant, method, effect, power; effects from 0 to six of the largest standard errors.
    """
    part = rows[(rows["metric"] == metric) & (rows["variant"] == variant)]
    n0, n1, sd = _design(part)
    effects = np.linspace(0, 6 * part["standard_error"].max(), 61)
    found = power_of(effects[:, None], n_control=n0, n_treatment=n1, sd_control=sd, alpha=alpha)
    named = {"metric": metric, "variant": variant}
    curves = [
        pd.DataFrame(named | {"method": method, "effect": effects, "power": power})
        for method, power in zip(part["method"], found.T, strict=True)
    ]
    return pd.concat(curves, ignore_index=True)


def _design(rows: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Units of the control and of the treatment, and the deviation that gives the standard error found."""
    n0, n1 = (rows[column].to_numpy(dtype=float) for column in ("n_control", "n_treatment"))
    return n0, n1, rows["standard_error"].to_numpy(dtype=float) / np.sqrt(1 / n0 + 1 / n1)


def _check_power(power: float, alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: found {alpha}, needed a number between 0 and 1.")
    if not alpha < power < 1:
        raise ValueError(f"power: found {power}, needed a number between alpha ({alpha}) and 1.")
