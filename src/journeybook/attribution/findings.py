"""What page 09 found, for whoever decides."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from journeybook.attribution.methods import Attribution
from journeybook.attribution.words import leaders, say_range
from journeybook.findings import Finding, say_share
from journeybook.journeys.sessions import said

CREDIT = "Which channel is given the credit?"
PITFALL = "The pitfall: a removal effect read as what a channel brings"


def find(found: Attribution, beside: pd.DataFrame, truth: pd.DataFrame) -> list[Finding]:
    """Return the page's findings."""
    if found.note is not None:
        text = f"No channel can be given credit: {found.note}."
        action = "Record the channel of every visit, and the event that counts as conversion."
        return [Finding(text=text, action=action, strength="cannot be told", worth=3, section=CREDIT, figure=None)]
    return [*(_planted(found, beside, truth) if len(truth) else _unknown(found)), *_removed(found, truth)]


def _unknown(found: Attribution) -> Iterator[Finding]:
    first = leaders(found)
    top, others = first.mode().sort_values().iloc[0], sorted({said(name) for name in first})
    text = f"All {len(first)} methods put {said(top)} first, with {say_range(found, top)} of the conversions."
    strength = "cannot be told"
    if len(others) > 1:
        text = f"The {len(first)} methods disagree which channel brings most conversions: {' or '.join(others)}."
        strength = "contradicted"
    share = found.table.loc[found.table["channel"] == top, "share"].iloc[0]
    yield _no_budget(text=text, strength=strength, section=CREDIT, value=float(share))


def _planted(found: Attribution, beside: pd.DataFrame, truth: pd.DataFrame) -> Iterator[Finding]:
    first = leaders(found)
    top, share = truth.loc[truth["share"].astype(float).idxmax(), ["channel", "share"]]
    n_wrong = int((first != top).sum())
    near = beside["n_inside"].max() >= len(truth) - 1
    text = (
        f"Most conversions truly come by {said(top)}, {say_share(share)}; {n_wrong or 'none'} of {len(first)} "
        f"methods put another channel first, and give {said(top)} {say_range(found, top)}."
    )
    strength = "contradicted" if n_wrong or not near else "known answer recovered"
    yield _no_budget(text=text, strength=strength, section=CREDIT, value=float(share))


def _no_budget(**about: Any) -> Finding:
    action = "Move no budget on these shares: switch a channel off for some people, at random, and count."
    return Finding(action=action, worth=2, unit="share", **about)


def _removed(found: Attribution, truth: pd.DataFrame) -> Iterator[Finding]:
    lost = float(found.removal["removal_effect"].sum())
    if lost <= 1:
        return
    text = f"Removed from the chain one at a time, the channels lose {say_share(lost)} of the conversions in all"
    about: dict[str, Any] = {"section": PITFALL, "value": lost, "unit": "share", "worth": 3}
    about |= {"strength": "counted", "figure": None}
    if len(truth):
        text += f"; in truth {say_share(truth['removal_effect'].sum())}"
        about |= {"strength": "contradicted", "figure": 0}
    action = "Never read a removal effect as what a channel brings: many would have come by another."
    yield Finding(text=f"{text}.", action=action, **about)
