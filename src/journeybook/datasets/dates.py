"""How a source writes dates: found file by file, never guessed where day and month cannot be told apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import duckdb

from journeybook.datasets.notation import Notation, quoted
from journeybook.errors import JourneybookError

# Names of zones that mean one offset everywhere; CST, IST and BST mean several.
_ZONES = {"CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "WET": 0, "WEST": 1, "EET": 2, "EEST": 3}
_ZONES |= {"EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
_NAMED_ZONE = rf"\s*\b({'|'.join(_ZONES)})$"
_OFFSET = rf"\d:\d\d.*(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?|[A-Za-z]+/[A-Za-z_/]+|{'|'.join(_ZONES)})$"
# How a written date begins: with a digit, or with a word before two numbers. Codes such as c12 are not tried.
_OPENS = r"^\s*(?:\d|\pL+[,. ].*\d\D+\d)"
_SAMPLE, _LEAST = 2_000, 100

# Two-digit years stand first: %Y would take '10' for the year 10.
_DAY_FIRST = ("%d/%m/%y", "%d/%m/%Y", "%d.%m.%y", "%d.%m.%Y", "%d-%m-%y", "%d-%m-%Y")
_MONTH_FIRST = ("%m/%d/%y", "%m/%d/%Y", "%m.%d.%y", "%m.%d.%Y", "%m-%d-%y", "%m-%d-%Y")
_EITHER = (
    *("%Y%m%d", "%Y.%m.%d", "%Y-%m-%d", "%Y/%m/%d", "%d %b %y", "%d %b %Y", "%d %B %Y", "%d-%b-%y", "%d-%b-%Y"),
    *("%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%a, %d %b %Y", "%A, %B %d, %Y"),
)
_TIMES = (
    *("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S"),
    *(", %H:%M", ", %H:%M:%S", ", %I:%M %p", ", %I:%M:%S %p"),
)
_WRITTEN = tuple(
    tuple(day + time for time in _TIMES for day in days) for days in (_MONTH_FIRST, _DAY_FIRST, _EITHER)
)
_ZONED = ("%a, %d %b %Y %H:%M:%S %z", "%d/%b/%Y:%H:%M:%S %z")
_STAMPS = ("%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%a %b %d %H:%M:%S %Y")
_WRITTEN = (*_WRITTEN[:2], (*_WRITTEN[2], *_STAMPS), _ZONED)
# Names of months in German, French, Spanish, Italian, Dutch and Portuguese, without accents, and in English.
_MONTHS = {
    "jan": "january januar janner janvier janv enero ene gennaio gen januari janeiro",
    "feb": "february februar feber fevrier fevr febrero febbraio februari fevereiro fev",
    "mar": "march marz maerz mrz mars marzo maart mrt marco",
    "apr": "april avril avr abril abr aprile",
    "may": "mai mayo maggio mag mei maio",
    "jun": "june juni juin junio giugno giu junho",
    "jul": "july juli juillet juil julio luglio lug julho",
    "aug": "august aout agosto ago augustus",
    "sep": "september sept septembre septiembre setiembre settembre set setembro",
    "oct": "october oktober okt octobre octubre ottobre ott outubro out",
    "nov": "november novembre noviembre novembro",
    "dec": "december dezember dez decembre diciembre dic dicembre dezembro",
}
_MONTHS = {word: month for month, words in _MONTHS.items() for word in (month, *words.split())}
_WORDED = (
    r"^\D*(\d{1,2})(?:\.|º|er)?[\s/-]+(?:de\s+)?(\pL+)\.?,?[\s/-]+(?:del?\s+)?(\d{2,4})\b"
    r"(?:,?\s+(?:um|a las|a|alle|om|as|at)\b)?"
)
# Sept. 5, 2024
_MONTH_FIRST_WORDED = r"^(?:\pL+,\s+)?(\pL+)\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})\b"
# Numbers that are times: what they look like, and how many of them a second has.
_COUNTED = {
    "seconds since 1970": (r"\d{9,10}(?:\.\d+)?", 1),
    "milliseconds since 1970": (r"\d{12,13}(?:\.0*)?", 1_000),
    "microseconds since 1970": (r"\d{15,16}(?:\.0*)?", 1_000_000),
    "days since 1899-12-30, as spreadsheets count": (r"[2-7]\d{4}(?:\.\d+)?", 0),
}
# A share of a file's dates in the other order that is no longer a slip.
_FEW = 0.02
_BOTH = "both orders"


@dataclass(frozen=True)
class Dates:
    """How a column writes dates.

    Attributes:
        formats: Formats tried in turn; empty for ISO 8601, or for what `unit` counts.
        worded: Whether months are named in another language, or a. m. and p. m. written with points or blanks.
        unit: What numbers count, a key of `_COUNTED`; empty for dates that are written.
        offset: Whether some times bring an offset from UTC.
        ambiguous: A value that reads day first and month first, where nothing decides; empty where something does.
        by_file: Files and how they write dates, where they differ.
        rest: How the dates are written that are read by none of this, where there are such.
        n_rest: How many these are.
    """

    formats: tuple[str, ...] = ()
    worded: bool = False
    unit: str = ""
    offset: bool = False
    ambiguous: str = ""
    by_file: tuple[tuple[tuple[int, ...], "Dates"], ...] = ()
    rest: "Dates | None" = None
    n_rest: int = 0

    @property
    def ways(self) -> tuple["Dates", ...]:
        """This one, those of single files, and that of the rest."""
        inner = [d for _, d in self.by_file] + ([self.rest] if self.rest else [])
        return (self, *(way for d in inner for way in d.ways))

    @property
    def timed(self) -> bool:
        """Whether some format holds an hour."""
        return any("%H" in f or "%I" in f for d in self.ways for f in d.formats)

    @property
    def units(self) -> tuple[str, ...]:
        """What numbers count, in any file."""
        return tuple(dict.fromkeys(d.unit for d in self.ways if d.unit))

    @property
    def zoned(self) -> bool:
        """Whether some values say which instant they mean, in any zone."""
        return any(d.offset or (d.unit and _COUNTED[d.unit][1]) or _has_zone(d.formats) for d in self.ways)

    def moment(self, text: str, notation: Notation, *, utc: bool = False) -> str:
        """Return SQL for the naive local time, or for that in UTC; null where there is none.

        Where files differ it asks for `file`.
        """
        if self.rest:
            first = replace(self, rest=None).moment(text, notation, utc=utc)
            return f"coalesce({first}, {self.rest.moment(text, notation, utc=utc)})"
        if self.by_file:
            ways = (
                f"WHEN file IN ({', '.join(map(str, n))}) THEN {d.moment(text, notation, utc=utc)}"
                for n, d in self.by_file
            )
            return f"CASE {' '.join(ways)} END"
        if self.unit:
            return _counted(text, self.unit, notation, utc=utc)
        text = _in_english(text) if self.worded else text
        made = self._written(text, notation, utc=utc)
        midnight = self._written(f"replace({text}, '24:00', '00:00')", notation, utc=utc)
        return f"coalesce({made}, CASE WHEN contains({text}, '24:00') THEN {midnight} + INTERVAL 1 DAY END)"

    def _written(self, text: str, notation: Notation, *, utc: bool) -> str:
        zone = quoted("UTC" if utc else notation.timezone)

        def of_local(made: str) -> str:
            return f"timezone('UTC', timezone({quoted(notation.timezone)}, {made}))" if utc else made

        if self.formats:
            made = f"try_strptime({text}, [{', '.join(map(quoted, self.formats))}])"
            if _has_zone(self.formats):
                return f"timezone({zone}, CAST({made} AS TIMESTAMPTZ))"
            return of_local(f"CAST({made} AS TIMESTAMP)")
        # A year has four digits: the engine takes 25-03-24 for the year 25, and 'epoch' for a time. It reads a
        # time up to what it does not know, PM or a zone, and leaves that out.
        naive = of_local(f"TRY_CAST({text} AS TIMESTAMP)")
        way = f"CASE WHEN ascii({text}[-1]) BETWEEN 48 AND 57 THEN {naive} END"
        if self.offset:
            zoned = f"timezone({zone}, TRY_CAST({_with_offset(text)} AS TIMESTAMPTZ))"
            way = f"CASE WHEN regexp_matches({text}, {quoted(_OFFSET)}) THEN {zoned} ELSE {way} END"
        return f"CASE WHEN regexp_matches({text}, '^[1-9]\\d\\d\\d[-/]') THEN {way} END"


ISO, ANY_ISO = Dates(), Dates(offset=True)


def usual_years(moment: str) -> str:
    """Return SQL of whether a moment is of years in which zones have clocks that are known."""
    return f"{moment} > TIMESTAMP '1900-01-01' AND {moment} < TIMESTAMP '2200-01-01'"


def _has_zone(formats: Sequence[str]) -> bool:
    return any("%z" in f.lower() for f in formats)


def _with_offset(text: str) -> str:
    """SQL of a time whose offset stands as the engine reads it: without a blank before it, as a number."""
    bare = f"regexp_replace({text}, '\\s+(?:(?:UTC|GMT)\\s*)?([+-]\\d\\d(?::?\\d\\d)?)$', '\\1')"
    hours = ", ".join(f"'{name}': '{hour:+03d}'" for name, hour in _ZONES.items())
    named = f"MAP {{{hours}}}[regexp_extract({text}, {quoted(_NAMED_ZONE)}, 1)]"
    return f"coalesce(regexp_replace({text}, {quoted(_NAMED_ZONE)}, {named}), {bare})"


def _in_english(text: str) -> str:
    """SQL of a date with the names of months, a. m. and p. m. as the engine reads them."""
    low = f"regexp_replace(strip_accents(lower({text})), '[\\x{{a0}}\\x{{202f}}\\x{{2009}}]', ' ', 'g')"
    low = f"regexp_replace({low}, '\\s*\\b([ap])\\.?\\s?m\\.?$', ' \\1m')"
    low = f"regexp_replace({low}, {quoted(_MONTH_FIRST_WORDED)}, '\\2 \\1 \\3')"
    months = ", ".join(f"{quoted(word)}: {quoted(name)}" for word, name in _MONTHS.items())
    month = f"MAP {{{months}}}[regexp_extract({low}, {quoted(_WORDED)}, 2)]"
    return f"coalesce(regexp_replace({low}, {quoted(_WORDED)}, concat('\\1 ', {month}, ' \\3')), {low})"


def _counted(text: str, unit: str, notation: Notation, *, utc: bool) -> str:
    pattern, per_second = _COUNTED[unit]
    zone = quoted("UTC" if utc else notation.timezone)
    if per_second:
        micro = f"CAST(TRY_CAST({text} AS DECIMAL(28, 6)) * {1_000_000 // per_second} AS BIGINT)"
        made = f"timezone({zone}, make_timestamptz({micro}))"
    else:
        micro = f"CAST(round(TRY_CAST({text} AS DOUBLE) * 86400) AS BIGINT) * 1000000"
        made = f"TIMESTAMP '1899-12-30' + to_microseconds({micro})"
    return f"CASE WHEN regexp_full_match({text}, {quoted(pattern)}) THEN {made} END"


def find_dates(
    engine: duckdb.DuckDBPyConnection,
    view: str,
    text: str,
    *,
    notation: Notation,
    n_values: int | None = None,
    again: bool = True,
) -> tuple[Dates, int]:
    """Return how a column of text writes dates, and how many of its values are dates.

    Each file is judged alone: ISO 8601 first, then common formats, then numbers that count. The order of day and
    month is decided by the values that allow one order only; a file without any is read as all others are. Values
    that are not read so are looked at once more, if `again`.
    """
    if notation.formats:
        given = Dates(formats=notation.formats)
        return given, _count(engine, view, f"{given.moment(text, notation)} IS NOT NULL")
    iso, offset = f"{ANY_ISO.moment(text, notation)} IS NOT NULL", f"regexp_matches({text}, {quoted(_OFFSET)})"
    if n_values is not None:
        return Dates(offset=_count(engine, view, offset) > 0), n_values
    asked = [f"{text} IS NOT NULL", iso, f"{iso} AND {offset}", f"regexp_matches({text}, {quoted(_OPENS)})"]
    files = {file: counts for file, *counts in _by_file(engine, view, asked)}
    found: dict[int, tuple[Dates, int]] = {
        file: (Dates(offset=n_offset > 0), n_iso)
        for file, (n, n_iso, n_offset, n_open) in files.items()
        if 2 * n_iso > n or not n_open
    }
    open_ = {file: n_iso for file, (_, n_iso, *_) in files.items() if file not in found}
    for worded in (False, True):
        if open_:
            made = _find_written(engine, view, text, open_, notation=notation, worded=worded)
            found |= {file: way for file, way in made.items() if file not in found or way[1] > found[file][1]}
        open_ = {file: found[file][1] for file in open_ if found[file][1] < files[file][0]}
    dates, n_dates = _joined(found), sum(n for _, n in found.values())
    return _with_rest(engine, view, text, dates, n_dates, notation=notation) if again else (dates, n_dates)


def _with_rest(
    engine: duckdb.DuckDBPyConnection, view: str, text: str, dates: Dates, n_dates: int, *, notation: Notation
) -> tuple[Dates, int]:
    """Add how the values write dates that are not read so far, and how many they are.

    A second order of day and month is no second way, and a few that nothing tells apart stay unread.
    """
    if not n_dates or dates.ambiguous:
        return dates, n_dates
    unread = f"(SELECT * FROM {view} WHERE {text} IS NOT NULL AND {dates.moment(text, notation)} IS NULL)"
    rest, n_rest = find_dates(engine, unread, text, notation=notation, again=False)
    orders = {order for d in (*dates.ways, *rest.ways) if (order := _order(d))}
    doubtful = (rest.ambiguous or rest.units) and n_rest <= _FEW * n_dates
    if not n_rest or doubtful or len(orders) > 1:
        return dates, n_dates
    return replace(dates, rest=rest, n_rest=n_rest, ambiguous=rest.ambiguous), n_dates + n_rest


def _find_written(
    engine: duckdb.DuckDBPyConnection,
    view: str,
    text: str,
    files: dict[int, int],
    *,
    notation: Notation,
    worded: bool,
) -> dict[int, tuple[Dates, int]]:
    """Return for each of the files how it writes dates and how many it holds, given how many are found without."""
    listed = f"file IN ({', '.join(map(str, files))})"
    limit = max(_SAMPLE // len(files), _LEAST)
    plain, opens = _in_english(text) if worded else text, quoted(_OPENS)
    sample = (
        f"(SELECT DISTINCT file, {plain} AS t FROM {view} WHERE {listed} AND regexp_matches({text}, {opens}) "
        f"QUALIFY row_number() OVER (PARTITION BY file ORDER BY hash(t), t) <= {limit})"
    )
    asked = [f"year(try_strptime(t, {quoted(f)})) > 999" for formats in _WRITTEN for f in formats]
    asked += [f"regexp_full_match(t, {quoted(pattern)})" for pattern, _ in _COUNTED.values()]
    likely: dict[int, list[Dates]] = {}
    for file, *hits in _by_file(engine, sample, asked):
        ways, at = [], 0
        for formats in _WRITTEN:
            seen = tuple(f for f, n in zip(formats, hits[at : at + len(formats)], strict=True) if n)
            ways.append(Dates(formats=seen, worded=worded))
            at += len(formats)
        ways += [Dates(unit=unit) for unit, n in zip(_COUNTED, hits[at:], strict=True) if n]
        likely[file] = ways
    found: dict[int, tuple[Dates, int]] = {}
    for same in {tuple(ways): None for ways in likely.values()}:
        numbers = [file for file, ways in likely.items() if tuple(ways) == same]
        rows = f"(SELECT * FROM {view} WHERE file IN ({', '.join(map(str, numbers))}))"
        moments = [d.moment(text, notation) if d.formats or d.unit else "NULL::TIMESTAMP" for d in same]
        month, day = moments[:2]
        asked = [f"{moment} IS NOT NULL" for moment in moments]
        asked += [f"{month} IS NOT NULL AND {day} IS NULL", f"{day} IS NOT NULL AND {month} IS NULL"]
        unlike = f"min(CASE WHEN {month} <> {day} THEN {text} END)"
        for file, *counts, example in _by_file(engine, rows, asked, more=unlike):
            *counts, n_month, n_day = counts
            best = max(range(len(counts)), key=counts.__getitem__)
            if files[file] >= counts[best]:
                found[file] = ANY_ISO, files[file]
                continue
            unclear = example if best < 2 and counts[0] == counts[1] and example else ""
            if best < 2 and min(n_month, n_day) > _FEW * counts[best]:
                unclear = _BOTH
            # Days that read alike in both orders, as 05/05 does, decide nothing.
            alike = best < 2 and counts[0] == counts[1] and example is None
            way = replace(same[0], formats=same[0].formats + same[1].formats) if alike else same[best]
            found[file] = replace(way, ambiguous=unclear), counts[best]
    return {file: found.get(file, (ANY_ISO, n)) for file, n in files.items()}


def _joined(found: dict[int, tuple[Dates, int]]) -> Dates:
    """Return one way for all files: a file that cannot tell day from month follows the others where they agree."""
    orders = {order for dates, n in found.values() if n and not dates.ambiguous if (order := _order(dates))}
    ways: dict[Dates, list[int]] = {}
    for file, (dates, n) in found.items():
        if dates.ambiguous not in ("", _BOTH) and len(orders) == 1:
            dates = replace(dates, formats=_turned(dates.formats, min(orders)), ambiguous="")
        if n or len(found) == 1:
            ways.setdefault(dates, []).append(file)
    if len(ways) <= 1:
        return next(iter(ways), Dates())
    unclear = next((dates.ambiguous for dates in ways if dates.ambiguous), "")
    offset = any(dates.offset for dates in ways)
    return Dates(offset=offset, ambiguous=unclear, by_file=tuple((tuple(files), d) for d, files in ways.items()))


def _order(dates: Dates) -> str | None:
    """Return "d" or "m" where a format says what comes first, else None."""
    first = {f[1] for f in dates.formats if f in _WRITTEN[0] or f in _WRITTEN[1]}
    return min(first) if len(first) == 1 else None


def _turned(formats: Sequence[str], order: str) -> tuple[str, ...]:
    """Return the formats with the day ("d") or the month ("m") first.

    >>> _turned(["%m/%d/%Y"], "d"), _turned(["%d/%m/%Y"], "d")
    (('%d/%m/%Y',), ('%d/%m/%Y',))
    """
    return tuple(f if f[1] == order else f"%{order}{f[2]}%{f[1]}{f[5:]}" for f in formats)


def _by_file(
    engine: duckdb.DuckDBPyConnection, rows: str, conditions: Sequence[str], *, more: str = ""
) -> list[tuple]:
    """Return one row a file: its number, how many rows meet each condition, and what else is asked."""
    counts = [f"coalesce(count_if({condition}), 0)" for condition in conditions]
    asked = ", ".join([*counts, *([more] if more else [])])
    return engine.execute(f"SELECT file, {asked} FROM {rows} GROUP BY file ORDER BY file").fetchall()


def _count(engine: duckdb.DuckDBPyConnection, view: str, condition: str) -> int:
    return engine.execute(f"SELECT coalesce(count_if({condition}), 0) FROM {view}").fetchall()[0][0]


def count_local(engine: duckdb.DuckDBPyConnection, view: str, text: str) -> int:
    """Return how many times bring no offset from UTC where others do; 0 where none does."""
    local = f"count_if({text} IS NOT NULL AND NOT regexp_matches({text}, {quoted(_OFFSET)}))"
    n_local, n_times = engine.execute(f"SELECT {local}, count({text}) FROM {view}").fetchall()[0]
    return n_local if n_local < n_times else 0


def say_dates(dates: Dates, name: str) -> Iterator[str]:
    """What a user should know of how a column's dates are read, one sentence each."""
    yield from (f"{name} is read as {unit}." for unit in dates.units)
    if dates.ambiguous:
        yield f"The sample does not tell the day from the month in {name}."
    if dates.by_file:
        yield f"{name} is not written alike in all files: {'; '.join(_said(d) for _, d in dates.by_file)}."
    if dates.rest:
        yield f"{name} is written in two ways: {_said(dates)}, and in {dates.n_rest:,} values {_said(dates.rest)}."


def _said(dates: Dates) -> str:
    return ", ".join(dates.formats[:1]) or dates.unit or "ISO 8601"


def check_dates(dates: Dates, *, expression: str, place: str) -> None:
    """Raise JourneybookError where nothing says whether the day or the month comes first."""
    if dates.ambiguous:
        formats = next(d.formats for d in dates.ways if d.ambiguous and d.formats)
        one = f" (one is {dates.ambiguous!r})" if dates.ambiguous != _BOTH else ", written in both orders,"
        raise JourneybookError(
            f"{place} is {expression!r}, whose dates{one} can be read month first or day first: say which, with "
            f"options: {{dateformat: {formats[0]!r}}} or an expression such as strptime(column, {formats[0]!r})."
        )
