"""What columns that the mapping does not use say against rows: money given back, orders that were no sales."""

import re
from collections.abc import Iterator, Sequence

import duckdb

from journeybook.datasets.converting import Column, profile
from journeybook.datasets.ids import among
from journeybook.datasets.mapping import Mapped
from journeybook.datasets.notation import quoted
from journeybook.datasets.noticing import Notice
from journeybook.datasets.reading import Source
from journeybook.errors import list_names
from journeybook.tables import Schema

_GIVEN_BACK = re.compile(r"refund|chargeback|erstatt|rembours|reembols|rimbors", re.IGNORECASE)
_CALLED_OFF = re.compile(r"(cancell?ed|void(ed)?|storno|annul\w*)[ _]?(at|on|date|am)?$", re.IGNORECASE)
_STATE = re.compile(r"status|state|stato|estado|statut|zustand", re.IGNORECASE)
# What orders of shops, charges and sends are called that came to nothing, blanks and signs left out.
_NO_SALE: tuple[str, ...] = ("refunded", "partiallyrefunded", "cancelled", "canceled", "voided", "void", "failed")
_NO_SALE += ("pending", "declined", "expired", "onhold", "trash", "unpaid", "disputed", "uncollectible")
_NO_SALE += ("storniert", "erstattet")
_NOT_SENT = ("bounced", "hardbounced", "softbounced", "suppressed", "skipped", "failed", "dropped", "undelivered")
_WORDS = {"transactions": (_NO_SALE, "sales"), "contacts": (_NOT_SENT, "messages that arrived")}
_MUCH = 0.01


def notice_unmapped(
    engine: duckdb.DuckDBPyConnection, rows: str, *, schema: Schema, mapped: Mapped, source: Source
) -> list[Notice]:
    """Return what unused columns say of receipts that were no sales, and of messages that did not arrive."""
    if schema.name not in _WORDS:
        return []
    unused = [column for column in source.columns if column.name not in mapped.used]
    found = list(_states(engine, unused, schema, mapped, source))
    if schema.name == "transactions":
        found += _given_back(engine, rows, unused, source)
    return found


def _given_back(
    engine: duckdb.DuckDBPyConnection, rows: str, unused: Sequence[Column], source: Source
) -> Iterator[Notice]:
    named = [column for column in unused if _GIVEN_BACK.search(column.name)]
    for column in profile(engine, source.view, named):
        if column.kind not in ("integer", "number"):
            continue
        amounts = f"SELECT count_if(a <> 0), sum(abs(a)) FROM (SELECT {column.typed} AS a FROM {source.view})"
        n_back, amount = engine.execute(amounts).fetchall()[0]
        whole = engine.execute(f"SELECT sum(abs(revenue)) FROM {rows} WHERE revenue IS NOT NULL").fetchall()[0][0]
        if n_back and whole:
            share = float(amount) / float(whole)
            yield Notice(
                f"Column {column.name!r} holds amounts in {n_back:,} rows, {share:.1%} of revenue, and nothing "
                "takes them off.",
                f'If they were given back, map revenue with - coalesce("{column.name}", 0) after it.',
                share,
                "share",
                1 if share > _MUCH else 3,
            )


def _states(
    engine: duckdb.DuckDBPyConnection, unused: Sequence[Column], schema: Schema, mapped: Mapped, source: Source
) -> Iterator[Notice]:
    words, what = _WORDS[schema.name]
    for column in unused:
        if column.native != "VARCHAR":
            continue
        value, dated = column.stored, schema.name == "transactions" and _CALLED_OFF.search(column.name)
        if not dated and not _STATE.search(column.name):
            continue
        plain = f"regexp_replace(regexp_replace(lower({value}), '^wc-', ''), '[^a-z]', '', 'g')"
        asked = (
            f"{value} IS NOT NULL AND lower({value}) NOT IN ('false', 'no', '0')" if dated else among(plain, words)
        )
        n_rows, found = engine.execute(
            f"SELECT count_if({asked}), list_sort(list(DISTINCT {value}) FILTER ({asked}))[:6] FROM {source.view}"
        ).fetchall()[0]
        if n_rows:
            said = "has a value" if dated else f"says {list_names(map(repr, found))}"
            states = ", ".join(map(quoted, found))
            cure = f'"{column.name}" IS NULL' if dated else f"coalesce(\"{column.name}\", '') NOT IN ({states})"
            share, several = n_rows / mapped.n_read, f"{n_rows:,} row{'s' if n_rows > 1 else ''}"
            yield Notice(
                f"In {several} of {schema.name}, {share:.1%}, column {column.name!r} {said}; they count.",
                f"If these are no {what}, leave them out with where: {cure}.",
                n_rows,
                worth=1 if share > _MUCH else 3,
            )
