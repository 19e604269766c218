"""Experiments that come summed up or in long format: the answers of one row a unit, or a sentence."""

import ibis
import numpy as np
import pandas as pd
import pytest
from experiment_units import simulated
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from journeybook import experiments
from journeybook.experiments.variants import is_summed
from journeybook.statistics import stream

ARMS = pd.DataFrame({"row": [1, 2], "variant": ["control", "new"], "n": [4_000, 4_100], "clicked": [200, 290]})
NO_DAYS = pd.DataFrame(columns=["metric", "variant"])


def compared(arms: pd.DataFrame, *, control: str = "control", **given):
    units = experiments.summed_arms(arms)
    measured = experiments.measures(units, metrics="auto", covariates=[])
    analysed = experiments.by_cluster(units, measured=measured, control=control)
    about = {"measured": analysed.measured, "control": control}
    found = experiments.compare(units, **about, alpha=0.05, rng=stream(1, "q"), **given)
    health = experiments.health(units, daily=NO_DAYS, shares=None, **about)
    return units, found, health, analysed


def test_arms_summed_up_give_the_answer_of_their_units():
    units = simulated(3_000, variants=("control", "b", "new")).drop(columns="pre_spend")
    kinds = {"converted": "proportion", "spend": "mean"}
    measured = experiments.measures(units, metrics=kinds, covariates=[])
    by_unit = experiments.compare(units, measured=measured, control="control", alpha=0.05, rng=stream(1, "q"))
    groups = units.groupby("variant")
    spend = groups["spend"].agg(n="size", mean="mean", sd="std").reset_index().assign(metric="spend")
    share = groups["converted"].agg(n="size", successes="sum").reset_index().assign(metric="converted")
    arms = pd.concat([spend, share], ignore_index=True).assign(row=range(1, 7))
    summed, by_arm, health, analysed = compared(arms)
    same = [c for c in by_unit.comparisons if c != "method"]
    pd.testing.assert_frame_equal(
        by_arm.comparisons[same], by_unit.comparisons[same], check_dtype=False, rtol=1e-9
    )
    pd.testing.assert_frame_equal(by_arm.arms, by_unit.arms, check_dtype=False, rtol=1e-9)
    assert experiments.n_units(summed) == 3_000 and is_summed(summed) and analysed.by == "arm"
    counts = groups.size()
    expected = stats.chisquare(counts).pvalue
    assert health.set_index("check")["p_value"]["sample_ratio"] == pytest.approx(expected, rel=1e-9)
    held = experiments.witnesses(
        summed, by_arm, measured=analysed.measured, health=health, shares=None, alpha=0.05
    )
    assert (np.abs(held["value"] - held["reference"]) <= held["tolerance"]).all() and len(held) == 4 * 4 + 1


def test_a_mean_of_summaries_is_welchs():
    arms = pd.DataFrame(
        {"row": [1, 2], "variant": ["control", "new"], "n": [500, 650], "metric": "revenue", "mean": [10.1, 11.4],
         "sd": [12.0, 15.5], "clicked": [40, 71]}
    )  # fmt: skip
    _, found, health, _ = compared(arms)
    row = found.comparisons.set_index("metric").loc["revenue"]
    assert row["p_value"] == pytest.approx(
        stats.ttest_ind_from_stats(11.4, 15.5, 650, 10.1, 12, 500, equal_var=False).pvalue, rel=1e-9
    )
    # Two points that have the mean and spread of each arm.
    shape = [(11.4, 15.5, 650), (10.1, 12.0, 500)]
    samples = [m + s * np.sqrt((n - 1) / n) * np.resize([-1, 1], n) for m, s, n in shape]
    ends = CompareMeans(*map(DescrStatsW, samples)).tconfint_diff(usevar="unequal")
    assert (row["effect_low"], row["effect_high"]) == pytest.approx(ends, rel=1e-9)
    assert experiments.cautions(health) == ["summed_up"]


def test_campaigns_are_compared_within_and_not_between():
    rng = stream(4, "campaigns")
    rows, units = [], []
    for number, (n_a, n_b, rate) in enumerate([(3_000, 1_000, 0.1), (1_000, 3_000, 0.3), (2_000, 2_000, 0.2)]):
        for variant, n in (("A", n_a), ("B", n_b)):
            clicks = rng.binomial(n, rate)
            rows.append((len(rows) + 1, variant, f"mail {number}", n, clicks))
            units.append(pd.DataFrame({"variant": variant, "stratum": number, "y": np.arange(n) < clicks}))
    arms = pd.DataFrame(rows, columns=["row", "variant", "stratum", "n", "clicked"])
    summed, found, health, analysed = compared(arms, control="A")
    pooled = found.methods.iloc[0]
    assert pooled["p_value"] < 1e-6 < 0.01 < found.comparisons["p_value"].iloc[0]
    every = pd.concat(units)
    gaps = every.groupby(["stratum", "variant"])["y"].mean().unstack().diff(axis=1)["B"]
    expected = np.average(gaps, weights=every.groupby("stratum").size())
    assert found.comparisons["effect"].iloc[0] == pytest.approx(expected, rel=1e-9)
    assert experiments.n_units(summed) == 12_000
    held = experiments.witnesses(summed, found, measured=analysed.measured, health=health, shares=None, alpha=0.05)
    assert (np.abs(held["value"] - held["reference"]) <= held["tolerance"]).all()


