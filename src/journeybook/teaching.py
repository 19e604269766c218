"""Exercises of a page: the student's notebooks without solutions, the teacher's with them, and answers graded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from journeybook.errors import JourneybookError

EXERCISE, SOLUTION = "exercise", "solution"
"""Tags of all cells of an exercise, and of the one with its solution; the report shows neither."""

_UNANSWERED = "# Your answer, in place of the dots.\nanswer = ..."
_CLOSE = 0.005  # of the right number; a figure read off the page rounds to three digits


@dataclass(frozen=True)
class Grade:
    """What became of an answer: whether it is right, and a sentence that says so or gives a hint."""

    passed: bool
    text: str

    def _repr_markdown_(self) -> str:
        return self.text


def grade(answer: object, *, solution: str, names: Mapping[str, Any]) -> Grade:
    """Compare an answer with what the solution makes of the same page, whose names it may use.

    Args:
        answer: A number (right within half a per cent), a text, or a collection of them in any order.
        solution: Code that sets `answer`, and `wrong`: the answer to which each mistake leads, by its hint. A
            mistake that no hint names gets the first one.
        names: The page's names and values.
    """
    if answer is ...:
        return Grade(False, "No answer yet.")
    space = dict(names)
    exec(compile(solution, "the solution", "exec"), space)
    if _same(answer, space["answer"]):
        return Grade(True, "**Right.**")
    wrong = space["wrong"]
    hint = next((said for said, value in wrong.items() if _same(answer, value)), next(iter(wrong)))
    return Grade(False, f"Not yet. {hint}")


def solutions(notebook: Mapping[str, Any]) -> list[str]:
    """Return the source of each solution of a notebook, in order."""
    cells = [cell for cell in notebook["cells"] if SOLUTION in cell["metadata"].get("tags", [])]
    return ["".join(cell["source"]) for cell in cells]


def write_sets(notebooks: Path, out: Path) -> list[Path]:
    """Write each notebook with exercises twice: `student/`, with dots for the solutions, and `teacher/`.

    Raises:
        JourneybookError: The folder holds something already.
    """
    if out.exists() and any(out.iterdir()):
        raise JourneybookError(f"{out} holds files already: teach writes into a new or empty folder.")
    written = []
    for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        if not solutions(notebook):
            continue
        _write(out / "teacher" / path.name, notebook)
        for cell in notebook["cells"]:
            if SOLUTION in cell["metadata"].get("tags", []):
                cell["source"] = _UNANSWERED
        written.append(out / "student" / path.name)
        _write(written[-1], notebook)
    return written


def _write(path: Path, notebook: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _same(answer: Any, right: Any) -> bool:
    """Whether two answers are one: numbers within half a per cent, whole numbers and texts exactly."""
    if isinstance(right, (list, tuple, set, frozenset)):
        same_kind = isinstance(answer, (list, tuple, set, frozenset)) and len(answer) == len(right)
        return same_kind and all(any(_same(a, r) for a in answer) for r in right)
    if isinstance(right, (bool, str, np.bool_)) or not isinstance(answer, (int, float, np.integer, np.floating)):
        return bool(type(answer) is type(right) and answer == right)
    if isinstance(right, (int, np.integer)):
        return bool(answer == right)
    if not isinstance(right, (float, np.floating)):
        return False
    return bool(abs(float(answer) - float(right)) <= _CLOSE * abs(float(right)))
