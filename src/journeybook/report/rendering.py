"""A page and the index as HTML: one file each, nothing fetched from another host."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import jinja2
import nbformat
from pygments.formatters import HtmlFormatter

from journeybook.findings import STRENGTHS
from journeybook.report.cells import Parts, anchor, find_pictures, parts_of, picture_html
from journeybook.report.front import Told, make_front, say_consent, say_data, say_summary, tell
from journeybook.report.outcomes import PageOutcome
from journeybook.report.pages import read_parameter_cell
from journeybook.report.params import RunParameters
from journeybook.report.storing import executed_path, html_path, read_json, results_path, write_text
from journeybook.report.trust import planted_errors, trust
from journeybook.results import Check, say_figure, say_rule

TEMPLATES = Path(__file__).with_name("templates")
GROUPS = {
    "Data": ("01", "02", "03", "04"),
    "Customers": ("05", "06"),
    "Contact": ("07", "13", "14"),
    "Site": ("08", "09"),
    "Experiments": ("11", "12"),
    "Privacy": ("10",),
    "Results": ("15", "16"),
}
"""Which pages stand together, by number."""
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
    bodies: Mapping[str, Parts],
    reads: Sequence[Mapping] = (),
) -> Path:
    """Write the HTML of every page that was executed, and the index; returns the path of the index.

    `described` is the data set as `dataset.json` says it; `bodies` has what `page_body` returns of each page,
    `reads` what each page read, for the page that shows it.
    """
    results = {p.name: read_json(results_path(out, p.name)) for p in pages}
    shown = [p for p in pages if p.status != "not run"]
    together = _together(t["provenance"] for t in described["tables"].values())
    told: dict[str, list[Told]] = {}
    for i, page in enumerate(shown):
        notebook = nbformat.read(executed_path(out, page.name), as_version=4)
        found = results[page.name]
        provenance = found.get("provenance") or together
        told[page.name] = tell(page, found, pictures=find_pictures(notebook))
        _write(
            html_path(out, page.name),
            "page.html.j2",
            groups=_groups(pages),
            here=page.name,
            page=page,
            anchor=anchor(page.title.partition(":")[0]),
            before=shown[i - 1] if i else None,
            after=shown[i + 1] if i + 1 < len(shown) else None,
            provenance=provenance,
            data_words=_WORDS.get(provenance, ""),
            warning=found.get("warning", ""),
            ledger=found.get("consent_ledger"),
            told=told[page.name],
            picture=next((one for one in told[page.name] if one.picture), None),
            parts=bodies[page.name],
            parameters=parameters_of(notebook, found.get("parameters", {})),
            inputs=found.get("inputs", {}),
            reads=reads,
        )
    front = make_front(pages, told)
    about = say_data(parameters, described, results)
    write_text(out / "summary.md", say_summary(front, about=about))
    checks = [(p, check) for p in pages for check in results[p.name].get("checks", [])]
    planted = planted_errors()
    index = out / "index.html"
    _write(
        index,
        "index.html.j2",
        groups=_groups(pages),
        here="",
        dataset=parameters.dataset,
        about=about,
        consent=say_consent(described),
        front=front,
        strengths=STRENGTHS,
        warnings={p.name: results[p.name].get("warning", "") for p in pages},
        failed=[p for p in pages if p.status == "failed"],
        absent=[p for p in pages if p.status == "not run"],
        checks=[_check(p, check) for p, check in checks],
        trust=trust((p.name, check) for p, check in checks),
        planted_errors=planted,
        n_caught=sum(all(row["caught"].values()) for row in planted),
        tables=[{**t, "name": name, "rows": f"{t['rows']:,}"} for name, t in described["tables"].items()],
        manifest=manifest,
    )
    return index


def page_body(out: Path, name: str) -> Parts:
    """What a page shows, as HTML; made as soon as it was executed, for it takes seconds."""
    return parts_of(nbformat.read(executed_path(out, name), as_version=4))


def parameters_of(notebook: nbformat.NotebookNode, values: Mapping[str, object]) -> list[tuple[str, object, str]]:
    """Return the parameters that a page's results hold: name, value, and what its notebook says it means."""
    cells = [c.source for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    declared = [p for cell in cells for p in read_parameter_cell(cell, where="a page")]
    return [(p.name, values[p.name], p.meaning) for p in declared if p.name in values]


def _groups(pages: Sequence[PageOutcome]) -> list[tuple[str, list[PageOutcome]]]:
    """The pages under the name of their group, in the order of the groups; pages of no group come last."""
    group_of = {number: group for group, numbers in GROUPS.items() for number in numbers}
    named = [(group_of.get(p.name[:2], "More"), p) for p in pages]
    grouped = [(group, [p for g, p in named if g == group]) for group in (*GROUPS, "More")]
    return [(group, held) for group, held in grouped if held]


def _check(page: PageOutcome, given: Mapping) -> dict:
    check = Check(**given)
    return vars(check) | {
        "page": page.name,
        "title": page.title,
        "kind": check.kind.replace("_", " "),
        "value": say_figure(check.value),
        "exact": repr(check.value),
        "rule": say_rule(check),
    }


def html_of(template: str, **said: object) -> str:
    """Return a template of this folder filled in, as HTML that fetches nothing."""
    return _environment().get_template(template).render(**said)


def _write(path: Path, template: str, **said: object) -> None:
    write_text(path, html_of(template, **said))


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
    environment.globals["picture_html"] = picture_html
    return environment


def _style() -> str:
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    rules = f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    return (TEMPLATES / "style.css").read_text(encoding="utf-8") + rules + ".highlight { background: none; }"
