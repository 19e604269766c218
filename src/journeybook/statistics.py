"""What several pages need: named random streams, intervals, the clustered bootstrap, Holm's correction."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True, eq=False)
class Interval:
    """Two ends of an interval, each of the shape of the estimate it belongs to."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers that belong to a name, the same at each call.

    Streams of different names or seeds are independent, so that a new one never changes the others.

    >>> bool(stream(1, "bootstrap").integers(10) == stream(1, "bootstrap").integers(10))
    True
    """
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist()]))


def proportion_interval(successes: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return Wilson's interval of a proportion (Wilson 1927; Brown, Cai & DasGupta 2001, eq. 4).

    Args:
        successes: Counts, any shape.
        n: Trials, of the same shape; at 0 the interval is 0 to 1.
        level: Probability that the interval holds the proportion.

    Raises:
        ValueError: A count is negative or above its trials.
    """
    k, trials = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(n, dtype=float))
    wrong = (k < 0) | (k > trials)
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0])
        raise ValueError(f"{k[at]:g} successes of {trials[at]:g} trials: successes must be from 0 to trials.")
    z2 = stats.norm.ppf((1 + level) / 2) ** 2
    safe = np.where(trials > 0, trials, 1.0)
    centre = (k + z2 / 2) / (safe + z2)
    half = np.sqrt(z2) / (safe + z2) * np.sqrt(k * (safe - k) / safe + z2 / 4)
    # At 0 and at n successes the closed form ends on 0 and 1, but for rounding.
    low = np.where((trials == 0) | (k == 0), 0.0, centre - half)
    high = np.where((trials == 0) | (k == trials), 1.0, centre + half)
    return Interval(low=low, high=high)


def cluster_weights(clusters: ArrayLike, *, n_draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return bootstrap weights that draw whole clusters with replacement (Cameron & Miller 2015, sec. II).

    Args:
        clusters: Cluster of each row, shape (n,); rows of one person carry one value.
        n_draws: Number of bootstrap samples.
        rng: Random numbers.

    Returns:
        How often each row is drawn, shape (n_draws, n). Clusters are taken in the order in which they first
        appear, so that the values of the ids play no part.
    """
    values, first, inverse = np.unique(np.asarray(clusters), return_index=True, return_inverse=True)
    appearance = np.argsort(np.argsort(first))
    m = len(values)
    drawn = rng.multinomial(m, np.full(m, 1 / m), size=n_draws)
    return drawn[:, appearance[inverse]]


def cluster_bootstrap(
    clusters: ArrayLike,
    statistic: Callable[[NDArray[np.int64]], ArrayLike],
    *,
    n_draws: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Interval:
    """Return percentile intervals of a statistic, drawing whole clusters with replacement.

    Args:
        clusters: Cluster of each row, shape (n,).
        statistic: From weights of shape (n,) to the estimate, any shape.
        n_draws: Number of bootstrap samples.
        rng: Random numbers.
        level: Probability that the interval holds the estimate's target.
    """
    weights = cluster_weights(clusters, n_draws=n_draws, rng=rng)
    draws = np.array([statistic(row) for row in weights], dtype=float)
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Interval(low=low, high=high)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's (1979) adjusted p values, which hold the family-wise error whatever the dependence.

    Args:
        p_values: p values of a family, shape (rows,).

    Raises:
        ValueError: A p value is missing or not from 0 to 1.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        raise ValueError(f"p_values: found {p[wrong][0]:g}, needed numbers from 0 to 1.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted
