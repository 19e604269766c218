"""Faults of an experiment that an average does not show, each with what is right."""

import numpy as np
import pandas as pd
import pytest
from experiment_units import checked, simulated
from scipy import stats

from journeybook import experiments
from journeybook.experiments.plan import Plan
from journeybook.experiments.words import say_effects, say_health
from journeybook.statistics import stream
from journeybook.statistics.exact import exact_mean, exact_share
from journeybook.statistics.intervals import Effect

FEW = Effect("welch", 1.0)
UNPLANNED = Plan(alpha=0.05, power=0.8)


def looked_at(units, kind, name="y"):
    measured = experiments.measures(units, metrics={name: kind}, covariates=None)
    analysed = experiments.by_cluster(units, measured=measured, control="control")
    units, measured = analysed.units, analysed.measured
    health = checked(units, measured=measured, control="control", shares=None)
    period = experiments.moved_periods(units, health=health)
    found = experiments.compare(
        units, measured=measured, control="control", alpha=0.05, period=period, rng=stream(1, "q")
    )
    rows = experiments.witnesses(
        units, found, measured=measured, health=health, shares=None, alpha=0.05, period=period
    )
    assert (abs(rows["value"] - rows["reference"]) <= rows["tolerance"]).all()
    return experiments.alarms(health), found.comparisons.iloc[0], found


def test_a_ramp_is_found_and_the_headline_is_the_effect_within_periods():
    rng, n = np.random.default_rng(3), 4_000
    days = []
    for day, (share, rate) in enumerate([(0.05, 0.3), (0.5, 0.1)], start=1):
        arm = np.where(rng.random(n) < share, "treatment", "control")
        at = pd.Timestamp(f"2026-03-{day:02d} 10:00")
        days.append(pd.DataFrame({"occurred_at": at, "variant": arm, "y": rng.binomial(1, rate, n)}))
    alarms, headline, found = looked_at(pd.concat(days, ignore_index=True), "proportion")
    assert "allocation_over_time" in alarms
    assert headline["method"] == "post_stratified_by_period"
    assert headline["effect_low"] < 0 < headline["effect_high"]
    pooled = found.methods.set_index("method").loc["welch_pooled_biased"]
    assert pooled["p_value"] < 1e-20
    said = say_effects(found, found.clearest())
    assert f"Pooled over periods, and biased, effects would be {pooled['effect']:+.3g} on y" in said


def test_strata_that_decide_the_variant_are_found_and_clusters_are_the_units():
    rng, n = np.random.default_rng(7), 4_000
    store = rng.integers(0, 20, n)
    y = 50 + rng.normal(0, 5, 20)[store] + rng.normal(0, 5, n)
    variant = np.where(store % 2 == 0, "control", "treatment")
    units = pd.DataFrame({"variant": variant, "stratum": store.astype(str), "y": y})
    assert "assigned_by_stratum" in looked_at(units, "mean")[0]
    alarms, headline, _ = looked_at(units.rename(columns={"stratum": "cluster"}), "mean")
    assert "assigned_by_stratum" not in alarms
    assert (headline["n_control"], headline["n_treatment"]) == (10, 10)
    assert headline["effect_high"] - headline["effect_low"] > 7
    assert headline["p_value"] > 0.05


def test_what_cannot_be_measured_by_cluster_is_left_out():
    units = pd.DataFrame({"variant": ["control"] * 8 + ["new"] * 8, "cluster": [*"aabbccdd", *"eeffgghh"]})
    units = units.assign(y=[0, 1] * 8, z=np.arange(16.0), q=np.arange(16.0), city=list("aabbccddeeffgghh"))
    kinds = {"y": "proportion", "z": "mean", "q": {"kind": "quantile", "level": 0.5}}
    measured = experiments.measures(units, metrics=kinds, covariates=[])
    analysed = experiments.by_cluster(units, measured=measured, control=None)
    rows, kept = analysed.units, analysed.measured
    assert (len(rows), kept.kinds, [*rows["city"]]) == (8, {"y": "mean", "z": "mean"}, [*"abcdefgh"])
    assert rows["z"].tolist() == [0.5 + 2 * k for k in range(8)]
    health = checked(rows, measured=kept, control=None)
    said = say_health(health, measured, analysed)
    assert "assigned by cluster**, so a row is now one of 8. Not measured so: q." in said
    mixed = units.assign(variant=["control", "new"] * 8)
    assert experiments.by_cluster(mixed, measured=measured, control=None).units is mixed


