"""What every finding of a page must keep to."""

import json
import re
from collections.abc import Sequence

from journeybook.findings import Finding, ordered
from journeybook.report.pages import NOTEBOOKS


def told(findings: Sequence[Finding], page: str) -> list[str]:
    """Return each finding as one line, in order, once its form is found right."""
    cells = json.loads((NOTEBOOKS / f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]
    for f in findings:
        assert max(len(f.text.split()), len(f.action.split())) <= 30, f
        assert any(f"## {f.section}\n" in "".join([*c["source"], "\n"]) for c in cells), f
        assert not re.search(r"[_`*]|\d{5}|nan", f.text + f.action), f
    return [f"{f.worth} {f.strength}: {f.text} {f.action}" for f in ordered(findings)]
