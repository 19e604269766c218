"""BG/BB: customers who may buy at discrete occasions, once at each or not at all.

A market held once a week, a yearly appeal for donations. The alternatives for any time are in `models.py`.
"""

import numpy as np
from scipy.special import digamma, gammaln

from journeybook.lifetime_value.family import Family, Histories, Theta
from journeybook.lifetime_value.fitting import Array


def occasions(h: Histories, time: Array | float = 0.0) -> tuple[Array, Array]:
    """Return the number of the last purchase's occasion, and of occasions until a time after the end.

    The first purchase's is number 0; an occasion at the end itself comes after it. Shape (histories,).
    """
    return np.round(h.t_x / h.step), np.ceil((h.T + time) / h.step - 1e-6) - 1


def _steps(theta: Theta, last: int) -> tuple[Array, Array]:
    """Log gammas of (alpha, beta, alpha + beta, gamma, delta, gamma + delta) + 0, 1, ..., and their derivatives.

    Each less that at 0, shape (6, last + 1).
    """
    alpha, beta, gamma, delta = theta
    start = np.array([alpha, beta, alpha + beta, gamma, delta, gamma + delta])[:, None]
    at = start + np.arange(last + 1)
    return gammaln(at) - gammaln(start), digamma(at) - digamma(start)


def _terms(theta: Theta, h: Histories) -> tuple[Array, list[Array]]:
    """Logs of the chances of what was seen and of leaving before each occasion, then of being alive; slopes.

    Shapes (histories, occasions + 1), and the same for the derivative by each parameter.
    """
    t, n = (part.astype(int)[:, None] for part in occasions(h))
    x, most = h.x.astype(int)[:, None], int(n.max(initial=0))
    (a, b, ab, c, d, cd), (by_a, by_b, by_ab, by_c, by_d, by_cd) = _steps(theta, most + 1)
    # Having met j occasions the customer leaves; the last column is to have met all of them and be alive.
    at = np.arange(most + 1)
    stays, j = at == most, np.minimum(np.where(at == most, n, at), n)
    possible = stays | ((at >= t) & (at < n))
    missed = np.maximum(j - x, 0)
    value = a[x] + b[missed] - ab[j] + np.where(stays, d[j] - cd[j], c[1] + d[j] - cd[j + 1])
    both, whole = by_ab[j], np.where(stays, by_cd[j], by_cd[j + 1])
    slopes = [by_a[x] - both, by_b[missed] - both, np.where(stays, 0, by_c[1]) - whole, by_d[j] - whole]
    return np.where(possible, value, -np.inf), slopes


def _weighed(theta: Theta, h: Histories) -> tuple[Array, Array, list[Array]]:
    terms, slopes = _terms(theta, h)
    value = np.logaddexp.reduce(terms, axis=1)
    return value, np.exp(terms - value[:, None]), slopes


def _likelihood(theta: Theta, h: Histories) -> tuple[Array, Array]:
    value, share, slopes = _weighed(theta, h)
    return value, np.stack([(share * slope).sum(axis=1) for slope in slopes])


def _alive(theta: Theta, h: Histories) -> Array:
    return _weighed(theta, h)[1][:, -1]


def _expected(theta: Theta, h: Histories, times: Array) -> Array:
    alpha, beta, gamma, delta = theta
    n = occasions(h)[1]
    further = np.array([occasions(h, time)[1] - n for time in times]).astype(int).T
    # A further occasion is met with the chance to have stayed up to it.
    ahead = n[:, None] + np.arange(1, int(further.max(initial=0)) + 1)
    stays = np.cumprod((delta + ahead - 1) / (gamma + delta + ahead - 1), axis=1).cumsum(axis=1)
    met = np.take_along_axis(np.column_stack([np.zeros(len(n)), stays]), further, axis=1)
    return met * ((alpha + h.x) / (alpha + beta + n) * _alive(theta, h))[:, None]


def _simulated(theta: Theta, h: Histories, time: float, rng: np.random.Generator) -> Array:
    alpha, beta, gamma, delta = theta
    n = occasions(h)[1]
    further = (occasions(h, time)[1] - n).astype(int)
    buys, leaves = rng.beta(alpha + h.x, beta + n - h.x), np.maximum(rng.beta(gamma, delta + n), 1e-12)
    bought = rng.binomial(np.minimum(further, rng.geometric(leaves) - 1), buys)
    return np.where(rng.random(len(n)) < _alive(theta, h), bought, 0)


# Fader, Hardie & Shang (2010). Being alive is said of the end, not of the next occasion as there.
BG_BB = Family("BG/BB", ("alpha", "beta", "gamma", "delta"), (), _likelihood, _alive, _expected, _simulated)
