"""What a run claimed goes into the register of claims, so that later data can be held against it."""

import re
from collections.abc import Iterable
from pathlib import Path

from journeybook.report.storing import read_json, results_path
from journeybook.tables import keep_claims, owners_view, raw_digest


def write_claims(tables: Path, out: Path, pages: Iterable[str]) -> None:
    """Write down every finding with an interval of these pages; a claim is known by its page and its words.

    Page 16 writes down its own effects itself.
    """
    run = owners_view(tables)
    digest = raw_digest(run)
    for page in pages:
        found = read_json(results_path(out, page)).get("findings", [])
        told = {words_of(f["text"]): (f["value"], f["low"], f["high"]) for f in found if f["low"] is not None}
        if told and not page.startswith("16_impact"):
            keep_claims(run, page=page, claims=told, digest=digest)


def words_of(text: str) -> str:
    """Return a sentence without its figures.

    >>> words_of("Treatment raises converted by +5.6 points; 1,200 more a week.")
    'Treatment raises converted by # points; # more a week.'
    """
    return re.sub(r"[+-]?\d(?:[\d,.]*\d)?%?", "#", text)
