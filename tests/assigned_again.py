"""Page 11's procedures on units assigned again at random, where nothing can have happened."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from journeybook.experiments.measures import Measures, Metric, filled_covariates, known_values
from journeybook.statistics.contrasts import ArmMoments, contrast, cumulated, moments_from_sums, ratio_moments
from journeybook.statistics.corrections import holm
from journeybook.statistics.sequential import always_valid

RATE_COLUMNS = ["procedure", "metric", "rate", "monte_carlo_error", "promised"]
# Metrics whose statistics are sums over units, so that thousands of assignments cost one product of matrices.
SUMMED = ("proportion", "mean", "ratio")
# Assignments of single units held at a time.
MAX_ASSIGNMENTS = 4_000_000
ANY = "any metric"
# What always-valid inference needs of an arm before its first look.
UNITS_A_LOOK = 100


@dataclass(frozen=True, eq=False)
class FalsePositives:
    """Share of experiments without any effect in which a procedure claims one.

    Attributes:
        rates: One row a procedure and metric, columns `RATE_COLUMNS`: `rate`, its standard error
            `monte_carlo_error`, and the rate `promised`, NaN where a procedure promises none.
        n_simulations: Simulated experiments a row.
        n_units: Units of each.
        n_looks: Looks at each, equally spaced.
    """

    rates: pd.DataFrame
    n_simulations: int
    n_units: int
    n_looks: int


def a_a_rates(
    units: pd.DataFrame,
    *,
    measured: Measures,
    shares: Sequence[float],
    alpha: float,
    n_looks: int,
    n_simulations: int,
    max_units: int,
    rng: np.random.Generator,
) -> FalsePositives:
    """Assign the experiment's own units again at random, where no effect can be, and count what is called one.

    The tests are the page's: Welch's t or the delta method, each with and without CUPED, on each metric; and all
    of them together, with every variant, after Holm's correction and at every look by always-valid p values.

    Args:
        units: One row a unit, in the order of arrival.
        measured: Metrics and covariates; quantiles and times to an event are left out, and so are units without
            a value of one of the others.
        shares: Share of each variant, the control first; any positive scale.
        alpha: Level of the tests.
        n_looks: Looks, equally spaced, for the procedures that look early; fewer where a look would add fewer than
            `UNITS_A_LOOK` units to the smallest arm.
        n_simulations: Random assignments.
        max_units: Units used at most, drawn without replacement.
        rng: Source of chance.

    Returns:
        The rates; no rows where no metric is a proportion, mean or ratio.
    """
    metrics = [metric for metric in measured.metrics if metric.kind in SUMMED]
    if not metrics:
        return FalsePositives(pd.DataFrame(columns=RATE_COLUMNS), n_simulations, 0, n_looks)
    found = [known_values(units, metric) for metric in metrics]
    known = np.flatnonzero(np.logical_and.reduce([mask for _, mask in found]))
    if len(known) > max_units:
        known = np.sort(rng.choice(known, max_units, replace=False))
    n_looks = max(1, min(n_looks, int(len(known) * min(shares) / sum(shares) / UNITS_A_LOOK)))
    covariates = filled_covariates(units, measured)
    columns = [x[known] for x in (*(column for values, _ in found for column in values.T), *covariates)]
    places, start = [], 0
    for metric in metrics:
        own = range(start, start + len(metric.columns))
        places.append([*own, *range(len(columns) - len(covariates), len(columns))])
        start = own.stop
    claims = [
        _claims(looks, metrics, places, alpha)
        for looks in reassigned(columns, shares=shares, n_looks=n_looks, n_simulations=n_simulations, rng=rng)
    ]
    rates = pd.DataFrame([(*key, 0.0) for key in claims[0]], columns=["procedure", "metric", "promised", "rate"])
    rates["rate"] = [np.concatenate([block[key] for block in claims]).mean() for key in claims[0]]
    rates["monte_carlo_error"] = np.sqrt(rates["rate"] * (1 - rates["rate"]) / n_simulations)
    return FalsePositives(rates[RATE_COLUMNS], n_simulations, len(known), n_looks)


def reassigned(
    columns: Sequence[np.ndarray],
    *,
    shares: Sequence[float],
    n_looks: int,
    n_simulations: int,
    rng: np.random.Generator,
) -> Iterator[ArmMoments]:
    """Statistics by arm under random assignments of the same units, a block of experiments at a time.

    A block's assignments are the rows of a matrix; their product with the units' values and products of values
    gives the sums of all its experiments at once.

    Args:
        columns: Values of the units in their order of arrival, finite.
        shares: Share of each arm.
        n_looks: Looks, equally spaced; a remainder of units is left out.
        n_simulations: Random assignments.
        rng: Source of chance.

    Yields:
        Statistics of all units up to each look, first axes (looks, experiments).
    """
    width, per_look = len(columns), len(columns[0]) // n_looks
    values = np.stack(columns)[:, : per_look * n_looks]
    centre = values.mean(axis=1)
    values = values - centre[:, None]
    pairs = list(combinations_with_replacement(range(width), 2))
    sums = np.stack([np.ones(values.shape[1]), *values, *(values[i] * values[j] for i, j in pairs)])
    sums = np.ascontiguousarray(sums.reshape(len(sums), n_looks, per_look).transpose(1, 2, 0))
    at = np.empty((width, width), dtype=int)
    for number, (i, j) in enumerate(pairs):
        at[i, j] = at[j, i] = number
    ends = np.cumsum(shares) / np.sum(shares)
    block = max(1, MAX_ASSIGNMENTS // values.shape[1])
    for start in range(0, n_simulations, block):
        size = min(block, n_simulations - start)
        drawn = rng.random((n_looks, size, per_look), dtype=np.float32)
        below = [sums.sum(axis=1)[:, None, :].repeat(size, axis=1)]
        below = [(drawn < end).astype(float) @ sums for end in ends[:-1]] + below
        arms = np.diff(np.stack(below, axis=2), axis=2, prepend=0)
        n, first = np.rint(arms[..., 0]), arms[..., 1 : 1 + width]
        second = arms[..., 1 + width :][..., at]
        each = moments_from_sums(n, first, second, centre=np.zeros(width))
        whole = cumulated(each) if n_looks > 1 else each
        yield ArmMoments(whole.n, whole.mean + centre, whole.covariance)


def _claims(
    looks: ArmMoments, metrics: Sequence[Metric], places: Sequence[Sequence[int]], alpha: float
) -> dict[tuple[str, str, float], np.ndarray]:
    """Whether each procedure claims an effect in each experiment, by (procedure, metric, rate promised)."""
    claims: dict[tuple[str, str, float], np.ndarray] = {}
    fixed, always = [], []
    planned_n = looks.n[-1].sum(axis=-1).mean()
    for metric, place in zip(metrics, places, strict=True):
        ratio = metric.kind == "ratio"
        plain, adjusted = ("delta", "delta_cuped") if ratio else ("welch", "cuped")
        n_own = len(metric.columns)
        for name, chosen in ((plain, place[:n_own]), (adjusted, place)):
            if name == adjusted and len(place) == n_own:
                continue
            found = []
            for number in range(1, looks.n.shape[-1]):
                arms = looks.pick(chosen, arms=[0, number])
                found.append(contrast(ratio_moments(arms) if ratio else arms, weights=(-1, 1)))
            claims[name, metric.name, alpha] = found[0].p_value[-1] < alpha
        n = looks.n.sum(axis=-1)
        fixed += [one.p_value for one in found]
        always += [
            always_valid(one.effect, one.standard_error, n=n, alpha=alpha, planned_n=planned_n).p_value
            for one in found
        ]
    p, p_always = np.stack(fixed, axis=-1), np.stack(always, axis=-1)
    claims["one look, uncorrected", ANY, np.nan] = np.any(p[-1] < alpha, axis=-1)
    claims["one look, Holm", ANY, alpha] = _holm_claims(p[-1], alpha)
    if len(p) > 1:
        claims["every look, uncorrected", ANY, np.nan] = np.any(p < alpha, axis=(0, -1))
        claims["every look, Holm", ANY, np.nan] = np.any(_holm_claims(p, alpha), axis=0)
        claims["every look, always valid and Holm", ANY, alpha] = np.any(_holm_claims(p_always, alpha), axis=0)
    return claims


def _holm_claims(p: np.ndarray, alpha: float) -> np.ndarray:
    """Whether one p value or more holds after Holm's correction over the last axis."""
    claimed = np.any(p < alpha, axis=-1)
    claimed[claimed] = [holm(row).min() < alpha for row in p[claimed]]
    return claimed
