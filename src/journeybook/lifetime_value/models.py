"""How often customers buy, and whether they still do: the likelihoods of four buy-till-you-die models.

A customer is `x` repeat purchases, the last of them `t_x` after the first purchase, seen for `T`, in one unit of
time. Logs of likelihoods are on that unit's own clock, so that they compare between models and with papers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.special import betaln, digamma, exprel, gammaln

from journeybook.lifetime_value.fitting import Array, Fit, maximise

# Nodes of an integral over the time of leaving. 24 come within 1e-6 of integrals of 50 digits, for x to 1,000 and
# T to 10,000.
N_NODES = 24
# Where the log of what is integrated has fallen so far, nothing is to be added; below the slope it falls late.
DEEPEST, FLATTEST = -40.0, 1e-3


@dataclass(frozen=True)
class Histories:
    """Customers with equal histories put together.

    Attributes:
        x: Repeat purchases, shape (histories,), 0 or more.
        t_x: Time of the last purchase after the first, 0 where x is 0.
        T: Time from the first purchase to the end, at least t_x.
        weight: Customers with this history.
        place: History of each customer, shape (customers,).
    """

    x: Array
    t_x: Array
    T: Array
    weight: Array
    place: NDArray[np.intp]


@dataclass(frozen=True)
class Family:
    """A model of purchases and dropout.

    Attributes:
        name: As the literature calls it.
        parameters: Names of its parameters, all above 0; `alpha` and `beta` are in the unit of time.
        likelihood: (parameters, histories) to the log likelihood of each history and its derivatives by each
            parameter, shapes (histories,) and (parameters, histories).
        alive: (parameters, histories) to the chance that a customer is still one at T.
        expected: (parameters, histories, times) to the purchases expected within each time after T, shape
            (histories, times).
        simulated: (parameters, histories, time, rng) to a number of purchases drawn within the time after T.
    """

    name: str
    parameters: tuple[str, ...]
    likelihood: Callable[[Array, Histories], tuple[Array, Array]]
    alive: Callable[[Array, Histories], Array]
    expected: Callable[[Array, Histories, Array], Array]
    simulated: Callable[[Array, Histories, float, np.random.Generator], Array]


def histories(x: Array, t_x: Array, T: Array) -> Histories:
    """Put customers with equal histories together.

    Raises:
        ValueError: A value is missing or negative, x is no whole number, or t_x is not from 0 to T, above 0 where
            x is.
    """
    rows = np.column_stack([x, t_x, T]).astype(float)
    if not np.isfinite(rows).all() or (rows < 0).any() or (rows[:, 0] % 1).any():
        raise ValueError("x, t_x and T must be numbers of 0 or more, x whole.")
    if (rows[:, 1] > rows[:, 2]).any() or ((rows[:, 0] > 0) != (rows[:, 1] > 0)).any():
        raise ValueError("t_x must be 0 where x is, and else above 0 and at most T.")
    # One number a row sorts several times faster than three columns.
    codes = [np.unique(column, return_inverse=True) for column in rows.T]
    key = np.ravel_multi_index([code for _, code in codes], [max(len(values), 1) for values, _ in codes])
    _, first, place, weight = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    x, t_x, T = rows[first].T
    return Histories(x, t_x, T, weight.astype(float), place)


def _of_counts(of: Callable[[Array], Array], x: Array) -> Array:
    """Return a function of numbers of purchases, worked out once for each number there is."""
    most = int(x.max(initial=0)) + 1
    return of(np.arange(most, dtype=float))[x.astype(int)] if most < len(x) else of(x)


def _geometric(name: str, shift: int) -> Family:
    """BG/NBD (shift 0) and MBG/NBD (shift 1), in which a customer may also leave after the first purchase.

    Fader, Hardie & Lee (2005), eq. 6 and 10; Batislam, Denizel & Filiztekin (2007).
    """

    def parts(theta: Array, h: Histories) -> tuple[Array, Array]:
        r, alpha, a, b = theta
        k = h.x + shift
        stays = _of_counts(lambda x: betaln(a, b + x + shift) - betaln(a, b), h.x)
        alive = stays - (r + h.x) * np.log(alpha + h.T)
        with np.errstate(divide="ignore"):
            gone = alive + np.where(k > 0, np.log(a) - np.log(np.maximum(b + k - 1, 1e-300)), -np.inf)
        return alive, gone + (r + h.x) * (np.log(alpha + h.T) - np.log(alpha + h.t_x))

    def likelihood(theta: Array, h: Histories) -> tuple[Array, Array]:
        r, alpha, a, b = theta
        k = h.x + shift
        alive, gone = parts(theta, h)
        both = np.logaddexp(alive, gone)
        p = np.exp(alive - both)
        q = 1 - p
        value = _of_counts(lambda x: gammaln(r + x) - gammaln(r), h.x) + r * np.log(alpha) + both
        by_r = _of_counts(lambda x: digamma(r + x) - digamma(r), h.x) + np.log(alpha)
        by_r = by_r - p * np.log(alpha + h.T) - q * np.log(alpha + h.t_x)
        by_alpha = r / alpha - (r + h.x) * (p / (alpha + h.T) + q / (alpha + h.t_x))
        whole = _of_counts(lambda x: digamma(a + b + x + shift), h.x)
        by_a = q / a + digamma(a + b) - whole
        by_b = (
            _of_counts(lambda x: digamma(b + x + shift), h.x) - q / np.maximum(b + k - 1, 1e-300) * (k > 0) - whole
        )
        return value, np.stack([by_r, by_alpha, by_a, by_b + digamma(a + b) - digamma(b)])

    def alive(theta: Array, h: Histories) -> Array:
        here, gone = parts(theta, h)
        return np.exp(here - np.logaddexp(here, gone))

    def expected(theta: Array, h: Histories, times: Array) -> Array:
        r, alpha, a, b = theta
        result = np.empty((len(h.x), len(times)))
        for x in np.unique(h.x):
            rows = h.x == x
            p, weight = _beta_nodes(a, b + x + shift)
            reach = times[None, :, None] * p / (alpha + h.T[rows])[:, None, None]
            # (1 - (1 + reach) ** -(r + x)) / p, which is smooth at p = 0.
            bought = -np.expm1(-(r + x) * np.log1p(reach)) / p
            result[rows] = (bought * weight).sum(axis=2)
        return result * alive(theta, h)[:, None]

    def simulated(theta: Array, h: Histories, time: float, rng: np.random.Generator) -> Array:
        r, alpha, a, b = theta
        rate = rng.gamma(r + h.x, 1 / (alpha + h.T))
        leaves = np.maximum(rng.beta(a, b + h.x + shift), 1e-12)
        bought = np.minimum(rng.poisson(rate * time), rng.geometric(leaves))
        return np.where(rng.random(len(h.x)) < alive(theta, h), bought, 0)

    return Family(name, ("r", "alpha", "a", "b"), likelihood, alive, expected, simulated)


def _beta_nodes(a: float, b: float, n: int = N_NODES) -> tuple[Array, Array]:
    """Nodes and weights of an average over a beta distribution (Golub & Welsch 1969)."""
    i = np.arange(n, dtype=float)
    low, high, s = a - 1, b - 1, 2 * i + a + b - 2
    with np.errstate(invalid="ignore", divide="ignore"):
        diagonal = np.where(i > 0, (low**2 - high**2) / (s * (s + 2)), (low - high) / (a + b))
        off = 4 * i * (i + low) * (i + high) * (i + low + high) / (s**2 * (s + 1) * (s - 1))
    off[1] = 4 * a * b / ((a + b) ** 2 * (a + b + 1))
    nodes, vectors = eigh_tridiagonal(diagonal, np.sqrt(off[1:]))
    return (1 + nodes) / 2, vectors[0] ** 2


def _pareto_parts(theta: Array, h: Histories) -> tuple[Array, Array, Array]:
    """Logs of being alive and of having gone, and what the derivatives need, averaged over the time t of leaving.

    Those are ln(alpha + t), 1 / (alpha + t), ln(beta + t) and 1 / (beta + t), shape (4, histories).
    """
    r, alpha, s, beta = theta
    m = r + s + h.x
    alive = -(r + h.x) * np.log(alpha + h.T) - s * np.log(beta + h.T)
    # In v = -m ln((low + t) / (low + t_x)) the log of what is integrated is smooth and concave, with its slope at
    # v = 0 the least if it rises.
    low, high, power = (alpha, beta, s + 1) if alpha <= beta else (beta, alpha, r + h.x)
    slope = 1 - power / m * (high - low) / (high + h.t_x)
    whole = -m * (np.log(low + h.T) - np.log(low + h.t_x))
    lowest = np.where(slope > FLATTEST, np.maximum(whole, DEEPEST / np.maximum(slope, FLATTEST)), whole)
    nodes, weights = np.polynomial.legendre.leggauss(N_NODES)
    v = lowest[:, None] * (1 - nodes) / 2
    ln_low = np.log(low + h.t_x)[:, None] - v / m[:, None]
    low_t = np.exp(ln_low)
    high_t = low_t + (high - low)
    ln_high = np.log(high_t)
    inside = v + np.broadcast_to(power, m.shape)[:, None] * (ln_low - ln_high)
    top = inside.max(axis=1, keepdims=True)
    share = np.exp(inside - top) * weights
    total = share.sum(axis=1)
    with np.errstate(divide="ignore"):
        gone = np.log(s) - np.log(m) - m * np.log(low + h.t_x) + top[:, 0] + np.log(total * -lowest / 2)
    at = np.where(total > 0, total, 1)
    of_low, of_high = (
        [(share * part).sum(axis=1) / at for part in pair] for pair in ((ln_low, 1 / low_t), (ln_high, 1 / high_t))
    )
    return alive, gone, np.stack([*of_low, *of_high] if alpha <= beta else [*of_high, *of_low])


def _pareto_likelihood(theta: Array, h: Histories) -> tuple[Array, Array]:
    r, alpha, s, beta = theta
    alive, gone, (ln_alpha_t, by_alpha_t, ln_beta_t, by_beta_t) = _pareto_parts(theta, h)
    both = np.logaddexp(alive, gone)
    p, q = np.exp(alive - both), np.exp(gone - both)
    value = _of_counts(lambda x: gammaln(r + x) - gammaln(r), h.x) + r * np.log(alpha) + s * np.log(beta) + both
    by_r = (
        _of_counts(lambda x: digamma(r + x) - digamma(r), h.x)
        + np.log(alpha)
        - p * np.log(alpha + h.T)
        - q * ln_alpha_t
    )
    by_alpha = r / alpha - (r + h.x) * (p / (alpha + h.T) + q * by_alpha_t)
    by_s = np.log(beta) - p * np.log(beta + h.T) + q * (1 / s - ln_beta_t)
    by_beta = s / beta - p * s / (beta + h.T) - q * (s + 1) * by_beta_t
    return value, np.stack([by_r, by_alpha, by_s, by_beta])


def _pareto_alive(theta: Array, h: Histories) -> Array:
    alive, gone, *_ = _pareto_parts(theta, h)
    return np.exp(alive - np.logaddexp(alive, gone))


def _pareto_expected(theta: Array, h: Histories, times: Array) -> Array:
    r, alpha, s, beta = theta
    reach = np.log1p(times / (beta + h.T)[:, None])
    rate = ((r + h.x) * (beta + h.T) / (alpha + h.T) * _pareto_alive(theta, h))[:, None]
    # (1 - e ** -((s - 1) reach)) / (s - 1), which is smooth at s = 1.
    return rate * reach * exprel(-(s - 1) * reach)


def _pareto_simulated(theta: Array, h: Histories, time: float, rng: np.random.Generator) -> Array:
    r, alpha, s, beta = theta
    rate, leaves = rng.gamma(r + h.x, 1 / (alpha + h.T)), rng.gamma(s, 1 / (beta + h.T))
    stays = np.minimum(rng.exponential(size=len(h.x)) / np.maximum(leaves, 1e-300), time)
    return np.where(rng.random(len(h.x)) < _pareto_alive(theta, h), rng.poisson(rate * stays), 0)


# Schmittlein, Morrison & Colombo (1987); Fader & Hardie (2005), eq. 4 and 41.
PARETO_NBD = Family(
    "Pareto/NBD",
    ("r", "alpha", "s", "beta"),
    _pareto_likelihood,
    _pareto_alive,
    _pareto_expected,
    _pareto_simulated,
)
BG_NBD, MBG_NBD = _geometric("BG/NBD", 0), _geometric("MBG/NBD", 1)
FAMILIES = (BG_NBD, MBG_NBD, PARETO_NBD)


def fit(family: Family, h: Histories) -> Fit:
    """Fit a model to all histories by maximum likelihood."""

    def likelihood(theta: Array, rows: slice) -> tuple[Array, Array]:
        return family.likelihood(theta, Histories(h.x[rows], h.t_x[rows], h.T[rows], h.weight[rows], h.place))

    scale = float(np.average(h.T, weights=h.weight)) or 1.0
    return maximise(likelihood, family.parameters, weight=h.weight, scale=scale)
