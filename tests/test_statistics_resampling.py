"""The bootstrap against enumeration, SciPy's brute force, formulas and simulation."""

import numpy as np
import pytest
from scipy import stats

from journeybook.statistics import resampling, stream
from journeybook.statistics.resampling import poisson_bootstrap, quantile_effect


def test_the_median_of_three_is_drawn_as_enumeration_says():
    # Of the 27 samples of three from 1, 2, 3 with replacement, 7 have median 1, 13 median 2, 7 median 3.
    n = 200_000
    drawn = resampling._quantile_draws(np.array([3.0, 1.0, 2.0]), 0.5, n, stream(1, "draws"))
    found = np.array([(drawn == value).mean() for value in (1, 2, 3)])
    expected = np.array([7, 13, 7]) / 27
    assert found == pytest.approx(expected, abs=float(4 * np.sqrt(expected * (1 - expected) / n).max()))


def test_an_interpolated_quantile_is_drawn_as_brute_force_does():
    values = stream(2, "values").lognormal(size=57)
    rng = stream(2, "brute force")
    brute = np.quantile(rng.choice(values, size=(40_000, 57)), 0.83, axis=1)
    drawn = resampling._quantile_draws(values, 0.83, 40_000, stream(2, "draws"))
    assert stats.ks_2samp(brute, drawn).pvalue > 1e-3
    # It can fail: of another quantile's draws the same test is certain.
    other = resampling._quantile_draws(values, 0.80, 40_000, stream(2, "draws"))
    assert stats.ks_2samp(brute, other).pvalue < 1e-6


def test_quantile_interval_is_scipys_percentile_bootstrap():
    rng = stream(3, "arms")
    a, b = rng.exponential(size=300), 1.2 * rng.exponential(size=350)
    found = quantile_effect(a, b, quantile=0.9, alpha=0.1, n_draws=400_000, rng=stream(3, "draws"))
    test = stats.bootstrap(
        (b, a), lambda x, y, axis: np.quantile(x, 0.9, axis=axis) - np.quantile(y, 0.9, axis=axis),
        n_resamples=20_000, method="percentile", confidence_level=0.9, batch=2_000, rng=stream(3, "scipy"),
    )  # fmt: skip
    assert found.effect == pytest.approx(np.quantile(b, 0.9) - np.quantile(a, 0.9), rel=1e-12)
    ends = [test.confidence_interval.low, test.confidence_interval.high]
    assert [found.low, found.high] == pytest.approx(ends, abs=0.05 * test.standard_error)
    assert found.standard_error == pytest.approx(test.standard_error, rel=0.03)
    assert (found.p_value < 0.1) == (not found.low <= 0 <= found.high)


def test_a_quantile_of_many_ties_claims_nothing():
    a, b = np.repeat([0.0, 1.0], [700, 300]), np.repeat([0.0, 1.0], [690, 310])
    found = quantile_effect(a, b, quantile=0.5, alpha=0.05, n_draws=2_000, rng=stream(1, "ties"))
    assert (found.effect, found.low, found.high, found.p_value) == (0, 0, 0, 1)


@pytest.mark.parametrize("quantile", [0.0, 1.2])
def test_a_quantile_outside_0_and_1_is_an_error(quantile):
    with pytest.raises(ValueError, match=f"quantile: found {quantile:g}"):
        quantile_effect(
            np.arange(99.0), np.arange(99.0), quantile=quantile, alpha=0.05, n_draws=9, rng=stream(1, "")
        )


def test_a_quantile_beyond_the_data_is_an_error():
    with pytest.raises(ValueError, match="an arm of 99 units has fewer than 10"):
        quantile_effect(np.ones(99), np.ones(5_000), quantile=0.99, alpha=0.05, n_draws=9, rng=stream(1, ""))


def arms(kind: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = stream(4, f"arms of {kind}")
    if kind == "proportion":
        return (rng.random(n) < 0.2).astype(float), (rng.random(n) < 0.25).astype(float)
    orders = 1.0 + rng.poisson(2, (2, n))
    spend = orders * rng.gamma(2, 5, (2, n))
    if kind == "mean":
        return spend[0], spend[1]
    return np.column_stack([spend[0], orders[0]]), np.column_stack([spend[1], orders[1]])


@pytest.mark.parametrize(
    ("kind", "n"), [("proportion", 100_000), ("mean", 1_500), ("mean", 12_000), ("ratio", 1_500)]
)
def test_the_poisson_bootstrap_has_the_standard_error_of_the_formula(kind, n):
    a, b = arms(kind, n)
    n_draws = 2_000
    found = poisson_bootstrap(a, b, alpha=0.05, n_draws=n_draws, rng=stream(4, "draws"))
    pairs = [x if x.ndim == 2 else np.column_stack([x, np.ones(n)]) for x in (a, b)]
    means = [x.mean(axis=0) for x in pairs]
    ratios = [mean[0] / mean[1] for mean in means]
    parts = [(x[:, 0] - r * x[:, 1]).var() / m[1] ** 2 / n for x, r, m in zip(pairs, ratios, means, strict=True)]
    assert found.effect == pytest.approx(ratios[1] - ratios[0], rel=1e-9)
    # The spread of a standard deviation of n_draws normal draws is 1 / sqrt(2 n_draws), of 5,000 groups 1 %.
    spread = np.sqrt(1 / (2 * n_draws) + (0.01**2 if n > resampling.MAX_CELLS and kind == "mean" else 0))
    assert found.standard_error == pytest.approx(np.sqrt(sum(parts)), rel=float(4 * spread))


def test_a_proportions_poisson_bootstrap_needs_its_counts_alone():
    a, b = arms("proportion", 5_000)
    shuffled = [np.sort(x) for x in (a, b)]
    first, second = (
        poisson_bootstrap(*pair, alpha=0.05, n_draws=300, rng=stream(5, "draws")) for pair in ((a, b), shuffled)
    )
    assert (first.low, first.high, first.p_value) == (second.low, second.high, second.p_value)
