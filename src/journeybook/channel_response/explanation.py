"""What a model goes by: exact Shapley values of trees, what correlated columns are worth, partial dependence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xgboost
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.special import logit
from scipy.stats import norm
from scipy.stats.mstats import mquantiles
from sklearn.compose import ColumnTransformer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from journeybook.channel_response.models import ResponseModel, row_losses
from journeybook.statistics.clusters import clustered_error

AT_LEAST = 10
"""People whose contacts are shown together; fewer would show somebody's own figures."""

_MOST_LEVELS = 10  # levels of a text column that are compared with other columns; the rest count as one
_GRID = 12


@dataclass(frozen=True, eq=False)
class Explanation:
    """Shapley values of boosted trees: calibrated log odds are `base` plus a row's values, to 32-bit rounding.

    Attributes:
        rows: The rows explained, features as the model reads them, shape (n, features).
        values: What each feature adds, shape (n, features), columns as in `rows`.
        base: What the trees say on average of the contacts they were fitted on.
        probability: Calibrated probability of each row, shape (n,).
        features: One row a feature, largest first: `feature`, `mean_size` (mean of |value|), `share` of their sum.
        people: Ten contacts each, of ten people: the likeliest, those in the middle, the least likely: `person`
            (which ten), `feature`, `value` (as text: mean, or what all share), mean `contribution`, largest size
            first, and the mean `probability`.
    """

    rows: pd.DataFrame
    values: pd.DataFrame
    base: float
    probability: np.ndarray
    features: pd.DataFrame
    people: pd.DataFrame

    @property
    def additivity_error(self) -> float:
        """Largest distance of `base` plus a row's values from its calibrated log odds."""
        return float(np.abs(self.base + self.values.to_numpy().sum(axis=1) - logit(self.probability)).max())


