"""Models of the probability of a response, and the calibration of what they say."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC
from imblearn.pipeline import Pipeline
from scipy.special import expit, logit
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier

METHODS = ("logistic", "xgboost")
RESAMPLINGS = ("none", "class_weights", "smote")

RARE_LEVEL = 20
"""Levels of a category with fewer training rows than this are pooled."""

TREES = {
    "learning_rate": 0.04,
    "max_depth": 4,
    "min_child_weight": 10,
    "subsample": 0.8,
    "colsample_bytree": 0.4,
}
"""Weak, slow trees, for responses are mostly noise; picked by log loss on calibration contacts."""

FARTHEST = 3.0
"""Standard deviations beyond which a number counts as this far, so that a line does not extrapolate."""

_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, eq=False)
class ResponseModel:
    """One fitted model and its calibration.

    Attributes:
        method: One of `METHODS`.
        resampling: One of `RESAMPLINGS`.
        features: Columns it reads, in order.
        pipeline: Fitted encoder, resampler (used in fitting only) and classifier.
        slope: Calibrated log odds = `intercept` + `slope` x log odds of the pipeline (Platt 2000).
        intercept: See `slope`; it also undoes the shift in prior that resampling makes.
    """

    method: str
    resampling: str
    features: tuple[str, ...]
    pipeline: Pipeline
    slope: float
    intercept: float

    def probability(self, rows: pd.DataFrame, *, calibrated: bool) -> np.ndarray:
        """Return the probability of a response of each row, shape (n,)."""
        raw = self.pipeline.predict_proba(rows[list(self.features)])[:, 1].astype(float)
        return self.calibrate(raw) if calibrated else raw

    def calibrate(self, probability: np.ndarray) -> np.ndarray:
        """Return what the pipeline's probabilities mean, shape (n,); their order is kept while `slope` > 0."""
        return expit(self.intercept + self.slope * _log_odds(probability))


def response_pipeline(
    rows: pd.DataFrame, *, method: str, resampling: str, n_trees: int, rng: np.random.Generator
) -> Pipeline:
    """Make one unfitted pipeline: encode, resample inside the fit, one-hot, classify.

    Resampling is a step of the pipeline, so that it sees what the model is fitted on and nothing else. Numbers
    are filled with the median, marked where they were missing, and standardised; SMOTE interpolates them and
    takes categories from the neighbours' majority (SMOTENC; Chawla et al. 2002). The logistic regression
    sees numbers held within 3 standard deviations.

    Args:
        rows: The rows it will be fitted on: features and `responded`.
        method: One of `METHODS`.
        resampling: One of `RESAMPLINGS`.
        n_trees: Boosted trees, for `xgboost`.
        rng: Seeds the resampler and the trees.

    Raises:
        ValueError: The method or the resampling is unknown.
    """
    if method not in METHODS or resampling not in RESAMPLINGS:
        raise ValueError(
            f"method {method!r} with resampling {resampling!r}: the methods are {', '.join(METHODS)}, "
            f"the resamplings {', '.join(RESAMPLINGS)}."
        )
    encode, n_numbers, n_columns, first_word = encoder(rows.drop(columns="responded"))
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    clip = FunctionTransformer(np.clip, kw_args={"a_min": -FARTHEST, "a_max": FARTHEST})
    numbers = [("numbers", clip, list(range(n_numbers)))] if method == "logistic" else []
    one_hot = ColumnTransformer(
        [*numbers, ("words", levels, list(range(first_word, n_columns)))], remainder="passthrough"
    )
    steps = [("encode", encode)]
    if resampling == "smote":
        responses = int(rows["responded"].sum())
        fewest = min(responses, len(rows) - responses)
        steps.append(("resample", oversampler(n_numbers, n_columns, n_neighbours=min(5, fewest - 1), rng=rng)))
    weighted = resampling == "class_weights"
    classify = _classifier(method, weighted, rows["responded"], n_trees=n_trees, rng=rng)
    return Pipeline([*steps, ("one_hot", one_hot), ("classify", classify)])


def fit_response_model(
    fit: pd.DataFrame,
    calibrate: pd.DataFrame,
    *,
    method: str,
    resampling: str,
    n_trees: int,
    rng: np.random.Generator,
) -> ResponseModel:
    """Fit one model on some contacts and calibrate it on others that it has not seen.

    Args:
        fit: Features and `responded`, the rows to learn from; resampled, if at all, inside the fit.
        calibrate: The same columns of untouched rows; they are never resampled.
        method: One of `METHODS`.
        resampling: One of `RESAMPLINGS`.
        n_trees: Boosted trees, for `xgboost`.
        rng: Seeds the resampler and the trees.
    """
    features = tuple(str(name) for name in fit if name != "responded")
    pipeline = response_pipeline(fit, method=method, resampling=resampling, n_trees=n_trees, rng=rng)
    pipeline.fit(fit[list(features)], fit["responded"].to_numpy())
    said = _log_odds(pipeline.predict_proba(calibrate[list(features)])[:, 1])
    platt = LogisticRegression(C=np.inf).fit(said.reshape(-1, 1), calibrate["responded"].to_numpy())
    return ResponseModel(
        method=method,
        resampling=resampling,
        features=features,
        pipeline=pipeline,
        slope=float(platt.coef_[0, 0]),
        intercept=float(platt.intercept_[0]),
    )


def encoder(features: pd.DataFrame) -> tuple[ColumnTransformer, int, int, int]:
    """Make the unfitted encoder of a frame: numbers, marks of missing numbers, then ordinal codes of text.

    Returns:
        The encoder, the count of numbers, the count of all its columns, and the place of the first text column.
    """
    numbers = [name for name in features if pd.api.types.is_float_dtype(features[name])]
    # Columns that are missing together, as all of a snapshot's are, need one mark.
    patterns = {features[name].isna().to_numpy().tobytes(): name for name in reversed(numbers)}
    missing = [name for name in numbers if name in patterns.values() and features[name].isna().any()]
    words = [name for name in features if name not in numbers]
    fill = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=RARE_LEVEL)
    parts = [
        ("numbers", fill, numbers),
        ("missing", MissingIndicator(features="all"), missing),
        ("words", codes, words),
    ]
    first_word = len(numbers) + len(missing)
    return ColumnTransformer(parts), len(numbers), first_word + len(words), first_word


def oversampler(n_numbers: int, n_columns: int, *, n_neighbours: int, rng: np.random.Generator):
    """Make the member of the SMOTE family that the columns call for: numbers first, categories after them."""
    seed = int(rng.integers(2**31))
    if n_numbers == n_columns:
        return SMOTE(k_neighbors=n_neighbours, random_state=seed)
    if n_numbers == 0:
        return SMOTEN(k_neighbors=n_neighbours, random_state=seed)
    return SMOTENC(list(range(n_numbers, n_columns)), k_neighbors=n_neighbours, random_state=seed)


def _classifier(
    method: str, weighted: bool, responded: pd.Series, *, n_trees: int, rng: np.random.Generator
) -> LogisticRegression | XGBClassifier:
    if method == "logistic":
        return LogisticRegression(max_iter=1000, class_weight="balanced" if weighted else None)
    return XGBClassifier(
        n_estimators=n_trees,
        **TREES,
        scale_pos_weight=float((1 - responded).sum() / responded.sum()) if weighted else 1.0,
        tree_method="hist",
        n_jobs=1,
        random_state=int(rng.integers(2**31)),
    )


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return logit(np.clip(probability.astype(float), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))
