"""Looking early: an interval that is valid at every look, and boundaries for looks that were planned."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from journeybook.experiments.contrasts import Contrast

SPENDING = ("obrien_fleming", "pocock", "obrien_fleming_spending", "pocock_spending")
SEQUENTIAL_COLUMNS = (
    *("look", "n", "fraction", "effect", "standard_error", "p_value", "effect_low", "effect_high"),
    *("always_valid_low", "always_valid_high", "always_valid_p_value"),
    *("bound", "group_low", "group_high", "crossed_naive", "crossed_always_valid", "crossed_group"),
)
# Beyond this many standard deviations the normal density holds nothing that matters.
_REACH = 9.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True, eq=False)
class AlwaysValid:
    """An interval that may be looked at as often as one likes; shapes are those of the effect.

    Attributes:
        low: Lower end of the confidence sequence.
        high: Upper end of the confidence sequence.
        p_value: p value of no effect at this look; the smallest over the looks so far is valid too.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p_value: NDArray[np.float64]


def always_valid(
    effect: ArrayLike, standard_error: ArrayLike, *, n: ArrayLike, alpha: float, planned_n: float
) -> AlwaysValid:
    """The normal-mixture confidence sequence, and the mixture test that it inverts.

    The likelihood ratio of an effect drawn from N(0, tau^2) against none is a martingale without effect, so
    that it reaches 1 / alpha at any look with probability alpha at most (Robbins 1970; Johari, Pekelis & Walsh
    2015; Howard et al. 2021). The standard error is estimated, so the promise is asymptotic: the first
    look needs about a hundred units an arm (Waudby-Smith et al. 2024). tau is set by the planned size alone, so
    that the interval is narrowest there.

    Args:
        effect: Difference of means at the look.
        standard_error: Its standard error.
        n: Units of all arms at the look.
        alpha: Probability that any of the intervals, over all looks, misses the effect.
        planned_n: Units planned at the end; fixed before the first look.
    """
    estimate, se = np.asarray(effect, dtype=float), np.asarray(standard_error, dtype=float)
    ratio = _best_ratio(alpha) * np.asarray(n, dtype=float) / planned_n
    squared = (1 + 1 / ratio) * (np.log1p(ratio) - 2 * np.log(alpha))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = estimate / se
    log_ratio = z**2 * ratio / (1 + ratio) / 2 - np.log1p(ratio) / 2
    margin = se * np.sqrt(squared)
    return AlwaysValid(estimate - margin, estimate + margin, np.exp(-np.maximum(log_ratio, 0)))


def boundaries(fractions: ArrayLike, *, alpha: float, spending: str) -> pd.DataFrame:
    """Two-sided boundaries of a group sequential test.

    `obrien_fleming` (1979) has bounds proportional to 1 / sqrt(fraction), `pocock` (1977) equal bounds; both
    need the fractions of all looks beforehand. `obrien_fleming_spending` and `pocock_spending` spend alpha by
    a function of the fraction (Lan & DeMets 1983), so that a bound depends on the looks so far alone. Half of
    alpha is spent on each side.

    Args:
        fractions: Share of the planned information (units) at each look, rising, above 0, at most 1.
        alpha: Probability of crossing at any look without effect (for the spending functions: once fraction 1 is
            reached).
        spending: One of `SPENDING`.

    Returns:
        One row a look: look, fraction, spent (alpha used up so far), bound (of |z|), p_nominal (two-sided p at
        the bound).

    Raises:
        ValueError: The fractions do not rise from above 0 to at most 1, alpha is not between 0 and 1, or the
            spending is unknown.
    """
    t = np.asarray(fractions, dtype=float)
    if not (len(t) and t[0] > 0 and t[-1] <= 1 and (np.diff(t) > 0).all()):
        raise ValueError(f"fractions: found {t.tolist()}, needed rising numbers above 0 and at most 1.")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: found {alpha}, needed a number between 0 and 1.")
    if spending in ("obrien_fleming", "pocock"):
        shape = (t / t[-1]) ** -0.5 if spending == "obrien_fleming" else np.ones(len(t))
        bounds = shape * optimize.brentq(_excess, 0.5, 9, args=(shape, t, alpha), xtol=1e-10)
    elif spending == "obrien_fleming_spending":
        bounds = _spent_bounds(4 * stats.norm.sf(stats.norm.isf(alpha / 4) / np.sqrt(t)), t)
    elif spending == "pocock_spending":
        bounds = _spent_bounds(alpha * np.log1p((np.e - 1) * t), t)
    else:
        raise ValueError(f"spending: found '{spending}', needed one of {', '.join(SPENDING)}.")
    return pd.DataFrame(
        {
            "look": np.arange(1, len(t) + 1),
            "fraction": t,
            "spent": np.cumsum(crossing(bounds, t)),
            "bound": bounds,
            "p_nominal": 2 * stats.norm.sf(bounds),
        }
    )


def crossing(bounds: ArrayLike, fractions: ArrayLike, *, drift: float = 0.0) -> NDArray[np.float64]:
    """Probability that |z| first reaches its bound at each look, by numerical integration over the looks.

    The statistics of the looks are those of Brownian motion with a drift at the times `fractions` (Armitage,
    McPherson & Rowe 1969).

    Args:
        bounds: Bound of |z| at each look, shape (looks,).
        fractions: Share of the information at each look, rising.
        drift: Expected z at fraction 1; 0 is no effect.

    Returns:
        Probabilities, shape (looks,); their sum is the size of the test, or its power under a drift.
    """
    bound, t = np.asarray(bounds, dtype=float), np.asarray(fractions, dtype=float)
    at, mass, before, found = np.zeros(1), np.ones(1), 0.0, []
    for limit, now, nxt in zip(bound * np.sqrt(t), t, [*t[1:], np.nan], strict=True):
        found.append(_leaving(at, mass, limit, now - before, drift))
        at, mass = _staying(at, mass, limit, now, now - before, nxt - now, drift)
        before = now
    return np.array(found)


