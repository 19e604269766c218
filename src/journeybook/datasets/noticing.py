"""What is odd about a user's rows although each of them can be read: said on page 01 and by `check`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import duckdb

from journeybook.datasets.dates import usual_years
from journeybook.datasets.ids import CROWD_SHARE, CROWD_TIMES, among, normal
from journeybook.datasets.mapping import Mapped
from journeybook.datasets.notation import quoted
from journeybook.datasets.reading import Source
from journeybook.tables import Schema

_MUCH = 0.01
_NEARLY = 0.95
_FEW_ROWS = 50
_FEW_ORDERS = 20
_MANY_KINDS = 100
_LARGE = 500
_SUMS: tuple[str, ...] = ("total", "totals", "totale", "sub total", "subtotal", "grand total", "summe", "somme")
_SUMS += ("gesamt", "gesamtsumme")
_HINTS = ("customer", "client", "member", "user", "account", "email", "mail", "person", "contact", "buyer")
_OPTIONS = dict.fromkeys(("decimal(18, 4)", "float64", "int64"), "decimal_separator, thousands and nullstr")
_OPTIONS |= dict.fromkeys(("timestamp(6)", "date"), "dateformat and nullstr")


@dataclass(frozen=True)
class Notice:
    """Something odd about a table, for whoever decides.

    Attributes:
        text: What it is, with its size.
        action: What to do.
        value: Its size.
        unit: Unit of the size.
        worth: 1 for what moves the report's figures, 3 for what is only good to know.
    """

    text: str
    action: str
    value: float
    unit: str = "rows"
    worth: int = 2

    def record(self) -> dict:
        """Return it as `dataset.json` holds it and page 01 takes it for a finding."""
        return {**asdict(self), "strength": "counted", "section": "Is every row valid?", "figure": None}


def notice(
    engine: duckdb.DuckDBPyConnection, rows: str, *, schema: Schema, mapped: Mapped, source: Source
) -> list[Notice]:
    """Return what is odd about a table's rows."""
    have = {name: n for n, name in enumerate(mapped.columns)}
    found = list(_unread(engine, rows, schema, mapped))
    found += _sums(engine, rows, schema, mapped)
    found += _several_ids(engine, rows, schema, mapped)
    if source.n_files > 1 and schema.name in ("transactions", "events", "contacts"):
        found += _delivered_again(engine, schema, mapped)
    if schema.name == "transactions":
        found += _debits(engine, rows)
        found += _blank(engine, rows, mapped)
        found += _order_totals(engine, rows, mapped)
        found += _cents(engine, rows)
    if schema.name == "events":
        found += _kinds(engine, rows)
    if "customer_id" in have:
        n_given, n_made, *_ = mapped.counts[have["customer_id"]]
        if n_given > n_made:
            said = f"{_rows(n_given - n_made)} of {schema.name} have a word such as Guest or NULL as customer_id."
            action = "They count as guests; map another column if it knows who they are."
            found.append(Notice(said, action, n_given - n_made, worth=3))
        found += _people(engine, rows, schema, mapped, source)
    if "occurred_at" in have:
        found += _hours(engine, rows, schema, source, mapped)
    return found


