"""The results of a run against the accepted ones."""

import copy
import json
from pathlib import Path

import pytest

from journeybook.errors import JourneybookError
from journeybook.report.comparing import WHOLE_TABLE, accept, compare

RESULTS = {
    "page": "05_segmentation",
    "dataset": "journey_demo",
    "parameters": {"max_segments": 8},
    "metrics": {"n_segments": 4, "silhouette": 0.25, "lost": None},
    "tables": {"segments": [{"segment": "a", "share": 0.5}], "long": [{"x": 1.0}] * (WHOLE_TABLE + 1)},
    "checks": [{"name": "stable", "passed": True, "value": 0.9, "reference": [0.8, 1.0], "tolerance": 0.0}],
    "inputs": {"features": {"rows": 10, "sha256": "ab"}},
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of results, and the accepted ones made from it."""
    results, baseline = tmp_path / "results", tmp_path / "baseline"
    results.mkdir()
    write(results, RESULTS)
    accept(results, baseline=baseline)
    return results, baseline


def write(folder: Path, results: dict) -> None:
    (folder / f"{results['page']}.json").write_text(json.dumps(results), encoding="utf-8")


def changed(path: str, value: object) -> dict:
    """The results with one value changed."""
    results = copy.deepcopy(RESULTS)
    *way, last = path.split(".")
    place: dict = results
    for key in way:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[last] = value
    return results


def test_accepted_results_agree_with_themselves(folders) -> None:
    results, baseline = folders
    assert compare(results, baseline=baseline) == []


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("metrics.silhouette", 0.2500005, "metrics.silhouette"),
        ("metrics.silhouette", 0.0, "metrics.silhouette"),
        ("metrics.n_segments", 5, "metrics.n_segments"),
        ("metrics.lost", 1.0, "metrics.lost"),
        ("metrics.new", 1.0, "metrics.new"),
        ("parameters.max_segments", 9, "parameters.max_segments"),
        ("tables.segments.0.share", 0.51, "tables.segments.0.share"),
        ("tables.long", [{"x": 1.0}] * (WHOLE_TABLE + 2), "tables.long.rows"),
        ("checks.0.passed", False, "checks.stable.passed"),
        ("inputs.features.rows", 11, "inputs.features.rows"),
    ],
)
def test_a_difference_is_named(folders, path: str, value: object, key: str) -> None:
    results, baseline = folders
    write(results, changed(path, value))
    (found,) = compare(results, baseline=baseline)
    assert found.startswith(f"05_segmentation: {key} is ")


@pytest.mark.parametrize(("path", "value"), [("metrics.silhouette", 0.2500002), ("inputs.features.sha256", "cd")])
def test_what_may_differ(folders, path: str, value: object) -> None:
    results, baseline = folders
    write(results, changed(path, value))
    assert compare(results, baseline=baseline) == []


def test_an_exception_widens_one_figure_only(folders) -> None:
    results, baseline = folders
    (baseline / "tolerances.json").write_text('{"05_segmentation": {"metrics.silh*": 0.01}}', encoding="utf-8")
    write(results, changed("metrics.silhouette", 0.252))
    assert compare(results, baseline=baseline) == []
    write(results, changed("metrics.n_segments", 4.01))
    assert compare(results, baseline=baseline) == [
        "05_segmentation: metrics.n_segments is 4.01, accepted 4 (relative tolerance 1e-06)"
    ]


def test_a_page_too_few_or_too_many_is_one_difference(folders) -> None:
    results, baseline = folders
    write(results, {**RESULTS, "page": "06_more"})
    assert compare(results, baseline=baseline) == ["06_more: no results are accepted yet"]
    (results / "06_more.json").unlink()
    (results / "05_segmentation.json").unlink()
    assert compare(results, baseline=baseline) == ["05_segmentation: no results in this run"]


def test_accepting_some_pages_keeps_the_others(folders) -> None:
    results, baseline = folders
    write(results, {**RESULTS, "page": "06_more"})
    (results / "05_segmentation.json").unlink()
    assert [path.name for path in accept(results, baseline=baseline)] == ["06_more.json"]
    assert sorted(path.name for path in baseline.iterdir()) == ["05_segmentation.json", "06_more.json"]


def test_nothing_to_compare_is_said(tmp_path: Path) -> None:
    with pytest.raises(JourneybookError, match="holds no accepted result"):
        compare(tmp_path, baseline=tmp_path)
    with pytest.raises(JourneybookError, match="holds no results"):
        accept(tmp_path, baseline=tmp_path)
