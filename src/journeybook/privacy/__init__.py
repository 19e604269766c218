"""What can be published, at what privacy cost (page 10).

releases     counts and sums that a mechanism has noised, and what they cost
guarantees   whether mechanisms keep their promise: error, neighbours, composition
attacks      what an outsider can tell without them, or where bounds come from the data
wording      sentences that depend on what was found
"""

from journeybook.privacy.attacks import MembershipAttack, membership_attack, uniqueness
from journeybook.privacy.guarantees import (
    NeighbourTest,
    compare_neighbours,
    composition,
    error_curve,
    largest_change,
)
from journeybook.privacy.releases import (
    Grouping,
    PrivateReleases,
    check_mode,
    clamped_sums,
    geometric_reach,
    named_groups,
    release_figures,
    spend_bands,
)
from journeybook.privacy.wording import (
    describe_attack,
    describe_budget,
    describe_page,
    describe_releases,
    describe_uniqueness,
)

__all__ = [
    "Grouping",
    "MembershipAttack",
    "NeighbourTest",
    "PrivateReleases",
    "check_mode",
    "clamped_sums",
    "compare_neighbours",
    "composition",
    "describe_attack",
    "describe_budget",
    "describe_page",
    "describe_releases",
    "describe_uniqueness",
    "error_curve",
    "geometric_reach",
    "largest_change",
    "membership_attack",
    "named_groups",
    "release_figures",
    "spend_bands",
    "uniqueness",
]
