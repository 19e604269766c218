"""What the snapshots look like, in figures and in words."""

from collections.abc import Sequence
from datetime import datetime

import ibis
import pandas as pd

from journeybook.enrichment.leak import LeakTrial
from journeybook.enrichment.snapshots import RECENT_DAYS


def features_by_date(features: ibis.Table, *, first_at: datetime) -> pd.DataFrame:
    """Return quartiles of recent behaviour by snapshot, and whether its windows were full.

    Args:
        features: Snapshots.
        first_at: Time of the first receipt; a window that begins before it is not full.

    Returns:
        `as_of`, `n_people`, `window_full` (the data reach back over the longest window), and the quartiles
        `revenue_low`, `revenue_median`, `revenue_high`, `baskets_low`, `baskets_median`, `baskets_high` over
        the longest window.
    """
    days = max(RECENT_DAYS)
    asked = {"n_people": features.count()}
    for name, column in (("revenue", f"revenue_{days}d"), ("baskets", f"n_baskets_{days}d")):
        for side, share in (("low", 0.25), ("median", 0.5), ("high", 0.75)):
            asked[f"{name}_{side}"] = features[column].cast("float64").quantile(share)
    frame = features.group_by("as_of").aggregate(**asked).order_by("as_of").to_pandas()
    full = (frame.as_of - pd.Timestamp(first_at).normalize()) >= pd.Timedelta(days=days)
    frame.insert(2, "window_full", full)
    return frame


def say_snapshots(by_date: pd.DataFrame, *, n_all: int, n_features: int) -> str:
    """Return how much is known, and since when the windows are full.

    Args:
        by_date: From `features_by_date`.
        n_all: People with receipts, before any limit.
        n_features: Features of a snapshot.
    """
    last, n_short, many = by_date.iloc[-1], int((~by_date.window_full).sum()), len(by_date) != 1
    told = (
        f"**{last.n_people:,} people** are described by {n_features} columns as of {last.as_of:%d %B %Y}, and in "
        f"{len(by_date)} snapshot{'s' if many else ''} in all; each is made of rows before its date only."
    )
    if n_all > last.n_people:
        told += f" Receipts name {n_all:,} people; the others had not bought by then or are outside the sample."
    days = max(RECENT_DAYS)
    if n_short == len(by_date):
        return f"{told} No snapshot looks back over full {days} days: the data begin later."
    if n_short:
        told += (
            f" The first {n_short} snapshots do not look back over full {days} days: their windows are short, and "
            "the rise they show is the data's beginning, not the customers'."
        )
    return told


def say_coverage(known_of: pd.DataFrame) -> str:
    """Return whom third-party attributes are known of.

    Args:
        known_of: From `coverage`.
    """
    if known_of.empty:
        return "There are no third-party attributes in this data set."
    last = known_of.iloc[-1]
    told = f"Third-party attributes are known of **{last.known_share:.1%}** of the people"
    if last.n_with_postcode > 0:
        told += f" ({last.n_with_postcode:,} of {last.n_people:,} may be joined by a postcode)"
    if last.n_known in (0, last.n_people):
        return told + "."
    return (
        f"{told}; the median revenue of those is {last.median_revenue_known:,.0f}, of the others "
        f"{last.median_revenue_unknown:,.0f}. What is missing stays missing, and `third_party_known` says so."
    )


def say_leak(trial: LeakTrial, *, question: str, names: Sequence[str]) -> str:
    """Return what features from the future pretend.

    Args:
        trial: From `leak_trial`.
        question: What was predicted.
        names: Features used.
    """
    rows = trial.figures.set_index("features")
    honest, leaking, apart = (rows.loc[k] for k in ("as of the date", "as of the end", "difference"))
    real = "above" if apart.roc_auc_low > 0 else "below" if apart.roc_auc_high < 0 else "not clearly apart from"
    return (
        f"Asked {question}, the same model on the same features ({', '.join(f'`{n}`' for n in names)}) ranks "
        f"{trial.n_rows:,} cases of {trial.n_people:,} people with an AUC of **{honest.roc_auc:.3f}** as of the "
        f"date of the question, and **{leaking.roc_auc:.3f}** as of the end of the data. The difference of "
        f"{apart.roc_auc:+.3f} [{apart.roc_auc_low:+.3f}, {apart.roc_auc_high:+.3f}] is {real} zero; nobody has "
        "the second kind on the day it would be needed."
    )
