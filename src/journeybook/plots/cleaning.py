"""Figures of page 02."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from journeybook.cleaning import ImputationTrial, title_missing
from journeybook.plots import COLOURS

_ACTIONS = {"changed": "blue", "flagged": "orange", "set aside": "red", "reported": "grey"}


def plot_changes(changes: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the rows that each rule touched, on a log scale; rules that touched none are left out."""
    touched = changes[changes.rows_changed > 0].sort_values("rows_changed", kind="stable")
    if touched.empty:
        ax = ax or plt.subplots(figsize=(8.5, 0.8))[1]
        ax.set_axis_off()
        ax.set_title("No rule found anything to change or to flag")
        return ax
    ax = ax or plt.subplots(figsize=(8.5, 1.6 + 0.3 * max(len(touched), 2)))[1]
    names = [f"{row.table}, {row.column}: {row.rule}".replace("_", " ") for row in touched.itertuples()]
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
    ax.set(
        title=f"{len(touched)} of {len(changes)} rules found rows", xlabel="rows that the rule touched, log scale"
    )
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


def plot_imputation(trial: ImputationTrial, advice: pd.DataFrame) -> Axes:
    """Draw the error of each column and method, a point a repeat, cells hidden at random."""
    names = list(trial.columns.column)[::-1]
    _, ax = plt.subplots(figsize=(8.5, 1.9 + 0.6 * len(names)))
    random = trial.scores[trial.scores.mechanism == "at_random"]
    for number, (method, colour) in enumerate(zip(random.method.unique(), COLOURS.values(), strict=False)):
        tried = random[random.method == method]
        place = tried.column.map(names.index) + 0.2 - 0.2 * number
        ax.plot(tried.error, place, "o", markersize=4, alpha=0.6, color=colour, label=method)
    ax.set_yticks(range(len(names)), [name.replace(".", ", ", 1).replace("_", " ") for name in names])
    ax.set_xlim(left=0)
    n_better = int((advice.advice != "none").sum())
    title = f"A method beats the mean in {n_better} of {len(advice)} columns"
    ax.set(title=title, xlabel="error, standard deviations of the column; a point a repeat")
    ax.legend(loc="best")
    return ax
