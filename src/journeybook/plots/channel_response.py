"""Figures of page 07: columns alone, resampling, calibration, gain, what trees go by, hours."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.channel_response import words
from journeybook.channel_response.explanation import Explanation
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.windows import ANY_DAY, WEEKDAYS, ResponseWindows
from journeybook.findings import say_feature
from journeybook.plots import COLOURS, draw_intervals, headed, shortened

_HUES = ("blue", "orange", "green", "red", "purple", "sky")
_RESAMPLING = {
    "none": ("none", "blue", "o"),
    "class_weights": ("class weights", "orange", "s"),
    "smote": ("SMOTE", "red", "^"),
    "undersample": ("undersampling", "green", "D"),
}
_METHOD = {
    "logistic": ("logistic regression", "-", "blue"),
    "forest": ("random forest", "-.", "green"),
    "xgboost": ("XGBoost", "--", "red"),
    "stack": ("stack of the three", ":", "purple"),
}
_MEASURE = {"roc_auc": "ROC AUC", "pr_auc": "PR AUC", "log_loss": "log loss"}


def plot_single_columns(gate: LeakGate, *, max_single_auc: float, ax: Axes | None = None) -> Axes:
    """AUC of each column alone, the twelve largest; what the gate set aside is red."""
    ax = ax or plt.subplots(figsize=(8.5, 3.8))[1]
    shown = gate.aucs.head(12)[::-1].reset_index(drop=True)
    for caught, colour, label in ((False, "blue", "kept"), (True, "red", "set aside")):
        part = shown[shown["caught"] == caught]
        if not part.empty:
            ax.barh(part.index, part["auc"] - 0.5, left=0.5, color=COLOURS[colour], height=0.7, label=label)
    ax.axvline(max_single_auc, color="black", linewidth=1, linestyle=":", label=f"limit {max_single_auc:g}")
    ax.set_yticks(shown.index, [*shortened(map(say_feature, shown["column"]), longest=28).values()])
    ax.set_xlim(0.5, max(1.0, max_single_auc))
    ax.set_xlabel("ROC AUC of the column alone, training contacts")
    ax.set_title(words.title_gate(gate))
    ax.grid(visible=False, axis="y")
    ax.legend(loc="lower right")
    return ax


def plot_calibration(comparison: MethodComparison) -> Figure:
    """Observed against predicted rate in ten bins: a column a method, before calibration above, after it below."""
    table = comparison.calibration
    figure, axes = plt.subplots(2, len(_METHOD), figsize=(9, 5.6), sharey=True)
    highest = float(table["observed_high"].max()) * 1.05
    for column, (method, (name, _, _)) in zip(axes.T, _METHOD.items(), strict=True):
        for ax, calibrated in zip(column, (False, True), strict=True):
            part = table[(table["method"] == method) & (table["calibrated"] == calibrated)]
            limit = float(part[["predicted", "observed_high"]].to_numpy().max()) * 1.04
            ax.plot([0, limit], [0, limit], color=COLOURS["grey"], linewidth=1)
            for resampling, (label, colour, marker) in _RESAMPLING.items():
                bins = part[part["resampling"] == resampling]
                style = {"fmt": f"{marker}-", "markersize": 3.5, "linewidth": 1, "elinewidth": 0.7, "capsize": 0}
                draw_intervals(
                    ax, bins, "observed", bins["predicted"], colour=colour, upright=True, label=label, **style
                )
            ax.set_title(f"{name},\n{'calibrated' if calibrated else 'as fitted'}", fontsize=10)
            ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            ax.set_xlim(0, limit)
            ax.set_ylim(0, highest)
            ax.locator_params(axis="x", nbins=4)
    for ax in axes[:, 0]:
        ax.set_ylabel("observed response rate")
    for ax in axes[-1]:
        ax.set_xlabel("predicted")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="resampling", loc="outside lower left", ncols=4, fontsize=9)
    headed(figure, words.title_calibration(comparison))
    return figure


def plot_resampling(comparison: MethodComparison) -> Figure:
    """What resampling changed after calibration, with paired intervals: a panel a measure."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 4.4), sharey=True)
    methods = ["best", *_METHOD][::-1]
    names = ["best of all" if method == "best" else _METHOD[method][0] for method in methods]
    for ax, (measure, title) in zip(axes, _MEASURE.items(), strict=True):
        part = comparison.effects[comparison.effects["measure"] == measure]
        for shift, resampling in ((0.22, "class_weights"), (0, "smote"), (-0.22, "undersample")):
            label, colour, marker = _RESAMPLING[resampling]
            bars = part[part["resampling"] == resampling].set_index("method").loc[methods]
            places = [i + shift for i in range(len(methods))]
            draw_intervals(ax, bars, "difference", places, colour=colour, fmt=marker, label=label)
        ax.axvline(0, color="black", linewidth=1)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(visible=False, axis="y")
        ax.set_title(f"{title} ({'lower' if measure == 'log_loss' else 'higher'} is better)", fontsize=10.5)
        ax.set_yticks(range(len(methods)), names)
    axes[1].set_xlabel("difference from the same without resampling, 95% interval")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=9)
    headed(figure, words.title_resampling(comparison))
    return figure