def _unread(engine: duckdb.DuckDBPyConnection, rows: str, schema: Schema, mapped: Mapped) -> Iterator[Notice]:
    """Rows in quarantine, with their share of the money, and the option that may read them."""
    if not mapped.n_unconverted:
        return
    share, money = mapped.n_unconverted / mapped.n_rows, ""
    amount = next((c for c in ("revenue", "value") if c in mapped.columns and schema.name != "events"), None)
    if amount is not None:
        # The amount of a row that cannot be read, as far as its first digits go.
        text = f"regexp_extract(unconverted, {quoted(amount + ': [^0-9]*([0-9][0-9.,]*)')}, 1)"
        rough = f"abs(coalesce({amount}, TRY_CAST(replace({text}, ',', '') AS DOUBLE), 0))"
        asked = f"SELECT sum({rough}) FILTER (unconverted IS NOT NULL) / nullif(sum({rough}), 0) FROM {rows}"
        of_money = float(engine.execute(asked).fetchall()[0][0] or 0)
        share, money = max(share, of_money), f" and, as far as it is legible, {of_money:.1%} of {amount}"
    losses = [
        (n_wrong + (n_given - n_made if n_given > n_made else 0), name)
        for name, (n_given, n_made, _, n_wrong, _) in zip(mapped.columns, mapped.counts, strict=True)
        if not name.endswith("_id")
    ]
    n_worst, worst = max(losses, default=(0, ""))
    dtype = schema.by_name[worst].dtype if worst in schema.by_name else ""
    cure = f"the options {_OPTIONS.get(dtype, 'nullstr') if n_worst else 'quote and delim'} may read them"
    if dtype == "boolean":
        cure = f"an expression does, such as {worst}: clicks > 0 of counts"
    why = f", most often for {worst}" if n_worst else ", for they do not fit the header"
    of_rows = f"{mapped.n_unconverted / mapped.n_rows:.1%} of the rows"
    yield Notice(
        f"{_rows(mapped.n_unconverted)} of {schema.name} cannot be read{why}: {of_rows}{money}.",
        f"See in the quarantine how they are written; {cure}.",
        share,
        "share",
        1 if share > _MUCH else 3,
    )


def _debits(engine: duckdb.DuckDBPyConnection, rows: str) -> Iterator[Notice]:
    asked = f"SELECT count_if(revenue < 0), count_if(revenue <> 0) FROM {rows}"
    n_below, n_moved = engine.execute(asked).fetchall()[0]
    if n_below and n_below >= _NEARLY * n_moved:
        yield Notice(
            f"{n_below:,} of {n_moved:,} amounts in transactions are negative, as where money spent is a debit.",
            "If they are sales, map revenue with a minus before it; as they stand they are refunds.",
            n_below / n_moved,
            "share",
            1,
        )


def _sums(engine: duckdb.DuckDBPyConnection, rows: str, schema: Schema, mapped: Mapped) -> Iterator[Notice]:
    """Lines that add up others, as reports and spreadsheets have them, where an id or a name says so."""
    texts = [c for c in mapped.columns if c in schema.by_name and schema.by_name[c].dtype == "string"]
    texts = [c for c in texts if c not in schema.identifiers]
    money = "revenue" if "revenue" in mapped.columns else "0"
    for name in texts:
        named = f"regexp_replace(lower({name}), '[^a-z]+', ' ', 'g')"
        likely = f"lower({name}[1]) IN ('t', 's', 'g') AND {among(f'trim({named})', _SUMS)}"
        asked = f"SELECT count(*), min({name}), sum({money}) FROM {rows} WHERE {likely}"
        n_sums, example, amount = engine.execute(asked).fetchall()[0]
        if n_sums:
            whole = engine.execute(f"SELECT sum({money}) FROM {rows}").fetchall()[0][0]
            share = f", with {float(amount) / float(whole):.0%} of revenue" if amount and whole else ""
            yield Notice(
                f"{_rows(n_sums)} of {schema.name} have {example!r} or the like as {name}{share}.",
                f"If they are sums of other rows, leave them out with where, as {name} NOT LIKE 'Total%' does.",
                n_sums,
                worth=1,
            )


