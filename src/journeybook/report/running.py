"""A whole run: the data set, the pages side by side, the report, and what is left of it for the next run."""

import importlib
import shutil
import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import journeybook
from journeybook.datasets import build_dataset
from journeybook.errors import JourneybookError
from journeybook.report import planning
from journeybook.report.claims import write_claims
from journeybook.report.graph import Work, in_order, side_by_side
from journeybook.report.imports import imports_of
from journeybook.report.kernels import Kernels
from journeybook.report.manifest import manifest
from journeybook.report.outcomes import Execution, PageOutcome, RunOutcome, checks_said, exit_code, with_checks
from journeybook.report.params import RunParameters
from journeybook.report.planning import Step
from journeybook.report.progress import Progress, without_values
from journeybook.report.storing import (
    executed_path,
    file_digests,
    html_path,
    locked,
    move_files,
    read_json,
    remove_unfinished,
    results_path,
    write_json,
    write_text,
)
from journeybook.report.trust import planted_errors
from journeybook.tables import key_digest, logged_reads, owners_view, root

if TYPE_CHECKING:
    from journeybook.report.cells import Parts

CELL_TIMEOUT = 600
REPORTS = root() / "reports"
TABLES = root() / "data" / "processed"


def folders(out: Path | None) -> tuple[Path, Path]:
    """The folders of a run's report and of its tables; None is the default run."""
    return (REPORTS, TABLES) if out is None else (out.resolve(), out.resolve() / "tables")


def run_report(
    parameters: RunParameters,
    *,
    out: Path | None = None,
    only: Sequence[str] = (),
    cell_timeout: int = CELL_TIMEOUT,
    strict: bool = False,
    send: Collection[str] = (),
    events: bool = False,
    progress: Progress | None = None,
) -> RunOutcome:
    """Build the data set where it is needed, run the pages that do not hold any more, and write the report.

    Args:
        parameters: What to run.
        out: Folder of the report, its tables in `tables`; None is `reports`, with the tables in `data/processed`.
        only: Pages to run in any case, with those they need; empty means all pages whose results do not hold.
        cell_timeout: Longest time a cell may take, in seconds.
        strict: Whether a failed check or an alarm counts for the exit code.
        send: What to write beside the pages, of `html` (all of them in one file) and `pdf`.
        events: Whether standard output gets one JSON object a line, and nothing else.
        progress: What is said while it runs; None writes to standard output and to `run.log`.
    """
    folder, tables = folders(out)
    planning.chosen(planning.plan(parameters.pages, raw=()), only)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder) as lock:
        progress = progress or Progress(folder / "run.log", events=events)
        remove_unfinished(folder, tables)
        imports = imports_of({run.page.path: None for run in parameters.pages})
        workers = side_by_side()
        try:
            # The kernels are left first: then no thread waits for one.
            with (
                ThreadPoolExecutor(1) as drawing,
                ThreadPoolExecutor(workers) as pool,
                Kernels(imports, held=[lock]) as kernels,
            ):
                runner = _Runner(
                    parameters, folder, tables, cell_timeout, strict, progress, drawing, pool, workers, kernels
                )
                try:
                    return runner.run(only, send=send)
                finally:
                    drawing.shutdown(wait=False, cancel_futures=True)
        finally:
            remove_unfinished(folder, tables)
            progress.close()


