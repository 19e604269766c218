"""What a page opens and collects."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from journeybook.errors import JourneybookError
from journeybook.page import Page, open_page
from journeybook.results import check, checks_of


def made(name: str, value: float, **more: object) -> pd.DataFrame:
    return pd.DataFrame([{"name": name, "value": value, "reference": 1.0, "source": "here", **more}])


@pytest.mark.parametrize(
    ("rule", "value", "passed"),
    [("within", 1.2, False), ("within", 1.1, True), ("at least", 0.9, False), ("at most", 0.9, True)],
)
def test_rows_become_checks_by_their_rule(rule, value, passed):
    (found,) = checks_of(made("a", value, rule=rule, tolerance=0.15, kind="constant"))
    assert (found.passed, found.rule, found.kind) == (passed, rule, "constant")


def test_a_rule_or_a_name_that_cannot_be_is_refused():
    with pytest.raises(JourneybookError, match="'a' has the rule 'near'"):
        checks_of(made("a", 1, rule="near"))
    with pytest.raises(JourneybookError, match="two checks are named 'a'"):
        checks_of(pd.concat([made("a", 1, tolerance=0), made("a", 2, tolerance=0)]))


def test_a_cell_run_twice_adds_nothing_twice():
    page = Page(name="05_segmentation", run=None, parameters={})
    for value in (1.0, 3.0):
        page.hold(made("a", value, tolerance=0.5), check("b", 2, reference=2, tolerance=0, source="here"))
    assert [(c.name, c.passed) for c in page.checks.values()] == [("a", False), ("b", True)]


def test_no_figure_is_drawn_where_there_is_none(capsys):
    Page(name="05_segmentation", run=None, parameters={}).draw(None)
    assert capsys.readouterr().out == ""


def test_the_parameters_are_those_of_the_cell():
    with pytest.raises(JourneybookError, match="parameter 'new_days' has no value"):
        open_page({"page_name": "05_segmentation", "tables": None, "results": None})


def test_a_page_that_read_nothing_shows_what_it_simulated_and_no_empty_table(tmp_path):
    run = SimpleNamespace(dataset="journey_demo", has_ledger=False)
    page = Page(name="12_experiment_design", run=run, parameters={}, _results=tmp_path)
    assert page.data_is == "SIMULATED"
    assert page.keep(a=pd.DataFrame({"n": [1]}), b=pd.DataFrame(columns=["n"])) is None
    assert len(page.keep(a=pd.DataFrame({"n": [1]}))) == 1
    page.save([])
    saved = json.loads((tmp_path / "12_experiment_design.json").read_text(encoding="utf-8"))
    assert (saved["provenance"], saved["inputs"], saved["tables"]["b"]) == ("SIMULATED", {}, [])