def _several_ids(engine: duckdb.DuckDBPyConnection, rows: str, schema: Schema, mapped: Mapped) -> Iterator[Notice]:
    """Several ids in one cell: few of the values, or such that one of them stands alone elsewhere."""
    one = r"[^\s;,|/&]*[\d@][^\s;,|/&]*"
    for name in (c for c in mapped.columns if c.endswith("_id") and c in schema.by_name):
        # Most ids hold no such sign, and are only looked at.
        several = (
            f"regexp_matches({name}, '[;,|/&]') AND regexp_full_match({name}, '{one}(\\s*[;,|/&]\\s*{one})+')"
        )
        asked = f"SELECT {name} AS i, count(*) AS n FROM {rows} WHERE {several} GROUP BY i"
        n_ids, n_rows = engine.execute(f"SELECT count(*), sum(n) FROM ({asked})").fetchall()[0]
        if not n_ids:
            continue
        alone = f"SELECT count(*) FROM ({asked}) WHERE regexp_extract(i, '{one}') IN (SELECT {name} FROM {rows})"
        all_ids = engine.execute(f"SELECT count(DISTINCT {name}), ({alone}) FROM {rows}").fetchall()[0]
        if all_ids[1] or 2 * n_ids < all_ids[0]:
            yield Notice(
                f"In {_rows(int(n_rows))} of {schema.name} {name} looks like several ids in one cell.",
                "Each combination counts as an id of its own: export one id a row, or take one in an expression.",
                int(n_rows),
                worth=1 if n_rows > _MUCH * mapped.n_rows else 3,
            )


def _delivered_again(engine: duckdb.DuckDBPyConnection, schema: Schema, mapped: Mapped) -> Iterator[Notice]:
    """Rows that stand in several files, as where each delivery holds the last one's rows once more."""
    whole = ", ".join(f"v{n}" for n in range(len(mapped.columns)))
    each = f"SELECT count(DISTINCT file) - 1 AS n FROM {mapped.converted} WHERE file >= 0 GROUP BY hash({whole})"
    n_again = int(engine.execute(f"SELECT coalesce(sum(n), 0) FROM ({each})").fetchall()[0][0])
    if n_again > _MUCH * mapped.n_rows:
        yield Notice(
            f"{_rows(n_again)} of {schema.name} stand in another file as well, {n_again / mapped.n_rows:.0%}.",
            "If the deliveries overlap they count twice: name files that do not, or the last one alone.",
            n_again,
            worth=1,
        )


def _blank(engine: duckdb.DuckDBPyConnection, rows: str, mapped: Mapped) -> Iterator[Notice]:
    """Rows that are without time or amount, although nothing in them is unreadable."""
    readable = "unconverted IS NULL AND " if mapped.n_unconverted else ""
    blank = f"{readable}(occurred_at IS NULL OR revenue IS NULL)"
    money = f"coalesce(sum(abs(revenue)) FILTER ({blank}) / nullif(sum(abs(revenue)), 0), 0)"
    asked = f"SELECT coalesce(count_if({blank}), 0), {money} FROM {rows}"
    n_blank, of_money = engine.execute(asked).fetchall()[0]
    if not n_blank:
        return
    told = ""
    if "basket_id" in mapped.columns:
        above = f"SELECT basket_id FROM {rows} WHERE occurred_at IS NOT NULL AND revenue IS NOT NULL"
        asked = f"SELECT count(*) FROM {rows} WHERE {blank} AND basket_id IN ({above})"
        n_told = engine.execute(asked).fetchall()[0][0]
        told = f"; {n_told:,} of them belong to a basket of which another row has both" if n_told else ""
    nothing = " AND ".join(f"{c} IS NULL" for c in mapped.columns)
    if n_empty := engine.execute(f"SELECT count(*) FROM {rows} WHERE {readable}{nothing}").fetchall()[0][0]:
        told += f"; {n_empty:,} of them hold nothing at all"
    yield Notice(
        f"{_rows(n_blank)} of transactions have no time or no amount, {n_blank / mapped.n_rows:.1%} and "
        f"{float(of_money):.1%} of revenue{told}.",
        "They go to quarantine. Fill in what the first line of an order says, or leave sums out with where.",
        n_blank,
        worth=1 if n_blank > _MUCH * mapped.n_rows else 3,
    )


