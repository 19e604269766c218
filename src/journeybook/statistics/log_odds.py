"""Log odds of cells that are drawn to each other: a logistic mixed model by Laplace's approximation."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

_NEWTON_STEPS = 12


@dataclass(frozen=True, eq=False)
class LogOddsPosterior:
    """Normal approximation of the posterior of log odds, for each of m priors.

    Attributes:
        mode: Shape (m, k).
        covariance: Shape (m, k, k).
        evidence: Log of the marginal likelihood, but for the binomial coefficients, shape (m,).
    """

    mode: np.ndarray
    covariance: np.ndarray
    evidence: np.ndarray


def log_odds_posterior(hits: np.ndarray, n: np.ndarray, prior: np.ndarray) -> LogOddsPosterior:
    """Return the log odds of cells whose prior is normal with mean 0, by Laplace's approximation.

    Rasmussen & Williams (2006), algorithms 3.1 and 3.2, for binomial counts, shape (k,), and many prior
    covariances at once, shape (m, k, k); counts need not be whole.
    """
    mode = np.full(prior.shape[:2], logit((hits.sum() + 0.5) / (n.sum() + 1)))
    for _ in range(_NEWTON_STEPS):
        rate = expit(mode)
        root = np.sqrt(n * rate * (1 - rate))
        inner = np.eye(len(n)) + root[:, :, None] * prior * root[:, None, :]
        wanted = root**2 * mode + hits - n * rate
        spread = np.linalg.solve(inner, (root * times(prior, wanted))[:, :, None])[:, :, 0]
        weight = wanted - root * spread
        mode = times(prior, weight)
    fit = (hits * mode - n * np.logaddexp(0, mode)).sum(axis=1)
    evidence = fit - (weight * mode).sum(axis=1) / 2 - np.linalg.slogdet(inner)[1] / 2
    seen = root[:, :, None] * prior
    covariance = prior - np.swapaxes(seen, 1, 2) @ np.linalg.solve(inner, seen)
    return LogOddsPosterior(mode=mode, covariance=covariance, evidence=evidence)


def times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return each matrix times its vector: shapes (m, k, k) and (m, k) give (m, k)."""
    return (matrices @ vectors[:, :, None])[:, :, 0]
