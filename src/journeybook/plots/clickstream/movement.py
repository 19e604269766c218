"""Figures of page 08: the steps, where leaving costs most, what would help most, how often intervals hold."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from journeybook.clickstream import CONVERSION, EXIT, START
from journeybook.plots import COLOURS, part_of, say_nothing, shortened


def plot_steps(transitions: pd.DataFrame, ax: Axes | None = None, *, most: int = 16) -> Axes:
    """Probability of every step, sources in rows; the states visited most are drawn.

    Args:
        transitions: Table of steps, sources in the order of their visits.
        ax: Axes to draw on.
        most: States drawn.
    """
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
    written = shortened([*rows, *columns])
    ax.set_xticks(range(len(columns)), [written[name] for name in columns], rotation=40, ha="left")
    ax.set_yticks(range(len(rows)), [written[name] for name in rows])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.axvline(len(columns) - 2.5, color="white", linewidth=3)
    hidden = transitions["source"].nunique() - len(rows)
    ax.set_title(
        "Next step from each page, in per cent of its visits"
        + (f" ({hidden} pages visited less are not drawn)" if hidden else ""),
        pad=12,
    )
    return ax


def plot_drop_off(states: pd.DataFrame, ax: Axes | None = None, *, most: int = 12) -> Axes:
    """Conversions lost where sessions end, with intervals and the share that leaves; exits where nothing converts.

    Args:
        states: Table of states, those that lose most first.
        ax: Axes to draw on.
        most: States drawn.
    """
    ax = ax or plt.subplots(figsize=(8.6, 4.6))[1]
    pages = states[states["state"] != START]
    if not pages["lost_conversions"].any():
        return _exits(pages, ax, most)
    shown = pages.head(most).iloc[::-1].reset_index(drop=True)
    lost, low, high = (shown[f"lost_conversions{end}"] for end in ("", "_low", "_high"))
    ax.barh(shown.index, lost, color=COLOURS["sky"], height=0.65)
    ax.errorbar(lost, shown.index, xerr=[lost - low, high - lost], fmt="none", ecolor="black", capsize=3)
    for row, end, share in zip(shown.index, high, shown["drop_off"], strict=True):
        ax.annotate(f"{share:.0%} leave", (end, row), xytext=(6, 0), textcoords="offset points", va="center",
                    fontsize=9, color=COLOURS["grey"])  # fmt: skip
    written = shortened(shown["state"])
    ax.set_yticks(shown.index, [written[name] for name in shown["state"]])
    ax.set_xlim(0, max(float(high.max()) * 1.15, 1.0))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("conversions lost (95 % interval)")
    ax.set_title("Where leaving costs most" + part_of(len(shown), len(pages), "pages"))
    return ax


def plot_bottlenecks(bottlenecks: pd.DataFrame, ax: Axes | None = None, *, most: int = 10) -> Axes:
    """Elasticity of the steps that would bring most, with intervals.

    Args:
        bottlenecks: Table of steps, the first by elasticity first.
        ax: Axes to draw on.
        most: Steps drawn.
    """
    ax = ax or plt.subplots(figsize=(8.6, 4.4))[1]
    ax.set_title("Which step would bring most")
    if bottlenecks.empty:
        return say_nothing(ax, "nothing converts: there is no step to rank")
    shown = bottlenecks.head(most).iloc[::-1].reset_index(drop=True)
    value, low, high = (shown[f"elasticity{end}"].astype(float) for end in ("", "_low", "_high"))
    ax.errorbar(value, shown.index, xerr=[value - low, high - value], fmt="o", color=COLOURS["blue"], capsize=3)
    written = shortened([*shown["source"], *shown["target"]])
    names = [
        f"{written[s]} → {written[t]}  ({p:.0%})"
        for s, t, p in shown[["source", "target", "probability"]].itertuples(index=False)
    ]
    ax.set_yticks(shown.index, names)
    ax.set_xlim(left=min(0.0, float(low.min())) - 0.02)
    ax.set_xlabel("per cent more conversions for one per cent more of the step (95 % interval)")
    ax.set_title("Which step would bring most" + part_of(len(shown), len(bottlenecks), "steps ranked"))
    return ax


def plot_coverage(coverage: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """How often either interval holds the truth, by how many steps a person takes.

    Args:
        coverage: Columns `steps_each`, `clustered`, `independent` (shares).
        ax: Axes to draw on.
    """
    ax = ax or plt.subplots(figsize=(8.0, 3.4))[1]
    at = range(len(coverage))
    ax.axhline(0.95, color="black", linewidth=1, linestyle="--")
    ax.plot(at, coverage["clustered"], "o-", color=COLOURS["blue"], label="people are drawn")
    ax.plot(at, coverage["independent"], "s-", color=COLOURS["red"], label="every step a new person's (Dirichlet)")
    ax.set_xticks(at, [str(n) for n in coverage["steps_each"]])
    ax.set_ylim(0, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("steps of each person")
    ax.set_ylabel("intervals that hold the truth")
    ax.set_title("95 % intervals when people differ, simulated")
    ax.legend(loc="lower left")
    return ax


def _exits(pages: pd.DataFrame, ax: Axes, most: int) -> Axes:
    exits = (pages["visits"] * pages["drop_off"]).round()
    shown = pages.assign(exits=exits).nlargest(most, "exits").iloc[::-1].reset_index(drop=True)
    ax.barh(shown.index, shown["exits"], color=COLOURS["sky"], height=0.65)
    written = shortened(shown["state"])
    ax.set_yticks(shown.index, [written[name] for name in shown["state"]])
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("sessions that end here")
    ax.set_title("Where sessions end" + part_of(len(shown), len(pages), "pages"))
    return ax
