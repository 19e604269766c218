"""What page 02 says in words, computed from its figures."""

import ibis
import numpy as np
import pandas as pd

from journeybook.cleaning.imputation import ImputationTrial, advise
from journeybook.cleaning.missing import trading_days
from journeybook.cleaning.stage import Cleaning
from journeybook.cleaning.witness import volume_share


def say_changes(found: Cleaning) -> str:
    """Return what the rules did to the rows."""
    changes = found.changes
    touched = changes[changes.rows_changed > 0] if len(changes) else changes
    if touched.empty:
        return "No rule found anything to change or to flag."
    largest = touched.sort_values(["rows_changed", "table", "rule"], ascending=[False, True, True]).iloc[0]
    return (
        f"Rules touched **{found.counts.rows_touched.sum():,} rows**, each counted once. "
        f"{len(touched)} of {len(changes)} rules found rows; the one with most, *{largest.rule}* in "
        f"`{largest.table}.{largest.column}`, found {largest.rows_changed:,}."
    )


def say_copies(counts: pd.DataFrame) -> str:
    """Return what is known of equal rows."""
    alike = counts[counts.n_copies > 0]
    if alike.empty:
        return "No row equals another in every column."
    listed = ", ".join(f"{row.n_copies:,} in `{row.table}`" for row in alike.itertuples())
    return (
        f"Rows equal to an earlier one in every column: {listed}. Without a key that names a row once they are "
        "kept: two equal rows may be two customers, or two purchases."
    )


def say_missing(report: pd.DataFrame, presence: pd.DataFrame) -> str:
    """Return what is missing most, and whether missing depends on spend."""
    holes = report[report.n_missing > 0].sort_values(["missing_share", "table", "column"], ascending=False)
    if holes.empty:
        told = "No value is missing."
    else:
        most = holes.iloc[0]
        told = (
            f"{len(holes)} of {len(report)} columns have missing values, most of all `{most.table}.{most.column}` "
            f"({most.missing_share:.1%} of {most.n_present + most.n_missing:,} cells)."
        )
    none, unasked = report.n_not_applicable.sum(), report.n_not_asked.sum()
    if none + unasked:
        told += f" Not missing, though empty: {none:,} cells that do not apply and {unasked:,} never asked for."
    words = report[report.n_placeholders > 0]
    if len(words):
        told += (
            f" In {len(words)} columns a word such as `unknown` stands for a missing value, "
            f"{words.n_placeholders.sum():,} times."
        )
    if presence.empty:
        return f"{told} Spend is known of too few customers on both sides to ask why values are missing."
    apart = differs(presence)
    if apart.empty:
        return f"{told} In none of {len(presence)} comparisons does presence go with spend."
    far = apart.iloc[int(np.argmax(np.abs(apart.auc - 0.5)))]
    what = f"a row in `{far.table}`" if far.column == "any" else f"a known `{far.table}.{far.column}`"
    return (
        f"{told} In {len(apart)} of {len(presence)} comparisons **presence goes with spend**: the "
        f"{far.n_with:,} customers with {what} have a median spend of {far.median_spend_with:,.0f}, the "
        f"{far.n_without:,} without one {far.median_spend_without:,.0f}."
    )


def differs(presence: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons whose interval does not hold one half."""
    return presence[(presence.auc_low > 0.5) | (presence.auc_high < 0.5)]


def say_imputation(trial: ImputationTrial) -> str:
    """Return which way of filling in comes near enough, column by column, and what none repairs."""
    advice, low = advise(trial), by_method(trial, "low_values")
    told = (
        f"{trial.hidden_share:.0%} of the known cells of {len(advice)} columns were hidden, {trial.repeats} times"
        ". A method is advised where it beats a constant each time."
    )
    better = advice[advice.advice != "none"]
    for row in better.itertuples():
        told += (
            f" `{row.column}`: `{row.advice}`, error {row.error:.2f}, {row.gain_low:.2f} to {row.gain_high:.2f} "
            f"less than the {row.constant}."
        )
    none = [f"`{column}`" for column in advice[advice.advice == "none"].column]
    told += f" **Nothing beats a constant for {', '.join(none)}**: keep them missing." if none else ""
    return (
        f"{told} Where low values are the missing ones, the filled mean is off by {low.mean_shift['mean']:+.2f} "
        f"standard deviations with `mean` and still by {low.mean_shift['donor']:+.2f} with `donor`."
    )


def say_receipts(clean: ibis.Table) -> str:
    """Return what quantities and days say of receipts."""
    days = trading_days(clean)
    span = pd.date_range(days.day.min(), days.day.max())
    closed = span.difference(pd.DatetimeIndex(days.day))
    shut = ", ".join(f"{day:%d %B %Y}" for day in closed[:3]) + (", ..." if len(closed) > 3 else "")
    told = (
        f"Receipts fall on {len(days):,} of the {len(span):,} days from {span[0]:%d %B %Y} to "
        f"{span[-1]:%d %B %Y}{f'; on none of {shut}' if len(closed) else ''}. Times in a wrong zone would show "
        "here, as trade on a day the shops were shut."
    )
    share = volume_share(clean)
    if not share > 0:
        return told
    n_volume = int(clean.count(where=clean.by_volume).execute())
    return (
        f"{told} {n_volume:,} lines ({n_volume / days.n_lines.sum():.1%}) are of products sold by volume, and "
        f"their quantity is **{share:.1%} of all quantity**: a sum of quantities is a sum of fuel. `units` counts "
        "such a line as one."
    )


def say_records(values: pd.DataFrame) -> str:
    """Return in how many ways the fields of customer records were written."""
    fewer = values[values.n_after < values.n_before]
    if fewer.empty:
        return "Writing the customer records one way made no two values alike that were not."
    listed = ", ".join(f"`{row.column}` {row.n_before:,} to {row.n_after:,}" for row in fewer.itertuples())
    return f"Written one way, the customer records hold fewer distinct values: {listed}."


def say_pitfall(trial: ImputationTrial) -> str:
    """Return how far filling in with the mean makes customers look alike."""
    at_random = by_method(trial, "at_random")
    left = 1 - trial.hidden_share + trial.hidden_share * at_random.variance_ratio["mean"]
    return (
        f"Filled in with the mean, hidden cells keep **{at_random.variance_ratio['mean']:.2f}** of their variance "
        f"(`donor`: {at_random.variance_ratio['donor']:.2f}), and the standard deviation of the whole column "
        f"falls to about {left**0.5:.2f} of the truth."
    )


def by_method(trial: ImputationTrial, mechanism: str) -> pd.DataFrame:
    """Return one mechanism's figures by method, as means over the columns of numbers."""
    some = trial.methods[(trial.methods.mechanism == mechanism) & trial.methods.variance_ratio.notna()]
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
