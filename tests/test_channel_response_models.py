"""Page 07: pipelines against scikit-learn and imbalanced-learn called by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from channel_response_toys import TREES, columns, imputer_of, simulated
from imblearn.over_sampling import SMOTENC
from imblearn.under_sampling import RandomUnderSampler
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import TargetEncoder

from journeybook.channel_response import models
from journeybook.channel_response.models import (
    RESAMPLINGS,
    SteadyNeighbours,
    calibrated_model,
    corrected,
    fit_together,
    log_odds,
    prior_shift,
    resampler,
    response_pipelines,
)
from journeybook.statistics import stream


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Simulated contacts."""
    return simulated()


def by_hand(rows: pd.DataFrame, like: pd.DataFrame) -> np.ndarray:
    """Encode with pandas alone: median, mark, standardise on `like`, then one column a level."""
    filled = like["visits"].fillna(like["visits"].median())
    numbers = (rows["visits"].fillna(like["visits"].median()) - filled.mean()) / filled.std(ddof=0)
    levels = pd.get_dummies(rows[["region", "channel"]], dtype=float)
    return np.column_stack([numbers.clip(-3, 3), levels, rows["visits"].isna()])


@pytest.mark.parametrize("resampling", ["none", "class_weights"])
def test_logistic_regression_by_hand(frame, resampling):
    rows = columns(frame)
    fit, new = rows.iloc[:3000], rows.iloc[3000:]
    (pipeline,) = response_pipelines(
        fit, [("logistic", {})], resampling=resampling, imputer=imputer_of(fit), rng=stream(1, "x")
    )
    pipeline.fit(fit.drop(columns="responded"), fit["responded"])
    weight = None if resampling == "none" else "balanced"
    plain = LogisticRegression(max_iter=1000, class_weight=weight).fit(by_hand(fit, fit), fit["responded"])
    said = pipeline.predict_proba(new.drop(columns="responded"))[:, 1]
    assert said == pytest.approx(plain.predict_proba(by_hand(new, fit))[:, 1], abs=2e-4)


@pytest.mark.parametrize("resampling", ["smote", "undersample"])
def test_resampling_by_hand(frame, resampling):
    rows = columns(frame)
    features, responded = rows.drop(columns="responded"), rows["responded"]
    (pipeline,) = response_pipelines(
        rows, [("logistic", {})], resampling=resampling, imputer=imputer_of(rows), rng=stream(1, "x")
    )
    assert [name for name, _ in pipeline.steps] == ["encode", "resample", "one_hot", "classify"]
    codes = pipeline.named_steps["encode"].fit_transform(features, responded)
    assert codes.shape == (len(rows), 4)
    more, balanced = pipeline.named_steps["resample"].fit_resample(codes, responded)
    seed = pipeline.named_steps["resample"].random_state
    # Of the neighbours' order see below; by imbalanced-learn's own, near ties fall otherwise.
    near = SteadyNeighbours(n_neighbors=6, metric="euclidean", algorithm="brute")
    by_hand = {
        "smote": SMOTENC([1, 2, 3], k_neighbors=near, random_state=seed),
        "undersample": RandomUnderSampler(random_state=seed),
    }
    expected, _ = by_hand[resampling].fit_resample(codes, responded)
    assert balanced.mean() == 0.5
    assert len(more) > len(rows) if resampling == "smote" else len(more) < len(rows)
    np.testing.assert_array_equal(more, expected)


def test_ties_among_smote_s_neighbours_do_not_turn_on_rounding():
    """Rows on a grid, many equally far: last digits and the order of sums are a processor's."""
    rng = np.random.default_rng(5)
    grid = rng.integers(4, size=(400, 6)) / 3
    responded = (np.arange(400) % 5 == 0).astype(int)
    encoded = SimpleNamespace(n_numbers=6, n_columns=6)

    def made(rows: np.ndarray) -> np.ndarray:
        return resampler("smote", encoded, responded, rng=stream(1, "x")).fit_resample(rows, responded)[0]

    plain = made(grid)
    assert plain == pytest.approx(made(grid + rng.normal(0, 1e-12, grid.shape)), abs=1e-9)
    turned = rng.permutation(6)
    np.testing.assert_array_equal(plain[:, turned], made(grid[:, turned]))
    near = SteadyNeighbours(n_neighbors=7, metric="euclidean", algorithm="brute").fit(grid)
    far = ((grid[:, None] - grid[None]) ** 2).sum(axis=-1) ** 0.5
    by_hand = np.argsort(far.round(5), axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(near.kneighbors(grid), by_hand)


@pytest.mark.parametrize("resampling", RESAMPLINGS)
def test_fitting_together_is_fitting_alone(frame, resampling):
    rows = columns(frame)
    fit, new = rows.iloc[:3000], rows.iloc[3000:].drop(columns="responded")
    settings = [("logistic", {}), ("forest", {"min_samples_leaf": 50}), ("xgboost", TREES)]
    together = response_pipelines(
        fit, settings, resampling=resampling, imputer=imputer_of(fit), rng=stream(1, "x")
    )
    fit_together(together, fit)
    for pipeline in together:
        alone = clone(pipeline).fit(fit.drop(columns="responded"), fit["responded"].to_numpy())
        np.testing.assert_array_equal(alone.predict_proba(new), pipeline.predict_proba(new))


def test_many_levels_become_a_cross_fitted_rate():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"shop": rng.integers(60, size=6000).astype(str), "responded": rng.random(6000) < 0.2})
    rows = rows.astype({"shop": "object", "responded": "int8"})
    (pipeline,) = response_pipelines(
        rows, [("logistic", {})], resampling="none", imputer=imputer_of(rows), rng=stream(1, "x")
    )
    encode = pipeline.named_steps["encode"]
    fitted = encode.fit_transform(rows[["shop"]], rows["responded"])
    assert fitted.shape == (6000, 1)
    own = TargetEncoder(target_type="binary", random_state=encode.transformers[1][1][1].random_state)
    expected = own.fit_transform(rows[["shop"]], rows["responded"])
    assert np.corrcoef(fitted[:, 0], expected[:, 0])[0, 1] == pytest.approx(1)
    # Pure noise: a rate that had seen its own row would seem to predict.
    assert abs(roc_auc_score(rows["responded"], fitted[:, 0]) - 0.5) < 0.04
    assert roc_auc_score(rows["responded"], encode.transform(rows[["shop"]])[:, 0]) > 0.54
    unknown = encode.transform(pd.DataFrame({"shop": ["elsewhere"]}))
    assert unknown[0, 0] == pytest.approx(0, abs=0.1)


