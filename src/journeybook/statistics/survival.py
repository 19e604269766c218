"""Time until something happens, where some units had not got there: the headline is the mean time to a horizon."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.statistics.contrasts import ArmMoments, Effect


def survival_curve(time: np.ndarray, happened: np.ndarray, *, alpha: float) -> pd.DataFrame:
    """Share of units to which it has not yet happened (Kaplan & Meier 1958), with a pointwise interval.

    The interval is Greenwood's (1926) on the scale of log minus log. `time` is that of the event or, where it has
    not `happened`, of the end of observation. Returns time, at_risk, events, survival, low, high.
    """
    at, at_risk, events, survival = _steps(time, happened)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
        margin = stats.norm.isf(alpha / 2) * np.sqrt(greenwood) / np.abs(np.log(survival))
        low, high = survival ** np.exp(margin), survival ** np.exp(-margin)
    return pd.DataFrame(
        {"time": at, "at_risk": at_risk, "events": events, "survival": survival, "low": low, "high": high}
    )


def _steps(time: np.ndarray, happened: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Event times, units at risk at them, their events, and the curve after them."""
    seen = time[np.asarray(happened, dtype=bool)]
    at, events = np.unique(seen, return_counts=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), at, side="left")
    return at, at_risk, events, np.cumprod(1 - events / at_risk)


def common_horizon(time: np.ndarray, arm: np.ndarray, *, n_arms: int) -> float:
    """The longest time that units of every arm were observed for."""
    longest = np.full(n_arms, -np.inf)
    np.maximum.at(longest, arm, time)
    return float(longest.min())


def restricted_mean_moments(
    time: np.ndarray, happened: np.ndarray, arm: np.ndarray, *, n_arms: int, horizon: float
) -> ArmMoments:
    """Mean time up to a horizon by arm, as statistics that `contrast` takes (Irwin 1949; Royston & Parmar 2013).

    Without censoring the contrast is Welch's t of the times cut at the horizon: Greenwood's variance of the area
    under the survival curve is taken n / (n - 1) times.

    Raises:
        ValueError: The horizon is not above 0, or beyond the time observed in an arm, or a time is negative.
    """
    longest = common_horizon(time, arm, n_arms=n_arms)
    if not 0 < horizon <= longest:
        raise ValueError(
            f"horizon: found {horizon:g}; it must be above 0 and at most {longest:g}, the longest time that every "
            "arm was observed for."
        )
    if time.min() < 0:
        raise ValueError(f"A time to the event is {time.min():g}; 0 or more is needed.")
    n = np.bincount(arm, minlength=n_arms)
    mean, variance = np.zeros(n_arms), np.zeros(n_arms)
    for number in range(n_arms):
        here = arm == number
        at, at_risk, events, survival = _steps(time[here], happened[here])
        before = at <= horizon
        at, at_risk, events, survival = (x[before] for x in (at, at_risk, events, survival))
        left = (np.diff(np.r_[0, at, horizon]) * np.r_[1, survival])[::-1].cumsum()[::-1]
        # Where the last unit at risk has its event nothing is left, and 0 / 0 stands for 0.
        term = np.divide(events, at_risk * (at_risk - events), where=at_risk > events, out=np.zeros(len(at)))
        mean[number] = left[0]
        variance[number] = (left[1:] ** 2 * term).sum() * n[number] / (n[number] - 1)
    return ArmMoments(n=n, mean=mean[:, None], covariance=(n * variance)[:, None, None])


def log_rank(times: Sequence[np.ndarray], happened: Sequence[np.ndarray], *, alpha: float) -> Effect:
    """Log-rank test of two arms, control first, with the one-step log hazard ratio (Peto et al. 1977).

    The effect, the log of treatment over control, is near the truth where hazards are proportional and near 1.
    """
    at = np.unique(np.concatenate([time[seen] for time, seen in zip(times, happened, strict=True)]))
    at_risk, events = [], []
    for time, seen in zip(times, happened, strict=True):
        at_risk.append(len(time) - np.searchsorted(np.sort(time), at, side="left"))
        events.append(np.bincount(np.searchsorted(at, time[seen]), minlength=len(at)))
    risk, died = at_risk[0] + at_risk[1], events[0] + events[1]
    share = at_risk[1] / risk
    observed_less_expected = (events[1] - died * share).sum()
    several = risk > 1
    variance = (died * share * (1 - share) * (risk - died))[several] / (risk - 1)[several]
    information = variance.sum()
    effect, se = observed_less_expected / information, information**-0.5
    margin = stats.norm.isf(alpha / 2) * se
    return Effect(
        method="log_rank",
        p_value=float(2 * stats.norm.sf(abs(effect) / se)),
        effect=float(effect),
        low=float(effect - margin),
        high=float(effect + margin),
        standard_error=float(se),
        df=np.inf,
        estimand="log hazard ratio",
    )
