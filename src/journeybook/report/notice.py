"""A notice in plain words: what is held of people, why, how long, what was published, and how to object."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from journeybook.errors import JourneybookError
from journeybook.report.cells import markdown
from journeybook.report.rendering import html_of
from journeybook.report.running import folders
from journeybook.report.storing import read_json, results_path, write_text
from journeybook.tables import schema_of

_TABLES = {
    "customer_records": "Your account: how we can reach you, and who you are",
    "transactions": "What you buy: each line of your receipts",
    "contracts": "Your contracts with us",
    "events": "What you do on our site and in our app",
    "contacts": "Messages we sent you, and whether you answered",
    "coupon_contacts": "Coupons we sent you, and whether you used them",
    "consents": "What you allowed us, and what you refused",
    "experiment": "Tests we run, and which version you saw",
    "ongoing": "A test that is still running, and which version you saw",
    "factorial": "A test of two changes, and which versions you saw",
    "experiment_values": "What was measured in a test you were part of",
    "outcomes": "What you did during a test",
    "third_party": "What others told us about where you live",
}
"""Tables of people in words for them."""
_PURPOSES = {
    "identity_resolution": "To see that two accounts belong to one person",
    "analytics": "To understand how customers shop, in numbers about many people",
    "personalisation": "To choose what we show and offer you",
    "marketing_email": "To write to you by e-mail",
    "marketing_sms": "To write to you by text message",
    "marketing_push": "To send messages to your phone's screen",
    "third_party_enrichment": "To add what others know of the area you live in",
}
_RELEASES = {"rate": "shares", "mean": "averages", "sum": "totals", "rows": "counts", "people": "counts of people"}

_RIGHTS = (
    "* You can refuse any use above. From then on we leave your data out of it.",
    "* You can ask for a copy of everything we hold about you. You get every row, and where it comes from.",
    "* You can ask us to remove it, or to correct what is wrong.",
    "* You can complain to the data protection authority of your country.",
)


def write_notice(target: Path, *, out: Path | None, contact: str, released: Sequence[Mapping[str, Any]]) -> None:
    """Write the notice of a run into a new file, HTML or Markdown, whole or not at all.

    Args:
        target: A new file that ends with .html or .md.
        out: Folder of the run; None is the last default run.
        contact: Who is to be written to, as readers shall see it.
        released: Entries of the ledger of budget: what was granted and published.

    Raises:
        JourneybookError: The file is there or ends otherwise, or contact or catalogue is missing.
    """
    if target.exists() or target.suffix not in (".html", ".md"):
        raise JourneybookError(f"{str(target)!r} needs to be a new file that ends with .html or .md.")
    if not contact.strip():
        raise JourneybookError("contact is empty: a notice says whom to write to.")
    folder, tables = folders(out)
    listed = read_json(results_path(folder, "01_collection")).get("tables", {}).get("catalogue")
    if not listed:
        raise JourneybookError(f"{folder.name} has no catalogue: `journeybook run --only 01_collection` makes it.")
    made = tables / "feature_dictionary.parquet"
    features = pd.read_parquet(made) if made.is_file() else pd.DataFrame(columns=["description"])
    text = notice_text(pd.DataFrame(listed), features, contact=contact.strip(), released=released)
    if target.suffix == ".html":
        text = html_of("paper.html.j2", title="How we use your data", body=markdown(escape(text, quote=False)))
    write_text(target, text)


def notice_text(
    catalogue: pd.DataFrame, features: pd.DataFrame, *, contact: str, released: Sequence[Mapping[str, Any]]
) -> str:
    """Return the notice as Markdown.

    Args:
        catalogue: One row a collected table and column, as page 01 keeps it.
        features: `description` of what is worked out of people, as page 04 keeps it.
        contact: Whom to write to.
        released: Entries of the ledger of budget.
    """
    of_people = catalogue[(catalogue.personal != "no") | (catalogue.table == "third_party")]
    tables = [(str(table), columns) for table, columns in of_people.groupby("table", sort=False)]
    held = [f"* **{_TABLES.get(name, _plain(name))}.** {_fields(name, columns)}" for name, columns in tables]
    made = sorted({str(one).rstrip(".") for one in features.description if str(one).strip()})
    used = ["Each use needs your permission, and you can refuse any of them:", ""]
    for purpose, words in _PURPOSES.items():
        of = of_people[[purpose in str(purposes).split(", ") for purposes in of_people.purposes]]
        names = [str(name).replace("_", " ") for name in dict.fromkeys(of.table) if name != "consents"]
        else_ = "we look up whether you allow it" if len(of) else "not today"
        used.append(f"* **{words}**: {'from: ' * bool(names)}{', '.join(names) or else_}.")
    if "consents" not in set(catalogue.table):
        used.append("\n**We have no record of who allowed what.** Tell us if you do not want a use, and we stop.")
    kept = []
    for name, columns in tables:
        days = columns.retention_days.iloc[0]
        kept.append(f"* {_plain(name)}: {f'{int(days):,} days' if pd.notna(days) else 'no end is set yet'}.")
    sections = {
        "What we hold about you": held,
        "What we work out from it": ["We count and add up, for example:", "", *(f"* {one}." for one in made)],
        "What we use it for": used,
        "How long we keep it": kept,
        "What we publish": _published(released),
        "How to say no": [f"Write to: **{contact}**", "", *_RIGHTS],
    }
    told = [f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items()]
    return "\n\n".join(["# How we use your data", *told]) + "\n"


def _plain(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _fields(table: str, columns: pd.DataFrame) -> str:
    """What the columns of one table say, in a sentence; those that no table knows by their own names."""
    schema, told = schema_of(table), []
    for name in map(str, columns.column):
        known = schema.by_name.get(name) if schema is not None else None
        # What follows a comma, a colon or a bracket is for those who compute with it.
        meaning = re.split(r"[;,:]| \(", known.meaning if known is not None else _plain(name))[0]
        told.append(meaning[:1].lower() + meaning[1:])
    return f"{'; '.join(dict.fromkeys(told)).capitalize()}."


def _published(released: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was published, and how sure a reader can be that someone is in it, in plain words."""
    made = [entry for entry in released if entry["kind"] == "release"]
    if not made:
        return ["We have published no figures made from your data."]
    lines = [
        "We published numbers about many people. Each has a random amount added to hide every single person:",
        "",
    ]
    for entry in made:
        figures = {row["figure"] for row in entry["figures"]}
        what = next((words for kind, words in _RELEASES.items() if kind in figures), "numbers")
        lines.append(f"* {entry['made_on']}: {what} ({entry['release'].replace('_', ' ')}).")
    most = max(entry["epsilon"] for entry in released if entry["kind"] == "budget")
    sure = 100 / (1 + math.exp(-most))
    surer = f"no surer than {math.ceil(sure)} times of 100" if sure < 99 else "almost sure"
    guess = (
        "Suppose someone knows everything about everybody else, and asks whether you are in the data. By guessing "
    )
    guess += f"they are right 50 times of 100. With all we may publish in one period they are {surer}."
    return [*lines, "", guess]
