"""Errors planted in page 16."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mutants.planted import Mutant

PARAMETERS = {"n_simulations": 200}
IMPACT = "journeybook.impact"


def _column(**changes: Callable) -> Callable:
    """A table with columns made otherwise."""
    return lambda sound: lambda *args, **given: sound(*args, **given).assign(**changes)


def _even_chances(sound: Callable) -> Callable:
    return lambda decisions: sound(decisions).assign(propensity=lambda t: t["propensity"].mean())


def _rows_alone(sound: Callable) -> Callable:
    return lambda influence, clusters: sound(influence, np.arange(len(influence)))


def _slipped(sound: Callable) -> Callable:
    def wrong(contacts: pd.DataFrame) -> pd.DataFrame:
        found = sound(contacts)
        return found.assign(**{c: np.roll(found[c], 1) for c in ("responded", "value") if c in found})

    return wrong


def _all_count(sound: Callable) -> Callable:
    """What is within another row is counted there and here."""

    def wrong(goal: Any, row: Any, effects: pd.DataFrame) -> str:
        return sound(goal, row, effects[effects["source"] == row.source])

    return wrong


def _half_a_change(sound: Callable) -> Callable:
    return lambda arms, *, weights: sound(arms, weights=[w / 2 for w in weights])


def _one_sided(sound: Callable) -> Callable:
    return lambda effect, *, alpha, **given: sound(effect, alpha=2 * alpha, **given)


def _small_spread(sound: Callable) -> Callable:
    def wrong(*args: Any, **given: Any) -> Any:
        found = sound(*args, **given)
        return replace(found, covariance=found.covariance / 2)

    return wrong


def _as_reported(_sound: Callable) -> Callable:
    return lambda effect, error: effect


def _inside_the_first(_sound: Callable) -> Callable:
    return lambda value, low, high, later, later_low, later_high: (low <= later) & (later <= high)


def _free_discount(sound: Callable) -> Callable:
    def wrong(*args: Any, prices: dict, **given: Any) -> Any:
        return sound(*args, prices=prices | {"discount_per_response": 0.0}, **given)

    return wrong


def _revenue_whole(sound: Callable) -> Callable:
    return lambda *args, prices, **given: sound(*args, prices=prices | {"margin": None}, **given)


def _known_to_all(sound: Callable) -> Callable:
    return lambda case, **given: sound(replace(case, right=(1.0,)), **given)


PRICES = {"cost_per_contact": 0.05, "discount_per_response": 1.0, "hours_spent": 40.0, "cost_per_hour": 30.0}
PRICES |= {"margin": 0.25}

MUTANTS = [
    Mutant("even_chances", "all are left alone with one chance", f"{IMPACT}.increments:judged",
           _even_chances),
    Mutant("rows_alone", "decisions of one person count as many", f"{IMPACT}.increments:clustered_error",
           _rows_alone, data=("demo",)),
    Mutant("slipped", "outcomes slip by one decision", f"{IMPACT}:decisions_of", _slipped),
    Mutant("all_count", "tests on the same units all count", f"{IMPACT}.increments:_status", _all_count,
           data=("demo",)),
    Mutant("half_a_change", "effects of tests at once are half", f"{IMPACT}.increments:contrast", _half_a_change),
    Mutant("one_sided", "people are counted for a one-sided test", f"{IMPACT}.cases:sample_size", _one_sided),
    Mutant("small_spread", "people vary half as much", f"{IMPACT}.cases:arm_moments", _small_spread),
    Mutant("known_to_all", "everyone's kind is known", f"{IMPACT}.cases:simulate", _known_to_all),
    Mutant("as_reported", "nothing is shrunk", f"{IMPACT}.winners:shrunk", _as_reported),
    Mutant("inside_the_first", "later estimates must lie in the first", f"{IMPACT}.claims:holds",
           _inside_the_first),
    Mutant("free_discount", "discounts are forgotten", f"{IMPACT}:balance", _free_discount, parameters=PRICES),
    Mutant("revenue_whole", "all revenue is kept", f"{IMPACT}:balance", _revenue_whole, parameters=PRICES),
    Mutant("lucky_truth", "the truth of launched tests is what was reported", f"{IMPACT}:programme",
           _column(truth=lambda t: t["total"])),
    Mutant("told_double", "effects of page 11 are taken twice", f"{IMPACT}.increments:tested",
           lambda sound: lambda *args: [one | {"effect": 2 * one["effect"]} for one in sound(*args)]),
]  # fmt: skip
