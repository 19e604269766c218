"""The command line: what it prints, and what it returns."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

import journeybook
from journeybook import checking
from journeybook.cli import main
from journeybook.report import pages, params, running, sending
from journeybook.report.storing import locked


@pytest.fixture
def toy_house(toy_pages, toy_world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A house of its own with toy pages, its params.yaml and its folders; returns it."""
    monkeypatch.setattr(pages, "discover", lambda: toy_pages)
    monkeypatch.setattr(params, "PARAMS", tmp_path / "params.yaml")
    monkeypatch.setattr(
        params.read_parameters, "__kwdefaults__", {"settings": (), "defaults": tmp_path / "params.yaml"}
    )
    monkeypatch.setattr(params.committed_parameters, "__kwdefaults__", {"defaults": tmp_path / "params.yaml"})
    toy_world(monkeypatch)
    monkeypatch.setattr(running, "REPORTS", tmp_path / "reports")
    monkeypatch.setattr(running, "TABLES", tmp_path / "data" / "processed")
    return tmp_path


def test_version(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"journeybook {journeybook.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["rnu"], ["run", "--onyl", "x"], ["run", "--cell-timeout", "0"], ["run", "--par", "x"]]
)
def test_a_command_that_is_none_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: journeybook" in capsys.readouterr().err


