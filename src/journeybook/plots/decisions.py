"""Figures of page 14: what policies would have brought, whom messages move, who would be chosen."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.decisions import words
from journeybook.decisions.carrying import Carried
from journeybook.decisions.choices import NO_CONTACT
from journeybook.decisions.findings import unlike_groups
from journeybook.decisions.policy import Deciding
from journeybook.decisions.uplift import Uplift
from journeybook.findings import say_share
from journeybook.plots import COLOURS, draw_intervals, headed, shortened
from journeybook.statistics.fairness import RULES, Fairness

NOTHING_SENT, HELD_OUT = "nothing", "held out by lot"

_WHAT = [COLOURS[name] for name in ("blue", "orange", "green", "purple", "sky", "yellow", "red")]

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


def plot_decided(carried: Carried, axes: Sequence[Axes] | None = None) -> Figure | None:
    """How many people each rule sends what, or nothing, a panel a slot; None where no rules are carried out."""
    if carried.decided is None:
        return None
    counts, slots = carried.counts, [*carried.decided.rules.slots]
    rules = [*(rule.name for rule in carried.decided.rules.tried), ""]
    whats = dict(zip(sorted(set(counts["channel"]) - {NO_CONTACT}), _WHAT, strict=False))
    whats |= {NOTHING_SENT: "lightgrey", HELD_OUT: COLOURS["grey"]}
    counts["what"] = counts["channel"].where(counts["channel"] != NO_CONTACT, NOTHING_SENT)
    counts["what"] = counts["what"].mask(counts["holdout"], HELD_OUT)
    if axes is None:
        axes = plt.subplots(1, len(slots), figsize=(8.9, 1.9 + 0.36 * len(rules)), sharey=True, squeeze=False)[1][
            0
        ]
    for ax, slot in zip(axes, slots, strict=True):
        start = np.zeros(len(rules))
        for what, colour in whats.items():
            part = counts[(counts["slot"] == slot) & (counts["what"] == what)].groupby("rule")["n_people"].sum()
            n = part.reindex(rules).fillna(0).to_numpy()
            ax.barh(range(len(rules)), n, left=start, color=colour, label=what, edgecolor="white", linewidth=0.5)
            start += n
        ax.set_title(slot, fontsize=10.5)
        ax.set_xlabel("people")
        ax.grid(visible=False, axis="y")
        ax.locator_params(axis="x", nbins=5)
    names = shortened([name or "no rule" for name in rules])
    axes[0].set_yticks(range(len(rules)), [names[name or "no rule"] for name in rules])
    axes[0].set_ylim(len(rules) - 0.5, -0.5)
    figure = axes[0].get_figure()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(whats), fontsize=9)
    n, every = (rows["n_people"].sum() for rows in (counts[counts["channel"] != NO_CONTACT], counts))
    headed(figure, f"{say_share(n / every)} of decisions send a message, each by one rule")
    return figure


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
