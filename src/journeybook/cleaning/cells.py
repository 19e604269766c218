"""Known cells of the columns that later pages use, which can be hidden to see what fills them in best."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from journeybook.statistics.imputation import fill, fit_imputer
from journeybook.statistics.ranks import chance_of_more
from journeybook.tables import SCHEMAS, in_sample, sample_share

# Tables whose further columns later pages use, and which page.
USED_BY = {
    "third_party": "05_segmentation, 07_channel_response",
    "contacts": "07_channel_response",
    "coupon_contacts": "07_channel_response",
}
# Known only after sending: no help for filling in what was known before.
_LATER = ("responded", "opened", "clicked", "value", "propensity")
_MOST_WORDS, _MOST_DISTINCT = 50, 0.2
FEWEST_ROWS, _MOST_ROWS = 50, 2_000


@dataclass(frozen=True, eq=False)
class Cells:
    """Known cells of one column, which can be hidden.

    Attributes:
        frame: One row a known cell, numeric, without a missing value; dates are years, words marks of 0 and 1.
        column: Column whose cells are hidden; the others help to fill them in.
        outcome: What the later figure tells apart: whether a contact responded, else a simulated response, whose
            log odds are twice the column's standard score, shape (n,).
        outcome_is: `responded` or `simulated`.
        whole: The frame with the rows whose cell is missing, shape (all rows, columns).
        part: Segment of each row, 0, 1 or 2: thirds of the column that goes with it most, shape (n,).
        name: The column in words, with its table.
        table: Table the cells are from; None where they are simulated.
        used_by: Pages that use the column.
        n_missing: Cells of the column that are missing.
        presence: Chance that who has a value is told from who has none by the other columns, with its 95 %
            interval; NaN where too few have none.
    """

    frame: pd.DataFrame
    column: str
    outcome: np.ndarray
    outcome_is: str
    whole: pd.DataFrame
    part: np.ndarray
    name: str = "simulated pairs"
    table: str | None = None
    used_by: str = "none"
    n_missing: int = 0
    presence: tuple[float, float, float] = (np.nan, np.nan, np.nan)


def correlated_normals(n: int, *, correlation: float, rng: np.random.Generator) -> Cells:
    """Draw pairs `x`, `y` of standard normals, for which the answers of a trial are known in closed form.

    For cells of `y` hidden at random, the error (in standard deviations) and the variance kept are: of the median
    1 and 0; of an expected value root (1 - r2) and r2; of multiple imputation root 2 (1 - r2) and 1.
    """
    x, noise = rng.standard_normal((2, n))
    y = correlation * x + np.sqrt(1 - correlation**2) * noise
    return with_outcome(pd.DataFrame({"x": x, "y": y}), "y", rng=rng)


def holed_cells(
    tables: Mapping[str, ibis.Table], report: pd.DataFrame, *, max_rows: int, rng: np.random.Generator
) -> list[Cells]:
    """Return the known cells of the columns that have missing ones and that a later page uses (`USED_BY`).

    Numbers and dates are taken, with 50 known cells or more and other columns that help; where there is none,
    simulated pairs.

    Args:
        tables: Accepted table by name.
        report: What is missing in them, from `missing_report`.
        max_rows: Rows of a table to bring into pandas at most, but for chance; drawn by a hash of each person.
        rng: Chance of what is simulated.
    """
    missing = report.set_index(["table", "column"]).n_missing
    found = []
    for name, pages in USED_BY.items():
        if name not in tables:
            continue
        table, columns = tables[name], further_columns(tables[name], name)
        holed = [column for column in columns if missing.get((name, column), 0) > 0]
        if not holed:
            continue
        drawn = drawn_rows(table, max_rows=min(max_rows, _MOST_ROWS))
        helping = {c: _helper(drawn[c], table[c].type(), c) for c in columns}
        for column in holed:
            values = _number(drawn[column], table[column].type())
            helpers = [frame for c, frame in helping.items() if c != column]
            if values is None or not helpers:
                continue
            whole = pd.concat([values.rename(column), *helpers], axis=1)
            whole = whole.loc[:, whole[values.notna()].nunique() > 1]
            # A regression on a fifth of the cells still needs more of them than columns.
            whole = whole.iloc[:, : 1 + max(int(values.notna().sum()) // 10, 1)]
            if values.notna().sum() >= FEWEST_ROWS and column in whole and whole.shape[1] >= 2:
                n = int(missing[name, column])
                about = {"name": f"{name}.{column}", "table": name, "used_by": pages, "n_missing": n}
                about["presence"] = _told_by_others(whole.drop(columns=column), values.notna())
                responded = (
                    drawn.responded[values.notna()].eq(True).to_numpy(bool) if "responded" in drawn else None
                )
                found.append(with_outcome(whole, column, rng=rng, responded=responded, **about))
    return found or [correlated_normals(_MOST_ROWS, correlation=0.7, rng=rng)]


def with_outcome(
    whole: pd.DataFrame,
    column: str,
    *,
    rng: np.random.Generator,
    responded: np.ndarray | None = None,
    **about: Any,
) -> Cells:
    """Return the known cells of a column with an outcome and three segments; see `Cells`, also for `about`."""
    frame = whole[whole[column].notna()].reset_index(drop=True)
    score = norm.ppf((rankdata(frame[column]) - 0.5) / len(frame))
    outcome, words = rng.logistic(size=len(frame)) < 2 * score, "simulated"
    if responded is not None and 0 < responded.sum() < len(responded):
        outcome, words = responded, "responded"
    ranks = rankdata(frame[closest(frame, column)], method="ordinal")
    part = ((ranks - 1) * 3 // len(frame)).astype(int)
    return Cells(frame, column, outcome, words, whole, part, **about)


def closest(frame: pd.DataFrame, column: str) -> str:
    """Return the other column that goes with one most, by Spearman's correlation; of several the first."""
    ranks = frame.rank()
    return str(ranks.drop(columns=column).corrwith(ranks[column]).abs().fillna(0).round(9).idxmax())


