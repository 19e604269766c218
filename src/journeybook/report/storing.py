"""Files of a report: written whole or not at all, by one run at a time."""

import contextlib
import fcntl
import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from journeybook.errors import JourneybookError

PATIENCE = 2
"""Seconds for which a folder in use is tried again: the kernels of a run that was killed end soon after it."""


def read_json(path: Path) -> dict:
    """Content of a JSON file; empty where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def file_digests(paths: Sequence[Path], folder: Path) -> dict[str, str]:
    """SHA-256 of each file, by its place in the folder."""
    digests = {}
    for path in paths:
        with path.open("rb") as content:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(content, "sha256").hexdigest()
    return digests


def move_files(places: Iterable[str], folder: Path, target: Path) -> None:
    """Move those files that are there to the same places in another folder."""
    for place in places:
        if (folder / place).is_file():
            (target / place).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / place).rename(target / place)


def results_path(out: Path, name: str) -> Path:
    """Where the results of a page are."""
    return out / "results" / f"{name}.json"


def executed_path(out: Path, name: str) -> Path:
    """Where the executed notebook of a page is kept."""
    return out / "executed" / f"{name}.ipynb"


def traceback_of(executed: Path) -> str:
    """Where in the code an executed notebook stopped; empty where it did not."""
    outputs = [output for cell in read_json(executed).get("cells", []) for output in cell.get("outputs", [])]
    lines = [line for output in outputs for line in output.get("traceback", [])]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def html_path(out: Path, name: str) -> Path:
    """Where the HTML of a page is."""
    return out / f"{name}.html"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold a folder for one run, until the last process that has the yielded file open ends: kernels have it too.

    Raises:
        JourneybookError: Another run holds it.
    """
    with (folder / ".lock").open("a") as handle:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise JourneybookError(
                        f"Another run is writing into {folder}: wait for it, or name another folder with --out."
                    ) from None
                time.sleep(0.05)
        yield handle.fileno()


def remove_unfinished(*folders: Path) -> None:
    """Remove what a run that was killed had begun to write."""
    for path in {p for folder in folders for p in folder.rglob("*.unfinished")}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
