"""Figures of page 02."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from journeybook.cleaning import ImputationTrial
from journeybook.plots import COLOURS

_ACTIONS = {"changed": "blue", "flagged": "orange", "set aside": "red", "reported": "grey"}
_METHODS = {
    "mean": "mean",
    "median": "median",
    "random_cell": "a random cell",
    "nearest_5": "mean of 5 nearest",
    "regression": "regression",
    "donor": "a near donor",
}


def plot_changes(changes: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the rows that each rule touched, on a log scale; rules that touched none are left out."""
    touched = changes[changes.rows_changed > 0].sort_values("rows_changed", kind="stable")
    ax = ax or plt.subplots(figsize=(8.5, 1.6 + 0.3 * max(len(touched), 2)))[1]
    names = [f"{row.table}.{row.column}: {row.rule}" for row in touched.itertuples()]
    colours = [COLOURS[_ACTIONS[action]] for action in touched.action]
    ax.barh(names, touched.rows_changed, color=colours)
    ax.set_xscale("log")
    ax.set_xlim(0.7, touched.rows_changed.max() * 8)
    for place, n in enumerate(touched.rows_changed):
        ax.text(n * 1.15, place, f"{n:,}", va="center", fontsize=9)
    for action in dict.fromkeys(touched.action):
        ax.barh([0], [0], color=COLOURS[_ACTIONS[action]], label=action)
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right")
    ax.set(title="Rows that each rule touched", xlabel="rows, log scale")
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
    names = [f"{row.table}: any row" if row.column == "any" else f"{row.table}.{row.column}"
             for row in shown.itertuples()]  # fmt: skip
    ax.set_yticks(shown.index, names)
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.legend(loc="best")
    ax.set(
        title="Do customers with a value spend more than those without?",
        xlabel="chance that one with the value spends more than one without",
    )
    return ax


def plot_imputation(trial: ImputationTrial) -> Figure:
    """Draw error and kept variance of each method, and where its cells lie against the hidden ones."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), width_ratios=(1, 1.15))
    random = trial.methods[trial.methods.mechanism == "at_random"]
    for place, row in enumerate(random.itertuples()):
        colour = list(COLOURS.values())[place]
        left.plot(row.rmse, row.variance_ratio, "o", markersize=8, color=colour)
        above = row.method not in ("median", "regression")
        left.annotate(
            _METHODS[row.method], (row.rmse, row.variance_ratio), textcoords="offset points",
            xytext=(0, 8 if above else -15), ha="center", fontsize=9,
        )  # fmt: skip
    left.axhline(1, color=COLOURS["grey"], linewidth=1, linestyle="--")
    left.set_xlim(0, max(1.6, random.rmse.max() * 1.2))
    left.set_ylim(-0.15, max(1.25, random.variance_ratio.max() * 1.15))
    left.set(
        title="Error against variance kept",
        xlabel="error, standard deviations",
        ylabel="variance kept (1 is the truth)",
    )
    cells = trial.imputed[trial.imputed.mechanism == "at_random"]
    low, high = cells.hidden.min(), cells.hidden.max()
    edges = np.linspace(low, high, 31)
    hidden = cells[cells.method == "donor"].hidden
    right.hist(hidden, bins=edges, color="#D9D9D9", label="hidden truth")
    for method, colour in (("mean", "blue"), ("regression", "purple"), ("donor", "sky")):
        right.hist(
            cells[cells.method == method].imputed, bins=edges, histtype="step", linewidth=1.6,
            color=COLOURS[colour], label=_METHODS[method],
        )  # fmt: skip
    right.set_ylim(0, np.histogram(hidden, bins=edges)[0].max() * 2)
    right.legend(loc="upper left")
    right.set(title="The filled cells (mean: cut off)", xlabel=trial.column.replace("_", " "), ylabel="cells")
    return figure
