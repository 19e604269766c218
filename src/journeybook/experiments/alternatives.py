"""Other methods beside the headline: the same question asked in other ways, never a choice after the fact."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.contrasts import Effect, arm_moments, contrast, effect_of
from journeybook.experiments.health import periods
from journeybook.experiments.measures import Measures, Metric, known_values
from journeybook.experiments.resampling import poisson_bootstrap
from journeybook.experiments.survival import log_rank
from journeybook.experiments.variants import arms_of

METHOD_COLUMNS = (
    *("metric", "variant", "method", "estimand", "effect", "effect_low", "effect_high"),
    *("standard_error", "df", "p_value", "variance_saved_share"),
)
ALL_ARMS = "all arms"


def alternatives(
    units: pd.DataFrame,
    *,
    measured: Measures,
    control: str | None,
    alpha: float,
    tail_share: float,
    n_draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Ask of each metric and variant what its headline asks, by the other methods that fit its kind.

    | method | kinds | what it is |
    |---|---|---|
    | two_proportion_z | proportion | pooled variance under no effect; the interval is Wald's |
    | fisher_exact | proportion | exact given the margins; of size below alpha |
    | chi_square | proportion, three arms or more | are all arms equal; one row a metric |
    | mann_whitney | mean, quantile | is a unit of one arm likelier to have the larger value |
    | winsorised | mean | Welch's t after the tails of all arms together are cut |
    | poisson_bootstrap | proportion, mean, ratio | no formula for the standard error |
    | stratified | proportion, mean; where `stratum` is there | effects within strata, by the strata's shares |
    | clustered | proportion, mean, ratio; where a person has several units | people, not units, are independent |
    | post_stratified_by_period | proportion, mean; with times | effects within days, or twentieths of all days |
    | log_rank | time_to_event | weighs all times alike where hazards are proportional |

    Args:
        units: One row a unit; `stratum` and `person_id` are used where they are there.
        measured: Metrics of `measures`.
        control: The variant compared against; None is resolved by `choose_control`.
        alpha: One less the level of the intervals.
        tail_share: Share of the values that winsorising cuts at each end, from 0 to below 0.5.
        n_draws: Bootstrap samples.
        rng: Source of chance.

    Returns:
        One row a metric, variant and method, columns `METHOD_COLUMNS`.

    Raises:
        ValueError: `tail_share` is out of range.
    """
    if not 0 <= tail_share < 0.5:
        raise ValueError(f"tail_share: found {tail_share:g}, needed a number from 0 to below 0.5.")
    arms = arms_of(units, control=control)
    strata, people = (_codes(units, column) for column in ("stratum", "person_id"))
    timed = "occurred_at" in units.columns and units["occurred_at"].notna().any()
    period = periods(units["occurred_at"]) if timed else None
    rows = []
    for metric in measured.metrics:
        values, known = known_values(units, metric)
        values, where = values[known], arms.number[known]
        if metric.kind == "proportion" and len(arms.names) > 2:
            rows.append(method_row(chi_square(values[:, 0], where), metric=metric.name, variant=ALL_ARMS))
        for number, name in enumerate(arms.names[1:], start=1):
            pair = np.isin(where, (0, number))
            treated = (where[pair] > 0).astype(np.int64)
            sides = [values[where == side] for side in (0, number)]
            found = _two_arms(metric, *sides, alpha=alpha)
            if metric.kind == "mean":
                limits = np.quantile(values[:, 0], [tail_share, 1 - tail_share])
                # A metric that nearly all units have alike is nothing but its limits.
                if limits[0] < limits[1]:
                    found.append(winsorised(values[pair, 0], treated, limits=limits, alpha=alpha))
            if metric.kind in ("proportion", "mean", "ratio"):
                found.append(poisson_bootstrap(*sides, alpha=alpha, n_draws=n_draws, rng=rng))
                if people is not None and len(np.unique(people[known][pair])) < len(treated):
                    found.append(clustered(values[pair], treated, people[known][pair], alpha=alpha))
            if metric.kind in ("proportion", "mean") and strata is not None:
                found.append(stratified(values[pair, 0], treated, strata[known][pair], alpha=alpha))
            if metric.kind in ("proportion", "mean") and period is not None and np.ptp(period) > 0:
                within = stratified(values[pair, 0], treated, period[known][pair], alpha=alpha)
                found.append(replace(within, method="post_stratified_by_period"))
            rows += [method_row(effect, metric=metric.name, variant=name) for effect in found]
    return pd.DataFrame(rows, columns=list(METHOD_COLUMNS))


def method_row(found: Effect, *, metric: str, variant: str, variance_saved_share: float = np.nan) -> tuple:
    """A row of the table `methods`, in the order of `METHOD_COLUMNS`."""
    numbers = (found.effect, found.low, found.high, found.standard_error, found.df, found.p_value)
    return metric, variant, found.method, found.estimand, *map(float, numbers), variance_saved_share


def _two_arms(metric: Metric, control: np.ndarray, treatment: np.ndarray, *, alpha: float) -> list[Effect]:
    """The tests of a kind that need the two arms' values alone, shape (units, columns of the metric)."""
    match metric.kind:
        case "proportion":
            pair = control[:, 0], treatment[:, 0]
            return [two_proportion_z(*pair, alpha=alpha), fisher_exact(*pair)]
        case "mean" | "quantile":
            return [mann_whitney(control[:, 0], treatment[:, 0], alpha=alpha)]
        case "time_to_event":
            arms = (control, treatment)
            return [log_rank([side[:, 0] for side in arms], [side[:, 1] > 0 for side in arms], alpha=alpha)]
    return []


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

    The interval is Brunner & Munzel's (2000), which holds also where the arms' spreads differ; the p value is
    Mann & Whitney's, of arms that do not differ at all.
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

    Strata in which an arm has fewer than two units are counted as one with the largest. The variance holds that
    the shares themselves are a sample where effects differ between strata.

    Args:
        values: The metric, shape (units,).
        treated: 1 for treatment, 0 for control.
        strata: Stratum of each unit, any labels.
        alpha: One less the level of the interval.
    """
    stratum = np.unique(strata, return_inverse=True)[1]
    units = np.bincount(2 * stratum + treated, minlength=2 * (stratum.max() + 1)).reshape(-1, 2)
    thin = np.any(units < 2, axis=1)
    stratum = np.where(thin[stratum], units.sum(axis=1).argmax(), stratum)
    stratum = np.unique(stratum, return_inverse=True)[1]
    n_strata = stratum.max() + 1
    arms = arm_moments([values], 2 * stratum + treated, n_arms=2 * n_strata)
    n = arms.n.reshape(n_strata, 2)
    mean, variance = arms.mean.reshape(n_strata, 2), arms.covariance.reshape(n_strata, 2)
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

    Of a mean it is the cluster-robust standard error of least squares with its usual correction for few clusters
    (Liang & Zeger 1986; Cameron & Miller 2015, eq. 11 and 12). A cluster may have units in both arms.

    Args:
        values: Shape (units, 1) for a mean, (units, 2) for a ratio's numerator and denominator.
        treated: 1 for treatment, 0 for control.
        clusters: Cluster of each unit, any labels.
        alpha: One less the level of the interval.
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


def _codes(units: pd.DataFrame, column: str) -> np.ndarray | None:
    """A column's values as numbers, each missing one a number of its own; None where the column says nothing."""
    if column not in units.columns or units[column].isna().all():
        return None
    codes = pd.factorize(units[column])[0]
    missing = codes < 0
    if column == "stratum":
        return codes
    codes[missing] = codes.max() + 1 + np.arange(missing.sum())
    return codes


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
