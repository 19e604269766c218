"""05 Segmentation: which groups are there, are they real, how do people move between them.

preparation.py  which features are clustered on, on which scale
groups.py       how many groups the data hold: gap statistic, prediction strength, valleys
segments.py     k-means on the last snapshot, carried to all; profiles, RFM scores
names.py        a number and a word for each segment
movement.py     steps between snapshots with intervals; the refitting that makes movement up
references.py   the same procedure on nothing, on planted groups
findings.py     what a manager should know
witnesses.py    each result made again by another road
words.py        titles and sentences of the page
"""

from journeybook.segmentation.findings import find
from journeybook.segmentation.groups import DEEP, STRONG, GroupCount, count_groups
from journeybook.segmentation.movement import Movement, movement, refit_each_snapshot
from journeybook.segmentation.preparation import first_full_snapshot, last_snapshot, matrix, prepare
from journeybook.segmentation.references import detection, structureless
from journeybook.segmentation.segments import Segmentation, rfm_scores, segment, segments_of_each_date
from journeybook.segmentation.witnesses import detection_holds, movement_holds, past_holds, segments_hold
from journeybook.segmentation.words import (
    headline_figures,
    say_count,
    say_nothing,
    say_pitfall,
    title_count,
    title_movement,
    title_profile,
)
