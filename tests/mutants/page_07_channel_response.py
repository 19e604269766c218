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


def planted(name: str, error: str, target: str, wrong: Callable) -> Mutant:
    return Mutant(name, error, f"journeybook.{target}", wrong)


PAGE = "channel_response"
MUTANTS = [
    planted("test_in_fit", "models are fitted on the test contacts too", f"{PAGE}:compare_methods", test_in_fit),
    planted("balanced_first", "responders are doubled before the pipeline", f"{PAGE}.study:fit_together",
            balanced_first),
    planted("always", "calibration is applied whether it helps or not", f"{PAGE}.models:_gains", always),
    planted("on_the_test", "models are calibrated and chosen on the test", f"{PAGE}:compare_methods", on_the_test),
    planted("too_young", "features are a month too young", f"{PAGE}.contacts:_with_snapshot", too_young),
    planted("slipped_response", "responses slip by one contact", f"{PAGE}:contact_frame", slipped("responded")),
    planted("not_purged", "contacts whose window reaches the test are not purged", f"{PAGE}:split_contacts",
            not_purged),
    planted("handed_on_late", "page 14 gets each contact the probability of another",
            f"{PAGE}:contact_probabilities", handed_on_late),
]  # fmt: skip
