"""The simulated visits: exactly the planted chain, around baskets that are real."""

import json

import ibis
import numpy as np
import pandas as pd
import pytest

from journeybook.datasets.demo import event_chains as chains
from journeybook.datasets.demo import event_truth
from journeybook.datasets.demo.events import _draw_journeys, _draw_sessions, simulate_events
from journeybook.datasets.demo.properties import BROKEN, BROKEN_DAYS, with_properties

N_HOUSEHOLDS, N_BASKETS = 600, 30_000


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(3)
    held = ibis.duckdb.connect()
    moments = pd.Timestamp("2017-01-01") + pd.to_timedelta(
        rng.integers(364, size=N_BASKETS) * 86_400 + rng.integers(7 * 3_600, 22 * 3_600, size=N_BASKETS), unit="s"
    )
    lines = pd.DataFrame(
        {
            "row": np.arange(1, N_BASKETS + 1),
            "customer_id": rng.integers(N_HOUSEHOLDS, size=N_BASKETS).astype(str),
            "occurred_at": np.sort(moments.to_numpy()),
            "basket_id": np.arange(N_BASKETS).astype(str),
        }
    )
    held.con.register("lines", lines)
    held.raw_sql("CREATE TABLE transactions AS SELECT * FROM lines")
    households = np.arange(N_HOUSEHOLDS)
    accounts = pd.DataFrame(
        {
            "household_id": households.astype(str),
            "customer_id": [f"W{h:04d}" if h % 3 == 0 else None for h in households],
            "customer_type": rng.choice(["bargain_hunter", "convenience", "planner"], size=N_HOUSEHOLDS),
        }
    )
    return held, accounts


@pytest.fixture(scope="module")
def demo(world):
    return simulate_events(world[0], seed=7, web_accounts=world[1])


def test_every_tenth_basket_ends_a_session_of_its_household(world, demo):
    connection, accounts = world
    baskets = connection.table("transactions").to_pandas().set_index("basket_id")
    purchases = demo.events[demo.events["event"] == "purchase"]
    assert len(purchases) == N_BASKETS / 10
    baskets["account"] = baskets["customer_id"].map(accounts.set_index("household_id")["customer_id"])
    held = baskets.groupby(["occurred_at", baskets["account"].fillna("")]).size()
    found = purchases.groupby(["occurred_at", purchases["customer_id"].fillna("")]).size()
    assert (found <= held.reindex(found.index)).all()


def test_sessions_are_whole_and_shorter_than_the_gap(demo):
    events = demo.events.sort_values(["session_id", "position"])
    same = events["session_id"].eq(events["session_id"].shift())
    pause = events["occurred_at"].diff()[same]
    assert pause.min() >= pd.Timedelta(seconds=1)
    assert pause.max() < pd.Timedelta(minutes=30)
    assert (events.groupby("session_id")["position"].max() == events.groupby("session_id").size()).all()
    assert (events.groupby("session_id")[["channel", "device"]].nunique() == 1).all().all()
    buys = events["event"].eq("purchase")
    assert not (buys & events["session_id"].eq(events["session_id"].shift(-1))).any()


def test_events_come_in_the_order_of_time_and_within_the_year(demo):
    assert demo.events["occurred_at"].is_monotonic_increasing
    assert demo.events["occurred_at"].max() < pd.Timestamp("2018-01-01")


def test_few_sessions_of_one_person_touch(demo):
    spans = demo.events.dropna(subset=["customer_id"]).groupby("session_id", sort=False)
    spans = spans.agg(
        customer_id=("customer_id", "first"), opens=("occurred_at", "min"), closes=("occurred_at", "max")
    ).sort_values(["customer_id", "opens"])
    same = spans["customer_id"].eq(spans["customer_id"].shift())
    between = (spans["opens"] - spans["closes"].shift())[same]
    assert (between <= pd.Timedelta(minutes=30)).mean() < 0.005


@pytest.mark.parametrize("seed", [1, 2])
def test_the_mix_is_the_planted_chain(world, seed):
    """Every transition of the mix lies within what sampling allows; all together by a chi-square."""
    demo = simulate_events(world[0], seed=seed, web_accounts=world[1])
    events = demo.events.sort_values(["session_id", "position"])
    source = events["event"].where(events["event"] != "purchase")
    target = events.groupby("session_id", sort=False)["event"].shift(-1).fillna("(exit)")
    seen = pd.DataFrame({"source": source, "target": target}).dropna().value_counts().rename("n").reset_index()
    mix = demo.truth["event_mix"]
    mix = mix[mix["source"] != "(start)"].merge(seen, how="outer", on=["source", "target"])
    assert mix["probability"].notna().all()
    totals = mix.groupby("source")["n"].transform("sum")
    expected = totals * mix["probability"]
    large = expected >= 10
    chi = ((mix["n"].fillna(0) - expected) ** 2 / expected)[large]
    # Its expectation is the number of free cells; the conditioning on the number of conversions takes some.
    assert chi.sum() < large.sum() + 4 * np.sqrt(2 * large.sum())
    assert chi.sum() > large.sum() / 3


def test_the_conversion_rate_is_the_planted_one(demo):
    mix = demo.truth["event_mix"]
    planted = [
        mix.loc[mix[c] == v, "expected_n"].sum() for c, v in (("target", "purchase"), ("source", "(start)"))
    ]
    rate = demo.events["event"].eq("purchase").sum() / demo.events["session_id"].nunique()
    assert rate == pytest.approx(planted[0] / planted[1], rel=0.02)


