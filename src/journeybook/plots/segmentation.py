"""Figures of page 05: the evidence for groups, what sets segments apart, how people move."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.findings import say_feature
from journeybook.plots import COLOURS, headed
from journeybook.segmentation import (
    DEEP,
    STRONG,
    GroupCount,
    Movement,
    Segmentation,
    title_count,
    title_movement,
    title_profile,
    title_usefulness,
)

MAX_FEATURES = 20


def plot_evidence(count: GroupCount, *, n_segments: int) -> Figure | None:
    """Valleys between clusters and in single features, and stability, by the number of clusters; None of one."""
    evidence, k = count.evidence, count.evidence["k"]
    if len(k) < 2:
        return None
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3.7))
    top = max(1.2, 1.1 * float(evidence["valley"].max()), 1.1 * float(count.alone["valley"].max()))
    left.plot(k, evidence["valley"], "v-", color=COLOURS["blue"])
    left.set(title="A valley (green) between them?", ylabel="people midway for one at a centre", ylim=(0, top))
    middle.plot(k, evidence["stability"], "s-", color=COLOURS["blue"])
    middle.axhline(STRONG, color=COLOURS["grey"], linewidth=1)
    middle.set(title="Cut again alike?", ylabel="agreement of halves (1 is perfect)", ylim=(0, 1.05))
    alone = np.sort(count.alone["valley"].to_numpy())
    right.plot(np.arange(1, len(alone) + 1), alone, "o", color=COLOURS["blue"])
    right.set(title="A valley in one feature?", xlabel="features, deepest first", ylim=(0, top))
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in (left, right):
        ax.axhspan(0, DEEP, color=COLOURS["green"], alpha=0.15)
    for ax in (left, middle):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlim=(0.5, k.iloc[-1] + 0.5), xlabel="number of clusters")
        ax.axvline(count.n_groups, color=COLOURS["red"], linewidth=1)
    for ax in (left, middle, right):
        ax.title.set_fontsize(11)
    said = f"{title_count(count, n_segments=n_segments)} (red line: groups that the data support)"
    headed(figure, said)
    return figure


def plot_usefulness(uses: pd.DataFrame) -> Figure | None:
    """What each predictor explains of each outcome of the next quarter, with intervals; None without outcomes."""
    targets = list(dict.fromkeys(uses["target"]))
    if not targets:
        return None
    figure, axes = plt.subplots(1, len(targets), figsize=(9, 2.9), squeeze=False, sharey=True)
    for ax, target in zip(axes[0], targets, strict=True):
        rows = uses[uses["target"] == target]
        place, share = np.arange(len(rows))[::-1], rows["explained"].to_numpy()
        apart = np.maximum([share - rows["low"].to_numpy(), rows["high"].to_numpy() - share], 0)
        ax.errorbar(share, place, xerr=apart, fmt="o", capsize=3, color=COLOURS["blue"])
        ax.axvline(0, color=COLOURS["grey"], linewidth=1)
        ax.set_yticks(place, rows["predictor"].str.replace("n_baskets_91d", say_feature("n_baskets_91d")))
        ax.set(title=f"Next quarter's {target}", xlabel="share explained out of sample")
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    headed(figure, title_usefulness(uses))
    return figure


def plot_profile(found: Segmentation, ax: Axes | None = None) -> Axes:
    """What sets each segment apart: means of up to 20 features in standard deviations from everyone's."""
    values = found.standardised.to_numpy()
    drawn = np.sort(np.argsort(-np.ptp(values, axis=0), kind="stable")[:MAX_FEATURES])
    shown = values[:, drawn].T
    ax = ax or plt.subplots(figsize=(8.8, 1.8 + 0.3 * len(shown)))[1]
    limit = max(float(np.abs(shown).max()), 1.0)
    ax.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    for (y, x), value in np.ndenumerate(shown):
        said = f"{value:+.1f}".replace("-0.0", "+0.0")
        ax.text(x, y, said, ha="center", va="center", fontsize=8, color=_ink(abs(value) / limit))
    labels = [f"{name}\n{share:.0%}" for name, share in zip(found.names, found.profile["share"], strict=True)]
    ax.set_xticks(range(len(labels)), labels)
    ax.set_yticks(range(len(shown)), [say_feature(found.preparation.columns[at]) for at in drawn])
    ax.grid(visible=False)
    headed(ax, title_profile(found))
    ax.set_xlabel("standard deviations from everyone's mean")
    return ax


def plot_movement(moves: Movement) -> Figure:
    """Share of each segment by snapshot, and where people are one snapshot later."""
    sizes = moves.sizes
    names = list(dict.fromkeys(sizes["segment"]))
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 4.2), width_ratios=(1.15, 1))
    for name, colour, marker in zip(names, list(COLOURS.values()) * 3, "osv^D<>PX*" * 3, strict=False):
        part = sizes[sizes["segment"] == name]
        left.plot(part["as_of"], part["share"], marker + "-", markersize=4, color=colour, label=name)
    left.set(ylim=(0, 1.25 * float(sizes["share"].max())), title="Share of people by snapshot")
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.legend(ncols=min(len(names), 3), fontsize=9, loc="upper left")
    left.tick_params(axis="x", rotation=40)
    right.set(title="Where people go", xlabel="one snapshot later", ylabel="from")
    right.grid(visible=False)
    if moves.n_steps:
        share = moves.transitions.pivot(index="source", columns="target", values="share").to_numpy()
        right.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (y, x), value in np.ndenumerate(share):
            if np.isfinite(value):
                right.text(x, y, f"{value:.1%}", ha="center", va="center", fontsize=8, color=_ink(value))
        right.set_xticks(range(len(names)), names, rotation=0 if len(names) <= 3 else 40)
        right.set_yticks(range(len(names)), names)
    headed(figure, title_movement(moves))
    return figure


def _ink(depth: float) -> str:
    return "white" if depth > 0.6 else "black"
