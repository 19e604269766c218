"""Errors planted in a page, one at a time, and the checks of that page that notice them.

A page's list is `MUTANTS` in `page_<page>.py`; a `Mutant` says what is replaced where, and by what. `PARAMETERS`
there makes the page quick, for the sound one as well.
"""

import importlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib.pyplot as plt

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
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    given = {"tables": str(tables), "results": str(results), **(parameters or {})}
    given |= dict(mutant.parameters) if mutant else {}
    space: dict[str, Any] = {"__name__": "__main__"}
    with ExitStack() as undone:
        undone.enter_context(patch("IPython.display.display", _display))
        undone.callback(plt.close, "all")
        if mutant:
            module, attribute = mutant.target.split(":")
            place = importlib.import_module(module)
            undone.enter_context(patch.object(place, attribute, mutant.wrong(getattr(place, attribute))))
        for number, cell in enumerate(c for c in cells if c["cell_type"] == "code"):
            if EXERCISE in cell["metadata"].get("tags", []):
                continue
            exec(compile("".join(cell["source"]), f"{name}, code cell {number}", "exec"), space)
            if "parameters" in cell["metadata"].get("tags", []):
                space.update(given)
    return space


def linked(tables: Path, folder: Path) -> Path:
    """A copy of a run's tables by links: a table is replaced whole, so that the originals stay as they are."""
    return Path(shutil.copytree(tables, folder, copy_function=os.link))


def noticed_by(checks: list[Check]) -> list[str]:
    """Names of the checks that failed; a known miss is none."""
    return [c.name for c in checks if not c.passed and c.kind != "known_miss"]
