"""What a page keeps beside its tables: files such as a saved model, and registers that outlive a run."""

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from journeybook.errors import JourneybookError
from journeybook.tables.access import normalised
from journeybook.tables.places import write_private
from journeybook.tables.run import Run, target

REGISTERS = ("claims", "looks")
"""Registers that outlive a run."""


def write_files(run: Run, name: str, files: Mapping[str, bytes]) -> None:
    """Write files into a folder of the run's tables, each whole or not at all, for their owner's eyes only.

    Args:
        run: The run; a variant writes apart, and so does a notebook by hand.
        name: Name of the folder, such as `models/07_channel_response`, which the page's notebook must name.
        files: Content by file name, written in this order.
    """
    name = normalised(name)
    if run._access is not None:
        run._access.check_write(name)
    folder = target(run) / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file, content in files.items():
        write_private(folder / file, content)


def read_register(run: Run, name: str) -> dict[str, Any]:
    """Return what a register holds, by key; nothing where it was never written.

    `data/<name>.json` belongs to the default run, `<out>/<name>.json` to one with `--out`; a notebook run by hand
    keeps its own, before the default one. A file that is no register, or not named by the notebook, is refused.
    """
    return {key: entry for path in _registers(run, name)[::-1] for key, entry in _entries(path).items()}


def keep_in_register(run: Run, name: str, *, key: str, entry: dict[str, Any]) -> None:
    """Replace one entry of a register, whole or not at all, for its owner's eyes only.

    Other entries stay as they are, also where another process writes at the same time.
    """
    path = _registers(run, name)[0]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        kept = _entries(path) | {key: entry}
        write_private(path, (json.dumps(kept, indent=1, sort_keys=True) + "\n").encode())
    finally:
        os.close(folder)


def raw_digest(run: Run) -> str:
    """Return a digest of the rows as they came, the same with any key and any parameters of pages."""
    made = hashlib.sha256()
    for path in sorted((run._folder / "raw").glob("*.parquet")):
        with path.open("rb") as file:
            made.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return made.hexdigest()[:16]


def keep_claims(run: Run, *, page: str, claims: Mapping[str, tuple[float, float, float]], digest: str) -> dict:
    """Write down what a page claims of some data (value and ends, by words), and return all that it ever claimed.

    What was claimed of the same data before stays as it went out; where all was, nothing is written.
    """
    held = read_register(run, "claims").get(page, {}).get("claims", {})
    new = [words for words in claims if all(one["digest"] != digest for one in held.get(words, ()))]
    for words in new:
        value, low, high = claims[words]
        held.setdefault(words, []).append({"digest": digest, "value": value, "low": low, "high": high})
    if new:
        keep_in_register(run, "claims", key=page, entry={"claims": held})
    return {"claims": held}


def outliving(run: Run) -> list[str]:
    """Return what is there from before this run and no withdrawal reaches: registers, saved models, releases."""
    folder = run._folder
    registers = [path.name for path in sorted(folder.resolve().parent.glob("*.json")) if path.stem in REGISTERS]
    models = [f"models/{path.name}" for path in sorted((folder / "models").glob("*"))]
    releases = ["private_releases"] if (folder / "private_releases.parquet").is_file() else []
    return [*registers, *models, *releases]


def _registers(run: Run, name: str) -> list[Path]:
    """The files of a register: where it is written, and what it reads through to."""
    name = normalised(name)
    if run._access is not None:
        run._access.check_write(f"register/{name}")
    beside = run._folder.resolve().parent / f"{name}.json"
    return [beside] if run._layer is None else [run._layer / f"{name}.json", beside]


def _entries(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise JourneybookError(f"{path.name} is no register: it needs to be one JSON object; remove or mend it.")
    return found
