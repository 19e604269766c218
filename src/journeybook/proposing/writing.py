"""A proposal as a parameters file: what was found, with a comment on whatever is not sure. Nothing is run."""

import glob
import os
import re
import tempfile
import textwrap
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import duckdb
import yaml

from journeybook.datasets.mapping import map_rows
from journeybook.datasets.reading import Source, stage
from journeybook.datasets.targets import make_target
from journeybook.errors import JourneybookError
from journeybook.proposing.columns import Seen, how_alike, look
from journeybook.proposing.tables import Proposed, guessed, known_export, recognised
from journeybook.tables import PURPOSES, SCHEMAS

_ROWS = 5_000
_WIDTH = 110


@dataclass(frozen=True)
class _File:
    """Files of the same columns, staged by the first rows of the first."""

    paths: tuple[Path, ...]
    source: Source
    seen: tuple[Seen, ...]
    options: Mapping[str, object]
    export: str | None


def propose(paths: Sequence[Path], *, base: Path) -> str:
    """Return the text of a parameters file for some files; paths in it are relative to `base`.

    Only the first 5,000 rows of each file are looked at.

    Raises:
        JourneybookError: A file is not there, or cannot be read.
    """
    with duckdb.connect() as engine, tempfile.TemporaryDirectory() as scratch:
        files: list[_File] = []
        for n, path in enumerate(dict.fromkeys(paths)):
            folder = Path(scratch) / str(n)
            folder.mkdir()
            file = _read(engine, path, folder=folder, name=f"file_{n}")
            alike = [f for f in files if [s.name for s in f.seen] == [s.name for s in file.seen]]
            if alike and not (alike[0].options or file.options):
                at = files.index(alike[0])
                files[at] = replace(alike[0], paths=(*alike[0].paths, path))
            else:
                files.append(file)
        counts = Counter(s.name for file in files for s in file.seen)
        shared = frozenset(name for name, n in counts.items() if n > 1)
        made = [
            known_export(engine, f.export, f.source, f.seen)
            if f.export
            else guessed(f.seen, shared=shared, stem=f.paths[0].stem)
            for f in files
        ]
        return "\n".join(_lines(engine, files, made, base=base)) + "\n"


def _read(engine: duckdb.DuckDBPyConnection, path: Path, *, folder: Path, name: str) -> _File:
    """Stage the first rows of one file; a preamble is skipped, and of several sheets the first is read."""
    if not path.is_file():
        raise JourneybookError(f"There is no file {str(path)!r}.")
    options: dict[str, object] = {}
    if zipfile.is_zipfile(path):
        import openpyxl

        if "xl/workbook.xml" in zipfile.ZipFile(path).namelist():
            sheets = openpyxl.load_workbook(path, read_only=True).sheetnames
            options = {"sheet": sheets[0]} if len(sheets) > 1 else {}
    try:
        try:
            source = stage(engine, [path], options, name=name, timezone="UTC", folder=folder, limit=_ROWS)
        except JourneybookError as error:
            cure = re.search(r"options: \{skip: (\d+)\}", str(error))
            if cure is None:
                raise
            options["skip"] = int(cure[1])
            source = stage(engine, [path], options, name=name, timezone="UTC", folder=folder, limit=_ROWS)
    except JourneybookError as error:
        raise JourneybookError(str(error).replace(f"files.{name}: ", "")) from None
    export = recognised([column.name for column in source.columns])
    return _File((path,), source, look(engine, source, typed=export is None), options, export)


def _lines(
    engine: duckdb.DuckDBPyConnection, files: Sequence[_File], made: Sequence[Proposed], *, base: Path
) -> Iterator[str]:
    yield from _said(
        f"Proposed by `journeybook map` from the first {_ROWS:,} rows of each file; nothing was run. Read it, "
        "mend it, then: journeybook check --params THIS_FILE"
    )
    yield "dataset: files"
    yield from _said(
        "Zone of the clock: times with an offset are converted to it, others are taken as they stand."
    )
    yield "timezone: UTC"
    yield from _currency(engine, files)
    yield "files:"
    taken: dict[str, Proposed] = {}
    for file, one in zip(files, made, strict=True):
        again = one.table in taken
        block = list(_block(engine, file, one, base=base, again=again))
        usable = one.table and not again and not one.open
        yield from (
            block
            if usable
            else ["  # " + line.strip("\n").removeprefix("  ").removeprefix("# ") for line in block]
        )
        if usable:
            taken[one.table] = one
    if not taken:
        yield "  {}"
    yield from _joins(taken)
    yield from _consents(files, made, taken)


