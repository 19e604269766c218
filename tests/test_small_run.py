"""Every page on a small journey_demo, through the real runner: what holds of all of them."""

import html
import re
import shutil

import ibis
import pandas as pd
import pytest
from conftest import small_settings
from mutants.planted import run_page

from journeybook import results as results_module
from journeybook.checking import features_by_name
from journeybook.report import running
from journeybook.report.pages import discover
from journeybook.report.params import read_parameters
from journeybook.tables import run as run_module

RUNS = [run.name for run in read_parameters(pages=discover()).pages]
IDS = {"person_id", "customer_id", "record_id", "contact_id", "unit_id", "session_id", "basket_id"}
IDENTIFIER = re.compile(r"[\w.+-]+@example\.(com|org|net)|\(?\b555\)?[- ]?01\d\d\b", re.IGNORECASE)


@pytest.mark.parametrize("name", RUNS)
def test_page_is_done(small_run, name: str) -> None:
    outcome = {page.name: page for page in small_run.outcome.pages}[name]
    assert (outcome.status, outcome.reason) == ("done", "")


def test_check_knows_every_feature_by_name_before_page_04_makes_it(small_run) -> None:
    engine, folder = ibis.duckdb.connect(), small_run.out / "tables"
    raw = {path.stem: engine.read_parquet(path) for path in sorted((folder / "raw").glob("*.parquet"))}
    told = features_by_name({"n_groups": 6}, raw).columns
    made = engine.read_parquet(folder / "features.parquet").columns
    assert [name for name in made if name not in told] == []
    assert all(name.startswith("share_") for name in set(told) - set(made)), "of other groups"


@pytest.mark.parametrize("name", RUNS)
def test_checks_pass_and_say_what_they_compare(small_run, name: str) -> None:
    checks = small_run.results(name)["checks"]
    assert checks, "a page checks itself"
    assert [c["name"] for c in checks if not c["passed"] and c["kind"] != "known_miss"] == []
    for check in checks:
        assert check["source"]
        assert check["value"] is not None
        assert check["reference"] is not None


@pytest.mark.parametrize("name", RUNS)
def test_results_are_as_every_results_file(small_run, name: str) -> None:
    results = small_run.results(name)
    assert results["page"] == name
    assert results["dataset"] == "journey_demo"
    assert results["provenance"] in {"REAL", "SIMULATED", "MIXED"}
    assert results["metrics"]
    assert all(isinstance(v, int | float | None) for v in results["metrics"].values())
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", key) for key in results["metrics"])
    assert results["inputs"]
    assert all(about["rows"] >= 0 and len(about["sha256"]) == 64 for about in results["inputs"].values())


def sentences(text: str) -> str:
    """What a page says outside its code and its tables."""
    for hidden in (
        r"<style.*?</style>",
        r"<script.*?</script>",
        r"<details class=\"code( idle)?\">.*?</details>",
        r"<table.*?</table>",
    ):
        text = re.sub(hidden, " ", text, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", "", text))


@pytest.mark.parametrize("name", RUNS)
def test_page_says_something_and_draws(small_run, name: str) -> None:
    text = (small_run.out / f"{name}.html").read_text(encoding="utf-8")
    said = sentences(text)
    assert "In short" in said
    assert "Filled in when the page has run" not in said
    assert not re.search(r"\b(nan|NaN|inf|None)\b", said)
    assert text.count("<img") >= 1
    log = (small_run.out / "run.log").read_text(encoding="utf-8")
    # What a library will drop one day it says or not, as its threads go.
    assert not re.search(rf" {re.escape(name)}: .*: warned: (?!\w*(Deprecation|Pandas4)Warning)", log), (
        "a page warns"
    )


def test_no_identifier_leaves_the_tables(small_run) -> None:
    for path in [small_run.out / "run.log", *small_run.out.glob("results/*.json"), *small_run.out.glob("*.html")]:
        text = re.sub(r"base64,[^\"]*", "", path.read_text(encoding="utf-8"))
        assert not IDENTIFIER.search(text), path.name


def test_no_page_shows_a_row_of_a_single_person(small_run) -> None:
    """Pseudonyms are in no page and no results; no table shown has a column that names a row."""
    ids = set(pd.read_parquet(small_run.out / "tables" / "features.parquet").person_id)
    for path in [*small_run.out.glob("results/*.json"), *small_run.out.glob("*.html")]:
        text = re.sub(r"base64,[^\"]*", "", path.read_text(encoding="utf-8"))
        assert not ids & set(re.findall(r"\b[0-9a-f]{24}\b", text)), path.name
        heads = re.findall(r"<thead>.*?</thead>", text, flags=re.DOTALL)
        columns = set(re.findall(r"<th[^>]*>\s*([^<]*?)\s*</th>", " ".join(heads)))
        assert not columns & {"row", "person", "occurred_at", *IDS}, path.name


def test_what_is_not_private_says_so_wherever_it_goes(small_run) -> None:
    assert small_run.results("10_privacy")["warning"] == "NOT PRIVATE"
    assert {row["privacy"] for row in small_run.results("10_privacy")["tables"]["private_releases"]} == {
        "NOT PRIVATE"
    }
    released = pd.read_parquet(small_run.out / "tables" / "private_releases.parquet")
    assert set(released.privacy) == {"NOT PRIVATE"}
    index = (small_run.out / "index.html").read_text(encoding="utf-8")
    card = index[index.index('id="10_privacy"') :]
    assert "NOT PRIVATE" in card[: card.index("</li>")]


def test_tables_are_for_their_owner_only(small_run) -> None:
    for path in (small_run.out / "tables").rglob("*.parquet"):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.slow
def test_page_05_by_hand_with_other_groups_changes_nothing_of_the_run(small_run, tmp_path, monkeypatch) -> None:
    tables = shutil.copytree(small_run.outcome.tables, tmp_path / "data" / "processed")
    before = {p: p.read_bytes() for p in sorted(tables.rglob("*")) if p.is_file()}
    for module in (run_module, results_module):
        monkeypatch.setattr(module, "root", lambda: tmp_path)
    values = {"tables": None, "results": None, "n_segments": 5}
    run_page("05_segmentation", tables=tables, results=tmp_path, parameters=values)
    assert {p: p.read_bytes() for p in sorted(tables.rglob("*")) if p.is_file()} == before
    assert len(list((tmp_path / "data" / "manual").glob("*/segments.parquet"))) == 1
    assert (tmp_path / "reports" / "manual" / "05_segmentation.json").is_file()


@pytest.mark.slow
def test_one_page_at_a_time_in_another_folder_gives_the_same_bytes(small_run, tmp_path, monkeypatch) -> None:
    """Results and executed notebooks, figures among them, whichever pages ran side by side."""
    monkeypatch.setattr(running, "side_by_side", lambda: 1)
    parameters = read_parameters(pages=discover(), settings=small_settings())
    running.run_report(parameters, out=tmp_path / "elsewhere")
    for folder in ("results", "executed"):
        first = {p.name: p.read_bytes() for p in (small_run.out / folder).iterdir()}
        second = {p.name: p.read_bytes() for p in (tmp_path / "elsewhere" / folder).iterdir()}
        assert sorted(first) == sorted(second)
        assert [name for name in first if first[name] != second[name]] == []
