"""The pitfall of page 07: SMOTE before the split, beside SMOTE inside it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import response_pipelines
from journeybook.channel_response.splits import Split


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
