"""Page 07: scores for those who permit them."""

import channel_response_toys
import ibis
import numpy as np
import pandas as pd
import pytest
from channel_response_toys import OPEN_GATE, SHARES, TREES, framed, imputer_of, simulated

from journeybook import channel_response as cr
from journeybook.channel_response.models import calibrated_model, fit_together, response_pipelines
from journeybook.statistics import stream


@pytest.fixture(scope="module")
def study():
    """Contacts, split, gate, search and comparison."""
    return channel_response_toys.study()


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Simulated contacts."""
    return simulated()


def test_scores_are_for_who_permits(frame, study):
    contacts, split, *_, found = study
    people = set(frame["person_id"].unique()[:40])
    scores = cr.response_scores(
        found.chosen, contacts, split, None, permitted={"sms": people}, n_occasions=3, rng=stream(1, "o")
    )
    assert set(scores["channel"]) == {"sms"}
    assert set(scores["person_id"]) == people
    assert scores["score"].between(0, 1).all()
    assert scores["row"].tolist() == list(range(1, 41))
    everyone = cr.response_scores(
        found.chosen, contacts, split, None, permitted=None, n_occasions=3, rng=stream(1, "o")
    )
    assert set(everyone["channel"]) == {"sms", "email"}
    nobody = cr.response_scores(
        found.chosen, contacts, split, None, permitted={}, n_occasions=3, rng=stream(1, "o")
    )
    assert nobody.empty
    assert nobody.dtypes.to_dict() == scores.dtypes.to_dict()
    assert "Nobody is scored" in cr.words.say_scores(nobody, contacts, has_ledger=True)


def test_a_score_without_snapshots_is_that_of_the_latest_contact(frame, study):
    contacts, split, *_, found = study
    scores = cr.response_scores(
        found.chosen, contacts, split, None, permitted=None, n_occasions=1, rng=stream(1, "o")
    )
    latest = contacts.rows.groupby("person_id").tail(1).assign(channel="sms")
    expected = dict(zip(latest["person_id"], found.chosen.probability(latest, calibrated=True), strict=True))
    sms = scores[scores["channel"] == "sms"]
    assert sms["score"].tolist() == pytest.approx([expected[name] for name in sms["person_id"]])


def test_scores_with_snapshots_average_over_occasions():
    frame = simulated(1200)
    people = frame["person_id"].unique()
    history = pd.DataFrame(
        {"person_id": people, "as_of": pd.Timestamp("2024-12-01"), "spend": np.arange(len(people)) * 1.0}
    )
    later = history.assign(as_of=pd.Timestamp("2025-08-01"), spend=history["spend"] + 1)
    features = pd.concat([history, later], ignore_index=True)
    features.insert(0, "row", np.arange(1, len(features) + 1))
    contacts = framed(frame.drop(columns="probability"), features)
    split = cr.split_contacts(contacts, **SHARES, rng=stream(1, "split"))
    gate = cr.leak_gate(contacts, split, **OPEN_GATE)
    fit, calibrate = (
        contacts.rows.iloc[part][[*gate.features, "responded"]] for part in (split.fit, split.calibrate)
    )
    (pipeline,) = response_pipelines(
        fit, [("xgboost", TREES)], resampling="none", imputer=imputer_of(fit), rng=stream(1, "models")
    )
    fit_together([pipeline], fit)
    model = calibrated_model(pipeline, calibrate, method="xgboost", resampling="none", shift=0.0)
    newest = cr.latest_snapshot(ibis.memtable(features))
    assert (newest["as_of"] == pd.Timestamp("2025-08-01")).all()
    granted = {"email": set(people[:5])}
    scores = cr.response_scores(
        model, contacts, split, newest, permitted=granted, n_occasions=4, rng=stream(1, "o")
    )
    used = contacts.rows.iloc[split.training].query("channel == 'email'")
    drawn = used.iloc[stream(1, "o").integers(len(used), size=4)]
    one = drawn.assign(spend=newest.loc[newest["person_id"] == people[0], "spend"].item())
    assert scores.loc[scores["person_id"] == people[0], "score"].item() == pytest.approx(
        model.probability(one, calibrated=True).mean()
    )
