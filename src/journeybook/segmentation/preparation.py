"""From features to the matrix that is clustered: which columns, on which scale."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

KEYS = ("person_id", "as_of", "row")
MAX_MISSING_SHARE = 0.3
FEWEST_VALUES = 5
MAX_SAME_SHARE = 0.5
# Recency, frequency and money stay in where fewer columns than this can be compared.
FEWEST_COLUMNS = 3
RFM = ("recency_days", "n_baskets", "revenue")
LOG_SKEWNESS = 1.0
# A value further out counts as this many standard deviations: one customer is no group.
FURTHEST_SD = 4.0
# A total falls only by returned goods.
RARE_FALL_SHARE = 0.05
# From one snapshot to the next behaviour changes for more people than this; an attribute does now and then.
FEW_CHANGED_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class Preparation:
    """How features become comparable numbers; learned on the last snapshot and used on all of them.

    Attributes:
        columns: The features used, shape (features,).
        logged: Whether log(1 + x) is taken first, shape (features,).
        filling: Median put where a value is missing, on the scale after the log, shape (features,).
        centre: Mean after log and filling, shape (features,).
        scale: Standard deviation after log and filling, shape (features,).
        roles: One row a column of the features: column, role (used, left out), reason.
    """

    columns: list[str]
    logged: np.ndarray
    filling: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    roles: pd.DataFrame


def last_snapshot(features: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last `as_of`, in the order of `row`.

    Raises:
        ValueError: Nobody is described.
    """
    if features.empty:
        raise ValueError("features have no row: nobody is described on page 04, so that nobody can be segmented.")
    last = features[features["as_of"] == features["as_of"].max()]
    return last.sort_values("row").reset_index(drop=True)


def prepare(features: pd.DataFrame, *, columns: Sequence[str] | None) -> Preparation:
    """Choose the features to cluster on (None chooses by rule) and learn their scale from the last snapshot.

    Without a choice every quantity is used that can be compared between snapshots. Left out are text, columns with
    fewer than five values (classes), with more than 30 % missing or half of the people at one value (k-means would
    find that value and call it a group), and running totals: a column that falls in fewer than one in twenty of
    its changes measures how long we have watched, and would turn the passing of time into movement. So are
    attributes, such as a postcode's, that change for hardly anyone in most steps. Where fewer than three columns
    are left, recency, number of baskets and revenue are used all the same, even if all people are alike.

    Raises:
        ValueError: A column asked for is not there or is no number, or no column is left.
    """
    last = last_snapshot(features)
    if columns is not None:
        unknown = [column for column in columns if column not in features.columns or column in KEYS]
        if unknown:
            raise ValueError(
                f"columns: '{unknown[0]}' is not a feature; there are {', '.join(_others(features))}."
            )
    chosen = columns is not None
    reasons = {column: _unfit(last[column], chosen=chosen) for column in _others(features)}
    if columns is None:
        reasons |= _how_they_move(features, [column for column, reason in reasons.items() if not reason])
    else:
        reasons |= {column: "not chosen" for column in reasons if column not in columns}
    rows = [(column, "left out" if reason else "used", reason) for column, reason in reasons.items()]
    if columns is None and sum(role == "used" for _, role, _ in rows) < FEWEST_COLUMNS:
        kept = "kept, for few columns can be compared"
        rows = [(c, "used", kept) if c in RFM else (c, role, why) for c, role, why in rows]
    roles = pd.DataFrame(rows, columns=["column", "role", "reason"])
    used = roles.loc[roles["role"] == "used", "column"].tolist()
    if columns is not None and len(used) < len(set(columns)):
        bad = next(row for row in roles.itertuples() if row.column in columns and row.role != "used")
        raise ValueError(f"columns: '{bad.column}' cannot be clustered on: {bad.reason}.")
    if not used:
        raise ValueError("No feature is left to cluster on; a number that differs between people is needed.")
    raw = last[used].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    varies, skewness = np.nanstd(raw, axis=0) > 0, np.zeros(len(used))
    skewness[varies] = stats.skew(raw[:, varies], axis=0, nan_policy="omit")
    logged = (np.nanmin(raw, axis=0) >= 0) & (skewness > LOG_SKEWNESS)
    values = np.where(logged, np.log1p(np.where(logged, np.maximum(raw, 0), 0)), raw)
    filling = np.nanmedian(values, axis=0)
    values = np.where(np.isnan(values), filling, values)
    spread = values.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    return Preparation(used, logged, filling, values.mean(axis=0), scale, roles)


