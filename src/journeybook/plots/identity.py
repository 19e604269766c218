"""Figures of page 03: what agreements tell, which pairs are linked, and how well."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from journeybook.identity import LinkageModel
from journeybook.plots import COLOURS, headed


def plot_weights(model: LinkageModel, ax: Axes | None = None) -> Axes:
    """Draw how much each level of agreement counts for or against a match, in bits, a line a field."""
    weights = model.weights
    fields = list(dict.fromkeys(weights.field))
    ax = ax or plt.subplots(figsize=(8.5, 1.2 + 0.36 * max(len(fields), 2)))[1]
    for place, (_, part) in enumerate(weights.groupby("field", sort=False)):
        ax.hlines(place, part.weight_bits.min(), part.weight_bits.max(), color=COLOURS["grey"], linewidth=1)
        colours = np.where(part.weight_bits > 0, COLOURS["blue"], COLOURS["red"])
        ax.scatter(part.weight_bits, [place] * len(part), color=colours, zorder=2)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(fields)), [_said(field) for field in fields])
    ax.set_ylim(len(fields) - 0.5, -0.5)
    ax.set_xlabel("weight of each level of agreement, in bits: against one person, and for it")
    if len(weights):
        strongest = weights.loc[weights.weight_bits.idxmax()]
        headed(ax, f"Strongest evidence for one person: {_said(strongest.field)} {strongest.label}")
    ax.grid(axis="y", visible=False)
    return ax


def plot_curve(curve: pd.DataFrame, threshold: float, ax: Axes | None = None) -> Axes:
    """Draw precision and recall by threshold, on the log-odds scale."""
    ax = ax or plt.subplots(figsize=(8.5, 3.8))[1]
    odds = np.log10(curve.threshold / (1 - curve.threshold))
    ax.plot(
        odds, curve.precision, marker="o", color=COLOURS["blue"], label="precision: linked pairs that are right"
    )
    ax.plot(odds, curve.recall, marker="s", color=COLOURS["orange"], label="recall: true pairs that are linked")
    if 0 < threshold < 1:
        ax.axvline(np.log10(threshold / (1 - threshold)), color="black", linestyle="--", linewidth=1)
    ax.set_xticks(odds, [f"{value:.4g}" for value in curve.threshold])
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("probability from which a pair is linked (dashed: this page's)")
    here = curve.loc[(curve.threshold - threshold).abs().idxmin()]
    headed(ax, f"Copies of known truth: {here.precision:.1%} of links are right, {here.recall:.1%} of pairs found")
    ax.figure.legend(*ax.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9)
    return ax


def plot_calibration(bins: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the share of pairs that are one person by the probability they were given, with intervals."""
    ax = ax or plt.subplots(figsize=(8.5, 3.8))[1]
    place = np.arange(len(bins))
    ends = np.abs(bins[["right_share_low", "right_share_high"]].to_numpy().T - bins.right_share.to_numpy())
    ax.errorbar(
        place,
        bins.right_share,
        yerr=ends,
        fmt="o",
        color=COLOURS["blue"],
        capsize=4,
        label="one person in truth, 95% interval",
    )
    ax.plot(place, bins.expected_share, "D", color=COLOURS["orange"], label="mean probability given")
    ax.set_xticks(
        place, [f"from {one:g}\n{n:,} pairs" for one, n in zip(bins.probability_from, bins.n_pairs, strict=True)]
    )
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    n_in = int(bins.expected_share.between(bins.right_share_low, bins.right_share_high).sum())
    headed(ax, f"In {n_in} of {len(bins)} bins the mean probability lies within the interval of the truth")
    ax.legend(loc="lower right")
    return ax


def _said(field: str) -> str:
    return field.replace(" + ", " and ").replace("_", " ")
