"""Experiments against published figures, SciPy, statsmodels, simulations and bad input."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest

from journeybook import experiments
from journeybook.experiments import ArmMoments, contrast, relative_lift
from journeybook.statistics import stream

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


def simulated(n: int, *, seed: int = 1, effect: float = 0.5, variants: tuple[str, ...] = ("control", "new")):
    """Units with a covariate that explains most of the metric."""
    rng = stream(seed, "units")
    variant = rng.choice(list(variants), n)
    before = rng.gamma(2, 5, n)
    spend = before + rng.normal(0, 3, n) + effect * (variant != variants[0])
    converted = rng.random(n) < 0.2
    return pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "unit_id": [f"u{i}" for i in range(n)],
            "variant": variant,
            "pre_spend": before,
            "spend": spend,
            "converted": converted.astype(int),
        }
    )


def compared(units: pd.DataFrame, *, control: str = "control", **given):
    given = {"metrics": "auto", "covariates": None} | given
    measured = experiments.measures(units, **given)
    return experiments.compare(units, measured=measured, control=control, alpha=0.05, rng=stream(1, "quantiles"))


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
    assert experiments.sample_ratio(counts, shares=None).p_value == pytest.approx(0.9037, abs=5e-5)


def test_published_sample_ratio_mismatch():
    found = experiments.sample_ratio({"control": 821_588, "treatment": 815_482}, shares=None)
    assert found.p_value == pytest.approx(1.8218e-06, abs=5e-11)
    planned = experiments.sample_ratio(
        {"control": 821_588, "treatment": 815_482}, shares={"control": 2, "treatment": 2}
    )
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


@pytest.mark.parametrize("n", [8, 200, 20_000])
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


def test_two_proportion_z_is_statsmodels():
    units = simulated(3_000)
    found = compared(units, metrics={"converted": "proportion"}, covariates=[]).methods.set_index("method")
    grouped = units.groupby("variant")["converted"]
    z, p = proportions_ztest(grouped.sum().to_numpy(), grouped.size().to_numpy())
    assert found.loc["two_proportion_z", "p_value"] == pytest.approx(p, rel=1e-9)
    assert found.loc["fisher_exact", "p_value"] == pytest.approx(
        stats.fisher_exact(pd.crosstab(units["variant"], units["converted"])).pvalue, rel=1e-9
    )
    assert np.sign(-z) == np.sign(found.loc["two_proportion_z", "effect"])


def test_holm_is_statsmodels():
    p = stream(1, "p").random(25) ** 3
    assert experiments.holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)
    assert len(experiments.holm(np.array([]))) == 0


def test_factorial_is_least_squares_on_a_balanced_design():
    variants = ("control", "banner", "gift", "banner+gift")
    units = simulated(4_000, variants=variants)
    units = units.groupby("variant").head(900).reset_index(drop=True)
    found = compared(units, metrics={"spend": "mean"}, covariates=[]).factorial.set_index("term")
    a = units["variant"].isin(["banner", "banner+gift"]) - 0.5
    b = units["variant"].isin(["gift", "banner+gift"]) - 0.5
    fit = sm.OLS(units["spend"], sm.add_constant(np.column_stack([a, b, a * b]))).fit()
    assert found["effect"].tolist() == pytest.approx(fit.params.iloc[1:].tolist(), rel=1e-9)
    assert found["standard_error"].tolist() == pytest.approx(fit.bse.iloc[1:].tolist(), rel=1e-3)
    assert found["standard_error"].iloc[2] == pytest.approx(2 * found["standard_error"].iloc[0], rel=1e-9)


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
    assert tuple(rows.columns) == experiments.COMPARISON_COLUMNS
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


def test_a_large_offset_keeps_the_digits():
    units = simulated(2_000)
    plain, moved = (compared(units.assign(spend=units["spend"] + c)).comparisons for c in (0, 1e8))
    assert moved["p_value"].iloc[0] == pytest.approx(plain["p_value"].iloc[0], rel=1e-5)


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


def test_decimals_booleans_and_missing_integers_are_numbers():
    from decimal import Decimal

    units = simulated(200)
    other = units.assign(
        spend=[Decimal(f"{x:.2f}") for x in units["spend"]], converted=units["converted"].astype(bool)
    )
    measured = experiments.measures(other, metrics="auto", covariates=["pre_spend"])
    assert measured.kinds == {"spend": "mean", "converted": "proportion"}
    assert experiments.numbers(pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}), "x")[0] == 1


# --- error rates ------------------------------------------------------------------------------------------


def test_tests_of_a_skewed_metric_keep_their_level_when_units_are_assigned_again():
    units = simulated(2_000).assign(
        spend=lambda d: np.exp(d["pre_spend"] / 10 + stream(2, "tail").normal(size=2_000))
    )
    found = experiments.a_a_rates(
        units,
        metric="spend",
        covariates=["pre_spend"],
        treatment_share=0.5,
        alpha=0.05,
        n_simulations=4_000,
        max_units=20_000,
        rng=stream(1, "a-a"),
    )
    assert found.rates["method"].tolist() == ["welch", "cuped"]
    assert found.rates["rate"].tolist() == pytest.approx([0.05, 0.05], abs=4 * np.sqrt(0.05 * 0.95 / 4_000))


def test_cuped_and_welch_intervals_cover_with_few_units():
    rng = stream(6, "coverage")
    hits, n_simulations = np.zeros(2), 2_000
    for _ in range(n_simulations):
        x = rng.normal(size=(2, 12))
        y = x + rng.normal(size=(2, 12)) + np.array([[0.0], [1.0]])
        values = np.column_stack([y.ravel(), x.ravel()])
        arms = experiments.moments(values, np.repeat([0, 1], 12), n_arms=2)
        plain = ArmMoments(arms.n, arms.mean[:, :1], arms.covariance[:, :1, :1])
        for number, part in enumerate((plain, arms)):
            found = contrast(part, weights=(-1, 1))
            hits[number] += abs(found.effect - 1) <= found.margin(alpha=0.05)
    assert (hits / n_simulations).tolist() == pytest.approx([0.95, 0.95], abs=0.02)


def test_twenty_looks_are_wrong_as_often_as_published():
    found = experiments.peeking(n_looks=20, alpha=0.05, n_simulations=200_000, rng=stream(1, "peeking"))
    rates = found.rates.set_index("looks")["rate"]
    assert rates[1] == pytest.approx(0.05, abs=0.002)
    # Armitage, McPherson & Rowe 1969, table 2.
    assert [rates[2], rates[5], rates[10], rates[20]] == pytest.approx([0.083, 0.142, 0.193, 0.248], abs=0.004)


# --- which variant, which columns ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variants", "control", "answer"),
    [
        (["control", "new"], None, "control"),
        (["B", "Control"], None, "Control"),
        (["a", "b"], "b", "b"),
        (["base", "a", "b", "a+b"], None, "base"),
    ],
)
def test_the_control_is_named_or_clear(variants, control, answer):
    assert experiments.choose_control(variants, control=control) == answer


@pytest.mark.parametrize(
    ("variants", "control", "message"),
    [
        (["a", "b"], None, "'a', 'b'"),
        (["control", "a", "b"], None, "'a', 'b', 'control'"),
        (["control", "placebo"], None, "'control', 'placebo'"),
        (["control", "new"], "contro", "'contro' is not a variant"),
        (["control"], None, "two variants or more; found 'control'"),
    ],
)
def test_an_unclear_control_is_an_error_that_lists_the_variants(variants, control, message):
    with pytest.raises(ValueError, match=r".*".join(message.split(" "))):
        experiments.choose_control(variants, control=control)


def test_auto_shows_what_it_takes_each_column_for():
    units = simulated(100).assign(city="x", empty=np.nan, same=1.0, occurred_at=pd.Timestamp("2026-01-01"))
    shown = experiments.measures(units, metrics="auto", covariates=["pre_spend"]).columns.set_index("column")
    assert shown.loc["spend", ["role", "kind"]].tolist() == ["metric", "mean"]
    assert shown.loc["converted", "kind"] == "proportion"
    assert shown.loc["pre_spend", "role"] == "covariate"
    assert shown.loc[["city", "empty", "same"], "reason"].tolist() == [
        "not a number",
        "no values",
        "the same value for every unit",
    ]
    assert "occurred_at" not in shown.index


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        ({}, {"covariates": ["spend"], "metrics": {"spend": "mean"}}, "both as a metric and as a covariate"),
        ({}, {"metrics": {"sale": "mean"}}, "'sale' is not in the table"),
        ({}, {"metrics": {"spend": "ratio"}}, "allowed are proportion, mean"),
        ({}, {"metrics": {"unit_id": "mean"}}, "is no metric"),
        ({}, {"metrics": {"spend": "proportion"}}, "0 and 1 are needed"),
        ({}, {"metrics": "all"}, "needed 'auto'"),
        ({"spend": "much"}, {"metrics": {"spend": "mean"}}, "must hold numbers; found 'much'"),
        ({"spend": np.inf}, {"metrics": "auto"}, "infinite"),
        ({"spend": 3.0}, {"metrics": {"spend": "mean"}}, "only the value 3"),
        ({"converted": 0}, {"metrics": {"converted": "proportion"}}, "only the value 0"),
        ({"spend": np.nan}, {"metrics": {"spend": "mean"}}, "no value"),
        ({"pre_spend": 1.0}, {}, "fewer than two values"),
        ({"variant": None}, {}, "variant"),
    ],
)
def test_bad_columns_are_one_clear_sentence(change, given, message):
    with pytest.raises(ValueError, match=message) as problem:
        compared(simulated(50).assign(**change), **given)
    assert str(problem.value).count(". ") == 0


def test_auto_without_named_covariates_is_an_error_that_lists_the_columns():
    units = simulated(50).rename(columns={"pre_spend": "history"})
    with pytest.raises(ValueError, match="history, spend, converted"):
        compared(units)
    assert "history" in compared(units, covariates=[]).comparisons["metric"].tolist()


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


# --- health -------------------------------------------------------------------------------------------------


def checked(units: pd.DataFrame, **given) -> pd.DataFrame:
    measured = experiments.measures(units, metrics="auto", covariates=["pre_spend"])
    return experiments.health(units, measured=measured, **{"shares": None, "control": "control"} | given).set_index("check")


def test_a_sound_experiment_passes():
    assert checked(simulated(2_000))["passed"].all()


def test_health_alarms_on_what_was_broken_and_on_nothing_else():
    units = simulated(4_000)
    treated = np.flatnonzero(units["variant"] == "new")
    broken = units.drop(index=treated[:400])
    assert checked(broken).query("~passed").index.tolist() == ["sample_ratio"]
    assert checked(broken, shares={"control": 2_000, "new": 1_600})["passed"].all()
    lost = units.copy()
    lost.loc[treated[:100], "spend"] = np.nan
    assert checked(lost).query("~passed").index.tolist() == ["missing_outcome: spend"]
    moved = units.assign(pre_spend=units["pre_spend"] + 2 * (units["variant"] == "new"))
    assert checked(moved).query("~passed").index.tolist() == ["balance: pre_spend"]
    rare = units.assign(converted=0)
    rare.loc[:5, "converted"] = 1
    assert checked(rare).query("~passed").index.tolist() == ["rare_outcome: converted"]
    people = units.assign(person_id=[f"p{i // 2}" for i in range(len(units))])
    assert checked(people).query("~passed").index.tolist() == ["person_in_two_arms"]
    few = people.assign(person_id=[None] * 3_990 + ["p1", "p1", "p2", "p2", *"abcdef"])
    assert checked(few)["passed"].all()
    twice = pd.concat([units, units.head(1).assign(variant="new"), units.tail(1)])
    assert not checked(twice).loc[["unit_twice"], "passed"].any()


def test_health_refuses_shares_that_do_not_fit():
    with pytest.raises(ValueError, match="a share is needed for each of the variants control, new"):
        checked(simulated(50), shares={"control": 1})
    with pytest.raises(ValueError, match="above 0"):
        checked(simulated(50), shares={"control": 1, "new": 0})


def test_the_sentences_follow_the_figures():
    units = simulated(2_000, effect=3.0)
    found, health = compared(units), checked(units).reset_index()
    assert "1 of 2 comparisons" in experiments.effects_sentence(found, alpha=0.05)
    assert "every health check passes" in experiments.summary(found, health, alpha=0.05, data_is="SIMULATED")
    assert "no 2x2 design" in experiments.factorial_sentence(found, alpha=0.05)
    figures = experiments.headline_figures(found, health)
    assert figures["clearest_effect"] == found.comparisons["effect"][0]
    assert all(isinstance(value, int | float) for value in figures.values())
