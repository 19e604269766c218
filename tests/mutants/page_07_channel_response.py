"""Errors planted in page 07."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ibis
import numpy as np
import pandas as pd

from mutants.planted import Mutant

PARAMETERS = {
    "n_trees": 40,
    "n_draws": 60,
    "max_searched": 1500,
    "n_settings": 1,
    "n_folds": 2,
    "n_explained": 300,
    "n_occasions": 2,
}


def test_in_fit(sound: Callable) -> Callable:
    def wrong(contacts: Any, split: Any, *args: Any, **asked: Any) -> Any:
        return sound(
            contacts, replace(split, fit=np.sort(np.concatenate([split.fit, split.test]))), *args, **asked
        )

    return wrong


def balanced_first(sound: Callable) -> Callable:
    """Responders are doubled before the pipeline sees the rows."""

    def wrong(pipelines: Any, rows: Any, **asked: Any) -> Any:
        return sound(pipelines, pd.concat([rows, rows[rows["responded"] == 1]]), **asked)

    return wrong


def always(_sound: Callable) -> Callable:
    return lambda *_args, **_asked: True


def on_the_test(sound: Callable) -> Callable:
    def wrong(contacts: Any, split: Any, *args: Any, **asked: Any) -> Any:
        return sound(contacts, replace(split, calibrate=split.test), *args, **asked)

    return wrong


def too_young(sound: Callable) -> Callable:
    def wrong(table: Any, features: Any) -> Any:
        return sound(table, features.mutate(as_of=features.as_of - ibis.interval(days=31)))

    return wrong


def slipped(column: str) -> Callable:
    def planted_in(sound: Callable) -> Callable:
        def wrong(*args: Any, **asked: Any) -> Any:
            sent = sound(*args, **asked)
            return replace(sent, rows=sent.rows.assign(**{column: np.roll(sent.rows[column].to_numpy(), 1)}))

        return wrong

    return planted_in


def not_purged(sound: Callable) -> Callable:
    return lambda contacts, **asked: sound(contacts, **(asked | {"response_window_days": 0}))


def handed_on_late(sound: Callable) -> Callable:
    """Probabilities are written beside the contact after their own."""

    def wrong(*args: Any, **asked: Any) -> Any:
        told = sound(*args, **asked)
        return told.assign(probability=told["probability"].shift())

    return wrong


def types_of_later(sound: Callable) -> Callable:
    """Types of people are what page 05 says of them a year later."""

    def wrong(sent: Any, segments: Any, **asked: Any) -> Any:
        return sound(sent, segments.mutate(as_of=segments.as_of - ibis.interval(days=365)), **asked)

    return wrong


def itself_counted(sound: Callable) -> Callable:
    return lambda contacts: sound(contacts).mutate(n_contacts_28d=ibis._.n_contacts_28d + 1)


def halved(sound: Callable) -> Callable:
    def wrong(*args: Any, **asked: Any) -> Any:
        found = sound(*args, **asked)
        ends = {name: (found.methods[name] + found.methods["log_loss"]) / 2 for name in
                ("log_loss_low", "log_loss_high")}  # fmt: skip
        return replace(found, methods=found.methods.assign(**ends))

    return wrong


def test_trained(sound: Callable) -> Callable:
    """Training contacts are drawn from all, those of the test among them."""

    def wrong(*args: Any, **asked: Any) -> Any:
        split = sound(*args, **asked)
        return replace(split, fit=np.append(split.fit, split.test))

    return wrong


def read_again(sound: Callable) -> Callable:
    """Past the gate, recency is read again as of the end: whoever answered has bought since."""

    def wrong(contacts: Any, *args: Any, **asked: Any) -> Any:
        came = contacts.rows["responded"].astype(bool)
        recency = contacts.rows["recency_days"].astype(float).mask(came, 0.01)
        return sound(replace(contacts, rows=contacts.rows.assign(recency_days=recency)), *args, **asked)

    return wrong


def hours_later(sound: Callable) -> Callable:
    def wrong(*args: Any) -> Any:
        rows = sound(*args)
        hours = np.unique(rows["hour"])
        return rows.assign(hour=rows["hour"].map(dict(zip(hours, np.roll(hours, 5), strict=True))))

    return wrong


def part(name: str, of: Callable) -> Callable:
    """A result with one field made otherwise."""
    return lambda sound: (
        lambda *args, **asked: replace(found := sound(*args, **asked), **{name: of(getattr(found, name))})
    )


def unlikeliest(sound: Callable) -> Callable:
    return lambda said, *args, **asked: sound(1 - said, *args, **asked)


def column(name: str, of: Callable) -> Callable:
    """A table of the page with a column made otherwise."""
    return lambda sound: lambda *args, **asked: (made := sound(*args, **asked)).assign(**{name: of(made)})


def planted(name: str, error: str, target: str, wrong: Callable, **more: Any) -> Mutant:
    return Mutant(name, error, f"journeybook.{target}", wrong, **more)


PAGE = "channel_response"
MUTANTS = [
    planted("test_in_fit", "models are fitted on the test contacts too", f"{PAGE}:compare_methods", test_in_fit),
    planted("balanced_first", "responders are doubled before the pipeline", f"{PAGE}.study:fit_together",
            balanced_first),
    planted("always", "calibration is applied whether it helps or not", f"{PAGE}.models:_gains", always),
    planted("on_the_test", "models are calibrated and chosen on the test", f"{PAGE}:compare_methods", on_the_test,
             data=("demo",)),
    planted("too_young", "features are a month too young", f"{PAGE}.contacts:_with_snapshot", too_young),
    planted("slipped_response", "responses slip by one contact", f"{PAGE}:contact_frame", slipped("responded"),
             data=("demo",)),
    planted("not_purged", "contacts whose window reaches the test are not purged", f"{PAGE}:split_contacts",
            not_purged),
    planted("handed_on_late", "page 14 gets each contact the probability of another",
            f"{PAGE}:contact_probabilities", handed_on_late),
    planted("types_of_later", "types of people know what came later", f"{PAGE}:person_types", types_of_later),
    planted("itself_counted", "a message counts among those before it", f"{PAGE}.contacts:_with_fatigue",
            itself_counted),
    planted("everyone_scored", "channels that people refused are scored", f"{PAGE}:granted_channels",
            lambda _: lambda _run, _channels: None, data=("demo", "files")),
    planted("scores_slipped", "scores slip to other people", f"{PAGE}:response_scores",
            column("score", lambda made: np.roll(made["score"], 7)), parameters={"max_searched": 5000}),
    planted("half_width", "intervals are half as wide", f"{PAGE}:compare_methods", halved,
            parameters={"n_draws": 200}, data=("demo",)),
    planted("filled_late", "missing numbers are filled in by what was learned last of all", f"{PAGE}:filled_by",
            lambda sound: lambda contacts, **asked: sound(contacts, **(asked | {"cut_at": None}))),
    planted("another_model", "measures as fitted and calibrated change places", f"{PAGE}.study:qualities",
            lambda sound: lambda said, *args: sound(said[::-1], *args)),
    planted("unlikeliest", "gains are those of the unlikeliest first", f"{PAGE}.study:gain", unlikeliest),
    planted("lift_of_the_rest", "lifts are over the share that is not contacted", f"{PAGE}.study:gain",
            column("lift", lambda made: made["found_share"] / (1 - made["contacted_share"]))),
    planted("bins_slipped", "what was observed slips by one bin", f"{PAGE}.study:reliability",
            column("observed", lambda made: np.roll(made["observed"], 1))),
    planted("effects_turned", "effects of resampling are those of leaving it out", f"{PAGE}.study:difference",
            lambda sound: lambda first, second, **asked: sound(second, first, **asked)),
    planted("test_trained", "training contacts are drawn from all, the test among them", f"{PAGE}:split_contacts",
            test_trained),
    planted("read_again", "past the gate, recency is read as of the end", f"{PAGE}:compare_methods", read_again,
             data=("demo",)),
    planted("utc_hours", "hours are those of another time zone", f"{PAGE}.windows:messages",
            hours_later, data=("demo",)),
    planted("base_forgotten", "Shapley values leave out where they start", f"{PAGE}:explain_trees",
            part("base", lambda base: 0 * base)),
    planted("sizes_halved", "sizes of Shapley values are halved", f"{PAGE}:explain_trees",
            part("features", lambda table: table.assign(mean_size=table["mean_size"] / 2))),
    planted("saved_otherwise", "the model that is saved lacks its intercept", f"{PAGE}:pack_model",
            lambda sound: lambda model, *more, **asked: sound(replace(model, intercept=0.3), *more, **asked)),
    planted("no_more", "one message more changes no probability", f"{PAGE}:contact_probabilities",
            column("probability_one_more", lambda made: made["probability"])),
]  # fmt: skip
