"""Sentences and headline figures of the page, that stay true for other data."""

from collections.abc import Sequence

import pandas as pd

from journeybook.collection.consents import Consent
from journeybook.collection.pitfalls import Pitfall
from journeybook.collection.plan import TrackingPlan
from journeybook.collection.rows import Collection
from journeybook.findings import say_count, say_share

PURPOSE_WORDS = {
    "identity_resolution": "identity resolution",
    "analytics": "analytics",
    "personalisation": "personalisation",
    "marketing_email": "e-mail",
    "marketing_sms": "SMS",
    "marketing_push": "push messages",
    "third_party_enrichment": "third-party data",
}


def title_consent(consent: Consent) -> str:
    """Return who permits what, most and least."""
    least, most = consent.today.iloc[0], consent.today.iloc[-1]
    told = f"{say_share(most.permitted_share)} permit {PURPOSE_WORDS[most.purpose]}"
    if most.purpose == least.purpose:
        return told
    return f"{told}, {say_share(least.permitted_share)} {PURPOSE_WORDS[least.purpose]}"


def say_reach(consent: Consent, left_behind: Sequence[str]) -> str:
    """Return which rows end here, and what a withdrawal does not reach; empty where there is no ledger."""
    if consent.ledger is None:
        return ""
    told = f"Of customers who permit nothing, {consent.withdrawn.n_withdrawn.sum():,} rows end here."
    if left_behind:
        told += (
            f" An earlier run left {', '.join(f'`{name}`' for name in left_behind)}, which may hold people "
            "who left since: `journeybook erase --customer ID` removes a person from them."
        )
    return told


def say_tracking(rates: pd.DataFrame, plan: TrackingPlan | None) -> str:
    """Return how many events failed, were not planned, or came out of order; empty without events."""
    if plan is None and len(rates):
        return "Events were held against their schema alone: no `tracking_plan` is given."
    if plan is None or rates.empty:
        return ""
    counts = rates[rates.by == "event"].drop(columns=["by", "value", "failed_share"]).sum()
    n_events, n_failed, n_unplanned, n_disordered = map(say_count, counts)
    return (
        f"Held against `{plan.source}`: **{n_failed} of {n_events} events are set aside**, {n_unplanned} of them "
        f"as nobody planned them. {n_disordered} came without an event that they come after; these alone stay."
    )


def say_deliveries(twice: pd.DataFrame, odd: pd.DataFrame, changed: Sequence[str]) -> str:
    """Return what is unlike other deliveries, or that nothing is."""
    told = [f"{of.n_rows.sum():,} rows of `{name}` came twice in one piece" for name, of in twice.groupby("table")]
    told += [f"days of `{name}` unlike its others: {len(of):,}" for name, of in odd.groupby("table")]
    return f"{'; '.join([*told, *changed]) or 'Nothing came twice, on an odd day, or in another schema'}."


def say_catalogue(listed: pd.DataFrame) -> str:
    """Return how many columns there are, and which ones of people no page's code names."""
    unread = listed[(listed.named_by == "") & (listed.personal != "no")]
    names = ", ".join(f"`{one.table}.{one.column}`" for one in unread.itertuples())
    told = f"{len(listed):,} columns of {listed.table.nunique():,} tables. "
    return f"{told}No later page's code names {names}: ask whether they need be collected." if names else told


def metrics(found: Collection, consent: Consent, pitfall: Pitfall) -> dict[str, float]:
    """Return the page's headline figures."""
    headline = {
        "n_rows_collected": int(found.counts.n_collected.sum()),
        "n_rows_quarantined": found.n_aside,
        "n_tables": len(found.counts),
        "n_findings": len(found.oddities),
        "pitfall_n_wrong": pitfall.size,
    }
    if consent.ledger is None:
        return headline
    headline["n_rows_withdrawn"] = int(consent.withdrawn.n_withdrawn.sum())
    return headline | {f"permitted_share_{row.purpose}": row.permitted_share for row in consent.today.itertuples()}
