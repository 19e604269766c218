"""How a source writes numbers: decimal sign, thousands, currency, and the several ways to write a minus."""

import re
from dataclasses import dataclass, replace

import duckdb

from journeybook.errors import JourneybookError

_SIGNS = {"€": "EUR", "£": "GBP", "$": "USD", "US$": "USD", "¥": "JPY", "₹": "INR", "R$": "BRL", "ZŁ": "PLN"}
_CODES = (
    "USD EUR GBP JPY CNY INR CHF CAD AUD NZD SEK NOK DKK PLN CZK HUF RON BGN TRY RUB UAH BRL MXN ARS CLP COP PEN "
    "ZAR NGN KES EGP ILS AED SAR SGD HKD KRW TWD THB MYR IDR PHP VND"
)
_CURRENCY = rf"(?:(?:US|CA|AU|NZ|HK|[RCAS])?\p{{Sc}}|zł|Kč|kr\.?|Rs\.?|{'|'.join(_CODES.split())})"
_BLANK = r"[\s\x{a0}\x{202f}\x{2009}]"
_MINUS = r"[-−–]"
# Signs that stand between groups of three digits and nowhere else.
_GROUPS = r"[ '’\x{a0}\x{202f}\x{2009}]"
_SEEN = 2_000
# A share of values written the other way that is no longer a slip.
_FEW = 0.01


