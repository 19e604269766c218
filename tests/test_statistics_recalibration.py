"""The calibration line by statsmodels; intervals of many estimates at once by Tukey's studentised range."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit
from scipy.stats import studentized_range

from journeybook.statistics.recalibration import clustered_covariance, log_odds, recalibrated
from journeybook.statistics.simultaneous import largest_t


def drawn(rng: np.random.Generator, *, n: int, intercept: float, slope: float, each: int = 3):
    person = np.repeat(np.arange(n // each), each)
    said = rng.normal(-1.5, 1, len(person)) + np.repeat(rng.normal(0, 0.5, n // each), each)
    y = rng.random(len(person)) < expit(intercept + slope * said)
    return expit(said), y.astype(int), person


def test_line_and_errors_are_those_of_statsmodels() -> None:
    p, y, person = drawn(np.random.default_rng(1), n=3000, intercept=0.4, slope=0.7)
    found = recalibrated(p, y, person)
    line = sm.GLM(y, sm.add_constant(log_odds(p)), family=sm.families.Binomial())
    about = {"cov_type": "cluster", "cov_kwds": {"groups": person}}
    fitted = line.fit(**about)
    large = sm.GLM(y, np.ones(len(y)), family=sm.families.Binomial(), offset=log_odds(p)).fit(**about)
    told = [found.in_the_large, found.intercept, found.slope]
    assert told == pytest.approx([large.params[0], *fitted.params], rel=1e-7)
    # Its correction for few clusters also counts the columns.
    n, g = len(y), person.max() + 1
    ours = clustered_covariance(found.influence, person)
    theirs = fitted.cov_params() * (n - 2) / (n - 1)
    assert g / (g - 1) > 1 and ours[1:, 1:] == pytest.approx(theirs, rel=1e-6)
    assert ours[0, 0] == pytest.approx(large.cov_params()[0, 0], rel=1e-6)
    assert found.influence.sum(axis=0) == pytest.approx(0, abs=1e-8)
    assert found.apply(p) == pytest.approx(fitted.fittedvalues, rel=1e-7)


def test_a_true_line_is_refused_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(2)
    refused = [recalibrated(*drawn(rng, n=1500, intercept=0, slope=1)).p_value < 0.05 for _ in range(600)]
    assert np.mean(refused) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 600))
    off = [recalibrated(*drawn(rng, n=1500, intercept=0.5, slope=1)).p_value < 0.05 for _ in range(40)]
    assert np.mean(off) > 0.95


@pytest.mark.parametrize(
    ("p", "y", "sentence"),
    [
        (np.full(9, 0.3), np.arange(9) % 2, "all one"),
        (np.linspace(0.1, 0.9, 9), np.arange(9) > 4, "tell the outcomes apart"),
        (np.linspace(0.1, 0.9, 9), np.zeros(9), "both outcomes are needed"),
    ],
)
def test_what_has_no_line_is_refused(p: np.ndarray, y: np.ndarray, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        recalibrated(p, y, np.arange(9))


@pytest.mark.parametrize("k", [3, 6])
def test_differences_of_independent_means_reach_as_far_as_tukey_says(k: int) -> None:
    pairs = np.array([np.eye(k)[i] - np.eye(k)[j] for i in range(k) for j in range(i)])
    found = largest_t(pairs @ pairs.T, level=0.95, rng=np.random.default_rng(3))
    assert found == pytest.approx(studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2), rel=0.02)


def test_estimates_that_say_the_same_count_once_and_those_without_error_not() -> None:
    rng = np.random.default_rng(4)
    assert largest_t(np.ones((5, 5)), level=0.95, rng=rng) == pytest.approx(1.96, rel=0.02)
    assert largest_t(np.zeros((2, 2)), level=0.95, rng=rng) == 0
