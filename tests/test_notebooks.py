"""The committed notebooks: stripped, short, and in step with params.yaml."""

import ast
import json
import re
from pathlib import Path

import pytest

from journeybook.report.listing import params_yaml
from journeybook.report.pages import GIVEN, NOTEBOOKS, discover
from journeybook.report.params import PARAMS, RUN_DEFAULTS, committed_parameters
from journeybook.tables import SCHEMAS, access_of, schema_of

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
# Exercises do not count.
MAX_CODE_CELLS = 16
MAX_LINES = 14
HEADINGS = ["Load and look", "Does it hold?", "The pitfall", "Limits"]


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code(path: Path) -> list[str]:
    """Its code cells, without parameters and exercises."""
    apart = {"parameters", "exercise"}
    found = [c for c in cells(path) if c["cell_type"] == "code" and not apart & set(c["metadata"].get("tags", []))]
    return ["".join(c["source"]) for c in found]


@pytest.fixture(params=PATHS, ids=[p.stem for p in PATHS])
def path(request) -> Path:
    """Each notebook."""
    return request.param


def test_stripped(path: Path) -> None:
    for cell in cells(path):
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert set(cell["metadata"]) <= {"tags"}
    ids = [cell["id"] for cell in cells(path)]
    assert len(ids) == len(set(ids))
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert set(metadata) == {"journeybook", "kernelspec", "language_info"}
    assert metadata["kernelspec"]["name"] == "python3"
    assert metadata["language_info"] == {"name": "python"}


def test_pages_ask_call_plot_and_say(path: Path) -> None:
    sources = code(path)
    # The parameters are in a cell of their own.
    assert len(sources) + 1 <= MAX_CODE_CELLS
    for source in sources:
        tree = ast.parse(source)
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not any(isinstance(node, kinds) for node in ast.walk(tree)), source
        lines = [line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert len(lines) <= MAX_LINES, f"{len(lines)} lines:\n{source}"


def test_headings_come_in_order(path: Path) -> None:
    text = "\n".join("".join(c["source"]) for c in cells(path) if c["cell_type"] == "markdown")
    found = re.findall(r"^##? (.+)$", text, flags=re.MULTILINE)
    assert found[0].startswith(path.stem[:2])
    places = [next((i for i, h in enumerate(found) if h.startswith(wanted)), -1) for wanted in HEADINGS]
    assert -1 not in places, (HEADINGS, found)
    assert places == sorted(places)
    assert "$" not in text, "formulas are not drawn: no script is loaded for them"


def test_tables_are_named_as_they_are_read_and_written(path: Path) -> None:
    page = {p.name: p for p in discover()}[path.stem]
    sources = "\n".join(code(path))
    for entry in page.writes:
        bare = entry.rstrip("?").removesuffix("/*")
        assert "write(" in sources, f"{bare} is written nowhere"
    stages = {"raw", "accepted", "refused", "clean", "truth"}
    for entry in page.reads:
        for name in entry.rstrip("?").split("|"):
            stage, _, table = name.rpartition("/")
            if stage:
                assert stage in stages, name
            if stage not in ("", "truth") and table != "*" and "{" not in table:
                assert schema_of(table) is not None, f"{table} is not one of {', '.join(SCHEMAS)}"


def test_only_the_first_pages_name_what_identifies(path: Path) -> None:
    access = access_of(json.loads(path.read_text(encoding="utf-8"))["metadata"], page=path.stem)
    number = path.stem[:2]
    for table, purposes in access.reads.items():
        assert not table.startswith("raw/") or number == "01"
        assert not table.startswith("refused/") or number == "03"
        assert "customer_records" not in table or number in ("02", "03")
        assert ("collection" in purposes) == table.startswith("raw/")
        assert ("checking" in purposes) == table.startswith("truth/")


def test_no_page_goes_round_the_door(path: Path) -> None:
    for source in code(path):
        names = {n.attr for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Attribute)}
        names |= {n.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)}
        assert not names & {"owners_view", "secret", "read_parquet", "PUBLISHED_KEY"}
        assert not re.search(r"\b(run\.(_|key|folder|connection))", source)


def test_run_parameters_have_the_run_s_defaults(path: Path) -> None:
    page = {p.name: p for p in discover()}[path.stem]
    given = {name: p.default for name, p in page.given.items()}
    assert given["page_name"] == path.stem
    assert given["tables"] is None
    assert given["results"] is None
    for name in set(given) & set(RUN_DEFAULTS):
        assert given[name] == RUN_DEFAULTS[name], name
    assert set(given) <= set(GIVEN)


def test_every_parameter_is_explained(path: Path) -> None:
    page = {p.name: p for p in discover()}[path.stem]
    for parameter in page.parameters:
        assert len(parameter.meaning) >= 15, parameter.name


def test_params_yaml_is_in_step() -> None:
    wanted = params_yaml(committed_parameters(pages=discover()))
    assert PARAMS.read_text(encoding="utf-8") == wanted, "journeybook params --write brings it in step"
    assert all(f"\n{key}:" in wanted for key in ("dataset", "seed", "timezone"))
