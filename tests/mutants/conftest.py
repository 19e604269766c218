"""`--accept` writes the table of planted errors; the tests then hold it against the list there is."""

import json
from typing import Any

import pytest

from journeybook.report.trust import PLANTED_ERRORS

_caught: dict[tuple[str, str], dict] = {}


def pytest_addoption(parser) -> None:
    """Let `--accept` write the table."""
    parser.addoption("--accept", action="store_true", help="write tests/baseline/planted_errors.json")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log) -> Any:
    """One data set a process, so that each page runs once as it is: with pytest 9.2 marks of groups are lost."""
    from xdist.scheduler import LoadScopeScheduling

    class ByData(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.rpartition("-")[2]

    return ByData(config, log)


def pytest_runtest_logreport(report) -> None:
    """Collect what the tests recorded, in whichever process they ran."""
    for name, value in report.user_properties if report.when == "call" else ():
        if name == "planted":
            entry = _caught.setdefault((value["page"], value["name"]), value | {"caught": {}})
            entry["caught"] |= value["caught"]


def pytest_sessionfinish(session) -> None:
    """Write the table, by page and name, where it is asked for; workers have nothing to write."""
    if session.config.getoption("--accept") and not hasattr(session.config, "workerinput"):
        errors = [
            _caught[key] | {"caught": dict(sorted(_caught[key]["caught"].items()))} for key in sorted(_caught)
        ]
        text = json.dumps({"errors": errors}, indent=1, ensure_ascii=False)
        PLANTED_ERRORS.write_text(text + "\n", encoding="utf-8")
