"""What the page found, for whoever decides."""

from collections.abc import Iterator
from functools import partial

import pandas as pd

from journeybook.collection.consents import Consent
from journeybook.collection.rows import Collection
from journeybook.collection.words import PURPOSE_WORDS
from journeybook.conservation import ENDS, n_without_place
from journeybook.findings import Finding, say_count, say_share

# A release that fails more often is named.
_BROKEN_SHARE = 0.01

_counted = partial(Finding, strength="counted")
_valid = partial(_counted, section="Is every row valid?", figure=None)


def find(
    found: Collection, places: pd.DataFrame, consent: Consent, rates: pd.DataFrame | None = None
) -> list[Finding]:
    """Return the page's findings; `places` as `row_places` returns them, `rates` as `track`."""
    events = [] if rates is None else _tracking(rates)
    return [*_consent(consent), *_nobody(found), *events, _rows(places), *_quarantine(found)]


def _tracking(rates: pd.DataFrame) -> Iterator[Finding]:
    """Say which release fails most, where that is more than `_BROKEN_SHARE`."""
    of = rates[rates.by == "release"].sort_values(["failed_share", "value"], ascending=[False, True])
    about = partial(_counted, section="Does every event keep the plan?", figure=None)
    for worst in of[of.failed_share >= _BROKEN_SHARE].head(min(1, len(of) - 1)).itertuples():
        share, others = say_share(worst.failed_share), say_share(of.n_failed[1:].sum() / of.n_events[1:].sum())
        text = f"{share} of events of release {worst.value} fail, {others} of all others."
        action = f"Mend {worst.value}; its {say_count(worst.n_failed)} events wait in quarantine."
        yield about(text=text, action=action, worth=2, value=float(worst.failed_share), unit="share")


def _consent(consent: Consent) -> Iterator[Finding]:
    about = partial(_counted, section="Who permits what?")
    if consent.ledger is None:
        text = "Nobody's consent is known: this data set has no ledger."
        yield about(text=text, action="Collect a ledger before anyone is written to.", worth=1, figure=None)
        return
    least, n_lapsed = consent.today.iloc[0], int(consent.today.n_lapsed.sum())
    said = f"{say_count(n_lapsed)} permissions have lapsed: ask again" if n_lapsed else "Plan with these people"
    share, purpose = say_share(least.permitted_share), PURPOSE_WORDS[least.purpose]
    text = f"Of those asked, {share} permit {purpose}, the least of all purposes."
    action = f"{said}, and use each record only for what it was given for."
    yield about(text=text, action=action, worth=2, value=float(least.permitted_share), unit="share")
    n_wrong, n_sent = int(consent.sends.n_not_permitted.sum()), say_count(consent.sends.n_sent.sum())
    if n_wrong:
        sent = f"{say_count(n_wrong)} of {n_sent} messages"
        text = f"{sent} went to people who did not permit that channel when they were sent."
        action = "Check the ledger at the moment of sending, not when the list is made."
        yield about(text=text, action=action, worth=1, value=n_wrong, unit="messages", figure=None)


def _nobody(found: Collection) -> Iterator[Finding]:
    for one in found.counts[(found.counts.n_customers == 0) & (found.counts.n_accepted > 0)].itertuples():
        said = f"None of the {say_count(one.n_accepted)} rows of {one.table} names a customer"
        text = f"{said}: they count in totals, and say nothing of people."
        action = "Map the column that names the customer to `customer_id`, if there is one."
        yield _valid(text=text, action=action, worth=1, value=float(one.n_accepted), unit="rows")


def _rows(places: pd.DataFrame) -> Finding:
    n_lines, n_kept, n_off = int(places.n_lines.sum()), int(places.n_kept.sum()), n_without_place(places)
    about = partial(Finding, section="Where did each row end?")
    if n_off:
        text = f"{say_count(n_off)} of {say_count(n_lines)} rows cannot be accounted for."
        action = "Use no figure of this report before they are found."
        return about(text=text, action=action, strength="contradicted", worth=1, value=n_off, unit="rows")
    ends = {ENDS[c].replace("`", ""): int(places[c].sum()) for c in ENDS if c in places.columns}
    most = max(ends, key=lambda end: ends[end])
    why = f"; most others were {most}" if ends[most] else ""
    share = n_kept / max(n_lines, 1)
    text = f"{say_share(share)} of {say_count(n_lines)} rows go on, and every row is accounted for{why}."
    return about(text=text, action="Nothing to do.", strength="counted", worth=3, value=share, unit="share")


def _quarantine(found: Collection) -> Iterator[Finding]:
    worst = found.problems.sort_values("n_rows", ascending=False, kind="stable").head(1)
    for of in worst.itertuples():
        rows = "One row breaks" if found.n_aside == 1 else f"{say_count(found.n_aside)} rows break"
        text = f"{rows} a rule, most often because column {of.column} of {of.table} {of.problem}."
        action = "Mend them where they come from, and collect them again."
        worth = 2 if found.n_aside > 0.001 * found.counts.n_collected.sum() else 3
        yield _valid(text=text, action=action, worth=worth, value=found.n_aside, unit="rows")
