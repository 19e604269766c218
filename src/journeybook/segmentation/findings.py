"""What the page found, for whoever decides."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from journeybook.findings import Finding, say_share
from journeybook.segmentation.groups import GroupCount
from journeybook.segmentation.movement import Movement, Refitted
from journeybook.segmentation.references import FALSE_ALARMS
from journeybook.segmentation.rules import Declared
from journeybook.segmentation.segments import Segmentation
from journeybook.segmentation.usefulness import RIVALS
from journeybook.segmentation.words import fallen, money_shares, title_profile


def find(
    found: Segmentation, count: GroupCount, nothing: np.ndarray, moves: Movement, refitted: Refitted,
    *, power: pd.DataFrame, uses: pd.DataFrame, declared: Declared,
) -> list[Finding]:  # fmt: skip
    """Return the page's findings; the frames are those of `detection` and `usefulness`."""
    groups = [*_useful(uses), *_groups(found, count, float(nothing.mean()), power), *_lost(declared)]
    return [*groups, *_value(found), _moves(moves, refitted)] if found.n_segments > 1 else groups


def _useful(uses: pd.DataFrame) -> Iterator[Finding]:
    """Whether the segments foretell spend as well as simpler things do; said first where they do not."""
    rows = uses[uses["target"] == "spend"].set_index("predictor")
    if len(rows) < 2:
        return
    segments, rivals = rows.loc["segments"], rows.drop("segments")
    best = rivals.loc[rivals["ahead"].idxmax()]
    text = f"Segments explain {say_share(max(segments.explained, 0))} of the differences in next-quarter spend; "
    text += f"{RIVALS[best.name]} {say_share(max(best.explained, 0))}."
    action, strength = (
        "Speak of customers by segments, but choose whom to contact by what says more.",
        "contradicted",
    )
    if best.ahead_high < 0:
        action, strength = "Plan by the segments: nothing simpler says as much.", "clear"
    elif best.ahead_low <= 0:
        action, strength = "Use whichever is easier: they foretell spend alike.", "cannot be told"
    yield Finding(
        text=text, action=action, strength=strength, worth=2, section="Are the segments of use?",
        value=segments.explained, low=segments.low, high=segments.high, unit="share",
    )  # fmt: skip


def _lost(declared: Declared) -> Iterator[Finding]:
    n, n_lost = fallen(declared.people)
    if n:
        text = f"Of {n:,} customers of high value a snapshot ago, {n_lost:,} are now at risk or have lapsed."
        action = "Write to those among them who permit it; they are in the table of triggers."
        about = "Which moments call for something?"
        yield Finding(text=text, action=action, strength="counted", worth=2 if n_lost else 3, section=about,
                      value=float(n_lost), unit="people", figure=None)  # fmt: skip


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
        if not count.seen_in.all():
            action = "Give `columns` the features in which they are seen, to segment by those alone."
    nowhere = power[power["distance"] == 0]["found_share"]
    if n > 1 and (nowhere > FALSE_ALARMS).any():
        text = f"Groups are claimed in {say_share(nowhere.max())} of clouds like these data without any: "
        text, strength = f"{text}whether customers form groups cannot be told.", "cannot be told"
        action = "Take segments for ranges of one population."
    if n == k == 1:
        text, strength = "The customers are one cloud; no groups were found.", "cannot be told"
        if len(count.evidence) < 2:
            text = "There are too few different customers to tell groups among them: ten a group are needed."
            action = "Wait for more customers."
    figure = 0 if len(count.evidence) > 1 else None
    yield about(text=text, action=action, strength=strength, worth=2, value=explained, unit="share", figure=figure)
    seen = power[(power["distance"] > 0) & (power["n_features"] < power["n_features"].max())]
    if n == 1 and len(seen):
        least = seen["distance"].max()
        far = f"less than {least:g}" if np.isfinite(least) else "even 8"
        text = f"Groups that lie {far} standard deviations apart in {seen['n_features'].max()} or fewer of "
        text += f"{power['n_features'].max()} measures would have been missed."
        action = "Do not rule out groups nearer to each other than that."
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
