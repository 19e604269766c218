"""Rows as they came in: which are valid, which are set aside, what is odd about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from journeybook.collection.far import is_far, near_dates
from journeybook.collection.plan import CELL, TrackingPlan, breaks_plan, plan_rules, with_cells
from journeybook.collection.validity import LATE_DAYS, Rule, impossible, late_rows, mask
from journeybook.tables import PURPOSES, UNCONVERTED_SIGN, Schema, brought_in, schema_of, whole_row

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
        quarantine: One row for each rule that a row breaks: table, row, column, problem, value (identifiers
            masked), record (the whole raw row, as JSON).
        late: Accepted rows delivered long after younger ones: table, row.
        counts: One row a table: table, n_collected, n_accepted, n_unparsed (lines that do not fit their header),
            n_quarantined (all others set aside), n_customers, first_at, last_at.
        problems: One row a table, column and problem in quarantine: table, column, problem, n_rows.
        oddities: What is odd and only reported: table, finding, n_rows.
    """

    accepted: dict[str, ibis.Table]
    quarantine: ibis.Table
    late: ibis.Table
    counts: pd.DataFrame
    problems: pd.DataFrame
    oddities: pd.DataFrame

    @property
    def n_aside(self) -> int:
        """Number of rows in quarantine."""
        return int(self.counts[["n_unparsed", "n_quarantined"]].sum().sum())


