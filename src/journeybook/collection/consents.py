"""The ledger: who permitted what over time, what that opens, and the same counted by hand."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce

import ibis
import pandas as pd

from journeybook.tables import PURPOSES, last_times, ledger_dates, standing, standings, unpermitted_sends


@dataclass(frozen=True, eq=False)
class ConsentHistory:
    """Who permitted what, as of a row of dates.

    Attributes:
        shares: One row a date and purpose: as_of, purpose, n_decided, n_permits, n_refuses, n_lapsed,
            permitted_share (of those who had decided).
        decisions: One row a purpose: purpose, n_grants (a first yes), n_renewals, n_refusals (a first no),
            n_withdrawals (a no after a yes), n_returns (a yes after a no), n_permits, permitted_share.
    """

    shares: pd.DataFrame
    decisions: pd.DataFrame


@dataclass(frozen=True, eq=False)
class LedgerNow:
    """The ledger as it stands today.

    Attributes:
        ledger: Accepted decisions; a refusal made later than `as_of` is set just before it, for it holds.
        dates: The date as of which each purpose is asked (`tables.ledger_dates`).
        as_of: The latest of them.
    """

    ledger: ibis.Table
    dates: dict[str, datetime]
    as_of: datetime


def ledger_now(accepted: Mapping[str, ibis.Table]) -> LedgerNow | None:
    """Return the ledger and the dates that those who permit something set; None where there is no ledger."""
    if "consents" not in accepted:
        return None
    ledger = accepted["consents"]
    dates = ledger_dates(ledger, last_times(accepted))
    as_of = max(dates.values())
    just_before = ibis.timestamp(as_of - timedelta(seconds=1))
    late = ~ledger.granted & (ledger.occurred_at > just_before)
    held = ledger.mutate(occurred_at=ibis.ifelse(late, just_before, ledger.occurred_at))
    return LedgerNow(ledger=held, dates=dates, as_of=as_of)


def consent_history(ledger: ibis.Table, *, as_of: datetime, max_dates: int = 36) -> ConsentHistory:
    """Return who permitted what at the beginning of each month up to a date, and how it came about.

    The rule is that of `tables.standing`, for all dates and purposes in one pass.

    Args:
        ledger: Accepted rows of `consents`.
        as_of: Last date asked.
        max_dates: Greatest number of dates; beyond it months are left out evenly.

    Raises:
        ValueError: The ledger has no row.
    """
    first = ledger.occurred_at.min().to_pandas()
    if pd.isna(first):
        raise ValueError("ledger has no accepted row: there is no consent to count.")
    months = pd.date_range(first.normalize() + pd.offsets.MonthBegin(1), as_of, freq="MS").to_pydatetime().tolist()
    dates = [date for date in months if date < as_of] + [as_of]
    # Every k-th date, counted from the last.
    dates = dates[:: -math.ceil(len(dates) / max_dates)][::-1]
    asked = ledger.cross_join(ibis.memtable(pd.DataFrame({"as_of": dates}).astype("datetime64[us]")))
    made = asked.filter(asked.occurred_at < asked.as_of)
    if "recorded_at" in made.columns:
        made = made.filter(~made.granted | (made.recorded_at.fill_null(made.occurred_at) < made.as_of))
    lasts = (made.expires_at.isnull() | (made.expires_at > made.as_of)) if "expires_at" in made.columns else True
    order = [made.occurred_at.desc(), made.granted.asc()]
    newest = ibis.row_number().over(group_by=[made.as_of, made.customer_id, made.purpose], order_by=order)
    latest = made.mutate(newest=newest, permits=made.granted & lasts).filter(ibis._.newest == 0)
    shares = (
        latest.group_by("as_of", "purpose")
        .aggregate(n_decided=latest.count(), n_permits=latest.permits.sum(), n_refuses=(~latest.granted).sum())
        .order_by("as_of", "purpose")
        .to_pandas()
    )
    shares["n_lapsed"] = shares.n_decided - shares.n_permits - shares.n_refuses
    shares["permitted_share"] = shares.n_permits / shares.n_decided
    return ConsentHistory(shares=shares, decisions=_decisions(ledger, shares[shares.as_of == shares.as_of.max()]))


def _decisions(ledger: ibis.Table, now: pd.DataFrame) -> pd.DataFrame:
    before = ledger.granted.lag().over(
        group_by=[ledger.customer_id, ledger.purpose],
        order_by=[ledger.occurred_at, ledger.granted.desc(), ledger.row],
    )
    steps = ledger.mutate(before=before)
    yes, no = steps.granted, ~steps.granted
    counts = (
        steps.group_by("purpose")
        .aggregate(
            n_grants=(yes & steps.before.isnull()).sum(),
            n_renewals=(yes & steps.before.fill_null(False)).sum(),
            n_refusals=(no & steps.before.isnull()).sum(),
            n_withdrawals=(no & steps.before.fill_null(False)).sum(),
            n_returns=(yes & ~steps.before.fill_null(True)).sum(),
        )
        .to_pandas()
    )
    frame = pd.DataFrame({"purpose": PURPOSES}).merge(counts, on="purpose", how="left")
    whole = frame.columns[1:]
    frame[whole] = frame[whole].fillna(0).astype(int)
    return frame.merge(now[["purpose", "n_permits", "n_refuses", "n_lapsed", "permitted_share"]], on="purpose")


def open_rows(accepted: Mapping[str, ibis.Table], *, as_of: datetime) -> pd.DataFrame:
    """Return how many rows of each table a purpose may read, one row a table and purpose.

    Columns: table, purpose, n_rows, n_without_customer (open to every purpose), n_permitted (of a customer who
    permits it), open_share. Records of one person are not known yet here: 03_identity narrows this further.
    """
    ledger = accepted["consents"]
    words = reduce(
        lambda above, below: above.union(below),
        [
            standing(ledger, purpose=purpose, as_of=as_of).select(
                "customer_id", "permits", purpose=ibis.literal(purpose)
            )
            for purpose in PURPOSES
        ],
    )
    permits = words.group_by("customer_id").aggregate(
        **{purpose: (words.permits & (words.purpose == purpose)).any() for purpose in PURPOSES}
    )
    rows = []
    for name, table in accepted.items():
        if "customer_id" not in table.columns or name == "consents":
            continue
        joined = table.select("row", "customer_id").left_join(permits, "customer_id")
        found = joined.aggregate(
            n_rows=joined.count(),
            n_without_customer=joined.customer_id.isnull().sum().fill_null(0),
            **{purpose: joined[purpose].sum().fill_null(0) for purpose in PURPOSES},
        ).to_pandas()
        n_rows, n_without = int(found.n_rows.item()), int(found.n_without_customer.item())
        for purpose in PURPOSES:
            n_open = int(found[purpose].item())
            share = (n_open + n_without) / n_rows if n_rows else float("nan")
            rows.append((name, purpose, n_rows, n_without, n_open, share))
    columns = ["table", "purpose", "n_rows", "n_without_customer", "n_permitted", "open_share"]
    return pd.DataFrame(rows, columns=columns)


def withdrawn_rows(accepted: Mapping[str, ibis.Table], *, as_of: Mapping[str, datetime]) -> pd.DataFrame:
    """Return how many valid rows end on this page, because their customer permits nothing at all.

    Returns:
        One row a table with customers: table, n_accepted, n_withdrawn.
    """
    decided = standings(accepted["consents"], as_of=as_of)
    permits = decided.filter(decided.permits).select("customer_id").distinct()
    rows = []
    for name, table in accepted.items():
        if "customer_id" in table.columns and name != "consents":
            stays = table.customer_id.isnull() | table.customer_id.isin(permits.customer_id)
            found = table.aggregate(n=table.count(), n_gone=(~stays).sum().fill_null(0)).to_pandas()
            rows.append((name, int(found.n.item()), int(found.n_gone.item())))
    return pd.DataFrame(rows, columns=["table", "n_accepted", "n_withdrawn"])


def unpermitted(accepted: Mapping[str, ibis.Table]) -> pd.DataFrame:
    """Return how many messages went to a customer id whose own latest word, at that moment, did not permit it.

    Returns:
        One row a contact table and channel with a purpose: table, channel, n_sent, n_not_permitted.
    """
    ledger = accepted["consents"]
    found = []
    for name, table in accepted.items():
        sends = unpermitted_sends(table, ledger)
        if sends is not None and "responded" in table.columns:
            found.append(sends.order_by("channel").to_pandas().assign(table=name))
    columns = ["table", "channel", "n_sent", "n_not_permitted"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def count_permits(ledger: ibis.Table, *, as_of: datetime) -> pd.Series:
    """Return how many customers permit each purpose, by the rule through which every page reads."""
    counts = {
        purpose: int(standing(ledger, purpose=purpose, as_of=as_of).permits.sum().fill_null(0).to_pandas())
        for purpose in PURPOSES
    }
    return pd.Series(counts, name="n_permits")


def recount_ledger(ledger: ibis.Table, *, as_of: datetime, max_customers: int) -> pd.DataFrame:
    """Count permissions a second time, decision by decision, for the first customers of the ledger.

    Returns:
        One row a purpose: purpose, n_customers, n_permits (by hand), n_engine (by `tables.standing`), n_unlike.
    """
    first = ledger.group_by("customer_id").aggregate(first_row=ledger.row.min())
    chosen = first.order_by("first_row").limit(max_customers)
    frame = ledger.semi_join(chosen, "customer_id").order_by("row").to_pandas()
    word: dict[tuple[str, str], tuple] = {}
    for d in frame.to_dict("records"):
        recorded = d.get("recorded_at")
        seen = d["occurred_at"] if recorded is None or pd.isna(recorded) else recorded
        if d["occurred_at"] >= as_of or (d["granted"] and seen >= as_of):
            continue
        ends = d.get("expires_at")
        lasts = ends is None or pd.isna(ends) or ends > as_of
        # The latest decision counts; of two at one moment the refusal.
        rank = (d["occurred_at"], not d["granted"])
        key = (d["customer_id"], d["purpose"])
        if key not in word or rank > word[key][0]:
            word[key] = (rank, bool(d["granted"] and lasts))
    rows = []
    for purpose in PURPOSES:
        hand = {customer for (customer, asked), (_, permits) in word.items() if asked == purpose and permits}
        decided = standing(ledger, purpose=purpose, as_of=as_of)
        engine = set(decided.filter(decided.permits).semi_join(chosen, "customer_id").customer_id.to_pandas())
        rows.append((purpose, frame.customer_id.nunique(), len(hand), len(engine), len(hand ^ engine)))
    return pd.DataFrame(rows, columns=["purpose", "n_customers", "n_permits", "n_engine", "n_unlike"])
