"""04 Enrichment: what is known of each person, as of a date.

snapshots.py    features from receipts strictly before each date, lazily
third_party.py  what others say of people or postcodes, joined as of a date
leak.py         the pitfall: features that know what came after
truth.py        the join, held against what was planted
findings.py     what a manager should know
witnesses.py    totals to the cent, a second count in pandas
words.py        titles of the page
"""

from journeybook.enrichment.findings import find
from journeybook.enrichment.leak import LeakTrial, leak_examples, leak_holds, leak_trial
from journeybook.enrichment.snapshots import (
    feature_snapshots,
    features_by_date,
    first_receipt,
    largest_groups,
    last_date,
    limit_people,
    snapshot_dates,
    tells_hours,
)
from journeybook.enrichment.third_party import coverage, join_third_party
from journeybook.enrichment.truth import match_truth, truth_holds
from journeybook.enrichment.witnesses import snapshots_hold, totals_by_date
from journeybook.enrichment.words import headline_figures, title_snapshots
