"""Page 08, sessions: which count, by rules counted by hand, and what the steps that are kept look like."""

import ibis
import numpy as np
import pandas as pd
import pytest

from journeybook.clickstream.counts import count_steps
from journeybook.journeys import sessions
from journeybook.journeys.by_hand import misplaced, sessions_by_hand
from journeybook.journeys.sessions import CONVERSION, EXIT, START, session_steps

NOON = pd.Timestamp("2017-06-01 12:00")


def events(rows, *columns):
    """Canonical events from tuples; `second` becomes `occurred_at`."""
    frame = pd.DataFrame(rows, columns=[*columns])
    frame.insert(0, "row", range(1, len(frame) + 1))
    if "second" in frame:
        frame["occurred_at"] = (NOON + pd.to_timedelta(frame.pop("second"), unit="s")).astype("datetime64[us]")
    return ibis.memtable(frame)


def count(table, conversion=None, **rules):
    return count_steps(table, conversion=conversion, session_gap_minutes=30, **rules)


def walk(session, n, pause, event="home"):
    return [(session, event, k * pause) for k in range(n)]


def test_sessions_of_too_many_events_are_a_machines():
    table = events(walk("bot", 6, 60) + walk("a", 5, 60), "session_id", "event", "second")
    counts = count(table, most_events=5)
    assert (counts.n_machine_sessions, counts.n_sessions) == (1, 1)
    assert counts.counts["n"].sum() == 6
    assert count(table).n_machine_sessions == 0


@pytest.mark.parametrize(
    ("n", "pause", "machine"),
    [(10, 0.4, True), (10, 0.6, False), (9, 0.4, False), (20, 0.0, False)],
    ids=["fast", "slow enough", "too few to judge", "one time says nothing of the pace"],
)
def test_sessions_too_fast_for_a_person_are_a_machines(n, pause, machine):
    table = events(walk("s", n, pause) + walk("person", 2, 60), "session_id", "event", "second")
    counts = count(table, least_pause_seconds=0.5)
    assert counts.n_machine_sessions == machine


def test_a_log_of_which_nothing_is_left_says_why():
    table = events(walk("s", 12, 0.1) + walk("t", 1, 0), "session_id", "event", "second")
    with pytest.raises(
        ValueError, match="of 2, 1 have fewer events than least_events, 2, and 1 are taken for mach"
    ):
        count(table, least_pause_seconds=0.5, least_events=2)


def test_instants_order_steps_and_measure_pauses_where_clocks_are_set_back():
    # 01:50 in summer, then 01:10 and 01:40 in winter: 20 and 50 minutes later.
    frame = events([("p", "a", 50 * 60), ("p", "b", 10 * 60), ("p", "c", 40 * 60)], "person_id", "event", "second")
    frame = frame.mutate(instant=frame.occurred_at + ibis.ifelse(frame.event == "a", 0, 3600).as_interval("s"))
    rules = {"conversion": None, "session_gap_minutes": 35}
    steps = session_steps(frame, **rules).order_by("step").to_pandas()
    assert steps["label"].tolist() == ["a", "b", "c"] and steps["session"].nunique() == 1
    more = {"least_events": 1, "most_events": None, "least_pause_seconds": 0.0}
    assert misplaced(sessions_by_hand(frame.to_pandas(), **rules, **more), session_steps(frame, **rules)) == 0
    assert session_steps(frame.drop("instant"), **rules).order_by("row").to_pandas()["step"].tolist() == [2, 0, 1]


def test_events_without_a_time_are_set_aside_where_others_have_one():
    table = events(walk("s", 3, 60), "session_id", "event", "second")
    some = table.mutate(occurred_at=ibis.ifelse(table.row == 2, None, table.occurred_at), position=table.row)
    counts = count(some)
    assert (counts.n_events, counts.n_unplaced, counts.counts["n"].sum()) == (3, 1, 3)
    none = some.mutate(occurred_at=ibis.null(table.occurred_at.type()))
    counts = count(none)
    assert (counts.n_events, counts.n_unplaced, counts.counts["n"].sum()) == (3, 0, 4)
    assert "occurred_at" not in session_steps(none, conversion=None, session_gap_minutes=30).columns


def test_a_part_of_a_log_without_conversion_has_sessions_all_the_same():
    table = events(walk("s", 2, 60), "session_id", "event", "second")
    steps = session_steps(table, conversion="buy", session_gap_minutes=30).to_pandas()
    assert steps["converts"].tolist() == [0, 0]
    with pytest.raises(
        ValueError, match="conversion is 'buy', which never happens; the most frequent events are home"
    ):
        count(table, conversion="buy")


