"""Figures of page 08, the whole picture: the graph of steps, the flow of sessions, how long they live."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import PercentFormatter

from journeybook.clickstream import CONVERSION, EXIT, START, Survival
from journeybook.plots import COLOURS, shortened

_ENDS = {START: "grey", CONVERSION: "green", EXIT: "red"}
_WIDEST = 9.0
# Share of the sessions from which a block of the flow is labelled; conversion always is.
_LEAST_LABELLED = 0.03
_LEAST_SHARE = 0.06
# Of the pages in a flow; green and the greys are those of its ends.
_PAGES = [*(COLOURS[name] for name in ("blue", "orange", "red", "purple", "sky", "yellow")), "#A6761D"]


def plot_graph(transitions: pd.DataFrame, ax: Axes | None = None, *, most: int = 14) -> Axes:
    """States as circles and steps as arrows whose width is their probability.

    The states stand on an ellipse in the order of their names, start at the left, conversion at the right and exit
    below: the pictures of two runs differ in their arrows only.

    Args:
        transitions: Table of steps, sources in the order of their visits.
        ax: Axes to draw on.
        most: States drawn, those visited most.
    """
    ax = ax or plt.subplots(figsize=(9.0, 6.4))[1]
    shown = [name for name in dict.fromkeys(transitions["source"]) if name != START][:most]
    place = _places(sorted(shown))
    visits = transitions.groupby("source")["n"].sum()
    arrows = transitions[transitions["source"].isin(place) & transitions["target"].isin(place)]
    arrows = arrows[(arrows["probability"] >= _LEAST_SHARE) & (arrows["source"] != arrows["target"])]
    for source, target, p in arrows.sort_values("probability")[["source", "target", "probability"]].itertuples(
        index=False
    ):
        colour = COLOURS[_ENDS.get(target, "blue")]
        ax.add_patch(
            FancyArrowPatch(
                place[source], place[target], connectionstyle="arc3,rad=0.16", shrinkA=17, shrinkB=19,
                arrowstyle=f"-|>,head_length={4 + 4 * p},head_width={2 + 3 * p}", linewidth=_WIDEST * p,
                color=colour, alpha=0.25 + 0.6 * p, zorder=1,
            )
        )  # fmt: skip
    written = shortened(place, longest=18)
    size = np.sqrt(visits.reindex(shown) / visits.reindex(shown).max())
    for name, (x, y) in place.items():
        colour = COLOURS[_ENDS.get(name, "sky")]
        ax.scatter(
            x, y, s=150 + 550 * size.get(name, 0.6), color=colour, edgecolor="white", linewidth=1.5, zorder=2
        )
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
        ax.annotate(written[name], (x, y), ha="center", va="center", fontsize=9, zorder=3, bbox=box)
    ax.set_xlim(-1.75, 1.75)
    ax.set_ylim(-1.5, 1.2)
    ax.axis("off")
    hidden = transitions["source"].nunique() - len(place) + 2
    ax.set_title(
        f"Steps taken on {_LEAST_SHARE:.0%} of the visits or more; the wider, the likelier"
        + (f" ({hidden} states visited less are not drawn)" if hidden > 0 else "")
    )
    return ax


def plot_flow(flow: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Where sessions go step by step, bands as wide as the sessions in them (a Sankey diagram).

    Args:
        flow: Table of `step_flow`.
        ax: Axes to draw on.
    """
    ax = ax or plt.subplots(figsize=(9.0, 5.6))[1]
    n_steps = int(flow["step"].max()) + 1
    sessions = flow.loc[flow["step"] == 0, "n"].sum()
    inner = flow[flow["step"] > 0]
    order = [*_by_size(flow), CONVERSION, EXIT]
    pages = sorted(set(order) - set(_ENDS))
    colours = {name: _PAGES[k % len(_PAGES)] for k, name in enumerate(pages)}
    written = shortened(order, longest=14)
    colours |= {CONVERSION: COLOURS["green"], EXIT: "#B8B8B8", "(other)": COLOURS["grey"]}
    gap = 0.012 * sessions
    tops: list[dict[str, float]] = []
    for step in range(n_steps):
        reached = flow[flow["step"] == step].groupby("target")["n"].sum()
        top, tops = 0.0, [*tops, {}]
        for name in [name for name in order if name in reached.index]:
            tops[step][name] = top
            told = name == CONVERSION or reached[name] >= _LEAST_LABELLED * sessions
            label = f"{written[name]} {reached[name] / sessions:.{0 if reached[name] >= 0.01 * sessions else 1}%}"
            _bar(ax, step, top, reached[name], colours[name], label if told else "")
            top += reached[name] + gap
    for step in range(1, n_steps):
        leaving, coming = dict(tops[step - 1]), dict(tops[step])
        part = inner[inner["step"] == step].set_index(["source", "target"])["n"]
        for source in [name for name in order if name in leaving]:
            for target in [name for name in order if (source, name) in part.index]:
                n = part[source, target]
                _band(ax, step, leaving[source], coming[target], n, colours[source])
                leaving[source] += n
                coming[target] += n
    ax.set_xlim(-0.15, n_steps - 0.35)
    ax.invert_yaxis()
    ax.set_xticks(range(n_steps), [f"event {k + 1}" for k in range(n_steps)])
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(visible=False)
    ax.set_title(f"The first {n_steps} events of {sessions:,} sessions, conversions and exits where they happen")
    return ax


