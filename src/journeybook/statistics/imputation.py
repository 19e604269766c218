"""Filling in missing numbers by a rule a column, learned once, handed on as a table, and applied to any rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

FILLS = ("median", "mode", "model", "indicator")
"""What a rule may say; `indicator` is the median where a page cannot keep a mark of what was missing."""

UNJUDGED = "median"
"""What is done for a column without a rule."""

OTHERS = "(any other)"
"""Stands for the columns that no rule names."""

HANDED = ["source", "as_of", "column", "method", "constant", "intercept", "lowest", "highest", "weights"]
"""Columns of the tables in which fitted imputers are handed on; `weights` is JSON, by column."""

# Weight of the ridge, as a share of the rows: columns that say the same share their weight.
_RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Imputer:
    """What fills in each column. It gives a row the same values whoever else is there, and holds no one's row.

    Attributes:
        columns: Columns it fills in, all of them numbers, shape (k,).
        methods: One of `FILLS` a column, shape (k,).
        constants: Median or mode of the known values; 0 where none is known, shape (k,).
        intercepts: Expected value, on the scale of arcsinh, where all others are at their constants, shape (k,).
        weights: What one unit more of each other column adds to it, both on that scale, shape (k, k).
        lowest: Least known value, rounded down so that it is nobody's; none filled in is below it, shape (k,).
        highest: Greatest known value, rounded up, likewise, shape (k,).
    """

    columns: tuple[str, ...]
    methods: tuple[str, ...]
    constants: np.ndarray
    intercepts: np.ndarray
    weights: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    @property
    def method_of(self) -> dict[str, str]:
        """The method of each column."""
        return dict(zip(self.columns, self.methods, strict=True))


_NONE = np.zeros(0)
NOTHING = Imputer((), (), _NONE, _NONE, np.zeros((0, 0)), _NONE, _NONE)
"""Fills in no column."""


def rules_by_column(rules: Any) -> dict[str, str] | None:
    """Return the method of each column from the table `imputation_rules` (column, method); None from None."""
    return None if rules is None else rules.to_pandas().set_index("column")["method"].to_dict()


def fit_imputer(frame: pd.DataFrame, *, rules: Mapping[str, str] | None) -> Imputer:
    """Learn from the rows a page may learn from how to fill in each column.

    `model` expects a value from all other columns by a linear regression (a slight ridge; Hoerl & Kennard 1970) on
    the scale of arcsinh, a log far from 0 and linear near it; the others count as their median where missing.

    Args:
        frame: Numbers, a column each; missing values are NaN or NA.
        rules: Method by column; others are filled as `OTHERS`, and with their median where that has no rule.

    Raises:
        ValueError: A rule is not one of `FILLS`.
    """
    columns = tuple(str(column) for column in frame)
    rules = rules or {}
    methods = tuple(rules.get(column, rules.get(OTHERS, UNJUDGED)) for column in columns)
    for column, method in zip(columns, methods, strict=True):
        if method not in FILLS:
            raise ValueError(
                f"rules: {column!r} is to be filled by {method!r}; needed is one of {', '.join(FILLS)}."
            )
    values = _numbers(frame, columns)
    known = ~np.isnan(values)
    k = len(columns)
    constants, lowest, highest = np.zeros(k), np.zeros(k), np.zeros(k)
    for j in np.flatnonzero(known.any(axis=0)).tolist():
        own = values[known[:, j], j]
        constants[j] = _commonest(own) if methods[j] == "mode" else np.median(own)
        lowest[j], highest[j] = _outwards(own.min(), own.max())
    far = np.arcsinh(np.where(known, values, constants)) - np.arcsinh(constants)
    intercepts, weights = np.arcsinh(constants), np.zeros((k, k))
    for j in [j for j in range(k) if methods[j] == "model" and known[:, j].sum() > 1]:
        rows, others = known[:, j], np.arange(k) != j
        intercepts[j], weights[j, others] = _ridge(far[rows][:, others], np.arcsinh(values[rows, j]))
    return Imputer(columns, methods, constants, intercepts, weights, lowest, highest)


def imputer_table(imputer: Imputer, *, source: str, as_of: Any) -> pd.DataFrame:
    """Return an imputer as rows of `HANDED`, one a column: learned from `source`, of what was known at `as_of`."""
    weights = [
        json.dumps({other: w for other, w in zip(imputer.columns, row.tolist(), strict=True) if w})
        for row in imputer.weights
    ]
    known = (imputer.constants, imputer.intercepts, imputer.lowest, imputer.highest)
    named = zip(imputer.columns, imputer.methods, *known, weights, strict=True)
    return pd.DataFrame([(source, as_of, *row) for row in named], columns=HANDED).astype(
        {"as_of": "datetime64[us]"}
    )


def handed_imputer(table: pd.DataFrame, *, source: str, before: Any = None) -> Imputer:
    """Read back the imputer of a source that was learned last, strictly before a moment where one is given.

    Where none was, nothing is known: each column is filled with 0, as one without a value is.

    Args:
        table: Rows of `HANDED`.
        source: What it was learned from.
        before: A moment; None takes the last.
    """
    own = table[table["source"] == source].sort_values("column", kind="stable")
    dates = own["as_of"] if before is None else own["as_of"][own["as_of"] < before]
    rows = own if own["as_of"].isna().all() else own[own["as_of"] == dates.max()]
    if rows.empty:
        rows = own.drop_duplicates("column").assign(
            constant=0.0, intercept=0.0, weights="{}", lowest=0.0, highest=0.0
        )
    columns = tuple(rows["column"])
    weights = [[by.get(other, 0.0) for other in columns] for by in map(json.loads, rows["weights"])]
    known = [rows[name].to_numpy(dtype=float) for name in ("constant", "intercept", "lowest", "highest")]
    constants, intercepts, lowest, highest = known
    shape = (len(columns), len(columns))
    weighed = np.array(weights, dtype=float).reshape(shape)
    return Imputer(columns, tuple(rows["method"]), constants, intercepts, weighed, lowest, highest)


def side_by_side(one: Imputer, other: Imputer) -> Imputer:
    """Return one imputer of the columns of two, neither of which helps the other."""
    both = [
        np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("constants", "intercepts", "lowest", "highest")
    ]
    constants, intercepts, lowest, highest = both
    columns, methods = one.columns + other.columns, one.methods + other.methods
    return Imputer(
        columns, methods, constants, intercepts, block_diag(one.weights, other.weights), lowest, highest
    )


def fill(frame: pd.DataFrame, imputer: Imputer, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return columns of the rows, shape (n, k), with every missing value filled in; all of the imputer's for None.

    A column that the rows do not have counts as its median where it would help.

    Raises:
        ValueError: Values of a column are missing that the imputer does not know.
    """
    asked = list(imputer.columns if columns is None else columns)
    unknown = [column for column in asked if column not in imputer.columns]
    for column in unknown:
        if frame[column].isna().any():
            raise ValueError(f"{column!r}: values are missing, and no page has learned how to fill them in.")
    filled = _filled(frame.reindex(columns=list(imputer.columns)), imputer)
    # Rows may be there twice, so that no index tells them apart.
    return filled.assign(**{c: frame[c].to_numpy(dtype=float) for c in unknown})[asked]


