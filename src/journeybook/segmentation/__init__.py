"""Segmentation: which groups are there, are they real, how do people move between them (page 05).

| module | holds |
|---|---|
| preparation | which features are clustered on, on which scale |
| groups | how many groups the data hold: gap statistic, prediction strength, stability |
| segments | k-means on the last snapshot, carried to all; names, profiles, RFM scores |
| movement | steps between snapshots with intervals; the refitting that makes movement up |
| references | the same procedure on nothing, on planted groups, on unscaled features |
| findings | what a manager should know |
| witnesses | each result made again by another road |
| words | the sentences of the page |
"""

from journeybook.segmentation.findings import find
from journeybook.segmentation.groups import DEEP, STRONG, GroupCount, count_groups, fit_kmeans, nearest, valley
from journeybook.segmentation.movement import Movement, Refitted, movement, refit_each_snapshot
from journeybook.segmentation.preparation import (
    Preparation,
    first_full_snapshot,
    last_snapshot,
    matrix,
    prepare,
)
from journeybook.segmentation.references import (
    Structureless,
    Unscaled,
    detection,
    structureless,
    unscaled,
)
from journeybook.segmentation.segments import (
    RfmScores,
    Segmentation,
    describe,
    rfm_scores,
    segment,
    segments_of_each_date,
)
from journeybook.segmentation.witnesses import movement_holds, procedure_holds, segments_hold
from journeybook.segmentation.words import (
    count_sentence,
    dated_sentence,
    headline_figures,
    movement_sentence,
    nothing_sentence,
    pitfall_sentence,
    rfm_sentence,
)

__all__ = [
    "DEEP",
    "STRONG",
    "GroupCount",
    "Movement",
    "Preparation",
    "Refitted",
    "RfmScores",
    "Segmentation",
    "Structureless",
    "Unscaled",
    "count_groups",
    "count_sentence",
    "dated_sentence",
    "describe",
    "detection",
    "find",
    "first_full_snapshot",
    "fit_kmeans",
    "headline_figures",
    "last_snapshot",
    "matrix",
    "movement",
    "movement_holds",
    "movement_sentence",
    "nearest",
    "nothing_sentence",
    "pitfall_sentence",
    "prepare",
    "procedure_holds",
    "refit_each_snapshot",
    "rfm_scores",
    "rfm_sentence",
    "segment",
    "segments_hold",
    "segments_of_each_date",
    "structureless",
    "unscaled",
    "valley",
]
