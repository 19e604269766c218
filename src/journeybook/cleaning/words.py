"""What page 02 says in words, and its headline figures."""

import numpy as np
import pandas as pd

from journeybook.cleaning.imputation import ImputationTrial
from journeybook.cleaning.stage import Cleaning

_FIGURES = ["error", "variance_ratio", "mean_shift", "profile_off", "auc_off"]


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


def say_imputation(trial: ImputationTrial, rules: pd.DataFrame) -> str:
    """Return what is handed on, and what no way of filling in repairs."""
    low, n = by_method(trial, "MNAR").mean_shift, rules.method.value_counts()
    handed = ", ".join(f"{n[method]} by {method}" for method in n.index if method != "none")
    return (
        f"Where low values are missing, a column's mean is off by {low['median']:+.2f} standard deviations if "
        f"filled with the median, by {low['model']:+.2f} with what the others let expect and by "
        f"{low['multiple']:+.2f} by multiple imputation. Handed on to pages 05 and 07: {handed or 'no rule'}."
    )


def by_method(trial: ImputationTrial, mechanism: str) -> pd.DataFrame:
    """Return one mechanism's figures by method, as means over the columns."""
    some = trial.methods[trial.methods.mechanism == mechanism]
    return some.groupby("method", sort=False)[_FIGURES].mean()


def metrics(
    found: Cleaning, report: pd.DataFrame, *, presence: pd.DataFrame, trial: ImputationTrial, chosen: pd.DataFrame
) -> dict[str, float]:
    """Return the page's headline figures."""
    at_random, low = (by_method(trial, mechanism) for mechanism in ("MCAR", "MNAR"))
    return {
        "n_rows_in": int(found.counts.rows_in.sum()),
        "n_rows_set_aside": int(found.counts.rows_set_aside.sum()),
        "n_rows_touched": int(found.counts.rows_touched.sum()),
        "columns_with_missing_share": float((report.n_missing > 0).mean()),
        "n_columns_filled_better": int((chosen.method != "median").sum()),
        "n_presence_goes_with_spend": len(differs(presence)),
        "median_variance_ratio": at_random.variance_ratio["median"],
        "donor_variance_ratio": at_random.variance_ratio["donor"],
        "median_profile_off": at_random.profile_off["median"],
        "model_profile_off": at_random.profile_off["model"],
        "median_shift_low_values": low.mean_shift["median"],
    }
