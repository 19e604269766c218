"""What a model goes by: exact Shapley values of trees."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xgboost
from scipy.special import logit
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder

from journeybook.channel_response.models import ResponseModel


@dataclass(frozen=True, eq=False)
class Explanation:
    """Shapley values of boosted trees: calibrated log odds are `base` plus a row's values, to 32-bit rounding.

    Attributes:
        rows: The rows explained, features as the model reads them, shape (n, features).
        values: What each feature adds, shape (n, features), columns as in `rows`.
        base: What the trees say on average of the contacts they were fitted on.
        probability: Calibrated probability of each row, shape (n,).
        features: One row a feature, largest first: `feature`, `mean_size` (mean of |value|), `share` of their sum.
    """

    rows: pd.DataFrame
    values: pd.DataFrame
    base: float
    probability: np.ndarray
    features: pd.DataFrame

    @property
    def additivity_error(self) -> float:
        """Largest distance of `base` plus a row's values from its calibrated log odds."""
        return float(np.abs(self.base + self.values.to_numpy().sum(axis=1) - logit(self.probability)).max())


def explain_trees(model: ResponseModel, rows: pd.DataFrame) -> Explanation:
    """Split the log odds of each row over the features, by exact TreeSHAP.

    The values are those of the path-dependent value function (Lundberg, Erion & Lee 2018, algorithm 2), computed
    by XGBoost itself; those of the columns that encode one feature are added, and all are brought to the
    calibrated scale, on which they are still additive.

    Raises:
        ValueError: The model is not one of boosted trees.
    """
    trees = getattr(model.pipeline, "named_steps", {}).get("classify")
    if not isinstance(trees, xgboost.XGBClassifier):
        raise ValueError(f"TreeSHAP explains boosted trees; the model is {model.method}.")
    features = list(model.features)
    codes = model.pipeline[:-1].transform(rows[features])
    booster = trees.get_booster()
    # Of trees that stopped early, prediction uses those up to the best: so must its explanation.
    last = getattr(trees, "best_iteration", booster.num_boosted_rounds() - 1)
    given = booster.predict(xgboost.DMatrix(codes), pred_contribs=True, iteration_range=(0, last + 1)).astype(
        float
    )
    source = column_features(model)
    summed = np.column_stack([given[:, :-1][:, source == name].sum(axis=1) for name in features])
    values = pd.DataFrame(model.slope * summed, columns=features, index=rows.index)
    size = values.abs().mean().to_numpy()
    ranked = pd.DataFrame({"feature": features, "mean_size": size, "share": size / size.sum()})
    return Explanation(
        rows=rows[features],
        values=values,
        base=float(model.intercept + model.slope * given[0, -1]),
        probability=model.probability(rows, calibrated=True),
        features=ranked.sort_values(["mean_size", "feature"], ascending=[False, True], ignore_index=True),
    )


def column_features(model: ResponseModel) -> np.ndarray:
    """Return the feature that each column given to the classifier comes from, shape (columns,)."""
    source = np.array(model.features, dtype=object)
    for _, step in model.pipeline.steps[:-1]:
        if isinstance(step, ColumnTransformer):
            source = _through(step, source)
    return source


def _through(step: ColumnTransformer, source: np.ndarray) -> np.ndarray:
    """Sources of the columns that come out of a step, from those of the columns that go in."""
    known = getattr(step, "feature_names_in_", np.arange(len(source)))
    place = {name: i for i, name in enumerate(known)}
    out = np.empty(max(part.stop for part in step.output_indices_.values()), dtype=object)
    for name, transformer, columns in step.transformers_:
        inside = step.output_indices_[name]
        if inside.stop == inside.start:
            continue
        chosen = np.array([source[place[column]] for column in np.atleast_1d(columns)], dtype=object)
        if isinstance(transformer, OneHotEncoder):
            chosen = np.repeat(chosen, [len(levels) for levels in transformer.categories_])
        out[inside] = chosen
    return out