def quoted(text: str) -> str:
    """Return an SQL text literal.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Notation:
    """How a source, or one of its columns, writes numbers and dates.

    Attributes:
        timezone: Zone that times with an offset are converted to.
        decimal: Sign between whole and fraction; empty to find it.
        thousands: Sign between groups of digits; empty for none.
        formats: Formats of dates as the user gives them; empty to find them.
        dressed: Whether numbers bear currencies, blanks between groups, brackets or a minus behind them.
    """

    timezone: str
    decimal: str = ""
    thousands: str = ""
    formats: tuple[str, ...] = ()
    dressed: bool = False

    @property
    def point(self) -> str:
        """The decimal sign, a point where none was given or found."""
        return self.decimal or "."

    def number(self, text: str) -> str:
        """Return SQL for the text of a number as the engine writes it, null where it is none."""
        plain = self._plain(text)
        if not self.dressed:
            return plain
        worn = self._dressed(text)
        return f"coalesce({plain}, {worn})" if self.point == "." else worn

    def _plain(self, text: str) -> str:
        # An exponent without its sign is a code, such as 12E4.
        whole = rf"(?:\d+|{self._grouped(re.escape(self.thousands))})" if self.thousands else r"\d+"
        point = re.escape(self.point)
        pattern = quoted(rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]\d+)?")
        return f"CASE WHEN regexp_full_match({text}, {pattern}) THEN {self._bare(text)} END"

    def _dressed(self, text: str) -> str:
        sign = rf"{_BLANK}*(?:{_CURRENCY})?{_BLANK}*"
        group = rf"(?:{_GROUPS}|{re.escape(self.thousands)})" if self.thousands else _GROUPS
        point = re.escape(self.point)
        number = rf"(?:(?:\d+|{self._grouped(group)})(?:{point}\d*)?|{point}\d+)"
        opening = rf"\(?{_BLANK}*(?:{_MINUS}|\+)?{sign}(?:{_MINUS}|\+)?{_BLANK}*"
        pattern = quoted(rf"^{opening}({number}){sign}{_MINUS}?{sign}\)?{sign}$")
        digits = self._bare(f"regexp_replace(regexp_extract({text}, {pattern}, 1), {quoted(_GROUPS)}, '', 'g')")
        below = quoted(rf"^\(.*\)|^\D*{_MINUS}|{_MINUS}\D*$")
        minus = f"CASE WHEN regexp_matches({text}, {below}) THEN '-' ELSE '' END"
        return f"CASE WHEN regexp_matches({text}, {pattern}) THEN {minus} || {digits} END"

    @staticmethod
    def _grouped(sign: str) -> str:
        # Groups of three, or of two above the last three as in 1,23,456.
        return rf"\d{{1,3}}(?:{sign}\d{{2,3}})*{sign}\d{{3}}"

    def _bare(self, text: str) -> str:
        text = f"replace({text}, {quoted(self.thousands)}, '')" if self.thousands else text
        return f"replace({text}, {quoted(self.point)}, '.')" if self.point != "." else text


def find_notation(
    engine: duckdb.DuckDBPyConnection, view: str, text: str, *, notation: Notation, place: str
) -> Notation:
    """Return how a column of text writes numbers that are not all plain; as given where they are no numbers.

    Args:
        engine: DuckDB inside the process.
        view: The source's rows.
        text: SQL of the column.
        notation: What the user gave.
        place: What the column is called, for messages.

    Raises:
        JourneybookError: Nothing says whether a sign divides groups or fractions, or values disagree.
    """
    unlike = f"{text} IS NOT NULL AND {notation.number(text)} IS NULL"
    whole = quoted(r"[+-]?\d+")
    odd = f"SELECT {text} AS t FROM {view} WHERE {unlike} LIMIT {_SEEN}"
    shown = f"SELECT {text} AS t FROM {view} WHERE NOT regexp_full_match({text}, {whole}) LIMIT {_SEEN}"
    loose = quoted(
        rf"{_BLANK}*\(?(?:{_MINUS}|\+|{_CURRENCY}|{_BLANK})*\d[\d.,'’\s\x{{a0}}\x{{202f}}\x{{2009}}]*"
        rf"(?:{_MINUS}|{_CURRENCY}|{_BLANK})*\)?{_BLANK}*"
    )
    threes = quoted(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+")
    asked = f"SELECT count(*), coalesce(count_if(regexp_full_match(t, {loose})), 0) FROM ({odd})"
    n_odd, n_loose = engine.execute(asked).fetchall()[0]
    only_threes = engine.execute(
        f"SELECT count(*) > 0 AND bool_and(regexp_full_match(t, {threes})) FROM ({shown})"
    )
    if 2 * n_loose < n_odd or (not n_odd and not only_threes.fetchall()[0][0]):
        return notation
    made = replace(notation, dressed=n_loose > 0)
    if notation.decimal or notation.thousands:
        return made
    bare = f"regexp_replace({text}, '[^0-9.,]', '', 'g')"
    shapes = {
        "point": r"\d*(?:,\d+)*\.\d{0,2}|\d*(?:,\d+)*\.\d{4,}|\d+(?:,\d+)+\.\d+|\d+(?:,\d+){2,}|0*\.\d+",
        "comma": r"\d*(?:\.\d+)*,\d{0,2}|\d*(?:\.\d+)*,\d{4,}|\d+(?:\.\d+)+,\d+|\d+(?:\.\d+){2,}|0*,\d+",
        "comma_three": r"[1-9]\d{0,2},\d{3}",
        "point_three": r"[1-9]\d{0,2}\.\d{3}",
        "none": r"\d+",
    }
    counts = ", ".join(f"count_if(regexp_full_match(b, {quoted(shape)}))" for shape in shapes.values())
    loosely = f"SELECT {bare} AS b FROM {view} WHERE regexp_full_match({text}, {loose})"
    found = dict(zip(shapes, engine.execute(f"SELECT {counts} FROM ({loosely})").fetchall()[0], strict=True))
    point, comma = found["point"], found["comma"]
    cure = 'say which with the option decimal_separator: "," or decimal_separator: "."'
    if min(point, comma) > _FEW * max(point, comma):
        raise JourneybookError(
            f"{place} writes {point:,} numbers with a decimal point and {comma:,} with a decimal comma: {cure}."
        )
    three = "comma_three" if found["comma_three"] else "point_three"
    if not point and not comma and found[three] and (three == "point_three" or not found["none"]):
        sign = "comma" if three == "comma_three" else "point"
        raise JourneybookError(
            f"{place} writes {found[three]:,} numbers with a {sign} and three digits, which may divide thousands "
            f"or fractions: {cure}."
        )
    if comma > point:
        return replace(made, decimal=",", thousands=".")
    return replace(made, decimal=".", thousands="," if found["comma_three"] or point else "")


def find_currencies(engine: duckdb.DuckDBPyConnection, view: str, text: str) -> tuple[str, ...]:
    """Return the currencies that stand beside a column's numbers, the most frequent first."""
    sign = f"nullif(upper(regexp_extract({text}, {quoted(_CURRENCY)})), '')"
    rows = engine.execute(f"SELECT {sign} AS c FROM {view} GROUP BY c ORDER BY count(*) DESC, c").fetchall()
    return tuple(dict.fromkeys(_SIGNS.get(c.rstrip("."), c.rstrip(".")) for (c,) in rows if c))
