"""Channels, paths, funnels and moments."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.clickstream import CONVERSION
from journeybook.plots import COLOURS, part_of, say_nothing, shortened

_STYLES = {
    "markov_removal": ("removal (exact)", "blue", "o"),
    "shapley": ("Shapley", "green", "D"),
    "linear": ("linear", "purple", "s"),
    "time_decay": ("time decay", "sky", "v"),
    "position": ("position 40-20-40", "grey", "P"),
    "last_touch": ("last touch", "orange", "<"),
    "first_touch": ("first touch", "yellow", ">"),
}


def plot_attribution(table: pd.DataFrame, planted: pd.Series | None = None, ax: Axes | None = None) -> Axes:
    """Share of the conversions credited to each channel by each method, with intervals.

    Args:
        table: Table of an `Attribution`.
        planted: True share by channel, where it is known.
        ax: Axes to draw on.
    """
    ax = ax or plt.subplots(figsize=(8.8, 5.4))[1]
    ax.set_title("Who is credited with the conversions")
    if table.empty:
        return say_nothing(ax, "nothing can be attributed")
    channels = list(dict.fromkeys(table["channel"]))[::-1]
    methods = [method for method in dict.fromkeys(table["method"]) if method not in _STYLES]
    higher = {m: (m.replace("markov_removal_", "removal, order "), "blue", f"${m[-1]}$") for m in methods}
    styles = {m: style for m, style in (_STYLES | higher).items() if m in set(table["method"])}
    ordered = sorted(styles, key=lambda m: (not m.startswith("markov"), list(styles).index(m)))
    offsets = np.linspace(0.36, -0.36, len(ordered))
    for method, offset in zip(ordered, offsets, strict=True):
        name, colour, marker = styles[method]
        part = table[table["method"] == method].set_index("channel").loc[channels]
        at = np.arange(len(channels)) + offset
        ax.hlines(at, part["share_low"], part["share_high"], color=COLOURS[colour], linewidth=1.6)
        ax.plot(part["share"], at, marker=marker, linestyle="", color=COLOURS[colour], label=name, markersize=5)
    if planted is not None:
        low, high = ([row + end for row in range(len(channels))] for end in (-0.42, 0.42))
        ax.vlines(
            planted.reindex(channels), low, high, color=COLOURS["red"], linewidth=2.2, label="planted effect"
        )
    written = shortened(channels)
    ax.set_yticks(range(len(channels)), [written[name] for name in channels])
    ax.hlines(np.arange(len(channels) - 1) + 0.5, 0, 1, color=COLOURS["grey"], linewidth=0.5, alpha=0.5)
    ax.grid(visible=False, axis="y")
    ends = [table["share_high"].max(), table["share"].max(), 0.0 if planted is None else planted.max()]
    ax.set_xlim(0, 1.06 * float(np.nanmax(ends)))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("share of all credit (95 % interval)")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_funnel(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Sessions that come to each stage, by the loose and by the strict definition.

    Args:
        table: What `funnel` returns.
        ax: Axes to draw on.
    """
    stages = table[table["definition"] == table["definition"].iloc[0]]["stage"].tolist()
    ax = ax or plt.subplots(figsize=(8.6, 1.4 + 0.62 * len(stages)))[1]
    most = table["share"].max()
    for name, colour, offset in (("loose", "sky", -0.19), ("strict", "blue", 0.19)):
        part = table[table["definition"] == name].reset_index(drop=True)
        at = part.index + offset
        ax.barh(at, part["share"], height=0.36, color=COLOURS[colour], label=_MEANINGS[name])
        for row, y in zip(part.itertuples(), at, strict=True):
            kept = "" if row.number == 1 else f",  {row.of_previous:.0%} of the stage before"
            ax.text(row.share + 0.01 * most, y, f"{row.n_sessions:,}{kept}", va="center", fontsize=8.5)
    written = shortened(stages) | {CONVERSION: "conversion"}
    ax.set_yticks(range(len(stages)), [written[stage] for stage in stages])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.42 * most)
    ax.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("share of all sessions")
    ax.grid(visible=False, axis="y")
    ax.set_title("How far sessions come on the likeliest way")
    _legend_above(ax)
    return ax


