"""A run of toy pages through the real runner: order, failures, what is kept, what is never left behind."""

import io
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from journeybook.datasets import build_dataset
from journeybook.errors import JourneybookError
from journeybook.report import kernel, running
from journeybook.report.kernel import Execution, execute
from journeybook.report.kernels import Kernels
from journeybook.report.outcomes import exit_code
from journeybook.report.params import read_parameters
from journeybook.report.progress import Progress
from journeybook.report.storing import locked, traceback_of
from journeybook.tables import logged_reads


@pytest.fixture
def again(toy_run, toy_pages, toy_world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run again in a copy of the finished toy run, with other settings; returns the outcome and what was said."""
    toy_world(monkeypatch)
    out = tmp_path / "reports"
    shutil.copytree(toy_run.out, out)

    def running_again(*settings: str, only: tuple[str, ...] = (), timeout: int = 60):
        parameters = read_parameters(
            pages=toy_pages, settings=["seed=7", *settings], defaults=tmp_path / "none.yaml"
        )
        said = io.StringIO()
        progress = Progress(out / "run.log", stream=said)
        outcome = running.run_report(parameters, out=out, only=only, cell_timeout=timeout, progress=progress)
        return outcome, said.getvalue(), out

    return running_again


def statuses(outcome) -> dict[str, str]:
    return {page.name: page.status for page in outcome.pages}


def test_pages_run_in_order_and_say_what_they_lack(toy_run) -> None:
    assert statuses(toy_run.outcome) == {
        "01_copy": "done", "02_count": "done", "03_visits": "not run", "04_last": "done",
    }  # fmt: skip
    lacking = toy_run.outcome.pages[2].reason
    assert lacking == "it needs the table events or the table paths, which the data set does not have"
    assert toy_run.outcome.exit_code == 0
    assert toy_run.results("02_count")["metrics"]["n_rows"] == 3


def test_the_log_says_what_a_page_was_doing(toy_run) -> None:
    log = (toy_run.out / "run.log").read_text(encoding="utf-8")
    assert log.count("02_count: ") == 2
    assert log.index("02_count: 02 Count\n") < log.index("02_count: Does it hold?\n")
    assert str(toy_run.out) not in log


def test_paths_hosts_and_times_are_in_the_manifest_alone(toy_run) -> None:
    manifest = json.loads((toy_run.out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["parameters"]["seed"] == 7
    assert manifest["pages"]["02_count"]["failed_checks"] == 0
    assert (manifest["exit_code"], manifest["parameters_file"]) == (0, None)
    assert manifest["started_at"] <= manifest["ended_at"]
    assert manifest["totals"] == {
        "rows": 4, "pages": {"done": 3, "failed": 0, "not run": 1},
        "checks": 1, "failed_checks": 0, "known_misses": 0, "alarms": 0,
    }  # fmt: skip
    for path in [*toy_run.out.glob("results/*"), *toy_run.out.glob("executed/*"), *toy_run.out.glob("0*.html")]:
        text = path.read_text(encoding="utf-8")
        assert str(toy_run.out) not in text, path
        assert manifest["started_at"][:16] not in text, path


def test_nothing_unfinished_is_left(toy_run) -> None:
    left = [path.name for path in toy_run.out.rglob("*") if "unfinished" in path.name or "building" in path.name]
    assert left == []


def test_one_page_keeps_what_it_needs(again) -> None:
    outcome, said, _ = again(only=("02_count",))
    kept = {page.name: page.kept for page in outcome.pages if page.status == "done"}
    assert kept == {"01_copy": True, "02_count": False, "04_last": True}
    assert "as built before" in said
    assert "01_copy                          kept" in said


@pytest.mark.parametrize(
    ("changed", "kept", "as_built"),
    [
        ("accepted/transactions", {"01_copy": False, "02_count": False, "04_last": True}, True),
        ("raw/transactions", {"01_copy": True, "02_count": False, "04_last": True}, False),
    ],
)
def test_a_table_that_its_page_did_not_write_is_not_kept(
    again, toy_run, tmp_path, changed, kept, as_built
) -> None:
    path = tmp_path / "reports" / "tables" / f"{changed}.parquet"
    sound = path.read_bytes()
    pd.read_parquet(path).head(1).to_parquet(path)
    outcome, said, _ = again(only=("02_count",))
    assert {page.name: page.kept for page in outcome.pages if page.status == "done"} == kept
    assert ("as built before" in said) == as_built
    assert path.read_bytes() == sound


def logged(out: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted((out / "tables" / "reads").glob("*.parquet"))])


def test_pages_log_their_reads_in_order(toy_run, again) -> None:
    log = pd.DataFrame(logged_reads(toy_run.out / "tables"))
    shown = (toy_run.out / "01_copy.html").read_text(encoding="utf-8").partition('id="does-it-hold"')[2]
    assert "3 reads: which page saw" in shown
    assert "<td>04_last</td><td><code>counts</code></td><td>analytics</td>" in shown, "of pages that run later"
    assert log[["page", "table", "purpose", "n_rows"]].values.tolist() == [
        ["01_copy", "raw/transactions", "collection", 4],
        ["02_count", "accepted/transactions", "analytics", 3],
        ["04_last", "counts", "analytics", 3],
    ]
    _, _, out = again(only=("02_count",))
    after = logged(out)
    assert after.page.tolist() == ["01_copy", "02_count", "02_count", "04_last"], "kept pages keep their rows"


def test_changed_parameters_drop_what_was_made_from_the_old(again) -> None:
    outcome, _, out = again("01_copy.rows=2", only=("02_count",))
    assert statuses(outcome) == {
        "01_copy": "done", "02_count": "done", "03_visits": "not run", "04_last": "not run",
    }  # fmt: skip
    assert not outcome.pages[0].kept
    assert outcome.pages[3].reason == "it was not asked for"
    assert not (out / "results" / "04_last.json").exists()
    assert not (out / "04_last.html").exists()
    assert not (out / "tables" / "last.parquet").exists()
    assert outcome.failed_checks == 1
    assert [exit_code(outcome.pages, strict=strict) for strict in (False, True)] == [0, 1]


def test_a_failing_page_is_shown_and_stops_only_what_needs_it(again, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, said, out = again("04_last.trouble=a <secret> of ann@example.com", only=("04_last",))
    last = outcome.pages[3]
    assert (last.status, last.reason) == ("failed", "Stopped under “04 Last”: trouble: a <secret> of •••@•••")
    assert (outcome.failed, outcome.exit_code) == (1, 1)
    assert "FAILED under “04 Last” after" in said
    assert "trouble: a <secret> of •••@•••" in said
    log = (out / "run.log").read_text(encoding="utf-8")
    assert "FAILED under “04 Last” after" in log and "trouble: a" in log
    assert "ann@example.com" not in log
    assert not (out / "tables" / "last.parquet").exists()
    page = (out / "04_last.html").read_text(encoding="utf-8")
    assert "most recent call last" not in page
    assert "most recent call last" in traceback_of(out / "executed" / "04_last.ipynb")
    assert "trouble: a &lt;secret&gt; of •••@•••" in page
    assert "This page failed" in page
    executed = nbformat.read(out / "executed" / "04_last.ipynb", as_version=4)
    assert [o.ename for c in executed.cells for o in c.get("outputs", []) if o.output_type == "error"] == [
        "ValueError"
    ]
    assert "04_last.html" in (out / "index.html").read_text(encoding="utf-8")


def test_a_page_is_drawn_while_others_still_run(again, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []
    execute, draw = kernel.execute, running._body

    def executed(notebook: Path, **options) -> Execution:
        found = execute(notebook, **options)
        done.append(("executed", notebook.stem))
        return found

    def drawn(out: Path, name: str) -> str:
        done.append(("drawn", name))
        return draw(out, name)

    monkeypatch.setattr(kernel, "execute", executed)
    monkeypatch.setattr(running, "_body", drawn)
    again("02_count.least=2", only=("02_count", "04_last"))
    assert done.index(("drawn", "02_count")) < done.index(("executed", "04_last"))
    assert ("drawn", "01_copy") in done, "one that was kept, for its neighbours may have changed"


def test_what_needs_a_failed_page_is_not_run(again, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(notebook: Path, **options) -> Execution:
        return Execution(nbformat.read(notebook, as_version=4), 0.1, "ValueError: no", "A section")

    monkeypatch.setattr(kernel, "execute", fails)
    outcome, _, out = again(only=("02_count", "04_last"))
    assert statuses(outcome)["02_count"] == "failed"
    assert outcome.pages[3].status == "not run"
    assert outcome.pages[3].reason == "it needs 02_count, which failed"
    assert not (out / "tables" / "counts.parquet").exists()


def test_too_few_data_are_no_failure_unless_the_page_was_asked_for(again) -> None:
    outcome, said, out = again("04_last.trouble=few")
    last = outcome.pages[3]
    assert (last.status, last.reason, outcome.exit_code) == ("not run", "two are needed", 0)
    assert re.search(r"^04_last +not run: two are needed$", said, re.MULTILINE)
    assert not (out / "04_last.html").exists() and not (out / "tables" / "last.parquet").exists()
    outcome, said, _ = again("04_last.trouble=few", only=("04_last",))
    assert (outcome.pages[3].status, outcome.exit_code) == ("failed", 1) and "two are needed." in said


def executed(notebook: Path, *, trouble: str, timeout: int, kernels: Kernels) -> Execution:
    return execute(
        notebook,
        parameters={"trouble": trouble},
        timeout=timeout,
        on_cell=lambda cell, section: None,
        kernels=kernels,
    )


def test_a_cell_has_a_time_limit(toy_pages, warm_kernels) -> None:
    started = time.monotonic()
    done = executed(toy_pages[3].path, trouble="slow", timeout=1, kernels=warm_kernels)
    assert (done.error, done.section) == ("a cell took longer than 1 s", "04 Last")
    assert time.monotonic() - started < 50


def test_a_process_that_dies_is_a_failure(toy_pages, warm_kernels) -> None:
    done = executed(toy_pages[3].path, trouble="dead", timeout=60, kernels=warm_kernels)
    assert done.error == "the process of the page died, most often for want of memory"


def test_other_data_are_built_anew(again) -> None:
    outcome, said, out = again("seed=8", only=("01_copy",))
    assert "data                             journey_demo is built" in said
    assert statuses(outcome)["02_count"] == "not run"
    assert json.loads((out / "tables" / "dataset.json").read_text(encoding="utf-8"))["seed"] == 8
    assert not (out / "tables" / "counts.parquet").exists()


def test_one_changed_table_makes_only_what_reads_it_again(
    toy_pages, toy_world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_world(monkeypatch)
    monkeypatch.setattr(running, "build_dataset", build_dataset)
    monkeypatch.setenv("JOURNEYBOOK_KEY", bytes(range(32)).hex())
    sales, sends, own = (tmp_path / name for name in ("sales.csv", "sends.csv", "own.yaml"))
    sales.write_text("customer,at,amount\na,2017-01-01,1.5\nb,2017-01-02,2\nc,2017-01-03,3\n", encoding="utf-8")
    own.write_text(
        "dataset: files\ntimezone: UTC\nfiles:\n"
        "  transactions: {path: sales.csv, columns: {customer_id: customer, occurred_at: at, revenue: amount}}\n"
        "  contacts: {path: sends.csv, columns: {customer_id: customer, responded: answered}}\n",
        encoding="utf-8",
    )
    parameters = read_parameters(own, pages=toy_pages, defaults=tmp_path / "none.yaml")

    def kept(out: str) -> dict[str, bool]:
        quiet = Progress(stream=io.StringIO())
        outcome = running.run_report(parameters, out=tmp_path / out, progress=quiet)
        return {page.name: page.kept for page in outcome.pages if page.status == "done"}

    sends.write_text("customer,answered\na,1\nb,0\n", encoding="utf-8")
    assert kept("out") == {"01_copy": False, "02_count": False, "04_last": False}
    sends.write_text("customer,answered\na,1\nb,1\n", encoding="utf-8")
    assert kept("out") == {"01_copy": False, "02_count": True, "04_last": True}
    sales.write_text(sales.read_text(encoding="utf-8"), encoding="utf-8")
    assert kept("out") == {"01_copy": True, "02_count": True, "04_last": True}, "the same bytes, later"
    kept("fresh")
    parts = ("results/*.json", "tables/[!r]*/*.parquet", "tables/*.parquet", "tables/raw/*.parquet")
    for path in [path for part in parts for path in (tmp_path / "fresh").glob(part)]:
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "fresh")).read_bytes()
    sales.write_text(sales.read_text(encoding="utf-8").replace("1.5", "2.5"), encoding="utf-8")
    assert kept("out") == {"01_copy": False, "02_count": False, "04_last": True}, "it reads the count alone"


def test_a_run_that_stops_while_tables_are_carried_over_is_made_whole_by_the_next(
    again, toy_run, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = running.write_json

    def stops(path: Path, content: dict) -> None:
        if path.parent.name.endswith(".building"):
            raise KeyboardInterrupt
        written(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(running, "write_json", stops)
        with pytest.raises(KeyboardInterrupt):
            again("seed=8")
    outcome, said, out = again()
    assert "as built before" in said
    assert not any(page.kept for page in outcome.pages)
    for path in toy_run.out.glob("results/*.json"):
        assert path.read_bytes() == (out / "results" / path.name).read_bytes()


def test_a_data_set_that_cannot_be_built_leaves_the_old_one(again, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, **options) -> None:
        (folder / "raw").mkdir()
        raise JourneybookError("contacts lack the column responded.")

    monkeypatch.setattr(running, "build_dataset", broken)
    with pytest.raises(JourneybookError, match="lack the column"):
        again("seed=9")
    outcome, said, out = again(only=("01_copy",))
    assert "as built before" in said
    assert not list(out.glob("*building*"))
    assert outcome.failed == 0


def test_a_folder_of_other_files_is_not_touched(again, tmp_path: Path) -> None:
    tables = tmp_path / "reports" / "tables"
    (tables / "dataset.json").unlink()
    (tables / "fingerprints.json").unlink()
    with pytest.raises(JourneybookError, match="holds files that are not a run's tables"):
        again()
    assert (tables / "counts.parquet").exists()


def test_impossible_and_unknown_pages_are_usage_errors(again) -> None:
    with pytest.raises(JourneybookError, match=r"--only: 03_visits is not possible: it needs the table events"):
        again(only=("03_visits",))
    with pytest.raises(JourneybookError, match=r"--only: unknown page 02_cuont; did you mean 02_count\?"):
        again(only=("02_cuont",))


HOLD = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"


def test_two_runs_do_not_mix(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(JourneybookError, match="Another run is writing into"), locked(tmp_path):
            raise AssertionError("the lock was given twice")
        other.kill()
        other.wait()
        with locked(tmp_path):
            assert (tmp_path / ".lock").exists()


def test_terminal_and_file_are_told_differently() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, plain = Terminal(), io.StringIO()
    for stream in (terminal, plain):
        progress = Progress(stream=stream)
        progress.expect({"01_copy": 3, "02_count": 4, "03_visits": 2})
        now = time.monotonic()
        progress.at_work("01_copy", cell=1, section="Copy", started=now)
        progress.at_work("02_count", cell=2, section="Hold", started=now)
        progress.tell("page done", "01_copy done", page="01_copy")
        progress.tell("page not run", page="03_visits")
        progress.tell("page done", "02_count done", page="02_count")
        progress.close()
    drawn = terminal.getvalue()
    assert "\r0 of 3 pages, 0 s left: 01_copy 1/3 Copy, 02_count 2/4 Hold" in drawn
    assert "\r01_copy done\n1 of 3 pages, 0 s left: 02_count 2/4 Hold\r" in drawn
    assert "\r2 of 3 pages, 0 s left: 02_count 2/4 Hold\r" in drawn
    assert drawn.endswith("\r02_count done\n")
    assert plain.getvalue() == "01_copy done\n02_count done\n"


def test_what_is_left_takes_as_long_as_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = io.StringIO(), iter([100.0, 104.0, 104.0])
    progress = Progress(stream=stream, events=True)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    progress.expect({"01_copy": 3, "02_count": 4})
    progress.at_work("01_copy", cell=1, section="Copy", started=100.0)
    progress.at_work("01_copy", cell=2, section="Copy", started=100.0)
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["cell"], one["of"], one["seconds"], one["seconds_left"]) for one in told] == [
        (1, 3, 0.0, None), (2, 3, 4.0, 24),
    ]  # fmt: skip
    clock = iter([100.0, 104.0, 104.0])
    progress = Progress(stream=stream, events=True)
    progress.expect({"01_copy": 3, "02_count": 4}, before={"01_copy": 3.0, "02_count": 40.0})
    progress.at_work("01_copy", cell=1, section="Copy", started=100.0)
    progress.at_work("01_copy", cell=2, section="Copy", started=100.0)
    assert json.loads(stream.getvalue().splitlines()[-1])["seconds_left"] == 4 * 42, "as long as the last time"