def follow(looks: Contrast, *, n: ArrayLike, alpha: float, planned_n: float, spending: str) -> pd.DataFrame:
    """One effect at each look: the naive interval, the always-valid one, and the group sequential one.

    Args:
        looks: Contrasts of all units so far, one a look.
        n: Units of all arms at each look, rising.
        alpha: Accepted rate of false positives.
        planned_n: Units planned at the end; fewer than were found takes those of the last look.
        spending: One of `SPENDING`; its bounds give the repeated intervals (Jennison & Turnbull 1989).

    Returns:
        One row a look, columns `SEQUENTIAL_COLUMNS`. `always_valid_p_value` is the smallest so far.
    """
    units = np.asarray(n, dtype=float)
    planned = float(max(planned_n, units[-1]))
    effect, se, naive = looks.effect, looks.standard_error, looks.margin(alpha=alpha)
    always = always_valid(effect, se, n=units, alpha=alpha, planned_n=planned)
    planned_looks = boundaries(units / planned, alpha=alpha, spending=spending)
    bound = planned_looks["bound"].to_numpy()
    # The normal bound as one of the t distribution with the same tail, as Jennison & Turnbull (2000, ch. 3) do.
    group = stats.t.isf(stats.norm.sf(bound), looks.df) * se
    running = np.minimum.accumulate(always.p_value)
    return pd.DataFrame(
        {
            "look": planned_looks["look"],
            "n": units.astype(np.int64),
            "fraction": planned_looks["fraction"],
            "effect": effect,
            "standard_error": se,
            "p_value": looks.p_value,
            "effect_low": effect - naive,
            "effect_high": effect + naive,
            "always_valid_low": always.low,
            "always_valid_high": always.high,
            "always_valid_p_value": running,
            "bound": bound,
            "group_low": effect - group,
            "group_high": effect + group,
            "crossed_naive": np.logical_or.accumulate(np.abs(effect) > naive),
            "crossed_always_valid": running <= alpha,
            "crossed_group": np.logical_or.accumulate(np.abs(effect) > group),
        },
        columns=list(SEQUENTIAL_COLUMNS),
    )


def looking(*, n_looks: int, alpha: float, n_simulations: int, rng: np.random.Generator) -> pd.DataFrame:
    """False positives of 1 to `n_looks` equally spaced looks, by the rule of stopping.

    Args:
        n_looks: Greatest number of looks.
        alpha: Rate that each rule promises.
        n_simulations: Simulated experiments without effect.
        rng: Source of chance.

    Returns:
        One row a method and number of looks: method (`naive`, `always_valid`, `obrien_fleming`, `pocock`),
        looks, rate, monte_carlo_error. The group sequential rules promise alpha at the last look alone.
    """
    looks = np.arange(1, n_looks + 1)
    fractions = looks / n_looks
    planned = [boundaries(fractions, alpha=alpha, spending=name)["bound"] for name in ("obrien_fleming", "pocock")]
    valid = always_valid(0.0, 1.0, n=looks, alpha=alpha, planned_n=n_looks).high
    bounds = np.array([np.full(n_looks, stats.norm.isf(alpha / 2)), valid, *planned])
    walked, stopped = np.zeros(n_simulations), np.zeros((len(bounds), n_simulations), dtype=bool)
    rates = []
    for look, limits in zip(looks, bounds.T, strict=True):
        walked += rng.standard_normal(n_simulations)
        stopped |= np.abs(walked) / np.sqrt(look) >= limits[:, None]
        rates.append(stopped.mean(axis=1))
    names = ("naive", "always_valid", "obrien_fleming", "pocock")
    table = pd.DataFrame(rates, columns=names, index=pd.Index(looks, name="looks"))
    long = table.melt(var_name="method", value_name="rate", ignore_index=False).reset_index()
    error = np.sqrt(long["rate"] * (1 - long["rate"]) / n_simulations)
    return long[["method", "looks", "rate"]].assign(monte_carlo_error=error)


def _best_ratio(alpha: float) -> float:
    """tau^2 over the squared standard error at the planned end that makes the interval narrowest there."""
    return float(-special.lambertw(-(alpha**2) / np.e, k=-1).real - 1)


def _excess(constant: float, shape: NDArray[np.float64], t: NDArray[np.float64], alpha: float) -> float:
    return float(crossing(constant * shape, t).sum()) - alpha


def _spent_bounds(spent: NDArray[np.float64], t: NDArray[np.float64]) -> NDArray[np.float64]:
    """The bounds that use up `spent` of alpha, look by look."""
    at, mass, before, bounds = np.zeros(1), np.ones(1), 0.0, []
    for share, now, nxt in zip(np.diff(spent, prepend=0.0), t, [*t[1:], np.nan], strict=True):
        step = now - before
        limit = _REACH * np.sqrt(now)
        # So little may be spent at a very early look that no bound within reach spends it.
        if _unspent(limit, at, mass, step, share) < 0:
            limit = optimize.brentq(_unspent, 0, limit, args=(at, mass, step, share), xtol=1e-10)
        bounds.append(limit / np.sqrt(now))
        at, mass = _staying(at, mass, limit, now, step, nxt - now, 0.0)
        before = now
    return np.array(bounds)


def _unspent(limit: float, at: NDArray[np.float64], mass: NDArray[np.float64], step: float, share: float) -> float:
    return _leaving(at, mass, limit, step, 0.0) - share


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
