"""Tables of units as other people export them: read for what they are, or noticed, or refused with the cure."""

import ibis
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from experiment_units import checked, simulated

from journeybook import experiments
from journeybook.experiments.variants import IN_TWO_ARMS, arms_of, check_one_row_a_unit, spelled_alike
from journeybook.statistics import stream
from journeybook.statistics.bayes import posteriors


def table(units: pd.DataFrame) -> ibis.Table:
    return ibis.memtable(units)


def sessions(people: int = 800, *, seed: int = 516) -> pd.DataFrame:
    """Fifteen sessions of each person, assigned by person, who differ in how often they order; no effect."""
    rng = stream(seed, "sessions")
    person, arm, rate = np.repeat(np.arange(people), 15), np.arange(people) % 2, rng.beta(0.3, 2.7, people)
    return pd.DataFrame(
        {
            "unit_id": [f"s{k}" for k in range(len(person))],
            "person_id": [f"p{k}" for k in person],
            "variant": np.where(arm[person] == 1, "treatment", "control"),
            "converted": (rng.random(len(person)) < rate[person]).astype(int),
            "pages": rng.poisson(3, len(person)) + 1.0,
        }
    )


def analysed(units: pd.DataFrame, metrics: dict):
    measured = experiments.measures(units, metrics=metrics, covariates=[])
    return measured, experiments.by_cluster(units, measured=measured, control="control")


def test_rows_of_people_who_were_assigned_whole_are_not_taken_for_units():
    units = sessions()
    _, found = analysed(units, {"converted": "proportion"})
    assert (found.by, len(found.units), found.share) == ("person", 800, 800 / len(units))
    row = experiments.compare(
        found.units, measured=found.measured, control="control", alpha=0.05, rng=stream(1, "q")
    ).comparisons.iloc[0]
    fit = smf.ols("converted ~ variant", units).fit(cov_type="cluster", cov_kwds={"groups": units["person_id"]})
    assert row["effect"] == pytest.approx(fit.params.iloc[1], rel=1e-9)
    assert row["effect_high"] - row["effect_low"] == pytest.approx(2 * 1.96 * fit.bse.iloc[1], rel=0.01)
    health = checked(found.units, measured=found.measured, control="control")
    assert health.set_index("check")["passed"]["sample_ratio"]
    # A ratio keeps its own denominator, and each row counts the same.
    _, ratio = analysed(units, {"rate": {"kind": "ratio", "numerator": "converted", "denominator": "pages"}})
    both = ratio.units.groupby("variant")[["converted", "pages"]].sum()
    pd.testing.assert_frame_equal(both, units.groupby("variant")[["converted", "pages"]].sum(), check_dtype=False)


def test_rows_that_were_assigned_one_by_one_stay_units():
    units = sessions()
    units["variant"] = stream(2, "each").choice(["control", "treatment"], len(units))
    _, found = analysed(units, {"converted": "proportion"})
    assert (found.by, found.share) == ("unit", 1.0) and found.units is units


def test_units_in_two_arms_are_counted_and_left_out_where_that_is_asked_for():
    units = simulated(1_000)
    both = units.head(40).assign(variant=np.where(units["variant"].head(40) == "new", "control", "new"))
    rows = pd.concat([units, both], ignore_index=True)
    kept, n = experiments.units_in_arms(rows, units_in_two_arms="leave_out")
    assert n == 40 and set(kept["unit_id"]) == set(units["unit_id"][40:])
    same, none = experiments.units_in_arms(rows, units_in_two_arms="refuse")
    assert same is rows and none == 0
    measured = experiments.measures(kept, metrics={"spend": "mean"}, covariates=[])
    given = {"measured": measured, "control": None, "daily": pd.DataFrame(columns=["metric", "variant"])}
    health = experiments.health(kept, shares=None, noticed={"left_out": n}, **given)
    assert experiments.cautions(health) == ["left_out"] and not experiments.alarms(health)
    with pytest.raises(ValueError, match=f"needed one of {', '.join(IN_TWO_ARMS)}"):
        experiments.units_in_arms(rows, units_in_two_arms="drop")


@pytest.mark.parametrize(
    ("ids", "variants", "cure"),
    [
        (["a", "a", "b", "c"], ["x", "y", "x", "y"], "units_in_two_arms: leave_out"),
        (["a", "a", "b", "b"], ["x", "x", "y", "y"], "map a row a unit and metric as `experiment_values`"),
        (["spring", "spring", "may", "may"], ["x", "y", "x", "y"], "like counts: map them as `experiment_arms`"),
    ],
)
def test_a_unit_with_several_rows_is_refused_with_the_cure(ids, variants, cure):
    units = pd.DataFrame({"unit_id": ids, "variant": variants})
    with pytest.raises(ValueError, match=cure):
        check_one_row_a_unit(units, arms_of(units, control="x"))


