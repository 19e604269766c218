"""Sentences and headline figures of the page, that stay true for other data."""

from collections.abc import Sequence

import pandas as pd

from journeybook.collection.consents import Consent
from journeybook.collection.pitfalls import Pitfall
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


def say_quarantine(found: Collection) -> str:
    """Return how many rows are in quarantine, and why most of them are."""
    if not found.n_aside:
        return "No row breaks a rule: the quarantine is empty."
    worst = found.problems.sort_values("n_rows", ascending=False, kind="stable").iloc[0]
    return (
        f"{_rows(found.n_aside)} in quarantine, most often because `{worst.column}` of {worst.table} "
        f"{worst.problem} ({int(worst.n_rows):,})."
    )


def say_oddities(oddities: pd.DataFrame) -> str:
    """Return what is odd in the accepted rows."""
    if oddities.empty:
        return "No row repeats another, and no id is unknown to the table it belongs to."
    listed = "; ".join(f"{o.table}: {o.finding} ({_rows(o.n_rows)})" for o in oddities.head(4).itertuples())
    return f"Accepted, but odd: {listed}{'; and more below' if len(oddities) > 4 else ''}."


def title_consent(consent: Consent) -> str:
    """Return who permits what, most and least."""
    ordered = consent.decisions.dropna(subset="permitted_share").sort_values("permitted_share", kind="stable")
    most, least = ordered.iloc[-1], ordered.iloc[0]
    told = f"{say_share(most.permitted_share)} permit {PURPOSE_WORDS[most.purpose]}"
    return (
        told if len(ordered) == 1 else f"{told}, {say_share(least.permitted_share)} {PURPOSE_WORDS[least.purpose]}"
    )


def say_consent(consent: Consent) -> str:
    """Return what became of earlier permissions, or that nobody's are known."""
    if consent.ledger is None:
        return (
            "There is no consent ledger: whether anyone permitted anything is not known, and every page says so."
        )
    decisions = consent.decisions
    return (
        f"{say_count(decisions.n_withdrawals.sum())} decisions withdraw an earlier yes, and "
        f"{say_count(decisions.n_lapsed.sum())} permissions have lapsed. Who was never asked is not shown."
    )


def say_reach(consent: Consent, left_behind: Sequence[str]) -> str:
    """Return which rows end here, what was sent without permission, and what a withdrawal does not reach."""
    if consent.ledger is None:
        return ""
    n_gone = int(consent.withdrawn.n_withdrawn.sum())
    told = f"{_rows(n_gone)} of customers who permit nothing end here, as if never collected."
    if len(consent.sends):
        by = ", ".join(f"{s.n_not_permitted:,} of {s.n_sent:,} by {s.channel}" for s in consent.sends.itertuples())
        told += f" Sent without permission at that moment, by each customer id's own word: {by}."
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
    now = consent.decisions.dropna(subset="permitted_share")
    headline["n_rows_withdrawn"] = int(consent.withdrawn.n_withdrawn.sum())
    headline["n_withdrawals"] = int(now.n_withdrawals.sum())
    return headline | {f"permitted_share_{row.purpose}": row.permitted_share for row in now.itertuples()}


def _rows(n: int) -> str:
    return f"{n:,} row{'' if n == 1 else 's'}"
