"""Figures of 01 Collection."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from journeybook.collection import PURPOSE_WORDS, Consent, title_consent
from journeybook.plots import COLOURS


def plot_consent(consent: Consent, ax: Axes | None = None) -> Axes:
    """Draw the share of those who had decided that permits each purpose, over time."""
    if ax is None:
        _, ax = plt.subplots(figsize=(8.5, 4.4))
    by_purpose = consent.shares.pivot(index="as_of", columns="purpose", values="permitted_share")
    ordered = by_purpose.iloc[-1].sort_values(ascending=False).index
    # Yellow lines and letters cannot be read on white.
    colours = [colour for name, colour in COLOURS.items() if name != "yellow"]
    for colour, purpose in zip(colours, ordered, strict=False):
        ax.plot(by_purpose.index, by_purpose[purpose], color=colour, marker="o", markersize=3)
    ends = _spread(by_purpose[ordered].iloc[-1].to_numpy(), least=0.045)
    for colour, purpose, height in zip(colours, ordered, ends, strict=False):
        share = by_purpose[purpose].iloc[-1]
        ax.annotate(
            f"{PURPOSE_WORDS[purpose]}  {share:.0%}",
            (by_purpose.index[-1], height),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
            weight="bold",
            annotation_clip=False,
        )
    ax.set_ylim(0, 1.04)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_ylabel("permit it, of those who decided")
    ax.set_title(title_consent(consent))
    ax.tick_params(axis="x", rotation=20)
    return ax


def _spread(heights: np.ndarray, *, least: float) -> np.ndarray:
    """Return heights moved down just enough that labels at them do not touch; they come in descending order."""
    moved = heights.copy()
    for k in range(1, len(moved)):
        moved[k] = min(moved[k], moved[k - 1] - least)
    return moved
