"""SMOTE in the wrong place: before the split."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

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
    """

    trials: pd.DataFrame

    def roc_auc(self, labels: str, smote: str) -> float:
        """Return the AUC of one trial."""
        return float(self.trials.set_index(["labels", "smote"])["roc_auc"][labels, smote])


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
    """Cross-validate trees with SMOTE in the wrong place and in the right one, on shuffled and true labels.

    Before the split, synthetic responders are neighbours of responders on the other side, and the test itself is
    half synthetic. With shuffled labels there is nothing to find: the right answer is 0.5. At most `max_rows`
    training contacts are drawn; inside the folds a person is on one side.
    """
    drawn = np.sort(rng.permutation(split.training)[:max_rows])
    own = contacts.rows.iloc[drawn][[*gate.features, "responded"]].reset_index(drop=True)
    person = contacts.rows["person"].to_numpy()[drawn]
    noise = own.assign(responded=rng.permutation(own["responded"].to_numpy()))
    seed, records = int(rng.integers(2**31)), []
    apart = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    mixed = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    for labels, rows in (("noise", noise), ("own", own)):
        features, responded = rows.drop(columns="responded"), rows["responded"].to_numpy()
        (pipeline,) = response_pipelines(
            rows, [("xgboost", settings)], resampling="smote", imputer=contacts.imputer, rng=rng
        )
        inside = [
            auc_of(pipeline.fit(features.iloc[a], responded[a]), features.iloc[b], responded[b])
            for a, b in apart.split(features, responded, person)
        ]
        # The wrong way: the same steps, but the first two see every row before the folds are made.
        codes = pipeline.named_steps["encode"].fit_transform(features, responded)
        codes, doubled = pipeline.named_steps["resample"].fit_resample(codes, responded)
        rest = Pipeline(pipeline.steps[2:])
        before = [
            auc_of(rest.fit(codes[a], doubled[a]), codes[b], doubled[b]) for a, b in mixed.split(codes, doubled)
        ]
        for place, found in (("before the split", before), ("inside each fold", inside)):
            records.append({"labels": labels, "smote": place, "roc_auc": float(np.mean(found))})
    return OversamplingPitfall(trials=pd.DataFrame(records))


def auc_of(fitted: Pipeline, features: pd.DataFrame | np.ndarray, responded: np.ndarray) -> float:
    """Return the ROC AUC of what a fitted pipeline says of some rows."""
    return float(roc_auc_score(responded, fitted.predict_proba(features)[:, 1]))
