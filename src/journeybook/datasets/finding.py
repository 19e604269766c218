"""Which files a path names, and of which kind they are."""

import glob
import re
from pathlib import Path

from journeybook.errors import JourneybookError, nearest


def find_files(path: object, *, base: Path, place: str) -> list[Path]:
    """Return the files a path or glob names, sorted.

    Raises:
        JourneybookError: There is none, or it is on another machine.
    """
    if not isinstance(path, str) or not path.strip():
        raise JourneybookError(
            f"{place}.path is {path!r}: it must be the path of a CSV, JSON, Excel or Parquet file, or a glob."
        )
    if re.match(r"[a-z0-9]+://", path):
        raise JourneybookError(f"{place}.path is {path!r}: only files of this machine can be read so far.")
    whole = base / path
    if whole.is_dir():
        raise JourneybookError(f"{place}.path is the folder {path!r}: name its files, for example {path}/*.csv.")
    # A name with brackets in it is that file, if there is one.
    named = [str(whole)] if whole.is_file() else glob.glob(str(whole), recursive=True)  # noqa: PTH207
    found = sorted(file for file in map(Path, named) if file.is_file())
    if not found:
        siblings = [p.name for p in whole.parent.iterdir() if p.is_file()] if whole.parent.is_dir() else []
        hint = nearest(whole.name, siblings) if whole.parent.is_dir() else "there is no such folder."
        raise JourneybookError(f"{place}.path is {path!r}, and there is no such file from {str(base)!r}; {hint}")
    return found


def is_parquet(file: Path) -> bool:
    """Return whether a file is Parquet, by what it begins with."""
    with file.open("rb") as opened:
        return opened.read(4) == b"PAR1"


def is_json(file: Path) -> bool:
    """Return whether a file of text is JSON, an object a line or one array of them, by what it begins with."""
    with file.open("rb") as opened:
        start = opened.read(4_096).removeprefix(b"\xef\xbb\xbf").lstrip()
    return re.match(rb'\{\s*["}]|\[\s*\{', start) is not None
