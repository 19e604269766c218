"""Equivalence, non-inferiority and effect sizes against statsmodels, SciPy and simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_effectsize
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from journeybook.statistics import stream
from journeybook.statistics.contrasts import arm_moments, contrast
from journeybook.statistics.equivalence import cohen_d, cohen_h, equivalence, non_inferiority


def samples(shift: float) -> tuple[np.ndarray, np.ndarray]:
    rng = stream(1, "samples")
    return rng.normal(10, 2, 80), rng.normal(10 + shift, 5, 50)


def welch(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    arm = np.repeat([0, 1], [len(a), len(b)])
    found = contrast(arm_moments([np.concatenate([a, b])], arm, n_arms=2), weights=(-1, 1))
    return float(found.effect), float(found.standard_error), float(found.df)


@pytest.mark.parametrize("shift", [-3.0, 0.0, 0.7])
def test_equivalence_is_statsmodels(shift):
    a, b = samples(shift)
    found = equivalence(*welch(a, b), low=-1.0, high=1.5, alpha=0.05)
    theirs = CompareMeans(DescrStatsW(b), DescrStatsW(a))
    assert found.p_value == pytest.approx(theirs.ttost_ind(-1.0, 1.5, usevar="unequal")[0], rel=1e-9)
    ends = theirs.tconfint_diff(alpha=0.1, usevar="unequal")
    assert [float(found.low), float(found.high)] == pytest.approx(ends, rel=1e-9)


@pytest.mark.parametrize("margin", [-1.0, 2.0])
def test_non_inferiority_is_scipys_one_sided_test(margin):
    a, b = samples(0.3)
    side = "greater" if margin < 0 else "less"
    theirs = stats.ttest_ind(b - margin, a, equal_var=False, alternative=side)
    found = non_inferiority(*welch(a, b), margin=margin, alpha=0.05)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    interval = stats.ttest_ind(b, a, equal_var=False, alternative=side).confidence_interval(0.95)
    assert [float(found.low), float(found.high)] == pytest.approx([interval.low, interval.high], rel=1e-9)


def test_intervals_and_tests_never_disagree():
    effect = np.linspace(-2, 2, 401)
    found = equivalence(effect, 0.4, 30.0, low=-1, high=1, alpha=0.05)
    assert ((found.p_value < 0.05) == ((found.low > -1) & (found.high < 1))).all()
    for margin in (-0.5, 0.5):
        one = non_inferiority(effect, 0.4, 30.0, margin=margin, alpha=0.05)
        inside = one.low > margin if margin < 0 else one.high < margin
        assert ((one.p_value < 0.05) == inside).all()


def test_margins_that_cannot_be():
    with pytest.raises(ValueError, match="margins: found 1 to -1, needed a lower one"):
        equivalence(0.0, 1.0, 10.0, low=1.0, high=-1.0, alpha=0.05)
    for wrong in (0.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="margin: found"):
            non_inferiority(0.0, 1.0, 10.0, margin=wrong, alpha=0.05)


def test_effect_sizes_are_statsmodels_and_cohen_s():
    assert cohen_h([0.1, 0.5], [0.2, 0.5]) == pytest.approx([proportion_effectsize(0.2, 0.1), 0], rel=1e-12)
    a, b = samples(1.0)
    given = {"sd_control": a.std(ddof=1), "sd_treatment": b.std(ddof=1), "n_control": 80, "n_treatment": 50}
    # d and the pooled t test say the same: t = d sqrt(n0 n1 / (n0 + n1)).
    t = stats.ttest_ind(b, a).statistic
    assert cohen_d(b.mean() - a.mean(), **given) * np.sqrt(80 * 50 / 130) == pytest.approx(t, rel=1e-12)
