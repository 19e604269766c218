"""What page 02 is held against: published counts, another way of counting, rows before and after."""

import ibis
import numpy as np
import pandas as pd

# Counts of the Complete Journey study's 1,469,307 lines, taken from the package's file with another tool.
# Sales of 20 lines are dust of floating point below 1e-14, which is 0.0000 in money.
STUDY_LINES = 1_469_307
STUDY_COUNTS = {
    "lines of quantity 0": 8_869,
    "lines of revenue 0": 11_226 + 20,
    "lines of more than 100 units": 13_510,
    "lines of negative revenue": 0,
}


def study_counts(transactions: ibis.Table) -> pd.DataFrame:
    """Count what is known of the Complete Journey study, in the receipts of all or of some of its households.

    Args:
        transactions: Receipt lines of the study, with `quantity`.

    Returns:
        `name`, `found`, `expected`: the published count, in proportion to the lines that are there.
    """
    quantity, revenue = transactions.quantity, transactions.revenue
    counts = transactions.aggregate(
        lines=transactions.count(),
        n_0=transactions.count(where=quantity == 0),
        n_1=transactions.count(where=revenue == 0),
        n_2=transactions.count(where=quantity > 100),
        n_3=transactions.count(where=revenue < 0),
    ).to_pandas().iloc[0]  # fmt: skip
    share = counts.lines / STUDY_LINES
    rows = [(name, int(counts[f"n_{i}"]), n * share) for i, (name, n) in enumerate(STUDY_COUNTS.items())]
    return pd.DataFrame(rows, columns=["name", "found", "expected"])


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
