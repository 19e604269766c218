"""Units whose outcomes are still coming in: found from the times, and left out until they are in."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.experiments.measures import Measures, known_values

# A unit is ripe once it was followed for as long as this share of all outcomes takes.
RIPE_SHARE = 0.95
# Outcomes still to come, as a share of all, that are too few to matter.
FEW_TO_COME = 0.02
# Units with an outcome that must have been followed for as long as a delay.
MIN_FOLLOWED = 20
# Without times of outcomes: days at least, units that the last of them must hold, the share of the usual mean
# below which these lie, and standard errors by which the last days lie below the usual, in all and in each arm.
MIN_DAYS, MIN_LAST, LAST_SHARE, CLEAR, EACH_ARM = 8, 30, 0.6, 5, 2.5
# By how much a step must fit better (twice the log likelihood) than outcomes to come.
STEP_FITS = 2.0


@dataclass(frozen=True, eq=False)
class Ripeness:
    """The units whose outcomes are in.

    Attributes:
        units: The ripe units; all, where nothing is still to come.
        n_unripe: Units left out, the last to be assigned.
        why: What shows it, in words; empty where nothing is still to come.
    """

    units: pd.DataFrame
    n_unripe: int = 0
    why: str = ""


def ripe_units(units: pd.DataFrame, *, measured: Measures) -> Ripeness:
    """Leave out the units that were followed too briefly for their outcomes to be in.

    With `occurred_at` and `outcome_at` (empty where no outcome came) the delays tell: how long outcomes take is
    estimated from delays that the end of the data cuts off (Lagakos, Barraj & De Gruttola 1988), and units that
    were followed for less than 95 % of them take are left out. The end is the last time there is, and delays
    longer than the longest follow-up cannot be known. Without `outcome_at` a fall of a share or mean in the last
    days tells.
    Either way units are chosen by when they were assigned, which no arm has a part in.
    """
    if "occurred_at" not in units.columns or units["occurred_at"].isna().any():
        return Ripeness(units)
    entered = units["occurred_at"]
    if "outcome_at" not in units.columns or (units["outcome_at"] >= entered).sum() < MIN_FOLLOWED:
        return _by_fall(units, entered, measured)
    end = max(entered.max(), units["outcome_at"].max())
    followed = ((end - entered) / pd.Timedelta(1, "D")).to_numpy()
    delay = ((units["outcome_at"] - entered) / pd.Timedelta(1, "D")).to_numpy()
    came = delay >= 0
    # Delays that few units were followed long enough to show say nothing.
    came &= delay <= np.sort(followed[came])[-min(MIN_FOLLOWED, came.sum())]
    at, share = delays(delay[came], followed[came])
    in_by_now = np.interp(followed, at, share, left=0.0)
    to_come = float(1 - in_by_now.mean())
    if to_come <= FEW_TO_COME:
        return Ripeness(units)
    needed = float(at[np.searchsorted(share, RIPE_SHARE)])
    why = f"{RIPE_SHARE:.0%} of outcomes take up to {needed:.3g} days, and {to_come:.0%} of all are still to come"
    return _kept(units, followed >= needed, why)


def delays(delay: np.ndarray, followed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How long outcomes take that came before the end: delays in order, and the share that takes no longer.

    An outcome is seen only if its delay is within what its unit was followed. In reversed time that is a late
    entry, so that the product-limit estimator holds: among outcomes with a delay of t or less whose unit was
    followed for t or more, those at t. Shares are of the outcomes within the longest follow-up.

    >>> at, share = delays(np.array([1.0, 1.0, 3.0]), np.array([2.0, 4.0, 4.0]))
    >>> at.tolist(), share.round(3).tolist()
    ([1.0, 3.0], [0.5, 1.0])
    """
    at, n = np.unique(delay, return_counts=True)
    risk = np.searchsorted(np.sort(delay), at, side="right") - np.searchsorted(np.sort(followed), at, side="left")
    left = np.r_[(1 - n / risk)[1:], 1.0]
    return at, np.cumprod(left[::-1])[::-1]


