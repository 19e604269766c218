"""Power and sample size against statsmodels, simulation and the page's own tests."""

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower, TTestIndPower

from journeybook.statistics import power, stream
from journeybook.statistics.contrasts import ArmMoments, contrast, ratio_moments


@pytest.mark.parametrize("n", [2, 10, 500, 1_000_000])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_power_in_equal_arms_is_statsmodels(n, alpha):
    effects = np.array([0, 0.5, 1, 2, 3, 4]) * np.sqrt(2 / n)
    found = power.power_of(3 * effects, n_control=n, n_treatment=n, sd_control=3, alpha=alpha)
    assert found == pytest.approx([TTestIndPower().power(effect, n, alpha) for effect in effects], abs=1e-9)
    assert found == pytest.approx(
        power.power_of(-3 * effects, n_control=n, n_treatment=n, sd_control=3, alpha=alpha), abs=1e-12
    )


@pytest.mark.parametrize("ratio", [0.1, 0.5, 4.0])
def test_power_in_unequal_arms_is_statsmodels(ratio):
    # statsmodels pools the variance and knows the normal test; at these sizes both differences are below 1e-4.
    found = power.power_of(0.02, n_control=40_000, n_treatment=40_000 * ratio, sd_control=1, alpha=0.05)
    assert found == pytest.approx(NormalIndPower().power(0.02, 40_000, 0.05, ratio=ratio), abs=1e-4)


def test_power_where_it_is_certain_or_unknown():
    found = power.power_of([50.0, 1e9, np.nan], n_control=30, n_treatment=30, sd_control=1, alpha=0.05)
    assert found[:2].tolist() == [1, 1]
    assert np.isnan(found[2])


@pytest.mark.parametrize(("d", "n"), [(0.2, 394), (0.5, 64), (0.8, 26)])
def test_cohen_s_table_of_sample_sizes(d, n):
    # J. Cohen (1988), table 2.4.1, two-sided 5 %, power 80 %; it rounds 393.4 down for d = 0.2.
    found = power.sample_size(d, sd_control=1.0, alpha=0.05, power=0.8)
    assert found.n_control == found.n_treatment == n
    assert n == np.ceil(TTestIndPower().solve_power(d, alpha=0.05, power=0.8))


@pytest.mark.parametrize("share", [0.5, 0.1, 0.8])
@pytest.mark.parametrize(("effect", "sd_treatment"), [(0.02, None), (-1.0, 3.0), (5.0, 0.5)])
def test_a_sample_size_is_enough_and_hardly_more(share, effect, sd_treatment):
    given = {"sd_control": 2.0, "sd_treatment": sd_treatment, "alpha": 0.05}
    found = power.sample_size(effect, treatment_share=share, power=0.9, **given)
    assert power.power_of(effect, n_control=found.n_control, n_treatment=found.n_treatment, **given) >= 0.9
    total = found.n_control + found.n_treatment
    assert abs(found.n_treatment - share * total) <= 2
    if total > 8:
        fewer = power.power_of(effect, n_control=found.n_control - 1, n_treatment=found.n_treatment - 1, **given)
        assert fewer < 0.9


def test_the_minimum_detectable_effect_is_detected_with_the_power():
    n = np.array([10, 500, 20_000])
    found = power.minimum_detectable_effect(
        n_control=n, n_treatment=2 * n, sd_control=3.0, sd_treatment=5.0, alpha=0.01, power=0.7
    )
    again = power.power_of(found, n_control=n, n_treatment=2 * n, sd_control=3.0, sd_treatment=5.0, alpha=0.01)
    assert again == pytest.approx(np.full(3, 0.7), abs=1e-9)
    one = power.minimum_detectable_effect(n_control=1000, n_treatment=1000, sd_control=1.0, alpha=0.05, power=0.8)
    assert one == pytest.approx(TTestIndPower().solve_power(nobs1=1000, alpha=0.05, power=0.8), rel=1e-6)


