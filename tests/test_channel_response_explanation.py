"""Page 07, explanation: TreeSHAP against Shapley's own sum, importance and dependence against scikit-learn."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from scipy.special import logit
from scipy.stats import spearmanr
from sklearn.compose import ColumnTransformer
from sklearn.inspection import partial_dependence
from sklearn.inspection import permutation_importance as permutation_importance_of_scikit_learn
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

from journeybook.channel_response.explanation import (
    column_features,
    explain_trees,
    feature_correlation,
    partial_dependences,
    permutation_importance,
)
from journeybook.channel_response.models import ResponseModel
from journeybook.statistics import stream

FEATURES = ("visits", "spend", "age", "region")


def simulated(n: int = 1500, *, seed: int = 3) -> tuple[pd.DataFrame, np.ndarray]:
    """Features of which `spend` all but repeats `visits`, and `age` means nothing."""
    rng = np.random.default_rng(seed)
    visits = rng.normal(size=n)
    rows = pd.DataFrame(
        {
            "visits": np.where(rng.random(n) < 0.1, np.nan, visits),
            "spend": visits + 0.2 * rng.normal(size=n),
            "age": rng.normal(size=n),
            "region": rng.choice(["north", "south", "west"], size=n),
        }
    )
    score = -1 + visits + 0.8 * (rows["region"] == "south") * (visits > 0)
    return rows, (rng.random(n) < 1 / (1 + np.exp(-score))).astype(int)


def fitted(rows: pd.DataFrame, responded: np.ndarray, classifier) -> ResponseModel:
    one_hot = ColumnTransformer([("words", OneHotEncoder(), ["region"])], remainder="passthrough")
    pipeline = Pipeline([("encode", one_hot), ("classify", classifier)])
    pipeline.fit(rows[list(FEATURES)], responded)
    return ResponseModel("xgboost", "none", FEATURES, pipeline, slope=0.8, intercept=0.1, is_calibrated=True)


def small_trees(**more) -> XGBClassifier:
    return XGBClassifier(n_estimators=6, max_depth=3, learning_rate=0.4, n_jobs=1, random_state=0, **more)


@pytest.fixture(scope="module")
def data():
    return simulated()


@pytest.fixture(scope="module")
def model(data):
    return fitted(*data, small_trees())


def expected(tree: dict, node: str, row: np.ndarray, known: frozenset[int]) -> float:
    """What a tree says of a row of which only some columns are known: elsewhere it goes both ways, by cover."""
    at = tree[node]
    if at["Feature"] == "Leaf":
        return at["Gain"]
    column, yes, no = int(at["Feature"][1:]), at["Yes"], at["No"]
    if column in known:
        value = row[column]
        way = at["Missing"] if np.isnan(value) else (yes if np.float32(value) < np.float32(at["Split"]) else no)
        return expected(tree, way, row, known)
    parts = [(tree[way]["Cover"], expected(tree, way, row, known)) for way in (yes, no)]
    return sum(cover * value for cover, value in parts) / sum(cover for cover, _ in parts)


def by_shapley(booster, row: np.ndarray) -> np.ndarray:
    """Shapley (1953): the mean over all orders of what a column adds, by its sum over all subsets."""
    frame, n = booster.trees_to_dataframe().set_index("ID"), len(row)
    trees = [(tree.to_dict("index"), f"{number}-0") for number, tree in frame.groupby("Tree")]
    worth = {
        frozenset(known): sum(expected(tree, root, row, frozenset(known)) for tree, root in trees)
        for size in range(n + 1)
        for known in itertools.combinations(range(n), size)
    }
    values = np.zeros(n)
    for known, value in worth.items():
        for column in set(range(n)) - known:
            share = math.factorial(len(known)) * math.factorial(n - len(known) - 1) / math.factorial(n)
            values[column] += share * (worth[known | {column}] - value)
    return values


def test_values_are_those_of_shapley(data, model):
    rows = data[0].head(12)
    found = explain_trees(model, rows)
    codes = model.pipeline[:-1].transform(rows)
    booster = model.pipeline.named_steps["classify"].get_booster()
    # Columns north, south, west, visits, spend, age; the three of region are one feature.
    columns = np.array([by_shapley(booster, row) for row in np.asarray(codes, dtype=float)])
    reference = np.column_stack([columns[:, 3], columns[:, 4], columns[:, 5], columns[:, :3].sum(axis=1)])
    assert np.abs(reference).max() > 0.3
    assert found.values.to_numpy() == pytest.approx(0.8 * reference, abs=1e-5)
    assert rows["visits"].isna().any()


def test_values_add_up_to_what_the_model_says(data, model):
    rows = data[0]
    found = explain_trees(model, rows)
    said = logit(model.probability(rows, calibrated=True))
    assert found.base + found.values.sum(axis=1).to_numpy() == pytest.approx(said, abs=1e-5)
    assert found.additivity_error < 1e-5
    assert found.features["share"].sum() == pytest.approx(1)
    size = found.values.abs().mean()
    assert found.features.set_index("feature")["mean_size"].to_dict() == pytest.approx(size.to_dict())


def test_values_add_up_where_trees_stopped_early(data):
    rows, responded = data
    trees = XGBClassifier(n_estimators=200, learning_rate=0.5, early_stopping_rounds=5, n_jobs=1, random_state=0)
    one_hot = ColumnTransformer([("words", OneHotEncoder(), ["region"])], remainder="passthrough")
    codes = one_hot.fit_transform(rows[list(FEATURES)])
    trees.fit(codes[:1000], responded[:1000], eval_set=[(codes[1000:], responded[1000:])], verbose=False)
    pipeline = Pipeline([("encode", one_hot), ("classify", trees)])
    model = ResponseModel("xgboost", "none", FEATURES, pipeline, slope=1.0, intercept=0.0, is_calibrated=False)
    assert trees.get_booster().num_boosted_rounds() > trees.best_iteration + 1
    assert explain_trees(model, rows).additivity_error < 1e-5


def test_three_times_ten_people(data, model):
    rows = data[0].assign(person=np.arange(len(data[0])) // 3)
    found = explain_trees(model, rows)
    groups = found.people.groupby("person", sort=False)["probability"].first()
    assert groups.index.tolist() == ["likeliest", "middle", "least likely"]
    best = pd.Series(found.probability).groupby(rows["person"]).max().sort_values()
    assert groups["likeliest"] == pytest.approx(best.tail(10).mean())
    worst = pd.Series(found.probability).groupby(rows["person"]).min().sort_values()
    assert groups["least likely"] == pytest.approx(worst.head(10).mean())
    first = found.people[found.people["person"] == "likeliest"]
    log_odds = pd.Series(logit(found.probability)).groupby(rows["person"]).max().sort_values().tail(10).mean()
    assert found.base + first["contribution"].sum() == pytest.approx(log_odds, abs=1e-5)
    assert first["contribution"].abs().is_monotonic_decreasing
    assert not set(first["value"]) & set(rows["visits"].map("{:.4g}".format)), "nobody's own figure"


def test_a_model_without_trees_is_refused(data):
    rows, responded = data
    model = fitted(rows.assign(visits=rows["spend"]), responded, LogisticRegression())
    with pytest.raises(ValueError, match="TreeSHAP explains boosted trees"):
        explain_trees(model, rows)


def test_each_column_is_traced_to_its_feature(model):
    assert column_features(model).tolist() == ["region", "region", "region", "visits", "spend", "age"]


def test_correlation_is_spearmans(data):
    rows = data[0].dropna()
    found = feature_correlation(rows)
    assert found.loc["visits", "spend"] == pytest.approx(abs(spearmanr(rows["visits"], rows["spend"])[0]))
    levels = [abs(spearmanr(rows["region"] == level, rows["age"])[0]) for level in ("north", "south", "west")]
    assert found.loc["age", "region"] == pytest.approx(max(levels))
    assert (np.diag(found) == 1).all()
    assert feature_correlation(rows.assign(age=1.0)).loc["age", "spend"] == 0


def importance(model, rows, responded, **change):
    given = {"max_correlation": 0.7, "n_repeats": 3, "rng": stream(1, "shuffles")} | change
    return permutation_importance(model, rows.assign(responded=responded, person=np.arange(len(rows))), **given)


def test_correlated_features_are_shuffled_together(data, model):
    rows, responded = data
    found = importance(model, rows, responded)
    groups = found.set_index("group")
    assert set(groups.index) == {"visits, spend", "age", "region"}
    apart = importance(model, rows, responded, max_correlation=1).set_index("group")["roc_auc_drop"]
    # Shuffled together the two are worth more than the one that stands in for the other.
    assert groups.loc["visits, spend", "roc_auc_drop"] > 1.1 * apart[["visits", "spend"]].max()
    assert groups.index[0] == "visits, spend"


def test_importance_is_that_of_scikit_learn(data, model):
    rows, responded = data
    ours = importance(model, rows, responded, max_correlation=1, n_repeats=30).set_index("group")
    theirs = permutation_importance_of_scikit_learn(
        model.pipeline, rows[list(FEATURES)], responded, scoring="roc_auc", n_repeats=30, random_state=0
    )
    error = np.sqrt(2) * theirs.importances_std / np.sqrt(30)
    for i, name in enumerate(FEATURES):
        assert abs(ours.loc[name, "roc_auc_drop"] - theirs.importances_mean[i]) < 4 * error[i] + 1e-9


def test_the_interval_counts_people(data, model):
    rows, responded = data
    one = importance(model, rows, responded).iloc[0]
    rise, half = one["log_loss_increase"], one["log_loss_increase_high"] - one["log_loss_increase"]
    four = pd.concat([rows] * 4, ignore_index=True)
    four = four.assign(responded=np.tile(responded, 4), person=np.tile(np.arange(len(rows)), 4))
    given = {"max_correlation": 0.7, "n_repeats": 3, "rng": stream(1, "shuffles")}
    copied = permutation_importance(model, four, **given).iloc[0]
    wide = copied["log_loss_increase_high"] - copied["log_loss_increase"]
    # Four copies of each person: rows alone would halve the interval. Copies are shuffled apart: a bit less.
    assert 0.7 * half < wide < 1.1 * half
    assert copied["log_loss_increase"] == pytest.approx(rise, abs=half)


@pytest.mark.parametrize("change", [{"max_correlation": 0}, {"max_correlation": 1.1}, {"n_repeats": 0}])
def test_importance_that_cannot_be_measured(data, model, change):
    with pytest.raises(ValueError, match="max_correlation must lie"):
        importance(model, *data, **change)


def test_dependence_by_hand_and_by_scikit_learn(data, model):
    rows = data[0].head(300)
    found = partial_dependences(model, rows, features=["spend", "region", "age"])
    spend = found[found["feature"] == "spend"]
    for value, rate in zip(spend["value"], spend["rate"], strict=True):
        assert rate == pytest.approx(model.probability(rows.assign(spend=value), calibrated=True).mean())
    region = found[found["feature"] == "region"].set_index("level")
    assert region.index.tolist() == ["north", "south", "west"]
    west = model.probability(rows.assign(region="west"), calibrated=True)
    assert region.loc["west", "rate"] == pytest.approx(west.mean())
    assert region.loc["west", ["rate_low", "rate_high"]].tolist() == pytest.approx(np.quantile(west, [0.1, 0.9]))
    plain = ResponseModel(
        "xgboost", "none", FEATURES, model.pipeline, slope=1.0, intercept=0.0, is_calibrated=False
    )
    theirs = partial_dependence(
        model.pipeline, rows, ["spend"], grid_resolution=12, response_method="predict_proba"
    )
    ours = partial_dependences(plain, rows, features=["spend"])["rate"]
    assert ours.to_numpy() == pytest.approx(theirs["average"][0], abs=1e-6)
    assert partial_dependences(model, rows.assign(age=0.0), features=["age"]).empty
