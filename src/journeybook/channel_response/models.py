"""Models of the probability of a response: encoding, resampling, fitting, and the calibration of what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import Any

import numpy as np
import pandas as pd
from imblearn.base import BaseSampler
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC
from imblearn.pipeline import Pipeline
from imblearn.under_sampling import RandomUnderSampler
from scipy.sparse import issparse
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.impute import MissingIndicator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from xgboost import XGBClassifier

from journeybook.channel_response.contacts import RARE_LEVEL
from journeybook.statistics.imputation import Imputer, fill

BASES = ("logistic", "forest", "xgboost")
METHODS = (*BASES, "stack")
RESAMPLINGS = ("none", "class_weights", "smote", "undersample")

MANY_LEVELS = 30
"""A category with more levels than this, after pooling, is a number: its cross-fitted response rate."""

FARTHEST = 3.0
"""Standard deviations beyond which a number counts as this far, so that a line does not extrapolate."""

FOREST = {"n_estimators": 30, "max_samples": 0.25, "max_features": "sqrt"}
"""Few trees on a quarter of the rows each: leaves are large, so that more add little."""

TREES = {"learning_rate": 0.08, "subsample": 0.8, "colsample_bytree": 0.4, "min_child_weight": 10}
"""Weak trees, for responses are mostly noise; how deep and how many is searched."""

PATIENCE = 20
"""Rounds of boosting without a gain after which it stops."""

_NEAR_DIGITS = 5
"""Digits of a distance, in standard deviations, by which neighbours are told apart: the rest is rounding."""

_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, eq=False)
class ResponseModel:
    """One fitted model and its calibration.

    Attributes:
        method: One of `METHODS`.
        resampling: One of `RESAMPLINGS`.
        features: Columns it reads, in order.
        pipeline: Fitted encoder, resampler (used in fitting only) and classifier; of a stack, the classifier that
            weighs three such pipelines.
        slope: Calibrated log odds = `intercept` + `slope` x log odds of the pipeline (Platt 2000).
        intercept: See `slope`; it also undoes the shift in prior that resampling makes.
        is_calibrated: False where a calibration did not help and only the shift in prior is taken off.
    """

    method: str
    resampling: str
    features: tuple[str, ...]
    pipeline: Pipeline | StackingClassifier
    slope: float
    intercept: float
    is_calibrated: bool

    def probability(self, rows: pd.DataFrame, *, calibrated: bool) -> np.ndarray:
        """Return the probability of a response of each row, shape (n,)."""
        asked = rows[list(self.features)]
        if isinstance(self.pipeline, StackingClassifier):
            # Its parts share their encoder, which is the dear step.
            parts = said_together(self.pipeline.estimators_, asked)
            raw = self.pipeline.final_estimator_.predict_proba(np.column_stack(parts))[:, 1]
        else:
            raw = self.pipeline.predict_proba(asked)[:, 1].astype(float)
        return self.calibrate(raw) if calibrated else raw

    def calibrate(self, probability: np.ndarray) -> np.ndarray:
        """Return what the pipeline's probabilities mean, shape (n,); their order is kept while `slope` > 0."""
        return expit(self.intercept + self.slope * log_odds(probability))


@dataclass(frozen=True, eq=False)
class Encoding:
    """An unfitted encoder, which writes numbers, then marks of missing ones, then ordinal codes of categories.

    Attributes:
        transformer: The encoder.
        n_numbers: Columns that are quantities: numbers, and response rates of categories with many levels.
        n_columns: All columns.
        first_word: Place of the first ordinal code.
    """

    transformer: ColumnTransformer
    n_numbers: int
    n_columns: int
    first_word: int

    def one_hot(self, *, clip: bool) -> ColumnTransformer:
        """Make the unfitted step that follows: a column a code, and numbers held within 3 deviations if asked."""
        words = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
        parts = [("words", words, list(range(self.first_word, self.n_columns)))]
        if clip:
            held = FunctionTransformer(np.clip, kw_args={"a_min": -FARTHEST, "a_max": FARTHEST})
            parts.insert(0, ("numbers", held, list(range(self.n_numbers))))
        return ColumnTransformer(parts, remainder="passthrough")


class FillIn(TransformerMixin, BaseEstimator):
    """Fills in missing numbers by what was learned before and handed on; fitting learns nothing."""

    def __init__(self, imputer: Imputer):
        self.imputer = imputer

    def fit(self, X: pd.DataFrame, y: Any = None) -> "FillIn":
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        return fill(X, self.imputer, columns=list(X)).to_numpy()


