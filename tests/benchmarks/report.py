"""`journeybook run` beside a plain papermill loop over the same notebooks on the same tables, in one run.

    python tests/benchmarks/report.py [SCALE]

Compared, in seconds of wall time:

* a cold run, which also builds the data set and renders the report; the loop does neither.
* the pages alone: from the end of the data to the end of the last page, against the loop.
* the same run again, when nothing has changed.
* what a page costs above its own compute: a notebook that only imports what page 07 does, in a forked kernel once
  the imports are done, in a plain one, and by papermill alone.

The bars are at most 2 s for the page above its own compute, and less than 2 s for the run again.
"""

import logging
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import nbformat
import papermill

from journeybook.report.graph import side_by_side
from journeybook.report.imports import imports_of
from journeybook.report.kernel import execute
from journeybook.report.kernels import Kernels
from journeybook.report.pages import NOTEBOOKS, discover
from journeybook.report.params import read_parameters

HEAVY = "07_channel_response"

logging.getLogger("papermill").setLevel(logging.ERROR)


def seconds(do: Callable[[], object]) -> float:
    """How long something takes."""
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def run(out: Path, *, scale: float) -> None:
    """One `journeybook run`."""
    command = [sys.executable, "-m", "journeybook.cli", "run", "--set", f"scale={scale}", "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def pages_alone(log: Path) -> float:
    """Seconds from the end of the data to the end of the last page, as the log of a run has them."""
    ends = re.findall(r"^(\S+) (\S+) +done in", log.read_text(encoding="utf-8"), flags=re.MULTILINE)
    times = [datetime.fromisoformat(at) for at, _ in ends]
    return (times[-1] - times[0]).total_seconds()


def loop(folder: Path, *, raw: Path, scale: float) -> None:
    """The same pages, one after the other, by papermill with the interpreter's ordinary kernel."""
    tables = folder / "tables"
    for name in ("raw", "truth"):
        (tables / name).mkdir(parents=True)
        for path in (raw / name).glob("*.parquet"):
            os.link(path, tables / name / path.name)
    os.link(raw / "dataset.json", tables / "dataset.json")
    asked = read_parameters(pages=discover(), settings=[f"scale={scale}"])
    for page in asked.pages:
        given = {"tables": str(tables), "results": str(folder / "results"), "page_name": page.name, **asked.shared}
        values = page.values | {name: given[name] for name in page.page.given}
        output = folder / f"{page.name}.ipynb"
        papermill.execute_notebook(page.page.path, output, parameters=values, progress_bar=False)


def overheads(folder: Path) -> dict[str, float]:
    """What a page of imports alone takes: forked, started plainly, and by papermill alone."""
    imports = imports_of([NOTEBOOKS / f"{HEAVY}.ipynb"])
    new = nbformat.v4
    cells = [new.new_code_cell("x = 1", metadata={"tags": ["parameters"]}), new.new_code_cell("\n".join(imports))]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = folder / "imports.ipynb"
    nbformat.write(new.new_notebook(cells=cells, metadata=spec), path)
    found = {}
    for words, forking in (("forked", True), ("plain", False)):
        with Kernels(imports, forking=forking) as kernels:
            kernels.warm_up()

            def once(kernels: Kernels = kernels) -> None:
                execute(path, parameters={}, timeout=60, on_cell=lambda cell, section: None, kernels=kernels)

            once()
            found[words] = min(seconds(once) for _ in range(3))
    found["papermill"] = min(
        seconds(lambda: papermill.execute_notebook(path, folder / "out.ipynb", progress_bar=False))
        for _ in range(3)
    )
    return found


def main(scale: float) -> None:
    """Print one row a figure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cold = seconds(lambda: run(folder / "out", scale=scale))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        pages = pages_alone(folder / "out" / "run.log")
        again = min(seconds(lambda: run(folder / "out", scale=scale)) for _ in range(3))
        plain = seconds(lambda: loop(folder / "loop", raw=folder / "out" / "tables", scale=scale))
        same = [
            path.read_bytes() == (folder / "loop" / "results" / path.name).read_bytes()
            for path in sorted((folder / "out" / "results").glob("*.json"))
        ]
        above = overheads(folder)
    print(f"scale {scale:g}, {os.cpu_count()} processors, {side_by_side()} pages side by side")
    print(f"{'cold run: data, pages, report':<48}{cold:>8.1f} s")
    print(f"{'its processor time':<48}{used.ru_utime + used.ru_stime:>8.1f} s")
    print(f"{'its pages alone':<48}{pages:>8.1f} s")
    print(f"{'papermill loop: pages alone':<48}{plain:>8.1f} s{plain / pages:>8.2f} times its pages")
    print(f"{'run again, nothing changed':<48}{again:>8.2f} s")
    for words, found in above.items():
        print(f"{'a page of imports alone, ' + words:<48}{found:>8.2f} s")
    print(f"{sum(same)} of {len(same)} results files byte-identical")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:] or ["0.3"]))
