"""Figures of page 12; each title says what is seen."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from journeybook.experiment_design.bandits import BanditStudy
from journeybook.experiment_design.rules import Rules
from journeybook.experiment_design.words import ESTIMATORS, RULES
from journeybook.findings import say_count, say_share
from journeybook.plots import COLOURS, headed

LINES = {
    "naive": ("red", "o-"),
    "always_valid": ("blue", "s-"),
    "pocock": ("orange", "^--"),
    "obrien_fleming": ("green", "D:"),
}
METHODS = {"plain": ("grey", "-"), "with covariates": ("blue", "--")}
POLICIES = {
    "fixed_split": ("grey", "o", "fixed split"),
    "thompson": ("blue", "s", "Thompson sampling"),
    "epsilon_greedy": ("orange", "^", "epsilon-greedy"),
}


def plot_sizes(curves: pd.DataFrame, needed: pd.DataFrame, *, lift: float, ax: Axes | None = None) -> Axes:
    """The lift that a number of units finds, a line a method, with the planned one."""
    ax = ax or plt.subplots(figsize=(8.5, 3.6))[1]
    metric = curves["metric"].iloc[0]
    for row in needed[needed["metric"] == metric].itertuples():
        colour, line = METHODS[row.method]
        part = curves[curves["method"] == row.method]
        look = {"color": COLOURS[colour], "linestyle": line}
        label = row.method.replace("plain", "without covariates")
        ax.plot(part["n_units"], part["detectable_share"], label=label, **look)
        ax.plot([row.n_units] * 2, [0, lift], linewidth=1, **look)
    ax.axhline(lift, color="black", linewidth=0.8)
    ax.set_xscale("log")
    ax.set_ylim(0, 4 * lift)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda n, _: say_count(n)))
    ax.xaxis.set_minor_formatter("")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    ax.set_xlabel("units of all arms")
    ax.set_ylabel("smallest lift that is found")
    best = needed[needed["metric"] == metric]["n_units"].min()
    ax.set_title(f"{say_count(best)} units find a lift of {say_share(lift)} in {metric.replace('_', ' ')}")
    ax.legend(loc="upper right")
    return ax


def plot_rules(rules: Rules) -> Figure:
    """False positives by the number of looks, and units planned and used, by the rule of stopping."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.9), width_ratios=(3, 2))
    for rule, (colour, line) in LINES.items():
        part = rules.errors[rules.errors["rule"] == rule]
        look = {"markersize": 4, "color": COLOURS[colour], "label": RULES[rule]}
        left.plot(part["looks"], part["false_positive_share"], line, **look)
    left.axhline(rules.alpha, color="black", linewidth=0.8)
    left.set_ylim(0, 1.6 * rules.errors["false_positive_share"].max())
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_xlabel("looks taken")
    left.set_ylabel("false positives")
    left.legend(loc="upper left", fontsize=8)
    costs, at = rules.costs, np.arange(len(rules.costs))
    bars = [("size_ratio", "planned", "sky", "black", -0.2)]
    bars += [("expected_ratio", "used on average", "blue", "white", 0.2)]
    for column, label, colour, ink, shift in bars:
        right.barh(at + shift, costs[column], height=0.36, color=COLOURS[colour], label=label)
        for y, ratio in zip(at + shift, costs[column], strict=True):
            right.text(ratio - 0.03, y, f"{ratio:.2f}", ha="right", va="center", color=ink)
    right.axvline(1, color="black", linewidth=0.8, zorder=0)
    names = {"always_valid": "always-valid", "pocock": "Pocock", "obrien_fleming": "O'Brien\nand Fleming"}
    right.set_yticks(at, [names[rule] for rule in costs["rule"]])
    right.set_xlim(0, 1.25 * costs["size_ratio"].max())
    right.set_ylim(len(costs) - 0.4, -1.1)
    right.grid(visible=False, axis="y")
    right.set_xlabel("units, where one look needs 1")
    right.legend(loc="upper left", ncols=2, fontsize=8)
    naive = rules.errors.loc[rules.errors["rule"] == "naive", "false_positive_share"].iloc[-1]
    title = f"{len(rules.bounds)} naive looks err in {say_share(naive)}; rules made for it hold {rules.alpha:.0%}"
    headed(figure, title)
    return figure


def plot_bandits(earned: BanditStudy, *, none: BanditStudy) -> Figure:
    """Regret over the units by policy; bias and coverage of each estimator where the arms do not differ."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 4.1))
    worst, estimators = none.worst(), list(ESTIMATORS)
    for shift, (policy, (colour, marker, label)) in zip((-0.22, 0, 0.22), POLICIES.items(), strict=True):
        path = earned.path[earned.path["policy"] == policy]
        look = {"color": COLOURS[colour], "marker": marker, "markersize": 5}
        left.plot(path["n"], path["regret"], label=label, markevery=5, **look)
        part = worst[worst["policy"] == policy].set_index("estimator").loc[estimators]
        at, errors = np.arange(len(part)) + shift, {"linestyle": "", "capsize": 3, **look}
        middle.errorbar(at, 100 * part["bias"], yerr=196 * part["bias_error"], **errors)
        right.errorbar(at, part["coverage"], yerr=1.96 * part["coverage_error"], **errors)
    left.set_xlabel("units so far")
    left.xaxis.set_major_locator(MaxNLocator(3))
    left.xaxis.set_major_formatter(FuncFormatter(lambda n, _: say_count(n)))
    left.set_title("Conversions lost to the worse arm", fontsize=10)
    middle.axhline(0, color="black", linewidth=0.8)
    middle.set_title("Bias of an arm's mean, points", fontsize=10)
    right.axhline(1 - none.alpha, color="black", linewidth=0.8)
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    right.set_title("Intervals that hold the effect", fontsize=10)
    for ax in (middle, right):
        ax.set_xticks(
            range(len(estimators)), [name.replace(" ", "\n") for name in ESTIMATORS.values()], fontsize=8
        )
        ax.set_xlabel("arms without any difference")
    lost = earned.policies.set_index("policy")["regret"]
    saved = say_share(1 - lost["thompson"] / lost["fixed_split"])
    naive = worst[(worst["policy"] != "fixed_split") & (worst["estimator"] == "naive")]["coverage"].min()
    title = f"Thompson sampling loses {saved} less, but naive intervals after it miss {say_share(1 - naive)}"
    headed(figure, title)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure
