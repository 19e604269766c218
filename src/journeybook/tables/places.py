"""Where things are kept, and writing for the owner's eyes only."""

from pathlib import Path


def root() -> Path:
    """Return the repository's folder, or the working directory where journeybook is not run from it."""
    here = Path(__file__).resolve().parents[3]
    return here if (here / "notebooks").is_dir() else Path.cwd()


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 600, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.touch(mode=0o600)
    unfinished.chmod(0o600)
    unfinished.write_bytes(content)
    unfinished.replace(path)
