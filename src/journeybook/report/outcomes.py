"""What became of a run and of its pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journeybook.report.trust import trust

if TYPE_CHECKING:
    import nbformat

VARIANTS = {"coupons": "coupon mailings", "factorial": "two changes at once", "ongoing": "a test still running"}
"""What the variants of a page look at, in words."""

MONITORING = "15_monitoring"
"""The page that raises alarms."""


@dataclass(frozen=True, eq=False)
class Execution:
    """What came of executing a notebook.

    Attributes:
        notebook: The notebook with its outputs, without times, paths, ids or warnings of this run.
        seconds: Time from the start of the process to its end.
        error: What went wrong, one sentence, with the heading of its `section`; empty when all cells ran.
        too_little: Whether nothing went wrong but that the data are too few or too much alike for the page.
        warned: What the page said on its error stream, a section and a line each.
    """

    notebook: "nbformat.NotebookNode"
    seconds: float
    error: str = ""
    section: str = ""
    too_little: bool = False
    warned: tuple[tuple[str, str], ...] = ()


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
        checks: How many checks it made, known misses left out; `failed_checks` of them failed.
        known_misses: Known answers that a method of the page is known to miss.
        alarms: New alarms that it raised of the data (page 15).
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
    alarms: int = 0

    @property
    def counts(self) -> dict[str, Any]:
        """Its checks, by what became of them."""
        return {name: getattr(self, name) for name in ("checks", "failed_checks", "known_misses", "alarms")}


@dataclass(frozen=True)
class RunOutcome:
    """What became of a run: its first page, its tables, and every page and variant in reading order."""

    index: Path
    tables: Path
    pages: tuple[PageOutcome, ...]
    seconds: float
    exit_code: int

    @property
    def failed(self) -> int:
        """Number of pages that failed."""
        return sum(page.status == "failed" for page in self.pages)

    @property
    def failed_checks(self) -> int:
        """Number of checks that failed, on all pages."""
        return sum(page.failed_checks for page in self.pages)

    @property
    def alarms(self) -> int:
        """Number of new alarms, on all pages."""
        return sum(page.alarms for page in self.pages)


def exit_code(pages: Iterable[PageOutcome], *, strict: bool) -> int:
    """Return 0, or 1 where a page failed, or where `strict` is asked and a check failed or an alarm is new."""
    return int(any(page.status == "failed" or (strict and page.failed_checks + page.alarms > 0) for page in pages))


def alarms_of(page: str, results: Mapping) -> list[dict]:
    """Return the new alarms in the results of a page: rows of its table `alerts`, if it is page 15."""
    rows = results.get("tables", {}).get("alerts", []) if page.startswith(MONITORING) else []
    return [row for row in rows if row["is_new"]]


def with_checks(outcome: PageOutcome, results: Mapping) -> PageOutcome:
    """Return the outcome with the checks of its results counted."""
    found = trust((outcome.name, check) for check in results.get("checks", []))
    n_checks = found.witnesses + found.conservation
    n_alarms, n_misses = len(alarms_of(outcome.name, results)), found.known_misses
    return replace(outcome, checks=n_checks, failed_checks=found.failed, known_misses=n_misses, alarms=n_alarms)


def checks_said(outcome: PageOutcome) -> str:
    """Return in words what became of its checks."""
    if outcome.failed_checks:
        return f"{outcome.failed_checks} of {outcome.checks} checks FAILED"
    if outcome.checks == 0:
        return "no checks"
    said = f"{outcome.checks} check{'s' if outcome.checks > 1 else ''} passed"
    if outcome.known_misses:
        said += f", {outcome.known_misses} known miss{'es' if outcome.known_misses > 1 else ''}"
    return said
