"""Page 14, policies: consent, cap, costs and fatigue by hand; policies against planted truth."""

import dataclasses
import re
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import norm

from journeybook.channel_response import contact_frame, contact_probabilities, split_contacts
from journeybook.channel_response.models import ResponseModel
from journeybook.decisions.choices import (
    choices,
    fatigue_loss,
    known_contacts,
    price_list,
    true_probabilities,
    value_of_a_response,
)
from journeybook.decisions.findings import _policy as found_policy
from journeybook.decisions.off_policy import doubly_robust_scores, off_policy_value
from journeybook.decisions.policy import TODAY, Deciding, advantage, decide, true_values
from journeybook.decisions.truth import known_answers
from journeybook.decisions.uplift import uplift_study
from journeybook.decisions.words import (
    say_deciding,
    say_known_answers,
    title_policies,
)
from journeybook.sends import say_unpermitted
from journeybook.statistics import stream

EFFECTS = {"email": 0.9, "sms": 0.5, "none": 0.0}
FATIGUE = -0.3


class Known:
    """Stands for a pipeline that knows the true probabilities, but for `bias` in the log odds of messages."""

    def __init__(self, bias: float = 0.0) -> None:
        self.bias = bias

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        logit = log_odds(rows, bias=self.bias)
        return np.column_stack([1 / (1 + np.exp(logit)), 1 / (1 + np.exp(-logit))])


def log_odds(rows: pd.DataFrame, *, bias: float = 0.0) -> np.ndarray:
    """Habit makes people come; messages move those of little habit, less after others."""
    sent = (rows["channel"] != "none").to_numpy()
    effect = rows["channel"].map(EFFECTS).to_numpy() + bias * sent
    message = effect - 0.9 * rows["habit"].to_numpy() + FATIGUE * rows["n_contacts_28d"].to_numpy()
    return -2.2 + 0.9 * rows["habit"].to_numpy() + sent * message


def model(bias: float = 0.0) -> ResponseModel:
    return ResponseModel(
        "known",
        "none",
        ("habit", "n_contacts_28d", "channel"),
        Known(bias),
        slope=1.0,
        intercept=0.0,
        is_calibrated=False,
    )


