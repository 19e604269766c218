"""How large an experiment must be, what it can detect, and how long it takes.

All rests on the deviation: the standard deviation of what one unit contributes to the estimate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

# Beyond this many units an arm no sample size is looked for.
MAX_UNITS = 10**12


@dataclass(frozen=True, eq=False)
class SampleSize:
    """Units needed in each arm, of the shape of the effect; infinite where no size below `MAX_UNITS` is enough."""

    n_control: NDArray[np.float64]
    n_treatment: NDArray[np.float64]


def share_deviation(share: ArrayLike) -> NDArray[np.float64]:
    """Deviation of a unit whose outcome is 1 with the given probability and else 0.

    >>> share_deviation(0.2).item()
    0.4
    """
    p = np.asarray(share, dtype=float)
    return np.sqrt(p * (1 - p))


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
    spread in equal arms. Deviations are those of a unit; that of the treatment is the control's where it is None.
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
    """Fewest units with which an effect, not 0, is called significant with the given probability, above alpha.

    The test is two-sided at `alpha`; deviations are those of a unit, that of the treatment the control's where
    None.

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


def _check_power(power: float, alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: found {alpha}, needed a number between 0 and 1.")
    if not alpha < power < 1:
        raise ValueError(f"power: found {power}, needed a number between alpha ({alpha}) and 1.")
