"""A whole row as one text."""

from collections.abc import Collection

import ibis
import ibis.expr.types as ir


def whole_row(table: ibis.Table, *, without: Collection[str] = ()) -> ir.StringValue:
    """Return each row but for `row` and some columns as JSON: every cell as text, or null."""
    cells = {c: table[c].cast("string") for c in table.columns if c != "row" and c not in without}
    return ibis.struct(cells).cast("json").cast("string")


def brought_in(table: ibis.Table) -> ibis.Table:
    """Return a table of few rows that is computed now, once, and not by each query that asks for it."""
    return ibis.memtable(table.to_pyarrow()).cast(table.schema())
