"""Whole rows: as one text, computed once, added up by digest, and held against their table."""

from collections.abc import Collection, Iterable

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd


def whole_row(table: ibis.Table, *, without: Collection[str] = ()) -> ir.StringValue:
    """Return each row but for `row` and some columns as JSON: every cell as text, or null."""
    cells = {c: table[c].cast("string") for c in table.columns if c != "row" and c not in without}
    return ibis.struct(cells).cast("json").cast("string")


def brought_in(table: ibis.Table) -> ibis.Table:
    """Return a table of few rows that is computed now, once, and not by each query that asks for it."""
    return ibis.memtable(table.to_pyarrow()).cast(table.schema())


def kept_in_engine(table: ibis.Table) -> ibis.Table:
    """Return a lazy table computed once; the finaliser of `Table.cache()` fails at the process's end (ibis 12)."""
    return table.get_backend().create_table(ibis.util.gen_name("kept"), table, temp=True)


def added_up(rows: ibis.Table, columns: Iterable[str]) -> tuple[int, int]:
    """Return the number of rows and the sum of a digest of each: equal sums, the same rows in whatever order."""
    digest = ibis.struct({c: rows[c] for c in sorted(columns)}).hash().cast("decimal(38, 0)")
    n, total = rows.aggregate(n=rows.count(), total=digest.sum()).to_pandas().iloc[0]
    return int(n), int(total or 0)


def rows_off(kept: pd.DataFrame, table: ibis.Table, *, columns: Iterable[str]) -> int:
    """Return how many kept rows differ from the table's of the same `row`, in those numeric columns it has."""
    names = [name for name in columns if name in table.columns]
    told = table.select("row", *names).to_pandas().set_index("row").reindex(kept["row"])
    same = np.isclose(kept[names].astype(float), told.astype(float), rtol=0, atol=1e-12, equal_nan=True)
    return int((~same.all(axis=1)).sum())