def test_sessions_of_one_event_are_kept_and_counted_unless_the_rule_says_otherwise():
    table = events(walk("a", 1, 60) + walk("b", 3, 60), "session_id", "event", "second")
    kept = count(table)
    assert (kept.n_sessions, kept.n_short_sessions) == (2, 0)
    left = count(table, least_events=2)
    assert (left.n_sessions, left.n_short_sessions) == (1, 1)
    assert left.n_events == 4


def test_rules_judge_the_session_before_it_is_cut():
    rows = [("a", "home", 0), ("a", "buy", 1), ("a", "home", 2), ("b", "buy", 0)]
    counts = count(events(rows, "session_id", "event", "second"), conversion="buy", most_events=2)
    assert (counts.n_machine_sessions, counts.n_after_conversion, counts.n_conversions) == (1, 0, 1)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"least_events": 0}, "least_events is 0"),
        ({"most_events": 1, "least_events": 2}, "most_events is 1"),
        ({"least_pause_seconds": -1.0}, "least_pause_seconds is -1.0"),
    ],
)
def test_rules_out_of_range_are_named(rules, message):
    with pytest.raises(ValueError, match=message):
        count(events(walk("a", 2, 60), "session_id", "event", "second"), **rules)


def test_the_steps_of_a_person_by_hand():
    rows = [("p", "home", 0, "email"), ("p", "item", 60, "email"), ("p", "buy", 90, "email"),
            ("p", "home", 95, "email"), ("p", "home", 9000, "search")]  # fmt: skip
    table = events(rows, "person_id", "event", "second", "channel")
    found = session_steps(table, conversion="buy", session_gap_minutes=30).order_by("row").to_pandas()
    assert found["row"].tolist() == [1, 2, 3, 5]
    assert found["label"].tolist() == ["home", "item", "(conversion)", "home"]
    assert found["previous"].tolist() == ["(start)", "home", "item", "(start)"]
    assert found["step"].tolist() == [0, 1, 2, 0]
    assert found["last"].tolist() == [False, False, True, True]
    assert found["converts"].tolist() == [0, 0, 1, 0]
    assert found["channel"].tolist() == ["email", "email", "email", "search"]
    assert found["session"].nunique() == 2
    assert found["known"].all()


def test_a_session_shared_by_two_people_stays_one():
    rows = [("s", "p", "home", 0), ("s", "q", "item", 10), (None, "q", "home", 20)]
    counts = count(events(rows, "session_id", "person_id", "event", "second"))
    assert (counts.n_sessions, counts.n_people) == (2, 2)


