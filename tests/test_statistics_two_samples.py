"""Two arms within strata, and shares by their counts, against SciPy, statsmodels and published figures."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from journeybook.statistics import stream
from journeybook.statistics.two_samples import stratified


def test_stratified_is_the_weighted_sum_of_welchs_effects():
    rng, n = stream(1, "units"), 1_200
    treated, strata = rng.integers(2, size=n), rng.choice(["a", "b", "none"], n, p=[0.5, 0.3, 0.2])
    spend = rng.gamma(2, 5, n) + 4 * treated * (strata == "a")
    found = stratified(spend, treated, strata, alpha=0.05)
    parts = []
    for _, part in pd.DataFrame({"y": spend, "treated": treated}).groupby(strata):
        a, b = (part.loc[part["treated"] == side, "y"] for side in (0, 1))
        test = stats.ttest_ind(b, a, equal_var=False)
        gap = b.mean() - a.mean()
        parts.append((len(part) / n, gap, abs(gap / test.statistic), test.df))
    share, effect, se, df = np.array(parts).T
    assert found.effect == pytest.approx(share @ effect, rel=1e-12)
    between = share @ (effect - share @ effect) ** 2 / n
    error = np.sqrt(share**2 @ se**2 + between)
    assert found.standard_error == pytest.approx(error, rel=1e-9)
    assert found.df == pytest.approx((share**2 @ se**2) ** 2 / (share**4 * se**4 / df).sum(), rel=1e-9)
    ends = stats.t.interval(0.95, found.df, loc=share @ effect, scale=error)
    assert (found.low, found.high) == pytest.approx(ends, rel=1e-9)


def test_strata_too_thin_to_compare_are_counted_with_the_largest():
    values, treated = stream(3, "values").normal(size=40), np.arange(40) % 2
    whole = stratified(values, treated, np.zeros(40), alpha=0.05)
    thin = stratified(values, treated, np.where(np.arange(40) < 3, np.arange(40) + 1, 0), alpha=0.05)
    assert (thin.effect, thin.p_value) == (whole.effect, whole.p_value)
    welch = stats.ttest_ind(values[treated == 1], values[treated == 0], equal_var=False)
    assert whole.p_value == pytest.approx(welch.pvalue, rel=1e-9)
