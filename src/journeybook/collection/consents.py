"""The ledger: who permitted what over time, what that opens, and the same counted by hand."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import ibis
import pandas as pd

from journeybook.tables import (
    PURPOSES,
    brought_in,
    keep_permitted,
    keep_refusing,
    last_times,
    ledger_dates,
    standings,
    unpermitted_sends,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Consent:
    """Who permits what, over time and today; without a ledger every frame is empty and the rest None.

    Attributes:
        ledger: Accepted decisions; a refusal made later than `as_of` is set just before it, for it holds.
        dates: The date as of which each purpose is asked (`tables.ledger_dates`).
        as_of: The latest of them.
        now: What each customer's latest decision on a purpose says: customer_id, purpose, permits, refuses.
        permits: customer_id of whoever permits anything.
        shares: One row a date and purpose: as_of, purpose, n_decided, n_permits, n_refuses, n_lapsed,
            permitted_share (of those who had decided).
        decisions: One row a purpose: purpose, n_grants (a first yes), n_renewals, n_refusals (a first no),
            n_withdrawals (a no after a yes), n_returns (a yes after a no), n_permits, permitted_share.
        opened: One row a table and purpose: table, purpose, n_rows, n_without_customer (open to every purpose),
            n_permitted (of a customer who permits it), open_share. 03_identity narrows this further.
        withdrawn: One row a table with customers: table, n_accepted, n_withdrawn (of who permits nothing).
        sends: One row a contact table and channel: table, channel, n_sent, n_not_permitted (the customer id's own
            latest word, at that moment, did not permit it).
    """

    ledger: ibis.Table | None = None
    dates: Mapping[str, datetime] = field(default_factory=dict)
    as_of: datetime | None = None
    now: ibis.Table | None = None
    permits: ibis.Table | None = None
    shares: pd.DataFrame = field(default_factory=pd.DataFrame)
    decisions: pd.DataFrame = field(default_factory=pd.DataFrame)
    opened: pd.DataFrame = field(default_factory=pd.DataFrame)
    withdrawn: pd.DataFrame = field(default_factory=pd.DataFrame)
    sends: pd.DataFrame = field(default_factory=pd.DataFrame)


def who_permits(accepted: Mapping[str, ibis.Table]) -> Consent:
    """Return who permits what, by the accepted rows; the dates are set by those who permit something."""
    if "consents" not in accepted:
        return Consent()
    given = accepted["consents"]
    dates = ledger_dates(given, brought_in(last_times(accepted)))
    as_of = max(dates.values())
    just_before = ibis.timestamp(as_of - timedelta(seconds=1))
    late = ~given.granted & (given.occurred_at > just_before)
    ledger = given.mutate(occurred_at=ibis.ifelse(late, just_before, given.occurred_at))
    shares, decisions = consent_history(ledger, as_of=as_of)
    now = brought_in(standings(ledger, as_of=as_of))
    permits = brought_in(standings(given, as_of=dates).filter(ibis._.permits).select("customer_id").distinct())
    opened, withdrawn = open_rows(accepted, now=now, permits=permits)
    return Consent(
        ledger=ledger,
        dates=dates,
        as_of=as_of,
        now=now,
        permits=permits,
        shares=shares,
        decisions=decisions,
        opened=opened,
        withdrawn=withdrawn,
        sends=_unpermitted(accepted),
    )


def goes_on(accepted: Mapping[str, ibis.Table], consent: Consent) -> dict[str, ibis.Table]:
    """Return what later pages may open, by table: the rows of whoever permits anything, and the ledger whole."""
    return {
        name: table
        if consent.permits is None or name == "consents"
        else keep_permitted(table, permits=consent.permits)
        for name, table in accepted.items()
    }


def refusing_records(accepted: Mapping[str, ibis.Table], consent: Consent) -> ibis.Table | None:
    """Return the customer records of whoever refuses to be recognised; None without records or ledger."""
    if consent.ledger is None or "customer_records" not in accepted:
        return None
    records, ledger = accepted["customer_records"], accepted["consents"]
    return keep_refusing(records, ledger, purpose="identity_resolution", as_of=consent.dates)


def consent_history(
    ledger: ibis.Table, *, as_of: datetime, max_dates: int = 36
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `shares` and `decisions` of `Consent`: at the beginning of each month up to a date, and in all.

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
    return shares, _decisions(ledger, shares[shares.as_of == shares.as_of.max()])


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


def open_rows(
    accepted: Mapping[str, ibis.Table], *, now: ibis.Table, permits: ibis.Table
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `opened` and `withdrawn` of `Consent`, each table counted once."""
    each = now.group_by("customer_id").aggregate(
        **{purpose: (now.permits & (now.purpose == purpose)).any() for purpose in PURPOSES}
    )
    each = brought_in(each.left_join(permits.mutate(stays=True), "customer_id").drop("customer_id_right"))
    opened, withdrawn = [], []
    for name, table in accepted.items():
        if "customer_id" not in table.columns or name == "consents":
            continue
        joined = table.select("customer_id").left_join(each, "customer_id")
        known = joined.customer_id.notnull()
        n = joined.aggregate(
            rows=joined.count(),
            without=(~known).sum().fill_null(0),
            gone=(known & joined.stays.isnull()).sum().fill_null(0),
            **{purpose: joined[purpose].sum().fill_null(0) for purpose in PURPOSES},
        )
        n = n.to_pandas().iloc[0].astype(int)
        withdrawn.append((name, n.rows, n.gone))
        opened += [
            (name, p, n.rows, n.without, n[p], (n[p] + n.without) / n.rows if n.rows else float("nan"))
            for p in PURPOSES
        ]
    columns = ["table", "purpose", "n_rows", "n_without_customer", "n_permitted", "open_share"]
    return (
        pd.DataFrame(opened, columns=columns),
        pd.DataFrame(withdrawn, columns=["table", "n_accepted", "n_withdrawn"]),
    )


