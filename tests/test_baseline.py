"""The default run against the accepted results."""

from pathlib import Path

import pytest

from journeybook.report.comparing import BASELINE, compare
from journeybook.report.pages import discover
from journeybook.report.params import read_parameters
from journeybook.report.running import run_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default data set, every page, in a folder of its own."""
    out = tmp_path_factory.mktemp("default") / "reports"
    outcome = run_report(read_parameters(pages=discover()), out=out)
    assert outcome.failed == 0
    return out


def test_results_are_the_accepted_ones(default_run: Path) -> None:
    assert compare(default_run / "results", baseline=BASELINE) == []
