"""Looking early: an interval that is valid at every look, and boundaries for looks that were planned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

BOUNDARIES = ("obrien_fleming", "pocock")
# Beyond this many standard deviations the normal density holds nothing that matters.
_REACH = 9.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True, eq=False)
class AlwaysValid:
    """An interval `low` to `high` that may be looked at as often as one likes, and the p value of no effect."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p_value: NDArray[np.float64]


def always_valid(
    effect: ArrayLike, standard_error: ArrayLike, *, n: ArrayLike, alpha: float, planned_n: float
) -> AlwaysValid:
    """The normal-mixture confidence sequence of a difference of means, and the mixture test that it inverts.

    The likelihood ratio of an effect drawn from N(0, tau^2) against none is a martingale without effect, so that
    it ever reaches 1 / alpha with probability alpha at most (Robbins 1970; Howard et al. 2021). The standard error
    is estimated: the first look needs about a hundred units an arm (Waudby-Smith et al. 2024). `n` counts units of
    all arms at the look; the interval is narrowest at `planned_n`, fixed before the first look.
    """
    estimate, se = np.asarray(effect, dtype=float), np.asarray(standard_error, dtype=float)
    ratio = _best_ratio(alpha) * np.asarray(n, dtype=float) / planned_n
    squared = (1 + 1 / ratio) * (np.log1p(ratio) - 2 * np.log(alpha))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = estimate / se
    log_ratio = z**2 * ratio / (1 + ratio) / 2 - np.log1p(ratio) / 2
    margin = se * np.sqrt(squared)
    return AlwaysValid(estimate - margin, estimate + margin, np.exp(-np.maximum(log_ratio, 0)))


def boundaries(fractions: ArrayLike, *, alpha: float, rule: str) -> NDArray[np.float64]:
    """Return the two-sided bounds of |z| at each look of a group sequential test, all of which are planned.

    `obrien_fleming` (1979) has bounds proportional to 1 / sqrt(fraction), `pocock` (1977) equal ones. Fractions
    are shares of the planned units, rising to at most 1; without effect any bound is crossed with chance `alpha`.

    Raises:
        ValueError: Fractions do not rise, alpha is out of range, or the rule is unknown.
    """
    t = np.asarray(fractions, dtype=float)
    if not (len(t) and t[0] > 0 and t[-1] <= 1 and (np.diff(t) > 0).all()):
        raise ValueError(f"fractions: found {t.tolist()}, needed rising numbers above 0 and at most 1.")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: found {alpha}, needed a number between 0 and 1.")
    if rule not in BOUNDARIES:
        raise ValueError(f"rule: found '{rule}', needed one of {', '.join(BOUNDARIES)}.")
    shape = (t / t[-1]) ** -0.5 if rule == "obrien_fleming" else np.ones(len(t))
    return shape * optimize.brentq(lambda c: crossing(c * shape, t).sum() - alpha, 0.5, 9, xtol=1e-10)


def crossing(bounds: ArrayLike, fractions: ArrayLike, *, drift: float = 0.0) -> NDArray[np.float64]:
    """Probability that |z| first reaches its bound at each look, by integration (Armitage, McPherson & Rowe 1969).

    Fractions of the information rise; `drift` is the expected z at fraction 1, with 0 for no effect.
    """
    bound, t = np.asarray(bounds, dtype=float), np.asarray(fractions, dtype=float)
    at, mass, before, found = np.zeros(1), np.ones(1), 0.0, []
    for limit, now, nxt in zip(bound * np.sqrt(t), t, [*t[1:], np.nan], strict=True):
        found.append(_leaving(at, mass, limit, now - before, drift))
        at, mass = _staying(at, mass, limit, now, now - before, nxt - now, drift)
        before = now
    return np.array(found)


def peeking(n_looks: int, *, alpha: float) -> NDArray[np.float64]:
    """Return the rate of false positives after each of equally spaced looks that test at `alpha` every time.

    >>> peeking(20, alpha=0.05).round(3)[[0, 4, 19]].tolist()  # Armitage, McPherson & Rowe 1969, table 2
    [0.05, 0.142, 0.248]
    """
    bounds = np.full(n_looks, stats.norm.isf(alpha / 2))
    return np.cumsum(crossing(bounds, np.arange(1, n_looks + 1) / n_looks))


def _best_ratio(alpha: float) -> float:
    """tau^2 over the squared standard error at the planned end that makes the interval narrowest there."""
    return float(-special.lambertw(-(alpha**2) / np.e, k=-1).real - 1)


def _leaving(at: NDArray[np.float64], mass: NDArray[np.float64], limit: float, step: float, drift: float) -> float:
    """Probability to end a step outside -limit to limit; `mass` is the weight of each starting point `at`."""
    centre, sd = at + drift * step, np.sqrt(step)
    return float(mass @ (special.ndtr((centre - limit) / sd) + special.ndtr((-limit - centre) / sd)))


def _staying(
    at: NDArray[np.float64],
    mass: NDArray[np.float64],
    limit: float,
    now: float,
    step: float,
    next_step: float,
    drift: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the paths are that end a step inside: quadrature points and weights fine enough for the next step."""
    if np.isnan(next_step):
        return at, mass
    low = max(-limit, drift * now - _REACH * np.sqrt(now))
    high = min(limit, drift * now + _REACH * np.sqrt(now))
    panels = int(np.ceil((high - low) / (1.5 * np.sqrt(min(step, next_step)))))
    edges = np.linspace(low, high, max(panels, 1) + 1)
    half = (edges[1] - edges[0]) / 2
    points = ((edges[:-1] + half)[:, None] + half * _NODES).ravel()
    density = np.exp(-((points[:, None] - at - drift * step) ** 2) / (2 * step)) / np.sqrt(2 * np.pi * step)
    return points, np.tile(half * _WEIGHTS, len(edges) - 1) * (density @ mass)
