"""Figures of size, looks, beliefs and bandits."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from journeybook.experiments.bandits import BanditStudy
from journeybook.plots import COLOURS
from journeybook.plots.experiments.effects import effect_on, in_points

RULES = {
    "naive": ("red", "stop at the first p below alpha"),
    "pocock": ("orange", "Pocock's bounds"),
    "obrien_fleming": ("green", "O'Brien and Fleming's bounds"),
    "always_valid": ("blue", "always-valid interval"),
}
ESTIMATORS = {"naive": "naive", "aipw": "inverse\nprobability", "adaptively_weighted": "adaptively\nweighted"}
POLICIES = {
    "fixed_split": ("grey", "fixed split"),
    "thompson": ("blue", "Thompson sampling"),
    "epsilon_greedy": ("orange", "epsilon-greedy"),
}


def plot_power(curve: pd.DataFrame, *, power: float, kinds: Mapping[str, str], ax: Axes | None = None) -> Axes:
    """Power against the true effect, a line a method, with the effect that is detected at the power wanted.

    Args:
        curve: `power_curve`: metric, variant, method, effect, power; one metric and variant.
        power: Probability wanted.
        kinds: Kind of each metric.
        ax: Where to draw; None makes a figure.
    """
    curve = in_points(curve, kinds=kinds)
    ax = ax or plt.subplots(figsize=(8.5, 3.6))[1]
    colours = [COLOURS[name] for name in ("grey", "blue", "green", "orange")]
    methods = list(curve.groupby("method", sort=False))
    for place, (colour, (method, part)) in enumerate(zip(colours, methods, strict=False)):
        ax.plot(part["effect"], part["power"], color=colour, label=str(method))
        reached = float(np.interp(power, part["power"], part["effect"]))
        ax.plot([reached, reached], [0, power], color=colour, linewidth=1, linestyle=":")
        ax.annotate(
            f"{reached:.3g}",
            (reached, 0.03 + 0.09 * place),
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
        )
    ax.axhline(power, color="black", linewidth=0.8)
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    first = curve.iloc[0]
    ax.set_xlabel(f"true {effect_on(first['metric'], kinds=kinds)} (difference to the control)")
    ax.set_ylabel("probability to detect it")
    ax.set_title(f"What the units of {first['variant']} and control can show")
    ax.legend(loc="lower right")
    return ax


def plot_followed(rows: pd.DataFrame, *, kinds: Mapping[str, str], ax: Axes | None = None) -> Axes:
    """One effect at each look with its naive interval, and the always-valid band around it.

    Args:
        rows: Rows of `effects_so_far` of one metric and variant.
        kinds: Kind of each metric.
        ax: Where to draw; None makes a figure.
    """
    rows = in_points(rows, kinds=kinds)
    ax = ax or plt.subplots(figsize=(8.5, 4))[1]
    n = rows["n"].to_numpy(dtype=float)
    ax.fill_between(
        n, rows["always_valid_low"], rows["always_valid_high"],
        color=COLOURS["sky"], alpha=0.35, label="always-valid interval",
    )  # fmt: skip
    group = rows[["group_low", "group_high"]]
    ax.plot(n, group, color=COLOURS["green"], linestyle="--", label=["group sequential interval", "_"])
    effect = rows["effect"]
    ends = [effect - rows["effect_low"], rows["effect_high"] - effect]
    ax.errorbar(
        n, effect, yerr=ends, fmt="o", markersize=4, capsize=2, color=COLOURS["grey"], label="naive interval"
    )
    ax.axhline(0, color="black", linewidth=1)
    # Early looks are so wide that they would flatten the others.
    tail = rows.iloc[len(rows) // 10 :]
    low, high = min(0, tail["always_valid_low"].min()), max(0, tail["always_valid_high"].max())
    ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    ax.xaxis.set_major_locator(MaxNLocator(8))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    first = rows.iloc[0]
    ax.set_xlabel("units assigned so far")
    ax.set_ylabel(effect_on(first["metric"], kinds=kinds))
    ax.set_title(f"{first['metric']}: effect of {first['variant']} as it stood at each look")
    ax.legend(loc="upper right", ncols=3, fontsize=9)
    return ax


def plot_looking(rates: pd.DataFrame, *, alpha: float, ax: Axes | None = None) -> Axes:
    """Share of experiments without effect that are called significant, by the number of looks and the rule.

    Args:
        rates: Of `looking`.
        alpha: Level of each look.
        ax: Where to draw; None makes a figure.
    """
    ax = ax or plt.subplots(figsize=(8.5, 4))[1]
    for method, (colour, label) in RULES.items():
        part = rates[rates["method"] == method]
        ax.plot(part["looks"], part["rate"], "o-", markersize=4, color=COLOURS[colour], label=label)
        last = part.iloc[-1]
        if method in ("naive", "always_valid"):
            ax.annotate(
                f"{last['rate']:.1%}", (last["looks"], last["rate"]),
                xytext=(0, 6), textcoords="offset points", ha="center",
            )  # fmt: skip
    ax.axhline(alpha, color="black", linewidth=0.8)
    ax.set_ylim(0, rates["rate"].max() * 1.3)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("looks, equally spaced over the experiment")
    ax.set_ylabel("experiments without effect\ncalled significant")
    ax.set_title("Looking early: what each rule of stopping does")
    ax.legend(loc="upper left", ncols=2, fontsize=9)
    return ax


def plot_posteriors(table: pd.DataFrame) -> Figure:
    """Posterior interval of each variant's effect, and the probability that it is the best, by metric.

    Args:
        table: Of `posteriors`.
    """
    metrics = list(dict.fromkeys(table["metric"]))
    n_arms = table["variant"].nunique()
    figure, axes = plt.subplots(
        len(metrics), 2, figsize=(8.8, len(metrics) * (1.3 + 0.35 * n_arms)), squeeze=False, sharey="row"
    )
    for (left, right), metric in zip(axes, metrics, strict=True):
        part = table[table["metric"] == metric].reset_index(drop=True)
        ends = [part["posterior_mean"] - part["posterior_low"], part["posterior_high"] - part["posterior_mean"]]
        left.errorbar(part["posterior_mean"], part.index, xerr=ends, fmt="o", capsize=3, color=COLOURS["blue"])
        left.set_yticks(part.index, part["variant"])
        left.set_ylim(len(part) - 0.5, -0.5)
        left.xaxis.set_major_locator(MaxNLocator(5))
        left.set_title(f"{metric}: posterior", fontsize=11)
        right.barh(part.index, part["probability_best"], height=0.5, color=COLOURS["sky"])
        for at, share in zip(part.index, part["probability_best"], strict=True):
            right.annotate(f"{share:.1%}", (share, at), xytext=(4, 0), textcoords="offset points", va="center")
        right.set_xlim(0, 1.18)
        right.set_xticks([0, 0.5, 1])
        right.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        right.set_title("probability to be best", fontsize=11)
        for ax in (left, right):
            ax.grid(visible=False, axis="y")
    return figure


def plot_bandits(study: BanditStudy, *, none: BanditStudy) -> Figure:
    """Regret over the units by policy; bias and coverage of each estimator where the arms do not differ.

    Args:
        study: Arms with the rates found.
        none: Arms of equal rates.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3.9))
    for policy, (colour, label) in POLICIES.items():
        part = study.path[study.path["policy"] == policy]
        left.plot(part["n"], part["regret"], color=COLOURS[colour], label=label)
    left.set_xlabel("units so far")
    left.xaxis.set_major_locator(MaxNLocator(3))
    left.xaxis.set_major_formatter("{x:,.0f}")
    left.set_title("Conversions lost to worse arms", fontsize=11)
    worst = none.worst()
    estimators = list(ESTIMATORS)
    for shift, (policy, (colour, _)) in zip((-0.22, 0, 0.22), POLICIES.items(), strict=True):
        part = worst[worst["policy"] == policy].set_index("estimator").loc[estimators]
        at = np.arange(len(part)) + shift
        look = {"fmt": "o", "markersize": 5, "capsize": 3, "color": COLOURS[colour]}
        middle.errorbar(at, 100 * part["bias"], yerr=196 * part["bias_error"], **look)
        right.errorbar(at, part["coverage"], yerr=1.96 * part["coverage_error"], **look)
    middle.axhline(0, color="black", linewidth=0.8)
    middle.set_title("Bias of an arm's mean, points", fontsize=11)
    right.axhline(1 - none.alpha, color="black", linewidth=0.8)
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.set_title("Intervals that hold the effect", fontsize=11)
    for ax in (middle, right):
        ax.set_xticks(range(len(estimators)), list(ESTIMATORS.values()), fontsize=9)
        ax.set_xlabel("arms without any difference")
    figure.legend(loc="outside upper center", ncols=3, fontsize=9)
    return figure
