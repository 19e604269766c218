"""Figures of page 05: the evidence for groups, what sets segments apart, how people move."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.plots import COLOURS
from journeybook.segmentation import DEEP, STRONG, GroupCount

MAX_FEATURES = 20


def plot_evidence(count: GroupCount, *, n_segments: int) -> Figure:
    """Gap statistic, prediction strength with stability, and valleys, by the number of clusters."""
    evidence, n_groups = count.evidence, count.n_groups
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3.7))
    k = evidence["k"]
    left.errorbar(k, evidence["gap"], yerr=evidence["gap_se"], fmt="o-", capsize=3, color=COLOURS["blue"])
    left.set_title("Tighter than a box?", fontsize=11)
    left.set_ylabel("gap statistic ± one standard error")
    error = evidence["prediction_strength_se"]
    middle.errorbar(
        k,
        evidence["prediction_strength"],
        yerr=error,
        fmt="o-",
        capsize=3,
        color=COLOURS["blue"],
        label="strength",
    )
    middle.plot(k, evidence["stability"], "s--", color=COLOURS["orange"], label="stability")
    middle.axhline(STRONG, color=COLOURS["grey"], linewidth=1)
    middle.set_title("Found again by others?", fontsize=11)
    middle.set_ylabel("prediction strength, stability")
    middle.set_ylim(0, 1.05)
    middle.legend(fontsize=9, loc="lower left")
    right.plot(k, evidence["valley"], "v-", color=COLOURS["blue"])
    right.axhspan(0, DEEP, color=COLOURS["green"], alpha=0.15)
    right.text(k.iloc[-1], DEEP / 2, "a valley: groups", ha="right", va="center", fontsize=9)
    right.set_title("A valley between them?", fontsize=11)
    right.set_ylabel("people midway for one at a centre")
    right.set_ylim(0, max(1.2, 1.1 * float(evidence["valley"].max())))
    for ax in (left, middle, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlim(0.5, k.iloc[-1] + 0.5)
        ax.set_xlabel("number of clusters")
        ax.axvline(n_groups, color=COLOURS["red"], linewidth=1)
    said = "no groups, one cloud" if n_groups == 1 else f"{n_groups} groups"
    made = "" if n_groups == n_segments else f", cut into {n_segments} slices"
    figure.suptitle(f"Supported (red line): {said}{made}", x=0.01, ha="left", fontsize=12)
    return figure


def plot_profile(standardised: pd.DataFrame, profile: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """What sets each segment apart: feature means in standard deviations from everyone's.

    Args:
        standardised: Means by segment and feature; the 20 that differ most are drawn.
        profile: Table of the segments.
        ax: Where to draw; None makes a figure.
    """
    spread = np.ptp(standardised.to_numpy(), axis=0)
    drawn = np.sort(np.argsort(-spread, kind="stable")[:MAX_FEATURES])
    shown = standardised.iloc[:, drawn].T
    ax = ax or plt.subplots(figsize=(8.8, 1.6 + 0.3 * len(shown)))[1]
    limit = max(float(np.abs(shown.to_numpy()).max()), 1.0)
    image = ax.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    for (y, x), value in np.ndenumerate(shown.to_numpy()):
        ax.text(
            x,
            y,
            f"{value:+.1f}".replace("-0.0", "+0.0"),
            ha="center",
            va="center",
            fontsize=8,
            color=_ink(abs(value) / limit),
        )
    labels = [f"S{number + 1}\n{share:.0%}" for number, share in enumerate(profile["share"])]
    ax.set_xticks(range(len(labels)), labels)
    ax.set_yticks(range(len(shown)), shown.index)
    ax.grid(visible=False)
    ax.set_title("Segments, in standard deviations from everyone's mean")
    ax.figure.colorbar(image, ax=ax, shrink=0.8)
    return ax


def plot_movement(transitions: pd.DataFrame, sizes: pd.DataFrame) -> Figure:
    """Share of each segment by snapshot, and where people are one snapshot later.

    Args:
        transitions: Table of a `Movement`, with rows.
        sizes: Its sizes.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 4.0), width_ratios=(1.15, 1))
    names = list(dict.fromkeys(sizes["segment"]))
    for name, colour in zip(names, list(COLOURS.values()) * 3, strict=False):
        part = sizes[sizes["segment"] == name]
        left.plot(part["as_of"], part["share"], "o-", markersize=4, color=colour, label=name)
    left.set_ylim(0, 1.2 * float(sizes["share"].max()))
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.set_title("Size by snapshot")
    left.legend(ncols=min(len(names), 4), fontsize=9, loc="upper left")
    left.tick_params(axis="x", rotation=40)
    share, *ends = (
        transitions.pivot(index="source", columns="target", values=value)
        .reindex(index=names, columns=names)
        .to_numpy()
        for value in ("share", "low", "high")
    )
    right.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(share):
        if np.isfinite(value):
            text = f"{value:.1%}"
            if len(names) <= 3:
                text += f"\n{ends[0][y, x]:.1%} to {ends[1][y, x]:.1%}"
            right.text(x, y, text, ha="center", va="center", fontsize=8, color=_ink(value))
    right.set_xticks(range(len(names)), names)
    right.set_yticks(range(len(names)), names)
    right.grid(visible=False)
    right.set_xlabel("one snapshot later")
    right.set_ylabel("from")
    right.set_title("Where people go")
    return figure


def _ink(depth: float) -> str:
    return "white" if depth > 0.6 else "black"
