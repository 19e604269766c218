"""What page 04 says of its figures."""

import pandas as pd

from journeybook.enrichment.ablation import ADDS, GIVE_BACK
from journeybook.enrichment.leak import LeakTrial
from journeybook.enrichment.snapshots import RECENT_DAYS
from journeybook.findings import say_count, say_money, say_names, say_share


def title_snapshots(by_date: pd.DataFrame) -> str:
    """Say how many people are described, and since when the windows are full."""
    last, n_short, n = by_date.iloc[-1], int((~by_date.window_full).sum()), len(by_date)
    told = f"{last.n_people:,} people as of {last.as_of.day} {last.as_of:%B %Y}"
    if n_short == n:
        return f"{told}; the data are too short for a window of {max(RECENT_DAYS)} days"
    return f"{told}; the first {n_short} of {n} snapshots rise only with their windows" if n_short else told


def title_coverage(known_of: pd.DataFrame, *, currency: str | None) -> str:
    """Say whom third-party attributes are known of, and how the others differ."""
    last = known_of.iloc[-1]
    told = f"Third-party data are known of {say_share(last.known_share)} of {say_count(last.n_people)} people"
    if last.n_known in (0, last.n_people):
        return told
    known, others = (
        say_money(amount, currency=currency) for amount in (last.median_revenue_known, last.median_revenue_unknown)
    )
    return f"{told}; the median revenue of those is {known}, of the others {others}"


def say_stages(stages: pd.DataFrame) -> str:
    """Say how many people stand where at the end; nothing without people."""
    if stages.empty:
        return ""
    told = [f"{say_count(n)} {stage}" for stage, n in stages.iloc[-1].drop("as_of").items()]
    return f"On the last date, of those who are known {say_names(told)}."


def title_sources(added: pd.DataFrame) -> str:
    """Say which sources the prediction of the next quarter needs."""
    verdicts = [(called(source), set(said)) for source, said in added.groupby("source", sort=False).verdict]
    needed, idle = [s for s, v in verdicts if ADDS in v], [s for s, v in verdicts if v == {GIVE_BACK}]
    told = [f"predicting the next quarter needs {say_names(needed)}"] if needed else []
    told += [f"little is lost without one of {say_names(idle)}"] if idle else []
    return "; ".join(told) or "What any source adds to predicting the next quarter cannot be told"


def called(source: str) -> str:
    return source.replace("third_party", "third-party data").replace("_", " ")


def headline_figures(
    by_date: pd.DataFrame, totals: pd.DataFrame, known_of: pd.DataFrame, leak: LeakTrial, *, n_guest_lines: int
) -> dict[str, float]:
    """The page's figures for the index, flat; what cannot be computed is left out."""
    names = ("leak_auc_as_of_date", "leak_auc_as_of_end", "leak_auc_difference")
    return dict(zip(names, leak.figures.roc_auc, strict=False)) | {
        "n_people": by_date.n_people.iloc[-1] if len(by_date) else 0,
        "n_snapshots": len(by_date),
        "n_guest_lines": n_guest_lines,
        "revenue_of_people": totals.revenue_people.iloc[-1],
        "third_party_known_share": known_of.known_share.iloc[-1] if len(known_of) else 0,
    }
