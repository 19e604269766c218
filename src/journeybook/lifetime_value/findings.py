"""What page 06 found, for whoever decides."""

from collections.abc import Iterator

import pandas as pd

from journeybook.findings import Finding, say_count, say_money, say_share, size
from journeybook.lifetime_value.holdout import Judged
from journeybook.lifetime_value.period import Period
from journeybook.lifetime_value.spend import Spend
from journeybook.lifetime_value.value import Value
from journeybook.lifetime_value.words import say_way, title_judged

JUDGED = "Which way of foreseeing purchases is best?"
WORTH = "What is each customer worth?"
TIERS = "Does the top tier bring the revenue?"


def find(
    judged: Judged,
    tiers: pd.DataFrame,
    spend: Spend,
    value: Value,
    period: Period,
    *,
    horizon_weeks: float,
    margin: float | None,
    currency: str | None,
) -> list[Finding]:
    """Return the page's findings."""
    found = [*_top(tiers), *_ways(judged), *_worth(value, horizon_weeks, margin, currency)]
    return [*found, *_gone(value), *_spend(spend), *_before(period)]


def _top(tiers: pd.DataFrame) -> Iterator[Finding]:
    top, even = tiers.iloc[0], 1 / len(tiers)
    if pd.isna(top.revenue_share):
        return
    clear = top.revenue_share_low > even
    yield Finding(
        text=f"The {say_count(top.n)} customers put first by expected revenue, {even:.0%}, brought "
        f"{say_share(top.revenue_share)} of the revenue that followed.",
        action="Keep these first: the table of this page names them." if clear else "Do not rank by this.",
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
    yield Finding(text=f"{title_judged(judged)}.", action=action, strength=strength, worth=2, section=JUDGED)


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
        gone = len(alive) - float(alive.sum())
        yield Finding(
            text=f"By {value.way}, {say_count(gone)} of {say_count(len(alive))} customers have left for good.",
            action="Win back by value, not by silence alone: a rare buyer's pause is no goodbye.",
            strength="suggestive",
            worth=3,
            section=WORTH,
            value=gone,
            unit="customers",
        )


def _spend(spend: Spend) -> Iterator[Finding]:
    rho, low, high = spend.correlation
    if spend.refused and spend.refused.startswith("those who"):
        yield Finding(
            text=f"T{spend.refused[1:]}: Gamma-Gamma, which takes the two for independent, is not used.",
            action="Nothing to do: means are drawn to those of customers alike in frequency.",
            strength="clear",
            worth=3,
            section=WORTH,
            figure=None,
            **size(rho, low, high, ""),
        )


def _before(period: Period) -> Iterator[Finding]:
    if period.before_share > 0.5:
        yield Finding(
            text=f"About {say_share(period.before_share)} of customers were customers before the data begin.",
            action="Read no tenure and no cohort from these data; bring older receipts.",
            strength="suggestive",
            worth=3,
            section=JUDGED,
            value=period.before_share,
            unit="share",
            figure=None,
        )