@pytest.fixture(scope="module")
def logged() -> pd.DataFrame:
    """Contacts of 900 people every ninth day, drawn with known probabilities, in the order of time."""
    rng = np.random.default_rng(11)
    n_people, rounds = 900, 14
    habit = rng.normal(size=n_people)
    before = np.zeros((n_people, 0), dtype=bool)
    parts = []
    for at in range(rounds):
        chance = np.column_stack([0.2 + 0.2 * (habit > 0), np.full(n_people, 0.2), 0.6 - 0.2 * (habit > 0)])
        lot = rng.random((n_people, 1))
        channel = np.array(list(EFFECTS))[(lot >= np.cumsum(chance, axis=1)[:, :-1]).sum(axis=1)]
        part = pd.DataFrame(
            {
                "person_id": [f"p{i * 7919 % 1009:04d}" for i in range(n_people)],
                "occurred_at": pd.Timestamp("2025-01-01")
                + pd.Timedelta(days=9 * at)
                + pd.to_timedelta(np.arange(n_people), "s"),
                "channel": channel,
                "propensity": chance[np.arange(n_people), [list(EFFECTS).index(c) for c in channel]],
                "habit": habit,
                "n_contacts_28d": before[:, -3:].sum(axis=1).astype(float),
            }
        )
        before = np.column_stack([before, channel != "none"])
        true = {f"probability_{name}": expit(log_odds(part.assign(channel=name))) for name in EFFECTS}
        parts.append(
            part.assign(
                **true, probability=expit(log_odds(part)), responded=rng.random(n_people) < expit(log_odds(part))
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    rows["value"] = np.where(rows["responded"], rng.choice([5.0, 15.0], size=len(rows)), 0.0)
    return rows.assign(row=np.arange(1, len(rows) + 1), contact_id=[f"c{i}" for i in range(len(rows))])


def expit(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def framed(logged: pd.DataFrame, *, bias: float = 0.0) -> pd.DataFrame:
    """The contacts as page 14 reads them: joined with what page 07 writes of them."""
    asked = ibis.memtable(logged[[name for name in logged if not name.startswith("probability")]])
    contacts = contact_frame(asked, None, max_rows=100_000)
    split = split_contacts(
        contacts, test_share=0.4, calibration_share=0.4, response_window_days=5, rng=stream(1, "split")
    )
    models = SimpleNamespace(chosen=model(bias), model=lambda *_asked: model(bias))
    told = contact_probabilities(models, contacts, split, response_window_days=5)
    return known_contacts(asked, ibis.memtable(told))


RULES = {"permitted": None, "max_messages_28d": 3}


def decided(logged: pd.DataFrame, *, bias: float = 0.0, **changed) -> Deciding:
    arguments = {"costs": {"email": 0.2, "sms": 0.1}, "value_per_response": None, **RULES} | changed
    return decide(framed(logged, bias=bias), **arguments)


def in_test(sent: pd.DataFrame) -> pd.DataFrame:
    return sent[sent["part"] == "test"]


def truly(logged: pd.DataFrame, deciding: Deciding) -> np.ndarray:
    return true_probabilities(framed(logged), logged, actions=deciding.test.actions)


@pytest.fixture(scope="module")
def deciding(logged) -> Deciding:
    return decided(logged)


def test_the_last_answered_channel_by_loops(logged):
    rows = framed(logged)
    laid, test = choices(rows, "test", **RULES), in_test(rows)
    for place in range(0, len(test), 97):
        now = test.iloc[place]
        known = rows[
            (rows["person"] == now["person"])
            & (rows["responded"] == 1)
            & (rows["channel"] != "none")
            & (rows["occurred_at"] + pd.Timedelta(days=5) <= now["occurred_at"])
        ]
        wanted = known.sort_values("occurred_at")["channel"].iloc[-1] if len(known) else "none"
        assert laid.actions[laid.answered[place]] == wanted


def test_consent_and_cap_bind_every_policy(logged):
    sent = framed(logged)
    rng = np.random.default_rng(2)
    permitted = {name: rng.random(len(sent)) < 0.7 for name in ("email", "sms")}
    rules = {"permitted": permitted, "max_messages_28d": 2}
    found = decide(sent, costs={"email": 0, "sms": 0}, value_per_response=1.0, **rules)
    judged = (sent["part"] == "test").to_numpy()
    full = (sent["n_contacts_28d"] >= 2).to_numpy()[judged]
    assert full.any()
    for (_, policy), chosen in found.choices.items():
        for place, name in enumerate(found.test.actions[:-1]):
            assert permitted[name][judged][chosen == place].all(), policy
        assert (chosen[full] == found.test.nothing).all(), policy


def test_the_model_is_asked_about_every_choice(logged):
    sent = framed(logged)
    laid = choices(sent, "test", **RULES)
    for place, name in enumerate(laid.actions):
        wanted = expit(log_odds(in_test(sent).assign(channel=name)))
        assert laid.probability[:, place] == pytest.approx(wanted, abs=1e-9)
    assert laid.actions[-1] == "none"


def test_fatigue_is_the_planted_fall_times_the_decisions_that_follow(logged):
    sent = framed(logged)
    rows = sent[sent["part"] == "calibrate"]
    reached = rows[rows["channel"] != "none"]
    fall = np.mean(expit(log_odds(reached)) - expit(log_odds(reached) + FATIGUE))
    following = reached["n_contacts_28d"].mean() / (len(reached) / len(rows))
    assert following == pytest.approx(3, rel=0.1), "every ninth day: three decisions follow within 28 days"
    assert fatigue_loss(sent) == pytest.approx(fall * following, rel=1e-9)
    assert fatigue_loss(sent.assign(probability_one_more=np.nan)) == 0


def test_fatigue_is_charged_for_the_share_that_is_sent(deciding, logged):
    sent = framed(logged)
    worn = deciding.value_per_response * fatigue_loss(sent)
    calibrate = choices(sent, "calibrate", **RULES)
    charged = deciding.costs.iloc[0]["fatigue"]
    assert 0 < charged < worn
    costs = np.array([*(deciding.costs.iloc[0][name] + charged for name in calibrate.actions[:-1]), 0.0])
    _, gain = calibrate.best_message(costs, value_per_response=deciding.value_per_response)
    assert worn * (gain > 0).mean() == pytest.approx(charged, abs=2 * worn / len(gain))


def test_values_are_near_the_truth(deciding, logged):
    true = true_values(deciding, truly(logged, deciding))
    assert (true["errors_off"].abs() < 3.5).all()
    rows = true.set_index("policy")
    assert rows.loc["expected profit", "gain_per_1000_true"] == rows["gain_per_1000_true"].max() > 50
    assert rows.loc["nothing", "gain_per_1000_true"] == 0
    nothing = truly(logged, deciding)[:, -1].mean()
    assert rows.loc["nothing", "responses_per_1000_true"] == pytest.approx(1000 * nothing, rel=1e-9)
    moved = uplift_study(dataclasses.replace(deciding, test=None, why_not="no choice"), np.ones((2, 1)))
    known = known_answers(deciding, moved, framed(logged), truth=logged)
    assert "of 5 (dr)" in say_known_answers(deciding, known)
    assert known.checks["value"].tolist() == [true["errors_off"].abs().max()]
    nowhere = known_answers(deciding, moved, framed(logged), truth=None)
    assert nowhere.checks.empty and say_known_answers(deciding, nowhere) == ""


def test_the_advantage_of_a_policy_is_the_difference_of_values(deciding, logged):
    true = truly(logged, deciding)
    table = deciding.policy[deciding.policy["estimator"] == "dr"].set_index("policy")
    ours, unasked = (table.loc["expected profit"], true_values(deciding, true).set_index("policy"))
    value, error, planted = advantage(deciding, "expected profit", "nothing", true=true)
    assert value == pytest.approx(ours["gain_per_1000"], rel=1e-9)
    assert value + norm.ppf(0.975) * error == pytest.approx(ours["gain_per_1000_high"], rel=1e-9)
    assert planted == pytest.approx(unasked.loc["expected profit", "gain_per_1000_true"], rel=1e-9)
    value, error, planted = advantage(deciding, "expected profit", TODAY, true=true)
    assert abs(value - planted) < 3.5 * error and advantage(deciding, "nothing", TODAY, true=None)[2] is None
    sold, more = found_policy(deciding, true), found_policy(deciding, None)
    assert [f.strength for f in sold] == ["known answer recovered"] * 2 and [f.strength for f in more] == [
        "clear"
    ] * 2
    assert sold[0].worth == 1 and all(len(f.text.split()) <= 30 for f in sold + more)
    as_given, simple = "as given", "everyone email"
    better = {(as_given, name): deciding.choices[as_given, "expected profit"] for name in table.index}
    worse = {(as_given, "expected profit"): deciding.choices[as_given, simple]}
    beaten = found_policy(dataclasses.replace(deciding, choices=better | worse), true)[1]
    assert beaten.strength == "contradicted" and beaten.action == "Use the simple rule."


def test_profit_is_value_times_response_less_what_is_paid(deciding):
    table = deciding.policy
    listed = deciding.costs.iloc[0]
    for (_, policy), chosen in deciding.choices.items():
        paid = sum(
            (listed[name] + listed["fatigue"]) * (chosen == place).mean()
            for place, name in enumerate(deciding.test.actions[:-1])
        )
        part = table[table["policy"] == policy]
        wanted = deciding.value_per_response * part["responses_per_1000"] - 1000 * paid
        assert part["profit_per_1000"].to_numpy() == pytest.approx(wanted.to_numpy())
        rate = off_policy_value(deciding.test, chosen).rate
        assert part["responses_per_1000"].to_numpy() == pytest.approx(1000 * rate)


def test_the_gain_is_paired(deciding):
    """A regression of each contact's difference on a constant, clustered by person, by statsmodels."""
    test, chosen = deciding.test, deciding.choices["as given", "expected profit"]
    listed = deciding.costs.iloc[0]
    charged = np.array([*(listed[name] + listed["fatigue"] for name in test.actions[:-1]), 0.0])
    ours, nothing = (doubly_robust_scores(test, to) for to in (chosen, np.full(len(chosen), test.nothing)))
    apart = 1000 * (deciding.value_per_response * (ours - nothing) - charged[chosen])
    fitted = sm.OLS(apart, np.ones(len(apart))).fit(cov_type="cluster", cov_kwds={"groups": test.person})
    row = deciding.policy.query("policy == 'expected profit' and estimator == 'dr'").iloc[0]
    assert row["gain_per_1000"] == pytest.approx(fitted.params[0])
    found = row[["gain_per_1000_low", "gain_per_1000_high"]].to_numpy(dtype=float)
    assert found == pytest.approx(fitted.conf_int()[0], rel=1e-6)


def test_a_value_is_the_mean_of_the_training_responses(logged):
    sent = framed(logged)
    rows = sent[sent["part"].isin(["fit", "calibrate"])]
    mean = rows.loc[rows["responded"] == 1, "value"].mean()
    assert value_of_a_response(sent, value_per_response=None) == mean
    assert value_of_a_response(sent, value_per_response=3) == 3.0


def test_nothing_is_sent_where_messages_cost_more_than_they_bring(logged):
    dear = decided(logged, costs={"email": 9.0, "sms": 9.0})
    ours = dear.policy[dear.policy["policy"] == "expected profit"]
    assert (ours["sent_share"] == 0).all()
    assert (ours["gain_per_1000"] == 0).all()
    assert "No gain is shown: send nothing" in say_deciding(dear)
    free = decided(logged, costs={"email": 0.0, "sms": 0.0})
    habit = in_test(framed(logged))["habit"].to_numpy()
    chosen = free.choices["as given", "expected profit"]
    assert (chosen[habit > 2] == free.test.nothing).all(), "who comes anyway is not moved, even for nothing"


def test_the_policy_keeps_to_the_threshold_chosen(logged):
    costs = {"email": 0.2, "sms": 0.1}
    found = decided(logged, bias=1.5, costs=costs)
    threshold = found.thresholds.loc[found.thresholds["chosen"], "threshold"].item()
    assert threshold > 0, "a model that expects too much of messages is held back"
    listed = found.costs.iloc[0]
    charged = np.array([*(listed[name] + listed["fatigue"] for name in found.test.actions[:-1]), 0.0])
    message, gain = found.test.best_message(charged, value_per_response=found.value_per_response)
    wanted = np.where(gain > threshold, message, found.test.nothing)
    assert found.choices["as given", "expected profit"].tolist() == wanted.tolist()
    assert ((gain > 0) & (gain <= threshold)).any()


def test_where_no_costs_are_given_a_range_is_shown(logged):
    shown = decided(logged, costs=None)
    assert shown.costs["prices"].tolist() == [f"{share}% of a response" for share in (0, 1, 3, 10)]
    assert shown.costs["email"].tolist() == pytest.approx(
        [share * shown.value_per_response for share in (0, 0.01, 0.03, 0.1)]
    )
    sent = (
        shown.policy[shown.policy["policy"] == "expected profit"]
        .groupby("prices", sort=False)["sent_share"]
        .first()
    )
    assert sent.is_monotonic_decreasing
    assert price_list(None, ("mail",), value_per_response=50.0)["3% of a response"] == {"mail": 1.5}
    assert "give your own `costs`" in say_deciding(shown)
    assert title_policies(shown).startswith("Expected profit gains")


def test_too_few_are_refused(logged):
    few = decided(
        logged[logged["person_id"].isin(logged["person_id"].unique()[:150])].assign(
            row=lambda d: np.arange(1, len(d) + 1)
        )
    )
    ours = few.policy[few.policy["policy"] == "expected profit"]
    assert ours["profit_per_1000"].isna().all()
    assert ours["refused"].str.contains("people, below 200").all()
    assert "No value of a policy is told" in title_policies(few)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"channel": "email"}, "No contact has the channel `none`"),
        ({"channel": "none"}, "there is no message to decide on"),
        ({"propensity": None}, "do not tell the probability"),
        ({"propensity": 0.0}, "missing or not from 0 to 1"),
        ({"value": None}, "`value_per_response` is not given"),
    ],
)
def test_why_nothing_is_decided(logged, change, sentence):
    (name, content), *_ = change.items()
    table = logged.drop(columns=name) if content is None else logged.assign(**{name: content})
    found = decided(table)
    assert sentence in say_deciding(found)
    assert found.policy.empty
    assert (found.test is None) == (name != "value")


