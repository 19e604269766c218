"""Figures of page 04."""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from journeybook.enrichment import LeakTrial
from journeybook.plots import COLOURS


def plot_snapshots(by_date: pd.DataFrame) -> Figure:
    """Draw recent revenue and baskets of the middle half of the people, snapshot by snapshot."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharex=True)
    labels = (("revenue", "revenue in 91 days, currency"), ("baskets", "baskets in 91 days"))
    for ax, (name, label), colour in zip(axes, labels, ("blue", "green"), strict=True):
        low, middle, high = (by_date[f"{name}_{side}"] for side in ("low", "median", "high"))
        ax.fill_between(
            by_date.as_of, low, high, color=COLOURS[colour], alpha=0.2, label="middle half of the people"
        )
        ax.plot(by_date.as_of, middle, color=COLOURS[colour], marker="o", label="median")
        short = by_date[~by_date.window_full]
        if len(short):
            ax.plot(
                short.as_of, short[f"{name}_median"], linestyle="none", marker="o", markersize=7,
                markerfacecolor="white", markeredgecolor=COLOURS["red"], label="window not full",
            )  # fmt: skip
        ax.set_ylim(0, max(high.max() * 1.35, 1))
        ax.set_title(label)
        ax.legend(loc="upper left", fontsize=8.5)
        _months(ax)
    return figure


def plot_coverage(known_of: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how many people the attributes are known of, snapshot by snapshot."""
    ax = ax or plt.subplots(figsize=(8.5, 3.6))[1]
    ax.plot(known_of.as_of, known_of.n_people, marker="o", color=COLOURS["grey"], label="people with a purchase")
    if known_of.n_with_postcode.any():
        ax.plot(
            known_of.as_of,
            known_of.n_with_postcode,
            marker="o",
            color=COLOURS["sky"],
            label="with a postcode, and consent",
        )
    ax.plot(known_of.as_of, known_of.n_known, marker="o", color=COLOURS["blue"], label="attributes known")
    ax.set_ylim(0, known_of.n_people.max() * 1.12)
    ax.legend(loc="lower right")
    ax.set(title="Whom the third-party attributes are known of", ylabel="people")
    _months(ax)
    return ax


def plot_leak(trial: LeakTrial, ax: Axes | None = None) -> Axes:
    """Draw the AUC with honest and with leaking features, with 95 % intervals."""
    ax = ax or plt.subplots(figsize=(8.5, 2.4))[1]
    shown = trial.figures[trial.figures.features != "difference"].iloc[::-1].reset_index(drop=True)
    for place, row in shown.iterrows():
        colour = COLOURS["red"] if row.features == "as of the end" else COLOURS["blue"]
        reach = [[row.roc_auc - row.roc_auc_low], [row.roc_auc_high - row.roc_auc]]
        ax.errorbar(row.roc_auc, place, xerr=reach, fmt="o", markersize=8, capsize=4, color=colour)
        ax.annotate(
            f"{row.roc_auc:.3f}", (row.roc_auc, place), textcoords="offset points", xytext=(0, 9), ha="center"
        )
    ax.set_yticks(shown.index, [f"features {name}" for name in shown.features])
    ax.set_ylim(-0.5, len(shown) - 0.3)
    apart = trial.figures[trial.figures.features == "difference"].iloc[0]
    gain = f"{apart.roc_auc:+.3f} [{apart.roc_auc_low:+.3f}, {apart.roc_auc_high:+.3f}]"
    ax.set(title=f"What features from the future pretend: {gain}", xlabel="AUC, 95 % interval")
    return ax


def _months(ax: Axes) -> None:
    """Write dates briefly."""
    locator = mdates.AutoDateLocator(minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
