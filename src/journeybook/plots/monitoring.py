"""Figures of page 15: days against what was expected, faults found by how much they strike, and drift."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.monitoring.adaptive import Adaptive, title_adaptive
from journeybook.monitoring.fairness import POOLED
from journeybook.monitoring.faults import WITHIN_DAYS, say_series
from journeybook.monitoring.limits import CHANGED, Expectation
from journeybook.monitoring.series import ABOUT, LEVEL, RATE
from journeybook.monitoring.serving import NOT_KNOWN, SHARES, Serving, title_served
from journeybook.monitoring.upkeep import Upkeep, title_upkeep
from journeybook.monitoring.words import gravest, say_drifted
from journeybook.plots import COLOURS, draw_intervals, headed, part_of, shortened

_MOST = 4
_MOST_DRIFTS = 14


def plot_alarms(alarms: pd.DataFrame, expected: Expectation) -> Figure | None:
    """Each day against what was expected, of the series that moved furthest; None where nothing can be watched."""
    about = expected.series.about
    if about.empty:
        return None
    moved = gravest(alarms).drop_duplicates(ABOUT[:3]).head(_MOST)
    places = [int(np.flatnonzero((about[ABOUT] == row[ABOUT]).all(axis=1))[0]) for _, row in moved.iterrows()]
    # Without an alarm the first volume shows what days look like.
    places = places or [int(about.index[about["measure"] == "volume"][0])]
    figure, axes = plt.subplots(len(places), 1, figsize=(8.5, 0.7 + 1.6 * len(places)), sharex=True, squeeze=False)
    for ax, place in zip(axes[:, 0], places, strict=True):
        _plot_days(ax, place, alarms, expected)
    n = alarms.drop_duplicates(ABOUT).shape[0]
    told = f"{n} of {len(about)} series raised an alarm" if n else f"None of {len(about)} series raised an alarm"
    headed(figure, told + part_of(len(places), n, "are drawn") * bool(n))
    return figure


def _plot_days(ax: Axes, place: int, alarms: pd.DataFrame, expected: Expectation) -> None:
    series, of = expected.series, expected.series.about.loc[place]
    there = series.seen[place] & (series.n[place] > 0)
    days, n = series.days[there], series.n[place, there]
    level = expected.level[place, there]
    scale = expected.sd[place, 0] if of["kind"] == LEVEL else 1.0
    told, due = (x / scale for x in (series.k[place, there] / n, level))
    ax.plot(days, told, ".", color=COLOURS["grey"], markersize=2.5)
    ax.plot(days, due, color=COLOURS["blue"], linewidth=1)
    ax.axvline(series.days[expected.reference[place]].max(), color="black", linewidth=0.8, linestyle=":")
    mine = alarms[(alarms[ABOUT] == of[ABOUT]).all(axis=1)]
    for row in mine.itertuples():
        until = pd.Timestamp(row.until) if pd.notna(row.until) else days[-1]
        ax.axvspan(
            pd.Timestamp(row.since), until + pd.Timedelta(days=1), color=COLOURS["red"], alpha=0.2, linewidth=0
        )
    if of["kind"] != LEVEL and of["measure"] != "volume":
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_title(say_series(of), fontsize=9)
    ax.tick_params(labelsize=8)
    if of["kind"] == RATE:
        ax.set_ylim(bottom=0)


def plot_faults(found: pd.DataFrame) -> Axes | None:
    """How often each fault is found, by the share of rows that it strikes; None where none can be planted."""
    if found.empty:
        return None
    ax = plt.subplots(figsize=(8.5, 3.6))[1]
    faults = found["fault"].unique()
    for k, (fault, colour) in enumerate(zip(faults, ["blue", "orange", "green", "red", "purple"], strict=False)):
        own = found[found["fault"] == fault]
        at = np.arange(len(own)) + 0.06 * (k - len(faults) / 2)
        draw_intervals(ax, own, "found_share", at, colour=colour, upright=True, label=fault)
        ax.plot(at, own["found_share"], color=COLOURS[colour], linewidth=1)
    ax.set_xticks(
        range(found["struck_share"].nunique()), [f"{s:.0%}" for s in sorted(found["struck_share"].unique())]
    )
    ax.set_xlabel("of the rows are struck")
    ax.set_ylabel(f"found within {WITHIN_DAYS} days")
    ax.set_ylim(-0.03, 1.05)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    share = sorted(found["struck_share"].unique())[1]
    struck = found[found["struck_share"] == share]
    told = f"{(struck['found_share'] >= 0.8).sum()} of {len(struck)} faults are found at least 8 times in 10"
    headed(ax, f"Striking {share:.0%} of the rows, {told}")
    return ax


def plot_drift(table: pd.DataFrame) -> Axes | None:
    """The questions that moved furthest, against their margin; None where nothing can be compared."""
    if table.empty:
        return None
    ends = table[["effect", "low", "high"]].div(table["margin"], axis=0)
    first = ends["effect"].abs().sort_values(ascending=False, kind="stable").index[:_MOST_DRIFTS]
    shown = table.loc[first]
    rows = ends.loc[first].rename(columns={"low": "effect_low", "high": "effect_high"}).reset_index(drop=True)
    ax = plt.subplots(figsize=(8.5, 1.4 + 0.3 * len(rows)))[1]
    ax.axvspan(-1, 1, color=COLOURS["sky"], alpha=0.3, linewidth=0, label="margin")
    for colour, of in (("red", shown["verdict"] == CHANGED), ("grey", shown["verdict"] != CHANGED)):
        chosen = of.to_numpy()
        draw_intervals(ax, rows[chosen], "effect", rows.index[chosen], colour=colour)
    names = [say_drifted(row) for row in shown.itertuples()]
    ax.set_yticks(range(len(rows)), [shortened(names, longest=40)[name] for name in names], fontsize=8)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("effect in margins (intervals hold together at 95%)")
    ax.legend(loc="lower right", fontsize=8)
    n = int((table["verdict"] == CHANGED).sum())
    headed(
        ax,
        f"{n} of {len(table)} comparisons moved beyond their margin" + part_of(len(rows), len(table), "are drawn"),
    )
    return ax


def plot_upkeep(found: Upkeep) -> Figure | None:
    """What updates of page 07's model bring over keeping it, and ways to learn over a frozen one; or None."""
    if found.acting is None or found.walk is None:
        return None
    unit = "log loss saved" if found.acting.unit == "nats" else found.acting.unit
    each = [
        found.acting.actions.rename(columns={"action": "name"}),
        found.walk.strategies.rename(columns={"strategy": "name"}),
    ]
    each[1][["gain", "gain_low", "gain_high"]] *= 1000
    figure, axes = plt.subplots(1, 2, figsize=(9.2, 2.7))
    for ax, rows, label in zip(axes, each, (unit, "log loss saved"), strict=True):
        rows = rows.iloc[1:].iloc[::-1].reset_index(drop=True)
        draw_intervals(ax, rows, "gain", rows.index, colour="blue")
        ax.axvline(0, color="black", linewidth=1)
        ax.set_yticks(rows.index, rows["name"])
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.grid(visible=False, axis="y")
        ax.set_xlabel(f"{label} per 1,000 contacts (95%)", fontsize=8)
    axes[0].set_title("Over keeping the model", fontsize=9)
    axes[1].set_title("A linear model, over frozen", fontsize=9)
    headed(figure, title_upkeep(found))
    return figure


