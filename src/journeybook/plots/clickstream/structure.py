"""Figures of page 08: where groups of visitors differ, and the step that was broken."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from journeybook.clickstream.faults import FaultScan
from journeybook.clickstream.groups import GroupDifferences
from journeybook.clickstream.words import say_faults, say_groups
from journeybook.plots import COLOURS, headed, in_words, part_of


def plot_groups(found: GroupDifferences, ax: Axes | None = None, *, most: int = 18) -> Axes | None:
    """Cramér's V of every state and grouping; those that differ are coloured."""
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
    """Share of the step with the deepest drop, day by day, and the days in which it dropped."""
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
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=4, fontsize=9)
    return ax
