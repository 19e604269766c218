"""Figures of page 11: effects with their intervals, a 2x2 design's cells, and what peeking does."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.plots import COLOURS

MAX_PANELS = 6


def plot_effects(comparisons: pd.DataFrame, methods: pd.DataFrame) -> Figure:
    """Effect of each variant with its interval, a panel a metric; Welch's beside it where CUPED is the headline.

    Args:
        comparisons: Headline rows of an `Experiment`; the first six metrics are drawn.
        methods: Its methods.
    """
    metrics = list(dict.fromkeys(comparisons["metric"]))[:MAX_PANELS]
    columns = min(len(metrics), 3)
    rows = -(-len(metrics) // columns)
    n_variants = comparisons["variant"].nunique()
    figure, axes = plt.subplots(
        rows, columns, figsize=(8.8, rows * (1.9 + 0.45 * n_variants)), squeeze=False, sharey=True
    )
    for ax, metric in zip(axes.flat, metrics, strict=False):
        part = comparisons[comparisons["metric"] == metric].reset_index(drop=True)
        plain = methods[(methods["metric"] == metric) & (methods["method"] == "welch")].reset_index(drop=True)
        scale = 100 if part["kind"][0] == "proportion" else 1
        adjusted = (part["method"] == "cuped").any()
        if adjusted:
            _interval(ax, plain, part.index + 0.22, scale, colour="grey", label="Welch")
        _interval(
            ax, part, part.index, scale, colour="blue", label=part["method"][0].upper() if adjusted else "Welch"
        )
        ax.axvline(0, color="black", linewidth=1)
        ax.set_yticks(part.index, [_short(name) for name in part["variant"]])
        ax.set_ylim(n_variants - 0.4, -0.6)
        ax.set_title(_short(metric, 26), fontsize=11)
        ax.set_xlabel("percentage points" if scale == 100 else "difference of means")
        ax.grid(visible=False, axis="y")
    for ax in axes.flat[len(metrics) :]:
        ax.set_visible(False)
    if adjusted:
        figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="upper right", ncols=2, fontsize=9)
    figure.suptitle(f"Effect of each variant against '{comparisons['control_name'].iloc[0]}'", x=0.01, ha="left")
    return figure


def _interval(ax: Axes, part: pd.DataFrame, y: pd.Index, scale: float, *, colour: str, label: str) -> None:
    effect = part["effect"] * scale
    ends = [effect - part["effect_low"] * scale, part["effect_high"] * scale - effect]
    ax.errorbar(effect, y, xerr=ends, fmt="o", markersize=5, capsize=3, color=COLOURS[colour], label=label)


def plot_cells(
    arms: pd.DataFrame, *, metric: str, cells: tuple[str, str, str, str], ax: Axes | None = None
) -> Axes:
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
    ax.legend()
    return ax


def plot_peeking(rates: pd.DataFrame, *, alpha: float, ax: Axes | None = None) -> Axes:
    """Share of experiments without effect that are called significant, by the number of looks.

    Args:
        rates: `rates` of `peeking`.
        alpha: Level of each look.
        ax: Where to draw; None makes a figure.
    """
    ax = ax or plt.subplots(figsize=(8.5, 3.8))[1]
    ax.plot(rates["looks"], rates["rate"], "o-", color=COLOURS["red"], label="stop at the first significant look")
    ax.axhline(alpha, color=COLOURS["blue"], label="what one planned look promises")
    last = rates.iloc[-1]
    ax.annotate(
        f"{last['rate']:.1%}",
        (last["looks"], last["rate"]),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
    )
    ax.set_ylim(0, rates["rate"].max() * 1.25)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("looks, equally spaced over the experiment")
    ax.set_ylabel("experiments without effect\ncalled significant")
    ax.set_title("Looking early and stopping at the first p below alpha")
    ax.legend(loc="upper left")
    return ax


def _short(name: str, length: int = 22) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