def _told_by_others(others: pd.DataFrame, known: pd.Series) -> tuple[float, float, float]:
    """Chance that a logistic regression on the others, fitted on the other half, ranks known cells above holes."""
    half, has = np.arange(len(known)) % 2 == 0, known.to_numpy()
    if min(n for part in (half, ~half) for n in (has[part].sum(), (~has)[part].sum())) < 5:
        return (np.nan, np.nan, np.nan)
    scaled, said = StandardScaler().fit_transform(others), np.empty(len(has))
    for part in (half, ~half):
        said[part] = LogisticRegression(C=0.1).fit(scaled[~part], has[~part]).decision_function(scaled[part])
    chance, low, high = chance_of_more(said[has], said[~has], level=0.95).tolist()
    return chance, low, high


def drawn_rows(table: ibis.Table, *, max_rows: int) -> pd.DataFrame:
    """Return rows in order, beyond `max_rows` about as many, drawn by a hash of each person."""
    person = table.customer_id if "customer_id" in table.columns else ibis.null("string")
    share = sample_share(int(table.count().execute()), at_most=max_rows)
    return table.filter(in_sample(person, table.row, share=share, name="cells")).order_by("row").to_pandas()


def further_columns(table: ibis.Table, name: str) -> list[str]:
    """Return the further columns of a table, which the trial may hide, and which help to fill in others."""
    by_name = SCHEMAS["contacts" if name == "coupon_contacts" else name].by_name
    return [c for c in table.columns if c not in ("row", *_LATER) and c not in by_name]


def _number(values: pd.Series, dtype: ibis.expr.datatypes.DataType) -> pd.Series | None:
    """Return numbers as they are and dates as years; None of text."""
    if dtype.is_date() or dtype.is_timestamp():
        return (pd.to_datetime(values) - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=365.25)
    if dtype.is_numeric() or dtype.is_boolean():
        return values.astype(float).replace([np.inf, -np.inf], np.nan)
    return None


def _helper(values: pd.Series, dtype: ibis.expr.datatypes.DataType, name: str) -> pd.DataFrame:
    """Return a column that helps to fill in another, numeric and complete; of ids nothing is left."""
    number = _number(values, dtype)
    if number is not None:
        return fill(number.to_frame(name), fit_imputer(number.to_frame(name), rules=None))
    if not dtype.is_string() or values.nunique() > max(_MOST_DISTINCT * len(values), 2):
        return pd.DataFrame(index=values.index)
    common = values.value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:_MOST_WORDS]
    return pd.DataFrame({f"{name} {word}": (values == word).astype(float) for word in common}, index=values.index)
