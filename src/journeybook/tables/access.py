"""What a page may open: the tables and purposes that its notebook names, and rules that hold whatever it names."""

import json
import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from journeybook.errors import JourneybookError
from journeybook.tables.places import root
from journeybook.tables.schema import PURPOSES, SCHEMAS, schema_of

# What is no use of a person's data: taking in what was collected, and comparing with what was planted.
COLLECTION, CHECKING = "collection", "checking"

# Tables of a page's own that hold rows as they were collected, identifiers and all.
_WHOLE_ROWS = ("quarantine", "set_aside")


@dataclass(frozen=True)
class Access:
    """What one page may open.

    Attributes:
        page: Name of the page, with its variant if it has one.
        reads: Purposes by table (`?` optional, `a|b` either, `stage/*` all of a stage, `{name}` a parameter).
        writes: Tables, files (`models/...`) and registers (`register/...`) it writes, in the same patterns.
    """

    page: str
    reads: Mapping[str, tuple[str, ...]]
    writes: tuple[str, ...]

    @property
    def number(self) -> str:
        """Its place in the reading order, such as `05`."""
        return self.page[:2]

    def check_read(self, name: str, *, purpose: str) -> None:
        """Raise JourneybookError, which says what is allowed, unless the page may read a table for a purpose."""
        asks = f"page {self.page} may not read {name!r} for {purpose!r}"
        closed = _closed(name, number=self.number)
        if purpose == "identity_resolution" and self.number > "03":
            closed = "who is who is asked up to page 03 only"
        if closed:
            raise JourneybookError(f"{asks}: {closed}.")
        if not any(_stands_for(p, name) and purpose in purposes for p, purposes in self.reads.items()):
            named = "; ".join(f"{table.rstrip('?')} for {', '.join(of)}" for table, of in self.reads.items())
            raise JourneybookError(f"{asks}: its notebook's metadata names {named or 'no table'}.")

    def purpose_of(self, name: str) -> str:
        """Return the one purpose that the page names for a table; an exact name comes before a pattern."""
        name = normalised(name)
        fitting = sorted(
            (p for p in self.reads if _stands_for(p, name)), key=lambda p: name not in p.rstrip("?").split("|")
        )
        purposes = self.reads[fitting[0]] if fitting else ()
        if len(purposes) != 1:
            raise JourneybookError(
                f"page {self.page} names {', '.join(purposes) or 'no purpose'} for {name!r}: say one."
            )
        return purposes[0]

    def check_lookup(self, *, purpose: str) -> None:
        """Raise JourneybookError unless the page may ask the ledger who permits a purpose."""
        if not any(_stands_for(p, "consents") and purpose in purposes for p, purposes in self.reads.items()):
            raise JourneybookError(
                f"page {self.page} may not ask the ledger about {purpose!r}: "
                "its notebook's metadata does not name consents with this purpose."
            )

    def check_write(self, name: str) -> None:
        """Raise JourneybookError, which says what is allowed, unless the page may write a table."""
        if not any(_stands_for(pattern, name) for pattern in self.writes):
            named = ", ".join(w.rstrip("?") for w in self.writes)
            raise JourneybookError(
                f"page {self.page} may not write {name!r}: its notebook's metadata names {named or 'no table'}."
            )


def access_of(metadata: Mapping[str, object], *, page: str) -> Access:
    """Return what a notebook's metadata, its block `journeybook`, lets a page open.

    Raises:
        JourneybookError: It does not name its tables, each one read with a purpose.
    """
    block = metadata.get("journeybook")
    reads = block.get("reads") if isinstance(block, Mapping) else None
    if not isinstance(block, Mapping) or not isinstance(reads, Mapping) or "writes" not in block:
        raise JourneybookError(
            f'{page}.ipynb does not name its tables: "journeybook": {{"reads": {{table: purpose}}, "writes": '
            "[...]} is needed in the notebook's metadata."
        )
    known = (*PURPOSES, COLLECTION, CHECKING)
    purposes = {table: (of,) if isinstance(of, str) else tuple(of) for table, of in reads.items()}
    for table, of in purposes.items():
        for purpose in of:
            if purpose not in known:
                raise JourneybookError(
                    f"{page}.ipynb reads {table!r} for {purpose!r}, which is not one of {', '.join(known)}."
                )
        if not of:
            raise JourneybookError(f"{page}.ipynb reads {table!r} for no purpose: it needs at least one.")
    return Access(page=page, reads=purposes, writes=tuple(block["writes"]))


