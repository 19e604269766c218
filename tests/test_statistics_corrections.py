"""Corrections against statsmodels, SciPy, Dunnett's table and simulated families."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from journeybook.statistics import stream
from journeybook.statistics.corrections import adjust, dunnett

METHODS = {"holm": "holm", "benjamini_hochberg": "fdr_bh", "benjamini_yekutieli": "fdr_by"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 30])
def test_adjusted_p_values_are_statsmodels(method, n):
    rng = stream(n, method)
    p = rng.random(n) ** 3
    p[: n // 3] = p[0]
    expected = multipletests(p, method=METHODS[method])[1]
    assert adjust(p, method=method) == pytest.approx(expected, rel=1e-12)
    assert len(adjust([], method=method)) == 0


@pytest.mark.parametrize("wrong", [[0.1, np.nan], [1.2], [-0.1]])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="p_values: found"):
        adjust(wrong, method="holm")


def test_an_unknown_correction_is_refused():
    with pytest.raises(ValueError, match="found 'bonferroni', needed one of holm, benjamini_hochberg"):
        adjust([0.1], method="bonferroni")


@pytest.mark.parametrize(
    ("k", "df", "critical"),
    [(2, 10, 2.57), (2, 60, 2.27), (3, 20, 2.54), (5, 60, 2.58), (9, np.inf, 2.69), (2, np.inf, 2.21)],
)
def test_dunnett_s_two_sided_table(k, df, critical):
    # C. W. Dunnett, New tables for multiple comparisons with a control, Biometrics 20 (1964), table II, 5 %.
    found = dunnett(
        np.zeros(k), standard_errors=np.full(k, 2**0.5), df=min(df, 1e7), control_variance=1.0, alpha=0.05
    )
    assert found.critical == pytest.approx(np.full(k, critical), abs=0.0051)


def test_dunnett_with_a_pooled_variance_is_scipys():
    rng = stream(1, "dunnett")
    arms = [rng.normal(mean, 1, n) for mean, n in ((0, 20), (0.5, 15), (0.9, 18), (0.2, 22))]
    df = sum(map(len, arms)) - 4
    pooled = sum(((arm - arm.mean()) ** 2).sum() for arm in arms) / df
    found = dunnett(
        [arm.mean() - arms[0].mean() for arm in arms[1:]],
        standard_errors=[(pooled * (1 / len(arm) + 1 / 20)) ** 0.5 for arm in arms[1:]],
        df=df,
        control_variance=pooled / 20,
        alpha=0.05,
    )
    theirs = stats.dunnett(*arms[1:], control=arms[0], rng=np.random.default_rng(1))
    interval = theirs.confidence_interval(0.95)
    # SciPy integrates by quasi-random points, to about 1e-4.
    assert found.p_adjusted == pytest.approx(theirs.pvalue, abs=3e-4)
    assert found.low == pytest.approx(interval.low, abs=2e-3)
    assert found.high == pytest.approx(interval.high, abs=2e-3)


def test_dunnett_with_unequal_variances_is_a_box_of_the_multivariate_normal():
    se, control = np.array([1.0, 1.5, 3.0]), 0.6
    shared = np.full((3, 3), control)
    covariance = shared + np.diag(se**2 - control)
    effects = np.array([1.2, -3.5, 4.0])
    found = dunnett(effects, standard_errors=se, df=1e7, control_variance=control, alpha=0.05)
    correlation = covariance / np.outer(se, se)
    box = stats.multivariate_normal(cov=correlation, maxpts=2_000_000, abseps=1e-7, seed=1)
    for effect, error, p in zip(effects, se, found.p_adjusted, strict=True):
        c = np.full(3, abs(effect) / error)
        assert p == pytest.approx(1 - box.cdf(c, lower_limit=-c), abs=1e-5)
    c = found.critical
    assert box.cdf(c, lower_limit=-c) == pytest.approx(0.95, abs=1e-5)


def test_dunnett_of_one_variant_is_the_t_test_and_tiny_p_values_keep_their_digits():
    found = dunnett([12.0], standard_errors=[1.0], df=200, control_variance=0.4, alpha=0.05)
    assert found.p_adjusted[0] == pytest.approx(2 * stats.t.sf(12, 200), rel=1e-6)
    assert found.critical[0] == pytest.approx(stats.t.isf(0.025, 200), abs=1e-6)
    both = dunnett([12.0, 0.0], standard_errors=[1.0, 1.0], df=200, control_variance=0.4, alpha=0.05)
    assert 1 < both.p_adjusted[0] / found.p_adjusted[0] <= 2


def test_dunnett_needs_the_control_s_own_variance():
    with pytest.raises(ValueError, match="control_variance: found 2, needed above 0 and below"):
        dunnett([1.0], standard_errors=[1.0], df=10, control_variance=2.0, alpha=0.05)


def test_family_wise_error_and_false_discovery_rate_hold_where_tests_depend_on_each_other():
    # Ten rows share a control, as the variants of an experiment do; five of them have an effect.
    n, rng = 10_000, stream(3, "family")
    z = (rng.standard_normal((n, 10)) + rng.standard_normal((n, 1))) / np.sqrt(2)
    for method in METHODS:
        p = 2 * stats.norm.sf(np.abs(z))
        nothing = np.array([adjust(row, method=method).min() < 0.05 for row in p]).mean()
        assert nothing <= 0.055, method
        mixed = 2 * stats.norm.sf(np.abs(z + np.repeat([0, 3], 5)))
        claimed = np.array([adjust(row, method=method) < 0.05 for row in mixed])
        false = claimed[:, :5].sum(axis=1) / np.maximum(claimed.sum(axis=1), 1)
        assert false.mean() <= 0.05 * 0.5 + 4 * false.std() / np.sqrt(n), method
        if method == "holm":
            assert claimed[:, :5].any(axis=1).mean() <= 0.055
