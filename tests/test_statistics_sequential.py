"""Always-valid intervals and group sequential bounds against published tables, quadrature and simulation."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from journeybook.statistics import stream
from journeybook.statistics.contrasts import ArmMoments, contrast
from journeybook.statistics.sequential import always_valid, boundaries, crossing, peeking

# C. Jennison & B. W. Turnbull, Group Sequential Methods (2000), tables 2.1 (Pocock) and 2.3 (O'Brien-Fleming):
# bound at the last of K equally spaced looks, two-sided.
POCOCK = {
    (2, 0.05): 2.178, (3, 0.05): 2.289, (4, 0.05): 2.361, (5, 0.05): 2.413, (10, 0.05): 2.555, (20, 0.05): 2.672,
    (2, 0.1): 1.875, (5, 0.1): 2.122, (2, 0.01): 2.772, (5, 0.01): 2.986,
}  # fmt: skip
OBRIEN_FLEMING = {
    (2, 0.05): 1.977, (3, 0.05): 2.004, (4, 0.05): 2.024, (5, 0.05): 2.040, (10, 0.05): 2.087, (20, 0.05): 2.126,
    (2, 0.1): 1.678, (5, 0.1): 1.751, (2, 0.01): 2.580, (5, 0.01): 2.621,
}  # fmt: skip
# P. Armitage, C. K. McPherson & B. C. Rowe, J. R. Statist. Soc. A 132 (1969), table 2, 5 %.
ARMITAGE = {1: 0.05, 2: 0.083, 3: 0.107, 4: 0.126, 5: 0.142, 10: 0.193, 20: 0.248, 50: 0.320}


def equal(k: int) -> np.ndarray:
    return np.arange(1, k + 1) / k


@pytest.mark.parametrize(("k", "alpha"), POCOCK)
def test_pocock_s_bounds(k, alpha):
    found = boundaries(equal(k), alpha=alpha, rule="pocock")
    assert found == pytest.approx(np.full(k, POCOCK[k, alpha]), abs=0.00051)
    assert crossing(found, equal(k)).sum() == pytest.approx(alpha, abs=1e-8)


@pytest.mark.parametrize(("k", "alpha"), OBRIEN_FLEMING)
def test_obrien_and_fleming_s_bounds(k, alpha):
    found = boundaries(equal(k), alpha=alpha, rule="obrien_fleming")
    expected = OBRIEN_FLEMING[k, alpha] * np.sqrt(k / np.arange(1, k + 1))
    assert found / expected == pytest.approx(np.ones(k), abs=0.0003)


@pytest.mark.parametrize("k", ARMITAGE)
def test_repeated_significance_tests_are_wrong_as_often_as_published(k):
    assert peeking(50, alpha=0.05)[k - 1] == pytest.approx(ARMITAGE[k], abs=0.00051)


@pytest.mark.parametrize("drift", [0.0, 1.7])
def test_crossing_is_a_box_of_the_multivariate_normal(drift):
    t, bounds = np.array([0.13, 0.5, 0.501, 1.0]), np.array([2.8, 2.2, 2.4, 2.0])
    covariance = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    mean = drift * np.sqrt(t)
    inside = [
        stats.multivariate_normal(
            mean[:k], covariance[:k, :k], allow_singular=True, maxpts=4_000_000, abseps=1e-8, seed=1
        ).cdf(bounds[:k], lower_limit=-bounds[:k])
        for k in range(1, 5)
    ]
    assert np.cumsum(crossing(bounds, t, drift=drift)) == pytest.approx(1 - np.array(inside), abs=2e-6)


def test_bounds_that_cannot_be_had():
    for wrong in ([], [0.0, 1.0], [0.5, 0.5], [0.5, 1.2], [0.9, 0.1]):
        with pytest.raises(ValueError, match="needed rising numbers above 0 and at most 1"):
            boundaries(wrong, alpha=0.05, rule="pocock")
    with pytest.raises(ValueError, match="rule: found 'haybittle', needed one of obrien_fleming"):
        boundaries([1.0], alpha=0.05, rule="haybittle")
    with pytest.raises(ValueError, match="alpha: found 5, needed"):
        boundaries([1.0], alpha=5, rule="pocock")


def mixture_ratio(effect: float, se: float, tau: float) -> float:
    """Likelihood of an effect drawn from N(0, tau^2) over that of none, by quadrature."""
    density, _ = integrate.quad(
        lambda theta: stats.norm.pdf(effect, theta, se) * stats.norm.pdf(theta, 0, tau), -12 * tau, 12 * tau,
        points=[0, effect], limit=200,
    )  # fmt: skip
    return density / stats.norm.pdf(effect, 0, se)


@pytest.mark.parametrize(("z", "n"), [(0.5, 1000), (2.0, 300), (3.5, 1000), (4.0, 4000)])
def test_the_always_valid_p_value_is_one_over_the_mixture_ratio(z, n):
    sigma, alpha, planned = 7.0, 0.05, 2000
    # tau makes the interval narrowest at the planned size: found here by a search, not by Lambert's function.
    at_end = sigma / np.sqrt(planned)

    def half_width(log_tau: float) -> float:
        tau2, v = np.exp(2 * log_tau), at_end**2
        return v * (v + tau2) / tau2 * (np.log((v + tau2) / v) - 2 * np.log(alpha))

    tau = np.exp(optimize.minimize_scalar(half_width, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9}).x)
    se = sigma / np.sqrt(n)
    found = always_valid(z * se, se, n=n, alpha=alpha, planned_n=planned)
    assert found.p_value == pytest.approx(min(1, 1 / mixture_ratio(z * se, se, tau)), rel=1e-5)
    # The end of the interval is the effect whose ratio is exactly 1 / alpha.
    margin = float(found.high) - z * se
    assert mixture_ratio(margin, se, tau) == pytest.approx(1 / alpha, rel=1e-5)


def test_interval_and_p_value_never_disagree():
    effect = np.linspace(-1, 1, 201)
    for n in (10, 1000, 50_000):
        found = always_valid(effect, 0.2, n=n, alpha=0.05, planned_n=1000)
        outside = (found.low > 0) | (found.high < 0)
        assert (outside == (found.p_value < 0.05)).all()


def skewed_looks(n_simulations: int, *, n_looks: int, first: int, step: int, rng: np.random.Generator) -> tuple:
    """Contrasts of exponential outcomes (skewness 2) without effect, looks first; and units of both arms."""
    sizes = np.r_[first, np.full(n_looks - 1, step)]
    sums = np.zeros((2, n_looks, n_simulations, 2))
    for look, size in enumerate(sizes):
        y = rng.exponential(1, (n_simulations, 2, size))
        sums[0, look], sums[1, look] = y.sum(axis=2), (y**2).sum(axis=2)
    n = np.cumsum(sizes)[:, None, None]
    total, squares = np.cumsum(sums, axis=1)
    mean = total / n
    variance = (squares - n * mean**2) / (n - 1)
    moments = ArmMoments(np.broadcast_to(n, mean.shape), mean[..., None], variance[..., None, None])
    return contrast(moments, weights=(-1, 1)), 2 * n[:, :, 0]


@pytest.mark.parametrize(
    ("n_simulations", "n_looks"),
    [
        (2_000, 20),
        pytest.param(20_000, 20, marks=pytest.mark.slow),
        pytest.param(4_000, 100, marks=pytest.mark.slow),
    ],
)
def test_skewed_outcomes_looked_at_again_and_again(n_simulations, n_looks):
    seen, n = skewed_looks(n_simulations, n_looks=n_looks, first=100, step=50, rng=stream(2, "skewed"))
    found = always_valid(seen.effect, seen.standard_error, n=n, alpha=0.05, planned_n=int(n[-1, 0]))
    false = (found.p_value < 0.05).any(axis=0).mean()
    covered = ((found.low <= 0) & (found.high >= 0)).all(axis=0).mean()
    naive = (seen.p_value < 0.05).any(axis=0).mean()
    assert false <= 0.055
    assert covered == pytest.approx(1 - false, abs=1e-12)
    assert covered >= 0.945
    assert naive > 0.2


def test_the_interval_is_narrowest_when_the_planned_size_is_the_true_one():
    found = always_valid(0.0, 1.0, n=1000, alpha=0.05, planned_n=1000)
    others = [float(always_valid(0.0, 1.0, n=1000, alpha=0.05, planned_n=p).high) for p in (200, 900, 1100, 5000)]
    assert min(others) > float(found.high)
