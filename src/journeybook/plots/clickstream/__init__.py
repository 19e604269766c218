"""Figures of page 08.

movement.py      the steps, where leaving costs most, what would help most, who is credited
"""

from journeybook.plots.clickstream.movement import (
    plot_attribution,
    plot_bottlenecks,
    plot_coverage,
    plot_drop_off,
    plot_steps,
)

__all__ = ["plot_attribution", "plot_bottlenecks", "plot_coverage", "plot_drop_off", "plot_steps"]
