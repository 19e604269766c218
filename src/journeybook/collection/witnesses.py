"""What the page is held against: published totals, the planted ledger, and counts made a second way.

Each function returns one row a comparison: name, value, reference, tolerance, source.
"""

from collections.abc import Mapping

import ibis
import pandas as pd

from journeybook.collection.rows import Collection
from journeybook.tables import schema_of

_COLUMNS = ["name", "value", "reference", "tolerance", "source"]
_STUDY = "The Complete Journey, totals of the published files"


def check_rows(collected: Mapping[str, ibis.Table], found: Collection) -> pd.DataFrame:
    """Follow every raw row to its one place, and compare each accepted cell with the raw one.

    Args:
        collected: Raw tables by name, as the page read them.
        found: What became of their rows.
    """
    totals = dict.fromkeys(("nowhere", "twice", "changed", "miscounted"), 0)
    for name, table in collected.items():
        kept = found.accepted[name]
        aside = found.quarantine.filter(found.quarantine.table == name)
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
        told = found.counts.set_index("table").loc[name, ["n_collected", "n_accepted", "n_quarantined"]]
        totals["miscounted"] += bool((told.to_numpy() != row[["n_raw", "n_kept", "n_aside"]].to_numpy()).any())
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
    n_unlike = 0
    for name, table in tables.items():
        told = found.quarantine.filter(found.quarantine.table == name)
        told = told.filter(~told.problem.re_search("is before|is after|is far|cannot be trusted"))
        first = table.order_by("row").limit(max_rows)
        asked = first.union(
            table.semi_join(told, "row").order_by("row").limit(max_rows), distinct=True
        ).to_pandas()
        ruled = set(told.row.to_pandas()) & set(asked["row"])
        n_unlike += len(ruled ^ _broken_rows(name, asked))
    source = f"plain Python on the first {max_rows:,} rows of each table, and of its quarantine"
    return pd.DataFrame([("rows judged otherwise by hand", n_unlike, 0, 0, source)], columns=_COLUMNS)


def _broken_rows(name: str, frame: pd.DataFrame) -> set[int]:
    schema = schema_of(name)
    assert schema is not None
    bad: set[int] = set()
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    for record in records:
        wrong = record.get("unconverted") is not None
        for column in schema.columns:
            if column.name not in record:
                continue
            value = record[column.name]
            if value is None:
                wrong |= column.required and not column.nullable
                continue
            wrong |= bool(column.allowed) and value not in column.allowed
            wrong |= column.low is not None and value < column.low
            wrong |= column.high is not None and value > column.high
            wrong |= value in (float("inf"), float("-inf"))
        named = {c.name for c in schema.columns if c.required and not c.nullable} | {"session_id"}
        words = {str(record[c]).strip().lower() for c in named & record.keys() if isinstance(record[c], str)}
        wrong |= name != "consents" and not words.isdisjoint({"", "undefined", "(not set)"})
        wrong |= record.get("as_of") is not None and record["as_of"].year >= 2100
        for group in schema.either:
            present = [column for column in group if column in record]
            wrong |= bool(present) and all(record[column] is None for column in present)
        if wrong:
            bad.add(record["row"])
    return bad


def check_study(found: Collection) -> pd.DataFrame:
    """Compare the accepted rows with the study's published totals."""
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


def check_ledger(recount: pd.DataFrame, decisions: pd.DataFrame, door: pd.Series) -> pd.DataFrame:
    """Compare the ledger's counts with a recount by hand and with the rule of the door.

    Args:
        recount: As `recount_ledger` returns it.
        decisions: As `consent_history` counts it, for all dates at once.
        door: Permissions by purpose, by the rule through which every later page reads.
    """
    n_customers = int(recount.n_customers.max())
    hand = f"plain Python, decision by decision, {n_customers:,} customers"
    unlike = (decisions.set_index("purpose").n_permits - door).abs().sum()
    rows = [
        ("permissions judged otherwise by hand", int(recount.n_unlike.sum()), 0, 0, hand),
        ("permissions counted otherwise by the door", int(unlike), 0, 0, "the rule of tables.standing"),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def check_planted(decisions: pd.DataFrame, planted: pd.DataFrame) -> pd.DataFrame:
    """Compare permissions by purpose with what the simulation planted."""
    truth = planted.groupby("purpose").permits.sum()
    counted = decisions.set_index("purpose").n_permits
    rows = [
        (f"permissions for {purpose}", int(counted[purpose]), int(n), 0, "planted ledger")
        for purpose, n in truth.items()
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)
