"""Your own files: the mapping from their columns to the canonical tables.

A text equal to the name of a column is that column; any other text is a scalar DuckDB expression over the
columns of one row; numbers and booleans stand for themselves. Values that do not convert put their row in
quarantine (`unconverted` names them); what cannot be right for any row stops with one sentence.
"""

import glob
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
from ibis import Table
from ibis.backends.duckdb import Backend

from journeybook.datasets.finding import find_files, is_parquet
from journeybook.datasets.mapping import Mapped, map_rows, shape
from journeybook.datasets.notation import quoted
from journeybook.datasets.noticing import Notice, notice
from journeybook.datasets.reading import Source, read_options, stage
from journeybook.datasets.storage import write_raw
from journeybook.datasets.targets import Target, check_required, make_target, rest_of
from journeybook.datasets.unmapped import notice_unmapped
from journeybook.errors import JourneybookError, nearest
from journeybook.tables import SCHEMAS, Schema, engine, kept_in_engine, schema_of

_KEYS = ("path", "options", "columns", "where", "keep")
_SAMPLE_ROWS = 20_000


@dataclass(frozen=True)
class TableCheck:
    """What checking one table's mapping found.

    Attributes:
        table: Canonical table.
        n_files: Files the path names.
        n_rows: Rows that `where` keeps.
        n_tried: The first of them, of which the columns below speak.
        n_unconverted: Those of them that would go to quarantine.
        period: First and last moment; empty where there is none.
        longest_gap: Days between two days that have rows and none between them, at most.
        n_ids: About how many ids there are, by column.
        currencies: What stands beside the amounts.
        examples: For each column: name, a masked value as given and as made, share that does not convert.
        alike: Columns that hold one value in every row tried that has one.
        notes: What a user should know, one sentence each.
    """

    table: str
    n_files: int
    n_rows: int
    n_tried: int
    n_unconverted: int
    period: tuple[str, ...]
    longest_gap: int
    n_ids: Mapping[str, int]
    currencies: tuple[str, ...]
    examples: tuple[tuple[str, str, str, float], ...]
    alike: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Prepared:
    """One table, ready to be written: its rows, the files they come from, notes for the user."""

    schema: Schema
    targets: tuple[Target, ...]
    rows: Mapped
    source: Source
    notes: tuple[str, ...]


def build_files(
    connection: Backend, folder: Path, *, files: Mapping, timezone: str, base: Path
) -> dict[str, dict]:
    """Write the canonical tables that a user's files hold to `raw/`.

    Returns:
        For each table `lines`, those of its files below their headers: n_counted (without the engine), n_read (by
        it), n_left_out (by `where`); and `notices`, what is odd about it (`noticing.Notice`).

    Raises:
        JourneybookError: A file, a column or an expression cannot be used; one sentence says which and why.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = {}
    for table, block in _checked(files).items():
        with _scratch(folder) as scratch:
            made = _prepare(connection.con, table, block, timezone=timezone, base=base, folder=scratch)
            rows = connection.table(made.rows.view)
            if not made.rows.n_unconverted:
                rows = rows.drop("unconverted")
            write_raw(connection, folder, table, rows, provenance="YOURS", source=_describe(block, made))
            written = f"read_parquet({quoted(glob.escape(str(folder / 'raw' / f'{table}.parquet')))})"
            odd = _odd(connection.con, written, made)
        n_counted, n_read = made.source.n_counted, made.rows.n_read
        assert n_counted is not None
        lines = {"n_counted": n_counted, "n_read": n_read, "n_left_out": n_read - made.rows.n_rows}
        about[table] = {"lines": lines, "notices": [one.record() for one in odd]}
    return about


@contextmanager
def open_checked(*, files: Mapping, base: Path, timezone: str) -> Iterator[list[tuple[TableCheck, Table]]]:
    """Check a block `files:`: how it is read by the first rows of each file, what comes of it by all of them.

    Yields:
        One check a table, in the order of the block, each with its rows as `build_files` would write them, but in
        no order. Nothing is left of what it writes.

    Raises:
        JourneybookError: What `build_files` would raise for these rows.
    """
    with _scratch(None) as scratch:
        connection, found = engine(scratch), []
        for table, block in _checked(files).items():
            place = scratch / table
            place.mkdir()
            made = _prepare(
                connection.con, table, block, timezone=timezone, base=base, folder=place, sample=_SAMPLE_ROWS
            )
            check = _check(connection.con, table, made, _odd(connection.con, made.rows.view, made))
            rows = connection.table(made.rows.view)
            if made.source.whole:
                # Asked again and again, hundreds of columns would be converted as often.
                rows = kept_in_engine(rows)
            found.append((check, rows))
        yield found


def _odd(engine: duckdb.DuckDBPyConnection, rows: str, made: _Prepared) -> list[Notice]:
    """Return what is odd about a table's rows, written or not."""
    found = notice(engine, rows, schema=made.schema, mapped=made.rows, source=made.source)
    return [*found, *notice_unmapped(engine, rows, schema=made.schema, mapped=made.rows, source=made.source)]


