"""From a staged source to the rows of one canonical table."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import duckdb

from journeybook.datasets.amounts import check_currency, check_numbers
from journeybook.datasets.converting import Column, from_text, from_value, instant, profile
from journeybook.datasets.dates import Dates, check_dates, count_local, find_dates, say_dates
from journeybook.datasets.expressions import not_scalar
from journeybook.datasets.ids import CROWD_SHARE, MISSING, among, check_digits, normal, without_nobody
from journeybook.datasets.notation import column_name, quoted
from journeybook.datasets.reading import Source
from journeybook.datasets.targets import Target
from journeybook.errors import JourneybookError
from journeybook.tables import UNCONVERTED_SIGN, Schema

# A further column is a number or a date when this share of its values is; else it is text.
_FURTHER_SHARE = 0.99

_NESTED = re.compile(r"\[\d*\]$|^(?:STRUCT|MAP|TUPLE|UNION|LIST)\b")


@dataclass(frozen=True)
class Mapped:
    """The rows of one table, as a view.

    Attributes:
        view: View with `row`, the columns and `unconverted`.
        converted: View behind it: the values as given `g<n>` and as converted `v<n>`, in the order of `columns`.
        unconverted: SQL over `converted` of what is wrong with a row, null for nothing.
        columns: The columns' names, in order.
        currencies: Those that stand beside numbers.
        used: Columns of the files that some column is made from.
        ordered: Whether the files say the instant of an event, so that an hour which clocks repeat has an order.
        counts: For each column: values given, values made, the least as given, rows that could not be computed,
            the least of their problems.
        n_read: Rows read.
        n_rows: Rows that `where` keeps.
        n_unconverted: Rows of them that hold a value that does not convert.
        n_local: Values of `occurred_at` without an offset from UTC, where others have one.
        notes: What a user should know of the reading, one sentence each.
    """

    view: str
    converted: str
    unconverted: str
    columns: tuple[str, ...]
    currencies: tuple[str, ...]
    used: frozenset[str]
    ordered: bool
    counts: tuple[tuple, ...]
    n_read: int
    n_rows: int
    n_unconverted: int
    n_local: int
    notes: tuple[str, ...]


def map_rows(
    engine: duckdb.DuckDBPyConnection,
    source: Source,
    schema: Schema,
    targets: Sequence[Target],
    where: Target | None,
    *,
    table: str,
) -> Mapped:
    """Make the view of a table's rows, and check that every column has values that convert.

    Raises:
        JourneybookError: An expression does not bind, no value of a column converts, a needed column is empty, or
            no row is left.
    """
    asked = [*targets, *([where] if where else [])]
    used = {name for target in asked for name in target.uses}
    wanted = [c for c in source.columns if c.name in used]
    columns = {c.name: c for c in profile(engine, source.view, wanted)}
    if not source.whole:
        # What nothing decides in a sample, a later row may decide.
        columns = {name: replace(column, unclear="") for name, column in columns.items()}
    if any((target.dtype or "").startswith("decimal") for target in targets):
        check_currency(engine, source, used, table=table)
    typed = f"typed_{table}"
    values = "".join(f", {c.typed} AS {_typed(c)}" for c in columns.values())
    _view(engine, typed, f"SELECT *{values} FROM {source.view}")
    # Values as given, with what is wrong with them before any conversion.
    tried, found = f"tried_{table}", f"found_{table}"
    bound = [_bind(engine, target, columns, view=typed) for target in asked]
    parts = ", ".join(f"{b.tried} AS e{n}, {b.bad} AS b{n}" for n, b in enumerate(bound))
    _view(engine, tried, f"SELECT position, file, line_problem, {parts} FROM {typed}")
    parts = ", ".join(f"{b.found(n)} AS g{n}, {b.problem(n)} AS x{n}" for n, b in enumerate(bound))
    keep = "line_problem IS NOT NULL OR x{n} IS NOT NULL OR g{n}".format(n=len(targets)) if where else "true"
    _view(engine, found, f"SELECT * FROM (SELECT position, file, line_problem, {parts} FROM {tried}) WHERE {keep}")
    converted = f"converted_{table}"
    dates = [
        _dates(engine, found, f"g{n}", b, t, source) for n, (b, t) in enumerate(zip(bound, targets, strict=False))
    ]
    ways = [_convert(f"g{n}", bound[n], target, source, dates[n]) for n, target in enumerate(targets)]
    notes = []
    for n, target in enumerate(targets):
        if target.is_id:
            ways[n], said = _as_id(engine, found, ways[n], n, bound[n], target, source)
            notes += said
    parts = "".join(f", {way} AS v{n}" for n, way in enumerate(ways))
    _view(engine, converted, f"SELECT *{parts} FROM {found}")
    unconverted = ", ".join(_problem(n, target) for n, target in enumerate(asked))
    sign = quoted(UNCONVERTED_SIGN)
    unconverted = f"nullif(concat_ws({sign}, line_problem, {unconverted}), '')"
    order = "row_number() OVER (ORDER BY position)" if where else "position"
    named = ", ".join(f"v{n} AS {column_name(target.name)}" for n, target in enumerate(targets))
    ordered, n_local = False, 0
    for n, (target, one) in enumerate(zip(targets, bound, strict=False)):
        if target.name == "occurred_at" and one.native == "VARCHAR" and dates[n].offset:
            n_local = count_local(engine, found, f"g{n}")
        if schema.name == "events" and target.name == "occurred_at":
            made = instant(engine, converted, n, native=one.native, notation=source.notation, dates=dates[n])
            named, ordered = named + made[0], made[1]
    rows = f"rows_{table}"
    _view(engine, rows, f"SELECT {order} AS row, {named}, {unconverted} AS unconverted FROM {converted}")
    n_rows, n_unconverted, *counts = _counted(engine, converted, unconverted, len(targets))
    if source.whole and not n_rows and where is not None:
        raise JourneybookError(f"files.{table}.where is {where.given!r}, which keeps no row.")
    for n, target in enumerate(targets):
        _check_counts(target, schema, counts[5 * n : 5 * n + 5], whole=source.whole)
    for target, written in zip(targets, dates, strict=True):
        notes += say_dates(written, target.name)
    notes += [note for c in columns.values() if (note := _how_numbers(c, source))]
    return Mapped(
        view=rows,
        converted=converted,
        unconverted=unconverted,
        columns=tuple(target.name for target in targets),
        currencies=tuple(dict.fromkeys(name for c in columns.values() for name in c.currencies)),
        used=frozenset(used),
        ordered=ordered,
        counts=tuple(tuple(counts[5 * n : 5 * n + 5]) for n in range(len(targets))),
        n_read=source.n_read,
        n_rows=n_rows,
        n_unconverted=n_unconverted,
        n_local=n_local,
        notes=tuple(notes),
    )


def _how_numbers(column: Column, source: Source) -> str:
    """Return how a column writes numbers, where nobody gave it."""
    if column.notation.decimal == source.notation.decimal or column.kind not in ("integer", "number"):
        return ""
    thousands = f", {column.notation.thousands!r} between thousands" if column.notation.thousands else ""
    return f"Column {column.name!r} is read with {column.notation.point!r} before fractions{thousands}."


def _counted(engine: duckdb.DuckDBPyConnection, view: str, unconverted: str, n_targets: int) -> tuple:
    """Return the rows, those with something unconverted, and five counts for each target."""
    each = "count(g{n}), count(v{n}), min(CAST(g{n} AS VARCHAR)), count(x{n}), min(x{n})"
    asked = ["count(*)", f"count({unconverted})", *(each.format(n=n) for n in range(n_targets))]
    return engine.execute(f"SELECT {', '.join(asked)} FROM {view}").fetchall()[0]


@dataclass(frozen=True)
class _Bound:
    """What one target is, in SQL over the typed source.

    Attributes:
        tried: The value, or a structure around it that is null where computing it fails.
        bad: Text of a value that does not convert in a column the expression takes as a number or date.
        native: Type of the value.
        expression: Whether `tried` is such a structure.
        column: The source's column, where it is one as it stands.
    """

    tried: str
    bad: str
    native: str
    expression: bool
    column: Column | None = None

    def found(self, n: int) -> str:
        """SQL of the value."""
        if not self.expression:
            return f"e{n}"
        return f"nullif(trim(e{n}.v), '')" if self.native == "VARCHAR" else f"e{n}.v"

    def problem(self, n: int) -> str:
        """SQL of what is wrong with it, null for nothing."""
        failed = f"CASE WHEN e{n} IS NULL THEN 'cannot be computed' END" if self.expression else "NULL"
        return f"CASE WHEN line_problem IS NULL THEN coalesce(b{n}, {failed}) END"


def _bind(
    engine: duckdb.DuckDBPyConnection, target: Target, columns: Mapping[str, Column], *, view: str
) -> _Bound:
    """Find the types under which an expression binds.

    Its columns are taken as what their values are; one that the user casts, or in which some values are no number,
    is first taken as text. Where that does not bind, the other reading of one column after the other is tried.
    """
    if target.literal is not None:
        native = {"true": "BOOLEAN", "false": "BOOLEAN", "NULL::VARCHAR": "VARCHAR"}.get(target.literal, "DOUBLE")
        return _Bound(f"CASE WHEN line_problem IS NULL THEN {target.literal} END", "NULL::VARCHAR", native, False)
    if target.column is not None:
        column = columns[target.column]
        if target.dtype in ("int64", "float64", "decimal(18, 4)"):
            check_numbers(column, target=target)
        as_stored = column.native in ("VARCHAR", "TIMESTAMP WITH TIME ZONE")
        return _Bound(
            column.stored if as_stored else _typed(column),
            "NULL::VARCHAR",
            column.native if as_stored else _type_of(engine, _typed(column), view),
            False,
            column,
        )
    assert target.expression is not None
    used = [columns[name] for name in target.expression.columns]
    first_as_text = {
        c.name
        for c in used
        if c.kind == "text"
        or c.name in target.expression.cast
        # Digits around a point, as in ids of browsers, are no fraction: a float would round them.
        or (target.is_id and c.kind == "number" and c.native == "VARCHAR")
        or (not c.clean and c.kind in ("integer", "number") and c.native == "VARCHAR")
    }
    open_ = [c.name for c in used if c.kind not in ("text", "nested")]
    reason = ""
    for n_flipped in range(min(len(open_), 5) + 1):
        for flipped in combinations(open_, n_flipped):
            as_text = first_as_text ^ set(flipped)
            named = {c.name: c.text if c.name in as_text else _typed(c) for c in used}
            sql = f"(\n{target.expression.sql(named)}\n)"
            try:
                native = _type_of(engine, f"TRY({{'v': {sql}}}).v", view)
            except duckdb.Error as problem:
                reason = reason or str(problem)
                continue
            if _NESTED.search(native):
                raise not_scalar(target.place, target.given, f"several values ({native})")
            if target.condition and native != "BOOLEAN":
                raise JourneybookError(
                    f"{target.place} is {target.given!r}, which gives {native}: it must be a condition, true or "
                    "false."
                )
            for c in used:
                if c.name not in as_text:
                    check_numbers(c, target=target)
            bad = [
                f"CASE WHEN {_typed(c)} IS NULL AND NOT {among(f'lower({c.stored})', MISSING)} THEN "
                f"{quoted(c.name + ' ')} || {_shown(c.stored)} END"
                for c in used
                if c.name not in as_text and not c.clean and c.native == "VARCHAR"
            ]
            return _Bound(
                f"CASE WHEN line_problem IS NULL THEN TRY({{'v': {sql}}}) END",
                f"coalesce({', '.join(bad)}, NULL)" if bad else "NULL::VARCHAR",
                native,
                True,
            )
    if "aggregate" in reason:
        raise not_scalar(target.place, target.given, "an aggregate")
    plain = {c.stored: c.name for c in used} | {_typed(c): c.name for c in used}
    reason = re.sub(r"\b[sk]\d+\b", lambda match: plain.get(match.group(), match.group()), reason.split("\n")[0])
    reason = reason.removeprefix("Binder Error: ").rstrip(". ")
    raise JourneybookError(f"{target.place} is {target.given!r}, which DuckDB cannot compute: {reason}.")


def _dates(
    engine: duckdb.DuckDBPyConnection, view: str, value: str, bound: _Bound, target: Target, source: Source
) -> Dates:
    """Return how a target's values write dates, where they have to be read."""
    column = bound.column
    if column is not None and column.kind in ("date", "timestamp"):
        return column.dates
    if target.dtype not in ("date", "timestamp(6)") or bound.native in ("DATE", "TIMESTAMP"):
        return Dates()
    dates, _ = find_dates(engine, view, f"CAST({value} AS VARCHAR)", notation=source.notation)
    if source.whole:
        check_dates(dates, expression=target.given, place=target.place)
    return dates


