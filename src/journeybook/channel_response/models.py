"""Models of the probability of a response, and the calibration of what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from xgboost import XGBClassifier

from journeybook.channel_response.encoding import encoding, resampler

BASES = ("logistic", "forest", "xgboost")
METHODS = (*BASES, "stack")
RESAMPLINGS = ("none", "class_weights", "smote", "undersample")

FOREST = {"n_estimators": 40, "max_samples": 0.25, "max_features": "sqrt"}
"""Few trees on a quarter of the rows each: leaves are large, so that more add little."""

TREES = {"learning_rate": 0.08, "subsample": 0.8, "colsample_bytree": 0.4, "min_child_weight": 10}
"""Weak trees, for responses are mostly noise; how deep and how many is searched."""

PATIENCE = 20
"""Rounds of boosting without a gain after which it stops."""

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
        is_calibrated: Whether slope and intercept are those of a calibration; otherwise it did not help on
            contacts apart from those it was fitted on, and only the shift in prior is taken off.
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
        raw = self.pipeline.predict_proba(rows[list(self.features)])[:, 1].astype(float)
        return self.calibrate(raw) if calibrated else raw

    def calibrate(self, probability: np.ndarray) -> np.ndarray:
        """Return what the pipeline's probabilities mean, shape (n,); their order is kept while `slope` > 0."""
        return expit(self.intercept + self.slope * log_odds(probability))


def response_pipelines(
    rows: pd.DataFrame,
    settings: Sequence[tuple[str, Mapping[str, float]]],
    *,
    resampling: str,
    rng: np.random.Generator,
) -> list[Pipeline]:
    """Make unfitted pipelines that share their first steps: encode, resample; then one-hot and classify, each.

    Resampling is a step of the pipeline, so that it sees what the model is fitted on and nothing else. The
    logistic regression sees numbers held within 3 standard deviations.

    Args:
        rows: The rows they will be fitted on: features and `responded`.
        settings: A method of `BASES` and the settings of its classifier, for each pipeline.
        resampling: One of `RESAMPLINGS`.
        rng: Seeds the folds of the encoder, the resampler and the trees; all trees have one seed.

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
    encoded = encoding(rows.drop(columns="responded"), rng=rng)
    steps = [("encode", encoded.transformer)]
    if resampling in ("smote", "undersample"):
        steps.append(("resample", resampler(resampling, encoded, responded, rng=rng)))
    weighted = resampling == "class_weights"
    ratio = float((1 - responded).sum() / responded.sum()) if weighted else 1.0
    seed = int(rng.integers(2**31))
    return [
        Pipeline(
            [
                *steps,
                ("one_hot", encoded.one_hot(clip=method == "logistic")),
                ("classify", _classifier(method, chosen, weighted=weighted, ratio=ratio, seed=seed)),
            ]
        )
        for method, chosen in settings
    ]


def fit_together(
    pipelines: Sequence[Pipeline], rows: pd.DataFrame, *, stop_on: pd.DataFrame | None = None, shift: float = 0.0
) -> None:
    """Fit pipelines made by one call of `response_pipelines`, encoding and resampling once for all of them.

    Each ends as its own `fit` would leave it. Resampling is the dear step: sharing it is what makes comparing many
    models affordable.

    Args:
        pipelines: Unfitted; fitted in place.
        rows: Features and `responded`.
        stop_on: Rows on which boosted trees stop early, once the log loss of their corrected probabilities has not
            fallen for 20 rounds; None to grow all trees.
        shift: What `corrected` takes off, see there.
    """
    features, responded = rows.drop(columns="responded"), rows["responded"].to_numpy()
    encode, *resample = [step for name, step in pipelines[0].steps if name in ("encode", "resample")]
    codes, balanced = encode.fit_transform(features, responded), responded
    for step in resample:
        codes, balanced = step.fit_resample(codes, responded)
    for pipeline in pipelines:
        one_hot, classify = (pipeline.named_steps[name] for name in ("one_hot", "classify"))
        seen, stop = one_hot.fit_transform(codes), {}
        if stop_on is not None and isinstance(classify, XGBClassifier):
            loss = partial(_corrected_loss, shift=shift)
            classify.set_params(early_stopping_rounds=PATIENCE, eval_metric=update_wrapper(loss, _corrected_loss))
            judged = one_hot.transform(encode.transform(stop_on.drop(columns="responded")))
            stop = {"eval_set": [(judged, stop_on["responded"].to_numpy())], "verbose": False}
        classify.fit(seen, balanced, **stop)


def said_together(pipelines: Sequence[Pipeline], rows: pd.DataFrame) -> list[np.ndarray]:
    """Return what each of some pipelines that share their encoder says of rows, as `predict_proba` would."""
    codes = pipelines[0].named_steps["encode"].transform(rows.drop(columns="responded"))
    steps = [(p.named_steps["one_hot"], p.named_steps["classify"]) for p in pipelines]
    return [classify.predict_proba(one_hot.transform(codes))[:, 1].astype(float) for one_hot, classify in steps]


def stacked(
    parts: Mapping[str, Pipeline], rows: pd.DataFrame, *, said: Mapping[str, np.ndarray]
) -> StackingClassifier:
    """Combine pipelines by a logistic regression on their log odds for rows not seen (Wolpert 1992).

    Args:
        parts: Pipelines by method, fitted on all rows.
        rows: Features and `responded` of the rows that `said` is about; not resampled, so that the stack learns
            the true prior.
        said: Probabilities of these rows by method, shape (n,), each row's from a fit without it.
    """
    features, responded = rows.drop(columns="responded"), rows["responded"].to_numpy()
    held = FunctionTransformer(np.clip, kw_args={"a_min": _LEAST_PROBABILITY, "a_max": 1 - _LEAST_PROBABILITY})
    weigh = make_pipeline(held, FunctionTransformer(logit), LogisticRegression())
    stack = StackingClassifier(list(parts.items()), weigh, cv="prefit").fit(features, responded)
    # `fit` weighed what the parts say of rows they have seen; what counts is what was said without them.
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
    more than chance would (95 %, one-sided). A calibration that only follows chance makes new rows worse.

    Args:
        pipeline: Fitted.
        calibrate: Features, in the order of the fit, and `responded`.
        method: One of `METHODS`.
        resampling: One of `RESAMPLINGS`.
        shift: Shift in prior to take off the log odds where calibration does not help.
        raw: What the pipeline says of `calibrate`, where that is known; None asks it.
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


def log_loss(probability: np.ndarray, responded: np.ndarray) -> float:
    """Return the mean log loss in nats of probabilities above 0 and below 1."""
    return float(row_losses(probability, responded).mean())


def row_losses(probability: np.ndarray, responded: np.ndarray) -> np.ndarray:
    """Return the log loss of each row, in nats, shape (n,)."""
    return -np.log(np.where(responded == 1, probability, 1 - probability))


def _corrected_loss(responded: np.ndarray, probability: np.ndarray, *, shift: float) -> float:
    return log_loss(corrected(probability, shift=shift), responded)


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
