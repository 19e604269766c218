"""Figures of page 11; each title says what is seen."""

from collections.abc import Mapping, Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.experiments.comparisons import Experiment
from journeybook.experiments.measures import amount
from journeybook.findings import say_interval, say_p, say_points, say_share
from journeybook.plots import COLOURS, draw_intervals, headed, part_of, shortened

# The variants keep their colour and their marker.
VARIANTS = [("blue", "s"), ("orange", "^"), ("green", "D"), ("purple", "v"), ("sky", "P")]
# What is a difference of a metric, or its error, in the tables that are drawn.
DIFFERENCES = ("effect", "standard_error", "trend", "always_valid")


def plot_effects(found: Experiment, metrics: Sequence[str]) -> Figure:
    """Effect of each variant with its interval, a panel a metric, beside the plain method where it differs."""
    comparisons, kinds = found.comparisons, found.kinds
    plain = found.methods.drop_duplicates(["metric", "variant"])
    held = comparisons[comparisons["p_adjusted"] < found.alpha].sort_values("p_value", kind="stable")
    title = f"none of {len(comparisons)} comparisons shows an effect after correction"
    if len(held):
        row = held.iloc[0]
        say = say_points if row["kind"] == "proportion" else partial(amount, kind=row["kind"])
        effect = say(row["effect"])
        ends = say_interval(say, row["effect_low"], row["effect_high"]).replace(" points", "")
        title = f"{_short(row['variant'])} moves {_short(row['metric'])} by {effect} ({ends}); "
        title += f"{len(held)} of {len(comparisons)} comparisons hold"
    title += part_of(len(metrics), len(kinds), "metrics are drawn")
    height = 1.3 + 0.4 * (len(found.names) - 1)
    figure, axes = _panels(len(metrics), height=height)
    for ax, metric in zip(axes, metrics, strict=False):
        part = _in_points(comparisons[comparisons["metric"] == metric], kinds).reset_index(drop=True)
        beside = _in_points(plain[plain["metric"] == metric], kinds).reset_index(drop=True)
        if part["method"][0] != beside["method"][0]:
            draw_intervals(
                ax, beside, "effect", part.index + 0.22, colour="grey", label="plain, one look", fmt="s"
            )
        draw_intervals(ax, part, "effect", part.index, colour="blue", label="headline")
        _names(ax, part["variant"])
        ax.axvline(0, color="black", linewidth=1)
        ax.set_title(
            f"{_short(metric)} ({part['method'][0].replace('_', ' ').replace('cuped', 'CUPED')})", fontsize=10
        )
        ax.set_xlabel("percentage points" if kinds[metric] == "proportion" else f"difference of {_short(metric)}")
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
    headed(figure, title)
    return figure


def plot_daily_effects(daily: pd.DataFrame, *, kinds: Mapping[str, str], ax: Axes | None = None) -> Axes:
    """Effect on the units assigned each day with 95% intervals, of the metric whose trend is clearest."""
    ax = ax or plt.subplots(figsize=(8.5, 3.4))[1]
    shown = daily.loc[daily["trend_p_value"].idxmin()]
    part = daily[(daily["metric"] == shown["metric"]) & (daily["variant"] == shown["variant"])]
    part = _in_points(part, kinds)
    ends, day = 1.96 * part["standard_error"], part["day"]
    ax.errorbar(
        day, part["effect"], yerr=ends, fmt="o", markersize=4, color=COLOURS["blue"], label="units of the day"
    )
    weight = part["standard_error"] ** -2
    middle, level = (weight * day).sum() / weight.sum(), (weight * part["effect"]).sum() / weight.sum()
    ax.plot(day, level + part["trend"] * (day - middle), color="black", linestyle="--", label="trend")
    ax.axhline(0, color="black", linewidth=1)
    ax.set_xlabel("day of assignment")
    ax.set_ylabel(_effect_on(shown["metric"], kinds))
    # Each trend is one of several.
    clear = shown["trend_p_value"] < 0.05 / len(daily[["metric", "variant"]].drop_duplicates())
    who, told = (
        f"{_short(shown['variant'])} on {_short(shown['metric'])}",
        "a trend" if clear else "no clear trend",
    )
    title = f"{who}: {told} by day ({say_p(shown['trend_p_value'])})"
    ax.set_title(title[:1].upper() + title[1:])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(top=ax.get_ylim()[1] + 0.25 * np.ptp(ax.get_ylim()))
    ax.legend(loc="upper right", ncols=2)
    return ax


