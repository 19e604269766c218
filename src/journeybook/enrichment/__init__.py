"""Page 04: what is known of each person, as of a date."""

from journeybook.enrichment.leak import (
    LeakExamples,
    LeakTrial,
    coupon_examples,
    leak_trial,
    next_purchase_examples,
)
from journeybook.enrichment.snapshots import (
    feature_snapshots,
    largest_groups,
    last_date,
    limit_people,
    snapshot_dates,
    tells_hours,
)
from journeybook.enrichment.third_party import coverage, join_third_party
from journeybook.enrichment.totals import recount, totals_by_date

__all__ = [
    "LeakExamples",
    "LeakTrial",
    "coupon_examples",
    "coverage",
    "feature_snapshots",
    "join_third_party",
    "largest_groups",
    "last_date",
    "leak_trial",
    "limit_people",
    "next_purchase_examples",
    "recount",
    "snapshot_dates",
    "tells_hours",
    "totals_by_date",
]
