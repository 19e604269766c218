"""Every variant against the control, metric by metric."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.contrasts import ArmMoments, Contrast, contrast, moments, relative_lift
from journeybook.experiments.measures import Measures, factors, numbers, variant_labels

COMPARISON_COLUMNS = (
    *("metric", "kind", "variant", "control_name", "control", "treatment"),
    *("effect", "effect_low", "effect_high", "relative", "relative_low", "relative_high"),
    *("p_value", "p_adjusted", "method", "n_control", "n_treatment"),
)
METHOD_COLUMNS = (
    *("metric", "variant", "method", "effect", "effect_low", "effect_high"),
    *("standard_error", "df", "p_value", "variance_saved_share"),
)
FACTORIAL_COLUMNS = (
    *("metric", "term", "effect", "effect_low", "effect_high", "standard_error", "df"),
    *("p_value", "p_adjusted", "method"),
)


@dataclass(frozen=True, eq=False)
class Experiment:
    """The comparisons of one experiment.

    Attributes:
        comparisons: One headline row a metric and variant, columns `COMPARISON_COLUMNS`. `control` and
            `treatment` are the arm means (adjusted to equal covariates where `method` is cuped), `effect`
            their difference, `relative` their ratio less 1; the relative columns are missing where the
            control's mean is not clearly above 0. `p_adjusted` is Holm's over all rows.
        methods: Other methods beside the headline, columns `METHOD_COLUMNS`.
        factorial: Main effects and interaction of a 2x2 design, columns `FACTORIAL_COLUMNS`; else no rows.
        arms: One row a metric and variant: units with a value, raw mean and standard deviation.
        control: The variant compared against.
    """

    comparisons: pd.DataFrame
    methods: pd.DataFrame
    factorial: pd.DataFrame
    arms: pd.DataFrame
    control: str


def compare(units: pd.DataFrame, *, measured: Measures, control: str, alpha: float) -> Experiment:
    """Compare each variant with the control on each metric.

    The headline is CUPED where covariates are named, else Welch's t. Units without a value of a metric are
    left out of that metric (`health` tests whether the arms lose them alike). A missing covariate takes the
    mean of its column over all arms, which is known before assignment and so cannot favour an arm.

    Args:
        units: One row a unit.
        measured: Metrics and covariates of `measures`.
        control: The variant compared against.
        alpha: Accepted rate of false positives; intervals are at 1 - alpha.

    Raises:
        ValueError: A unit id occurs twice, an arm has fewer than two units with a value, a metric does not
            vary within the arms, or alpha is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: found {alpha}, needed a number between 0 and 1.")
    variant = variant_labels(units)
    names = [control, *sorted(set(variant) - {control})]
    if control not in set(variant):
        raise ValueError(
            f"control: '{control}' is not a variant; the variants are {', '.join(sorted(set(variant)))}."
        )
    if len(names) < 2:
        raise ValueError(f"variant: a comparison needs two variants or more; found only '{control}'.")
    _one_row_a_unit(units, variant)
    arm = pd.Index(names).get_indexer(variant)
    filled = [np.where(np.isnan(x), np.nanmean(x), x) for x in (numbers(units, c) for c in measured.covariates)]
    headline, beside, cells, arms = [], [], [], []
    design = factors(names)
    for metric, kind in measured.kinds.items():
        y = numbers(units, metric)
        known = ~np.isnan(y)
        values, where = np.column_stack([y, *filled])[known], arm[known]
        _enough(metric, values[:, 0], where, names)
        full = moments(values, where, n_arms=len(names))
        plain = ArmMoments(full.n, full.mean[:, :1], full.covariance[:, :1, :1])
        for number, name in enumerate(names):
            sd = full.covariance[number, 0, 0] ** 0.5
            arms.append((metric, name, int(full.n[number]), float(full.mean[number, 0]), float(sd)))
            if number:
                pair = _arms(full, [0, number])
                welch = contrast(_arms(plain, [0, number]), weights=(-1, 1))
                _varies(metric, welch, control, name)
                best = contrast(pair, weights=(-1, 1)) if measured.covariates else welch
                method = "cuped" if measured.covariates else "welch"
                headline.append(_headline(metric, kind, name, control, best, method, pair.n, alpha))
                saved = 1 - (best.standard_error / welch.standard_error) ** 2
                beside.append(_method(metric, name, "welch", welch, alpha, np.nan))
                if measured.covariates:
                    beside.append(_method(metric, name, "cuped", best, alpha, saved))
                a, b = values[where == 0, 0], values[where == number, 0]
                beside += _others(metric, kind, name, a, b, alpha)
        if design and design[0] == control:
            order = [names.index(cell) for cell in design]
            cells += _factorial(metric, design, _arms(full, order), alpha, bool(measured.covariates))
    comparisons = pd.DataFrame(headline)
    comparisons["p_adjusted"] = holm(comparisons["p_value"].to_numpy())
    factorial = pd.DataFrame(cells, columns=[c for c in FACTORIAL_COLUMNS if c != "p_adjusted"])
    factorial["p_adjusted"] = holm(factorial["p_value"].to_numpy())
    return Experiment(
        comparisons=comparisons[list(COMPARISON_COLUMNS)],
        methods=pd.DataFrame(beside, columns=list(METHOD_COLUMNS)),
        factorial=factorial[list(FACTORIAL_COLUMNS)],
        arms=pd.DataFrame(arms, columns=["metric", "variant", "n", "mean", "sd"]),
        control=control,
    )


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's (1979) adjusted p values, which hold the family-wise error whatever the dependence.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def _arms(found: ArmMoments, numbers_of_arms: list[int]) -> ArmMoments:
    return ArmMoments(found.n[numbers_of_arms], found.mean[numbers_of_arms], found.covariance[numbers_of_arms])


