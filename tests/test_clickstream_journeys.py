"""Page 08, ways and moments: flow and funnels by hand, offers against every policy, rates by simulation."""

import ibis
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from journeybook.clickstream.funnels import funnel, likeliest_path
from journeybook.clickstream.intervals import OTHERS, ChainDraws
from journeybook.clickstream.moments import (
    best_moments,
    live_sessions,
    offer_values,
    reach_probabilities,
)
from journeybook.clickstream.words import say_when
from journeybook.journeys.sessions import CONVERSION, EXIT, START, session_steps
from journeybook.statistics.chains import transition_model
from journeybook.statistics.rates import clustered_rates

NOON = pd.Timestamp("2017-06-01 12:00")
WALKED = ["a", "a b", "a b buy", "a buy", "b b b b b", "buy"]


def kept(sessions, *, people=None):
    """Steps of sessions written as words; minute after minute, one session an hour."""
    rows = [
        (f"s{k}", people[k] if people else f"p{k}", word, NOON + pd.Timedelta(hours=2 * k, minutes=m))
        for k, session in enumerate(sessions)
        for m, word in enumerate(session.split())
    ]
    frame = pd.DataFrame(rows, columns=["session_id", "person_id", "event", "occurred_at"])
    frame.insert(0, "row", range(1, len(frame) + 1))
    frame["occurred_at"] = frame["occurred_at"].astype("datetime64[us]")
    conversion = "buy" if (frame["event"] == "buy").any() else None
    return session_steps(ibis.memtable(frame), conversion=conversion, session_gap_minutes=30)


def chain(rows):
    """A model from (source, target, n)."""
    return transition_model(
        pd.DataFrame(rows, columns=["source", "target", "n"]), conversion=CONVERSION, exit=EXIT
    )


@pytest.fixture(scope="module")
def shop():
    """A chain in which it pays to wait at some pages."""
    return chain(
        [
            *[
                (START, "home", 60),
                (START, "item", 40),
                ("home", "item", 50),
                ("home", "home", 10),
                ("home", EXIT, 40),
            ],
            *[("item", "cart", 30), ("item", "home", 15), ("item", EXIT, 55), ("cart", "item", 20)],
            *[("cart", CONVERSION, 45), ("cart", EXIT, 35)],
        ]
    )


# No stages are asked for by these chains.
NOTHING = None


def test_funnels_by_hand():
    sessions = ["a b c", "a x b c", "b a c b", "a b x c", "c", "x a b a b c"]
    found = funnel(kept(sessions), NOTHING, stages=["a", "b", "c"])
    reached = found.set_index(["definition", "number"])["n_sessions"]
    assert reached["loose"].tolist() == [5, 5, 4]
    assert reached["strict"].tolist() == [5, 3, 2]
    shares = found.set_index(["definition", "number"])
    assert_allclose(shares.loc["loose", "of_previous"], [5 / 6, 1, 4 / 5])
    assert_allclose(shares.loc["strict", "of_previous"], [5 / 6, 3 / 5, 2 / 3])
    assert_allclose(shares.loc["strict", "share"], np.array([5, 3, 2]) / 6)


def test_funnels_against_going_through_every_session():
    rng = np.random.default_rng(5)
    sessions = [" ".join(rng.choice(list("abcd"), size=rng.integers(1, 9))) for _ in range(300)]
    stages = ["a", "c", "a", "b"]
    found = funnel(kept(sessions), NOTHING, stages=stages).set_index(["definition", "number"])["n_sessions"]
    for number in range(1, 5):
        loose = strict = 0
        for session in (s.split() for s in sessions):
            walk = iter(session)
            loose += all(stage in walk for stage in stages[:number])
            strict += any(session[i : i + number] == stages[:number] for i in range(len(session)))
        assert found["loose", number] == loose
        assert found["strict", number] == strict


def test_a_funnel_of_unknown_stages_names_them():
    with pytest.raises(ValueError, match="funnel names 'cart', which never happens; the events are a and b"):
        funnel(kept(["a b"]), NOTHING, stages=["a", "cart"])
    with pytest.raises(ValueError, match="funnel holds 1 stages"):
        funnel(kept(["a b"]), NOTHING, stages=["a"])


def test_the_likeliest_path_has_the_largest_product(shop):
    assert likeliest_path(shop) == ("item", "cart", CONVERSION)
    # By hand: start > item > cart > conversion 0.4 x 0.3 x 0.45; by home 0.6 x 0.5 x 0.3 x 0.45, which is less.
    assert likeliest_path(chain([(START, "a", 5), ("a", EXIT, 5)])) == ()
    certain = chain([(START, "a", 5), ("a", "b", 4), ("a", EXIT, 1), ("b", CONVERSION, 4)])
    assert likeliest_path(certain) == ("a", "b", CONVERSION)


def test_an_offer_brings_those_kept_with_the_chance_of_those_who_go_on(shop):
    p, h = shop.probabilities, shop.conversion_probability
    for k in range(len(shop.states)):
        leaves = p[k, -1]
        others = (p[k, :-2] @ h + p[k, -2]) / (1 - leaves)
        assert offer_values(p)[k] == pytest.approx(leaves * others, abs=1e-12)


