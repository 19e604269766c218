"""Figures of what lies behind one chain for all: memory, groups, faults, types of visitor."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.clickstream.faults import FaultScan
from journeybook.clickstream.groups import GroupDifferences
from journeybook.clickstream.mixture import TypeMixture
from journeybook.clickstream.orders import OrderChoice
from journeybook.clickstream.words import say_faults, say_groups, say_orders, say_types
from journeybook.plots import COLOURS, headed, in_words, part_of


def plot_orders(order: OrderChoice, ax: Axes | None = None) -> Axes:
    """How much worse than the best each order is, in nats a link: by BIC and on visitors held out.

    Args:
        order: The orders compared.
        ax: Axes to draw on.
    """
    ax = ax or plt.subplots(figsize=(8.2, 3.8))[1]
    table = order.table
    lines = [("BIC / 2", table["bic"] / 2, "blue", "o", (-7, 4), "right")]
    if order.held_out_chosen is not None:
        lines.append(("held out", -table["held_out_log_likelihood"], "orange", "s", (7, -11), "left"))
    for name, loss, colour, marker, offset, side in lines:
        worse = (loss - loss.min()) / order.n_links
        ax.plot(table["order"], worse, marker=marker, color=COLOURS[colour], label=name)
        for k, value in zip(table["order"], worse, strict=True):
            text = "best" if value == 0 else f"{value:.2g}"
            ax.annotate(text, (k, value), xytext=offset, textcoords="offset points", ha=side, fontsize=9,
                        color=COLOURS[colour], fontweight="bold" if value == 0 else "normal",
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8})  # fmt: skip
    ax.set_yscale("symlog", linthresh=1e-4, linscale=0.5)
    ax.set_ylim(-1e-4, ax.get_ylim()[1] * 4)
    ax.set_xticks(table["order"])
    ax.set_xlim(table["order"].iloc[0] - 0.4, table["order"].iloc[-1] + 0.4)
    ax.set_xlabel("order: pages a visitor remembers")
    ax.set_ylabel("nats a link above the best")
    headed(ax, say_orders(order))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_groups(found: GroupDifferences, ax: Axes | None = None, *, most: int = 18) -> Axes | None:
    """Cramér's V of every state and grouping; those that differ are coloured.

    Args:
        found: The tests.
        ax: Axes to draw on.
        most: States drawn, those visited most.
    """
    if found.table.empty:
        return None
    states = list(dict.fromkeys(found.table.sort_values("n", ascending=False)["state"]))
    rows = states[:most]
    ax = ax or plt.subplots(figsize=(8.2, 1.4 + 0.26 * len(rows)))[1]
    ax.grid(visible=False)
    table = found.table.set_index(["state", "grouping"])
    columns = list(found.compared)
    drawn = table[table.index.isin(rows, level="state")]
    for row in drawn.reset_index().itertuples():
        at = (columns.index(row.grouping), rows.index(row.state))
        face = plt.get_cmap("Blues")(min(0.25 + 6 * row.cramers_v, 0.85)) if row.differs else "#F1F1F1"
        ax.add_patch(plt.Rectangle((at[0] - 0.48, at[1] - 0.46), 0.96, 0.92, color=face, linewidth=0))
        colour = "grey" if not row.differs else "white" if row.cramers_v > 0.06 else "black"
        ax.text(
            *at, f"{row.cramers_v:.3f}", ha="center", va="center", fontsize=9, color=COLOURS.get(colour, colour)
        )
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xticks(range(len(columns)), columns)
    written = in_words(rows)
    ax.set_yticks(range(len(rows)), [written[name] for name in rows])
    ax.tick_params(length=0)
    ax.set_xlabel(
        f"Cramér's V; blue where groups differ, with a chance of any false one of {found.alpha:.0%}"
        + "; blank: too few visitors" * (len(drawn) < len(rows) * len(columns))
    )
    headed(ax, say_groups(found) + part_of(len(rows), len(states), "pages drawn"))
    return ax


def plot_fault(scan: FaultScan, planted: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes | None:
    """Share of the step with the deepest drop, day by day, and the days in which it dropped.

    Args:
        scan: The scan.
        planted: Truth `event_faults`, where it is known.
        ax: Axes to draw on.
    """
    if scan.note is not None:
        return None
    ax = ax or plt.subplots(figsize=(8.8, 3.8))[1]
    top, daily = scan.table.iloc[0], scan.daily[scan.daily["n"] > 0]
    size = 60 * daily["n"] / daily["n"].max()
    ax.scatter(daily["day"], daily["k"] / daily["n"], s=size, color=COLOURS["grey"], alpha=0.5, linewidth=0,
               label="a day, its area the visits")  # fmt: skip
    colour = COLOURS["red"] if top["fault"] else COLOURS["blue"]
    ax.axvspan(top["starts_at"], top["ends_at"], color=colour, alpha=0.15, linewidth=0)
    span, whole = (top["starts_at"], top["ends_at"]), (daily["day"].iloc[0], daily["day"].iloc[-1])
    ax.hlines(top["probability"], *span, color=colour, linewidth=2.5, label="in the drop")
    ax.hlines(top["probability_outside"], *whole, color="black", linewidth=1, label="on other days")
    if planted is not None:
        for day, label in zip(planted[["starts_at", "ends_at"]].iloc[0], ("planted", None), strict=True):
            ax.axvline(day, color=COLOURS["purple"], linestyle="--", linewidth=1.5, label=label)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    written = in_words([top["source"], top["target"]])
    ax.set_ylabel(f"share of visits to {written[top['source']]}\nthat go to {written[top['target']]}")
    headed(ax, say_faults(scan))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_types(types: TypeMixture, *, most: int = 4) -> Figure | None:
    """BIC by number of types, and the steps by which each type is told from the others.

    Args:
        types: The types found.
        most: Steps drawn of each type.
    """
    if types.note is not None:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.9, 4.6), width_ratios=[1, 1.7])
    choice = types.choice
    left.plot(choice["n_types"], choice["bic"] - choice["bic"].min(), "o-", color=COLOURS["blue"])
    left.plot(choice.loc[choice["chosen"], "n_types"], [0.0], "o", color=COLOURS["orange"], markersize=10)
    left.set_xticks(choice["n_types"])
    left.yaxis.set_major_formatter("{x:,.0f}")
    left.set(xlabel="types (orange: chosen)", ylabel="BIC above the least")
    written = in_words(types.transitions["source"].tolist() + types.transitions["target"].tolist(), longest=16)
    names, at = [], 0
    palette = [COLOURS[name] for name in ("blue", "orange", "green", "red", "purple", "sky")]
    for k, share in types.profile.set_index("type")["share"].items():
        own = types.transitions[types.transitions["type"] == k].nlargest(most, "evidence")
        colour, rows = palette[(k - 1) % len(palette)], np.arange(at, at + len(own))
        everybody = right.scatter(own["probability_overall"], rows, marker="|", color="black", s=90, linewidth=2)
        right.hlines(rows, own["probability_overall"], own["probability"], color=colour, linewidth=2)
        right.plot(own["probability"], rows, "o", color=colour, label=f"type {k}, {share:.0%} of {types.unit}")
        names += [f"{written[a]} → {written[b]}" for a, b in zip(own["source"], own["target"], strict=True)] + [""]
        at += len(own) + 1
    everybody.set_label("everybody")
    right.set_yticks(range(len(names)), names)
    right.set_ylim(len(names) - 1.2, -0.8)
    right.set_xlim(left=0)
    right.tick_params(axis="y", length=0)
    right.grid(visible=False, axis="y")
    right.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.set_xlabel("probability of the step")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower left", ncols=4, fontsize=9)
    headed(figure, say_types(types))
    return figure
