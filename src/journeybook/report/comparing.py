"""The results of a run against the accepted ones."""

import fnmatch
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from journeybook.errors import JourneybookError
from journeybook.report.storing import read_json, write_text
from journeybook.tables import root

BASELINE = root() / "tests" / "baseline"
RELATIVE = 1e-6
"""Two figures agree when they differ by at most this share of the accepted one; tolerances.json has exceptions."""
ABSOLUTE = 1e-9
"""Or by at most this much: the last digits of a figure that is zero but for rounding differ between processors."""
WHOLE_TABLE = 100
"""A result table of up to this many rows is accepted row by row, a longer one by its number of rows."""


def compare(results: Path, *, baseline: Path = BASELINE) -> list[str]:
    """Say where parameters, metrics, checks, tables and rows of inputs are not the accepted ones.

    `tolerances.json` beside the accepted files holds exceptions, `*` standing for anything, such as
    `{"05_segmentation": {"tables.segments.*": 1e-3}}`.

    Raises:
        JourneybookError: There is no accepted result.
    """
    accepted = {path.stem: path for path in baseline.glob("[0-9][0-9]_*.json")}
    if not accepted:
        raise JourneybookError(f"{baseline} holds no accepted result: make report, then make accept.")
    found = {path.stem: path for path in results.glob("[0-9][0-9]_*.json")}
    exceptions = read_json(baseline / "tolerances.json")
    differences = []
    for page in sorted(accepted.keys() | found.keys()):
        if page not in accepted or page not in found:
            differences.append(
                f"{page}: no results " + ("in this run" if page in accepted else "are accepted yet")
            )
            continue
        before = dict(_leaves(read_json(accepted[page])))
        now = dict(_leaves(accepted_part(read_json(found[page]))))
        for key in sorted(before.keys() | now.keys()):
            fitting = [t for pattern, t in exceptions.get(page, {}).items() if fnmatch.fnmatchcase(key, pattern)]
            tolerance = max(fitting, default=RELATIVE)
            absent = key not in before or key not in now
            if absent or not agree(before[key], now[key], relative=tolerance):
                said = f"{page}: {key} is {now.get(key)}, accepted {before.get(key)}"
                differences.append(f"{said} (relative tolerance {tolerance:g})")
    return differences


def agree(accepted: object, found: object, *, relative: float) -> bool:
    """Whether two values are the same; numbers, up to a share of the accepted one.

    >>> agree(100.0, 100.00001, relative=1e-6), agree(0.0, 1e-8, relative=1e-6), agree("a", "a", relative=0)
    (True, False, True)
    """
    numbers = [isinstance(v, int | float) and not isinstance(v, bool) for v in (accepted, found)]
    if all(numbers):
        return math.isclose(accepted, found, rel_tol=relative, abs_tol=ABSOLUTE)  # type: ignore[arg-type]
    return type(accepted) is type(found) and accepted == found


def accept(results: Path, *, baseline: Path = BASELINE) -> list[Path]:
    """Make the results of a run the accepted ones; what was accepted of a page that was not run stays."""
    found = sorted(results.glob("[0-9][0-9]_*.json"))
    if not found:
        raise JourneybookError(f"{results} holds no results: make report first.")
    for path in found:
        kept = accepted_part(json.loads(path.read_text(encoding="utf-8")))
        text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
        write_text(baseline / path.name, text)
    return [baseline / path.name for path in found]


def accepted_part(results: Mapping) -> dict:
    """The part of a results file that is accepted: all but digests of inputs and the rows of long tables."""
    tables = results.get("tables", {})
    short = {name: rows if len(rows) <= WHOLE_TABLE else {"rows": len(rows)} for name, rows in tables.items()}
    return {
        **results,
        "tables": short,
        "checks": {c["name"]: {k: v for k, v in c.items() if k != "name"} for c in results.get("checks", [])},
        "inputs": {name: {"rows": about["rows"]} for name, about in results.get("inputs", {}).items()},
    }


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _leaves(item, f"{key}.{i}")
    else:
        yield key, value