def encoding(features: pd.DataFrame, *, imputer: Imputer, rng: np.random.Generator) -> Encoding:
    """Make the unfitted encoder of the rows it will be fitted on: float64 columns are numbers, others categories.

    Numbers are filled in by `imputer` and standardised. A category with many levels becomes its response rate,
    each row's from folds without it (Micci-Barreca 2001), whose draws `rng` seeds.
    """
    numbers = [name for name in features if pd.api.types.is_float_dtype(features[name])]
    # Columns that are missing together, as all of a snapshot's are, need one mark.
    patterns = {features[name].isna().to_numpy().tobytes(): name for name in reversed(numbers)}
    missing = [name for name in numbers if name in patterns.values() and features[name].isna().any()]
    texts = [name for name in features if name not in numbers]
    many = [name for name in texts if (features[name].value_counts() >= RARE_LEVEL).sum() > MANY_LEVELS]
    words = [name for name in texts if name not in many]
    seed = int(rng.integers(2**31))
    fill = make_pipeline(FillIn(imputer), StandardScaler())
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=RARE_LEVEL)
    rates = make_pipeline(clone(codes), TargetEncoder(target_type="binary", random_state=seed), StandardScaler())
    parts = [
        ("numbers", fill, numbers),
        ("levels", rates, many),
        ("missing", MissingIndicator(features="all"), missing),
        ("words", codes, words),
    ]
    n_numbers = len(numbers) + len(many)
    first_word = n_numbers + len(missing)
    return Encoding(ColumnTransformer(parts), n_numbers, first_word + len(words), first_word)


class _OneHot(OneHotEncoder):
    """One-hot codes whose way back is dense: SMOTENC's own searches a sparse matrix row by row, in Python."""

    def inverse_transform(self, X: Any) -> np.ndarray:
        return super().inverse_transform(X.toarray() if issparse(X) else X)


class SteadyNeighbours(NearestNeighbors):
    """Neighbours ordered by distance to `_NEAR_DIGITS`, then by place: ties fall alike on every processor."""

    def kneighbors(self, X: Any, n_neighbors: int | None = None, return_distance: bool = False) -> np.ndarray:
        """Return the places of the nearest rows it was fitted on, nearest first, shape (rows, neighbours)."""
        k, scale = n_neighbors or self.n_neighbors, 10.0**_NEAR_DIGITS

        def nearest(distance: np.ndarray, _: int) -> np.ndarray:
            # Whoever may be among them once distances are rounded; only these few are put in order.
            edge = np.partition(distance, k - 1, axis=1)[:, k - 1 : k] + 1 / scale
            row, place = np.nonzero(distance <= edge)
            order = np.lexsort((place, np.rint(distance[row, place] * scale), row))
            return place[order][np.searchsorted(row, np.arange(len(distance)))[:, None] + np.arange(k)]

        # A block of distances, of 64 MB, is copied some times. Few columns are quicker dense.
        asked = {"metric": self.metric, "reduce_func": nearest, "working_memory": 64}
        dense = [rows.toarray() if issparse(rows) else rows for rows in (X, self._fit_X)]
        found = pairwise_distances_chunked(*dense, **asked)
        return np.concatenate(list(found))


def resampler(kind: str, encoded: Encoding, responded: np.ndarray, *, rng: np.random.Generator) -> BaseSampler:
    """Make the unfitted step that balances responders and others.

    "undersample" drops others at random. "smote" invents responders: it interpolates numbers and takes categories
    from the majority of the neighbours (SMOTENC; Chawla et al. 2002), 5 of them where there are as many.
    """
    seed = int(rng.integers(2**31))
    if kind == "undersample":
        return RandomUnderSampler(random_state=seed)
    responses = int(responded.sum())
    n_near = min(5, responses - 1, len(responded) - responses - 1)
    # A row is its own neighbour too.
    near = SteadyNeighbours(n_neighbors=n_near + 1, metric="euclidean", algorithm="brute")
    if encoded.n_numbers == encoded.n_columns:
        return SMOTE(k_neighbors=near, random_state=seed)
    if encoded.n_numbers == 0:
        return SMOTEN(k_neighbors=near, random_state=seed)
    words = list(range(encoded.n_numbers, encoded.n_columns))
    codes = _OneHot(handle_unknown="ignore")
    return SMOTENC(words, categorical_encoder=codes, k_neighbors=near, random_state=seed)


