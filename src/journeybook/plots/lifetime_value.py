"""Figures of page 06: purchases foreseen and made, what tiers brought, and value over customers."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.lifetime_value import MODELS, Judged, Value, title_cohorts, title_judged, title_tiers
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


def plot_retention(retention: pd.DataFrame | None, ax: Axes | None = None) -> Axes | None:
    """Share of contracts still running by period, as counted and by the model; None without contracts."""
    if retention is None:
        return None
    ax = ax or plt.subplots(figsize=(7.2, 3.4))[1]
    share = retention["kaplan_meier"]
    margins = [share - retention["low"], retention["high"] - share]
    ax.errorbar(retention["period"], share, margins, fmt="o", color="black", label="Kaplan-Meier (95% interval)")
    ax.plot(retention["period"], retention["model"], color=COLOURS["blue"], label="shifted beta geometric")
    ax.set_ylim(0, 1)
    ax.set_xlabel("renewals")
    ax.set_ylabel("share still under contract")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper right")
    inside = retention["model"].between(retention["low"], retention["high"])
    headed(ax, f"At {inside.sum()} of {len(inside)} renewals the model lies within what was counted")
    return ax


def plot_tiers(tiers: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Share of the revenue held out that each tier brought."""
    ax = ax or plt.subplots(figsize=(7.2, 3.2))[1]
    share = tiers["revenue_share"]
    margins = [share - tiers["revenue_share_low"], tiers["revenue_share_high"] - share]
    ax.bar(tiers["tier"], share, yerr=margins, color=COLOURS["blue"], capsize=4, width=0.6)
    ax.plot(tiers["tier"] + 0.2, tiers["past_share"], "D", color=COLOURS["orange"], label="ranked by past revenue")
    ax.axhline(1 / len(tiers), color=COLOURS["grey"], linestyle="--", label="without any ranking")
    ax.set_xticks(tiers["tier"])
    ax.set_xlabel("tier by revenue expected before the split, 1 is the top")
    ax.set_ylabel("share of revenue after it")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper right")
    headed(ax, title_tiers(tiers))
    return ax


def plot_cohorts(table: pd.DataFrame, *, currency: str | None, most: int = 12) -> Figure | None:
    """Share of the last cohorts that bought in each quarter since their first, and revenue a customer; or None."""
    if table.empty:
        return None
    table = table[table["cohort"].isin(table["cohort"].unique()[-most:]) & (table["quarter"] < most)]
    shares, revenue = (
        table.pivot(index="cohort", columns="quarter", values=name).loc[table["cohort"].unique()]
        for name in ("bought_share", "revenue_per_customer")
    )
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 1.6 + 0.4 * len(shares)), sharey=True)
    titles = ("share that bought", f"{currency or 'revenue'} a customer")
    for ax, cells, shown, title in zip(axes, (shares, revenue), ("{:.0%}", "{:,.0f}"), titles, strict=True):
        ax.pcolormesh(cells, cmap="Blues", vmin=0, vmax=1.6 * float(np.nanmax(cells)), edgecolor="white")
        for (row, column), cell in np.ndenumerate(cells.to_numpy()):
            if cell == cell:
                ax.text(column + 0.5, row + 0.5, shown.format(cell), ha="center", va="center", fontsize=9)
        ax.set_xticks(np.arange(cells.shape[1]) + 0.5, cells.columns)
        ax.set_xlabel("quarters since the first purchase")
        ax.set_title(title, fontsize=10.5)
        ax.grid(visible=False)
    axes[0].set_yticks(np.arange(len(shares)) + 0.5, shares.index)
    axes[0].invert_yaxis()
    headed(figure, title_cohorts(table))
    return figure


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
