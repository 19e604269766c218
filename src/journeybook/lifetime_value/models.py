"""How often customers buy, and whether they still do: the likelihoods of buy-till-you-die models.

A customer is `x` repeat purchases, the last of them `t_x` after the first purchase, seen for `T`, in one unit of
time. Logs of likelihoods are on that unit's own clock, so that they compare between models and with papers.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.linalg import eigh_tridiagonal
from scipy.special import betaln, digamma, exprel, gammaln

from journeybook.lifetime_value.bg_bb import BG_BB
from journeybook.lifetime_value.contracts import SBG
from journeybook.lifetime_value.family import Family, Histories, Theta, scaled
from journeybook.lifetime_value.fitting import Array, Fit, maximise

# Nodes of an integral over the time of leaving. 24 come within 1e-6 of integrals of 50 digits, for x to 1,000 and
# T to 10,000.
N_NODES = 24
# Where the log of what is integrated has fallen so far, nothing is to be added; below the slope it falls late.
DEEPEST, FLATTEST = -40.0, 1e-3
# Histories integrated at once: their nodes stay near the processor.
AT_ONCE = 512


def _of_counts(of: Callable[..., Array], x: Array, *parameters: Array) -> Array:
    """Return a function of numbers of purchases; where parameters are one for all, worked out once a number."""
    most = int(x.max(initial=0)) + 1
    if most >= len(x) or any(np.ndim(parameter) for parameter in parameters):
        return of(x, *parameters)
    return of(np.arange(most, dtype=float), *parameters)[x.astype(int)]


def _bought(r: Array, alpha: Array, x: Array) -> tuple[Array, Array]:
    """Return what the purchases alone give a log likelihood, and its derivative by r."""
    value = _of_counts(lambda x, r: gammaln(r + x) - gammaln(r), x, r) + r * np.log(alpha)
    return value, _of_counts(lambda x, r: digamma(r + x) - digamma(r), x, r) + np.log(alpha)


def _geometric(name: str, shift: int) -> Family:
    """BG/NBD (shift 0) and MBG/NBD (shift 1), in which a customer may also leave after the first purchase.

    Fader, Hardie & Lee (2005), eq. 6 and 10; Batislam, Denizel & Filiztekin (2007).
    """

    def parts(theta: Theta, h: Histories) -> tuple[Array, Array, Array, Array]:
        """Logs of being alive and of the odds of having gone; the times to T and t_x on the log clock of alpha."""
        r, alpha, a, b = theta
        k = h.x + shift
        late, last = np.log(alpha + h.T), np.log(alpha + h.t_x)
        stays = _of_counts(lambda x, a, b: betaln(a, b + x + shift) - betaln(a, b), h.x, a, b)
        with np.errstate(divide="ignore"):
            odds = np.where(k > 0, np.log(a) - np.log(np.maximum(b + k - 1, 1e-300)), -np.inf)
        return stays - (r + h.x) * late, odds + (r + h.x) * (late - last), late, last

    def likelihood(theta: Theta, h: Histories) -> tuple[Array, Array]:
        r, alpha, a, b = theta
        k = h.x + shift
        here, odds, late, last = parts(theta, h)
        both = np.logaddexp(0, odds)
        p, q = np.exp(-both), np.exp(odds - both)
        value, by_r = _bought(r, alpha, h.x)
        by_alpha = r / alpha - (r + h.x) * (p / (alpha + h.T) + q / (alpha + h.t_x))
        whole = _of_counts(lambda x, a, b: digamma(a + b) - digamma(a + b + x + shift), h.x, a, b)
        by_b = _of_counts(lambda x, b: digamma(b + x + shift) - digamma(b), h.x, b) + whole
        by_b = by_b - q / np.maximum(b + k - 1, 1e-300) * (k > 0)
        by = np.stack([by_r - p * late - q * last, by_alpha, q / a + whole, by_b])
        return value + here + both, by

    def alive(theta: Theta, h: Histories) -> Array:
        return np.exp(-np.logaddexp(0, parts(theta, h)[1]))

    def expected(theta: Theta, h: Histories, times: Array) -> Array:
        r, alpha, a, b = theta
        result, of = np.empty((len(h.x), len(times))), pd.DataFrame({"a": a, "b": b, "x": h.x})
        for (own_a, own_b, x), rows in of.groupby(["a", "b", "x"]).indices.items():
            p, weight = _beta_nodes(own_a, own_b + x + shift)
            until = np.broadcast_to(alpha, h.T.shape)[rows] + h.T[rows]
            reach = times[None, :, None] * p / until[:, None, None]
            # (1 - (1 + reach) ** -(r + x)) / p, which is smooth at p = 0.
            bought = -np.expm1(-(r + x) * np.log1p(reach)) / p
            result[rows] = (bought * weight).sum(axis=2)
        return result * alive(theta, h)[:, None]

    def simulated(theta: Theta, h: Histories, time: float, rng: np.random.Generator) -> Array:
        r, alpha, a, b = theta
        rate = rng.gamma(r + h.x, 1 / (alpha + h.T))
        leaves = np.maximum(rng.beta(a, b + h.x + shift), 1e-12)
        bought = np.minimum(rng.poisson(rate * time), rng.geometric(leaves))
        return np.where(rng.random(len(h.x)) < alive(theta, h), bought, 0)

    return Family(
        name,
        ("r", "alpha", "a", "b"),
        ("alpha",),
        likelihood,
        alive,
        expected,
        simulated,
    )


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


def _pareto_parts(theta: Theta, h: Histories) -> tuple[Array, Array, Array]:
    """Logs of being alive and of having gone, and what the derivatives need, averaged over the time t of leaving.

    Those are ln(alpha + t), 1 / (alpha + t), ln(beta + t) and 1 / (beta + t), shape (4, histories).
    """
    r, alpha, s, beta = theta
    m, first = r + s + h.x, np.broadcast_to(alpha <= beta, h.x.shape)
    alive = -(r + h.x) * np.log(alpha + h.T) - s * np.log(beta + h.T)
    # In v = -m ln((low + t) / (low + t_x)) the log of what is integrated is smooth and concave, with its slope at
    # v = 0 the least if it rises.
    low, high, power = np.minimum(alpha, beta), np.maximum(alpha, beta), np.where(first, s + 1, r + h.x)
    slope = 1 - power / m * (high - low) / (high + h.t_x)
    start = np.log(low + h.t_x)
    whole = -m * (np.log(low + h.T) - start)
    lowest = np.where(slope > FLATTEST, np.maximum(whole, DEEPEST / np.maximum(slope, FLATTEST)), whole)
    nodes, weights = np.polynomial.legendre.leggauss(N_NODES)
    total, top, *means = np.empty((6, len(m)))
    for at in range(0, len(m), AT_ONCE):
        rows = slice(at, at + AT_ONCE)
        v = lowest[rows] * ((1 - nodes) / 2)[:, None]
        ln_low = start[rows] - v / m[rows]
        low_t = np.exp(ln_low)
        high_t = low_t + np.broadcast_to(high - low, m.shape)[rows]
        ln_high = np.log(high_t)
        inside = v + power[rows] * (ln_low - ln_high)
        top[rows] = inside.max(axis=0)
        share = np.exp(inside - top[rows])
        total[rows] = weights @ share
        share *= weights[:, None]
        for mean, part in zip(means, (ln_low, 1 / low_t, ln_high, 1 / high_t), strict=True):
            mean[rows] = np.einsum("ij,ij->j", share, part)
    with np.errstate(divide="ignore"):
        gone = np.log(s) - np.log(m) - m * start + top + np.log(total * -lowest / 2)
    ln_low_t, by_low_t, ln_high_t, by_high_t = np.array(means) / np.where(total > 0, total, 1)
    of_low, of_high = np.array([ln_low_t, by_low_t]), np.array([ln_high_t, by_high_t])
    return alive, gone, np.concatenate([np.where(first, of_low, of_high), np.where(first, of_high, of_low)])


def _pareto_likelihood(theta: Theta, h: Histories) -> tuple[Array, Array]:
    r, alpha, s, beta = theta
    alive, gone, (ln_alpha_t, by_alpha_t, ln_beta_t, by_beta_t) = _pareto_parts(theta, h)
    both = np.logaddexp(alive, gone)
    p, q = np.exp(alive - both), np.exp(gone - both)
    value, by_r = _bought(r, alpha, h.x)
    by_r = by_r - p * np.log(alpha + h.T) - q * ln_alpha_t
    by_alpha = r / alpha - (r + h.x) * (p / (alpha + h.T) + q * by_alpha_t)
    by_s = np.log(beta) - p * np.log(beta + h.T) + q * (1 / s - ln_beta_t)
    by_beta = s / beta - p * s / (beta + h.T) - q * (s + 1) * by_beta_t
    return value + s * np.log(beta) + both, np.stack([by_r, by_alpha, by_s, by_beta])


def _pareto_alive(theta: Theta, h: Histories) -> Array:
    alive, gone, _ = _pareto_parts(theta, h)
    return np.exp(alive - np.logaddexp(alive, gone))


def _pareto_expected(theta: Theta, h: Histories, times: Array) -> Array:
    r, alpha, s, beta = theta
    reach = np.log1p(times / (beta + h.T)[:, None])
    rate = ((r + h.x) * (beta + h.T) / (alpha + h.T) * _pareto_alive(theta, h))[:, None]
    # (1 - e ** -((s - 1) reach)) / (s - 1), which is smooth at s = 1.
    return rate * reach * exprel(-(s - 1) * reach)


def _pareto_simulated(theta: Theta, h: Histories, time: float, rng: np.random.Generator) -> Array:
    r, alpha, s, beta = theta
    rate, leaves = rng.gamma(r + h.x, 1 / (alpha + h.T)), rng.gamma(s, 1 / (beta + h.T))
    stays = np.minimum(rng.exponential(size=len(h.x)) / np.maximum(leaves, 1e-300), time)
    return np.where(rng.random(len(h.x)) < _pareto_alive(theta, h), rng.poisson(rate * stays), 0)


# Schmittlein, Morrison & Colombo (1987); Fader & Hardie (2005), eq. 4 and 41.
PARETO_NBD = Family(
    "Pareto/NBD",
    ("r", "alpha", "s", "beta"),
    ("alpha", "beta"),
    _pareto_likelihood,
    _pareto_alive,
    _pareto_expected,
    _pareto_simulated,
)
BG_NBD, MBG_NBD = _geometric("BG/NBD", 0), _geometric("MBG/NBD", 1)
ANY_TIME = (BG_NBD, MBG_NBD, PARETO_NBD)
# Fader & Hardie (2007). In BG/NBD a covariate multiplies both a and b, as in CLVTools: it changes how alike
# customers are in leaving, and not the mean chance.
WITH_COVARIATES = (
    scaled(BG_NBD, ((0, -1, 0, 0), (0, 0, 1, 1))),
    scaled(PARETO_NBD, ((0, -1, 0, 0), (0, 0, 0, -1))),
)
FAMILIES = (*ANY_TIME, *WITH_COVARIATES, BG_BB, SBG)


def suitable(h: Histories) -> tuple[Family, ...]:
    """Return the models that suit the terms on which customers buy."""
    if len(h.left):
        return (SBG,)
    told = (*ANY_TIME, *WITH_COVARIATES) if len(h.covariates) else ANY_TIME
    return (*told, BG_BB) if h.step else told


def fit(family: Family, h: Histories) -> Fit:
    """Fit a model by maximum likelihood; each covariate brings a factor on buying and one on leaving."""
    scale = float(np.average(h.T, weights=h.weight)) or 1.0
    sizes = [scale if name in family.timed else 1.0 for name in family.parameters]
    n = len(h.covariates) if family.plain else 0
    factors = [f"factor {number} on {what}" for what in ("buying", "leaving") for number in range(1, n + 1)]
    return maximise(
        lambda theta, rows: family.likelihood(theta, h.of(rows)),
        (*family.parameters, *factors),
        weight=h.weight,
        sizes=sizes + [1.0] * 2 * n,
        n_factors=2 * n,
    )
