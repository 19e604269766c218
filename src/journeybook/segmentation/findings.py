"""What the page found, for whoever decides."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from journeybook.findings import Finding, say_share
from journeybook.segmentation.groups import GroupCount
from journeybook.segmentation.movement import Movement, Refitted
from journeybook.segmentation.segments import Segmentation
from journeybook.segmentation.words import missed, money_shares, title_profile


def find(
    found: Segmentation, count: GroupCount, nothing: np.ndarray, moves: Movement, refitted: Refitted,
    *, power: pd.DataFrame,
) -> list[Finding]:  # fmt: skip
    """Return the page's findings; the frame `power` is that of `detection`."""
    groups = list(_groups(found, count, float(nothing.mean()), power))
    return [*groups, *_value(found), _moves(moves, refitted)] if found.n_segments > 1 else groups


def _groups(found: Segmentation, count: GroupCount, chance: float, power: pd.DataFrame) -> Iterator[Finding]:
    about = partial(Finding, section="How many groups do the data support?")
    k, n, explained = found.n_segments, count.n_groups, found.explained_share
    sizes = f"they explain {say_share(explained)} of the differences between customers, and {say_share(chance)} "
    sizes += "where there are no groups."
    text, strength = f"The segments made are {k}, but the data hold {n} groups; {sizes}", "contradicted"
    action = f"Use {n} segments."
    if n == 1:
        text = f"The {k} segments are slices of one cloud: {sizes}"
        action = "Treat them as ranges of one population, not as kinds of people."
    if n == k > 1:
        text, strength = f"There are {n} groups of customers; {sizes}", "suggestive"
        action = "Plan by them, and test whether treating them differently pays."
    if n == k == 1:
        text, strength = "The customers are one cloud; no groups were found.", "cannot be told"
        if len(count.evidence) < 2:
            text = "There are too few different customers to tell groups among them: ten a group are needed."
            action = "Wait for more customers."
    figure = 0 if len(count.evidence) > 1 else None
    yield about(text=text, action=action, strength=strength, worth=2, value=explained, unit="share", figure=figure)
    if n == 1 and len(blind := missed(power)):
        text = f"Groups of customers that differ in {blind.n_features.max()} or fewer of {power.n_features.max()} "
        text += "measures, even if far apart, would have been missed."
        action = "Do not rule such groups out: look at single measures before a plan for everyone."
        yield about(text=text, action=action, strength="cannot be told", worth=3, figure=None)


def _value(found: Segmentation) -> Iterator[Finding]:
    shares = money_shares(found)
    if len(shares):
        action = "Keep the best first; test on a few of the last before money goes to all of them."
        about = partial(Finding, section="What sets the segments apart?", value=float(shares[0]), unit="share")
        yield about(text=f"{title_profile(found)}.", action=action, strength="counted", worth=2)


def _moves(moves: Movement, refitted: Refitted) -> Finding:
    about = partial(Finding, section="How do people move?")
    if not moves.n_steps:
        text = "How people move cannot be told: it needs two snapshots that look back far enough."
        action = "Wait until the data reach back further."
        return about(text=text, action=action, strength="cannot be told", worth=3, figure=None)
    low, high = moves.stay_low, moves.stay_high
    text = f"From one snapshot to the next, {say_share(moves.stay_share)} of people stay in their segment"
    if not low <= refitted.refitted <= high:
        text += f"; segments made anew each time would seem to keep {say_share(refitted.refitted)}"
    alike = low <= refitted.matched <= high
    strength = "suggestive" if not alike else "clear" if high < 1 else "counted"
    action = "Use one model for all dates, and plan for the flow, not for today's label."
    about = partial(about, value=moves.stay_share, low=low, high=high, unit="share")
    return about(text=f"{text}.", action=action, strength=strength, worth=2)
