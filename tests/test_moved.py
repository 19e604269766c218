"""What `compare OLD NEW` says: findings beyond their intervals, parameters and data that changed."""

import json
from dataclasses import replace

import pytest

from journeybook.cli import main
from journeybook.errors import JourneybookError
from journeybook.findings import Finding
from journeybook.report.moved import say_moved

SALES = Finding(
    text="Treatment raises sales by 5.6 points.", action="Ship.", strength="clear", worth=2, section="Effect",
    value=5.6, low=4.4, high=6.8, unit="points",
)  # fmt: skip
COUNTED = replace(SALES, text="3 rows were lost.", section="Rows", value=3.0, low=None, high=None, unit="rows")


def report(folder, findings, *, rows=10, sha="a", **parameters):
    (folder / "results").mkdir(parents=True)
    results = {"findings": [vars(f) for f in findings], "parameters": parameters}
    results["inputs"] = {"features": {"rows": rows, "sha256": sha}}
    (folder / "results" / "05_segmentation.json").write_text(json.dumps(results), encoding="utf-8")
    return folder


def moved(tmp_path, new, **changed) -> list[str]:
    old = report(tmp_path / "old", [SALES, COUNTED], seed=1)
    said = say_moved(old, report(tmp_path / "new", new, **({"seed": 1} | changed)))
    return [line[2:] for line in said.splitlines() if line.startswith("* ") and line != "* Nothing moved."]


def test_a_figure_within_its_old_interval_did_not_move(tmp_path):
    assert (
        moved(tmp_path, [replace(SALES, text="Treatment raises sales by 6.7 points.", value=6.7), COUNTED]) == []
    )


def test_a_figure_beyond_its_old_interval_moved(tmp_path):
    now = replace(SALES, text="Treatment raises sales by 7.1 points.", value=7.1)
    assert moved(tmp_path, [now, replace(COUNTED, text="4 rows were lost.", value=4.0)]) == [
        "05_segmentation: Treatment raises sales by 7.1 points. It was: Treatment raises sales by 5.6 points.",
        "05_segmentation: 4 rows were lost. It was: 3 rows were lost.",
    ]


def test_another_strength_a_new_finding_and_one_that_is_gone_are_said(tmp_path):
    other = replace(SALES, text="Nobody buys on Mondays at all.", section="Days")
    assert moved(tmp_path, [replace(SALES, strength="suggestive"), other]) == [
        f"05_segmentation: {SALES.text} Now suggestive, was clear: {SALES.text}",
        "05_segmentation, new: Nobody buys on Mondays at all. (clear)",
        "05_segmentation, gone: 3 rows were lost. (clear)",
    ]


def test_parameters_and_data_that_changed_are_said(tmp_path):
    assert moved(tmp_path, [SALES, COUNTED], seed=2, rows=1_200) == [
        "05_segmentation, seed: 1, now 2",
        "05_segmentation, features: 10 rows, now 1,200 rows",
    ]


def test_other_rows_of_the_same_number_are_other_data(tmp_path):
    assert moved(tmp_path, [SALES, COUNTED], sha="b") == ["05_segmentation, features: 10 rows, now others as many"]


def test_the_command_line_compares_two_reports(tmp_path, capsys):
    old, new = report(tmp_path / "old", [SALES]), report(tmp_path / "new", [SALES])
    assert main(["compare", str(old), str(new)]) == 0
    assert capsys.readouterr().out.startswith("## Findings\n\n* Nothing moved.")
    assert main(["compare", str(old)]) == 2
    with pytest.raises(JourneybookError, match="nowhere/results holds no results"):
        say_moved(tmp_path / "nowhere", new)


def test_code_and_parameters_that_come_or_go_are_said(tmp_path):
    old, new = report(tmp_path / "old", [SALES], spending="pocock"), report(tmp_path / "new", [SALES])
    for folder, code in ((old, "a1"), (new, "b2")):
        (folder / "manifest.json").write_text(json.dumps({"journeybook": "1.0", "code": code}), encoding="utf-8")
    said = say_moved(old, new)
    assert "* 05_segmentation, spending: pocock, now not there" in said
    assert "* journeybook 1.0 (package and notebooks a1), now 1.0 (package and notebooks b2)" in said
