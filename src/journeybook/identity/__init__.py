"""Which records are one person (page 03).

records      fields in one spelling; masked for showing
comparison   which pairs are compared, and how far they agree
model        what an agreement tells: Fellegi and Sunter, by EM
clusters     from pairs to people, with a guard against chains
people       people, golden profiles, refusals carried to the person
quality      a linkage against the truth
simulation   records with known truth, made from the page's own
"""

from journeybook.identity.clusters import EXACT_RULES, Resolution, pairs_above, resolve
from journeybook.identity.comparison import ComparedPairs, blocking_rules, compare, equal_pairs
from journeybook.identity.model import LinkageModel, fit_linkage, weight_histogram
from journeybook.identity.people import (
    REFUSAL_RULES,
    golden_profiles,
    people_of,
    refusal_links,
    refusal_reach,
)
from journeybook.identity.quality import (
    PairQuality,
    keys_alone,
    pair_quality,
    threshold_curve,
    who_is_who,
)
from journeybook.identity.records import CUSTOMER_FIELDS, Field, mask, normalise, usable_fields
from journeybook.identity.simulation import KnownRecords, simulate_copies

__all__ = [
    "CUSTOMER_FIELDS",
    "EXACT_RULES",
    "REFUSAL_RULES",
    "ComparedPairs",
    "Field",
    "KnownRecords",
    "LinkageModel",
    "PairQuality",
    "Resolution",
    "blocking_rules",
    "compare",
    "equal_pairs",
    "fit_linkage",
    "golden_profiles",
    "keys_alone",
    "mask",
    "normalise",
    "pair_quality",
    "pairs_above",
    "people_of",
    "refusal_links",
    "refusal_reach",
    "resolve",
    "simulate_copies",
    "threshold_curve",
    "usable_fields",
    "weight_histogram",
    "who_is_who",
]
