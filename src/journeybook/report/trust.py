"""What a report's checks amount to: each kind counted for itself, and the planted errors that they catch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from journeybook.report.storing import read_json
from journeybook.tables import root

PLANTED_ERRORS = root() / "tests" / "baseline" / "planted_errors.json"
"""Errors planted in the pages and the checks that caught them; `make mutants` plants them again."""


@dataclass(frozen=True)
class Trust:
    """Checks of a report, counted by kind; a witness that depends on no data counts once."""

    witnesses: int
    witnesses_passed: int
    conservation: int
    conservation_passed: int
    known_misses: int

    @property
    def failed(self) -> int:
        """Checks that failed; a known miss is none of them."""
        return self.witnesses + self.conservation - self.witnesses_passed - self.conservation_passed


def trust(checks: Iterable[tuple[str, Mapping]]) -> Trust:
    """Count checks, each with the page or variant that made it."""
    seen: dict[tuple[str, str], tuple[str, bool]] = {}
    for page, check in checks:
        kind = check["kind"]
        # A check that depends on no data is one check, however many variants of its page show it.
        key = (page.partition(".")[0] if kind == "constant" else page, check["name"])
        passed = check["passed"] and seen.get(key, ("", True))[1]
        seen[key] = ("witness" if kind == "constant" else kind, passed)
    kinds = list(seen.values())
    return Trust(
        witnesses=sum(kind == "witness" or (kind == "known_miss" and passed) for kind, passed in kinds),
        witnesses_passed=sum(kind in ("witness", "known_miss") and passed for kind, passed in kinds),
        conservation=sum(kind == "conservation" for kind, _ in kinds),
        conservation_passed=sum(kind == "conservation" and passed for kind, passed in kinds),
        known_misses=sum(kind == "known_miss" and not passed for kind, passed in kinds),
    )


def planted_errors() -> list[dict]:
    """The errors planted in the pages: `page`, `error` and, by data set, what `caught` it; none where unknown."""
    return read_json(PLANTED_ERRORS).get("errors", [])
