"""How a CSV file is written: found in its first lines, or given."""

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from journeybook.errors import JourneybookError

_DELIMITERS = (",", ";", "\t", "|")
_HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Dialect:
    """How one CSV file is written: the options its parser is given."""

    names: tuple[str, ...]
    delimiter: str
    skip: int
    encoding: str


def read_dialect(file: Path, options: Mapping, *, name: str) -> Dialect:
    """Return how a CSV file is written, from what is given and from its first lines.

    Raises:
        JourneybookError: The header cannot be found.
    """
    head, encoding = _head(file, options, name=name)
    quote = read_quote(options)
    skipped = _whole_number(options.get("skip", 0), place=f"files.{name}.options.skip")
    lines = head.splitlines(keepends=True)[skipped:]
    # Empty lines above the header are no rows.
    while lines and not lines[0].strip():
        lines, skipped = lines[1:], skipped + 1
    text = "".join(lines)
    given = options.get("delim")
    given = "\t" if given == "\\t" else given
    if given is not None and (not isinstance(given, str) or len(given) != 1):
        raise JourneybookError(f"files.{name}.options.delim is {given!r}: it must be one character.")
    delimiter = given or max(_DELIMITERS, key=lambda sign: _fit(text, sign, quote))
    records = _records(text, delimiter, quote)
    first = next(records, None)
    if first is None:
        raise JourneybookError(f"files.{name}: {file.name!r} has no header.")
    fields, n_lines = first
    if options.get("header", True) is False:
        fields = [""] * len(fields)
    else:
        skipped += n_lines
    names = options.get("names", [])
    if not isinstance(names, list):
        raise JourneybookError(f"files.{name}.options.names is {names!r}: it must be a list of column names.")
    return Dialect(_unlike([*names, *fields[len(names) :]]), delimiter, skipped, encoding)


def read_quote(options: Mapping) -> str:
    """Return the quoting sign; empty for none."""
    quote = options.get("quote", '"')
    return "" if quote is None else str(quote)


def _head(file: Path, options: Mapping, *, name: str) -> tuple[str, str]:
    """Return the beginning of a file as text, and its encoding."""
    opener = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opener(file, "rb") as opened:
            start = opened.read(_HEAD_BYTES)
    except OSError as problem:
        raise JourneybookError(f"files.{name}: {file.name!r} cannot be read: {problem}.") from None
    if start[:2] in (b"PK", b"\x1f\x8b", b"\xd0\xcf"):
        raise JourneybookError(f"files.{name}: {file.name!r} is not text: CSV and Parquet files can be read.")
    found = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    given = str(options.get("encoding", found)).lower()
    encoding = {"utf8": "utf-8", "latin1": "latin-1", "iso-8859-1": "latin-1", "utf16": "utf-16"}.get(given, given)
    if encoding not in ("utf-8", "latin-1", "utf-16"):
        raise JourneybookError(f"files.{name}.options.encoding is {given!r}: it must be utf-8, latin-1 or utf-16.")
    if encoding == "utf-8":
        try:
            # Up to the last whole line, which no character crosses.
            start[: start.rfind(b"\n") + 1].decode()
        except UnicodeDecodeError:
            encoding = encoding if "encoding" in options else "latin-1"
    python = "utf-8-sig" if encoding == "utf-8" else encoding
    return start.decode(python, errors="replace"), encoding


def _records(text: str, delimiter: str, quote: str) -> Iterator[tuple[list[str], int]]:
    """Yield the fields of each record, and the number of lines read until its end."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    try:
        for fields in reader:
            yield fields, reader.line_num
    except csv.Error:
        return


def _fit(text: str, delimiter: str, quote: str) -> tuple[bool, int]:
    """Return whether the first records agree on their number of fields under a delimiter, and that number."""
    counts = []
    for fields, _ in _records(text, delimiter, quote):
        if fields:
            counts.append(len(fields))
        if len(counts) == 50:
            break
    if not counts or counts[0] == 1:
        return (False, 0)
    agree = sum(count == counts[0] for count in counts)
    return (agree >= 0.8 * len(counts), counts[0])


def _unlike(names: Sequence[object]) -> tuple[str, ...]:
    """Return names that differ without regard to case: blank ones by their place, a second `a` as `a_1`.

    >>> _unlike(["a", "", "A", "a_1"])
    ('a', 'column1', 'A_1', 'a_1_1')
    """
    found: list[str] = []
    taken: set[str] = set()
    for place, given in enumerate(names):
        plain = str(given).strip() or f"column{place}"
        name, copy = plain, 0
        while name.lower() in taken:
            copy += 1
            name = f"{plain}_{copy}"
        taken.add(name.lower())
        found.append(name)
    return tuple(found)


def _whole_number(value: object, *, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise JourneybookError(f"{place} is {value!r}: it must be a whole number, 0 or more.")
    return value
