"""Figures of page 07, second part: what the model goes by, when people respond, and who would be chosen."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.channel_response.explanation import Explanation, Importance
from journeybook.channel_response.fairness import RULES, Fairness
from journeybook.channel_response.windows import ANY_DAY, WEEKDAYS, ResponseWindows
from journeybook.plots import COLOURS

_HUES = ("blue", "orange", "green", "red", "purple", "sky")
_MOST = 15


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
    ax.set_yticks(shown.index, [short(name) for name in shown["feature"]])
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("what the feature adds to the calibrated log odds (text and missing values grey)")
    ax.set_title("What moves the trees: Shapley values, a dot a test contact")
    bar = ax.get_figure().colorbar(coloured, ax=ax, ticks=[0, 1], pad=0.01, aspect=35)
    bar.ax.set_yticklabels(["low", "high"])
    bar.set_label("value of the feature, by rank", labelpad=-18)
    bar.outline.set_visible(False)
    return ax


def plot_people(explanation: Explanation) -> Figure:
    """What speaks for and against three times ten contacts, the seven largest parts."""
    figure, axes = plt.subplots(1, 3, figsize=(8.9, 4.2), sharex=True)
    for ax, (person, part) in zip(axes, explanation.people.groupby("person", sort=False), strict=True):
        top = part.head(7)[::-1].reset_index(drop=True)
        colours = [COLOURS["blue"] if value > 0 else COLOURS["red"] for value in top["contribution"]]
        ax.barh(top.index, top["contribution"], color=colours, height=0.36)
        for at, row in top.iterrows():
            ax.annotate(
                f"{short(row['feature'], 20)} = {short(row['value'], 12)}",
                (0, float(at)),
                xytext=(0, 10.5),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
            )
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_yticks([])
        ax.set_ylim(-0.4, len(top) - 0.2)
        ax.grid(visible=False, axis="y")
        ax.set_title(f"{person} ten: {part['probability'].iloc[0]:.1%}", fontsize=10.5)
    axes[1].set_xlabel("added to the log odds")
    figure.suptitle(
        "Three times ten contacts explained, on average: the seven largest parts", x=0.01, ha="left", fontsize=12
    )
    return figure


def plot_importance(importance: Importance, ax: Axes | None = None) -> Axes:
    """Increase of the log loss when a group of correlated features is shuffled, with intervals."""
    shown = importance.groups.head(_MOST)[::-1].reset_index(drop=True)
    ax = ax or plt.subplots(figsize=(8.5, 1.2 + 0.27 * len(shown)))[1]
    rise = shown["log_loss_increase"]
    ends = [rise - shown["log_loss_increase_low"], shown["log_loss_increase_high"] - rise]
    ax.errorbar(rise, shown.index, xerr=ends, fmt="o", markersize=5, capsize=3, color=COLOURS["blue"])
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(shown.index, [_group(name) for name in shown["group"]], fontsize=9)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("increase of the log loss on test contacts, nats, 95 % interval")
    ax.set_title("What is lost when a group of features is shuffled")
    return ax


def plot_dependences(dependence: pd.DataFrame) -> Figure:
    """Mean probability over values of each feature, and the middle 80 % of single contacts."""
    names = list(dict.fromkeys(dependence["feature"]))
    figure, axes = plt.subplots(1, len(names), figsize=(8.9, 3.2), sharey=True, squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        part = dependence[dependence["feature"] == name].reset_index(drop=True)
        if part["value"].isna().any():
            ends = [part["rate"] - part["rate_low"], part["rate_high"] - part["rate"]]
            ax.errorbar(part.index, part["rate"], yerr=ends, fmt="o", color=COLOURS["blue"], elinewidth=1)
            ax.set_xticks(part.index, [short(level, 10) for level in part["level"]], rotation=30, ha="right")
        else:
            ax.fill_between(
                part["value"], part["rate_low"], part["rate_high"], color=COLOURS["sky"], alpha=0.3, linewidth=0
            )
            ax.plot(part["value"], part["rate"], color=COLOURS["blue"], marker="o", markersize=3)
            ax.locator_params(axis="x", nbins=4)
        ax.set_title(short(name, 18), fontsize=10)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    axes[0, 0].set_ylabel("probability of a response")
    axes[0, 0].set_ylim(bottom=0)
    figure.suptitle(
        "Partial dependence: the mean, and the middle 80 % of contacts", x=0.01, ha="left", fontsize=12
    )
    return figure


def plot_windows(windows: ResponseWindows) -> Figure:
    """Shrunken response rate by hour and by weekday, a line a type, with intervals; peaks are filled.

    A dashed line of the same colour is people of the type who were not contacted.
    """
    cells = windows.cells
    by_hour = (cells["weekday"] == ANY_DAY) & cells["hour"].notna()
    of_kind = {kind: part for kind, part in (("hour", by_hour), ("weekday", cells["hour"].isna())) if part.any()}
    widths = [1.75, 1][: len(of_kind)]
    figure, axes = plt.subplots(
        1, len(of_kind), figsize=(8.9, 4.0), sharey=True, width_ratios=widths, squeeze=False
    )
    names = _types(windows)
    lines = [(name, contacted) for name in names for contacted in (True, False)]
    for ax, (kind, inside) in zip(axes[0], of_kind.items(), strict=True):
        for i, (name, contacted) in enumerate(lines):
            part = cells[inside & (cells["contacted"] == contacted) & (cells["person_type"] == name)]
            if part.empty:
                continue
            colour = COLOURS[_HUES[i // 2]]
            at = part["hour"] if kind == "hour" else part["weekday"].map(WEEKDAYS.index)
            ends = [
                part["response_rate"] - part["response_rate_low"],
                part["response_rate_high"] - part["response_rate"],
            ]
            shift = (i // 2 - (len(names) - 1) / 2) * 0.09
            ax.errorbar(
                at + shift,
                part["response_rate"],
                yerr=ends if contacted else None,
                fmt="o-" if contacted else "--",
                markersize=4,
                linewidth=1.2,
                elinewidth=0.8,
                color=colour,
                label=name if contacted else f"{name}, not contacted",
            )
            for peak in windows.peaks.to_dict("records") if contacted and kind == "hour" else []:
                if peak["person_type"] == name and peak["kind"] == "hours" and peak["lift_low"] > 1:
                    ax.axvspan(
                        peak["first"] - 0.5, peak["first"] + windows.window_hours - 0.5, color=colour, alpha=0.1
                    )
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
    figure.legend(*_longest(axes[0]), loc="outside upper left", ncols=4, fontsize=9)
    return figure


def plot_week(windows: ResponseWindows) -> Figure:
    """Rate of each hour of each weekday against the mean of the type, a panel a type; where `has_week`."""
    cells = windows.cells
    joint = cells[cells["contacted"] & (cells["weekday"] != ANY_DAY) & cells["hour"].notna()]
    names = [name for name in _types(windows) if name in set(joint["person_type"])]
    figure, axes = plt.subplots(1, len(names), figsize=(8.9, 3.0), sharey=True, squeeze=False)
    farthest = max(float((joint["lift"] - 1).abs().max()), 0.05)
    for ax, name in zip(axes[0], names, strict=True):
        part = joint[joint["person_type"] == name]
        hours = np.arange(int(part["hour"].min()), int(part["hour"].max()) + 1)
        grid = part.pivot(index="weekday", columns="hour", values="lift").reindex(
            index=list(WEEKDAYS), columns=hours.astype(float)
        )
        image = ax.imshow(
            grid - 1,
            aspect="auto",
            cmap="RdBu_r",
            vmin=-farthest,
            vmax=farthest,
            extent=(hours[0] - 0.5, hours[-1] + 0.5, 6.5, -0.5),
        )
        ax.set_title(name, fontsize=10.5)
        ax.set_yticks(range(7), [day[:3] for day in WEEKDAYS])
        ax.grid(visible=False)
    axes[0, len(names) // 2].set_xlabel("hour of sending, local time")
    bar = figure.colorbar(image, ax=axes[0].tolist(), pad=0.01, aspect=30)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1))
    bar.set_label("response rate against the mean")
    figure.suptitle("Hours of the week against the mean of each type, shrunken", x=0.01, ha="left", fontsize=12)
    return figure


def plot_fairness(fair: Fairness) -> Figure:
    """Selection, true positives and calibration of each group, under each rule, with intervals."""
    names = list(dict.fromkeys(fair.groups["group"]))
    figure, axes = plt.subplots(1, 3, figsize=(8.9, 1.7 + 0.42 * len(names)), sharey=True)
    titles = {
        "selection_rate": "chosen, of all",
        "true_positive_rate": "chosen, of the responders",
        "calibration_gap": "response rate less probability",
    }
    for ax, (measure, title) in zip(axes, titles.items(), strict=True):
        rules = RULES[:1] if measure == "calibration_gap" else RULES
        for i, rule in enumerate(rules):
            part = fair.groups[fair.groups["rule"] == rule].set_index("group").loc[names]
            ends = [part[measure] - part[f"{measure}_low"], part[f"{measure}_high"] - part[measure]]
            at = np.arange(len(names)) + ((i - 1) * 0.22 if len(rules) > 1 else 0)
            ax.errorbar(
                part[measure],
                at,
                xerr=ends,
                fmt="os^"[i],
                markersize=4.5,
                elinewidth=0.9,
                capsize=2,
                color=COLOURS[("blue", "orange", "green")[i]],
                label=rule,
            )
        if measure == "calibration_gap":
            ax.axvline(0, color="black", linewidth=0.8)
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.locator_params(axis="x", nbins=5)
        ax.set_title(title, fontsize=10.5)
        ax.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(names)), [short(name) for name in names])
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    axes[1].set_xlabel("95 % interval, clustered on people")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=9)
    return figure


def _types(windows: ResponseWindows) -> list[str]:
    """Types in the order of their number of contacts, as many as there are colours."""
    cells = windows.cells[windows.cells["contacted"]]
    return (
        cells.groupby("person_type")["n_rows"].sum().sort_values(ascending=False, kind="stable").index[:6].tolist()
    )


def _longest(axes: np.ndarray) -> tuple[list, list]:
    return max((ax.get_legend_handles_labels() for ax in axes), key=lambda found: len(found[1]))


def _group(names: str, most: int = 2) -> str:
    parts = names.split(", ")
    more = f" + {len(parts) - most} more" if len(parts) > most else ""
    return f"{', '.join(short(name, 22) for name in parts[:most])}{more}"


def short(name: str, longest: int = 28) -> str:
    """Return a name that fits, its end cut off if need be."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
