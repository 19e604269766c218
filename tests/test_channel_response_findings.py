"""Page 07, findings: each says what its figures bear out, on any data."""

import json
from types import SimpleNamespace as Bag

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from journeybook.channel_response import findings as page
from journeybook.channel_response.fairness import fairness
from journeybook.channel_response.uplift import RANKINGS
from journeybook.report.pages import NOTEBOOKS


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
    assert page._strength(*interval, true=true) == strength
    assert page._strength(-1, 3, before=(0.5, 2)) == "suggestive"


@pytest.mark.parametrize(("shift", "strength", "worth"), [(2.0, "clear", 1), (0.0, "cannot be told", 3)])
def test_groups_that_are_not_found_alike(shift, strength, worth):
    rng = np.random.default_rng(2)
    decade, person = np.repeat(["1940", "1990"], 900), np.arange(1800)
    likely = expit(-1.5 + rng.normal(size=1800) + shift * (decade == "1940"))
    came = (rng.random(1800) < likely).astype(int)
    fair = fairness(likely, came, decade, person, selected_share=0.3, min_group_size=20)
    found = short(page._groups(fair, by_decade=True)[0])
    assert (found.strength, found.worth) == (strength, worth)
    assert ("chance" in found.text) == (strength == "cannot be told")
    assert (
        "responders born in the 19" in found.text and "of group 19" in page._groups(fair, by_decade=False)[0].text
    )
    assert page._groups(None, by_decade=True) == []


def study(*, before: float, off: dict, top: tuple = (0.41, 0.38, 0.44), calibrated: bool = True) -> Bag:
    gain = pd.DataFrame(
        [{"method": "x", "resampling": "none", "contacted_share": 4 / 20, **ends("found_share", *top)}]
    )
    row = {True: off | {"ece_floor": 0.006}, False: {"ece": before}}
    chosen = Bag(method="x", resampling="none", is_calibrated=calibrated)
    return Bag(gain=gain, chosen=chosen, row=lambda *, calibrated: row[calibrated])


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
    assert short(page._beside(Bag(), page.ANSWERED, 1, None)).action.startswith(action)


def test_calibration_that_made_it_worse_is_a_contradiction():
    off = ends("ece", 0.03, 0.01, 0.05)
    worse, better, unused = (
        short(page._probabilities(study(before=before, off=off, calibrated=calibrated)))
        for before, calibrated in ((0.02, True), (0.3, True), (0.02, False))
    )
    assert (worse.strength, worse.worth) == ("contradicted", 2) and "did not help" in worse.text
    assert better.strength == unused.strength == "clear"
    within = page._probabilities(study(before=0.3, off=ends("ece", 0.009, 0.0, 0.02)))
    assert (within.strength, within.worth) == ("cannot be told", 3)


def test_a_ranking_is_held_against_a_random_one():
    good, bad = (
        short(page._ranking(study(before=0, off={}, top=top))) for top in ((0.41, 0.38, 0.44), (0.16, 0.07, 0.21))
    )
    assert good.strength == "clear" and "41.0%" in good.text and "chance" not in good.text
    assert bad.strength == "cannot be told" and "may be chance" in bad.text and bad.action.startswith("Do not")


def test_an_hour_is_named_only_beyond_chance_and_beside_what_was_planted():
    peak = {"person_type": "x", "kind": "hours", "window": "16:00-19:00", **ends("lift", 1.18, 1.1, 1.25)}
    level = {"cells": [1], "level": 0.95}
    windows = Bag(peaks=pd.DataFrame([peak | {"lift_low": 0.9}, peak]), **level)
    assert short(page._hours(windows, None)).strength == "clear"
    near = Bag(peaks=pd.DataFrame([peak | {"lift_low": 1.01}] * 6), **level)
    assert page._hours(near, None).strength == "suggestive", "six were tried"
    none = Bag(peaks=pd.DataFrame([peak | {"lift_low": 0.99}]), **level)
    assert page._hours(none, None).strength == "cannot be told" and "16:00" not in page._hours(none, None).text
    untimed = page._hours(Bag(peaks=pd.DataFrame(), **level), None)
    assert short(untimed).text.startswith("When people answer best cannot be told")
    peaks = pd.DataFrame({"inside": [False, True], "among": [True, True]})
    held, missed = (Bag(peaks=peaks, kinds=pd.DataFrame({"inside_share": [s]})) for s in (0.96, 0.86))
    assert page._hours(windows, held).strength == "known answer recovered"
    found = short(page._hours(windows, missed))
    assert found.strength == "contradicted" and "86.0%, not 95.0%" in found.text


def test_without_people_left_out_no_effect_is_told():
    untold = page._effect(Bag(why_not="Few."), Bag(why_not="Nobody was left out."), None, None, None)
    assert short(untold).strength == "cannot be told" and untold.text.startswith("Whether")
    assert page._effect(Bag(why_not="Few."), Bag(why_not=""), None, None, None).text.startswith("Whom")
    rows = [ends("qini", 5.8, 1.3, 10.3) | ends("sure_visitors", -107, -169, -44)] * 3
    rankings = pd.DataFrame(rows).assign(ranking=[*RANKINGS, "difference"])
    told = page._effect(Bag(why_not="", rankings=rankings), None, None, None, None)
    assert short(told).strength == "clear" and "107 fewer who come anyway" in told.text


def test_messages_without_permission_are_counted():
    rows = Bag(rows=pd.DataFrame({"channel": ["email", "email", "none", "coupon"]}))
    may = {"email": np.array([True, False, False, False]), "coupon": np.zeros(4, dtype=bool)}
    assert page._sends(rows, may)[0].text.startswith("1 of 2 messages")
    assert page._sends(rows, None) == page._sends(rows, {"email": np.ones(4, dtype=bool)}) == []


def test_each_section_is_a_heading_of_the_page():
    cells = json.loads((NOTEBOOKS / "07_channel_response.ipynb").read_text(encoding="utf-8"))["cells"]
    headings = {line for cell in cells for line in "".join(cell["source"]).splitlines() if line.startswith("## ")}
    named = (page._TRUST, page._RANKING, page._WHEN, page._WHOM, page._MOVED, page._CHOSEN)
    assert {f"## {name}" for name in named} <= headings
