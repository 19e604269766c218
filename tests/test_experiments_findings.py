"""Page 11's findings: an alarm says no effect, and an effect what the plan's rule says of it."""

import numpy as np
import pandas as pd
import pytest
from experiment_units import checked, compared, simulated
from test_experiments_decision import PLAN
from test_experiments_looks import taken

from journeybook import experiments
from journeybook.experiments.findings import _many_metrics
from journeybook.experiments.plan import Plan
from journeybook.findings import ordered
from journeybook.results import checks_of
from journeybook.statistics import stream

UNPLANNED = Plan(alpha=0.05, power=0.8)


def told(
    effect=0.0,
    *,
    plan=PLAN,
    planted=None,
    fails=(),
    verdict="holds",
    variants=("control", "new"),
    without=(),
    **changed,
):
    """Findings on 4,000 simulated units whose share converted differs by `effect`."""
    units = simulated(4_000, variants=variants)
    rate = 0.2 + effect * (units["variant"] != "control")
    units["converted"] = (stream(2, "orders").random(len(units)) < rate).astype(int)
    units["stratum"] = np.where(units.index % 2, "mobile", "desktop")
    units = units.drop(columns=list(without))
    measured = experiments.measures(units, metrics={"converted": "proportion"}, covariates=[])
    found = compared(units, metrics={"converted": "proportion"}, covariates=[])
    health = checked(units, measured=measured, control="control", shares=None)
    health["passed"] &= ~health["check"].isin(fails)
    health = changed.pop("health", health)
    guarded = pd.DataFrame({"metric": "spend", "variant": found.names[1:], "verdict": verdict})
    asked = {"measured": measured, "control": "control", "alpha": 0.05}
    truth = pd.DataFrame({"experiment": "x", "metric": "converted", "variant": "new", "group": ["all"]})
    given = {"plan": plan, "seen": taken(1000), "lower": [], "experiment": "x"} | changed
    return ordered(
        experiments.find(
            found, health,
            experiments.decide(found.estimates, guardrails=guarded, plan=plan, alarms=[], over=False),
            experiments.factorial_effects(
                found.moments, names=found.names, alpha=0.05, power=0.8, minimum_effects={}
            ),
            experiments.subgroups(units, planned=["stratum"], **asked),
            experiments.search_heterogeneity(units, columns=["stratum"], rng=stream(3, "halves"), **asked),
            pd.DataFrame(), truth=None if planted is None else truth.assign(effect=planted), **given,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "strength", "worth", "text", "action"),
    [
        ({"effect": 0.1}, "clear", 2, "New raises the share converted from 19.0%", "Ship it: even"),
        ({"effect": 0.1, "planted": 0.1}, "known answer recovered", 2, "New raises", "Ship it"),
        ({"effect": 0.1, "planted": -0.2}, "contradicted", 2, "New raises", "Do not act"),
        ({"effect": 0.1, "verdict": "open"}, "clear", 2, "New raises", "Keep running"),
        ({"effect": 0.1, "verdict": "harmed"}, "clear", 1, "New raises", "Do not ship it: spend is worse"),
        ({"effect": 0.1, "plan": UNPLANNED}, "clear", 2, "New raises", "Decide whether "),
        ({"effect": -0.1, "plan": UNPLANNED}, "clear", 1, "New lowers", "Do not ship it: it makes"),
        ({"effect": -0.1, "plan": UNPLANNED, "lower": ["converted"]}, "clear", 2, "New lowers", "Decide whether "),
        ({}, "cannot be told", 2, "No effect of new on the share converted is shown", "Keep running"),
    ],
)  # fmt: skip
def test_an_effect_comes_with_its_strength_and_what_to_do(given, strength, worth, text, action):
    said = told(**given)
    assert all(len(f.text.split()) <= 30 and len(f.action.split()) <= 30 for f in said)
    f = next(f for f in said if f.section == "Did it work?")
    assert (f.strength, f.worth, f.unit) == (strength, worth, "points")
    assert f.text.startswith(text) and f.action.startswith(action)


def test_where_a_check_alarms_no_effect_is_told():
    said = told(0.1, planted=0.1, fails=["sample_ratio", "rare_outcome: converted"])
    assert [f.text[:39] for f in said] == ["The arms are off their planned sizes by"]
    assert (said[0].strength, said[0].worth, said[0].action[:14]) == ("contradicted", 1, "Read no effect")
    careful = told(0.1, fails=["rare_outcome: converted"])
    assert {f.strength for f in careful if f.section.startswith("Is the")} == {"suggestive"}
    assert careful[1].section == "Is the experiment healthy?"


def test_rows_without_an_id_are_said_to_be_taken_for_units():
    said = [[f.text[:6] for f in told(0.1, without=without)] for without in ((), ["unit_id"])]
    assert ["No id " in texts for texts in said] == [False, True]


