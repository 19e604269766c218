"""Page 08: sessions counted by hand, the chain against print and brute force, intervals, attribution."""

from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from test_clickstream_elasticity import improved

from journeybook.clickstream.counts import StepCounts, count_steps
from journeybook.clickstream.elasticity import elasticities
from journeybook.clickstream.intervals import (
    bottleneck_table,
    draw_chains,
    state_table,
    transition_table,
    without_exits,
)
from journeybook.clickstream.orders import choose_order
from journeybook.clickstream.words import say_counts, say_lost, say_without_exits
from journeybook.journeys.links import default_conversion
from journeybook.journeys.sessions import CONVERSION, EXIT, START, session_steps
from journeybook.plots.clickstream import plot_bottlenecks
from journeybook.statistics.chains import transition_model

NOON = pd.Timestamp("2017-06-01 12:00")


def events(rows, *columns):
    """Canonical events from tuples; `minute` becomes `occurred_at`."""
    frame = pd.DataFrame(rows, columns=[*columns])
    frame.insert(0, "row", range(1, len(frame) + 1))
    if "minute" in frame:
        frame["occurred_at"] = (NOON + pd.to_timedelta(frame.pop("minute"), unit="m")).astype("datetime64[us]")
    return ibis.memtable(frame)


def count(table, conversion="buy", gap=30):
    return count_steps(table, conversion=conversion, session_gap_minutes=gap)


def steps(counts):
    total = counts.counts.groupby(["source", "target"])["n"].sum()
    return {f"{source}>{target}": n for (source, target), n in total.items()}


def chain_of(pairs):
    frame = pd.DataFrame(pairs, columns=["source", "target", "n"])
    return transition_model(frame, conversion=CONVERSION, exit=EXIT)


@pytest.fixture(scope="module")
def shop():
    """Sessions of 200 people of two kinds, some unknown visitors."""
    rng = np.random.default_rng(4)
    rows, session = [], 0
    for person in range(200):
        eager = person % 2
        for _ in range(1 + rng.poisson(4)):
            session += 1
            channel = rng.choice(["email", "search", "direct"])
            event, position = "home", 0
            while event is not None:
                position += 1
                rows.append((f"s{session}", f"p{person}" if person % 5 else None, event, 60 * session + position,
                             position, channel))  # fmt: skip
                law = {
                    "home": (["item", None], [0.7, 0.3]),
                    "item": (["home", "cart", None], [0.3, 0.2 + 0.3 * eager, 0.5 - 0.3 * eager]),
                    "cart": (["buy", "item", None], [0.4, 0.3, 0.3]),
                    "buy": ([None], [1.0]),
                }[event]
                event = rng.choice(np.array(law[0], dtype=object), p=law[1])
    return events(rows, "session_id", "person_id", "event", "minute", "position", "channel")


@pytest.fixture(scope="module")
def chain(shop):
    return draw_chains(count(shop), n_draws=200, rng=np.random.default_rng(1))


# --- sessions -----------------------------------------------------------------------------------


def test_a_pause_begins_a_new_session_only_if_strictly_longer_than_the_gap():
    rows = [("a", "home", 0), ("a", "item", 30), ("a", "home", 60.02)]
    counts = count(events(rows, "person_id", "event", "minute"), conversion=None)
    assert counts.n_sessions == 2
    assert steps(counts) == {"(start)>home": 2, "home>item": 1, "home>(exit)": 1, "item>(exit)": 1}


def test_a_given_session_wins_over_the_pause():
    rows = [("s", "a", "home", 0), ("s", "a", "item", 500), ("t", "a", "home", 501)]
    assert count(events(rows, "session_id", "person_id", "event", "minute"), conversion=None).n_sessions == 2


