"""Figures of page 07: calibration before and after, what resampling changed, gain, and response by hour."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.channel_response import LeakGate, MethodComparison
from journeybook.plots import COLOURS

_RESAMPLING = {"none": ("blue", "o"), "class_weights": ("orange", "s"), "smote": ("red", "^")}
_LABEL = {"none": "none", "class_weights": "class weights", "smote": "SMOTE"}
_METHOD = {"logistic": ("logistic regression", "-", "blue"), "xgboost": ("XGBoost", "--", "red")}
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
    """Observed against predicted rate in ten bins: a row a method, before and after calibration."""
    table = comparison.calibration
    figure, axes = plt.subplots(2, 2, figsize=(8.8, 7.2), sharey=True)
    figure.get_layout_engine().set(hspace=0.08)
    for row, (method, (name, _, _)) in zip(axes, _METHOD.items(), strict=True):
        for ax, calibrated in zip(row, (False, True), strict=True):
            part = table[(table["method"] == method) & (table["calibrated"] == calibrated)]
            limit = float(part[["predicted", "observed_high"]].to_numpy().max()) * 1.04
            ax.plot([0, limit], [0, limit], color=COLOURS["grey"], linewidth=1)
            for resampling, (colour, marker) in _RESAMPLING.items():
                bins = part[part["resampling"] == resampling]
                ends = [bins["observed"] - bins["observed_low"], bins["observed_high"] - bins["observed"]]
                ax.errorbar(
                    bins["predicted"],
                    bins["observed"],
                    yerr=ends,
                    marker=marker,
                    markersize=4.5,
                    linewidth=1.2,
                    elinewidth=0.8,
                    color=COLOURS[colour],
                    label=_LABEL[resampling],
                )
            ax.set_title(f"{name}, {'calibrated' if calibrated else 'as fitted'}", fontsize=11)
            ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            ax.set_xlim(0, limit)
    highest = float(table["observed_high"].max()) * 1.1
    axes[0, 0].set_ylim(0, highest)
    for ax in axes[-1]:
        ax.set_xlabel("predicted response rate")
    for ax in axes[:, 0]:
        ax.set_ylabel("observed response rate")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, title="resampling", loc="outside upper right", ncols=3, fontsize=9)
    return figure


def plot_resampling(comparison: MethodComparison) -> Figure:
    """What resampling changed after calibration, with paired intervals: a panel a measure."""
    figure, axes = plt.subplots(1, 3, figsize=(8.8, 3.4), sharey=True)
    methods = ["best", *_METHOD][::-1]
    for ax, (measure, title) in zip(axes, _MEASURE.items(), strict=True):
        part = comparison.effects[comparison.effects["measure"] == measure]
        for shift, resampling in ((0.15, "class_weights"), (-0.15, "smote")):
            colour, marker = _RESAMPLING[resampling]
            bars = part[part["resampling"] == resampling].set_index("method").reindex(methods)
            half = (bars["difference_high"] - bars["difference_low"]) / 2
            places = [i + shift for i in range(len(methods))]
            ax.errorbar(
                bars["difference"],
                places,
                xerr=half,
                fmt=marker,
                markersize=5,
                capsize=3,
                color=COLOURS[colour],
                label=_LABEL[resampling],
            )
        ax.axvline(0, color="black", linewidth=1)
        ax.set_title(f"{title} ({'lower' if measure == 'log_loss' else 'higher'} is better)", fontsize=10.5)
        ax.set_yticks(range(len(methods)), [_METHOD[m][0] if m in _METHOD else "best of both" for m in methods])
        ax.set_ylim(-0.6, len(methods) - 0.4)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(visible=False, axis="y")
    axes[1].set_xlabel("difference from the same without resampling, 95 % interval")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=9)
    return figure


def plot_gain(comparison: MethodComparison, ax: Axes | None = None) -> Axes:
    """Share of responses found among the likeliest contacts."""
    ax = ax or plt.subplots()[1]
    for method, (name, line, colour) in _METHOD.items():
        part = comparison.gain[comparison.gain["method"] == method]
        half = part.loc[(part["contacted_share"] - 0.5).abs().idxmin(), "found_share"]
        label = f"{name}: {half:.0%} in the best half"
        ax.plot(part["contacted_share"], part["found_share"], line, color=COLOURS[colour], label=label)
    ax.plot([0, 1], [0, 1], color=COLOURS["grey"], linewidth=1, label="at random")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("share contacted, likeliest first")
    ax.set_ylabel("share of all responses found")
    ax.set_title("What a ranking is worth: gain on the test contacts")
    ax.legend(loc="lower right")
    return ax


def plot_hours(hours: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Response rate by hour of sending, contacted and not, with intervals."""
    ax = ax or plt.subplots()[1]
    for contacted, colour, label, shift in (
        (True, "blue", "contacted", -0.08),
        (False, "grey", "not contacted", 0.08),
    ):
        part = hours[hours["contacted"] == contacted]
        if part.empty:
            continue
        rate = part["response_rate"]
        ends = [rate - part["response_rate_low"], part["response_rate_high"] - rate]
        ax.errorbar(
            part["hour"].astype(float) + shift,
            rate,
            yerr=ends,
            fmt="o-",
            markersize=4.5,
            linewidth=1.2,
            elinewidth=0.8,
            color=COLOURS[colour],
            label=label,
        )
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_ylim(bottom=0)
    ax.set_xlabel("hour of sending, local time")
    ax.set_ylabel("response rate")
    ax.set_title("Response by hour of sending, training contacts")
    ax.legend(loc="lower right", ncols=2)
    return ax


def _short(name: str, longest: int = 28) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
