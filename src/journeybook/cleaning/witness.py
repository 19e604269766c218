"""What page 02 is held against: published counts, another way of counting, rows before and after."""

from collections.abc import Mapping

import ibis
import numpy as np
import pandas as pd

from journeybook.cleaning.imputation import correlated_normals, impute_trial
from journeybook.cleaning.missing import trading_days
from journeybook.cleaning.stage import PASSED_THROUGH, Cleaning

# Counts of the Complete Journey study's 1,469,307 lines, taken from the package's file with another tool.
# Sales of 20 lines are dust of floating point below 1e-14, which is 0.0000 in money.
STUDY_LINES = 1_469_307
STUDY_COUNTS = {
    "lines of quantity 0": 8_869,
    "lines of revenue 0": 11_226 + 20,
    "lines of more than 100 units": 13_510,
    "lines of negative revenue": 0,
}


_WITNESS = ["name", "value", "reference", "tolerance", "source"]


def rows_hold(accepted: Mapping[str, ibis.Table], found: Cleaning, *, max_rows: int) -> pd.DataFrame:
    """Count what should be 0: rows and money lost, rows altered that pass through, line types that differ.

    Args:
        accepted: Accepted table by name.
        found: The same after cleaning.
        max_rows: Receipt lines to work out a second time at most.

    Returns:
        `name`, `value`, `reference`, `tolerance`, `source`.
    """
    lost = int((found.counts.rows_in - found.counts.rows_out - found.counts.rows_set_aside).abs().sum())
    zeros: list[tuple[str, float, str]] = [
        ("rows lost", lost, "rows in = rows out + rows set aside, table by table")
    ]
    for name in [name for name in accepted if name in PASSED_THROUGH]:
        altered = count_altered(accepted[name], found.tables[name])
        zeros.append((f"rows of {name} altered", altered, "the accepted table, every column but row"))
    if "transactions" in accepted:
        before, after = accepted["transactions"], found.tables["transactions"]
        gone = revenue_lost(before, after, found.set_aside.get("transactions"))
        unlike = count_unlike(after, max_rows=max_rows)
        zeros.append(("revenue lost", gone, "sum of the accepted receipts, DECIMAL"))
        zeros.append(
            ("line types that differ", unlike, f"a second count in plain Python, {max_rows:,} lines at most")
        )
    return pd.DataFrame([(name, value, 0, 0.0, source) for name, value, source in zeros], columns=_WITNESS)


def study_holds(transactions: ibis.Table, *, complete: bool) -> pd.DataFrame:
    """Count what is known of the Complete Journey study, in the receipts of all or of some of its households.

    Args:
        transactions: Receipt lines of the study, with `quantity`.
        complete: All households are there, so that the counts are exact; of some of them the share of such lines
            is alike, within three tenths.

    Returns:
        `name`, `value`, `reference` (the study's count, in proportion to the lines), `tolerance`, `source`.
    """
    quantity, revenue = transactions.quantity, transactions.revenue
    conditions = [quantity == 0, revenue == 0, quantity > 100, revenue < 0]
    asked = {f"n_{i}": transactions.count(where=condition) for i, condition in enumerate(conditions)}
    counts = transactions.aggregate(lines=transactions.count(), **asked).to_pandas().iloc[0]
    source = "84.51° study: its count, in proportion to the lines here"
    rows = []
    for i, (name, published) in enumerate(STUDY_COUNTS.items()):
        expected = published * int(counts.lines) / STUDY_LINES
        rows.append((name, int(counts[f"n_{i}"]), expected, 1e-6 if complete else 0.3 * expected, source))
    days = pd.to_datetime(trading_days(transactions).day)
    rows.append(("trading days", len(days), 364, 0.0, "2017 less 25 December"))
    rows.append(("days of trade on 25 December", int((days == "2017-12-25").sum()), 0, 0.0, "the shops were shut"))
    return pd.DataFrame(rows, columns=_WITNESS)