def explain_trees(model: ResponseModel, rows: pd.DataFrame) -> Explanation:
    """Split the log odds of each row over the features, by exact TreeSHAP.

    The values are those of the path-dependent value function (Lundberg, Erion & Lee 2018, algorithm 2), computed
    by XGBoost itself; those of the columns that encode one feature are added, and all are brought to the
    calibrated scale, on which they are still additive. Without a column `person` each row is a person.

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
    probability = model.probability(rows, calibrated=True)
    size = values.abs().mean().to_numpy()
    ranked = pd.DataFrame({"feature": features, "mean_size": size, "share": size / size.sum()})
    return Explanation(
        rows=rows[features],
        values=values,
        base=float(model.intercept + model.slope * given[0, -1]),
        probability=probability,
        features=ranked.sort_values(["mean_size", "feature"], ascending=[False, True], ignore_index=True),
        people=_three_groups(rows, values, probability),
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


def _three_groups(rows: pd.DataFrame, values: pd.DataFrame, probability: np.ndarray) -> pd.DataFrame:
    """Ten contacts of ten people each, so that nobody's own figures are shown."""
    rank = np.argsort(np.argsort(-probability, kind="stable"), kind="stable")
    person = rows["person"].to_numpy() if "person" in rows else np.arange(len(rows))
    parts = []
    for name, wanted in (("likeliest", 0), ("middle", len(rows) // 2), ("least likely", len(rows) - 1)):
        nearest = np.argsort(np.abs(rank - wanted), kind="stable")
        chosen = nearest[~pd.Series(person[nearest]).duplicated().to_numpy()][:AT_LEAST]
        added = values.iloc[chosen].mean()
        part = pd.DataFrame({"person": name, "probability": probability[chosen].mean(), "feature": added.index})
        part["value"] = [_together(rows[feature].iloc[chosen]) for feature in added.index]
        part["contribution"] = added.to_numpy()
        parts.append(part.iloc[np.argsort(-np.abs(added.to_numpy()), kind="stable")])
    return pd.concat(parts, ignore_index=True)


def _together(own: pd.Series) -> str:
    """The mean of numbers, or the text that all share; what only some have is not shown."""
    if own.isna().any():
        return "missing" if own.isna().all() else "mixed"
    if pd.api.types.is_numeric_dtype(own):
        return f"{own.mean():.4g}"
    return str(own.iloc[0]) if own.nunique() == 1 else "mixed"


def permutation_importance(
    model: ResponseModel, rows: pd.DataFrame, *, max_correlation: float, n_repeats: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Shuffle each group of correlated features together over the rows, and see what the model loses by it.

    Shuffled one by one, features that say the same stand in for each other and each seems worth nothing. So
    features are grouped first, by average linkage of 1 - |Spearman's correlation| (text by the largest of its
    levels'). The interval counts people (linearised variance) and holds the model and the shuffles fixed.

    Args:
        model: Any but a stack.
        rows: Contacts that it was not fitted on: features, `responded` and `person`.
        max_correlation: Groups whose mean correlation is above it are joined, 0 to 1.
        n_repeats: Shuffles over which the loss is averaged, at least 1.
        rng: Shuffles.

    Returns:
        One row a group, largest loss first: `group` (its features), `n_features`, `log_loss_increase` in nats with
        `_low` and `_high` (95 %), `roc_auc_drop`.

    Raises:
        ValueError: A number is out of range.
    """
    if not 0 < max_correlation <= 1 or n_repeats < 1:
        raise ValueError(
            f"max_correlation must lie between 0 and 1 and n_repeats be at least 1, got {max_correlation} and "
            f"{n_repeats}."
        )
    responded, person = rows["responded"].to_numpy(), rows["person"].to_numpy()
    # Each column of the codes comes from one feature, so that codes may be shuffled in place of features.
    codes, source = model.pipeline[:-1].transform(rows[list(model.features)]), column_features(model)

    def told(given: np.ndarray) -> np.ndarray:
        return model.calibrate(model.pipeline[-1].predict_proba(given)[:, 1].astype(float))

    said = told(codes)
    loss, auc = row_losses(said, responded), roc_auc_score(responded, said)
    orders = [rng.permutation(len(rows)) for _ in range(n_repeats)]
    records = []
    for group in _correlated(feature_correlation(rows[list(model.features)]), max_correlation):
        shuffled = np.concatenate([np.where(np.isin(source, group), codes[order], codes) for order in orders])
        each = told(shuffled).reshape(n_repeats, -1)
        rise = np.mean([row_losses(p, responded) for p in each], axis=0) - loss
        half = norm.ppf(0.975) * clustered_error(rise - rise.mean(), person)
        record = {"group": ", ".join(group), "n_features": len(group), "log_loss_increase": rise.mean()}
        record |= {"log_loss_increase_low": rise.mean() - half, "log_loss_increase_high": rise.mean() + half}
        records.append({**record, "roc_auc_drop": auc - np.mean([roc_auc_score(responded, p) for p in each])})
    table, by = pd.DataFrame(records), ["log_loss_increase", "group"]
    return table.sort_values(by, ascending=[False, True], ignore_index=True)


def feature_correlation(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the size of Spearman's correlation of each two columns, 0 to 1, shape (columns, columns).

    A text column is compared by its ten commonest levels, each as 0 or 1: the largest counts. A missing number is
    left out of its pairs; a column that does not vary is correlated with nothing.
    """
    columns = []
    for name in rows:
        if pd.api.types.is_numeric_dtype(rows[name]):
            columns.append(rows[[name]])
        else:
            common = rows[name].value_counts().index[:_MOST_LEVELS]
            columns.append(pd.DataFrame({level: rows[name] == level for level in common}).astype(float))
    wide = pd.concat(columns, axis=1)
    source = np.repeat(np.array(rows.columns, dtype=object), [part.shape[1] for part in columns])
    sizes = wide.set_axis(range(wide.shape[1]), axis=1).corr(method="spearman").abs().fillna(0)
    found = sizes.groupby(source, sort=False).max().T.groupby(source, sort=False).max()
    found = found.loc[list(rows.columns), list(rows.columns)].to_numpy(copy=True)
    np.fill_diagonal(found, 1.0)
    return pd.DataFrame(found, index=list(rows.columns), columns=list(rows.columns))


def _correlated(correlation: pd.DataFrame, max_correlation: float) -> list[list[str]]:
    names = list(correlation)
    if len(names) == 1:
        return [names]
    distance = squareform(1 - correlation.to_numpy(), checks=False)
    label = fcluster(linkage(distance, method="average"), t=1 - max_correlation, criterion="distance")
    return [[name for name, own in zip(names, label, strict=True) if own == group] for group in np.unique(label)]


def partial_dependences(model: ResponseModel, rows: pd.DataFrame, *, features: Sequence[str]) -> pd.DataFrame:
    """Return the mean calibrated probability were one feature set to each of some values in every row.

    Friedman (2001), by brute force. Numbers take up to 12 values, evenly from their 5 % to their 95 % quantile or
    those there are; features with one value are left out.

    Returns:
        One row a feature and value: `feature`, `value` (a number, or missing for text), `level` (text), `rate`,
        and `rate_low` and `rate_high`, between which the middle 80 % of single rows lie.
    """
    records = []
    for name in features:
        known, words = rows[name].dropna(), not pd.api.types.is_numeric_dtype(rows[name])
        grid = sorted(known.unique())
        if len(grid) < 2:
            continue
        if not words and len(grid) > _GRID:
            first, last = (float(at) for at in mquantiles(known, [0.05, 0.95]))
            grid = np.linspace(first, last, _GRID).tolist()
        for value in grid:
            said = model.probability(rows.assign(**{name: value}), calibrated=True)
            at = {"value": np.nan, "level": value} if words else {"value": float(value), "level": ""}
            low, high = np.quantile(said, [0.1, 0.9])
            records.append({"feature": name, **at, "rate": said.mean(), "rate_low": low, "rate_high": high})
    return pd.DataFrame(records, columns=["feature", "value", "level", "rate", "rate_low", "rate_high"])
