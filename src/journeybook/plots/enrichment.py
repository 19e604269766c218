"""Figures of page 04."""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.enrichment import title_snapshots, title_sources
from journeybook.plots import COLOURS, headed


def plot_snapshots(by_date: pd.DataFrame, *, currency: str | None) -> Figure | None:
    """Draw recent revenue and baskets of the middle half of the people by snapshot; None without people."""
    if by_date.empty:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharex=True)
    labels = (("revenue", f"revenue in 91 days, {currency or 'currency'}"), ("baskets", "baskets in 91 days"))
    short = by_date[~by_date.window_full]
    for ax, (name, label) in zip(axes, labels, strict=True):
        low, middle, high = (by_date[f"{name}_{side}"] for side in ("low", "median", "high"))
        ax.fill_between(
            by_date.as_of, low, high, color=COLOURS["blue"], alpha=0.2, label="middle half of the people"
        )
        ax.plot(by_date.as_of, middle, color=COLOURS["blue"], marker="o", label="median")
        if len(short):
            hollow = {"markersize": 7, "markerfacecolor": "white", "markeredgecolor": COLOURS["red"]}
            ax.plot(short.as_of, short[f"{name}_median"], "o", label="window not full", **hollow)
        ax.set(ylim=(0, max(high.max() * 1.35, 1)), title=label)
        ax.legend(loc="upper left", fontsize=8.5)
        _months(ax)
    headed(figure, title_snapshots(by_date))
    return figure


def plot_sources(added: pd.DataFrame, *, least_gain: float) -> Figure | None:
    """Draw what each source adds to each prediction, with its interval; None where nothing could be asked."""
    if added.empty:
        return None
    names = list(dict.fromkeys(added.outcome))
    figure, axes = plt.subplots(1, len(names), figsize=(8.5, 3.2), sharey=True, squeeze=False)
    for ax, outcome in zip(axes[0], names, strict=True):
        part = added[added.outcome == outcome]
        ends = [part.gain - part.gain_low, part.gain_high - part.gain]
        ax.errorbar(
            part.gain, part.source.str.replace("_", "-"), xerr=ends, fmt="o", color=COLOURS["blue"], capsize=3
        )
        ax.axvline(0, color="black", linewidth=0.8)
        ax.axvline(least_gain, color=COLOURS["red"], linestyle=":", label="least gain worth a source")
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.locator_params(axis="x", nbins=6)
        ax.set(title=f"next quarter's {outcome}", xlabel="explained more with it")
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower left", fontsize=8.5)
    headed(figure, title_sources(added))
    return figure


def _months(ax: Axes) -> None:
    locator = mdates.AutoDateLocator(minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