def plot_posteriors(table: pd.DataFrame) -> Figure:
    """Posterior interval of each variant, and the probability that it is the best, by metric."""
    metrics = list(dict.fromkeys(table["metric"]))
    height = len(metrics) * (0.9 + 0.3 * table["variant"].nunique())
    figure, axes = plt.subplots(len(metrics), 2, figsize=(8.8, height + 0.4), squeeze=False, sharey="row")
    for (left, right), metric in zip(axes, metrics, strict=True):
        part = table[table["metric"] == metric].reset_index(drop=True)
        scale = 100 if part["kind"][0] == "proportion" else 1
        ends = part[["posterior_mean", "posterior_low", "posterior_high"]].set_axis(["", "_low", "_high"], axis=1)
        draw_intervals(left, ends * scale, "", part.index, colour="blue")
        left.xaxis.set_major_locator(MaxNLocator(5))
        left.set_xlabel(f"{_short(metric)}, %" if scale == 100 else _short(metric))
        right.barh(part.index, part["probability_best"], height=0.5, color=COLOURS["sky"])
        for at, share in zip(part.index, part["probability_best"], strict=True):
            said = "> 99.9%" if share > 0.999 else "< 0.1%" if share < 0.001 else f"{share:.1%}"
            right.annotate(said, (share, at), xytext=(4, 0), textcoords="offset points", va="center")
        right.set_xlim(0, 1.18)
        right.set_xticks([0, 0.5, 1])
        right.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        right.set_xlabel("probability to be best")
        for ax in (left, right):
            _names(ax, part["variant"])
    best = table.loc[table.loc[table["metric"] == metrics[0], "probability_best"].idxmax()]
    sure = "more than 99.9%" if best["probability_best"] > 0.999 else say_share(best["probability_best"])
    title = f"{_short(best['variant'])} is best on {_short(metrics[0])} with a probability of {sure}"
    headed(figure, title)
    return figure


def plot_subgroups(subgroups: pd.DataFrame, *, alpha: float, ax: Axes | None = None) -> Axes:
    """Effects of each variant in the levels of the planned subgroups, of the metric that differs most clearly."""
    clear = subgroups.sort_values("interaction_p_value", kind="stable").iloc[0]
    metric, kinds = clear["metric"], dict(zip(subgroups["metric"], subgroups["kind"], strict=True))
    rows = _in_points(subgroups[subgroups["metric"] == metric], kinds)
    places = rows[["subgroup", "level"]].drop_duplicates().reset_index(drop=True)
    # A gap of one line, which holds its name, above each column.
    places["y"] = places.index + places.groupby("subgroup", sort=False).ngroup() + 1
    ax = ax or plt.subplots(figsize=(8.6, 1.2 + 0.34 * (places["y"].max() + 1)))[1]
    rows = rows.merge(places, on=["subgroup", "level"])
    variants = rows["variant"].unique().tolist()
    styles = [VARIANTS[number % len(VARIANTS)] for number in range(len(variants))]
    for number, (variant, (colour, marker)) in enumerate(zip(variants, styles, strict=True)):
        part = rows[rows["variant"] == variant]
        y = part["y"] + 0.22 * (number - (len(variants) - 1) / 2)
        draw_intervals(ax, part, "effect", y, colour=colour, label=_short(variant), fmt=marker)
    ax.axvline(0, color="black", linewidth=1)
    ticks, names = places["y"].tolist(), places["level"].tolist()
    for subgroup, part in places.groupby("subgroup", sort=False):
        tests = rows[rows["subgroup"] == subgroup].drop_duplicates("variant")["interaction_p_adjusted"]
        ticks.append(part["y"].min() - 1)
        names.append(f"{subgroup} ({', '.join(say_p(p) for p in tests)})")
    ax.set_yticks(ticks, names)
    ax.set_ylim(places["y"].max() + 0.7, -0.7)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"{_effect_on(metric, kinds)}; p of a difference between levels, after correction")
    differs = "differs" if clear["interaction_p_adjusted"] < alpha else "does not clearly differ"
    ax.set_title(f"The effect of {_short(clear['variant'])} on {_short(metric)} {differs} by {clear['subgroup']}")
    if len(variants) > 1:
        ax.legend(loc="best", ncols=len(variants), fontsize=9)
    return ax


