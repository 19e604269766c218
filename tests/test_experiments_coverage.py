"""How often the page's intervals hold the truth, by simulation: 10,000 experiments when slow, fewer when quick.

Intervals of one look must cover in 94 to 96 %, always-valid ones in at least 94.5 %; a quick run
allows four Monte Carlo errors beside.
"""

import numpy as np
import pytest

from journeybook.statistics import stream
from journeybook.statistics.contrasts import ArmMoments, contrast, cumulated, effect_of, ratio_moments
from journeybook.statistics.resampling import quantile_effect
from journeybook.statistics.sequential import always_valid
from journeybook.statistics.survival import restricted_mean_moments
from journeybook.statistics.two_samples import stratified

ALPHA = 0.05
QUICK, SLOW = 500, 10_000
SIZES = [pytest.param(QUICK, id="quick"), pytest.param(SLOW, id="slow", marks=pytest.mark.slow)]


def slack(n_simulations: int) -> float:
    """What chance may add in a quick run."""
    return 0 if n_simulations >= SLOW else 4 * (ALPHA * (1 - ALPHA) / n_simulations) ** 0.5


def moments_of(values: np.ndarray) -> ArmMoments:
    """Statistics of arrays of shape (..., arms, units, columns)."""
    n = np.full(values.shape[:-2], values.shape[-2])
    mean = values.mean(axis=-2)
    gap = values - mean[..., None, :]
    return ArmMoments(n, mean, np.swapaxes(gap, -1, -2) @ gap / (values.shape[-2] - 1))


def spending(shape: tuple[int, ...], rng: np.random.Generator, *, lift: float) -> np.ndarray:
    """Spend, orders, a covariate, shape (..., arms, units, 3); arms after the first spend `lift` more an order."""
    before = rng.gamma(2, 1, shape)
    orders = 1.0 + rng.poisson(before)
    spend = orders * rng.gamma(2, 1, shape) + 0.5 * before
    spend[..., 1:, :] += lift * orders[..., 1:, :]
    return np.stack([spend, orders, before], axis=-1)


LIFT = 0.3
# Mean orders are 3, mean spend 7, and the change adds LIFT to each order.
TRUTH = {"welch": 3 * LIFT, "cuped": 3 * LIFT, "delta": LIFT, "delta_cuped": LIFT}


@pytest.mark.parametrize("n_simulations", SIZES)
def test_fixed_horizon_intervals_cover(n_simulations):
    rng, hits, blocks = stream(15, "coverage"), dict.fromkeys([*TRUTH, "relative"], 0), n_simulations // 500
    for _ in range(blocks):
        arms = moments_of(spending((500, 2, 400), rng, lift=LIFT))
        chosen = {"welch": arms.pick([0]), "cuped": arms.pick([0, 2])}
        chosen |= {"delta": ratio_moments(arms.pick([0, 1])), "delta_cuped": ratio_moments(arms)}
        for name, part in chosen.items():
            found = effect_of(contrast(part, weights=(-1, 1)), method=name, alpha=ALPHA)
            hits[name] += ((found.low <= TRUTH[name]) & (found.high >= TRUTH[name])).sum()
        relative = TRUTH["delta"] / (7 / 3)
        hits["relative"] += ((found.relative_low <= relative) & (found.relative_high >= relative)).sum()
    for name, n_hits in hits.items():
        assert 0.94 - slack(n_simulations) <= n_hits / (500 * blocks) <= 0.96 + slack(n_simulations), name


def one_interval(method: str, rng: np.random.Generator) -> bool:
    """Whether a method's interval holds the true effect in one experiment."""
    n = 400
    treated = rng.integers(2, size=n)
    if method == "quantile":
        # The 0.7 quantile of an exponential is its scale times 1.2040.
        sides = rng.exponential(size=n), 1.3 * rng.exponential(size=n)
        found, truth = (
            quantile_effect(*sides, quantile=0.7, alpha=ALPHA, n_draws=1_000, rng=rng),
            0.3 * -np.log(0.3),
        )
    elif method == "restricted_mean":
        scale = np.where(treated, 12.0, 10.0)
        time, end = rng.exponential(scale), rng.uniform(4, 20, n)
        arms = restricted_mean_moments(np.minimum(time, end), time <= end, treated, n_arms=2, horizon=10.0)
        found = effect_of(contrast(arms, weights=(-1, 1)), method=method, alpha=ALPHA)
        truth = 12 * -np.expm1(-10 / 12) - 10 * -np.expm1(-1)
    else:
        stratum = rng.integers(4, size=n)
        # Effects 0, 1, 2, 3 by stratum, so 1.5 over all.
        found, truth = stratified(rng.gamma(2, 1, n) + stratum * (1 + treated), treated, stratum, alpha=ALPHA), 1.5
    return bool(found.low <= truth <= found.high)


@pytest.mark.parametrize("method", ["quantile", "restricted_mean", "stratified"])
def test_intervals_of_other_methods_cover(method):
    rng, n_simulations = stream(16, f"coverage: {method}"), 400
    rate = np.mean([one_interval(method, rng) for _ in range(n_simulations)])
    assert 0.94 - slack(n_simulations) <= rate <= 0.96 + slack(n_simulations)


@pytest.mark.parametrize("n_simulations", SIZES)
def test_always_valid_intervals_cover_at_every_look(n_simulations):
    rng, missed, n_looks = stream(17, "looks"), 0, 20
    for _ in range(n_simulations // 250):
        each = moments_of(np.moveaxis(spending((250, 2, n_looks, 100), rng, lift=0.0), 2, 0))
        found = contrast(cumulated(each.pick([0, 2])), weights=(-1, 1))
        n = 200 * np.arange(1, n_looks + 1)[:, None]
        band = always_valid(found.effect, found.standard_error, n=n, alpha=ALPHA, planned_n=200 * n_looks)
        missed += ((band.low > 0) | (band.high < 0)).any(axis=0).sum()
    assert 1 - missed / n_simulations >= 0.945 - slack(n_simulations)
