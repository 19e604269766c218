"""Files that a page keeps beside its tables, such as a saved model."""

from collections.abc import Mapping

from journeybook.tables.run import Run


def write_files(run: Run, name: str, files: Mapping[str, bytes]) -> None:
    """Write files into a folder of the run's tables, each whole or not at all, for their owner's eyes only.

    Args:
        run: The run; a variant of a page writes apart, where no other page reads.
        name: Name of the folder, such as `models/07_channel_response`.
        files: Content by file name, written in this order.
    """
    page = run.page or ""
    folder = run.folder / "variants" / page / name if "." in page else run.folder / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file, content in files.items():
        unfinished = folder / f"{file}.unfinished"
        unfinished.touch(mode=0o600)
        unfinished.chmod(0o600)
        unfinished.write_bytes(content)
        unfinished.replace(folder / file)
