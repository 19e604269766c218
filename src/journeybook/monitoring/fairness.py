"""Whether any group is served worse along the whole pipeline, and which features give a group away."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from journeybook.statistics.recalibration import clustered_covariance
from journeybook.statistics.simultaneous import largest_t

POOLED = "others"
"""Name of the groups that are too small to be shown, taken together."""

_BINS, _FOLDS = 10, 5
_HALF = 0.5  # added to each count, so that no probability is 0 (Krichevsky & Trofimov 1981)


@dataclass(frozen=True, eq=False)
class Served:
    """Groups beside each other at each step.

    Attributes:
        groups: One row a step and group: `step`, `group`, `n_people`, `mean` with 95 % ends.
        spread: One row a step: the `largest` and `smallest` group, their `difference`, with ends that hold at 95 %
            for all differences of all steps at once, so also for the largest (max-t).
        pooled: One row a step with small groups: `step`, how many `groups` were pooled, their `n_people`, `shown`
            (False where together they are still too small).
    """

    groups: pd.DataFrame
    spread: pd.DataFrame
    pooled: pd.DataFrame


def compare_served(
    steps: Mapping[str, pd.DataFrame], group: pd.Series, *, min_group_size: int, rng: np.random.Generator
) -> Served:
    """Compare the mean of each step's value between groups of people.

    Args:
        steps: By name, rows with `person_id` and `value`, a number; rows of one person count as one person's.
        group: Name of each person's group, by `person_id`.
        min_group_size: People a group must have at a step to stand alone; smaller ones are pooled. From 2.
        rng: Draws the quantile of the largest difference.

    Raises:
        ValueError: `min_group_size` is below 2, or a value is missing.
    """
    if min_group_size < 2:
        raise ValueError(f"min_group_size must be at least 2, got {min_group_size}.")
    if missing := [name for name, rows in steps.items() if rows["value"].isna().any()]:
        raise ValueError(f"{missing[0]} has a row without a value.")
    place = pd.Series(np.arange(len(group)), index=group.index)
    told, pooled, influence = [], [], []
    for step, rows in steps.items():
        rows = rows[rows["person_id"].isin(group.index)]
        name, about = _pool(rows["person_id"], rows["person_id"].map(group), min_group_size)
        pooled += [{"step": step, **about}] * (about["groups"] > 0)
        value, who = rows["value"].to_numpy(dtype=float), rows["person_id"].map(place).to_numpy()
        for each in sorted(set(name) - {""}):
            own = (name == each).to_numpy()
            mean = value[own].mean()
            told.append({"step": step, "group": each, "n_people": len(np.unique(who[own])), "mean": mean})
            influence.append(np.bincount(who[own], weights=(value[own] - mean) / own.sum(), minlength=len(group)))
    groups = pd.DataFrame(told, columns=["step", "group", "n_people", "mean"])
    covariance = clustered_covariance(np.column_stack(influence), place.to_numpy()) if told else np.zeros((0, 0))
    half = norm.ppf(0.975) * np.sqrt(np.diag(covariance))
    pairs = [
        (a, b)
        for of in groups.groupby("step", sort=False).indices.values()
        for k, a in enumerate(of)
        for b in of[:k]
    ]
    return Served(
        groups.assign(low=groups["mean"] - half, high=groups["mean"] + half),
        _spread(groups, pairs, covariance, rng),
        pd.DataFrame(pooled, columns=["step", "groups", "n_people", "shown"]),
    )


def _pool(person: pd.Series, name: pd.Series, least: int) -> tuple[pd.Series, dict]:
    """The group of each row with small ones pooled; empty where they are too small even together."""
    size = person.groupby(name).nunique()
    small = name.isin(size.index[size < least])
    n_people = person[small].nunique()
    shown = n_people >= least
    about = {"groups": int((size < least).sum()), "n_people": int(n_people), "shown": bool(shown)}
    return name.mask(small, POOLED if shown else ""), about


def _spread(
    groups: pd.DataFrame, pairs: list[tuple[int, int]], covariance: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    columns = ["step", "largest", "smallest", "difference", "low", "high"]
    if not pairs:
        return pd.DataFrame(columns=columns)
    contrast = np.zeros((len(pairs), len(groups)))
    for k, (a, b) in enumerate(pairs):
        contrast[k, a], contrast[k, b] = 1, -1
    apart = contrast @ groups["mean"].to_numpy()
    between = contrast @ covariance @ contrast.T
    reach = largest_t(between, level=0.95, rng=rng) * np.sqrt(np.diag(between))
    table = pd.DataFrame(pairs, columns=["a", "b"]).assign(apart=apart, reach=reach)
    table["step"] = groups["step"].to_numpy()[table["a"]]
    rows = []
    for step, of in table.groupby("step", sort=False):
        at = of["apart"].abs().idxmax()
        first, second = of.loc[at, ["a", "b"]].astype(int)[:: 1 if apart[at] >= 0 else -1]
        # The greatest of all differences lies between the greatest of the lower and of the upper ends.
        low, high = (of["apart"].abs() - of["reach"]).max(), (of["apart"].abs() + of["reach"]).max()
        names = groups["group"].loc[[first, second]].tolist()
        rows.append([step, *names, abs(apart[at]), max(low, 0.0), high])
    return pd.DataFrame(rows, columns=columns)


def proxies(features: pd.DataFrame, group: pd.Series, *, rng: np.random.Generator) -> pd.DataFrame:
    """Say how far each feature gives the group of a person away, on people it has not met.

    In each of ten bins of a feature (its values where it has fewer) the groups' shares among four fifths of the
    people say how likely each group is. `told_share` is the share of the doubt about the group, in nats, that this
    takes away among the other fifth: 1 tells it for sure, 0 or less not at all.

    Args:
        features: One row a person, numbers or text; the index has the ids.
        group: Name of each person's group, by the same ids.
        rng: Draws the fifths and the quantile.

    Returns:
        One row a feature, the most telling first: `feature`, `told_share`, `low`, `high` (95 % for all features at
        once), `n_people`.
    """
    features = features[features.index.isin(group.index)]
    code, known = pd.factorize(group.loc[features.index], sort=True)
    n = len(code)
    if n < 2 * _FOLDS or len(known) < 2:
        return pd.DataFrame(columns=["feature", "told_share", "low", "high", "n_people"])
    fold = rng.permutation(np.arange(n) % _FOLDS)
    doubt = _losses(np.zeros(n, dtype=int), code, fold, len(known))
    lost = np.column_stack([_losses(_bins(features[name]), code, fold, len(known)) for name in features])
    share = 1 - lost.mean(axis=0) / doubt.mean()
    influence = -(lost - (1 - share) * doubt[:, None]) / doubt.mean() / n
    covariance = clustered_covariance(influence, np.arange(n))
    reach = largest_t(covariance, level=0.95, rng=rng) * np.sqrt(np.diag(covariance))
    table = pd.DataFrame(
        {"feature": list(features), "told_share": share, "low": share - reach, "high": share + reach}
    )
    return table.assign(n_people=n).sort_values(
        ["told_share", "feature"], ascending=[False, True], ignore_index=True
    )


def _bins(column: pd.Series) -> np.ndarray:
    """Codes from 0: values where there are few, else tenths; no value is a bin of its own."""
    if column.nunique() <= _BINS or not pd.api.types.is_numeric_dtype(column):
        return pd.factorize(column, sort=True)[0] + 1
    return np.ceil(column.rank(pct=True) * _BINS).fillna(0).to_numpy(dtype=int)


def _losses(bins: np.ndarray, code: np.ndarray, fold: np.ndarray, n_groups: int) -> np.ndarray:
    """Minus the log probability of each person's group, by those of its bin who are in other folds."""
    lost = np.empty(len(code))
    for k in range(_FOLDS):
        out = fold == k
        counts = np.full((bins.max() + 1, n_groups), _HALF)
        np.add.at(counts, (bins[~out], code[~out]), 1)
        lost[out] = -np.log(counts[bins[out], code[out]] / counts[bins[out]].sum(axis=1))
    return lost
