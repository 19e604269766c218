"""The plan block: read strictly, hashed, and its end."""

from datetime import date

import pandas as pd
import pytest
from experiment_units import simulated

from journeybook import experiments
from journeybook.experiments.looks import look
from journeybook.experiments.plan import plan_sha256
from journeybook.experiments.words import say_plan

PLAN = {"primary": "converted", "minimum_effect": 0.02, "alpha": 0.05, "power": 0.8, "planned_units": 400}


def read(block, units=None):
    units = simulated(300) if units is None else units
    measured = experiments.measures(units, metrics="auto", covariates=None)
    return experiments.read_plan(block, measured=measured, units=units, alpha=0.1, power=0.9)


def test_without_a_plan_there_is_a_level_and_a_power_alone():
    plan = read(None)
    assert (plan.given, plan.alpha, plan.power, plan.planned_units, plan.minimum_effects) == (
        False,
        0.1,
        0.9,
        0,
        {},
    )
    assert experiments.plan_table(None, plan)["planned"].tolist() == ["none given", "0.1", "0.9"]
    assert experiments.is_over(plan, simulated(10))


def test_a_plan_decides_level_and_power():
    more = {"guardrails": {"spend": -2}, "planned_end": "2026-01-31", "hypotheses": ["It sells."], "name": "x"}
    plan = read(PLAN | more | {"direction": "decrease", "subgroups": ["pre_spend"]})
    assert (plan.alpha, plan.power, plan.sign, plan.planned_end) == (0.05, 0.8, -1, date(2026, 1, 31))
    assert plan.guardrails == {"spend": -2.0} and plan.minimum_effects == {"converted": 0.02}
    shown = experiments.plan_table(PLAN | more, plan).set_index("item")["planned"]
    assert (shown["guardrails"], shown["primary"]) == ("{'spend': -2}", "converted")
    assert shown["sha256"] == plan.sha256 == plan_sha256(PLAN | more | {
        "subgroups": ["pre_spend"], "direction": "decrease"
    })  # fmt: skip


@pytest.mark.parametrize("key", PLAN)
def test_every_key_of_the_plan_changes_its_digest_and_is_needed(key):
    other = PLAN | {key: "spend" if key == "primary" else PLAN[key] * 2}
    assert plan_sha256(other) != plan_sha256(PLAN)
    with pytest.raises(ValueError, match=f"'{key}' is missing"):
        read({k: v for k, v in PLAN.items() if k != key})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"primry": "spend"}, "unknown key 'primry'"),
        ({"primary": "clicks"}, "primary names 'clicks'; the metrics are spend, converted"),
        ({"minimum_effect": 0}, "a number above 0"),
        ({"minimum_effect": "much"}, "a number above 0"),
        ({"alpha": 5}, "alpha: found 5"),
        ({"power": True}, "power: found True"),
        ({"planned_units": 100.5}, "a whole number from 4 up"),
        ({"direction": "up"}, "allowed are increase, decrease"),
        ({"guardrails": {"clicks": -1}}, "guardrails names 'clicks'"),
        ({"guardrails": {"converted": -1}}, "a metric other than the primary one"),
        ({"guardrails": {"spend": 0}}, "a number other than 0"),
        ({"guardrails": ["spend"]}, "a mapping of metrics to margins"),
        ({"planned_end": "soon"}, "a day such as"),
        ({"subgroups": ["spend"]}, "no column known before assignment"),
        ({"subgroups": "pre_spend"}, "a list of text is needed"),
    ],
)
def test_mistakes_are_one_sentence(change, message):
    with pytest.raises(ValueError, match=message) as problem:
        read(PLAN | change)
    assert str(problem.value).count(". ") == 0


def test_the_end_needs_the_units_and_the_last_day():
    units = simulated(400).assign(occurred_at=pd.Timestamp("2026-01-30 23:59"))
    plan, dated = read(PLAN, units), read(PLAN | {"planned_end": "2026-01-31"}, units)
    assert experiments.is_over(plan, units) and not experiments.is_over(plan, units.head(399))
    assert not experiments.is_over(dated, units)
    later = units.assign(occurred_at=pd.Timestamp("2026-01-31"))
    assert experiments.is_over(dated, later) and not experiments.is_over(dated, later.head(10))
    with pytest.raises(ValueError, match="needs the column 'occurred_at'"):
        experiments.is_over(dated, simulated(400))


def test_a_changed_plan_puts_a_banner_on_the_page():
    first = read(PLAN)
    second = read(PLAN | {"minimum_effect": 0.01})
    seen = {"n_units": 300, "planned_units": 400, "over": False}
    one = look(None, digest="a", plan=first.sha256, **seen)
    same = look(one.entry, digest="a", plan=first.sha256, **seen)
    changed = look(one.entry, digest="a", plan=second.sha256, **seen)
    assert not same.plan_changed and "the same as at the first look" in say_plan(first, same, n_units=300)
    told = say_plan(second, changed, n_units=300)
    assert changed.plan_changed and "**The plan has changed.** The first look had the plan " in told
    assert "Look 1 (300 of 400 planned units).** Because the planned end is not reached, the headline" in told
    bare = look(None, digest="a", n_units=300, planned_units=0, over=True, plan="")
    told = say_plan(read(None), bare, n_units=300)
    assert told.startswith("No plan was given") and "holds for this one look" in told
