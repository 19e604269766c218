"""Filling in what is missing, and a trial that hides known cells to see what each way of filling in does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from sklearn.impute import KNNImputer
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from journeybook.cleaning.missing import customer_figures
from journeybook.tables import in_sample, sample_share

METHODS = ("mean", "median", "random_cell", "nearest_5", "regression", "donor")
MECHANISMS = ("at_random", "low_values")

# Numbers of units of an experiment, contacts and the like in which the trial may be made, in this order.
_UNIT_TABLES = ("contacts", "coupon_contacts", "experiment", "factorial")
_NEIGHBOURS = 5
_FEWEST_ROWS = 50


@dataclass(frozen=True, eq=False)
class Cells:
    """Complete numbers in which cells can be hidden.

    Attributes:
        frame: One row a customer or unit, numeric, without a missing value.
        column: Column whose cells are hidden; the others help to fill them in.
        source: What the rows are, in a few words.
        n_all: Rows there were before some were drawn.
        table: Table the numbers are from; None where this data set has too few, and they are simulated.
    """

    frame: pd.DataFrame
    column: str
    source: str
    n_all: int
    table: str | None


@dataclass(frozen=True, eq=False)
class ImputationTrial:
    """What each method made of cells that were hidden on purpose.

    Attributes:
        methods: One row a mechanism and method: `mechanism`, `method`, `rmse` (in standard deviations of the
            column), `variance_ratio` (variance of the imputed cells over that of the hidden ones), `mean_shift`
            (mean of the filled column less the true mean, in standard deviations), each a mean over repeats.
        imputed: Cells of the first repeat: `mechanism`, `method`, `hidden`, `imputed`.
        column: Column whose cells were hidden.
        n_rows: Rows of the frame.
        hidden_share: Share of cells hidden.
        repeats: Times the trial was made.
    """

    methods: pd.DataFrame
    imputed: pd.DataFrame
    column: str
    n_rows: int
    hidden_share: float
    repeats: int


def impute(frame: pd.DataFrame, *, column: str, method: str, rng: np.random.Generator) -> pd.Series:
    """Return a column with its missing cells filled in; known cells stay as they are.

    `mean`, `median`; `random_cell` draws a known cell; `nearest_5` is the mean of the five nearest rows;
    `regression` the value expected from the other columns; `donor` draws one of the five known cells whose
    expected values are nearest (predictive mean matching, Little 1988), so that every filled cell is a value
    that occurs.

    Args:
        frame: Numeric columns; all but `column` without a missing value.
        column: Column to fill in, with at least ten known cells.
        method: One of `METHODS`.
        rng: Chance of `random_cell` and `donor`.

    Raises:
        ValueError: The method is unknown, or the frame is not as described.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}: it must be one of {', '.join(METHODS)}.")
    others = frame.drop(columns=column).to_numpy(dtype=float)
    values = frame[column].to_numpy(dtype=float, copy=True)
    known = ~np.isnan(values)
    if known.sum() < 2 * _NEIGHBOURS or others.shape[1] == 0 or not np.isfinite(others).all():
        raise ValueError(
            f"column {column!r} has {known.sum()} known cells and {others.shape[1]} other columns: it needs ten "
            "known cells and other columns without a missing value."
        )
    if not known.all():
        values[~known] = _fill(StandardScaler().fit_transform(others), values, known, method, rng)
    return pd.Series(values, index=frame.index, name=column)