def plot_adaptive(tried: Adaptive) -> Axes | None:
    """Responses that the bandit and each fixed policy bring, with intervals; None where nothing is replayed."""
    if tried.replay is None:
        return None
    rows = tried.policies.iloc[::-1].reset_index(drop=True)
    rows = rows.rename(columns={"low": "value_low", "high": "value_high"})
    ax = plt.subplots(figsize=(8.5, 1.3 + 0.34 * len(rows)))[1]
    draw_intervals(ax, rows, "value", rows.index, colour="blue")
    ax.set_yticks(rows.index, rows["policy"])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel("share that responded (95% interval)")
    headed(ax, title_adaptive(tried.replay))
    return ax


def plot_served(found: Serving) -> Figure | None:
    """Each step's mean by group, with intervals, red where groups differ; None where none are compared."""
    if found.served is None:
        return None
    means, spread = found.served.groups, found.served.spread
    names = sorted(means["group"].unique(), key=lambda name: (name in (POOLED, NOT_KNOWN), name))
    beside = min(len(spread), 4)
    down = -(-len(spread) // beside)
    size = (8.9, 1 + (0.5 + 0.2 * len(names)) * down)
    figure, axes = plt.subplots(down, beside, figsize=size, sharey=True, squeeze=False)
    for ax in axes.flat[len(spread) :]:
        ax.set_visible(False)
    for ax, row in zip(axes.flat, spread.itertuples(), strict=False):
        own = means[means["step"] == row.step].rename(columns={"low": "mean_low", "high": "mean_high"})
        own[["mean", "mean_low", "mean_high"]] *= 100 if row.step in SHARES else 1
        at = [names.index(name) for name in own["group"]]
        draw_intervals(ax, own, "mean", at, colour="red" if row.low > 0 else "grey")
        ax.set_title(row.step + " (%)" * (row.step in SHARES), fontsize=9)
        ax.set_yticks(range(len(names)), [*shortened(names).values()])
        ax.grid(visible=False, axis="y")
        ax.locator_params(axis="x", nbins=3)
        ax.tick_params(labelsize=8)
    axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
    headed(figure, title_served(found))
    return figure