def plot_followed(rows: pd.DataFrame, *, kinds: Mapping[str, str], ax: Axes | None = None) -> Axes:
    """One effect at each look with its naive interval, and the always-valid band around it."""
    first, told = rows.iloc[0], []
    for rule, column in (("naive", "crossed_naive"), ("always-valid", "crossed_always_valid")):
        crossed = rows.loc[rows[column].astype(bool), "look"]
        told.append(f"{'never' if crossed.empty else f'from look {crossed.iloc[0]} on'} ({rule})")
    rows = _in_points(rows, kinds)
    ax = ax or plt.subplots(figsize=(8.5, 3.8))[1]
    n, band = rows["n"].to_numpy(dtype=float), (rows["always_valid_low"], rows["always_valid_high"])
    ax.fill_between(n, *band, color=COLOURS["sky"], alpha=0.35, label="always-valid interval")
    draw_intervals(ax, rows, "effect", n, colour="grey", upright=True, label="naive interval")
    ax.axhline(0, color="black", linewidth=1)
    # Early looks are so wide that they would flatten the others.
    tail = rows.iloc[len(rows) // 10 :]
    low, high = min(0, tail["always_valid_low"].min()), max(0, tail["always_valid_high"].max())
    ax.set_ylim(low - 0.05 * (high - low), high + 0.2 * (high - low))
    ax.xaxis.set_major_locator(MaxNLocator(8))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel("units assigned so far")
    ax.set_ylabel(f"{_effect_on(first['metric'], kinds)}\nof {_short(first['variant'])}")
    ax.set_title(f"An effect is claimed {', '.join(told)}")
    ax.legend(loc="upper right", ncols=3, fontsize=9)
    return ax


def _in_points(rows: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """The rows, with the differences of shares in percentage points."""
    scale = (rows["metric"].map(kinds) == "proportion").map({True: 100.0, False: 1.0})
    shown = [c for c in rows.columns if c.startswith(DIFFERENCES) and not c.endswith("p_value")]
    return rows.assign(**{column: rows[column] * scale for column in shown})


def _effect_on(metric: str, kinds: Mapping[str, str]) -> str:
    """The label of an axis that holds a metric's effects."""
    return f"effect on {_short(metric)}" + (", points" if kinds.get(metric) == "proportion" else "")


def _names(ax: Axes, names: pd.Series) -> None:
    ax.set_yticks(range(len(names)), [_short(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")


def _panels(n: int, *, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of n panels, two in a row, which share their vertical axes."""
    columns = min(n, 2)
    rows = -(-n // columns)
    size = (8.8, 0.5 + rows * height)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True)
    for ax in axes.flat[n:]:
        ax.set_visible(False)
    return figure, list(axes.flat)


def _short(name: str) -> str:
    """A name in words, cut where it is long."""
    words = str(name).replace("_", " ").replace("+", " and ")
    return shortened([words], longest=30)[words]
