"""Sentences and headline figures of the page, that stay true for other data."""

from collections.abc import Sequence

from journeybook.collection.consents import Consent
from journeybook.collection.pitfalls import Pitfall
from journeybook.collection.rows import Collection
from journeybook.findings import say_share

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
