"""What is known of each yes that holds: how it was asked for, who says it more, and when it ends."""

import ibis
import pandas as pd

from journeybook.collection.consents import Consent
from journeybook.statistics import proportion_interval
from journeybook.tables import brought_in, said

EVIDENCE = ("wording", "version", "channel", "proof", "confirmed_at")
DUE_DAYS = (30, 60, 90)


def standing_grants(consent: Consent) -> ibis.Table | None:
    """Return each yes that holds with what is known of it: customer_id, purpose, days left (null is for ever)."""
    if consent.ledger is None or consent.as_of is None:
        return None
    ledger = consent.ledger.mutate(moment=ibis.timestamp(consent.as_of))
    kept = [column for column in (*EVIDENCE, "expires_at") if column in ledger.columns]
    grants = said(ledger, by=("customer_id", "purpose"), keep=kept).filter(ibis._.permits)
    ends = grants.expires_at if "expires_at" in kept else ibis.null("timestamp(6)")
    days = (ends.epoch_seconds() - int(pd.Timestamp(consent.as_of).timestamp())) / 86_400
    return brought_in(grants.mutate(days=days).drop("permits", "refuses"))


def evidence(grants: ibis.Table | None) -> pd.DataFrame:
    """Count by purpose: purpose, n_permits, n_<column> that have a value, n_due_<days> that end by then."""
    if grants is None:
        return pd.DataFrame()
    counts = {f"n_{c}": grants[c].count() for c in EVIDENCE if c in grants.columns}
    counts |= {f"n_due_{days}": (grants.days <= days).sum().fill_null(0) for days in DUE_DAYS}
    return grants.group_by("purpose").aggregate(n_permits=grants.count(), **counts).order_by("purpose").to_pandas()


def renewals_due(grants: ibis.Table) -> ibis.Table:
    """Return the grants to be renewed, for their owner's eyes: due_within_days, and all that is known of each."""
    due = grants.filter(grants.days <= max(DUE_DAYS))
    within = ibis.cases(*((due.days <= days, days) for days in DUE_DAYS))
    return due.mutate(due_within_days=within).drop("days").order_by("expires_at", "customer_id", "purpose")


def shares_by_group(consent: Consent, records: ibis.Table | None) -> pd.DataFrame:
    """Return who permits what by the source of their records, with Wilson's 95 % interval; ids, not people.

    Columns: purpose, source, n_decided, n_permits, permitted_share, permitted_low, permitted_high.
    """
    if consent.now is None or records is None:
        return pd.DataFrame()
    both = consent.now.inner_join(records.select("customer_id", "source").distinct(), "customer_id")
    by = ["purpose", "source"]
    counts = both.group_by(by).aggregate(n_decided=both.count(), n_permits=both.permits.sum())
    shares = counts.order_by(by).to_pandas()
    interval = proportion_interval(shares.n_permits, shares.n_decided)
    ends = {"permitted_low": interval.low, "permitted_high": interval.high}
    return shares.assign(permitted_share=shares.n_permits / shares.n_decided, **ends)
