"""A page and the index as HTML: one file each, nothing fetched from another host."""

import base64
import hashlib
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import jinja2
import nbformat
from bs4 import BeautifulSoup, Tag
from nbconvert.exporters import HTMLExporter
from pygments.formatters import HtmlFormatter

from journeybook.findings import STRENGTHS
from journeybook.report.front import make_front, say_consent, say_data, say_summary
from journeybook.report.outcomes import PageOutcome
from journeybook.report.params import RunParameters
from journeybook.report.storing import executed_path, html_path, read_json, results_path, write_text
from journeybook.report.trust import planted_errors, trust
from journeybook.results import say_figure

TEMPLATES = Path(__file__).with_name("templates")
_WORDS = {
    "REAL": "Collected from real customers.",
    "SIMULATED": "Simulated; the truth is known.",
    "MIXED": "Real and simulated rows together.",
    "YOURS": "Your own data.",
}


def render_report(
    out: Path,
    *,
    pages: Sequence[PageOutcome],
    parameters: RunParameters,
    described: Mapping,
    manifest: Mapping,
    bodies: Mapping[str, str],
) -> Path:
    """Write the HTML of every page that was executed, and the index; returns the path of the index.

    Args:
        out: Folder of the report, with `results/` and `executed/` in it.
        pages: What became of each page, in reading order.
        parameters: What the run was asked to do.
        described: The data set, as `dataset.json` of the run's tables says it.
        manifest: Times, versions and host of the run.
        bodies: For each page that was executed, what `page_body` returns.
    """
    results = {p.name: read_json(results_path(out, p.name)) for p in pages}
    shown = [p for p in pages if p.status != "not run"]
    for i, page in enumerate(shown):
        found = results[page.name]
        provenance = found.get("provenance") or _together(t["provenance"] for t in described["tables"].values())
        text = (
            _environment()
            .get_template("page.html.j2")
            .render(
                pages=pages,
                here=page.name,
                page=page,
                before=shown[i - 1] if i else None,
                after=shown[i + 1] if i + 1 < len(shown) else None,
                provenance=provenance,
                data_words=_WORDS.get(provenance, ""),
                warning=found.get("warning", ""),
                ledger=found.get("consent_ledger"),
                body=bodies[page.name],
            )
        )
        write_text(html_path(out, page.name), text)
    front = make_front(pages, results, notebook=partial(_executed, out), anchor=_anchor)
    about = say_data(parameters, described, results)
    write_text(out / "summary.md", say_summary(front, about=about))
    text = (
        _environment()
        .get_template("index.html.j2")
        .render(
            here="",
            pages=pages,
            dataset=parameters.dataset,
            about=about,
            kinds=sorted({t["provenance"] for t in described["tables"].values()}),
            consent=say_consent(described),
            front=front,
            strengths=STRENGTHS,
            warnings={p.name: results[p.name].get("warning", "") for p in pages},
            failed=[p for p in pages if p.status == "failed"],
            absent=[p for p in pages if p.status == "not run"],
            checks=[_check(p, c) for p in pages for c in results[p.name].get("checks", [])],
            trust=trust((p.name, c) for p in pages for c in results[p.name].get("checks", [])),
            planted_errors=(planted := planted_errors()),
            n_caught=sum(all(row["caught"].values()) for row in planted),
            tables=[{**t, "name": name, "rows": f"{t['rows']:,}"} for name, t in described["tables"].items()],
            manifest=manifest,
        )
    )
    index = out / "index.html"
    write_text(index, text)
    return index


def page_body(out: Path, name: str) -> str:
    """What a page shows, as HTML; made as soon as it was executed, for it takes seconds."""
    return notebook_html(_executed(out, name))


