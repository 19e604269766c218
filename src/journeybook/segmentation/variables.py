"""Which features say the same, which matter for the next quarter, and what each weighs."""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance
from threadpoolctl import threadpool_limits

from journeybook.segmentation.preparation import Preparation, correlations, last_snapshot, later_revenue, matrix

N_COMPONENTS = 3
N_SHUFFLES = 5


def variables(features: pd.DataFrame, *, preparation: Preparation, rng: np.random.Generator) -> pd.DataFrame:
    """Tell for each feature used why it weighs what it weighs, and what it says of the next quarter's revenue.

    Returns:
        One row a feature: column, weight, nearest (the feature most correlated with it), correlation, loading_1 to
        loading_3 on the principal components, importance (R² of next-quarter revenue lost when the feature is
        shuffled, by gradient boosting learned from half of the people and judged by the others; Breiman 2001;
        missing without a later date).
    """
    columns, values = preparation.columns, matrix(last_snapshot(features), preparation=preparation)
    related = correlations(values)
    with threadpool_limits(limits=1):
        variance, axes = np.linalg.eigh(related)
    loadings = np.zeros((len(columns), N_COMPONENTS))
    most = (axes * np.sqrt(np.maximum(variance, 0)))[:, ::-1][:, :N_COMPONENTS]
    loadings[:, : most.shape[1]] = most * np.where(most.sum(axis=0) < 0, -1, 1)
    apart = related - np.eye(len(columns))
    nearest = np.abs(apart).argmax(axis=1)
    table = pd.DataFrame({"column": columns, "weight": preparation.weights, "nearest": np.array(columns)[nearest]})
    table["correlation"] = apart[np.arange(len(columns)), nearest]
    table[[f"loading_{n}" for n in range(1, N_COMPONENTS + 1)]] = loadings
    return table.assign(importance=_importance(features, preparation, rng))


def _importance(features: pd.DataFrame, preparation: Preparation, rng: np.random.Generator) -> np.ndarray:
    found = later_revenue(features)
    if found is None or len(found[0]) < 100:
        return np.full(len(preparation.columns), np.nan)
    values, spent = matrix(found[0], preparation=preparation), found[1].to_numpy()
    learned = rng.random(len(values)) < 0.5
    model = HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=8, random_state=int(rng.integers(2**31)))
    how = {"n_repeats": N_SHUFFLES, "random_state": int(rng.integers(2**31))}
    with threadpool_limits(limits=1):
        model.fit(values[learned], spent[learned])
        return permutation_importance(model, values[~learned], spent[~learned], **how).importances_mean
