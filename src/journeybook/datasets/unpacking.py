"""A user's files as plain UTF-8 text: out of gzip, zip and Excel, from other encodings and line ends."""

import csv
import gzip
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from journeybook.errors import JourneybookError

_HEAD_BYTES = 1 << 20
_PREAMBLE = 60


class Plain(NamedTuple):
    """One file of text: its name for messages, where it is now, and how it was read, if that was found."""

    name: str
    path: Path
    note: str = ""


def unpack(file: Path, scratch: Path, options: Mapping, *, place: str) -> Iterator[Plain]:
    """Yield the texts that a file holds, each in UTF-8.

    Raises:
        JourneybookError: It is of another kind, is broken, or holds several sheets of which none is named.
    """
    with file.open("rb") as opened:
        start = opened.read(8)
    try:
        if start.startswith(b"\x1f\x8b"):
            copy = _free(scratch)
            with gzip.open(file) as packed, copy.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
            yield from _decoded(Plain(file.name, copy), scratch, options, place=place)
        elif start.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(file) as packed_files:
                names = packed_files.namelist()
                if "xl/workbook.xml" in names:
                    yield _sheet(file, scratch, options, place=place)
                    return
                for name in sorted(n for n in names if not n.endswith("/") and not n.startswith("__MACOSX")):
                    copy = _free(scratch)
                    with packed_files.open(name) as packed, copy.open("wb") as plain:
                        shutil.copyfileobj(packed, plain)
                    yield from _decoded(Plain(f"{file.name}/{name}", copy), scratch, options, place=place)
        elif start.startswith(b"\xd0\xcf"):
            raise JourneybookError(f"{place}: {file.name!r} is an old Excel file: save it as .xlsx or CSV.")
        else:
            yield from _decoded(Plain(file.name, file), scratch, options, place=place)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as problem:
        raise JourneybookError(f"{place}: {file.name!r} cannot be unpacked: {problem}.") from None


def _decoded(plain: Plain, scratch: Path, options: Mapping, *, place: str) -> Iterator[Plain]:
    with plain.path.open("rb") as opened:
        start = opened.read(_HEAD_BYTES)
    encoding = options.get("encoding")
    if re.match(rb"(?:\xef\xbb\xbf)?\s*<[!?a-zA-Z]", start):
        raise JourneybookError(f"{place}: {plain.name!r} is HTML or XML: save it as .xlsx or CSV.")
    if encoding is None:
        even, odd = start[:2_000:2].count(0), start[1:2_000:2].count(0)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            encoding = "utf-16"
        elif max(even, odd) > len(start[:2_000]) // 8:
            encoding = "utf-16-be" if even > odd else "utf-16-le"
        else:
            if b"\0" in start:
                plain = _without_nul(plain, scratch)
            try:
                start[: start.rfind(b"\n") + 1].decode()
            except UnicodeDecodeError:
                yield as_western(plain, scratch)
                return
    if encoding is None or str(encoding).lower() in ("utf-8", "utf8", "utf-8-sig"):
        yield plain
        return
    try:
        yield plain._replace(path=_copied(plain.path, scratch, str(encoding)))
    except (LookupError, UnicodeError):
        raise JourneybookError(
            f"{place}.options.encoding is {encoding!r}, in which {plain.name!r} cannot be read: it must be an "
            "encoding such as utf-8, utf-16, latin-1 or cp1252."
        ) from None


def _without_nul(plain: Plain, scratch: Path) -> Plain:
    copy, n_found = _free(scratch), 0
    with plain.path.open("rb") as source, copy.open("wb") as target:
        while part := source.read(_HEAD_BYTES):
            n_found += part.count(0)
            target.write(part.replace(b"\0", b""))
    return Plain(plain.name, copy, f"{n_found:,} NUL bytes in {plain.name} were left out.")


def as_western(plain: Plain, scratch: Path) -> Plain:
    """Return a file that is not UTF-8 as Windows-1252, or as Latin-1 where it holds what that lacks."""
    for encoding, name in (("cp1252", "Windows-1252"), ("latin-1", "Latin-1")):
        try:
            copy = _copied(plain.path, scratch, encoding)
        except UnicodeError:
            continue
        note = f"{plain.note} {plain.name} is not UTF-8 and was read as {name}.".strip()
        return Plain(plain.name, copy, note)
    raise AssertionError("every byte is a character of Latin-1")


