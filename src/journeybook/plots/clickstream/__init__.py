"""Figures of page 08.

movement.py      the steps, where leaving costs most, what would help most, how often intervals hold
graph.py         the graph of steps, the flow of sessions, how long they live
structure.py     order of the chain, groups, the fault, types of visitor
journeys.py      channels, ways, the funnel, moments for an offer
"""

from journeybook.plots.clickstream.graph import plot_flow, plot_graph, plot_survival
from journeybook.plots.clickstream.journeys import (
    plot_attribution,
    plot_funnel,
    plot_moments,
    plot_prefixes,
    plot_sequences,
)
from journeybook.plots.clickstream.movement import plot_bottlenecks, plot_coverage, plot_drop_off, plot_steps
from journeybook.plots.clickstream.structure import plot_fault, plot_groups, plot_orders, plot_types

__all__ = [
    "plot_attribution",
    "plot_bottlenecks",
    "plot_coverage",
    "plot_drop_off",
    "plot_fault",
    "plot_flow",
    "plot_funnel",
    "plot_graph",
    "plot_groups",
    "plot_moments",
    "plot_orders",
    "plot_prefixes",
    "plot_sequences",
    "plot_steps",
    "plot_survival",
    "plot_types",
]
