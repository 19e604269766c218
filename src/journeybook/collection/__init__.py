"""01 Collection: which rows were collected, which of them are valid, and who permits what.

rows.py       accepted or in quarantine, and what is odd
far.py        dates far from all others
validity.py   what no row can truly say, and rows that come late
consents.py   the ledger over time, what it opens, the same counted by hand
places.py     where each row ended
pitfalls.py   a yes for ever; types left to be guessed
findings.py   what a manager should know
witnesses.py  what the page is held against
words.py      sentences and headline figures that stay true for other data
"""

from journeybook.collection.consents import (
    ConsentHistory,
    LedgerNow,
    consent_history,
    count_permits,
    ledger_now,
    open_rows,
    recount_ledger,
    unpermitted,
    withdrawn_rows,
)
from journeybook.collection.findings import find
from journeybook.collection.pitfalls import Pitfall, consent_pitfall, find_pitfall, type_pitfall
from journeybook.collection.places import check_places, row_places
from journeybook.collection.rows import Collection, collect, mask
from journeybook.collection.validity import impossible, late_rows, rows_told
from journeybook.collection.witnesses import check_ledger, check_planted, check_rows, check_rules, check_study
from journeybook.collection.words import (
    metrics,
    say_consent,
    say_findings,
    say_outliving,
    say_quarantine,
    say_sends,
    say_use,
    say_withdrawn,
)

__all__ = [
    "Collection",
    "ConsentHistory",
    "LedgerNow",
    "Pitfall",
    "check_ledger",
    "check_places",
    "check_planted",
    "check_rules",
    "check_study",
    "check_rows",
    "collect",
    "consent_history",
    "consent_pitfall",
    "count_permits",
    "find",
    "find_pitfall",
    "impossible",
    "late_rows",
    "ledger_now",
    "mask",
    "metrics",
    "open_rows",
    "recount_ledger",
    "row_places",
    "rows_told",
    "say_consent",
    "say_findings",
    "say_outliving",
    "say_quarantine",
    "say_sends",
    "say_use",
    "say_withdrawn",
    "type_pitfall",
    "unpermitted",
    "withdrawn_rows",
]
