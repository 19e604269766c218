"""Figures of page 14: what policies would have brought, whom messages move, who would be chosen."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.decisions import words
from journeybook.decisions.findings import unlike_groups
from journeybook.decisions.policy import Deciding
from journeybook.decisions.uplift import Uplift
from journeybook.plots import COLOURS, draw_intervals, headed, shortened
from journeybook.statistics.fairness import RULES, Fairness

_RANKING = {"uplift": ("by effect", "green", "-"), "response": ("by response", "red", "--")}


def plot_policies(deciding: Deciding, ax: Axes | None = None) -> Axes | None:
    """Gain over sending nothing per 1,000 contacts, a line a policy, at the first set of costs; or None."""
    if deciding.why_not:
        return None
    shown = words.policies_beside_today(deciding).iloc[::-1].reset_index(drop=True)
    ax = ax or plt.subplots(figsize=(8.5, 1.4 + 0.36 * len(shown)))[1]
    told = shown[shown["refused"] == ""]
    draw_intervals(ax, told, "gain_per_1000", told.index, colour="blue")
    for place in shown.index[shown["refused"] != ""]:
        ax.text(0.02, place, "refused", transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(shown.index, shown["policy"])
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.grid(visible=False, axis="y")
    money = deciding.currency or "money"
    ax.set_xlabel(f"gain over sending nothing, {money} per 1,000 contacts (95% interval)")
    headed(ax, words.title_policies(deciding))
    return ax


def plot_uplift(found: Uplift, ax: Axes | None = None) -> Axes | None:
    """Responses that messages add, along a ranking by effect and one by response; None where untold."""
    if found.why_not:
        return None
    ax = ax or plt.subplots()[1]
    for ranking, (label, colour, line) in _RANKING.items():
        part = found.curve[found.curve["ranking"] == ranking]
        area = found.rankings.set_index("ranking").loc[ranking, "qini"]
        share = part["contacted_share"]
        ax.fill_between(
            share, part["added_per_1000_low"], part["added_per_1000_high"], color=COLOURS[colour], alpha=0.13, lw=0
        )
        ax.plot(share, part["added_per_1000"], line, color=COLOURS[colour], label=f"{label}: Qini {area:.1f}")
    whole = part["added_per_1000"].iloc[-1]
    ax.plot([0, 1], [0, whole], color=COLOURS["grey"], linewidth=1, label="at random")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel("share sent a message, first in the ranking first")
    ax.set_ylabel("responses added per 1,000 contacts")
    ax.set_title(words.title_uplift(found))
    ax.legend(loc="upper left")
    return ax


def plot_fairness(fair: Fairness) -> Figure | None:
    """Selection, true positives and calibration of each group, under each rule; None without two groups."""
    if fair.groups.empty:
        return None
    names = list(dict.fromkeys(fair.groups["group"]))
    figure, axes = plt.subplots(1, 3, figsize=(8.9, 1.7 + 0.42 * len(names)), sharey=True)
    titles = {
        "selection_rate": "chosen, of all",
        "true_positive_rate": "chosen, of the responders",
        "calibration_gap": "response rate less probability",
    }
    for ax, (measure, title) in zip(axes, titles.items(), strict=True):
        rules = RULES[:1] if measure == "calibration_gap" else RULES
        for i, rule in enumerate(rules):
            part = fair.groups[fair.groups["rule"] == rule].set_index("group").loc[names]
            at = np.arange(len(names)) + ((i - 1) * 0.22 if len(rules) > 1 else 0)
            colour = ("blue", "orange", "green")[i]
            draw_intervals(ax, part, measure, at, colour=colour, fmt="os^"[i], label=rule)
        if measure == "calibration_gap":
            ax.axvline(0, color="black", linewidth=0.8)
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.locator_params(axis="x", nbins=5)
        ax.set_title(title, fontsize=10.5)
        ax.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(names)), [*shortened(names).values()])
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    axes[1].set_xlabel("95% interval, clustered on people")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=9)
    headed(figure, unlike_groups(fair)[0].text.rstrip("."))
    return figure
