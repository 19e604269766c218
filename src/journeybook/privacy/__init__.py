"""What can be published, at what privacy cost (page 10).

releases     counts and sums that a mechanism has noised, and what they cost
guarantees   whether the release keeps its promise: audit, each person left out, error, composition
attacks      what an outsider can tell without them, or where bounds come from the data
witnesses    figures computed a second time, by another road
findings     what a page found, for whoever decides
wording      sentences that depend on what was found
"""

from journeybook.privacy.attacks import MembershipAttack, membership_attack, uniqueness
from journeybook.privacy.findings import find
from journeybook.privacy.guarantees import (
    Audit,
    audit_release,
    composition,
    error_curve,
    largest_change,
)
from journeybook.privacy.releases import (
    NOT_PRIVATE,
    Grouping,
    PrivateReleases,
    check_mode,
    clamped_sums,
    exact_figures,
    geometric_reach,
    group_people,
    named_groups,
    release_figures,
    seed_name,
    spend_bands,
)
from journeybook.privacy.witnesses import attack_gap, exact_gap, means_gap, recount, uniqueness_gap
from journeybook.privacy.wording import (
    describe_attack,
    describe_audit,
    describe_budget,
    describe_releases,
    describe_uniqueness,
)

__all__ = [
    "NOT_PRIVATE",
    "Audit",
    "Grouping",
    "MembershipAttack",
    "PrivateReleases",
    "attack_gap",
    "audit_release",
    "check_mode",
    "clamped_sums",
    "composition",
    "describe_attack",
    "describe_audit",
    "describe_budget",
    "describe_releases",
    "describe_uniqueness",
    "error_curve",
    "exact_figures",
    "exact_gap",
    "find",
    "geometric_reach",
    "group_people",
    "largest_change",
    "means_gap",
    "membership_attack",
    "named_groups",
    "recount",
    "release_figures",
    "seed_name",
    "spend_bands",
    "uniqueness",
    "uniqueness_gap",
]