def test_counts_equal_a_loop_over_the_rows():
    """200 people, some sessions given, ties in time: sessions, cut and exits walked one row after the other."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"person_id": [f"p{n}" for n in rng.integers(200, size=6_000)]})
    frame["session_id"] = np.where(rng.random(6_000) < 0.3, "g" + frame["person_id"], None)
    frame["event"] = rng.choice(["a", "b", "c", "buy"], size=6_000, p=[0.4, 0.3, 0.2, 0.1])
    frame["second"] = rng.integers(400, size=6_000) * 300
    frame["position"] = rng.integers(3, size=6_000)
    rows = list(frame.itertuples(index=False))
    table = events(rows, *frame.columns)
    walked, sold = {}, 0
    line = {}
    for number, row in enumerate(rows):
        key = ("s", row.session_id) if isinstance(row.session_id, str) else ("p", row.person_id)
        line.setdefault(key, []).append((row.second, row.position, number, row.event))
    for (kind, _), visits in line.items():
        last_second, previous, done = -(10**9), None, False
        for second, _position, _row, event in sorted(visits):
            if previous is None or (kind == "p" and second - last_second > 1_800):
                if previous is not None and not done:
                    walked[previous, EXIT] = walked.get((previous, EXIT), 0) + 1
                previous, done = START, False
            if not done:
                target = CONVERSION if event == "buy" else event
                walked[previous, target] = walked.get((previous, target), 0) + 1
                done = event == "buy"
                sold += done
            previous, last_second = event, second
        if not done:
            walked[previous, EXIT] = walked.get((previous, EXIT), 0) + 1
    counts = count(table, conversion="buy")
    assert counts.n_conversions == sold > 100
    assert counts.counts.groupby(["source", "target"])["n"].sum().to_dict() == walked


def test_how_much_is_read_at_a_time_changes_nothing(monkeypatch):
    """300 people of very unlike numbers of events, read 1,000 events at a time and all at once."""
    rng = np.random.default_rng(6)
    person = np.minimum(rng.geometric(0.02, size=20_000), 300)
    frame = pd.DataFrame({"person_id": [f"p{n}" for n in person], "event": rng.choice(["a", "b", "buy"], 20_000)})
    frame["second"] = rng.integers(10**5, size=20_000)
    table = events(frame.itertuples(index=False), *frame.columns)
    rules = {"most_events": 12, "least_events": 2}
    found = []
    for lot in (1_000, 10**6):
        monkeypatch.setattr(sessions, "_LOT", lot)
        steps = session_steps(table, conversion="buy", session_gap_minutes=30, **rules)
        counts = count(table, conversion="buy", **rules)
        by_group = counts.counts.groupby(["group", "source", "target"])[["n"]].sum()
        found.append((steps.order_by("row").to_pandas(), by_group, counts.n_sessions, counts.n_cut_by_log))
    (steps, by_group, *numbers), (steps_again, by_group_again, *numbers_again) = found
    pd.testing.assert_frame_equal(steps, steps_again)
    pd.testing.assert_frame_equal(by_group, by_group_again)
    assert numbers == numbers_again
    assert len(by_group) > 1_000


def test_steps_and_counts_tell_the_same():
    """Sessions given and not, machines, short ones, conversions: both ways to ask walk the same walk."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"person_id": [f"p{n}" for n in rng.integers(300, size=9_000)]})
    frame.loc[rng.random(9_000) < 0.2, "person_id"] = None
    frame["session_id"] = np.where(rng.random(9_000) < 0.5, [f"g{n}" for n in rng.integers(900, size=9_000)], None)
    frame["event"] = rng.choice(["a", "b", "buy"], size=9_000)
    frame["second"] = rng.integers(10**5, size=9_000)
    table = events(frame.itertuples(index=False), *frame.columns)
    rules = {"most_events": 8, "least_events": 2}
    counts = count(table, conversion="buy", **rules)
    steps = session_steps(table, conversion="buy", session_gap_minutes=30, **rules).to_pandas()
    inner = steps.groupby(["previous", "label"]).size()
    total = counts.counts.groupby(["source", "target"])["n"].sum()
    assert inner.to_dict() == {link: n for link, n in total.items() if link[1] != EXIT}
    assert counts.n_sessions == steps["session"].nunique() > 500
    assert counts.n_machine_sessions > 10
    assert counts.n_short_sessions > 100
    assert counts.n_unplaced > 500
    aside = counts.n_after_conversion + counts.n_unplaced + 8 * counts.n_machine_sessions
    assert counts.n_events - len(steps) - aside > counts.n_short_sessions


def test_a_name_that_only_events_set_aside_bear_leaves_the_others_their_names():
    rows = [(None, "aaa", 0), (None, "ccc", 5), ("s", "bbb", 0), ("s", "ddd", 60)]
    table = events(rows, "session_id", "event", "second")
    found = count(table).counts[["source", "target"]].astype(str).itertuples(index=False, name=None)
    assert sorted(found) == [("(start)", "bbb"), ("bbb", "ddd"), ("ddd", "(exit)")]
    steps = session_steps(table, conversion="ddd", session_gap_minutes=30).order_by("row").to_pandas()
    assert steps["previous"].tolist() == ["(start)", "bbb"]
    assert steps["label"].tolist() == ["bbb", "(conversion)"]


@pytest.mark.parametrize(
    ("several", "walks"),
    [
        ("first", ["home (conversion)", "home"]),
        ("last", ["home buy more buy home (conversion)", "home"]),
        ("each", ["home (conversion)", "more (conversion)", "home (conversion)", "home"]),
    ],
)
@pytest.mark.parametrize("of", ["session_id", "person_id"])
def test_a_session_of_several_conversions(several, walks, of):
    words = ["home", "buy", "more", "buy", "home", "buy", "thanks"]
    table = events(
        [("s", word, 60 * k) for k, word in enumerate(words)] + [("t", "home", 0)], of, "event", "second"
    )
    rules = {"conversion": "buy", "session_gap_minutes": 30, "several_conversions": several}
    steps = session_steps(table, **rules)
    found = steps.order_by("row").to_pandas()
    assert found.groupby("session", sort=False)["label"].agg(" ".join).tolist() == walks
    more = {"least_events": 1, "most_events": None, "least_pause_seconds": 0.0}
    by_hand = sessions_by_hand(table.to_pandas(), **rules, **more)
    assert misplaced(by_hand, steps) == 0 and by_hand["session"].nunique() == len(walks)
    counts = count_steps(table, **rules)
    assert (counts.n_sessions, counts.n_conversions) == (len(walks), len(walks) - 1)
    assert counts.n_after_conversion == (5 if several == "first" else 1)


def test_what_becomes_of_several_conversions_is_one_of_three():
    with pytest.raises(ValueError, match="several_conversions is 'all': it must be first, last, each"):
        count(events(walk("s", 3, 60), "session_id", "event", "second"), several_conversions="all")
