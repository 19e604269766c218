"""Runs that several tests look at, each done once."""

import fcntl
import json
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
import toys

from journeybook.report import planning, running
from journeybook.report.imports import imports_of
from journeybook.report.kernels import Kernels
from journeybook.report.outcomes import RunOutcome
from journeybook.report.pages import Page, discover
from journeybook.report.params import read_parameters

SMALL_SCALE = 0.3


@dataclass(frozen=True)
class FinishedRun:
    """A run that tests look at.

    Attributes:
        out: Folder of the report.
        outcome: What became of the run.
    """

    out: Path
    outcome: RunOutcome

    def results(self, page: str) -> dict:
        """The results file of a page."""
        return json.loads((self.out / "results" / f"{page}.json").read_text(encoding="utf-8"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with a slow test first: none is left to run alone when the others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def small_settings() -> list[str]:
    """What the small run changes: the scale, and what makes pages quick."""
    quick = {page.name: import_module(f"mutants.page_{page.name}").PARAMETERS for page in discover()}
    changed = [f"{page}.{name}={json.dumps(value)}" for page in quick for name, value in quick[page].items()]
    # Of few trees none may find a coupon used, and the page warns of a logarithm of 0.
    return [f"scale={SMALL_SCALE}", *changed, "07_channel_response.coupons.n_trees=300"]


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """journey_demo, small and with quick values, every page through the real runner, by whoever comes first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "small"
    folder.mkdir(exist_ok=True)
    out, ended = folder / "reports", folder / "outcome"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ended.exists():
            parameters = read_parameters(pages=discover(), settings=small_settings())
            ended.write_bytes(pickle.dumps(running.run_report(parameters, out=out)))
    return FinishedRun(out, pickle.loads(ended.read_bytes()))


@pytest.fixture(scope="session")
def toy_pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, ...]:
    """Four toy pages."""
    folder = tmp_path_factory.mktemp("toy-notebooks")
    toys.write_pages(folder)
    return discover(folder)


@pytest.fixture(scope="session")
def warm_kernels(toy_pages: tuple[Page, ...]) -> Iterator[Kernels]:
    """Kernels that many toy runs share: only the first of them waits for the imports."""
    with Kernels(imports_of([page.path for page in toy_pages])) as kernels:
        kernels.warm_up()
        yield kernels


@pytest.fixture(scope="session")
def toy_world(warm_kernels: Kernels) -> Callable[[pytest.MonkeyPatch], None]:
    """Make the runner build the toy data set, with kernels that are ready."""

    def enter(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(running, "build_dataset", toys.build_toy_dataset)
        patch.setattr(planning, "code_digest", toys.code_digest)
        patch.setattr(running, "Kernels", lambda *_imports, **_held: nullcontext(warm_kernels))

    return enter


@pytest.fixture(scope="session")
def toy_run(toy_pages: tuple[Page, ...], toy_world, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The toy pages, run once; tests that change the folder copy it first."""
    with pytest.MonkeyPatch.context() as patch:
        toy_world(patch)
        folder = tmp_path_factory.mktemp("toy")
        out = folder / "reports"
        parameters = read_parameters(pages=toy_pages, settings=["seed=7"], defaults=folder / "none.yaml")
        return FinishedRun(out, running.run_report(parameters, out=out))
