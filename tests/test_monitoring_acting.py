"""Keep, recalibrate, retrain: measures by scikit-learn and the bootstrap; decisions on planted drift."""

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from journeybook.errors import TooLittle
from journeybook.monitoring.acting import MEASURES, PER, Scored, act, measured, scored_contacts
from journeybook.monitoring.acting_holds import upkeep_holds
from journeybook.monitoring.learning import STRATEGIES, walk_forward
from journeybook.monitoring.upkeep import find_upkeep, keep_or_retrain, say_upkeep
from journeybook.results import checks_of
from journeybook.statistics.quality import gain
from journeybook.statistics.recalibration import clustered_covariance
from journeybook.statistics.resampling import cluster_weights

WEIGHTS, OTHERS = np.array([0.8, -0.5, 0.3]), np.array([-0.4, 0.6, 0.9])
FREE = {"value_per_response": None, "costs": None, "retraining_cost": None, "contacts_ahead": 1, "currency": None}


def stream_of(
    seed: int, *, n: int = 9000, shift: float = 0.0, turned: float = 0.0, sudden: float = 0.8
) -> tuple[Scored, np.ndarray]:
    """Contacts over 40 weeks; from a share of the time on responses are commoner, or their reasons turn."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0, 280, n))
    person = rng.integers(0, n // 4, n)
    x = rng.normal(size=(n, 3))
    late = at > sudden * 280
    weights = np.where(late[:, None], (1 - turned) * WEIGHTS + turned * OTHERS, WEIGHTS)
    truth = expit(-1.2 + (x * weights).sum(axis=1) + shift * late)
    sent = pd.Timestamp("2017-01-01") + pd.to_timedelta(at, unit="D")
    rows = pd.DataFrame({"row": np.arange(n), "person": person, "occurred_at": sent})
    rows["known_at"] = sent + pd.Timedelta(days=7)
    rows["channel"] = np.where(np.arange(n) % 3, "email", "none")
    rows["responded"] = (rng.random(n) < truth).astype(int)
    rows["part"] = np.where(at > 0.5 * 280, "test", "fit")
    rows["probability"] = np.where(at > 0.5 * 280, expit(-1.2 + x @ WEIGHTS), np.nan)
    judged = (rows["part"] == "test").to_numpy()
    return Scored(rows, x, judged & late, judged & ~late), truth


def test_measures_are_those_of_other_libraries() -> None:
    scored, _ = stream_of(1)
    rows = scored.rows[scored.card]
    p, y, person = (rows[name].to_numpy() for name in ("probability", "responded", "person"))
    person = pd.factorize(person)[0]
    estimate, influence = measured(p, y, person)
    weights = cluster_weights(person, n_draws=2000, rng=np.random.default_rng(1))
    top = gain(p, y, weights, shares=[0.2]).iloc[0]
    assert estimate[0] == pytest.approx(log_loss(y, p), rel=1e-12)
    assert estimate[3] == pytest.approx(top["found_share"], rel=2e-3)
    error = np.sqrt(np.diag(clustered_covariance(influence, person)))
    assert 2 * 1.96 * error[3] == pytest.approx(top["found_share_high"] - top["found_share_low"], rel=0.08)
    assert influence.sum(axis=0) == pytest.approx(0, abs=1e-8)


def test_intervals_of_the_measures_hold_as_often_as_they_say() -> None:
    held = np.zeros(3)
    truth = np.array([1.0, 0.0])
    for seed in range(100):
        scored, _ = stream_of(seed, n=2400)
        table = act(scored, **FREE, rng=np.random.default_rng(seed)).measures.set_index("measure")
        of = table.loc[list(MEASURES[1:3])]
        held[:2] += (of["newest_low"] <= truth) & (truth <= of["newest_high"])
        change = table.loc[MEASURES[0]]
        held[2] += change["change_low"] <= 0 <= change["change_high"]
    assert held / 100 == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / 100))


@pytest.mark.parametrize(
    ("drift", "action"),
    [({}, "keep"), ({"shift": 0.8}, "recalibrate"), ({"turned": 0.6}, "retrain")],
)
def test_the_action_is_that_which_the_planted_drift_asks_for(drift: dict, action: str) -> None:
    chosen = [
        act(stream_of(seed, n=12000, **drift)[0], **FREE, rng=np.random.default_rng(seed)).chosen
        for seed in range(8)
    ]
    assert chosen.count(action) >= 7


def test_a_model_that_is_right_is_seldom_touched() -> None:
    chosen = [
        act(stream_of(seed, n=3000)[0], **FREE, rng=np.random.default_rng(seed)).chosen for seed in range(100)
    ]
    assert np.mean([one != "keep" for one in chosen]) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)


def test_money_is_counted_contact_by_contact_and_training_must_pay() -> None:
    scored, _ = stream_of(3, n=12000, turned=0.6)
    about = {"value_per_response": 10.0, "costs": {"email": 2.0}, "contacts_ahead": 5000, "currency": "EUR"}
    found = act(scored, **about, retraining_cost=50.0, rng=np.random.default_rng(1))
    messages = scored.rows[scored.newest & (scored.rows["channel"] == "email").to_numpy()]
    assert found.unit == "EUR" and len(found.probabilities) == len(messages)
    earned = []
    for k in range(3):
        total = 0.0
        for p, came in zip(found.probabilities[:, k], messages["responded"], strict=True):
            total += 10.0 * came - 2.0 if 10.0 * p > 2.0 else 0.0
        earned.append(total / len(messages))
    assert found.actions["gain"].to_numpy() == pytest.approx(PER * (np.array(earned) - earned[0]), abs=1e-9)
    assert found.actions["cost"].tolist() == [0, 0, 10]
    assert found.chosen == "retrain"
    assert act(scored, **about, retraining_cost=1e6, rng=np.random.default_rng(1)).chosen != "retrain"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"value_per_response": 0.0}, "value_per_response must be above 0, got 0.0"),
        ({"costs": {"sms": 1.0}}, "costs has None for 'email'"),
        ({"retraining_cost": None}, "retraining_cost must be at least 0"),
        ({"contacts_ahead": 0}, "contacts_ahead at least 1"),
    ],
)
def test_money_out_of_range_is_refused(wrong: dict, sentence: str) -> None:
    scored, _ = stream_of(3, n=3000)
    about = {
        "value_per_response": 9.0,
        "costs": {"email": 1.0},
        "retraining_cost": 1.0,
        "contacts_ahead": 9,
        "currency": None,
    }
    with pytest.raises(ValueError, match=sentence):
        act(scored, **(about | wrong), rng=np.random.default_rng(1))


def test_an_update_is_judged_on_people_it_has_not_met() -> None:
    """Of a person whose contacts are all alike the others tell nothing; a leak would show as a gain."""
    scored, _ = stream_of(4, n=4000)
    rng = np.random.default_rng(1)
    person = scored.rows["person"].to_numpy()
    mark = rng.normal(size=(person.max() + 1, 40))[person]
    taste = rng.random(person.max() + 1)[person] < 0.25
    rows = scored.rows.assign(
        responded=taste.astype(int),
        probability=scored.rows["probability"].where(scored.rows["part"] == "fit", 0.25),
    )
    rows["probability"] = rows["probability"] * (1 + 0.1 * rng.random(len(rows)))
    found = act(Scored(rows, mark, scored.newest, scored.card), **FREE, rng=rng)
    assert found.actions.set_index("action").loc["retrain", "gain"] < 0


def test_strategies_are_as_fitted_by_hand_with_what_was_known() -> None:
    scored, _ = stream_of(5, n=3000)
    found = walk_forward(scored, first_share=0.4, every_weeks=4, rng=np.random.default_rng(9))
    known, y = scored.rows["known_at"].to_numpy(), scored.rows["responded"].to_numpy()
    starts = found.weeks["starts_at"].to_numpy()
    seeds = np.random.default_rng(9).integers(2**31, size=len(starts))
    how = {"loss": "log_loss", "alpha": 1e-4, "learning_rate": "constant", "eta0": 0.001, "tol": None}
    how["max_iter"] = int(np.ceil(60_000 / (known <= starts[0]).sum()))
    grown = SGDClassifier(**how, random_state=int(seeds[0])).fit(
        scored.x[known <= starts[0]], y[known <= starts[0]]
    )
    frozen = SGDClassifier(**how, random_state=int(seeds[0])).fit(
        scored.x[known <= starts[0]], y[known <= starts[0]]
    )
    for k in range(1, 4):
        fresh = (known > starts[k - 1]) & (known <= starts[k])
        grown.partial_fit(scored.x[fresh], y[fresh])
    anew = SGDClassifier(**how, random_state=int(seeds[3])).fit(
        scored.x[known <= starts[3]], y[known <= starts[3]]
    )
    sent = scored.rows["occurred_at"].to_numpy()[found.rows]
    third = (sent >= starts[3]) & (sent < starts[4])
    for name, model in (
        ("frozen", frozen),
        ("a little each week", grown),
        ("anew each week", anew),
        ("on schedule", frozen),
    ):
        said = model.predict_proba(scored.x[found.rows[third]])[:, 1]
        assert found.probabilities[third, STRATEGIES.index(name)] == pytest.approx(said, rel=1e-9), name
        assert found.weeks.loc[3, name] == pytest.approx(log_loss(y[found.rows[third]], said), rel=1e-9)
    assert found.weeks["n_learned"].tolist() == [(known <= start).sum() for start in starts]
    assert found.strategies["n_fits"].tolist()[3] == (len(starts) - 1) // 4


def test_nothing_is_learned_from_the_future() -> None:
    """What happens in the last weeks changes no probability of the weeks before."""
    scored, _ = stream_of(6, n=3000)
    found = walk_forward(scored, first_share=0.4, every_weeks=4, rng=np.random.default_rng(1))
    late = (scored.rows["known_at"] > found.weeks["starts_at"].iloc[10]).to_numpy()
    other = scored.rows.assign(responded=scored.rows["responded"].where(~late, 1 - scored.rows["responded"]))
    again = walk_forward(
        Scored(other, scored.x, scored.newest, scored.card),
        first_share=0.4,
        every_weeks=4,
        rng=np.random.default_rng(1),
    )
    before = (scored.rows["occurred_at"] < found.weeks["starts_at"].iloc[11]).to_numpy()[found.rows]
    assert (found.probabilities[before] == again.probabilities[before]).all()
    assert (found.probabilities[~before] != again.probabilities[~before]).any()


def test_where_reasons_turn_learning_pays_and_where_they_do_not_it_changes_little() -> None:
    turned = [
        walk_forward(
            stream_of(s, turned=0.6, sudden=0.5)[0], first_share=0.4, every_weeks=4, rng=np.random.default_rng(s)
        )
        for s in range(4)
    ]
    for found in turned:
        table = found.strategies.set_index("strategy")
        assert (table.loc[list(STRATEGIES[1:]), "gain_low"] > 0).all()
        assert 1 <= table.loc["when told", "n_fits"] < table.loc["anew each week", "n_fits"]
    still = [
        walk_forward(stream_of(s)[0], first_share=0.4, every_weeks=4, rng=np.random.default_rng(s))
        for s in range(6)
    ]
    fits = [found.strategies.set_index("strategy").loc["when told", "n_fits"] for found in still]
    assert np.mean(fits) <= 2
    assert np.abs([found.strategies["gain"] for found in still]).max() < 0.01


def test_too_little_is_said() -> None:
    scored, _ = stream_of(7, n=600)
    with pytest.raises(TooLittle, match="weeks follow the first model; 6 are needed"):
        walk_forward(scored, first_share=0.95, every_weeks=4, rng=np.random.default_rng(1))
    with pytest.raises(ValueError, match=r"got 1\.5, 4"):
        walk_forward(scored, first_share=1.5, every_weeks=4, rng=np.random.default_rng(1))


def tables(n: int = 2400, *, snapshot: str = "2017-05-31 23:59:59"):
    """Contacts, what page 07 says of them, and one snapshot of each of 50 people, as tables."""
    rng = np.random.default_rng(1)
    sent = pd.Timestamp("2017-06-01") + pd.to_timedelta(np.arange(n) // 20, unit="D")
    asked = pd.DataFrame({"row": np.arange(1, n + 1), "occurred_at": sent, "responded": rng.random(n) < 0.4})
    said = pd.DataFrame({"row": asked["row"], "person_id": [f"p{i % 50}" for i in range(n)], "channel": "email"})
    said["part"] = np.where(np.arange(n) < n // 3, "fit", "test")
    said["known_at"], said["n_contacts_28d"] = sent + pd.Timedelta(days=7), np.arange(n) % 3
    said["probability"] = np.where(said["part"] == "test", rng.uniform(0.1, 0.7, n), np.nan)
    people = pd.DataFrame({"person_id": [f"p{i}" for i in range(50)], "spend": np.arange(50.0), "word": "x"})
    people["as_of"] = pd.Timestamp(snapshot)
    return ibis.memtable(asked), ibis.memtable(said), ibis.memtable(people)


def test_stretches_are_of_the_last_days_and_snapshots_strictly_before() -> None:
    asked, said, people = tables()
    found = scored_contacts(asked, said, people, newest_days=28)
    assert found.newest.sum() == 28 * 20 and found.card.sum() == 1600 - 28 * 20
    assert found.rows["occurred_at"].is_monotonic_increasing and not (found.newest & found.card).any()
    assert found.rows.loc[found.newest, "occurred_at"].min() > found.rows.loc[found.card, "occurred_at"].max()
    spend = found.rows["person_id"].str[1:].astype(float)
    assert np.corrcoef(found.x[:, 0], spend)[0, 1] > 0.9, "a person's own snapshot"
    late = scored_contacts(*tables(snapshot="2017-06-01")[:2], tables(snapshot="2017-06-01")[2], newest_days=28)
    first = (late.rows["occurred_at"] == pd.Timestamp("2017-06-01")).to_numpy()
    assert (late.x[first, 0] == 0).all() and (late.x[~first, 0] != 0).any(), "one of that moment is not known yet"
    alone = scored_contacts(asked, said, None, newest_days=28)
    assert alone.x.shape[1] == found.x.shape[1] - 1


def test_contacts_without_times_or_with_few_responses_say_so() -> None:
    asked, said, people = tables()
    with pytest.raises(TooLittle, match="no times"):
        scored_contacts(asked.drop("occurred_at"), said, people, newest_days=28)
    with pytest.raises(TooLittle, match=r"The newest of the judged contacts hold \d+ responses"):
        scored_contacts(asked, said, people, newest_days=3)
    with pytest.raises(ValueError, match="newest_days must be at least 1, got 0"):
        scored_contacts(asked, said, people, newest_days=0)


def test_the_page_says_what_it_may_and_holds() -> None:
    asked, said, people = tables(6000)
    how = {"newest_days": 28, "first_share": 0.4, "every_weeks": 4, "currency": None}
    money = {"value_per_response": None, "costs": None, "retraining_cost": None}
    found = keep_or_retrain(asked, said, people, money=money, rng=np.random.default_rng(1), **how)
    held = checks_of(upkeep_holds(found, asked, said))
    assert len(held) == 7 and all(check.passed for check in held)
    assert "newest contacts" in say_upkeep(found, every_weeks=4) and len(find_upkeep(found)) == 1
    none = keep_or_retrain(None, None, None, money=money, rng=np.random.default_rng(1), **how)
    assert say_upkeep(none, every_weeks=4).startswith("There are no contacts") and find_upkeep(none) == []
    assert upkeep_holds(none, None, None).empty and all(table.empty for table in none.tables.values())
