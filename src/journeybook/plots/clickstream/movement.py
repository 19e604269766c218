"""Figures of page 08: where people go, where leaving costs most, what would help most, the funnel."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.clickstream.words import say_funnel, say_lost, say_step, say_steps
from journeybook.journeys import CONVERSION, EXIT, START
from journeybook.plots import COLOURS, headed, in_words, part_of

_MEANINGS = {"loose": "loose: in this order, detours allowed", "strict": "strict: one right after the other"}


def plot_steps(transitions: pd.DataFrame, ax: Axes | None = None, *, most: int = 16) -> Axes:
    """Probability of every step, sources in rows; the states visited most are drawn."""
    ax = ax or plt.subplots(figsize=(8.8, 6.0))[1]
    rows = list(dict.fromkeys(transitions["source"]))[:most]
    columns = [name for name in rows if name != START] + [CONVERSION, EXIT]
    grid = transitions.pivot(index="source", columns="target", values="probability")
    grid = grid.reindex(index=rows, columns=columns).fillna(0.0)
    ax.imshow(grid, cmap="Blues", vmin=0, vmax=max(0.75, float(grid.to_numpy().max())), aspect="auto")
    for i, j in zip(*np.nonzero(grid.to_numpy() >= 0.005), strict=True):
        value = grid.iloc[i, j]
        ax.text(j, i, f"{100 * value:.0f}", ha="center", va="center", fontsize=8.5,
                color="white" if value > 0.45 else "black")  # fmt: skip
    written = in_words([*rows, *columns])
    ax.set_xticks(range(len(columns)), [written[name] for name in columns], rotation=40, ha="left")
    ax.set_yticks(range(len(rows)), [written[name] for name in rows])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.axvline(len(columns) - 2.5, color="white", linewidth=3)
    hidden = transitions["source"].nunique() - len(rows)
    ax.set_xlabel("next step, % of the visits" + f" ({hidden} pages visited less are not drawn)" * bool(hidden))
    headed(ax, say_steps(transitions))
    return ax


def plot_drop_off(states: pd.DataFrame, ax: Axes | None = None, *, most: int = 12) -> Axes:
    """Conversions lost where sessions end, with intervals and the share that leaves; exits if nothing converts."""
    ax = ax or plt.subplots(figsize=(8.6, 4.6))[1]
    pages = states[states["state"] != START]
    converts = bool(pages["lost_conversions"].any())
    pages = pages.assign(
        bar=pages["lost_conversions"] if converts else (pages["visits"] * pages["drop_off"]).round()
    )
    shown = pages.nlargest(most, "bar").iloc[::-1].reset_index(drop=True)
    ax.barh(shown.index, shown["bar"], color=COLOURS["sky"], height=0.65)
    if converts:
        ax.hlines(shown.index, shown["lost_conversions_low"], shown["lost_conversions_high"], color="black")
        for row in shown.itertuples():
            end = max(row.bar, row.lost_conversions_high)
            ax.annotate(f"{row.drop_off:.0%} leave", (end, row.Index), xytext=(6, 0), textcoords="offset points",
                        va="center", fontsize=9, color=COLOURS["grey"])  # fmt: skip
    written = in_words(shown["state"])
    ax.set_yticks(shown.index, [written[name] for name in shown["state"]])
    ax.set_xlim(0, max(float(shown[["bar", "lost_conversions_high"]].max(axis=None)) * 1.15, 1.0))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("conversions lost (95% interval)" if converts else "sessions that end here")
    headed(ax, say_lost(states) + part_of(len(shown), len(pages), "pages"))
    return ax


def plot_bottlenecks(bottlenecks: pd.DataFrame, ax: Axes | None = None, *, most: int = 10) -> Axes | None:
    """Elasticity of the steps that would bring most, with intervals."""
    if bottlenecks.empty:
        return None
    ax = ax or plt.subplots(figsize=(8.6, 4.4))[1]
    shown = bottlenecks.head(most).iloc[::-1].reset_index(drop=True)
    ax.hlines(shown.index, shown["elasticity_low"], shown["elasticity_high"], color=COLOURS["blue"])
    ax.plot(shown["elasticity"], shown.index, "o", color=COLOURS["blue"])
    written = in_words([*shown["source"], *shown["target"]])
    names = [
        f"{written[s]} → {written[t]}  ({p:.0%})"
        for s, t, p in shown[["source", "target", "probability"]].itertuples(index=False)
    ]
    ax.set_yticks(shown.index, names)
    ax.set_xlim(left=min(0.0, float(shown["elasticity_low"].min())) - 0.02)
    ax.set_xlabel("per cent more conversions for one per cent more of the step (95% interval)")
    headed(ax, say_step(bottlenecks) + part_of(len(shown), len(bottlenecks), "steps ranked"))
    return ax


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
