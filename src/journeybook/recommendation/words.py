"""Titles, sentences and headline figures of page 13."""

import pandas as pd

from journeybook.findings import say_count, say_group, say_interval, say_names, say_share
from journeybook.recommendation import methods as ways
from journeybook.recommendation.judging import Chosen, Judged, Known
from journeybook.recommendation.lists import ANY, NEW
from journeybook.recommendation.online import N_SHOPS, Online
from journeybook.recommendation.purchases import Purchases


def versus(judged: Judged, task: str) -> pd.Series:
    """Return the best method beside the best baseline, the sign turned for the first; itself where it is one."""
    best, baseline = judged.best[task]
    pairs = judged.pairs[judged.pairs["task"] == task]
    row = pairs[pairs[["method", "other"]].isin([best, baseline]).all(axis=1)]
    if best == baseline:  # The best method that is no baseline comes second.
        others = judged.table[(judged.table["task"] == task) & ~judged.table["method"].isin(ways.BASELINES)]
        best = str(others["method"].iloc[0])
        row = pairs[pairs[["method", "other"]].isin([best, baseline]).all(axis=1)]
    found = row.iloc[0].copy()
    if found["method"] != best:
        low, high = -found["difference_high"], -found["difference_low"]
        found["method"], found["other"], found["difference"] = best, baseline, -found["difference"]
        found["difference_low"], found["difference_high"] = low, high
    return found


def say_way(name: str) -> str:
    """Return a method's name in a sentence."""
    return {ways.REPEAT: "each customer's own repeat purchases", ways.HYBRID: "the hybrid"}.get(name, name)


def title_ways(judged: Judged) -> str:
    """Return what the time after the split says of the methods."""
    return f"{_title(judged, ANY)}; of what is new to them, {_title(judged, NEW)}"


def _title(judged: Judged, task: str) -> str:
    one = versus(judged, task)
    method, other = say_way(one["method"]), say_way(one["other"])
    if one["p_adjusted"] >= 0.05:
        return f"{method} foresees no better than {other}"
    if one["difference"] < 0:
        return f"no method foresees as well as {other}"
    return f"{method} foresees better than {other}"


def say_purchases(purchases: Purchases, known: Known) -> str:
    """Return how much there is, and what is offered."""
    told = f"{say_count(len(purchases.people))} people bought {say_count(len(purchases.products))} products"
    drawn = f" ({say_share(purchases.sample_share)} of the people, drawn by lot)" * (purchases.sample_share < 1)
    out = [f"{say_count(n)} {why}" for why, n in known.catalogue.left_out.items() if n]
    left = f" Not offered: {say_names(out)}." if out else ""
    return f"{told}{drawn}. {say_count(len(known.catalogue.products))} may be offered.{left}"


def say_chosen(chosen: Chosen) -> str:
    """Return what the window chose."""
    stack = chosen.stacks[ANY]
    half = f"Chosen in the window: a half-life of {chosen.settings.half_life_days:g} days"
    told = f"{half} and a ridge of {chosen.settings.ridge:g} for EASE."
    return told if stack is not None else f"{told} Too little was bought in it to learn weights for a hybrid."


def say_ways(judged: Judged, *, k: int) -> str:
    """Return what a list holds, and how the two comparisons that decide came out."""
    first = judged.table.set_index(["task", "method"]).loc[(ANY, judged.best[ANY][0])]
    clear = int((judged.pairs["p_adjusted"] < 0.05).sum())
    told = []
    for one in (versus(judged, task) for task in (ANY, NEW)):
        gap = say_interval("{:.4f}".format, one["difference_low"], one["difference_high"])
        told.append(f"{one['method']} less {one['other']} {one['difference']:.4f} of nDCG ({gap})")
    return (
        f"Of {len(judged.pairs)} pairs, {clear} differ by more than chance (Holm, 5%): of any purchase {told[0]}, "
        f"of new ones {told[1]}. Of what people buy in the weeks after, the best list of {k} holds "
        f"{say_share(first['recall'])}."
    )


def say_whom(kind: str, group: str) -> str:
    """Return a group of people in a sentence.

    >>> say_whom("segment", "1 frequent"), say_whom("born in", "1960s"), say_whom("history", "5 to 19 days")
    ('in the segment frequent', 'born in the 1960s', 'with a history of 5 to 19 days')
    """
    begun = {"segment": "in the segment", "born in": "born in the"}.get(kind, "with a history of")
    return f"{begun} {say_group(group) if kind == 'segment' else group}"


def title_groups(groups: pd.DataFrame) -> str:
    """Return who is served worse than by popularity."""
    worse = groups[groups["difference_high"] < 0]
    if len(worse):
        return f"{say_names([*map(say_whom, worse['kind'], worse['group'])])} would be served better by popularity"
    most = groups.loc[groups["worse_share"].idxmax()]
    told = f"of people {say_whom(most['kind'], most['group'])}, {say_share(most['worse_share'])} are"
    return f"No group is clearly served worse than by popularity; {told}"


def say_product_age(ages: pd.DataFrame) -> str:
    """Return how much of what is new to people is new to everybody."""
    fresh, unseen = ages["bought_share"].iloc[1:]
    listed = ages.iloc[1].drop(["age", "n_bought", "bought_share"]).max()
    return (
        f"Of purchases new to their person, {say_share(unseen)} are of products that nobody had bought before the "
        f"split: no list can hold them. Of the {say_share(fresh)} that are new on sale, the best method listed "
        f"{say_share(listed)}."
    )


def title_online(online: Online) -> str:
    """Return how often past purchases foresaw the best list."""
    return f"Past purchases named the truly best list in {online.n_agreed} of {N_SHOPS} simulated shops"


def say_online(online: Online) -> str:
    """Return what the simulated step tells."""
    units, replay = online.units.set_index("design")["n_visits"], online.replay
    held = replay["true_rate"].between(replay["replayed_rate_low"], replay["replayed_rate_high"]).sum()
    return (
        "SIMULATED. To tell one shop's best list from its worst, interleaving needs "
        f"{say_count(units['interleaving'])} visits and an A/B test {say_count(units['A/B'])}. Intervals from a "
        f"replayed log hold {held} of {len(replay)} true rates."
    )


def title_pitfalls(pitfalls: pd.DataFrame) -> str:
    """Return which pitfall flatters most."""
    worst = pitfalls.loc[(pitfalls["flattered"] - pitfalls["honest"]).idxmax()]
    told = f"{say_share(worst['honest'])} looks like {say_share(worst['flattered'])}"
    return f"{worst['pitfall']}: a {worst['measure']} of {told}"


def headline(
    judged: Judged, purchases: Purchases, recommendations: pd.DataFrame, online: Online
) -> dict[str, float]:
    """Return the page's headline figures."""
    table = judged.table.set_index(["task", "method"])
    told: dict[str, float] = {"n_people": len(purchases.people), "n_recommendations": len(recommendations)}
    for task, name in ((ANY, "any"), (NEW, "new")):
        best, baseline = judged.best[task]
        told |= {f"ndcg_{name}": table.loc[(task, best), "ndcg"], f"hit_{name}": table.loc[(task, best), "hit"]}
        told |= {f"ndcg_{name}_baseline": table.loc[(task, baseline), "ndcg"]}
    units = online.units.set_index("design")["n_visits"]
    return told | {"interleaving_visits": int(units["interleaving"]), "ab_visits": int(units["A/B"])}
