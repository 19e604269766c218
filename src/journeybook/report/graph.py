"""Pages as a graph by the tables they read and write: which may begin, and how many side by side."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

PAGE_MEMORY = 2 * 1024**3
"""What a page is taken to need, in bytes: another one begins beside it only where there is as much again."""


@dataclass(frozen=True)
class Work(Generic[T]):
    """A page at work: its end, and the moment before it from which all its tables are whole."""

    end: Future[T]
    written: Future[None] = field(default_factory=Future)


def in_order(
    waits: Mapping[str, Collection[str]],
    *,
    begin: Callable[[str], Work[T]],
    failed: Callable[[str], bool],
    at_most: int,
    size: Callable[[str], int] = lambda _name: 0,
) -> Iterator[tuple[str, T]]:
    """Begin each page once every page it waits for has its tables written; yield each after those it waits for.

    What was begun before a page that then failed had ended may rest on tables that are no more: it begins again.
    Of pages that may begin, the one that most others wait for comes first, then the largest: the last page then
    runs alone for a short while only.

    Args:
        waits: For each page, in reading order, the pages it waits for, whatever becomes of them.
        begin: Begins a page; called in this thread, and free to end it at once.
        failed: Whether a page that was yielded failed.
        at_most: Pages at work side by side.
        size: How large a page is that may begin, such as the bytes that it reads.
    """
    awaited = _awaited(waits)
    left, ended = list(waits), set[str]()
    at_work: dict[str, Work[T]] = {}
    over: dict[str, Work[T]] = {}
    early: dict[str, set[str]] = {}
    spoilt: set[str] = set()
    while left or at_work:
        written = {name for name, work in (at_work | over).items() if work.written.done()}
        ready = [name for name in left if (ended | written).issuperset(waits[name])]
        ready.sort(key=lambda name: (awaited[name], size(name)), reverse=True)
        for name in ready[: at_most - len(at_work)]:
            early[name] = set(waits[name]) - ended
            at_work[name] = begin(name)
            left.remove(name)
        moments: list[Future] = [work.end for work in at_work.values()]
        moments += [work.written for name, work in at_work.items() if name not in written]
        wait(moments, return_when=FIRST_COMPLETED)
        over |= {name: at_work.pop(name) for name in list(at_work) if at_work[name].end.done()}
        for name in waits:
            if name not in over or not ended.issuperset(waits[name]):
                continue
            work = over.pop(name)
            if any(failed(before) for before in early.pop(name)) or name in spoilt:
                left.insert(0, name)
                spoilt = (spoilt - {name}) | {later for later, before in early.items() if name in before}
            else:
                yield name, work.end.result()
                ended.add(name)


def _awaited(waits: Mapping[str, Collection[str]]) -> dict[str, int]:
    """For each page, how many others wait for it, be it by way of another."""
    before: dict[str, set[str]] = {}
    for name, pages in waits.items():
        before[name] = {*pages}.union(*(before[page] for page in pages))
    return {name: sum(name in pages for pages in before.values()) for name in waits}


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
