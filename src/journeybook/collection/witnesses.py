"""What the page is held against: published totals, the planted ledger, and counts made a second way.

Each function returns one row a comparison: name, value, reference, tolerance, source.
"""

import json
from collections.abc import Mapping

import ibis
import pandas as pd

from journeybook.collection.consents import Consent, count_permits, recount_ledger
from journeybook.collection.rows import Collection
from journeybook.conservation import n_without_place
from journeybook.tables import UNCONVERTED_SIGN, schema_of

_COLUMNS = ["name", "value", "reference", "tolerance", "source"]
_STUDY = "The Complete Journey, totals of the published files"


def check_rows(collected: Mapping[str, ibis.Table], found: Collection) -> pd.DataFrame:
    """Follow every raw row to its one place, and compare each accepted cell with the raw one."""
    totals = dict.fromkeys(("nowhere", "twice", "changed", "miscounted"), 0)
    for name, table in collected.items():
        kept = found.accepted[name]
        aside = found.quarantine.filter(found.quarantine.table == name).select("row").distinct()
        # A kept row is known by the digest of its cells, as its schema types them.
        types = dict(kept.schema().items())
        digest = {c: table[c].try_cast(dtype) for c, dtype in types.items() if c != "row"}
        raw = table.select("row", raw=ibis.struct(digest).hash(), there=True)
        places = kept.select("row", kept=ibis.struct({c: kept[c] for c in digest}).hash())
        places = places.union(aside.select("row", kept=ibis.null("int64")))
        placed = places.group_by("row").aggregate(
            n=ibis._.count(), n_kept=ibis._.kept.count(), kept=ibis._.kept.max()
        )
        both = raw.outer_join(placed, "row")
        counted = both.aggregate(
            n_raw=both.there.sum().fill_null(0),
            n_kept=both.n_kept.sum().fill_null(0),
            n_aside=(both.n - both.n_kept).sum().fill_null(0),
            nowhere=(both.n.isnull() | both.there.isnull()).sum().fill_null(0),
            twice=(both.n > 1).sum().fill_null(0),
            changed=(both.kept != both.raw).sum().fill_null(0),
        )
        row = counted.to_pandas().iloc[0]
        for what in ("nowhere", "twice", "changed"):
            totals[what] += int(row[what])
        told = found.counts.set_index("table").loc[name]
        told = [told.n_collected, told.n_accepted, told.n_unparsed + told.n_quarantined]
        totals["miscounted"] += told != row[["n_raw", "n_kept", "n_aside"]].tolist()
    every = "each raw row looked for in the accepted rows and the quarantine"
    rows = [
        ("raw rows that are nowhere, or rows from nowhere", totals["nowhere"], 0, 0, every),
        ("raw rows that are in two places", totals["twice"], 0, 0, every),
        ("accepted rows that differ from the raw ones", totals["changed"], 0, 0, "digest of each row's cells"),
        ("tables whose rows are counted otherwise", totals["miscounted"], 0, 0, "counted again, table by table"),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).assign(kind="conservation")


