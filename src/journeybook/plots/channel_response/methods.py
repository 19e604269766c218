"""Figures of the models: columns alone, what resampling changed, calibration, gain and lift, a model a channel."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.channel_response import ChannelModels, LeakGate, MethodComparison
from journeybook.plots import COLOURS

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
    ax.set_yticks(shown.index, [_short(name) for name in shown["column"]])
    ax.set_xlim(0.5, max(1.0, max_single_auc))
    ax.set_xlabel("ROC AUC of the column alone, training contacts")
    ax.set_title("How well one column alone ranks responders")
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
                ax.errorbar(
                    bins["predicted"],
                    bins["observed"],
                    yerr=_arms(bins, "observed"),
                    marker=marker,
                    markersize=3.5,
                    linewidth=1,
                    elinewidth=0.7,
                    color=COLOURS[colour],
                    label=label,
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
    figure.legend(handles, labels, title="resampling", loc="outside upper right", ncols=4, fontsize=9)
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
            _points(ax, bars, places, colour=colour, marker=marker, label=label)
        ax.set_title(f"{title} ({'lower' if measure == 'log_loss' else 'higher'} is better)", fontsize=10.5)
        ax.set_yticks(range(len(methods)), names)
    axes[1].set_xlabel("difference from the same without resampling, 95 % interval")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=9)
    return figure


def plot_channel_models(found: ChannelModels, ax: Axes | None = None) -> Axes:
    """Log loss of a model a channel less that of the joint model, by channel and method."""
    ax = ax or plt.subplots(figsize=(8.5, 3.8))[1]
    table = found.differences[found.differences["measure"] == "log_loss"]
    channels = list(dict.fromkeys(table["channel"]))[::-1]
    for shift, (method, marker) in zip(
        (0.2, 0, -0.2), (("logistic", "o"), ("forest", "s"), ("xgboost", "^")), strict=True
    ):
        bars = table[table["method"] == method].set_index("channel").loc[channels]
        places = [i + shift for i in range(len(channels))]
        _points(ax, bars, places, colour=_METHOD[method][2], marker=marker, label=_METHOD[method][0])
    ax.set_yticks(range(len(channels)), ["all together" if name == "all" else name for name in channels])
    ax.set_xlabel("log loss of a model a channel less that of one for all (right of 0 is worse), 95 % interval")
    ax.set_title("A model a channel, or one for all")
    ax.legend(fontsize=9)
    return ax


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
    title = "without resampling; band: 95 %, XGBoost"
    figure.legend(lines, names, title=title, loc="outside upper right", ncols=5, fontsize=9)
    return figure


def _points(ax: Axes, bars: pd.DataFrame, places: list[float], *, colour: str, marker: str, label: str) -> None:
    """Differences with their intervals, around a line at no difference."""
    style = {"fmt": marker, "markersize": 4.5, "capsize": 2.5, "color": COLOURS[colour], "label": label}
    ax.errorbar(bars["difference"], places, xerr=_arms(bars, "difference"), **style)
    ax.axvline(0, color="black", linewidth=1)
    ax.locator_params(axis="x", nbins=4)
    ax.grid(visible=False, axis="y")


def _arms(bars: pd.DataFrame, name: str) -> list[pd.Series]:
    """Lengths of an interval to the left and to the right of its estimate."""
    return [bars[name] - bars[f"{name}_low"], bars[f"{name}_high"] - bars[name]]


def _short(name: str, longest: int = 28) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
