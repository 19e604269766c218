"""01 Collection: which rows were collected, which of them are valid, and who permits what.

rows.py       accepted or in quarantine, what is odd, and where each row ended
far.py        dates far from all others
validity.py   what no row can truly say, and rows that come late
consents.py   the ledger over time, and what it opens
pitfalls.py   a yes for ever; types left to be guessed
findings.py   what a manager should know
witnesses.py  what the page is held against
words.py      sentences and headline figures
"""

from journeybook.collection.consents import Consent, goes_on, refusing_records, who_permits
from journeybook.collection.findings import find
from journeybook.collection.pitfalls import find_pitfall
from journeybook.collection.rows import collect, row_places
from journeybook.collection.validity import score_faults
from journeybook.collection.witnesses import (
    check_ledger,
    check_places,
    check_planted,
    check_rows,
    check_rules,
    check_study,
)
from journeybook.collection.words import (
    PURPOSE_WORDS,
    metrics,
    say_reach,
    title_consent,
)
