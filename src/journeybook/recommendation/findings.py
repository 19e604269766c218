"""What page 13 found, for whoever decides."""

from collections.abc import Iterator

import pandas as pd

from journeybook.findings import Finding, say_count, say_share, size, strength_of
from journeybook.recommendation.judging import Judged
from journeybook.recommendation.lists import ANY, NEW
from journeybook.recommendation.online import N_SHOPS, Online
from journeybook.recommendation.words import say_way, say_whom, title_online, versus

JUDGED = "Which method foresees what people buy?"
GROUPS = "Whom does it serve?"
ONLINE = "What would a step online tell?"


def find(judged: Judged, groups: pd.DataFrame, online: Online) -> list[Finding]:
    """Return the page's findings."""
    return [*_best(judged), *_discoveries(judged), *_worse(groups), *_online(online)]


def _best(judged: Judged) -> Iterator[Finding]:
    for task, what in ((ANY, "all that people buy"), (NEW, "what they never bought before")):
        one = versus(judged, task)
        scale = float(judged.table.set_index(["task", "method"]).loc[(task, one["other"]), "ndcg"])
        low, high = one["difference_low"], one["difference_high"]
        reach = 1.96 * one["error"]
        strength = strength_of(low, high, before=(one["difference"] - reach, one["difference"] + reach))
        method, other = say_way(one["method"]), say_way(one["other"])
        gain = one["difference"] / scale
        if strength == "cannot be told":
            text = f"For {what}, no method beats {other}: {method} differs by {say_share(abs(gain))} of nDCG."
            action = f"Show {other}: nothing finer has paid here."
        elif gain < 0:
            text = f"For {what}, no method is as good as {other}: {method} has {say_share(-gain)} less nDCG."
            action = f"Show {other}."
        else:
            text = f"For {what}, {method} beats {other} by {say_share(gain)} of nDCG."
            little = " The gain is small: weigh it against its upkeep." if gain < 0.05 else ""
            action = f"Show the lists of {method}, and test them.{little}"
        yield Finding(
            text=text,
            action=action,
            strength=strength,
            worth=2,
            section=JUDGED,
            **size(gain, low / scale, high / scale, "share"),
        )


def _discoveries(judged: Judged) -> Iterator[Finding]:
    told = judged.table.set_index(["task", "method"])["hit"]
    both = [float(told[task, judged.best[task][0]]) for task in (ANY, NEW)]
    n = len(judged.people[ANY])
    yield Finding(
        text=f"Of {say_count(n)} customers, {say_share(both[0])} bought something on their list; of lists of new "
        f"products alone, {say_share(both[1])} held a discovery.",
        action="Never call a repeat a discovery: report both figures apart.",
        strength="counted",
        worth=3,
        section=JUDGED,
        value=both[1],
        unit="share",
    )


def _worse(groups: pd.DataFrame) -> Iterator[Finding]:
    if groups.empty:
        return
    worse = groups[groups["difference_high"] < 0]
    most = groups.loc[(worse if len(worse) else groups)["difference"].idxmin()]
    among = f"For people {say_whom(most['kind'], most['group'])}, lists"
    text = f"{among} gain least on popularity's: {most['difference']:.3f} of nDCG"
    if len(worse):
        text = f"{among} are worse than popularity's by {-most['difference']:.3f} of nDCG"
    yield Finding(
        text=f"{text}; {say_share(most['worse_share'])} of them would be better off with popularity.",
        action="Show them popular products." if len(worse) else "No group needs a list of its own.",
        strength=strength_of(most["difference_low"], most["difference_high"]),
        worth=1 if len(worse) else 3,
        section=GROUPS,
        **size(most["difference"], most["difference_low"], most["difference_high"], "nDCG"),
    )


def _online(online: Online) -> Iterator[Finding]:
    units = online.units.set_index("design")["n_visits"]
    ratio = float(units["A/B"] / units["interleaving"])
    often = online.n_agreed > N_SHOPS / 2
    yield Finding(
        text=f"{title_online(online)}: what used to be shown decides what was bought.",
        action=f"Decide online: there interleaving needed one visit where an A/B test needed {ratio:.1f}.",
        strength="known answer recovered" if often else "contradicted",
        worth=3,
        section=ONLINE,
        value=online.n_agreed / N_SHOPS,
        unit="share",
    )
