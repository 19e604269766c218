"""The headline of an experiment against published figures, SciPy and statsmodels; bad units."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from experiment_units import compared, simulated
from scipy import stats
from statsmodels.stats.multitest import multipletests

from journeybook import experiments
from journeybook.experiments.health import sample_ratio
from journeybook.experiments.words import say_effects, say_factorial
from journeybook.statistics import stream
from journeybook.statistics.contrasts import ArmMoments, contrast, relative_lift
from journeybook.statistics.sequential import always_valid

# K. Hillstrom, MineThatData E-Mail Analytics And Data Mining Challenge, 2008: (n, mean, standard deviation).
HILLSTROM = {
    ("visit", "No E-Mail"): (21306, 0.106167276823, 0.308058826056),
    ("visit", "Mens E-Mail"): (21307, 0.182756840475, 0.386476115452),
    ("visit", "Womens E-Mail"): (21387, 0.151400383410, 0.358447088010),
    ("spend", "No E-Mail"): (21306, 0.652789355111, 11.588199681272),
    ("spend", "Mens E-Mail"): (21307, 1.422616511006, 17.754205103737),
    ("spend", "Womens E-Mail"): (21387, 1.077201571048, 15.116106470737),
}
# Effect and Welch's 95 % interval against no e-mail.
HILLSTROM_EFFECTS = [
    ("visit", "Mens E-Mail", 0.076590, 0.069953, 0.083226),
    ("visit", "Womens E-Mail", 0.045233, 0.038893, 0.051573),
    ("spend", "Mens E-Mail", 0.769827, 0.485140, 1.054515),
    ("spend", "Womens E-Mail", 0.424412, 0.168957, 0.679868),
]
HILLSTROM_SHA256 = "ff9e59285e9dc3f5fa3e0975419e6631ea5bdccd65d818991473d2367e02979c"


def sufficient(*arms: tuple[int, float, float]) -> ArmMoments:
    """Statistics of arms given as (n, mean, sd)."""
    n, mean, sd = (np.array(column, dtype=float) for column in zip(*arms, strict=True))
    return ArmMoments(n=n, mean=mean[:, None], covariance=(sd**2)[:, None, None])


# --- published figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("metric", "variant", "effect", "low", "high"), HILLSTROM_EFFECTS)
def test_hillstrom_effects_from_published_statistics(metric, variant, effect, low, high):
    found = contrast(sufficient(HILLSTROM[metric, "No E-Mail"], HILLSTROM[metric, variant]), weights=(-1, 1))
    margin = found.margin(alpha=0.05)
    assert found.effect == pytest.approx(effect, abs=1e-6)
    assert found.effect - margin == pytest.approx(low, abs=1e-6)
    assert found.effect + margin == pytest.approx(high, abs=1e-6)


def test_hillstrom_sample_ratio():
    counts = {"No E-Mail": 21306, "Mens E-Mail": 21307, "Womens E-Mail": 21387}
    assert sample_ratio(counts, shares=None).p_value == pytest.approx(0.9037, abs=5e-5)


def test_published_sample_ratio_mismatch():
    found = sample_ratio({"control": 821_588, "treatment": 815_482}, shares=None)
    assert found.p_value == pytest.approx(1.8218e-06, abs=5e-11)
    planned = sample_ratio({"control": 821_588, "treatment": 815_482}, shares={"control": 2, "treatment": 2})
    assert planned == found


def test_hillstrom_from_its_file():
    folder = os.environ.get("JOURNEYBOOK_DATA")
    path = Path(folder or ".") / "hillstrom" / "hillstrom.csv"
    if not folder:
        pytest.skip("1 witness needs hillstrom/hillstrom.csv under JOURNEYBOOK_DATA")
    assert path.is_file(), f"JOURNEYBOOK_DATA is set, but {path} is not there"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == HILLSTROM_SHA256
    units = pd.read_csv(path).rename(columns={"segment": "variant"})
    metrics = {"visit": "proportion", "spend": "mean"}
    found = compared(units, control="No E-Mail", metrics=metrics, covariates=[]).comparisons
    for row, (metric, variant, *figures) in zip(found.itertuples(), HILLSTROM_EFFECTS, strict=True):
        assert (row.metric, row.variant, row.n_control) == (metric, variant, 21306)
        assert [row.effect, row.effect_low, row.effect_high] == pytest.approx(figures, abs=1e-6)


# --- other libraries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [60, 200, 20_000])
def test_welch_is_scipys(n):
    units = simulated(n)
    row = compared(units, metrics={"spend": "mean"}, covariates=[]).comparisons.iloc[0]
    arms = [units.loc[units["variant"] == v, "spend"] for v in ("new", "control")]
    test = stats.ttest_ind(*arms, equal_var=False)
    interval = test.confidence_interval(0.95)
    assert row["p_value"] == pytest.approx(test.pvalue, rel=1e-9)
    assert [row["effect_low"], row["effect_high"]] == pytest.approx([interval.low, interval.high], rel=1e-9)


def test_cuped_effect_is_the_coefficient_of_least_squares():
    units = simulated(500).assign(pre_visits=lambda d: stream(3, "visits").poisson(3, len(d)))
    row = compared(units, metrics={"spend": "mean"}, covariates=["pre_spend", "pre_visits"]).comparisons.iloc[0]
    design = sm.add_constant(
        np.column_stack([units["variant"] == "new", units["pre_spend"], units["pre_visits"]]).astype(float)
    )
    fit = sm.OLS(units["spend"], design).fit()
    assert row["effect"] == pytest.approx(fit.params.iloc[1], rel=1e-9)
    assert row["method"] == "cuped"
    # The arms keep their own residual variances, so the interval is close to least squares' and not equal.
    assert row["effect_high"] - row["effect_low"] == pytest.approx(np.diff(fit.conf_int().iloc[1])[0], rel=0.02)


def test_cuped_interval_is_least_squares_where_the_arms_residual_variances_are_equal():
    units = simulated(400)
    arm = (units["variant"] == "new").to_numpy()
    keep = np.sort(np.concatenate([np.flatnonzero(arm)[:150], np.flatnonzero(~arm)[:150]]))
    units, arm = units.iloc[keep].reset_index(drop=True), arm[keep]
    x = units["pre_spend"].to_numpy().copy()
    for side in (arm, ~arm):
        x[side] -= x[side].mean()
    residual = stream(4, "residual").normal(size=len(x))
    for side in (arm, ~arm):
        residual[side] -= residual[side].mean() + x[side] * (residual[side] @ x[side]) / (x[side] @ x[side])
        residual[side] /= residual[side].std()
    units = units.assign(pre_spend=x + 3 * arm, spend=2 * x + residual + arm)
    row = compared(units, metrics={"spend": "mean"}, covariates=["pre_spend"]).comparisons.iloc[0]
    fit = sm.OLS(units["spend"], sm.add_constant(np.column_stack([arm, units["pre_spend"]]).astype(float))).fit()
    assert row["p_value"] == pytest.approx(fit.pvalues.iloc[1], rel=1e-6)
    assert [row["effect_low"], row["effect_high"]] == pytest.approx(fit.conf_int().iloc[1].tolist(), rel=1e-6)


# --- what must hold ---------------------------------------------------------------------------------------


def test_relative_lift_agrees_with_the_difference_about_zero():
    rng = stream(5, "fieller")
    for _ in range(300):
        arms = sufficient((40, rng.uniform(1, 3), 1.0), (60, rng.uniform(1, 3), 2.0))
        found = contrast(arms, weights=(-1, 1))
        ratio, margin = relative_lift(found, alpha=0.05), found.margin(alpha=0.05)
        assert (ratio.low > 0) == (found.effect - margin > 0)
        assert (ratio.high < 0) == (found.effect + margin < 0)


def test_relative_lift_is_missing_where_the_control_may_be_zero():
    unclear = relative_lift(contrast(sufficient((10, 0.1, 1.0), (10, 1.0, 1.0)), weights=(-1, 1)), alpha=0.05)
    assert np.isnan(unclear.low) and np.isnan(unclear.high) and unclear.relative == pytest.approx(9)
    negative = relative_lift(contrast(sufficient((10, -2.0, 1.0), (10, 1.0, 1.0)), weights=(-1, 1)), alpha=0.05)
    assert np.isnan(negative.relative)


def test_comparisons_have_the_promised_columns_and_add_up():
    found = compared(simulated(1_000))
    rows = found.comparisons
    assert [*rows.columns] == [c for c in found.estimates.columns if c not in ("standard_error", "df")]
    assert rows["metric"].tolist() == ["spend", "converted"]
    assert (rows["treatment"] - rows["control"]).tolist() == pytest.approx(rows["effect"].tolist())
    assert (rows["treatment"] / rows["control"] - 1).tolist() == pytest.approx(rows["relative"].tolist())
    assert (rows["p_adjusted"] >= rows["p_value"]).all()
    saved = found.methods.set_index(["metric", "method"])["variance_saved_share"]
    # The covariate explains 50 of 59 units of variance.
    assert saved["spend", "cuped"] == pytest.approx(50 / 59, abs=0.04)


def test_nothing_depends_on_the_order_of_rows_or_on_the_callers_frame():
    units = simulated(500)
    before = units.copy(deep=True)
    first = compared(units).comparisons
    pd.testing.assert_frame_equal(units, before)
    shuffled = compared(units.sample(frac=1, random_state=1)).comparisons
    pd.testing.assert_frame_equal(first, shuffled, rtol=1e-9)


def test_missing_outcomes_are_left_out_of_their_metric_alone():
    units = simulated(1_000)
    units.loc[:99, "spend"] = np.nan
    rows = compared(units, covariates=[], metrics={"spend": "mean", "converted": "proportion"}).comparisons
    assert (rows["n_control"] + rows["n_treatment"]).tolist() == [900, 1000]
    rest = compared(units[100:], covariates=[], metrics={"spend": "mean"}).comparisons
    assert rows["effect"][0] == rest["effect"][0]


def test_a_missing_covariate_keeps_its_unit():
    units = simulated(1_000)
    units.loc[::5, "pre_spend"] = np.nan
    row = compared(units, metrics={"spend": "mean"}).comparisons.iloc[0]
    assert row["n_control"] + row["n_treatment"] == 1_000


# --- kinds of metrics, and looks -----------------------------------------------------------------------------


def shop(n: int, *, seed: int = 3) -> pd.DataFrame:
    """Units with orders, money, and a time to the first order that some have not reached."""
    rng = stream(seed, "shop")
    treated = rng.integers(2, size=n)
    orders = rng.poisson(1 + 0.3 * treated)
    spend = orders * rng.gamma(2, 10, n)
    days = rng.exponential(10 / (1 + 0.5 * treated))
    end = rng.uniform(5, 30, n)
    return pd.DataFrame(
        {
            "variant": np.where(treated, "new", "control"),
            "pre_spend": spend / 2 + rng.gamma(2, 5, n),
            "spend": spend,
            "orders": orders,
            "days": np.minimum(days, end),
            "ordered": (days <= end).astype(int),
        }
    )


KINDS = {
    "spend": "mean",
    "per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"},
    "high_spend": {"kind": "quantile", "column": "spend", "level": 0.9},
    "days": {"kind": "time_to_event", "event": "ordered", "horizon": 20},
}


def test_each_kind_has_its_headline():
    rows = compared(shop(4_000), metrics=KINDS, covariates=[]).comparisons
    assert rows["kind"].tolist() == ["mean", "ratio", "quantile", "time_to_event"]
    assert rows["method"].tolist() == ["welch", "delta", "bootstrap", "restricted_mean"]
    adjusted = compared(shop(4_000), metrics=KINDS, covariates=["pre_spend"]).comparisons
    assert adjusted["method"].tolist() == ["cuped", "delta_cuped", "bootstrap", "restricted_mean"]
    assert adjusted["effect"].tolist()[2:] == pytest.approx(rows["effect"].tolist()[2:])


def test_a_ratio_and_a_quantile_are_those_of_the_arms():
    units = shop(4_000)
    rows = compared(units, metrics=KINDS, covariates=[]).comparisons.set_index("metric")
    sums = units.groupby("variant")[["spend", "orders"]].sum()
    ratio = sums["spend"] / sums["orders"]
    assert rows.loc["per_order", ["control", "treatment"]].tolist() == pytest.approx(
        [ratio["control"], ratio["new"]]
    )
    high = units.groupby("variant")["spend"].quantile(0.9)
    assert rows.loc["high_spend", "effect"] == pytest.approx(high["new"] - high["control"])
    assert rows.loc["days", "effect_high"] < 0


def test_a_look_before_the_end_widens_every_interval_and_changes_no_effect():
    units = shop(2_000)
    measured = experiments.measures(units, metrics=KINDS, covariates=["pre_spend"])
    given = {"measured": measured, "control": "control", "alpha": 0.05, "rng": stream(1, "quantiles")}
    one, many = (experiments.compare(units, **given, always_valid_at=n) for n in (None, 3_000))
    a, b = one.comparisons, many.comparisons
    assert (one.horizon, many.horizon) == ("fixed_horizon", "always_valid")
    assert b["method"].tolist() == [f"always_valid_{method}" for method in a["method"]]
    assert b["effect"].tolist() == pytest.approx(a["effect"].tolist())
    assert ((b["effect_low"] < a["effect_low"]) & (b["effect_high"] > a["effect_high"])).all()
    assert ((b["relative_low"] < a["relative_low"]) & (b["relative_high"] > a["relative_high"])).all()
    assert (b["p_value"] >= a["p_value"]).all()
    best = one.estimates.iloc[0]
    sequence = always_valid(best["effect"], best["standard_error"], n=2_000, alpha=0.05, planned_n=3_000)
    assert b.loc[0, ["effect_low", "effect_high", "p_value"]].tolist() == pytest.approx(
        [float(sequence.low), float(sequence.high), float(sequence.p_value)]
    )
    plain = many.methods["method"] != "bootstrap"
    pd.testing.assert_frame_equal(many.methods[plain], one.methods[plain])


def test_the_correction_is_over_all_rows():
    units = simulated(3_000, effect=0.2, variants=("control", "a", "b"))
    measured = experiments.measures(units, metrics="auto", covariates=None)
    given = {"measured": measured, "control": "control", "alpha": 0.05, "rng": stream(1, "quantiles")}
    rows = experiments.compare(units, **given).comparisons
    assert len(rows) == 4
    assert (rows["p_adjusted"] >= rows["p_value"]).all()
    expected = multipletests(rows["p_value"], method="holm")[1]
    assert rows["p_adjusted"].tolist() == pytest.approx(expected.tolist())


def test_an_alpha_out_of_range_is_an_error():
    units = shop(500)
    means = experiments.measures(units, metrics={"spend": "mean"}, covariates=[])
    with pytest.raises(ValueError, match="alpha: found 5"):
        experiments.compare(units, measured=means, control="control", alpha=5, rng=stream(1, "quantiles"))


# --- bad units -----------------------------------------------------------------------------------------------


def test_units_that_break_the_comparison_are_errors():
    units = simulated(60)
    twice = units.assign(unit_id=["u0", "u0", *units["unit_id"][2:]])
    with pytest.raises(ValueError, match="1 units have more than one row"):
        compared(twice)
    lonely = units.assign(variant=["new"] + ["control"] * 59)
    with pytest.raises(ValueError, match="'new' has 1 units with a value of 'spend'"):
        compared(lonely)
    with pytest.raises(ValueError, match="no units"):
        compared(units.head(0), metrics={"spend": "mean"}, covariates=[])
    certain = units.assign(converted=(units["variant"] == "new").astype(int))
    with pytest.raises(ValueError, match="does not vary within"):
        compared(certain, covariates=[], metrics={"converted": "proportion"})


def test_a_variant_named_like_a_column_is_only_a_label():
    units = simulated(400)
    renamed = units.assign(variant=units["variant"].map({"control": "control", "new": "spend"}))
    a, b = compared(units).comparisons, compared(renamed).comparisons
    assert b["variant"].unique().tolist() == ["spend"]
    pd.testing.assert_frame_equal(a.drop(columns="variant"), b.drop(columns="variant"))


def test_a_covariate_that_tells_the_metric_wholly_is_no_covariate():
    units = simulated(200).assign(pre_spend=lambda d: 2 * d["spend"] + 1)
    with pytest.raises(ValueError, match="they tell 'spend' wholly"):
        compared(units, metrics={"spend": "mean"})


def test_an_arm_without_any_conversion_has_an_interval_and_no_relative_one():
    units = simulated(400)
    units.loc[units["variant"] == "control", "converted"] = 0
    row = compared(units, metrics={"converted": "proportion"}, covariates=[]).comparisons.iloc[0]
    assert row["effect_low"] > 0
    assert np.isnan([row["relative"], row["relative_low"], row["relative_high"]]).all()


# --- words ---------------------------------------------------------------------------------------------------


def test_the_sentences_follow_the_figures():
    units = simulated(2_000, effect=3.0)
    found = compared(units)
    saved = found.methods["variance_saved_share"].dropna().iloc[0]
    assert f"save this share of the variance: {saved:.0%} on spend" in say_effects(found, found.clearest())
    assert "no factorial design" in say_factorial(
        experiments.factorial_effects(found.moments, names=found.names, alpha=0.05, power=0.8, minimum_effects={}),
        power=0.8,
    )
