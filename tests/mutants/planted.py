"""Errors planted in a page, one at a time, and the checks of that page that notice them.

A page's list is `MUTANTS` in `page_<page>.py`; a `Mutant` says what is replaced where, and by what. `PARAMETERS`
there makes the page quick, for the sound one as well.
"""

import ast
import hashlib
import importlib
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date, timedelta
from functools import wraps
from itertools import compress
from pathlib import Path
from types import CodeType
from typing import Any
from unittest.mock import patch

import ibis
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
from ibis.backends.duckdb import Backend

from journeybook.page import Page
from journeybook.report.pages import NOTEBOOKS
from journeybook.results import Check
from journeybook.teaching import EXERCISE


@dataclass(frozen=True)
class Mutant:
    """One planted error, such as a tired engineer could have made.

    Attributes:
        name: Its name, unique on the page.
        error: What was done wrong, in words for the report.
        target: What is replaced, `package.module:name`, where the page looks it up.
        wrong: Makes the faulty thing from the sound one.
        data: Data sets on which the page must notice it: `demo` (truth planted), `files` (none).
        parameters: Values of the page's parameters for this mutant.
    """

    name: str
    error: str
    target: str
    wrong: Callable[[Any], Any]
    data: tuple[str, ...] = ("demo", "files")
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Step:
    """One statement of a page, and what it did when the page ran as it is.

    Attributes:
        code: The statement.
        reads: Names it looks at; `its files` are tables on disk, `its results` those the page keeps.
        changes: Names it binds or changes.
        mends: Those of `changes` that it changes in place.
        mentions: Every name in it, of attributes and imports as well.
        settles: Whether what it changes owes nothing to what was there before.
        holds: Whether it holds a check.
        made: Values of `changes` once it had run.
        called: Targets of mutants that were called while it ran.
        held: Names of the checks that it held.
        seconds: Processor time that it took.
    """

    code: CodeType
    reads: frozenset[str]
    changes: frozenset[str]
    mends: frozenset[str]
    mentions: frozenset[str]
    settles: bool
    holds: bool
    made: dict[str, Any] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def run(self, space: dict[str, Any]) -> None:
        """Run the statement; what it changes in place is copied first, so that no other run sees it."""
        space |= {name: copy(space[name]) for name in self.mends}
        exec(self.code, space)


@dataclass(frozen=True)
class Sound:
    """A page that was run as it is, statement by statement, and what a run with a planted error can take from it.

    Attributes:
        steps: Its statements after the parameters.
        start: Names and values after the parameters.
        page: What it collected.
        answers: What the engine answered, by query: a query that is asked again has the same answer.
    """

    steps: list[Step]
    start: dict[str, Any]
    page: Page
    answers: dict[Any, Any]

    @property
    def checks(self) -> list[Check]:
        """Its checks."""
        return [*self.page.checks.values()]

    def knows(self, mutant: Mutant) -> bool:
        """Whether it is known what the error changes: the page calls its target, or may, after it was opened."""
        called = [i for i, step in enumerate(self.steps) if mutant.target in step.called]
        return bool(called or mutant.parameters) and min(called, default=len(self.steps)) > self.opened

    def needed(self, wanted: Collection[str]) -> list[bool]:
        """For each statement, whether a check hangs on it: any, or the one of `wanted` that is there soonest."""
        if holding := [step for step in self.steps if step.held & {*wanted}]:
            hung_on = [_hung_on(self.steps, lambda step, one=one: step is one) for one in holding]
            return min(hung_on, key=lambda needed: sum(compress((s.seconds for s in self.steps), needed)))
        return _hung_on(self.steps, lambda step: step.holds)

    @property
    def opened(self) -> int:
        """Number of the statement that opens the page."""
        return next(i for i, step in enumerate(self.steps) if "page" in step.changes)


class _Handle:
    """What `display` returns: takes every update and shows none."""

    def update(self, *_args: object, **_kwargs: object) -> None:
        """Show nothing."""


def _display(*_args: object, **_kwargs: object) -> _Handle:
    return _Handle()


