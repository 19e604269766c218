"""The canonical table a file is: by the columns of a known export, else the one whose columns it has most of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import duckdb
import yaml

from journeybook.datasets.notation import quoted
from journeybook.datasets.reading import Source
from journeybook.datasets.targets import Target, make_target
from journeybook.errors import JourneybookError
from journeybook.proposing.columns import Seen, best_named, is_known
from journeybook.tables import SCHEMAS, Schema
from journeybook.tables.schema import Column

# Columns that tell a table from others when their names are found, and what that is worth besides.
_TELLING = {"variant": 4, "metric": 4, "path": 4, "purpose": 4, "session_id": 1, "basket_id": 2, "quantity": 1}
_TELLING |= {"revenue": 1, "event": 2, "responded": 2, "email": 2, "surname": 2, "given_name": 2}
_REST = ("contacts", "experiment", "products")


@dataclass(frozen=True)
class Proposed:
    """One table, as proposed.

    Attributes:
        table: Canonical table; empty where the export is known and no table can be made of it.
        about: What the file was taken for, and why.
        columns: For each canonical column, a column of the file or an expression.
        remarks: What is not sure, by column.
        open: Needed columns that were not found.
        where: Condition on the rows kept; empty for none.
        rest: Whether further columns are kept under their own names.
        notes: What a user has to decide, one sentence each.
        consent: How the export tells who permitted what; empty where it does not.
    """

    table: str
    about: str
    columns: Mapping[str, str]
    remarks: Mapping[str, str] = field(default_factory=dict)
    open: tuple[str, ...] = ()
    where: str = ""
    rest: bool = False
    notes: tuple[str, ...] = ()
    consent: str = ""


@cache
def exports() -> dict[str, dict]:
    """Return the known exports by name, as exports.yaml has them."""
    text = Path(__file__).with_name("exports.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.CBaseLoader)


def recognised(names: Sequence[str]) -> str | None:
    """Return the name of the known export that has these columns, the one with most to know it by; else None."""
    given = {name.lower() for name in names}
    found = [
        (len(export["known_by"]), name)
        for name, export in exports().items()
        if {column.lower() for column in export["known_by"]} <= given
    ]
    return max(found)[1] if found else None


def known_export(engine: duckdb.DuckDBPyConnection, name: str, source: Source, seen: Sequence[Seen]) -> Proposed:
    """Return the proposal for a known export.

    Of alternatives, the first is taken whose columns the file has and has values of; for a needed column else the
    first that the file has.
    """
    export = exports()[name]
    about = f"{name}, by their columns; published as {export['source']}."
    for entry in export["tables"]:
        schema = SCHEMAS.get(entry["table"])
        if schema is None:
            continue
        columns, remarks = {}, {}
        for column, given in entry["columns"].items():
            usable = _usable(engine, schema, column, given, source, seen)
            if usable:
                columns[column] = usable[0]
                if len(usable) > 1:
                    remarks[column] = f"or {' or '.join(usable[1:])}"
        if _lacking(schema, columns):
            continue
        where = _usable(engine, None, "where", entry.get("where", []), source, seen)
        return Proposed(
            table=entry["table"],
            about=about,
            columns=columns,
            remarks=remarks,
            where=where[0] if where else "",
            notes=tuple(" ".join(note.split()) for note in entry.get("notes", [])),
            consent=" ".join(export.get("consent", "").split()),
        )
    wanted = " or ".join(entry["table"] for entry in export["tables"])
    return Proposed("", about, {}, notes=(f"No table can be made of it: it would be {wanted}.",))


def guessed(seen: Sequence[Seen], *, shared: frozenset[str], stem: str) -> Proposed:
    """Return the proposal for a file of another kind: the table whose columns its names and values are most like.

    Args:
        seen: The file's columns.
        shared: Names of columns that other files have too; ids among them are preferred, for they join tables.
        stem: Name of the file, which stands for the source of customer records.
    """
    ranked = sorted(
        (_guess(schema, seen, shared=shared, stem=stem) for schema in SCHEMAS.values()),
        key=lambda pair: (bool(pair[1].open), -pair[0]),
    )
    score, best = ranked[0]
    if score < 2:
        return Proposed("", "not recognised.", {}, notes=(f"Columns: {', '.join(s.name for s in seen)}.",))
    others = [other.table for score_of, other in ranked[1:] if not other.open and score_of > 0.6 * score]
    about = f"guessed from names and values: it looks most like {best.table}"
    about += f"; it might also be {' or '.join(others[:2])}." if others else "."
    return Proposed(**{**vars(best), "about": about})


def _guess(schema: Schema, seen: Sequence[Seen], *, shared: frozenset[str], stem: str) -> tuple[float, Proposed]:
    """Return how much a file is like one table, and the proposal."""
    score, columns, remarks = 0.0, {}, {}
    free = [s for s in seen if s.n_values]
    found: list[tuple[Column, Seen, list[Seen]]] = []
    for column in sorted(schema.columns, key=lambda c: not c.required):
        named = best_named(column.name, column.dtype, free, shared=shared)
        if named:
            rank, chosen = named[0]
            score += rank * (2 if column.required else 1) / 2 + _TELLING.get(column.name, 0)
            found.append((column, chosen, [s for _, s in named[1:]]))
            free.remove(chosen)
    for column in schema.columns:
        fitting = [s for s in free if s.by_values(column.name) and not is_known(s.name)]
        if column.required and fitting and column not in [c for c, *_ in found]:
            found.append((column, fitting[0], fitting[1:]))
            free.remove(fitting[0])
            remarks[column.name] = "by its values, not its name"
    for column, chosen, also in found:
        columns[column.name] = chosen.mark if column.dtype == "boolean" else chosen.name
        if also:
            other = "or " + " or ".join(s.name for s in also[:4])
            remarks[column.name] = "; ".join([*([r] if (r := remarks.get(column.name)) else []), other])
    price = best_named("price", "float64", [s for s in seen if s.name not in columns.values()], shared=shared)
    unsure = "revenue" not in columns or "revenue" in remarks
    if schema.name == "transactions" and price and "quantity" in columns and unsure:
        columns["revenue"] = f'"{columns["quantity"]}" * "{price[0][1].name}"'
        remarks["revenue"] = "quantity times price, for no column is named as the amount of a line"
        score += 4
    own = columns.get("customer_id") or columns.get("record_id")
    if schema.name == "customer_records" and own and set(columns) & set(schema.identifiers):
        columns = {"record_id": own, "customer_id": own, "source": quoted(stem), **columns}
    lacking = _lacking(schema, columns)
    return score, Proposed(
        table=schema.name,
        about="",
        columns={c.name: columns[c.name] for c in schema.columns if c.name in columns},
        remarks=remarks,
        open=tuple(lacking),
        rest=schema.name in _REST,
    )


def _lacking(schema: Schema, columns: Mapping[str, object]) -> list[str]:
    lacking = [c.name for c in schema.columns if c.required and not c.nullable and c.name not in columns]
    return lacking + [" or ".join(group) for group in schema.either if not set(group) & set(columns)]


def _usable(
    engine: duckdb.DuckDBPyConnection,
    schema: Schema | None,
    column: str,
    given: str | Sequence[str],
    source: Source,
    seen: Sequence[Seen],
) -> list[str]:
    """Return the alternatives for a column that can be made of the file, those with values first."""
    names = [c.name for c in source.columns]
    filled = {s.name for s in seen if s.n_values}
    found: list[tuple[str, Target]] = []
    for text in [given] if isinstance(given, str) else given:
        try:
            found.append(
                (text.strip(), make_target(engine, schema, column, text.strip(), names=names, place="map"))
            )
        except JourneybookError:
            continue
    with_values = [(text, target) for text, target in found if set(target.uses) <= filled]
    needed = schema is not None and column in schema.by_name and schema.by_name[column].required
    return [target.column or text for text, target in with_values or (found[:1] if needed else [])]
