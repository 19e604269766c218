"""What a run says while it runs: to a reader, to a scheduler, and in its log file."""

import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TextIO


class Progress:
    """Lines or events on a stream, and a log file, which holds no value of the data.

    On a terminal a line of the pages at work is drawn again at every cell; elsewhere a page has one line, when it
    ends. Several threads may call it.
    """

    def __init__(self, log: Path | None = None, *, stream: TextIO | None = None, events: bool = False) -> None:
        """Open the log file, if one is wanted."""
        self._stream = stream or sys.stdout
        self._events = events
        self._drawn = 0
        self._at_work: dict[str, str] = {}
        self._sections: dict[str, str] = {}
        self._of: dict[str, int] = {}
        self._left: dict[str, int] = {}
        self._weight: dict[str, float] = {}
        self._done = 0.0
        self._begun = 0.0
        self._lock = threading.RLock()
        self._log = log.open("w", encoding="utf-8") if log else None

    def expect(self, cells: Mapping[str, int], *, before: Mapping[str, float] | None = None) -> None:
        """Take note of the pages that may run: their code cells, and the seconds they took before, where known."""
        self._of, self._left = dict(cells), dict(cells)
        known = {page: seconds / cells[page] for page, seconds in (before or {}).items() if seconds}
        usual = sum(known.values()) / len(known) if known else 1.0
        self._weight = {page: known.get(page, usual) for page in cells}

    def tell(self, event: str, line: str = "", *, log: str | None = None, page: str = "", **about: object) -> None:
        """Say what happened: a line for good, or an event with what else is known. A page ends with its event.

        The log gets `log`, the line without values of the data, where it is given.
        """
        with self._lock:
            self._clear()
            if self._events:
                about = {"page": page, **about} if page else about
                print(json.dumps({"event": event, "at": _now(), **about}), file=self._stream, flush=True)
            elif line:
                print(line, file=self._stream, flush=True)
            if line:
                self.note(line if log is None else log)
            if event in ("page done", "page failed", "page kept", "page not run"):
                left = self._left.pop(page, 0)
                self._done += left * self._weight.get(page, 1) if self._at_work.pop(page, "") else 0
            self._draw()

    def at_work(self, page: str, *, cell: int, section: str, started: float) -> None:
        """Say which cell of which page is at work, and under which heading."""
        with self._lock:
            now = time.monotonic()
            # The imports before the first cell say nothing of the cells.
            self._begun = self._begun if self._done or self._at_work else now
            of = self._of.get(page, cell)
            self._done += (cell > 1) * self._weight.get(page, 1)
            self._left[page] = of - cell + 1
            self._at_work[page] = f"{page} {cell}/{of} {section}"
            seconds, left = round(now - started, 1), self._seconds_left()
            self.tell("cell", page=page, cell=cell, of=of, section=section, seconds=seconds, seconds_left=left)
            if self._sections.get(page) != section:
                self._sections[page] = section
                self.note(f"{page}: {section}")

    def note(self, line: str) -> None:
        """Write a line to the log file only."""
        if self._log:
            print(f"{_now()} {line}", file=self._log, flush=True)

    def close(self) -> None:
        """Close the log file."""
        self._clear()
        if self._log:
            self._log.close()

    def _seconds_left(self) -> int | None:
        """What is left, if it goes on as fast as so far; None before the first cell is done."""
        if not self._done:
            return None
        left = sum(n * self._weight.get(page, 1) for page, n in self._left.items())
        return round((time.monotonic() - self._begun) * left / self._done)

    def _draw(self) -> None:
        if self._events or not self._stream.isatty() or not self._at_work:
            return
        left = self._seconds_left()
        said = "" if left is None else f", {left} s left" if left < 90 else f", {left / 60:.0f} min left"
        line = f"{len(self._of) - len(self._left)} of {len(self._of)} pages{said}: "
        # A line that is broken cannot be drawn again.
        line = (line + ", ".join(self._at_work.values()))[: shutil.get_terminal_size().columns - 1]
        print(line, end="", file=self._stream, flush=True)
        self._drawn = len(line)

    def _clear(self) -> None:
        if self._drawn:
            print("\r" + " " * self._drawn + "\r", end="", file=self._stream, flush=True)
            self._drawn = 0


def without_values(message: str) -> str:
    """The first line of a message without what it quotes, which may be a value of the data.

    >>> without_values("ValueError: could not convert string to float: 'ann'")
    'ValueError: could not convert string to float: •••'
    """
    return re.sub(r"(?<!\w)'[^']*'(?!\w)|\"[^\"]*\"", "•••", message.partition("\n")[0])


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
