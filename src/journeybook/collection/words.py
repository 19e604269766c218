"""Sentences of the page, computed, that stay true for other data."""

from collections.abc import Sequence

import pandas as pd

from journeybook.collection.consents import ConsentHistory
from journeybook.collection.pitfalls import Pitfall
from journeybook.collection.rows import Collection


def say_quarantine(problems: pd.DataFrame, n_aside: int) -> str:
    """Return how many rows are in quarantine, and why most of them are."""
    if not n_aside:
        return "No row breaks a rule: the quarantine is empty."
    worst = problems.sort_values("n_rows", ascending=False, kind="stable").iloc[0]
    return (
        f"{_count(n_aside, 'row')} in quarantine, most often because `{worst.column}` of {worst.table} "
        f"{worst.problem} ({int(worst.n_rows):,})."
    )


def say_findings(findings: pd.DataFrame) -> str:
    """Return what is odd in the accepted rows."""
    if findings.empty:
        return "No row repeats another, and no id is unknown to the table it belongs to."
    parts = []
    for table, finding, n_rows, n_values in findings.head(4).itertuples(index=False):
        values = "" if pd.isna(n_values) else f", {_count(int(n_values), 'id')}"
        parts.append(f"{table}: {finding} ({_count(int(n_rows), 'row')}{values})")
    more = f"; and {len(findings) - 4} more" if len(findings) > 4 else ""
    return f"Accepted, and to be known: {'; '.join(parts)}{more}."


def say_consent(decisions: pd.DataFrame | None) -> str:
    """Return who permits what, or that nobody knows."""
    if decisions is None:
        return (
            "There is no consent ledger: whether anyone permitted anything is not known, and every page says so."
        )
    asked = decisions.dropna(subset="permitted_share")
    ordered = asked.sort_values("permitted_share", kind="stable")
    most, least = ordered.iloc[-1], ordered.iloc[0]
    n_withdrawn = int(decisions.n_withdrawals.sum())
    withdrawn = "1 decision withdraws" if n_withdrawn == 1 else f"{n_withdrawn:,} decisions withdraw"
    if most.purpose == least.purpose:
        span = f"{most.permitted_share:.1%} of those asked permit `{most.purpose}`"
    else:
        span = (
            f"of those asked, {most.permitted_share:.1%} permit `{most.purpose}` and {least.permitted_share:.1%} "
            f"permit `{least.purpose}`, the most and the least of all purposes"
        )
    return f"As of the last day, {span}; {withdrawn} an earlier yes."


def say_outliving(names: Sequence[str]) -> str:
    """Say what an earlier run left behind that a withdrawal does not reach."""
    if not names:
        return "No register, saved model or release of an earlier run is here."
    listed = ", ".join(f"`{name}`" for name in names)
    return (
        f"From an earlier run there are {listed}: what they were made of may hold people who have left since. "
        "This run makes models and releases anew where their pages run; a registered look stays. "
        "`journeybook erase --customer ID` removes a person from what is there."
    )


def say_withdrawn(withdrawn: pd.DataFrame) -> str:
    """Return how many rows go no further than this page, because their customer permits nothing."""
    n_rows = int(withdrawn.n_withdrawn.sum())
    if not n_rows:
        return "Every customer with a row permits something, so all valid rows go on."
    return (
        f"{n_rows:,} valid rows of customers who permit nothing (they withdrew, or were never asked) end here: "
        "what follows is the same as if they had never been collected."
    )


def say_sends(sends: pd.DataFrame) -> str:
    """Return how many messages went out without permission at their moment, by the word of the id itself."""
    if not len(sends):
        return "No table of contacts says to whom, when and how: sends without permission are not counted."
    named = [f"{s.n_not_permitted:,} of {s.n_sent:,} by {s.channel} (`{s.table}`)" for s in sends.itertuples()]
    return (
        f"Sent without permission at the moment of sending: {int(sends.n_not_permitted.sum()):,} of "
        f"{int(sends.n_sent.sum()):,}: {', '.join(named)}. This goes by each customer id's own word. "
        "Where another record of the same person refused, only page 07 can tell."
    )


def say_use(decisions: pd.DataFrame | None) -> str:
    """Return what the ledger does not show, and what to do about it."""
    if decisions is None:
        return "**What to do.** Collect a ledger (`consents` in data/README.md) before anyone is written to."
    n_lapsed = int(decisions.n_lapsed.sum())
    return (
        "**What it does not show.** Who was never asked, and what the other records of a person say. "
        f"**What to do.** Ask again before a yes ends ({n_lapsed:,} have lapsed), and only for what is used."
    )


def metrics(
    found: Collection, history: ConsentHistory | None, withdrawn: pd.DataFrame | None, pitfall: Pitfall
) -> dict[str, float]:
    """Return the page's headline figures."""
    headline = {
        "n_rows_collected": int(found.counts.n_collected.sum()),
        "n_rows_quarantined": int(found.counts[["n_unparsed", "n_quarantined"]].sum().sum()),
        "n_tables": len(found.counts),
        "n_findings": len(found.findings),
        "pitfall_n_wrong": pitfall.size,
    }
    if withdrawn is not None:
        headline["n_rows_withdrawn"] = int(withdrawn.n_withdrawn.sum())
    if history is not None:
        now = history.decisions.dropna(subset="permitted_share")
        headline["n_withdrawals"] = int(now.n_withdrawals.sum())
        headline |= {f"permitted_share_{row.purpose}": row.permitted_share for row in now.itertuples()}
    return headline


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"