def notebook_html(notebook: nbformat.NotebookNode) -> str:
    """The cells of an executed notebook as HTML, code folded, figures described, numbers to the right."""
    exporter = HTMLExporter(
        template_name="journeybook",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(_prepared(notebook))
    return re.sub(r"<h([1-4])>(.*?)</h\1>", lambda m: f'<h{m[1]} id="{_anchor(m[2])}">{m[2]}</h{m[1]}>', body)


# --- notebooks ----------------------------------------------------------------------------------------


def _prepared(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy made ready: parameters named, figures with a text, tables marked, idle outputs gone."""
    notebook = nbformat.reads(nbformat.writes(notebook), as_version=4)
    heading, styled = "", 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^#+ +(.+)$", cell.source, flags=re.MULTILINE)
            heading = found[-1].strip() if found else heading
            continue
        if cell.cell_type != "code":
            continue
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell.metadata["summary"] = "Parameters of this run"
        elif "parameters" in tags:
            cell.metadata["summary"] = "Parameters, with their defaults"
        cell.outputs = [o for o in cell.outputs if not _idle(o)]
        said = _said_after(cell.outputs)
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                output.metadata["alt"] = f"Figure: {heading}. {said}".strip()
            if "text/html" in data:
                styled += 1
                data["text/html"] = _table(_text(data["text/html"]), number=styled)
    return notebook


def _idle(output: nbformat.NotebookNode) -> bool:
    """Whether an output only says what object the last line of a cell was."""
    data = output.get("data", {})
    return set(data) == {"text/plain"} and bool(
        re.match(
            r"<(Axes|Figure|matplotlib|IPython)|\[?<matplotlib|array\(\[?<Axes|DisplayHandle",
            _text(data["text/plain"]),
        )
    )


def _said_after(outputs: Sequence[nbformat.NotebookNode]) -> str:
    """What the cell says of its figure: its first Markdown output, as plain text."""
    for output in outputs:
        markdown = _text(output.get("data", {}).get("text/markdown", ""))
        if markdown:
            return " ".join(re.sub(r"[*`_#]", "", markdown).split())[:300]
    return ""


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


_NUMBER = re.compile(r"[-+−]?[$€£]?[\d,.]*\d(?:[eE][-+]?\d+)?\s?%?|nan|NaN|inf|-inf|None|NaT|<NA>|—|")
SHORT = 32
"""Longest text of a column that is not broken into lines."""


def _table(text: str, *, number: int) -> str:
    """A pandas table with numbers to the right and verdicts in colour, and ids that are the same in every run."""
    text = re.sub(r"\bT_[0-9a-f]{5}", f"T_{number:05d}", text)
    soup = BeautifulSoup(text, "html.parser")
    for style in soup.find_all("style", scoped=True):
        style.decompose()
    for table in soup.find_all("table"):
        del table["border"]
        for row in table.find_all("tr"):
            del row["style"]
        rows = [row.find_all("td") for row in table.find_all("tr")]
        rows = [row for row in rows if row]
        if rows and all(len(row) == len(rows[0]) for row in rows):
            _mark(table, rows)
    return str(soup)


def _mark(table: Tag, rows: Sequence[Sequence[Tag]]) -> None:
    """Give the cells of each column the class of what stands in it; drop an index that only counts the rows."""
    head = [row.find_all("th") for row in table.find_all("tr") if not row.find("td")]
    heads = head[0] if head and not table.find(colspan=True) else []
    for k in range(len(rows[0])):
        column = [row[k] for row in rows]
        said = [cell.get_text().strip() for cell in column]
        title = heads[k - len(rows[0])] if len(heads) >= len(rows[0]) else None
        if all(map(_NUMBER.fullmatch, said)) and any(re.search(r"\d", s) for s in said):
            _add_class([*column, title], "n")
        elif max(map(len, said)) <= SHORT:
            _add_class(column, "short")
        if title is not None and title.get_text().strip() == "passed":
            for cell, verdict in zip(column, said, strict=True):
                _add_class([cell], "good" if verdict in ("yes", "True") else "bad")
    index = [row[0].find_previous_sibling("th") for row in rows]
    counted = [cell is not None and cell.get_text().strip() == str(i) for i, cell in enumerate(index)]
    if all(counted) and heads and not heads[0].get_text().strip() and len(heads) == len(rows[0]) + 1:
        for counter in [heads[0], *index]:
            if counter is not None:
                counter.decompose()


def _add_class(cells: Iterable[Tag | None], name: str) -> None:
    for cell in cells:
        if cell is not None:
            cell["class"] = " ".join(filter(None, [*cell.get_attribute_list("class"), name]))


def _anchor(name: str) -> str:
    plain = html.unescape(re.sub(r"<[^>]+>", "", name))
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


# --- the index ----------------------------------------------------------------------------------------


def _check(page: PageOutcome, check: Mapping) -> dict:
    exact = check["rule"] == "within" and check["tolerance"] == 0
    ends = check["reference"] if isinstance(check["reference"], list) else [check["reference"]]
    return {
        "page": page.name,
        "title": page.title,
        "name": check["name"],
        "passed": check["passed"],
        "kind": check["kind"].replace("_", " "),
        "value": say_figure(check["value"]),
        "exact": repr(check["value"]),
        "rule": "equal to" if exact else check["rule"],
        "reference": " to ".join(say_figure(end) for end in ends),
        "tolerance": f"± {check['tolerance']:.2g}" if check["tolerance"] else "",
        "source": check["source"],
    }


def _executed(out: Path, name: str) -> nbformat.NotebookNode:
    return nbformat.read(executed_path(out, name), as_version=4)


def _together(kinds: Iterable[str]) -> str:
    found = set(kinds)
    return found.pop() if len(found) == 1 else "MIXED"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # The browser runs this script and no other, and fetches nothing, whatever text the data bring into a page.
    environment.globals |= {"style": _style(), "script": script, "script_hash": f"sha256-{digest}"}
    return environment


def _style() -> str:
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    rules = f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    return (TEMPLATES / "style.css").read_text(encoding="utf-8") + rules + ".highlight { background: none; }"
