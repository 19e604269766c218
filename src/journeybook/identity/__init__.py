"""03 Identity: which records are one person.

records.py     fields in one spelling
comparison.py  which pairs are compared, and how far they agree
model.py       what an agreement tells: Fellegi and Sunter, by EM
clusters.py    from pairs to people, with a guard against chains
people.py      people, golden profiles, postcodes since when, refusals carried to the person
quality.py     a linkage against the truth
trial.py       the linkage tried on records of known truth, made from the page's own
findings.py    what a manager should know
witnesses.py   the page's steps once more by another road; copies and planted truth
words.py       sentences and headline figures
"""

from journeybook.identity.clusters import pairs_above, resolve
from journeybook.identity.comparison import compare
from journeybook.identity.findings import find
from journeybook.identity.model import LinkageModel, fit_linkage
from journeybook.identity.people import (
    carry_refusals,
    count_overruled,
    golden_profiles,
    people_of,
    postcode_history,
    refusal_reach,
)
from journeybook.identity.quality import keys_alone, people_quality, who_is_who
from journeybook.identity.records import normalise
from journeybook.identity.trial import simulate_copies, try_linkage
from journeybook.identity.witnesses import copies_hold, refusals_hold, rows_hold
from journeybook.identity.words import metrics, say_exact, say_fit, say_people
