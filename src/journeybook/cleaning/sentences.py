"""What page 02 says in words, computed from its figures."""

import pandas as pd

from journeybook.cleaning.imputation import Cells, ImputationTrial
from journeybook.cleaning.stage import Cleaning


def say_changes(found: Cleaning) -> str:
    """Return what the rules did to the rows."""
    counts, changes = found.counts, found.changes
    touched = changes[changes.rows_changed > 0] if len(changes) else changes
    told = (
        f"**{counts.rows_in.sum():,} rows** of {len(counts)} tables came in, {counts.rows_out.sum():,} are clean "
        f"and {counts.rows_set_aside.sum():,} are set aside; none is lost."
    )
    if touched.empty:
        return f"{told} No rule found anything to change or to flag."
    largest = touched.sort_values(["rows_changed", "table", "rule"], ascending=[False, True, True]).iloc[0]
    return (
        f"{told} {len(touched)} of {len(changes)} rules found rows; the one with most, *{largest.rule}* in "
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
            f"({most.missing_share:.1%} of {most.n_rows:,} rows)."
        )
    if presence.empty:
        return f"{told} Too few customers with a known spend are on both sides to ask why values are missing."
    apart = differs(presence)
    if apart.empty:
        return f"{told} None of the {len(presence)} comparisons shows that presence goes with spend."
    far = apart.loc[(apart.auc - 0.5).abs().idxmax()]
    what = f"a row in `{far.table}`" if far.column == "any" else f"a known `{far.table}.{far.column}`"
    return (
        f"{told} In {len(apart)} of {len(presence)} comparisons **presence goes with spend**: the "
        f"{far.n_with:,} customers with {what} have a median spend of {far.median_spend_with:,.0f}, the "
        f"{far.n_without:,} without one {far.median_spend_without:,.0f}."
    )


def differs(presence: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons whose interval does not hold one half."""
    return presence[(presence.auc_low > 0.5) | (presence.auc_high < 0.5)]


def say_imputation(trial: ImputationTrial, cells: Cells) -> str:
    """Return what filling in did to the hidden cells."""
    at_random, low = (by_method(trial, mechanism) for mechanism in ("at_random", "low_values"))
    best = at_random.rmse.idxmin()
    sampled = f" (a sample of {cells.n_all:,})" if cells.n_all > trial.n_rows else ""
    return (
        f"{trial.hidden_share:.0%} of the cells of `{trial.column}` were hidden, of {trial.n_rows:,} "
        f"{cells.source}{sampled}. Nearest to the hidden cells comes `{best}`: error {at_random.rmse[best]:.2f} "
        f"standard deviations, {at_random.variance_ratio[best]:.2f} of the variance kept. `donor` keeps "
        f"{at_random.variance_ratio['donor']:.2f} at an error of {at_random.rmse['donor']:.2f}. Where low values "
        f"are the missing ones, the filled column's mean is off by {low.mean_shift['mean']:+.2f} standard "
        f"deviations with `mean` and still by {low.mean_shift['donor']:+.2f} with `donor`."
    )


def say_pitfall(trial: ImputationTrial) -> str:
    """Return how far filling in with the mean makes customers look alike."""
    at_random = by_method(trial, "at_random")
    left = 1 - trial.hidden_share + trial.hidden_share * at_random.variance_ratio["mean"]
    return (
        f"Filled in with the mean, hidden cells keep **{at_random.variance_ratio['mean']:.2f}** of their variance "
        f"(`donor`: {at_random.variance_ratio['donor']:.2f}), and the standard deviation of the whole column falls "
        f"to about {left**0.5:.2f} of the truth."
    )


def by_method(trial: ImputationTrial, mechanism: str) -> pd.DataFrame:
    """Return one mechanism's figures with the method as index."""
    return trial.methods[trial.methods.mechanism == mechanism].set_index("method")
