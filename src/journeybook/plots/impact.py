"""Figures of page 16: the way to each goal, what was counted twice, simulated cases, and luck."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from journeybook.findings import say_count
from journeybook.impact.cases import headline
from journeybook.impact.goals import Goal
from journeybook.impact.increments import twice_told
from journeybook.impact.words import MONEY, SHARES, say_effect
from journeybook.plots import COLOURS, draw_intervals, headed, shortened


def plot_impact(table: pd.DataFrame, goals: list[Goal]) -> Axes | None:
    """How much of the way from baseline to target each source leads that counts; None where there is no target."""
    wanted = table["goal"].map({goal.name: goal.wanted for goal in goals})
    shown = table[wanted.notna() & table["effect"].notna() & (table["status"] != "within another")]
    if shown.empty:
        return None
    share = shown[["effect", "low", "high"]].div(wanted[shown.index], axis=0).reset_index(drop=True)
    ends = {"way_low": share.min(axis=1), "way_high": share.max(axis=1)}
    ax = plt.subplots(figsize=(8.5, 1.5 + 0.5 * len(shown)))[1]
    draw_intervals(ax, share.assign(way=share["effect"], **ends), "way", share.index, colour="blue")
    ax.axvline(0, color="black", linewidth=0.8)
    ax.axvline(1, color=COLOURS["green"], linestyle="--")
    _listed(ax, [f"{row.goal}\n{row.source.replace('_', ' ')}" for row in shown.itertuples()])
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("of the way from baseline to target, dashed (95% interval)")
    reached, missed = ((shown["status"] == f"target {end}").sum() for end in ("reached", "missed"))
    headed(ax, f"{reached} of {len(shown)} sources surely reach their target, {missed} surely miss it")
    return ax


def plot_crossed(effects: pd.DataFrame, *, currency: str | None) -> Axes | None:
    """Each change alone, their sum, and what they do together, for one metric; None where no tests share units."""
    shown = twice_told(effects).iloc[:-1]
    if shown.empty:
        return None
    metric = shown["metric"].iloc[0]
    scale = 100 if metric in SHARES else 1
    rows = pd.DataFrame({name: scale * shown[end] for name, end in _ENDS.items()}).reset_index(drop=True)
    ax = plt.subplots(figsize=(8.5, 1.4 + 0.45 * len(rows)))[1]
    for place, colour in zip(rows.index, ["grey"] * (len(rows) - 2) + ["red", "blue"], strict=True):
        draw_intervals(ax, rows.loc[[place]], "effect", [place], colour=colour)
    short = shortened([source.partition(": ")[2].replace("_", " ") for source in shown["source"]])
    _listed(ax, [*short.values()])
    ax.axvline(0, color="black", linewidth=0.8)
    unit = "points" if metric in SHARES else currency or "money" if metric in MONEY else "units"
    ax.set_xlabel(f"effect on {metric.replace('_', ' ')} over neither, {unit} (95% interval)")
    said = [say_effect(metric, shown["effect"].iloc[k], currency=currency) for k in (-2, -1)]
    headed(ax, f"Separate reports add up to {said[0]}; together the changes bring {said[1]}")
    return ax


def plot_cases(cases: pd.DataFrame) -> Axes:
    """Measured gain of each outcome beside the planted one, as shares of what static brings."""
    ax = plt.subplots(figsize=(8.5, 4.6))[1]
    rows = cases[["low", "high", "gain", "planted"]].div(cases["static"], axis=0)
    rows = rows.rename(columns={"low": "gain_low", "high": "gain_high"})
    draw_intervals(ax, rows, "gain", rows.index, colour="blue", label="measured (95% interval)")
    ax.plot(rows["planted"], rows.index, "D", color=COLOURS["orange"], label="planted")
    ax.axvline(0, color="black", linewidth=0.8)
    _listed(ax, [f"{row.case}: {row.outcome}" for row in cases.itertuples()])
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("gain over static")
    ax.legend(loc="lower right", fontsize=8)
    planted = headline(cases)[headline(cases)["planted"] > 0]
    seen, many = int((planted["low"] > 0).sum()), say_count(cases["n"].iloc[0])
    headed(ax, f"{many} people let {seen} of {len(planted)} planted gains be seen")
    return ax


def plot_months(months: pd.DataFrame, whole: pd.DataFrame, metric: str) -> Axes | None:
    """Effect of messages by month, shrunk beside it, and the whole period as a band; None without months."""
    if months.empty or whole.empty:
        return None
    ax, at = plt.subplots(figsize=(8.5, 3.4))[1], np.arange(len(months))
    low, high = (100 * whole[end].iloc[0] for end in ("low", "high"))
    ax.axhspan(low, high, color=COLOURS["sky"], alpha=0.35, linewidth=0, label="whole period")
    rows = pd.DataFrame({name: 100 * months[end] for name, end in _ENDS.items()})
    draw_intervals(ax, rows, "effect", at - 0.1, colour="grey", upright=True, label="month by itself")
    ax.plot(at + 0.15, 100 * months["shrunk"], "D", color=COLOURS["green"], markersize=5, label="shrunk")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks(at, months["month"], fontsize=8)
    ax.set_ylabel(f"added to {metric}, points")
    ax.set_ylim(top=1.3 * rows["effect_high"].max())
    ax.legend(loc="upper right", ncols=3, fontsize=8)
    best = months.loc[months["effect"].idxmax()]
    said = [say_effect(metric, float(x)) for x in (best["effect"], whole["effect"].iloc[0])]
    headed(ax, f"The best month claims {said[0]}, the whole period {said[1]}")
    return ax


_ENDS = {"effect": "effect", "effect_low": "low", "effect_high": "high"}


def _listed(ax: Axes, names: list[str]) -> None:
    """Rows from above, a name each."""
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
