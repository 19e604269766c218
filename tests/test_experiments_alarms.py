"""Faults of an experiment that an average does not show, each with what is right."""

import numpy as np
import pandas as pd
import pytest

from journeybook import experiments
from journeybook.experiments.alternatives import permuted_clusters
from journeybook.statistics import stream


def looked_at(units, kind, name="y"):
    measured = experiments.measures(units, metrics={name: kind}, covariates=None)
    health = experiments.health(units, measured=measured, control="control", shares=None)
    found = experiments.compare(units, measured=measured, control="control", alpha=0.05, rng=stream(1, "q"))
    others = experiments.alternatives(
        units, measured=measured, control="control", alpha=0.05, tail_share=0.01, n_draws=500, rng=stream(1, "o")
    )
    return experiments.alarms(health), found.comparisons.iloc[0], others.set_index("method")


def test_a_ramp_is_found_and_the_effect_within_periods_is_none():
    rng, n = np.random.default_rng(3), 4_000
    days = []
    for day, (share, rate) in enumerate([(0.05, 0.3), (0.5, 0.1)], start=1):
        arm = np.where(rng.random(n) < share, "treatment", "control")
        at = pd.Timestamp(f"2026-03-{day:02d} 10:00")
        days.append(pd.DataFrame({"occurred_at": at, "variant": arm, "y": rng.binomial(1, rate, n)}))
    alarms, headline, others = looked_at(pd.concat(days, ignore_index=True), "proportion")
    assert "allocation_over_time" in alarms
    assert headline["p_value"] < 1e-20
    within = others.loc["post_stratified_by_period"]
    assert within["effect_low"] < 0 < within["effect_high"]


def test_strata_that_decide_the_variant_are_found_and_clusters_are_permuted():
    rng, n = np.random.default_rng(7), 4_000
    store = rng.integers(0, 20, n)
    y = 50 + rng.normal(0, 5, 20)[store] + rng.normal(0, 5, n)
    variant = np.where(store % 2 == 0, "control", "treatment")
    units = pd.DataFrame({"variant": variant, "stratum": store.astype(str), "y": y})
    assert "assigned_by_stratum" in looked_at(units, "mean")[0]
    alarms, _, others = looked_at(units.rename(columns={"stratum": "cluster"}), "mean")
    assert "assigned_by_stratum" not in alarms
    assert others.loc["permuted_clusters", "p_value"] > 0.05


def test_permuted_clusters_hold_alpha_where_units_of_a_cluster_are_alike():
    rng = np.random.default_rng(11)
    cluster = np.repeat(np.arange(20), 10)
    claims = []
    for _ in range(400):
        treated = np.isin(cluster, rng.permutation(20)[:10]).astype(int)
        values = rng.normal(size=20)[cluster] + rng.normal(size=200)
        claims.append(permuted_clusters(values, treated, cluster, n_draws=199, rng=rng).p_value <= 0.05)
    assert np.mean(claims) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 400))


def test_a_metric_that_is_zero_for_everybody_is_set_aside():
    units = pd.DataFrame({"variant": ["control", "treatment"] * 20, "y": 0, "z": np.arange(40)})
    measured = experiments.measures(units, metrics={"y": "proportion", "z": "mean"}, covariates=None)
    assert list(measured.kinds) == ["z"]
    assert measured.columns.set_index("column").loc["y", "reason"] == "the same value for every unit"


def test_small_arms_are_decided_by_an_exact_test():
    y = [0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1]
    units = pd.DataFrame({"variant": ["control"] * 8 + ["treatment"] * 8, "y": y})
    _, headline, _ = looked_at(units, "proportion")
    assert headline["p_value"] == pytest.approx(0.1189, abs=5e-5)
    # Of two 0/1 samples a permutation of the units is Fisher's test.
    assert looked_at(units, "mean")[1]["p_value"] == pytest.approx(0.1189, abs=5e-5)


def test_a_time_to_an_event_is_read_as_one_and_less_of_it_is_better():
    hours = np.r_[np.arange(1.0, 21), np.full(20, 168.0)]
    units = pd.DataFrame(
        {"variant": ["control", "treatment"] * 20, "converted": hours < 168, "hours_to_order": hours}
    )
    units = units.assign(pre_spend=np.arange(40), converted=units["converted"].astype(int))
    measured = experiments.measures(units, metrics="auto", covariates=None)
    assert measured.kinds["hours_to_order"] == "time_to_event"
    assert experiments.lower_is_better(measured, given=None) == ["hours_to_order"]
    assert experiments.lower_is_better(measured, given={"hours_to_order": True}) == []
    with pytest.raises(ValueError, match="'spent' is no metric"):
        experiments.lower_is_better(measured, given={"spent": False})
