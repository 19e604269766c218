"""Page 11's procedures on units assigned again at random, where nothing can have happened."""

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from journeybook.experiments.measures import Measures, Metric, filled_covariates, known_values
from journeybook.statistics.contrasts import ArmMoments, contrast, cumulated, moments_from_sums, ratio_moments
from journeybook.statistics.corrections import holm
from journeybook.statistics.sequential import always_valid

# Assignments of single units held at a time.
MAX_ASSIGNMENTS = 4_000_000
ANY = "any metric"


def a_a_rates(
    units: pd.DataFrame,
    *,
    measured: Measures,
    shares: Sequence[float],
    alpha: float,
    n_looks: int,
    n_simulations: int,
    rng: np.random.Generator,
) -> pd.Series:
    """Assign units again at random, where no effect can be; returns the share called one, by procedure and metric.

    The tests are the page's: Welch's t or the delta method, each with and without CUPED, on each metric; and all
    of them together, with every variant, after Holm's correction and at every look by always-valid p values.
    Units come in their order of arrival, every one with every value; metrics are proportions, means and ratios.
    """
    metrics = measured.metrics
    covariates = filled_covariates(units, measured)
    columns = [*(column for metric in metrics for column in known_values(units, metric)[0].T), *covariates]
    places, start = [], 0
    for metric in metrics:
        own = range(start, start + len(metric.columns))
        places.append([*own, *range(len(columns) - len(covariates), len(columns))])
        start = own.stop
    claims = [
        _claims(looks, metrics, places, alpha)
        for looks in reassigned(columns, shares=shares, n_looks=n_looks, n_simulations=n_simulations, rng=rng)
    ]
    return pd.Series({key: np.concatenate([block[key] for block in claims]).mean() for key in claims[0]})


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
) -> dict[tuple[str, str], np.ndarray]:
    """Whether each procedure claims an effect in each experiment, by procedure and metric."""
    claims: dict[tuple[str, str], np.ndarray] = {}
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
            claims[name, metric.name] = found[0].p_value[-1] < alpha
        n = looks.n.sum(axis=-1)
        fixed += [one.p_value for one in found]
        always += [
            always_valid(one.effect, one.standard_error, n=n, alpha=alpha, planned_n=planned_n).p_value
            for one in found
        ]
    p, p_always = np.stack(fixed, axis=-1), np.stack(always, axis=-1)
    claims["one look, uncorrected", ANY] = np.any(p[-1] < alpha, axis=-1)
    claims["one look, Holm", ANY] = _holm_claims(p[-1], alpha)
    if len(p) > 1:
        claims["every look, uncorrected", ANY] = np.any(p < alpha, axis=(0, -1))
        claims["every look, Holm", ANY] = np.any(_holm_claims(p, alpha), axis=0)
        claims["every look, always valid and Holm", ANY] = np.any(_holm_claims(p_always, alpha), axis=0)
    return claims


def _holm_claims(p: np.ndarray, alpha: float) -> np.ndarray:
    """Whether one p value or more holds after Holm's correction over the last axis."""
    claimed = np.any(p < alpha, axis=-1)
    claimed[claimed] = [holm(row).min() < alpha for row in p[claimed]]
    return claimed
