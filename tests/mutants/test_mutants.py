"""Each planted error leaves a failed check on its page, or stops it."""

import fcntl
import importlib
import json
import os
from functools import lru_cache
from pathlib import Path

import ibis
import pandas as pd
import pytest
import yaml

from journeybook.datasets import build_dataset
from journeybook.errors import JourneybookError
from journeybook.report.pages import discover
from journeybook.report.params import read_parameters
from journeybook.report.trust import planted_errors
from mutants.planted import Mutant, Sound, linked, noticed_by, run_again, run_page, run_sound

SCALE = 0.2
DATA = ("demo", "files")
PAGES = [page.name for page in discover()]
OF_PAGE = {
    n: importlib.import_module(f"mutants.page_{n}")
    for n in PAGES
    if Path(__file__).with_name(f"page_{n}.py").exists()
}
CASES = [
    (n, data, m) for n, of_page in OF_PAGE.items() for data in DATA for m in of_page.MUTANTS if data in m.data
]


def _build(folder: Path) -> None:
    """A small demo, and the same rows as files of a user's own, where no truth is planted; every page run."""
    demo = read_parameters(pages=discover(), settings=[f"scale={SCALE}"])
    files = {}
    for data in DATA:
        if data == "files":
            mine = {"dataset": "files", "timezone": "America/New_York", "files": files}
            (folder / "mine.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
            demo = read_parameters(folder / "mine.yaml", pages=discover())
        tables = folder / data / "tables"
        tables.mkdir(parents=True)
        build_dataset(tables, **demo.source)
        for path in sorted((tables / "raw").glob("*.parquet")):
            columns = [c for c in ibis.read_parquet(path).columns if c != "row"]
            files[path.stem] = {"path": str(path), "columns": {c: c for c in columns}}
        files["contacts"] |= _with_faults(tables / "raw" / "contacts.parquet", folder / "contacts.csv")
        failed = {}
        for name in PAGES:
            values = OF_PAGE[name].PARAMETERS if name in OF_PAGE else {}
            checks = run_page(name, tables=tables, results=folder / data / "results", parameters=values)
            failed[name] = noticed_by(checks)
        (folder / data / "failed.json").write_text(json.dumps(failed), encoding="utf-8")


def _with_faults(contacts: Path, path: Path) -> dict:
    """The contacts as a CSV file with what files have: a row of two faults, one left out, a line too long."""
    frame = pd.read_parquet(contacts).drop(columns="row")
    two_faults = frame.iloc[[0]].assign(responded="maybe", propensity=1.5)
    rows = pd.concat([frame, two_faults, frame.iloc[[0]].assign(channel="test")])
    path.write_text(rows.to_csv(index=False) + "a," * 30 + "line too long\n", encoding="utf-8")
    return {"path": str(path), "where": "channel <> 'test'"}


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """Folder of both runs, built by whichever process comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "planted"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "files" / "failed.json").exists():
            _build(folder)
    return folder


@pytest.fixture(scope="session")
def sound(runs: Path, tmp_path_factory: pytest.TempPathFactory):
    """The sound page, run once a process for the mutants that follow each other on one page and data set."""

    @lru_cache(maxsize=1)
    def ran(name: str, data: str) -> Sound:
        folder = tmp_path_factory.mktemp("sound")
        tables = linked(runs / data / "tables", folder / "tables")
        about = {"parameters": OF_PAGE[name].PARAMETERS, "mutants": OF_PAGE[name].MUTANTS}
        found = run_sound(name, tables=tables, results=folder / "results", **about)
        # What the sound page shows when it is run again from the same place is no error that was planted.
        earliest = min(found.first, key=lambda target: found.first[target])
        as_it_is = Mutant("as_it_is", "Nothing.", earliest, lambda called: called)
        assert noticed_by(run_again(found, as_it_is, tables=linked(tables, folder / "again"))) == []
        return found

    return ran


@pytest.mark.slow
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", PAGES)
def test_the_sound_page_fails_no_check(name: str, data: str, runs: Path) -> None:
    assert json.loads((runs / data / "failed.json").read_text(encoding="utf-8"))[name] == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "data", "mutant"), CASES, ids=[f"{n}-{m.name}-{d}" for n, d, m in CASES])
def test_the_error_is_noticed(
    name: str, data: str, mutant: Mutant, runs: Path, tmp_path: Path, record_property, sound
):
    tables = linked(runs / data / "tables", tmp_path / "tables")
    about_sound = sound(name, data)
    try:
        if mutant.target in about_sound.first and not mutant.parameters:
            checks = run_again(about_sound, mutant, tables=tables)
        else:
            values = {"results": tmp_path / "results", "parameters": OF_PAGE[name].PARAMETERS}
            checks = run_page(name, tables=tables, mutant=mutant, **values)
        caught = noticed_by(checks)
    except JourneybookError as error:
        caught = [f"the page stops: {error}"]
    about = {"page": name, "name": mutant.name, "error": mutant.error}
    record_property("planted", about | {"caught": {data: caught}})
    assert caught, mutant.error


@pytest.mark.parametrize("name", PAGES)
def test_six_errors_a_page_four_without_truth(name: str) -> None:
    mutants = OF_PAGE[name].MUTANTS
    assert len(mutants) >= 6
    assert sum("demo" in m.data for m in mutants) >= 6
    assert sum("files" in m.data for m in mutants) >= 4 / 6 * len(mutants)
    assert len({m.name for m in mutants}) == len(mutants)


def test_the_table_in_the_report_is_of_these_errors(request) -> None:
    if request.config.getoption("--accept"):
        pytest.skip("the table is written when the tests have run")
    told = [(row["page"], row["name"], row["error"], [*row["caught"]]) for row in planted_errors()]
    there = [(n, m.name, m.error, sorted(m.data)) for n in OF_PAGE for m in OF_PAGE[n].MUTANTS]
    assert told == sorted(there)
    assert len(told) >= 60
    assert all(caught for row in planted_errors() for caught in row["caught"].values())