def test_ties_go_by_position_and_then_by_row_and_are_counted():
    rows = [("s", "c", 0, 2), ("s", "b", 0, 2), ("s", "z", 0, 1)]
    counts = count(events(rows, "session_id", "event", "minute", "position"), conversion=None)
    assert steps(counts) == {"(start)>z": 1, "z>c": 1, "c>b": 1, "b>(exit)": 1}
    assert counts.n_tied == 1
    assert "1 events bear the time of the one before, and keep the file's order" in say_counts(counts)


def test_who_signs_in_halfway_is_known_in_the_whole_session():
    rows = [("s", None, "home", 0), ("s", "p", "item", 1), ("t", None, "home", 5), (None, "q", "home", 9)]
    table = events(rows, "session_id", "person_id", "event", "minute")
    counts = count(table, conversion=None)
    assert (counts.n_people, counts.n_clusters, counts.n_sessions) == (2, 3, 3)
    found = session_steps(table, conversion=None, session_gap_minutes=30).order_by("row").to_pandas()
    assert found["cluster"].tolist() == ["p p", "p p", "s t", "p q"]


@pytest.mark.parametrize("path", ["a > b", "a|b", "a -> b", "a,b", "a > > b", " a >b> "])
def test_separators_and_empty_steps_of_paths(path):
    table = events([(path, 2, 3)], "path", "conversions", "nulls")
    counts = count(table, conversion=None)
    assert steps(counts) == {"(start)>a": 5, "a>b": 5, "b>(conversion)": 2, "b>(exit)": 3}
    assert counts.n_empty_steps == path.replace(" ", "").count(">>") + path.endswith("> ")
    assert ("bars" in say_counts(counts)) == ("|" in path)


def test_fractional_conversions_are_kept():
    rows = [("A > B", 2.5, 4), ("A", 0.5, 6), ("B > A > B", 1.2, 2), ("B", 3, 1)]
    counts = count(events(rows, "path", "conversions", "nulls"), conversion=None)
    assert (counts.n_conversions, counts.n_sessions) == pytest.approx((7.2, 20.2))
    chain = draw_chains(counts, n_draws=20, rng=np.random.default_rng(1))
    assert chain.model.conversion_probability[chain.model.at(START)] == pytest.approx(7.2 / 20.2, abs=1e-12)
    assert transition_table(chain).set_index(["source", "target"])["n"]["A", "B"] == pytest.approx(9.7)


def test_more_kinds_of_event_than_a_chain_holds_are_said_with_the_cure():
    rows = [(f"s{k}", f"/p?u={k}", k) for k in range(1_001)]
    with pytest.raises(ValueError, match=r"there are 1,001 kinds of event.*Group them in the mapping"):
        count(events(rows, "session_id", "event", "minute"), conversion=None)


def test_positions_alone_order_a_session():
    rows = [("s", "item", 2), ("s", "home", 1), ("s", "buy", 3)]
    counts = count(events(rows, "session_id", "event", "position"))
    assert steps(counts) == {"(start)>home": 1, "home>item": 1, "item>(conversion)": 1}
    assert counts.n_cut_by_log == 0


def test_what_follows_the_first_conversion_is_set_aside():
    rows = [("s", "home", 0), ("s", "buy", 1), ("s", "home", 2), ("s", "buy", 3), ("t", "home", 200)]
    counts = count(events(rows, "session_id", "event", "minute"))
    assert (counts.n_sessions, counts.n_conversions, counts.n_after_conversion) == (2, 1, 2)
    assert steps(counts) == {"(start)>home": 2, "home>(conversion)": 1, "home>(exit)": 1}


def test_sessions_at_the_edges_of_the_log_are_counted():
    rows = [("s", "home", 0), ("t", "home", 300), ("u", "home", 600), ("u", "buy", 601)]
    assert count(events(rows, "session_id", "event", "minute")).n_cut_by_log == 1


def test_events_of_nobody_in_no_session_are_set_aside():
    rows = [(None, None, "home", 0), ("s", None, "home", 1), (None, "a", "item", 2)]
    counts = count(events(rows, "session_id", "person_id", "event", "minute"), conversion=None)
    assert (counts.n_unplaced, counts.n_sessions, counts.n_people, counts.n_clusters) == (1, 2, 1, 2)


