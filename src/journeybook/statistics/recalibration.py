"""What probabilities of a response should have been: the calibration line, with errors that count clusters."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import chi2

_STEPS = 50
_EDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Recalibration:
    """The line that maps log odds to those of the responses (Cox 1958; Platt 2000).

    Attributes:
        in_the_large: How far responses lie above the probabilities, in log odds, with the slope held at 1.
        intercept: Log odds of a response where the probability says 0.5; `slope` beside it. 0 and 1 are right.
        influence: What each row adds to `in_the_large`, `intercept` and `slope`, shape (n, 3); its sum is 0.
        p_value: Of intercept 0 and slope 1 together (Wald).
    """

    in_the_large: float
    intercept: float
    slope: float
    influence: NDArray[np.float64]
    p_value: float

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """Return what the probabilities should have been, shape (n,)."""
        return expit(self.intercept + self.slope * log_odds(probability))


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Return log odds, finite also at 0 and 1.

    >>> log_odds(np.array([0.5])).tolist()
    [0.0]
    """
    return logit(np.clip(probability, _EDGE, 1 - _EDGE))


def recalibrated(probability: np.ndarray, responded: np.ndarray, clusters: np.ndarray) -> Recalibration:
    """Fit the calibration line of probabilities, shape (n,), to 0/1 responses; `clusters` are codes from 0.

    Raises:
        ValueError: Only one outcome is there, the probabilities are all one, or they tell the outcomes apart.
    """
    y, said = np.asarray(responded, dtype=float), log_odds(np.asarray(probability, dtype=float))
    if not 0 < y.sum() < len(y):
        raise ValueError(f"{int(y.sum())} of {len(y)} responded; both outcomes are needed.")
    one = np.ones((len(y), 1))
    (large,), of_large = _logistic(one, y, offset=said)
    # Centred, for far from 0 the two columns say nearly the same.
    centre = said.mean()
    (at_centre, slope), of_line = _logistic(np.column_stack([one, said - centre]), y, offset=np.zeros(len(y)))
    influence = np.column_stack([of_large, of_line[:, 0] - centre * of_line[:, 1], of_line[:, 1]])
    intercept = at_centre - centre * slope
    off, covariance = np.array([intercept, slope - 1]), clustered_covariance(influence, clusters)[1:, 1:]
    p_value = float(chi2.sf(off @ np.linalg.pinv(covariance) @ off, 2))
    return Recalibration(float(large), float(intercept), float(slope), influence, p_value)


def clustered_covariance(influence: np.ndarray, clusters: np.ndarray) -> NDArray[np.float64]:
    """Return the covariance of estimates to which each row adds its influence, shape (k, k), clusters as one.

    Args:
        influence: What each row adds, with sum 0 in each column, shape (n, k).
        clusters: Code of each row's cluster, whole numbers from 0, shape (n,).
    """
    sums = np.column_stack([np.bincount(clusters, weights=column) for column in influence.T])
    n = int(np.count_nonzero(np.bincount(clusters)))
    return sums.T @ sums * n / max(n - 1, 1)


def _logistic(x: np.ndarray, y: np.ndarray, *, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of a logistic regression by Newton's method, and each row's influence, shape (n, k)."""
    found: np.ndarray = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = expit(offset + x @ found)
        hessian = x.T @ (x * (p * (1 - p))[:, None])
        if np.linalg.cond(hessian) > 1e12:
            raise ValueError("the probabilities are all one, or tell the outcomes apart: there is no line to fit.")
        step = np.linalg.solve(hessian, x.T @ (y - p))
        found = found + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-10:
            break
    p = expit(offset + x @ found)
    hessian = x.T @ (x * (p * (1 - p))[:, None])
    return found, np.linalg.solve(hessian, (x * (y - p)[:, None]).T).T
