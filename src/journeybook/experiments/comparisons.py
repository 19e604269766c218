"""Every variant against the control, metric by metric: the headline rows."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.measures import Measures, Metric, filled_covariates, measures, numbers
from journeybook.experiments.variants import Arms, arms_of, check_one_row_a_unit, is_summed
from journeybook.statistics import corrections
from journeybook.statistics.contrasts import (
    ArmMoments,
    Effect,
    contrast,
    effect_of,
    merged,
    metric_moments,
    ratio_moments,
)
from journeybook.statistics.exact import exact_mean, exact_share, is_small
from journeybook.statistics.resampling import quantile_effect
from journeybook.statistics.sequential import always_valid
from journeybook.statistics.survival import restricted_mean_moments
from journeybook.statistics.two_samples import stratified, within_strata

# Without and with covariates.
HEADLINES = {
    "proportion": ("welch", "cuped"),
    "mean": ("welch", "cuped"),
    "ratio": ("delta", "delta_cuped"),
    "quantile": ("bootstrap", "bootstrap"),
    "time_to_event": ("restricted_mean", "restricted_mean"),
}
BOOTSTRAP_DRAWS = 100_000
WITHIN = "post_stratified_by_period"
SUMMED_WELCH = "welch_of_summed_arms"
SAVED = "variance_saved_share"
POOLED = "_pooled_biased"


@dataclass(frozen=True, eq=False)
class Experiment:
    """The comparisons of one experiment.

    Attributes:
        comparisons: One headline row a metric and variant. `control` and `treatment` are what is measured in the
            arms (adjusted to equal covariates where `method` is a cuped), `effect` their difference, `relative`
            their ratio less 1, missing where the control is not clearly above 0; `p_adjusted` is Holm's, over all
            rows.
        estimates: The same rows with `standard_error` and `df` of the effect beside them.
        methods: One row a metric, variant and method: the headline's at a fixed horizon, and the same without
            covariates first; `variance_saved_share` is what covariates save of the plain method's variance.
        arms: One row a metric and variant: n (units with a value), mean (what is measured), sd of one unit's part
            in it (missing for quantiles).
        moments: Sufficient statistics by metric, the arms as in `names`, covariates after the metric; no
        quantiles. names: The variants, the control first. horizon: `fixed_horizon` or `always_valid`: what the
        headline's intervals and p values promise. alpha: One less the level of the intervals.
    """

    comparisons: pd.DataFrame
    estimates: pd.DataFrame
    methods: pd.DataFrame
    arms: pd.DataFrame
    moments: dict[str, ArmMoments]
    names: list[str]
    horizon: str
    alpha: float

    @property
    def kinds(self) -> dict[str, str]:
        """Kind by name of the metric."""
        return dict(zip(self.comparisons["metric"], self.comparisons["kind"], strict=True))

    @property
    def control(self) -> str:
        """The variant compared against."""
        return self.names[0]

    def clearest(self, *, first: str = "", most: int = 6) -> list[str]:
        """Metrics that a figure has room for, in their order: `first` and those of the smallest p values."""
        rows = self.comparisons.assign(later=self.comparisons["metric"] != first)
        few = rows.sort_values(["later", "p_value"], kind="stable")["metric"].unique()[:most]
        return [metric for metric in self.kinds if metric in few]


def compare(
    units: pd.DataFrame,
    *,
    measured: Measures,
    control: str | None,
    alpha: float,
    rng: np.random.Generator,
    always_valid_at: int | None = None,
    period: np.ndarray | None = None,
) -> Experiment:
    """Compare each variant with the control on each metric.

    The headline is Welch's t for shares and means and the delta method for ratios, both by CUPED where covariates
    are named; the bootstrap for quantiles; the restricted mean for times to an event. Units without a value of a
    metric are left out of that metric. Where an arm has few units (`exact.is_small`) and this is the one look, a
    share or mean is compared exactly and without covariates. Where the allocation changed over time the headline
    is the effect within periods, and whatever pools the periods is named biased.

    Args:
        units: One row a unit.
        measured: Metrics and covariates.
        control: The variant compared against; None is resolved by `choose_control`.
        alpha: Accepted rate of false positives; intervals are at 1 - alpha.
        rng: Source of chance, for quantiles and permutations.
        always_valid_at: Planned units of all arms: intervals and p values then hold at every look, and are
            narrowest there. None is one look at a fixed horizon.
        period: Period of each unit, where the allocation changed between periods (`moved_periods`); else None.

    Raises:
        ValueError: A unit id occurs twice, an arm has fewer than two units with a value, a metric does not
            vary within the arms, a covariate tells it wholly, or a parameter is out of its range.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: found {alpha}, needed a number between 0 and 1.")
    arms = arms_of(units, control=control)
    check_one_row_a_unit(units, arms)
    if is_summed(units):
        measured = measures(units, metrics=measured.kinds or "auto", covariates=[])
    data = _summed(units, measured, arms) if is_summed(units) else _prepared(units, measured, arms)
    headline, beside, shown = [], [], []
    for metric in measured.metrics:
        shown += _arm_rows(metric, data)
        for number, name in enumerate(arms.names[1:], start=1):
            effects = _effects(metric, data, number, alpha, rng, period)
            for effect in effects:
                adjusted = effect is not effects[0] and period is None and not data.strata
                saved = 1 - (effect.standard_error / effects[0].standard_error) ** 2 if adjusted else np.nan
                beside.append(_method_row(effect, metric=metric.name, variant=name, saved=float(saved)))
            n, best = data.counts[metric.name][[0, number]], effects[-1]
            sides = data.sides(metric, number) if always_valid_at is None and period is None else None
            if sides is not None and is_small(n):
                best = (
                    exact_share(effects[0], *sides, alpha=alpha)
                    if metric.kind == "proportion"
                    else exact_mean(effects[0], *sides, alpha=alpha, rng=rng)
                )
            if always_valid_at is not None:
                every = always_valid(
                    best.effect, best.standard_error, n=int(n.sum()), alpha=alpha, planned_n=always_valid_at
                )
                # The level at which one look's interval is as wide gives the relative interval its width too.
                level = 2 * stats.t.sf(float(every.high - every.low) / 2 / best.standard_error, _df(best))
                wide = _effects(metric, data, number, float(level), rng, period)[-1]
                best = replace(wide, method=f"always_valid_{wide.method}", p_value=float(every.p_value))
            headline.append(_headline(metric, name, arms.names[0], best, n))
    rows = pd.DataFrame(headline)
    rows.insert(rows.columns.get_loc("p_value") + 1, "p_adjusted", corrections.holm(rows["p_value"]))
    return Experiment(
        comparisons=rows.drop(columns=["standard_error", "df"]),
        estimates=rows,
        methods=pd.DataFrame(beside),
        arms=pd.DataFrame(shown),
        moments=data.moments,
        names=arms.names,
        horizon="fixed_horizon" if always_valid_at is None else "always_valid",
        alpha=alpha,
    )


