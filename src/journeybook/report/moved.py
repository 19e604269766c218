"""What moved between two reports: findings beyond their intervals, and the parameters and data behind them."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path

from journeybook.errors import JourneybookError
from journeybook.findings import Finding
from journeybook.report.comparing import RELATIVE, agree
from journeybook.report.front import read_finding
from journeybook.report.storing import read_json

# Two findings of one section speak of the same thing when so much of their letters is alike.
ALIKE = 0.6
_ABSENT = "not there"


def say_moved(old: Path, new: Path) -> str:
    """Return what moved from one report's folder to another's, as Markdown.

    A finding moved when its new figure lies outside its old interval, or is another one where there was none, or
    when how sure it is changed.
    """
    before, after = _results(old), _results(new)
    pages = sorted(before.keys() | after.keys())
    sections = {
        "Findings": [line for p in pages for line in _findings(p, before.get(p), after.get(p))],
        "Parameters": [line for p in pages for line in _differences(p, "parameters", before.get(p), after.get(p))],
        "Data": [line for p in pages for line in _differences(p, "inputs", before.get(p), after.get(p))],
    }
    told = [read_json(folder / "manifest.json") for folder in (old, new)]
    code = [f"{m.get('journeybook', 'unknown')} (package and notebooks {m.get('code', 'unknown')})" for m in told]
    sections["Code"] = [f"journeybook {code[0]}, now {code[1]}"] if code[0] != code[1] else []
    lines = []
    for title, found in sections.items():
        lines += [f"## {title}", "", *(f"* {line}" for line in found or ["Nothing moved."]), ""]
    return "\n".join(lines)


def _results(folder: Path) -> dict[str, dict]:
    found = {path.stem: read_json(path) for path in sorted((folder / "results").glob("[0-9][0-9]_*.json"))}
    if not found:
        raise JourneybookError(f"{folder}/results holds no results: it must be the folder of a report.")
    return found


def _findings(page: str, before: Mapping | None, after: Mapping | None) -> Iterator[str]:
    if before is None or after is None:
        yield f"{page}: {'was not run' if before is None else 'is not run any more'}."
        return
    old, new = ([read_finding(f) for f in results.get("findings", [])] for results in (before, after))
    for finding in new:
        was = _same(finding, old)
        if was is None:
            yield f"{page}, new: {finding.text} ({finding.strength})"
            continue
        old.remove(was)
        if was.strength != finding.strength:
            yield f"{page}: {finding.text} Now {finding.strength}, was {was.strength}: {was.text}"
        elif _beyond(was, finding):
            yield f"{page}: {finding.text} It was: {was.text}"
    for finding in old:
        yield f"{page}, gone: {finding.text} ({finding.strength})"


def _same(finding: Finding, others: Sequence[Finding]) -> Finding | None:
    """Return the finding among others that speaks of the same thing."""
    near = [other for other in others if (other.section, other.unit) == (finding.section, finding.unit)]
    alike = {other: SequenceMatcher(None, finding.text, other.text).ratio() for other in near}
    best = max(alike, key=lambda other: alike[other], default=None)
    return best if best is not None and alike[best] >= ALIKE else None


def _beyond(was: Finding, now: Finding) -> bool:
    if was.value is None or now.value is None or was.low is None or was.high is None:
        return not agree(was.value, now.value, relative=RELATIVE)
    return not was.low <= now.value <= was.high


def _differences(page: str, part: str, before: Mapping | None, after: Mapping | None) -> Iterator[str]:
    if before is None or after is None:
        return
    old, new = before[part], after[part]
    for name in sorted(old.keys() | new.keys()):
        one, other = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if one == other:
            continue
        if part == "inputs":
            n_old, n_new = (f"{about['rows']:,}" if about != _ABSENT else "no" for about in (one, other))
            yield f"{page}, {name}: {n_old} rows, now {f'{n_new} rows' if n_new != n_old else 'others as many'}"
        else:
            yield f"{page}, {name}: {one}, now {other}"