def test_correcting_for_the_prior():
    # Bayes: at a rate of 10 %, balanced, a likelihood ratio of 3 is 3 / (3 + 1); undone it is 3 / (3 + 9).
    shift = prior_shift("smote", rate=0.1)
    assert corrected(np.array([0.75]), shift=shift) == pytest.approx(0.25)
    assert prior_shift("none", rate=0.1) == 0
    # The true probabilities of undersampled rows come back.
    rng = np.random.default_rng(1)
    x = rng.normal(size=400_000)
    true = 1 / (1 + np.exp(2.5 - x))
    responded = (rng.random(len(x)) < true).astype(int)
    kept = (responded == 1) | (rng.random(len(x)) < responded.mean() / (1 - responded.mean()))
    plain = LogisticRegression(C=np.inf).fit(x[kept, None], responded[kept])
    said = corrected(
        plain.predict_proba(x[:, None])[:, 1], shift=prior_shift("undersample", rate=responded.mean())
    )
    assert np.abs(log_odds(said) - log_odds(true)).max() < 0.15


@pytest.mark.parametrize("kind", ["only numbers", "only words"])
@pytest.mark.parametrize("resampling", ["none", "smote"])
def test_features_of_one_kind(frame, kind, resampling):
    rows = columns(frame)[
        ["visits", "responded"] if kind == "only numbers" else ["region", "channel", "responded"]
    ]
    settings = [("logistic", {}), ("xgboost", {"n_estimators": 5})]
    pipelines = response_pipelines(
        rows, settings, resampling=resampling, imputer=imputer_of(rows), rng=stream(1, "x")
    )
    fit_together(pipelines, rows)
    for pipeline in pipelines:
        said = pipeline.predict_proba(rows.drop(columns="responded"))[:, 1]
        assert ((said > 0) & (said < 1)).all()


def test_calibration_keeps_the_order_and_meets_the_rate(frame):
    rows = columns(frame)
    fit, calibrate = rows.iloc[:2500], rows.iloc[2500:]
    pipelines = response_pipelines(
        fit, [("xgboost", TREES)], resampling="class_weights", imputer=imputer_of(fit), rng=stream(1, "x")
    )
    fit_together(pipelines, fit)
    model = calibrated_model(pipelines[0], calibrate, method="xgboost", resampling="class_weights", shift=0.0)
    raw, said = (model.probability(calibrate, calibrated=c) for c in (False, True))
    assert model.is_calibrated and model.slope > 0
    assert roc_auc_score(calibrate["responded"], raw) == roc_auc_score(calibrate["responded"], said)
    # The score equation of a logistic regression: predictions sum to responses.
    assert said.mean() == pytest.approx(calibrate["responded"].mean(), abs=1e-4)
    assert raw.mean() > 1.5 * said.mean()


def test_a_calibration_that_does_not_help_apart_is_not_applied():
    rng, n = stream(4, "odds"), 4000
    odds = rng.normal(-1.5, 1, n)
    responded = rng.random(n) < expit(odds)
    helps = models._gains
    assert not helps(odds, responded.astype(int), shift=0.0)
    assert not helps(odds + 2, responded.astype(int), shift=2.0)
    assert helps(odds + 2, responded.astype(int), shift=0.0)
    assert helps(3 * odds, responded.astype(int), shift=0.0)


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="method 'wood'"):
        response_pipelines(
            columns(simulated(50)),
            [("wood", {})],
            resampling="none",
            imputer=imputer_of(columns(simulated(50))),
            rng=stream(1, ""),
        )
