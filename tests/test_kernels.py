"""The processes of a run's pages: the same answer however they are started, and none left however a run ends."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import toys

from journeybook.report import kernels as kernels_module
from journeybook.report.imports import imports_of
from journeybook.report.kernel import execute
from journeybook.report.kernels import CAN_FORK, Kernels
from journeybook.report.storing import locked

CELLS = [
    "import sys\nimport os\nimport matplotlib.pyplot as plt\nimport pandas as pd\nimport numpy as np",
    "pd.DataFrame({f'a_long_name_{i}': range(70) for i in range(30)})",
    "plt.figure(figsize=(2, 2)).gca().plot([1, 2])",
    "print(hash('a'), __name__, os.environ['OMP_NUM_THREADS'], plt.get_backend(), sorted({'b', 'c', 'a', 'd'}))",
    "import time\nfor piece in range(3):\n    print(piece, flush=True)\n    time.sleep(0.3)\n"
    "    print('said', file=sys.stderr, flush=True)",
    "import warnings\nwarnings.warn('beware')",
    "sorted(os.listdir('.')), os.environ['IPYTHONDIR'].startswith(os.getcwd()), sys.stdin.read()",
    "1 / 0",
]


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook that shows much of what a process could do differently."""
    path = tmp_path / "01_shows.ipynb"
    new = nbformat.v4
    cells = [new.new_code_cell("x = 1", metadata={"tags": ["parameters"]}), *map(new.new_code_cell, CELLS)]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    path.write_text(nbformat.writes(new.new_notebook(cells=cells)), encoding="utf-8")
    return path


def alive(word: str) -> list[int]:
    """Processes that have a word in their environment or on their command line, this one left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            known = (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in known and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def shown(notebook: Path, *, forking: bool) -> str:
    with Kernels(imports_of([notebook]), forking=forking) as kernels:
        kernels.warm_up()
        done = execute(
            notebook, parameters={"x": 2}, timeout=60, on_cell=lambda cell, section: None, kernels=kernels
        )  # fmt: skip
        assert (kernels._server is not None) == forking
    assert done.error == "ZeroDivisionError: division by zero"
    assert done.warned == (("", "said"), ("", "UserWarning: beware"))
    streams = [o for cell in done.notebook.cells for o in cell.get("outputs", []) if o.output_type == "stream"]
    assert [(o.name, o.text) for o in streams][1:] == [("stdout", "0\n1\n2\n")], "in one piece, and no warning"
    assert not kernels.folder.exists()
    assert not alive(str(kernels.folder))
    return nbformat.writes(done.notebook)


@pytest.mark.skipif(not CAN_FORK, reason="kernels are forked on Linux alone")
def test_a_forked_kernel_shows_what_a_plain_one_does(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    forked = shown(notebook, forking=True)
    assert "image/png" in forked, "whatever backend is set where the run was started"
    assert forked == shown(notebook, forking=False)


def test_where_it_cannot_be_forked_a_kernel_is_started_plainly(notebook: Path) -> None:
    with Kernels(
        ["import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"]
    ) as kernels:
        kernels.warm_up()
        done = execute(
            notebook, parameters={}, timeout=60, on_cell=lambda cell, section: None, kernels=kernels
        )  # fmt: skip
        assert done.error == "ZeroDivisionError: division by zero"
        assert len(kernels._plain) == 1


def test_imports_are_those_of_the_cells(notebook: Path) -> None:
    found = imports_of([notebook, notebook])
    assert found[:2] == ["import sys", "import os"]
    assert len(found) == 7


def test_a_run_that_changes_nothing_starts_no_kernel(toy_run, toy_pages, tmp_path: Path, monkeypatch) -> None:
    out = shutil.copytree(toy_run.out, tmp_path / "out")
    command = [sys.executable, toys.__file__, str(toy_pages[0].path.parent), str(out)]
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    for slow in ("papermill", "nbconvert", "nbformat", "jsonschema"):
        assert f" {slow}\n" not in again.stderr, f"{slow} takes a while to import"
    assert again.stdout.count("kept from an earlier run") == 3
    after = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    assert {p.name for p in before if before[p] != after.get(p)} <= {"run.log", "manifest.json"}
    assert before.keys() == after.keys()


def made(out: Path) -> dict[str, bytes]:
    """What a run leaves, without what tells of times, and the log of reads, which is only added to."""
    told = {"run.log", "manifest.json", "index.html", ".lock"}
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in told]
    return {str(p.relative_to(out)): p.read_bytes() for p in files if p.parent.name != "reads"}


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
@pytest.mark.parametrize("moments", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_moment_is_resumed_to_the_same_bytes(
    toy_run, toy_pages, tmp_path: Path, moments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A short path, for it holds sockets.
    temporary = Path(tempfile.mkdtemp(prefix="t"))
    monkeypatch.setenv("TMPDIR", str(temporary))
    notebooks, out = str(toy_pages[0].path.parent), tmp_path / "out"
    command = [sys.executable, toys.__file__, notebooks, str(out)]
    rng = random.Random(moments)
    killed = 0
    while killed < moments:
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        started = time.monotonic()
        while not (out / ".lock").exists() and time.monotonic() < started + 60:
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 6))
        run.send_signal(signal.SIGKILL)
        if run.wait() != -signal.SIGKILL:
            # It was done before: the next one begins anew.
            assert made(out) == made(toy_run.out)
            shutil.rmtree(out)
            continue
        killed += 1
        with locked(out):
            assert not alive(notebooks), "whoever could write has gone before the lock has"
        for path in out.rglob("*.parquet"):
            pd.read_parquet(path)
        for path in out.rglob("*.json"):
            json.loads(path.read_text(encoding="utf-8"))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert made(out) == made(toy_run.out)
    time.sleep(1)
    assert list(temporary.iterdir()) == [], "no folder is left, however early it was killed"
    temporary.rmdir()


def test_what_is_started_when_a_run_is_over_does_not_live(notebook: Path) -> None:
    with Kernels(forking=False) as kernels:
        process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    kernels.started_plainly(process)
    assert process.wait(10) == -signal.SIGKILL
    with pytest.raises(RuntimeError, match="over"):
        kernels.forked([], environment={}, cwd=".", said="")
    assert kernels_module.ENVIRONMENT["PYTHONHASHSEED"] == "0"
