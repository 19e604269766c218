"""Page 04: what is known of each person, as of a date.

A snapshot is made of rows strictly before its date, and of third-party releases not after it. The rows stay in the
engine; `features` is written from it.
"""

from journeybook.enrichment.findings import find
from journeybook.enrichment.leak import (
    LeakExamples,
    LeakTrial,
    coupon_examples,
    leak_examples,
    leak_holds,
    leak_trial,
    next_purchase_examples,
)
from journeybook.enrichment.snapshots import (
    feature_snapshots,
    first_receipt,
    largest_groups,
    last_date,
    limit_people,
    snapshot_dates,
    tells_hours,
)
from journeybook.enrichment.summary import (
    features_by_date,
    say_coverage,
    say_leak,
    say_snapshots,
)
from journeybook.enrichment.third_party import (
    MatchTruth,
    coverage,
    join_third_party,
    match_truth,
    truth_holds,
    wrong_attributes,
)
from journeybook.enrichment.totals import (
    Recount,
    greatest_difference,
    misplaced_snapshots,
    recount,
    snapshots_hold,
    study_holds,
    totals_by_date,
    worst_difference,
)

__all__ = [
    "LeakExamples",
    "LeakTrial",
    "MatchTruth",
    "Recount",
    "coupon_examples",
    "coverage",
    "feature_snapshots",
    "features_by_date",
    "find",
    "first_receipt",
    "greatest_difference",
    "join_third_party",
    "largest_groups",
    "last_date",
    "leak_examples",
    "leak_holds",
    "leak_trial",
    "limit_people",
    "match_truth",
    "misplaced_snapshots",
    "next_purchase_examples",
    "recount",
    "say_coverage",
    "say_leak",
    "say_snapshots",
    "snapshot_dates",
    "snapshots_hold",
    "study_holds",
    "tells_hours",
    "totals_by_date",
    "worst_difference",
    "truth_holds",
    "wrong_attributes",
]
