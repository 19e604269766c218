"""Figures of page 08: ways, the funnel, moments for an offer."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.clickstream.words import say_funnel, say_moments, say_ways
from journeybook.plots import COLOURS, headed, in_words, part_of, say_nothing

_MEANINGS = {"loose": "loose: in this order, detours allowed", "strict": "strict: one right after the other"}


def plot_sequences(found: pd.DataFrame, *, most: int = 8) -> Figure | None:
    """Loops and conversion after them, and sequences before leaving, each beside what is usual at that page.

    Args:
        found: What `journeys` returns; of none nothing is drawn.
        most: Sequences drawn of each kind.
    """
    if found.empty:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 4.2))
    _beside_usual(found[found["kind"] == "loop"].head(most), left)
    left.set(xlabel="converts afterwards (95 % interval)")
    _beside_usual(found[found["kind"] == "before_exit"].head(most), right)
    right.set(xlabel="leaves next (95 % interval)")
    keys = [ax.get_legend_handles_labels() for ax in (left, right) if ax.has_data()]
    if keys:
        figure.legend(*keys[0], loc="outside lower left", ncols=2, fontsize=9)
    else:
        figure.set_figheight(1.8)
    headed(figure, say_ways(found))
    return figure


def plot_funnel(table: pd.DataFrame, ax: Axes | None = None) -> Axes | None:
    """Sessions that come to each stage, by the loose and by the strict definition.

    Args:
        table: What `funnel` returns; of none nothing is drawn.
        ax: Axes to draw on.
    """
    if table.empty:
        return None
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
    written = in_words(stages)
    ax.set_yticks(range(len(stages)), [written[stage] for stage in stages])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.42 * most)
    ax.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("share of all sessions")
    ax.grid(visible=False, axis="y")
    headed(ax, say_funnel(table))
    _legend_below(ax)
    return ax


def plot_moments(moments: pd.DataFrame, ax: Axes | None = None, *, most: int = 12) -> Axes | None:
    """What the one offer of a session brings if it is made here, and if it is kept for a better page.

    Args:
        moments: What `best_moments` returns; where no offer can help nothing is drawn.
        ax: Axes to draw on.
        most: States drawn.
    """
    shown = moments.head(most).iloc[::-1].reset_index(drop=True)
    if shown.empty or shown["gain_now"].max() == 0:
        return None
    ax = ax or plt.subplots(figsize=(8.6, 1.6 + 0.32 * len(shown)))[1]
    headed(ax, say_moments(moments) + part_of(len(shown), len(moments), "pages"))
    gains = 100 * shown[["gain_now", "gain_now_low", "gain_now_high", "gain_best"]].astype(float)
    ax.hlines(shown.index, gains["gain_now"], gains["gain_best"], color=COLOURS["grey"], linewidth=1, alpha=0.6)
    ax.hlines(shown.index, gains["gain_now_low"], gains["gain_now_high"], color=COLOURS["blue"])
    ax.plot(gains["gain_now"], shown.index, "o", color=COLOURS["blue"], label="made here (95 % interval)")
    ax.plot(gains["gain_best"], shown.index, "D", markerfacecolor="white", color=COLOURS["orange"],
            label="kept for the page where it is worth most")  # fmt: skip
    written = in_words(shown["state"])
    chances = zip(shown["state"], shown["conversion_probability"], strict=True)
    ax.set_yticks(shown.index, [f"{written[state]}  ({chance:.0%})" for state, chance in chances])
    ax.set_xlim(left=0)
    ax.set_xlabel("conversions brought, of 100 sessions on this page (its chance of conversion in brackets)")
    _legend_below(ax)
    return ax


def _legend_below(ax: Axes) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9)


def _beside_usual(part: pd.DataFrame, ax: Axes) -> None:
    if not part[["rate", "usual"]].astype(float).gt(0).any(axis=None):
        say_nothing(ax, "none is frequent enough" if part.empty else "nobody does")
        return
    shown = part.iloc[::-1].reset_index(drop=True)
    ax.hlines(shown.index, shown["rate_low"], shown["rate_high"], color=COLOURS["blue"])
    ax.plot(shown["rate"], shown.index, "o", color=COLOURS["blue"], label="after this sequence")
    ax.plot(shown["usual"], shown.index, "|", color=COLOURS["red"], markersize=13, markeredgewidth=2,
            label="otherwise on this page")  # fmt: skip
    ways = [way.split(" > ") for way in shown["sequence"]]
    written = in_words([name for way in ways for name in way], longest=16)
    ax.set_yticks(shown.index, [" → ".join(written[name] for name in way) for way in ways], fontsize=8.5)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
