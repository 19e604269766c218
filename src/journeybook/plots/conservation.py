"""The waterfall of rows: where each ended."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from journeybook.conservation import lay_out
from journeybook.plots import COLOURS


def plot_places(places: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how many rows came in, where some ended, and how many go on.

    Args:
        places: As `conservation.lay_out` takes them.
        ax: Axes to draw into; None makes a figure.
    """
    steps = lay_out(places)
    if ax is None:
        _, ax = plt.subplots(figsize=(8.5, 1.2 + 0.42 * len(steps)))
    at = np.arange(len(steps))
    inner = slice(1, len(steps) - 1)
    ax.barh(at[[0, -1]], steps.n_rows.iloc[[0, -1]], color=COLOURS["blue"])
    ax.barh(at[inner], steps.n_rows.iloc[inner], left=steps.n_left.iloc[inner], color=COLOURS["red"])
    came = int(steps.n_rows.iloc[0])
    for place, row in zip(at, steps.itertuples(), strict=True):
        end = row.n_left if place in (0, at[-1]) else row.n_left + row.n_rows
        share = "" if place == 0 or not row.n_rows else f"  ({_share(row.n_rows / came)})"
        ax.text(end + 0.01 * came, place, f"{row.n_rows:,}{share}", va="center", fontsize=9)
    ax.set_yticks(at, [place.replace("`", "") for place in steps.place])
    ax.invert_yaxis()
    ax.set_xlim(0, max(came, 1) * 1.3)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.locator_params(axis="x", nbins=5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("rows")
    kept = int(steps.n_rows.iloc[-1])
    ax.set_title(f"{kept:,} of {came:,} rows go on")
    return ax


def _share(share: float) -> str:
    return f"{share:.2%}" if share >= 0.0001 else "below 0.01%"
