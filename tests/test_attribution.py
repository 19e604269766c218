"""Page 09: paths and credit counted by hand, removal and Shapley against brute force and simulation."""

from dataclasses import replace
from itertools import combinations
from math import factorial

import ibis
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from finding_rules import told
from numpy.testing import assert_allclose

from journeybook.attribution.findings import find
from journeybook.attribution.methods import attribute, owners, removal_effects
from journeybook.attribution.paths import MARK, channel_paths
from journeybook.attribution.witnesses import beside_planted, recount
from journeybook.attribution.words import say_credit, say_removed, say_truth
from journeybook.journeys.links import path_steps, steps_of
from journeybook.journeys.sessions import CONVERSION, EXIT, START, session_steps
from journeybook.plots.attribution import plot_attribution, plot_removed
from journeybook.statistics.chains import count_matrix

NOON = pd.Timestamp("2017-06-01 12:00")
DAY = 24 * 60
RULES = {"path_gap_days": 3, "half_life_days": 7, "orders": [1]}
WALKED = [("a > b", 30, 20), ("b > c > b", 10, 40), ("a", 5, 60), ("c > a", 12, 8), ("c > c > a > b", 9, 3)]


def events(rows, *columns):
    """Kept events from tuples; `minute` becomes `occurred_at`."""
    frame = pd.DataFrame(rows, columns=[*columns])
    frame.insert(0, "row", range(1, len(frame) + 1))
    if "minute" in frame:
        frame["occurred_at"] = (NOON + pd.to_timedelta(frame.pop("minute"), unit="m")).astype("datetime64[us]")
    return session_steps(ibis.memtable(frame), conversion="buy", session_gap_minutes=30)


def walked(rows, **rules):
    """Canonical paths from tuples, put into paths of channels."""
    table = pd.DataFrame(rows, columns=["path", "conversions", "nulls"])
    table.insert(0, "row", range(1, len(table) + 1))
    return channel_paths(path_steps(ibis.memtable(table)), **RULES | rules)


def attributed(paths):
    return attribute(paths, n_draws=60, rng=np.random.default_rng(1))


def steps(paths, order=1):
    total = paths.counts[order].groupby(["source", "target"])["n"].sum()
    return {f"{source}>{target}".replace(MARK, ","): n for (source, target), n in total.items()}


def credit(found, method, column="credit"):
    return found.table[found.table["method"] == method].set_index("channel")[column]


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
    return pd.DataFrame(rows, columns=["session_id", "person_id", "event", "minute", "channel"])


def test_removal_by_hand():
    """c1 > c2 > c3 converts, c1 and c2 > c3 do not (after Anderl et al. 2016, figure 1)."""
    found = attributed(walked([("c1 > c2 > c3", 1, 0), ("c1", 0, 1), ("c2 > c3", 0, 1)]))
    # Start: c1 2/3, c2 1/3; c1: c2 1/2, exit 1/2; c2: c3; c3: conversion 1/2. Conversion (2/6 + 1/3) / 2 = 1/3.
    assert found.conversion_probability == pytest.approx(1 / 3, abs=1e-12)
    effects = credit(found, "markov_removal", "removal_effect")
    assert effects.to_dict() == pytest.approx({"c1": 0.5, "c2": 1.0, "c3": 1.0})
    assert credit(found, "markov_removal").to_dict() == pytest.approx({"c1": 0.2, "c2": 0.4, "c3": 0.4})


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_removal_is_what_leading_the_channel_to_exit_gives(order):
    counts = walked(WALKED, orders=[order]).counts[order]
    states, total = count_matrix(counts, conversion=CONVERSION, exit=EXIT)
    start, owner = states.index(START), owners(states, ["a", "b", "c"])
    effects, chance = removal_effects(total, start=start, owner=owner, n_channels=3)

    def converts(counts):
        p = counts / counts.sum(axis=1, keepdims=True)
        return np.linalg.solve(np.eye(len(p)) - p[:, :-2], p[:, -2])[start]

    assert chance == pytest.approx((30 + 10 + 5 + 12 + 9) / sum(a + b for _, a, b in WALKED), abs=1e-12)
    for channel in range(3):
        removed = total.copy()
        removed[owner == channel] = 0.0
        removed[owner == channel, -1] = 1.0
        assert effects[channel] == pytest.approx(1 - converts(removed) / chance, abs=1e-12)


def test_a_state_of_order_two_remembers_two_channels():
    paths = walked([("a > b > a", 2, 1)], orders=[2])
    expected = {"(start)>a": 3, "a>a,b": 3, "a,b>b,a": 3, "b,a>(conversion)": 2, "b,a>(exit)": 1}
    assert steps(paths, order=2) == expected


