"""Page 07, explanation: TreeSHAP against Shapley's own sum."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from scipy.special import logit
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder
from xgboost import XGBClassifier

from journeybook.channel_response.explanation import column_features, explain_trees
from journeybook.channel_response.models import ResponseModel

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


def test_a_model_without_trees_is_refused(data):
    rows, responded = data
    model = fitted(rows.assign(visits=rows["spend"]), responded, LogisticRegression())
    with pytest.raises(ValueError, match="TreeSHAP explains boosted trees"):
        explain_trees(model, rows)


def test_each_column_is_traced_to_its_feature(model):
    assert column_features(model).tolist() == ["region", "region", "region", "visits", "spend", "age"]
