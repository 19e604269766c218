"""Page 08: how people move through the site, where they leave, and what would help most.

visitors.py      in the engine: whose event it is, groups for the bootstrap
sessions.py      what a session is, which count, where each is cut: sorted by the engine, walked by NumPy
counts.py        sessions to counts of steps by group
chain.py         the journey as an absorbing Markov chain, solved exactly
elasticity.py    many chains at once; how much conversion grows when a step does
intervals.py     the chain again and again on resampled people; the tables of steps, states and bottlenecks
survival.py      how sessions go on, where they flow, how long it takes to convert
links.py         in the engine: links with what came before them
orders.py        how many steps back visitors remember
groups.py        do groups and periods differ, state by state
faults.py        a step that was broken for some days
mixture.py       types of visitor, by a mixture of chains
rates.py         shares of rows with intervals that know who they belong to
journeys.py      frequent ways, loops, what precedes leaving
funnels.py       the loose and the strict funnel
channels.py      in the engine: the channels of each person's sessions, one after the other
credit.py        rules of thumb: which share of a conversion each touch is given
attribution.py   channels: exact removal effects of any order, and the rules beside them
moments.py       when an offer changes most; sessions that are open
witnesses.py     print, brute force, simulated people, the planted truth
by_hand.py       the page's tables once more, in plain pandas from the events
findings.py      what the page found, for whoever decides
wording.py wording_journeys.py wording_structure.py    sentences computed from what was found
"""

from journeybook.clickstream.attribution import Attribution, attribute, beside_planted, with_planted
from journeybook.clickstream.by_hand import recount
from journeybook.clickstream.chain import TransitionModel, Visits, transition_model, visits_from
from journeybook.clickstream.channels import ChannelPaths, channel_paths
from journeybook.clickstream.counts import StepCounts, count_steps
from journeybook.clickstream.elasticity import elasticities, improved
from journeybook.clickstream.faults import FaultScan, PlantedFault, compare_with_planted_fault, find_faults
from journeybook.clickstream.findings import find
from journeybook.clickstream.funnels import funnel, likeliest_path
from journeybook.clickstream.groups import GroupDifferences, compare_groups
from journeybook.clickstream.intervals import (
    ChainDraws,
    bottleneck_table,
    draw_chains,
    pool_rare,
    state_table,
    transition_table,
    without_exits,
)
from journeybook.clickstream.journeys import journeys
from journeybook.clickstream.mixture import PlantedTypes, TypeMixture, compare_with_planted_types, fit_types
from journeybook.clickstream.moments import best_moments, live_sessions, prefix_calibration
from journeybook.clickstream.orders import OrderChoice, choose_order, memory_within_types
from journeybook.clickstream.sessions import (
    CONVERSION,
    EXIT,
    START,
    computed,
    default_conversion,
    path_steps,
    session_steps,
)
from journeybook.clickstream.survival import (
    Survival,
    session_survival,
    step_flow,
    survival_by_chain,
    time_to_conversion,
)
from journeybook.clickstream.witnesses import (
    Coverage,
    CoverageStudy,
    Planted,
    compare_with_planted,
    coverage_study,
    drunkards_error,
    elasticity_by_difference,
    elasticity_error,
    interval_coverage,
)
from journeybook.clickstream.wording import (
    NO_SESSIONS,
    describe_bottlenecks,
    describe_counts,
    describe_flow,
    describe_states,
    describe_survival,
    describe_times,
    describe_without_exits,
    headline,
)
from journeybook.clickstream.wording_journeys import (
    describe_attribution,
    describe_coverage,
    describe_funnel,
    describe_journeys,
    describe_live,
    describe_moments,
    describe_planted_channels,
    describe_prefixes,
)
from journeybook.clickstream.wording_structure import (
    describe_faults,
    describe_groups,
    describe_memory_within_types,
    describe_orders,
    describe_planted_fault,
    describe_planted_types,
    describe_types,
    first_order_mark,
    structure_headline,
)

__all__ = [
    "Attribution",
    "CONVERSION",
    "ChainDraws",
    "ChannelPaths",
    "Coverage",
    "CoverageStudy",
    "EXIT",
    "FaultScan",
    "GroupDifferences",
    "OrderChoice",
    "Planted",
    "PlantedFault",
    "PlantedTypes",
    "START",
    "NO_SESSIONS",
    "StepCounts",
    "Survival",
    "TransitionModel",
    "TypeMixture",
    "Visits",
    "attribute",
    "beside_planted",
    "best_moments",
    "bottleneck_table",
    "channel_paths",
    "choose_order",
    "compare_groups",
    "compare_with_planted",
    "compare_with_planted_fault",
    "compare_with_planted_types",
    "computed",
    "count_steps",
    "coverage_study",
    "default_conversion",
    "describe_attribution",
    "describe_bottlenecks",
    "describe_counts",
    "describe_coverage",
    "describe_faults",
    "describe_flow",
    "describe_funnel",
    "describe_groups",
    "describe_journeys",
    "describe_memory_within_types",
    "describe_live",
    "describe_moments",
    "describe_orders",
    "describe_planted_channels",
    "describe_planted_fault",
    "describe_planted_types",
    "describe_prefixes",
    "describe_states",
    "describe_survival",
    "describe_times",
    "describe_types",
    "describe_without_exits",
    "draw_chains",
    "drunkards_error",
    "elasticities",
    "elasticity_by_difference",
    "elasticity_error",
    "find",
    "find_faults",
    "first_order_mark",
    "fit_types",
    "funnel",
    "headline",
    "improved",
    "interval_coverage",
    "journeys",
    "likeliest_path",
    "live_sessions",
    "memory_within_types",
    "path_steps",
    "pool_rare",
    "prefix_calibration",
    "recount",
    "session_steps",
    "session_survival",
    "state_table",
    "step_flow",
    "structure_headline",
    "survival_by_chain",
    "time_to_conversion",
    "transition_model",
    "transition_table",
    "visits_from",
    "with_planted",
    "without_exits",
]
