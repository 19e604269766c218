"""From features to the matrix that is clustered: which columns, on which scale."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from journeybook.statistics.imputation import NOTHING, Imputer, fill, handed_imputer

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
QUARTER_DAYS = 91
# What a feature counts that tells nothing of the next quarter, beside a correlation with it.
UNTOLD = 0.3
# Kinds of feature (page 04's dictionary) whose changes are no behaviour.
NO_BEHAVIOUR = {
    "total": "a running total, which grows with time alone",
    "attribute": "an attribute, which others say of the person",
    "treatment": "what was done to the person, not by them",
    "rate": "a window once more, adjusted for newcomers",
    "area": "an attribute of the area, not of the person",
}


@dataclass(frozen=True, eq=False)
class Preparation:
    """How features become comparable numbers; learned on the last snapshot and used on all of them.

    Attributes:
        columns: The features used, shape (features,).
        logged: Whether log(1 + x) is taken first, shape (features,).
        imputer: What fills in missing values, before the log, as page 04 learned it on that date.
        centre: Mean after log and filling, shape (features,).
        scale: Standard deviation after log and filling, shape (features,).
        weights: What each counts, as `weigh` gives it; 1 is most, shape (features,).
        roles: One row a column of the features: column, role (used, left out), reason.
        handed: What page 04 learned on each date; None where no value is missing.
    """

    columns: list[str]
    logged: np.ndarray
    imputer: Imputer
    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    roles: pd.DataFrame
    handed: pd.DataFrame | None


def last_snapshot(features: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last `as_of`, in the order of `row`.

    Raises:
        ValueError: Nobody is described.
    """
    if features.empty:
        raise ValueError("features have no row: nobody is described on page 04, so that nobody can be segmented.")
    last = features[features["as_of"] == features["as_of"].max()]
    return last.sort_values("row").reset_index(drop=True)


def prepare(
    features: pd.DataFrame,
    *,
    columns: Sequence[str] | None,
    dictionary: pd.DataFrame | None,
    handed: pd.DataFrame | None = None,
) -> Preparation:
    """Choose the features to cluster on (None chooses by rule) and learn their scale from the last snapshot.

    Without a choice every quantity is used that can be compared between snapshots. Left out are text, columns with
    fewer than five values (classes), with more than 30 % missing or half of the people at one value (k-means would
    find that value and call it a group), and what the `dictionary` of page 04 names as no behaviour: running
    totals, which measure how long we have watched and would turn the passing of time into movement, and
    attributes, such as a postcode's. None says nothing of any column. Where fewer than three columns are left,
    recency, number of baskets and revenue are used all the same, even if all people are alike. Missing values
    are filled in by what was `handed` on from the date of the last snapshot (`HANDED`).

    A feature weighs by what it tells of the next quarter's revenue, and shares its weight with those that say the
    same (`weigh`).

    Raises:
        ValueError: A column asked for is not there or is no number, or no column is left.
    """
    last = last_snapshot(features)
    check_columns(columns, _others(features))
    chosen = columns is not None
    reasons = {column: _unfit(last[column], chosen=chosen) for column in _others(features)}
    if columns is None:
        kinds = {} if dictionary is None else dict(zip(dictionary["feature"], dictionary["kind"], strict=True))
        reasons |= {c: NO_BEHAVIOUR.get(str(kinds.get(c)), "") for c, reason in reasons.items() if not reason}
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
    away = raw - np.nanmean(raw, axis=0)
    square = np.nanmean(away**2, axis=0)
    skewness = np.nanmean(away**3, axis=0) / np.where(square > 0, square, 1.0) ** 1.5
    logged = (np.nanmin(raw, axis=0) >= 0) & (skewness > LOG_SKEWNESS)
    after = last["as_of"].iloc[0] + pd.Timedelta(microseconds=1)
    imputer = NOTHING if handed is None else handed_imputer(handed, source="features", before=after)
    values = _logged(fill(last, imputer, columns=used).to_numpy(), logged)
    spread = values.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    found = Preparation(used, logged, imputer, values.mean(axis=0), scale, np.ones(len(used)), roles, handed)
    later, telling = later_revenue(features), np.zeros(len(used))
    if later is not None:
        revenue = np.log1p(later[1].clip(lower=0).to_numpy())
        telling = correlations(np.column_stack([matrix(later[0], preparation=found), revenue]))[-1, :-1]
    return replace(found, weights=weigh(matrix(last, preparation=found), telling=telling))


