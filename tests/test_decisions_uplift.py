"""Page 14, effects: Qini curves by brute force, by Radcliffe's counts, by planted truth, on Hillstrom's test."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_decisions_off_policy import made

from journeybook.decisions.choices import Choices
from journeybook.decisions.off_policy import doubly_robust_scores
from journeybook.decisions.policy import Deciding
from journeybook.decisions.truth import KnownAnswers
from journeybook.decisions.uplift import CURVE_SHARES, added_along, part_of, qini, uplift_study, weigh_by_value
from journeybook.decisions.witnesses import values_hold
from journeybook.decisions.words import say_known_answers, say_pitfall, say_uplift, say_weighed
from journeybook.statistics import cluster_weights, stream

HILLSTROM_SHA256 = "ff9e59285e9dc3f5fa3e0975419e6631ea5bdccd65d818991473d2367e02979c"


def undecided(test: Choices | None, why_not: str = "no costs") -> Deciding:
    empty = pd.DataFrame()
    return Deciding(why_not, np.nan, empty, empty, empty, choices={}, test=test)


def planted(
    rng: np.random.Generator, *, n_people: int, each: int = 3, wrong: float = 0.5
) -> tuple[Choices, np.ndarray]:
    """Contacts of sure visitors, whom a message does not move, and of others, whom it does; and the truth."""
    person = np.repeat(np.arange(n_people), each)
    habit = np.repeat(rng.normal(size=n_people), each)
    unasked = 1 / (1 + np.exp(-(-2.0 + 0.9 * habit)))
    effect = 0.16 / (1 + np.exp(1.5 * habit))
    true = np.column_stack([unasked + effect, unasked + 0.5 * effect, unasked])
    propensity = np.where(habit[:, None] > 0, [0.5, 0.3, 0.2], [0.2, 0.3, 0.5])
    taken = (rng.random((len(person), 1)) >= np.cumsum(propensity, axis=1)[:, :-1]).sum(axis=1)
    rows = np.arange(len(person))
    said = np.clip(true + wrong * rng.normal(0, 0.05, true.shape), 0.01, 0.99)
    return made(taken, propensity[rows, taken], rng.random(len(person)) < true[rows, taken], said, person), true


def test_the_closed_form_is_the_area_under_the_curve():
    rng = np.random.default_rng(1)
    added, n = rng.normal(size=200), 200
    curve = np.concatenate([[0], np.cumsum(added)]) / n
    area = np.trapezoid(curve, dx=1 / n) - curve[-1] / 2
    assert qini(added, np.ones((1, n)))[0] == pytest.approx(area, abs=1e-12)
    # A row drawn twice is a row that is there twice.
    twice = rng.integers(0, 3, size=n)
    repeated = np.repeat(added, twice)
    assert qini(added, twice[None])[0] == pytest.approx(qini(repeated, np.ones((1, len(repeated))))[0], abs=1e-12)


def test_the_curve_by_loops():
    rng = np.random.default_rng(2)
    added, drawn = rng.normal(size=40), rng.integers(0, 4, size=(3, 40))
    found = added_along(added, drawn)
    for weights, row in zip(drawn, found, strict=True):
        repeated = np.repeat(added, weights)
        for share, value in zip(CURVE_SHARES, row, strict=True):
            whole = int(share * len(repeated) + 1e-9)
            rest = share * len(repeated) - whole
            by_loop = sum(repeated[:whole]) + (rest * repeated[whole] if rest > 1e-9 else 0)
            assert value == pytest.approx(by_loop / len(repeated), abs=1e-12)


def test_without_a_model_it_is_radcliffes_curve():
    """With even chances and no model: responses of the treated less those of the others, in the first n."""
    rng = np.random.default_rng(3)
    n = 400
    taken = rng.integers(0, 2, size=n) * 2
    responded = rng.random(n) < 0.3
    logged = made(taken, np.full(n, 0.5), responded, np.zeros((n, 3)))
    added = doubly_robust_scores(logged, np.zeros(n, dtype=int)) - doubly_robust_scores(logged, np.full(n, 2))
    curve = added_along(added, np.ones((1, n)))[0]
    for share, value in zip(CURVE_SHARES, curve, strict=True):
        first = slice(0, round(share * n))
        treated = responded[first][taken[first] == 0].sum()
        others = responded[first][taken[first] == 2].sum()
        assert value == pytest.approx(2 * (treated - others) / n, abs=1e-12)


def test_scores_are_unbiased_for_any_group_whatever_the_model_says():
    rng = np.random.default_rng(4)
    off = []
    for _ in range(300):
        logged, true = planted(rng, n_people=300, wrong=3.0)
        group = true[:, 2] > 0.2
        score = doubly_robust_scores(logged, np.zeros(len(group), dtype=int))
        off.append(score[group].mean() - true[group, 0].mean())
    assert abs(np.mean(off)) < 4 * np.std(off) / np.sqrt(300)
    assert np.std(off) / np.sqrt(300) < 0.003


@pytest.fixture(scope="module")
def study():
    logged, true = planted(np.random.default_rng(5), n_people=5000)
    weights = cluster_weights(logged.person, n_draws=60, rng=stream(1, "bootstrap"))
    return logged, true, uplift_study(undecided(logged), weights)


def test_ranking_by_effect_reaches_fewer_sure_visitors(study):
    logged, true, found = study
    rows = found.rankings.set_index("ranking")
    assert rows.loc["uplift", "qini_low"] > 0
    assert rows.loc["response", "qini_high"] < 0, "whoever responds likeliest is moved least"
    assert rows.loc["difference", "sure_visitors_high"] < 0
    order = np.argsort(-logged.probability[:, :2].max(axis=1), kind="stable")[: round(0.3 * len(true))]
    wanted = true[order, 2].sum()
    assert rows.loc["response", "sure_visitors_low"] < wanted < rows.loc["response", "sure_visitors_high"]
    assert "come anyway" in say_pitfall(found)
    assert "The top 30% by effect add" in say_uplift(found)


def test_contacts_that_may_be_sent_nothing_are_left_out():
    logged, _ = planted(np.random.default_rng(6), n_people=4000)
    closed = np.arange(len(logged.taken)) % 4 == 0
    allowed = logged.allowed.copy()
    allowed[closed, :2] = False
    logged.taken[closed] = 2
    logged.propensity[closed] = 1.0
    some = made(
        logged.taken, logged.propensity, logged.responded, logged.probability, logged.person, allowed=allowed
    )
    weights = cluster_weights(some.person, n_draws=20, rng=stream(1, "bootstrap"))
    found = uplift_study(undecided(some), weights)
    assert (found.rankings["n_contacts"] == (~closed).sum()).all()
    alone = uplift_study(undecided(part_of(some, ~closed)), weights[:, ~closed])
    pd.testing.assert_frame_equal(found.rankings, alone.rankings)
    assert not allowed[closed][:, :2].any()


def test_weighing_by_value_moves_who_is_first(study):
    logged, _, found = study
    people = pd.Series(logged.person).astype(str).to_numpy()
    sent = pd.DataFrame({"person_id": people, "part": "test"})
    values = pd.DataFrame({"person_id": np.unique(people)}).assign(value=5.0)
    same = weigh_by_value(sent, found, values)
    assert same["by_effect"].sum() == round(0.3 * len(same)) > 0
    assert (same["by_effect"] == same["by_value"]).all()
    assert say_weighed(same).startswith("Weighed by lifetime value (page 06), 0 of the")
    # One person is worth all others together, and a message moves that person.
    moved = same.loc[~same["by_effect"] & (same["added"] > 0), "person_id"].iloc[0]
    rich = weigh_by_value(sent, found, values.assign(value=np.where(values["person_id"] == moved, 1e6, 5.0)))
    assert rich.set_index("person_id").loc[moved, "by_value"] and "1 of the" in say_weighed(rich)
    off = values_hold(sent, found, rich, values.assign(value=np.where(values["person_id"] == moved, 1e6, 5.0)))
    assert off["value"].iloc[0] < 1e-6 < values_hold(sent, found, rich, values)["value"].iloc[0]
    assert say_weighed(weigh_by_value(sent, found, None)) == ""
    assert values_hold(sent, found, weigh_by_value(sent, found, None), None).empty


def test_nothing_is_told_without_enough_or_without_a_choice():
    logged, _ = planted(np.random.default_rng(7), n_people=60)
    few = uplift_study(undecided(logged), np.ones((2, 180), dtype=int))
    assert "people, below 200" in say_uplift(few)
    assert few.rankings.empty
    assert uplift_study(undecided(None, "No contact has it."), np.ones((2, 0))).why_not == "No contact has it."


def covered(n_simulations: int, *, n_people: int, seed: int) -> np.ndarray:
    """Share of 95 % intervals that hold the truth: Qini by effect, sure visitors and added by response."""
    rng = np.random.default_rng(seed)
    crowd, true = planted(rng, n_people=300_000)
    rows = np.arange(len(true))
    message = crowd.probability[:, :2].argmax(axis=1)
    sent = true[rows, message]
    effect = np.argsort(crowd.probability[:, 2] - crowd.probability[rows, message], kind="stable")
    likely = np.argsort(-crowd.probability[rows, message], kind="stable")[: round(0.3 * len(true))]
    truth = [
        1000 * qini((sent - true[:, 2])[effect], np.ones((1, len(true))))[0],
        1000 * true[likely, 2].mean(),
        1000 * (sent - true[:, 2])[likely].mean(),
    ]
    held = []
    for _ in range(n_simulations):
        logged, _ = planted(rng, n_people=n_people)
        weights = cluster_weights(logged.person, n_draws=60, rng=rng)
        found = uplift_study(undecided(logged), weights)
        if found.why_not:  # one in a thousand, by the rule that weights must average 1
            continue
        table = found.rankings.set_index("ranking")
        asked = [("uplift", "qini"), ("response", "anyway_per_1000"), ("response", "added_per_1000")]
        held.append(
            [
                table.loc[name, f"{figure}_low"] <= value <= table.loc[name, f"{figure}_high"]
                for (name, figure), value in zip(asked, truth, strict=True)
            ]
        )
    return np.mean(held, axis=0)


@pytest.mark.slow
def test_intervals_hold_the_truth():
    # Monte Carlo error of 0.95 in 600: 0.009.
    held = covered(600, n_people=800, seed=8)
    assert (np.abs(held - 0.95) < 0.03).all(), held


def hillstrom() -> pd.DataFrame:
    """Hillstrom's test of 2008, from JOURNEYBOOK_DATA."""
    folder = os.environ.get("JOURNEYBOOK_DATA")
    path = Path(folder or ".") / "hillstrom" / "hillstrom.csv"
    if not folder:
        pytest.skip("1 witness needs hillstrom/hillstrom.csv under JOURNEYBOOK_DATA")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == HILLSTROM_SHA256
    return pd.read_csv(path)


