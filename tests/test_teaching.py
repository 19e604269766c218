"""Exercises: the sets they are written to, and how answers are graded."""

import ast
import json
from pathlib import Path

import pytest
from mutants.planted import linked, run_needed

from journeybook.cli import main
from journeybook.report.pages import NOTEBOOKS
from journeybook.tables.access import notebook_of
from journeybook.teaching import EXERCISE, SOLUTION, grade, solutions

PAGES = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
SOLVED = """
answer = total / 4
wrong = {"Divide by all four.": total / 3, "That is the sum.": total}
"""


@pytest.mark.parametrize(
    ("answer", "passed", "text"),
    [
        (2.0, True, "**Right.**"),
        (2.009, True, "**Right.**"),
        (2.02, False, "Not yet. Divide by all four."),
        (8, False, "Not yet. That is the sum."),
        ("2", False, "Not yet. Divide by all four."),
        (..., False, "No answer yet."),
    ],
)
def test_an_answer_is_graded_by_the_solution(answer, passed, text):
    found = grade(answer, solution=SOLVED, names={"total": 8.0})
    assert (found.passed, found.text) == (passed, text)


@pytest.mark.parametrize(
    ("answer", "right", "passed"),
    [
        (["b", "a"], {"a", "b"}, True),
        (["a"], {"a", "b"}, False),
        ("sms", "email", False),
        (3, 3, True),
        (3, 4, False),
    ],
)
def test_sets_and_texts_and_counts_are_exact(answer, right, passed):
    solution = f"answer = {right!r}\nwrong = {{'Look again.': None}}"
    assert grade(answer, solution=solution, names={}).passed is passed


def test_students_get_dots_and_teachers_the_solutions(tmp_path: Path, capsys):
    assert main(["teach", "--out", str(tmp_path / "class")]) == 0
    for name in PAGES:
        student, teacher = (
            json.loads((tmp_path / "class" / kind / f"{name}.ipynb").read_text(encoding="utf-8"))
            for kind in ("student", "teacher")
        )
        assert teacher == notebook_of(name)
        assert len(solutions(student)) == len(solutions(teacher)) >= 2
        assert all("answer = ..." in source for source in solutions(student))
        same = [c for c in student["cells"] if SOLUTION not in c["metadata"].get("tags", [])]
        assert same == [c for c in teacher["cells"] if SOLUTION not in c["metadata"].get("tags", [])]
    assert main(["teach", "--out", str(tmp_path / "class")]) == 2
    assert "holds files already" in capsys.readouterr().err


def test_a_folder_in_use_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert main(["teach", "--out", str(tmp_path)]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_right_answers_pass_and_mistakes_get_their_hint(small_run, tmp_path: Path, name: str):
    found = solutions(notebook_of(name))
    asked = {node.id for one in found for node in ast.walk(ast.parse(one)) if isinstance(node, ast.Name)}
    tables = linked(small_run.out / "tables", tmp_path / "tables")
    names = run_needed(name, wanted={"page", *asked}, tables=tables, results=tmp_path)
    for number, solution in enumerate(found, start=1):
        space = dict(names)
        exec(solution, space)
        assert names["page"].grade(space["answer"], exercise=number).passed
        for hint, mistake in space["wrong"].items():
            given = names["page"].grade(mistake, exercise=number)
            assert not given.passed and hint in given.text
        assert not names["page"].grade("something else", exercise=number).passed


def test_the_report_shows_no_exercise(small_run):
    for path in (small_run.out / "executed").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert not [c for c in cells if EXERCISE in c["metadata"].get("tags", [])]
