"""Page 08, channels: paths, removal effects and rules of thumb counted by hand, and against simulation."""

import ibis
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from journeybook import clickstream as page
from journeybook.clickstream.attribution import removal_effects
from journeybook.clickstream.chain import count_matrix

NOON = pd.Timestamp("2017-06-01 12:00")


def events(rows, *columns):
    """Canonical events from tuples; `minute` becomes `occurred_at`."""
    frame = pd.DataFrame(rows, columns=[*columns])
    frame.insert(0, "row", range(1, len(frame) + 1))
    if "minute" in frame:
        frame["occurred_at"] = (NOON + pd.to_timedelta(frame.pop("minute"), unit="m")).astype("datetime64[us]")
    return ibis.memtable(frame)


def steps(counts):
    total = counts.counts.groupby(["source", "target"])["n"].sum()
    return {f"{source}>{target}": n for (source, target), n in total.items()}


@pytest.fixture(scope="module")
def visits():
    """Sessions of 100 people through three channels."""
    rng = np.random.default_rng(4)
    rows = []
    for session in range(600):
        person, channel = rng.integers(100), rng.choice(["email", "search", "direct"])
        rows.append((f"s{session}", f"p{person}", "home", 600 * session, channel))
        if rng.random() < {"email": 0.3, "search": 0.2, "direct": 0.1}[channel]:
            rows.append((f"s{session}", f"p{person}", "buy", 600 * session + 1, channel))
    return events(rows, "session_id", "person_id", "event", "minute", "channel")


def attributed(rows):
    paths = pd.DataFrame(rows, columns=["path", "conversions", "nulls"])
    paths.insert(0, "row", range(1, len(paths) + 1))
    found = page.channel_paths(
        ibis.memtable(paths), conversion=page.CONVERSION, session_gap_minutes=30, path_gap_days=3
    )
    return page.attribute(found, n_draws=50, rng=np.random.default_rng(1))


def credit(found, method, column="credit"):
    return found.table[found.table["method"] == method].set_index("channel")[column]


def test_removal_by_hand():
    """c1 > c2 > c3 converts, c1 and c2 > c3 do not (after Anderl et al. 2016, figure 1)."""
    found = attributed([("c1 > c2 > c3", 1, 0), ("c1", 0, 1), ("c2 > c3", 0, 1)])
    # Start: c1 2/3, c2 1/3; c1: c2 1/2, exit 1/2; c2: c3; c3: conversion 1/2. Conversion (2/6 + 1/3) / 2 = 1/3.
    assert found.conversion_probability == pytest.approx(1 / 3, abs=1e-12)
    effects = credit(found, "markov_removal", "removal_effect")
    assert effects.to_dict() == pytest.approx({"c1": 0.5, "c2": 1.0, "c3": 1.0})
    assert credit(found, "markov_removal").to_dict() == pytest.approx({"c1": 0.2, "c2": 0.4, "c3": 0.4})


def test_rules_of_thumb_by_hand():
    found = attributed([("a > b > a", 3, 0), ("b", 1, 9), ("c", 0, 5)])
    assert credit(found, "first_touch").to_dict() == {"a": 3, "b": 1, "c": 0}
    assert credit(found, "last_touch").to_dict() == {"a": 3, "b": 1, "c": 0}
    assert credit(found, "linear").to_dict() == pytest.approx({"a": 2, "b": 2, "c": 0})


def test_credits_add_up_and_do_not_depend_on_names(visits):
    def of(table):
        paths = page.channel_paths(table, conversion="buy", session_gap_minutes=30, path_gap_days=3)
        return paths, page.attribute(paths, n_draws=50, rng=np.random.default_rng(1))

    paths, found = of(visits)
    sums = found.table.groupby("method")["credit"].sum()
    assert_allclose(sums, paths.n_conversions)
    assert (found.table["share"] >= 0).all()
    assert found.conversion_probability == pytest.approx(paths.n_conversions / paths.n_paths, abs=1e-12)
    frame = visits.to_pandas()
    swapped = {"email": "zebra", "search": "ape", "direct": "moth"}
    _, again = of(ibis.memtable(frame.assign(channel=frame["channel"].map(swapped))))
    for method in ("markov_removal", "last_touch", "first_touch", "linear"):
        assert_allclose(credit(again, method).rename(index={b: a for a, b in swapped.items()}).sort_index(),
                        credit(found, method).sort_index(), atol=1e-10)  # fmt: skip


def test_a_path_ends_with_a_conversion_or_a_long_pause():
    day = 24 * 60
    rows = [
        ("s1", "a", "home", 0, "email"),
        ("s2", "a", "buy", 2 * day, "search"),
        ("s3", "a", "home", 2 * day + 90, "direct"),
        ("s4", "a", "home", 6 * day, "email"),
        ("s5", None, "buy", 7 * day, "social"),
    ]
    table = events(rows, "session_id", "person_id", "event", "minute", "channel")
    paths = page.channel_paths(table, conversion="buy", session_gap_minutes=30, path_gap_days=3)
    assert (paths.n_paths, paths.n_conversions, paths.known_only) == (3, 1, True)
    assert steps(paths) == {
        "(start)>email": 2,
        "email>search": 1,
        "search>(conversion)": 1,
        "(start)>direct": 1,
        "direct>(exit)": 1,
        "email>(exit)": 1,
    }


def test_removal_agrees_with_simulated_walks():
    found = attributed([("a > b", 30, 20), ("b > c > b", 10, 40), ("a", 5, 60), ("c > a", 12, 8)])
    paths = page.channel_paths(
        ibis.memtable(
            pd.DataFrame(
                {"row": [1, 2, 3, 4], "path": ["a > b", "b > c > b", "a", "c > a"],
                 "conversions": [30, 10, 5, 12], "nulls": [20, 40, 60, 8]}
            )
        ),
        conversion=page.CONVERSION, session_gap_minutes=30, path_gap_days=3,
    )  # fmt: skip
    states, total = count_matrix(paths.counts, conversion=page.CONVERSION, exit=page.EXIT)
    exact = removal_effects(total, start=states.index(page.START))
    rng, n = np.random.default_rng(3), 200_000
    p = total / total.sum(axis=1, keepdims=True)
    for channel, effect in zip([name for name in states if name != page.START], exact, strict=True):
        state = np.full(n, states.index(page.START))
        while (state < len(states)).any():
            state[state == states.index(channel)] = len(states) + 1
            walking = np.flatnonzero(state < len(states))
            cumulative = np.cumsum(p[state[walking]], axis=1)
            state[walking] = (rng.random(len(walking))[:, None] >= cumulative[:, :-1]).sum(axis=1)
        assert 1 - (state == len(states)).mean() / found.conversion_probability == pytest.approx(effect, abs=0.015)


def test_events_without_channels_say_so():
    table = events([("s", "buy", 0)], "session_id", "event", "minute")
    paths = page.channel_paths(table, conversion="buy", session_gap_minutes=30, path_gap_days=3)
    assert page.attribute(paths, n_draws=5, rng=np.random.default_rng(0)).note == "the events name no channel"