def _filled(frame: pd.DataFrame, imputer: Imputer) -> pd.DataFrame:
    values = _numbers(frame, imputer.columns)
    missing = np.isnan(values)
    base = np.where(missing, imputer.constants, values)
    filled = base
    if "model" in imputer.methods and missing.any():
        far = np.arcsinh(base) - np.arcsinh(imputer.constants)
        # Nine digits are alike on every processor.
        expected = np.sinh((far @ imputer.weights.T + imputer.intercepts).round(9))
        by_model = missing & (np.array(imputer.methods) == "model")
        filled = np.where(by_model, np.clip(expected, imputer.lowest, imputer.highest), base)
    return pd.DataFrame(filled, index=frame.index, columns=list(imputer.columns))


def _numbers(frame: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    asked = frame[list(columns)]
    # pandas' own missing values are slow, and seldom there.
    if (asked.dtypes == "float64").all():
        return asked.to_numpy(dtype=float)
    return asked.astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def _outwards(low: float, high: float) -> tuple[float, float]:
    """A range rounded outwards to two digits of its width."""
    step = 10.0 ** (np.floor(np.log10(high - low)) - 1) if high > low else 1.0
    return (float(np.floor(low / step) * step), float(np.ceil(high / step) * step)) if high > low else (low, high)


def _commonest(values: np.ndarray) -> float:
    """The commonest value, of several the least."""
    found, n = np.unique(values, return_counts=True)
    return float(found[np.argmax(n)])


def _ridge(others: np.ndarray, values: np.ndarray) -> tuple[float, np.ndarray]:
    """Intercept and weights of a ridge regression; columns of one value weigh nothing."""
    centre, scale = others.mean(axis=0), others.std(axis=0)
    scaled = np.divide(others - centre, scale, out=np.zeros_like(others), where=scale > 1e-12)
    gram = scaled.T @ scaled + _RIDGE * len(values) * np.eye(others.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ (values - values.mean()))
    weights = np.divide(weights, scale, out=np.zeros_like(weights), where=scale > 1e-12)
    return float(values.mean() - centre @ weights), weights
