"""From the values of a file to the types of the canonical tables: what converts, and how.

A file's values are text first. What kind a column is of is decided by all of its values, so that one bad value
neither stops the reading nor turns a column of numbers into text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb

from journeybook.datasets.dates import ANY_ISO, ISO, Dates, find_dates, usual_years
from journeybook.datasets.ids import among
from journeybook.datasets.notation import Notation, find_currencies, find_notation, quoted

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

# True and false as spreadsheets of other languages write them, and yes and no in these.
_TRUTHS, _LIES = ("true", "wahr", "vrai", "verdadero", "vero"), ("false", "falsch", "faux", "falso")
_TRUE = (*_TRUTHS, "t", "yes", "y", "1", "1.0", "ja", "j", "oui", "si", "sí", "sim", "verdadeiro")
_FALSE = (*_LIES, "f", "no", "n", "0", "0.0", "nein", "nee", "non", "não")
_DATE_ONLY = r"\d{4}[-/]\d\d?[-/]\d\d?"

_BLANKS = (32, 9, 10, 13, 160)
# What nobody sees before a text: a space of no width, the mark of a byte order.
_UNSEEN = (8203, 65279)
# What spreadsheets put around or before a text so that it is none of theirs: ="00123" and '00123.
_GUARD = r"^=\"(.*)\"$|^'([=+@0-9-].*)$"
_INTEGERS = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?$")


@dataclass(frozen=True)
class Column:
    """One column of a source, and what its values are.

    Attributes:
        name: Name in the file.
        stored: Its name in the staged table, where text is trimmed and blank text is null.
        native: The type it is stored as; VARCHAR for everything from a CSV file.
        notation: How its numbers and dates are written.
        kind: What its values are: text, integer, number, boolean, date, timestamp, or nested.
        n_values: Values that are not missing.
        n_right: Values of that kind.
        dates: How dates are written, where the kind is date or timestamp.
        currencies: What stands beside its numbers.
        unclear: Why its numbers cannot be trusted; empty if they can.
    """

    name: str
    stored: str
    native: str
    notation: Notation
    kind: str = "text"
    n_values: int = 0
    n_right: int = 0
    dates: Dates = ISO
    currencies: tuple[str, ...] = ()
    unclear: str = ""

    @property
    def clean(self) -> bool:
        """Whether every value is of the kind."""
        return self.n_right == self.n_values

    @property
    def text(self) -> str:
        """SQL of the value as text."""
        return self.stored if self.native == "VARCHAR" else f"CAST({self._native_value()} AS VARCHAR)"

    @property
    def typed(self) -> str:
        """SQL of the value in its kind's type, null where it does not convert."""
        if self.kind == "text":
            return self.stored
        if self.native != "VARCHAR":
            zone = quoted(self.notation.timezone)
            zoned = self.native == "TIMESTAMP WITH TIME ZONE"
            return f"timezone({zone}, {self.stored})" if zoned else self._native_value()
        kinds = {"integer": "int64", "number": "float64", "boolean": "boolean", "date": "date"}
        dtype = kinds.get(self.kind, "timestamp(6)")
        return from_text(self.stored, dtype, notation=self.notation, dates=self.dates)

    def _native_value(self) -> str:
        if self.native in ("DOUBLE", "FLOAT"):
            finite = f"CASE WHEN isfinite({self.stored}) THEN {self.stored} END"
            return f"CAST({finite} AS BIGINT)" if self.kind == "integer" else finite
        return self.stored


def trimmed(value: str) -> str:
    """Return SQL of text without blanks and guards, in Latin digits where it begins with one; null for nothing."""
    blanks = [f"chr({code})" for code in (*_BLANKS, *_UNSEEN)]
    # Most values have none, and are only looked at.
    around = f"ascii({value}) <= 32 OR ascii({value}) IN (160, {', '.join(map(str, _UNSEEN))}) OR "
    around += " OR ".join(f"suffix({value}, chr({code}))" for code in _BLANKS)
    bare = f"nullif(trim({value}, {' || '.join(blanks)}), '')"
    free = f"nullif(regexp_replace({value}, {quoted(_GUARD)}, '\\1\\2'), '')"
    # Arabic, Persian and wide digits, by their zeros.
    zeros = (0x660, 0x6F0, 0xFF10)
    digits = "".join(chr(zero + n) for zero in zeros for n in range(10)) + "٫٬"
    latin = f"translate({bare}, '{digits}', '{'0123456789' * len(zeros)}.,')"
    foreign = " OR ".join(f"ascii({value}) BETWEEN {zero} AND {zero + 9}" for zero in zeros)
    ways = f"WHEN ascii({value}) IN (39, 61) THEN {free} WHEN {foreign} THEN {latin}"
    return f"CASE {ways} WHEN {around} THEN {bare} ELSE {value} END"


def from_text(text: str, dtype: str, *, notation: Notation, dates: Dates) -> str:
    """Return SQL that makes a canonical type from text, null where it does not convert."""
    if dtype == "string":
        return text
    if dtype == "boolean":
        yes, no = among(f"lower({text})", _TRUE), among(f"lower({text})", _FALSE)
        return f"CASE WHEN {yes} THEN true WHEN {no} THEN false END"
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