def test_a_run_ends_with_the_path_of_the_report(toy_house: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["run", "--only", "01_copy", "--set", "seed=3", "--set", "01_copy.rows=2"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(rf"Report in \d+ s: {toy_house}/reports/index\.html", last)
    assert (toy_house / "data" / "processed" / "accepted" / "transactions.parquet").exists()

    assert main(["data"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("journey_demo, seed 3, scale 1, America/New_York: ")
    assert [line.split()[:4] for line in said[2:]] == [
        ["raw/transactions", "4", "3", "SIMULATED"],
        ["accepted/transactions", "2", "3", "SIMULATED"],
        ["reads/01_copy", "1", "7", "LOG"],
    ]


def test_a_second_run_into_the_same_folder_is_told_in_one_sentence(
    toy_house: Path, capsys: pytest.CaptureFixture
) -> None:
    (toy_house / "reports").mkdir()
    with locked(toy_house / "reports"):
        assert main(["run"]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"journeybook: Another run is writing into \S+: wait for it, or [^.]+\.\n", said)


def test_a_failed_page_is_1_and_a_failed_check_with_strict(toy_house: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["run", "--only", "02_count", "--set", "02_count.least=4", "--strict"]) == 1
    assert "1 check failed; the report shows which." in capsys.readouterr().out
    assert main(["run", "--only", "04_last", "--set", "02_count.least=4", "04_last.trouble=x"]) == 1
    assert "1 page failed; the report shows why." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--set", "sead=1"], "journeybook: --set sead=1: unknown key sead; did you mean seed?"),
        (["run", "--only", "01_cpoy"], "journeybook: --only: unknown page 01_cpoy; did you mean 01_copy?"),
        (["run", "--params", "none.yaml"], "journeybook: The parameters file none.yaml does not exist."),
        (
            ["check", "--set", "scale=2"],
            "journeybook: --set scale=2: scale is 2, but must be above 0 and at most 1.",
        ),
        (["params", "--set", "x"], "journeybook: --set x is not key=value"),
        (["data", "--out", "nowhere"], "journeybook: There are no tables in nowhere/tables"),
        (["compare", "--out", "nowhere", "--accept"], "journeybook: nowhere/results holds no results"),
    ],
)
def test_what_cannot_be_done_is_2_and_one_sentence(
    toy_house: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1
    assert not (toy_house / "reports").exists()


def test_debug_shows_where(toy_house: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["run", "--set", "sead=1", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_defect_of_ours_is_1_without_a_traceback(toy_house: Path, monkeypatch, capsys) -> None:
    def broken(parameters) -> None:
        raise KeyError("x")

    monkeypatch.setattr(checking, "check_lines", broken)
    assert main(["check"]) == 1
    assert capsys.readouterr().err == "journeybook: KeyError: 'x' (--debug shows where)\n"
    with pytest.raises(KeyError):
        main(["check", "--debug"])


def test_params_lists_every_parameter(toy_house: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["params", "--set", "01_copy.rows=5"]) == 0
    said = capsys.readouterr().out
    assert "    rows: 5    (a whole number; the notebook has 3)\n        Rows kept. Range 1 up.\n" in said
    assert "    least: null    (a number or null)\n        Least number of rows.\n" in said
    for key in params.RUN_DEFAULTS:
        assert f"\n{key}: " in "\n" + said


def test_params_write_brings_the_file_in_step(toy_house: Path, capsys: pytest.CaptureFixture) -> None:
    file = toy_house / "params.yaml"
    file.write_text(
        "seed: 5\npages:\n  01_copy: {rows: 9, gone: 1}\n  02_count.events: {table: events}\n", encoding="utf-8"
    )
    assert main(["params", "--write"]) == 0
    text = file.read_text(encoding="utf-8")
    assert "seed: 5\n" in text
    assert "  01_copy:\n    # Rows kept. Range 1 up.\n    rows: 3\n" in text
    assert "  02_count.events: {table: events}\n" in text
    assert "gone" not in text
    assert main(["params", "--write"]) == 0
    assert file.read_text(encoding="utf-8") == text


def test_check_executes_nothing(toy_house: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out.endswith("Parameters and data can be used.\n")
    assert list(toy_house.iterdir()) == []


def test_check_reads_the_user_s_files(toy_house: Path, capsys: pytest.CaptureFixture) -> None:
    (toy_house / "a.csv").write_text("who,when,paid\n1,2024-01-01,2.5\n2,2024-01-02,3.5\n", encoding="utf-8")
    own = toy_house / "own.yaml"
    columns = "{{customer_id: who, occurred_at: when, revenue: {paid}}}"
    text = "dataset: files\nfiles:\n  transactions:\n    path: {path}\n    columns: " + columns + "\n"
    own.write_text(text.format(path="a.csv", paid="paid"), encoding="utf-8")
    assert main(["check", "--params", str(own)]) == 0
    said = capsys.readouterr().out
    assert "02_count                         will run" in said
    assert "03_visits                        not possible: it needs the table events or the table paths" in said
    for path, paid in (("none.csv", "paid"), ("a.csv", "payed"), ("a.csv", "sum(paid)")):
        own.write_text(text.format(path=path, paid=paid), encoding="utf-8")
        assert main(["check", "--params", str(own)]) == 2
        assert capsys.readouterr().err.startswith("journeybook: ")


def test_events_are_all_that_standard_output_gets(toy_house: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["run", "--json", "--set", "02_count.least=4", "04_last.trouble='x'", "--strict"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(datetime.fromisoformat(one["at"]).tzinfo for one in told)
    events = [one["event"] for one in told if one["event"] != "cell"]
    assert events.count("page not run") == 1
    # A page may begin before the one whose tables it reads has ended.
    assert events.count("page started") == 3
    assert [event for event in events if event not in ("page not run", "page started")] == [
        "run started", "data started", "data done", "page done", "page done", "page failed", "run done",
    ]  # fmt: skip
    last = [one for one in told if one.get("page") == "04_last"]
    assert [(one["cell"], one["of"], one["section"]) for one in last if one["event"] == "cell"] == [
        (1, 7, "04 Last"), (2, 7, "04 Last"), (3, 7, "04 Last"), (4, 7, "04 Last"),
    ]  # fmt: skip
    assert (last[-1]["section"], last[-1]["error"]) == ("04 Last", "trouble: x")
    counted = next(one for one in told if one["event"] == "page done" and one["page"] == "02_count")
    assert (counted["checks"], counted["failed_checks"], counted["known_misses"]) == (1, 1, 0)
    assert counted["seconds"] > 0
    assert (told[-1]["exit_code"], told[-1]["failed_pages"], told[-1]["failed_checks"]) == (1, 1, 1)

    assert main(["run", "--json", "--only", "01_cpoy"]) == 2
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["event"], one["exit_code"]) for one in told] == [("run done", 2)]
    assert told[0]["error"].startswith("--only: unknown page 01_cpoy")


def test_events_end_with_one_where_a_run_is_stopped(toy_house: Path, monkeypatch, capsys) -> None:
    def stopped(folder: Path, **options) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "build_dataset", stopped)
    assert main(["run", "--json"]) == 130
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"event": "run done", "exit_code": 130, "error": "stopped"}


def test_what_is_to_be_sent_stands_beside_the_pages(
    toy_house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    reports = toy_house / "reports"
    monkeypatch.setattr(sending, "BROWSERS", ("no-such-browser",))
    assert main(["run", "--single-file", "--pdf"]) == 0
    said = capsys.readouterr().out
    assert f"In one file: {reports / 'report.html'}\n" in said
    assert (
        "No PDF: neither Chromium nor Chrome is installed; any browser prints what --single-file writes.\n" in said
    )
    assert not (reports / "report.pdf").exists()
    assert main(["run", "--set", "seed=8"]) == 0
    assert not (reports / "report.html").exists(), "it was of the report before"
