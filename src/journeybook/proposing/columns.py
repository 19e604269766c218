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
from journeybook.datasets.notation import column_name
from journeybook.datasets.reading import Source

# Columns of so few values are looked at value by value; columns of steps have more.
_FEW, _STEPS = 10, 60
_DAY = r"^\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
_ARMS = {"control", "treatment", "holdout", "baseline", "placebo", "kontrolle", "controle"}
_READ = {"1", "1.0", "yes", "y", "true", "t"}
_YES = _READ | {"ja", "j", "oui", "o", "si", "s", "sim", "tak"}
_NO = {"0", "0.0", "no", "n", "false", "f", "nein", "non", "nao", "nee", "nie", "nej"}
_MOMENTS = ("occurred_at", "birth_date", "updated_at")


@dataclass(frozen=True)
class Seen:
    """One column of a file, by its first rows.

    Attributes:
        name: Its name in the file.
        kind: text, integer, number, boolean, date, timestamp or nested; text where it was not looked for.
        n_values: Values that are not missing.
        n_distinct: Different ones.
        few: The values, without capitals, where there are at most ten; empty otherwise.
    """

    name: str
    kind: str
    n_values: int
    n_distinct: int
    few: tuple[str, ...]

    @property
    def mark(self) -> str | None:
        """The condition that the column says yes, or None where it is no column of yes and no."""
        yes = [value for value in self.few if _plain(value) in _YES]
        if len(self.few) != 2 or len(yes) != 1 or not {_plain(value) for value in self.few} & _NO:
            return None
        return self.name if yes[0] in _READ else f"lower({column_name(self.name)}) = '{yes[0]}'"

    def fits(self, dtype: str) -> bool:
        """Whether its values can be of a canonical type."""
        if dtype == "boolean":
            return self.mark is not None
        if dtype in ("date", "timestamp(6)"):
            return self.kind in ("date", "timestamp")
        if dtype == "string":
            return self.kind in ("text", "integer") or 0 < self.n_distinct <= _FEW
        return self.kind in ("integer", "number")

    def by_values(self, column: str) -> bool:
        """Whether its values alone may be those of a needed column, whatever its name."""
        repeats = 1 < self.n_distinct < 0.95 * self.n_values
        plain = {_plain(value) for value in self.few}
        if column in ("customer_id", "session_id"):
            return self.kind in ("text", "integer") and self.n_distinct > _STEPS and repeats
        if column == "event":
            return self.kind == "text" and 2 < self.n_distinct <= _STEPS and 5 * self.n_distinct <= self.n_values
        if column == "variant":
            return len(plain) > 1 and (bool(plain & _ARMS) or plain in ({"a", "b"}, {"a", "b", "c"}))
        if column == "path":
            return any(re.search(r"\S\s*(?:>|\|)\s*\S", value) for value in plain)
        if column == "revenue":
            return self.kind == "number" and self.n_distinct > _FEW
        return column in ("responded", "occurred_at") and self.fits(
            "boolean" if column == "responded" else "timestamp(6)"
        )


def look(engine: duckdb.DuckDBPyConnection, source: Source, *, typed: bool) -> tuple[Seen, ...]:
    """Return what the staged rows say of each column; kinds are found where `typed`."""
    columns = profile(engine, source.view, source.columns) if typed else source.columns
    text = [f"CAST({c.stored} AS VARCHAR)" for c in columns]
    asked = [
        f"[count({t}), count(DISTINCT {t}), count({t}) FILTER (regexp_matches({t}, '{_DAY}'))], "
        f"CASE WHEN count(DISTINCT {t}) <= {_FEW} THEN "
        f"list_sort(list(DISTINCT lower({t})) FILTER ({t} IS NOT NULL)) END"
        for t in text
    ]
    found = engine.execute(f"SELECT {', '.join(asked)} FROM {source.view}").fetchall()[0]
    seen = []
    for n, column in enumerate(columns):
        kind, (n_values, n_distinct, n_days), few = column.kind, found[2 * n], found[2 * n + 1]
        timely = any(how_alike(column.name, name) for name in _MOMENTS) or (
            kind == "text" and 2 * n_days > n_values
        )
        if typed and n_values and timely and kind in ("text", "integer", "number"):
            # Days that read both ways, and numbers that count seconds, are no dates to `profile`.
            _, n_dates = find_dates(engine, source.view, text[n], notation=column.notation)
            kind = "timestamp" if 2 * n_dates > n_values else kind
        seen.append(Seen(column.name, kind, n_values, n_distinct, tuple(few or ())))
    return tuple(seen)


def how_alike(name: str, column: str) -> int:
    """Return 3 where a name is a known one of a canonical column, 2 where it ends in one, else 0.

    >>> how_alike("Kunden-Nr.", "customer_id"), how_alike("OrderTotal", "revenue"), how_alike("Order", "revenue")
    (3, 2, 0)
    """
    given, known = _letters(name), _words().get(column, ())
    if given.replace(" ", "") in {word.replace(" ", "") for word in known}:
        return 3
    return 2 if any(given.endswith(f" {word}") for word in known if len(word) > 2) else 0


def is_known(name: str) -> bool:
    """Return whether a name is that of a canonical column; its values then stand for nothing else."""
    return any(how_alike(name, column) == 3 for column in _words() if column != "email")


def best_named(column: str, dtype: str, seen: Sequence[Seen], *, shared: frozenset[str]) -> list[tuple[int, Seen]]:
    """Return the columns whose names and values are those of a canonical column, the likeliest first."""
    ranked = [(rank, s) for s in seen if s.fits(dtype) and (rank := how_alike(s.name, column))]
    return sorted(ranked, key=lambda pair: (-pair[0], column.endswith("_id") and pair[1].name not in shared))


@cache
def _words() -> dict[str, tuple[str, ...]]:
    text = Path(__file__).with_name("words.yaml").read_text(encoding="utf-8")
    return {column: tuple(names) for column, names in yaml.load(text, Loader=yaml.CBaseLoader).items()}


def _letters(name: str) -> str:
    """Return a name in small letters without accents, its words divided by blanks."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("ł", "l").replace("_", " "))
    return " ".join(re.findall(r"\w+", _plain(parted)))


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    return "".join(letter for letter in parts if not unicodedata.combining(letter))