def plot_sequences(found: pd.DataFrame, *, most: int = 8) -> Figure:
    """Loops and conversion after them, and sequences before leaving, each beside what is usual at that page.

    Args:
        found: What `journeys` returns.
        most: Sequences drawn of each kind.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 4.2))
    _beside_usual(found[found["kind"] == "loop"].head(most), left)
    left.set(title="Loops", xlabel="converts afterwards (95 % interval)")
    _beside_usual(found[found["kind"] == "before_exit"].head(most), right)
    right.set(title="Before leaving", xlabel="leaves next (95 % interval)")
    keys = [ax.get_legend_handles_labels() for ax in (left, right) if ax.has_data()]
    if keys:
        figure.legend(*keys[0], loc="outside upper right", ncols=2)
    else:
        figure.set_figheight(1.4)
    return figure


def plot_moments(moments: pd.DataFrame, ax: Axes | None = None, *, most: int = 12) -> Axes:
    """What the one offer of a session brings if it is made now, and if it waits for a better moment.

    Args:
        moments: What `best_moments` returns.
        ax: Axes to draw on.
        most: States drawn.
    """
    shown = moments.head(most).iloc[::-1].reset_index(drop=True)
    ax = ax or plt.subplots(figsize=(8.6, 1.3 + 0.32 * len(shown)))[1]
    ax.set_title("Where an offer changes most")
    if shown.empty or shown["gain_now"].max() == 0:
        return say_nothing(ax, "no offer can bring a conversion")
    ax.set_title("Where an offer changes most" + part_of(len(shown), len(moments), "pages"))
    written = shortened(shown["state"])
    value, low, high = (100 * shown[f"gain_now{end}"].astype(float) for end in ("", "_low", "_high"))
    later = 100 * shown["gain_waiting"]
    ax.hlines(shown.index, value, later, color=COLOURS["grey"], linewidth=1, alpha=0.6)
    ax.errorbar(value, shown.index, xerr=[value - low, high - value], fmt="o", color=COLOURS["blue"], capsize=3,
                label="made now (95 % interval)")  # fmt: skip
    ax.plot(later, shown.index, "D", markerfacecolor="white", color=COLOURS["orange"],
            label="kept for the best later moment")  # fmt: skip
    ax.set_yticks(
        shown.index, [f"{written[row.state]}  ({row.conversion_probability:.0%})" for row in shown.itertuples()]
    )
    ax.set_xlim(left=0)
    ax.set_xlabel("conversions brought, of a hundred sessions on this page (its chance of conversion in brackets)")
    _legend_above(ax)
    return ax


def plot_prefixes(calibration: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Chance of conversion given to live sessions beside what became of them, by how far they had come.

    Args:
        calibration: What `prefix_calibration` returns.
        ax: Axes to draw on.
    """
    ax = ax or plt.subplots(figsize=(7.6, 3.2))[1]
    at = np.arange(len(calibration))
    seen, low, high = (calibration[f"observed{end}"] for end in ("", "_low", "_high"))
    ax.errorbar(
        at, seen, yerr=[seen - low, high - seen], fmt="o", color=COLOURS["blue"], capsize=3, label="observed"
    )
    ax.plot(
        at, calibration["predicted"], "_", color=COLOURS["red"], markersize=22, markeredgewidth=2, label="chain"
    )
    ax.set_xticks(at, calibration["events_so_far"])
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("events of the session so far")
    ax.set_ylabel("sessions that convert")
    ax.set_title("Is the chance given to a live session right?")
    ax.legend(loc="lower right")
    return ax


def _legend_above(ax: Axes) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=9)


_MEANINGS = {"loose": "loose: in this order, detours allowed", "strict": "strict: one right after the other"}


def _beside_usual(part: pd.DataFrame, ax: Axes) -> None:
    if not part[["rate", "usual"]].astype(float).gt(0).any(axis=None):
        say_nothing(ax, "none is frequent enough" if part.empty else "nobody does")
        return
    shown = part.iloc[::-1].reset_index(drop=True)
    rate, low, high = (shown[f"rate{end}"].astype(float) for end in ("", "_low", "_high"))
    ax.errorbar(rate, shown.index, xerr=[rate - low, high - rate], fmt="o", color=COLOURS["blue"], capsize=3,
                label="after this sequence")  # fmt: skip
    ax.plot(shown["usual"], shown.index, "|", color=COLOURS["red"], markersize=13, markeredgewidth=2,
            label="otherwise on this page")  # fmt: skip
    ways = [way.split(" > ") for way in shown["sequence"]]
    written = shortened([name for way in ways for name in way], longest=16)
    ax.set_yticks(shown.index, [" → ".join(written[name] for name in way) for way in ways], fontsize=8.5)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
