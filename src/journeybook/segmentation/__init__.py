"""05 Segmentation: which groups are there, are they real, how do people move between them.

rules.py        lifecycle and value by declared rules, as SQL
preparation.py  which features are clustered on, on which scale, with which weight
variables.py    why each feature weighs what it weighs
groups.py       how many groups the data hold: valleys in all features, and in each alone
references.py   the same procedure on nothing, on planted groups
methods.py      k-means, Ward, a mixture and HDBSCAN side by side
behaviour.py    the same question put to the steps on the site
segments.py     k-means on the last snapshot, carried to all; profiles, RFM scores
names.py        a number and a word for each segment
describe.py     a rule and a card for each segment; proxies of age
usefulness.py   what segments foretell, beside simpler things
movement.py     steps between snapshots with intervals; the refitting that makes movement up
triggers.py     moments to act on, and whether they foretell
findings.py     what a manager should know
recount.py      moments and ties to age counted once more
witnesses.py    each result made again by another road
words.py        titles and sentences of the page
"""

from journeybook.segmentation.behaviour import Behaviour, behaviour, behaviour_holds
from journeybook.segmentation.describe import Words, cards, in_words, proxies
from journeybook.segmentation.findings import find
from journeybook.segmentation.groups import DEEP, STRONG, GroupCount, count_groups
from journeybook.segmentation.methods import side_by_side
from journeybook.segmentation.movement import (
    Movement,
    begins_hold,
    movement,
    refit_each_snapshot,
    refit_holds,
    steady,
)
from journeybook.segmentation.preparation import check_columns, first_full_snapshot, last_snapshot, matrix, prepare
from journeybook.segmentation.recount import precision_holds, proxies_hold, triggers_hold
from journeybook.segmentation.references import detection, structureless
from journeybook.segmentation.rules import Declared, declare
from journeybook.segmentation.segments import Segmentation, rfm_scores, segment, segments_of_each_date
from journeybook.segmentation.triggers import find_triggers, precision, purchases, with_consent
from journeybook.segmentation.usefulness import usefulness
from journeybook.segmentation.variables import variables
from journeybook.segmentation.witnesses import (
    detection_holds,
    movement_holds,
    past_holds,
    rules_hold,
    segments_hold,
    steady_holds,
    uses_hold,
)
from journeybook.segmentation.words import (
    headline_figures,
    say_behaviour,
    say_count,
    say_declared,
    say_methods,
    say_nothing,
    say_pitfall,
    say_usefulness,
    say_words,
    title_count,
    title_movement,
    title_profile,
    title_usefulness,
)
