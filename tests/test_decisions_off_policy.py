"""Page 14, values of policies from logged contacts: by hand, by statsmodels, by simulation with known truth."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from journeybook.decisions.choices import CERTAIN, Choices, choices, set_aside, who_was_certain
from journeybook.decisions.off_policy import ESTIMATORS, LEAST_EFFECTIVE, off_policy_value
from journeybook.decisions.policy import choose_threshold
from journeybook.statistics.clusters import clustered_error


def made(taken, propensity, responded, probability, person=None, **changed) -> Choices:
    """Choices among two messages and none, all allowed."""
    n = len(taken)
    fields = {
        "actions": ("email", "sms", "none"),
        "taken": np.asarray(taken),
        "propensity": np.asarray(propensity, dtype=float),
        "responded": np.asarray(responded, dtype=float),
        "allowed": np.ones((n, 3), dtype=bool),
        "probability": np.asarray(probability, dtype=float),
        "answered": np.full(n, 2),
        "person": np.arange(n) if person is None else np.asarray(person),
    }
    return Choices(**{**fields, **changed})


def drawn(
    rng: np.random.Generator, *, n_people: int, each: int = 4, wrong: float = 0.0
) -> tuple[Choices, np.ndarray]:
    """Contacts of people who differ, logged by a policy that looks at what moves responses; and the truth.

    The model knows the true probabilities, but for an error of size `wrong` in log odds that is the same for
    all of an action.
    """
    person = np.repeat(np.arange(n_people), each)
    taste = np.repeat(rng.normal(size=n_people), each)
    seen = rng.normal(size=len(person))
    logit = (
        np.column_stack([0.6 * seen, -0.3 * seen + 0.3, np.full(len(person), -0.4)]) + 0.7 * taste[:, None] - 2.2
    )
    true = 1 / (1 + np.exp(-logit))
    score = np.exp(np.column_stack([0.5 * seen, 0.2 * np.ones_like(seen), -0.5 * seen]))
    propensity = 0.06 + 0.82 * score / score.sum(axis=1, keepdims=True)
    taken = (rng.random((len(person), 1)) >= np.cumsum(propensity, axis=1)[:, :-1]).sum(axis=1)
    rows = np.arange(len(person))
    responded = rng.random(len(person)) < true[rows, taken]
    said = 1 / (1 + np.exp(-(logit + wrong * np.array([1.0, -1.0, 0.5]))))
    logged = made(taken, propensity[rows, taken], responded, said, person)
    return logged, true


def best(seen_by: Choices) -> np.ndarray:
    return seen_by.probability.argmax(axis=1)


# Four contacts of three people; the policy writes e-mails to the first three and nothing to the last.
FEW = made([0, 1, 0, 2], [0.5, 0.25, 0.25, 0.5], [1, 0, 0, 1], [[0.4, 0.1, 0.2]] * 4, person=[7, 7, 8, 9])
CHOSEN = np.array([0, 0, 0, 2])


def test_estimates_by_hand():
    found = dict(zip(ESTIMATORS, off_policy_value(FEW, CHOSEN).rate, strict=True))
    # Weights 2, 0, 4, 2; responses 1, 0, 0, 1.
    assert found["ips"] == pytest.approx((2 * 1 + 0 + 0 + 2 * 1) / 4)
    assert found["snips"] == pytest.approx((2 + 2) / (2 + 4 + 2))
    by_hand = [0.4 + 2 * (1 - 0.4), 0.4, 0.4 + 4 * (0 - 0.4), 0.2 + 2 * (1 - 0.2)]
    assert found["dr"] == pytest.approx(sum(by_hand) / 4)


def test_effective_sample_size_by_hand():
    found = off_policy_value(FEW, CHOSEN)
    # By person 2 + 0, 4 and 2.
    assert found.effective_n == pytest.approx((2 + 4 + 2) ** 2 / (4 + 16 + 4))
    assert found.mean_weight == 2.0
    alone = made([0] * 50, [1.0] * 50, [1, 0] * 25, [[0.5] * 3] * 50)
    assert off_policy_value(alone, np.zeros(50, dtype=int)).effective_n == pytest.approx(50)


def test_the_logged_choices_with_certainty_give_the_plain_mean():
    alone = made([0, 1, 2, 1], [1.0] * 4, [1, 0, 1, 1], [[0.1, 0.2, 0.3]] * 4)
    assert off_policy_value(alone, alone.taken).rate.tolist() == [0.75, 0.75, 0.75]


def test_the_error_is_that_of_statsmodels():
    logged, _ = drawn(np.random.default_rng(3), n_people=150)
    chosen = best(logged)
    found = off_policy_value(logged, chosen)
    weight = np.where(logged.taken == chosen, 1 / logged.propensity, 0)
    clusters = {"groups": logged.person}
    ips = sm.OLS(weight * logged.responded, np.ones(len(weight))).fit(cov_type="cluster", cov_kwds=clusters)
    assert clustered_error(found.influence[0], logged.person) == pytest.approx(ips.bse[0], rel=1e-12)
    snips = sm.WLS(logged.responded, np.ones(len(weight)), weights=weight).fit(
        cov_type="cluster", cov_kwds=clusters
    )
    assert found.rate[1] == pytest.approx(snips.params[0], rel=1e-12)
    assert clustered_error(found.influence[1], logged.person) == pytest.approx(snips.bse[0], rel=1e-12)


def test_the_order_and_names_of_people_play_no_part():
    logged, _ = drawn(np.random.default_rng(4), n_people=60)
    influence = off_policy_value(logged, best(logged)).influence[2]
    names = np.array([f"p{p * 7919 % 1009:04d}" for p in logged.person])
    assert len(np.unique(names)) == 60
    order = np.random.default_rng(1).permutation(len(names))
    again = clustered_error(influence[order], names[order])
    assert again == pytest.approx(clustered_error(influence, logged.person), rel=1e-12)


def test_values_worth_too_few_people_are_refused():
    logged, _ = drawn(np.random.default_rng(5), n_people=60)
    found = off_policy_value(logged, best(logged))
    assert found.effective_n < LEAST_EFFECTIVE
    assert found.refusal == f"the contacts are worth {found.effective_n:.0f} people, below 200"
    many, _ = drawn(np.random.default_rng(5), n_people=900)
    assert off_policy_value(many, best(many)).refusal == ""
    never = made([1] * 400, [0.5] * 400, [0, 1] * 200, [[0.5] * 3] * 400)
    nobody = off_policy_value(never, np.zeros(400, dtype=int))
    assert nobody.effective_n == 0
    assert "worth 0 people" in nobody.refusal


def test_propensities_that_do_not_fit_are_refused():
    many, _ = drawn(np.random.default_rng(6), n_people=2000)
    off = made(many.taken, np.minimum(1.4 * many.propensity, 1), many.responded, many.probability, many.person)
    assert "not 1: `propensity` must be the chance of the choice" in off_policy_value(off, best(off)).refusal


def coverage(
    n_simulations: int, *, n_people: int, wrong: float, seed: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Share of 95 % intervals that hold the true value, mean error in its standard errors, mean effective n."""
    rng = np.random.default_rng(seed)
    crowd, true = drawn(rng, n_people=150_000, wrong=wrong)
    value = true[np.arange(len(true)), best(crowd)].mean()
    errors, halves, worth = [], [], []
    for _ in range(n_simulations):
        logged, _ = drawn(rng, n_people=n_people, wrong=wrong)
        found = off_policy_value(logged, best(logged))
        errors.append(found.rate - value)
        halves.append([clustered_error(influence, logged.person) for influence in found.influence])
        worth.append(found.effective_n)
    errors, halves = np.array(errors), 1.959964 * np.array(halves)
    bias = errors.mean(axis=0) / (errors.std(axis=0) / np.sqrt(n_simulations))
    return (np.abs(errors) <= halves).mean(axis=0), bias, float(np.mean(worth))


