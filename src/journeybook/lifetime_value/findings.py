"""What page 06 found, for whoever decides."""

from collections.abc import Iterator

import pandas as pd

from journeybook.findings import Finding, say_count, say_money, say_share, size
from journeybook.lifetime_value.holdout import Judged
from journeybook.lifetime_value.intervals import INSIDE
from journeybook.lifetime_value.models import SBG
from journeybook.lifetime_value.value import Value
from journeybook.lifetime_value.words import say_way, title_judged

JUDGED = "Which way of foreseeing purchases is best?"
WORTH = "What is each customer worth?"
TIERS = "Does the top tier bring the revenue?"


def find(
    judged: Judged,
    tiers: pd.DataFrame,
    value: Value,
    held: pd.DataFrame,
    *,
    horizon_weeks: float,
    margin: float | None,
    currency: str | None,
) -> list[Finding]:
    """Return the page's findings."""
    found = [*_top(tiers), *_ways(judged), *_worth(value, horizon_weeks, margin, currency)]
    return [*found, *_sure(held, judged), *_gone(value)]


def _top(tiers: pd.DataFrame) -> Iterator[Finding]:
    top, even = tiers.iloc[0], 1 / len(tiers)
    if pd.isna(top.revenue_share):
        return
    clear, alike = top.revenue_share_low > even, top.gain_low <= 0 <= top.gain_high
    keep = "Keep these first" + (
        ": ranking by past revenue serves as well here." if alike else ": the table names them."
    )
    yield Finding(
        text=f"The {say_count(top.n)} customers put first by expected revenue, {even:.0%}, brought "
        f"{say_share(top.revenue_share)} of the revenue that followed; as many by past revenue "
        f"{say_share(top.past_share)}.",
        action=keep if clear else "Do not rank by this.",
        strength="clear" if clear else "cannot be told",
        worth=2,
        section=TIERS,
        **size(top.revenue_share, top.revenue_share_low, top.revenue_share_high, "share"),
    )


def _ways(judged: Judged) -> Iterator[Finding]:
    _, low, high = judged.gain
    if judged.best_model is None:
        strength, action = "cannot be told", "Use each customer's own rate, and no probability of being alive."
    elif high < 0:
        strength, action = "contradicted", f"Plan with {say_way(judged.best_baseline)}: it is simpler and better."
    elif low > 0:
        strength, action = "clear", f"Plan with {judged.best_model}."
    else:
        strength, action = (
            "cannot be told",
            "These weeks do not tell them apart: pay for no finer model before it wins here.",
        )
    text, sized = title_judged(judged), {}
    if judged.best_model is not None:
        scale = float(judged.table.set_index("way").loc[judged.best_baseline, "deviance"])
        less, low, high = (end / scale for end in judged.gain)
        text += f": its error is {say_share(abs(less))} {'smaller' if less > 0 else 'larger'}"
        sized = size(-less, -high, -low, "share")
    yield Finding(text=f"{text}.", action=action, strength=strength, worth=2, section=JUDGED, **sized)


def _worth(value: Value, weeks: float, margin: float | None, currency: str | None) -> Iterator[Finding]:
    total = float(value.table["value"].sum())
    kind = "revenue" if margin is None else "margin"
    yield Finding(
        text=f"{say_count(len(value.table))} customers are expected to bring "
        f"{say_money(total, currency=currency)} of {kind} in {say_count(weeks)} weeks, newcomers apart.",
        action="Take it for what continues if nothing changes: no season and no campaign is in it.",
        strength="suggestive",
        worth=3,
        section=WORTH,
        value=total,
        unit=currency or "money",
    )


def _gone(value: Value) -> Iterator[Finding]:
    alive = value.table["alive_probability"].dropna()
    if len(alive):
        gone, told = len(alive) - float(alive.sum()), value.way == SBG.name
        left = f"{say_count(gone)} of {say_count(len(alive))} customers have"
        yield Finding(
            text=f"{left} ended their contract." if told else f"By {value.way}, {left} left for good.",
            action="Write first to those who brought most."
            if told
            else "Win back by value, not by silence alone: a rare buyer's pause is no goodbye.",
            strength="counted" if told else "suggestive",
            worth=3,
            section=WORTH,
            value=gone,
            unit="customers",
        )


def _sure(held: pd.DataFrame, judged: Judged) -> Iterator[Finding]:
    if held.empty:
        return
    own, wide = (float(share) for share in held["value"].iloc[:2])
    margin = 1.96 * float(held["error"].iloc[0])
    if own + margin < INSIDE:
        yield Finding(
            text=f"Ranges of {judged.best_model} meant for {INSIDE:.0%} of customers held {say_share(own)} of "
            f"them; widened by an earlier window's misses, {say_share(wide)}.",
            action="Trust tiers and totals; take one customer's figure for less sure than the model says.",
            strength="clear",
            worth=3,
            section=JUDGED,
            figure=None,
            **size(own, own - margin, own + margin, "share"),
        )