def impute_trial(
    cells: pd.DataFrame,
    *,
    column: str,
    hidden_share: float,
    repeats: int,
    rng: np.random.Generator,
    methods: Sequence[str] = METHODS,
) -> ImputationTrial:
    """Hide known cells, fill them in by each method, and compare with what was hidden.

    Under `at_random` every cell is as likely to be hidden; under `low_values` a cell is likelier to be hidden
    the lower it is (the lowest e squared times as likely as the highest), as with customers who seldom buy and
    never fill in a form.

    Args:
        cells: Numeric columns without a missing value; at least 50 rows and two columns.
        column: Column whose cells are hidden.
        hidden_share: Share of the cells to hide, above 0 and at most 0.8.
        repeats: Times to hide and fill in, at least 1.
        rng: Chance of hiding and of filling in.
        methods: Some of `METHODS`.

    Raises:
        ValueError: The cells are too few, not complete or all equal, or a parameter is out of its range.
    """
    if not 0 < hidden_share <= 0.8:
        raise ValueError(f"hidden_share is {hidden_share}: it must be above 0 and at most 0.8.")
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}: it must be at least 1.")
    if len(cells) < _FEWEST_ROWS or cells.shape[1] < 2 or not np.isfinite(cells.to_numpy(dtype=float)).all():
        raise ValueError(
            f"the trial has {len(cells)} rows and {cells.shape[1]} columns: it needs {_FEWEST_ROWS} rows, two "
            "columns and no missing value."
        )
    truth = cells[column].to_numpy(dtype=float)
    if np.ptp(truth) == 0:
        raise ValueError(f"column {column!r} has one value only: hiding cells of it shows nothing.")
    scores, shown = [], []
    for repeat in range(repeats):
        for mechanism in MECHANISMS:
            hidden = _hide(truth, hidden_share, mechanism, rng)
            holes = cells.assign(**{column: np.where(hidden, np.nan, truth)})
            for method in methods:
                filled = impute(holes, column=column, method=method, rng=rng).to_numpy()
                told = {"mechanism": mechanism, "method": method}
                scores.append(told | _score(truth, filled, hidden))
                if repeat == 0:
                    shown.append(pd.DataFrame({**told, "hidden": truth[hidden], "imputed": filled[hidden]}))
    means = pd.DataFrame(scores).groupby(["mechanism", "method"], sort=False, as_index=False).mean()
    return ImputationTrial(means, pd.concat(shown, ignore_index=True), column, len(cells), hidden_share, repeats)


def correlated_normals(n: int, *, correlation: float, rng: np.random.Generator) -> pd.DataFrame:
    """Draw pairs `x`, `y` of standard normals, for which the answers of a trial are known in closed form.

    For cells of `y` hidden at random, the error (in standard deviations) and the variance kept are: of the mean
    1 and 0; of a random cell root 2 and 1; of regression root (1 - r2) and r2; of a donor root 2 (1 - r2) and 1.
    """
    x, noise = rng.standard_normal((2, n))
    return pd.DataFrame({"x": x, "y": correlation * x + np.sqrt(1 - correlation**2) * noise})


def numeric_cells(tables: Mapping[str, ibis.Table], *, max_rows: int, rng: np.random.Generator) -> Cells:
    """Return complete numbers of this data set for the trial; simulated ones where there are too few.

    Customers' log figures where there are transactions, else the numeric columns of contacts or of an experiment
    (copies; the tables are not touched).

    Args:
        tables: Accepted table by name.
        max_rows: Rows to bring into pandas at most, but for chance; beyond it people are drawn by a hash of each.
        rng: Chance of the simulated numbers.
    """
    if "transactions" in tables:
        figures = customer_figures(tables["transactions"], max_customers=max_rows)
        # The number of lines all but says the spend, and whoever lacks the one lacks the other.
        counts = figures.drop(columns=["customer_id", "n_lines"]).clip(lower=0)
        cells = _varying(counts.transform(np.log1p).add_prefix("log_"))
        if len(cells) >= _FEWEST_ROWS and "log_spend" in cells and cells.shape[1] >= 2:
            n_all = int(tables["transactions"].customer_id.nunique().execute())
            return Cells(cells, "log_spend", "customers", n_all, "transactions")
    for name in _UNIT_TABLES:
        if name not in tables:
            continue
        table = tables[name]
        numeric = [
            c for c, dtype in table.schema().items() if dtype.is_numeric() and c not in ("row", "propensity")
        ]
        if len(numeric) < 2:
            continue
        n_all = int(table.count().execute())
        person = table.customer_id if "customer_id" in table.columns else ibis.null("string")
        share = sample_share(n_all, at_most=max_rows)
        rows = table.filter(in_sample(person, table.row, share=share, name="cells")).order_by("row")
        cells = _varying(rows.select(*numeric).to_pandas().astype(float).dropna())
        if len(cells) >= _FEWEST_ROWS and cells.shape[1] >= 2:
            return Cells(cells, str(cells.nunique().idxmax()), f"rows of {name}", n_all, name)
    pairs = correlated_normals(2_000, correlation=0.7, rng=rng)
    return Cells(pairs, "y", "simulated pairs", len(pairs), None)


