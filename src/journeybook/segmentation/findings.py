"""What the page found, for whoever decides."""

import re
from functools import partial

import numpy as np
import pandas as pd

from journeybook.findings import Finding, say_share
from journeybook.segmentation.groups import STRONG, GroupCount
from journeybook.segmentation.movement import Movement, Refitted
from journeybook.segmentation.references import Structureless, Unscaled
from journeybook.segmentation.segments import Segmentation
from journeybook.segmentation.words import missed

_COUNT, _APART = "How many groups do the data support?", "What sets the segments apart?"
_MOVE, _PITFALL = "How do people move?", "The pitfall: clusters made anew, and features in their own units"


def find(
    found: Segmentation,
    count: GroupCount,
    nothing: Structureless,
    moves: Movement,
    refitted: Refitted,
    plain: Unscaled,
    *,
    power: pd.DataFrame,
) -> list[Finding]:
    """Return the page's findings.

    Args:
        found: The segments.
        count: How many groups the data support.
        nothing: The same number of segments in clouds without groups.
        moves: Steps between snapshots.
        refitted: The same with segments made anew for each snapshot.
        plain: Segments of features in their own units.
        power: As `detection` returns it.
    """
    groups = [_groups(found, count, nothing), *_blind(count, power)]
    return [*groups, *_value(found), *_moves(found, moves, refitted), *_unscaled(found, plain)]


def _groups(found: Segmentation, count: GroupCount, nothing: Structureless) -> Finding:
    k, n, explained = found.n_segments, count.n_groups, found.explained_share
    about = partial(Finding, section=_COUNT, worth=2)
    if k == n == 1:
        text, action = "The customers are one cloud; no groups were found.", "Treat them as one population."
        return about(text=text, action=action, strength="cannot be told")
    sizes = f"{say_share(explained)} of the differences between customers, and "
    sizes += f"{say_share(float(np.mean(nothing.explained_share)))} where there are no groups"
    about = partial(about, value=explained, unit="share")
    if n == 1:
        text = f"The {k} segments are slices of one cloud: they explain {sizes}."
        action = "Treat them as ranges of one population, not as kinds of people."
        return about(text=text, action=action, strength="contradicted")
    if n != k:
        made = f"{k} segments" if k > 1 else "one segment"
        text = f"The data hold {n} groups of customers; on request the page made {made}."
        return about(text=text, action=f"Use {n} segments.", strength="contradicted")
    text = f"There are {n} groups of customers; they explain {sizes}."
    action = "Plan by them, and test whether treating them differently pays."
    return about(text=text, action=action, strength="suggestive")


def _blind(count: GroupCount, power: pd.DataFrame) -> list[Finding]:
    rows, n_all = missed(power), int(power.n_features.max())
    if count.n_groups > 1 or rows.empty:
        return []
    n = int(rows.n_features.max())
    many = f"up to {n} of {n_all} measures" if n > 1 else f"one of {n_all} measures"
    text = f"Groups of customers that differ in {many} only, even if far apart, would have been missed."
    action = "Do not rule such groups out: look at single measures before a plan for everyone."
    return [
        Finding(text=text, action=action, strength="cannot be told", worth=3, section=_COUNT, value=n,
                unit="measures", figure=None)
    ]  # fmt: skip


def _value(found: Segmentation) -> list[Finding]:
    if found.n_segments == 1 or not found.ordered_by.startswith("revenue"):
        return []
    people, money = found.profile.share, found.profile.n_people * found.profile[found.ordered_by].fillna(0)
    if not money.min() >= 0 or not money.sum() > 0:
        return []
    days = re.search(r"\d+", found.ordered_by)
    when = f" of the last {days[0]} days" if days else ""
    of_money = money / money.sum()
    text = f"The best segment, {say_share(people.iloc[0])} of customers, makes {say_share(of_money.iloc[0])} of "
    text += f"revenue{when}; the last, {say_share(people.iloc[-1])}, makes {say_share(of_money.iloc[-1])}."
    action = "Keep the best segment first; test on a few of the last before money goes to all of them."
    return [
        Finding(text=text, action=action, strength="counted", worth=2, section=_APART,
                value=float(of_money.iloc[0]), unit="share")
    ]  # fmt: skip


def _moves(found: Segmentation, moves: Movement, refitted: Refitted) -> list[Finding]:
    if found.n_segments == 1:
        return []
    about = partial(Finding, section=_MOVE)
    if not moves.n_steps:
        text = "How people move cannot be told: it needs two snapshots that look back far enough."
        action = "Wait until the data reach back further."
        return [about(text=text, action=action, strength="cannot be told", worth=3, figure=None)]
    low, high = moves.stay_low, moves.stay_high
    text = f"From one snapshot to the next, {say_share(moves.stay_share)} of people stay in their segment"
    if not low <= refitted.refitted <= high:
        text += f"; segments made anew each time would seem to keep {say_share(refitted.refitted)}"
    alike = low <= refitted.matched <= high
    strength = "suggestive" if not alike else "clear" if high < 1 else "counted"
    action = "Use one model for all dates, and plan for the flow, not for today's label."
    return [
        about(text=f"{text}.", action=action, strength=strength, worth=2, value=moves.stay_share, low=low,
              high=high, unit="share")
    ]  # fmt: skip


def _unscaled(found: Segmentation, plain: Unscaled) -> list[Finding]:
    n = len(found.preparation.columns)
    if n == 1 or plain.variance_share <= 1 / 2:
        return []
    alone = "alone" if plain.agreement_with_column >= STRONG else "more than any other"
    text = f"In their own units, one of {n} measures would hold {say_share(plain.variance_share)} of all "
    text += f"variation and decide the segments {alone}."
    action = "Bring measures to one scale before any segmentation, as here."
    return [
        Finding(text=text, action=action, strength="counted", worth=3, section=_PITFALL,
                value=plain.variance_share, unit="share", figure=None)
    ]  # fmt: skip
