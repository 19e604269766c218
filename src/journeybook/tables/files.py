"""Files that a page keeps beside its tables, such as a saved model."""

from collections.abc import Mapping

from journeybook.tables.access import normalised
from journeybook.tables.places import write_private
from journeybook.tables.run import Run, target


def write_files(run: Run, name: str, files: Mapping[str, bytes]) -> None:
    """Write files into a folder of the run's tables, each whole or not at all, for their owner's eyes only.

    Args:
        run: The run; a variant of a page writes apart, where no other page reads, and so does a notebook by hand.
        name: Name of the folder, such as `models/07_channel_response`.
        files: Content by file name, written in this order.

    Raises:
        JourneybookError: The page's notebook does not name the folder among what it writes.
    """
    name = normalised(name)
    if run._access is not None:
        run._access.check_write(name)
    folder = target(run) / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for file, content in files.items():
        write_private(folder / file, content)
