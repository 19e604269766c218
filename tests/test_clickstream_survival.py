"""Page 08, how sessions go on: counted by hand, and by the chain."""

import ibis
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from journeybook.clickstream.counts import count_steps
from journeybook.clickstream.survival import session_survival, step_flow, survival_by_chain, time_to_conversion
from journeybook.clickstream.words import say_flow, say_survival, say_times
from journeybook.journeys.sessions import CONVERSION, EXIT, START, session_steps
from journeybook.statistics.chains import transition_model

NOON = pd.Timestamp("2017-06-01 12:00")


def steps_of(rows, *columns):
    frame = pd.DataFrame(rows, columns=[*columns])
    frame.insert(0, "row", range(1, len(frame) + 1))
    if "minute" in frame:
        frame["occurred_at"] = (NOON + pd.to_timedelta(frame.pop("minute"), unit="m")).astype("datetime64[us]")
    return session_steps(ibis.memtable(frame), conversion="buy", session_gap_minutes=30)


SESSIONS = ["a", "ab", "abB", "aB", "bbbbb", "B"]
ROWS = [
    (f"s{k}", {"a": "a", "b": "b", "B": "buy"}[letter], n)
    for k, word in enumerate(SESSIONS)
    for n, letter in enumerate(word)
]


@pytest.fixture(scope="module")
def steps():
    return steps_of(ROWS, "session_id", "event", "position")


@pytest.fixture(scope="module")
def model():
    frame = pd.DataFrame(ROWS, columns=["session_id", "event", "position"])
    frame.insert(0, "row", range(1, len(frame) + 1))
    counts = count_steps(ibis.memtable(frame), conversion="buy", session_gap_minutes=30)
    return transition_model(counts.counts, conversion=CONVERSION, exit=EXIT)


def test_survival_by_hand(steps, model):
    found = session_survival(steps, model, longest=3, n_draws=50, rng=np.random.default_rng(1))
    table = found
    assert table["n"].tolist() == [6, 4, 2, 1]
    assert_allclose(table["converted"], [0, 1 / 6, 2 / 6, 3 / 6])
    assert_allclose(table["left"], [0, 1 / 6, 2 / 6, 2 / 6])
    assert (table["share_low"] <= table["share"]).all() and (table["share"] <= table["share_high"]).all()
    # (start): a 4/6, b 1/6, conversion 1/6; a: b 2/4, conversion 1/4, exit 1/4; b: b 4/7, conversion 1/7, exit 2/7
    assert_allclose(
        table["by_chain"][:3], [1, 4 / 6 * 3 / 4 + 1 / 6 * 5 / 7, (4 / 6 * 2 / 4 + 1 / 6 * 4 / 7) * 5 / 7]
    )


def test_survival_in_words(steps, model):
    found = session_survival(steps, model, longest=3, n_draws=50, rng=np.random.default_rng(1))
    assert (
        say_survival(found)
        == "Half of the sessions have ended after 2 events; the chain says the same at every length"
    )
    short = session_survival(steps, model, longest=1, n_draws=50, rng=np.random.default_rng(1))
    assert "More than half of the sessions go on beyond 1 events" in say_survival(short)


def test_flow_and_times_in_words(steps, model):
    said = say_flow(step_flow(steps, n_steps=3, most=3))
    gone = session_survival(steps, model, longest=2, n_draws=5, rng=np.random.default_rng(1)).iloc[2]
    assert said == f"After 2 events {gone['left']:.1%} have left and {gone['converted']:.1%} have converted"
    times = time_to_conversion(steps, n_draws=5, rng=np.random.default_rng(1))
    assert "Half of the sessions that convert take at most 2 events" in say_times(times)


def test_the_sum_of_survival_is_the_mean_length(model):
    """Steps to the end are the events and, where a session leaves, the step into exit."""
    by_chain = survival_by_chain(model, longest=400)
    start = model.at(START)
    leaves = 1 - model.conversion_probability[start]
    assert by_chain.sum() == pytest.approx(model.expected_steps[start] - leaves, abs=1e-10)


def test_flow_by_hand(steps):
    flow = step_flow(steps, n_steps=3, most=1).set_index(["step", "source", "target"])["n"]
    assert flow[0].to_dict() == {("(start)", "(other)"): 4, ("(start)", "b"): 1,
                                 ("(start)", "(conversion)"): 1}  # fmt: skip
    assert flow[1].to_dict() == {("(other)", "b"): 2, ("(other)", "(conversion)"): 1, ("(other)", "(exit)"): 1,
                                 ("b", "b"): 1}  # fmt: skip
    assert flow[2].to_dict() == {("b", "b"): 1, ("b", "(conversion)"): 1, ("b", "(exit)"): 1}


def test_every_session_that_comes_to_a_state_leaves_it(steps):
    flow = step_flow(steps, n_steps=5, most=9)
    for step in range(1, 5):
        came = flow[(flow["step"] == step - 1) & ~flow["target"].isin([CONVERSION, EXIT])]
        went = flow[flow["step"] == step]
        assert came.groupby("target")["n"].sum().to_dict() == went.groupby("source")["n"].sum().to_dict()


def test_time_to_conversion_by_hand():
    day = 24 * 60
    rows = [("p", "a", 0), ("p", "a", day), ("p", "buy", day + 6), ("p", "buy", 3 * day), ("q", "a", 5)]
    steps = steps_of(rows, "person_id", "event", "minute")
    found = time_to_conversion(steps, n_draws=5, rng=np.random.default_rng(1))
    longest = found[found["share"] == 0.75].set_index("measure")["value"]
    assert longest.to_dict() == pytest.approx({"events": 2, "minutes": 6})
    assert (found["n"] == 2).all()


def test_without_times_and_people_only_events_are_told(steps):
    found = time_to_conversion(steps, n_draws=5, rng=np.random.default_rng(1))
    assert found["measure"].unique().tolist() == ["events"]
    assert found["value"].tolist() == [1, 2, 3]


def test_nothing_converts_nothing_takes_time():
    steps = session_steps(
        ibis.memtable({"row": [1], "session_id": ["s"], "event": ["a"], "position": [1]}),
        conversion=None,
        session_gap_minutes=30,
    )
    found = time_to_conversion(steps, n_draws=5, rng=np.random.default_rng(1))
    assert found.empty
    assert say_times(found) == ""