def plot_gain(comparison: MethodComparison) -> Figure:
    """Share of responses found among the likeliest contacts, and how many times the average rate that is."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.2))
    table = comparison.gain[comparison.gain["resampling"] == "none"]
    for method, (name, line, colour) in _METHOD.items():
        part = table[table["method"] == method]
        for ax, measure in zip(axes, ("found_share", "lift"), strict=True):
            ax.plot(part["contacted_share"], part[measure], line, color=COLOURS[colour], label=name)
            if method == "xgboost":
                ends = (part[f"{measure}_low"], part[f"{measure}_high"])
                ax.fill_between(part["contacted_share"], *ends, color=COLOURS[colour], alpha=0.15, linewidth=0)
    axes[0].plot([0, 1], [0, 1], color=COLOURS["grey"], linewidth=1, label="at random")
    axes[1].axhline(1, color=COLOURS["grey"], linewidth=1)
    axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for ax in axes:
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_xlabel("share contacted, likeliest first")
    axes[0].set_title("Gain: share of all responses found", fontsize=11)
    axes[1].set_title("Lift: response rate over the average", fontsize=11)
    lines, names = axes[0].get_legend_handles_labels()
    title = "without resampling; band: 95%, XGBoost"
    figure.legend(lines, names, title=title, loc="outside lower left", ncols=5, fontsize=9)
    headed(figure, words.title_gain(comparison))
    return figure


def plot_shapley(explanation: Explanation, ax: Axes | None = None) -> Axes:
    """Shapley values of the twelve weightiest features: a dot a contact, coloured by the feature's rank."""
    ax = ax or plt.subplots(figsize=(8.5, 4.8))[1]
    shown = explanation.features.head(12)[::-1].reset_index(drop=True)
    for place, name in shown["feature"].items():
        feature, value = explanation.rows[name], explanation.values[name]
        number = pd.api.types.is_numeric_dtype(feature)
        rank = feature.rank(pct=True) if number else pd.Series(np.nan, index=feature.index)
        # Spread dots that lie on each other, in the order of the rows, without chance.
        aside = (np.arange(len(value)) * 0.618034 % 1 - 0.5) * 0.62
        grey, known = rank.isna().to_numpy(), rank.notna().to_numpy()
        dots = {"s": 4, "linewidths": 0, "rasterized": True}
        ax.scatter(value[grey], place + aside[grey], color=COLOURS["grey"], **dots)
        coloured = ax.scatter(
            value[known], place + aside[known], c=rank[known], cmap="viridis", vmin=0, vmax=1, **dots
        )
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(shown.index, [*shortened(map(say_feature, shown["feature"]), longest=28).values()])
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("what the feature adds to the calibrated log odds (text and missing values grey)")
    ax.set_title(words.title_shapley(explanation))
    bar = ax.get_figure().colorbar(coloured, ax=ax, ticks=[0, 1], pad=0.01, aspect=35)
    bar.ax.set_yticklabels(["low", "high"])
    bar.set_label("value of the feature, by rank", labelpad=-18)
    bar.outline.set_visible(False)
    return ax


def plot_windows(windows: ResponseWindows) -> Figure | None:
    """Shrunken response rate by hour and by weekday, a line a type, with intervals; None without rates."""
    cells = windows.cells
    if cells.empty:
        return None
    by_hour = cells["weekday"] == ANY_DAY
    of_kind = {kind: part for kind, part in (("hour", by_hour), ("weekday", ~by_hour)) if part.any()}
    widths = [1.75, 1][: len(of_kind)]
    figure, axes = plt.subplots(
        1, len(of_kind), figsize=(8.9, 4.0), sharey=True, width_ratios=widths, squeeze=False
    )
    names = _types(windows)
    for ax, (kind, inside) in zip(axes[0], of_kind.items(), strict=True):
        for i, name in enumerate(names):
            part = cells[inside & (cells["person_type"] == name)]
            if part.empty:
                continue
            at = part["hour"] if kind == "hour" else part["weekday"].map(WEEKDAYS.index)
            shift = (i - (len(names) - 1) / 2) * 0.09
            style = {"fmt": "o-", "markersize": 4, "linewidth": 1.2, "elinewidth": 0.8, "capsize": 0}
            draw_intervals(
                ax, part, "response_rate", at + shift, colour=_HUES[i], upright=True, label=name, **style
            )
            for peak in windows.peaks.to_dict("records") if kind == "hour" else []:
                if peak["person_type"] == name and peak["kind"] == "hours" and peak["lift_low"] > 1:
                    ends = peak["first"] - 0.5, peak["first"] + windows.window_hours - 0.5
                    ax.axvspan(*ends, color=COLOURS[_HUES[i]], alpha=0.1)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        if kind == "hour":
            ax.set_xlabel("hour of sending, local time")
            ax.set_title("By hour; shaded: peak beyond chance", fontsize=11)
        else:
            ax.set_xticks(range(7), [day[:3] for day in WEEKDAYS])
            ax.set_xlim(-0.5, 6.5)
            ax.set_title("By weekday", fontsize=11)
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 0].set_ylabel("response rate")
    figure.legend(*_longest(axes[0]), loc="outside lower left", ncols=4, fontsize=9)
    headed(figure, words.title_windows(windows))
    return figure


def _types(windows: ResponseWindows) -> list[str]:
    """The types of most contacts, as many as there are colours; by name, so that each keeps its colour."""
    n = windows.cells.groupby("person_type")["n_rows"].sum().sort_values(ascending=False, kind="stable")
    return sorted(n.index[: len(_HUES)])


def _longest(axes: np.ndarray) -> tuple[list, list]:
    return max((ax.get_legend_handles_labels() for ax in axes), key=lambda found: len(found[1]))
