"""Page 06 at occasions and under contracts: each planted error leaves a failed check, and the sound page none.

The default data have neither occasions nor contracts, so that these errors are planted here and not by
`tests/mutants`.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import ibis
import numpy as np
import pandas as pd
import pytest
from planted_customers import planted

from journeybook import lifetime_value as worth
from journeybook.lifetime_value import bg_bb, contracts, holdout, models
from journeybook.lifetime_value.family import Histories
from journeybook.lifetime_value.holdout import Judged
from journeybook.results import checks_of

AT, WEEKS = datetime(2024, 1, 1), 12.0


def donors() -> pd.DataFrame:
    """700 customers of BG/BB who are asked every other week."""
    rng, none = np.random.default_rng(31), np.zeros(700)
    T = rng.integers(4, 30, 700) * 2.0 + 0.5
    h = planted(
        "BG/BB",
        np.array([1.2, 0.75, 0.66, 2.8]),
        Histories(none, none, T, none + 1, np.arange(700), step=2.0),
        rng=rng,
    )
    each = h.each
    return pd.DataFrame({"x": each.x, "t_x": each.t_x, "T": each.T, "occasion_weeks": 2.0})


def subscribers() -> tuple[pd.DataFrame, pd.DataFrame]:
    """700 customers whose contracts run for four weeks at a time, and the contracts."""
    rng, n = np.random.default_rng(32), 700
    T = rng.integers(5, 90, n).astype(float)
    stops = 4.0 * rng.geometric(rng.beta(0.8, 4.0, n))
    left = stops < T
    x = np.floor((np.minimum(stops, T) - 0.01) / 4)
    people = [f"p{i}" for i in range(n)]
    customers = pd.DataFrame({"person_id": people, "x": x, "t_x": 4 * x, "T": T})
    started = pd.Timestamp(AT) - pd.to_timedelta(T * 7, unit="D")
    ended = pd.Series(started + pd.to_timedelta(stops * 7, unit="D")).where(left)
    made = pd.DataFrame({"person_id": people, "started_at": started, "churned_at": ended})
    return customers, made.astype({"started_at": "datetime64[us]", "churned_at": "datetime64[us]"})


def judged_by(name: str, customers: pd.DataFrame) -> Judged:
    """The one model of these terms, fitted and asked for the weeks to come."""
    h, family = worth.histories_of(customers), worth.family_of(name)
    found = worth.fit(family, h)
    foreseen = family.expected(found.theta, h, np.array([WEEKS]))[h.place, 0]
    return Judged(pd.DataFrame(), {name: foreseen}, {name: found}, name, "", (0.0,) * 3)


def failed(judged: Judged, *tables: pd.DataFrame) -> list[str]:
    """Why the model has no certificate, without which nothing of it is shown, or the checks that failed."""
    troubles = [found.trouble for found in judged.fits.values() if found.trouble]
    return troubles or [check.name for table in tables for check in checks_of(table) if not check.passed]


def failed_at_occasions() -> list[str]:
    customers = donors()
    judged = judged_by("BG/BB", customers)
    return failed(judged, worth.models_hold(customers, judged, weeks=WEEKS, rng=np.random.default_rng(5)))


def failed_under_contracts() -> list[str]:
    summed, made = subscribers()
    terms = worth.find_terms(None, ibis.memtable(made), occasion_days=28)
    customers = worth.under_terms(summed, terms, at=AT)
    judged = judged_by("sBG", customers)
    held = worth.models_hold(customers, judged, weeks=WEEKS, rng=np.random.default_rng(5))
    kept = worth.by_period(customers, judged)
    return failed(judged, held, worth.contracts_hold(customers, kept, terms, at=AT))


def of_family(name: str, **parts: Callable) -> Callable:
    """Puts a wrong part into a model, wherever the page looks it up."""

    def wrong(sound: tuple) -> tuple:
        return tuple(
            replace(f, **{part: make(getattr(f, part)) for part, make in parts.items()}) if f.name == name else f
            for f in sound
        )

    return wrong


def moved(sound: Callable) -> Callable:
    """The search stops beside the peak."""

    def wrong(*given, **asked):
        found = sound(*given, **asked)
        return replace(found, theta=found.theta * np.array([1.03, *[1.0] * (len(found.theta) - 1)]))

    return wrong


def of_one(sound: Callable) -> Callable:
    """The covariance is that of one customer."""

    def wrong(likelihood, names, *, weight, **asked):
        found = sound(likelihood, names, weight=weight, **asked)
        return replace(found, covariance=found.covariance * weight.sum())

    return wrong


def one_more(sound: Callable) -> Callable:
    """One occasion, or renewal, too many."""

    def wrong(h, time=0.0):
        found = sound(h, time)
        return (found[0], found[1] + 1) if isinstance(found, tuple) else found + 1

    return wrong


def stays(sound: Callable) -> Callable:
    """Too few of those who may leave within the weeks to come are taken to."""
    return lambda theta, h, times: 1.1 * sound(theta, h, times)


def at_risk_after(sound: Callable) -> Callable:
    """Who leaves at a renewal is not among those at risk at it."""

    def wrong(*given):
        at, at_risk, events, _ = sound(*given)
        return at, at_risk - events, events, np.cumprod(1 - events / np.maximum(at_risk - events, 1))

    return wrong


def every_other(sound: Callable) -> Callable:
    """Half of those who left are taken to be there."""

    def wrong(*given, **asked):
        found = sound(*given, **asked)
        return found.assign(left=found["left"].where(np.arange(len(found)) % 2 == 0, 0.0))

    return wrong


def uncensored(sound: Callable) -> Callable:
    """Who is still there is taken to have left at the last renewal."""
    return lambda theta, h: sound(theta, replace(h, left=np.ones_like(h.left)))


AT_OCCASIONS = {
    "an occasion too many": (bg_bb, "occasions", one_more),
    "buying and leaving mixed up": (
        bg_bb,
        "_steps",
        lambda sound: lambda theta, last: sound(np.roll(theta, 2), last),
    ),
    "too few leave later": (holdout, "FAMILIES", of_family("BG/BB", expected=stays)),
    "stops beside the peak": (models, "maximise", moved),
    "covariance of one customer": (models, "maximise", of_one),
}
UNDER_CONTRACTS = {
    "a renewal too many": (contracts, "renewals", one_more),
    "too few leave later": (holdout, "FAMILIES", of_family("sBG", expected=stays)),
    "all have left": (holdout, "FAMILIES", of_family("sBG", likelihood=uncensored)),
    "at risk after leaving": (contracts, "kaplan_meier", at_risk_after),
    "half of the leavers are there": (worth, "under_terms", every_other),
    "stops beside the peak": (models, "maximise", moved),
}


def test_sound_pages_fail_no_check():
    assert failed_at_occasions() == failed_under_contracts() == []


@pytest.mark.parametrize("error", AT_OCCASIONS)
def test_errors_at_occasions_are_noticed(error, monkeypatch):
    module, name, wrong = AT_OCCASIONS[error]
    monkeypatch.setattr(module, name, wrong(getattr(module, name)))
    assert failed_at_occasions()


@pytest.mark.parametrize("error", UNDER_CONTRACTS)
def test_errors_under_contracts_are_noticed(error, monkeypatch):
    module, name, wrong = UNDER_CONTRACTS[error]
    monkeypatch.setattr(module, name, wrong(getattr(module, name)))
    assert failed_under_contracts()
