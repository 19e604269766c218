"""What the period of the data cannot tell: customers from before it began, seasons, too little time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.errors import TooLittle

# The first weeks, as a share of the period, in which customers from before it are first seen.
OPENING = 0.125
# Newcomers a week in the opening, against later, from which most are taken for customers from before.
CROWDED = 3.0
WEEKS_A_YEAR = 52
FEWEST_WEEKS, FEWEST_REPEATERS, FEWEST_CYCLES = 8, 100, 4
# Powers of time in the trend about which weeks may scatter by chance alone.
TREND = 3


@dataclass(frozen=True)
class Period:
    """What the data's period can tell.

    Attributes:
        before_share: Customers first seen in the period's opening that later weeks do not explain, as a share
            of all: they were customers before; 0 where the opening is not crowded.
        season: Rank correlation of weekly purchases, less their trend, with those a year later; None below two
            years.
        season_p: Its p value.
        swing_p: p value of weekly purchases that scatter about a smooth trend by chance alone, as counts of
            independent customers do (chi-square of their square roots, Anscombe 1948); NaN of too few weeks.
    """

    before_share: float
    season: float | None
    season_p: float | None
    swing_p: float


def split_of(first_at: datetime, *, end: datetime, holdout_weeks: int | None) -> datetime:
    """Return the midnight after which predictions are judged: by default a quarter of the weeks.

    Raises:
        TooLittle: The data hold fewer than `FEWEST_WEEKS` weeks.
        ValueError: The part held out is above a third of the period.
    """
    weeks = (end - first_at) // timedelta(days=7)
    if weeks < FEWEST_WEEKS:
        raise TooLittle(f"transactions cover {weeks} whole weeks, and a lifetime value needs {FEWEST_WEEKS}.")
    held = weeks // 4 if holdout_weeks is None else holdout_weeks
    if not 1 <= held <= weeks // 3:
        raise ValueError(f"holdout_weeks is {held}: of {weeks} weeks it may be 1 to {weeks // 3}.")
    return end - timedelta(days=7 * held)


def check_customers(customers: pd.DataFrame, before: pd.DataFrame) -> None:
    """Refuse customers of whom too few bought again, or too seldom for their period.

    Args:
        customers: Histories up to the split.
        before: Histories up to a window earlier.

    Raises:
        TooLittle: Fewer than `FEWEST_REPEATERS` had bought again before the split, none a window earlier, or the
            time before the split is shorter than `FEWEST_CYCLES` of their usual times between purchases.
    """
    again = customers[customers["x"] > 0]
    told = f"{len(customers):,} customers bought in transactions before the weeks held out, {len(again):,} again"
    if len(again) < FEWEST_REPEATERS:
        raise TooLittle(f"{told}; a lifetime value needs {FEWEST_REPEATERS} who did.")
    if not (before["x"] > 0).any() or not before["n_after"].any():
        raise TooLittle(f"{told}, but none in the weeks before; a lifetime value needs a longer period.")
    weeks, cycle = float(customers["T"].max()), float((again["t_x"] / again["x"]).median())
    if weeks < FEWEST_CYCLES * cycle:
        told = f"customers who bought again usually did after {cycle:.1f} weeks"
        raise TooLittle(
            f"{told}, and transactions cover {weeks:.1f} weeks before those held out; a lifetime value needs "
            f"{FEWEST_CYCLES * cycle:.1f}."
        )


def read_period(weekly: pd.DataFrame) -> Period:
    """Tell customers from before the data began, and a season, from weekly counts (`weekly_purchases`)."""
    first = weekly["n_first"].to_numpy(dtype=float)
    opening = max(int(OPENING * len(first)), 1)
    rate, later = first[:opening].mean(), first[opening:].mean()
    crowded = rate > CROWDED * max(later, 1 / len(first))
    share = (first[:opening].sum() - later * opening) / max(first.sum(), 1) if crowded else 0.0
    counts = weekly["n_purchases"].to_numpy(dtype=float)
    at = np.arange(len(counts))
    roots, place, free = 2 * np.sqrt(counts + 3 / 8), at / len(at), len(at) - TREND - 1
    apart = roots - np.polyval(np.polyfit(place, roots, TREND), place) if free > 0 else roots
    swing = float(stats.chi2.sf(apart @ apart, free)) if free > 0 else float("nan")
    if len(weekly) < 2 * WEEKS_A_YEAR:
        return Period(float(share), None, None, swing)
    counts = np.log(counts + 1)
    flat = counts - np.polyval(np.polyfit(at, counts, 1), at)
    found = stats.spearmanr(flat[:-WEEKS_A_YEAR], flat[WEEKS_A_YEAR:])
    return Period(float(share), float(found.statistic), float(found.pvalue), swing)
