"""Intervals that hold for all of many estimates at once, so also for the largest of them."""

import numpy as np
from numpy.typing import NDArray

N_DRAWS = 20_000


def largest_t(covariance: NDArray[np.float64], *, level: float, rng: np.random.Generator) -> float:
    """Return how many standard errors to each side hold all estimates at once (max-t).

    The estimates are taken as normal with this covariance, shape (k, k); one without error plays no part. The
    quantile is drawn, to about 1 % (Hothorn, Bretz & Westfall 2008). For the differences of independent means of
    one variance it is Tukey's studentised range over the root of 2.

    >>> round(largest_t(np.eye(1), level=0.95, rng=np.random.default_rng(1)))
    2
    """
    error = np.sqrt(np.diag(covariance))
    kept = error > 0
    if not kept.any():
        return 0.0
    correlation = covariance[np.ix_(kept, kept)] / np.outer(error[kept], error[kept])
    values, vectors = np.linalg.eigh(correlation)
    drawn = rng.standard_normal((N_DRAWS, len(values))) @ (vectors * np.sqrt(values.clip(min=0))).T
    return float(np.quantile(np.abs(drawn).max(axis=1), level))
