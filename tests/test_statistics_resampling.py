"""The bootstrap against enumeration, SciPy's brute force, formulas and simulation."""

import numpy as np
import pytest
from scipy import stats

from journeybook.statistics import resampling, stream
from journeybook.statistics.resampling import quantile_effect


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
