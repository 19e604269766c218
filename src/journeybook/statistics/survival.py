"""Time until something happens, where some units had not got there: the headline is the mean time to a horizon."""

import numpy as np

from journeybook.statistics.contrasts import ArmMoments


def kaplan_meier(time: np.ndarray, happened: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Event times, units at risk at them, their events, and the curve after them."""
    seen = time[np.asarray(happened, dtype=bool)]
    at, events = np.unique(seen, return_counts=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), at, side="left")
    return at, at_risk, events, np.cumprod(1 - events / at_risk)


def restricted_mean_moments(
    time: np.ndarray, happened: np.ndarray, arm: np.ndarray, *, n_arms: int, horizon: float
) -> ArmMoments:
    """Mean time up to a horizon by arm, as statistics that `contrast` takes (Irwin 1949; Royston & Parmar 2013).

    Without censoring the contrast is Welch's t of the times cut at the horizon: Greenwood's variance of the area
    under the survival curve is taken n / (n - 1) times.

    Raises:
        ValueError: The horizon is not above 0, or beyond the time observed in an arm, or a time is negative.
    """
    longest = min(time[arm == number].max(initial=-np.inf) for number in range(n_arms))
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
        at, at_risk, events, survival = kaplan_meier(time[here], happened[here])
        before = at <= horizon
        at, at_risk, events, survival = (x[before] for x in (at, at_risk, events, survival))
        left = (np.diff(np.r_[0, at, horizon]) * np.r_[1, survival])[::-1].cumsum()[::-1]
        # Where the last unit at risk has its event nothing is left, and 0 / 0 stands for 0.
        term = np.divide(events, at_risk * (at_risk - events), where=at_risk > events, out=np.zeros(len(at)))
        mean[number] = left[0]
        variance[number] = (left[1:] ** 2 * term).sum() * n[number] / (n[number] - 1)
    return ArmMoments(n=n, mean=mean[:, None], covariance=(n * variance)[:, None, None])
