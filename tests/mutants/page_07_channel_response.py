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


def wrong_channel(sound: Callable) -> Callable:
    """The table holds the propensity of the contact before."""

    def wrong(run: Any, name: str, **asked: Any) -> Any:
        table = sound(run, name, **asked)
        if "propensity" not in table.columns:
            return table
        before = table.propensity.lag().over(order_by=table.row)
        return table.mutate(propensity=before.fill_null(table.propensity))

    return wrong


def not_purged(sound: Callable) -> Callable:
    return lambda contacts, **asked: sound(contacts, **(asked | {"response_window_days": 0}))


def unlikeliest(sound: Callable) -> Callable:
    return lambda probability, *args, **asked: sound(1 - probability, *args, **asked)


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
    planted("slipped_chance", "propensities slip by one contact", f"{PAGE}:contact_frame", slipped("propensity")),
    planted("slipped_response", "responses slip by one contact", f"{PAGE}:contact_frame", slipped("responded")),
    planted("wrong_channel", "propensities are those of another contact's channel", "tables:read", wrong_channel),
    planted("not_purged", "contacts whose window reaches the test are not purged", f"{PAGE}:split_contacts",
            not_purged),
    planted("unlikeliest", "groups are compared by the unlikeliest", f"{PAGE}:fairness", unlikeliest),
]  # fmt: skip