def _order_totals(engine: duckdb.DuckDBPyConnection, rows: str, mapped: Mapped) -> Iterator[Notice]:
    """The total of an order on each of its lines."""
    if "basket_id" not in mapped.columns:
        return
    each = f"SELECT min(revenue) AS a, max(revenue) AS b, sum(revenue) AS s FROM {rows} GROUP BY basket_id"
    each += " HAVING count(revenue) > 1"
    asked = f"SELECT count(*), coalesce(count_if(a = b), 0), sum(s), sum(b) FROM ({each})"
    n_several, n_alike, summed, once = engine.execute(asked).fetchall()[0]
    if n_several >= _FEW_ORDERS and n_alike >= _NEARLY * n_several and once:
        yield Notice(
            f"In {n_alike:,} of {n_several:,} baskets of several rows all rows have one revenue, as where an "
            f"order's total stands on each of its lines; then they count {float(summed) / float(once):.1f}-fold.",
            "If so, map revenue to the amount of the line, such as quantity * price.",
            n_alike / n_several,
            "share",
            1,
        )


def _kinds(engine: duckdb.DuckDBPyConnection, rows: str) -> Iterator[Notice]:
    """Many kinds of event of which most come once, as addresses with their queries do."""
    each = f"SELECT count(*) AS n FROM {rows} WHERE event IS NOT NULL GROUP BY event"
    n_kinds, n_once = engine.execute(f"SELECT count(*), count_if(n = 1) FROM ({each})").fetchall()[0]
    if n_kinds > _MANY_KINDS and 2 * n_once > n_kinds:
        yield Notice(
            f"There are {n_kinds:,} kinds of event, and {n_once:,} of them come once.",
            "Group them in the mapping, as event: split_part(url, '?', 1) does for addresses.",
            n_kinds,
            "kinds",
        )


def _cents(engine: duckdb.DuckDBPyConnection, rows: str) -> Iterator[Notice]:
    """Amounts that are all whole and large, and not round."""
    asked = "count(revenue), coalesce(count_if(revenue <> trunc(revenue)), 0), median(abs(revenue)), "
    asked += "coalesce(count_if(revenue % 100 = 0), 0)"
    n, n_broken, middle, n_round = engine.execute(f"SELECT {asked} FROM {rows}").fetchall()[0]
    if n >= _FEW_ROWS and not n_broken and middle >= _LARGE and n_round < _NEARLY * n:
        yield Notice(
            f"All {n:,} amounts in transactions are whole numbers, half of them above {middle:,.0f}.",
            "If they are cents, as in exports of payments, map revenue with / 100 after it.",
            n,
        )


def _people(
    engine: duckdb.DuckDBPyConnection, rows: str, schema: Schema, mapped: Mapped, source: Source
) -> Iterator[Notice]:
    each = f"(SELECT customer_id AS i, count(*) AS n FROM {rows} WHERE customer_id IS NOT NULL GROUP BY i)"
    asked = f"SELECT count(*), count(DISTINCT {normal('i')}), sum(n), max(n) FROM {each}"
    n_ids, n_normal, n_known, n_most = engine.execute(asked).fetchall()[0]
    if not n_ids:
        return
    name = schema.name
    if n_ids > n_normal:
        yield Notice(
            f"{n_ids:,} values of customer_id in {name} are {n_normal:,} but for zeros before them, capitals, "
            "blanks or a trailing .0.",
            "If they are the same people, give each table that holds them options: {join_ids: true}.",
            n_ids - n_normal,
            "ids",
            1 if n_ids - n_normal > _MUCH * n_ids else 3,
        )
    if n_most > CROWD_SHARE * mapped.n_rows and n_most * n_ids > CROWD_TIMES * n_known:
        yield Notice(
            f"One customer_id has {n_most / mapped.n_rows:.0%} of the rows of {name}, "
            f"{n_most * n_ids / n_known:,.0f} times the average.",
            "If it stands for guests or a till, name it in the option nullstr.",
            n_most,
            worth=1,
        )
    if name == "transactions" and n_known >= _FEW_ROWS:
        yield from _passing(engine, rows, mapped, source, n_ids=n_ids)


