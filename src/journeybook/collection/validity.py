"""What no row can truly say: a name that names nothing, a date that cannot be; and rows that come late."""

import ibis
import ibis.expr.types as ir
import pandas as pd

from journeybook.tables import Schema

# What broken trackers and forms send in place of a name.
NO_NAMES = ("", "undefined", "(not set)")
# Nothing can have been known from this year on; a date long past may mean `always known`.
FIRST_YEAR_TO_COME = 2100
# A row is late if rows younger by more than so many days came before it, in a table in order of time.
LATE_DAYS = 7
_IN_ORDER = 0.98

Broken = tuple[ir.BooleanValue, str, str, ir.StringValue | None]


def impossible(schema: Schema, table: ibis.Table) -> list[Broken]:
    """Return what a row of a table cannot truly say: when it is broken, the column, what is said, the value shown.

    The ledger has no such rule: a refusal holds, however it is written.
    """
    if schema.name == "consents":
        return []
    named = [c.name for c in schema.columns if c.required and not c.nullable and c.dtype == "string"]
    broken: list[Broken] = [
        (table[name].strip().lower().isin(NO_NAMES), name, "is a word that names nothing", table[name])
        for name in (*named, "session_id")
        if name in table.columns and table[name].type().is_string()
    ]
    if "as_of" in table.columns:
        to_come = table.as_of.year() >= FIRST_YEAR_TO_COME
        broken.append((to_come, "as_of", "is a date that cannot be", table.as_of.cast("string")))
    return broken


def late_rows(table: ibis.Table) -> ibis.Table:
    """Return the rows that came more than a week after younger ones.

    None of a table without times or not in order of time, and none of one that says when a row was recorded.
    """
    if "occurred_at" not in table.columns or "recorded_at" in table.columns:
        return table.limit(0)
    latest = table.occurred_at.max().over(order_by=table.row, rows=(None, 0))
    late = table.occurred_at < latest - ibis.interval(days=LATE_DAYS)
    timed = table.mutate(late=late.fill_null(False))
    in_order = timed.late.mean() <= 1 - _IN_ORDER
    return timed.filter(timed.late & bool(in_order.fill_null(False).to_pandas())).drop("late")


def rows_told(quarantine: ibis.Table, accepted: dict[str, ibis.Table]) -> pd.DataFrame:
    """Return every row that the page found fault with: `table`, `row`, `column` (`delivery` of a late one)."""
    late = [
        late_rows(table).select("row").to_pandas().assign(table=name, column="delivery")
        for name, table in accepted.items()
    ]
    told = quarantine.select("table", "row", "column").to_pandas()
    return pd.concat([told, *late], ignore_index=True)[["table", "row", "column"]]