def test_rules_of_thumb_by_hand():
    found = attributed(walked([("a > b > a", 3, 0), ("b", 1, 9), ("c", 0, 5), ("a > b > c > d", 5, 0)]))
    assert credit(found, "first_touch").to_dict() == {"a": 8, "b": 1, "c": 0, "d": 0}
    assert credit(found, "last_touch").to_dict() == {"a": 3, "b": 1, "c": 0, "d": 5}
    by_hand = {
        "linear": {"a": 2 + 5 / 4, "b": 1 + 1 + 5 / 4, "c": 5 / 4, "d": 5 / 4},
        "position": {"a": 3 * 0.8 + 5 * 0.4, "b": 3 * 0.2 + 1 + 5 * 0.1, "c": 5 * 0.1, "d": 5 * 0.4},
        # Without times each touch further back counts half: 1, 2, 4 of 7 and 1, 2, 4, 8 of 15.
        "time_decay": {"a": 15 / 7 + 5 / 15, "b": 6 / 7 + 1 + 10 / 15, "c": 20 / 15, "d": 40 / 15},
        "shapley": {"a": 1.5 + 5 / 4, "b": 1.5 + 1 + 5 / 4, "c": 5 / 4, "d": 5 / 4},
    }
    for rule, expected in by_hand.items():
        assert credit(found, rule).to_dict() == pytest.approx(expected, abs=1e-9), rule


def test_time_decay_halves_with_each_half_life():
    rows = [
        ("s1", "a", "home", 0, "email"),
        ("s2", "a", "home", 2 * DAY, "search"),
        ("s3", "a", "buy", 3 * DAY, "direct"),
    ]
    table = events(rows, "session_id", "person_id", "event", "minute", "channel")
    paths = channel_paths(table, path_gap_days=3, half_life_days=1, orders=[1])
    weights = {"email": 1 / 8, "search": 1 / 2, "direct": 1}
    expected = {name: weight / (13 / 8) for name, weight in weights.items()}
    assert paths.timed
    assert credit(attributed(paths), "time_decay").to_dict() == pytest.approx(expected, abs=1e-9)


def test_shapley_is_that_of_every_order_of_arrival():
    """v(S) is the number of conversions on paths within S; all sets are gone through."""
    found = credit(attributed(walked(WALKED)), "shapley")
    names = ["a", "b", "c"]

    def worth(allowed):
        return sum(won for path, won, _ in WALKED if set(path.split(" > ")) <= set(allowed))

    for name in names:
        others = [other for other in names if other != name]
        value = 0.0
        for size in range(len(others) + 1):
            share = factorial(size) * factorial(len(names) - size - 1) / factorial(len(names))
            value += share * sum(worth({*s, name}) - worth(s) for s in combinations(others, size))
        assert found[name] == pytest.approx(value, abs=1e-9)


def test_credits_add_up_and_do_not_depend_on_names(visits):
    def of(frame):
        paths = channel_paths(
            events(frame.to_numpy(), *frame.columns), path_gap_days=3, half_life_days=7, orders=[1, 2]
        )
        return paths, attributed(paths)

    paths, found = of(visits)
    assert_allclose(found.table.groupby("method")["credit"].sum(), paths.n_conversions)
    assert_allclose(found.table.groupby("method")["share"].sum(), 1)
    assert (found.table["share"] >= 0).all()
    assert (found.table["share_low"] <= found.table["share"]).all()
    assert (found.table["share"] <= found.table["share_high"]).all()
    assert found.conversion_probability == pytest.approx(paths.n_conversions / paths.n_paths, abs=1e-12)
    swapped = {"email": "zebra", "search": "ape", "direct": "moth"}
    _, again = of(visits.assign(channel=visits["channel"].map(swapped)))
    back = again.table.assign(channel=again.table["channel"].map({b: a for a, b in swapped.items()}))
    both = found.table.merge(back, on=["channel", "method"], suffixes=("", "_again"))
    assert len(both) == len(found.table) == 3 * 8
    assert_allclose(both["credit_again"], both["credit"], atol=1e-8)


def test_a_path_ends_with_a_conversion_or_a_long_pause():
    rows = [
        ("s1", "a", "home", 0, "email"),
        ("s2", "a", "buy", 2 * DAY, "search"),
        ("s3", "a", "home", 2 * DAY + 90, "direct"),
        ("s4", "a", "home", 6 * DAY, "email"),
        ("s5", None, "buy", 7 * DAY, "social"),
    ]
    table = events(rows, "session_id", "person_id", "event", "minute", "channel")
    paths = channel_paths(table, **RULES)
    assert (paths.n_paths, paths.n_conversions, paths.n_unknown) == (4, 2, 1)
    assert steps(paths) == {
        "(start)>email": 2,
        "email>search": 1,
        "search>(conversion)": 1,
        "(start)>direct": 1,
        "direct>(exit)": 1,
        "email>(exit)": 1,
        "(start)>social": 1,
        "social>(conversion)": 1,
    }


