"""Contrasts of arm means, with and without covariates, from sufficient statistics.

The statistics of an arm are its count, means and covariances. A frame of units, a published table and ten
thousand simulated experiments (leading axes) go through the same code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, eq=False)
class ArmMoments:
    """Sufficient statistics of one metric and its covariates; leading axes are experiments, if there are any.

    Attributes:
        n: Units, shape (..., arms).
        mean: Means, the metric first, shape (..., arms, 1 + covariates).
        covariance: Covariances with n - 1 below, shape (..., arms, 1 + covariates, 1 + covariates).
    """

    n: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True, eq=False)
class Contrast:
    """A weighted sum of arm means, with its uncertainty; shapes are those of the leading axes.

    Attributes:
        effect: The weighted sum of `arm_means`.
        standard_error: Standard error of `effect`.
        df: Degrees of freedom of its t distribution (Welch-Satterthwaite, one less a covariate).
        arm_means: Means, adjusted for the covariates, shape (..., arms).
        arm_covariance: Covariance of `arm_means`, shape (..., arms, arms).
    """

    effect: np.ndarray
    standard_error: np.ndarray
    df: np.ndarray
    arm_means: np.ndarray
    arm_covariance: np.ndarray

    @property
    def p_value(self) -> np.ndarray:
        """Two-sided p value of no effect."""
        return 2 * stats.t.sf(np.abs(self.effect) / self.standard_error, self.df)

    def margin(self, *, alpha: float) -> np.ndarray:
        """Half the width of the 1 - alpha interval of the effect."""
        return stats.t.isf(alpha / 2, self.df) * self.standard_error


def moments(values: np.ndarray, arm: np.ndarray, *, n_arms: int) -> ArmMoments:
    """Sufficient statistics by arm.

    Args:
        values: The metric, then the covariates, shape (units, 1 + covariates), no NaN.
        arm: Number of each unit's arm, 0 to n_arms - 1.
        n_arms: Number of arms.
    """
    centre = values.mean(axis=0)
    n, means, covariances = [], [], []
    for number in range(n_arms):
        part = values[arm == number] - centre
        mean = part.mean(axis=0)
        part = part - mean
        n.append(len(part))
        means.append(mean + centre)
        covariances.append(part.T @ part / (len(part) - 1))
    return ArmMoments(n=np.array(n), mean=np.array(means), covariance=np.array(covariances))


def proportion_moments(*, n: Sequence[int], successes: Sequence[int]) -> ArmMoments:
    """Sufficient statistics of 0/1 outcomes from counts by arm.

    >>> contrast(proportion_moments(n=[10, 10], successes=[2, 5]), weights=(-1, 1)).effect.round(3).item()
    0.3
    """
    units, share = np.asarray(n, dtype=float), np.asarray(successes, dtype=float) / np.asarray(n, dtype=float)
    variance = share * (1 - share) * units / (units - 1)
    return ArmMoments(n=units, mean=share[..., None], covariance=variance[..., None, None])


def contrast(arms: ArmMoments, *, weights: Sequence[float]) -> Contrast:
    """Estimate a weighted sum of arm means, adjusted for covariates measured before assignment.

    Without covariates and with weights (-1, 1) it is Welch's t (Welch 1947). With covariates it is CUPED
    (Deng, Xu, Kohavi & Walker 2013) with one coefficient pooled within arms, which is the coefficient of
    least squares with an intercept an arm. Each arm keeps its own residual variance. The covariance of the
    arm means holds the uncertainty of the coefficient and of the covariates' common mean: the latter cancels
    in a difference and not in a ratio.

    Args:
        arms: Sufficient statistics, two units an arm or more.
        weights: One weight an arm, summing to 0.
    """
    w = np.asarray(weights, dtype=float)
    n = np.asarray(arms.n, dtype=float)
    n_covariates = arms.mean.shape[-1] - 1
    n_all = n.sum(axis=-1)
    variance = arms.covariance[..., 0, 0]
    means = arms.mean[..., 0]
    shared = np.zeros((*means.shape, means.shape[-1]))
    if n_covariates:
        squares = (n - 1)[..., None, None] * arms.covariance
        inverse = np.linalg.pinv(squares[..., 1:, 1:].sum(axis=-3), hermitian=True)
        theta = np.einsum("...ij,...j->...i", inverse, squares[..., 1:, 0].sum(axis=-2))
        explained = np.einsum("...i,...ai->...a", theta, arms.covariance[..., 1:, 0])
        spread = np.einsum("...i,...aij,...j->...a", theta, arms.covariance[..., 1:, 1:], theta)
        df_within = n_all - n.shape[-1]
        lost = df_within / np.maximum(df_within - n_covariates, 1)
        variance = np.maximum(variance - 2 * explained + spread, 0) * lost[..., None]
        x_mean = np.einsum("...a,...ai->...i", n, arms.mean[..., 1:]) / n_all[..., None]
        gap = arms.mean[..., 1:] - x_mean[..., None, :]
        means = means - np.einsum("...i,...ai->...a", theta, gap)
        filling = np.einsum("...a,...aij->...ij", variance, squares[..., 1:, 1:])
        gap = np.einsum("...ai,...ij->...aj", gap, inverse)
        shared = np.einsum("...ai,...ij,...bj->...ab", gap, filling, gap)
        pooled = squares[..., 1:, 1:].sum(axis=-3) / df_within[..., None, None]
        common = np.einsum("...i,...ij,...j->...", theta, pooled, theta) / n_all
        shared = shared + common[..., None, None]
    parts = w**2 * variance / n
    with np.errstate(invalid="ignore"):
        df = parts.sum(axis=-1) ** 2 / (parts**2 / (n - 1)).sum(axis=-1) - n_covariates
    covariance = shared + np.eye(len(w)) * (variance / n)[..., None]
    # The common part cancels because the weights sum to 0; leaving it out keeps the digits.
    own = covariance - (common[..., None, None] if n_covariates else 0)
    return Contrast(
        effect=means @ w,
        standard_error=np.sqrt(np.einsum("a,...ab,b->...", w, own, w)),
        df=np.maximum(df, 1.0),
        arm_means=means,
        arm_covariance=covariance,
    )


@dataclass(frozen=True, eq=False)
class Ratio:
    """Treatment over control, less 1, with its interval; NaN where the control's mean is not clearly above 0.

    Attributes:
        relative: The relative lift; 0.1 is ten per cent more.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    relative: np.ndarray
    low: np.ndarray
    high: np.ndarray


def relative_lift(found: Contrast, *, alpha: float) -> Ratio:
    """Fieller's interval (Fieller 1954) for the ratio of the two arm means of a contrast, less 1.

    With the contrast's own degrees of freedom it leaves out 0 exactly when the interval of the difference
    does, so the two never disagree.

    Args:
        found: A contrast of two arms, control first, weights (-1, 1).
        alpha: One less the level of the interval.
    """
    control, treatment = found.arm_means[..., 0], found.arm_means[..., 1]
    t2 = stats.t.isf(alpha / 2, found.df) ** 2
    a = control**2 - t2 * found.arm_covariance[..., 0, 0]
    b = control * treatment - t2 * found.arm_covariance[..., 0, 1]
    c = treatment**2 - t2 * found.arm_covariance[..., 1, 1]
    bounded = (control > 0) & (a > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(b**2 - a * c, 0))
        low, high = (b - root) / a - 1, (b + root) / a - 1
        relative = np.where(control > 0, treatment / control - 1, np.nan)
    return Ratio(relative=relative, low=np.where(bounded, low, np.nan), high=np.where(bounded, high, np.nan))
