"""The waterfall of rows: where each ended."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from journeybook.conservation import lay_out
from journeybook.findings import say_share
from journeybook.plots import COLOURS, headed


def plot_places(places: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how many rows came in, where some ended, and how many go on.

    Args:
        places: As `conservation.lay_out` takes them.
        ax: Axes to draw into; None makes a figure.
    """
    steps = lay_out(places)
    ax = ax or plt.subplots(figsize=(8.5, 1.2 + 0.42 * len(steps)))[1]
    at = np.arange(len(steps))
    inner = slice(1, len(steps) - 1)
    ax.barh(at[[0, -1]], steps.n_rows.iloc[[0, -1]], color=COLOURS["blue"])
    ax.barh(at[inner], steps.n_rows.iloc[inner], left=steps.n_left.iloc[inner], color=COLOURS["red"])
    came, kept = int(steps.n_rows.iloc[0]), int(steps.n_rows.iloc[-1])
    shares = ["", *(f" ({say_share(n / came)})" if n else "" for n in steps.n_rows.iloc[1:])]
    named = zip(steps.place, steps.n_rows, shares, strict=True)
    ax.set_yticks(at, [f"{place.replace('`', '')}: {n:,}{share}" for place, n, share in named])
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.locator_params(axis="x", nbins=5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("rows")
    headed(ax, f"{kept:,} of {came:,} rows go on")
    return ax
