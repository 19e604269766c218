"""Who may import whom, read from the source with `ast`."""

import ast
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import journeybook
from journeybook.report.pages import NOTEBOOKS

PACKAGE = Path(journeybook.__file__).resolve().parent
SHARED = {
    "errors",
    "tables",
    "statistics",
    "results",
    "teaching",
    "datasets",
    "proposing",
    "conservation",
    "journeys",
    "findings",
    "planted",
    "page",
    "showing",
    "sends",
    "plots",
    "report",
    "checking",
    "cli",
}
STAGES = {p.stem for p in PACKAGE.iterdir() if p.stem not in SHARED and not p.stem.startswith("__")}
FORBIDDEN = {"papermill", "matplotlib", "nbconvert", "nbformat", "IPython"}

# What each part of the package may import of it, besides itself.
ALLOWED = {
    "errors": set(),
    "tables": {"errors"},
    "statistics": {"errors"},
    "datasets": {"errors", "tables", "statistics"},
    "proposing": {"errors", "tables", "datasets"},
    "results": {"errors", "tables", "findings"},
    "page": {"errors", "tables", "results", "findings", "plots", "teaching"},
    "teaching": {"errors"},
    "conservation": set(),
    "journeys": set(),
    "findings": set(),
    "planted": {"statistics"},
    "showing": {"findings"},
    "sends": {"findings", "tables"},
    "plots": {"errors", "statistics", "conservation", "findings", "journeys", "showing", *STAGES},
    "report": {"errors", "tables", "datasets", "results", "findings", "teaching"},
    # `journeybook score` applies a saved model, and needs no notebook for it.
    # `journeybook check` asks the pages' own functions what they would refuse.
    "checking": {"errors", "report", "datasets", "statistics", "tables", "journeys", *STAGES},
    # Publishing for good and its budget are commands: a run of the report repeats itself, a release must not.
    "cli": {
        *{"errors", "report", "teaching", "channel_response", "tables", "checking", "proposing"},
        *{"privacy", "plots"},
    },
    **{
        stage: {"errors", "tables", "statistics", "conservation", "journeys", "findings", "planted", "sends"}
        for stage in STAGES
    },
}
# Rules are written in the expressions that `files` takes, held by the same guard.
ALLOWED["decisions"] |= {"datasets"}


def part(path: Path) -> str:
    """The part of the package a file belongs to: a module or a package right below `journeybook`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Full names of what a file imports, whether at its top or in a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(PACKAGE)) for p in FILES])
def test_arrows_point_one_way(path: Path) -> None:
    own = part(path)
    parts = {name.split(".")[1] for name in imports(path) if name.startswith("journeybook.")}
    parts -= {own, "__version__"}
    assert parts <= ALLOWED[own], f"{own} may not import {sorted(parts - ALLOWED[own])}"


@pytest.mark.parametrize(
    "path", [p for p in FILES if part(p) in STAGES | {"tables", "statistics", "journeys", "datasets", "results"}]
)
def test_no_page_code_draws_or_runs_notebooks(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & FORBIDDEN


def test_nothing_of_the_package_needs_what_only_its_developers_install() -> None:
    project = Path(__file__).resolve().parents[1] / "pyproject.toml"
    asked = tomllib.loads(project.read_text(encoding="utf-8"))["dependency-groups"]["dev"]
    names, of = {re.split(r"[<>=]", name)[0] for name in asked}, packages_distributions()
    imported = {name.split(".")[0] for path in FILES for name in imports(path)}
    assert not {name for name in imported if names & {*of.get(name, ())}}


@pytest.mark.parametrize("path", FILES)
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_a_page_is_found_by_one_name() -> None:
    for notebook in NOTEBOOKS.glob("*.ipynb"):
        name = notebook.stem[3:]
        assert (PACKAGE / f"{name}.py").exists() or (PACKAGE / name / "__init__.py").exists(), name
        assert (PACKAGE / "plots" / f"{name}.py").exists() or (PACKAGE / "plots" / name).is_dir(), name
        assert (Path(__file__).parent / f"test_{name}.py").exists(), name