def _convert(value: str, bound: _Bound, target: Target, source: Source, dates: Dates) -> str:
    """Return SQL of the value in the type the table needs."""
    column = bound.column
    notation = source.notation if column is None else column.notation
    dtype = target.dtype or _further_type(bound)
    if dtype is None:
        return value
    if bound.native == "VARCHAR" and dtype == "string" and column is not None and column.kind == "integer":
        # An id that a spreadsheet or a data frame made a float: 12345.0 is 12345.
        point = re.escape(notation.point)
        return rf"regexp_replace({value}, '^([+-]?\d+){point}0+$', '\1')"
    if bound.native == "VARCHAR":
        return from_text(value, dtype, notation=notation, dates=dates)
    return from_value(value, bound.native, dtype, notation=notation, dates=dates)


def _as_id(
    engine: duckdb.DuckDBPyConnection, view: str, way: str, n: int, bound: _Bound, target: Target, source: Source
) -> tuple[str, list[str]]:
    """Return SQL of an id, null for what stands for nobody, and what a user should know of it."""
    if bound.column is not None:
        check_digits(engine, view, f"g{n}", native=bound.native, given=target.given, place=target.place)
    notes = []
    if target.name in ("customer_id", "session_id"):
        asked = f"SELECT count_if(i = '0') > {CROWD_SHARE} * count(*) FROM (SELECT {way} AS i FROM {view})"
        if target.name == "customer_id" and engine.execute(asked).fetchall()[0][0]:
            way = f"nullif({way}, '0')"
            notes.append("customer_id 0 has a great share of the rows and is taken for a guest.")
        way = without_nobody(way)
    return (normal(way) if source.join_ids else way), notes


