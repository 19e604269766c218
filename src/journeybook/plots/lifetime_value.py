"""Figures of page 06: purchases foreseen and made, what tiers brought, and value over customers."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.lifetime_value import MODELS, Judged, Value, title_judged, title_tiers
from journeybook.plots import COLOURS, headed


def plot_held_out(judged: Judged, weekly: pd.DataFrame, past: pd.DataFrame) -> Figure:
    """Purchases a week, and by the purchases before, as foreseen and as made in the time held out."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1, 1.15))
    ways = [name for name in (judged.best_model, judged.best_baseline) if name]
    place = np.arange(len(past))
    left.plot(weekly["week"] + 1, weekly["actual"], "o-", color="black", label="made")
    right.errorbar(place, past["actual"], past["margin"], fmt="o", color="black", label="made (95% interval)")
    for way in ways:
        colour, line = ("blue", "-") if way in MODELS else ("orange", "--")
        left.plot(weekly["week"] + 1, weekly[way], line, color=COLOURS[colour], label=way)
        right.plot(place, past[way], line, color=COLOURS[colour], label=way)
    left.set_ylim(0)
    left.set_xlabel("week after the split")
    left.set_ylabel("purchases a week")
    names = [
        f"{low}" if low == high else f"{low}-{high}"
        for low, high in zip(past["x_low"], past["x_high"], strict=True)
    ]
    right.set_xticks(place, names, rotation=30)
    right.set_xlabel("repeat purchases before the split")
    right.set_ylabel("mean purchases after it")
    right.legend(loc="upper left")
    headed(figure, title_judged(judged))
    return figure


def plot_tiers(tiers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of the revenue held out that each tier brought."""
    ax = ax or plt.subplots(figsize=(7.2, 3.2))[1]
    share = tiers["revenue_share"]
    margins = [share - tiers["revenue_share_low"], tiers["revenue_share_high"] - share]
    ax.bar(tiers["tier"], share, yerr=margins, color=COLOURS["blue"], capsize=4, width=0.6)
    ax.axhline(1 / len(tiers), color=COLOURS["grey"], linestyle="--", label="without any ranking")
    ax.set_xticks(tiers["tier"])
    ax.set_xlabel("tier by revenue expected before the split, 1 is the top")
    ax.set_ylabel("share of revenue after it")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper right")
    headed(ax, title_tiers(tiers))
    return ax


def plot_value(value: Value, *, what: str, ax: Axes | None = None) -> Axes:
    """Share of the value that the best customers make up: the concentration curve."""
    ax = ax or plt.subplots(figsize=(7.2, 3.4))[1]
    worth = np.sort(value.table["value"].to_numpy())[::-1]
    share = np.cumsum(worth) / worth.sum()
    at = np.arange(1, len(worth) + 1) / len(worth)
    ax.plot(at, share, color=COLOURS["blue"])
    ax.plot([0, 1], [0, 1], "--", color=COLOURS["grey"], label="all alike")
    top = float(share[-(-len(worth) // 10) - 1])
    ax.plot([0.1], [top], "o", color=COLOURS["blue"])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("customers, the most valuable first")
    ax.set_ylabel(f"share of {what}")
    ax.legend(loc="lower right")
    headed(ax, f"The most valuable tenth of customers is expected to bring {top:.0%} of {what}.")
    return ax
