"""Holm's correction against statsmodels and simulated families."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from journeybook.statistics import holm, stream


@pytest.mark.parametrize("n", [1, 2, 30])
def test_adjusted_p_values_are_statsmodels(n):
    p = stream(n, "holm").random(n) ** 3
    p[: n // 3] = p[0]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)
    assert len(holm([])) == 0


@pytest.mark.parametrize("wrong", [[0.1, np.nan], [1.2], [-0.1]])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="p_values: found"):
        holm(wrong)


def test_the_family_wise_error_holds_where_tests_depend_on_each_other():
    # Ten rows share a control, as the variants of an experiment do; five of them have an effect.
    n, rng = 10_000, stream(3, "family")
    z = (rng.standard_normal((n, 10)) + rng.standard_normal((n, 1))) / np.sqrt(2)
    for shift in (0, np.repeat([0, 3], 5)):
        p = 2 * stats.norm.sf(np.abs(z + shift))
        claimed = np.array([holm(row) < 0.05 for row in p])
        assert claimed[:, np.broadcast_to(shift, 10) == 0].any(axis=1).mean() <= 0.055
