"""Non-inferiority against SciPy."""

import numpy as np
import pytest
from scipy import stats

from journeybook.statistics import stream
from journeybook.statistics.contrasts import arm_moments, contrast
from journeybook.statistics.non_inferiority import non_inferiority


@pytest.mark.parametrize("margin", [-1.0, 2.0])
def test_non_inferiority_is_scipys_one_sided_test(margin):
    rng = stream(1, "samples")
    a, b = rng.normal(10, 2, 80), rng.normal(10.3, 5, 50)
    found = contrast(arm_moments([np.r_[a, b]], np.repeat([0, 1], [80, 50]), n_arms=2), weights=(-1, 1))
    side = "greater" if margin < 0 else "less"
    theirs = stats.ttest_ind(b - margin, a, equal_var=False, alternative=side)
    found = non_inferiority(found.effect, found.standard_error, found.df, margin=margin, alpha=0.05)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    interval = stats.ttest_ind(b, a, equal_var=False, alternative=side).confidence_interval(0.95)
    assert [float(found.low), float(found.high)] == pytest.approx([interval.low, interval.high], rel=1e-9)


def test_intervals_and_tests_never_disagree():
    effect = np.linspace(-2, 2, 401)
    for margin in (-0.5, 0.5):
        one = non_inferiority(effect, 0.4, 30.0, margin=margin, alpha=0.05)
        inside = one.low > margin if margin < 0 else one.high < margin
        assert ((one.p_value < 0.05) == inside).all()


def test_margins_that_cannot_be():
    for wrong in (0.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="margin: found"):
            non_inferiority(0.0, 1.0, 10.0, margin=wrong, alpha=0.05)
