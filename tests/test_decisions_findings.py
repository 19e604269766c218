"""Page 14, findings: each says what its figures bear out, on any data."""

import json
from types import SimpleNamespace as Bag

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from journeybook.decisions import findings as page
from journeybook.decisions.uplift import RANKINGS
from journeybook.findings import strength_of
from journeybook.report.pages import NOTEBOOKS
from journeybook.statistics.fairness import fairness

NONE = pd.DataFrame()


def ends(name: str, value: float, low: float, high: float) -> dict[str, float]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def short(found: page.Finding) -> page.Finding:
    assert max(len(found.text.split()), len(found.action.split())) <= 30 and "nan" not in found.text
    return found


@pytest.mark.parametrize(
    ("interval", "true", "strength"),
    [
        ((1, 3), None, "clear"),
        ((1, 3), 2, "known answer recovered"),
        ((1, 3), 4, "contradicted"),
        ((-1, 3), 2, "cannot be told"),
        ((-1, 3), -2, "contradicted"),
        ((np.nan, np.nan), None, "cannot be told"),
    ],
)
def test_a_known_answer_is_claimed_only_where_it_is_known_and_the_interval_tells(interval, true, strength):
    assert strength_of(*interval, true=true) == strength
    assert strength_of(-1, 3, before=(0.5, 2)) == "suggestive"


@pytest.mark.parametrize(("shift", "strength", "worth"), [(2.0, "clear", 1), (0.0, "cannot be told", 3)])
def test_groups_that_are_not_found_alike(shift, strength, worth):
    rng = np.random.default_rng(2)
    decade, person = np.repeat(["1940s", "1990s"], 900), np.arange(1800)
    likely = expit(-1.5 + rng.normal(size=1800) + shift * (decade == "1940s"))
    came = (rng.random(1800) < likely).astype(int)
    fair = fairness(likely, came, decade, person, selected_share=0.3, min_group_size=20)
    found = short(page.unlike_groups(fair)[0])
    assert (found.strength, found.worth) == (strength, worth)
    assert ("chance" in found.text) == (strength == "cannot be told")
    assert "responders born in the 19" in found.text
    named = fairness(likely, came, np.char.add("v", decade), person, selected_share=0.3, min_group_size=20)
    assert "of group v19" in page.unlike_groups(named)[0].text
    assert page.unlike_groups(Bag(groups=pd.DataFrame())) == []


@pytest.mark.parametrize(
    ("more", "error", "action"),
    [
        (100.0, 80.0, "Keep to the simple rule: nothing shows"),
        (-13.0, 130.0, "Keep to the simple rule: nothing shows"),
        (400.0, 80.0, "Use the model's choice."),
        (-400.0, 80.0, "Use the simple rule."),
    ],
)
def test_a_policy_is_advised_only_where_the_interval_shows_it(monkeypatch, more, error, action):
    monkeypatch.setattr(page, "advantage", lambda *_args, **_asked: (more, error, None))
    found = short(page._beside(Bag(currency="EUR"), page.ANSWERED, 1, None))
    assert found.action.startswith(action) and found.unit == "EUR" and " EUR " in found.text


@pytest.mark.parametrize(("more", "action"), [(300.0, "Release them"), (90.0, "Do not release")])
def test_rules_are_released_only_where_the_interval_shows_a_gain(monkeypatch, more, action):
    monkeypatch.setattr(page, "advantage", lambda *_args, **_asked: (more, 80.0, None))
    deciding = Bag(currency="EUR", costs=pd.DataFrame({"prices": ["0%", "1%"]}))
    told = Bag(deciding=deciding, values=pd.DataFrame({"refused": ["", ""]}), left_out=("vip",))
    (found,) = page._released(told, None)
    assert short(found).action.startswith(action) and "but those that read" in found.text
    assert found.text.startswith("Before the cost of messages, ")
    refused = Bag(deciding=told.deciding, values=pd.DataFrame({"refused": ["few"]}), left_out=())
    assert page._released(refused, None) == page._released(Bag(deciding=None), None) == []


def test_weights_that_do_not_average_1_name_the_usual_mistake():
    why = (
        "the weights average 0.723, not 1: `propensity` must be the chance of the choice that was made, row by row"
    )
    policy = pd.DataFrame({"policy": [page.MODEL], "estimator": "dr", "refused": why})
    policy = policy.assign(prices="as given", gain_per_1000=np.nan)
    costs = pd.DataFrame({"prices": ["as given"]})
    (found,) = page._policy(Bag(why_not="", policy=policy, costs=costs), None)
    assert "propensity must be the chance of the choice that was made" in short(found).text


def test_without_people_left_out_no_effect_is_told():
    untold = page._effect(Bag(why_not="Few."), NONE, decided=False)
    assert short(untold).strength == "cannot be told" and untold.text.startswith("Whether")
    assert page._effect(Bag(why_not="Few."), NONE, decided=True).text.startswith("Whom")
    rows = [ends("qini", 5.8, 1.3, 10.3) | ends("sure_visitors", -107, -169, -44)] * 3
    rankings = pd.DataFrame(rows).assign(ranking=[*RANKINGS, "difference"])
    told = page._effect(Bag(why_not="", rankings=rankings), NONE, decided=True)
    assert short(told).strength == "clear" and "107 fewer who come anyway" in told.text


def test_messages_without_permission_are_counted():
    rows = pd.DataFrame({"channel": ["email", "email", "none", "coupon"]})
    may = {"email": np.array([True, False, False, False]), "coupon": np.zeros(4, dtype=bool)}
    assert page._sends(rows, may)[0].text.startswith("1 of 2 messages")
    assert page._sends(rows, None) == page._sends(rows, {"email": np.ones(4, dtype=bool)}) == []


def test_each_section_is_a_heading_of_the_page():
    cells = json.loads((NOTEBOOKS / "14_decisions.ipynb").read_text(encoding="utf-8"))["cells"]
    headings = {line for cell in cells for line in "".join(cell["source"]).splitlines() if line.startswith("## ")}
    named = (page._SENT, page._WHOM, page._RULED, page._MOVED, page._CHOSEN)
    assert {f"## {name}" for name in named} <= headings