def test_people_are_grouped_without_looking_at_their_ids(shop):
    frame = shop.to_pandas()
    renamed = frame.assign(person_id="x" + frame["person_id"].str[::-1])
    pd.testing.assert_frame_equal(count(ibis.memtable(renamed)).counts, count(shop).counts)


def test_rows_that_may_not_be_read_leave_no_trace(shop):
    frame = shop.to_pandas()
    refused = frame[frame["person_id"].isna() | ~frame["person_id"].isin(["p1", "p7", "p42"])]
    never = refused.assign(row=range(1, len(refused) + 1))
    pd.testing.assert_frame_equal(count(ibis.memtable(refused)).counts, count(ibis.memtable(never)).counts)


def test_more_clusters_than_groups_are_hashed_evenly():
    rows = [(f"s{n}", "home", n) for n in range(20_000)]
    counts = count(events(rows, "session_id", "event", "minute"), conversion=None)
    sizes = counts.counts[counts.counts["source"] == "(start)"]["n"]
    assert counts.n_clusters == 20_000
    assert sizes.sum() == 20_000
    assert 4_000 < counts.counts["group"].nunique() <= 4_096
    assert sizes.var() == pytest.approx(20_000 / 4_096, rel=0.15)


def test_aggregated_paths_are_walked_as_often_as_they_say():
    paths = pd.DataFrame({"row": [1, 2], "path": ["a > b", "b"], "conversions": [2, 0], "nulls": [3, 4]})
    counts = count(ibis.memtable(paths), conversion=CONVERSION)
    assert steps(counts) == {"(start)>a": 5, "(start)>b": 4, "a>b": 5, "b>(conversion)": 2, "b>(exit)": 7}
    assert (counts.n_sessions, counts.n_conversions, counts.aggregated) == (9, 2, True)


