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
import pandas as pd
import pytest

from journeybook.report.outcomes import PageOutcome
from journeybook.report.params import RunParameters
from journeybook.report.rendering import notebook_html, page_body, render_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "link", "img", "br", "hr", "input", "col", "wbr"}


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
    assert "3 rows were counted." in now and "Count again." in now and "3 rows · " in now
    assert "Half of them &lt;b&gt;may&lt;/b&gt; be wrong." in rest and "50.0% (25.0% to 75.0%)" in rest
    assert [image["alt"] for image in page(toy_run.out, "index.html").images] == ["3 rows were counted."]
    assert 'href="02_count.html#02-count"' in now
    told = toy_run.results("02_count")["findings"]
    assert [finding["worth"] for finding in told] == [1, 2]
    summary = (toy_run.out / "summary.md").read_text(encoding="utf-8")
    assert "## Do now\n\n* **3 rows were counted.** Count again. (counted; 02 Count)" in summary


def test_each_check_says_what_it_compared(toy_run) -> None:
    rows = page(toy_run.out, "index.html").rows
    assert ["✓ passed", "rows", "witness", "3", "at least", "3", "", "a <toy>"] in rows


def test_a_page_shows_its_data_code_figures_and_tables(toy_run) -> None:
    text = (toy_run.out / "02_count.html").read_text(encoding="utf-8")
    found = page(toy_run.out, "02_count.html")
    assert 'class="badge simulated"' in text
    assert "No consent ledger in this data set." in text
    assert text.count('<details class="code">') == 8
    assert "Parameters of this run" in text
    assert [image["alt"] for image in found.images] == ["Figure: 02 Count. What we see. 3 bars."]
    assert "&lt;Axes" not in text
    assert re.search(r'<th class="n">revenue</th>', text)
    assert re.search(r'<td class="n">3.25</td>', text)
    assert re.search(r'<td class="short">c</td>', text)


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
    parameters = RunParameters("journey_demo", "duckdb", 7, 1.0, "America/New_York", {}, tmp_path, ())
    bodies = {page.name: page_body(copy, page.name) for page in pages if page.status == "done"}
    render_report(
        copy, pages=pages, parameters=parameters, described=described, manifest=manifest, bodies=bodies
    )  # fmt: skip
    for path in copy.glob("*.html"):
        assert path.read_bytes() == (toy_run.out / path.name).read_bytes(), path.name


def executed(*outputs: dict) -> nbformat.NotebookNode:
    new = nbformat.v4
    made = [new.new_output("display_data", data=output) for output in outputs]
    return new.new_notebook(cells=[new.new_code_cell("x", id="a", outputs=made)])


def test_what_a_cell_shows_is_not_taken_for_markup() -> None:
    text = notebook_html(executed({"text/plain": "<script>alert(1)</script>"}))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_random_ids_of_styled_tables_become_the_same() -> None:
    style = "<style>#T_{0}_row0_col0 {{color: red}}</style>"
    table = style + '<table id="T_{0}"><tr><td id="T_{0}_row0_col0">1</td></tr></table>'
    first = notebook_html(executed({"text/html": table.format("a1b2c")}))
    assert first == notebook_html(executed({"text/html": table.format("0f9e8")}))
    assert "color: red" in first


def test_numbers_stand_to_the_right_only_in_columns_of_numbers() -> None:
    cells = [["1,234.5", "a" * 40, "12 %", "NaN"], ["-3", "7", "0.5%", "None"]]
    body = "".join("<tr><th>i</th>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in cells)
    text = notebook_html(executed({"text/html": f'<table border="1" class="dataframe">{body}</table>'}))
    assert re.findall(r"<td(?: class=\"(\w+)\")?>", text) == ["n", "", "n", "short"] * 2


def test_an_index_that_only_counts_is_not_shown_and_verdicts_are_coloured() -> None:
    checks = pd.DataFrame({"check": ["a", "b"], "passed": ["yes", "NO"]})
    text = notebook_html(
        executed({"text/html": checks.to_html()}, {"text/html": checks.set_index("check").to_html()})
    )
    assert "<th>0</th>" not in text
    assert "<th>a</th>" in text
    assert re.findall(r'<td class="short (\w+)">(\w+)</td>', text) == [("good", "yes"), ("bad", "NO")] * 2


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
