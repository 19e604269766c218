"""Pages as a graph: what each waits for, what a failure stops, and that nothing depends on who was quicker."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import toys

from journeybook.report import graph, running
from journeybook.report.pages import discover
from journeybook.report.params import read_parameters

WAITS = {"01": [], "02": ["01"], "03": ["01"], "04": ["02"], "05": ["03", "04"]}


def never(_name: str) -> bool:
    return False


def test_a_page_begins_when_all_it_waits_for_were_looked_at() -> None:
    looked_at: list[str] = []

    def begin(name: str) -> graph.Work[str]:
        assert set(WAITS[name]) <= set(looked_at)
        work: graph.Work[str] = graph.Work(Future())
        work.end.set_result(name.upper())
        return work

    for name, result in graph.in_order(WAITS, begin=begin, failed=never, at_most=3):
        assert result == name.upper()
        looked_at.append(name)
    assert sorted(looked_at) == sorted(WAITS)


@pytest.mark.parametrize("at_most", [1, 2])
def test_ready_pages_run_side_by_side_and_no_more_than_allowed(at_most: int) -> None:
    at_work, most = 0, 0
    lock, both = threading.Lock(), threading.Barrier(2)

    def page(name: str) -> str:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        if at_most == 2 and name in ("02", "03"):
            both.wait(10)
        with lock:
            at_work -= 1
        return name

    with ThreadPoolExecutor(4) as pool:
        begin = lambda name: graph.Work(pool.submit(page, name))  # noqa: E731
        ended = list(graph.in_order(WAITS, begin=begin, failed=never, at_most=at_most))
    assert sorted(name for name, _ in ended) == sorted(WAITS)
    assert most == at_most


@pytest.mark.parametrize("fails", [False, True])
def test_a_page_begins_once_the_tables_it_waits_for_are_written_and_again_where_that_failed(fails: bool) -> None:
    waits = {"01": [], "02": ["01"], "03": ["02"]}
    began: list[str] = []
    third = threading.Event()

    def page(name: str, work: graph.Work[str]) -> None:
        work.written.set_result(None)
        if name == "01":
            assert third.wait(10), "the pages after it begin while it is at work"
        work.end.set_result(name)

    def begin(name: str) -> graph.Work[str]:
        began.append(name)
        work: graph.Work[str] = graph.Work(Future())
        pool.submit(page, name, work)
        if name == "03":
            third.set()
        return work

    with ThreadPoolExecutor(3) as pool:
        looked_at = list(graph.in_order(waits, begin=begin, failed=lambda name: fails and name == "01", at_most=3))
    assert looked_at == [("01", "01"), ("02", "02"), ("03", "03")], "each after those it waits for"
    assert began == ["01", "02", "03"] + ["02", "03"] * fails


def test_of_ready_pages_the_most_awaited_begins_first_then_the_largest() -> None:
    waits = {"01": [], "02": ["01"], "03": ["01"], "04": ["01"], "05": ["04"], "06": ["05"]}
    began: list[str] = []

    def begin(name: str) -> graph.Work[str]:
        began.append(name)
        work: graph.Work[str] = graph.Work(Future())
        work.end.set_result(name)
        return work

    size = {"03": 2, "02": 1}
    list(graph.in_order(waits, begin=begin, failed=never, at_most=1, size=lambda name: size.get(name, 0)))
    assert began == ["01", "04", "05", "03", "02", "06"]


def test_memory_bounds_the_pages_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_processors", lambda: 8)
    for free, pages in ((0.5, 1), (3.5, 3), (100, 8)):
        monkeypatch.setattr(graph, "_free_memory", lambda free=free: int(free * graph.PAGE_MEMORY))
        assert graph.side_by_side() == pages


def write_forked_road(folder: Path) -> None:
    """Write pages where a slow one is needed by one page, and read where it is there by another."""
    metrics = "{'has_slow': int(has(run, 'slow'))}"
    opening = toys.OPEN.replace("import list", "import has, list")
    toys.write_page(
        folder, "01_copy", own="# Nothing.\nx = 1", reads={"raw/*": "collection"}, writes=["accepted/*"],
        cells=[
            toys.OPEN,
            "write(run, 'accepted/transactions', raw(run, 'transactions'), sources=['raw/transactions'])",
            toys.save(["raw/transactions"]),
        ],
    )  # fmt: skip
    for name, own, first, reads, writes in (
        (
            "02_slow",
            "# When it fails, before or after it writes its table.\nfails = ''",
            "import time; time.sleep(2); assert fails != 'before'",
            {},
            "slow",
        ),
        ("03_quick", "# Nothing.\nx = 1", "x", {}, "quick"),
        ("04_needs", "# Nothing.\nx = 1", "x", {"slow": "analytics"}, "needs"),
        ("05_may", "# Nothing.\nx = 1", "x", {"slow?": "analytics", "quick": "analytics"}, "may"),
    ):
        reads = {"accepted/transactions": "analytics", **reads}
        store = (
            "rows = read(run, 'accepted/transactions', purpose='analytics')\n"
            f"write(run, '{writes}', rows.select('row'), sources=['accepted/transactions'])"
        )
        last = "time.sleep(3); assert fails != 'after'" if name == "02_slow" else "x"
        cells = [opening, first, store, last, toys.save(["accepted/transactions"], metrics=metrics)]
        toys.write_page(folder, name, own=own, cells=cells, reads=reads, writes=[writes])


@pytest.mark.parametrize("fails", ["", "before", "after"])
def test_only_a_failed_need_stops_a_page(fails: str, toy_world, tmp_path: Path, monkeypatch) -> None:
    toy_world(monkeypatch)
    monkeypatch.setattr(running, "side_by_side", lambda: 4)
    write_forked_road(tmp_path / "pages")
    settings = [f"02_slow.fails={fails!r}"]
    parameters = read_parameters(
        pages=discover(tmp_path / "pages"), settings=settings, defaults=tmp_path / "none.yaml"
    )
    outcome = running.run_report(parameters, out=tmp_path / "out")
    found = {page.name: page.status for page in outcome.pages}
    bad = {"02_slow": "failed", "04_needs": "not run"} if fails else {"02_slow": "done", "04_needs": "done"}
    assert found == {"01_copy": "done", **bad, "03_quick": "done", "05_may": "done"}
    assert list(found) == sorted(found), "in reading order, whichever ended first"
    for name in ("slow", "needs"):
        assert (tmp_path / "out" / "tables" / f"{name}.parquet").exists() == (not fails)
    results = running.read_json(tmp_path / "out" / "results" / "05_may.json")
    assert results["metrics"]["has_slow"] == int(not fails), "it waited for what it may read"
