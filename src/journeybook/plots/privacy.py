"""Figures of page 10: what is published, what it costs, what bounds from the data give away."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.errors import JourneybookError
from journeybook.plots import COLOURS, headed, use_house_style
from journeybook.privacy import PrivateReleases
from journeybook.privacy.anonymity import Anonymised
from journeybook.privacy.findings import title_attack, title_costs, title_linkage, title_releases


def plot_releases(released: PrivateReleases, *, currency: str | None) -> Figure:
    """Draw the published counts and sums by group with the interval that the noise leaves."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    money = f"revenue, {currency or 'currency'}, each person's clamped"
    shown = (("people", "people", "blue"), ("revenue", money, "green"))
    for ax, (release, label, colour) in zip(axes, shown, strict=True):
        rows = released.figures[released.figures.release == release].iloc[::-1]
        place, spread = np.arange(len(rows)), [rows.value - rows.value_low, rows.value_high - rows.value]
        ax.barh(place, rows.value, color=COLOURS[colour], alpha=0.35)
        ax.errorbar(rows.value, place, xerr=spread, fmt="o", color=COLOURS[colour], capsize=4)
        ax.set_yticks(place, rows.group)
        ax.set_xlabel(label)
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    headed(figure, title_releases(released))
    _watermark(figure)
    return figure


def plot_linkage(linked: pd.DataFrame, published: Anonymised) -> Figure:
    """Draw whom an outsider finds before and after coarsening, and what coarsening takes away."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), width_ratios=[1, 1.1])
    place, share = np.arange(len(linked)), linked.reidentified_share
    around = [share - linked.low, linked.high - share]
    left.bar(
        place, share, color=[COLOURS["red"], COLOURS["blue"]][: len(linked)], alpha=0.6, yerr=around, capsize=4
    )
    left.set_xticks(place, linked.table)
    left.set(ylabel="people found (95% interval)", ylim=(0, max(0.02, 1.15 * linked.high.max())))
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    lost = published.columns.iloc[::-1]
    names = [
        f"{row.column.replace('_', ' ')}\n{row.n_values:,} → {row.n_values_left:,} values"
        for row in lost.itertuples()
    ]
    right.barh(["people left out", *names], [published.suppressed_share, *lost.coarsened], color=COLOURS["grey"])
    right.set(xlim=(0, 1), xlabel="lost: people, or steps of coarsening")
    right.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.grid(axis="y", visible=False)
    headed(figure, title_linkage(linked, published))
    _watermark(figure)
    return figure


def plot_costs(errors: pd.DataFrame, costs: pd.DataFrame) -> Figure:
    """Draw the error that noise adds by epsilon, and what repeated releases cost together."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2))
    # In units of what one person changes, so that both mechanisms share an axis.
    one = errors.laplace.iloc[0] * errors.epsilon.iloc[0]
    for name, error, within, style, colour in (
        ("Laplace", errors.laplace / one, errors.laplace_within / one, "s-", "orange"),
        ("geometric", errors.geometric, errors.geometric_within, "o-", "blue"),
    ):
        left.plot(errors.epsilon, error, style, label=f"{name}, mean", color=COLOURS[colour])
        # A reach of 0 has no place on this axis.
        left.plot(errors.epsilon, within.where(within > 0), style[0] + ":", color=COLOURS[colour], alpha=0.6)
    left.plot([], [], "k:", label="95 of 100 stay within")
    left.set(xscale="log", yscale="log", xlabel="epsilon", ylabel="error, in people or one person's most")
    _epsilons(left, errors.epsilon)
    left.yaxis.set_major_formatter("{x:g}")
    advanced = f"advanced composition, delta {costs.delta.iloc[0]:g}"
    right.plot(costs.n_releases, costs.epsilon_sum, "--", color=COLOURS["red"], label="sum, delta 0")
    right.plot(costs.n_releases, costs.epsilon_advanced, color=COLOURS["blue"], label=advanced)
    releases = f"releases of epsilon {costs.epsilon.iloc[0]:g} each"
    right.set(title="Every release adds up", xlabel=releases, ylabel="epsilon of all together")
    left.set_title("Less budget, more error")
    for ax in (left, right):
        ax.legend(fontsize=9)
    headed(figure, title_costs(errors, costs))
    return figure


def plot_attack(attack: pd.DataFrame) -> Axes:
    """Draw how often a guesser is right about the biggest spender, by epsilon."""
    ax, found = plt.subplots(figsize=(8.8, 4.4))[1], attack
    ax.plot(found.epsilon, found.edges, "^-", color=COLOURS["purple"], label="histogram edges from the data")
    bars = {"yerr": 2 * found.standard_error, "fmt": "o-", "color": COLOURS["red"]}
    ax.errorbar(found.epsilon, found.from_data, label="noise fitted to the biggest value found", **bars)
    ax.plot(found.epsilon, found.ceiling, color="black", linestyle="--", label="most that epsilon allows")
    ax.plot(found.epsilon, found.declared, "s-", color=COLOURS["blue"], label="bounds declared beforehand")
    ax.axhline(0.5, color=COLOURS["grey"], linewidth=0.8)
    ax.set(xscale="log", ylim=(0.48, 1.02), xlabel="epsilon")
    ax.set_ylabel("right guesses: is the biggest spender in?")
    _epsilons(ax, found.epsilon)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    headed(ax, title_attack(attack))
    ax.legend(loc="center left", bbox_to_anchor=(0.0, 0.72), fontsize=9)
    _watermark(ax.figure)
    return ax


def plot_budget(table: pd.DataFrame) -> Axes:
    """Draw what is left of the last period's budget after each release, and what each took."""
    rows = table[table.period == table.period.iloc[-1]].reset_index(drop=True)
    ax, place = plt.subplots(figsize=(8.8, 1.2 + 0.4 * len(rows)))[1], np.arange(len(rows))
    ax.barh(place, rows.left, color=COLOURS["blue"], alpha=0.6, label="left")
    ax.barh(place, rows.spent.diff().fillna(0), left=rows.left, color=COLOURS["orange"], label="taken by it")
    ax.set_yticks(place, rows.release)
    ax.invert_yaxis()
    ax.set(xlabel="epsilon", xlim=(0, rows.left.iloc[0] * 1.02))
    ax.legend(fontsize=9)
    left = f"Epsilon {rows.left.iloc[-1]:.3g} of {rows.left.iloc[0]:g} is left for {rows.period.iloc[0]}"
    headed(ax, f"{left}, each {rows.unit.iloc[0]}")
    return ax


def save_budget(table: pd.DataFrame, target: Path) -> None:
    """Save `plot_budget` as a new file; JourneybookError where it is there, or its ending names no picture."""
    if target.exists() or target.suffix not in (".png", ".svg", ".pdf"):
        raise JourneybookError(f"{str(target)!r} needs to be a new file that ends with .png, .svg or .pdf.")
    use_house_style()
    plot_budget(table).figure.savefig(target, bbox_inches="tight")


def _epsilons(ax: Axes, epsilons: pd.Series) -> None:
    ax.set_xticks(epsilons, [f"{e:g}" for e in epsilons])
    ax.minorticks_off()


def _watermark(figure: Figure) -> None:
    """Write NOT PRIVATE across a figure, so that it is not passed on as if it protected anyone."""
    style = {"fontsize": 40, "color": COLOURS["red"], "alpha": 0.15, "ha": "center", "va": "center"}
    figure.text(0.55, 0.5, "NOT PRIVATE", rotation=15, **style)
