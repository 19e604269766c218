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
FEWEST_WEEKS, FEWEST_CUSTOMERS = 8, 20


@dataclass(frozen=True)
class Period:
    """What the data's period can tell.

    Attributes:
        before_share: Customers first seen in the period's opening that later weeks do not explain, as a share
            of all: they were customers before; 0 where the opening is not crowded.
        season: Rank correlation of weekly purchases, less their trend, with those a year later; None below two
            years.
        season_p: Its p value.
    """

    before_share: float
    season: float | None
    season_p: float | None


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


def check_customers(customers: pd.DataFrame) -> None:
    """Refuse too few customers.

    Raises:
        TooLittle: Fewer than `FEWEST_CUSTOMERS` had bought before the split, or nobody twice.
    """
    n, repeat = len(customers), int((customers["x"] > 0).sum())
    if n < FEWEST_CUSTOMERS or not repeat:
        needed = f"{FEWEST_CUSTOMERS} customers, one of them twice or more"
        raise TooLittle(f"{n} customers bought in transactions before the split, {repeat} again; needed {needed}.")


def read_period(weekly: pd.DataFrame) -> Period:
    """Tell customers from before the data began, and a season, from weekly counts (`weekly_purchases`)."""
    first = weekly["n_first"].to_numpy(dtype=float)
    opening = max(int(OPENING * len(first)), 1)
    rate, later = first[:opening].mean(), first[opening:].mean()
    crowded = rate > CROWDED * max(later, 1 / len(first))
    share = (first[:opening].sum() - later * opening) / max(first.sum(), 1) if crowded else 0.0
    if len(weekly) < 2 * WEEKS_A_YEAR:
        return Period(float(share), None, None)
    counts = np.log(weekly["n_purchases"].to_numpy(dtype=float) + 1)
    at = np.arange(len(counts))
    flat = counts - np.polyval(np.polyfit(at, counts, 1), at)
    found = stats.spearmanr(flat[:-WEEKS_A_YEAR], flat[WEEKS_A_YEAR:])
    return Period(float(share), float(found.statistic), float(found.pvalue))