def test_the_chance_of_a_message_in_every_row_is_noticed(logged):
    rng = np.random.default_rng(4)
    told = logged[logged["channel"] != "sms"].assign(propensity=0.7)
    lot = rng.random(len(told)) < 0.7
    told = told.assign(channel=np.where(lot, "email", "none"), row=np.arange(1, len(told) + 1))
    assert "seems to be the chance of a message" in decided(told, costs={"email": 0.2}).why_not
    right = told.assign(propensity=np.where(lot, 0.7, 0.3))
    assert decided(right, costs={"email": 0.2}).why_not == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"costs": {"email": 0.1}}, "costs has no cost for sms"),
        (
            {"costs": {"email": 0.1, "smss": 0.1}},
            "'smss', which is no message of these contacts; did you mean sms?",
        ),
        ({"costs": {"email": 0.1, "sms": -1}}, "costs has -1 for 'sms'; a cost of at least 0"),
        ({"costs": {"email": 0.1, "sms": float("nan")}}, "costs has nan for 'sms'"),
        ({"value_per_response": 0}, "value_per_response must be above 0, got 0"),
        ({"max_messages_28d": 0}, "max_messages_28d must be at least 1, got 0"),
    ],
)
def test_parameters_out_of_range_are_one_sentence(logged, change, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        decided(logged, **change)


def test_messages_without_permission_are_counted_by_channel(logged):
    sent = logged.head(6).assign(channel=["email", "email", "sms", "push", "none", "sms"])
    may = {name: np.array([True, False, True, False, False, True]) for name in ("email", "sms", "push")}
    said = say_unpermitted(sent, may)
    assert said.startswith("**2 of 5 messages were sent without permission** (email 1, push 1), by the ledger")
    assert "no purpose for these channels" in say_unpermitted(sent, {"leaflet": may["sms"]})
    assert "no consent ledger" in say_unpermitted(sent, None)
