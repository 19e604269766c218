"""Showing that nothing was lost beyond a margin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True, eq=False)
class Margins:
    """A test that an effect lies within margins: the interval `low` to `high` lies inside at p < alpha."""

    p_value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def non_inferiority(
    effect: ArrayLike, standard_error: ArrayLike, df: ArrayLike, *, margin: float, alpha: float
) -> Margins:
    """One-sided test at `alpha` that an effect is better than a margin.

    A metric may fall by no more than a margin below 0, rise by no more than one above 0.

    Raises:
        ValueError: The margin is 0 or no number.
    """
    if not (np.isfinite(margin) and margin != 0):
        raise ValueError(f"margin: found {margin}, needed a number other than 0: how much worse is allowed.")
    d, se = np.asarray(effect, dtype=float), np.asarray(standard_error, dtype=float)
    reach = stats.t.isf(alpha, df) * se
    if margin < 0:
        return Margins(stats.t.sf((d - margin) / se, df), d - reach, np.full_like(d, np.inf))
    return Margins(stats.t.cdf((d - margin) / se, df), np.full_like(d, -np.inf), d + reach)