def test_a_changed_plan_comes_first_and_an_early_look_is_said():
    seen = taken(500, 600)
    object.__setattr__(seen, "plan_changed", True)
    said = told(0.1, seen=seen)
    assert said[0].text.startswith("The plan of this test was changed") and said[0].strength == "contradicted"
    assert any("This is look 2, at 600 of 1,000 units; its wider intervals" in f.text for f in said)


def test_two_changes_and_two_groups_are_not_told_apart_by_chance():
    said = told(0.05, variants=("control", "a", "b", "a+b"))
    both, whom = (f for f in said if f.section.startswith(("Do two", "For whom")))
    assert both.text.startswith("Whether a and b help or hinder each other cannot be told")
    assert both.low < both.value < both.high
    assert whom.text.startswith("Who gains more from ")
    assert (whom.strength, whom.worth) == ("cannot be told", 3)


def test_of_many_variants_without_an_effect_the_clearest_two_stand_for_all():
    found = told(variants=("control", *"abcdefg"), effect=0.0)
    none = [f for f in found if f.text.startswith("No effect")]
    assert len(none) == 3 and "is shown for 5 more variants either: " in none[-1].text
    assert none[-1].action == "Ship none of these: the largest of many differences is large by chance."


def test_of_many_metrics_and_no_plan_it_is_said_how_many_hold_once_all_are_counted():
    units, rng = simulated(4_000), stream(4, "orders")
    names = [f"m{n}" for n in range(12)]
    for n, name in enumerate(names):
        units[name] = rng.normal(0.5 * (n < 2), 1, len(units)) * (units["variant"] != "control") + rng.normal(
            size=4000
        )
    found = compared(units, metrics=dict.fromkeys(names, "mean"), covariates=[])
    n_held, n_below = (int((found.comparisons[p] < 0.05).sum()) for p in ("p_adjusted", "p_value"))
    (said,) = _many_metrics(found, UNPLANNED)
    assert (
        n_held >= 2
        and said.value == n_held
        and said.text.startswith(f"{n_held} of 12 comparisons, over 12 metrics")
    )
    assert said.text.endswith(f"; {n_below} would seem to.")
    assert [*_many_metrics(found, PLAN)] == []


def test_of_many_comparisons_the_witness_furthest_off_stands_for_all():
    units = simulated(600)
    names = {f"m{n}": "mean" for n in range(25)}
    for n, name in enumerate(names):
        units[name] = stream(n, "orders").normal(size=600)
    measured = experiments.measures(units, metrics=names, covariates=[])
    found = compared(units, metrics=names, covariates=[])
    asked = {"measured": measured, "health": checked(units, measured=measured, control="control"), "shares": None}
    held = checks_of(experiments.witnesses(units, found, **asked, alpha=0.05))
    assert len(held) < 12 and all(check.passed for check in held)
    assert len(found.clearest(first="m3")) == 6 and "m3" in found.clearest(first="m3")
    assert found.comparisons.sort_values("p_value")["metric"].iloc[0] in found.clearest()
    row = found.methods["metric"] == "m17"
    found.methods.loc[row, "effect"] += 0.5
    failed = [c.name for c in checks_of(experiments.witnesses(units, found, **asked, alpha=0.05)) if not c.passed]
    assert failed and all("m17" in name for name in failed)


def test_shares_that_moved_with_an_arm_that_stopped_have_one_cure_and_missing_values_are_said():
    health = checked(simulated(600), measured=experiments.measures(
        simulated(600), metrics={"spend": "mean"}, covariates=[]), control=None).iloc[:1]  # fmt: skip
    rows = [health.assign(check=c, passed=False) for c in ("sample_ratio", "allocation_over_time")]
    rows.append(health.assign(check="arm_ended_early: new", value=11.0, passed=False))
    said = told(health=pd.concat(rows, ignore_index=True))
    assert {f.action for f in said} == {
        "Keep the days on which all arms ran, by `where` on the time, and run the page again."
    }
    assert "In the last 11 days new took no unit, while others did." in {f.text for f in said}
    lacking = health.assign(check="missing_outcome: converted", value=0.3, passed=True)
    text = told(effect=0.1, health=lacking)[0].text
    assert text.startswith("New raises the share converted of the 70.0% of units that have one from 19.0%")


@pytest.mark.parametrize(("effect", "n_told"), [(-0.15, 2), (0.15, 1)])
def test_an_arm_without_values_of_one_metric_does_not_hide_the_harm_that_another_shows(effect, n_told):
    rows = [("nothing_in_an_arm: aov, new", False), ("unit_twice", True), ("missing_outcome: converted", True)]
    health = pd.DataFrame([(check, 0.0, np.nan, passed, "") for check, passed in rows])
    health.columns = ["check", "value", "p_value", "passed", "meaning"]
    found = told(effect, plan=UNPLANNED, health=health)
    assert len(found) == n_told and found[0].text.startswith("New has no values of aov")
    assert all(f.action == "Do not ship it: it makes things worse." for f in found[1:])