@pytest.mark.parametrize("wrong", [0.0, 0.8])
def test_intervals_hold_the_truth_quickly(wrong):
    held, bias, _ = coverage(600, n_people=500, wrong=wrong, seed=7)
    # Monte Carlo error of a share of 0.95 in 600: 0.009.
    assert (np.abs(held - 0.95) < 0.03).all(), held
    assert (np.abs(bias) < 4).all(), bias


@pytest.mark.slow
def test_intervals_hold_the_truth_at_the_floor_and_fail_far_below():
    at_floor, bias, worth = coverage(3000, n_people=310, wrong=0.8, seed=8)
    assert worth == pytest.approx(LEAST_EFFECTIVE, rel=0.1)
    # Monte Carlo error 0.0035.
    assert (at_floor > 0.935).all(), at_floor
    assert (at_floor < 0.962).all(), at_floor
    assert (np.abs(bias[[0, 2]]) < 4).all(), bias
    far_below, _, few = coverage(3000, n_people=30, wrong=0.8, seed=9)
    assert few < LEAST_EFFECTIVE / 8
    assert (far_below < 0.94).all(), far_below
    assert (far_below[:2] < 0.92).all(), far_below


def log_with_certain(rng: np.random.Generator, *, n: int, share: float) -> pd.DataFrame:
    """Contacts, an e-mail or none by chance; but some people always get the e-mail, and come anyway."""
    vip = rng.random(n) < share
    mailed = vip | (rng.random(n) < 0.5)
    came = rng.random(n) < np.where(vip, 0.6, np.where(mailed, 0.07, 0.05))
    sent = pd.DataFrame({"channel": np.where(mailed, "email", "none"), "part": "test", "person": np.arange(n)})
    sent = sent.assign(
        propensity=np.where(vip, 1.0, 0.5), responded=came.astype(int), vip=np.where(vip, "yes", "no")
    )
    # The model knows nothing of these people.
    rates = {name: came[(mailed == (name == "email"))].mean() for name in ("email", "none")}
    sent = sent.assign(n_contacts_28d=np.nan, known_at=pd.NaT, person_id=None)
    return sent.assign(**{f"probability_{name}": rate for name, rate in rates.items()})


