"""What a run says while it runs: on the terminal, and in its log file."""

import shutil
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TextIO


class Progress:
    """Lines on a stream and in a log file; the log holds names, numbers and times, never a value of the data.

    On a terminal a line of the pages at work is drawn again at every cell. Elsewhere a page has one line, when it
    ends. Pages at work side by side may all call it.
    """

    def __init__(self, log: Path | None = None, *, stream: TextIO | None = None) -> None:
        """Open the log file, if one is wanted."""
        self._stream = stream or sys.stdout
        self._drawn = 0
        self._at_work: dict[str, str] = {}
        self._lock = threading.RLock()
        self._log = log.open("w", encoding="utf-8") if log else None

    @property
    def live(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def say(self, line: str, *, log: str | None = None, ends: str = "") -> None:
        """Write a line for good; to the log file the same, or what is given for it. A page ends with its line."""
        with self._lock:
            self._clear()
            print(line, file=self._stream, flush=True)
            self.note(line if log is None else log)
            self._at_work.pop(ends, None)
            self._draw()

    def at_work(self, page: str, *, cell: int, of: int, started: float) -> None:
        """Say which cell of which page is at work."""
        with self._lock:
            self._at_work[page] = f"{page} cell {cell} of {of} {time.monotonic() - started:.0f} s"
            self._clear()
            self._draw()
            self.note(f"{page} cell {cell} of {of}")

    def note(self, line: str) -> None:
        """Write a line to the log file only."""
        if self._log:
            at = datetime.now().astimezone().isoformat(timespec="seconds")
            print(f"{at} {line}", file=self._log, flush=True)

    def close(self) -> None:
        """Close the log file."""
        self._clear()
        if self._log:
            self._log.close()

    def _draw(self) -> None:
        if self.live and self._at_work:
            # A line that is broken cannot be drawn again.
            line = ", ".join(self._at_work.values())[: shutil.get_terminal_size().columns - 1]
            print(line, end="", file=self._stream, flush=True)
            self._drawn = len(line)

    def _clear(self) -> None:
        if self._drawn:
            print("\r" + " " * self._drawn + "\r", end="", file=self._stream, flush=True)
            self._drawn = 0
