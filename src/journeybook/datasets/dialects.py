"""How a CSV file is written: found in its first lines, or given."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import duckdb

from journeybook.datasets.notation import quoted
from journeybook.datasets.unpacking import Plain
from journeybook.errors import JourneybookError

_DELIMITERS = (",", ";", "\t", "|")
_HEAD_BYTES = 1 << 20
_PREAMBLE = 60


@dataclass(frozen=True)
class Dialect:
    """How one CSV file is written: the options its parser is given.

    `skip` counts records, as the parser does, and `n_head` the lines they take: a header may hold line breaks.
    """

    names: tuple[str, ...]
    delimiter: str
    skip: int
    n_head: int
    doubled: tuple[str, ...]


def read_dialect(file: Plain, options: Mapping, *, name: str) -> Dialect:
    """Return how a CSV file is written, from what is given and from its first lines.

    Raises:
        JourneybookError: The header cannot be found, or other lines stand above it.
    """
    with file.path.open("rb") as opened:
        head = opened.read(_HEAD_BYTES).decode("utf-8-sig", errors="replace")
    quote = read_quote(options)
    skipped = _whole_number(options.get("skip", 0), place=f"files.{name}.options.skip")
    lines = head.splitlines(keepends=True)[skipped:]
    given = options.get("delim")
    if lines and (announced := re.fullmatch(r'"?sep=(.)"?\s*', lines[0])):
        # Excel's own line, which names the delimiter.
        lines, skipped, given = lines[1:], skipped + 1, given or announced.group(1)
    # Empty lines above the header are no rows.
    while lines and not lines[0].strip():
        lines, skipped = lines[1:], skipped + 1
    text = "".join(lines)
    given = "\t" if given == "\\t" else given
    if given is not None and (not isinstance(given, str) or len(given) != 1):
        raise JourneybookError(f"files.{name}.options.delim is {given!r}: it must be one character.")
    delimiter = given or max(_DELIMITERS, key=lambda sign: _fit(text, sign, quote))
    records = _records(text, delimiter, quote)
    first = next(records, None)
    if first is None:
        raise JourneybookError(f"files.{name}: {file.name!r} has no header.")
    fields, n_lines = first
    whole = len(fields) == 1 and quote and text.startswith(quote)
    if whole and any(_fit(fields[0], sign, quote)[1] for sign in _DELIMITERS):
        raise JourneybookError(
            f"files.{name}: the lines of {file.name!r} stand in quotes, so that each is one field: save the file "
            "again from where it comes, or without the quotes around its lines."
        )
    if options.get("header", True) is not False and not options.get("names"):
        _check_preamble(text, delimiter, quote, skipped, place=f"files.{name}: {file.name!r}")
    n_records = 1
    if options.get("header", True) is False:
        fields, n_records, n_lines = [""] * len(fields), 0, 0
    names = options.get("names", [])
    if not isinstance(names, list):
        raise JourneybookError(f"files.{name}.options.names is {names!r}: it must be a list of column names.")
    unlike, doubled = _unlike([*names, *fields[len(names) :]])
    return Dialect(unlike, delimiter, skipped + n_records, skipped + n_lines, doubled)


def find_headers(
    engine: duckdb.DuckDBPyConnection, part: str, file: Plain, dialect: Dialect, *, order: Sequence[str]
) -> set[int]:
    """Return the lines that hold the header once more, as of files put one behind the other, if `part` has any."""
    alike = [f"s{order.index(name)} = {quoted(name)}" for name in dialect.names]
    asked = f"SELECT count(*) FROM {part} WHERE {' AND '.join(alike)}"
    if len(alike) < 2 or not dialect.n_head or not engine.execute(asked).fetchall()[0][0]:
        return set()
    with file.path.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        *_, header = islice(lines, dialect.n_head)
        return {n for n, line in enumerate(lines, start=dialect.n_head + 1) if line.strip() == header.strip()}


def read_quote(options: Mapping) -> str:
    """Return the quoting sign; empty for none."""
    quote = options.get("quote", '"')
    return "" if quote is None else str(quote)


def _check_preamble(text: str, delimiter: str, quote: str, skipped: int, *, place: str) -> None:
    """Raise JourneybookError where the first lines have fewer fields than nearly all below them."""
    records = [(len(fields), end) for fields, end in islice(_records(text, delimiter, quote), _PREAMBLE) if fields]
    counts = [n for n, _ in records]
    most = max(set(counts), key=lambda n: (counts.count(n), n))
    start = counts.index(most)
    if (
        start
        and 2 * max(counts[:start]) <= most
        and counts[start:].count(most) >= 0.8 * len(counts[start:]) >= 1.6
    ):
        skip = skipped + records[start - 1][1]
        raise JourneybookError(
            f"{place} has {most} fields a line from line {skip + 1} on, fewer above it: if that is the header, "
            f"give options: {{skip: {skip}}}."
        )


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
    most = max(counts, key=counts.count, default=1)
    return (False, 0) if most == 1 else (counts.count(most) >= 0.8 * len(counts), most)


def _unlike(names: Sequence[object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names on one line that differ but for case, and those that were given twice.

    Blank ones are named by their place, a second `a` is `a_1`.

    >>> _unlike(["a", "", "A", "a_1"])
    (('a', 'column1', 'A_1', 'a_1_1'), ('A', 'a_1'))
    """
    found: list[str] = []
    doubled: list[str] = []
    taken: set[str] = set()
    for place, given in enumerate(names):
        plain = " ".join(str(given).replace("\ufeff", "").replace("\u200b", "").split()) or f"column{place}"
        name, copy = plain, 0
        doubled += [plain] if plain.lower() in {one.lower() for one in found} and str(given).strip() else []
        while name.lower() in taken:
            copy += 1
            name = f"{plain}_{copy}"
        taken.add(name.lower())
        found.append(name)
    return tuple(found), tuple(dict.fromkeys(doubled))


def _whole_number(value: object, *, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise JourneybookError(f"{place} is {value!r}: it must be a whole number, 0 or more.")
    return value