def open_shares(consent: Consent) -> pd.DataFrame:
    """Return the share of each table's rows (table down) that each purpose opens (across)."""
    if consent.ledger is None:
        return pd.DataFrame()
    return consent.opened.pivot(index="table", columns="purpose", values="open_share").round(3)


def _unpermitted(accepted: Mapping[str, ibis.Table]) -> pd.DataFrame:
    columns = ["table", "channel", "n_sent", "n_not_permitted"]
    found = [pd.DataFrame(columns=columns)]
    for name, table in accepted.items():
        sends = unpermitted_sends(table, accepted["consents"])
        if sends is not None and "responded" in table.columns:
            found.append(sends.order_by("channel").to_pandas().assign(table=name)[columns])
    return pd.concat(found[1:] or found, ignore_index=True)


def count_permits(now: ibis.Table) -> pd.Series:
    """Return how many customers permit each purpose, by the rule through which every page reads."""
    counts = now.group_by("purpose").aggregate(n=now.permits.sum()).to_pandas().set_index("purpose").n
    return counts.reindex(PURPOSES).fillna(0).astype(int).rename("n_permits")


def recount_ledger(consent: Consent, *, max_customers: int) -> pd.DataFrame:
    """Count permissions a second time, decision by decision, for the first customers of the ledger.

    Returns:
        One row a purpose: purpose, n_customers, n_permits (by hand), n_engine (by `tables.standings`), n_unlike.
    """
    ledger, now, as_of = consent.ledger, consent.now, consent.as_of
    assert ledger is not None and now is not None and as_of is not None
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
    permits = now.filter(now.permits).semi_join(chosen, "customer_id")
    engine = set(permits.select("customer_id", "purpose").to_pandas().itertuples(index=False, name=None))
    hand = {key for key, (_, permits) in word.items() if permits}
    rows = [
        (
            p,
            frame.customer_id.nunique(),
            *(sum(of == p for _, of in some) for some in (hand, engine, hand ^ engine)),
        )
        for p in PURPOSES
    ]
    return pd.DataFrame(rows, columns=["purpose", "n_customers", "n_permits", "n_engine", "n_unlike"])
