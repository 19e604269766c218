"""Sufficient statistics, ratios and CUPED against NumPy, SciPy, statsmodels and tea-tasting."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from journeybook.statistics import stream
from journeybook.statistics.contrasts import (
    ArmMoments,
    arm_moments,
    contrast,
    cumulated,
    effect_of,
    merged,
    metric_moments,
    ratio_moments,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tea_tasting


def drawn(n: int = 3_000, *, n_arms: int = 2) -> pd.DataFrame:
    """Units with orders, a spend that grows with them, and spending before."""
    rng = stream(1, "units")
    before = rng.gamma(2, 10, n)
    variant = rng.integers(n_arms, size=n)
    orders = 1 + rng.poisson(before / 20 + 0.1 * variant)
    spend = orders * rng.gamma(3, 5, n) + 0.3 * before
    return pd.DataFrame({"variant": variant, "orders": orders * 1.0, "spend": spend, "before": before})


def columns(units: pd.DataFrame, *names: str) -> list[np.ndarray]:
    return [units[name].to_numpy() for name in names]


def two(units: pd.DataFrame, *names: str) -> ArmMoments:
    return arm_moments(columns(units, *names), units["variant"].to_numpy(), n_arms=2)


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_arm_moments_are_numpys(offset):
    # More rows than a block holds, in arms of unequal size.
    units = drawn(40_000, n_arms=3)
    values = [x + offset for x in columns(units, "spend", "orders", "before")]
    arm = units["variant"].to_numpy()
    found = arm_moments(values, arm, n_arms=3)
    for number in range(3):
        part = np.stack(values)[:, arm == number]
        assert found.n[number] == part.shape[1]
        assert found.mean[number] == pytest.approx(part.mean(axis=1), rel=1e-13)
        assert found.covariance[number] == pytest.approx(np.cov(part), rel=1e-7 if offset else 1e-12)


def test_an_empty_arm_and_a_lonely_unit_have_no_variance_and_a_constant_has_none():
    found = arm_moments([np.array([0.1, 0.1, 0.1, 5.0]), np.arange(4.0)], np.array([0, 0, 0, 2]), n_arms=4)
    assert found.n.tolist() == [3, 0, 1, 0]
    assert found.covariance[0, 0].tolist() == [0.0, 0.0] and found.covariance[0, 1, 1] == pytest.approx(1)
    assert np.isnan(found.mean[1]).all() and np.isnan(found.covariance[1:3]).all()


def test_a_large_arm_of_zeros_has_no_variance_whatever_the_other_holds():
    values = np.r_[np.random.default_rng(5).gamma(0.05, 90, 6000), np.zeros(6000)]
    found = arm_moments([values], np.repeat([0, 1], 6000), n_arms=2)
    assert found.mean[1, 0] == 0 and found.covariance[1, 0, 0] == 0 and found.covariance[0, 0, 0] > 0


def test_picked_merged_and_cumulated_statistics_are_those_of_the_units():
    units = drawn(2_000)
    values, arm = columns(units, "spend", "before"), units["variant"].to_numpy()
    day = stream(2, "days").integers(5, size=len(units))
    day[day == 3] = 2
    parts = arm_moments(values, day * 2 + arm, n_arms=10)
    parts = ArmMoments(parts.n.reshape(5, 2), parts.mean.reshape(5, 2, 2), parts.covariance.reshape(5, 2, 2, 2))
    upto = cumulated(parts)
    some = merged(parts, np.array([[1, 0, 0, 0, 1]]))
    for found, kept in ((upto, day <= 3), (some, np.isin(day, (0, 4)))):
        place = 3 if found is upto else 0
        whole = arm_moments([x[kept] for x in values], arm[kept], n_arms=2)
        assert found.n[place].tolist() == whole.n.tolist()
        assert found.mean[place] == pytest.approx(whole.mean, rel=1e-12)
        assert found.covariance[place] == pytest.approx(whole.covariance, rel=1e-11)
    turned = upto.pick([1, 0], arms=[1])
    assert turned.mean[4].tolist() == [upto.mean[4, 1, ::-1].tolist()]
    assert turned.covariance[4, 0].tolist() == upto.covariance[4, 1, ::-1, ::-1].tolist()


def test_a_missing_value_leaves_a_unit_out_of_its_metric_alone():
    units = drawn()
    spend, orders, before = columns(units, "spend", "orders", "before")
    spend = np.where(np.arange(len(units)) % 7 == 0, np.nan, spend)
    arm = units["variant"].to_numpy()
    found = metric_moments([[orders], [spend], [spend, orders]], covariates=[before], arm=arm, n_arms=2)
    known = ~np.isnan(spend)
    expected = [
        arm_moments([orders, before], arm, n_arms=2),
        arm_moments([x[known] for x in (spend, before)], arm[known], n_arms=2),
        arm_moments([x[known] for x in (spend, orders, before)], arm[known], n_arms=2),
    ]
    for one, other in zip(found, expected, strict=True):
        assert one.n.tolist() == other.n.tolist()
        assert one.covariance == pytest.approx(other.covariance, rel=1e-12)


def linearised(units: pd.DataFrame) -> np.ndarray:
    """What the delta method makes of each unit: its arm's ratio and its own distance from it."""
    sums = units.groupby("variant")[["spend", "orders"]].transform("mean")
    ratio = sums["spend"] / sums["orders"]
    return (ratio + (units["spend"] - ratio * units["orders"]) / sums["orders"]).to_numpy()


