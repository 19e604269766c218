"""Figures of page 13."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.plots import COLOURS, draw_intervals, headed
from journeybook.recommendation import (
    ANY,
    NEW,
    Judged,
    Online,
    title_groups,
    title_online,
    title_pitfalls,
    title_ways,
)


def plot_ways(judged: Judged) -> Figure:
    """nDCG of every method, for all that was bought and for what was new to its person, with intervals."""
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.0))
    for ax, task in zip(axes, (ANY, NEW), strict=True):
        rows = judged.table[judged.table["task"] == task].iloc[::-1]
        best, baseline = judged.best[task]
        for colour, some in (
            ("grey", ~rows["method"].isin([best, baseline])),
            ("orange", rows["method"] == baseline),
            ("blue", (rows["method"] == best) & (best != baseline)),
        ):
            if some.any():
                draw_intervals(ax, rows[some], "ndcg", np.flatnonzero(some), colour=colour)
        ax.set_yticks(range(len(rows)), rows["method"])
        ax.set_title(task, fontsize=10.5)
        ax.set_xlabel("nDCG (95% interval)")
        ax.set_xlim(left=0)
    headed(figure, title_ways(judged))
    return figure


def plot_groups(groups: pd.DataFrame, *, way: str) -> Axes | None:
    """nDCG of a method's lists and of recent popularity's, group by group; None without a group."""
    if groups.empty:
        return None
    ax = plt.subplots(figsize=(8.0, 1.4 + 0.32 * len(groups)))[1]
    rows = groups.iloc[::-1].reset_index(drop=True)
    ax.hlines(rows.index, rows["popular"], rows["ndcg"], color=COLOURS["grey"], linewidth=1)
    ax.plot(rows["popular"], rows.index, "o", color=COLOURS["orange"], label="recent popularity")
    ax.plot(rows["ndcg"], rows.index, "o", color=COLOURS["blue"], label=way)
    ax.set_yticks(rows.index, [f"{row.kind}: {row.group}" for row in rows.itertuples()])
    ax.set_xlim(left=0)
    ax.set_xlabel("nDCG, any purchase")
    ax.legend(loc="lower right")
    headed(ax, title_groups(groups))
    return ax


def plot_online(online: Online) -> Figure:
    """Each method of the simulated shops: nDCG on past purchases, the true rate, and one shop's rates replayed."""
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.8), sharey=True)
    rows, replay = (table.iloc[::-1].reset_index(drop=True) for table in (online.table, online.replay))
    for ax, name, colour, label in (
        (axes[0], "ndcg", "grey", "nDCG on past purchases"),
        (axes[1], "true_rate", "blue", "shown and added to the cart, truly"),
    ):
        ax.barh(rows.index, rows[name], color=COLOURS[colour], height=0.6)
        ax.set_xlabel(label)
    draw_intervals(axes[2], replay, "replayed_rate", replay.index, colour="orange", label="replayed from a log")
    axes[2].plot(replay["true_rate"], replay.index, "D", color=COLOURS["blue"], markersize=4, label="true")
    axes[2].set_xlabel("the same, of one shop")
    axes[2].set_ylim(-0.6, len(rows) + 0.4)
    axes[2].legend(loc="upper left", ncols=2, fontsize=8.5)
    for ax in axes[1:]:
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0].set_yticks(rows.index, rows["method"])
    headed(figure, title_online(online))
    return figure


def plot_pitfalls(pitfalls: pd.DataFrame) -> Axes:
    """Each pitfall's figure beside the honest one."""
    ax = plt.subplots(figsize=(8.4, 3.0))[1]
    rows = pitfalls.iloc[::-1].reset_index(drop=True)
    ax.hlines(rows.index, rows["honest"], rows["flattered"], color=COLOURS["grey"], linewidth=1)
    ax.plot(rows["honest"], rows.index, "o", color=COLOURS["blue"], label="honest")
    ax.plot(rows["flattered"], rows.index, "o", color=COLOURS["red"], label="flattered")
    ax.set_yticks(rows.index, [f"{row.pitfall}:\n{row.measure} of {row.method}" for row in rows.itertuples()])
    ax.axvline(0, color=COLOURS["grey"], linewidth=0.8)
    ax.set_ylim(-0.5, len(rows) - 0.5)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper right")
    headed(ax, title_pitfalls(pitfalls))
    return ax
