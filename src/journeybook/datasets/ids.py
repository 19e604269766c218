"""Ids as exports leave them: words for nobody, digits that were cut off, one id in several spellings."""

import re
from collections.abc import Sequence

import duckdb

from journeybook.datasets.notation import quoted
from journeybook.errors import JourneybookError

# What stands for nobody in a column of people or visits.
_NOBODY = (
    *("null", "(null)", "nan", "na", "n/a", "#n/a", "nil", "none", "\\n", "-", "--", "-1", "undefined", "unknown"),
    *("#ref!", "#value!", "#name?", "#num!", "#null!", "#div/0!"),
    *("guest", "anonymous", "anon", "(not set)", "(none)", "not available", "missing", "<na>", "nat"),
)
# What stands for no value in a column of numbers or dates.
MISSING = ("null", "(null)", "nan", "na", "n/a", "#n/a", "nil", "none", "\\n", "-", "<na>", "nat", "(not set)")
# One id with this share of the rows, and this many times the rows of an average one, is no person.
CROWD_SHARE, CROWD_TIMES = 0.05, 20
_CUT = r"\d(?:[.,]\d+)?[eE]\+\d\d"
_ROUNDED = r"\d{15}0+"
_MANY = 20


def among(text: str, words: Sequence[str]) -> str:
    """Return SQL of whether a text is one of some words; the engine makes joins of IN, one for each column."""
    return f"regexp_full_match({text}, {quoted('|'.join(map(re.escape, words)))})"


def without_nobody(text: str) -> str:
    """Return SQL of an id, null where it is a word for nobody."""
    return f"CASE WHEN NOT {among(f'lower({text})', _NOBODY)} THEN {text} END"


def normal(text: str) -> str:
    """Return SQL of an id without capitals, blanks, needless zeros and a trailing .0, its accents composed."""
    bare = f"regexp_replace(lower(nfc_normalize({text})), '\\s+', '', 'g')"
    return f"regexp_replace(regexp_replace({bare}, '^0+(.)', '\\1'), '^(\\d+)\\.0+$', '\\1')"


def check_digits(
    engine: duckdb.DuckDBPyConnection, view: str, value: str, *, native: str, given: str, place: str
) -> None:
    """Raise JourneybookError where a spreadsheet or a float has cut digits off ids, so that several became one."""
    cure = "export the column as text, or write an expression if these ids are right as they stand"
    if native in ("DOUBLE", "FLOAT"):
        limit = 2**53 if native == "DOUBLE" else 2**24
        asked = f"SELECT count_if(isfinite({value}) AND abs({value}) >= {limit}) FROM {view}"
        n_cut = engine.execute(asked).fetchall()[0][0]
        if n_cut:
            raise JourneybookError(
                f"{place} is {given!r}, which stores {n_cut:,} ids as floats of more digits than floats hold, so "
                f"that several become one: {cure}."
            )
        return
    if native != "VARCHAR":
        return
    cut, rounded = (f"regexp_full_match({value}, {quoted(pattern)})" for pattern in (_CUT, _ROUNDED))
    n_cut, example, n_long, n_ids, n_rounded = engine.execute(
        f"SELECT count_if({cut}), min(CASE WHEN {cut} THEN {value} END), count_if(length({value}) >= 16), "
        f"count(DISTINCT CASE WHEN {rounded} THEN {value} END), count_if({rounded}) FROM {view}"
    ).fetchall()[0]
    if n_cut:
        raise JourneybookError(
            f"{place} is {given!r}, where {n_cut:,} ids are written as {example!r} is: a spreadsheet has cut off "
            f"their last digits, so that several become one; {cure}."
        )
    if n_rounded == n_long and n_ids >= _MANY:
        raise JourneybookError(
            f"{place} is {given!r}, where all {n_long:,} ids of 16 digits and more end in zeros from the 16th: a "
            f"spreadsheet has rounded them, so that several become one; {cure}."
        )