def test_welch_finds_an_effect_as_often_as_said():
    n, sd, effect, rng = np.array([60, 30]), np.array([1.0, 3.0]), 1.2, stream(1, "welch")
    n_simulations = 40_000
    mean = rng.normal([0, effect], sd / np.sqrt(n), (n_simulations, 2))
    variance = sd**2 * rng.chisquare(n - 1, (n_simulations, 2)) / (n - 1)
    arms = ArmMoments(np.broadcast_to(n, mean.shape), mean[..., None], variance[..., None, None])
    rate = (contrast(arms, weights=(-1, 1)).p_value < 0.05).mean()
    said = power.power_of(effect, n_control=60, n_treatment=30, sd_control=1, sd_treatment=3, alpha=0.05)
    assert 0.4 < said < 0.7
    assert rate == pytest.approx(float(said), abs=4 * np.sqrt(0.25 / n_simulations))


def sums(columns: np.ndarray) -> ArmMoments:
    """Statistics of arms from units, shape (simulations, arms, units, columns)."""
    mean = columns.mean(axis=2)
    centred = columns - mean[:, :, None]
    n = columns.shape[2]
    return ArmMoments(np.full(mean.shape[:2], n), mean, np.einsum("sauc,saud->sacd", centred, centred) / (n - 1))


def test_a_ratio_finds_an_effect_as_often_as_said():
    n, n_simulations, rng = 400, 4_000, stream(2, "ratio")
    orders = rng.poisson(3, (n_simulations, 2, n)) + 1.0
    spend = orders * (10 + np.array([0, 0.6])[:, None]) + rng.normal(0, 12, orders.shape)
    found = contrast(ratio_moments(sums(np.stack([spend, orders], axis=-1))), weights=(-1, 1))
    # Var(orders) = 3; spend = 10 orders + noise of variance 144.
    covariance = np.array([[[100 * 3 + 144, 10 * 3], [10 * 3, 3]]])
    sd = ratio_moments(ArmMoments(np.ones(1), np.array([[40.0, 4.0]]), covariance)).covariance.item() ** 0.5
    assert sd == pytest.approx(12 / 4)
    said = power.power_of(0.6, n_control=n, n_treatment=n, sd_control=sd, alpha=0.05)
    assert 0.6 < said < 0.9
    rate = (found.p_value < 0.05).mean()
    assert rate == pytest.approx(float(said), abs=4 * np.sqrt(said * (1 - said) / n_simulations))


def test_cuped_finds_an_effect_as_often_as_said():
    n, n_simulations, rng = 200, 4_000, stream(3, "cuped")
    before = rng.normal(0, 1, (n_simulations, 2, n))
    y = 0.8 * before + 0.6 * rng.normal(0, 1, before.shape) + np.array([0, 0.15])[:, None]
    found = contrast(sums(np.stack([y, before], axis=-1)), weights=(-1, 1))
    sd = power.cuped_deviation(1.0, explained_share=0.64)
    said = power.power_of(0.15, n_control=n, n_treatment=n, sd_control=sd, alpha=0.05)
    assert 0.6 < said < 0.8
    rate = (found.p_value < 0.05).mean()
    assert rate == pytest.approx(float(said), abs=0.005 + 4 * np.sqrt(said * (1 - said) / n_simulations))
    plain, adjusted = (power.sample_size(0.01, sd_control=s, alpha=0.05, power=0.8) for s in (1.0, sd))
    assert adjusted.n_control / plain.n_control == pytest.approx(0.36, abs=1e-4)


def test_no_size_is_enough_for_next_to_nothing():
    found = power.sample_size([1e-9, 1.0], sd_control=1.0, alpha=0.05, power=0.8)
    assert np.isinf(found.n_control[0])
    assert np.isfinite(found.n_control[1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"power": 1.0}, "power: found 1.0, needed a number between alpha"),
        ({"power": 0.01}, "power: found 0.01"),
        ({"alpha": 0.0}, "alpha: found 0.0"),
        ({"treatment_share": 1.0}, "treatment_share: found 1.0"),
        ({"effect": 0.0}, "effect: found 0, needed a difference"),
    ],
)
def test_sizes_that_cannot_be(given, message):
    given = {"effect": 1.0, "sd_control": 1.0, "alpha": 0.05, "power": 0.8} | given
    with pytest.raises(ValueError, match=message):
        power.sample_size(given.pop("effect"), **given)


def test_days_come_in_whole_weeks():
    assert power.duration_days([70, 71, np.nan], units_per_day=10)[:2].tolist() == [7, 14]
    with pytest.raises(ValueError, match="units_per_day: found 0"):
        power.duration_days(70, units_per_day=0)
