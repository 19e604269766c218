"""What a column of an unknown file is: its name in nine languages, its type, how its values repeat."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import yaml

from journeybook.datasets.converting import profile
from journeybook.datasets.dates import find_dates
from journeybook.datasets.reading import Source

# A column of so few values may be a mark, an arm or a step; more of them are not looked at one by one.
_FEW = 10
_STEPS = 60
_DAY = r"^\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
_ARMS = {"control", "treatment", "holdout", "baseline", "placebo", "kontrolle", "controle", "kontrolla", "a"}
_YES = {"1", "1.0", "yes", "y", "true", "t", "ja", "j", "oui", "o", "si", "s", "sim", "tak"}
_NO = {"0", "0.0", "no", "n", "false", "f", "nein", "non", "nao", "nee", "nie", "nej"}
_READ = {"1", "1.0", "yes", "y", "true", "t"}


@dataclass(frozen=True)
class Seen:
    """One column of a file, by its first rows.

    Attributes:
        name: Its name in the file.
        stored: Its name in the staged rows.
        kind: text, integer, number, boolean, date, timestamp or nested; text where it was not looked for.
        n_values: Values that are not missing.
        n_distinct: Different ones.
        few: The values, without capitals, where there are at most ten; empty otherwise.
    """

    name: str
    stored: str
    kind: str
    n_values: int
    n_distinct: int
    few: tuple[str, ...]

    @property
    def answer(self) -> str | None:
        """The value that says yes where the column is a mark of yes and no, else None."""
        plain = {value: _letters(value).replace(" ", "") for value in self.few if value not in ("1.0", "0.0")}
        yes = [value for value, letters in plain.items() if letters in _YES]
        if len(plain) != 2 or len(yes) != 1 or not set(plain.values()) & _NO:
            return None
        return yes[0]

    @property
    def mark(self) -> str:
        """The column as a condition."""
        words = self.answer
        quoted = '"' + self.name.replace('"', '""') + '"'
        return self.name if words is None or words in _READ else f"lower({quoted}) = '{words}'"

    def fits(self, dtype: str) -> bool:
        """Whether its values can be of a canonical type."""
        if not self.n_values or self.kind == "nested":
            return False
        if dtype == "boolean":
            return self.kind == "boolean" or self.answer is not None
        if dtype in ("date", "timestamp(6)"):
            return self.kind in ("date", "timestamp")
        if dtype == "string":
            return self.kind not in ("date", "timestamp", "number", "boolean") or self.n_distinct <= _FEW
        return self.kind in ("integer", "number")

    def by_values(self, column: str) -> bool:
        """Whether its values alone may be those of a needed column, whatever its name."""
        repeats = 1 < self.n_distinct < 0.95 * self.n_values
        if column == "customer_id":
            return self.kind in ("text", "integer") and self.n_distinct > _STEPS and repeats
        if column == "event":
            return self.kind == "text" and 2 < self.n_distinct <= _STEPS and 5 * self.n_distinct <= self.n_values
        if column == "variant":
            return 2 <= len(self.few) <= _FEW and bool({_letters(value) for value in self.few} & _ARMS)
        if column == "responded":
            return self.answer is not None
        if column == "occurred_at":
            return self.kind in ("date", "timestamp")
        return column == "revenue" and self.kind == "number" and self.n_distinct > _FEW


def look(engine: duckdb.DuckDBPyConnection, source: Source, *, typed: bool) -> tuple[Seen, ...]:
    """Return what the staged rows say of each column; the kinds are found where `typed`, else all are text."""
    columns = profile(engine, source.view, source.columns) if typed else source.columns
    asked = [
        f"count({c.stored}), count(DISTINCT {c.stored}), CASE WHEN count(DISTINCT {c.stored}) <= {_FEW} THEN "
        f"list_sort(list(DISTINCT lower(CAST({c.stored} AS VARCHAR))) FILTER ({c.stored} IS NOT NULL)) END, "
        f"count_if(regexp_matches(CAST({c.stored} AS VARCHAR), '{_DAY}'))"
        for c in columns
    ]
    found = engine.execute(f"SELECT {', '.join(asked)} FROM {source.view}").fetchall()[0]
    seen = []
    for n, column in enumerate(columns):
        kind, (n_values, n_distinct, few, n_days) = column.kind, found[4 * n : 4 * n + 4]
        timely = any(how_alike(column.name, name) for name in ("occurred_at", "birth_date", "updated_at"))
        open_ = typed and n_values and kind in ("text", "integer", "number")
        if open_ and (timely or (kind == "text" and 2 * n_days > n_values)):
            # Days that read both ways, and numbers that count seconds, are no dates to `profile`.
            value = f"CAST({column.stored} AS VARCHAR)"
            _, n_dates = find_dates(engine, source.view, value, notation=column.notation)
            kind = "timestamp" if 2 * n_dates > n_values else kind
        seen.append(Seen(column.name, column.stored, kind, n_values, n_distinct, tuple(few or ())))
    return tuple(seen)


def how_alike(name: str, column: str) -> int:
    """Return 3 where a name is a known one of a canonical column, 2 where it ends in one, else 0.

    >>> how_alike("Kunden-Nr.", "customer_id"), how_alike("OrderTotal", "revenue"), how_alike("Order", "revenue")
    (3, 2, 0)
    """
    given = _letters(name)
    known = _words().get(column, ())
    if given.replace(" ", "") in {word.replace(" ", "") for word in known}:
        return 3
    return 2 if any(given.endswith(f" {word}") for word in known if len(word) > 2) else 0


def is_known(name: str) -> bool:
    """Return whether a name is that of some canonical column, so that its values stand for nothing else."""
    return any(how_alike(name, column) == 3 for column in _words() if column != "email")


def best_named(column: str, dtype: str, seen: Sequence[Seen], *, shared: frozenset[str]) -> list[tuple[int, Seen]]:
    """Return the columns whose names and values are those of a canonical column, the likeliest first."""
    ranked = [(how_alike(s.name, column), s) for s in seen if s.fits(dtype)]
    ranked = [(rank, s) for rank, s in ranked if rank]
    return sorted(ranked, key=lambda pair: (-pair[0], column.endswith("_id") and pair[1].name not in shared))


@cache
def _words() -> dict[str, tuple[str, ...]]:
    text = Path(__file__).with_name("words.yaml").read_text(encoding="utf-8")
    return {column: tuple(names) for column, names in yaml.load(text, Loader=yaml.CBaseLoader).items()}


def _letters(name: str) -> str:
    """Return a name in small letters without accents, its words divided by blanks."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("ł", "l"))
    plain = "".join(c for c in unicodedata.normalize("NFKD", parted) if not unicodedata.combining(c))
    return " ".join(re.findall(r"\w+", plain.lower().replace("ß", "ss").replace("_", " ")))
