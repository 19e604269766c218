"""The bootstrap of whole clusters."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from journeybook.statistics.intervals import Interval


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