def test_variants_alike_but_for_case_and_spaces_are_one():
    units = pd.DataFrame({"row": range(6), "variant": ["Control", "Control", "control ", "B", " b", "B"]})
    found, n = spelled_alike(table(units))
    assert n == 2 and found.order_by("row").variant.to_pandas().tolist() == ["Control"] * 3 + ["B"] * 3
    plain = table(units.assign(variant=["a", "b"] * 3))
    assert spelled_alike(plain) == (plain, 0)
    assert arms_of(units.assign(variant=["Control", "B"] * 3), control="control").names == ["Control", "B"]


@pytest.mark.parametrize(("how", "found"), [("count", [2, 1]), ("any", [1, 1])])
def test_rows_are_counted_without_times(how, found):
    rows = pd.DataFrame({"row": [1, 2, 3], "unit_id": ["u", "u", "w"], "variant": ["a", "a", "b"]})
    made = experiments.units_from_rows(
        table(rows), None, aggregates={"visits": {"how": how}}, window_days=None, pre_days=None
    )
    assert made.units.order_by("unit_id").visits.to_pandas().tolist() == found
    assert (made.n_outcomes, made.n_outside) == (3, 0)


def test_a_metric_that_most_units_lack_is_among_those_who_have_it_and_is_said():
    units = simulated(2_000).assign(spend=lambda d: d["spend"].where(d.index % 20 == 0))
    measured = experiments.measures(units, metrics={"spend": "mean", "converted": "proportion"}, covariates=[])
    health = checked(units, measured=measured, control=None).set_index("check")
    assert health["value"]["few_values: spend"] == 0.05 and not health["passed"]["few_values: spend"]
    assert "few_values: converted" not in health.index


def test_a_metric_that_an_arm_lacks_is_set_aside_with_an_alarm_and_the_others_go_on():
    units = simulated(400).assign(orders=lambda d: np.where(d["variant"] == "new", 0, 1 + d.index % 2))
    metrics = {"spend": "mean", "each": {"kind": "ratio", "numerator": "spend", "denominator": "orders"}}
    measured = experiments.measures(units, metrics=metrics, covariates=[])
    found = experiments.by_cluster(units, measured=measured, control=None)
    assert (found.empty, [*found.measured.kinds]) == ({"each": "new"}, ["spend"])
    given = {"measured": found.measured, "control": None, "daily": pd.DataFrame(columns=["metric", "variant"])}
    health = experiments.health(units, shares=None, empty=found.empty, **given)
    assert experiments.alarms(health) == ["nothing_in_an_arm: each, new"]
    broken = units.assign(spend=units["spend"].where(units["variant"] == "control", 0.0))
    compared = experiments.compare(broken, measured=found.measured, control=None, alpha=0.05, rng=stream(1, "q"))
    believed = posteriors(compared.arms, kinds={"spend": "mean"}, control="control", level=0.95)
    assert believed["probability_best"].tolist() == pytest.approx([1, 0], abs=1e-9)
    counts = pd.DataFrame({"variant": ["control", "new"], "n": [9_000.0, 9_100.0], "k": [90.0, 120.0]})
    rate = {"rate": {"kind": "ratio", "numerator": "k", "denominator": "n"}}
    measured = experiments.measures(counts, metrics=rate, covariates=[])
    with pytest.raises(ValueError, match="Map rows that are counts of many units as `experiment_arms`"):
        experiments.by_cluster(counts, measured=measured, control=None)


def test_counts_of_many_units_are_noticed():
    rng = stream(3, "campaigns")
    sent = rng.integers(500, 5_000, 24)
    units = pd.DataFrame({"variant": ["control", "new"] * 12, "sent": sent, "clicks": rng.binomial(sent, 0.03)})
    rate = {"ctr": {"kind": "ratio", "numerator": "clicks", "denominator": "sent"}}
    measured = experiments.measures(units, metrics=rate, covariates=[])
    health = checked(units, measured=measured, control=None)
    assert "counts_for_units: ctr" in experiments.cautions(health)
    baskets = units.assign(sent=1 + sent % 5, clicks=sent % 2)
    assert not experiments.cautions(checked(baskets, measured=measured, control=None))


def test_an_alarm_of_sizes_names_shares_where_none_were_given():
    units = simulated(2_000, variants=("control", "new"))
    units["variant"] = np.where(np.arange(2_000) % 20 == 0, "control", "new")
    measured = experiments.measures(units, metrics={"spend": "mean"}, covariates=[])
    for shares, named in ((None, True), ({"control": 0.5, "new": 0.5}, False)):
        row = checked(units, measured=measured, control=None, shares=shares).iloc[0]
        assert not row["passed"] and ("`shares`" in row["meaning"]) == named
