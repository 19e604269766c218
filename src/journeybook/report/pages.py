"""What the notebooks say of themselves: name, question, tables, parameters. Nothing is executed here."""

import ast
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from journeybook.errors import JourneybookError
from journeybook.tables import access_of, root
from journeybook.teaching import EXERCISE

NOTEBOOKS = root() / "notebooks"

GIVEN = ("dataset", "engine", "seed", "scale", "timezone", "currency", "tables", "results", "page_name")
"""Parameters that the run gives to each page that declares them; params.yaml does not list them by page."""


_WRITING = re.compile(r"\bwrite\w*\(")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a page: the literal in its cell, its type as an annotation, and the comment above it."""

    name: str
    default: object
    kind: str
    meaning: str


@dataclass(frozen=True)
class Page:
    """One notebook.

    Attributes:
        name: Name of the page, such as `05_segmentation`.
        path: The notebook.
        title: Its first heading.
        question: The first bold sentence below the heading.
        reads: Tables it reads (`?` optional, `a|b` either, `stage/*` all of a stage, `{name}` a parameter).
        writes: Tables it writes.
        parameters: All parameters of its cell, the given ones too, in their order.
        sha256: Digest of the notebook's cells and of what it may open.
        n_cells: How many code cells a run executes.
        n_writing: The last of them that writes a table; 0 where none does.
    """

    name: str
    path: Path
    title: str
    question: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    sha256: str
    n_cells: int
    n_writing: int

    @cached_property
    def own(self) -> dict[str, Parameter]:
        """Parameters that params.yaml may set for this page, by name."""
        return {p.name: p for p in self.parameters if p.name not in GIVEN}

    @cached_property
    def given(self) -> dict[str, Parameter]:
        """Parameters that the run gives, by name."""
        return {p.name: p for p in self.parameters if p.name in GIVEN}


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook, without its outputs: `code`, `markdown` or `raw`, its text, its tags."""

    kind: str
    source: str
    tags: tuple[str, ...]


def discover(folder: Path = NOTEBOOKS) -> tuple[Page, ...]:
    """All pages of a folder, in reading order."""
    paths = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not paths:
        raise JourneybookError(f"{folder} holds no page: notebooks named like 05_segmentation.ipynb are needed.")
    return tuple(read_page(path) for path in paths)


def read_page(path: Path) -> Page:
    """One page, from its notebook, which must have one parameters cell of literals and name its tables."""
    metadata, all_cells = read_notebook(path)
    cells = [c for c in all_cells if "parameters" in c.tags]
    if len(cells) != 1:
        raise JourneybookError(
            f"{path.name} has {len(cells)} cells tagged parameters, but a page needs exactly one."
        )
    tables = access_of(metadata, page=path.stem)
    title, question = _opening(all_cells, default=path.stem)
    sources = [[c.kind, c.source] for c in all_cells]
    executed = [c.source for c in all_cells if c.kind == "code" and EXERCISE not in c.tags]
    return Page(
        name=path.stem,
        path=path,
        title=title,
        question=question,
        reads=tuple(tables.reads),
        writes=tables.writes,
        parameters=read_parameter_cell(cells[0].source, where=path.name),
        sha256=hashlib.sha256(json.dumps([sources, tables.reads, tables.writes]).encode()).hexdigest(),
        n_cells=len(executed),
        n_writing=max((n for n, source in enumerate(executed, 1) if _WRITING.search(source)), default=0),
    )


def read_notebook(path: Path) -> tuple[dict, list[Cell]]:
    """Metadata and cells of a notebook; nbformat would take longer to import than a run that keeps every page."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells = [
            Cell(c["cell_type"], "".join(c["source"]), tuple(c["metadata"].get("tags", ())))
            for c in content["cells"]
        ]
        return content["metadata"], cells
    except (ValueError, KeyError, TypeError):
        raise JourneybookError(
            f"{path.name} is no notebook of format 4: Jupyter would not open it either."
        ) from None


def read_parameter_cell(source: str, *, where: str) -> tuple[Parameter, ...]:
    """The parameters of a cell of literals and comments, with the comment above each; `where` is for messages.

    >>> read_parameter_cell("# Groups tried. Range 2 to 20.\\nmax_segments = 8", where="a page")
    (Parameter(name='max_segments', default=8, kind='int', meaning='Groups tried. Range 2 to 20.'),)
    """
    lines = source.splitlines()
    found = []
    for statement in ast.parse(source).body:
        target: ast.expr | None = None
        annotation: ast.expr | None = None
        value: ast.expr | None = None
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign):
            target, value, annotation = statement.target, statement.value, statement.annotation
        if not isinstance(target, ast.Name) or value is None:
            line = lines[statement.lineno - 1]
            raise JourneybookError(
                f"{where}: the parameters cell holds {line!r}, but only literals may stand there."
            )
        try:
            default = ast.literal_eval(value)
        except ValueError:
            raise JourneybookError(
                f"{where}: parameter {target.id} is {ast.unparse(value)}, but must be a literal."
            ) from None
        if annotation is None and default is None:
            raise JourneybookError(
                f"{where}: parameter {target.id} is None, but needs an annotation such as `str | None`."
            )
        kind = ast.unparse(annotation) if annotation is not None else kind_of(default)
        found.append(Parameter(target.id, default, kind, _comment_above(lines, statement.lineno - 1)))
    return tuple(found)


def kind_of(value: object) -> str:
    """The annotation that a literal stands for.

    >>> kind_of([0.5, 1.0]), kind_of({"a": 1}), kind_of([])
    ('list[float]', 'dict[str, int]', 'list')
    """
    if isinstance(value, list):
        kinds = sorted({kind_of(v) for v in value})
        return f"list[{' | '.join(kinds)}]" if kinds else "list"
    if isinstance(value, dict):
        kinds = sorted({kind_of(v) for v in value.values()})
        return f"dict[str, {' | '.join(kinds)}]" if kinds else "dict"
    return "None" if value is None else type(value).__name__


def _comment_above(lines: list[str], at: int) -> str:
    comment: list[str] = []
    while at > 0 and lines[at - 1].lstrip().startswith("#"):
        at -= 1
        comment.insert(0, lines[at].lstrip().lstrip("#").strip())
    return " ".join(comment)


def _opening(cells: Sequence[Cell], *, default: str) -> tuple[str, str]:
    """The first heading, and the first bold sentence of the same cell."""
    first = next((c.source for c in cells if c.kind == "markdown"), "")
    title = re.search(r"^# +(.+)$", first, flags=re.MULTILINE)
    question = re.search(r"\*\*(.+?)\*\*", first, flags=re.DOTALL)
    return (title.group(1).strip() if title else default, " ".join(question.group(1).split()) if question else "")
