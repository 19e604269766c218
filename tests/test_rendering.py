"""Pages and index as HTML: what they say, where each figure comes from, and that nothing is fetched."""

import base64
import hashlib
import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from journeybook.report.cells import find_pictures, parts_of
from journeybook.report.outcomes import VARIANTS, PageOutcome
from journeybook.report.pages import NOTEBOOKS
from journeybook.report.params import RunParameters
from journeybook.report.rendering import page_body, parameters_of, render_report
from journeybook.tables import logged_reads

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "link", "img", "br", "hr", "input", "col", "wbr", "source"}


class Document(html.parser.HTMLParser):
    """The tags of a page: addresses, ids, texts by tag, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        found = dict(attrs)
        self.addresses += [found[k] for k in ("href", "src", "srcset", "action", "data") if found.get(k)]
        self.ids += [found["id"]] if "id" in found else []
        if tag == "img":
            self.images.append(found)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.rows and self.open and any(t in self.open for t in ("td", "th")):
            self.rows[-1][-1] += data


def page(out: Path, name: str) -> Document:
    return Document((out / name).read_text(encoding="utf-8"))


def test_no_page_asks_another_host(toy_run) -> None:
    pages = sorted(toy_run.out.glob("*.html"))
    assert len(pages) == 4
    for path in pages:
        text = path.read_text(encoding="utf-8")
        for address in Document(text).addresses:
            assert not re.match(r"(https?:)?//", address), (path.name, address)
        assert not re.search(r"@import|url\((?!data:)|require\.js|MathJax|cdn", text), path.name


def test_pages_run_their_own_script_and_no_other(toy_run) -> None:
    for path in sorted(toy_run.out.glob("*.html")):
        text = path.read_text(encoding="utf-8")
        policy = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
        scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
        assert len(policy) == len(scripts) == 1
        assert f"script-src 'sha256-{digest}'" in policy[0]
        assert policy[0].startswith("default-src 'none'; img-src data:;")


def test_links_lead_somewhere(toy_run) -> None:
    for path in sorted(toy_run.out.glob("*.html")):
        for address in page(toy_run.out, path.name).addresses:
            file, _, anchor = address.partition("#")
            if address.startswith("data:"):
                continue
            target = toy_run.out / (file or path.name)
            assert target.is_file(), (path.name, address)
            assert not anchor or anchor in page(toy_run.out, target.name).ids, (path.name, address)


def test_the_first_page_says_what_to_do_and_what_not_to_conclude(toy_run) -> None:
    text = (toy_run.out / "index.html").read_text(encoding="utf-8")
    now, rest = text.split('id="do-not-conclude"')
    assert "3 rows were counted." in now and "Count again." in now
    assert "Half of them &lt;b&gt;may&lt;/b&gt; be wrong." in rest and "50.0% (25.0% to 75.0%)" in rest
    assert [image["alt"] for image in page(toy_run.out, "index.html").images] == ["3 rows were counted."]
    assert 'href="02_count.html#02-count"' in now
    told = toy_run.results("02_count")["findings"]
    assert [finding["worth"] for finding in told] == [1, 2]
    summary = (toy_run.out / "summary.md").read_text(encoding="utf-8")
    assert "## Do now\n\n* **3 rows were counted.** Count again. (counted; 02 Count)" in summary


def test_each_check_says_what_it_compared(toy_run) -> None:
    rows = page(toy_run.out, "index.html").rows
    assert ["✓ passed", "rows", "witness", "3", "at least 3", "a <toy>"] in rows


def test_a_page_shows_its_data_code_figures_and_tables(toy_run) -> None:
    text = (toy_run.out / "02_count.html").read_text(encoding="utf-8")
    found = page(toy_run.out, "02_count.html")
    assert 'class="badge simulated"' in text
    assert "No consent ledger in this data set." in text
    # A cell that shows a table, a figure or a sentence; of the others the code is seen on request.
    assert text.count('<details class="code">') == 3
    assert text.count('<details class="code idle">') == 5
    assert "&lt;Axes" not in text
    assert ["3", "c", "3.25"] in found.rows


def test_a_page_opens_with_its_question_and_what_was_found(toy_run) -> None:
    text = (toy_run.out / "02_count.html").read_text(encoding="utf-8")
    head, answer, rest = re.split(r'<section class="answer"|<nav class="contents"', text)
    assert '<h1 id="02-count">02 Count</h1>\n<p class="question">What does count do?</p>' in head
    assert "<article>\n<p>It is a toy.</p>" in rest
    assert text.count("What does count do?") == 1
    found = ["Half of them &lt;b&gt;may&lt;/b&gt; be wrong.", "3 rows were counted."]
    assert re.findall(r"<b>(.+?)</b>", answer) == found
    assert 'href="#does-it-hold"' in rest
    assert "Parameters of this run" in rest.split('id="how-made"')[1]
    assert "Parameters of this run" not in rest.split('id="how-made"')[0]


def test_a_figure_has_its_size_and_says_its_title(toy_run) -> None:
    in_answer, in_body = page(toy_run.out, "02_count.html").images
    assert in_answer == in_body
    assert in_body["alt"] == "3 bars"
    # Three by two inches, cut to what is drawn.
    assert 250 < int(in_body["width"]) < 310 and 160 < int(in_body["height"]) < 220
    assert "loading" not in in_body


def test_pages_stand_in_groups_and_say_their_variant(toy_run) -> None:
    text = (toy_run.out / "02_count.html").read_text(encoding="utf-8")
    assert re.findall(r"<summary( class=\"here\")?>(\w+)</summary>\n<ul>", text) == [(' class="here"', "Data")]
    assert VARIANTS["ongoing"] == "a test still running"


def test_pages_not_run_are_listed_with_the_reason(toy_run) -> None:
    text = (toy_run.out / "index.html").read_text(encoding="utf-8")
    assert "03 Visits</b>: it needs the table events or the table paths, which the data set does not have." in text
    assert not (toy_run.out / "03_visits.html").exists()


def test_the_same_results_give_the_same_html(toy_run, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(toy_run.out, copy)
    for path in copy.glob("*.html"):
        path.unlink()
    described = json.loads((copy / "tables" / "dataset.json").read_text(encoding="utf-8"))
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    pages = [PageOutcome(**p) for p in manifest["pages"].values()]
    parameters = RunParameters("journey_demo", "duckdb", 7, 1.0, "America/New_York", "USD", {}, tmp_path, ())
    bodies = {page.name: page_body(copy, page.name) for page in pages if page.status == "done"}
    render_report(
        copy, pages=pages, parameters=parameters, described=described, manifest=manifest, bodies=bodies,
        reads=logged_reads(copy / "tables"),
    )  # fmt: skip
    for path in copy.glob("*.html"):
        assert path.read_bytes() == (toy_run.out / path.name).read_bytes(), path.name


def executed(*outputs: dict) -> nbformat.NotebookNode:
    new = nbformat.v4
    made = [new.new_output("display_data", data=output) for output in outputs]
    return new.new_notebook(cells=[new.new_code_cell("x", id="a", outputs=made)])


def test_page_01_leaves_one_place_for_the_log_of_reads() -> None:
    body = parts_of(nbformat.read(NOTEBOOKS / "01_collection.ipynb", as_version=4)).body
    said, place, _ = body.partition('<div id="reads"></div>')
    assert place and "<code>reads/</code>" in said.rpartition("<p>")[2]


def test_what_a_cell_shows_is_not_taken_for_markup() -> None:
    text = parts_of(executed({"text/plain": "<script>alert(1)</script>"})).body
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_sections_are_listed_and_what_shows_raw_columns_stands_at_the_end() -> None:
    columns = '<div class="jb aside"><details><summary>Columns</summary></details></div>'
    in_short = {"text/markdown": "**In short**\n\n* nothing"}
    notebook = executed({"text/html": columns}, in_short, {"text/html": "<i>1</i>"})
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# 05 Page\n\n**Why\nso?** Because."))
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell("## Who *is* it?\n\n### A part"))
    parts = parts_of(notebook)
    assert parts.opening.strip() == "<p>Because.</p>"
    assert parts.contents == [("who-is-it", "Who is it?")]
    assert '<h3 id="a-part">A part</h3>' in parts.body
    assert "<i>1</i>" in parts.body and "In short" not in parts.body
    assert columns in parts.end and columns not in parts.body


def test_an_error_stays_where_it_happened_even_in_a_cell_that_sets_the_page_up() -> None:
    new = nbformat.v4
    error = new.new_output("error", ename="E", evalue="<b>", traceback=["in f, line 3"])
    cell = new.new_code_cell("open()", id="a", outputs=[error], metadata={"tags": ["folded"]})
    parts = parts_of(new.new_notebook(cells=[cell]))
    assert "E: &lt;b&gt;" in parts.body and "line 3" not in parts.body
    assert parts.end == ""


def test_a_drawing_keeps_what_it_shows() -> None:
    drawn = '<svg width="72pt" height="36pt">{}<path d="M 12.34{} 0.015625"/></svg>'
    given = '<?xml version="1.0"?>\n' + drawn.format("<metadata><x/></metadata>", "5678")
    (picture,) = find_pictures(executed({"image/svg+xml": given, "text/plain": "Sales fell"}))[""]
    assert (picture.width, picture.height, picture.alt) == (96, 48, "Sales fell")
    thin = base64.b64decode(picture.address.partition(",")[2]).decode()
    assert thin == drawn.format("", "")


def test_parameters_are_told_with_their_meaning() -> None:
    cell = nbformat.v4.new_code_cell("# How many. Range 1 up.\nn = 3", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert parameters_of(notebook, {"n": 5}) == [("n", 5, "How many. Range 1 up.")]
    assert parameters_of(notebook, {}) == []


@pytest.mark.skipif(BROWSER is None, reason="no browser is installed")
def test_a_browser_opens_the_report_without_a_network(toy_run, tmp_path: Path) -> None:
    log = tmp_path / "net.json"
    picture = tmp_path / "index.png"
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
        f"--log-net-log={log}", "--window-size=400,800", f"--screenshot={picture}",
        (toy_run.out / "02_count.html").as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert picture.stat().st_size > 10_000
    asked = re.findall(r'"url":"([^"]+)"', log.read_text(encoding="utf-8"))
    from_page = [a for a in asked if not a.startswith(("file:", "data:", "chrome"))]
    assert [a for a in from_page if "google" not in a] == []
