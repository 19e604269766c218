"""Times to an event against a published study, SciPy, statsmodels and the infinitesimal jackknife."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from journeybook.statistics import stream
from journeybook.statistics.contrasts import contrast, effect_of
from journeybook.statistics.survival import kaplan_meier, restricted_mean_moments

# Freireich et al. 1963: weeks of remission under 6-MP (+ is censored); the example of Cox 1972.
SIX_MP = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"


def read(text: str) -> tuple[np.ndarray, np.ndarray]:
    words = text.split()
    return np.array([float(word.rstrip("+")) for word in words]), np.array(
        [not word.endswith("+") for word in words]
    )


def censored(n: int, *, rate: float = 0.1, name: str = "a") -> tuple[np.ndarray, np.ndarray]:
    rng = stream(1, f"times {name}")
    time, end = rng.exponential(1 / rate, n), rng.uniform(2, 30, n)
    return np.minimum(time, end), time <= end


def test_remission_under_6_mp_is_as_published():
    time, _, _, survival = kaplan_meier(*read(SIX_MP))
    assert time.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert survival.round(3).tolist() == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]


def test_the_curve_is_statsmodels():
    time, happened = censored(400)
    time = np.round(time, 1)
    (_, at_risk, _, survival), other = kaplan_meier(time, happened), SurvfuncRight(time, happened)
    assert survival == pytest.approx(other.surv_prob, rel=1e-9)
    assert at_risk == pytest.approx(other.n_risk)


def test_without_censoring_the_restricted_mean_is_welchs_t_of_the_times_cut_at_the_horizon():
    time, arm = stream(2, "times").exponential(10, 500), stream(2, "arms").integers(2, size=500)
    arms = restricted_mean_moments(time, np.ones(500, dtype=bool), arm, n_arms=2, horizon=12.0)
    found = effect_of(contrast(arms, weights=(-1, 1)), method="restricted_mean", alpha=0.05)
    cut = np.minimum(time, 12)
    test = stats.ttest_ind(cut[arm == 1], cut[arm == 0], equal_var=False)
    assert float(found.p_value) == pytest.approx(test.pvalue, rel=1e-9)
    assert float(found.low) == pytest.approx(test.confidence_interval(0.95).low, rel=1e-9)


def weighted_area(time: np.ndarray, happened: np.ndarray, weight: np.ndarray, horizon: float) -> float:
    """Area under the survival curve up to a horizon, unit by unit."""
    area, survival, last = 0.0, 1.0, 0.0
    for at in np.unique(time[happened & (time <= horizon)]):
        area, last = area + survival * (at - last), at
        survival *= 1 - weight[(time == at) & happened].sum() / weight[time >= at].sum()
    return area + survival * (horizon - last)


def test_the_restricted_mean_and_its_variance_are_those_of_the_infinitesimal_jackknife():
    # Greenwood's variance is the infinitesimal jackknife's (Efron 1981), here taken by finite differences.
    time, happened = censored(60)
    arms = restricted_mean_moments(time, happened, np.zeros(60, dtype=int), n_arms=1, horizon=15.0)
    ones, step = np.ones(60), 1e-5
    assert arms.mean[0, 0] == pytest.approx(weighted_area(time, happened, ones, 15.0), rel=1e-12)
    ends = [
        [weighted_area(time, happened, ones + sign * step * one, 15.0) for sign in (-1, 1)] for one in np.eye(60)
    ]
    variance = np.sum(np.square(np.diff(ends))) / (2 * step) ** 2
    assert arms.covariance[0, 0, 0] / 60 == pytest.approx(variance * 60 / 59, rel=1e-6)


def test_the_horizon_is_checked():
    time, arm = np.array([1.0, 9.0, 2.0, 5.0]), np.array([0, 0, 1, 1])
    for horizon in (0.0, 6.0):
        with pytest.raises(ValueError, match="at most 5, the longest time"):
            restricted_mean_moments(time, np.ones(4, dtype=bool), arm, n_arms=2, horizon=horizon)
    with pytest.raises(ValueError, match="is -1; 0 or more"):
        restricted_mean_moments(time - 2, np.ones(4, dtype=bool), arm, n_arms=2, horizon=2.0)
