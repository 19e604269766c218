"""What page 02 says in words, and its headline figures."""

import ibis
import numpy as np
import pandas as pd

from journeybook.cleaning.imputation import ImputationTrial
from journeybook.cleaning.stage import Cleaning


def say_volume(lines: ibis.Table | None) -> str:
    """Return how much of all quantity is volume, not units; empty where nothing is known of it."""
    if lines is None or "by_volume" not in lines.columns:
        return ""
    volume, whole, share = lines.aggregate(
        volume=lines.quantity.sum(where=lines.by_volume), whole=lines.quantity.sum(), share=lines.by_volume.mean()
    ).to_pandas().iloc[0].fillna(0).astype(float)  # fmt: skip
    if not volume > 0:
        return ""
    return (
        f"{share:.1%} of receipt lines are of products sold by volume, such as fuel, and hold "
        f"**{volume / whole:.1%} of all quantity**. `units` counts such a line as one."
    )


def title_missing(presence: pd.DataFrame) -> str:
    """Return whether having a value goes with spend."""
    apart = differs(presence)
    if apart.empty:
        return "Having a value does not go with spend"
    far = apart.iloc[int(np.argmax(np.abs(apart.auc - 0.5)))]
    what = "a row" if far.column == "any" else f"a known {far.column.replace('_', ' ')}"
    return (
        f"Customers with {what} in {far.table.replace('_', ' ')} spend {far.median_spend_with:,.0f}, "
        f"others {far.median_spend_without:,.0f} (median)"
    )


def say_missing(report: pd.DataFrame, presence: pd.DataFrame) -> str:
    """Return how much is missing, and how much is empty for a reason."""
    holes = report[report.n_missing > 0]
    told = f"{len(holes)} of {len(report)} columns have missing values." if len(holes) else "No value is missing."
    none, unasked = report.n_not_applicable.sum(), report.n_not_asked.sum()
    if none + unasked:
        told += f" Empty, but not missing: {none:,} cells that do not apply and {unasked:,} never asked for."
    if presence.empty:
        told += " Spend is known of too few customers on both sides to ask why values are missing."
    return told


def differs(presence: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons whose interval does not hold one half."""
    return presence[(presence.auc_low > 0.5) | (presence.auc_high < 0.5)]


def say_imputation(trial: ImputationTrial) -> str:
    """Return what no way of filling in repairs."""
    low = by_method(trial, "low_values").mean_shift
    return (
        f"Where low values are missing, the column's mean is off by {low['mean']:+.2f} standard deviations if "
        f"filled with the mean, and by {low['donor']:+.2f} with a near donor."
    )


def say_pitfall(trial: ImputationTrial) -> str:
    """Return how far filling in with the mean makes customers look alike."""
    left = 1 - trial.hidden_share
    return f"The standard deviation of a column filled in with its mean falls to **{left**0.5:.2f}** of the truth."


def by_method(trial: ImputationTrial, mechanism: str) -> pd.DataFrame:
    """Return one mechanism's figures by method, as means over the columns."""
    some = trial.methods[trial.methods.mechanism == mechanism]
    return some.groupby("method", sort=False)[["error", "variance_ratio", "mean_shift"]].mean()


def metrics(
    found: Cleaning, report: pd.DataFrame, *, presence: pd.DataFrame, trial: ImputationTrial, advice: pd.DataFrame
) -> dict[str, float]:
    """Return the page's headline figures."""
    at_random, low = (by_method(trial, mechanism) for mechanism in ("at_random", "low_values"))
    return {
        "n_rows_in": int(found.counts.rows_in.sum()),
        "n_rows_set_aside": int(found.counts.rows_set_aside.sum()),
        "n_rows_touched": int(found.counts.rows_touched.sum()),
        "columns_with_missing_share": float((report.n_missing > 0).mean()),
        "n_columns_filled_better": int((advice.advice != "none").sum()),
        "n_presence_goes_with_spend": len(differs(presence)),
        "mean_variance_ratio": at_random.variance_ratio["mean"],
        "donor_variance_ratio": at_random.variance_ratio["donor"],
        "mean_shift_low_values": low.mean_shift["mean"],
    }