def collect(
    tables: Mapping[str, ibis.Table],
    *,
    first_day: str | None = None,
    last_day: str | None = None,
    plan: TrackingPlan | None = None,
) -> Collection:
    """Sort every table's rows into accepted and quarantined.

    Args:
        tables: Raw tables by name, each with a unique `row`.
        first_day: First day a row may be of; None is any that is not far from all others (see `far`).
        last_day: Last day a row may be of; None likewise.
        plan: What each row of `events` must hold; None asks nothing more than the schema.

    Raises:
        ValueError: There is no table, one is unknown, or the days are no days or the wrong way round.
    """
    if not tables:
        raise ValueError("tables is empty: there must be at least one raw table to collect.")
    low, high = _day(first_day, "first_day"), _day(last_day, "last_day")
    if low and high and high < low:
        raise ValueError(f"first_day is {first_day} and last_day is {last_day}: first_day must not be later.")
    tables = dict(sorted(tables.items()))
    # The few rows that break a rule are brought in, so that each rule is asked once.
    ruled = {name: _rules(_schema(name), t, low, high) for name, t in tables.items()}
    if plan is not None and "events" in tables:
        ruled["events"].append(breaks_plan(tables["events"], plan))
    broken = {name: brought_in(_breaking(t, ruled[name])) for name, t in tables.items()}
    valid = {name: _sound(table, broken[name]) for name, table in tables.items()}
    near = near_dates(valid, first_given=low is not None, last_given=high is not None)
    for name, table in valid.items():
        if rules := _far_rules(name, table, near):
            broken[name] = brought_in(broken[name].union(_breaking(table, rules)))
    if "consents" in tables:
        broken["consents"] = brought_in(_doubt_unread_refusals(tables["consents"], broken["consents"]))
    accepted = {name: _accepted(name, _sound(table, broken[name])) for name, table in tables.items()}
    said = []
    for name, bad in broken.items():
        held = plan if name == "events" else None
        read = with_cells(bad, held) if held else bad
        rules = [*_rules(_schema(name), read, low, high), *_far_rules(name, read, near)]
        said.append(_violations(name, read, [*rules, *(plan_rules(read, held) if held else [])]))
    quarantine = brought_in(ibis.union(*said) if len(said) > 1 else said[0])
    by = ["table", "column", "problem"]
    counts = pd.DataFrame([_count(name, t, accepted[name], broken[name]) for name, t in tables.items()])
    late = late_rows(accepted)
    return Collection(
        accepted=accepted,
        quarantine=quarantine,
        late=late,
        counts=counts.astype({"n_customers": "Int64", "first_at": "string", "last_at": "string"}),
        problems=quarantine.group_by(by).aggregate(n_rows=quarantine.count()).order_by(by).to_pandas(),
        oddities=_oddities(accepted, late),
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


def _breaking(table: ibis.Table, rules: Sequence[Rule]) -> ibis.Table:
    """Return the rows that break a rule, or hold what could not be read."""
    unread = [table.unconverted.notnull()] if "unconverted" in table.columns else []
    return table.filter(ibis.or_(ibis.literal(False), *unread, *(r.broken.fill_null(False) for r in rules)))


def _sound(table: ibis.Table, broken: ibis.Table) -> ibis.Table:
    """Return the rows that are not among the broken ones."""
    return table.anti_join(broken.select("row"), "row") if broken.count().execute() else table


def _violations(name: str, bad: ibis.Table, rules: Sequence[Rule]) -> ibis.Table:
    """Return one row for each rule that a row of a table breaks."""
    if "doubt_" in bad.columns:
        rules = [*rules, Rule(bad.doubt_, "granted", _DOUBTED, None)]
    told = [ibis.ifelse(r.broken, _said(r.column, r.problem, r.value), ibis.null()) for r in rules]
    said = ibis.array(told) if told else ibis.null("array<struct<column: string, problem: string, value: string>>")
    if "unconverted" in bad.columns:
        unread = bad.unconverted.split(UNCONVERTED_SIGN).map(lambda part: _unread(part, _schema(name)))
        said = unread.fill_null([]).concat(said)
    each = said.filter(lambda one: one.notnull()).unnest()
    whole = whole_row(bad, without=[c for c in bad.columns if c == "doubt_" or c.startswith(CELL)])
    listed = bad.select(table=ibis.literal(name), row="row", each=each, record=whole).unpack("each")
    return listed.select("table", "row", "column", "problem", "value", "record")


def _rules(schema: Schema, table: ibis.Table, low: datetime | None, high: datetime | None) -> list[Rule]:
    """Return the rules of a table, in the order in which they are asked."""
    rules = []
    for column in schema.columns:
        if column.name not in table.columns:
            continue
        value = table[column.name]
        text = value.cast("string")
        shown = mask(text) if column.identifier else text.left(_SHOWN)
        if column.required and not column.nullable:
            rules.append(Rule(_missing(table, column.name), column.name, "is missing", None))
        if column.allowed:
            rules.append(Rule(value.notin(column.allowed), column.name, "is not an allowed value", shown))
        if column.low is not None:
            rules.append(Rule(value < column.low, column.name, f"is below {column.low:g}", shown))
        if column.high is not None:
            rules.append(Rule(value > column.high, column.name, f"is above {column.high:g}", shown))
        if value.type().is_floating():
            rules.append(Rule(value.isnan() | value.isinf(), column.name, "is not a number", shown))
    for group in schema.either:
        present = [_missing(table, column) for column in group if column in table.columns]
        if present:
            rules.append(Rule(ibis.and_(*present), " or ".join(group), "is missing", None))
    rules += impossible(schema, table)
    if "occurred_at" in table.columns:
        at = table.occurred_at
        shown = at.cast("string")
        if low is not None:
            rules.append(Rule(at < low, "occurred_at", f"is before {low:%Y-%m-%d}", shown))
        if high is not None:
            after = high + timedelta(days=1)
            rules.append(Rule(at >= after, "occurred_at", f"is after {high:%Y-%m-%d}", shown))
    return rules


def _said(column: ir.StringValue | str, problem: str, value: ir.StringValue | None) -> ir.StructValue:
    """Return what is said of one violation."""
    shown = ibis.null("string") if value is None else value
    return ibis.struct({"column": ibis.literal(column) if isinstance(column, str) else column,
                        "problem": ibis.literal(problem), "value": shown})  # fmt: skip


def _unread(part: ir.StringValue, schema: Schema) -> ir.StructValue:
    """Return what is said of one entry of `unconverted`, `column: value`, but for the value of an identifier."""
    column = part.split(": ")[0]
    shown = part.substr(part.find(": ") + 2).left(_SHOWN)
    value = ibis.ifelse(column.isin(schema.identifiers), "•••", shown) if schema.identifiers else shown
    return _said(column, "cannot be read", value)


def _missing(table: ibis.Table, column: str) -> ir.BooleanValue:
    """Whether a value is missing, and not merely one that cannot be read."""
    if "unconverted" not in table.columns:
        return table[column].isnull()
    listed = ibis.literal(UNCONVERTED_SIGN) + table.unconverted
    read = ~(listed.contains(f"{UNCONVERTED_SIGN}{column}: ") | table.unconverted.startswith("line: "))
    return table[column].isnull() & read.fill_null(True)


def _far_rules(name: str, table: ibis.Table, near: Spans) -> list[Rule]:
    """Return the rules that no date of a table is far from all others; a refusal holds whatever its date."""
    rules = []
    for (of, column), (first, before) in near.items():
        if of == name and (first or before):
            far, at = is_far(table, column, (first, before)), table[column]
            rules.append(Rule(far, column, "is far from all other dates", at.cast("string")))
    return rules


def _doubt_unread_refusals(ledger: ibis.Table, broken: ibis.Table) -> ibis.Table:
    """Set aside, with a decision that cannot be read and may be a refusal, the customer's others on that purpose.

    Whoever said something we cannot read is not taken to have said yes.
    """
    unread = broken.filter(broken.customer_id.notnull() & ~broken.granted.fill_null(False))
    doubts = unread.select(
        "customer_id", doubted=ibis.ifelse(unread.purpose.isin(PURPOSES), unread.purpose, "all")
    )
    every = doubts.filter(doubts.doubted == "all")
    valid = _sound(ledger, broken)
    one = valid.semi_join(doubts, [valid.customer_id == doubts.customer_id, valid.purpose == doubts.doubted])
    held = one.union(valid.semi_join(every, "customer_id"), distinct=True)
    return broken.mutate(doubt_=False).union(held.mutate(doubt_=True))


def _accepted(name: str, sound: ibis.Table) -> ibis.Table:
    kept = sound.drop("unconverted") if "unconverted" in sound.columns else sound
    unlike = {
        c.name: kept[c.name].cast(c.dtype)
        for c in _schema(name).columns
        if c.name in kept.columns and kept[c.name].type() != ibis.dtype(c.dtype)
    }
    return kept.mutate(**unlike) if unlike else kept


def _count(name: str, table: ibis.Table, accepted: ibis.Table, broken: ibis.Table) -> dict:
    asked = {"n": accepted.count()}
    if "customer_id" in accepted.columns:
        asked["n_customers"] = accepted.customer_id.nunique()
    if "occurred_at" in accepted.columns:
        asked |= {"first_at": accepted.occurred_at.min(), "last_at": accepted.occurred_at.max()}
    good = accepted.aggregate(**asked).to_pandas().iloc[0]
    lines = broken.unconverted.startswith("line: ").sum() if "unconverted" in broken.columns else ibis.literal(0)
    n_aside, n_unparsed = broken.aggregate(n=broken.count(), lines=lines.fill_null(0)).to_pandas().iloc[0]
    days = {c: f"{good[c]:%Y-%m-%d}" if not pd.isna(good.get(c)) else None for c in ("first_at", "last_at")}
    return {
        "table": name,
        "n_collected": int(table.count().execute()),
        "n_accepted": int(good.n),
        "n_unparsed": int(n_unparsed),
        "n_quarantined": int(n_aside - n_unparsed),
        "n_customers": good.get("n_customers"),
        **days,
    }


def row_places(
    found: Collection, kept: Mapping[str, ibis.Table], *, lines: pd.DataFrame, withdrawn: pd.DataFrame
) -> pd.DataFrame:
    """Count the rows of each table by the place where they ended.

    Args:
        found: Rows sorted.
        kept: What goes on, by table.
        lines: Lines of the files, counted without the engine (`tables.source_lines`).
        withdrawn: table, n_withdrawn: rows of customers who permit nothing.

    Returns:
        One row a table: table, n_lines, n_left_out, n_unparsed, n_quarantined, n_withdrawn, n_kept.
    """
    places = lines[["table", "n_lines", "n_left_out"]].merge(
        found.counts[["table", "n_unparsed", "n_quarantined"]], on="table"
    )
    gone = {} if withdrawn.empty else withdrawn.set_index("table").n_withdrawn
    places["n_withdrawn"] = places.table.map(gone).fillna(0).astype(int)
    return places.assign(n_kept=[int(kept[name].count().execute()) for name in places.table])


def _oddities(accepted: Mapping[str, ibis.Table], late: ibis.Table) -> pd.DataFrame:
    """Return what is odd in the accepted rows: nothing here is removed."""
    found = []

    def note(table: str, finding: str, n: ir.IntegerScalar) -> None:
        n_rows = int(n.to_pandas() or 0)
        if n_rows:
            found.append((table, finding, n_rows))

    for name, table in accepted.items():
        key, columns = _schema(name).key, [c for c in table.columns if c != "row"]
        if key and set(key) <= set(columns):
            known = table.filter(*(table[column].notnull() for column in key))
            note(name, f"{', '.join(key)} seen before", known.count() - _digest(known, key).nunique())
        elif columns:
            n_copies = table.count() - _digest(table, columns).nunique()
            note(name, "rows equal to an earlier one (no key: kept)", n_copies)
        for column, other in _REFERENCES:
            if column in columns and other in accepted and name not in (other, "third_party"):
                lone = table.filter(table[column].notnull()).anti_join(accepted[other], column)
                note(name, f"{column} not in {other}", lone.count())
        if "customer_id" in columns and "consents" in accepted and name != "consents":
            silent = table.filter(table.customer_id.notnull()).anti_join(accepted["consents"], "customer_id")
            note(name, "customer without any decision in the ledger (never read)", silent.count())
        if "occurred_at" in columns:
            n_late = late.count(where=late.table == name)
            note(name, f"delivered more than {LATE_DAYS} days after younger rows", n_late)
    return pd.DataFrame(found, columns=["table", "finding", "n_rows"])


def _digest(table: ibis.Table, columns: Sequence[str]) -> ir.IntegerColumn:
    return ibis.struct({column: table[column] for column in columns}).hash()