def without_lines(file: Path, scratch: Path, lines: set[int]) -> tuple[Path, list[str]]:
    """Return a copy with its line ends made alike and some lines (from 1) taken out, and those lines."""
    copy, taken = _free(scratch), []
    with (
        file.open(encoding="utf-8", errors="surrogateescape") as source,
        copy.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as target,
    ):
        for number, line in enumerate(source, start=1):
            if number in lines:
                taken.append(line.strip())
            else:
                target.write(line)
    return copy, taken


def _copied(file: Path, scratch: Path, encoding: str) -> Path:
    copy = _free(scratch)
    with (
        file.open(encoding=encoding, newline="") as source,
        copy.open("w", encoding="utf-8", newline="") as target,
    ):
        shutil.copyfileobj(source, target, _HEAD_BYTES)
    return copy


def _sheet(file: Path, scratch: Path, options: Mapping, *, place: str) -> Plain:
    """Write one sheet of a workbook as CSV."""
    import openpyxl

    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    wanted = options.get("sheet")
    filled = [name for name in book.sheetnames if any(v is not None for row in book[name].values for v in row)]
    if wanted not in filled if wanted is not None else len(filled) != 1:
        listed = ", ".join(map(repr, filled)) or "none"
        raise JourneybookError(
            f"{place}: {file.name!r} has the filled sheets {listed}: name one with the option sheet."
        )
    name = wanted or filled[0]
    skip = options.get("skip", 0)
    rows = ([_cell(value) for value in row] for row in book[name].values if any(v is not None for v in row))
    first = list(islice(rows, _PREAMBLE))
    _check_sheet(file, name, first, skip if isinstance(skip, int) else 0, place=place)
    copy = _free(scratch)
    with copy.open("w", encoding="utf-8", newline="") as target:
        csv.writer(target).writerows(chain(first, rows))
    since = " It counts days from 1904: plain numbers for days are 1,462 too low." * (book.epoch.year == 1904)
    return Plain(file.name, copy, f"Sheet {name!r} of {file.name} was read.{since}")


def _check_sheet(file: Path, name: str, first: list[list], skip: int, *, place: str) -> None:
    """Raise JourneybookError where a title stands above the header, or merged cells leave rows without a value."""
    filled = [sum(value is not None for value in row) for row in first[skip:]]
    head = next((n for n, count in enumerate(filled) if 2 * count > max(filled)), 0)
    if head:
        raise JourneybookError(
            f"{place}: sheet {name!r} of {file.name!r} has few filled cells in its first rows: if the header "
            f"stands below them, give options: {{skip: {skip + head}}} (empty rows do not count)."
        )
    with zipfile.ZipFile(file) as packed:
        sheets = [n for n in packed.namelist() if n.startswith("xl/worksheets/")]
        if not any(b"<mergeCell " in packed.read(n) for n in sheets):
            return
    import openpyxl

    spans = openpyxl.load_workbook(file)[name].merged_cells.ranges
    tall = [span.coord for span in spans if span.max_row > max(span.min_row, skip + 2)]
    if tall:
        raise JourneybookError(
            f"{place}: {len(tall)} merged cells of sheet {name!r} in {file.name!r} span several rows (one is "
            f"{min(tall)}), of which only the first holds the value: undo them and fill every row."
        )


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | bool):
        return str(value)
    return repr(value) if isinstance(value, float) else value


def _free(scratch: Path) -> Path:
    return scratch / f"plain_{len(list(scratch.iterdir()))}.csv"


def json_paths(shape: object, names: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the name (a.b) and the JSON path of each property that is no object.

    >>> dict(json_paths({"a": {"b c": "VARCHAR"}, "d": ["BIGINT"]}))
    {'a.b c': '$."a"."b c"', 'd': '$."d"'}
    """
    if isinstance(shape, dict) and shape:
        for name, inner in shape.items():
            yield from json_paths(inner, (*names, name))
    elif names:
        yield ".".join(names), "$." + ".".join(f'"{name}"' for name in names)