def matrix(rows: pd.DataFrame, *, preparation: Preparation) -> np.ndarray:
    """Rows as comparable numbers, shape (rows, features): mean 0 and sd `weights` on the last snapshot."""
    values = _logged(fill(rows, preparation.imputer, columns=preparation.columns).to_numpy(), preparation.logged)
    values = np.clip((values - preparation.centre) / preparation.scale, -FURTHEST_SD, FURTHEST_SD)
    return values * preparation.weights


def correlations(values: np.ndarray) -> np.ndarray:
    """Correlations of the columns, shape (features, features); 0 of a column that does not vary."""
    spread = values.std(axis=0)
    centred = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    with threadpool_limits(limits=1):
        found = centred.T @ centred / len(values)
    np.fill_diagonal(found, 1.0)
    return found


def weigh(values: np.ndarray, *, telling: np.ndarray) -> np.ndarray:
    """Weights of comparable features, the greatest 1, shape (features,).

    A weight grows with how much the feature is `telling` (correlation with what is to come, shape (features,)),
    and falls with the root of its summed squared correlations: two that say the same count as one.

    >>> values = np.array([[0.0, 0, 1], [1, 1, 1], [0, 0, 0], [1, 1, 0]])
    >>> weigh(values, telling=np.zeros(3)).round(3).tolist()
    [0.707, 0.707, 1.0]
    """
    weights = (UNTOLD + np.abs(telling)) / np.sqrt((correlations(values) ** 2).sum(axis=1))
    return weights / weights.max()


def later_revenue(features: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series] | None:
    """The people of the last date that lies a quarter back, and what each has spent since; None without one.

    Who is not in the last snapshot has spent nothing.
    """
    last, dates = last_snapshot(features), features["as_of"]
    before = dates[dates <= dates.max() - pd.Timedelta(days=QUARTER_DAYS)]
    if before.empty or "revenue" not in features:
        return None
    then = features[dates == before.max()].sort_values("row", ignore_index=True)
    now = then["person_id"].map(last.set_index("person_id")["revenue"]).astype(float)
    return then, (now - then["revenue"].astype(float)).fillna(0.0)


def _logged(values: np.ndarray, logged: np.ndarray) -> np.ndarray:
    return np.where(logged, np.log1p(np.maximum(values, 0)), values)


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


def check_columns(columns: Sequence[str] | None, there: Sequence[str]) -> None:
    """Raise ValueError where a column asked for is no feature that is there."""
    for column in columns or ():
        if column not in there or column in KEYS:
            named = ", ".join(name for name in there if name not in KEYS)
            raise ValueError(f"columns: '{column}' is not a feature; there are {named}.")


def _unfit(values: pd.Series, *, chosen: bool) -> str:
    """Why a column cannot be clustered on; empty if it can."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return "not a quantity"
    known = values.dropna().to_numpy(dtype=float)
    if not np.isfinite(known).all():
        return "infinite values"
    counts = pd.Series(known).value_counts(sort=False)
    n_values = len(counts)
    if n_values < 2:
        return "the same for everyone"
    if chosen:
        return ""
    if n_values < FEWEST_VALUES:
        return f"only {n_values} values"
    missing = float(values.isna().mean())
    if missing > MAX_MISSING_SHARE:
        return f"{missing:.0%} missing"
    same = counts.max() / len(known)
    return f"one value for {same:.0%} of the people" if same > MAX_SAME_SHARE else ""
