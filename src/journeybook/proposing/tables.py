"""The canonical table a file is: by the columns of a known export, else the one whose columns it has most of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import duckdb
import yaml

from journeybook.datasets.notation import quoted
from journeybook.datasets.targets import make_target
from journeybook.errors import JourneybookError
from journeybook.proposing.columns import Seen, best_named, is_known
from journeybook.tables import SCHEMAS, Schema

# What it is worth besides that a table's own column is found by its name.
_TELLING = {"variant": 4, "metric": 4, "path": 4, "purpose": 4, "session_id": 1, "basket_id": 2, "quantity": 1}
_TELLING |= {"revenue": 1, "event": 2, "responded": 2, "email": 2, "surname": 2, "given_name": 2}
_TELLING |= {"churned_at": 4, "started_at": 1}
# What a needed column is worth that is found by its values alone, and what it costs to lack one.
_BY_VALUES, _OPEN = {"variant": 3, "path": 11}, 4
_REST = ("contacts", "experiment", "products")


@dataclass(frozen=True)
class Proposed:
    """One table, as proposed.

    Attributes:
        table: Canonical table; empty where none can be made of the file.
        about: What the file was taken for, and why.
        columns: For each canonical column, a column of the file or an expression.
        remarks: What is not sure, by column.
        open: Needed columns that were not found.
        where: Condition on the rows kept; empty for none.
        month_first: Whether the export writes the month before the day.
        rest: Whether further columns are kept under their own names.
        notes: What a user has to decide, one sentence each.
        consent: How the export tells who permitted what; empty where it does not.
    """

    table: str
    about: str
    columns: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    open: tuple[str, ...] = ()
    where: str = ""
    month_first: bool = False
    rest: bool = False
    notes: tuple[str, ...] = ()
    consent: str = ""


@cache
def exports() -> dict[str, dict]:
    """Return the known exports by name, as exports.yaml has them."""
    text = Path(__file__).with_name("exports.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.CBaseLoader)


def recognised(names: Sequence[str]) -> str | None:
    """Return the known export that has these columns, the one with most to know it by; None where none has."""
    given = {name.lower() for name in names}
    found = [
        (len(export["known_by"]), name)
        for name, export in exports().items()
        if {column.lower() for column in export["known_by"]} <= given
    ]
    return max(found)[1] if found else None


def known_export(engine: duckdb.DuckDBPyConnection, name: str, seen: Sequence[Seen]) -> Proposed:
    """Return the proposal for a known export: of its tables the first whose needed columns the file has.

    Of the alternatives for a column, the first is taken that the file has and has values of.
    """
    export = exports()[name]
    about = f"{name}, by their columns; published as {export['source']}."
    for entry in export["tables"]:
        schema = SCHEMAS.get(entry["table"])
        if schema is None:
            continue
        usable = {
            column: _usable(engine, schema, column, given, seen) for column, given in entry["columns"].items()
        }
        columns = {column: texts[0] for column, texts in usable.items() if texts}
        if not _lacking(schema, columns):
            where = _usable(engine, None, "where", entry.get("where", []), seen)
            return Proposed(
                table=schema.name,
                about=about,
                columns=columns,
                remarks={c: f"or {' or '.join(texts[1:])}" for c, texts in usable.items() if len(texts) > 1},
                where=where[0] if where else "",
                month_first="month_first" in entry,
                notes=tuple(entry.get("notes", [])),
                consent=export.get("consent", ""),
            )
    wanted = " or ".join(entry["table"] for entry in export["tables"])
    return Proposed("", about, notes=(f"No table can be made of it: it would be {wanted}.",))


def guessed(seen: Sequence[Seen], *, shared: frozenset[str], stem: str) -> Proposed:
    """Return the proposal for a file of another kind: the table whose columns its names and values are most like.

    Args:
        seen: The file's columns.
        shared: Names of columns that other files have too; ids among them are preferred, for they join tables.
        stem: Name of the file, which stands for the source of customer records.
    """
    tried = [_guess(schema, seen, shared=shared, stem=stem) for schema in SCHEMAS.values()]
    ranked = sorted(tried, key=lambda pair: _OPEN * len(pair[1].open) - pair[0])
    score, best = ranked[0]
    if score < (2 if best.open else 1):
        return Proposed("", "not recognised.", notes=(f"Columns: {', '.join(s.name for s in seen)}.",))
    others = [other.table for near, other in ranked[1:3] if not other.open and near > 0.6 * score]
    also = f"; it might also be {' or '.join(others)}" if others else ""
    return replace(best, about=f"guessed from names and values: it looks most like {best.table}{also}.")


def _guess(schema: Schema, seen: Sequence[Seen], *, shared: frozenset[str], stem: str) -> tuple[float, Proposed]:
    """Return how much a file is like one table, and the proposal."""
    score, free = 0.0, [s for s in seen if s.n_values]
    columns: dict[str, str] = {}
    remarks: dict[str, str] = {}

    def take(name: str, dtype: str, fitting: Sequence[Seen], remark: str = "") -> None:
        free.remove(fitting[0])
        columns[name] = (dtype == "boolean" and fitting[0].mark) or fitting[0].name
        said = [remark, *([f"or {' or '.join(s.name for s in fitting[1:5])}"] if fitting[1:] else [])]
        if any(said):
            remarks[name] = "; ".join(filter(None, said))

    for column in sorted(schema.columns, key=lambda c: not c.required):
        if named := best_named(column.name, column.dtype, free, shared=shared):
            score += named[0][0] * (2 if column.required else 1) / 2 + _TELLING.get(column.name, 0)
            take(column.name, column.dtype, [s for _, s in named])
    # Any value may be the id of a record.
    for column in schema.columns if schema.name != "customer_records" else ():
        fitting = [s for s in free if s.by_values(column.name) and not is_known(s.name)]
        unmet = any(column.name in group and not set(group) & set(columns) for group in schema.either)
        if (column.required or unmet) and column.name not in columns and fitting:
            score += _BY_VALUES.get(column.name, 0.5)
            take(column.name, column.dtype, fitting, "by its values, not its name")
    price = best_named("price", "float64", free, shared=shared)
    unsure = "revenue" not in columns or "revenue" in remarks
    if schema.name == "transactions" and price and "quantity" in columns and unsure:
        columns["revenue"] = f'"{columns["quantity"]}" * "{price[0][1].name}"'
        remarks["revenue"] = "quantity times price, for no column is named as the amount of a line"
        score += 4
    own = columns.get("customer_id") or columns.get("record_id")
    if schema.name == "customer_records" and own and set(columns) & set(schema.identifiers):
        columns = {"record_id": own, "customer_id": own, "source": quoted(stem), **columns}
    return score, Proposed(
        table=schema.name,
        about="",
        columns={c.name: columns[c.name] for c in schema.columns if c.name in columns},
        remarks=remarks,
        open=tuple(_lacking(schema, columns)),
        rest=schema.name in _REST,
    )


def _lacking(schema: Schema, columns: Mapping[str, str]) -> list[str]:
    lacking = [c.name for c in schema.columns if c.required and not c.nullable and c.name not in columns]
    return lacking + [" or ".join(group) for group in schema.either if not set(group) & set(columns)]


def _usable(
    engine: duckdb.DuckDBPyConnection,
    schema: Schema | None,
    column: str,
    given: str | Sequence[str],
    seen: Sequence[Seen],
) -> list[str]:
    """Return the alternatives that the file has values for; for a needed column else the first it has."""
    names = [s.name for s in seen]
    filled: list[str] = []
    empty: list[str] = []
    for text in [given] if isinstance(given, str) else given:
        try:
            target = make_target(engine, schema, column, text, names=names, place="map")
        except JourneybookError:
            continue
        has_values = all(s.n_values for s in seen if s.name in target.uses)
        (filled if has_values else empty).append(target.column or text)
    return filled or (empty[:1] if schema is not None and column in schema.required else [])
