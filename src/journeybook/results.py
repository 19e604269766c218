"""What a page leaves behind: its figures, its checks, and what both were made from."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from journeybook.errors import JourneybookError
from journeybook.tables import Run, fingerprint, provenance, root

CHECK_KINDS = ("witness", "conservation", "constant", "known_miss")


@dataclass(frozen=True)
class Check:
    """One comparison of a figure with something outside the page.

    Attributes:
        name: What is compared.
        passed: Whether the comparison holds.
        value: The page's figure.
        rule: `within`, `at least`, `at most` or `inside`.
        reference: What the figure is compared with; for `inside` the two ends of the range.
        tolerance: Greatest difference allowed; 0 except for `within`.
        source: Where the reference comes from.
        kind: `witness`; `conservation`, equal by construction (rows in, rows out); `constant`, depends on no data
            and counts once however many variants show it; `known_miss`, a known answer that the method is known
            to miss: listed by name, and not counted as failed.
    """

    name: str
    passed: bool
    value: float
    rule: str
    reference: float | list[float]
    tolerance: float
    source: str
    kind: str = "witness"

    def __post_init__(self) -> None:
        """Refuse a kind that nobody counts."""
        if self.kind not in CHECK_KINDS:
            raise JourneybookError(f"check {self.name!r} is of kind {self.kind!r}, not {', '.join(CHECK_KINDS)}.")


def check(
    name: str, value: float, *, reference: float, tolerance: float, source: str, kind: str = "witness"
) -> Check:
    """Compare a figure with a reference: passed if they differ by at most `tolerance`.

    >>> check("two and two", 4.1, reference=4, tolerance=0.2, source="arithmetic").passed
    True
    """
    passed = bool(abs(value - reference) <= tolerance)
    return Check(name, passed, float(value), "within", float(reference), float(tolerance), source, kind)


def check_at_least(name: str, value: float, *, bound: float, source: str, kind: str = "witness") -> Check:
    """Compare a figure with the least it may be."""
    return Check(name, bool(value >= bound), float(value), "at least", float(bound), 0.0, source, kind)


def check_at_most(name: str, value: float, *, bound: float, source: str, kind: str = "witness") -> Check:
    """Compare a figure with the most it may be."""
    return Check(name, bool(value <= bound), float(value), "at most", float(bound), 0.0, source, kind)


def check_inside(name: str, value: float, *, low: float, high: float, source: str, kind: str = "witness") -> Check:
    """Compare a figure with a range, its ends included."""
    passed = bool(low <= value <= high)
    return Check(name, passed, float(value), "inside", [float(low), float(high)], 0.0, source, kind)


def show_checks(checks: Sequence[Check]) -> pd.DataFrame:
    """Return the checks as a table to show: one row a check."""
    return pd.DataFrame(
        {
            "check": [c.name for c in checks],
            "passed": ["yes" if c.passed else "known miss" if c.kind == "known_miss" else "NO" for c in checks],
            "value": [say_figure(c.value) for c in checks],
            "compared with": [_rule(c) for c in checks],
            "source": [c.source for c in checks],
        }
    )


def show_parameters(parameters: Mapping[str, Any]) -> pd.DataFrame:
    """Return a page's parameters as a table to show: one row a parameter."""
    values = ["none given" if value is None else str(value) for value in parameters.values()]
    return pd.DataFrame({"parameter": list(parameters), "value": values})


def save_results(
    run: Run,
    results: str | Path | None,
    *,
    page: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    tables: Mapping[str, pd.DataFrame],
    checks: Sequence[Check],
    inputs: Sequence[str],
) -> None:
    """Write `<results>/<page>.json`, whole or not at all.

    Args:
        run: The run whose tables were read.
        results: Folder of the file; None is `reports/manual`, for a notebook run by hand.
        page: Name of the page, with its variant if it has one.
        parameters: What the page was asked.
        metrics: Headline figures by name; numbers only.
        tables: Result tables by name.
        checks: The page's checks.
        inputs: Names of the tables that were read.

    Raises:
        JourneybookError: A metric is not a number, or a table holds a value that JSON cannot.
    """
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise JourneybookError(f"metric {name!r} of {page} is {value!r}: a metric is a number.")
    content = {
        "page": page,
        "dataset": run.dataset,
        "provenance": provenance(run, *inputs),
        "consent_ledger": run.has_ledger,
        "parameters": _plain(dict(parameters)),
        "metrics": _plain(dict(metrics)),
        "tables": {name: _plain(frame.to_dict("records")) for name, frame in tables.items()},
        "checks": [_plain(vars(c)) for c in checks],
        "inputs": {name: fingerprint(run, name) for name in inputs},
    }
    folder = root() / "reports" / "manual" if results is None else Path(results)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{page}.json"
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(
        json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    unfinished.replace(path)


def say_figure(value: float | None) -> str:
    """Return a figure as tables show it: whole numbers whole, others to six digits or to the cent.

    >>> [say_figure(v) for v in (1469307, 4596039.58, 0.0765903812, 8.9e-16, None)]
    ['1,469,307', '4,596,039.58', '0.0765904', '8.9e-16', 'none']
    """
    if value is None or math.isnan(value):
        return "none"
    if math.isinf(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.2f}" if 1e4 <= abs(value) < 1e15 else f"{value:.6g}"


def _rule(c: Check) -> str:
    if isinstance(c.reference, list):
        return f"inside {say_figure(c.reference[0])} to {say_figure(c.reference[1])}"
    if c.rule == "within":
        return f"{say_figure(c.reference)} ± {c.tolerance:.2g}"
    return f"{c.rule} {say_figure(c.reference)}"


def _plain(value: Any) -> Any:
    """Turn a value into what JSON holds: numbers as they are, NaN and infinity as null, times as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise JourneybookError(f"a result holds {value!r} of type {type(value).__name__}, which JSON cannot hold.")
