"""What the page found, for whoever decides."""

import pandas as pd

from journeybook.collection.consents import Consent
from journeybook.collection.rows import Collection
from journeybook.collection.words import PURPOSE_WORDS
from journeybook.conservation import ENDS, n_without_place
from journeybook.findings import Finding, say_count, say_share

_PERMITS, _PLACES, _VALID = "Who permits what?", "Where did each row end?", "Is every row valid?"


def find(found: Collection, places: pd.DataFrame, consent: Consent) -> list[Finding]:
    """Return the page's findings; `places` as `row_places` returns them."""
    return [_consent(consent), *_sends(consent.sends), _rows(places), *_quarantine(found)]


def _consent(consent: Consent) -> Finding:
    if consent.ledger is None:
        return Finding(
            text="Nobody's consent is known: this data set has no ledger.",
            action="Collect a ledger before anyone is written to.",
            strength="counted",
            worth=1,
            section=_PERMITS,
            figure=None,
        )
    asked = consent.decisions.dropna(subset="permitted_share").sort_values("permitted_share", kind="stable")
    least, n_lapsed = asked.iloc[0], int(consent.decisions.n_lapsed.sum())
    said = f"{say_count(n_lapsed)} permissions have lapsed: ask again" if n_lapsed else "Plan with these people"
    return Finding(
        text=f"Of those asked, {say_share(least.permitted_share)} permit {PURPOSE_WORDS[least.purpose]}, "
        "the least of all purposes.",
        action=f"{said}, and use each record only for what it was given for.",
        strength="counted",
        worth=2,
        section=_PERMITS,
        value=float(least.permitted_share),
        unit="share",
    )


def _sends(sends: pd.DataFrame) -> list[Finding]:
    n_wrong = int(sends.n_not_permitted.sum()) if len(sends) else 0
    if not n_wrong:
        return []
    return [
        Finding(
            text=f"{say_count(n_wrong)} of {say_count(sends.n_sent.sum())} messages went to people who did not "
            "permit that channel when they were sent.",
            action="Check the ledger at the moment of sending, not when the list is made.",
            strength="counted",
            worth=1,
            section=_PERMITS,
            value=n_wrong,
            unit="messages",
            figure=None,
        )
    ]


def _rows(places: pd.DataFrame) -> Finding:
    n_lines, n_kept, n_off = int(places.n_lines.sum()), int(places.n_kept.sum()), n_without_place(places)
    if n_off:
        return Finding(
            text=f"{say_count(n_off)} of {say_count(n_lines)} rows cannot be accounted for.",
            action="Use no figure of this report before they are found.",
            strength="contradicted",
            worth=1,
            section=_PLACES,
            value=n_off,
            unit="rows",
        )
    ends = {ENDS[c].replace("`", ""): int(places[c].sum()) for c in ENDS if c in places.columns}
    most = max(ends, key=lambda end: ends[end])
    why = f"; most others were {most}" if ends[most] else ""
    return Finding(
        text=f"{say_share(n_kept / max(n_lines, 1))} of {say_count(n_lines)} rows go on, and every row is "
        f"accounted for{why}.",
        action="Nothing to do.",
        strength="counted",
        worth=3,
        section=_PLACES,
        value=n_kept / max(n_lines, 1),
        unit="share",
    )


def _quarantine(found: Collection) -> list[Finding]:
    if not found.n_aside:
        return []
    worst = found.problems.sort_values("n_rows", ascending=False, kind="stable").iloc[0]
    return [
        Finding(
            text=f"{say_count(found.n_aside)} rows break a rule, most often because {worst.column} of "
            f"{worst.table} {worst.problem}.",
            action="Mend them where they come from, and collect them again.",
            strength="counted",
            worth=2 if found.n_aside > 0.001 * found.counts.n_collected.sum() else 3,
            section=_VALID,
            value=found.n_aside,
            unit="rows",
            figure=None,
        )
    ]