def plot_survival(survival: Survival, ax: Axes | None = None) -> Axes:
    """Share of sessions still going after so many events, and what became of the others.

    Args:
        survival: What `session_survival` returns.
        ax: Axes to draw on.
    """
    ax = ax or plt.subplots(figsize=(8.6, 4.2))[1]
    table = survival.table
    at = table["events"]
    ax.fill_between(at, table["share"], color=COLOURS["sky"], alpha=0.35, step="post", linewidth=0)
    top = 1 - table["converted"]
    ax.fill_between(at, top, 1, color=COLOURS["green"], alpha=0.35, step="post", linewidth=0, label="converted")
    ax.fill_between(at, table["share"], top, color="#DDDDDD", step="post", linewidth=0, label="left")
    ax.step(at, table["share"], where="post", color=COLOURS["blue"], label="still going (95 % band)")
    ax.fill_between(at, table["share_low"], table["share_high"], color=COLOURS["blue"], alpha=0.4, step="post",
                    linewidth=0)  # fmt: skip
    ax.step(at, table["by_chain"], where="post", color="black", linestyle="--", linewidth=1,
            label="still going, by the chain")  # fmt: skip
    ax.set_xlim(0, at.max())
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("events of the session")
    ax.set_ylabel("share of sessions")
    ax.set_title("How long sessions live")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _places(names: list[str]) -> dict[str, tuple[float, float]]:
    """Return where states stand, from their names alone."""
    angle = np.pi * (1 - (np.arange(len(names)) + 0.5) * 2 / max(len(names), 1))
    # The first name upper left, clockwise; the sides are left free for the ends.
    ring = {name: (1.05 * np.cos(a), 0.95 * np.sin(a)) for name, a in zip(names, angle, strict=True)}
    return ring | {START: (-1.6, 0.0), CONVERSION: (1.58, 0.0), EXIT: (0.0, -1.38)}


def _by_size(flow: pd.DataFrame) -> list[str]:
    """Return the passing states, those that most sessions come to first."""
    reached = flow[~flow["target"].isin(_ENDS)].groupby("target")["n"].sum()
    return reached.sort_values(ascending=False, kind="stable").index.tolist()


def _bar(ax: Axes, step: int, top: float, n: float, colour: str, label: str) -> None:
    ax.bar(step, n, bottom=top, width=0.09, color=colour, linewidth=0, zorder=3)
    ax.text(step + 0.06, top + n / 2, label, va="center", fontsize=8, zorder=4)


def _band(ax: Axes, step: int, left: float, right: float, n: float, colour: str) -> None:
    a, b = step - 1 + 0.045, step - 0.045
    middle = (a + b) / 2
    corners = [(a, left), (middle, left), (middle, right), (b, right), (b, right + n), (middle, right + n),
               (middle, left + n), (a, left + n), (a, left)]  # fmt: skip
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    ax.add_patch(PathPatch(Path(corners, codes), facecolor=colour, alpha=0.3, linewidth=0, zorder=1))
