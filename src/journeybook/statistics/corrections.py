"""Many tests at once: adjusted p values, and intervals that hold together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

_FACTOR_NODES, _FACTOR_WEIGHTS = np.polynomial.hermite_e.hermegauss(96)
_FACTOR_WEIGHTS = _FACTOR_WEIGHTS / _FACTOR_WEIGHTS.sum()
_SCALE_NODES, _SCALE_WEIGHTS = np.polynomial.legendre.leggauss(64)


@dataclass(frozen=True, eq=False)
class Simultaneous:
    """Comparisons of several variants with one control that hold together, all of shape (variants,).

    Attributes:
        critical: Multiple of the standard error at which the interval `low` to `high` ends.
        p_adjusted: Two-sided p values over the family of these variants.
    """

    critical: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p_adjusted: NDArray[np.float64]


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's (1979) adjusted p values, which hold the family-wise error whatever the dependence.

    Raises:
        ValueError: A p value is missing or not from 0 to 1.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = _shares(p_values)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(stepped, 1)[np.argsort(order)]


def dunnett(
    effects: ArrayLike, *, standard_errors: ArrayLike, df: ArrayLike, control_variance: float, alpha: float
) -> Simultaneous:
    """Return Dunnett's many-to-one comparisons (Dunnett 1955), with a variance of its own for each arm.

    The variants share the control, the one factor behind their correlation: the joint probability is a double
    integral. Each comparison has its own degrees of freedom (Hasler & Hothorn 2008).

    Args:
        effects: Differences to the control, shape (variants,).
        standard_errors: Their standard errors.
        df: Their degrees of freedom (Welch-Satterthwaite); one number for all, or one each.
        control_variance: Squared standard error of the control's mean, smaller than that of each effect.
        alpha: One less the probability that all intervals hold at once.
    """
    effect, se = np.atleast_1d(np.asarray(effects, float)), np.atleast_1d(np.asarray(standard_errors, float))
    degrees = np.broadcast_to(np.asarray(df, dtype=float), effect.shape)
    if not (0 < control_variance < (se**2).min()):
        raise ValueError(
            f"control_variance: found {control_variance:g}, needed above 0 and below the variance of every effect "
            f"({(se**2).min():g} is the smallest)."
        )
    loading = np.sqrt(control_variance) / se
    t = np.abs(effect) / se
    single = 2 * stats.t.sf(t, degrees)
    p = np.array([_beyond(c, loading, d) for c, d in zip(t, degrees, strict=True)])
    # The first ends of the search are those of one comparison and of Bonferroni's inequality.
    least, most = stats.t.isf(alpha / 2, degrees), stats.t.isf(alpha / 2 / len(effect), degrees)
    critical = np.array(
        [
            optimize.brentq(lambda c, d=d: _beyond(c, loading, d) - alpha, a - 1e-6, b + 1e-6, xtol=1e-9)
            for a, b, d in zip(least, most, degrees, strict=True)
        ]
    )
    p_adjusted = np.clip(p, single, np.minimum(len(effect) * single, 1))
    return Simultaneous(critical, effect - critical * se, effect + critical * se, p_adjusted)


def adjust(p_values: ArrayLike, *, method: str) -> NDArray[np.float64]:
    """Return adjusted p values by `holm`, `benjamini_hochberg` (1995) or `benjamini_yekutieli` (2001).

    The last two hold the false discovery rate, the expected share of false claims among the claims: the first
    under independence or positive dependence, the second whatever the dependence.

    Raises:
        ValueError: The method is unknown, or a p value is missing or not from 0 to 1.

    >>> adjust([0.01, 0.04, 0.03], method="benjamini_hochberg").round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    if method == "holm":
        return holm(p_values)
    known = {"benjamini_hochberg": "bh", "benjamini_yekutieli": "by"}
    if method not in known:
        raise ValueError(f"correction: found '{method}', needed one of holm, {', '.join(known)}.")
    return stats.false_discovery_control(_shares(p_values), method=known[method])


def _shares(p_values: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(p_values, dtype=float)
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        raise ValueError(f"p_values: found {p[wrong][0]:g}, needed numbers from 0 to 1.")
    return p


def _beyond(c: float, loading: NDArray[np.float64], df: float) -> float:
    """Probability that the largest of the |t| exceeds c, where t_j = (sqrt(1 - b_j^2) e_j + b_j e_0) / s."""
    ends = stats.chi2.ppf([1e-14, 1 - 1e-14], df)
    low, high = np.sqrt(ends / df)
    s = low + (high - low) * (_SCALE_NODES + 1) / 2
    weight = _SCALE_WEIGHTS * stats.chi2.pdf(df * s**2, df) * 2 * df * s
    weight = weight / weight.sum()
    own = np.sqrt(1 - loading**2)
    shift = loading[:, None, None] * _FACTOR_NODES
    limit = c * s[:, None]
    outside = stats.norm.sf((limit - shift) / own[:, None, None])
    outside = outside + stats.norm.cdf((-limit - shift) / own[:, None, None])
    with np.errstate(divide="ignore"):
        any_outside = -np.expm1(np.log1p(-np.minimum(outside, 1)).sum(axis=0))
    return float(weight @ any_outside @ _FACTOR_WEIGHTS)
