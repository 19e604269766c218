"""Registers that outlive a run: small files beside its tables, which no run empties."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from journeybook.errors import JourneybookError
from journeybook.tables.run import Run


def read_register(run: Run, name: str) -> dict[str, Any]:
    """Return what a register holds, by key; nothing where it was never written.

    Args:
        run: The run; `data/<name>.json` belongs to the default one, `<out>/<name>.json` to one with `--out`.
        name: Name of the register, such as `looks`.

    Raises:
        JourneybookError: The file is no register.
    """
    path = _register(run, name)
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise JourneybookError(f"{path.name} is no register: it needs to be one JSON object; remove or mend it.")
    return found


def keep_in_register(run: Run, name: str, *, key: str, entry: dict[str, Any]) -> None:
    """Replace one entry of a register, whole or not at all, for its owner's eyes only.

    Other entries stay as they are, also where another process writes at the same time.
    """
    path = _register(run, name)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        kept = read_register(run, name) | {key: entry}
        unfinished = path.with_suffix(".unfinished")
        unfinished.touch(mode=0o600)
        unfinished.chmod(0o600)
        unfinished.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        unfinished.replace(path)
    finally:
        os.close(folder)


def outliving(run: Run) -> list[str]:
    """Return what is there from before this run and no withdrawal reaches: registers, saved models, releases."""
    registers = [path.name for path in sorted(run.folder.resolve().parent.glob("*.json")) if path.stem == "looks"]
    models = [f"models/{path.name}" for path in sorted((run.folder / "models").glob("*"))]
    releases = ["private_releases"] if (run.folder / "private_releases.parquet").is_file() else []
    return [*registers, *models, *releases]


def _register(run: Run, name: str) -> Path:
    return run.folder.resolve().parent / f"{name}.json"
