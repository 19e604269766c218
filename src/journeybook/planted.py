"""Faults planted in simulated rows, against what a page found: precision and recall of each."""

from collections.abc import Sequence

import pandas as pd

from journeybook.statistics import proportion_interval

_COLUMNS = [
    *("table", "column", "fault", "n_planted", "n_found", "n_right"),
    *("precision", "precision_low", "precision_high", "recall", "recall_low", "recall_high"),
]


def faults_found(planted: pd.DataFrame | None, found: pd.DataFrame, *, by: Sequence[str]) -> pd.DataFrame:
    """Return how many of the planted faults were found, and how many of the finds are right.

    Args:
        planted: One row a fault: table, column, fault, and the columns of `by`; None where nothing was planted.
        found: One row a find: table, column, and the columns of `by`.
        by: What a row is known by within its table.

    Returns:
        One row a table, column and fault: counts, precision and recall, each with Wilson's 95 % interval. Finds
        that nobody planted count against every fault of their column, or are a fault `nothing planted`.
    """
    if planted is None:
        return pd.DataFrame(columns=_COLUMNS)
    where = ["table", "column"]
    both = planted.merge(found[[*where, *by]].drop_duplicates(), on=[*where, *by], how="outer", indicator=True)
    both["right"], both["stray"] = both._merge == "both", both._merge == "right_only"
    known = both[~both.stray].groupby([*where, "fault"], as_index=False)
    score = known.agg(n_planted=("right", "size"), n_right=("right", "sum"))
    strays = both.groupby(where, as_index=False).agg(n_stray=("stray", "sum"))
    score = score.merge(strays[strays.n_stray > 0], on=where, how="outer")
    score = score.fillna({"fault": "nothing planted", "n_planted": 0, "n_right": 0, "n_stray": 0})
    score = score.astype({"n_planted": int, "n_right": int, "n_stray": int})
    score["n_found"] = score.n_right + score.n_stray
    for name, n in (("precision", score.n_found), ("recall", score.n_planted)):
        interval = proportion_interval(score.n_right, n)
        score[name] = score.n_right / n.where(n > 0)
        score[f"{name}_low"], score[f"{name}_high"] = interval.low, interval.high
    return score.sort_values([*where, "fault"], ignore_index=True)[_COLUMNS]


def hold_faults(score: pd.DataFrame, *, missed: Sequence[str]) -> pd.DataFrame:
    """Compare what was found with what was planted, as checks; faults in `missed` are known to be."""
    source = "planted faults, each known by its table, column and row"
    if score.empty:
        return pd.DataFrame(columns=["name", "value", "reference", "tolerance", "source"])
    n_missed = score.n_planted - score.n_right
    rows = [
        ("planted faults not found", n_missed[~score.fault.isin(missed)].sum(), "witness"),
        ("finds that nobody planted", _n_strays(score), "witness"),
    ]
    rows += [(f"missed: {fault}", n_missed[score.fault == fault].sum(), "known_miss") for fault in missed]
    return pd.DataFrame(rows, columns=["name", "value", "kind"]).assign(reference=0, tolerance=0, source=source)


def say_faults(score: pd.DataFrame) -> str:
    """Return how many planted faults were found; empty where nothing was planted."""
    if score.empty:
        return ""
    kinds = score[score.n_planted > 0]
    return (
        f"**{kinds.n_right.sum():,} of {kinds.n_planted.sum():,} planted faults are found**; "
        f"{_n_strays(score):,} finds are of something that nobody planted."
    )


def _n_strays(score: pd.DataFrame) -> int:
    """Count each stray find once, though it counts against every fault of its table and column."""
    once = score.drop_duplicates(["table", "column"])
    return int((once.n_found - once.n_right).sum())
