"""Fairness: measures against scikit-learn by hand, intervals by simulation, rules against all choices."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import accuracy_score, recall_score

from journeybook.statistics import cluster_weights
from journeybook.statistics.fairness import RULES, fairness


def simulated(n_people: int = 600, *, per: int = 5, seed: int = 2, shift: float = 0.8) -> dict[str, np.ndarray]:
    """Contacts of people in three groups; the last group answers more, and probabilities are true."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_people), per)
    group = np.array(["a", "b", "c"])[np.arange(n_people) % 3][person]
    score = -1.5 + rng.normal(size=n_people)[person] + shift * (group == "c")
    probability = 1 / (1 + np.exp(-score))
    responded = (rng.random(len(person)) < probability).astype(int)
    return {"probability": probability, "responded": responded, "group": group, "person": person}


def compared(data: dict[str, np.ndarray], **change):
    return fairness(**data, **({"selected_share": 0.3, "min_group_size": 20} | change))


@pytest.fixture(scope="module")
def data():
    return simulated()


@pytest.fixture(scope="module")
def found(data):
    return compared(data)


def test_one_threshold_group_by_group_with_scikit_learn(data, found):
    p, y = data["probability"], data["responded"]
    limit = np.sort(p)[::-1][round(0.3 * len(p)) - 1]
    # Rows of one person tie: at the limit those that come first are chosen.
    chosen = p > limit
    chosen[np.flatnonzero(p == limit)[: round(0.3 * len(p)) - chosen.sum()]] = True
    rows = found.groups[found.groups["rule"] == "one threshold"].set_index("group")
    for name in "abc":
        inside = data["group"] == name
        row = rows.loc[name]
        assert row["true_positive_rate"] == pytest.approx(recall_score(y[inside], chosen[inside]))
        assert row["selection_rate"] == pytest.approx(accuracy_score(np.ones(inside.sum()), chosen[inside]))
        assert row["calibration_gap"] == pytest.approx(y[inside].mean() - p[inside].mean())
        assert (row["n_rows"], row["n_people"], row["n_responses"]) == (1000, 200, y[inside].sum())


def test_each_rule_chooses_as_many(data, found):
    assert found.costs["n_selected"].tolist() == [900, 900, 900]
    groups = found.groups.set_index(["rule", "group"])
    for rule in RULES:
        assert groups.loc[rule, "selection_rate"].mul(groups.loc[rule, "n_rows"]).sum() == pytest.approx(900)


def test_equal_means_equal(data, found):
    groups = found.groups.set_index(["rule", "group"])
    assert groups.loc["equal selection", "selection_rate"].to_numpy() == pytest.approx(0.3, abs=0.001)
    # Equal expected true positives: the chosen of each group hold the same share of its expected responses.
    share = groups.loc["equal true positives", "true_positive_rate"]
    apart = groups.loc["one threshold", "true_positive_rate"]
    assert np.ptp(share) < 0.35 * np.ptp(apart)
    # Noise is taken out by responses that are the probabilities.
    sure = simulated(60, per=1)
    p = sure["probability"]
    many = {name: np.repeat(values, 400) for name, values in sure.items()}
    many["responded"] = (np.tile(np.arange(400), 60) < np.repeat(np.round(p * 400), 400)).astype(int)
    mixed = np.random.default_rng(1).permutation(len(many["person"]))
    many = {name: values[mixed] for name, values in many.items()}
    even = compared(many, min_group_size=2).groups.set_index(["rule", "group"])
    assert np.ptp(even.loc["equal true positives", "true_positive_rate"]) < 0.01
    assert np.ptp(even.loc["one threshold", "true_positive_rate"]) > 0.1


def test_no_choice_of_as_many_finds_more_than_one_threshold():
    data = simulated(9, per=1)
    found = compared(data | {"responded": np.array([1, 1, 1, 0, 0, 0, 1, 1, 1] * 1)}, min_group_size=1)
    assert found.groups.empty  # nine responses are too few to be shown
    data = {name: np.repeat(values, 10) for name, values in data.items()} | {"person": np.arange(90)}
    costs = compared(data | {"responded": np.tile([1, 1, 0, 1, 1, 0, 0, 1, 0, 0], 9)}, selected_share=1 / 3).costs
    p = data["probability"]
    best = max(sum(p[list(chosen)]) for chosen in itertools.combinations(range(0, 90, 10), 3)) * 10
    worse = costs.set_index("rule")["expected_lost_share"]
    assert worse["one threshold"] == 0
    assert (worse[["equal selection", "equal true positives"]] > 0).all()
    assert worse["equal selection"] == pytest.approx(1 - _top_of_each(p, data["group"], 1 / 3) / best)


def _top_of_each(p: np.ndarray, group: np.ndarray, share: float) -> float:
    parts = [np.sort(p[group == name])[::-1] for name in np.unique(group)]
    return sum(part[: round(share * len(part))].sum() for part in parts)


