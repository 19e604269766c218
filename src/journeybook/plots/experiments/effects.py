"""Effects with their intervals, by day, in the cells of a design, and the distributions behind them."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.plots import COLOURS

MAX_PANELS = 6
# What is a difference of a metric, or its error, in the tables that are drawn.
DIFFERENCES = (
    *("effect", "effect_low", "effect_high", "standard_error", "trend"),
    *("always_valid_low", "always_valid_high", "group_low", "group_high"),
)


def in_points(rows: pd.DataFrame, *, kinds: Mapping[str, str]) -> pd.DataFrame:
    """The rows, with the differences of shares in percentage points."""
    scale = (rows["metric"].map(kinds) == "proportion").map({True: 100.0, False: 1.0})
    return rows.assign(**{column: rows[column] * scale for column in rows.columns if column in DIFFERENCES})


def effect_on(metric: str, *, kinds: Mapping[str, str]) -> str:
    """The label of an axis that holds a metric's effects."""
    return f"effect on {_short(metric)}" + (", points" if kinds.get(metric) == "proportion" else "")


def plot_effects(comparisons: pd.DataFrame, methods: pd.DataFrame) -> Figure:
    """Effect of each variant with its interval, a panel a metric; the plain method beside a headline that differs.

    Args:
        comparisons: Headline rows of an `Experiment`; the first six metrics are drawn.
        methods: Its methods: for each metric and variant the one without covariates at a fixed horizon first.
    """
    metrics = list(dict.fromkeys(comparisons["metric"]))[:MAX_PANELS]
    columns = 2 if len(metrics) in (2, 4) else min(len(metrics), 3)
    rows = -(-len(metrics) // columns)
    n_variants = comparisons["variant"].nunique()
    figure, axes = plt.subplots(
        rows, columns, figsize=(8.8, rows * (1.9 + 0.45 * n_variants)), squeeze=False, sharey=True
    )
    plain = methods.drop_duplicates(["metric", "variant"])
    several = False
    for ax, metric in zip(axes.flat, metrics, strict=False):
        part = comparisons[comparisons["metric"] == metric].reset_index(drop=True)
        beside = plain[plain["metric"] == metric].reset_index(drop=True)
        scale = 100 if part["kind"][0] == "proportion" else 1
        if part["method"][0] != beside["method"][0]:
            several = True
            _interval(ax, beside, part.index + 0.22, scale, colour="grey", label="plain, one look")
        _interval(ax, part, part.index, scale, colour="blue", label="headline")
        ax.axvline(0, color="black", linewidth=1)
        ax.set_yticks(part.index, [_short(name) for name in part["variant"]])
        ax.set_ylim(n_variants - 0.4, -0.6)
        ax.set_title(f"{_short(metric, 24)}\n{part['method'][0].replace('_', ' ')}", fontsize=10)
        ax.set_xlabel("percentage points" if scale == 100 else f"difference ({part['kind'][0].replace('_', ' ')})")
        ax.grid(visible=False, axis="y")
    for ax in axes.flat[len(metrics) :]:
        ax.set_visible(False)
    if several:
        handles = {
            label: handle
            for ax in axes.flat
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="upper right", ncols=2, fontsize=9)
    figure.suptitle(f"Effect of each variant against '{comparisons['control_name'].iloc[0]}'", x=0.01, ha="left")
    return figure


def _interval(ax: Axes, part: pd.DataFrame, y: pd.Index, scale: float, *, colour: str, label: str) -> None:
    effect = part["effect"] * scale
    ends = [effect - part["effect_low"] * scale, part["effect_high"] * scale - effect]
    ax.errorbar(effect, y, xerr=ends, fmt="o", markersize=5, capsize=3, color=COLOURS[colour], label=label)


def plot_cells(arms: pd.DataFrame, *, metric: str, cells: Sequence[str], ax: Axes | None = None) -> Axes:
    """Mean of a metric in the four cells of a 2x2 design with 95 % intervals; parallel lines mean no interaction.

    Args:
        arms: The arms of an `Experiment`.
        metric: The metric drawn.
        cells: The variants with neither, the first, the second and both changes.
        ax: Where to draw; None makes a figure.
    """
    ax = ax or plt.subplots()[1]
    part = arms[arms["metric"] == metric].set_index("variant")
    margin = 1.96 * part["sd"] / part["n"] ** 0.5
    neither, first, second, both = cells
    pairs = (((neither, first), "blue", f"without {second}"), ((second, both), "orange", f"with {second}"))
    for shift, (names, colour, label) in zip((-0.02, 0.02), pairs, strict=True):
        at = [shift, 1 + shift]
        ax.errorbar(
            at, part.loc[list(names), "mean"], yerr=margin[list(names)],
            fmt="o-", capsize=3, color=COLOURS[colour], label=label,
        )  # fmt: skip
    ax.set_xticks([0, 1], [f"without {first}", f"with {first}"])
    ax.set_xlim(-0.3, 1.3)
    ax.set_ylabel(f"mean of {metric}")
    ax.set_title(f"{metric} in the four cells")
    ax.margins(y=0.25)
    ax.legend(loc="upper left", ncols=2)
    return ax


def plot_daily_effects(daily: pd.DataFrame, *, kinds: Mapping[str, str], ax: Axes | None = None) -> Axes:
    """Effect on the units assigned each day with 95 % intervals, of the metric whose trend is clearest.

    Args:
        daily: Rows of `daily_effects`, one or more.
        kinds: Kind of each metric.
        ax: Where to draw; None makes a figure.
    """
    ax = ax or plt.subplots(figsize=(8.5, 3.6))[1]
    shown = daily.loc[daily["trend_p_value"].idxmin(), ["metric", "variant"]]
    part = daily[(daily["metric"] == shown["metric"]) & (daily["variant"] == shown["variant"])]
    part = in_points(part, kinds=kinds)
    ax.errorbar(
        part["day"], part["effect"], yerr=1.96 * part["standard_error"],
        fmt="o", markersize=4, capsize=2, color=COLOURS["blue"], label="units assigned on the day",
    )  # fmt: skip
    weight = part["standard_error"] ** -2
    at = part["day"]
    middle, level = (weight * at).sum() / weight.sum(), (weight * part["effect"]).sum() / weight.sum()
    ax.plot(at, level + part["trend"] * (at - middle), color=COLOURS["orange"], label="trend")
    ax.axhline(0, color="black", linewidth=1)
    ax.set_xlabel("day of assignment")
    ax.set_ylabel(effect_on(shown["metric"], kinds=kinds))
    ax.set_title(f"{_short(shown['variant'])} on {_short(shown['metric'])}, by day: p of a trend {_p(part)}")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="best", ncols=2)
    return ax


