"""Figures of page 11.

effects.py   effects with their intervals, by day, in the cells of a design, and the distributions behind them
design.py    power, what was seen at each look, posteriors, bandits
methods.py   methods beside each other, subgroups, survival, error rates
"""

from journeybook.plots.experiments.design import (
    plot_bandits,
    plot_followed,
    plot_looking,
    plot_posteriors,
    plot_power,
)
from journeybook.plots.experiments.effects import (
    plot_cells,
    plot_daily_effects,
    plot_distributions,
    plot_effects,
)
from journeybook.plots.experiments.methods import plot_error_rates, plot_methods, plot_subgroups, plot_survival

__all__ = [
    "plot_bandits",
    "plot_cells",
    "plot_daily_effects",
    "plot_distributions",
    "plot_effects",
    "plot_error_rates",
    "plot_followed",
    "plot_looking",
    "plot_methods",
    "plot_posteriors",
    "plot_power",
    "plot_subgroups",
    "plot_survival",
]