def _check(engine: duckdb.DuckDBPyConnection, table: str, made: _Prepared, odd: Sequence[Notice]) -> TableCheck:
    """Say what became of the rows read; rows, period and ids are of all of them, scanned once more as text."""
    mapped, source = made.rows, made.source
    names = [target.name for target in made.targets]
    pairs = [f"{{'g': CAST(g{n} AS VARCHAR), 'v': CAST(v{n} AS VARCHAR)}}" for n in range(len(names))]
    asked = [f"arg_min({pair}, position) FILTER (v{n} IS NOT NULL)" for n, pair in enumerate(pairs)]
    asked += [f"min(v{n}) = max(v{n})" for n in range(len(names))]
    at = names.index("occurred_at") if "occurred_at" in names else None
    # What the engine casts as it is, is cast: the way of the table tries more, and takes twice the time.
    cast = f"TRY_CAST(CAST(g{at} AS VARCHAR) AS TIMESTAMP)"
    asked += ["true" if at is None else f"bool_and(v{at} IS NOT DISTINCT FROM {cast})"]
    found = engine.execute(f"SELECT {', '.join(asked)} FROM {mapped.converted}").fetchall()[0]
    examples, alike, plain = found[: len(names)], found[len(names) : -1], found[-1]
    if not source.whole:
        engine.execute(f"CREATE OR REPLACE TEMP VIEW {source.view} AS {source.unstaged}")
    ids = {target.name: n for n, target in enumerate(made.targets) if target.is_id}
    given = "v" if source.whole else "g"
    known = "moment > TIMESTAMP '1000-01-01' AND moment < TIMESTAMP 'infinity'"
    moment = "NULL::TIMESTAMP" if at is None else (cast if plain else f"v{at}")
    rows = f"(SELECT *, {moment} AS moment FROM {mapped.converted})"
    rows = f"(SELECT *, CASE WHEN {known} THEN moment END AS seen FROM {rows})"
    asked = ["count(*)", "min(seen)", "max(seen)", *(f"approx_count_distinct({given}{n})" for n in ids.values())]
    # By day and all together at once, for it is the reading that takes the time.
    by_day = (
        f"SELECT CAST(seen AS DATE) AS day, {', '.join(asked)} FROM {rows} GROUP BY GROUPING SETS ((day), ()) "
    )
    *each, (_, n_rows, *told) = engine.execute(f"{by_day} ORDER BY grouping(day)").fetchall()
    days = sorted(day for day, *_ in each if day is not None)
    return TableCheck(
        table=table,
        n_files=source.n_files,
        n_rows=n_rows,
        n_tried=mapped.n_rows,
        n_unconverted=mapped.n_unconverted,
        period=tuple(str(moment)[:16] for moment in told[:2] if moment is not None),
        longest_gap=max(((late - early).days for early, late in pairwise(days)), default=0),
        n_ids=dict(zip(ids, told[2:], strict=True)),
        currencies=mapped.currencies,
        examples=tuple(
            (name, shape(pair["g"]), shape(pair["v"]), (given - made + wrong) / max(mapped.n_rows, 1))
            if pair
            else (name, "", "", (given + wrong) / max(mapped.n_rows, 1))
            for name, pair, (given, made, _, wrong, _) in zip(names, examples, mapped.counts, strict=True)
        ),
        alike=tuple(name for name, same in zip(names, alike, strict=True) if same and mapped.n_rows > 1),
        notes=(*made.notes, *(f"{one.text} {one.action}" for one in odd)),
    )


