"""Figures of page 07.

methods     columns alone, what resampling changed, calibration, gain and lift, a model a channel
reading     what the trees go by, when people respond, groups beside each other
deciding    what policies would have brought, whom a message moves
"""

from journeybook.plots.channel_response.deciding import plot_policies, plot_uplift
from journeybook.plots.channel_response.methods import (
    plot_calibration,
    plot_channel_models,
    plot_gain,
    plot_resampling,
    plot_single_columns,
)
from journeybook.plots.channel_response.reading import (
    plot_dependences,
    plot_fairness,
    plot_importance,
    plot_people,
    plot_shapley,
    plot_week,
    plot_windows,
)

__all__ = [
    "plot_calibration",
    "plot_channel_models",
    "plot_dependences",
    "plot_fairness",
    "plot_gain",
    "plot_importance",
    "plot_people",
    "plot_policies",
    "plot_resampling",
    "plot_shapley",
    "plot_single_columns",
    "plot_uplift",
    "plot_week",
    "plot_windows",
]