def matrix(rows: pd.DataFrame, *, preparation: Preparation) -> np.ndarray:
    """Rows of features as comparable numbers, shape (rows, features): mean 0 and sd 1 on the last snapshot."""
    raw = rows[preparation.columns].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    values = np.where(preparation.logged, np.log1p(np.maximum(raw, 0)), raw)
    values = np.where(np.isnan(values), preparation.filling, values)
    return np.clip((values - preparation.centre) / preparation.scale, -FURTHEST_SD, FURTHEST_SD)


def first_full_snapshot(features: pd.DataFrame, *, preparation: Preparation) -> pd.Timestamp:
    """The first snapshot whose windows (columns named ..._91d) lie wholly inside the data, or the last of all.

    Before it a window holds fewer days than its name says, and everyone seems to rise as it fills. How far the
    data reach back is read from the largest `tenure_days`.
    """
    windows = [int(days) for c in preparation.columns for days in re.findall(r"_(\d+)d$", c)]
    if not windows:
        return features["as_of"].min()
    reach = features.groupby("as_of")["tenure_days"].max()
    full = reach.index[reach >= max(windows)]
    return full.min() if len(full) else features["as_of"].max()


def _others(features: pd.DataFrame) -> list[str]:
    return [column for column in features.columns if column not in KEYS]


def _unfit(values: pd.Series, *, chosen: bool) -> str:
    """Why a column cannot be clustered on; empty if it can."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "not a quantity"
    known = values.dropna().to_numpy(dtype=float)
    if not np.isfinite(known).all():
        return "infinite values"
    n_values = len(np.unique(known))
    if n_values < 2:
        return "the same for everyone"
    if chosen:
        return ""
    if n_values < FEWEST_VALUES:
        return f"only {n_values} values"
    missing = float(values.isna().mean())
    if missing > MAX_MISSING_SHARE:
        return f"{missing:.0%} missing"
    same = float(values.value_counts(normalize=True).iloc[0])
    return f"one value for {same:.0%} of the people" if same > MAX_SAME_SHARE else ""


def _how_they_move(features: pd.DataFrame, columns: list[str]) -> dict[str, str]:
    """Why changes of each column between snapshots are no behaviour; empty if they are, or with one snapshot."""
    person, moment = pd.factorize(features["person_id"])[0], features["as_of"].rank(method="dense").to_numpy()
    order = np.lexsort((moment, person))
    same = np.diff(person[order]) == 0
    values = features[columns].astype("Float64").to_numpy(dtype=float, na_value=np.nan)[order]
    change, step = np.diff(values, axis=0)[same], moment[order][1:][same].astype(int)
    reasons = {}
    for column, moved in zip(columns, change.T, strict=True):
        known = ~np.isnan(moved)
        changed = np.abs(moved[known]) > 1e-9
        n_known, n_changed = (np.bincount(step[known], weights=w) for w in (None, changed.astype(float)))
        shares = n_changed[n_known > 0] / n_known[n_known > 0]
        if known.any() and (shares > FEW_CHANGED_SHARE).mean() < 0.5:
            reasons[column] = "an attribute, which changes for hardly anyone in most steps"
        elif changed.any() and (moved[known][changed] < 0).mean() < RARE_FALL_SHARE:
            reasons[column] = "a running total, which grows with time alone"
    return reasons
