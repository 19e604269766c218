"""Figures of page 07 on deciding: what policies would have brought, and what messages add along two rankings."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from journeybook.channel_response.policy import Deciding
from journeybook.channel_response.uplift import Uplift
from journeybook.plots import COLOURS

_ESTIMATOR = {
    "ips": ("IPS", "grey", "v"),
    "snips": ("self-normalised IPS", "sky", "s"),
    "dr": ("doubly robust", "blue", "o"),
}
_RANKING = {"uplift": ("by effect", "green", "-"), "response": ("by response", "red", "--")}


def plot_policies(deciding: Deciding) -> Figure:
    """Gain over sending nothing per 1,000 decisions, with intervals: a panel a set of costs, a line a policy."""
    table = deciding.policy[deciding.policy["policy"] != "nothing"]
    names = list(dict.fromkeys(table["policy"]))[::-1]
    lists = list(dict.fromkeys(table["prices"]))
    rows = (len(lists) + 1) // 2
    figure, axes = plt.subplots(
        rows, min(2, len(lists)), figsize=(8.8, 1.2 + rows * (0.7 + 0.36 * len(names))), sharey=True, squeeze=False
    )
    for ax, prices in zip(axes.flat, lists, strict=False):
        part = table[table["prices"] == prices]
        for shift, (estimator, (label, colour, marker)) in zip((0.24, 0, -0.24), _ESTIMATOR.items(), strict=True):
            bars = part[part["estimator"] == estimator].set_index("policy").reindex(names)
            half = (bars["gain_per_1000_high"] - bars["gain_per_1000_low"]) / 2
            ax.errorbar(
                bars["gain_per_1000"],
                [place + shift for place in range(len(names))],
                xerr=half,
                fmt=marker,
                markersize=4.5,
                capsize=2.5,
                elinewidth=1.1,
                color=COLOURS[colour],
                label=label,
            )
        for place, name in enumerate(names):
            if part.loc[part["policy"] == name, "refused"].ne("").any():
                ax.text(0.02, place, "refused", transform=ax.get_yaxis_transform(), va="center", fontsize=9)
        ax.axvline(0, color="black", linewidth=1)
        sent = part[part["policy"] == "expected profit"]["sent_share"].iloc[0]
        ax.set_title(f"message costs {prices}\n(the policy writes at {sent:.0%})", fontsize=10)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.locator_params(axis="x", nbins=5)
        ax.grid(visible=False, axis="y")
    for ax in axes.flat[len(lists) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("gain over sending nothing, per 1,000 decisions", fontsize=9)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=9)
    return figure


def plot_uplift(found: Uplift, ax: Axes | None = None) -> Axes:
    """Responses that messages add, along a ranking by effect and one by response, with intervals."""
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
    ax.set_title("Whom a message moves: Qini curves on the test contacts")
    ax.legend(loc="upper left")
    return ax
