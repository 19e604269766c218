"""Figures of page 08.

| module | holds |
|---|---|
| movement | where people go, how long sessions live, where leaving costs most, what would help most |
| structure | order of the chain, groups, the fault, types of visitor |
| ways | ways, the funnel, moments for an offer |
"""

from journeybook.plots.clickstream.movement import (
    plot_bottlenecks,
    plot_drop_off,
    plot_flow,
    plot_steps,
    plot_survival,
)
from journeybook.plots.clickstream.structure import plot_fault, plot_groups, plot_orders, plot_types
from journeybook.plots.clickstream.ways import plot_funnel, plot_moments, plot_sequences

__all__ = [
    "plot_bottlenecks",
    "plot_drop_off",
    "plot_fault",
    "plot_flow",
    "plot_funnel",
    "plot_groups",
    "plot_moments",
    "plot_orders",
    "plot_sequences",
    "plot_steps",
    "plot_survival",
    "plot_types",
]
