"""Figures of page 02."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from journeybook.cleaning import ImputationTrial, title_missing
from journeybook.plots import COLOURS, headed, part_of

_ACTIONS = {"changed": "blue", "flagged": "orange", "set aside": "red", "reported": "grey"}


def plot_changes(changes: pd.DataFrame, ax: Axes | None = None, *, most: int = 14) -> Axes:
    """Draw the rows that each rule touched, on a log scale; the rules that touched most are drawn."""
    touched = changes[changes.rows_changed > 0].sort_values("rows_changed", kind="stable")
    if touched.empty:
        ax = ax or plt.subplots(figsize=(8.5, 0.8))[1]
        ax.set_axis_off()
        ax.set_title("No rule found anything to change or to flag")
        return ax
    shown = touched.tail(most)
    ax = ax or plt.subplots(figsize=(8.5, 1.6 + 0.3 * max(len(shown), 2)))[1]
    names = [f"{row.table}, {row.column}: {row.rule}".replace("_", " ") for row in shown.itertuples()]
    for action in dict.fromkeys(touched.action):
        rows = np.flatnonzero(shown.action == action)
        ax.barh(rows, shown.rows_changed.iloc[rows], color=COLOURS[_ACTIONS[action]], label=action)
    ax.set_xscale("log")
    ax.set_xlim(0.7, touched.rows_changed.max() * 8)
    ax.set_yticks(range(len(shown)), names)
    for place, n in enumerate(shown.rows_changed):
        ax.text(n * 1.15, place, f"{n:,}", va="center", fontsize=9)
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right")
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel("rows that the rule touched, log scale")
    told = f"{len(touched)} of {len(changes)} rules found rows, most of them {names[-1].partition(': ')[2]}"
    headed(ax, told + part_of(len(shown), len(touched), "drawn"))
    return ax


def plot_presence(presence: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the chance that a customer who has a value spends more than one who has not, with intervals."""
    ax = ax or plt.subplots(figsize=(8.5, 1.8 + 0.32 * max(len(presence), 2)))[1]
    shown = presence.iloc[::-1].reset_index(drop=True)
    apart = (shown.auc_low > 0.5) | (shown.auc_high < 0.5)
    for colour, label, rows in (("red", "goes with spend", apart), ("grey", "no sign of it", ~apart)):
        part = shown[rows]
        if len(part):
            reach = [part.auc - part.auc_low, part.auc_high - part.auc]
            ax.errorbar(part.auc, part.index, xerr=reach, fmt="o", capsize=3, color=COLOURS[colour], label=label)
    ax.axvline(0.5, color=COLOURS["grey"], linewidth=1, linestyle="--")
    names = shown.table + ", " + shown.column.replace("any", "any row")
    ax.set_yticks(shown.index, names.str.replace("_", " "))
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.legend(loc="best")
    ax.set(title=title_missing(presence), xlabel="chance that one with the value spends more than one without")
    return ax


def plot_imputation(trial: ImputationTrial, chosen: pd.DataFrame) -> Figure:
    """Draw how far off a segment's profile is by each method, a panel a mechanism, a point a column and repeat."""
    names = list(trial.columns.column)[::-1]
    # A mark fills in the median too.
    scores = trial.scores[trial.scores.method != "indicator"]
    mechanisms, methods = scores.mechanism.unique(), scores.method.unique()
    figure, axes = plt.subplots(
        1, len(mechanisms), figsize=(8.5, 2.3 + 0.8 * len(names)), sharex=True, sharey=True, layout="constrained"
    )
    for ax, mechanism in zip(axes, mechanisms, strict=True):
        tried = scores[scores.mechanism == mechanism]
        for number, (method, colour) in enumerate(zip(methods, COLOURS.values(), strict=False)):
            some = tried[tried.method == method]
            place = some.column.map(names.index) + 0.3 - 0.6 * number / max(len(methods) - 1, 1)
            ax.plot(some.profile_off, place, "o", markersize=3, alpha=0.6, color=colour, label=method)
        ax.set_title(mechanism)
        ax.set_yticks(range(len(names)), [name.replace(".", ",\n", 1).replace("_", " ") for name in names])
    axes[0].set_xlim(left=0)
    axes[1].set_xlabel("difference of a segment's mean from the true one, standard deviations of the column")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(methods), fontsize=8)
    n = int((chosen.method != "median").sum())
    figure.suptitle(f"Something handed on beats the median in {n} of {len(chosen)} columns")
    return figure
