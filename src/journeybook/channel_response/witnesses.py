"""What the page is held against: the planted truth, labels that mean nothing, and SMOTE in the wrong place."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from scipy.stats import norm
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import ResponseModel, response_pipelines
from journeybook.channel_response.quality import quality
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison


@dataclass(frozen=True)
class Ceiling:
    """The chosen model beside the probabilities that the responses were drawn from.

    Attributes:
        roc_auc: ROC AUC of the true probabilities on the test contacts; no model can beat it but by chance.
        roc_auc_low: Lower end of its 95 % interval.
        roc_auc_high: Upper end.
        model_roc_auc: ROC AUC of the chosen model on the same contacts.
        shortfall: `roc_auc` less `model_roc_auc`.
        shortfall_low: Lower end of its paired 95 % interval.
        shortfall_high: Upper end.
        reached_share: (model - 0.5) / (ceiling - 0.5).
        ece: ECE of the true probabilities: what chance alone shows.
        mean_absolute_error: Mean distance of the model's calibrated probabilities from the true ones.
        correlation: Their correlation.
    """

    roc_auc: float
    roc_auc_low: float
    roc_auc_high: float
    model_roc_auc: float
    shortfall: float
    shortfall_low: float
    shortfall_high: float
    reached_share: float
    ece: float
    mean_absolute_error: float
    correlation: float


def ceiling(contacts: ContactFrame, split: Split, comparison: MethodComparison, truth: pd.DataFrame) -> Ceiling:
    """Hold the chosen model against the true probabilities of a simulated data set.

    Args:
        contacts: As made by `contact_frame`.
        split: As made by `split_contacts`.
        comparison: As made by `compare_methods`.
        truth: `contact_id` and `probability`, one row a contact.

    Raises:
        ValueError: A test contact has no true probability.
    """
    known = truth.set_index("contact_id")["probability"]
    true = contacts.rows["contact_id"].iloc[split.test].map(known).to_numpy(dtype=float)
    if np.isnan(true).any():
        raise ValueError(f"{int(np.isnan(true).sum())} of {len(true)} test contacts have no true probability.")
    best = quality(true, comparison.responded, comparison.weights)
    ours = quality(comparison.probability, comparison.responded, comparison.weights)
    low, high = best.interval().low[0], best.interval().high[0]
    short_low, short_high = np.quantile(best.draws[:, 0] - ours.draws[:, 0], [0.025, 0.975])
    return Ceiling(
        roc_auc=float(best.estimate[0]),
        roc_auc_low=float(low),
        roc_auc_high=float(high),
        model_roc_auc=float(ours.estimate[0]),
        shortfall=float(best.estimate[0] - ours.estimate[0]),
        shortfall_low=float(short_low),
        shortfall_high=float(short_high),
        reached_share=float((ours.estimate[0] - 0.5) / (best.estimate[0] - 0.5)),
        ece=float(best.estimate[4]),
        mean_absolute_error=float(np.abs(comparison.probability - true).mean()),
        correlation=float(np.corrcoef(comparison.probability, true)[0, 1]),
    )


@dataclass(frozen=True)
class NoiseTrial:
    """The same page with labels that mean nothing.

    Attributes:
        roc_auc: ROC AUC on the test contacts.
        low: Lower end of the range that holds 99.9 % of AUCs of a score that knows nothing.
        high: Upper end.
    """

    roc_auc: float
    low: float
    high: float


def noise_trial(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    *,
    settings: Mapping[str, float],
    rng: np.random.Generator,
) -> NoiseTrial:
    """Shuffle the responses over all contacts, then fit and judge as before.

    The range is that of the Mann-Whitney statistic under independence (Mann & Whitney 1947): variance
    (n + 1) / (12 x responders x others).

    Args:
        contacts: As made by `contact_frame`.
        split: As made by `split_contacts`.
        gate: Only the features it let pass are used.
        settings: Of the boosted trees to fit, without resampling.
        rng: Shuffles, and seeds the model.
    """
    table = contacts.rows[[*gate.features, "responded"]]
    table = table.assign(responded=rng.permutation(table["responded"].to_numpy()))
    fit, test = table.iloc[split.training], table.iloc[split.test]
    (pipeline,) = response_pipelines(fit, [("xgboost", settings)], resampling="none", rng=rng)
    pipeline.fit(fit[list(gate.features)], fit["responded"].to_numpy())
    score = pipeline.predict_proba(test[list(gate.features)])[:, 1]
    hits = int(test["responded"].sum())
    half = norm.ppf(0.9995) * np.sqrt((len(test) + 1) / (12 * hits * (len(test) - hits)))
    return NoiseTrial(
        roc_auc=float(roc_auc_score(test["responded"], score)), low=float(0.5 - half), high=float(0.5 + half)
    )


def auc_in_file_order(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    *,
    settings: Mapping[str, float],
    rng: np.random.Generator,
) -> float:
    """Return the ROC AUC on the last rows of the table of boosted trees taught on the first ones.

    Where contacts have no times, the order of the rows is all there is to tell what time may do to a model.

    Args:
        contacts: As made by `contact_frame`.
        split: The last rows judged are as many as its test.
        gate: Only the features it let pass are used.
        settings: Of the boosted trees, without resampling.
        rng: Seeds them.
    """
    rows = contacts.rows[[*gate.features, "responded"]]
    fit, test = rows.iloc[: -len(split.test)], rows.iloc[-len(split.test) :]
    (pipeline,) = response_pipelines(fit, [("xgboost", settings)], resampling="none", rng=rng)
    pipeline.fit(fit[list(gate.features)], fit["responded"].to_numpy())
    return _auc(pipeline, test[list(gate.features)], test["responded"].to_numpy())


def refitted_alone(contacts: ContactFrame, split: Split, model: ResponseModel) -> float:
    """Return the largest difference of a model's probabilities from those of its pipeline fitted by its own `fit`.

    The page encodes and resamples once for several methods; the plain call of imbalanced-learn must say the same.

    Args:
        contacts: As made by `contact_frame`.
        split: Fitted on its `fit`, compared on its test.
        model: Any but a stack, as fitted for these contacts.
    """
    fit, test = contacts.rows.iloc[split.fit], contacts.rows.iloc[split.test]
    alone = clone(model.pipeline).fit(fit[list(model.features)], fit["responded"].to_numpy())
    said = alone.predict_proba(test[list(model.features)])[:, 1]
    return float(np.abs(said - model.probability(test, calibrated=False)).max())


@dataclass(frozen=True, eq=False)
class OversamplingPitfall:
    """SMOTE before the split beside SMOTE inside it.

    Attributes:
        trials: One row a kind of label (noise, own) and place of SMOTE (before the split, inside each fold):
            `labels`, `smote`, `roc_auc` (mean of the folds).
        n_rows: Contacts used.
    """

    trials: pd.DataFrame
    n_rows: int

    def roc_auc(self, labels: str, smote: str) -> float:
        """Return the AUC of one trial."""
        match = (self.trials["labels"] == labels) & (self.trials["smote"] == smote)
        return float(self.trials.loc[match, "roc_auc"].item())


def smote_before_split(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    *,
    max_rows: int,
    n_folds: int,
    settings: Mapping[str, float],
    rng: np.random.Generator,
) -> OversamplingPitfall:
    """Cross-validate with SMOTE in the wrong place and in the right one, on shuffled and on true labels.

    Before the split, synthetic responders are neighbours of responders on the other side, and the test itself is
    half synthetic. With shuffled labels there is nothing to find: the right answer is 0.5.

    Args:
        contacts: As made by `contact_frame`.
        split: Contacts are drawn from its training part.
        gate: Only the features it let pass are used.
        max_rows: Contacts to draw at most.
        n_folds: Folds, at least 2.
        settings: Of the boosted trees.
        rng: Draws, shuffles, and seeds models.
    """
    training = contacts.rows.iloc[split.training][[*gate.features, "responded"]]
    drawn = rng.permutation(len(training))[:max_rows]
    own = training.iloc[np.sort(drawn)].reset_index(drop=True)
    noise = own.assign(responded=rng.permutation(own["responded"].to_numpy()))
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=int(rng.integers(2**31)))
    records = []
    for labels, rows in (("noise", noise), ("own", own)):
        features, responded = rows.drop(columns="responded"), rows["responded"].to_numpy()
        (pipeline,) = response_pipelines(rows, [("xgboost", settings)], resampling="smote", rng=rng)
        inside = [
            _auc(pipeline.fit(features.iloc[a], responded[a]), features.iloc[b], responded[b])
            for a, b in folds.split(features, responded)
        ]
        # The wrong way: the same steps, but the first two see every row before the folds are made.
        codes = pipeline.named_steps["encode"].fit_transform(features, responded)
        codes, doubled = pipeline.named_steps["resample"].fit_resample(codes, responded)
        rest = Pipeline(pipeline.steps[2:])
        before = [
            _auc(rest.fit(codes[a], doubled[a]), codes[b], doubled[b]) for a, b in folds.split(codes, doubled)
        ]
        records += [
            {"labels": labels, "smote": "before the split", "roc_auc": float(np.mean(before))},
            {"labels": labels, "smote": "inside each fold", "roc_auc": float(np.mean(inside))},
        ]
    return OversamplingPitfall(trials=pd.DataFrame(records), n_rows=len(own))


def _auc(fitted: Pipeline, features: pd.DataFrame | np.ndarray, responded: np.ndarray) -> float:
    return float(roc_auc_score(responded, fitted.predict_proba(features)[:, 1]))
