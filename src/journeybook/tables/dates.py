"""The dates up to which data reach, for one purpose: set by whoever permits it, so that a leaver moves none."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import ibis
import pandas as pd

from journeybook.tables.consent import said
from journeybook.tables.schema import PURPOSES

_TIMES = ("occurred_at", "recorded_at")


def last_times(accepted: Mapping[str, ibis.Table]) -> ibis.Table:
    """Return when each customer was last seen outside the ledger: `customer_id` (null: guests), `last_at`."""
    seen = [
        table.select(
            customer_id=table.customer_id if "customer_id" in table.columns else ibis.null("string"),
            last_at=table[column].cast("timestamp(6)"),
        )
        for name, table in sorted(accepted.items())
        for column in _TIMES
        if name != "consents" and column in table.columns
    ]
    nobody = ibis.memtable([], schema={"customer_id": "string", "last_at": "timestamp(6)"})
    rows = ibis.union(nobody, *seen) if seen else nobody
    return rows.group_by("customer_id").aggregate(last_at=rows.last_at.max()).filter(ibis._.last_at.notnull())


def midnight_after(moment: datetime | pd.Timestamp | None) -> datetime | None:
    """Return the first midnight after a moment; None for none."""
    if moment is None or pd.isna(moment):
        return None
    day = pd.Timestamp(moment).to_pydatetime().replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def undecided_or_granting(ledger: ibis.Table) -> ibis.Table:
    """Return the customers and purposes whose latest decision, whenever made, is a grant.

    Returns:
        `customer_id`, `purpose`, `expires_at` (null: never ends), `decided_at` (when the last decision was
        made, or reached the ledger).
    """
    at_last = ledger.mutate(moment=ibis.timestamp(datetime.max))
    kept = [column for column in ("occurred_at", "recorded_at", "expires_at") if column in ledger.columns]
    latest = said(at_last, by=("customer_id", "purpose"), keep=kept).filter(~ibis._.refuses)
    recorded = latest.recorded_at if "recorded_at" in latest.columns else latest.occurred_at
    ends = latest.expires_at if "expires_at" in latest.columns else ibis.null("timestamp(6)")
    return latest.select(
        "customer_id",
        "purpose",
        expires_at=ends,
        decided_at=ibis.greatest(latest.occurred_at, recorded.fill_null(latest.occurred_at)),
    )


def ledger_dates(
    ledger: ibis.Table, times: ibis.Table, *, silenced: ibis.Table | None = None
) -> dict[str, datetime]:
    """Return for each purpose the date as of which its permissions are asked.

    It is the first midnight after the last row or decision of whoever permits the purpose then, by a grant that
    lasts beyond that midnight. Where nobody does, the latest date of another purpose stands in.

    Args:
        ledger: The canonical table `consents`.
        times: `last_times`; guests count for every purpose.
        silenced: `customer_id` and `purpose` of those who granted, but refuse as another record of theirs.
    """
    grants = undecided_or_granting(ledger)
    if silenced is not None:
        grants = grants.anti_join(silenced, ["customer_id", "purpose"])
    grants = grants.left_join(times.filter(times.customer_id.notnull()), "customer_id")
    last = ibis.greatest(grants.decided_at, grants.last_at.fill_null(grants.decided_at))
    until = last.truncate("D") + ibis.interval(days=1)
    lasting = grants.mutate(until=until).filter(grants.expires_at.isnull() | (grants.expires_at > until))
    found = lasting.group_by("purpose").aggregate(until=lasting.until.max()).to_pandas()
    dates = {row.purpose: row.until.to_pydatetime() for row in found.itertuples()}
    guests = midnight_after(times.filter(times.customer_id.isnull()).last_at.max().to_pandas())
    floor = guests or midnight_after(ledger.occurred_at.max().to_pandas()) or datetime.max
    known = {purpose: max(dates[purpose], guests or dates[purpose]) for purpose in dates}
    return {purpose: known.get(purpose, max(known.values(), default=floor)) for purpose in PURPOSES}