@dataclass(frozen=True)
class _Runner:
    """One run into one folder, which it holds."""

    parameters: RunParameters
    out: Path
    tables: Path
    cell_timeout: int
    strict: bool
    progress: Progress
    drawing: ThreadPoolExecutor
    pool: ThreadPoolExecutor
    workers: int
    kernels: Kernels
    started_at: datetime = field(default_factory=lambda: datetime.now().astimezone())
    started: float = field(default_factory=time.monotonic)
    bodies: dict[str, "Future[Parts]"] = field(default_factory=dict)

    def run(self, only: Sequence[str], *, send: Collection[str]) -> RunOutcome:
        self.progress.tell("run started", report=str(self.out), journeybook=journeybook.__version__)
        self._prepare_data()
        described = read_json(self.tables / "dataset.json")
        steps = planning.plan(self.parameters.pages, raw=described["tables"])
        asked, needed = planning.chosen(steps, only)
        for step in steps:
            if step.missing and step.name in only:
                raise JourneybookError(f"--only: {step.name} is not possible: {_lacks(step)}.")
        key = key_digest(owners_view(self.tables))
        made_by = planning.page_fingerprints(steps, parameters=self.parameters, raw=described["tables"], key=key)
        prints: dict[str, str] = {}
        self._forget_other_pages({step.name for step in steps})
        held = read_json(self.tables / "fingerprints.json")
        before = read_json(self.out / "manifest.json").get("pages", {})
        outcomes: dict[str, PageOutcome] = {}
        by_name = {step.name: step for step in steps}
        cells = {step.name: step.run.page.n_cells for step in steps}
        self.progress.expect(cells, before={name: before[name]["seconds"] for name in cells if name in before})

        def begin(name: str) -> Work[PageOutcome | Execution]:
            step = by_name[name]
            prints[name] = planning.with_inputs(made_by[name], step, self.tables)
            same = held["pages"].get(name) == prints[name]
            if name not in only and same and self._holds(step, held):
                return _ended(self._kept(step, before.get(name, {})))
            self._forget(step, held)
            if name not in asked | needed:
                self.progress.tell("page not run", page=name, reason=(reason := "it was not asked for"))
                return _ended(_not_run(step, reason))
            obstacle = self._obstacle(step, outcomes)
            if obstacle:
                return _ended(self._impossible(step, obstacle))
            self.kernels.warm_up()
            self.progress.tell("page started", page=name)
            written: Future[None] = Future()
            return Work(self.pool.submit(self._execute, step, written), written)

        for name, found in in_order(
            {step.name: step.uses for step in steps}, begin=begin, at_most=self.workers,
            failed=lambda name: outcomes[name].status == "failed",
            size=lambda name: planning.bytes_read(by_name[name], self.tables),
        ):  # fmt: skip
            step = by_name[name]
            outcomes[name] = self._looked_at(step, found, only) if isinstance(found, Execution) else found
            if isinstance(found, Execution):
                # The end of the run waits for none but the last.
                self._draw(p for p, outcome in outcomes.items() if outcome.status != "not run")
            if outcomes[name].status == "done" and not outcomes[name].kept:
                held["pages"][name] = prints[name]
                held["files"][name] = file_digests(planning.written_files(step, self.tables), self.tables)
                write_json(self.tables / "fingerprints.json", held)
        pages = tuple(outcomes[step.name] for step in steps)
        write_claims(self.tables, self.out, [page.name for page in pages if page.status == "done"])
        code = exit_code(pages, strict=self.strict)
        told = manifest(
            self.parameters, pages, started=self.started_at, code=code, tables=self.tables, described=described,
            collected=read_json(results_path(self.out, "01_collection")),
        )  # fmt: skip
        rendered = planning.report_fingerprint(pages, prints=prints, planted=planted_errors())
        if held.get("report") != rendered or not self._is_rendered(pages):
            # A run that is killed in between leaves pages of two reports.
            write_json(self.tables / "fingerprints.json", held | {"report": ""})
            self._render(pages, described, told)
            write_json(self.tables / "fingerprints.json", held | {"report": rendered})
        write_json(self.out / "manifest.json", told)
        if send:
            from journeybook.report.sending import send_report

            for line in send_report(self.out, pages=pages, kinds=send):
                self.progress.tell("to send", line, said=line)
        seconds = time.monotonic() - self.started
        outcome = RunOutcome(html_path(self.out, "index"), self.tables, pages, seconds, code)
        self.progress.tell(
            "run done", seconds=round(seconds, 1), exit_code=code, failed_pages=outcome.failed,
            failed_checks=outcome.failed_checks, alarms=outcome.alarms, report=str(outcome.index),
        )  # fmt: skip
        return outcome

    def _draw(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.bodies:
                self.bodies[name] = self.drawing.submit(_body, self.out, name)

    def _is_rendered(self, pages: Sequence[PageOutcome]) -> bool:
        shown = [html_path(self.out, page.name) for page in pages if page.status != "not run"]
        return all(path.exists() for path in [*shown, html_path(self.out, "index")])

    def _render(self, pages: Sequence[PageOutcome], described: dict, told: dict) -> None:
        from journeybook.report.rendering import render_report

        self._draw(page.name for page in pages if page.status != "not run")
        bodies = {name: body.result() for name, body in self.bodies.items()}
        render_report(
            self.out, pages=pages, parameters=self.parameters, described=described, manifest=told, bodies=bodies,
            reads=logged_reads(self.tables),
        )  # fmt: skip
        _remove(self.out / f"report.{kind}" for kind in ("html", "pdf"))

    def _prepare_data(self) -> None:
        """Build the data set unless the tables hold it; what pages wrote stays, and holds where its inputs do."""
        building, old = (self.tables.with_name(f"{self.tables.name}.{word}") for word in ("building", "old"))
        for left in (building, old):
            shutil.rmtree(left, ignore_errors=True)
        wanted = planning.data_fingerprint(self.parameters)
        held = read_json(self.tables / "fingerprints.json")
        if held.get("data") == wanted and held["files"][""] == file_digests(_data_files(self.tables), self.tables):
            self.progress.tell("data kept", f"{'data':<32} {self.parameters.dataset}, as built before")
            return
        if self.tables.exists() and any(self.tables.iterdir()) and not (self.tables / "dataset.json").exists():
            raise JourneybookError(f"{self.tables} holds files that are not a run's tables: name another folder.")
        self.progress.tell("data started", f"{'data':<32} {self.parameters.dataset} is built")
        self.kernels.warm_up()
        # Papermill takes as long to import as a page to begin: by then it is there.
        self.drawing.submit(importlib.import_module, "journeybook.report.kernel")
        building.mkdir(parents=True, mode=0o700)
        try:
            build_dataset(building, **self.parameters.source)
            own = {run.name for run in self.parameters.pages}
            pages = {name: made for name, made in held.get("pages", {}).items() if name in own}
            files = {"": file_digests(_data_files(building), building)} | {n: held["files"][n] for n in pages}
            for name in pages:
                move_files([*files[name], f"reads/{name}.parquet"], self.tables, building)
            write_json(building / "fingerprints.json", {"data": wanted, "pages": pages, "files": files})
            if self.tables.exists():
                # A folder that is half removed is none that the next run would take for a run's.
                self.tables.rename(old)
            building.rename(self.tables)
        finally:
            shutil.rmtree(building, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        seconds = time.monotonic() - self.started
        self.progress.tell("data done", f"{'data':<32} done in {seconds:3.0f} s", seconds=round(seconds, 1))

    def _execute(self, step: Step, written: "Future[None]") -> Execution:
        """Execute a page, in a thread of its own; what is made of it is for the main thread.

        Once the last cell that writes a table is done, `written` is, and pages that read them may begin.
        """
        from journeybook.report.kernel import execute

        started = time.monotonic()
        made: dict[Path, tuple[int, int]] | None = None

        def on_cell(cell: int, section: str) -> None:
            nonlocal made
            if cell == step.run.page.n_writing + 1 > 1:
                made = self._made(step)
                written.set_result(None)
            self.progress.at_work(step.name, cell=cell, section=section, started=started)

        done = execute(
            step.run.page.path,
            parameters=self._values(step),
            timeout=self.cell_timeout,
            on_cell=on_cell,
            kernels=self.kernels,
        )
        if not done.error and made is not None and made != self._made(step):
            return replace(done, error="it wrote a table after the last cell that says write(...)")
        return done

    def _made(self, step: Step) -> dict[Path, tuple[int, int]]:
        """The files that a page has written so far, each as it is."""
        about = {path: path.stat() for path in planning.written_files(step, self.tables)}
        return {path: (found.st_mtime_ns, found.st_size) for path, found in about.items()}

    def _impossible(self, step: Step, reason: str) -> PageOutcome:
        self.progress.tell("page not run", f"{step.name:<32} not run: {reason}", page=step.name, reason=reason)
        return _not_run(step, reason)

    def _looked_at(self, step: Step, done: Execution, only: Sequence[str]) -> PageOutcome:
        """What became of a page that was executed; of one that failed no table and no results stay."""
        import nbformat

        if done.too_little and step.name not in only:
            _remove(planning.written_files(step, self.tables))
            return self._impossible(step, done.error.rstrip("."))
        write_text(executed_path(self.out, step.name), nbformat.writes(done.notebook))
        results = read_json(results_path(self.out, step.name))
        if not done.error and not results:
            done = replace(done, error="it wrote no results file")
        for section, line in done.warned:
            self.progress.note(f"{step.name}: {section}: warned: {without_values(line)}")
        seconds = round(done.seconds, 1)
        if done.error:
            place = f" under “{done.section}”" if done.section else ""
            said, sentence = f"{step.name:<32} FAILED{place} after {seconds:.0f} s: ", without_values(done.error)
            self.progress.tell(
                "page failed", said + done.error.partition("\n")[0], log=said + sentence, page=step.name,
                seconds=seconds, section=done.section, error=sentence,
            )  # fmt: skip
            results_path(self.out, step.name).unlink(missing_ok=True)
            _remove(planning.written_files(step, self.tables))
            return PageOutcome(step.name, *step.about, "failed", f"Stopped{place}: {done.error}", seconds)
        outcome = with_checks(PageOutcome(step.name, *step.about, "done", "", seconds), results)
        said = f"{step.name:<32} done in {seconds:3.0f} s, {checks_said(outcome)}"
        self.progress.tell("page done", said, page=step.name, seconds=seconds, **outcome.counts)
        return outcome

    def _obstacle(self, step: Step, outcomes: dict[str, PageOutcome]) -> str:
        """Why a page cannot run; empty when it can."""
        if step.missing:
            return _lacks(step)
        # Of a page that is still at work the tables are there already.
        for name in [name for name in step.needs if name in outcomes]:
            if outcomes[name].status != "done":
                return f"it needs {name}, which {'failed' if outcomes[name].status == 'failed' else 'was not run'}"
        return planning.unmet(step, self.tables)

    def _values(self, step: Step) -> dict[str, object]:
        """Every parameter of the page: its own, and those that the run gives and it declares."""
        given = self.parameters.shared | {
            "tables": str(self.tables),
            "results": str(self.out / "results"),
            "page_name": step.name,
        }
        return step.run.values | {name: given[name] for name in step.run.page.given}

    # --- what an earlier run left ---------------------------------------------------------------------

    def _holds(self, step: Step, held: dict) -> bool:
        """Whether what a page left is there, and its files are those that it wrote."""
        report = results_path(self.out, step.name).exists() and executed_path(self.out, step.name).exists()
        now = file_digests(planning.written_files(step, self.tables), self.tables)
        return report and held["files"].get(step.name) == now

    def _kept(self, step: Step, before: dict) -> PageOutcome:
        outcome = PageOutcome(step.name, *step.about, "done", "", before.get("seconds", 0.0), kept=True)
        outcome = with_checks(outcome, read_json(results_path(self.out, step.name)))
        said = f"{step.name:<32} kept from an earlier run"
        self.progress.tell("page kept", said, page=step.name, seconds=outcome.seconds, **outcome.counts)
        return outcome

    def _forget(self, step: Step, held: dict) -> None:
        """Remove what an earlier run left of a page, so that nothing of it is taken for this run's."""
        held["pages"].pop(step.name, None)
        held["files"].pop(step.name, None)
        write_json(self.tables / "fingerprints.json", held)
        _remove(planning.written_files(step, self.tables))
        self._forget_report(step.name)

    def _forget_report(self, name: str) -> None:
        _remove([results_path(self.out, name), executed_path(self.out, name), html_path(self.out, name)])

    def _forget_other_pages(self, names: set[str]) -> None:
        for path in (self.out / "results").glob("[0-9][0-9]_*.json"):
            if path.stem not in names:
                self._forget_report(path.stem)


def _body(out: Path, name: str) -> "Parts":
    # It takes a second to import: a run that changes nothing has done by then.
    from journeybook.report.rendering import page_body

    return page_body(out, name)


def _data_files(tables: Path) -> list[Path]:
    return [p for stage in ("raw", "truth") for p in sorted((tables / stage).glob("*.parquet"))]


def _lacks(step: Step) -> str:
    return f"it needs {step.missing}, which the data set does not have"


def _ended(outcome: PageOutcome) -> Work[PageOutcome | Execution]:
    work: Work[PageOutcome | Execution] = Work(Future())
    work.end.set_result(outcome)
    return work


def _not_run(step: Step, reason: str) -> PageOutcome:
    return PageOutcome(step.name, *step.about, "not run", reason)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