def _fill(
    others: np.ndarray, values: np.ndarray, known: np.ndarray, method: str, rng: np.random.Generator
) -> np.ndarray:
    """Return values for the cells that are not known."""
    n_missing = int((~known).sum())
    if method == "mean":
        return np.full(n_missing, values[known].mean())
    if method == "median":
        return np.full(n_missing, np.median(values[known]))
    if method == "random_cell":
        return rng.choice(values[known], size=n_missing)
    if method == "nearest_5":
        both = np.column_stack([others, values])
        return KNNImputer(n_neighbors=_NEIGHBOURS).fit_transform(both)[~known, -1]
    model = LinearRegression().fit(others[known], values[known])
    expected = model.predict(others[~known])
    if method == "regression":
        return expected
    return _draw_donors(model.predict(others[known]), values[known], expected, rng)


def _draw_donors(
    known_expected: np.ndarray, known_values: np.ndarray, expected: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw for each expected value one of the five known values whose expected values are nearest."""
    order = np.argsort(known_expected, kind="stable")
    # Of a sorted list, the five nearest to a value are among the five on either side of its place.
    place = np.searchsorted(known_expected[order], expected)
    start = np.clip(place - _NEIGHBOURS, 0, max(len(order) - 2 * _NEIGHBOURS, 0))
    window = start[:, None] + np.arange(min(2 * _NEIGHBOURS, len(order)))
    distance = np.abs(known_expected[order][window] - expected[:, None])
    nearest = np.argsort(distance, axis=1, kind="stable")
    rows = np.arange(len(expected))
    chosen = nearest[rows, rng.integers(_NEIGHBOURS, size=len(expected))]
    return known_values[order[window[rows, chosen]]]


def _hide(truth: np.ndarray, share: float, mechanism: str, rng: np.random.Generator) -> np.ndarray:
    """Choose `share` of the cells, at random or the likelier the lower they are."""
    n = len(truth)
    weights = np.ones(n)
    if mechanism == "low_values":
        ranks = np.argsort(np.argsort(truth, kind="stable"), kind="stable")
        weights = np.exp(-2 * ranks / n)
    hidden = np.zeros(n, dtype=bool)
    hidden[rng.choice(n, size=max(2, round(share * n)), replace=False, p=weights / weights.sum())] = True
    return hidden


def _score(truth: np.ndarray, filled: np.ndarray, hidden: np.ndarray) -> dict[str, float]:
    """Compare filled cells with the truth, in standard deviations of the column."""
    deviation, imputed = truth.std(), filled[hidden]
    kept = 0.0 if np.ptp(imputed) == 0 else imputed.var()
    return {
        "rmse": float(np.sqrt(np.mean((imputed - truth[hidden]) ** 2)) / deviation),
        "variance_ratio": float(kept / truth[hidden].var()) if np.ptp(truth[hidden]) > 0 else float("nan"),
        "mean_shift": float((filled.mean() - truth.mean()) / deviation),
    }


def _varying(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the columns that vary."""
    return frame.loc[:, frame.nunique() > 1]
