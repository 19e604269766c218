"""What page 16 found, for whoever decides."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from journeybook.findings import Finding, say_count, say_share, size, strength_of, wider
from journeybook.impact.cases import headline
from journeybook.impact.increments import twice_told
from journeybook.impact.returns import Balance
from journeybook.impact.witnesses import Planted
from journeybook.impact.words import MONEY, SHARES, say_effect, say_metric

_ADDED = "What did messages and tests add?"


def find(
    effects: pd.DataFrame,
    table: pd.DataFrame,
    cases: pd.DataFrame,
    paid: Balance,
    programmes: pd.DataFrame,
    scored: pd.DataFrame,
    *,
    planted: Planted,
    currency: str | None,
) -> list[Finding]:
    """Return the page's findings."""
    told = [*_messages(effects, planted, currency), *_guardrails(table), *_twice(effects, planted, currency)]
    return [*told, *_return(paid), *_held(scored), _curse(programmes), *_seen(cases)]


def _about(row: Any, planted: Planted, currency: str | None, *, n_tried: int) -> dict[str, Any]:
    """Figure and strength of the first, or clearest, of several effects."""
    half = (row.high - row.low) / 2 * wider(n_tried)
    asked: dict[str, Any] = {"true": planted.get((row.source, row.metric)), "before": (row.low, row.high)}
    unit = "points" if row.metric in SHARES else row.metric.replace("_", " ")
    unit = currency or "money" if row.metric in MONEY else unit
    strength = strength_of(row.effect - half, row.effect + half, **asked)
    return {"strength": strength, **size(row.effect, row.low, row.high, unit)}


def _messages(effects: pd.DataFrame, planted: Planted, currency: str | None) -> Iterator[Finding]:
    own = effects[effects["source"] == "contacts"]
    for row in own.head(1).itertuples():
        about = _about(row, planted, currency, n_tried=len(own))
        added = say_effect(row.metric, row.effect, currency=currency) + say_metric(row.metric)
        text = f"Messages added {added} for each decision to write or not, beyond what would have come anyway."
        action = "Claim that much for all channels together, and keep the hold-out."
        if row.low <= 0:
            action = "Claim no gain from messages, and keep the hold-out until it can tell."
        yield Finding(text=text, action=action, worth=2, section=_ADDED, figure=None, **about)


def _guardrails(table: pd.DataFrame) -> Iterator[Finding]:
    broken = table[table["status"] == "guardrail broken"]
    if len(broken):
        text = f"What is gained for {broken['goal'].iloc[0]} costs more of its guardrail than is borne."
        action = "Count no gain before its owner has decided what the loss is worth."
        yield Finding(text=text, action=action, strength="suggestive", worth=1, section=_ADDED, figure=None)


def _twice(effects: pd.DataFrame, planted: Planted, currency: str | None) -> Iterator[Finding]:
    told, n_tried = twice_told(effects), effects["source"].str.endswith(": counted twice").sum()
    for row in told.iloc[-1:].itertuples():
        said = [say_effect(row.metric, x, currency=currency) for x in told["effect"].iloc[[-3, -2]]]
        text = f"Tests on the same units add up to {said[0]}{say_metric(row.metric)}; "
        text += f"together they bring {said[1]}."
        action = "Count what all bring together over none, not the sum of separate reports."
        about = _about(row, planted, currency, n_tried=n_tried)
        yield Finding(text=text, action=action, worth=2, section="What was counted twice?", **about)


def _return(paid: Balance) -> Iterator[Finding]:
    value, low, high = paid.returned
    if value == value:
        came = f"and {say_share(value)} more" if value >= 0 else f"but for {say_share(-value)}"
        action = (
            "Go on at these costs." if low > 0 else "Send less, or cheaper." if high < 0 else "Hold out longer."
        )
        about: dict[str, Any] = {"section": "Did it pay?", "figure": None, "strength": strength_of(low, high)}
        about |= size(value, low, high, "share")
        yield Finding(text=f"What messages cost came back, {came}.", action=action, worth=1, **about)


def _held(scored: pd.DataFrame) -> Iterator[Finding]:
    if len(scored):
        n, held = say_count(len(scored)), say_count(scored["held"].sum())
        text = f"Of {n} claims at 95%, {held} held when later data came."
        action = "Look at those that did not before the next claim of their kind goes out."
        about: dict[str, Any] = {"section": "Did earlier claims hold?", "figure": None, "unit": "share"}
        yield Finding(
            text=text, action=action, strength="counted", worth=2, value=float(scored["held"].mean()), **about
        )


def _curse(programmes: pd.DataFrame) -> Finding:
    ratio = (programmes["total"] / programmes["truth"]).set_axis(programmes["way"])
    text = f"Simulated tests launched for being clear report {ratio['reported']:.1f} times what they bring; "
    text += f"shrunk, the sum is {say_share(abs(ratio['shrunk'] - 1))} off."
    action = "Report shrunk effects, and hold back some customers from all that was launched."
    about: dict[str, Any] = {"value": float(ratio["reported"]), "unit": "times", "figure": None}
    about |= {"strength": "known answer recovered", "section": "What is left of the effects that were reported?"}
    return Finding(text=text, action=action, worth=3, **about)


def _seen(cases: pd.DataFrame) -> Iterator[Finding]:
    own, needed = headline(cases), headline(cases)["needed"]
    half = (own["high"] - own["low"]) / 2 * wider(max(len(own), 1))
    if (needed < float("inf")).any():
        least, most = (say_count(n) for n in (needed.min(), needed[needed < float("inf")].max()))
        text = f"In {len(own)} simulated cases, to see the planted gain takes from {least} to {most} people."
        action = "Plan for as many before the start; a smaller campaign can only say that it does not know."
        found = ((own["gain"] - own["planted"]).abs() <= half).all()
        about: dict[str, Any] = {"strength": "known answer recovered" if found else "contradicted", "worth": 3}
        yield Finding(text=text, action=action, section="Would a gain be seen?", **about)