def gains(n_simulations: int, *, n: int, share: float) -> tuple[np.ndarray, float]:
    """Whether each interval of the gain of an e-mail to everyone holds the true one, and the mean gain told."""
    rng, held, told = np.random.default_rng(7), [], []
    for _ in range(n_simulations):
        tried = set_aside(log_with_certain(rng, n=n, share=share), None)
        logged = choices(tried, "test", permitted=None, max_messages_28d=3)
        ours, nothing = (off_policy_value(logged, np.full(len(logged.taken), k)) for k in (0, 1))
        if ours.refusal or nothing.refusal:  # by the rule that weights average 1: one in a thousand
            continue
        gain = ours.rate[2] - nothing.rate[2]
        error = clustered_error(ours.influence[2] - nothing.influence[2], logged.person)
        held.append(abs(gain - 0.02) < 1.959964 * error)
        told.append(gain)
    assert len(held) > 0.98 * n_simulations
    return np.array(held), float(np.mean(told))


def test_a_choice_that_was_certain_is_in_no_value_and_named():
    sent = log_with_certain(np.random.default_rng(1), n=6000, share=0.04)
    tried = set_aside(sent, None)
    assert ((tried["part"] == CERTAIN) == (sent["vip"] == "yes")).all()
    assert who_was_certain(tried) == "vip is yes"
    taught = set_aside(sent.assign(part=np.where(np.arange(6000) < 3500, "fit", "test")), None)
    assert who_was_certain(taught) == "vip is yes" and (taught["part"] == CERTAIN).sum() < 120
    assert who_was_certain(tried.drop(columns="vip")) == "nothing sets them apart"
    # Where consent leaves nothing but no message, nothing else could have been chosen.
    closed = sent.assign(channel="none", propensity=1.0)
    assert (set_aside(closed, {"email": np.zeros(len(sent), dtype=bool)})["part"] == "test").all()
    held, told = gains(60, n=6000, share=0.04)
    assert told == pytest.approx(0.02, abs=4 * 0.0062 / 60**0.5)
    assert held.mean() > 0.95 - 4 * (0.95 * 0.05 / 60) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.01, 0.04])
def test_intervals_of_a_gain_hold_where_some_choices_were_certain(share):
    held, _ = gains(400, n=6000, share=share)
    assert 0.93 <= held.mean() <= 0.97


def test_the_threshold_moves_where_the_model_is_clearly_wrong():
    logged_by, _ = drawn(np.random.default_rng(12), n_people=3000)
    costs = np.array([0.05, 0.05, 0.0])
    right = choose_threshold(logged_by, costs, value_per_response=1.0)
    assert right.loc[right["chosen"], "threshold"].item() == 0
    raised = logged_by.probability + np.array([0.3, 0.3, 0.0])
    wrong = made(logged_by.taken, logged_by.propensity, logged_by.responded, raised, logged_by.person)
    moved = choose_threshold(wrong, costs, value_per_response=1.0)
    at = moved[moved["chosen"]].iloc[0]
    assert at["threshold"] > 0.15
    assert at["gain_per_1000"] > 2 * at["error_per_1000"] > 0
    clear = moved[moved["gain_per_1000"] > 2 * moved["error_per_1000"]]
    assert at["gain_per_1000"] == clear["gain_per_1000"].max()


def test_the_trial_of_a_threshold_is_its_paired_value():
    logged_by, _ = drawn(np.random.default_rng(13), n_people=500)
    costs = np.array([0.05, 0.02, 0.0])
    table = choose_threshold(logged_by, costs, value_per_response=2.0)
    message, gain = logged_by.best_message(costs, value_per_response=2.0)
    at = table.iloc[3]
    values = []
    for threshold in (at["threshold"], 0.0):
        chosen = np.where(gain > threshold, message, 2)
        values.append(2.0 * off_policy_value(logged_by, chosen).rate[2] - costs[chosen].mean())
    assert at["gain_per_1000"] == pytest.approx(1000 * (values[0] - values[1]))
    assert (message == (2.0 * logged_by.probability[:, :2] - costs[:2]).argmax(1)).all()
