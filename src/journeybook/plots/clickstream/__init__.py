"""Figures of page 08.

| module | holds |
|---|---|
| movement | where people go, where leaving costs most, what would help most, the funnel |
| structure | groups, the fault |
"""

from journeybook.plots.clickstream.movement import (
    plot_bottlenecks,
    plot_drop_off,
    plot_funnel,
    plot_steps,
)
from journeybook.plots.clickstream.structure import plot_fault, plot_groups
