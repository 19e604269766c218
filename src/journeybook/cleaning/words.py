"""What page 02 says in words, and its headline figures."""

import numpy as np
import pandas as pd

from journeybook.cleaning.imputation import ImputationTrial
from journeybook.cleaning.stage import Cleaning


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