def plot_distributions(shares: pd.DataFrame) -> Figure:
    """Units of each arm by their value, zeros apart, a panel a metric (the first four).

    Args:
        shares: Rows of `distributions`, one or more.
    """
    metrics = list(dict.fromkeys(shares["metric"]))[:4]
    columns = min(len(metrics), 2)
    rows = -(-len(metrics) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(8.8, 2.9 * rows), squeeze=False)
    for ax, metric in zip(axes.flat, metrics, strict=False):
        part = shares[shares["metric"] == metric]
        for variant, own in part.groupby("variant", sort=False):
            ends = own["low"].tolist()
            edges = [*ends, 2 * ends[-1] - ends[-2]]
            label = f"{_short(variant)} ({own['zero_share'].iloc[0]:.1%} are 0)"
            ax.stairs(own["share"], edges, label=label, linewidth=1.5)
        ax.set_title(_short(metric, 26), fontsize=11)
        ax.set_xlabel("value; the last step holds all beyond")
        ax.set_ylabel("share of the arm's units")
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if part["share"].max() > 0.05 else 1))
        ax.legend(fontsize=8)
    for ax in axes.flat[len(metrics) :]:
        ax.set_visible(False)
    return figure


def _p(part: pd.DataFrame) -> str:
    p_value = float(part["trend_p_value"].iloc[0])
    return f"{p_value:.3f}" if p_value >= 0.001 else "below 0.001"


def _short(name: str, length: int = 22) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
