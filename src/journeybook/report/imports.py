"""What pages import: to have it ready for them, and to know which code their results are made by."""

import ast
import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

import journeybook
from journeybook.report.pages import read_notebook

PACKAGE = Path(journeybook.__file__).resolve().parent

# One in a text that only quotes it is taken for one as well: a page is then made again once too often.
_IMPORT = re.compile(
    r"^ *(?:from (journeybook[\w.]*) import (\([^)]*\)|.*)|import (journeybook[\w.]*))", re.MULTILINE
)


def imports_of(notebooks: Iterable[Path]) -> list[str]:
    """The import statements of notebooks, each once, in their order; what stands inside a block is left out."""
    found: dict[str, None] = {}
    for path in notebooks:
        for source in _code(path):
            with contextlib.suppress(SyntaxError):
                statements = ast.parse(source).body
                found |= {ast.unparse(s): None for s in statements if isinstance(s, ast.Import | ast.ImportFrom)}
    return list(found)


def reached(notebook: Path, *, edges: dict[Path, set[Path]]) -> set[Path]:
    """The files of this package that a notebook imports, directly or not; `edges` keeps what was looked at."""
    found: set[Path] = set()
    waiting = set().union(*map(_imported, _code(notebook)))
    while waiting:
        path = waiting.pop()
        if path not in edges:
            edges[path] = _imported(path.read_text(encoding="utf-8"))
        found.add(path)
        waiting |= edges[path] - found
    return found


def _code(notebook: Path) -> list[str]:
    return [cell.source for cell in read_notebook(notebook)[1] if cell.kind == "code"]


def _imported(text: str) -> set[Path]:
    """Files of this package that a text imports: modules, and what runs before them in their packages."""
    found: set[Path] = set()
    for module, names, plain in _IMPORT.findall(text):
        whole = module or plain
        for dotted in (whole, *(f"{whole}.{name}" for name in re.findall(r"\w+", names))):
            parts = dotted.split(".")[1:]
            files = [PACKAGE.joinpath(*parts[:n], "__init__.py") for n in range(len(parts) + 1)]
            files += [PACKAGE.joinpath(*parts).with_suffix(".py")] if parts else []
            found |= {path for path in files if path.is_file()}
    return found