def test_intervals_are_those_of_the_bootstrap_of_people(data, found):
    groups = found.groups[found.groups["rule"] == "one threshold"].set_index("group")
    p, y, inside = data["probability"], data["responded"], data["group"] == "a"
    chosen = np.argsort(np.argsort(-p, kind="stable"), kind="stable") < 900

    def measures(w: np.ndarray) -> np.ndarray:
        w = w * inside
        return np.array([w @ chosen / w.sum(), w @ (chosen * y) / (w @ y), w @ (y - p) / w.sum()])

    rng = np.random.default_rng(4)
    draws = [measures(w) for w in cluster_weights(data["person"], n_draws=1500, rng=rng)]
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    for i, name in enumerate(("selection_rate", "true_positive_rate", "calibration_gap")):
        ours = groups.loc["a", f"{name}_high"] - groups.loc["a", f"{name}_low"]
        assert ours == pytest.approx(high[i] - low[i], rel=0.12)
        assert groups.loc["a", f"{name}_low"] == pytest.approx(low[i], abs=0.15 * ours)


def test_intervals_of_people_seen_once_by_hand():
    data = simulated(400, per=1)
    rows = compared(data).groups.set_index(["rule", "group"]).loc["one threshold"]
    for name in "abc":
        inside = data["group"] == name
        off = data["responded"][inside] - data["probability"][inside]
        half = norm.ppf(0.975) * off.std() / np.sqrt(inside.sum()) * np.sqrt(400 / 399)
        assert rows.loc[name, "calibration_gap_high"] - rows.loc[name, "calibration_gap"] == pytest.approx(half)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """80 samples, give or take four standard errors. The five rows of a person are alike: an interval that counted
    rows would be too short by the root of 5 and hold the share in 62 %.
    """
    inside, alarms = [], 0
    for seed in range(80):
        data = simulated(240, seed=seed, shift=0)
        found = compared(data, min_group_size=10)
        rows = found.groups[found.groups["rule"] == "one threshold"]
        inside += (rows["selection_rate_low"] < 0.3).mul(rows["selection_rate_high"] > 0.3).tolist()
        test = found.spread.set_index(["rule", "measure"]).loc[("one threshold", "calibration_gap"), "p_value"]
        alarms += test < 0.05
    assert np.mean(inside) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 80)
    assert alarms / 80 < 0.05 + 4 * np.sqrt(0.95 * 0.05 / 80)


def test_groups_that_differ_are_found(found):
    spread = found.spread.set_index(["rule", "measure"])
    row = spread.loc[("one threshold", "selection_rate")]
    assert (row["largest"], row["p_value"] < 1e-3, row["difference_low"] > 0) == ("c", True, True)
    assert spread.loc[("equal selection", "selection_rate"), "p_value"] > 0.5
    assert spread.loc[("one threshold", "calibration_gap"), "p_value"] > 0.001


def test_two_groups_are_compared_as_by_a_z_test(data):
    two = {name: values[data["group"] != "b"] for name, values in data.items()}
    row = compared(two).spread.set_index(["rule", "measure"]).loc[("one threshold", "calibration_gap")]
    half = row["difference_high"] - row["difference"]
    assert half / norm.ppf(0.975) == pytest.approx(row["difference"] / norm.isf(row["p_value"] / 2))


def test_small_groups_are_counted_and_not_shown(data):
    few = data | {"group": np.where(data["person"] < 5, "few", data["group"])}
    found = compared(few)
    assert "few" not in set(found.groups["group"])
    assert (found.n_small, found.n_small_groups, found.n_rows) == (25, 1, 2975)
    assert compared(data | {"group": np.full(len(data["person"]), "all")}).groups.empty


def test_nobody_chosen_in_a_group(data):
    low = data | {"probability": np.where(data["group"] == "a", 0.001, data["probability"])}
    rows = compared(low).groups.set_index(["rule", "group"]).loc[("one threshold", "a")]
    assert (rows["selection_rate"], rows["selection_rate_low"]) == (0, 0)
    assert 0 < rows["selection_rate_high"] < 0.03


def test_results_depend_on_no_value_of_an_id(data, found):
    other = compared(data | {"person": np.array([f"x{i * 7919 % 1009}" for i in data["person"]])})
    pd.testing.assert_frame_equal(found.groups, other.groups)
    pd.testing.assert_frame_equal(found.costs, other.costs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"selected_share": 1.0}, "selected_share must lie"),
        ({"min_group_size": 0}, "selected_share must lie"),
        ({"group": np.array(["a"])}, "must be of one length"),
    ],
)
def test_groups_that_cannot_be_compared(data, change, message):
    arrays = {name: change.get(name, values) for name, values in data.items()}
    with pytest.raises(ValueError, match=message):
        compared(arrays, **{name: value for name, value in change.items() if name not in arrays})
