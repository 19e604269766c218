"""Errors planted in page 12."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from mutants.planted import Mutant

PARAMETERS = {"n_simulations": 400}
DESIGN = "journeybook.experiment_design"


def _one_sided(sound: Callable) -> Callable:
    return lambda effect, *, alpha, **given: sound(effect, alpha=2 * alpha, **given)


def _an_arm(sound: Callable) -> Callable:
    def wrong(*given: Any, **named: Any) -> Any:
        found = sound(*given, **named)
        return replace(found, n_control=found.n_control / 2, n_treatment=found.n_treatment / 2)

    return wrong


def _single_days(_sound: Callable) -> Callable:
    return lambda n_units, *, units_per_day: np.ceil(np.asarray(n_units) / units_per_day)


def _not_squared(_sound: Callable) -> Callable:
    return lambda deviation, *, explained_share: deviation * (1 - explained_share)


def _no_salt(sound: Callable) -> Callable:
    return lambda ids, *, salt: sound(ids, salt="")


def _naive_bounds(sound: Callable) -> Callable:
    def wrong(fractions: Any, *, alpha: float, rule: str) -> Any:
        return np.full_like(sound(fractions, alpha=alpha, rule=rule), stats.norm.isf(alpha / 2))

    return wrong


def _no_probability(sound: Callable) -> Callable:
    def wrong(seen: Any, *, estimator: str) -> Any:
        even = np.full_like(seen.probability, 1 / seen.probability.shape[-1])
        return sound(replace(seen, probability=even), estimator=estimator)

    return wrong


def _total_spread(sound: Callable) -> Callable:
    return lambda columns, arm, *, n_arms: sound([2 * column for column in columns], arm, n_arms=n_arms)


def _never_stops(sound: Callable) -> Callable:
    """Tests that stop early are charged their planned end."""

    def wrong(**given: Any) -> Any:
        found = sound(**given)
        return replace(found, costs=found.costs.assign(expected_ratio=found.costs["size_ratio"]))

    return wrong


def _one_arm_varies(sound: Callable) -> Callable:
    return lambda **given: sound(**given) / 2**0.5


def _of_one_tail(sound: Callable) -> Callable:
    def wrong(*args: Any, **given: Any) -> Any:
        found = sound(*args, **given)
        return found.assign(p_value=found["p_value"] / 2)

    return wrong


def _column(table: str, **changes: Callable) -> Callable:
    """A table of a result with columns made otherwise."""

    def planted(sound: Callable) -> Callable:
        def wrong(*args: Any, **given: Any) -> Any:
            found = sound(*args, **given)
            return replace(found, **{table: getattr(found, table).assign(**changes)})

        return wrong

    return planted


def _normal(_sound: Callable) -> Callable:
    def wrong(
        delta: Any, *, n_control: Any, n_treatment: Any, sd_control: Any, sd_treatment: Any = None, alpha: float
    ) -> Any:
        second = sd_control if sd_treatment is None else sd_treatment
        shift = np.abs(delta) / np.sqrt(sd_control**2 / n_control + second**2 / n_treatment)
        return stats.norm.sf(stats.norm.isf(alpha / 2) - shift)

    return wrong


def _as_if_fixed(sound: Callable) -> Callable:
    return lambda seen, **_given: sound(seen, estimator="naive")


MUTANTS = [
    Mutant("one_sided", "sizes are for a one-sided test", f"{DESIGN}.sizing:sample_size", _one_sided),
    Mutant("half_the_units", "half of the units are planned", f"{DESIGN}.sizing:sample_size", _an_arm),
    Mutant("single_days", "the test ends on any day of the week", f"{DESIGN}.sizing:duration_days", _single_days),
    Mutant("cuped_not_squared", "covariates save too much", f"{DESIGN}.sizing:cuped_deviation", _not_squared),
    Mutant("double_spread", "spreads are taken of doubled values", f"{DESIGN}.sizing:arm_moments", _total_spread),
    Mutant("salt_forgotten", "all experiments share one salt", f"{DESIGN}.assignment:positions", _no_salt),
    Mutant("naive_bounds", "every look is tested at alpha", f"{DESIGN}.rules:boundaries", _naive_bounds),
    Mutant("probability_forgotten", "a bandit's probabilities are not logged", f"{DESIGN}.bandits:estimate",
           _no_probability),
    Mutant("double_pace", "units enter twice as fast", f"{DESIGN}:units_a_day",
           lambda sound: lambda *args, **given: 2 * sound(*args, **given)),
    Mutant("never_stops", "looks save nothing", f"{DESIGN}:compare_rules", _never_stops, data=("demo",)),
    Mutant("one_arm_varies", "what is detectable leaves out one arm's chance",
           f"{DESIGN}.sizing:minimum_detectable_effect", _one_arm_varies),
    Mutant("of_one_tail", "the assignment's p values are halved", f"{DESIGN}:assignment_checks", _of_one_tail),
    Mutant("too_small", "looks cost no units more", f"{DESIGN}:compare_rules",
           _column("costs", size_ratio=lambda t: 0.8 * t["size_ratio"]), data=("demo",)),
    Mutant("no_difference_saves", "tests stop as early without a difference", f"{DESIGN}:compare_rules",
           _column("costs", none_ratio=lambda t: t["expected_ratio"]), data=("demo",)),
    Mutant("few_false", "false positives are half of what they are", f"{DESIGN}:compare_rules",
           _column("errors", false_positive_share=lambda t: 0.5 * t["false_positive_share"]), data=("demo",)),
    Mutant("look_by_look", "false positives of looks are added up", f"{DESIGN}:compare_rules",
           _column("errors", false_positive_share=lambda t: t["false_positive_share"] * 5), data=("demo",)),
    Mutant("one_tail", "walks that leave below are not counted", "journeybook.statistics.sequential:crossing",
           lambda sound: lambda *args, **given: sound(*args, **given) / 2),
    Mutant("z_for_t", "power is that of a normal test", "journeybook.statistics.power:power_of", _normal),
    Mutant("little_lost", "a fixed split loses a twentieth too little", f"{DESIGN}:bandit_study",
           _column("policies", regret=lambda t: 0.95 * t["regret"])),
    Mutant("biased", "effects of a bandit are off by a point", f"{DESIGN}:bandit_study",
           _column("estimates", bias=lambda t: t["bias"] + 0.01), data=("demo",)),
    Mutant("bias_turned", "the bias of naive means has the wrong sign", f"{DESIGN}:bandit_study",
           _column("estimates", bias=lambda t: t["bias"].where(t["estimator"] != "naive", -t["bias"])),
             data=("demo",)),
    Mutant("as_if_fixed", "a bandit is estimated as a fixed split", f"{DESIGN}.bandits:estimate", _as_if_fixed),
]  # fmt: skip
