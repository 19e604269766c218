"""The manifest of a run: when, where, with what, on which data, and what came of it."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import journeybook
from journeybook.report import planning
from journeybook.report.outcomes import PageOutcome
from journeybook.report.params import RunParameters


def manifest(
    asked: RunParameters,
    pages: Sequence[PageOutcome],
    *,
    started: datetime,
    code: int,
    tables: Path,
    described: Mapping,
    collected: Mapping,
) -> dict:
    """Return what `manifest.json` holds of a run whose pages have ended.

    `described` is the data set as `dataset.json` says it, `collected` the results of page 01 with the days of
    tables.
    """
    ended = datetime.now().astimezone()
    days = collected.get("tables", {}).get("counts", [])
    outcomes = [page.status for page in pages]
    return {
        "journeybook": journeybook.__version__,
        "code": planning.source_digest(asked.pages),
        "started_at": started.isoformat(timespec="seconds"),
        "ended_at": ended.isoformat(timespec="seconds"),
        "exit_code": code,
        "seconds": round((ended - started).total_seconds(), 1),
        "period": {row["table"]: [row["first_at"], row["last_at"]] for row in days if row.get("first_at")},
        "totals": {
            "rows": sum(table["rows"] for table in described["tables"].values()),
            "pages": {status: outcomes.count(status) for status in ("done", "failed", "not run")},
            **{name: sum(page.counts[name] for page in pages) for name in PageOutcome("", "", "", "").counts},
        },
        "host": platform.node(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "tables": str(tables),
        "versions": planning.versions((*planning.DATA_PACKAGES, *planning.MODEL_PACKAGES)),
        "parameters_file": str(asked.file.resolve()) if asked.file else None,
        "parameters": {
            **asked.shared,
            "files": asked.files,
            "pages": {run.name: run.values for run in asked.pages},
        },
        "pages": {page.name: asdict(page) for page in pages},
    }
