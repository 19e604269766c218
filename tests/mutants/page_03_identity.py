"""Errors planted in page 03."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ibis

from mutants.planted import Mutant

PARAMETERS = {"n_known_people": 600, "n_random_pairs": 50_000}


def oldest(sound: Callable) -> Callable:
    def wrong(records: Any, people: Any) -> Any:
        since = records.updated_at - ibis.timestamp("2000-01-01")
        return sound(records.mutate(updated_at=ibis.timestamp("2030-01-01") - since), people)

    return wrong


def shuffled(column: str) -> Callable:
    def planted_in(sound: Callable) -> Callable:
        def wrong(*args: Any, **asked: Any) -> Any:
            table = sound(*args, **asked)
            return table.assign(**{column: table[column].sample(frac=1, random_state=0).to_numpy()})

        return wrong

    return planted_in


def certain(sound: Callable) -> Callable:
    return lambda *args, **asked: sound(*args, **asked).assign(probability=1.0)


def any_link(sound: Callable) -> Callable:
    """Links are followed from a probability of one in a hundred on."""

    def wrong(*args: Any, threshold: float, **asked: Any) -> Any:
        return replace(sound(*args, threshold=min(threshold, 0.01), **asked), threshold=threshold)

    return wrong


def swapped(sound: Callable) -> Callable:
    def wrong(*args: Any, **asked: Any) -> Any:
        model = sound(*args, **asked)
        names = {"m_probability": "u_probability", "u_probability": "m_probability"}
        return replace(model, weights=model.weights.rename(columns=names))

    return wrong


def not_carried(sound: Callable) -> Callable:
    def wrong(people: Any, *args: Any, **asked: Any) -> Any:
        carried = sound(people, *args, **asked)
        return replace(carried, people=people, links=carried.links.head(0), set_apart=carried.set_apart.head(0))

    return wrong


def lost(sound: Callable) -> Callable:
    def wrong(resolution: Any, **asked: Any) -> Any:
        return sound(resolution, **asked).query("row % 20 != 0")

    return wrong


def planted(name: str, error: str, target: str, wrong: Callable) -> Mutant:
    return Mutant(name, error, f"journeybook.identity{target}", wrong)


MUTANTS = [
    planted("oldest", "the oldest value survives in the golden profile", ":golden_profiles", oldest),
    planted("shuffled", "postcodes of people are shuffled", ":golden_profiles", shuffled("postcode")),
    planted("certain", "the model says 1.0 for every link", ":pairs_above", certain),
    planted("any_link", "links are followed below the threshold", ":resolve", any_link),
    planted("swapped", "matches and strangers change places in the model", ":fit_linkage", swapped),
    planted("not_carried", "refusals of recognised people are not carried", ":carry_refusals", not_carried),
    planted("decades", "birth decades of people are shuffled", ":golden_profiles", shuffled("birth_decade")),
    planted("lost", "one customer id in twenty is lost on the way to people", ":people_of", lost),
]