def _block(
    engine: duckdb.DuckDBPyConnection, file: _File, one: Proposed, *, base: Path, again: bool
) -> Iterator[str]:
    """The block of one table, indented by two."""
    names = ", ".join(path.name for path in file.paths)
    yield from _said(f"{names}: {one.about}", by=2)
    if again:
        yield from _said(f"A data set has one table {one.table}: choose, or make one file of both.", by=2)
    for note in one.notes:
        yield from _said(f"* {note}", by=2)
    if not one.table:
        return
    for column in one.open:
        yield from _said(f"? Which column is {column}: {_meaning(one.table, column)}?", by=2)
    if not one.open and not again:
        yield from (line for text in _tried(engine, file, one) for line in _said(text, by=2))
    yield f"  {one.table}:"
    pattern, left = _pattern(file.paths, base=base)
    if left:
        yield from _said(
            f"{', '.join(left)} have the same columns: a glob such as folder/*.csv reads them all.", by=4
        )
    yield f"    path: {_scalar(pattern)}"
    if file.options:
        if "sheet" in file.options:
            yield from _said("Other sheets of the workbook are not read: save each as a file of its own.", by=4)
        yield f"    options: {_scalar(dict(file.options))}"
    yield "    columns:"
    for column, given in one.columns.items():
        remark = one.remarks.get(column)
        yield f"      {column}: {_scalar(given)}" + (f"  # {remark}" if remark else "")
    if one.table == "transactions" and "customer_id" not in one.columns:
        yield "      # customer_id: without it all rows are guests' and no page describes a customer"
    if one.where:
        yield f"    where: {_scalar(one.where)}"
    used = set(_uses(engine, file, one))
    unused = [s.name for s in file.seen if s.name not in used]
    if one.rest:
        yield from _said(f"Further columns, each {SCHEMAS[one.table].further}; take out what is none.", by=4)
        yield "    keep: rest"
    elif unused:
        yield from _said(f"Not used: {', '.join(unused)}.", by=4)


def _tried(engine: duckdb.DuckDBPyConnection, file: _File, one: Proposed) -> Iterator[str]:
    """What the rows that were read say of the mapping: what stops it, or how many go to quarantine."""
    schema, names = SCHEMAS[one.table], [s.name for s in file.seen]
    try:
        place = f"files.{one.table}.where"
        where = make_target(engine, None, "where", one.where, names=names, place=place) if one.where else None
        targets = [
            make_target(engine, schema, column, given, names=names, place=f"files.{one.table}.columns.{column}")
            for column, given in one.columns.items()
        ]
        rows = map_rows(engine, file.source, schema, targets, where, table=one.table)
    except JourneybookError as error:
        yield f"! `journeybook check` will stop here: {error}"
        return
    if rows.n_unconverted:
        yield f"! {rows.n_unconverted:,} of the first {rows.n_rows:,} rows would go to quarantine."
    yield from (f"* {note}" for note in rows.notes)


def _uses(engine: duckdb.DuckDBPyConnection, file: _File, one: Proposed) -> Iterator[str]:
    names = [s.name for s in file.seen]
    for column, given in one.columns.items():
        yield from make_target(engine, SCHEMAS[one.table], column, given, names=names, place="map").uses
    if one.where:
        yield from make_target(engine, None, "where", one.where, names=names, place="map").uses


def _currency(engine: duckdb.DuckDBPyConnection, files: Sequence[_File]) -> Iterator[str]:
    """The currency, where a column of that name holds one alone."""
    found = {
        value.upper()
        for file in files
        for s in file.seen
        if s.name.lower().endswith("currency")
        for value in s.few
    }
    if len(found) == 1 and re.fullmatch("[A-Z]{3}", only := found.pop()):
        yield f"currency: {only}"
    else:
        yield "# ? Which currency are the amounts in?"
        yield "# currency: EUR"


def _joins(taken: Mapping[str, Proposed]) -> Iterator[str]:
    """Whether the tables name their customers by the same column."""
    ids = {table: one.columns["customer_id"] for table, one in taken.items() if "customer_id" in one.columns}
    if len(set(ids.values())) > 1:
        told = ", ".join(f"{given} in {table}" for table, given in ids.items())
        yield from _said(f"? Are these the same ids, written alike: {told}? Only equal ids join tables.")


def _consents(files: Sequence[_File], made: Sequence[Proposed], taken: Mapping[str, Proposed]) -> Iterator[str]:
    """How permissions are mapped, and what happens without them."""
    if "consents" in taken:
        return
    yield from _said(
        "No table says who permitted what: every page then uses all rows, and says that it does not know. A table "
        "`consents` is a ledger, a row a decision: customer_id, purpose, granted, occurred_at. With one, people "
        f"without a grant of a purpose are left out of its use; purposes are {', '.join(PURPOSES)}."
    )
    for file, one in zip(files, made, strict=True):
        asked = [s.name for s in file.seen if how_alike(s.name, "granted")]
        if one.consent or asked:
            said = one.consent or f"{', '.join(asked)} may tell it."
            yield from _said(f"{file.paths[0].name}: {said}")


def _pattern(paths: Sequence[Path], *, base: Path) -> tuple[str, list[str]]:
    """A path or glob that names exactly these files, and the names of those it does not."""
    relative = [Path(os.path.relpath(path, base)).as_posix() for path in paths]
    if len(paths) == 1:
        return relative[0], []
    start = "".join(letters[0] for letters in takewhile(lambda c: len(set(c)) == 1, zip(*relative, strict=False)))
    pattern = f"{start}*{Path(relative[0]).suffix}"
    matched = {Path(found).resolve() for found in glob.glob(str(base / pattern))}  # noqa: PTH207
    if matched == {path.resolve() for path in paths}:
        return pattern, []
    return relative[0], [path.name for path in paths[1:]]


def _meaning(table: str, columns: str) -> str:
    parts = [SCHEMAS[table].by_name[name].meaning for name in columns.split(" or ")]
    return " or ".join(parts)


def _scalar(value: object) -> str:
    if isinstance(value, str) and value.startswith("'") and not set(value) & set('"\\'):
        return f'"{value}"'
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _said(text: str, *, by: int = 0) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * by + "# ", subsequent_indent=" " * by + "#   ")
