"""Page 07, findings: each says what its figures bear out, on any data."""

import json
from types import SimpleNamespace as Bag

import pandas as pd

from journeybook.channel_response import findings as page
from journeybook.report.pages import NOTEBOOKS


def ends(name: str, value: float, low: float, high: float) -> dict[str, float]:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def short(found: page.Finding) -> page.Finding:
    assert max(len(found.text.split()), len(found.action.split())) <= 30 and "nan" not in found.text
    return found


def study(*, before: float, off: dict, top: tuple = (0.41, 0.38, 0.44), calibrated: bool = True) -> Bag:
    gain = pd.DataFrame(
        [{"method": "x", "resampling": "none", "contacted_share": 4 / 20, **ends("found_share", *top)}]
    )
    row = {True: off | {"ece_floor": 0.006}, False: {"ece": before}}
    chosen = Bag(method="x", resampling="none", is_calibrated=calibrated)
    return Bag(gain_at=lambda _share: gain.iloc[0], chosen=chosen, row=lambda *, calibrated: row[calibrated])


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
    assert found.strength == "contradicted" and "95% intervals of hours hold the truth in only 86.0%" in found.text


def test_each_section_is_a_heading_of_the_page():
    cells = json.loads((NOTEBOOKS / "07_channel_response.ipynb").read_text(encoding="utf-8"))["cells"]
    headings = {line for cell in cells for line in "".join(cell["source"]).splitlines() if line.startswith("## ")}
    named = (page._TRUST, page._RANKING, page._WHEN)
    assert {f"## {name}" for name in named} <= headings
