"""Filling in what is missing, and a trial that hides known cells to see what each way of filling in does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from journeybook.tables import SCHEMAS, in_sample, sample_share

METHODS = ("mean", "regression", "donor")
MECHANISMS = ("at_random", "low_values")

# What the trial may hide, where it has holes: table, column (None: every further one), and the page that uses it.
USED_BY = (
    ("third_party", None, "04_enrichment"),
    ("customer_records", "birth_date", "03_identity"),
    ("contacts", None, "07_channel_response"),
    ("coupon_contacts", None, "07_channel_response"),
    ("products", "package_size", "none yet"),
)

# Known only after sending: no help for filling in what was known before.
_LATER = ("responded", "opened", "clicked", "value", "propensity")
# A text such as `16 OZ`.
_MEASURE = r"^\s*(\d+\.?\d*|\.\d+)\s*([A-Za-z]+)\s*$"
_MOST_WORDS, _MOST_DISTINCT = 50, 0.2
_DONORS, _FEWEST_ROWS = 5, 50


@dataclass(frozen=True, eq=False)
class Cells:
    """Known cells of one column, which can be hidden.

    Attributes:
        frame: One row a known cell, numeric, without a missing value. A text of a number and a unit is the log of
            the number, of the commonest unit; dates are years; words are marks of 0 and 1.
        column: Column whose cells are hidden; the others help to fill them in.
        name: The column in words, with its table.
        table: Table the cells are from; None where they are simulated.
        used_by: Page that uses the column.
        n_missing: Cells of the column that are missing.
    """

    frame: pd.DataFrame
    column: str
    name: str = "simulated pairs"
    table: str | None = None
    used_by: str = "none"
    n_missing: int = 0


@dataclass(frozen=True, eq=False)
class ImputationTrial:
    """What each method made of cells that were hidden on purpose.

    Attributes:
        scores: One row a column, mechanism, method and repeat: `column`, `mechanism`, `method`, `repeat`, `error`
            (root mean square, in standard deviations of the column), `variance_ratio` (variance of imputed cells
            over that of the hidden ones), and `mean_shift` (mean of the filled column less the true mean, in
            standard deviations).
        methods: The same as means over repeats.
        columns: One row a column: `column`, `used_by`, `n_known` (cells in the trial), `n_missing`.
        hidden_share: Share of cells hidden.
        repeats: Times the trial was made.
    """

    scores: pd.DataFrame
    methods: pd.DataFrame
    columns: pd.DataFrame
    hidden_share: float
    repeats: int


def impute(frame: pd.DataFrame, *, column: str, method: str, rng: np.random.Generator) -> pd.Series:
    """Return a column with its missing cells filled in; known cells stay as they are.

    `mean`; `regression`, the value expected from the other columns; `donor` draws one of the five known cells
    whose expected values are nearest (predictive mean matching, Little 1988).

    Args:
        frame: Numeric columns; all but `column` without a missing value.
        column: Column to fill in, with known cells.
        method: One of `METHODS`.
        rng: Chance of `donor`.
    """
    others = StandardScaler().fit_transform(frame.drop(columns=column))
    values = frame[column].to_numpy(dtype=float, copy=True)
    known = ~np.isnan(values)
    if not known.all():
        values[~known] = _fill(others, values, known, method, rng)
    return pd.Series(values, index=frame.index, name=column)


def impute_trial(
    cells: Sequence[Cells], *, hidden_share: float, repeats: int, rng: np.random.Generator
) -> ImputationTrial:
    """Hide known cells, fill them in by each method, and compare with what was hidden.

    Under `at_random` every cell is as likely to be hidden; under `low_values` a cell is likelier to be hidden
    the lower it is (the lowest e squared times as likely as the highest), as with customers who seldom buy and
    never fill in a form.

    Args:
        cells: Columns; each at least 50 rows and two columns, without a missing value.
        hidden_share: Share of the cells to hide, above 0 and at most 0.8.
        repeats: Times to hide and fill in, at least 1.
        rng: Chance of hiding and of filling in.

    Raises:
        ValueError: The cells are too few, not complete or all equal, or a parameter is out of its range.
    """
    if not 0 < hidden_share <= 0.8:
        raise ValueError(f"hidden_share is {hidden_share}: it must be above 0 and at most 0.8.")
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}: it must be at least 1.")
    scores: list[dict[str, object]] = []
    for one, own in zip(cells, rng.spawn(len(cells)), strict=True):
        frame = one.frame
        if len(frame) < _FEWEST_ROWS or frame.shape[1] < 2 or not np.isfinite(frame.to_numpy(dtype=float)).all():
            raise ValueError(
                f"the trial has {len(frame)} rows and {frame.shape[1]} columns: it needs {_FEWEST_ROWS} rows, two "
                "columns and no missing value."
            )
        truth = frame[one.column].to_numpy(dtype=float)
        if np.ptp(truth) == 0:
            raise ValueError(f"column {one.column!r} has one value only: hiding cells of it shows nothing.")
        others = StandardScaler().fit_transform(frame.drop(columns=one.column))
        for repeat in range(repeats):
            for mechanism in MECHANISMS:
                hidden = _hide(truth, hidden_share, mechanism, own)
                for method in METHODS:
                    filled = truth.copy()
                    filled[hidden] = _fill(others, truth, ~hidden, method, own)
                    told = {"column": one.name, "mechanism": mechanism, "method": method, "repeat": repeat}
                    scores.append(told | _score(truth, filled, hidden))
    each = pd.DataFrame(scores)
    by = ["column", "mechanism", "method"]
    means = each.drop(columns="repeat").groupby(by, sort=False, as_index=False).mean()
    about = [(one.name, one.used_by, len(one.frame), one.n_missing) for one in cells]
    columns = pd.DataFrame(about, columns=["column", "used_by", "n_known", "n_missing"])
    return ImputationTrial(each, means, columns, hidden_share, repeats)


def advise(trial: ImputationTrial) -> pd.DataFrame:
    """Name, by column, the method that comes nearest, if it beats the mean beyond the spread of the repeats.

    In each repeat both fill in the same hidden cells; a method beats the mean where the least of its gains is
    above 0.

    Returns:
        The trial's `columns`, with `mean_error`, `nearest` (the method of the least error, cells hidden at
        random), its `error`, `gain_low`, `gain_high` (the mean's error less its own, least and greatest of the
        repeats), and `advice`: that method or `none`.
    """
    rows = []
    random = trial.scores[trial.scores.mechanism == "at_random"]
    for column, tried in random.groupby("column", sort=False):
        errors = tried.pivot(index="repeat", columns="method", values="error")
        nearest = str(errors.drop(columns="mean").mean().idxmin())
        gain = errors["mean"] - errors[nearest]
        told = (errors["mean"].mean(), nearest, errors[nearest].mean(), gain.min(), gain.max())
        rows.append((column, *told, nearest if gain.min() > 0 else "none"))
    names = ["column", "mean_error", "nearest", "error", "gain_low", "gain_high", "advice"]
    return trial.columns.merge(pd.DataFrame(rows, columns=names), on="column", validate="one_to_one")


def correlated_normals(n: int, *, correlation: float, rng: np.random.Generator) -> pd.DataFrame:
    """Draw pairs `x`, `y` of standard normals, for which the answers of a trial are known in closed form.

    For cells of `y` hidden at random, the error (in standard deviations) and the variance kept are: of the mean
    1 and 0; of regression root (1 - r2) and r2; of a donor root 2 (1 - r2) and 1.
    """
    x, noise = rng.standard_normal((2, n))
    return pd.DataFrame({"x": x, "y": correlation * x + np.sqrt(1 - correlation**2) * noise})


def holed_cells(
    tables: Mapping[str, ibis.Table], report: pd.DataFrame, *, max_rows: int, rng: np.random.Generator
) -> list[Cells]:
    """Return the known cells of the columns that have missing ones and that a later page uses (`USED_BY`).

    Numbers, dates and texts of a number and a unit are taken, with 50 known cells or more and other columns that
    help; where there is none, simulated pairs.

    Args:
        tables: Accepted table by name.
        report: What is missing in them, from `missing_report`.
        max_rows: Rows of a table to bring into pandas at most, but for chance; drawn by a hash of each person.
        rng: Chance of the simulated numbers.
    """
    missing = report.set_index(["table", "column"]).n_missing
    found = []
    for name, only, page in USED_BY:
        columns = [] if name not in tables else _columns(tables[name], name, only)
        holed = [column for column in columns if missing.get((name, column), 0) > 0]
        if not holed:
            continue
        table = tables[name]
        person = table.customer_id if "customer_id" in table.columns else ibis.null("string")
        share = sample_share(int(table.count().execute()), at_most=max_rows)
        drawn = table.filter(in_sample(person, table.row, share=share, name="cells")).order_by("row").to_pandas()
        helping = {c: _helper(drawn[c], table[c].type(), c) for c in _columns(table, name, None, known=True)}
        for column in holed:
            values, unit = _target(drawn[column], table[column].type())
            helpers = [frame for c, frame in helping.items() if c != column]
            frame = pd.concat([values.rename(column), *helpers], axis=1)[values.notna()]
            frame = frame.loc[:, frame.nunique() > 1]
            if len(frame) >= _FEWEST_ROWS and column in frame and frame.shape[1] >= 2:
                label = f"{name}.{column}{f' ({unit})' if unit else ''}"
                found.append(Cells(frame, column, label, name, page, int(missing[name, column])))
    return found or [Cells(correlated_normals(2_000, correlation=0.7, rng=rng), "y")]


def _columns(table: ibis.Table, name: str, only: str | None, *, known: bool = False) -> list[str]:
    """Return the columns of a table that the trial may hide, or, `known`, that may help to fill in others."""
    by_name = SCHEMAS["contacts" if name == "coupon_contacts" else name].by_name
    if known:
        names = [c for c in table.columns if c not in ("row", *_LATER)]
        return [c for c in names if c not in by_name or not by_name[c].identifier]
    return [c for c in table.columns if (c == only if only else c != "row" and c not in by_name)]


def _number(values: pd.Series, dtype: ibis.expr.datatypes.DataType) -> pd.Series | None:
    """Return numbers as they are and dates as years; None of text."""
    if dtype.is_date() or dtype.is_timestamp():
        return (pd.to_datetime(values) - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=365.25)
    return values.astype(float) if dtype.is_numeric() or dtype.is_boolean() else None


def _target(values: pd.Series, dtype: ibis.expr.datatypes.DataType) -> tuple[pd.Series, str]:
    """Return a column as numbers, missing where it has none, and the unit of texts, such as `log OZ`."""
    number = _number(values, dtype)
    if number is not None:
        return number, ""
    parts = values.astype("str").str.extract(_MEASURE)
    if 2 * parts[0].notna().sum() <= values.notna().sum():
        return pd.Series(np.nan, index=values.index), ""
    units = parts[1].str.upper()
    number = parts[0].where(units == units.mode()[0]).astype(float)
    return np.log(number.where(number > 0)), f"log {units.mode()[0]}"


def _helper(values: pd.Series, dtype: ibis.expr.datatypes.DataType, name: str) -> pd.DataFrame:
    """Return a column that helps to fill in another, numeric and complete; of ids nothing is left."""
    number = _number(values, dtype)
    if number is not None:
        return number.fillna(number.median()).fillna(0.0).to_frame(name)
    if not dtype.is_string() or values.nunique() > max(_MOST_DISTINCT * len(values), 2):
        return pd.DataFrame(index=values.index)
    common = values.value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:_MOST_WORDS]
    return pd.DataFrame({f"{name} {word}": (values == word).astype(float) for word in common}, index=values.index)


def _fill(
    others: np.ndarray, values: np.ndarray, known: np.ndarray, method: str, rng: np.random.Generator
) -> np.ndarray:
    """Return values for the cells that are not known."""
    if method == "mean":
        return np.full((~known).sum(), values[known].mean())
    model = LinearRegression().fit(others[known], values[known])
    if method == "regression":
        return model.predict(others[~known])
    # Rows that are alike stay so to the last digit, which differs between processors.
    expected = model.predict(others).round(9)[:, None]
    near = NearestNeighbors(n_neighbors=_DONORS).fit(expected[known])
    donors = near.kneighbors(expected[~known], return_distance=False)
    return values[known][donors[np.arange(len(donors)), rng.integers(_DONORS, size=len(donors))]]


def _hide(truth: np.ndarray, share: float, mechanism: str, rng: np.random.Generator) -> np.ndarray:
    """Choose `share` of the cells, at random or the likelier the lower they are."""
    n = len(truth)
    ranks = np.argsort(np.argsort(truth, kind="stable"), kind="stable")
    weights = np.exp(-2 * ranks / n) if mechanism == "low_values" else np.ones(n)
    hidden = np.zeros(n, dtype=bool)
    hidden[rng.choice(n, size=max(2, round(share * n)), replace=False, p=weights / weights.sum())] = True
    return hidden


def _score(truth: np.ndarray, filled: np.ndarray, hidden: np.ndarray) -> dict[str, float]:
    """Compare filled cells with the truth, in standard deviations of the column."""
    deviation, imputed, true = truth.std(), filled[hidden], truth[hidden]
    kept = 0.0 if np.ptp(imputed) == 0 else imputed.var()
    return {
        "error": float(np.sqrt(np.mean((imputed - true) ** 2)) / deviation),
        "variance_ratio": float(kept / true.var()) if np.ptp(true) > 0 else float("nan"),
        "mean_shift": float((filled.mean() - truth.mean()) / deviation),
    }
