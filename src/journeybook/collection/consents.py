"""The ledger: who permitted what over time, and what that opens."""

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
    last_times,
    ledger_dates,
    said,
    standing,
    standings,
    unpermitted_sends,
)

_MOST_DATES = 36


@dataclass(frozen=True, eq=False)
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
        opened: One row a table and purpose: table, purpose, n_rows, n_without_customer (open to every purpose),
            n_permitted (of a customer who permits it), open_share. 03_identity narrows this further.
        withdrawn: One row a table with customers: table, n_accepted, n_withdrawn (of who permits nothing).
        sends: One row a contact table and channel: table, channel, n_sent, n_not_permitted (at that moment, by
            the customer id's own latest word).
    """

    ledger: ibis.Table | None = None
    dates: Mapping[str, datetime] = field(default_factory=dict)
    as_of: datetime | None = None
    now: ibis.Table | None = None
    permits: ibis.Table | None = None
    shares: pd.DataFrame = field(default_factory=pd.DataFrame)
    opened: pd.DataFrame = field(default_factory=pd.DataFrame)
    withdrawn: pd.DataFrame = field(default_factory=pd.DataFrame)
    sends: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def today(self) -> pd.DataFrame:
        """The last rows of `shares`, the purpose permitted least first."""
        if self.shares.empty:
            return self.shares
        last = self.shares[self.shares.as_of == self.shares.as_of.max()].drop(columns="as_of")
        return last.sort_values("permitted_share", kind="stable", ignore_index=True)


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
    shares = consent_history(ledger, as_of=as_of)
    now = brought_in(standings(ledger, as_of=as_of))
    permits = brought_in(standings(given, as_of=dates).filter(ibis._.permits).select("customer_id").distinct())
    opened, withdrawn = open_rows(accepted, now=now, permits=permits)
    return Consent(ledger, dates, as_of, now, permits, shares, opened, withdrawn, _unpermitted(accepted))


def goes_on(accepted: Mapping[str, ibis.Table], consent: Consent) -> dict[str, ibis.Table]:
    """Return what later pages may open, by table: the rows of whoever permits anything, and the ledger whole."""
    if consent.permits is None:
        return dict(accepted)
    kept = {name: keep_permitted(table, permits=consent.permits) for name, table in accepted.items()}
    return kept | {"consents": accepted["consents"]}


def refusing_records(accepted: Mapping[str, ibis.Table], consent: Consent) -> ibis.Table | None:
    """Return the customer records of whoever refuses to be recognised; None without records or ledger."""
    if consent.ledger is None or "customer_records" not in accepted:
        return None
    records = accepted["customer_records"]
    decided = standing(accepted["consents"], purpose="identity_resolution", as_of=consent.dates)
    return records.filter(records.customer_id.isin(decided.filter(decided.refuses).customer_id))


def consent_history(ledger: ibis.Table, *, as_of: datetime) -> pd.DataFrame:
    """Return `shares` of `Consent`, at the beginning of each month up to a date, and at that date.

    Of many dates, months are left out evenly. `ledger` has accepted rows of `consents`.

    Raises:
        ValueError: The ledger has no row.
    """
    first = ledger.occurred_at.min().to_pandas()
    if pd.isna(first):
        raise ValueError("ledger has no accepted row: there is no consent to count.")
    months = pd.date_range(first.normalize() + pd.offsets.MonthBegin(1), as_of, freq="MS").to_pydatetime().tolist()
    dates = [date for date in months if date < as_of] + [as_of]
    # Every k-th date, counted from the last.
    dates = dates[:: -math.ceil(len(dates) / _MOST_DATES)][::-1]
    asked = ledger.cross_join(ibis.memtable(pd.DataFrame({"as_of": dates}).astype("datetime64[us]")))
    latest = said(asked.mutate(moment=asked.as_of), by=("as_of", "customer_id", "purpose"))
    counted = latest.group_by("as_of", "purpose").aggregate(
        n_decided=latest.count(), n_permits=latest.permits.sum(), n_refuses=latest.refuses.sum()
    )
    shares = counted.order_by("as_of", "purpose").to_pandas()
    shares["n_lapsed"] = shares.n_decided - shares.n_permits - shares.n_refuses
    shares["permitted_share"] = shares.n_permits / shares.n_decided
    return shares


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
        rows = table.group_by("customer_id").aggregate(n=table.count()).left_join(each, "customer_id")
        known = rows.customer_id.notnull()
        asked = {"rows": rows.n.sum(), "without": rows.n.sum(where=~known)}
        asked |= {"gone": rows.n.sum(where=known & rows.stays.isnull())}
        asked |= {purpose: rows.n.sum(where=rows[purpose]) for purpose in PURPOSES}
        n = rows.aggregate(**asked).to_pandas().iloc[0].fillna(0).astype(int)
        withdrawn.append((name, n.rows, n.gone))
        opened += [
            (name, p, n.rows, n.without, n[p], (n[p] + n.without) / n.rows if n.rows else float("nan"))
            for p in PURPOSES
        ]
    columns = ["table", "purpose", "n_rows", "n_without_customer", "n_permitted", "open_share"]
    gone = pd.DataFrame(withdrawn, columns=["table", "n_accepted", "n_withdrawn"])
    return pd.DataFrame(opened, columns=columns), gone


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
