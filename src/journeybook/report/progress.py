"""What a run says while it runs: on the terminal, and in its log file."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TextIO


class Progress:
    """Lines on a stream and in a log file; the log holds names, numbers and times, never a value of the data.

    On a terminal the line of the page at work is drawn again at every cell. Elsewhere a page has a line when
    it starts and one when it ends, and at most one every ten seconds in between.
    """

    def __init__(
        self, log: Path | None = None, *, stream: TextIO | None = None, quiet_seconds: float = 10
    ) -> None:
        """Open the log file, if one is wanted."""
        self._stream = stream or sys.stdout
        self._drawn = 0
        self._quiet_seconds = quiet_seconds
        self._said_at = 0.0
        self._log = log.open("w", encoding="utf-8") if log else None

    @property
    def live(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def say(self, line: str, *, log: str | None = None) -> None:
        """Write a line for good; to the log file the same, or what is given for it."""
        self._clear()
        print(line, file=self._stream, flush=True)
        self.note(line if log is None else log)

    def at_work(self, page: str, *, cell: int, of: int, started: float) -> None:
        """Say which cell of which page is at work."""
        now = time.monotonic()
        line = f"{page:<32} cell {cell:>2} of {of}  {now - started:5.0f} s"
        if self.live:
            self._clear()
            print(line, end="", file=self._stream, flush=True)
            self._drawn = len(line)
        elif now - max(self._said_at, started) >= self._quiet_seconds:
            print(line, file=self._stream, flush=True)
            self._said_at = now
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

    def _clear(self) -> None:
        if self._drawn:
            print("\r" + " " * self._drawn + "\r", end="", file=self._stream, flush=True)
            self._drawn = 0
