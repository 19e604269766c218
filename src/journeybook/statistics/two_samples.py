"""Tests and estimates of two arms, control first, each an `Effect` with NaN for what the method does not give."""

from dataclasses import replace

import numpy as np
from scipy import stats

from journeybook.statistics.contrasts import Effect, arm_moments, contrast, effect_of


def two_proportion_z(control: np.ndarray, treatment: np.ndarray, *, alpha: float) -> Effect:
    """The z test of two proportions, with the variance of no effect; the interval is Wald's."""
    n, successes = np.array([len(control), len(treatment)]), np.array([control.sum(), treatment.sum()])
    shares, pooled = successes / n, successes.sum() / n.sum()
    effect = float(shares[1] - shares[0])
    se = float(np.sqrt((shares * (1 - shares) / n).sum()))
    z = effect / np.sqrt(pooled * (1 - pooled) * (1 / n).sum())
    margin = stats.norm.isf(alpha / 2) * se
    return Effect(
        method="two_proportion_z",
        p_value=float(2 * stats.norm.sf(abs(z))),
        effect=effect,
        low=effect - margin,
        high=effect + margin,
        standard_error=se,
        df=np.inf,
    )


def newcombe(n: np.ndarray, successes: np.ndarray, *, alpha: float) -> Effect:
    """The difference of two shares with Newcombe's interval (1998, method 10) of Wilson's, control first.

    Shape (2,). It stays within -1 and 1, and has a width where an arm has no success; its p value is left out.
    """
    share, z2 = successes / n, stats.norm.isf(alpha / 2) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    below, above = share - (centre - half), centre + half - share
    effect = float(share[1] - share[0])
    low, high = effect - np.hypot(below[1], above[0]), effect + np.hypot(above[1], below[0])
    return Effect(method="newcombe", p_value=np.nan, effect=effect, low=float(low), high=float(high))


def fisher_exact(control: np.ndarray, treatment: np.ndarray) -> Effect:
    """Fisher's exact test of two proportions, which holds its level at any size and so stays below it."""
    table = [[int(side.sum()), int(len(side) - side.sum())] for side in (control, treatment)]
    return Effect(method="fisher_exact", p_value=float(stats.fisher_exact(table).pvalue), estimand="none")


def chi_square(values: np.ndarray, arm: np.ndarray) -> Effect:
    """Pearson's test that the share of a 0/1 metric is the same in all arms."""
    table = np.array([np.bincount(arm, weights=values), np.bincount(arm, weights=1 - values)])
    test = stats.chi2_contingency(table, correction=False)
    return Effect(method="chi_square", p_value=float(test.pvalue), df=float(test.dof), estimand="none")


def mann_whitney(control: np.ndarray, treatment: np.ndarray, *, alpha: float) -> Effect:
    """The Mann-Whitney test, with the probability that a treated unit's value is the larger, ties counted half.

    The interval is Brunner & Munzel's (2000), which holds also where the arms' spreads differ.
    """
    n, m = len(control), len(treatment)
    ranks = stats.rankdata(np.concatenate([control, treatment]))
    # The share of the other arm that lies below each unit.
    placed = [(ranks[:n] - stats.rankdata(control)) / m, (ranks[n:] - stats.rankdata(treatment)) / n]
    parts = np.array([placed[0].var(ddof=1) / n, placed[1].var(ddof=1) / m])
    effect, se = float(placed[1].mean() - 0.5), float(np.sqrt(parts.sum()))
    with np.errstate(invalid="ignore"):
        df = float(parts.sum() ** 2 / (parts**2 / (np.array([n, m]) - 1)).sum())
    estimated = _from_t("mann_whitney", effect, se, df, alpha)
    p = float(stats.mannwhitneyu(control, treatment, method="asymptotic").pvalue)
    return replace(estimated, p_value=p, estimand="P(treatment larger) - 1/2")


