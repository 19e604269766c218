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
    options: Mapping[str, object]
    source: Source
    seen: tuple[Seen, ...]
    export: str | None


def propose(paths: Sequence[Path], *, base: Path) -> str:
    """Return the text of a parameters file for some files, by the first 5,000 rows of each.

    Args:
        paths: CSV, JSON, Excel or Parquet files.
        base: Folder that paths in the text are relative to.

    Raises:
        JourneybookError: A file is not there, or cannot be read.
    """
    with (
        tempfile.TemporaryDirectory() as scratch,
        duckdb.connect(config={"temp_directory": scratch}) as engine,
    ):
        files: list[_File] = []
        for n, path in enumerate(dict.fromkeys(paths)):
            file = _read(engine, path, scratch=Path(scratch), name=f"file_{n}")
            alike = [n for n, f in enumerate(files) if _names(f) == _names(file) and f.options == file.options]
            if alike:
                files[alike[0]] = replace(files[alike[0]], paths=(*files[alike[0]].paths, path))
            else:
                files.append(file)
        counts = Counter(name for file in files for name in _names(file))
        shared = frozenset(name for name, n in counts.items() if n > 1)
        made = [
            known_export(engine, file.export, file.seen)
            if file.export
            else guessed(file.seen, shared=shared, stem=file.paths[0].stem)
            for file in files
        ]
        return "\n".join(_lines(engine, list(zip(files, made, strict=True)), base=base)) + "\n"


def _names(file: _File) -> list[str]:
    return [s.name for s in file.seen]


def _read(engine: duckdb.DuckDBPyConnection, path: Path, *, scratch: Path, name: str) -> _File:
    """Stage the first rows of one file; a preamble is skipped, and of several sheets the first is read."""
    if not path.is_file():
        what = f"a folder: name its files, as {path}/*.csv does" if path.is_dir() else "no file"
        raise JourneybookError(f"{str(path)!r} is {what}.")
    (folder := scratch / name).mkdir()
    options: dict[str, object] = {}
    if zipfile.is_zipfile(path) and "xl/workbook.xml" in zipfile.ZipFile(path).namelist():
        import openpyxl

        sheets = openpyxl.load_workbook(path, read_only=True).sheetnames
        options = {"sheet": sheets[0]} if len(sheets) > 1 else {}
    while True:
        try:
            source = stage(engine, [path], options, name=name, timezone="UTC", folder=folder, limit=_ROWS)
            break
        except JourneybookError as error:
            cure = re.search(r"options: \{skip: (\d+)\}", str(error))
            if cure is None or "skip" in options:
                said = str(error).replace(f"files.{name}: ", "")
                raise JourneybookError(said if path.name in said else f"{path.name!r}: {said}") from None
            options["skip"] = int(cure[1])
    export = recognised([column.name for column in source.columns])
    return _File((path,), options, source, look(engine, source, typed=export is None), export)


