"""Figures of page 08: ways and the funnel."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.clickstream.words import say_funnel, say_ways
from journeybook.plots import COLOURS, headed, in_words, say_nothing

_MEANINGS = {"loose": "loose: in this order, detours allowed", "strict": "strict: one right after the other"}


def plot_sequences(found: pd.DataFrame, *, most: int = 8) -> Figure | None:
    """Loops and conversion after them, and sequences before leaving, each beside what is usual at that page."""
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
    """Sessions that come to each stage, by the loose and by the strict definition."""
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
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9)
    return ax


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
