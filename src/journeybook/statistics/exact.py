"""Exact tests and intervals for arms of few units, where no normal approximation holds."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import comb

import numpy as np
from scipy import optimize, stats

from journeybook.statistics.intervals import Effect

# Below this many units in an arm the headline is exact, as long as both arms together are no more than the second.
FEW_UNITS, MOST_UNITS = 30, 400
PERMUTATIONS, ALL_PERMUTATIONS = 20_000, 50_000
# Values of the control's share over which the least favourable is sought.
N_SHARES = 201
SUFFIX = "_exact"


def is_small(n: Sequence[int] | np.ndarray) -> bool:
    """Whether two arms of these sizes are compared exactly."""
    return min(n) < FEW_UNITS and sum(n) <= MOST_UNITS


def exact_share(found: Effect, control: np.ndarray, treatment: np.ndarray, *, alpha: float) -> Effect:
    """The difference of two shares with Fisher's p value and an interval by inverted binomial tests.

    The p value is twice the smaller tail of Fisher's test, which also orders the tables. An end of the interval is
    the difference at which tables as extreme as this one have a probability of alpha / 2, at the least favourable
    share (Chan & Zhang 1999). Where it alone leaves out no effect (Boschloo 1970) the end is moved to 0. The
    standard error is kept from `found`, the difference by another method.
    """
    n = (len(control), len(treatment))
    k = (int(control.sum()), int(treatment.sum()))
    tails = [float(_tail(n)[k]), float(_tail(n)[n[0] - k[0], n[1] - k[1]])]
    low, high = _lowest(k, n, alpha), -_lowest((n[0] - k[0], n[1] - k[1]), n, alpha)
    p_value = min(1.0, 2 * min(tails))
    if p_value >= alpha:
        low, high = min(low, 0.0), max(high, 0.0)
    return _told(found, "fisher", k[1] / n[1] - k[0] / n[0], low, high, p_value)


def _tail(n: tuple[int, int]) -> np.ndarray:
    """Fisher's probability of as many successes of the treatment or more, by the successes of both arms."""
    x, y = np.ogrid[: n[0] + 1, : n[1] + 1]
    return stats.hypergeom.sf(y - 1, sum(n), n[1], x + y)


def _lowest(k: tuple[int, int], n: tuple[int, int], alpha: float) -> float:
    """The smallest difference under which a table as extreme as this one is not too rare."""
    tail = _tail(n)
    extreme = (tail <= tail[k] * (1 + 1e-9)).astype(float)

    def excess(difference: float) -> float:
        share = np.linspace(max(0.0, -difference), min(1.0, 1 - difference), N_SHARES)[:, None]
        control = stats.binom.pmf(np.arange(n[0] + 1), n[0], share)
        treatment = stats.binom.pmf(np.arange(n[1] + 1), n[1], (share + difference).clip(0, 1))
        return float(np.einsum("sx,xy,sy->s", control, extreme, treatment).max() - alpha / 2)

    return -1.0 if excess(-1.0) > 0 else float(optimize.brentq(excess, -1.0, 1.0, xtol=1e-6))


def exact_mean(
    found: Effect, control: np.ndarray, treatment: np.ndarray, *, alpha: float, rng: np.random.Generator
) -> Effect:
    """The difference of two means with the p value and the interval of a permutation of the units.

    Each permutation has one shift of the treated beyond which it is as extreme as the assignment that was made;
    the ends of the interval are order statistics of those (Garthwaite 1996). All permutations are taken where they
    are few, else drawn ones; where all are too few for the level, the interval has no ends. The standard error is
    kept from `found`, the difference by another method.
    """
    values, m = np.concatenate([treatment, control]), len(treatment)
    treated = np.arange(len(values)) < m
    drawn = _assignments(len(values), m, rng)
    weight = np.where(drawn, 1 / m, -1 / (len(values) - m))
    difference = float(treatment.mean() - control.mean())
    moved = ~drawn[:, :m].all(axis=1)
    gap = difference - weight[moved] @ values
    gap = np.where(np.abs(gap) < 1e-12 * np.abs(values).max(), 0.0, gap)
    # The shift of the treated at which a permutation is as extreme as the assignment that was made.
    turning = np.sort(gap / (1 - weight[moved] @ treated))
    n_same, n_all = int((~moved).sum()), len(drawn)
    tail = min((turning <= 0).sum(), (turning >= 0).sum()) + n_same
    beyond = int(np.floor(alpha / 2 * n_all)) - n_same
    low, high = (turning[beyond], turning[-1 - beyond]) if beyond >= 0 else (np.nan, np.nan)
    return _told(found, "permutation", difference, float(low), float(high), float(min(1.0, 2 * tail / n_all)))


def _assignments(n: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """Which units are treated, shape (assignments, units): all ways, or drawn ones after the one that was made."""
    if comb(n, m) <= ALL_PERMUTATIONS:
        every = np.array(list(combinations(range(n), m)))
        return (every[:, :, None] == np.arange(n)).any(axis=1)
    made = np.arange(n) < m
    return np.vstack([made, rng.permuted(np.tile(made, (PERMUTATIONS - 1, 1)), axis=1)])


def _told(found: Effect, test: str, effect: float, low: float, high: float, p_value: float) -> Effect:
    """The effect with its exact interval; what is relative to the control has none."""
    return replace(
        found, method=f"{test}{SUFFIX}", effect=effect, low=low, high=high, p_value=p_value,
        relative_low=np.nan, relative_high=np.nan,
    )  # fmt: skip