def response_pipelines(
    rows: pd.DataFrame,
    settings: Sequence[tuple[str, Mapping[str, float]]],
    *,
    resampling: str,
    rng: np.random.Generator,
    imputer: Imputer,
) -> list[Pipeline]:
    """Make unfitted pipelines that share their first steps: encode, resample; then one-hot and classify, each.

    Resampling is a step of the pipeline, so that it sees what the model is fitted on and nothing else. The
    logistic regression sees numbers held within 3 standard deviations. All trees have one seed.

    Args:
        rows: The rows they will be fitted on: features and `responded`.
        settings: A method of `BASES` and the settings of its classifier, for each pipeline.
        resampling: One of `RESAMPLINGS`.
        rng: Seeds the folds of the encoder, the resampler and the trees.
        imputer: What fills in missing numbers, learned before on training people.

    Raises:
        ValueError: A method or the resampling is unknown.
    """
    for method, _ in settings:
        if method not in BASES or resampling not in RESAMPLINGS:
            raise ValueError(
                f"method {method!r} with resampling {resampling!r}: the methods are {', '.join(BASES)}, "
                f"the resamplings {', '.join(RESAMPLINGS)}."
            )
    responded = rows["responded"].to_numpy()
    encoded = encoding(rows.drop(columns="responded"), imputer=imputer, rng=rng)
    steps = [("encode", encoded.transformer)]
    if resampling in ("smote", "undersample"):
        steps.append(("resample", resampler(resampling, encoded, responded, rng=rng)))
    weighted = resampling == "class_weights"
    ratio = float((1 - responded).sum() / responded.sum()) if weighted else 1.0
    seed = int(rng.integers(2**31))
    one_hots = {clip: encoded.one_hot(clip=clip) for clip in (True, False)}
    made = []
    for method, chosen in settings:
        classify = _classifier(method, chosen, weighted=weighted, ratio=ratio, seed=seed)
        one_hot = one_hots[method == "logistic"]
        made.append(Pipeline([*steps, ("one_hot", one_hot), ("classify", classify)]))
    return made


def fit_together(
    pipelines: Sequence[Pipeline], rows: pd.DataFrame, *, stop_on: pd.DataFrame | None = None, shift: float = 0.0
) -> None:
    """Fit pipelines made by one call of `response_pipelines` in place, encoding and resampling once for all.

    Each ends as its own `fit` would leave it; resampling is the dear step. Where `stop_on` has rows, boosted trees
    stop once the log loss of their probabilities there, corrected by `shift`, has not fallen for 20 rounds.
    """
    features, responded = rows.drop(columns="responded"), rows["responded"].to_numpy()
    encode, *resample = [step for name, step in pipelines[0].steps if name in ("encode", "resample")]
    codes, balanced = encode.fit_transform(features, responded), responded
    for step in resample:
        codes, balanced = step.fit_resample(codes, responded)
    one_hots = {pipeline.named_steps["one_hot"] for pipeline in pipelines}
    seen = {one_hot: one_hot.fit_transform(codes) for one_hot in one_hots}
    for pipeline in pipelines:
        one_hot, classify = (pipeline.named_steps[name] for name in ("one_hot", "classify"))
        stop = {}
        if stop_on is not None and isinstance(classify, XGBClassifier):
            loss = partial(_corrected_loss, shift=shift)
            classify.set_params(early_stopping_rounds=PATIENCE, eval_metric=update_wrapper(loss, _corrected_loss))
            judged = one_hot.transform(encode.transform(stop_on.drop(columns="responded")))
            stop = {"eval_set": [(judged, stop_on["responded"].to_numpy())], "verbose": False}
        classify.fit(seen[one_hot], balanced, **stop)


def said_together(pipelines: Sequence[Pipeline], rows: pd.DataFrame) -> list[np.ndarray]:
    """Return what each of some pipelines that share their encoder says of rows, as `predict_proba` would."""
    codes = pipelines[0].named_steps["encode"].transform(rows.drop(columns="responded", errors="ignore"))
    steps = [(p.named_steps["one_hot"], p.named_steps["classify"]) for p in pipelines]
    seen = {one_hot: one_hot.transform(codes) for one_hot in {one_hot for one_hot, _ in steps}}
    return [classify.predict_proba(seen[one_hot])[:, 1].astype(float) for one_hot, classify in steps]


