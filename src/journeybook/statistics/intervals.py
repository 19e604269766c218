"""Intervals of proportions, and what an interval of an effect says."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri


@dataclass(frozen=True, eq=False)
class Interval:
    """Two ends of an interval, each of the shape of the estimate it belongs to."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Effect:
    """What a method says of a metric in two arms; numbers for one experiment, arrays for many, NaN for nothing.

    Attributes:
        method: The method, as in the column `method`.
        p_value: Two-sided p value of no effect.
        effect: Treatment less control, with the interval `low` to `high`, `standard_error` and `df` of its t.
        control: The control's mean, ratio, quantile or restricted mean; `treatment` is the treatment's.
        relative: Treatment over control, less 1, with its interval; NaN where the control is not above 0.
    """

    method: str
    p_value: np.ndarray | float
    effect: np.ndarray | float = np.nan
    low: np.ndarray | float = np.nan
    high: np.ndarray | float = np.nan
    standard_error: np.ndarray | float = np.nan
    df: np.ndarray | float = np.nan
    control: np.ndarray | float = np.nan
    treatment: np.ndarray | float = np.nan
    relative: np.ndarray | float = np.nan
    relative_low: np.ndarray | float = np.nan
    relative_high: np.ndarray | float = np.nan


def proportion_interval(successes: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return Wilson's interval (Wilson 1927; Brown, Cai & DasGupta 2001, eq. 4), 0 to 1 where there are no trials.

    Raises:
        ValueError: A count is negative or above its trials.
    """
    k, trials = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(n, dtype=float))
    wrong = (k < 0) | (k > trials)
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0])
        raise ValueError(f"{k[at]:g} successes of {trials[at]:g} trials: successes must be from 0 to trials.")
    z2 = ndtri((1 + level) / 2) ** 2
    safe = np.where(trials > 0, trials, 1.0)
    centre = (k + z2 / 2) / (safe + z2)
    half = np.sqrt(z2) / (safe + z2) * np.sqrt(k * (safe - k) / safe + z2 / 4)
    # At 0 and at n successes the closed form ends on 0 and 1, but for rounding.
    low = np.where((trials == 0) | (k == 0), 0.0, centre - half)
    high = np.where((trials == 0) | (k == trials), 1.0, centre + half)
    return Interval(low=low, high=high)