def _further_type(bound: _Bound) -> str | None:
    """Return the type of a further column, or None where its values stay as they are."""
    column = bound.column
    if column is not None and column.native == "VARCHAR":
        enough = column.n_right >= _FURTHER_SHARE * column.n_values
        kinds = {"integer": "int64", "number": "float64", "boolean": "boolean", "date": "date"}
        kinds["timestamp"] = "timestamp(6)"
        return kinds.get(column.kind) if enough else None
    if bound.native.startswith("DECIMAL") or bound.native in ("DOUBLE", "FLOAT"):
        return "float64"
    if bound.native.endswith("INT") or bound.native.endswith("INTEGER"):
        return "int64"
    if _NESTED.search(bound.native):
        return "string"
    return "timestamp(6)" if bound.native.startswith("TIMESTAMP") else None


def _problem(n: int, target: Target) -> str:
    """Return SQL of one column's entry in `unconverted`, null where there is nothing to say."""
    name = quoted(target.name + ": ")
    wrong = f"WHEN x{n} IS NOT NULL THEN {name} || x{n}"
    if target.condition or target.is_id:
        return f"CASE {wrong} END"
    text = f"CAST(g{n} AS VARCHAR)"
    lost = f"g{n} IS NOT NULL AND v{n} IS NULL AND NOT {among(f'lower({text})', MISSING)}"
    unlike = f"WHEN {lost} THEN {name} || {_shown(text)}"
    return f"CASE {wrong} {unlike} END"


