"""The default run against the accepted results, and twice the same."""

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
    assert [str(d) for d in compare(default_run / "results", baseline=BASELINE)] == []


def test_another_folder_gives_the_same_bytes(default_run: Path, tmp_path: Path) -> None:
    """Results and executed notebooks, figures among them, of a second run elsewhere."""
    out = tmp_path / "elsewhere"
    run_report(read_parameters(pages=discover()), out=out)
    for folder in ("results", "executed"):
        first = {p.name: p.read_bytes() for p in (default_run / folder).iterdir()}
        second = {p.name: p.read_bytes() for p in (out / folder).iterdir()}
        assert sorted(first) == sorted(second)
        assert [name for name in first if first[name] != second[name]] == []