def test_a_ratio_is_welchs_test_of_its_linear_parts():
    units = drawn()
    found = effect_of(
        contrast(ratio_moments(two(units, "spend", "orders")), weights=(-1, 1)), method="", alpha=0.05
    )
    value, treated = linearised(units), units["variant"].to_numpy() == 1
    test = stats.ttest_ind(value[treated], value[~treated], equal_var=False)
    assert float(found.p_value) == pytest.approx(test.pvalue, rel=1e-9)
    interval = test.confidence_interval(0.95)
    assert [found.low, found.high] == pytest.approx([interval.low, interval.high], rel=1e-9)
    sums = units.groupby("variant")[["spend", "orders"]].sum()
    assert float(found.control) == pytest.approx(sums["spend"][0] / sums["orders"][0], rel=1e-12)


def test_cuped_of_a_ratio_is_least_squares_on_its_linear_parts():
    units = drawn()
    found = contrast(ratio_moments(two(units, "spend", "orders", "before")), weights=(-1, 1))
    design = sm.add_constant(units[["variant", "before"]].to_numpy(dtype=float))
    fit = sm.OLS(linearised(units), design).fit()
    assert float(found.effect) == pytest.approx(fit.params[1], rel=1e-9)
    assert float(found.standard_error) == pytest.approx(fit.bse[1], rel=0.02)


def test_a_ratio_over_nothing_is_no_number():
    units = drawn().assign(orders=lambda d: d["orders"] * d["variant"])
    found = contrast(ratio_moments(two(units, "spend", "orders", "before")), weights=(-1, 1))
    assert np.isnan(found.effect) and np.isnan(found.p_value) and not found.standard_error > 0


def of_tea_tasting(units: pd.DataFrame, metric):
    return tea_tasting.Experiment(x=metric).analyze(units[["variant", "spend", "orders", "before"]])["x"]


@pytest.mark.parametrize("kind", ["mean", "ratio"])
def test_without_covariates_tea_tasting_agrees(kind):
    units = drawn()
    if kind == "mean":
        metric, arms = tea_tasting.Mean("spend"), two(units, "spend")
    else:
        metric, arms = tea_tasting.RatioOfMeans("spend", "orders"), ratio_moments(two(units, "spend", "orders"))
    other = of_tea_tasting(units, metric)
    found = effect_of(contrast(arms, weights=(-1, 1)), method="", alpha=0.05)
    ours = [found.control, found.treatment, found.effect, found.low, found.high, found.p_value]
    theirs = [other.control, other.treatment, other.effect_size, other.effect_size_ci_lower]
    theirs += [other.effect_size_ci_upper, other.pvalue]
    assert [float(x) for x in ours] == pytest.approx(theirs, rel=1e-9)
    # Relative intervals: theirs is of a logarithm, ours is Fieller's, which agrees with the difference about 0.
    assert float(found.relative) == pytest.approx(other.rel_effect_size, rel=1e-9)
    assert float(found.relative_low) == pytest.approx(other.rel_effect_size_ci_lower, abs=0.005)
    assert float(found.relative_low) != pytest.approx(other.rel_effect_size_ci_lower, rel=1e-6)


def test_the_disagreement_with_tea_tastings_cuped_is_one_degree_of_freedom():
    # Its coefficient is of all units together, ours within the arms: equal where the arms' covariates are. Then
    # the standard errors differ by the degree of freedom that the coefficient takes, which it does not count.
    units = drawn()
    units["before"] -= units.groupby("variant")["before"].transform("mean")
    other = of_tea_tasting(units, tea_tasting.Mean("spend", covariate="before"))
    found = contrast(two(units, "spend", "before"), weights=(-1, 1))
    assert float(found.effect) == pytest.approx(other.effect_size, rel=1e-9)
    theirs, n = other.effect_size / other.statistic, len(units)
    assert float(found.standard_error) == pytest.approx(theirs * np.sqrt((n - 2) / (n - 3)), rel=1e-9)


def test_many_experiments_are_each_as_alone():
    units = drawn()
    arms = two(units, "spend", "before")
    stacked = ArmMoments(*(np.stack([x, x]) for x in (arms.n, arms.mean, arms.covariance)))
    alone, many = (
        effect_of(contrast(found, weights=(-1, 1)), method="cuped", alpha=0.05) for found in (arms, stacked)
    )
    for name in ("p_value", "effect", "low", "relative_high", "df", "control"):
        assert getattr(many, name)[1] == pytest.approx(float(getattr(alone, name)), rel=1e-12)