@pytest.mark.parametrize(
    ("rows", "gap", "conversion", "message"),
    [
        ([("s", "home", 0)], 0, None, "session_gap_minutes is 0"),
        ([("s", "(exit)", 0)], 30, None, "named '(exit)'"),
        ([("s", "home", 0)], 30, "buy", "never happens; the most frequent events are home"),
    ],
)
def test_bad_input_is_named(rows, gap, conversion, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        count(events(rows, "session_id", "event", "minute"), conversion=conversion, gap=gap)


def test_the_usual_conversion_is_found_only_where_it_is():
    assert default_conversion(events([("s", "purchase", 0)], "session_id", "event", "minute")) == "purchase"
    assert default_conversion(events([("s", "home", 0)], "session_id", "event", "minute")) is None


# --- chain --------------------------------------------------------------------------------------


def test_the_drunkards_walk():
    """Corners 0 to 4, home at 4, bar at 0 (Grinstead & Snell 1997, examples 11.13 to 11.15)."""
    pairs = [("1", "0"), ("1", "2"), ("2", "1"), ("2", "3"), ("3", "2"), ("3", "4")]
    steps = pd.DataFrame(pairs, columns=["source", "target"]).assign(n=1)
    walk = transition_model(steps, conversion="4", exit="0")
    assert_allclose(walk.visits, [[1.5, 1.0, 0.5], [1.0, 2.0, 1.0], [0.5, 1.0, 1.5]], atol=1e-12)
    assert_allclose(walk.expected_steps, [3, 4, 3], atol=1e-12)
    assert_allclose(walk.conversion_probability, [0.25, 0.5, 0.75], atol=1e-12)


def test_a_state_without_a_way_out_is_named():
    with pytest.raises(ValueError, match="state 'a' never reaches"):
        chain_of([("(start)", "(exit)", 1), ("(start)", "a", 1), ("a", "b", 1), ("b", "a", 1)])


def test_steps_out_of_an_end_are_refused():
    with pytest.raises(ValueError, match="steps leave"):
        chain_of([("(start)", "(exit)", 1), ("(exit)", "(start)", 1)])


def test_elasticities_equal_brute_force(chain):
    """A step is changed a little both ways, and the chain solved again."""
    model, start, change = chain.model, chain.model.at(START), 1e-5
    s, tried = len(model.states), 0
    for step, found in enumerate(elasticities(model, start=start)):
        if not np.isfinite(found):
            continue
        chances, tried = [], tried + 1
        for factor in (1 + change, 1 - change):
            p, grown = model.probabilities.copy(), model.steps[step] * factor
            p[model.source[step]] *= (1 - grown) / (1 - model.steps[step])
            p[model.source[step], model.target[step]] = grown
            chances.append(np.linalg.solve(np.eye(s) - p[:, :s], p[:, s])[start])
        slope = (chances[0] - chances[1]) / (2 * change * model.conversion_probability[start])
        assert found == pytest.approx(slope, abs=1e-8)
    assert tried > 3


def test_the_only_road_has_elasticity_one():
    """home -> cart -> conversion, everything else leaves: one per cent more is one per cent more."""
    model = chain_of(
        [("(start)", "home", 10), ("home", "cart", 5), ("home", "(exit)", 5), ("cart", "(conversion)", 1),
         ("cart", "(exit)", 4)]
    )  # fmt: skip
    found = pd.Series(elasticities(model, start=0), index=[model.source, model.target])
    assert found[model.at("home"), model.at("cart")] == pytest.approx(1)
    assert found[model.at("cart"), len(model.states)] == pytest.approx(1)


def test_an_improved_step_is_what_solving_again_gives(chain):
    p, start = chain.model.probabilities, chain.model.at(START)
    before = chain.model.conversion_probability[start]
    for factor in (1.1, 3.0):
        growth = improved(chain.model, factor=factor)
        for i, j, found in zip(chain.model.source, chain.model.target, growth, strict=True):
            if np.isnan(found):
                continue
            again = p.copy()
            grown = min(p[i, j] * factor, 1.0)
            again[i] *= (1 - grown) / (1 - p[i, j])
            again[i, j] = grown
            after = np.linalg.solve(np.eye(len(p)) - again[:, : len(p)], again[:, -2])[start]
            assert found == pytest.approx(after / before - 1, abs=1e-10)


def test_lost_conversions_by_hand():
    """10 visits to cart: 2 convert, 3 leave, 5 go home and all leave. h = 0.2, lost = 3 x 0.2 / 0.7."""
    counts = StepCounts(
        counts=pd.DataFrame(
            [("g", "(start)", "cart", 10), ("g", "cart", "(conversion)", 2), ("g", "cart", "(exit)", 3),
             ("g", "cart", "home", 5), ("g", "home", "(exit)", 5)],
            columns=["group", "source", "target", "n"],
        ),
        conversion="buy", n_events=17, n_sessions=10, n_conversions=2, n_clusters=1, aggregated=False,
    )  # fmt: skip
    states = state_table(draw_chains(counts, n_draws=5, rng=np.random.default_rng(0)))
    cart = states.set_index("state").loc["cart"]
    assert cart["conversion_probability"] == pytest.approx(0.2)
    assert cart["lost_conversions"] == pytest.approx(3 * 0.2 / 0.7)


def test_without_exits_everything_converts(chain):
    wrong = without_exits(chain)
    assert_allclose(wrong["conversion_without_exits"], 1)
    home = wrong[(wrong["source"] == "home") & (wrong["target"] == "item")].iloc[0]
    assert home["probability"] < 0.8
    assert home["probability_without_exits"] == pytest.approx(1)


# --- intervals ----------------------------------------------------------------------------------


def test_intervals_hold_the_estimate_and_are_wider_where_people_differ(shop, chain):
    clustered = transition_table(chain)
    assert (clustered["probability_low"] <= clustered["probability"] + 1e-12).all()
    assert (clustered["probability_high"] >= clustered["probability"] - 1e-12).all()
    # Enough draws for the ends to be steady to a few per cent of the width.
    clustered, independent = (
        transition_table(draw_chains(counts, n_draws=4_000, rng=np.random.default_rng(1)))
        for counts in (count(shop), replace(count(shop), aggregated=True))
    )
    step = (clustered["source"] == "item") & (clustered["target"] == "cart")
    width = [(t["probability_high"] - t["probability_low"])[step].iloc[0] for t in (clustered, independent)]
    assert width[0] > 1.1 * width[1]


def test_intervals_of_aggregated_paths_are_those_of_a_dirichlet_posterior():
    """A share then has a beta distribution, whose quantiles SciPy has; 20,000 draws, ends within 4 errors."""
    rows = [("a > b", 30, 60), ("a", 15, 95), ("b > a", 0, 40)]
    table = events(rows, "path", "conversions", "nulls")
    counts = count_steps(table, conversion=None, session_gap_minutes=30)
    found = transition_table(draw_chains(counts, n_draws=20_000, rng=np.random.default_rng(8)))
    rows = found[found["source"] == "a"].set_index("target")
    # 240 visits to a: 90 go on to b, 15 convert, 135 leave.
    for target, n in (("b", 90), (CONVERSION, 15), (EXIT, 135)):
        for name, tail in (("probability_low", 0.025), ("probability_high", 0.975)):
            law = stats.beta(n, 240 - n)
            error = np.sqrt(tail * (1 - tail) / 20_000) / law.pdf(law.ppf(tail))
            assert rows.at[target, name] == pytest.approx(law.ppf(tail), abs=4 * error)


def test_intervals_of_lost_conversions_are_those_of_each_draw_by_hand(chain):
    states, model = state_table(chain).set_index("state"), chain.model
    s, lost = len(model.states), []
    for n in chain.drawn:
        p = np.zeros((s, s + 2))
        p[model.source, model.target] = n
        exits, p = p[:, -1], p / p.sum(axis=1, keepdims=True)
        wins = np.linalg.solve(np.eye(s) - p[:, :s], p[:, s])
        lost.append(exits * wins / (1 - p[:, -1]))
    low, high = np.quantile(lost, [0.025, 0.975], axis=0)
    assert_allclose(states.loc[list(model.states), "lost_conversions_low"], low, atol=1e-9)
    assert_allclose(states.loc[list(model.states), "lost_conversions_high"], high, atol=1e-9)
    first = np.bincount(np.argmax(lost, axis=1), minlength=s) / len(lost)
    assert_allclose(states.loc[list(model.states), "first_share"], first)


def test_where_every_session_converts_at_once_nothing_is_left_to_say():
    rows = [(f"p{k}", "buy", 60 * k) for k in range(30)]
    counts = count(events(rows, "person_id", "event", "minute"))
    chain = draw_chains(counts, n_draws=20, rng=np.random.default_rng(1))
    bottlenecks, states = bottleneck_table(chain, improvement=0.1), state_table(chain)
    kept = session_steps(events(rows, "person_id", "event", "minute"), conversion="buy", session_gap_minutes=30)
    assert bottlenecks.empty
    assert choose_order(kept, max_order=2).table["chosen"].sum() == 1
    assert say_lost(states).startswith("Most sessions, ")
    assert plot_bottlenecks(bottlenecks) is None


def test_where_nothing_converts_nothing_is_ranked(shop):
    counts = count(shop, conversion=None)
    chain = draw_chains(counts, n_draws=20, rng=np.random.default_rng(1))
    bottlenecks = bottleneck_table(chain, improvement=0.1)
    states = state_table(chain)
    wrong = without_exits(chain)
    assert bottlenecks.empty
    assert (states["lost_conversions"] == 0).all()
    assert (wrong["conversion_without_exits"] == 0).all()
    assert "no event counts as conversion" in say_counts(counts)
    assert "nan" not in say_lost(states) + say_without_exits(wrong, counts)
