"""Pages as a graph by the tables they read and write: which may begin, and how many side by side."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PAGE_MEMORY = 2 * 1024**3
"""What a page is taken to need, in bytes: another one begins beside it only where there is as much again."""


def in_order(
    waits: Mapping[str, Collection[str]], *, begin: Callable[[str], Future[T]], at_most: int
) -> Iterator[tuple[str, T]]:
    """Begin each page once every page it waits for has ended and been looked at; yield each one as it ends.

    Args:
        waits: For each page, in reading order, the pages it waits for, whatever becomes of them.
        begin: Begins a page; called in this thread, and free to end it at once.
        at_most: Pages at work side by side.
    """
    left = list(waits)
    ended: set[str] = set()
    at_work: dict[Future[T], str] = {}
    while left or at_work:
        ready = [name for name in left if ended.issuperset(waits[name])]
        for name in ready[: at_most - len(at_work)]:
            at_work[begin(name)] = name
            left.remove(name)
        over, _ = wait(at_work, return_when=FIRST_COMPLETED)
        for future in [f for f in at_work if f in over]:
            name = at_work.pop(future)
            yield name, future.result()
            ended.add(name)


def side_by_side() -> int:
    """How many pages may run at once: as many as there are processors, and as the free memory holds."""
    return max(1, min(_processors(), _free_memory() // PAGE_MEMORY))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_memory() -> int:
    """Bytes that new processes may take; where the system does not say, half of what there is."""
    about = Path("/proc/meminfo")
    if about.exists():
        lines = dict(line.split(":") for line in about.read_text(encoding="ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    else:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    limit = Path("/sys/fs/cgroup/memory.max")
    words = limit.read_text(encoding="ascii").strip() if limit.exists() else "max"
    return free if words == "max" else min(free, int(words))
