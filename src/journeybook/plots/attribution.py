"""Figures of page 09: the credit of each channel by each method, and what its removal loses."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from journeybook.attribution import Attribution, say_first, say_removed, short_name
from journeybook.plots import COLOURS, headed, in_words

_STYLES = {
    "shapley": ("green", "D"),
    "linear": ("purple", "s"),
    "time_decay": ("sky", "v"),
    "position": ("grey", "P"),
    "last_touch": ("orange", "<"),
    "first_touch": ("yellow", ">"),
}


def plot_attribution(found: Attribution, truth: pd.DataFrame, ax: Axes | None = None) -> Axes | None:
    """Share of the conversions credited to each channel by each method, with intervals, and the true one."""
    if found.note is not None:
        return None
    ax = ax or plt.subplots(figsize=(8.8, 4.5))[1]
    table = found.table
    channels = list(dict.fromkeys(table["channel"]))[::-1]
    known = dict.fromkeys(table["method"])
    ordered = sorted(known, key=lambda m: (m in _STYLES, [*_STYLES].index(m) if m in _STYLES else m))
    for method, offset in zip(ordered, np.linspace(0.36, -0.36, len(ordered)), strict=True):
        colour, marker = _STYLES.get(method, ("blue", "o" if method == "markov_removal" else f"${method[-1]}$"))
        part = table[table["method"] == method].set_index("channel").loc[channels]
        at = np.arange(len(channels)) + offset
        ax.hlines(at, part["share_low"], part["share_high"], color=COLOURS[colour], linewidth=1.6)
        ax.plot(part["share"], at, marker=marker, linestyle="", color=COLOURS[colour], markeredgecolor="black",
                markeredgewidth=0.4, label=short_name(method), markersize=5)  # fmt: skip
    if len(truth):
        low, high = ([row + end for row in range(len(channels))] for end in (-0.42, 0.42))
        true = truth.set_index("channel")["share"].astype(float).reindex(channels)
        ax.vlines(true, low, high, color="black", linewidth=2.2, label="the truth")
    written = in_words(channels)
    ax.set_yticks(range(len(channels)), [written[name] for name in channels])
    ax.hlines(np.arange(len(channels) - 1) + 0.5, 0, 1, color=COLOURS["grey"], linewidth=0.5, alpha=0.5)
    ax.grid(visible=False, axis="y")
    ends = [table["share_high"].max(), table["share"].max(), *truth["share"]]
    ax.set_xlim(0, 1.06 * float(np.nanmax(ends)))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("share of all credit (95% interval)")
    headed(ax, say_first(found, truth))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_removed(found: Attribution, truth: pd.DataFrame, ax: Axes | None = None) -> Axes | None:
    """Share of the conversions lost without each channel: by the chain, and in truth."""
    if found.note is not None or truth.empty:
        return None
    ax = ax or plt.subplots(figsize=(8.4, 3.6))[1]
    told = found.removal.iloc[::-1].reset_index(drop=True)
    true = told["channel"].map(truth.set_index("channel")["removal_effect"].astype(float))
    ax.hlines(told.index, true, told["removal_effect"], color=COLOURS["grey"], linewidth=1)
    ax.hlines(told.index, told["removal_effect_low"], told["removal_effect_high"], color=COLOURS["blue"])
    ax.plot(told["removal_effect"], told.index, "o", color=COLOURS["blue"], label="by the chain (95% interval)")
    ax.plot(true, told.index, "|", color="black", markersize=14, markeredgewidth=2.2, label="the truth")
    written = in_words(told["channel"])
    ax.set_yticks(told.index, [written[name] for name in told["channel"]])
    ax.grid(visible=False, axis="y")
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("conversions lost without the channel")
    headed(ax, say_removed(found, truth))
    ax.legend(loc="lower right")
    return ax
