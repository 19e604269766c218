"""How a source writes numbers: decimal sign, thousands, currency, and the several ways to write a minus."""

import re
from dataclasses import dataclass, replace

import duckdb

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
# Digits, points and commas of a number, and what they say of the decimal sign.
_SHAPES = {
    "point": r"\d*(?:,\d+)*\.\d{0,2}|\d*(?:,\d+)*\.\d{4,}|\d+(?:,\d+)+\.\d+|\d+(?:,\d+){2,}|0*\.\d+",
    "comma": r"\d*(?:\.\d+)*,\d{0,2}|\d*(?:\.\d+)*,\d{4,}|\d+(?:\.\d+)+,\d+|\d+(?:\.\d+){2,}|0*,\d+",
    "comma_three": r"[1-9]\d{0,2},\d{3}",
    "point_three": r"[1-9]\d{0,2}\.\d{3}",
    "none": r"\d+",
}
# A share of values written the other way that is no longer a slip.
_FEW = 0.01


def column_name(name: str) -> str:
    """Return a column's name as SQL, whatever signs it holds."""
    return '"' + name.replace('"', '""') + '"'


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
        # A dash in place of the cents, as in 12,-, is no minus.
        below = quoted(rf"^\(.*\)|^\D*{_MINUS}|[^.,]{_MINUS}\D*$")
        minus = f"CASE WHEN regexp_matches({text}, {below}) THEN '-' ELSE '' END"
        # Spreadsheets show an amount of nothing as a currency and a dash.
        zero = quoted(
            rf"{_BLANK}*{_CURRENCY}{_BLANK}*{_MINUS}{_BLANK}*|{_BLANK}*{_MINUS}{_BLANK}*{_CURRENCY}{_BLANK}*"
        )
        nothing = f"WHEN regexp_full_match({text}, {zero}) THEN '0'"
        return f"CASE WHEN regexp_matches({text}, {pattern}) THEN {minus} || {digits} {nothing} END"

    @staticmethod
    def _grouped(sign: str) -> str:
        # Groups of three, or of two above the last three as in 1,23,456.
        return rf"\d{{1,3}}(?:{sign}\d{{2,3}})*{sign}\d{{3}}"

    def _bare(self, text: str) -> str:
        text = f"replace({text}, {quoted(self.thousands)}, '')" if self.thousands else text
        return f"replace({text}, {quoted(self.point)}, '.')" if self.point != "." else text


def find_notation(
    engine: duckdb.DuckDBPyConnection, view: str, text: str, *, notation: Notation
) -> tuple[Notation, str]:
    """Return how a column of text writes numbers that are not all plain, as given where they are no numbers.

    The second value says what is unclear: values disagree, or nothing says whether a sign divides thousands or
    fractions. It is empty where nothing is.
    """
    unlike = f"{text} IS NOT NULL AND {notation.number(text)} IS NULL"
    loose = quoted(
        rf"{_BLANK}*\(?(?:{_MINUS}|\+|{_CURRENCY}|{_BLANK})*\d[\d.,'’\s\x{{a0}}\x{{202f}}\x{{2009}}]*"
        rf"(?:{_MINUS}|{_CURRENCY}|{_BLANK})*\)?{_BLANK}*"
    )
    threes, whole = quoted(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+"), quoted(r"[+-]?\d+")
    odd = f"SELECT {text} AS t FROM {view} WHERE {unlike} LIMIT {_SEEN}"
    broken = f"SELECT {text} AS t FROM {view} WHERE NOT regexp_full_match({text}, {whole}) LIMIT {_SEEN}"
    (n_odd, n_loose), (only_threes, _) = (
        engine.execute(
            f"SELECT {asked}, coalesce(count_if(regexp_full_match(t, {pattern})), 0) FROM ({rows})"
        ).fetchall()[0]
        for asked, pattern, rows in (
            ("count(*)", loose, odd),
            (f"coalesce(bool_and(regexp_full_match(t, {threes})), false)", threes, broken),
        )
    )
    if 2 * n_loose < n_odd or not (n_odd or only_threes):
        return notation, ""
    made = replace(notation, dressed=n_loose > 0)
    if notation.decimal or notation.thousands:
        return made, ""
    counts = ", ".join(f"coalesce(count_if(regexp_full_match(b, {quoted(s)})), 0)" for s in _SHAPES.values())
    bare = f"SELECT regexp_replace({text}, '[^0-9.,]', '', 'g') AS b FROM {view}"
    asked = f"SELECT {counts} FROM ({bare} WHERE regexp_full_match({text}, {loose}))"
    found = dict(zip(_SHAPES, engine.execute(asked).fetchall()[0], strict=True))
    point, comma, unclear = found["point"], found["comma"], ""
    if min(point, comma) > _FEW * max(point, comma):
        unclear = f"writes {point:,} numbers with a decimal point and {comma:,} with a decimal comma"
    elif not point and not comma:
        for sign, n in (("point", found["point_three"]), ("comma", 0 if found["none"] else found["comma_three"])):
            if n:
                unclear = f"writes {n:,} numbers with a {sign} and three digits, thousands or fractions"
    if comma > point:
        return replace(made, decimal=",", thousands="."), unclear
    return replace(made, decimal=".", thousands="," if found["comma_three"] or point else ""), unclear


def find_currencies(engine: duckdb.DuckDBPyConnection, view: str, text: str) -> tuple[str, ...]:
    """Return the currencies that stand beside a column's numbers, the most frequent first."""
    sign = f"nullif(upper(regexp_extract({text}, {quoted(_CURRENCY)})), '')"
    rows = engine.execute(f"SELECT {sign} AS c FROM {view} GROUP BY c ORDER BY count(*) DESC, c").fetchall()
    return tuple(dict.fromkeys(_SIGNS.get(c.rstrip("."), c.rstrip(".")) for (c,) in rows if c))