def instant(
    engine: duckdb.DuckDBPyConnection, view: str, n: int, *, native: str, notation: Notation, dates: Dates
) -> tuple[str, bool]:
    """Return SQL of a further column, the moment of an event in UTC, and whether the files themselves say it.

    Local times over a change of clocks (`v<n>`, as given `g<n>`) are taken for those of the zone, unless its
    clocks skip one of them.
    """
    zone, given, local = quoted(notation.timezone), f"g{n}", f"v{n}"
    if native == "TIMESTAMP WITH TIME ZONE":
        return f", timezone('UTC', {given}) AS instant", True
    if dates.zoned:
        text = from_value(given, native, "string", notation=notation, dates=dates)
        return f", {dates.moment(text, notation, utc=True)} AS instant", True
    made = f"timezone({zone}, {local})"
    asked = f"count(DISTINCT epoch({local}) - epoch({made})), count_if(timezone({zone}, {made}) <> {local})"
    counts = engine.execute(f"SELECT {asked} FROM {view} WHERE {usual_years(local)}").fetchall()[0]
    clocks_change = counts[0] > 1 and not counts[1]
    return (f", timezone('UTC', {made}) AS instant" if clocks_change else ""), False


def profile(engine: duckdb.DuckDBPyConnection, view: str, columns: Sequence[Column]) -> list[Column]:
    """Return the columns with what all of their values say of their kind.

    A column of text is of a kind when more than half of its values are; it stays text where a number begins with a
    needless zero or has 19 digits, for then it is a code (a postcode, an account).
    """
    asked = [_measures(column) for column in columns]
    if not asked:
        return []
    listed = ", ".join(measure for measures in asked for measure in measures)
    counts = iter(engine.execute(f"SELECT {listed} FROM {view}").fetchall()[0])
    return [
        _decided(engine, view, column, [next(counts) for _ in measures])
        for column, measures in zip(columns, asked, strict=True)
    ]


def _measures(column: Column) -> list[str]:
    value = column.stored
    if column.native in ("DOUBLE", "FLOAT"):
        finite = f"isfinite({value})"
        return [f"count_if({finite})", f"count_if({finite} AND {value} = trunc({value}) AND abs({value}) < 9e15)"]
    if column.native != "VARCHAR":
        return [f"count({value})"]
    whole = rf"[+-]?\d{{1,18}}(?:{re.escape(column.notation.point)}0*)?"
    return [
        f"count({value})",
        f"count({column.notation.number(value)})",
        f"count_if(regexp_full_match({value}, {quoted(whole)}))",
        f"count_if(regexp_matches({value}, '^[+-]?(?:0\\d|\\d{{19}})'))",
        f"count_if({among(f'lower({value})', (*_TRUTHS, *_LIES))})",
        f"count({ANY_ISO.moment(value, column.notation)})",
        f"count_if(regexp_full_match({value}, {quoted(_DATE_ONLY)}))",
    ]


def _decided(engine: duckdb.DuckDBPyConnection, view: str, column: Column, counts: Sequence[int]) -> Column:
    n_values = counts[0]
    if column.native != "VARCHAR":
        return replace(column, kind=_native_kind(column.native, counts), n_values=n_values, n_right=n_values)
    _, n_numbers, n_whole, n_padded, n_words, n_iso, n_days = counts
    column = replace(column, n_values=n_values, n_right=n_values)
    if not n_values or n_words == n_values:
        return replace(column, kind="boolean" if n_values else "text")
    if not n_padded and n_whole == n_values:
        return replace(column, kind="integer")
    if 2 * n_iso <= n_values and not n_padded:
        notation, unclear = find_notation(engine, view, column.stored, notation=column.notation)
        if notation != column.notation:
            column = replace(column, notation=notation, unclear=unclear)
            n_numbers = engine.execute(f"SELECT count({notation.number(column.stored)}) FROM {view}").fetchall()[
                0
            ][0]
            if notation.dressed:
                column = replace(column, currencies=find_currencies(engine, view, column.stored))
        if 2 * n_numbers > n_values:
            kind = "integer" if n_whole == n_numbers and not notation.thousands else "number"
            return replace(column, kind=kind, n_right=n_numbers)
    if 2 * n_numbers <= n_values:
        all_iso = n_values if n_iso == n_values else None
        dates, n_dates = find_dates(engine, view, column.stored, notation=column.notation, n_values=all_iso)
        if 2 * n_dates > n_values and not dates.ambiguous and not dates.units:
            plain = n_days == n_values or ((dates.formats or dates.by_file) and not dates.timed and not n_iso)
            return replace(column, kind="date" if plain else "timestamp", n_right=n_dates, dates=dates)
    return column


def _native_kind(native: str, counts: Sequence[int]) -> str:
    if native in ("DOUBLE", "FLOAT"):
        return "integer" if counts[0] and counts[0] == counts[1] else "number"
    if _INTEGERS.match(native):
        return "integer"
    kinds = {"DECIMAL": "number", "BOOLEAN": "boolean", "DATE": "date", "TIMESTAMP": "timestamp"}
    return next((kind for start, kind in kinds.items() if native.startswith(start)), "nested")
