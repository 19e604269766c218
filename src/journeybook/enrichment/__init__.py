"""04 Enrichment: what is known of each person, as of a date.

snapshots.py    features from receipts strictly before each date, lazily
habits.py       how varied and regular purchases are, and where the customer stands
behaviour.py    what visits and messages tell, and who is registered without a purchase
third_party.py  what others say of people or postcodes, joined as of a date
dictionary.py   what each feature is, for the pages that read them
filling.py      how missing features are filled in, for the same pages
ablation.py     what each source adds to predicting the next quarter
leak.py         the pitfall: features that know what came after
truth.py        the join, held against what was planted
findings.py     what a manager should know
witnesses.py    totals to the cent, a second count in pandas
by_hand.py      the same in SQL for visits and messages; a source of nothing
words.py        titles of the page
"""

from journeybook.enrichment.ablation import ablation, next_quarter
from journeybook.enrichment.behaviour import (
    add_behaviour,
    messages,
    people_by_stage,
    registered_people,
    visits,
    written,
)
from journeybook.enrichment.by_hand import ablation_holds, behaviour_holds, registered_holds
from journeybook.enrichment.dictionary import AS_OF_RULES, FEATURES, feature_dictionary
from journeybook.enrichment.filling import feature_imputers, imputers_hold
from journeybook.enrichment.findings import find
from journeybook.enrichment.habits import add_habits
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
from journeybook.enrichment.third_party import attributes_of, coverage, join_third_party
from journeybook.enrichment.truth import match_truth, truth_holds
from journeybook.enrichment.witnesses import (
    dictionary_holds,
    due_dates,
    figures_hold,
    snapshots_hold,
    totals_by_date,
)
from journeybook.enrichment.words import headline_figures, say_stages, title_snapshots, title_sources
