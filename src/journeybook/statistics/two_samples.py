"""Two arms, control first, by counts or within strata: each an `Effect` with NaN for what it does not give."""

import numpy as np
from scipy import stats

from journeybook.statistics.contrasts import arm_moments
from journeybook.statistics.intervals import Effect


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
    margin = float(stats.t.isf(alpha / 2, df)) * se
    return Effect(
        method="stratified",
        p_value=float(2 * stats.t.sf(abs(effect) / se, df)),
        effect=effect,
        low=effect - margin,
        high=effect + margin,
        standard_error=se,
        df=df,
        control=control,
        treatment=treatment,
        relative=relative,
    )