def _by_fall(units: pd.DataFrame, entered: pd.Series, measured: Measures) -> Ripeness:
    """Without times of outcomes: whether a metric falls towards the last day, as where outcomes are to come."""
    day = (entered.dt.normalize() - entered.min().normalize()).dt.days.to_numpy()
    n_days = int(day.max()) + 1
    if n_days < MIN_DAYS or units["variant"].isna().any():
        return Ripeness(units)
    arm, names = pd.factorize(units["variant"])
    n_arms = len(names)
    for metric in (metric for metric in measured.metrics if metric.kind in ("proportion", "mean")):
        values, known = known_values(units, metric)
        cell = arm[known] * n_days + day[known]
        n, total, squares = (
            np.bincount(cell, weights=values[known, 0] ** power, minlength=n_arms * n_days).reshape(n_arms, n_days)
            for power in (0, 1, 2)
        )
        late = _late_days(n, total, squares)
        if late < n_days:
            why = f"{metric.name} falls over the last {n_days - late} days, as where some are still to come"
            return _kept(units, day < late, why)
    return Ripeness(units)


def _late_days(n: np.ndarray, total: np.ndarray, squares: np.ndarray) -> int:
    """The first of the last days over which the mean falls; the number of days where it does not.

    They lie in the second half, and are held against the second quarter, of which outcomes have come. What falls
    in one arm alone is an effect that fades, and what steps down and then stays has come down for good. Counts,
    sums and squares have the shape (arms, days).
    """
    by_arm = n, total
    n, total, squares = n.sum(axis=0), total.sum(axis=0), squares.sum(axis=0)
    n_days, half = len(n), -(-len(n) // 2)
    quarter = slice(half // 2, half)
    units, usual = n[quarter].sum(), total[quarter].sum() / max(n[quarter].sum(), 1)
    rest = np.cumsum(n[::-1])[::-1], np.cumsum(total[::-1])[::-1]
    ends = np.flatnonzero(rest[0] >= MIN_LAST)
    if not units or not len(ends) or ends[-1] < half:
        return n_days
    variance = squares.sum() / n.sum() - (total.sum() / n.sum()) ** 2
    first = np.arange(half, ends[-1] + 1)
    falls = (usual - rest[1][first] / rest[0][first]) / np.sqrt(variance * (1 / units + 1 / rest[0][first]))
    last = rest[1][ends[-1]] / rest[0][ends[-1]]
    if not (falls.max() > CLEAR and last < LAST_SHARE * usual):
        return n_days
    late = int(first[falls.argmax()])
    own_n, own = (x[:, late:].sum(axis=1) for x in by_arm)
    before_n, before = (x[:, quarter].sum(axis=1) for x in by_arm)
    if not (own_n * before_n).all():
        return n_days
    errors = np.sqrt(variance * (1 / own_n + 1 / before_n))
    if ((before / before_n - own / own_n) / errors < EACH_ARM).any():
        return n_days
    if _steps(n[half // 2 :], total[half // 2 :], variance):
        return n_days
    # The days before them that lie below what is usual are partly to come.
    while late > half and total[late - 1] < RIPE_SHARE * usual * n[late - 1]:
        late -= 1
    return late


def _steps(n: np.ndarray, total: np.ndarray, variance: float) -> bool:
    """Whether daily means step down and stay, better than they fall as where outcomes are still to come.

    These fall with the share of delays that a day was followed for: a fixed delay, and an exponential one more.
    """
    left = len(n) - 0.5 - np.arange(len(n))
    grid = np.geomspace(0.1, len(n), 25)
    to_come = [-np.expm1(-np.maximum(left - fixed, 0) / mean) for fixed in np.arange(len(n) - 1) for mean in grid]
    after = np.arange(1, len(n))[:, None] <= np.arange(len(n))

    def explained(shape: np.ndarray) -> np.ndarray:
        return (shape @ total) ** 2 / np.maximum(shape**2 @ n, 1)

    step = (explained(after.astype(float)) + explained(1.0 - after)).max()
    return bool(step - explained(np.array(to_come)).max() > STEP_FITS * variance)


def _kept(units: pd.DataFrame, ripe: np.ndarray, why: str) -> Ripeness:
    return Ripeness(units[ripe].reset_index(drop=True), int((~ripe).sum()), why)
