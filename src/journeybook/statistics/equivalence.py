"""Showing that nothing was lost: equivalence, non-inferiority, and effect sizes without a unit."""

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


def equivalence(
    effect: ArrayLike, standard_error: ArrayLike, df: ArrayLike, *, low: float, high: float, alpha: float
) -> Margins:
    """Two one-sided tests, each at `alpha`, that an effect lies between two margins (Schuirmann 1987).

    Raises:
        ValueError: The margins are not in order.
    """
    if not low < high:
        raise ValueError(f"margins: found {low:g} to {high:g}, needed a lower one below the upper one.")
    d, se = np.asarray(effect, dtype=float), np.asarray(standard_error, dtype=float)
    p = np.maximum(stats.t.sf((d - low) / se, df), stats.t.cdf((d - high) / se, df))
    margin = stats.t.isf(alpha, df) * se
    return Margins(p, d - margin, d + margin)


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


def cohen_h(control: ArrayLike, treatment: ArrayLike) -> NDArray[np.float64]:
    """Cohen's h of two proportions: the difference of their arcsine-transformed values (Cohen 1988, ch. 6).

    >>> cohen_h(0.5, 0.5).item()
    0.0
    """
    a, b = np.asarray(control, dtype=float), np.asarray(treatment, dtype=float)
    return 2 * np.arcsin(np.sqrt(b)) - 2 * np.arcsin(np.sqrt(a))


def cohen_d(
    effect: ArrayLike,
    *,
    sd_control: ArrayLike,
    sd_treatment: ArrayLike,
    n_control: ArrayLike,
    n_treatment: ArrayLike,
) -> NDArray[np.float64]:
    """Cohen's d: the difference of means in pooled standard deviations (Cohen 1988, ch. 2).

    >>> cohen_d(1.0, sd_control=2.0, sd_treatment=2.0, n_control=10, n_treatment=20).item()
    0.5
    """
    n0, n1 = np.asarray(n_control, dtype=float), np.asarray(n_treatment, dtype=float)
    squares = (n0 - 1) * np.asarray(sd_control, float) ** 2 + (n1 - 1) * np.asarray(sd_treatment, float) ** 2
    return np.asarray(effect, dtype=float) / np.sqrt(squares / (n0 + n1 - 2))
