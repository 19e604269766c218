"""Which records are one person (page 03).

records      fields in one spelling
comparison   which pairs are compared, and how far they agree
model        what an agreement tells: Fellegi and Sunter, by EM
clusters     from pairs to people, with a guard against chains
people       people, golden profiles, refusals carried to the person
postcodes    where each person was known to live, and since when
quality      a linkage against the truth
simulation   records with known truth, made from the page's own
trial        the linkage tried on those, beside the tempting shortcuts
findings     what a manager should know
witnesses    the page's steps once more by another road; copies and planted truth
wording      sentences that depend on what was found
"""

from journeybook.identity.clusters import EXACT_RULES, Resolution, cluster_sizes, pairs_above, resolve
from journeybook.identity.comparison import ComparedPairs, blocking_rules, compare, equal_pairs
from journeybook.identity.findings import find
from journeybook.identity.model import LinkageModel, fit_linkage, weight_histogram
from journeybook.identity.people import (
    CarriedRefusals,
    carry_refusals,
    count_overruled,
    golden_profiles,
    people_of,
    refusal_reach,
)
from journeybook.identity.postcodes import postcode_history
from journeybook.identity.quality import (
    PairQuality,
    keys_alone,
    pair_quality,
    people_quality,
    threshold_curve,
    who_is_who,
)
from journeybook.identity.records import CUSTOMER_FIELDS, Field, fill_rates, normalise, usable_fields
from journeybook.identity.simulation import KnownRecords, simulate_copies
from journeybook.identity.trial import LinkageTrial, try_linkage
from journeybook.identity.witnesses import copies_hold, refusals_hold, rows_hold, truth_holds
from journeybook.identity.wording import (
    describe_exact,
    describe_fit,
    describe_keys,
    describe_people,
    describe_refusals,
)

__all__ = [
    "CUSTOMER_FIELDS",
    "EXACT_RULES",
    "CarriedRefusals",
    "ComparedPairs",
    "Field",
    "KnownRecords",
    "LinkageModel",
    "LinkageTrial",
    "PairQuality",
    "Resolution",
    "blocking_rules",
    "carry_refusals",
    "cluster_sizes",
    "compare",
    "copies_hold",
    "count_overruled",
    "describe_exact",
    "describe_fit",
    "describe_keys",
    "describe_people",
    "describe_refusals",
    "equal_pairs",
    "fill_rates",
    "find",
    "fit_linkage",
    "golden_profiles",
    "keys_alone",
    "normalise",
    "pair_quality",
    "pairs_above",
    "people_of",
    "people_quality",
    "postcode_history",
    "refusal_reach",
    "refusals_hold",
    "resolve",
    "rows_hold",
    "simulate_copies",
    "threshold_curve",
    "truth_holds",
    "try_linkage",
    "usable_fields",
    "weight_histogram",
    "who_is_who",
]