def test_the_best_page_for_an_offer_is_that_of_the_greatest_gain_and_chance_of_coming_there(shop):
    drawn = ChainDraws(
        model=shop, drawn=np.random.default_rng(1).standard_gamma(shop.n, size=(50, len(shop.n))), clustered=False
    )
    few, many = best_moments(drawn, kept_share=0.1), best_moments(drawn, kept_share=0.5)
    assert few["best_state"].tolist() == many["best_state"].tolist()
    assert_allclose(5 * few["gain_now"], many["gain_now"])
    assert (few["gain_now_low"] < few["gain_now"]).all()
    assert (few["gain_now"] < few["gain_now_high"]).all()
    gain = few.set_index("state")["gain_now"]
    reach = pd.DataFrame(reach_probabilities(shop.probabilities), shop.states, shop.states)
    for row in few.itertuples():
        worth = reach.loc[row.state, gain.index] * gain
        assert (row.best_state, row.gain_best) == (worth.idxmax(), pytest.approx(worth.max()))
    assert set(few["best_state"]) < set(few["state"])
    with pytest.raises(ValueError, match="kept_share is 0: it must be above 0"):
        best_moments(drawn, kept_share=0)


def test_the_chance_of_coming_to_a_state_is_that_of_walks(shop):
    reach = reach_probabilities(shop.probabilities)
    rng, n, target = np.random.default_rng(2), 100_000, shop.at("cart")
    cumulative = np.cumsum(shop.probabilities, axis=1)
    at, met = np.full(n, shop.at("home")), np.zeros(n, dtype=bool)
    while (at < len(shop.states)).any():
        walking = np.flatnonzero(at < len(shop.states))
        at[walking] = (rng.random(len(walking))[:, None] >= cumulative[at[walking], :-1]).sum(axis=1)
        met |= at == target
    assert reach[shop.at("home"), target] == pytest.approx(met.mean(), abs=4 * np.sqrt(0.25 / n))
    assert_allclose(np.diagonal(reach), 1)


def test_live_sessions_are_those_of_the_last_minutes():
    steps = kept(["home", "home item", "home buy"], people=["a", "b", None])
    moments = pd.DataFrame(
        {"state": ["home", "item"], "conversion_probability": [0.1, 0.2], "gain_now": [0.01, 0.02]}
    ).assign(reach_probability=1.0, best_state="item")
    model = chain([(START, "item", 5), ("item", CONVERSION, 1), ("item", EXIT, 4), ("home", EXIT, 1)])
    asked = {"model": model, "known_only": True}
    assert live_sessions(steps, moments, session_gap_minutes=30, **asked).empty  # the last session has converted
    near = live_sessions(steps, moments, session_gap_minutes=130, **asked)
    assert near["person_id"].tolist() == ["b"]
    assert near[["state", "n_events", "conversion_probability"]].to_numpy().tolist() == [["item", 2, 0.2]]
    pooled = moments.assign(state=["home", OTHERS], best_state="home")
    assert live_sessions(steps, pooled, session_gap_minutes=130, **asked)["best_state"].tolist() == ["home"]
    stranger = kept(["home buy", "item"], people=["a", None])
    assert live_sessions(stranger, moments, session_gap_minutes=30, **asked).empty
    assert len(live_sessions(stranger, moments, session_gap_minutes=30, **asked | {"known_only": False})) == 1
    told = moments.assign(best_state=["item", "item"], gain_now_low=0.005, gain_now_high=0.03)
    said = say_when(told, near, has_ledger=True)
    assert "It is best made at once at item; elsewhere" in said
    assert said.endswith("Open at the end of the log: 1 session of people who permit personalisation.")
    assert "No offer can bring" in say_when(told.assign(gain_now=0.0), near[:0], has_ledger=False)


def test_rates_by_group_by_hand():
    rows = pd.DataFrame({"cluster": list("aabbc"), "kind": list("xxxyy"), "hit": [1, 0, 1, 0, 0]})
    found = clustered_rates(ibis.memtable(rows), by=["kind"], hit="hit")
    assert found[["kind", "n", "n_hits"]].to_numpy().tolist() == [["x", 3, 2], ["y", 2, 0]]
    assert found["rate_low"].tolist()[1] == 0
    assert 0 < found["rate_high"].tolist()[1] < 1


def test_intervals_of_rates_hold_the_truth_when_people_differ():
    """400 experiments of 250 people of two types with 1 to 15 events each; Monte Carlo error 1.1 points."""
    rng, n_trials, n_people = np.random.default_rng(7), 400, 250
    many = rng.integers(1, 16, size=(n_trials, n_people))
    chance = rng.choice([0.05, 0.45], size=many.shape, p=[0.7, 0.3])
    hits = rng.binomial(many, chance)
    rows = pd.DataFrame({"trial": np.repeat(np.arange(n_trials), many.sum(axis=1))})
    rows["cluster"] = np.repeat([f"p{k}" for k in range(many.size)], many.ravel())
    rows["hit"] = np.concatenate(
        [np.arange(m) < k for m, k in zip(many.ravel(), hits.ravel(), strict=True)]
    ).astype(int)
    found = clustered_rates(ibis.memtable(rows), by=["trial"], hit="hit")
    truth = 0.7 * 0.05 + 0.3 * 0.45
    covered = ((found["rate_low"] <= truth) & (truth <= found["rate_high"])).mean()
    assert 0.917 <= covered <= 0.983
    plain = 1.96 * np.sqrt(found["rate"] * (1 - found["rate"]) / found["n"])
    assert ((found["rate"] - truth).abs() <= plain).mean() < 0.9  # events taken for independent: too narrow
