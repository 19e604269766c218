"""Errors planted in page 11."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mutants.planted import Mutant

PARAMETERS: dict[str, Any] = {}
EXPERIMENTS = "journeybook.experiments"
HOLM = "journeybook.statistics.corrections:holm"
COMPARISONS = f"{EXPERIMENTS}.comparisons"


def _arms_swapped(sound: Callable) -> Callable:
    def wrong(units: pd.DataFrame, **given: Any) -> Any:
        arms = sound(units, **given)
        return replace(arms, number=np.where(arms.number < 2, 1 - arms.number, arms.number))

    return wrong


def _effect(change: Callable) -> Callable:
    def faulty(sound: Callable) -> Callable:
        return lambda found, **given: change(sound(found, **given))

    return faulty


def _half(found: Any) -> Any:
    quarter = (found.high - found.low) / 4
    return replace(found, low=found.effect - quarter, high=found.effect + quarter)


def _cuped_sign(sound: Callable) -> Callable:
    def wrong(arms: Any, **given: Any) -> Any:
        found = sound(arms, **given)
        if arms.mean.shape[-1] == 1:
            return found
        bare = sound(arms.pick([0], arms=range(arms.mean.shape[-2])), **given)
        return replace(found, effect=2 * bare.effect - found.effect)

    return wrong


def _forgets(sound: Callable) -> Callable:
    return lambda _entry, **given: sound(None, **given)


def _filled(sound: Callable) -> Callable:
    def wrong(units: pd.DataFrame, column: str) -> np.ndarray:
        values = sound(units, column).copy()
        values[::50] = 0
        return values

    return wrong


def _no_maximum(_sound: Callable) -> Callable:
    def wrong(p_values: Any, **_given: Any) -> np.ndarray:
        p = np.asarray(p_values, dtype=float)
        ranks = np.argsort(np.argsort(p))
        return np.minimum(p * (len(p) - ranks), 1)

    return wrong


def _with_itself(sound: Callable) -> Callable:
    return lambda counts, **_given: sound(counts, shares=counts)


def _uncorrelated(sound: Callable) -> Callable:
    def wrong(arms: Any) -> Any:
        covariance = arms.covariance.copy()
        covariance[..., 0, 1] = covariance[..., 1, 0] = 0
        return sound(replace(arms, covariance=covariance))

    return wrong


def _one_look(sound: Callable) -> Callable:
    def wrong(effect: Any, standard_error: Any, *, n: Any, alpha: float, planned_n: float) -> Any:
        found, half = (
            sound(effect, standard_error, n=n, alpha=alpha, planned_n=planned_n),
            1.959964 * standard_error,
        )
        p_value = 2 * stats.norm.sf(np.abs(effect / standard_error))
        return replace(found, low=effect - half, high=effect + half, p_value=p_value)

    return wrong


def _quantile_swapped(sound: Callable) -> Callable:
    return lambda control, treatment, **given: sound(treatment, control, **given)


def _rolled(sound: Callable) -> Callable:
    def wrong(*args: Any, **given: Any) -> Any:
        found = sound(*args, **given)
        return replace(found, codes=np.roll(found.codes, 1))

    return wrong


def _failures_forgotten(sound: Callable) -> Callable:
    """Beta(1 + successes, 1 + units)."""
    return lambda part, kind: (
        ([stats.beta(1 + n * p, 1 + n) for n, p in zip(part["n"], part["mean"], strict=True)], "Beta(1, 1)")
        if kind == "proportion"
        else sound(part, kind)
    )


def _other_margin(sound: Callable) -> Callable:
    return lambda *args, margin, **given: sound(*args, margin=-margin, **given)


def _halved_effects(sound: Callable) -> Callable:
    def wrong(arms: Any, **given: Any) -> Any:
        found = sound(arms, **given)
        return replace(found, effect=found.effect / 2)

    return wrong


def _every_other(sound: Callable) -> Callable:
    def wrong(units: pd.DataFrame, **given: Any) -> Any:
        found = sound(units, **given)
        return replace(found, units=found.units.iloc[::2].reset_index(drop=True))

    return wrong


def _of_treatment(sound: Callable) -> Callable:
    """A lift as a share of the treatment."""

    def wrong(found: Any, **given: Any) -> Any:
        lift = sound(found, **given)
        return replace(lift, relative=lift.relative / (1 + lift.relative))

    return wrong


def _as_searched(sound: Callable) -> Callable:
    """The p value of the half that the split was chosen on."""

    def wrong(searched: Any, tested: Any, chosen: int, alpha: float) -> tuple[float, ...]:
        told = sound(searched, tested, chosen, alpha)
        return (*told[:5], sound(searched, searched, chosen, alpha)[5], *told[6:])

    return wrong


PLANNED = {
    "metrics": {"converted": "proportion", "spend": "mean"},
    "plan": {
        "primary": "converted", "minimum_effect": 0.5, "alpha": 0.05, "power": 0.8, "planned_units": 100,
        "guardrails": {"spend": -0.5}, "subgroups": ["pre_spend", "stratum"],
    },
}  # fmt: skip
RATIO = {"metrics": {"per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"}}}
QUANTILE = {"metrics": {"high_spend": {"kind": "quantile", "column": "spend", "level": 0.97}}}
UNDER_WAY = {
    "metrics": {"spend": "mean"},
    "plan": {"primary": "spend", "minimum_effect": 1, "alpha": 0.05, "power": 0.8, "planned_units": 10**6},
}


def _tenth_lost(sound: Callable) -> Callable:
    def wrong(*args: Any, **given: Any) -> Any:
        found = sound(*args, **given)
        return replace(found, units=found.units.iloc[np.arange(len(found.units)) % 10 > 0])

    return wrong


def _too_low(sound: Callable) -> Callable:
    def wrong(found: Any, **given: Any) -> Any:
        lift = sound(found, **given)
        return replace(lift, low=lift.low - 1)

    return wrong


MUTANTS = [
    Mutant("arms_swapped", "the control is taken for the treatment", f"{COMPARISONS}:arms_of", _arms_swapped),
    Mutant("cuped_sign", "CUPED adds what it should take off", f"{COMPARISONS}:contrast", _cuped_sign),
    Mutant(
        "one_sided", "p values count one side", f"{COMPARISONS}:effect_of",
        _effect(lambda found: replace(found, p_value=found.p_value / 2)),
    ),
    Mutant("half_width", "intervals are half as wide", f"{COMPARISONS}:effect_of", _effect(_half)),
    Mutant("holm_without_maximum", "Holm forgets the maximum", HOLM, _no_maximum),
    Mutant("register_forgets", "a second look counts as the first", f"{EXPERIMENTS}.looks:look", _forgets),
    Mutant("ratio_uncorrelated", "a ratio's variance lacks the covariance", f"{COMPARISONS}:ratio_moments",
           _uncorrelated, parameters=RATIO),
    Mutant("ratio_with_itself", "counts are compared with themselves", f"{EXPERIMENTS}.health:sample_ratio",
           _with_itself),
    Mutant("one_look_at_every", "a bound for one look is used at each", f"{COMPARISONS}:always_valid", _one_look,
           parameters=UNDER_WAY),
    Mutant("quantile_arms_swapped", "a quantile's arms are swapped", f"{COMPARISONS}:quantile_effect",
           _quantile_swapped, parameters=QUANTILE),
    Mutant("filled_with_zero", "some outcomes are filled with 0", f"{COMPARISONS}:numbers", _filled),
    Mutant("levels_rolled", "a unit has the level of the one before", f"{EXPERIMENTS}.subgroups:levels", _rolled,
           parameters=PLANNED),
    Mutant("failures_forgotten", "a belief counts units for failures", "journeybook.statistics.bayes:_posteriors",
           _failures_forgotten),
    Mutant("guardrail_sign", "a guardrail may rise where it must not fall",
           f"{EXPERIMENTS}.decision:non_inferiority", _other_margin, parameters=PLANNED),
    Mutant("each_look_alone", "a look sees its own units alone", f"{EXPERIMENTS}.cumulative:cumulated",
           lambda sound: lambda arms: arms),
    Mutant("half_a_day", "daily effects are halved", f"{EXPERIMENTS}.health:contrast", _halved_effects),
    Mutant("always_ship", "every variant is shipped", f"{EXPERIMENTS}.decision:_rule",
           lambda sound: lambda *args, **given: ("ship", "it was built"), parameters=PLANNED, data=("demo",)),
    Mutant("every_other", "every other unit is analysed", f"{EXPERIMENTS}:ripe_units", _every_other),
    Mutant("of_treatment", "lifts are shares of the treatment", "journeybook.statistics.contrasts:relative_lift",
           _of_treatment),
    Mutant("lifts_too_wide", "intervals of lifts reach too far down",
           "journeybook.statistics.contrasts:relative_lift", _too_low, data=("demo",)),
    Mutant("looks_never_wider", "looks so far are bounded as if each were the only one",
           f"{EXPERIMENTS}.cumulative:always_valid", _one_look, data=("demo",)),
    Mutant("independent_looks", "looks at the same data count as independent",
           "journeybook.statistics.sequential:peeking",
           lambda sound: lambda n_looks, *, alpha: 1 - (1 - alpha) ** np.arange(1, n_looks + 1)),
    Mutant("rows_of_clusters", "a tenth of the rows is lost on the way to clusters", f"{EXPERIMENTS}:by_cluster",
           _tenth_lost),
    Mutant("levels_alike", "levels differ twice as much as they do",
           f"{EXPERIMENTS}.subgroups:equal_effects",
           lambda sound: lambda effects, *more: sound(effects - effects.mean() + effects, *more),
           parameters=PLANNED),
    Mutant("uncorrected", "nothing is corrected for many metrics", f"{COMPARISONS}:corrections",
           lambda sound: SimpleNamespace(holm=np.asarray), data=("demo",)),
    Mutant("as_searched", "a split is tested on the units that chose it", f"{EXPERIMENTS}.heterogeneity:_tested",
           _as_searched),
]  # fmt: skip
