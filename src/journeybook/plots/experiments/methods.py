"""Figures of page 11: methods beside each other, subgroups, survival curves, error rates."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.plots import COLOURS
from journeybook.plots.experiments.effects import effect_on, in_points

MAX_PANELS = 4
# The headline's own rows are drawn in another colour than the methods beside it.
HEADLINES = ("welch", "cuped", "delta", "delta_cuped", "bootstrap", "restricted_mean")


def plot_methods(methods: pd.DataFrame, *, variant: str, kinds: Mapping[str, str]) -> Figure:
    """The effect of a variant by each method that estimates the difference, a panel a metric (the first four).

    Args:
        methods: Columns `METHOD_COLUMNS`.
        variant: The variant drawn.
        kinds: Kind of each metric.
    """
    rows = methods[(methods["variant"] == variant) & (methods["estimand"] == "difference")]
    rows = in_points(rows, kinds=kinds)
    several = rows.groupby("metric", sort=False)["method"].count()
    metrics = several[several > 1].index.tolist()[:MAX_PANELS] or several.index.tolist()[:1]
    columns = min(len(metrics), 2)
    n_rows = -(-len(metrics) // columns)
    longest = max(int(several[metric]) for metric in metrics)
    figure, axes = plt.subplots(
        n_rows, columns, figsize=(8.8, 0.6 + n_rows * (0.9 + 0.32 * longest)), squeeze=False
    )
    for ax, metric in zip(axes.flat, metrics, strict=False):
        part = rows[rows["metric"] == metric].reset_index(drop=True)
        for headline, colour in ((True, "blue"), (False, "grey")):
            moved = part["method"].str.endswith("_biased").any()
            own = (*HEADLINES, "post_stratified_by_period") if moved else HEADLINES
            shown = part[part["method"].isin(own) == headline]
            ends = [shown["effect"] - shown["effect_low"], shown["effect_high"] - shown["effect"]]
            ax.errorbar(
                shown["effect"], shown.index, xerr=ends, fmt="o", markersize=4, capsize=3, color=COLOURS[colour]
            )
        ax.axvline(0, color="black", linewidth=1)
        ax.set_yticks(part.index, [name.replace("_", " ") for name in part["method"]])
        ax.set_ylim(len(part) - 0.5, -0.5)
        ax.set_title(effect_on(metric, kinds=kinds), fontsize=11)
        ax.locator_params(axis="x", nbins=5)
        ax.grid(visible=False, axis="y")
    for ax in axes.flat[len(metrics) :]:
        ax.set_visible(False)
    figure.suptitle(f"The effect of '{variant}' by method (blue: the headline's tests)", x=0.01, ha="left")
    return figure


def plot_subgroups(subgroups: pd.DataFrame, *, metric: str, ax: Axes | None = None) -> Axes:
    """Effects of each variant in the levels of the planned subgroups, with the adjusted interaction p value.

    Args:
        subgroups: Columns `SUBGROUP_COLUMNS`.
        metric: The metric drawn.
        ax: Where to draw; None makes a figure.
    """
    kinds = dict(zip(subgroups["metric"], subgroups["kind"], strict=True))
    rows = in_points(subgroups[subgroups["metric"] == metric], kinds=kinds)
    variants = rows["variant"].unique().tolist()
    places = rows[["subgroup", "level"]].drop_duplicates().reset_index(drop=True)
    # A gap of one line, which holds its name, above each column.
    places["y"] = places.index + places.groupby("subgroup", sort=False).ngroup() + 1
    if ax is None:
        _, ax = plt.subplots(figsize=(8.6, 1.4 + 0.34 * (places["y"].max() + 1)))
    rows = rows.merge(places, on=["subgroup", "level"])
    for number, variant in enumerate(variants):
        part = rows[rows["variant"] == variant]
        colour = COLOURS[("blue", "orange", "green", "purple", "sky", "red", "grey")[number % 7]]
        y = part["y"] + 0.22 * (number - (len(variants) - 1) / 2)
        ends = [part["effect"] - part["effect_low"], part["effect_high"] - part["effect"]]
        ax.errorbar(part["effect"], y, xerr=ends, fmt="o", markersize=5, capsize=3, color=colour, label=variant)
    ax.axvline(0, color="black", linewidth=1)
    ticks, names = places["y"].tolist(), places["level"].tolist()
    for subgroup, part in places.groupby("subgroup", sort=False):
        tests = rows[rows["subgroup"] == subgroup].drop_duplicates("variant")["interaction_p_adjusted"]
        ticks.append(part["y"].min() - 1)
        names.append(f"{subgroup} (p = {', '.join(f'{p:.2g}' for p in tests)})")
    ax.set_yticks(ticks, names)
    for label, tick in zip(ax.get_yticklabels(), ticks, strict=True):
        label.set_fontweight("normal" if tick in places["y"].tolist() else "bold")
    ax.set_ylim(places["y"].max() + 0.7, -0.7)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"{effect_on(metric, kinds=kinds)}; p of a difference between levels, after correction")
    if len(variants) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(variants), borderaxespad=0)
    else:
        ax.set_title(f"Effect of '{variants[0]}' by subgroup")
    return ax


def plot_survival(curves: pd.DataFrame, *, horizon: float, what: str, ax: Axes | None = None) -> Axes:
    """Share of units to which it has not happened yet, an arm a line with its pointwise interval.

    Args:
        curves: Columns variant, time, survival, low, high, as of `survival_curves`.
        horizon: Time up to which the headline averages; the area between the lines up to it is the effect.
        what: What is waited for, as the axis says it.
        ax: Where to draw; None makes a figure.
    """
    ax = ax or plt.subplots(figsize=(8.5, 3.8))[1]
    names = curves["variant"].unique()
    for variant, colour in zip(names, ("grey", "blue", "orange", "green", "purple", "sky"), strict=False):
        part = curves[curves["variant"] == variant]
        ax.step(part["time"], part["survival"], where="post", color=COLOURS[colour], label=variant)
        ax.fill_between(part["time"], part["low"], part["high"], step="post", color=COLOURS[colour], alpha=0.15)
    ax.axvline(horizon, color="black", linewidth=1, linestyle=":", label="horizon of the headline")
    ax.set_ylim(0, 1)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel(what)
    ax.set_ylabel("units still without it")
    ax.set_title("Share of units to which it has not happened yet")
    ax.legend(loc="best")
    return ax


def plot_error_rates(rates: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How often each procedure claims an effect where there is none, beside what it promises.

    Args:
        rates: `rates` of `a_a_rates`.
        ax: Where to draw; None makes a figure.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(8.6, 1.3 + 0.3 * len(rates)))
    rows = rates.reset_index(drop=True)
    promises = rows["promised"].notna()
    for kept, colour, label in ((promises, "blue", "promises the line"), (~promises, "red", "promises nothing")):
        part = rows[kept]
        if len(part):
            ax.errorbar(
                part["rate"], part.index, xerr=2 * part["monte_carlo_error"],
                fmt="o", markersize=5, capsize=3, color=COLOURS[colour], label=label,
            )  # fmt: skip
    ax.axvline(rows["promised"].max(), color="black", linewidth=1)
    ax.set_yticks(rows.index, [f"{row.metric}: {row.procedure}" for row in rows.itertuples()])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("experiments without effect in which one is claimed (± 2 Monte Carlo errors)")
    ax.set_title("False positives, the units assigned again at random")
    ax.legend(loc="lower right")
    return ax