def test_small_arms_and_sizes_off_the_plan_are_noticed_from_counts():
    small = pd.DataFrame({"row": [1, 2], "variant": ["control", "new"], "n": [8, 8], "bought": [1, 5]})
    _, found, _, _ = compared(small)
    assert found.comparisons["method"].iloc[0] == "fisher_exact"
    assert found.comparisons["p_value"].iloc[0] == pytest.approx(0.1189, abs=5e-5)
    off = ARMS.assign(n=[821_588, 815_482])
    _, _, health, _ = compared(off)
    assert health["p_value"].iloc[0] == pytest.approx(1.8218e-6, rel=1e-4)
    assert experiments.alarms(health) == ["sample_ratio"]


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (ARMS.assign(clicked=[200, 5_000]), "has 5,000 of 'clicked' in 4,100 units"),
        (ARMS.assign(clicked=[200.5, 290]), "a count from 0 to n is needed"),
        (ARMS.drop(columns="clicked"), "no metric is mapped"),
        (ARMS.drop(columns="clicked").assign(metric="revenue", mean=[3.0, 4]), "has a mean and no sd"),
        (pd.concat([ARMS, ARMS]), "map what tells them apart, such as the campaign or the day, as stratum"),
    ],
)
def test_arms_that_cannot_be_read_are_refused_with_the_cure(arms, said):
    with pytest.raises(ValueError, match=said):
        experiments.summed_arms(arms)


def test_a_share_that_no_arm_has_is_set_aside_and_the_others_go_on():
    units = experiments.summed_arms(ARMS.assign(refunded=0))
    measured = experiments.measures(units, metrics="auto", covariates=[])
    assert [*measured.kinds] == ["clicked"] and measured.alike == {"refunded": 1.0}
    with pytest.raises(ValueError, match="'clicked' is named a mean; the arms have clicked"):
        experiments.measures(units, metrics={"clicked": "mean"}, covariates=[])


def long(units: pd.DataFrame) -> pd.DataFrame:
    rows = units.melt(["unit_id", "variant"], ["spend", "converted"], "metric", "value")
    return rows.assign(row=np.arange(len(rows)) + 1, value=rows["value"].astype(float))


def made(rows: pd.DataFrame, **given):
    asked = {"aggregates": {}, "window_days": None, "pre_days": None} | given
    return experiments.units_from_rows(ibis.memtable(rows), None, **asked)


def test_a_row_a_unit_and_metric_becomes_one_row_a_unit():
    units = simulated(300)
    found = made(long(units).sample(frac=1, random_state=1))
    wide = found.units.to_pandas().sort_values("unit_id", ignore_index=True)
    expected = units.sort_values("unit_id", ignore_index=True)
    columns = ["unit_id", "variant", "spend", "converted"]
    pd.testing.assert_frame_equal(wide[columns], expected[columns], check_dtype=False)
    assert found.n_values == 600
    twice = pd.concat([long(units), long(units).tail(1)])
    with pytest.raises(ValueError, match="1 units have several rows of one metric"):
        made(twice)
    with pytest.raises(ValueError, match="'variant' is also a column of the table"):
        made(long(units).replace({"metric": {"spend": "variant"}}))


def test_a_metric_without_a_row_is_no_0_unless_that_is_said():
    units = simulated(600)
    rows = long(units)
    wide = made(rows[(rows["value"] != 0) | (rows["metric"] == "spend")]).units.to_pandas()
    measured = experiments.measures(wide, metrics={"spend": "mean", "converted": "proportion"}, covariates=[])
    assert [*measured.kinds] == ["spend"] and 0 < measured.alike["converted"] < 1
    given = {"daily": NO_DAYS, "measured": measured, "control": None, "shares": None}
    assert "alike_where_known: converted" in experiments.cautions(
        experiments.health(wide, **given, alike=measured.alike)
    )
    filled = experiments.with_zeros(wide, columns=["converted"])
    assert filled["converted"].mean() == pytest.approx(units["converted"].mean())
    with pytest.raises(ValueError, match="empty_is_zero: 'orders' is not a column"):
        experiments.with_zeros(wide, columns=["orders"])
