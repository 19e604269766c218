"""Findings: numbers in words, rules of strength, and what the first page shows of many."""

from dataclasses import replace

import pytest

from journeybook.findings import STRENGTHS, Finding, ordered, say_in_short, say_size
from journeybook.report.front import make_front, tell
from journeybook.report.outcomes import PageOutcome

ONE = Finding(text="Sales fell.", action="Look why.", strength="clear", worth=2, section="Sales")


def test_a_finding_names_a_strength_and_a_worth_with_a_rule():
    with pytest.raises(ValueError, match="strength is 'sure'"):
        replace(ONE, strength="sure")
    with pytest.raises(ValueError, match="worth is 9"):
        replace(ONE, worth=9)
    with pytest.raises(ValueError, match="an interval needs both"):
        replace(ONE, low=1.0)


def test_five_are_kept_worth_most_first_and_the_contradicted_before_their_equals():
    many = [replace(ONE, text=str(n), worth=3) for n in range(6)]
    against = replace(ONE, text="against", worth=3, strength="contradicted")
    assert [f.text for f in ordered([*many, against, replace(ONE, text="now", worth=1)])] == [
        "now",
        "against",
        "0",
        "1",
        "2",
    ]
    assert say_in_short([ONE]) == "**In short**\n\n* **Sales fell.** Look why. *(clear)*"
    assert "Nothing was found" in say_in_short([])


def test_a_size_is_said_in_its_unit():
    assert say_size(replace(ONE, value=0.5, low=0.4, high=0.6, unit="share")) == "50.0% (40.0% to 60.0%)"
    assert say_size(replace(ONE, value=12.0, unit="people")) == "12 people"
    assert say_size(replace(ONE, value=-617.6, low=-900.0, high=-300.0, unit="money")) == "-618 (-900 to -300)"
    assert say_size(replace(ONE, value=-617.6, low=-900.0, high=30.0, unit="USD")) == "-618 USD (-900 to 30)"
    assert say_size(replace(ONE, value=617.6, low=None, high=None, unit="EUR")) == "618 EUR"
    assert say_size(ONE) == ""


def test_the_first_page_takes_every_page_s_first_before_any_second():
    pages = [PageOutcome(name, name, "", "done") for name in ("01_a", "02_b", "03_c")]
    findings = {
        "01_a": [replace(ONE, text=f"a{n}") for n in range(3)],
        "02_b": [replace(ONE, text="b", worth=1), replace(ONE, text="hm", strength="suggestive", worth=1)],
        "03_c": [replace(ONE, text="c", strength="contradicted"), replace(ONE, text="d", worth=3)],
    }
    results = {name: {"findings": [vars(f) for f in found]} for name, found in findings.items()}
    front = make_front(pages, {page.name: tell(page, results[page.name], pictures={}) for page in pages})
    assert [one.finding.text for one in front.do_now] == ["b", "a0", "a1"]
    assert [one.finding.text for one in front.do_not] == ["c"]
    assert front.do_not[0].address == "03_c.html#sales"
    assert [(finding.text, variants) for _, finding, variants in front.strip] == [("a0", []), ("b", []), ("c", [])]
    assert set(STRENGTHS) >= {one.finding.strength for one in front.do_now}
