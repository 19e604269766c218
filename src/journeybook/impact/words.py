"""What page 16 says beyond its figures' titles, computed from its results."""

import pandas as pd

from journeybook.findings import say_count, say_money, say_points, say_share
from journeybook.impact.goals import Goal
from journeybook.impact.increments import NOBODY, WITHIN, judged, twice_told
from journeybook.impact.returns import Balance

SHARES = ("responded", "opened", "clicked", "converted")
"""Metrics that are shares."""

MONEY = ("value", "spend", "revenue")
"""Metrics that are amounts."""


def say_effect(metric: str, effect: float, *, currency: str | None = None) -> str:
    """Return an effect in its metric's unit: points of a share, money, or a plain number."""
    if metric in MONEY:
        return say_money(round(effect, 2), currency=currency)
    return say_points(effect) if metric in SHARES else f"{effect:+.3g}"


def say_metric(metric: str) -> str:
    """Return what an effect is of, after its figure; nothing after money."""
    named = {"responded": "responses", "converted": "conversion"}
    return "" if metric in MONEY else f" of {named.get(metric, metric.replace('_', ' '))}"


def say_sources(decisions: pd.DataFrame, comparisons: pd.DataFrame, overlapping: pd.DataFrame) -> str:
    """What there is to measure by, and in one line what more it would take."""
    held = int(judged(decisions)["none"].sum())
    there = [f"{say_count(held)} of {say_count(len(decisions))} decisions were not to write"] if held else []
    there += [f"page 11 compared {len(comparisons)} times"] if len(comparisons) else []
    there += [f"{say_count(len(overlapping))} units were in tests at once"] if len(overlapping) else []
    lacks = [] if held else ["contacts left alone (channel none) with their propensity"]
    lacks += [] if len(comparisons) else ["an experiment, which page 11 compares"]
    text = f"{'; '.join(there).capitalize()}." if there else "Nothing here tells what was added."
    return f"{text} To say more, the page would need {' and '.join(lacks)}." if lacks else text


def say_impact(table: pd.DataFrame, goals: list[Goal]) -> str:
    """How many rows count, how many are within another or nobody's, and whose goals these are."""
    within, lost = (int((table["status"] == status).sum()) for status in (WITHIN, NOBODY))
    text = f"{len(table) - within - lost} rows count; {within} are within another, {lost} cannot be attributed."
    tops = [goal.name for goal in goals if not goal.part_of]
    if not tops:
        return f"{text} No file of goals is given (`goals`): each metric stands for itself, without a target."
    return f"{text} There are {len(goals)} goals, at the top {' and '.join(tops)}."


def say_same_people(found: pd.DataFrame, *, currency: str | None) -> str:
    """What messages add to a test's effect on people who are in both."""
    for row in found.itertuples():
        said = [say_effect(row.metric, end, currency=currency) for end in (row.effect, row.low, row.high)]
        told = "which may be nothing" if row.low <= 0 <= row.high else "so that the two must not be added"
        text = (
            f"On {say_count(row.n)} units of people in both, messages change the test's effect on {row.metric} by"
        )
        return f"{text} {said[0]} ({said[1]} to {said[2]}), {told}."
    return "Too few people are in the test and among the contacts to tell whether one changes the other."


def say_null(null: pd.DataFrame) -> str:
    """How often a campaign is called different, or better, where none is."""
    worst, n = null.loc[null["called"].idxmax()], say_count(null["n_worlds"].sum())
    called, better, most, error = map(say_share, (*null[["called", "better"]].mean(), *worst[["called", "error"]]))
    text = (
        f"Where static is as good, {called} of {n} worlds are called different (promised: 5.0%), {better} better"
    )
    return f"{text} (promised: 2.5%); at most, for {worst['case']}, {most} (Monte Carlo error {error})."


def say_balance(found: Balance, *, currency: str | None) -> str:
    """What was earned against what was spent, or up to which price it pays, and what is missing."""
    if found.gained[0] != found.gained[0]:
        return "What was earned cannot be told: that takes contacts with `value`, some left alone by chance."
    gained, most = (
        [say_money(round(x, 2), currency=currency) for x in of] for of in (found.gained, found.per_message)
    )
    text = (
        f"{say_count(found.n_messages)} messages gained {gained[0]} ({gained[1]} to {gained[2]}). They pay up to "
    )
    text += f"{most[0]} a message ({most[1]} to {most[2]}){', beside the costs given' if found.spent else ''}."
    if found.returned[0] == found.returned[0]:
        share = [say_share(x) for x in found.returned]
        text += f" The return on what was spent is {share[0]} ({share[1]} to {share[2]})."
    return text + (f" Not given: {', '.join(f'`{name}`' for name in found.missing)}." if found.missing else "")


def say_pitfall(effects: pd.DataFrame, programmes: pd.DataFrame) -> str:
    """What adding up would claim in the simulation, and here."""
    ratio, told = programmes["total"].iloc[0] / programmes["truth"].iloc[0], twice_told(effects)["effect"]
    text = f"SIMULATED, effects launched for being clear add up to {ratio:.2f} times what they bring."
    return text + (
        f" Here separate reports add up to {told.iloc[-3] / told.iloc[-2]:.2f} times." if len(told) else ""
    )


def say_claims(scored: pd.DataFrame, simulated: pd.DataFrame) -> str:
    """How many claims held; beside it what honest and chosen claims of a simulation did."""
    text = "No claim has met later data yet: nothing can be scored."
    if len(scored):
        text = f"**Of {len(scored)} claims at 95%, {int(scored['held'].sum())} held.**"
    parts = [f"{say_share(row.held / row.n)} where {row.kind}" for row in simulated.itertuples()]
    return f"{text} Of SIMULATED claims there hold {', '.join(parts)}."