def test_a_channel_that_only_a_later_event_bears_is_the_session_s():
    rows = [("s", "a", "home", 0, ""), ("s", "a", "item", 1, "email"), ("s", "a", "buy", 2, "search"),
            ("t", "b", "home", 0, None)]  # fmt: skip
    paths = channel_paths(events(rows, "session_id", "person_id", "event", "minute", "channel"), **RULES)
    assert steps(paths) == {
        "(start)>email": 1,
        "email>(conversion)": 1,
        "(start)>(unknown)": 1,
        "(unknown)>(exit)": 1,
    }


def test_fractions_of_conversions_are_credited():
    found = attributed(walked([("A > B", 2.5, 4), ("A", 0.5, 6), ("B|A > B", 1.2, 2)]))
    assert credit(found, "last_touch").to_dict() == pytest.approx({"A": 0.5, "B": 3.7, "B|A": 0.0})
    assert found.table["share_low"].notna().all()


def test_a_chain_of_more_states_than_are_solved_is_refused(monkeypatch):
    monkeypatch.setattr("journeybook.attribution.methods.MOST_STATES", 3)
    with pytest.raises(ValueError, match="channel_orders holds 1, whose chain has 4 states: at most 3 are solved"):
        attributed(walked(WALKED))


def test_intervals_widen_when_people_repeat_themselves(visits):
    """Ten copies of each path by the same person say no more than one; by other people they do."""
    copies = [visits.assign(minute=visits["minute"] + k * 600 * 1000, copy=k) for k in range(10)]
    frame = pd.concat(copies, ignore_index=True)
    frame["session_id"] += "-" + frame["copy"].astype(str)
    widths = {}
    for whose in ("same", "other"):
        people = frame["person_id"] + ("" if whose == "same" else "-" + frame["copy"].astype(str))
        rows = frame.assign(person_id=people).drop(columns="copy")
        paths = channel_paths(events(rows.to_numpy(), *rows.columns), **RULES)
        found = attribute(paths, n_draws=400, rng=np.random.default_rng(2)).table
        widths[whose] = (found["share_high"] - found["share_low"]).mean()
    assert widths["same"] / widths["other"] == pytest.approx(np.sqrt(10), rel=0.25)


def test_distance_from_the_planted_shares():
    found = attributed(walked([("a", 3, 0), ("b", 1, 1)]))
    truth = pd.DataFrame({"channel": ["a", "b"], "share": [0.5, 0.5]})
    beside = beside_planted(found, truth).set_index("method")
    assert beside.loc["last_touch", "mean_distance"] == pytest.approx(0.25)
    assert beside.loc["last_touch", "greatest_distance"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"path_gap_days": 0}, "path_gap_days is 0: it must be above 0"),
        ({"half_life_days": -1}, "half_life_days is -1: it must be above 0"),
        ({"orders": [0]}, r"orders are \[0\]: at least one from 1 to 4"),
    ],
)
def test_numbers_out_of_range_are_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        walked(WALKED, **wrong)


def test_events_without_channels_or_conversions_say_so():
    nameless = events([("s", "buy", 0)], "session_id", "event", "minute")
    assert attributed(channel_paths(nameless, **RULES)).note == "the events name no channel"
    lost = walked([("a > b", 0, 5)])
    assert attributed(lost).note == "no path ends in a conversion"


NOTHING = pd.DataFrame(columns=["channel", "share", "removal_effect"])


def truth_of(found, top):
    """A truth in which `top` brings four conversions in five."""
    channels = found.table["channel"].unique()
    shares = [0.8 if name == top else 0.2 / (len(channels) - 1) for name in channels]
    return pd.DataFrame({"channel": channels, "share": shares, "removal_effect": np.multiply(shares, 0.5)})


def said(found, truth=NOTHING):
    return told(find(found, beside_planted(found, truth), truth), "09_attribution")


def test_without_truth_the_answer_cannot_be_told():
    one = said(attributed(walked([("a", 9, 1), ("b > a", 1, 5)])))
    assert one[0].startswith("2 cannot be told: All 7 methods put a first, with ")
    apart = said(attributed(walked([("a > b > b", 9, 1), ("a", 0, 30), ("b", 1, 2)])))
    assert apart[0].startswith(
        "2 contradicted: The 7 methods disagree which channel brings most conversions: a or b."
    )


