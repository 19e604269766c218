"""03 Identity: which records are one person.

records.py     fields in one spelling
comparison.py  which pairs are compared, and how far they agree
model.py       what an agreement tells: Fellegi and Sunter, by EM
choice.py      from which probability a pair is linked, by costs or by labelled pairs
clusters.py    from pairs to people, with a guard against chains
people.py      people and who they were before, golden profiles and their sources, refusals carried to the person
quality.py     a linkage against the truth
sessions.py    anonymous sessions joined to people by sign-in
trial.py       the linkage tried on records of known truth, made from the page's own
findings.py    what a manager should know
witnesses.py   the page's steps once more by another road; copies and planted truth
words.py       sentences and headline figures
"""

from journeybook.identity.choice import choose_threshold, pairs_to_label, read_labels
from journeybook.identity.clusters import pairs_above, resolve
from journeybook.identity.comparison import compare
from journeybook.identity.findings import find
from journeybook.identity.model import LinkageModel, fit_linkage
from journeybook.identity.people import (
    carry_refusals,
    conflicts_of,
    count_overruled,
    crosswalk,
    golden_profiles,
    golden_values,
    people_of,
    postcodes_of,
    read_people,
    refusal_reach,
    value_history,
)
from journeybook.identity.quality import calibration, keys_alone, misses_by_kind, people_quality, who_is_who
from journeybook.identity.records import normalise
from journeybook.identity.sessions import join_sessions, say_sessions
from journeybook.identity.trial import simulate_copies, try_linkage
from journeybook.identity.witnesses import (
    copies_hold,
    keys_hold,
    refusals_hold,
    rows_hold,
    sessions_hold,
    tables_hold,
)
from journeybook.identity.words import metrics, say_choice, say_exact, say_fit, say_people
