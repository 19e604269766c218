"""From the values of a file to the types of the canonical tables: what converts, and how.

A file's values are text first. What kind a column is of is decided by all of its values, so that one bad value
neither stops the reading nor turns a column of numbers into text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb

from journeybook.errors import JourneybookError

# Ibis types of the canonical tables, in DuckDB's words.
ENGINE_TYPES = {
    "string": "VARCHAR",
    "timestamp(6)": "TIMESTAMP",
    "date": "DATE",
    "boolean": "BOOLEAN",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "decimal(18, 4)": "DECIMAL(18, 4)",
}

_TRUE = "('true', 't', 'yes', 'y', '1', '1.0')"
_FALSE = "('false', 'f', 'no', 'n', '0', '0.0')"
_OFFSET = r"\d:\d\d.*(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?|[A-Za-z]+/[A-Za-z_/]+)$"
_DATE_ONLY = r"\d{4}[-/]\d\d?[-/]\d\d?"
_SAMPLE = 2_000

# Two-digit years stand first: %Y would take '10' for the year 10.
_DAY_FIRST = ("%d/%m/%y", "%d/%m/%Y", "%d.%m.%y", "%d.%m.%Y", "%d-%m-%y", "%d-%m-%Y")
_MONTH_FIRST = ("%m/%d/%y", "%m/%d/%Y", "%m.%d.%y", "%m.%d.%Y", "%m-%d-%y", "%m-%d-%Y")
_EITHER = (
    *("%Y%m%d", "%Y.%m.%d", "%d %b %y", "%d %b %Y", "%d %B %Y", "%d-%b-%y", "%d-%b-%Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S")

_INTEGERS = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?$")


def quoted(text: str) -> str:
    """Return an SQL text literal.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Notation:
    """How a source writes numbers and dates.

    Attributes:
        timezone: Zone that times with an offset are converted to.
        decimal: Sign between whole and fraction.
        thousands: Sign between groups of three digits; empty for none.
        formats: Formats of dates as the user gives them; empty to find them.
    """

    timezone: str
    decimal: str = "."
    thousands: str = ""
    formats: tuple[str, ...] = ()

    def number(self, text: str) -> str:
        """Return SQL for the text of a number as the engine writes it, null where it is none."""
        point, group = re.escape(self.decimal), re.escape(self.thousands)
        whole = rf"(?:\d+|\d{{1,3}}(?:{group}\d{{3}})+)" if group else r"\d+"
        pattern = quoted(rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?")
        plain = f"replace({text}, {quoted(self.thousands)}, '')" if self.thousands else text
        plain = f"replace({plain}, {quoted(self.decimal)}, '.')" if self.decimal != "." else plain
        return f"CASE WHEN regexp_full_match({text}, {pattern}) THEN {plain} END"


@dataclass(frozen=True)
class Dates:
    """How a column writes dates.

    Attributes:
        formats: Formats tried in turn; empty for ISO 8601.
        offset: Whether some times bring an offset from UTC.
        ambiguous: A value that reads day first and month first, where nothing decides; empty where something does.
    """

    formats: tuple[str, ...] = ()
    offset: bool = False
    ambiguous: str = ""

    def moment(self, text: str, notation: Notation) -> str:
        """Return SQL for the naive local time, null where there is none."""
        if self.formats:
            listed = ", ".join(map(quoted, self.formats))
            return f"CAST(try_strptime({text}, [{listed}]) AS TIMESTAMP)"
        local = f"TRY_CAST({text} AS TIMESTAMP)"
        if self.offset:
            zoned = f"timezone({quoted(notation.timezone)}, TRY_CAST({text} AS TIMESTAMPTZ))"
            local = f"CASE WHEN regexp_matches({text}, {quoted(_OFFSET)}) THEN {zoned} ELSE {local} END"
        # 'infinity' and 'epoch' are times to the engine.
        return f"CASE WHEN ascii({text}) BETWEEN 48 AND 57 THEN {local} END"


@dataclass(frozen=True)
class Column:
    """One column of a source, and what its values are.

    Attributes:
        name: Name in the file.
        stored: Its name in the staged table, where text is trimmed and blank text is null.
        native: The type it is stored as; VARCHAR for everything from a CSV file.
        kind: What its values are: text, integer, number, boolean, date, timestamp, or nested.
        n_values: Values that are not missing.
        n_right: Values of that kind.
        dates: How dates are written, where the kind is date or timestamp.
    """

    name: str
    stored: str
    native: str
    kind: str = "text"
    n_values: int = 0
    n_right: int = 0
    dates: Dates = Dates()

    @property
    def clean(self) -> bool:
        """Whether every value is of the kind."""
        return self.n_right == self.n_values

    @property
    def text(self) -> str:
        """SQL of the value as text."""
        if self.native == "VARCHAR":
            return self.stored
        return f"CAST({self._native_value()} AS VARCHAR)"

    def typed(self, notation: Notation) -> str:
        """SQL of the value in its kind's type, null where it does not convert."""
        if self.kind == "text":
            return self.stored
        if self.native != "VARCHAR":
            zone = quoted(notation.timezone)
            zoned = self.native == "TIMESTAMP WITH TIME ZONE"
            return f"timezone({zone}, {self.stored})" if zoned else self._native_value()
        dtype = {"integer": "int64", "number": "float64", "boolean": "boolean", "date": "date"}
        return from_text(self.stored, dtype.get(self.kind, "timestamp(6)"), notation=notation, dates=self.dates)

    def _native_value(self) -> str:
        if self.native in ("DOUBLE", "FLOAT"):
            finite = f"CASE WHEN isfinite({self.stored}) THEN {self.stored} END"
            return f"CAST({finite} AS BIGINT)" if self.kind == "integer" else finite
        return self.stored


def from_text(text: str, dtype: str, *, notation: Notation, dates: Dates) -> str:
    """Return SQL that makes a canonical type from text, null where it does not convert."""
    if dtype == "string":
        return text
    if dtype == "boolean":
        return f"CASE WHEN lower({text}) IN {_TRUE} THEN true WHEN lower({text}) IN {_FALSE} THEN false END"
    if dtype in ("date", "timestamp(6)"):
        return f"CAST({dates.moment(text, notation)} AS {ENGINE_TYPES[dtype]})"
    number = notation.number(text)
    if dtype == "int64":
        # Through text, for a float has no more than 15 digits; 3.0 is whole, 3.5 is not.
        exact = f"regexp_extract({number}, '^([+-]?\\d+)(?:\\.0*)?$', 1)"
        return f"TRY_CAST(nullif({exact}, '') AS BIGINT)"
    return f"TRY_CAST({number} AS {ENGINE_TYPES[dtype]})"


def from_value(value: str, native: str, dtype: str, *, notation: Notation, dates: Dates) -> str:
    """Return SQL that makes a canonical type from a value of the engine's type `native`."""
    if native == "VARCHAR":
        return from_text(value, dtype, notation=notation, dates=dates)
    if native == "TIMESTAMP WITH TIME ZONE":
        value = f"timezone({quoted(notation.timezone)}, {value})"
    fraction = native in ("DOUBLE", "FLOAT") or native.startswith("DECIMAL")
    if dtype == "string" and fraction:
        whole = f"{value} = trunc({value}) AND abs({value}) < 9e15"
        return f"CASE WHEN {whole} THEN CAST(CAST({value} AS BIGINT) AS VARCHAR) ELSE CAST({value} AS VARCHAR) END"
    if dtype == "boolean" and native != "BOOLEAN":
        return from_text(f"CAST({value} AS VARCHAR)", dtype, notation=notation, dates=dates)
    if dtype in ("date", "timestamp(6)") and (fraction or _INTEGERS.match(native)):
        text = from_value(value, native, "string", notation=notation, dates=dates)
        return from_text(text, dtype, notation=notation, dates=dates)
    if dtype == "int64" and fraction:
        return f"CASE WHEN {value} = trunc({value}) THEN TRY_CAST({value} AS BIGINT) END"
    if dtype == "float64":
        return f"CASE WHEN isfinite(TRY_CAST({value} AS DOUBLE)) THEN TRY_CAST({value} AS DOUBLE) END"
    return f"TRY_CAST({value} AS {ENGINE_TYPES[dtype]})"


def profile(
    connection: duckdb.DuckDBPyConnection, view: str, columns: Sequence[Column], *, notation: Notation
) -> list[Column]:
    """Return the columns with what all of their values say of their kind.

    A column of text is of a kind when more than half of its values are; it stays text where a number begins with a
    needless zero or has 19 digits, for then it is a code (a postcode, an account).
    """
    measures: list[str] = []
    spans = []
    for column in columns:
        asked = _measures(column, notation)
        spans.append(len(asked))
        measures += asked
    if not measures:
        return []
    (row,) = connection.execute(f"SELECT {', '.join(measures)} FROM {view}").fetchall()
    found, at = [], 0
    for column, span in zip(columns, spans, strict=True):
        found.append(_decided(connection, view, column, row[at : at + span], notation=notation))
        at += span
    return found


def _measures(column: Column, notation: Notation) -> list[str]:
    value = column.stored
    if column.native in ("DOUBLE", "FLOAT"):
        finite = f"isfinite({value})"
        return [f"count_if({finite})", f"count_if({finite} AND {value} = trunc({value}) AND abs({value}) < 9e15)"]
    if column.native != "VARCHAR":
        return [f"count({value})"]
    point = re.escape(notation.decimal)
    whole = rf"[+-]?\d{{1,18}}(?:{point}0*)?"
    return [
        f"count({value})",
        f"count({notation.number(value)})",
        f"count_if(regexp_full_match({value}, {quoted(whole)}))",
        f"count_if(regexp_matches({value}, '^[+-]?(?:0\\d|\\d{{19}})'))",
        f"count_if(lower({value}) IN ('true', 'false'))",
        f"count_if(ascii({value}) BETWEEN 48 AND 57 AND TRY_CAST({value} AS TIMESTAMP) IS NOT NULL)",
        f"count_if(regexp_full_match({value}, {quoted(_DATE_ONLY)}))",
    ]


def _decided(
    connection: duckdb.DuckDBPyConnection, view: str, column: Column, counts: Sequence[int], *, notation: Notation
) -> Column:
    n_values = counts[0]
    if column.native != "VARCHAR":
        return replace(column, kind=_native_kind(column.native, counts), n_values=n_values, n_right=n_values)
    _, n_numbers, n_whole, n_padded, n_words, n_iso, n_days = counts
    kind, n_right = "text", n_values
    dates = Dates()
    if n_padded == 0 and 2 * n_numbers > n_values:
        kind, n_right = ("integer" if n_whole == n_numbers else "number"), n_numbers
    elif n_values and n_words == n_values:
        kind = "boolean"
    elif 2 * n_numbers <= n_values and n_values:
        dates, n_dates = find_dates(connection, view, column.stored, n_iso=n_iso, notation=notation)
        if 2 * n_dates > n_values and not dates.ambiguous:
            kind, n_right = "timestamp", n_dates
            if n_days == n_values or (dates.formats and not any("%H" in f or "%I" in f for f in dates.formats)):
                kind = "date"
    return replace(column, kind=kind, n_values=n_values, n_right=n_right, dates=dates)


def _native_kind(native: str, counts: Sequence[int]) -> str:
    if native in ("DOUBLE", "FLOAT"):
        return "integer" if counts[0] and counts[0] == counts[1] else "number"
    if _INTEGERS.match(native):
        return "integer"
    for start, kind in (
        ("DECIMAL", "number"),
        ("BOOLEAN", "boolean"),
        ("DATE", "date"),
        ("TIMESTAMP", "timestamp"),
    ):
        if native.startswith(start):
            return kind
    return "nested"


def find_dates(
    connection: duckdb.DuckDBPyConnection, view: str, text: str, *, notation: Notation, n_iso: int | None = None
) -> tuple[Dates, int]:
    """Return how a column of text writes dates, and how many of its values are dates.

    ISO 8601 comes first, then common formats; the order of day and month is decided by the values that allow one
    order only, over the whole column.
    """

    def count(condition: str) -> int:
        return connection.execute(f"SELECT count_if({condition}) FROM {view}").fetchall()[0][0]

    if notation.formats:
        given = Dates(formats=notation.formats)
        return given, count(f"{given.moment(text, notation)} IS NOT NULL")
    if n_iso is None:
        n_iso = count(f"{Dates().moment(text, notation)} IS NOT NULL")
    iso = Dates(offset=n_iso > 0 and count(f"regexp_matches({text}, {quoted(_OFFSET)})") > 0)
    if 2 * n_iso > count(f"{text} IS NOT NULL"):
        return iso, n_iso
    sample = (
        f"(SELECT DISTINCT {text} AS t FROM {view} WHERE {text} IS NOT NULL ORDER BY hash(t), t LIMIT {_SAMPLE})"
    )
    likely, counts = [], []
    for days in (_MONTH_FIRST, _DAY_FIRST, _EITHER):
        formats = [day + time for time in _TIMES for day in days]
        asked = ", ".join(f"count_if(year(try_strptime(t, {quoted(f)})) > 999)" for f in formats)
        (hits,) = connection.execute(f"SELECT {asked} FROM {sample}").fetchall()
        dates = Dates(formats=tuple(f for f, n in zip(formats, hits, strict=True) if n))
        if dates.formats:
            likely.append(dates)
            counts.append(count(f"{dates.moment(text, notation)} IS NOT NULL"))
    if n_iso >= max(counts, default=0):
        return iso, n_iso
    best = max(range(len(likely)), key=counts.__getitem__)
    if len(likely) > 1 and counts[0] == counts[1]:
        month, day = (dates.moment(text, notation) for dates in likely[:2])
        unlike = f"SELECT min({text}) FROM {view} WHERE {month} IS DISTINCT FROM {day}"
        example = connection.execute(unlike).fetchall()[0][0]
        if example is not None:
            return replace(likely[0], ambiguous=example), counts[0]
    return likely[best], counts[best]


def check_dates(dates: Dates, *, expression: str, place: str) -> None:
    """Raise JourneybookError where nothing says whether the day or the month comes first."""
    if dates.ambiguous:
        raise JourneybookError(
            f"{place} is {expression!r}, whose dates (one is {dates.ambiguous!r}) can all be read month first or "
            f"day first: say which, with an expression such as strptime(column, {dates.formats[0]!r}) or with the "
            "option dateformat."
        )
