"""Rows as they came in: which are valid, which are set aside, what is odd about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce

import ibis
import ibis.expr.types as ir
import pandas as pd

from journeybook.collection.far import near_dates
from journeybook.collection.validity import LATE_DAYS, impossible, late_rows
from journeybook.tables import PURPOSES, UNCONVERTED_SIGN, Schema, schema_of, whole_row

# Ids that one table takes from another.
_REFERENCES = (("product_id", "products"), ("customer_id", "customer_records"))
_SHOWN = 40
_DOUBTED = "cannot be trusted: another decision of this customer cannot be read"

# The moments between which a date is near, by table and column (`far.near_dates`).
Spans = Mapping[tuple[str, str], tuple[datetime | None, datetime | None]]


@dataclass(frozen=True, eq=False)
class Collection:
    """Rows sorted into accepted and quarantined.

    Attributes:
        accepted: Valid rows by table, lazy, typed as the table's schema says; the ledger is `consents`.
        aside: The quarantine by table, lazy; one row for each rule that a row breaks: table, row, column, problem,
            value (identifiers masked), record (the whole raw row, as JSON).
        counts: One row a table: table, n_collected, n_accepted, n_unparsed (lines that do not fit their header),
            n_quarantined (all others set aside), n_customers, first_at, last_at.
        problems: One row a table, column and problem in quarantine: table, column, problem, n_rows.
        findings: What is odd and only reported: table, finding, n_rows, n_values.
    """

    accepted: dict[str, ibis.Table]
    aside: dict[str, ibis.Table]
    counts: pd.DataFrame
    problems: pd.DataFrame
    findings: pd.DataFrame

    @property
    def quarantine(self) -> ibis.Table:
        """The quarantine of all tables together, lazy."""
        return reduce(lambda above, below: above.union(below), self.aside.values())


@dataclass(frozen=True)
class _Rule:
    """A condition under which a row goes to quarantine, and what is then said."""

    broken: ir.BooleanValue
    column: ir.StringValue | str
    problem: str
    value: ir.StringValue | None


def collect(
    tables: Mapping[str, ibis.Table], *, first_day: str | None = None, last_day: str | None = None
) -> Collection:
    """Sort every table's rows into accepted and quarantined.

    Args:
        tables: Raw tables by name, each with a unique `row`.
        first_day: First day a row may be of; None is any that is not far from all others (see `far`).
        last_day: Last day a row may be of; None likewise.

    Returns:
        The rows, and the counts, which add up: n_collected = n_accepted + n_unparsed + n_quarantined.

    Raises:
        ValueError: There is no table, one is unknown, or the days are no days or the wrong way round.
    """
    if not tables:
        raise ValueError("tables is empty: there must be at least one raw table to collect.")
    low, high = _day(first_day, "first_day"), _day(last_day, "last_day")
    if low and high and high < low:
        raise ValueError(f"first_day is {first_day} and last_day is {last_day}: first_day must not be later.")
    days = {"low": low, "high": high}
    marked = {
        name: _mark(name, table, _rules(_schema(name), table, **days)) for name, table in sorted(tables.items())
    }
    valid = {name: table.filter(~table.broken_) for name, table in marked.items()}
    near = near_dates(valid, first_given=low is not None, last_given=high is not None)
    for name, table in marked.items():
        marked[name] = _mark(name, table, _far_rules(name, table, near))
    if "consents" in marked:
        marked["consents"] = _doubt_unread_refusals(marked["consents"])
    accepted = {name: _accepted(name, table) for name, table in marked.items()}
    aside = {name: _violations(name, table, days, near) for name, table in marked.items()}
    problems = pd.concat([_problems(table) for table in aside.values()], ignore_index=True)
    counts = pd.DataFrame([_count(name, table) for name, table in marked.items()])
    counts = counts.astype({"n_customers": "Int64", "first_at": "string", "last_at": "string"})
    return Collection(
        accepted=accepted,
        aside=aside,
        counts=counts,
        problems=problems,
        findings=_find(accepted),
    )


def _day(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(str(text)[:10])
    except ValueError:
        raise ValueError(f"{name} is {text!r}: it must be a day such as 2017-12-31, or null.") from None


def _schema(name: str) -> Schema:
    schema = schema_of(name)
    if schema is None:
        raise ValueError(f"table {name!r} is not one that journeybook knows.")
    return schema


def mask(value: ir.StringValue) -> ir.StringValue:
    """Return an identifier as it may be shown: its first letter, and whether it is an e-mail address."""
    return ibis.ifelse(value.contains("@"), value.left(1) + "•••@•••", value.left(1) + "•••")


def _mark(name: str, table: ibis.Table, rules: Sequence[_Rule]) -> ibis.Table:
    """Add `broken_` to each row: whether it breaks a rule."""
    before = [table.broken_] if "broken_" in table.columns else []
    before += [table.unconverted.notnull()] if "unconverted" in table.columns else []
    broken = [*before, *(rule.broken.fill_null(False) for rule in rules)]
    return table.mutate(broken_=reduce(lambda one, other: one | other, broken, ibis.literal(False)))


def _violations(name: str, marked: ibis.Table, days: Mapping[str, datetime | None], near: Spans) -> ibis.Table:
    """Return one row for each rule that a row of a table breaks."""
    bad = marked.filter(marked.broken_)
    rules = [*_rules(_schema(name), bad, **days), *_far_rules(name, bad, near)]
    if "doubt_" in bad.columns:
        rules.append(_Rule(bad.doubt_, "granted", _DOUBTED, None))
    said = [_said(column=r.column, problem=r.problem, value=r.value, where=r.broken) for r in rules]
    said = ibis.array(said) if said else ibis.null("array<struct<column: string, problem: string, value: string>>")
    if "unconverted" in bad.columns:
        unread = bad.unconverted.split(UNCONVERTED_SIGN).map(lambda part: _unread(part, _schema(name)))
        said = unread.fill_null([]).concat(said)
    each = said.filter(lambda one: one.notnull()).unnest()
    whole = whole_row(bad, without=("broken_", "doubt_"))
    listed = bad.select(table=ibis.literal(name), row="row", each=each, record=whole).unpack("each")
    return listed.select("table", "row", "column", "problem", "value", "record")


def _rules(schema: Schema, table: ibis.Table, *, low: datetime | None, high: datetime | None) -> list[_Rule]:
    """Return the rules of a table, in the order in which they are asked."""
    rules = []
    for column in schema.columns:
        if column.name not in table.columns:
            continue
        value = table[column.name]
        text = value.cast("string")
        shown = mask(text) if column.identifier else text.left(_SHOWN)
        if column.required and not column.nullable:
            rules.append(_Rule(_missing(table, column.name), column.name, "is missing", None))
        if column.allowed:
            rules.append(_Rule(value.notin(column.allowed), column.name, "is not an allowed value", shown))
        if column.low is not None:
            rules.append(_Rule(value < column.low, column.name, f"is below {column.low:g}", shown))
        if column.high is not None:
            rules.append(_Rule(value > column.high, column.name, f"is above {column.high:g}", shown))
        if value.type().is_floating():
            rules.append(_Rule(value.isnan() | value.isinf(), column.name, "is not a number", shown))
    for group in schema.either:
        present = [_missing(table, column) for column in group if column in table.columns]
        if present:
            none = reduce(lambda one, other: one & other, present)
            rules.append(_Rule(none, " or ".join(group), "is missing", None))
    rules += [_Rule(*broken) for broken in impossible(schema, table)]
    if "occurred_at" in table.columns:
        at = table.occurred_at
        shown = at.cast("string")
        if low is not None:
            rules.append(_Rule(at < low, "occurred_at", f"is before {low:%Y-%m-%d}", shown))
        if high is not None:
            after = high + timedelta(days=1)
            rules.append(_Rule(at >= after, "occurred_at", f"is after {high:%Y-%m-%d}", shown))
    return rules


def _said(
    *,
    column: ir.StringValue | str,
    problem: str,
    value: ir.StringValue | None,
    where: ir.BooleanValue | None = None,
) -> ir.StructValue:
    """Return what is said of one violation, null where there is none."""
    told = ibis.struct(
        {
            "column": ibis.literal(column) if isinstance(column, str) else column,
            "problem": ibis.literal(problem),
            "value": ibis.null("string") if value is None else value,
        }
    )
    return told if where is None else ibis.ifelse(where, told, ibis.null())


def _unread(part: ir.StringValue, schema: Schema) -> ir.StructValue:
    """Return what is said of one entry of `unconverted`, `column: value`, but for the value of an identifier."""
    column = part.split(": ")[0]
    shown = part.substr(part.find(": ") + 2).left(_SHOWN)
    value = ibis.ifelse(column.isin(schema.identifiers), "•••", shown) if schema.identifiers else shown
    return _said(column=column, problem="cannot be read", value=value)


def _missing(table: ibis.Table, column: str) -> ir.BooleanValue:
    """Whether a value is missing, and not merely one that cannot be read."""
    if "unconverted" not in table.columns:
        return table[column].isnull()
    listed = ibis.literal(UNCONVERTED_SIGN) + table.unconverted
    read = ~(listed.contains(f"{UNCONVERTED_SIGN}{column}: ") | table.unconverted.startswith("line: "))
    return table[column].isnull() & read.fill_null(True)


def _problems(aside: ibis.Table) -> pd.DataFrame:
    by = ["table", "column", "problem"]
    return aside.group_by(by).aggregate(n_rows=aside.count()).order_by(by).to_pandas()


def _far_rules(name: str, table: ibis.Table, near: Spans) -> list[_Rule]:
    """Return the rules that no date of a table is far from all others; a refusal holds whatever its date."""
    rules = []
    for (of, column), (first, before) in near.items():
        if of != name or (first is None and before is None):
            continue
        at, far = table[column], ibis.literal(False)
        far = far if first is None else far | (at < first)
        far = far if before is None else far | (at >= before)
        if name == "consents":
            far &= table.granted
        rules.append(_Rule(far, column, "is far from all other dates", at.cast("string")))
    return rules


def _doubt_unread_refusals(ledger: ibis.Table) -> ibis.Table:
    """Set aside, with a decision that cannot be read and may be a refusal, the customer's others on that purpose.

    Whoever said something we cannot read is not taken to have said yes.
    """
    unread = ledger.filter(ledger.broken_ & ledger.customer_id.notnull() & ~ledger.granted.fill_null(False))
    known = unread.purpose.isin(PURPOSES)
    doubts = unread.select("customer_id", doubted=ibis.ifelse(known, unread.purpose, "every purpose")).distinct()
    one = ledger.semi_join(doubts, [ledger.customer_id == doubts.customer_id, ledger.purpose == doubts.doubted])
    every = doubts.filter(doubts.doubted == "every purpose")
    all_ = ledger.semi_join(every, "customer_id")
    rows = one.select("row").union(all_.select("row")).distinct().mutate(doubt=True)
    joined = ledger.left_join(rows, "row").drop("row_right")
    held = joined.doubt.fill_null(False) & ~joined.broken_
    return joined.mutate(doubt_=held, broken_=joined.broken_ | held).drop("doubt")


def _accepted(name: str, marked: ibis.Table) -> ibis.Table:
    schema = _schema(name)
    kept = marked.filter(~marked.broken_)
    kept = kept.drop(*[c for c in ("broken_", "doubt_", "unconverted") if c in kept.columns])
    unlike = {
        c.name: kept[c.name].cast(c.dtype)
        for c in schema.columns
        if c.name in kept.columns and kept[c.name].type() != ibis.dtype(c.dtype)
    }
    return kept.mutate(**unlike) if unlike else kept


def _count(name: str, marked: ibis.Table) -> dict:
    good = ~marked.broken_
    asked = {"n_collected": marked.count(), "n_accepted": good.sum().fill_null(0)}
    if "unconverted" in marked.columns:
        asked["n_unparsed"] = marked.unconverted.startswith("line: ").sum().fill_null(0)
    if "customer_id" in marked.columns:
        asked["n_customers"] = marked.customer_id.nunique(where=good)
    if "occurred_at" in marked.columns:
        asked |= {"first_at": marked.occurred_at.min(where=good), "last_at": marked.occurred_at.max(where=good)}
    row = marked.aggregate(**asked).to_pandas().iloc[0].to_dict()
    days = {c: f"{row[c]:%Y-%m-%d}" if c in row and not pd.isna(row[c]) else None for c in ("first_at", "last_at")}
    whole = {c: int(row.get(c, 0)) for c in ("n_collected", "n_accepted", "n_unparsed")}
    whole["n_quarantined"] = whole["n_collected"] - whole["n_accepted"] - whole["n_unparsed"]
    customers = int(row["n_customers"]) if "n_customers" in row else None
    return {"table": name, **whole, "n_customers": customers, **days}


def _find(accepted: Mapping[str, ibis.Table]) -> pd.DataFrame:
    """Return what is odd in the accepted rows: nothing here is removed."""
    found = []

    def note(table: str, finding: str, rows: ibis.Table, column: str | None = None) -> None:
        n_values = rows[column].nunique() if column else ibis.literal(0)
        n_rows, n_values = rows.aggregate(n_rows=rows.count(), n_values=n_values).to_pandas().iloc[0]
        if n_rows:
            found.append((table, finding, int(n_rows), int(n_values) if column else None))

    for name, table in accepted.items():
        schema = _schema(name)
        key = [column for column in schema.key if column in table.columns]
        if key and len(key) == len(schema.key):
            keyed = table.filter(*[table[column].notnull() for column in key])
            again = keyed.mutate(again=ibis.row_number().over(group_by=key, order_by="row"))
            note(name, f"{', '.join(key)} seen before", again.filter(again.again > 0))
        elif table.columns != ("row",):
            same = [column for column in table.columns if column != "row"]
            again = table.group_by(same).aggregate(copies_=table.count())
            copies = again.aggregate(n=(again.copies_ - 1).sum().fill_null(0)).to_pandas().n.item()
            if copies:
                found.append((name, "rows equal to an earlier one (no key: kept)", int(copies), None))
        for column, other in _REFERENCES:
            if column in table.columns and other in accepted and other != name and name != "third_party":
                lone = table.filter(table[column].notnull()).anti_join(accepted[other], column)
                note(name, f"{column} not in {other}", lone, column)
        if "customer_id" in table.columns and "consents" in accepted and name != "consents":
            silent = table.filter(table.customer_id.notnull()).anti_join(accepted["consents"], "customer_id")
            note(name, "customer without any decision in the ledger (never read)", silent, "customer_id")
        note(name, f"delivered more than {LATE_DAYS} days after younger rows", late_rows(table))
        if {"occurred_at", "recorded_at"} <= set(table.columns):
            note(name, "recorded before it was decided", table.filter(table.recorded_at < table.occurred_at))
        if {"occurred_at", "expires_at"} <= set(table.columns):
            note(name, "ends before it begins", table.filter(table.expires_at <= table.occurred_at))
    return pd.DataFrame(found, columns=["table", "finding", "n_rows", "n_values"]).astype({"n_values": "Int64"})
