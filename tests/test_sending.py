"""The report in one file: every link leads inside it, nothing is fetched, and a PDF cuts no table."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from journeybook.report import sending
from journeybook.report.outcomes import PageOutcome

BROWSER = next(filter(None, map(shutil.which, sending.BROWSERS)), None)
SHOWN = ["01_copy", "02_count", "04_last"]


@pytest.fixture
def out(toy_run, tmp_path: Path) -> Path:
    """A copy of the finished toy run, to write into."""
    return shutil.copytree(toy_run.out, tmp_path / "out")


def test_links_of_the_one_file_lead_inside_it(out: Path) -> None:
    text = sending.one_file(out, SHOWN)
    whole = BeautifulSoup(text, "html.parser")
    ids = [tag["id"] for tag in whole.find_all(id=True)]
    assert len(set(ids)) == len(ids)
    assert [part["id"] for part in whole.select("main > section.page")] == ["index", *SHOWN]
    links = [tag["href"] for tag in whole.body.find_all(href=True)]
    assert {"#02_count", "#02_count--02-count", "#index"} <= set(links)
    assert [link for link in links if link[0] != "#" or link[1:] not in [*ids, "content"]] == []
    assert len(whole.select("#all-code")) == 1, "one switch for all code, the one that the script knows"
    pages = [BeautifulSoup((out / f"{name}.html").read_text("utf-8"), "html.parser") for name in SHOWN]
    assert [i["src"] for i in whole.select("section:not(#index) img")] == [
        i["src"] for page in pages for i in page.select("img")
    ]
    assert not re.search(r"""(src|href)=["'](https?:)?//|url\((?!data:|#)""", text)


def test_a_style_follows_the_id_that_it_is_for() -> None:
    part = BeautifulSoup(
        '<main><style>#T_00001_row0 { color: #fab }</style><td id="T_00001_row0"></td>'
        '<label for="a"></label><input id="a"><svg><use href="#a" clip-path="url(#a)"></use></svg></main>',
        "html.parser",
    ).main
    sending._point_inside(part, "05_page", ["05_page"])
    assert part.style.string == "#05_page--T_00001_row0 { color: #fab }"
    assert part.td["id"] == "05_page--T_00001_row0"
    assert part.label["for"] == part.input["id"] == "05_page--a"
    assert (part.use["href"], part.use["clip-path"]) == ("#05_page--a", "url(#05_page--a)")


@pytest.mark.skipif(BROWSER is None or shutil.which("pdftotext") is None, reason="no browser, or no poppler")
def test_a_pdf_has_every_page_and_the_last_column_of_a_wide_table(out: Path) -> None:
    page = out / "02_count.html"
    columns = "".join(f"<td>a_long_figure_{n}</td>" for n in range(30))
    page.write_text(page.read_text("utf-8").replace("</article>", f"<table><tr>{columns}</tr></table></article>"))
    pages = [PageOutcome(name, "", "", "done") for name in SHOWN]
    assert list(sending.send_report(out, pages=pages, kinds=["pdf"])) == [f"As a PDF: {out / 'report.pdf'}"]
    command = ["pdftotext", "-bbox", str(out / "report.pdf"), "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wide = float(re.search(r'<page width="([\d.]+)"', text)[1])
    right = [float(found) for found in re.findall(r'xMax="([\d.]+)" yMax="[\d.]+">a_long_figure_\d+<', text)]
    assert len(right) == 30
    assert max(right) < wide
    for name in ("Copy", "Count", "Last"):
        assert f">{name}<" in text


def test_a_browser_that_fails_is_one_sentence(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "BROWSERS", ("false",))
    assert list(sending.send_report(out, pages=[], kinds=["pdf"])) == ["No PDF: the browser ended with 1: "]


def test_a_browser_that_hangs_leaves_no_process_and_no_folder(out: Path, tmp_path: Path, monkeypatch) -> None:
    browser, told = tmp_path / "browser", tmp_path / "told"
    browser.write_text(f'#!/bin/sh\nsleep 60 &\necho "$! $TMPDIR" > {told}\nwait\n', encoding="utf-8")
    browser.chmod(0o700)
    monkeypatch.setattr(sending, "BROWSERS", (str(browser),))
    monkeypatch.setattr(sending, "PATIENCE", 2)
    said = list(sending.send_report(out, pages=[], kinds=["pdf"]))
    assert said == ["No PDF: the browser took longer than 2 s."]
    child, folder = told.read_text(encoding="utf-8").split()
    state, deadline = Path(f"/proc/{child}/stat"), time.monotonic() + 10

    def lives() -> bool:
        return state.exists() and state.read_text(encoding="utf-8").split()[2] != "Z"

    while lives() and time.monotonic() < deadline:
        # It was killed; on a busy machine its end may take a moment.
        time.sleep(0.05)
    assert not lives()
    assert not Path(folder).exists()
