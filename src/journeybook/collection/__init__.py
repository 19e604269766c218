"""01 Collection: which rows were collected, which of them are valid, and who permits what.

rows.py       accepted or in quarantine, what is odd, and where each row ended
far.py        dates far from all others
evidence.py   how each yes was asked for, and when it ends
deliveries.py a delivery that came twice, odd days, another schema
catalogue.py  every table and column
plan.py       the tracking plan, and what it asks of events
tracking.py   events against the plan, by day, device and release
validity.py   what no row can truly say, and rows that come late
consents.py   the ledger over time, and what it opens
pitfalls.py   a yes for ever; types left to be guessed
findings.py   what a manager should know
witnesses.py  what the page is held against
words.py      sentences and headline figures
"""

from journeybook.collection.catalogue import catalogue
from journeybook.collection.consents import Consent, goes_on, refusing_records, who_permits
from journeybook.collection.deliveries import aside_by_day, compare_schemas, delivered_twice, odd_days
from journeybook.collection.evidence import evidence, renewals_due, shares_by_group, standing_grants
from journeybook.collection.findings import find
from journeybook.collection.pitfalls import find_pitfall
from journeybook.collection.plan import read_plan
from journeybook.collection.rows import collect, row_places
from journeybook.collection.tracking import out_of_order, track
from journeybook.collection.validity import score_faults
from journeybook.collection.witnesses import (
    check_columns,
    check_ledger,
    check_places,
    check_planted,
    check_rows,
    check_rules,
    check_times,
)
from journeybook.collection.words import (
    PURPOSE_WORDS,
    metrics,
    say_catalogue,
    say_deliveries,
    say_reach,
    say_tracking,
    title_consent,
)
