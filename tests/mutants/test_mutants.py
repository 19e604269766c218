"""Each planted error leaves a failed check on its page, or stops it."""

import importlib
from functools import lru_cache
from pathlib import Path

import ibis
import pandas as pd
import pytest

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
# Checks that noticed an error when the table of them was written, by page and name.
NOTICED = {(row["page"], row["name"]): row["caught"] for row in planted_errors()}
# Page after page on one data set, so that each is run once: first as it is, then with each error.
CASES = [
    pytest.param(n, data, m, id=f"{n}-{m.name if m else 'as_it_is'}-{data}")
    for data in DATA
    for n, of_page in OF_PAGE.items()
    for m in (None, *(m for m in of_page.MUTANTS if data in m.data))
]


def _built(folder: Path, data: str) -> Path:
    """A small demo, or the same rows as files of a user's own, where no truth is planted."""
    demo = folder / "demo" / "tables"
    if not demo.exists():
        demo.mkdir(parents=True)
        build_dataset(demo, **read_parameters(pages=discover(), settings=[f"scale={SCALE}"]).source)
    tables = folder / data / "tables"
    if not tables.exists():
        files = {}
        for path in sorted((demo / "raw").glob("*.parquet")):
            columns = [c for c in ibis.read_parquet(path).columns if c != "row"]
            files[path.stem] = {"path": str(path), "columns": {c: c for c in columns}}
        # Devices that several people share, as the demo has none.
        files["events"]["columns"]["device_id"] = "'d' || (hash(session_id) % 4000)"
        files["contacts"] |= _with_faults(demo / "raw" / "contacts.parquet", folder / "contacts.csv")
        tables.mkdir(parents=True)
        build_dataset(
            tables, dataset="files", seed=20260101, timezone="America/New_York", files=files, base=folder
        )
    return tables


def _with_faults(contacts: Path, path: Path) -> dict:
    """The contacts as a CSV file with what files have: a row of two faults, one left out, a line too long."""
    frame = pd.read_parquet(contacts).drop(columns="row")
    two_faults = frame.iloc[[0]].assign(responded="maybe", propensity=1.5)
    rows = pd.concat([frame, two_faults, frame.iloc[[0]].assign(channel="test")])
    path.write_text(rows.to_csv(index=False) + "a," * 30 + "line too long\n", encoding="utf-8")
    return {"path": str(path), "where": "channel <> 'test'"}


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory):
    """A page run as it is, after those before it, on the tables of this process."""
    folder, ran = tmp_path_factory.mktemp("planted"), set()

    @lru_cache(maxsize=1)
    def run(name: str, data: str) -> tuple[Sound, Path]:
        tables, results = _built(folder, data), folder / data / "results"
        for earlier in PAGES[: PAGES.index(name)]:
            if (earlier, data) not in ran:
                run_page(earlier, tables=tables, results=results, parameters=OF_PAGE[earlier].PARAMETERS)
                ran.add((earlier, data))
        ran.add((name, data))
        about = {"parameters": OF_PAGE[name].PARAMETERS, "mutants": OF_PAGE[name].MUTANTS}
        return run_sound(name, tables=tables, results=results, **about), tables

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("name", "data", "mutant"), CASES)
def test_the_error_is_noticed(
    name: str, data: str, mutant: Mutant | None, tmp_path: Path, record_property, request, sound
):
    """And the page as it is fails no check, nor does it where it is run again with no error.

    What is known to notice the error is asked first. It notices it, or all checks are asked; where the table of
    errors is written, they are in any case.
    """
    page, made = sound(name, data)
    tables = linked(made, tmp_path / "tables")
    if mutant is None:
        again = run_again(page, None, tables=tables)
        assert len(again) == len(page.checks)
        assert noticed_by(page.checks) == noticed_by(again) == []
        return
    known = () if request.config.getoption("--accept") else NOTICED.get((name, mutant.name), {}).get(data, ())
    try:
        if page.knows(mutant):
            checks = run_again(page, mutant, tables=tables, wanted=known)
            if known and not noticed_by(checks):
                checks = run_again(page, mutant, tables=linked(made, tmp_path / "all"))
        else:
            about = {"results": tmp_path / "results", "parameters": OF_PAGE[name].PARAMETERS}
            checks = run_page(name, tables=tables, mutant=mutant, **about)
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