def run_page(name: str, **about: Any) -> list[Check]:
    """Run a page's cells in this process; returns its checks. The arguments are those of `run_cells`."""
    return [*run_cells(name, **about)["page"].checks.values()]


def run_cells(
    name: str,
    *,
    tables: Path,
    results: Path,
    mutant: Mutant | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a page's cells in this process; returns their names and values.

    Args:
        name: The page, such as `05_segmentation`.
        tables: Folder of a run's tables, which the page reads and writes.
        results: Folder for its results file.
        mutant: The planted error; None runs the page as it is.
        parameters: Values of the page's parameters; the mutant's own come on top.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    given = {"tables": str(tables), "results": str(results), **(parameters or {})}
    given |= dict(mutant.parameters) if mutant else {}
    with ExitStack() as undone:
        _unseen(undone, name)
        if mutant:
            _plant(undone, mutant.target, mutant.wrong)
        for source, tags in _cells(name):
            exec(compile(source, name, "exec"), space)
            if "parameters" in tags:
                space.update(given)
    return space


def run_needed(
    name: str, *, wanted: set[str], tables: Path, results: Path, parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Run what some names hang on, or the tables that a page writes (`its files`); returns names and values."""
    space, steps = _opened(name, tables=tables, results=results, parameters=parameters or {})
    with ExitStack() as undone:
        _unseen(undone, name)
        for step, needed in zip(steps, _hung_on(steps, lambda step: bool(step.changes & wanted)), strict=True):
            if needed:
                step.run(space)
    return space


def run_sound(
    name: str, *, tables: Path, results: Path, parameters: Mapping[str, Any], mutants: Sequence[Mutant]
) -> Sound:
    """Run a page as it is, and note which statements call what each mutant replaces."""
    start, steps = _opened(name, tables=tables, results=results, parameters=parameters)
    space, answers, so_far = dict(start), {}, []
    with ExitStack() as undone:
        _unseen(undone, name)
        _answered(undone, answers)
        for target in {mutant.target for mutant in mutants}:
            _plant(undone, target, lambda called, target=target: _noting(called, target, so_far))
        for step in steps:
            so_far.append(step)
            before, started = {*space["page"].checks} if "page" in space else set(), time.process_time()
            step.run(space)
            step.seconds = time.process_time() - started
            step.held |= {*space["page"].checks} - before if step.holds else set()
            step.made |= {changed: space[changed] for changed in step.changes if changed in space}
    return Sound(steps, start, space["page"], answers)


def run_again(sound: Sound, mutant: Mutant | None, *, tables: Path, wanted: Collection[str] = ()) -> list[Check]:
    """Run what a planted error changes of a page, as far as a check hangs on it; returns those checks.

    Where a value comes out as it was, nothing that only hangs on that value is run.

    Args:
        sound: The page as it is; what the error leaves as it was is taken from there.
        mutant: The planted error, which `sound` knows; None runs all again, as it is.
        tables: Folder of a run's tables, to which the page writes.
        wanted: Names of checks; where the page has some, only what one of them hangs on is run.
    """
    page = replace(sound.page, run=replace(sound.page.run, _folder=tables), checks={})
    page.tables, page.inputs, page.metrics = dict(page.tables), [*page.inputs], dict(page.metrics)
    given, target = (mutant.parameters, mutant.target) if mutant else ({}, "")
    space, changed = {**sound.start, **given}, {*given}
    with ExitStack() as undone:
        _unseen(undone, page.name)
        _answered(undone, dict(sound.answers))
        if mutant:
            _plant(undone, target, mutant.wrong)
        for place, (step, needed) in enumerate(zip(sound.steps, sound.needed(wanted), strict=True)):
            reached = target.partition(":")[2] in step.mentions or target in step.called or step.reads & changed
            if needed and (reached or (mutant is None and place > sound.opened)):
                step.run(space)
                was = {name: step.made.get(name) for name in step.changes} | {"its results": sound.page.tables}
                now = space | {"its results": page.tables}
                opens = "its files" in step.reads & changed
                new = {n for n in step.changes if opens or n not in now or not _same(now[n], was[n])}
                changed = (changed - step.changes if step.settles else changed) | new
            else:
                changed -= step.changes if step.settles else set()
                space |= step.made | ({"page": page} if "page" in step.made else {})
    return [*page.checks.values()]


def _same(one: Any, other: Any) -> bool:
    """Whether two values are known to be equal; of what cannot be compared it is not known."""
    if one is other or type(one) is not type(other):
        return one is other
    if isinstance(one, pd.DataFrame | pd.Series | pd.Index | ibis.Expr):
        return bool(one.equals(other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, dict):
        return [*one] == [*other] and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if is_dataclass(one):
        return all(_same(getattr(one, each.name), getattr(other, each.name)) for each in fields(one))
    return isinstance(one, str | int | float | date | timedelta) and one == other


def _opened(
    name: str, *, tables: Path, results: Path, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Step]]:
    """Names and values after the cell of parameters, and the statements that follow it."""
    (first, _), *cells = _cells(name)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(first, name, "exec"), space)
    steps = [
        _step(part) for source, _ in cells for whole in ast.parse(source, name).body for part in _parts(whole)
    ]
    return space | {"tables": str(tables), "results": str(results), **parameters}, steps


def _parts(statement: ast.stmt) -> list[ast.stmt]:
    """The statement, or one for each argument where it holds several checks."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "page.hold":
        return [statement]
    return [ast.copy_location(ast.Expr(ast.copy_location(ast.Call(call.func, [a], []), a)), a) for a in call.args]


def _hung_on(steps: Sequence[Step], goal: Callable[[Step], bool]) -> list[bool]:
    """For each statement, whether one that is the goal hangs on it."""
    needed, wanted = [], set()
    for step in reversed(steps):
        needed.append(goal(step) or bool(step.changes & wanted))
        if step.settles:
            wanted -= step.changes
        if needed[-1]:
            wanted |= step.reads
    return needed[::-1]


def _step(statement: ast.stmt) -> Step:
    """A statement and the names that it reads and changes."""
    nodes = [*ast.walk(statement)]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    within = {id(n) for node in nodes if isinstance(node, ast.comprehension) for n in ast.walk(node.target)}
    bound = {n.id for n in names if isinstance(n.ctx, ast.Store) and id(n) not in within}
    bound |= {(n.asname or n.name).partition(".")[0] for n in nodes if isinstance(n, ast.alias)}
    parts = [n for n in nodes if isinstance(n, ast.Subscript | ast.Attribute) and isinstance(n.ctx, ast.Store)]
    parts += [n.target for n in nodes if isinstance(n, ast.AugAssign)]
    mends = {n.id for part in parts for n in ast.walk(part) if isinstance(n, ast.Name)} - {"page"}
    mentions = {n.id for n in names} | {n.attr for n in nodes if isinstance(n, ast.Attribute)}
    mentions |= {n.name for n in nodes if isinstance(n, ast.alias)}
    reads = {n.id for n in names if isinstance(n.ctx, ast.Load)} | mends
    of_page = {n.attr for n in nodes if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "page"}
    handed = {ast.unparse(argument) for n in nodes if isinstance(n, ast.Call) for argument in n.args}
    opens = of_page & {"read", "read_if_there", "read_all", "has"} or "page.run" in handed
    reads |= {"its files"} if opens else set()
    reads |= {"its results"} if of_page & {"tables", "checks"} else set()
    changes = bound | mends | ({"its results"} if "keep" in of_page else set())
    changes |= {"its files"} if mentions & {"write", "write_files", "keep_in_register"} else set()
    return Step(
        code=compile(ast.Module([statement], []), "a page", "exec"),
        reads=frozenset(reads),
        changes=frozenset(changes),
        mends=frozenset(mends),
        mentions=frozenset(mentions),
        settles=isinstance(statement, ast.Assign) and not mends,
        holds="hold" in of_page,
    )


def _answered(undone: ExitStack, answers: dict[Any, Any]) -> None:
    """Answer a query that was asked before as it was answered then: tables that are open do not change."""

    def remembering(asked: Callable) -> Callable:
        def answered(backend: Backend, expr: ibis.Expr, /, **how: Any) -> Any:
            key = (asked.__name__, expr.op(), *sorted(how.items()))
            if key not in answers:
                answers[key] = asked(backend, expr, **how)
            found = answers[key]
            return found.copy(deep=False) if isinstance(found, pd.DataFrame | pd.Series) else found

        return answered

    def one_of_equal(data: Any, *, schema: Any = None, memtable: Callable = ibis.memtable) -> ibis.Table:
        rows = data if isinstance(data, pa.Table) else pa.Table.from_pandas(pd.DataFrame(data))
        with pa.BufferOutputStream() as out, pa.ipc.new_stream(out, rows.schema) as stream:
            stream.write_table(rows)
        key = (type(data), str(schema), hashlib.sha256(out.getvalue()).digest())
        if key not in answers:
            answers[key] = memtable(data, schema=schema)
        return answers[key]

    def kept(backend: Backend, name: str, obj: Any = None, make: Any = Backend.create_table, **how: Any) -> Any:
        # Those of `kept_in_engine` alone: other tables are let go.
        if not name.startswith("ibis_kept"):
            return make(backend, name, obj, **how)
        key = ("kept", obj.op())
        return answers[key] if key in answers else answers.setdefault(key, make(backend, name, obj, **how))

    def opened(backend: Backend, path: Path, /, *, read: Any = Backend.read_parquet, **how: Any) -> Any:
        # A file that is linked into another folder is the same file.
        key = ("opened", path.stat().st_ino, path.stat().st_mtime_ns)
        return answers[key] if key in answers else answers.setdefault(key, read(backend, path, **how))

    undone.enter_context(patch.object(Backend, "create_table", kept))
    undone.enter_context(patch.object(Backend, "read_parquet", opened))
    undone.enter_context(patch("ibis.memtable", one_of_equal))
    for asked in (Backend.execute, Backend.to_pyarrow):
        undone.enter_context(patch.object(Backend, asked.__name__, remembering(asked)))


def _cells(name: str) -> list[tuple[str, Sequence[str]]]:
    """The source and the tags of each cell of code that a run executes."""
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [("".join(c["source"]), c["metadata"].get("tags", [])) for c in cells if c["cell_type"] == "code"]
    return [(source, tags) for source, tags in code if EXERCISE not in tags]


def _unseen(undone: ExitStack, name: str) -> None:
    """Show nothing, and make no figure and no description of columns: checks and results look at none."""
    for shown in ("IPython.display.display", "journeybook.page.display"):
        undone.enter_context(patch(shown, _display))
    undone.enter_context(patch.object(Page, "look", lambda *_args, **_kwargs: None))
    undone.callback(plt.close, "all")
    figures = importlib.import_module(f"journeybook.plots.{name.partition('.')[0][3:]}")
    for plot in [plot for plot in vars(figures) if plot.startswith("plot_")]:
        undone.enter_context(patch.object(figures, plot, lambda *_args, **_kwargs: None))


def _plant(undone: ExitStack, target: str, wrong: Callable[[Any], Any]) -> None:
    module, attribute = target.split(":")
    place = importlib.import_module(module)
    undone.enter_context(patch.object(place, attribute, wrong(getattr(place, attribute))))


def _noting(called: Any, target: str, steps: list[Step]) -> Any:
    """The same function, which notes for which statement it is called; what is no function stays as it is."""
    if not callable(called):
        return called

    @wraps(called)
    def noted(*args: Any, **kwargs: Any) -> Any:
        steps[-1].called.add(target)
        return called(*args, **kwargs)

    return noted


def linked(tables: Path, folder: Path) -> Path:
    """A copy of a run's tables by links: a table is replaced whole, so that the originals stay as they are."""
    return Path(shutil.copytree(tables, folder, copy_function=os.link))


def noticed_by(checks: list[Check]) -> list[str]:
    """Names of the checks that failed; a known miss is none."""
    return [c.name for c in checks if not c.passed and c.kind != "known_miss"]