def test_without_effect_clustered_and_ramped_experiments_have_uniform_p_values():
    rng, p_values = np.random.default_rng(11), []
    code = np.repeat(np.arange(12), 15)
    for _ in range(60):
        cluster = pd.Series(code).map(dict(enumerate("abcdefghijkl")))
        variant = np.where(np.isin(code, rng.permutation(12)[:6]), "treatment", "control")
        units = pd.DataFrame({"variant": variant, "y": rng.normal(size=12)[code] + rng.normal(size=180)})
        measured = experiments.measures(units, metrics={"y": "mean"}, covariates=[])
        rows = experiments.by_cluster(units.assign(cluster=cluster), measured=measured, control=None)
        clustered = experiments.compare(rows.units, measured=rows.measured, control=None, alpha=0.05, rng=rng)
        day = rng.integers(4, size=180)
        moved = units.assign(variant=np.where(rng.random(180) < 0.2 + 0.2 * day, "treatment", "control"))
        moved["y"] = rng.normal(size=180) - day
        ramped = experiments.compare(moved, measured=measured, control=None, alpha=0.05, rng=rng, period=day)
        p_values.append([one.comparisons["p_value"][0] for one in (clustered, ramped)])
    assert (stats.kstest(p_values, "uniform").pvalue > 1e-3).all()
    # What they guard against: rows taken for units, and periods pooled.
    assert (
        stats.ttest_ind(*(moved.loc[moved["variant"] == v, "y"] for v in ("control", "treatment"))).pvalue < 0.01
    )


@pytest.mark.slow
def test_exact_intervals_miss_no_more_than_they_say():
    rng, missed = np.random.default_rng(11), []
    for _ in range(600):
        few = exact_mean(FEW, rng.exponential(size=8), 1 + rng.exponential(size=12), alpha=0.05, rng=rng)
        share = exact_share(FEW, *(rng.random((2, 12)) < [[0.2], [0.5]]).astype(float), alpha=0.05)
        missed.append([not few.low <= 1 <= few.high, not share.low <= 0.3 <= share.high])
    assert (np.mean(missed, axis=0) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600)).all()
    assert np.mean(missed, axis=0)[0] > 0.02


def test_a_metric_that_is_zero_for_everybody_is_set_aside():
    units = pd.DataFrame({"variant": ["control", "treatment"] * 20, "y": 0, "z": np.arange(40)})
    measured = experiments.measures(units, metrics={"y": "proportion", "z": "mean"}, covariates=None)
    assert list(measured.kinds) == ["z"]
    assert measured.columns.set_index("column").loc["y", "reason"] == "the same value for every unit"


def test_small_arms_have_an_exact_test_and_interval():
    y = [0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1]
    units = pd.DataFrame({"variant": ["control"] * 8 + ["treatment"] * 8, "y": y})
    _, headline, found = looked_at(units, "proportion")
    assert headline["p_value"] == pytest.approx(0.1189, abs=5e-5)
    assert headline["effect_low"] == pytest.approx(-0.0072, abs=1e-3)
    assert headline["effect_high"] == pytest.approx(0.8516, abs=1e-3)
    assert "intervals and p values are exact" in say_effects(found, found.clearest())
    # Of two 0/1 samples a permutation of the units is Fisher's test.
    _, headline, _ = looked_at(units, "mean")
    assert (headline["method"], headline["p_value"]) == ("permutation_exact", pytest.approx(0.1189, abs=5e-5))


def test_the_exact_interval_turns_where_the_shifted_permutation_does():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=7), rng.normal(1, 1, size=9)
    found = exact_mean(FEW, a, b, alpha=0.05, rng=rng)
    for end, side, step in ((found.low, "greater", 1e-6), (found.high, "less", -1e-6)):
        tails = [
            stats.permutation_test(
                (b - shift, a), lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis), vectorized=True,
                n_resamples=np.inf, alternative=side,
            ).pvalue
            for shift in (end - step, end + step)
        ]  # fmt: skip
        assert tails[0] <= 0.025 < tails[1]


def test_a_time_to_an_event_is_read_as_one_and_less_of_it_is_better():
    hours = np.r_[np.arange(1.0, 21), np.full(20, 168.0)]
    units = pd.DataFrame(
        {"variant": ["control", "treatment"] * 20, "converted": hours < 168, "hours_to_order": hours}
    )
    units = units.assign(pre_spend=np.arange(40), converted=units["converted"].astype(int))
    measured = experiments.measures(units, metrics="auto", covariates=None)
    assert measured.kinds["hours_to_order"] == "time_to_event"
    assert experiments.lower_is_better(measured, plan=UNPLANNED, given=None) == ["hours_to_order"]
    assert experiments.lower_is_better(measured, plan=UNPLANNED, given={"hours_to_order": True}) == []
    with pytest.raises(ValueError, match="'spent' is no metric"):
        experiments.lower_is_better(measured, plan=UNPLANNED, given={"spent": False})


@pytest.mark.parametrize(
    ("check", "absent"), [("arm_ended_early", slice(2_000, None)), ("arm_began_late", slice(900))]
)
def test_an_arm_that_took_no_units_at_an_end_of_the_test_is_named(check, absent):
    units = simulated(3_000).assign(occurred_at=pd.date_range("2026-03-01", periods=3_000, freq="10min"))
    measured = experiments.measures(units, metrics={"spend": "mean"}, covariates=[])
    assert not experiments.alarms(checked(units, measured=measured, control=None))
    gone = units.index[absent].intersection(units.index[units["variant"] == "new"])
    health = checked(units.drop(gone).reset_index(drop=True), measured=measured, control=None)
    assert f"{check}: new" in experiments.alarms(health)
    days = health.set_index("check")["value"][f"{check}: new"]
    assert days == pytest.approx((3_000 - 2_000 if check == "arm_ended_early" else 900) / 144, abs=0.1)