def _passing(
    engine: duckdb.DuckDBPyConnection, rows: str, mapped: Mapped, source: Source, *, n_ids: int
) -> Iterator[Notice]:
    """An id that is new with each order, where another column comes back."""
    order = "basket_id" if "basket_id" in mapped.columns else "row"
    n_orders = engine.execute(
        f"SELECT count(DISTINCT {order}) FROM {rows} WHERE customer_id IS NOT NULL"
    ).fetchall()[0][0]
    if n_ids < _NEARLY * n_orders:
        return
    others = [
        c for c in source.columns if c.name not in mapped.used and c.native in ("VARCHAR", "BIGINT", "INTEGER")
    ]
    lasting = ""
    if others:
        counted = ", ".join(f"approx_count_distinct({c.stored}), count({c.stored})" for c in others)
        counts = engine.execute(f"SELECT {counted} FROM {source.view}").fetchall()[0]
        likely = [
            (any(hint in c.name.lower() for hint in _HINTS), n, c.name)
            for c, n, n_filled in zip(others, counts[::2], counts[1::2], strict=True)
            if _FEW_ROWS // 2 < n < 0.8 * n_ids and n_filled > 0.5 * mapped.n_read
        ]
        lasting = f" Column {max(likely)[2]!r} comes back: it may be the lasting id." if likely else ""
    tried = "transactions" if source.whole else "the first rows"
    yield Notice(
        f"customer_id is new in nearly every order of {tried}, {n_ids:,} ids in {n_orders:,}.{lasting}",
        "If one of the columns knows the person, map it as customer_id; with this id nobody ever comes back.",
        n_ids / n_orders,
        "share",
        1,
    )


def _hours(
    engine: duckdb.DuckDBPyConnection, rows: str, schema: Schema, source: Source, mapped: Mapped
) -> Iterator[Notice]:
    """Times that a change of clocks skips, or repeats where the files do not order them; missing offsets."""
    place = source.notation.timezone
    if mapped.n_local:
        yield Notice(
            f"{_rows(mapped.n_local)} of {schema.name} have a time without an offset from UTC, where others have "
            f"one: they are read in the time of {place}.",
            "If they are of another zone, such as UTC, write it behind them in an expression.",
            mapped.n_local,
        )
    asked = f"count_if(NOT ({usual_years('occurred_at')})), count(occurred_at)"
    n_far, n_times = engine.execute(f"SELECT {asked} FROM {rows}").fetchall()[0]
    if n_times and 2 * n_far > n_times:
        yield Notice(
            f"{_rows(n_far)} of {schema.name} are dated before 1900 or after 2199.",
            "If another calendar is meant, such as the Buddhist, subtract its years in an expression.",
            n_far,
            worth=1,
        )
    zone = quoted(place)
    before = f"timezone({zone}, occurred_at - INTERVAL 1 HOUR)"
    asked = (
        f"SELECT count_if(timezone({zone}, timezone({zone}, occurred_at)) <> occurred_at), "
        f"count_if(epoch(timezone({zone}, occurred_at)) - epoch({before}) > 3600) "
        f"FROM {rows} WHERE {usual_years('occurred_at')}"
    )
    n_skipped, n_repeated = engine.execute(asked).fetchall()[0]
    if n_skipped:
        yield Notice(
            f"{_rows(n_skipped)} of {schema.name} lie in an hour that the clocks of {place} skip.",
            "The times may be of another zone: set timezone to the one they are in.",
            n_skipped,
        )
    if n_repeated and schema.name == "events" and not mapped.ordered:
        yield Notice(
            f"{_rows(n_repeated)} of events lie in an hour that the clocks of {place} repeat: local time may "
            "put them in the wrong order and measure pauses wrong.",
            "If the order of these matters, set timezone: UTC.",
            n_repeated,
        )


def _rows(n: int) -> str:
    return f"{n:,} row{'' if n == 1 else 's'}"
