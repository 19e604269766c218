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


def check_sums(found: Collection) -> pd.DataFrame:
    """Compare rows collected with rows accepted and in quarantine, counted in the tables themselves."""
    rows = []
    n_aside = int(found.quarantine.count().to_pandas())
    n_kept = sum(int(table.count().to_pandas()) for table in found.accepted.values())
    n_in = int(found.counts.n_collected.sum())
    rows.append(("rows accepted and in quarantine", n_kept + n_aside, n_in, 0, "rows collected"))
    unlike = found.counts.n_collected - found.counts.n_accepted - found.counts.n_quarantined
    rows.append(("tables whose counts do not add up", int((unlike != 0).sum()), 0, 0, "arithmetic"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def check_rules(tables: Mapping[str, ibis.Table], found: Collection, *, max_rows: int) -> pd.DataFrame:
    """Ask the rules a second time, value by value in plain Python, of each table's first rows."""
    n_hand, n_engine = 0, 0
    for name, table in tables.items():
        first = table.order_by("row").limit(max_rows)
        frame = first.to_pandas()
        bad = _broken_rows(name, frame)
        n_hand += len(bad)
        aside = found.quarantine.filter(found.quarantine.table == name).semi_join(first, "row").to_pandas()
        ruled = ~aside.problem.str.contains("is before|is after|is far|cannot be trusted", regex=True)
        n_engine += int(ruled.sum())
    source = f"plain Python on the first {max_rows:,} rows of each table"
    return pd.DataFrame([("rows that break a rule", n_engine, n_hand, 0, source)], columns=_COLUMNS)


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