def _one_row_a_unit(units: pd.DataFrame, variant: np.ndarray) -> None:
    if "unit_id" not in units.columns:
        return
    known = pd.DataFrame({"id": units["unit_id"].to_numpy(), "variant": variant}).dropna()
    twice = int((known["id"].value_counts() > 1).sum())
    if twice:
        across = int((known.groupby("id")["variant"].nunique() > 1).sum())
        raise ValueError(
            f"unit_id: {twice} units have more than one row ({across} of them in two variants); "
            f"one row a unit is needed."
        )


def _enough(metric: str, y: np.ndarray, arm: np.ndarray, names: list[str]) -> None:
    for number, name in enumerate(names):
        found = int((arm == number).sum())
        if found < 2:
            raise ValueError(f"Variant '{name}' has {found} units with a value of '{metric}'; two are needed.")


def _varies(metric: str, found: Contrast, control: str, name: str) -> None:
    if not found.standard_error > 0:
        raise ValueError(
            f"metrics: '{metric}' does not vary within '{control}' or '{name}': its effect has no interval."
        )


def _headline(
    metric: str, kind: str, variant: str, control: str, found: Contrast, method: str, n: np.ndarray, alpha: float
) -> dict:
    margin, ratio = found.margin(alpha=alpha), relative_lift(found, alpha=alpha)
    return {
        "metric": metric,
        "kind": kind,
        "variant": variant,
        "control_name": control,
        "control": float(found.arm_means[0]),
        "treatment": float(found.arm_means[1]),
        "effect": float(found.effect),
        "effect_low": float(found.effect - margin),
        "effect_high": float(found.effect + margin),
        "relative": float(ratio.relative),
        "relative_low": float(ratio.low),
        "relative_high": float(ratio.high),
        "p_value": float(found.p_value),
        "method": method,
        "n_control": int(n[0]),
        "n_treatment": int(n[1]),
    }


def _method(metric: str, variant: str, method: str, found: Contrast, alpha: float, saved: float) -> tuple:
    effect, margin = float(found.effect), float(found.margin(alpha=alpha))
    uncertainty = (float(found.standard_error), float(found.df), float(found.p_value), float(saved))
    return metric, variant, method, effect, effect - margin, effect + margin, *uncertainty


def _others(metric: str, kind: str, variant: str, a: np.ndarray, b: np.ndarray, alpha: float) -> list[tuple]:
    """Tests that stand beside the headline: another path to the same question, no replacement for it."""
    nothing = (np.nan,) * 2
    if kind == "mean":
        p = float(stats.mannwhitneyu(a, b, method="asymptotic").pvalue)
        return [(metric, variant, "mann_whitney", np.nan, *nothing, *nothing, p, np.nan)]
    effect, pooled = b.mean() - a.mean(), np.concatenate([a, b]).mean()
    se = float(np.sqrt(a.var() / len(a) + b.var() / len(b)))
    z = effect / np.sqrt(pooled * (1 - pooled) * (1 / len(a) + 1 / len(b)))
    margin = stats.norm.isf(alpha / 2) * se
    table = [[int(a.sum()), int(len(a) - a.sum())], [int(b.sum()), int(len(b) - b.sum())]]
    interval = (float(effect), float(effect - margin), float(effect + margin))
    p_exact = float(stats.fisher_exact(table).pvalue)
    return [
        (metric, variant, "two_proportion_z", *interval, se, np.nan, float(2 * stats.norm.sf(abs(z))), np.nan),
        (metric, variant, "fisher_exact", np.nan, *nothing, *nothing, p_exact, np.nan),
    ]


def _factorial(
    metric: str, design: tuple[str, str, str, str], cells: ArmMoments, alpha: float, adjusted: bool
) -> list[tuple]:
    """Main effects (a change's effect averaged over the other's absence and presence) and interaction."""
    _, first, second, both = design
    terms = {first: (-0.5, 0.5, -0.5, 0.5), second: (-0.5, -0.5, 0.5, 0.5), f"interaction {both}": (1, -1, -1, 1)}
    rows = []
    for term, weights in terms.items():
        found = contrast(cells, weights=weights)
        effect, margin = float(found.effect), float(found.margin(alpha=alpha))
        numbers_of = (effect, effect - margin, effect + margin, float(found.standard_error), float(found.df))
        rows.append((metric, term, *numbers_of, float(found.p_value), "cuped" if adjusted else "welch"))
    return rows