def trial_holds(*, rng: np.random.Generator) -> pd.DataFrame:
    """Make the trial of filling in on normals of correlation 0.7, whose answers are known in closed form.

    Returns:
        `name`, `value`, `reference`, `tolerance` (more than four standard errors), `source`.
    """
    r2 = 0.7**2
    closed = {
        "mean": (1.0, 0.0),
        "random_cell": (2**0.5, 1.0),
        "regression": ((1 - r2) ** 0.5, r2),
        "donor": ((2 * (1 - r2)) ** 0.5, 1.0),
    }
    pairs = correlated_normals(20_000, correlation=0.7, rng=rng)
    trial = impute_trial(pairs, column="y", hidden_share=0.3, repeats=2, rng=rng, methods=list(closed))
    found = trial.methods[trial.methods.mechanism == "at_random"].set_index("method")
    source = "closed form for normals of correlation 0.7; 12,000 hidden cells"
    rows = []
    for method, (error, kept) in closed.items():
        rows.append((f"error of {method}", found.rmse[method], error, 0.05, source))
        rows.append((f"variance kept by {method}", found.variance_ratio[method], kept, 0.08, source))
    return pd.DataFrame(rows, columns=_WITNESS)


def count_unlike(transactions: ibis.Table, *, max_rows: int) -> int:
    """Count lines whose `line_type` differs from one worked out row by row in plain Python.

    Args:
        transactions: Clean receipt lines.
        max_rows: Lines to look at; beyond it every k-th.
    """
    n_all = int(transactions.count().execute())
    step = max(1, -(-n_all // max_rows))
    columns = [c for c in ("revenue", "quantity") if c in transactions.columns]
    some = transactions.filter(transactions.row % step == 0).select("row", "line_type", *columns)
    unlike = 0
    for line in some.order_by("row").to_pandas().itertuples():
        money, units = line.revenue, getattr(line, "quantity", None)
        units = None if units is None or np.isnan(float(units)) else units
        if money < 0 or (units is not None and units < 0):
            expected = "return"
        elif money == 0:
            expected = "empty" if units == 0 else "free"
        else:
            expected = "amount_only" if units == 0 else "sale"
        unlike += expected != line.line_type
    return unlike


def count_altered(before: ibis.Table, after: ibis.Table) -> int:
    """Count rows of `before` that are not in `after` with the same value in every column but `row`."""
    columns = [column for column in before.columns if column != "row"]
    left = before.select(*columns).difference(after.select(*columns), distinct=False)
    return int(left.count().execute())


def revenue_lost(before: ibis.Table, after: ibis.Table, set_aside: ibis.Table | None) -> float:
    """Return revenue before, less revenue after and set aside, summed as DECIMAL; 0 where none is lost."""
    total, kept = before.revenue.sum().execute(), after.revenue.sum().execute()
    aside = None if set_aside is None else set_aside.revenue.sum().execute()
    return float((total or 0) - (kept or 0) - (aside or 0))


def volume_share(transactions: ibis.Table) -> float:
    """Return the share of all quantity that is volume, not units; NaN where nothing is known of it."""
    if "by_volume" not in transactions.columns:
        return float("nan")
    sums = transactions.aggregate(
        volume=transactions.quantity.sum(where=transactions.by_volume), whole=transactions.quantity.sum()
    )
    volume, whole = sums.to_pandas().iloc[0].fillna(0).astype(float)
    return volume / whole if whole > 0 else float("nan")


def distinct_values(before: ibis.Table, after: ibis.Table) -> pd.DataFrame:
    """Count the ways in which the fields of customer records are written: `column`, `n_before`, `n_after`."""
    columns = [c for c in before.columns if c not in ("row", "record_id", "source", "customer_id", "updated_at")]
    counts = [
        table.aggregate(**{column: table[column].nunique() for column in columns}).to_pandas().iloc[0]
        for table in (before, after)
    ]
    return pd.DataFrame({"column": columns, "n_before": list(counts[0]), "n_after": list(counts[1])})
