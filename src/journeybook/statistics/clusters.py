"""Errors of means whose rows belong together, as contacts of one person do."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def clustered_error(influence: NDArray[np.float64], clusters: NDArray) -> float:
    """Return the standard error of a mean whose rows belong to clusters of unequal size (Cochran 1977, sec. 11.8).

    `influence` is what each row adds, with mean 0: for a plain mean its value less the mean.

    >>> round(clustered_error(np.array([1.0, 1.0, -1.0, -1.0]), np.array([0, 0, 1, 1])), 3)
    1.0
    """
    sums = np.bincount(pd.factorize(clusters)[0], weights=influence)
    return float(np.sqrt((sums**2).sum() * len(sums) / max(len(sums) - 1, 1)) / len(influence))
