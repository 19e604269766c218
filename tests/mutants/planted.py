"""Errors planted in a page, one at a time, and the checks of that page that notice them.

A page's list is `MUTANTS` in `page_<page>.py`; a `Mutant` says what is replaced where, and by what. `PARAMETERS`
there makes the page quick, for the sound one as well.
"""

import importlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from types import FunctionType
from typing import Any
from unittest.mock import patch

import matplotlib.pyplot as plt

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
class Sound:
    """A page that was run as it is, and what is needed to run it again from any of its cells.

    Attributes:
        cells: The source of its cells, up to the last that holds a check.
        before: The page's names and values as each cell found them.
        first: The cell that calls what a mutant replaces first, by target; its absence means from the beginning.
    """

    cells: list[str]
    before: list[dict[str, Any]] = field(default_factory=list)
    first: dict[str, int] = field(default_factory=dict)


class _Handle:
    """What `display` returns: takes every update and shows none."""

    def update(self, *_args: object, **_kwargs: object) -> None:
        """Show nothing."""


def _display(*_args: object, **_kwargs: object) -> _Handle:
    return _Handle()


def run_page(
    name: str,
    *,
    tables: Path,
    results: Path,
    mutant: Mutant | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> list[Check]:
    """Run a page's cells in this process; returns its checks. The arguments are those of `run_cells`."""
    found = run_cells(name, tables=tables, results=results, mutant=mutant, parameters=parameters)
    return [*found["page"].checks.values()]


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


def run_sound(
    name: str, *, tables: Path, results: Path, parameters: Mapping[str, Any], mutants: Sequence[Mutant]
) -> Sound:
    """Run a page as it is up to its last check, and note which cell calls first what each mutant replaces."""
    cells = _cells(name)
    last = max(number for number, (source, _) in enumerate(cells) if ".hold(" in source)
    sound = Sound([source for source, _ in cells[: last + 1]])
    space: dict[str, Any] = {"__name__": "__main__"}
    with ExitStack() as undone:
        _unseen(undone, name)
        for target in {mutant.target for mutant in mutants if not mutant.parameters}:
            _plant(undone, target, lambda called, target=target: _noting(called, target, sound))
        for source, (_, tags) in zip(sound.cells, cells, strict=False):
            sound.before.append(_copied(space))
            exec(compile(source, name, "exec"), space)
            if "parameters" in tags:
                space |= {"tables": str(tables), "results": str(results), **parameters}
    return sound


def run_again(sound: Sound, mutant: Mutant, *, tables: Path) -> list[Check]:
    """Run a page with a planted error from the cell that calls it first to the last check; returns its checks.

    Args:
        sound: The page as it is; what its cells made before is taken from there.
        mutant: The planted error, whose target `sound` knows.
        tables: Folder of a run's tables, to which the page writes.
    """
    start = sound.first[mutant.target]
    space = _copied(sound.before[start], tables)
    with ExitStack() as undone:
        _unseen(undone, space["page"].name)
        _plant(undone, mutant.target, mutant.wrong)
        for source in sound.cells[start:]:
            exec(compile(source, space["page"].name, "exec"), space)
    return [*space["page"].checks.values()]


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


def _noting(called: Any, target: str, sound: Sound) -> Any:
    """The same function, which notes in which cell it is called first; anything else stays as it is."""
    if not isinstance(called, FunctionType):
        return called

    @wraps(called)
    def noted(*args: Any, **kwargs: Any) -> Any:
        sound.first.setdefault(target, len(sound.before) - 1)
        return called(*args, **kwargs)

    return noted


def _copied(space: Mapping[str, Any], tables: Path | None = None) -> dict[str, Any]:
    """Names and values, with what a page collects copied; it writes to `tables` where given."""
    if (page := space.get("page")) is None:
        return dict(space)
    run = replace(page.run, _folder=tables) if tables else page.run
    collected = {name: copy(getattr(page, name)) for name in ("inputs", "checks", "metrics", "tables")}
    return {**space, "page": replace(page, run=run, **collected)}


def linked(tables: Path, folder: Path) -> Path:
    """A copy of a run's tables by links: a table is replaced whole, so that the originals stay as they are."""
    return Path(shutil.copytree(tables, folder, copy_function=os.link))


def noticed_by(checks: list[Check]) -> list[str]:
    """Names of the checks that failed; a known miss is none."""
    return [c.name for c in checks if not c.passed and c.kind != "known_miss"]
