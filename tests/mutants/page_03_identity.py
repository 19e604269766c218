"""Errors planted in page 03."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ibis
import numpy as np
import pandas as pd

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


def surer(sound: Callable) -> Callable:
    """Odds are squared, as where agreements that depend on each other are counted twice."""

    def wrong(*args: Any, **asked: Any) -> Any:
        scored = sound(*args, **asked)
        p = scored.probability
        return scored.assign(probability=p**2 / (p**2 + (1 - p) ** 2))

    return wrong


def any_link(sound: Callable) -> Callable:
    """Links are followed from a probability of one in a hundred on."""

    def wrong(*args: Any, threshold: float, **asked: Any) -> Any:
        return replace(sound(*args, threshold=min(threshold, 0.01), **asked), threshold=threshold)

    return wrong


def joined(sound: Callable) -> Callable:
    def wrong(*args: Any, **asked: Any) -> Any:
        found = sound(*args, **asked)
        before = found.records["cluster"].shift(fill_value=0)
        kept = found.records["cluster"].where(found.records.index % 50 != 0, before)
        return replace(found, records=found.records.assign(cluster=kept))

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


def carried_elsewhere(sound: Callable) -> Callable:
    """Refusals hold for the person after the one they are of."""

    def wrong(*args: Any, **asked: Any) -> Any:
        carried = sound(*args, **asked)
        ids = np.roll(carried.links["person_id"].to_numpy(), 1)
        return replace(carried, links=carried.links.assign(person_id=ids))

    return wrong


def lost(sound: Callable) -> Callable:
    def wrong(resolution: Any, **asked: Any) -> Any:
        return sound(resolution, **asked).query("row % 20 != 0")

    return wrong


def slipped(sound: Callable) -> Callable:
    """Every value goes to the row after it."""

    def wrong(*args: Any, **asked: Any) -> Any:
        found = sound(*args, **asked)
        return found.assign(value=np.roll(found["value"].to_numpy(), 1))

    return wrong


def later(sound: Callable) -> Callable:
    def wrong(*args: Any, **asked: Any) -> Any:
        found = sound(*args, **asked)
        return found.assign(known_from=found["known_from"] + pd.Timedelta(days=1))

    return wrong


def beyond_the_window(sound: Callable) -> Callable:
    return lambda events, people, *, window_days: sound(events, people, window_days=4 * window_days)


def first_of_several(sound: Callable) -> Callable:
    """A visit in which two people sign in is that of the first."""

    def wrong(events: Any, people: Any, **asked: Any) -> Any:
        joined = sound(events, people, **asked)
        whose = ibis.ifelse(ibis._.via == "several people", people.person_id.min(), ibis._.person_id)
        return replace(joined, sessions=joined.sessions.mutate(person_id=whose))

    return wrong


def forgotten_links(sound: Callable) -> Callable:
    """On day two the links of the first day are not kept."""
    return lambda *args, before=None, **asked: sound(*args, **asked)


def planted(name: str, error: str, target: str, wrong: Callable, **more: Any) -> Mutant:
    return Mutant(name, error, f"journeybook.identity{target}", wrong, **more)


MUTANTS = [
    planted("oldest", "the oldest value survives in the golden profile", ":golden_values", oldest),
    planted("sources", "golden values name another's source", ":golden_values", shuffled("source")),
    planted("surer", "the model counts what it knows twice", ":pairs_above", surer),
    planted("shuffled", "postcodes of people are shuffled", ":golden_profiles", shuffled("postcode")),
    planted("certain", "the model says 1.0 for every link", ":pairs_above", certain),
    planted("any_link", "links are followed below the threshold", ":resolve", any_link),
    planted("swapped", "matches and strangers change places in the model", ":fit_linkage", swapped,
             data=("demo",)),
    planted("not_carried", "refusals of recognised people are not carried", ":carry_refusals", not_carried),
    planted("carried_elsewhere", "refusals are carried to other people", ":carry_refusals", carried_elsewhere),
    planted("few_keys", "two keys alone bring pairs together", ".comparison:blocking_rules",
            lambda sound: lambda texts, **asked: sound(texts[:2], **asked), data=("demo",)),
    planted("pairs_twice", "each pair is linked twice", ":pairs_above",
            lambda sound: lambda *args, **asked: pd.concat([sound(*args, **asked)] * 2), data=("demo",)),
    planted("decades", "birth decades of people are shuffled", ":golden_profiles", shuffled("birth_decade"),
            data=("demo",)),
    planted("slipped", "values slip by one row of the history", ":value_history", slipped),
    planted("later", "values count a day too late", ":value_history", later),
    planted("never_changed", "no value of the history is a change", ":value_history",
            lambda sound: lambda *args, **asked: sound(*args, **asked).assign(is_change=False)),
    planted("records_as_sources", "records count as sources", ":golden_profiles",
            lambda sound: lambda *args: sound(*args).assign(n_sources=lambda t: t.n_records)),
    planted("reach", "ids that refuse count as people", ":refusal_reach",
            lambda sound: lambda *args: sound(*args).assign(n_refusing_people=lambda t: t.n_refusing_ids)),
    planted("keys_flattered", "wrong pairs of a key alone count half", ":keys_alone",
            lambda sound: lambda *args, **asked: sound(*args, **asked).assign(n_wrong=lambda t: t.n_wrong // 2)),
    planted("joined", "one record in fifty goes to the person before", ":resolve", joined),
    planted("any_copy", "copies are linked from a probability of one in a hundred on", ":try_linkage",
            lambda sound: lambda *args, **asked: sound(*args, **(asked | {"threshold": 0.01})), data=("demo",)),
    Mutant("one_purpose", "who permits to be recognised is taken to permit everything",
           "journeybook.tables:permitted_people",
           lambda sound: lambda run, *, purpose, **more: sound(run, purpose="identity_resolution", **more)),
    planted("forgotten_links", "links of the day before are forgotten", ".trial:resolve", forgotten_links),
    planted("own_keys_alone", "records of the page meet by one key alone, copies by all", ":compare",
            lambda sound: lambda records, **asked: sound(records, **(asked | {"blocking": asked["blocking"][:1]})),
            data=("demo",)),
    planted("wider_window", "visits are joined by sign-ins of four weeks", ":join_sessions", beyond_the_window,
            data=("files",)),
    planted("first_of_several", "a visit of two people is given to one", ":join_sessions", first_of_several,
            data=("files",)),
    planted("half_known", "visits of every second customer number stay anonymous", ":join_sessions",
            lambda sound: lambda events, people, **asked: sound(events, people.iloc[::2], **asked)),
    planted("all_conflicts", "whoever has a value has a conflict", ":conflicts_of",
            lambda sound: lambda values: sound(values).assign(n_conflicts=lambda t: t.n_people)),
    planted("lost", "one customer id in twenty is lost on the way to people", ":people_of", lost),
]  # fmt: skip
