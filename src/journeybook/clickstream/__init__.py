"""Page 08: how people move through the site, where they leave, and what would help most.

sessions.py      in the engine: events to sessions, sessions to counts of steps, groups for the bootstrap
chain.py         the journey as an absorbing Markov chain, solved exactly; drop-off; elasticity
intervals.py     the chain again and again on resampled people; the tables of the page
channels.py      in the engine: the channels of each person's sessions, one after the other
credit.py        rules of thumb: which share of a conversion each touch is given
attribution.py   channels: exact removal effects of any order, and the rules beside them
coverage.py      how often intervals hold the truth, by simulation
"""

from journeybook.clickstream.attribution import Attribution, attribute, beside_planted
from journeybook.clickstream.chain import TransitionModel, transition_model, visits_from
from journeybook.clickstream.channels import ChannelPaths, channel_paths
from journeybook.clickstream.counts import StepCounts, count_steps
from journeybook.clickstream.elasticity import elasticities, improved
from journeybook.clickstream.intervals import (
    ChainDraws,
    bottleneck_table,
    draw_chains,
    pool_rare,
    state_table,
    transition_table,
    without_exits,
)
from journeybook.clickstream.sessions import CONVERSION, EXIT, START, default_conversion, session_steps
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
    describe_attribution,
    describe_bottlenecks,
    describe_counts,
    describe_planted_channels,
    describe_states,
    describe_without_exits,
    headline,
    summarise,
)

__all__ = [
    "Attribution",
    "CONVERSION",
    "ChainDraws",
    "ChannelPaths",
    "Coverage",
    "CoverageStudy",
    "EXIT",
    "Planted",
    "START",
    "StepCounts",
    "TransitionModel",
    "attribute",
    "beside_planted",
    "bottleneck_table",
    "channel_paths",
    "compare_with_planted",
    "count_steps",
    "coverage_study",
    "default_conversion",
    "describe_attribution",
    "describe_bottlenecks",
    "describe_counts",
    "describe_planted_channels",
    "describe_states",
    "describe_without_exits",
    "draw_chains",
    "drunkards_error",
    "elasticities",
    "elasticity_by_difference",
    "elasticity_error",
    "headline",
    "improved",
    "interval_coverage",
    "session_steps",
    "state_table",
    "summarise",
    "transition_model",
    "transition_table",
    "pool_rare",
    "visits_from",
    "without_exits",
]
