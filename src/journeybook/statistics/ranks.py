"""The chance that a value of one sample exceeds one of another (the area under the curve), with its interval."""

import numpy as np
from scipy import stats


def chance_of_more(first: np.ndarray, second: np.ndarray, *, level: float) -> np.ndarray:
    """Return the chance that a value of `first` exceeds one of `second`, ties counting half, and its two ends.

    The interval is DeLong, DeLong & Clarke-Pearson's (1988); shape (3,).

    >>> chance_of_more(np.array([3.0, 4.0]), np.array([1.0, 2.0]), level=0.95).tolist()
    [1.0, 1.0, 1.0]
    """
    n, m = len(first), len(second)
    ranks = stats.rankdata(np.concatenate([first, second]))
    beaten = (ranks[:n] - stats.rankdata(first)) / m
    beating = 1 - (ranks[n:] - stats.rankdata(second)) / n
    reach = stats.norm.ppf((1 + level) / 2) * np.sqrt(beaten.var(ddof=1) / n + beating.var(ddof=1) / m)
    return np.clip(beaten.mean() + np.array([0, -reach, reach]), 0, 1)