def _checked(files: object) -> dict[str, dict]:
    """Return the block with every table and key known."""
    if not isinstance(files, Mapping) or not files:
        raise JourneybookError("files is empty: it must name at least one table, as `transactions:` does.")
    for table, block in files.items():
        if not isinstance(table, str) or schema_of(table) is None or "/" in table:
            raise JourneybookError(f"files.{table} is not a table; {nearest(table, SCHEMAS)}")
        if not isinstance(block, Mapping):
            raise JourneybookError(f"files.{table} is {block!r}: it must hold path and columns.")
        for key in block:
            if key not in _KEYS:
                raise JourneybookError(f"files.{table}.{key} is not a key; {nearest(key, _KEYS)}")
        if block.get("keep") not in (None, "rest"):
            raise JourneybookError(f"files.{table}.keep is {block['keep']!r}: it can only be rest.")
        if not isinstance(block.get("columns", {}), Mapping):
            raise JourneybookError(f"files.{table}.columns is {block['columns']!r}: it must map names to columns.")
    return dict(files)


@contextmanager
def _scratch(folder: Path | None) -> Iterator[Path]:
    """Give a folder for staged rows that only its owner can open, and remove it."""
    scratch = Path(tempfile.mkdtemp(prefix=".staged-", dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _describe(block: Mapping, made: _Prepared) -> str:
    """Return where the rows come from, in a few words, without the folder."""
    n_read, n_left = made.rows.n_read, made.rows.n_read - made.rows.n_rows
    words = f"{Path(block['path']).name}: {made.source.n_files} file(s), {n_read} rows"
    words += f", {n_left} of them left out by `where`" if n_left else ""
    return "; ".join([words, *made.notes])


def _prepare(
    engine: duckdb.DuckDBPyConnection,
    table: str,
    block: Mapping,
    *,
    timezone: str,
    base: Path,
    folder: Path,
    sample: int | None = None,
) -> _Prepared:
    """Stage one table's files and make the view of its rows."""
    place, schema = f"files.{table}", schema_of(table)
    assert schema is not None
    files = find_files(block.get("path"), base=base, place=place)
    options = read_options(block.get("options"), parquet=is_parquet(files[0]), place=place)
    limit = max(sample // len(files), 1_000) if sample else None
    source = stage(engine, files, options, name=table, timezone=timezone, folder=folder, limit=limit)
    names = [column.name for column in source.columns]
    targets = [
        make_target(engine, schema, name, given, names=names, place=f"{place}.columns.{name}")
        for name, given in block.get("columns", {}).items()
    ]
    notes = list(source.notes)
    if block.get("keep") == "rest":
        kept, left = rest_of(schema, targets, names=names, place=place)
        targets += kept
        notes += left
    check_required(schema, targets, names=names, place=place)
    for column in schema.columns:
        if column.required and column.nullable and column.name not in {target.name for target in targets}:
            targets.append(Target(column.name, place, "", column.dtype, literal="NULL::VARCHAR"))
            notes.append(f"{column.name} is not mapped: no row has one.")
    where = None
    if block.get("where") is not None:
        where = make_target(engine, None, "where", block["where"], names=names, place=f"{place}.where")
    try:
        rows = map_rows(engine, source, schema, targets, where, table=table)
    except duckdb.Error as problem:
        # The engine quotes values in its messages, and a value may name a person.
        reason = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", str(problem).split("\n")[0]).rstrip(".")
        raise JourneybookError(f"{place} cannot be read as its columns say: {reason}.") from None
    return _Prepared(schema=schema, targets=tuple(targets), rows=rows, source=source, notes=(*notes, *rows.notes))