def _lines(
    engine: duckdb.DuckDBPyConnection, made: Sequence[tuple[_File, Proposed]], *, base: Path
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
    money = [s for file, _ in made for s in file.seen if s.name.lower().endswith("currency")]
    codes = sorted({value.upper() for s in money for value in s.few})
    sure = len(codes) == 1 and re.fullmatch("[A-Z]{3}", codes[0])
    yield f"currency: {codes[0]}" if sure else "# ? Which currency are the amounts in?  currency: EUR"
    yield "files:"
    taken: dict[str, Proposed] = {}
    for file, one in made:
        block = _block(engine, file, one, base=base, again=one.table in taken)
        if one.table and not one.open and one.table not in taken:
            taken[one.table] = one
            yield from block
        else:
            yield from ("  # " + line.removeprefix("  ").removeprefix("# ") for line in block)
    if not taken:
        yield "  {}"
    ids = {table: one.columns["customer_id"] for table, one in taken.items() if "customer_id" in one.columns}
    if len(set(ids.values())) > 1:
        told = ", ".join(f"{given} in {table}" for table, given in ids.items())
        yield from _said(f"? Are these the same ids, written alike: {told}? Only equal ids join tables.")
    if "consents" in taken:
        return
    yield from _said(
        "No table says who permitted what: every page then uses all rows, and says that it does not know. A table "
        "`consents` is a ledger, a row a decision: customer_id, purpose, granted, occurred_at. With one, people "
        f"without a grant of a purpose are left out of its use; purposes are {', '.join(PURPOSES)}."
    )
    for file, one in made:
        asked = ", ".join(name for name in _names(file) if how_alike(name, "granted"))
        if one.consent or asked:
            yield from _said(f"{file.paths[0].name}: {one.consent or asked + ' may tell it.'}")


def _block(
    engine: duckdb.DuckDBPyConnection, file: _File, one: Proposed, *, base: Path, again: bool
) -> Iterator[str]:
    """The block of one table, indented by two."""
    yield from _said(f"{', '.join(path.name for path in file.paths)}: {one.about}", by=2)
    if again:
        yield from _said(f"A data set has one table {one.table}: choose, or make one file of both.", by=2)
    for note in one.notes:
        yield from _said(f"* {note}", by=2)
    if not one.table:
        return
    schema = SCHEMAS[one.table]
    for group in one.open:
        meant = " or ".join(schema.by_name[name].meaning for name in group.split(" or "))
        yield from _said(f"? Which column is {group}: {meant}?", by=2)
    found, used = _tried(engine, file, one)
    options = dict(file.options)
    either = re.search(r"options: \{dateformat: '([^']+)'\}", " ".join(found))
    if either and one.month_first:
        options["dateformat"] = either[1]
        found = ["* No day tells the order of day and month; this export writes the month first."]
    for text in found if not one.open else ():
        yield from _said(text, by=2)
    yield f"  {one.table}:"
    pattern = _pattern(file.paths, base=base)
    if len(file.paths) > 1 and "*" not in pattern:
        yield from _said("The others have the same columns: a glob such as folder/*.csv reads them all.", by=4)
    yield f"    path: {_scalar(pattern)}"
    if "sheet" in file.options:
        yield from _said("Other sheets of the workbook are not read: save each as a file of its own.", by=4)
    if options:
        yield f"    options: {_scalar(options)}"
    elif either:
        turned = either[1].translate(str.maketrans("md", "dm"))
        yield f"    # options: {{dateformat: {either[1]!r}}}  # or {turned!r}"
    yield "    columns:"
    for column, given in one.columns.items():
        yield f"      {column}: {_scalar(given)}" + (_remark(one.remarks.get(column, "")))
    if one.where:
        yield f"    where: {_scalar(one.where)}"
    if one.rest:
        yield from _said(f"Further columns, each {schema.further}; take out what is none.", by=4)
        yield "    keep: rest"
    elif unused := [name for name in _names(file) if name not in used]:
        yield from _said(f"Not used: {', '.join(unused)}.", by=4)


def _tried(engine: duckdb.DuckDBPyConnection, file: _File, one: Proposed) -> tuple[list[str], set[str]]:
    """Return what the rows that were read say of the mapping, and the columns it uses."""
    schema, names, place = SCHEMAS[one.table], _names(file), f"files.{one.table}"
    targets = [
        make_target(engine, schema, column, given, names=names, place=f"{place}.columns.{column}")
        for column, given in one.columns.items()
    ]
    where = (
        make_target(engine, None, "where", one.where, names=names, place=f"{place}.where") if one.where else None
    )
    used = {name for target in [*targets, *([where] if where else [])] for name in target.uses}
    try:
        rows = map_rows(engine, file.source, schema, targets, where, table=one.table)
    except JourneybookError as error:
        return [f"! `journeybook check` will stop here: {error}"], used
    lost = f"! {rows.n_unconverted:,} of the first {rows.n_rows:,} rows would go to quarantine."
    return [*([lost] if rows.n_unconverted else []), *(f"* {note}" for note in rows.notes)], used


def _pattern(paths: Sequence[Path], *, base: Path) -> str:
    """Return a path or glob that names exactly these files, or the first of them where there is no such glob."""
    relative = [Path(os.path.relpath(path, base)).as_posix() for path in paths]
    start = "".join(letters[0] for letters in takewhile(lambda c: len(set(c)) == 1, zip(*relative, strict=False)))
    pattern = f"{start}*{paths[0].suffix}"
    matched = {Path(found).resolve() for found in glob.glob(str(base / pattern))}  # noqa: PTH207
    return pattern if len(paths) > 1 and matched == {path.resolve() for path in paths} else relative[0]


def _scalar(value: object) -> str:
    if isinstance(value, str) and value.startswith("'") and not set(value) & set('"\\'):
        return f'"{value}"'
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _remark(text: str) -> str:
    """Return a comment behind a value; names of columns may hold line ends and signs that YAML refuses."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return f"  # {' '.join(plain.split())}" if text else ""


def _said(text: str, *, by: int = 0) -> list[str]:
    text = _remark(text).removeprefix("  # ")
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * by + "# ", subsequent_indent=" " * by + "#   ")
