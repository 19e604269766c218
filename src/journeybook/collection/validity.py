"""What no row can truly say: a name that names nothing, a date that cannot be; and rows that come late."""

from collections.abc import Mapping
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pandas as pd

from journeybook.planted import faults_found
from journeybook.tables import Schema, brought_in

# What broken trackers and forms send in place of a name, and GrowthBook for a unit that it saw in several arms.
NO_NAMES = ("", "undefined", "(not set)", "__multiple__")
# Nothing can have been known from this year on; a date long past may mean `always known`.
FIRST_YEAR_TO_COME = 2100
# A row is late if rows younger by more than so many days came before it, in a table in order of time.
LATE_DAYS = 7
_IN_ORDER = 0.98


class Rule(NamedTuple):
    """A condition under which a row goes to quarantine, and what is then said."""

    broken: ir.BooleanValue
    column: str
    problem: str
    value: ir.StringValue | None


def mask(value: ir.StringValue) -> ir.StringValue:
    """Return an identifier as it may be shown: its first letter, and whether it is an e-mail address."""
    return ibis.ifelse(value.contains("@"), value.left(1) + "•••@•••", value.left(1) + "•••")


def impossible(schema: Schema, table: ibis.Table) -> list[Rule]:
    """Return what a row of a table cannot truly say; of the ledger nothing: a refusal holds, however written."""
    if schema.name == "consents":
        return []
    named = [c.name for c in schema.columns if c.required and not c.nullable and c.dtype == "string"]
    rules = [
        Rule(table[name].strip().lower().isin(NO_NAMES), name, "is a word that names nothing", table[name])
        for name in (*named, "session_id")
        if name in table.columns and table[name].type().is_string()
    ]
    if "as_of" in table.columns:
        to_come = table.as_of.year() >= FIRST_YEAR_TO_COME
        rules.append(Rule(to_come, "as_of", "is a date that cannot be", table.as_of.cast("string")))
    if {"started_at", "churned_at"} <= {*table.columns}:
        # By day, for one of the two may have no hour.
        wrong = table.churned_at.truncate("D") < table.started_at.truncate("D")
        rules.append(Rule(wrong, "churned_at", "is earlier than started_at", table.churned_at.cast("string")))
    return rules


def late_rows(accepted: Mapping[str, ibis.Table]) -> ibis.Table:
    """Return the rows that came more than a week after younger ones: table, row.

    None of a table without times or not in order of time, and none of one that says when a row was recorded.
    """
    found = [ibis.memtable([], schema={"table": "string", "row": "int64"})]
    for name, table in accepted.items():
        if "occurred_at" not in table.columns or "recorded_at" in table.columns:
            continue
        latest = table.occurred_at.max().over(order_by=table.row, rows=(None, 0))
        timed = table.select("row", late=table.occurred_at < latest - ibis.interval(days=LATE_DAYS))
        late = timed.filter(timed.late).select(table=ibis.literal(name), row=timed.row.cast("int64"))
        if 0 < late.count().execute() <= (1 - _IN_ORDER) * table.count().execute():
            found.append(brought_in(late))
    return ibis.union(*found) if len(found) > 1 else found[0]


def score_faults(
    quarantine: ibis.Table,
    late: ibis.Table,
    planted: pd.DataFrame | None,
    *,
    disordered: pd.DataFrame | None = None,
    days_asked: bool,
) -> pd.DataFrame:
    """Return how many planted faults were found (`planted.faults_found`).

    Nothing is compared where nothing was planted, or where days are asked for, which set sound rows aside. Of
    `disordered` each `row` is an event that came out of order.
    """
    told = quarantine.select("table", "row", "column").to_pandas()
    out = pd.DataFrame({"row": []} if disordered is None else disordered).assign(table="events", column="order")
    told = pd.concat([told, late.to_pandas().assign(column="delivery"), out], ignore_index=True)
    mine = None if planted is None or days_asked else planted[planted.found_by == "01"]
    return faults_found(mine, told, by=["row"])
