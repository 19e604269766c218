"""Donors and multiple imputation: counts by hand, closed forms, coverage in simulation."""

import numpy as np
import pytest
from scipy import stats

from journeybook.statistics import stream
from journeybook.statistics.multiple import hot_deck, normal_draws, pooled


def test_donors_are_of_the_class_and_each_is_used_before_one_is_used_again():
    rng = stream(1, "donors")
    values, classes = rng.standard_normal(600), rng.integers(0, 4, 600)
    hidden = rng.random(600) < 0.4
    donors = hot_deck(np.where(hidden, np.nan, values), classes, max_uses=2, rng=rng)
    assert (classes[donors] == classes[hidden]).all() and not hidden[donors].any()
    for k in range(4):
        uses = np.bincount(donors[classes[donors] == k], minlength=600)[(classes == k) & ~hidden]
        assert uses.max() - uses.min() <= 1


def test_who_finds_no_donor_in_the_class_gets_one_of_another_within_the_limit():
    values = np.array([1.0, np.nan, np.nan, np.nan, 5.0, 6.0])
    classes = np.array([0, 0, 0, 0, 1, 1])
    seen = [np.bincount(hot_deck(values, classes, max_uses=1, rng=stream(s, "d")), minlength=6) for s in range(20)]
    assert all(uses.tolist() == [1, 0, 0, 0, 1, 1] for uses in seen)
    with pytest.raises(ValueError, match="max_uses is 1: 2 donors cannot serve 3"):
        hot_deck(values[:5], classes[:5], max_uses=1, rng=stream(1, "d"))


def test_draws_have_the_mean_and_spread_of_the_posterior():
    rng = stream(2, "draws")
    x = rng.standard_normal(40)
    y = 2 * x + rng.standard_normal(40)
    y[0] = np.nan
    draws = normal_draws(y, x[:, None], n_draws=40_000, rng=rng)[:, 0]
    design = np.column_stack([np.ones(39), x[1:]])
    fitted, squares = np.linalg.lstsq(design, y[1:], rcond=None)[:2]
    at = np.array([1, x[0]])
    # A t distribution of 37 degrees of freedom around the line (Gelman et al. 2013, p. 357).
    scale = np.sqrt(squares[0] / 37 * (1 + at @ np.linalg.inv(design.T @ design) @ at))
    due = stats.t(37, loc=at @ fitted, scale=scale)
    assert stats.kstest(draws, due.cdf).pvalue > 0.001
    with pytest.raises(ValueError, match="with 2 known values"):
        normal_draws(np.array([1.0, 2.0, np.nan]), x[:3, None], n_draws=5, rng=rng)


def test_pooling_is_that_of_rubin_and_of_a_t_interval_without_a_missing_value():
    estimates, variances = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    found = pooled(estimates, variances, level=0.95, degrees_complete=1e9)
    # Within 5, between 1: total 5 + 4/3; Rubin's degrees of freedom are 2 (1 + 5 / (4/3))^2.
    assert found.error**2 == pytest.approx(5 + 4 / 3)
    assert found.degrees == pytest.approx(2 * (1 + 15 / 4) ** 2, rel=1e-6)
    y = stream(3, "y").standard_normal(30)
    alone = pooled(np.full(2, y.mean()), np.full(2, y.var(ddof=1) / 30), level=0.9, degrees_complete=29)
    due = stats.t.interval(0.9, 29 * 30 / 32, loc=y.mean(), scale=stats.sem(y))
    assert (alone.low, alone.high, alone.missing_share) == pytest.approx((*due, 0))


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["MCAR", "MAR"])
def test_pooled_95_percent_intervals_cover_93_to_97_percent(mechanism):
    rng, n, n_sets, covered = stream(4, f"coverage {mechanism}"), 200, 2_000, 0
    for _ in range(n_sets):
        x = rng.standard_normal(n)
        y = 0.6 * x + 0.8 * rng.standard_normal(n)
        hidden = rng.random(n) < (0.3 if mechanism == "MCAR" else 1 / (1 + np.exp(1 - 1.5 * x)))
        draws = normal_draws(np.where(hidden, np.nan, y), x[:, None], n_draws=20, rng=rng)
        sets = np.tile(y, (20, 1))
        sets[:, hidden] = draws
        found = pooled(sets.mean(axis=1), sets.var(axis=1, ddof=1) / n, level=0.95, degrees_complete=n - 1)
        covered += found.low <= 0 <= found.high
    assert 0.93 <= covered / n_sets <= 0.97