def winsorised(values: np.ndarray, treated: np.ndarray, *, limits: np.ndarray, alpha: float) -> Effect:
    """Welch's t of values moved to the nearer of two limits, which must not come from one arm alone."""
    arms = arm_moments([values.clip(*limits)], treated, n_arms=2)
    return effect_of(contrast(arms, weights=(-1, 1)), method="winsorised", alpha=alpha)


def stratified(values: np.ndarray, treated: np.ndarray, strata: np.ndarray, *, alpha: float) -> Effect:
    """Effects within strata, weighted by the strata's shares of the units (Miratrix, Sekhon & Yu 2013).

    Strata with fewer than two units of an arm count as one with the largest. The variance holds that the shares
    are a sample too. `treated` is 1 for treatment, 0 for control; strata have any labels.
    """
    stratum = np.unique(strata, return_inverse=True)[1]
    units = np.bincount(2 * stratum + treated, minlength=2 * (stratum.max() + 1)).reshape(-1, 2)
    thin = np.any(units < 2, axis=1)
    stratum = np.where(thin[stratum], units.sum(axis=1).argmax(), stratum)
    stratum = np.unique(stratum, return_inverse=True)[1]
    n_strata = stratum.max() + 1
    arms = arm_moments([values], 2 * stratum + treated, n_arms=2 * n_strata)
    found = (part.reshape(n_strata, 2) for part in (arms.n, arms.mean, arms.covariance))
    return within_strata(*found, alpha=alpha)


def within_strata(n: np.ndarray, mean: np.ndarray, variance: np.ndarray, *, alpha: float) -> Effect:
    """The same from units, means and variances, shape (strata, 2), control first."""
    share = n.sum(axis=1) / n.sum()
    effects = mean[:, 1] - mean[:, 0]
    effect = float(share @ effects)
    parts = share[:, None] ** 2 * variance / n
    total = parts.sum() + share @ (effects - effect) ** 2 / n.sum()
    df = float(parts.sum() ** 2 / (parts**2 / (n - 1)).sum())
    se = float(np.sqrt(total))
    control, treatment = (float(share @ mean[:, side]) for side in (0, 1))
    relative = treatment / control - 1 if control > 0 else np.nan
    estimated = _from_t("stratified", effect, se, df, alpha)
    return replace(estimated, control=control, treatment=treatment, relative=relative)


def clustered(values: np.ndarray, treated: np.ndarray, clusters: np.ndarray, *, alpha: float) -> Effect:
    """Difference of means or ratios whose standard error lets the units of a cluster depend on each other.

    The cluster-robust error of least squares, corrected for few clusters (Liang & Zeger 1986; Cameron & Miller
    2015, eq. 11 and 12). Values have shape (units, 1) for a mean, (units, 2) for numerator and denominator.
    """
    numerator = values[:, 0]
    denominator = values[:, 1] if values.shape[1] > 1 else np.ones(len(values))
    sums = [np.bincount(treated, weights=column, minlength=2) for column in (numerator, denominator)]
    ratio = sums[0] / sums[1]
    influence = np.where(treated, 1, -1) * (numerator - ratio[treated] * denominator) / sums[1][treated]
    cluster = np.unique(clusters, return_inverse=True)[1]
    n, n_clusters = len(values), cluster.max() + 1
    correction = n_clusters / (n_clusters - 1) * (n - 1) / (n - 2)
    se = float(np.sqrt(correction * (np.bincount(cluster, weights=influence) ** 2).sum()))
    return _from_t("clustered", float(ratio[1] - ratio[0]), se, float(n_clusters - 1), alpha)


def _from_t(method: str, effect: float, se: float, df: float, alpha: float) -> Effect:
    margin = float(stats.t.isf(alpha / 2, df)) * se
    return Effect(
        method=method,
        p_value=float(2 * stats.t.sf(abs(effect) / se, df)),
        effect=effect,
        low=effect - margin,
        high=effect + margin,
        standard_error=se,
        df=df,
    )