def _method_row(found: Effect, *, metric: str, variant: str, saved: float) -> dict[str, Any]:
    """A row of the table `methods`; `saved` is the share of the plain method's variance that covariates save."""
    about = {"metric": metric, "variant": variant, "method": found.method}
    return about | _figures(found, "effect low high standard_error df p_value") | {SAVED: saved}


def _figures(found: Effect, names: str) -> dict[str, float]:
    columns = {"low": "effect_low", "high": "effect_high"}
    return {columns.get(name, name): float(getattr(found, name)) for name in names.split()}


@dataclass(frozen=True, eq=False)
class _Data:
    """What is compared: columns with NaN for missing, and by metric the units with a value in each arm.

    Of arms that came summed up there are no columns, and `strata` has the statistics of each stratum by metric.
    """

    arms: Arms
    values: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]
    moments: dict[str, ArmMoments]
    strata: dict[str, ArmMoments] = field(default_factory=dict)

    def known(self, metric: Metric) -> tuple[list[np.ndarray], np.ndarray]:
        """The columns of a metric and the arms, of the units that have a value."""
        columns = [self.values[column] for column in metric.columns]
        known = ~np.isnan(sum(columns))
        return [column[known] for column in columns], self.arms.number[known]

    def sides(self, metric: Metric, number: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The values of a share or mean in the control and in an arm; None where they are not known one by one."""
        if metric.kind not in ("proportion", "mean") or (self.strata and metric.kind == "mean"):
            return None
        if not self.strata:
            (values,), arm = self.known(metric)
            return values[arm == 0], values[arm == number]
        if len(self.strata[metric.name].n) > 1:
            return None
        moments = self.moments[metric.name]
        n, successes = moments.n.astype(int), np.rint(moments.n * moments.mean[:, 0])
        control, treatment = (np.arange(n[side]) < successes[side] for side in (0, number))
        return control.astype(float), treatment.astype(float)


def _summed(units: pd.DataFrame, measured: Measures, arms: Arms) -> _Data:
    """Arms that came summed up, stratum by stratum."""
    data = _Data(arms, {}, {}, {})
    for metric in measured.metrics:
        own = units[units["metric"] == metric.name].set_index(["stratum", "variant"])
        table = own[["n_units", "mean", "sd"]].unstack("variant").reindex(columns=arms.names, level=1)
        n = table["n_units"].reindex(columns=arms.names).fillna(0).to_numpy()
        mean, sd = (table[c].reindex(columns=arms.names).to_numpy()[..., None] for c in ("mean", "sd"))
        data.strata[metric.name] = ArmMoments(n, mean, sd[..., None] ** 2)
        data.moments[metric.name] = merged(data.strata[metric.name], np.ones((1, len(n)))).at(0)
        data.counts[metric.name] = n.sum(axis=0).astype(int)
        _check_counts(metric, data)
    return data


def _prepared(units: pd.DataFrame, measured: Measures, arms: Arms) -> _Data:
    n_arms = len(arms.names)
    data = _Data(arms, {column: numbers(units, column) for column in measured.outcomes}, {}, {})
    for metric in measured.metrics:
        data.counts[metric.name] = np.bincount(data.known(metric)[1], minlength=n_arms)
        _check_counts(metric, data)
    summed = [metric for metric in measured.metrics if metric.kind in ("proportion", "mean", "ratio")]
    columns = [[data.values[column] for column in metric.columns] for metric in summed]
    filled = filled_covariates(units, measured)
    found = metric_moments(columns, covariates=filled, arm=arms.number, n_arms=n_arms)
    for metric, moments in zip(summed, found, strict=True):
        data.moments[metric.name] = ratio_moments(moments) if metric.kind == "ratio" else moments
    for metric in measured.metrics:
        if metric.kind == "time_to_event":
            (time, happened), arm = data.known(metric)
            data.moments[metric.name] = restricted_mean_moments(
                time, happened == 1, arm, n_arms=n_arms, horizon=metric.horizon
            )
    return data


def _check_counts(metric: Metric, data: _Data) -> None:
    n = data.counts[metric.name]
    if n.min() < 2:
        raise ValueError(
            f"Variant '{data.arms.names[int(n.argmin())]}' has {n.min()} units with a value of '{metric.name}'; "
            "two are needed."
        )


def _effects(
    metric: Metric, data: _Data, number: int, alpha: float, rng: np.random.Generator, period: np.ndarray | None
) -> list[Effect]:
    """A variant against the control: without covariates first, the headline last."""
    effects = _pooled(metric, data, number, alpha, rng)
    if data.strata:
        return [replace(effects[0], method=SUMMED_WELCH), *_within_strata(metric, data, number, alpha)]
    if period is None:
        return effects
    effects = [replace(effect, method=f"{effect.method}{POOLED}") for effect in effects]
    if metric.kind in ("proportion", "mean"):
        values, pair = data.values[metric.column], np.isin(data.arms.number, (0, number))
        pair &= ~np.isnan(values)
        treated = (data.arms.number[pair] > 0).astype(np.int64)
        effects.append(replace(stratified(values[pair], treated, period[pair], alpha=alpha), method=WITHIN))
    return effects


def _within_strata(metric: Metric, data: _Data, number: int, alpha: float) -> list[Effect]:
    """The effect within the strata of arms that came summed up, where there are several that hold both arms."""
    strata = data.strata[metric.name].pick([0], arms=[0, number])
    both = strata.at(np.flatnonzero((strata.n >= 2).all(axis=1)))
    if len(strata.n) < 2 or not len(both.n):
        return []
    return [within_strata(both.n, both.mean[..., 0], both.covariance[..., 0, 0], alpha=alpha)]


def _pooled(metric: Metric, data: _Data, number: int, alpha: float, rng: np.random.Generator) -> list[Effect]:
    """A variant against the control over all periods: without covariates first."""
    plain, adjusted = HEADLINES[metric.kind]
    if metric.kind == "quantile":
        (values,), arm = data.known(metric)
        a, b = values[arm == 0], values[arm == number]
        found = quantile_effect(a, b, quantile=metric.level, alpha=alpha, n_draws=BOOTSTRAP_DRAWS, rng=rng)
        return [_varies(metric, found)]
    moments = data.moments[metric.name]
    bare = contrast(moments.pick([0], arms=[0, number]), weights=(-1, 1))
    effects = [_varies(metric, effect_of(bare, method=plain, alpha=alpha))]
    n_columns = moments.mean.shape[-1]
    if n_columns > 1:
        best = contrast(moments.pick(range(n_columns), arms=[0, number]), weights=(-1, 1))
        if not best.standard_error > 1e-6 * bare.standard_error:
            raise ValueError(f"covariates: they tell '{metric.name}' wholly, so they were not measured before it.")
        effects.append(effect_of(best, method=adjusted, alpha=alpha))
    return effects


def _varies(metric: Metric, found: Effect) -> Effect:
    if not found.standard_error > 0:
        nothing = " or has a denominator of 0 in one" if metric.kind == "ratio" else ""
        raise ValueError(
            f"metrics: '{metric.name}' does not vary within the arms{nothing}: its effect has no interval."
        )
    return found


def _df(found: Effect) -> float:
    """Degrees of freedom; infinite where the method has none."""
    return float("inf") if np.isnan(found.df) else float(found.df)


def _arm_rows(metric: Metric, data: _Data) -> list[dict]:
    """What is measured in each arm."""
    n = data.counts[metric.name]
    if metric.kind == "quantile":
        (values,), arm = data.known(metric)
        means = np.array([np.quantile(values[arm == number], metric.level) for number in range(len(n))])
        sds = np.full(len(n), np.nan)
    else:
        moments = data.moments[metric.name]
        means, sds = moments.mean[:, 0], np.sqrt(moments.covariance[:, 0, 0])
    return [
        {"metric": metric.name, "variant": name, "n": int(count), "mean": float(mean), "sd": float(sd)}
        for name, count, mean, sd in zip(data.arms.names, n, means, sds, strict=True)
    ]


def _headline(metric: Metric, variant: str, control: str, found: Effect, n: np.ndarray) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "kind": metric.kind,
        "variant": variant,
        "control_name": control,
        **_figures(found, "control treatment effect low high relative relative_low relative_high p_value"),
        "method": found.method,
        "n_control": int(n[0]),
        "n_treatment": int(n[1]),
        "standard_error": float(found.standard_error),
        "df": _df(found),
    }