def test_payments_in_the_app_fail_while_the_checkout_is_at_fault(demo):
    fault = demo.truth["event_faults"].iloc[0]
    payments = demo.events[demo.events["event"].isin(["payment", "purchase"]) & (demo.events["device"] == "app")]
    inside = payments["occurred_at"].between(fault["starts_at"], fault["ends_at"], inclusive="left")
    count = payments.groupby([inside.rename("inside"), "event"]).size().unstack()
    rate = count["purchase"] / count["payment"]
    assert rate[True] < rate[False] * (1 - fault["failure_share"] / 2)


def test_the_planted_bottleneck_has_the_greatest_elasticity(demo):
    mix = demo.truth["event_mix"].pivot(index="source", columns="target", values="probability")
    mix = mix.reindex(index=["(start)", *chains.STATES], columns=chains.TARGETS).fillna(0).to_numpy()
    gains = chains.elasticities(mix[0, : chains.N_STATES], mix[1:])
    source, target = np.unravel_index(gains.argmax(), gains.shape)
    planted = demo.truth["event_bottlenecks"]
    assert [*zip(planted["source"], planted["target"], strict=True)] == [
        (chains.STATES[source], chains.TARGETS[target])
    ]


def test_reruns_without_a_channel_agree_with_the_closed_form():
    """The rerun keeps what happened before the channel, so the two differ by the draw of the data alone.

    Over 25 seeds the difference had mean 0 and the spread of a count of the conversions through the channel.
    """
    rng = np.random.default_rng(2)
    law = chains.draw_law(rng, weights=np.ones(3))
    ends_at = 1_500_000_000 + rng.integers(300 * 86_400, size=1_500)
    baskets = pd.DataFrame({"household_id": "1", "customer_id": None, "ends_at": ends_at})
    window = 1_500_000_000 + 86_400 * 100, 1_500_000_000 + 86_400 * 120
    journeys = _draw_journeys(baskets, rng.integers(3, size=1_500), law, window, rng)
    sessions = _draw_sessions(journeys, law, rng)
    found = event_truth._channels(law, journeys, sessions, rng)
    assert found["share"].sum() == pytest.approx(1)
    converts, by_journey = chains.journeys_convert(law)
    keeps = np.where(journeys["in_fault"], 1 - law.failure_share, 1.0)
    weights = np.bincount(journeys["customer_type"], weights=keeps, minlength=3)
    for channel, lost in enumerate(found["conversions_lost"]):
        expected = 0.0
        for t in range(3):
            moves = chains.without_channel(chains.channel_moves(law, converts[t]), channel, law.replaced_by)
            arrival = chains.without_channel(law.arrival[t], channel, law.replaced_by)
            expected += weights[t] * (law.arrival[t] @ by_journey[t] - arrival @ chains.reach(moves, converts[t]))
        through = (sessions["bought"] & (sessions["channel"] == channel)).sum()
        assert abs(lost - expected) < 4.5 * np.sqrt(through)


def test_reach_solves_the_drunkards_walk():
    """Grinstead & Snell 1997, example 11.13: home from corner 1, 2, 3 with chance 1/4, 1/2, 3/4."""
    moves = np.array([[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]])
    np.testing.assert_allclose(chains.reach(moves, np.array([0, 0, 0.5])), [0.25, 0.5, 0.75], atol=1e-12)


def test_the_two_conditioned_chains_mix_back_to_the_chain():
    rng = np.random.default_rng(5)
    law = chains.draw_law(rng, weights=np.ones(3))
    steps = law.steps[0]
    inside, buys, leaves = steps[:, : chains.N_STATES], steps[:, chains.N_STATES], steps[:, chains.N_STATES + 1]
    chance = chains.reach(inside, buys)
    converting, leaving = chains.conditioned(inside, buys), chains.conditioned(inside, leaves)
    np.testing.assert_allclose(converting.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(leaving.sum(axis=1), 1, atol=1e-12)
    back = chance[:, None] * converting[:, :-1] + (1 - chance)[:, None] * leaving[:, :-1]
    np.testing.assert_allclose(back, inside, atol=1e-12)


def test_elasticities_equal_finite_differences():
    law = chains.draw_law(np.random.default_rng(5), weights=np.ones(3))
    start, steps = chains.mixed(law, np.ones(3))
    gains = chains.elasticities(start, steps)
    n = chains.N_STATES

    def conversion(matrix):
        return start @ chains.reach(matrix[:, :n], matrix[:, n])

    for row, column in ((4, 6), (6, 8), (9, n)):
        ends = []
        for factor in (1 + 1e-6, 1 - 1e-6):
            moved = steps.copy()
            p = steps[row, column]
            moved[row] *= (1 - p * factor) / (1 - p)
            moved[row, column] = p * factor
            ends.append(conversion(moved))
        assert gains[row, column] == pytest.approx((ends[0] - ends[1]) / 2e-6 / conversion(steps), rel=1e-6)


def test_properties_stand_beside_columns_that_stay_as_they_were(demo):
    sent = with_properties(demo.events, products=np.array(["p", "q"]), seed=7)
    pd.testing.assert_frame_equal(sent[demo.events.columns], demo.events)
    again = with_properties(demo.events, products=np.array(["p", "q"]), seed=7)
    pd.testing.assert_frame_equal(sent, again)
    said = pd.json_normalize(sent["properties"].map(json.loads).tolist()).assign(event=sent["event"])
    assert said.groupby("event").product_id.count()["basket"] == (sent["event"] == "basket").sum()
    assert set(said.loc[said.payment.notna(), "event"]) == {chains.PURCHASE}
    broken = sent[sent["release"] == BROKEN]
    assert set(broken["device"]) == {"app"}
    assert 0 < (broken["occurred_at"].max() - broken["occurred_at"].min()).days < BROKEN_DAYS
