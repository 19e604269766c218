"""Figures of page 10: what is published, what it costs, what bounds from the data give away."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.plots import COLOURS
from journeybook.privacy import MembershipAttack, PrivateReleases


def plot_releases(released: PrivateReleases) -> Figure:
    """Draw the published counts and sums by group with the interval that the noise leaves."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    for ax, release, colour, label in zip(
        axes,
        ("people", "revenue"),
        (COLOURS["blue"], COLOURS["green"]),
        ("people", "revenue, each person's clamped"),
        strict=True,
    ):
        rows = released.figures[released.figures.release == release].iloc[::-1]
        place = np.arange(len(rows))
        ax.barh(place, rows.value, color=colour, alpha=0.35)
        spread = [rows.value - rows.value_low, rows.value_high - rows.value]
        ax.errorbar(rows.value, place, xerr=spread, fmt="o", color=colour, capsize=4)
        ax.set_yticks(place, rows.group)
        ax.set_xlabel(label)
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes[0].set_title("Figures as published, with 95 % intervals of the noise")
    _watermark(figure)
    return figure


def plot_costs(errors: pd.DataFrame, costs: pd.DataFrame) -> Figure:
    """Draw the error that noise adds by epsilon, and what repeated releases cost together."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    for (name, rows), marker, colour in zip(
        errors.groupby("mechanism", sort=True),
        ("s", "o"),
        (COLOURS["orange"], COLOURS["blue"]),
        strict=True,
    ):
        # In units of what one person changes, so that both mechanisms share an axis.
        scale = rows.closed_form.iloc[0] * rows.epsilon.iloc[0] if name == "Laplace" else 1.0
        left.plot(rows.epsilon, rows.closed_form / scale, color=colour, label=f"{name}, closed form")
        left.plot(rows.epsilon, rows.mean_error / scale, marker, color=colour, label=f"{name}, drawn")
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xticks(sorted(errors.epsilon.unique()), [f"{e:g}" for e in sorted(errors.epsilon.unique())])
    left.minorticks_off()
    left.set_xlabel("epsilon")
    left.set_ylabel("mean error, in people or one person's most")
    left.set_title("Less budget, more error")
    left.legend(fontsize=9)
    right.plot(costs.n_releases, costs.epsilon_sum, color=COLOURS["red"], label="sum, delta 0")
    right.plot(
        costs.n_releases,
        costs.epsilon_advanced,
        color=COLOURS["blue"],
        label=f"advanced composition, delta {costs.delta.iloc[0]:g}",
    )
    right.set_xlabel(f"releases of epsilon {costs.epsilon.iloc[0]:g} each")
    right.set_ylabel("epsilon of all together")
    right.set_title("Every release adds up")
    right.legend(fontsize=9)
    return figure


def plot_attack(attack: MembershipAttack, ax: Axes | None = None) -> Axes:
    """Draw how often a guesser is right about the biggest spender, by epsilon."""
    if ax is None:
        _, ax = plt.subplots()
    found = attack.success
    ax.plot(found.epsilon, found.edges, "^-", color=COLOURS["purple"], label="histogram edges from the data")
    ax.errorbar(
        found.epsilon,
        found.from_data,
        yerr=2 * found.standard_error,
        fmt="o-",
        color=COLOURS["red"],
        label="noise fitted to the biggest value found",
    )
    ax.plot(found.epsilon, found.ceiling, color="black", linestyle="--", label="most that epsilon allows")
    ax.plot(found.epsilon, found.declared, "s-", color=COLOURS["blue"], label="bounds declared beforehand")
    ax.axhline(0.5, color=COLOURS["grey"], linewidth=0.8)
    ax.set_xscale("log")
    ax.set_xticks(found.epsilon, [f"{e:g}" for e in found.epsilon])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_ylim(0.48, 1.02)
    ax.set_xlabel("epsilon")
    ax.set_ylabel("guesses that are right")
    ax.set_title("Is the biggest spender in the data?")
    ax.legend(loc="center left", bbox_to_anchor=(0.0, 0.72), fontsize=9)
    _watermark(ax.figure)
    return ax


def _watermark(figure: Figure) -> None:
    """Write NOT PRIVATE across a figure, so that it is not passed on as if it protected anyone."""
    style = {"fontsize": 40, "color": COLOURS["red"], "alpha": 0.15, "ha": "center", "va": "center"}
    figure.text(0.55, 0.5, "NOT PRIVATE", rotation=15, **style)