def _check_counts(target: Target, schema: Schema, counts: Sequence, *, whole: bool) -> None:
    """Raise JourneybookError where no value of a column converts, or where a needed one has no value."""
    n_given, n_made, example, n_wrong, wrong = counts
    if target.is_id:
        n_given = n_made
    column = schema.by_name.get(target.name)
    place = f"{target.place} is {target.given!r}"
    needs = f"{schema.name}.{target.name} needs a value of type {target.dtype or 'the kind found'}"
    if target.dtype in ("date", "timestamp(6)"):
        needs += "; say how they are written, as options: {dateformat: '%d.%m.%Y %H:%M'} or strptime(...) does"
    if target.dtype in ("boolean", "float64", "int64", "decimal(18, 4)"):
        needs += "; an expression makes one, as clicked_at IS NOT NULL or replace(discount, '%', '') does"
    if target.dtype == "boolean":
        needs += "; counts of several people are rows of experiment_arms"
    if n_made:
        return
    if n_given:
        shown = f"of this kind: {shape(example)}" if target.hidden else repr(example)
        raise JourneybookError(f"{place}, and none of its {n_given} values converts (one is {shown}): {needs}.")
    if n_wrong:
        shown = "" if target.hidden else f" ({wrong})"
        raise JourneybookError(f"{place}, and it gives a value for no row{shown}: {needs}.")
    if whole and column is not None and column.required and not column.nullable:
        raise JourneybookError(f"{place}, which is empty in every row: {schema.name} needs {target.name}.")


def shape(value: str) -> str:
    """Return a value as it may be shown whoever it is of: its first 30 signs, digits as 9 and letters as a.

    >>> shape("Zoë 7, 12/03")
    'aaa 9, 99/99'
    """
    return re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "a", value[:30]))


def _shown(text: str) -> str:
    """Return SQL that quotes a value for `unconverted`, whole: quarantine keeps the raw row."""
    return f"'''' || {text} || ''''"


def _typed(column: Column) -> str:
    return "k" + column.stored[1:]


def _type_of(engine: duckdb.DuckDBPyConnection, sql: str, view: str) -> str:
    return engine.execute(f"DESCRIBE SELECT {sql} AS v FROM {view}").fetchall()[0][1]


def _view(engine: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    engine.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {query}")
