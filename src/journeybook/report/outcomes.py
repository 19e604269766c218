"""What became of a run and of its pages."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nbformat

VARIANTS = {
    "coupons": "coupon mailings",
    "factorial": "two changes at once",
    "ongoing": "a test still running",
}
"""What the variants of a page look at, in words."""


@dataclass(frozen=True, eq=False)
class Execution:
    """What came of executing a notebook.

    Attributes:
        notebook: The notebook with its outputs, without times, paths or ids of this run.
        seconds: Time from the start of the process to its end.
        error: What went wrong, in a few words without values of the data; empty when all cells ran.
        cell: Number of the code cell that failed, from 1; 0 when none did.
        message: The error with its own message, for the page; empty when all cells ran.
    """

    notebook: "nbformat.NotebookNode"
    seconds: float
    error: str = ""
    cell: int = 0
    message: str = ""


@dataclass(frozen=True)
class PageOutcome:
    """What became of a page.

    Attributes:
        name: Page or variant.
        title: Its heading, with its variant in words.
        question: Its question.
        status: `done`, `failed` or `not run`.
        reason: Why it failed or was not run, one sentence; empty when done.
        seconds: How long it took.
        kept: Whether it was done by an earlier run with the same data, parameters and code.
        checks: How many checks it made, known misses left out.
        failed_checks: How many of them failed.
        known_misses: Known answers that a method of the page is known to miss.
    """

    name: str
    title: str
    question: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    kept: bool = False
    checks: int = 0
    failed_checks: int = 0
    known_misses: int = 0


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run.

    Attributes:
        index: The report's first page.
        tables: Folder of the run's tables.
        pages: Every page and variant, in reading order.
        seconds: How long the run took.
    """

    index: Path
    tables: Path
    pages: tuple[PageOutcome, ...]
    seconds: float

    @property
    def failed(self) -> int:
        """Number of pages that failed."""
        return sum(page.status == "failed" for page in self.pages)

    @property
    def failed_checks(self) -> int:
        """Number of checks that failed, on all pages."""
        return sum(page.failed_checks for page in self.pages)

    def exit_code(self, *, strict: bool) -> int:
        """0, or 1 where a page failed, or where a check did and `strict` is asked."""
        return int(self.failed > 0 or (strict and self.failed_checks > 0))