def test_hillstroms_effects_are_the_published_ones():
    table = hillstrom()
    taken = table["segment"].map({"Mens E-Mail": 0, "Womens E-Mail": 1, "No E-Mail": 2}).to_numpy()
    # The better guess at who visits: recent customers. It need not be right for the effects to be.
    base = np.clip(0.2 - 0.01 * table["recency"].to_numpy(), 0.05, 1)
    said = np.add.outer(base, [0.05, 0.0, -0.05])
    weights = np.random.default_rng(1).poisson(size=(40, len(table)))
    for place, published in ((0, (0.069953, 0.076590, 0.083226)), (1, (0.038893, 0.045233, 0.051573))):
        only = np.ones((len(table), 3), dtype=bool)
        only[:, 1 - place] = False
        logged = made(taken, np.full(len(table), 1 / 3), table["visit"], said, allowed=only)
        found = uplift_study(undecided(logged), weights)
        end = found.curve[(found.curve["contacted_share"] == 1) & (found.curve["ranking"] == "uplift")].iloc[0]
        # Published: Welch's interval of the difference of two means; here doubly robust.
        assert end["added_per_1000"] / 1000 == pytest.approx(published[1], abs=0.0012)
        assert end["added_per_1000_low"] / 1000 == pytest.approx(published[0], abs=0.002)
        assert end["added_per_1000_high"] / 1000 == pytest.approx(published[2], abs=0.002)


def test_the_true_table_is_said():
    true = pd.DataFrame(
        {
            "ranking": ["uplift", "response"],
            "reached_share": 0.3,
            "sure_visitors": [1200.0, 2000.4],
            "qini": [5.21, 2.0],
        }
    )
    known = KnownAnswers(None, pd.DataFrame(), true, pd.DataFrame())
    assert say_known_answers(undecided(None), known) == "True Qini coefficients: 5.2 by effect, 2.0 by response."
