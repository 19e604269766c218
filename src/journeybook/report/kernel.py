"""One notebook, executed by papermill in a process of its own."""

import logging
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from journeybook.report.kernels import Kernels
from journeybook.report.outcomes import Execution
from journeybook.report.provisioning import SAID_OUTSIDE, manager
from journeybook.teaching import EXERCISE

logging.getLogger("papermill").setLevel(logging.CRITICAL)
logging.getLogger("traitlets").setLevel(logging.CRITICAL)


def execute(
    notebook: Path,
    *,
    parameters: Mapping[str, object],
    timeout: int,
    on_cell: Callable[[int, str], None],
    kernels: Kernels,
) -> Execution:
    """Run every cell of a notebook, exercises apart, with the interpreter of this process.

    Args:
        notebook: The committed notebook; it is not changed.
        parameters: Values for its parameters cell.
        timeout: Longest time a cell may take, in seconds.
        on_cell: Called with the number of the code cell that starts (from 1) and the heading it stands under.
        kernels: Where its kernel comes from.
    """
    started = time.monotonic()
    source = nbformat.read(notebook, as_version=4)
    source.cells = [cell for cell in source.cells if EXERCISE not in cell.metadata.get("tags", [])]
    seen = 0
    section = ""

    def cell_starts(cell: nbformat.NotebookNode, cell_index: int) -> None:
        nonlocal seen, section
        if cell.cell_type == "markdown":
            section = _heading(cell) or section
        elif "injected-parameters" not in cell.metadata.get("tags", []):
            seen += 1
            on_cell(seen, section)

    with tempfile.TemporaryDirectory(prefix="", dir=kernels.ready()) as folder:
        asked, output = Path(folder) / "asked.ipynb", Path(folder) / "executed.ipynb"
        nbformat.write(source, asked)
        error, too_little = "", False
        try:
            papermill.execute_notebook(
                asked,
                output,
                parameters=dict(parameters),
                kernel_name="python3",
                language="python",
                kernel_manager_class=manager(Path(folder), notebooks=notebook.parent, kernels=kernels),
                progress_bar=False,
                start_timeout=120,
                execution_timeout=timeout,
                # Where a machine is busy an output may be long in coming.
                iopub_timeout=timeout,
                # A stream is flushed by the clock: in how many pieces it comes is chance.
                coalesce_streams=True,
                on_cell_start=cell_starts,
                # All is written by then, and a kernel takes its time to put things away.
                shutdown_kernel="immediate",
            )
        except PapermillExecutionError as stopped:
            # A stage function's ValueError is a sentence; of any other error its kind tells something.
            too_little = stopped.ename == "TooLittle"
            plain = too_little or stopped.ename in ("ValueError", "JourneybookError")
            kind = "" if plain else f"{stopped.ename}: "
            error = kind + masked(_plain(stopped.evalue))
        except CellTimeoutError:
            error = f"a cell took longer than {timeout} s"
        except DeadKernelError:
            error = "the process of the page died, most often for want of memory"
        except RuntimeError as stopped:
            error = f"the process of the page did not start: {stopped}{_last_line(Path(folder) / SAID_OUTSIDE)}"
        executed = nbformat.read(output, as_version=4) if output.exists() else source
    return Execution(
        warned=_take_warnings(executed),
        notebook=_without_traces(executed),
        seconds=time.monotonic() - started,
        error=error,
        section=section if error else "",
        too_little=too_little,
    )


def _heading(cell: nbformat.NotebookNode) -> str:
    found = re.findall(r"^##? +(.+)$", cell.source, flags=re.MULTILINE)
    return found[-1].strip() if found else ""


def _take_warnings(notebook: nbformat.NotebookNode) -> tuple[tuple[str, str], ...]:
    """Take out what cells said on the error stream: which thread warns, and when, is chance."""
    section, warned = "", []
    for cell in notebook.cells:
        section = (_heading(cell) if cell.cell_type == "markdown" else "") or section
        said = [o for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == "stderr"]
        if said:
            cell.outputs = [o for o in cell.outputs if o not in said]
            lines = [line for o in said for line in masked(_plain(o.text)).splitlines() if line.strip()]
            # Of a warning, what it says, and neither where the library lies nor its code.
            lines = [line for line in lines if not line.startswith("  ")]
            warned += [(section, re.sub(r"^\S+:\d+: (?=\w+Warning)", "", line)) for line in lines]
    return tuple(dict.fromkeys(warned))


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return f" ({lines[-1]})" if lines else ""


def masked(text: str) -> str:
    """A text without e-mail addresses and phone numbers: an error's message may quote the data.

    >>> masked("could not convert 'ann@example.com' or (020) 555-0199")
    "could not convert '•••@•••' or •••"
    """
    text = re.sub(r"[^\s'\"<>(),;]+@[^\s'\"<>(),;]+\.[a-z]+", "•••@•••", text)
    return re.sub(r"(?<![\d.])\+?\(?\d{3}\)?[ .-](?:\d{3}[ .-])?\d{4}(?![\d.:-])", "•••", text)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _without_traces(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook as every run leaves it: no times, no paths, no cells that papermill added for an error."""
    notebook.metadata.pop("papermill", None)
    cells = []
    n_tables = 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "papermill-error-cell-tag" in tags:
            continue
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.evalue = masked(output.evalue)
                output.traceback = [masked(line) for line in output.traceback]
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"
            kept = [line for line in cell.source.splitlines() if not re.match(r"(tables|results)\s*=", line)]
            cell.source = "\n".join(kept)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/plain" in data:
                # Where an object lies in memory.
                data["text/plain"] = re.sub(r" at 0x[0-9a-f]+>", ">", data["text/plain"])
            if "text/html" in data:
                n_tables += 1
                # pandas gives a styled table a random name.
                data["text/html"] = re.sub(r"\bT_[0-9a-f]{5}", f"T_{n_tables:05d}", data["text/html"])
        cells.append(cell)
    notebook.cells = cells
    return notebook