def stacked(
    parts: Mapping[str, Pipeline], rows: pd.DataFrame, *, said: Mapping[str, np.ndarray]
) -> StackingClassifier:
    """Combine fitted pipelines by a logistic regression on their log odds for rows not seen (Wolpert 1992).

    `said` holds the probabilities of `rows` by method, each row's from a fit without it. The rows are not
    resampled, so that the stack learns the true prior.
    """
    features, responded = rows.drop(columns="responded"), rows["responded"].to_numpy()
    held = FunctionTransformer(np.clip, kw_args={"a_min": _LEAST_PROBABILITY, "a_max": 1 - _LEAST_PROBABILITY})
    weigh = make_pipeline(held, FunctionTransformer(logit), LogisticRegression())
    # A few rows of both outcomes tell scikit-learn the shapes; what counts is what was said without the rows.
    some = np.unique([*range(min(50, len(rows))), int(np.argmax(responded)), int(np.argmin(responded))])
    stack = StackingClassifier(list(parts.items()), weigh, cv="prefit").fit(features.iloc[some], responded[some])
    stack.final_estimator_.fit(np.column_stack([said[method] for method in parts]), responded)
    return stack


def calibrated_model(
    pipeline: Pipeline | StackingClassifier,
    calibrate: pd.DataFrame,
    *,
    method: str,
    resampling: str,
    shift: float,
    raw: np.ndarray | None = None,
) -> ResponseModel:
    """Calibrate a fitted pipeline on rows that it has not seen and that are never resampled, where that helps.

    It helps where a calibration fitted on one half of these rows lowers the log loss of the other, both ways, by
    more than chance would (95 %, one-sided). A calibration that only follows chance makes new rows worse: then
    `shift` is taken off the log odds. `raw` is what the pipeline says of `calibrate`, if that is known.
    """
    features = tuple(str(name) for name in calibrate if name != "responded")
    said = log_odds(pipeline.predict_proba(calibrate[list(features)])[:, 1] if raw is None else raw)
    responded = calibrate["responded"].to_numpy()
    helps = _gains(said, responded, shift=shift)
    slope, intercept = _platt(said, responded) if helps else (1.0, -shift)
    return ResponseModel(method, resampling, features, pipeline, slope, intercept, helps)


def _platt(said: np.ndarray, responded: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept that map log odds to those of the responses (Platt 2000)."""
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(said.reshape(-1, 1), responded)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def _gains(said: np.ndarray, responded: np.ndarray, *, shift: float) -> bool:
    """Whether a calibration fitted on one half lowers the log loss of the other beyond chance."""
    first = np.arange(len(said)) < len(said) / 2
    if any(len(np.unique(responded[half])) < 2 for half in (first, ~first)):
        return False
    gained = row_losses(expit(said - shift), responded)
    for taught in (first, ~first):
        slope, intercept = _platt(said[taught], responded[taught])
        gained[~taught] -= row_losses(expit(intercept + slope * said[~taught]), responded[~taught])
    return bool(gained.mean() > norm.ppf(0.95) * gained.std(ddof=1) / len(gained) ** 0.5)


def prior_shift(resampling: str, *, rate: float) -> float:
    """Return by how much resampling moves the log odds: from the response rate of the rows to one half."""
    return 0.0 if resampling == "none" else float(-logit(rate))


def corrected(probability: np.ndarray, *, shift: float) -> np.ndarray:
    """Take the shift in prior off the log odds (Elkan 2001, theorem 2), shape (n,)."""
    return expit(log_odds(probability) - shift)


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Return the log odds, of probabilities held within 1e-6 of 0 and 1."""
    return logit(np.clip(np.asarray(probability, dtype=float), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))


def row_losses(probability: np.ndarray, responded: np.ndarray) -> np.ndarray:
    """Return the log loss of each row, in nats, shape (n,)."""
    return -np.log(np.where(responded == 1, probability, 1 - probability))


def _corrected_loss(responded: np.ndarray, probability: np.ndarray, *, shift: float) -> float:
    return float(row_losses(corrected(probability, shift=shift), responded).mean())


def _classifier(
    method: str, settings: Mapping[str, float], *, weighted: bool, ratio: float, seed: int
) -> LogisticRegression | RandomForestClassifier | XGBClassifier:
    """Make an unfitted classifier; `ratio` is the weight that XGBoost gives a responder."""
    balanced = "balanced" if weighted else None
    if method == "logistic":
        return LogisticRegression(max_iter=1000, class_weight=balanced, **settings)
    if method == "forest":
        return RandomForestClassifier(**FOREST, **settings, class_weight=balanced, random_state=seed, n_jobs=1)
    return XGBClassifier(
        **TREES, **settings, scale_pos_weight=ratio, tree_method="hist", n_jobs=1, random_state=seed
    )
