"""Contrasts of arm means, with and without covariates, from counts, means and covariances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from journeybook.statistics.intervals import Effect

# Rows taken together in one pass over all columns: few enough to stay in a processor's cache.
BLOCK = 1 << 14


@dataclass(frozen=True, eq=False)
class ArmMoments:
    """Sufficient statistics by arm, the metric first; leading axes are experiments, looks or subgroups.

    Attributes:
        n: Units, shape (..., arms).
        mean: Means, shape (..., arms, columns); NaN where an arm is empty.
        covariance: Covariances with n - 1 below, shape (..., arms, columns, columns); NaN below two units.
    """

    n: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    def pick(self, columns: Sequence[int], *, arms: Sequence[int] | None = None) -> "ArmMoments":
        """The statistics of some columns, in the order given, and of some arms (None is all)."""
        kept = list(range(self.n.shape[-1])) if arms is None else list(arms)
        rows, places = list(columns), np.ix_(kept, columns, columns)
        return ArmMoments(
            n=self.n[..., kept],
            mean=self.mean[..., kept, :][..., rows],
            covariance=self.covariance[..., places[0], places[1], places[2]],
        )

    def shaped(self, *shape: int) -> "ArmMoments":
        """The statistics with the axis of the arms laid out anew, such as (looks, arms)."""
        return ArmMoments(*(x.reshape(*shape, *x.shape[1:]) for x in (self.n, self.mean, self.covariance)))

    def at(self, where: int | slice | np.ndarray) -> "ArmMoments":
        """The statistics at some places of the first axis."""
        return ArmMoments(self.n[where], self.mean[where], self.covariance[where])


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


def arm_moments(columns: Sequence[np.ndarray], arm: np.ndarray, *, n_arms: int) -> ArmMoments:
    """Sufficient statistics of all columns by arm, summed in blocks about the columns' means, in one pass.

    Columns are finite, of shape (units,); an arm is a number from 0, with looks or subgroups one a combination.
    """
    counts = np.bincount(arm, minlength=n_arms)
    order = np.argsort(arm.astype(np.min_scalar_type(n_arms)), kind="stable")
    centre = np.array([column.mean() for column in columns])
    first = np.zeros((n_arms, len(columns)))
    second = np.zeros((n_arms, len(columns), len(columns)))
    end = np.cumsum(counts)
    for number in range(n_arms):
        for start in range(end[number] - counts[number], end[number], BLOCK):
            rows = order[start : min(start + BLOCK, end[number])]
            part = np.stack([column[rows] for column in columns]) - centre[:, None]
            first[number] += part.sum(axis=1)
            second[number] += part @ part.T
    return moments_from_sums(counts, first, second, centre=centre)


def moments_from_sums(n: np.ndarray, first: np.ndarray, second: np.ndarray, *, centre: np.ndarray) -> ArmMoments:
    """Sufficient statistics from sums about a centre near the means; a variance that is but rounding is 0.

    Args:
        n: Units, shape (..., arms).
        first: Sums of the distances from the centre, shape (..., arms, columns).
        second: Sums of their products, shape (..., arms, columns, columns).
        centre: Shape (columns,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = first / np.asarray(n, dtype=float)[..., None]
        within = second - first[..., :, None] * mean[..., None, :]
        # The error of a sum grows with the root of its terms.
        rounding = (8 + np.sqrt(n))[..., None] * np.finfo(float).eps * np.einsum("...ii->...i", second)
        varies = np.einsum("...ii->...i", within) > rounding
        covariance = np.where(varies[..., :, None] & varies[..., None, :], within, 0)
        covariance = covariance / np.where(n > 1, n - 1, np.nan)[..., None, None]
    total = mean + centre
    # An arm that holds nothing but zeros has a mean of 0, not what rounding leaves of the centre.
    total = np.where(np.abs(total) > 16 * np.finfo(float).eps * np.abs(centre), total, 0 * total)
    return ArmMoments(n=n, mean=total, covariance=covariance)


def metric_moments(
    metrics: Sequence[Sequence[np.ndarray]], *, covariates: Sequence[np.ndarray], arm: np.ndarray, n_arms: int
) -> list[ArmMoments]:
    """Sufficient statistics of each metric, then of the covariates; metrics without missing values share one pass.

    A metric is its columns, two for a ratio; a NaN leaves the unit out of that metric alone. Covariates have none.
    """
    whole = [columns for columns in metrics if not np.isnan(sum(column.sum() for column in columns))]
    shared = list({id(column): column for columns in [*whole, covariates] for column in columns}.values())
    place = {id(column): number for number, column in enumerate(shared)}
    together = arm_moments(shared, arm, n_arms=n_arms) if whole else None
    found = []
    for columns in metrics:
        wanted = [*columns, *covariates]
        if together is not None and all(id(column) in place for column in columns):
            found.append(together.pick([place[id(column)] for column in wanted]))
        else:
            known = ~np.isnan(sum(columns))
            found.append(arm_moments([column[known] for column in wanted], arm[known], n_arms=n_arms))
    return found


def ratio_moments(arms: ArmMoments) -> ArmMoments:
    """Turn (numerator, denominator, covariates) into (ratio of the means, covariates) by the delta method.

    A unit's value is its arm's ratio R plus (numerator - R denominator) / mean denominator (Deng, Knoblich & Lu
    2018, sec. 2.2); an arm whose mean denominator is not above 0 has NaN.
    """
    numerator, denominator = arms.mean[..., 0], np.where(arms.mean[..., 1] > 0, arms.mean[..., 1], np.nan)
    ratio = numerator / denominator
    n_columns = arms.mean.shape[-1]
    turn = np.zeros((*ratio.shape, n_columns - 1, n_columns))
    turn[..., 0, 0], turn[..., 0, 1] = 1 / denominator, -ratio / denominator
    turn[..., range(1, n_columns - 1), range(2, n_columns)] = 1
    return ArmMoments(
        n=arms.n,
        mean=np.concatenate([ratio[..., None], arms.mean[..., 2:]], axis=-1),
        covariance=turn @ arms.covariance @ np.swapaxes(turn, -1, -2),
    )


def merged(arms: ArmMoments, members: np.ndarray) -> ArmMoments:
    """Statistics of unions (rows of `members`) of disjoint parts (its columns, the first axis of `arms`)."""
    n = arms.n[..., None].astype(float)
    known = np.where(n > 0, arms.mean, 0)
    scatter = np.where(n[..., None] > 1, arms.covariance, 0)
    centre = (n * known).sum(axis=tuple(range(known.ndim - 1))) / n.sum()
    gap = np.where(n > 0, known - centre, 0)
    second = (n - 1)[..., None] * scatter + n[..., None] * gap[..., :, None] * gap[..., None, :]
    sums = (np.tensordot(members, part, axes=1) for part in (arms.n, n * gap, second))
    return moments_from_sums(*sums, centre=centre)


def cumulated(arms: ArmMoments) -> ArmMoments:
    """Statistics of all units up to each look, from those of the units that each look adds (first axis)."""
    return merged(arms, np.tri(len(arms.n)))


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
        squares = np.where(n[..., None, None] > 1, (n - 1)[..., None, None] * arms.covariance, 0)
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
    # An empty arm has no number, and neither has what is compared with it.
    with np.errstate(divide="ignore", invalid="ignore"):
        own_variance = variance / n
        parts = w**2 * own_variance
        df = parts.sum(axis=-1) ** 2 / (parts**2 / (n - 1)).sum(axis=-1) - n_covariates
        covariance = shared + np.eye(len(w)) * own_variance[..., None]
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
    """Treatment over control, less 1; NaN where the control is not (for the ends, not clearly) above 0."""

    relative: np.ndarray
    low: np.ndarray
    high: np.ndarray


def relative_lift(found: Contrast, *, alpha: float) -> Ratio:
    """Fieller's interval (1954) for the ratio of the arm means of a contrast (control first), less 1.

    With the contrast's degrees of freedom it leaves out 0 exactly when the interval of the difference does.
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


def effect_of(found: Contrast, *, method: str, alpha: float) -> Effect:
    """A contrast of two arms, control first, with its intervals at 1 - alpha."""
    margin, ratio = found.margin(alpha=alpha), relative_lift(found, alpha=alpha)
    return Effect(
        method=method,
        p_value=found.p_value,
        effect=found.effect,
        low=found.effect - margin,
        high=found.effect + margin,
        standard_error=found.standard_error,
        df=found.df,
        control=found.arm_means[..., 0],
        treatment=found.arm_means[..., 1],
        relative=ratio.relative,
        relative_low=ratio.low,
        relative_high=ratio.high,
    )


def equal_effects(effects: np.ndarray, standard_errors: np.ndarray, df: np.ndarray) -> float:
    """P value of independent effects, shape (levels,), being the same (Welch 1951, eq. 29)."""
    k = len(effects)
    weight = standard_errors**-2.0
    share = weight / weight.sum()
    chi_square = weight @ (effects - share @ effects) ** 2
    unevenness = ((1 - share) ** 2 / df).sum()
    f = chi_square / (k - 1) / (1 + 2 * (k - 2) / (k**2 - 1) * unevenness)
    return float(stats.f.sf(f, k - 1, (k**2 - 1) / (3 * unevenness)))
