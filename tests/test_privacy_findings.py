"""Page 10, findings: each says what its figures bear out, on any data."""

import dataclasses
import json
from functools import partial

import numpy as np
import pandas as pd
import pytest

from journeybook import privacy
from journeybook.findings import ordered
from journeybook.privacy import findings as page
from journeybook.report.pages import NOTEBOOKS

EPSILON = 1.0


@pytest.fixture(scope="module")
def made() -> dict:
    rng = np.random.default_rng(4)
    people = pd.DataFrame({"revenue": np.append(rng.exponential(400, size=2000).round(2), 9000.0)})
    grouped = partial(privacy.group_people, segment_names=[], band_edges=[300.0], max_revenue=10_000.0)
    release = partial(privacy.release_figures, epsilon=EPSILON, count_share=0.5)
    known = pd.DataFrame({"person_id": people.index, "shop": rng.integers(0, 900, 2001), "group": "all"})
    asked = {"steps": {"shop": [1, 100, 0]}, "k": 11, "l_diversity": 1, "max_suppressed": 0.05}
    published = privacy.anonymise(known, **asked)
    return {
        "linked": privacy.linkage_attack(known, known, published, steps=asked["steps"], rng=rng),
        "published": published,
        "released": release(people.revenue, grouped(people), rng=rng),
        "audit": privacy.audit_release(
            people, grouped_by=grouped, released_by=release, epsilon=EPSILON, n_draws=1600, rng=rng
        ),
        "attack": privacy.membership_attack(
            people.revenue, epsilons=[0.1, 1.0], max_value=10_000.0, n_draws=20_000, rng=rng
        ),
    }


def found(made: dict, **change) -> list[page.Finding]:
    findings = privacy.find(**(made | change))
    assert all(len(said.split()) <= 30 for f in findings for said in (f.text, f.action))
    return findings


def test_a_kept_promise(made):
    cost, error, linked, bounds, promise = found(made)
    assert "73.1% of the time at most" in cost.text and "fresh noise" in cost.action
    assert error.strength == "known answer recovered" and "knows one thing" in linked.text
    k = made["published"].k
    assert k > 150 and f"where at least {k} share a row" in linked.text and linked.low < linked.value < linked.high
    assert (
        bounds.strength == "contradicted" and "histogram edges 100%; the promise is 52.5% at most" in bounds.text
    )
    assert (promise.strength, promise.worth) == ("clear", 3)
    listed = ordered(found(made))
    assert listed[0] == cost, "what decides comes first"
    assert listed.index(bounds) < listed.index(promise), "the contradicted come before their equals"


def test_a_broken_promise_comes_before_all(made):
    proven = made["audit"].proven.assign(epsilon_low=made["audit"].proven.epsilon + 0.5)
    broken = dataclasses.replace(made["audit"], proven=proven, excess=0.5, coverage=0.5)
    cost, error, *_, promise = findings = found(made, audit=broken)
    assert {f.strength for f in (cost, error, promise)} == {"contradicted"}
    assert ordered(findings)[0] == promise and promise.worth == 1
    weak = found(made, audit=dataclasses.replace(made["audit"], tightness=0.4))[-1]
    assert weak.strength == "cannot be told" and weak.action.startswith("Draw more often")


def test_other_data(made):
    figures = made["released"].figures
    drowned = figures.assign(value_high=figures.value_high + 2 * figures.value + 1)
    cost, error, *_ = found(made, released=dataclasses.replace(made["released"], figures=drowned, epsilon=5.0))
    assert "protects hardly anyone" in cost.action
    assert error.text.startswith("4 of 4 counts and sums drown in the noise that protects them;") and (
        error.value,
        error.unit,
    ) == (4, "figures")
    nobody = dataclasses.replace(made["published"], k=0)
    said = found(made, published=nobody)[2]
    assert "no coarser one hides everybody" in said.text and said.action.startswith("Publish figures with noise")
    assert page.title_linkage(made["linked"], nobody).endswith("no coarser table hides everybody")
    assert page.say_anonymity(made["linked"], nobody, n_people=2001).startswith("No combination of the steps")
    told = page.say_anonymity(made["linked"], made["published"], n_people=2004)
    assert "3 people without a profile" in told and "whole" not in told
    bounds = found(made, attack=made["attack"].assign(edges=0.5, from_data=0.52))[3]
    assert bounds.strength == "cannot be told" and "no clearer than the" in bounds.text


def test_each_section_is_a_heading_of_the_page():
    cells = json.loads((NOTEBOOKS / "10_privacy.ipynb").read_text(encoding="utf-8"))["cells"]
    lines = {line for cell in cells for line in "".join(cell["source"]).splitlines()}
    assert {f"## {name}" for name in (page._ALONE, page._PUBLISHED, page._HOLDS, page._PITFALL)} <= lines
