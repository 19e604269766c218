"""Contacts of known probability, framed and studied, for the tests of page 07."""

from dataclasses import replace
from functools import cache

import ibis
import numpy as np
import pandas as pd

from journeybook import channel_response as cr
from journeybook.channel_response.contacts import ContactFrame
from journeybook.statistics import stream
from journeybook.statistics.imputation import Imputer, fit_imputer

SHARES = {"test_share": 0.3, "calibration_share": 0.25, "response_window_days": 7}


OPEN_GATE = {"known_after_contact": [], "known_before_contact": [], "max_single_auc": 0.8}


BUDGET = {"n_settings": 1, "n_folds": 2, "n_trees": 30, "max_rows": 2000}


TREES = {"max_depth": 4, "n_estimators": 30}


def simulated(n: int = 4000, *, n_people: int = 250, seed: int = 5, prefix: str = "p") -> pd.DataFrame:
    """Contacts of known probability: what is known of a person, the channel and the hour decide."""
    rng = np.random.default_rng(seed)
    person = rng.integers(n_people, size=n)
    taste = rng.normal(size=n_people)[person]
    sent = pd.Timestamp("2025-01-01") + pd.to_timedelta(
        np.sort(rng.uniform(0, 200 * 24 * 60, n)).round(), unit="min"
    )
    channel = rng.choice(["email", "sms", "none"], size=n, p=[0.5, 0.3, 0.2])
    visits = np.round(np.exp(1 + 0.6 * taste + 0.3 * rng.normal(size=n)), 3)
    logit = -2.2 + 0.9 * taste + 0.5 * (channel == "sms") - 0.4 * (channel == "none")
    probability = 1 / (1 + np.exp(-logit))
    responded = rng.random(n) < probability
    return pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "contact_id": [f"c{i}" for i in range(n)],
            "person_id": [f"{prefix}{i * 7919 % 1009:04d}" for i in person],
            "occurred_at": sent,
            "channel": channel,
            "responded": responded,
            "visits": np.where(rng.random(n) < 0.1, np.nan, visits),
            "region": rng.choice(["north", "south", "west"], size=n),
            "value": np.where(responded, 10.0, 0.0),
            "probability": probability,
        }
    )


def framed(frame: pd.DataFrame, features: pd.DataFrame | None = None, max_rows: int = 100_000) -> ContactFrame:
    snapshots = None if features is None else ibis.memtable(features)
    return filled(cr.contact_frame(ibis.memtable(frame), snapshots, max_rows=max_rows))


def filled(contacts: ContactFrame, rules: dict[str, str] | None = None) -> ContactFrame:
    """Contacts with an imputer that was fitted on all of them."""
    return replace(contacts, imputer=imputer_of(contacts.rows[list(contacts.features)], rules))


def imputer_of(rows: pd.DataFrame, rules: dict[str, str] | None = None) -> Imputer:
    """What fills in the numbers of some rows, fitted on them."""
    return fit_imputer(rows.select_dtypes("float64"), rules=rules)


def studied(frame: pd.DataFrame, *, seed: int = 1, n_draws: int = 60):
    """Contacts, split, gate, search and comparison of a frame."""
    contacts = framed(frame.drop(columns="probability", errors="ignore"))
    split = cr.split_contacts(contacts, **SHARES, rng=stream(seed, "split"))
    gate = cr.leak_gate(contacts, split, **OPEN_GATE)
    search = cr.search_settings(contacts, split, gate, **BUDGET, rng=stream(seed, "search"))
    found = cr.compare_methods(contacts, split, gate, search, n_draws=n_draws, rng=stream(seed, "models"))
    return contacts, split, gate, search, found


@cache
def study():
    """Contacts, split, gate, search and comparison of the plain simulation, made once for all tests."""
    return studied(simulated())


def columns(frame: pd.DataFrame) -> pd.DataFrame:
    return framed(frame).rows[["visits", "region", "channel", "responded"]]