def check_rules(tables: Mapping[str, ibis.Table], found: Collection, *, max_rows: int) -> pd.DataFrame:
    """Ask the rules a second time in plain Python, of the first rows of each table and of its quarantine."""
    n_unlike = n_altered = 0
    for name, table in tables.items():
        # No row breaks more than twenty rules.
        mine = found.quarantine.filter(found.quarantine.table == name)
        told = mine.order_by("row").limit(20 * max_rows).to_pandas()
        first = table.order_by("row").limit(max_rows)
        aside = table.filter(table.row.isin(told.row.unique()[:max_rows].tolist() or [-1]))
        records = _records(first.union(aside, distinct=True))
        told = told[told.row.isin(list(records))]
        ruled = told[~told.problem.str.contains("is before|is after|is far|cannot be trusted")]
        pairs = set(ruled[["row", "column"]].itertuples(index=False, name=None))
        n_unlike += len({row for row, _ in pairs ^ _broken_cells(name, records)})
        kept = told.drop_duplicates("row")
        n_altered += sum(
            not _same_row(json.loads(whole), records[row])
            for row, whole in zip(kept["row"], kept["record"], strict=True)
        )
    source = f"plain Python on the first {max_rows:,} rows of each table, and of its quarantine"
    rows = [
        ("rows judged otherwise by hand", n_unlike, 0, 0, source),
        ("rows in quarantine that are not the raw rows", n_altered, 0, 0, source),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _records(table: ibis.Table) -> dict[int, dict]:
    """Return rows as dictionaries, by `row`; what is missing is None."""
    frame = table.to_pandas().astype(object)
    rows = frame.where(frame.notna(), None).to_dict("records")
    return {row.pop("row"): row for row in rows}


def _same_row(kept: dict[str, str | None], raw: dict) -> bool:
    """Whether a row kept as text has the cells of the raw one: the same ones missing, each text the same."""
    return kept.keys() == raw.keys() and all(
        kept[c] == raw[c] if isinstance(raw[c], str) else (kept[c] is None) == (raw[c] is None) for c in raw
    )


def _broken_cells(name: str, records: Mapping[int, dict]) -> set[tuple[int, str]]:
    """Return each row and column that breaks a rule of the table's schema."""
    schema = schema_of(name)
    assert schema is not None
    bad: set[tuple[int, str]] = set()
    for row, record in records.items():
        parts = (record.get("unconverted") or "").split(UNCONVERTED_SIGN)
        unread = {part.split(": ")[0] for part in parts if part}
        bad |= {(row, column) for column in unread}
        if "line" in unread:
            continue
        for column in schema.columns:
            if column.name not in record:
                continue
            value = record[column.name]
            if value is None:
                wrong = column.required and not column.nullable and column.name not in unread
            else:
                wrong = bool(column.allowed) and value not in column.allowed
                wrong |= column.low is not None and value < column.low
                wrong |= column.high is not None and value > column.high
                wrong |= value in (float("inf"), float("-inf"))
            if wrong:
                bad.add((row, column.name))
        named = {c.name for c in schema.columns if c.required and not c.nullable} | {"session_id"}
        said = set() if name == "consents" else named & record.keys()
        bad |= {(row, c) for c in said if str(record[c]).strip().lower() in ("", "undefined", "(not set)")}
        if record.get("as_of") is not None and record["as_of"].year >= 2100:
            bad.add((row, "as_of"))
        for group in schema.either:
            present = [column for column in group if column in record]
            if present and all(record[column] is None and column not in unread for column in present):
                bad.add((row, " or ".join(group)))
    return bad


def check_places(places: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Add up the places, and hold the lines that the engine read against those counted without it."""
    n_unlike = int((lines.n_lines - lines.n_read).abs().sum())
    apart = "lines of each file, by Python's csv module or the footer of Parquet"
    rows = [
        ("rows without a place, or with two", n_without_place(places), 0, 0, apart),
        ("lines that were read otherwise than they are counted", n_unlike, 0, 0, apart),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).assign(kind="conservation")


def check_study(found: Collection, *, dataset: str, scale: float) -> pd.DataFrame:
    """Compare the accepted rows with the study's published totals, where they are the whole study."""
    if dataset not in ("complete_journey", "journey_demo") or scale != 1:
        return pd.DataFrame(columns=_COLUMNS)
    lines, contacts = found.accepted["transactions"], found.accepted["coupon_contacts"]
    unknown = lines.filter(lines.product_id.notnull()).anti_join(found.accepted["products"], "product_id")
    sums = lines.aggregate(
        lines=lines.count(),
        baskets=lines.basket_id.nunique(),
        sales=lines.revenue.sum(),
        households=lines.customer_id.nunique(),
    ).to_pandas()
    lone = unknown.aggregate(n=unknown.product_id.nunique()).to_pandas()
    mailed = contacts.aggregate(n=contacts.count(), redeemed=contacts.responded.sum()).to_pandas()
    totals = [
        ("lines", sums.lines, 1_469_307, 0),
        ("baskets", sums.baskets, 155_848, 0),
        ("sales", sums.sales, 4_596_039.58, 0.005),
        ("households", sums.households, 2_469, 0),
        ("products unknown to the product table", lone.n, 17, 0),
        ("coupon contacts", mailed.n, 6_589, 0),
        ("coupon contacts redeemed", mailed.redeemed, 792, 0),
    ]
    rows = [(name, float(value.item()), total, within, _STUDY) for name, value, total, within in totals]
    return pd.DataFrame(rows, columns=_COLUMNS)


def check_ledger(consent: Consent, *, max_customers: int) -> pd.DataFrame:
    """Compare the ledger's counts with a recount by hand and with the rule of the door."""
    if consent.ledger is None:
        return pd.DataFrame(columns=_COLUMNS)
    recount = recount_ledger(consent, max_customers=max_customers)
    hand = f"plain Python, decision by decision, {int(recount.n_customers.max()):,} customers"
    unlike = (consent.decisions.set_index("purpose").n_permits - count_permits(consent.now)).abs().sum()
    rows = [
        ("permissions judged otherwise by hand", int(recount.n_unlike.sum()), 0, 0, hand),
        ("permissions counted otherwise by the door", int(unlike), 0, 0, "the rule of tables.standing"),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def check_planted(consent: Consent, planted: pd.DataFrame | None) -> pd.DataFrame:
    """Compare permissions by purpose with what the simulation planted; nothing where it planted nothing."""
    if planted is None:
        return pd.DataFrame(columns=_COLUMNS)
    truth = planted.groupby("purpose").permits.sum()
    counted = consent.decisions.set_index("purpose").n_permits
    rows = [(f"permissions for {p}", int(counted[p]), int(n), 0, "planted ledger") for p, n in truth.items()]
    return pd.DataFrame(rows, columns=_COLUMNS)