def find_access(page: str) -> Access:
    """Return what a page may open, as its notebook names it."""
    return access_of(notebook_of(page)["metadata"], page=page)


def parameter_cell(page: str) -> str:
    """Return the source of the cell tagged `parameters` of a page's notebook; empty without one."""
    cells = [c for c in notebook_of(page)["cells"] if "parameters" in c["metadata"].get("tags", [])]
    return "".join(cells[0]["source"]) if cells else ""


def readers(table: str) -> dict[str, tuple[str, ...]]:
    """Return the pages after 01 whose notebooks name a table, whatever its stage, each with its purposes."""
    names = [f"{stage}{table}" for stage in ("", "accepted/", "clean/")]
    found: dict[str, tuple[str, ...]] = {}
    for page in (path.stem for path in sorted(_notebooks().glob("[0-9][0-9]_*.ipynb"))[1:]):
        for pattern, purposes in find_access(page).reads.items():
            if any(_stands_for(pattern, name) and not _closed(name, number=page[:2]) for name in names):
                found[page] = (*found.get(page, ()), *purposes)
    return found


def maker_of(table: str) -> str:
    """Return the page whose notebook writes a table, such as `clean/contacts`; empty where none does."""
    pages = [path.stem for path in sorted(_notebooks().glob("[0-9][0-9]_*.ipynb"))]
    return next((p for p in pages if any(_stands_for(w, table) for w in find_access(p).writes)), "")


def notebook_of(page: str) -> dict:
    """Return a page's notebook as its file holds it; a variant (`07_channel_response.coupons`) has its page's."""
    bare = page.split(".")[0]
    path = _notebooks() / f"{bare}.ipynb"
    if not re.fullmatch(r"\d\d_\w+", bare) or not path.is_file():
        raise JourneybookError(
            f"page {page!r} has no notebook, so that no table is open to it: pages are named like 05_segmentation."
        )
    return json.loads(path.read_text(encoding="utf-8"))


def _notebooks() -> Path:
    # A report tells the page's process where its notebooks are; by hand they are the repository's.
    return Path(os.environ.get("JOURNEYBOOK_NOTEBOOKS") or root() / "notebooks")


def normalised(name: str) -> str:
    """Return the one spelling of a table's name, which may not lead out of the run's folder.

    >>> normalised("./accepted/../raw/contacts")
    'raw/contacts'
    """
    # On a disk that knows no capitals RAW is raw.
    plain = posixpath.normpath(name).lower()
    if not name or plain.startswith(("/", "..")) or plain == "." or "\\" in name or "\0" in name:
        raise JourneybookError(f"{name!r} is no name of a table: like clean/contacts it lies within the run.")
    return plain


def _closed(name: str, *, number: str) -> str:
    """Why a table is closed to a page whatever its notebook names; empty where it is not."""
    stage = name.split("/")[0]
    if stage == "raw" and number != "01":
        return "raw tables are open to page 01 only"
    if stage == "refused" and number != "03":
        return "what is kept of those who refuse is open to page 03 only"
    if name in _WHOLE_ROWS and number not in ("01", "02"):
        return "rows as they were collected are open to pages 01 and 02 only"
    schema = schema_of(name) if stage in ("accepted", "clean") else None
    if schema is not None and schema.name == "customer_records" and number not in ("02", "03"):
        return "names and addresses are open to pages 02 and 03 only"
    return ""


def _stands_for(pattern: str, name: str) -> bool:
    return any(_fits(alternative, name) for alternative in pattern.rstrip("?").split("|"))


def _fits(pattern: str, name: str) -> bool:
    stage, _, bare = pattern.rpartition("/")
    if stage != name.rpartition("/")[0]:
        return False
    asked = name.rpartition("/")[2]
    if bare == "*":
        return True
    if not bare.startswith("{"):
        return bare == asked
    # A parameter stands for any table of the kind it is named for; otherwise for any that names nobody directly.
    kind, _, ending = bare[1:].partition("}")
    found = schema_of(asked.removesuffix(ending))
    if found is None or schema_of(asked) is None or not asked.endswith(ending):
        return False
    return found.name == kind if kind in SCHEMAS else not found.identifiers