def test_paths_that_name_the_wrong_channel_are_contradicted():
    found = attributed(walked(WALKED))
    least = found.removal["channel"].iloc[-1]
    first = said(found, truth_of(found, least))
    assert first[0].startswith(
        f"2 contradicted: Most conversions truly come by {least}, 80.0%; 7 of 7 methods put"
    )
    assert "; in truth 50.0%." in first[1]


def test_where_nothing_can_be_attributed_that_is_said():
    lost = attributed(walked([("a > b", 0, 5)]))
    assert said(lost)[0].startswith(
        "3 cannot be told: No channel can be given credit: no path ends in a conversion."
    )
    assert plot_attribution(lost, NOTHING) is None
    assert say_truth(lost, NOTHING) == say_credit(lost) == say_removed(lost, NOTHING) == ""


def test_figures_are_drawn_with_and_without_truth():
    found = attributed(walked(WALKED, orders=[1, 2]))
    truth = truth_of(found, "c")
    assert plot_removed(found, NOTHING) is None
    titles = [plot(found, truth).figure for plot in (plot_attribution, plot_removed)]
    titles.append(plot_attribution(found, NOTHING).figure)
    for figure in titles:
        figure.canvas.draw()
        plt.close(figure)
    assert titles[0].get_suptitle().startswith("In truth c brings most, 80.0%; the 8 methods put ")
    assert "Here the right answer is not known" in say_truth(found, beside_planted(found, NOTHING))


def recounted(rows, **rules):
    steps = steps_of(rows, **rules)
    asked = {"path_gap_days": 3, "half_life_days": 7}
    paths = channel_paths(steps, **asked, orders=[1])
    found = attribute(paths, n_draws=400, rng=np.random.default_rng(1))
    again = recount(rows, paths, found, rules=rules, **asked)
    return again, (rows, paths, found, rules, asked)


def off(again):
    return again.loc[(again["value"] - again["reference"]).abs() > again["tolerance"], "name"].tolist()


def test_a_sound_page_is_not_off_and_changed_credit_is(visits):
    rules = {"conversion": "buy", "session_gap_minutes": 30, "least_events": 1, "most_events": None}
    frame = visits.assign(row=range(1, len(visits) + 1))
    frame["occurred_at"] = NOON + pd.to_timedelta(frame.pop("minute"), unit="m").astype("timedelta64[us]")
    again, made = recounted(ibis.memtable(frame), **rules, least_pause_seconds=0.0)
    assert off(again) == []
    rows, paths, found, rules, asked = made
    for rule in ("last_touch", "linear", "position", "shapley", "time_decay"):
        more = found.table["credit"].where(found.table["method"] != rule, found.table["credit"] * 1.01)
        wrong = replace(found, table=found.table.assign(credit=more))
        assert off(recount(rows, paths, wrong, rules=rules, **asked)), rule


def test_paths_with_their_numbers_are_counted_again():
    frame = pd.DataFrame(WALKED, columns=["path", "conversions", "nulls"]).assign(row=range(1, len(WALKED) + 1))
    again, _ = recounted(ibis.memtable(frame), conversion=None)
    assert off(again) == []
    assert len(again) == 16


def test_each_conversion_of_a_session_is_credited(visits):
    more = visits.loc[visits["event"] == "buy"]
    again = [visits, more.assign(minute=more["minute"] + 1), more.assign(minute=more["minute"] + 2)]
    frame = pd.concat(again).sort_values("minute", kind="stable", ignore_index=True)
    frame = frame.assign(row=range(1, len(frame) + 1))
    frame["occurred_at"] = NOON + pd.to_timedelta(frame.pop("minute"), unit="m").astype("timedelta64[us]")
    rules = {"conversion": "buy", "session_gap_minutes": 30, "least_events": 1, "most_events": None}
    rules |= {"least_pause_seconds": 0.0}
    again, made = recounted(ibis.memtable(frame), **rules)
    rows, once, *_ = made
    asked = {"path_gap_days": 3, "half_life_days": 7, "each_of": "buy"}
    rules |= {"several_conversions": "last"}
    paths = channel_paths(steps_of(rows, **rules), **asked, orders=[1])
    assert paths.n_conversions == 3 * once.n_conversions
    assert paths.n_paths == once.n_paths + 2 * once.n_conversions
    found = attribute(paths, n_draws=400, rng=np.random.default_rng(1))
    assert off(again) == [] and off(recount(rows, paths, found, rules=rules, **asked)) == []
    credit_of = [p.credits.groupby("channel")["last_touch"].sum() for p in (paths, once)]
    assert_allclose(credit_of[0], 3 * credit_of[1])
