"""What every finding of a page must keep to."""

import json
import re
from collections.abc import Sequence

from journeybook.findings import Finding, ordered
from journeybook.report.pages import NOTEBOOKS


def told(findings: Sequence[Finding], page: str) -> dict[str, Finding]:
    """Return findings by section and strength, the first of each, once their form is found right."""
    cells = json.loads((NOTEBOOKS / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    headings = set(re.findall(r"^## (.+)$", "\n".join("".join(c["source"]) for c in cells), flags=re.M))
    for f in findings:
        assert len(f.text.split()) <= 30 and len(f.action.split()) <= 30, f
        assert f.section in headings, f
        assert not re.search(r"[_`*]|\d{5}|nan", f.text + f.action), f
    said: dict[str, Finding] = {}
    for f in ordered(findings):
        said.setdefault(f"{f.section} {f.strength}", f)
    return said
