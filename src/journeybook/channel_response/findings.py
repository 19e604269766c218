"""What the page found, for whoever decides."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.decisions import sent_unpermitted, true_probabilities
from journeybook.channel_response.fairness import RULES, Fairness
from journeybook.channel_response.groups import EVERYONE as ALL_PEOPLE
from journeybook.channel_response.groups import UNKNOWN
from journeybook.channel_response.policy import ANSWERED, EVERYONE, MODEL, TODAY, Deciding, advantage
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.uplift import Uplift, true_uplift
from journeybook.channel_response.windows import ResponseWindows
from journeybook.channel_response.windows_truth import WindowsTruth, windows_against_truth
from journeybook.findings import Finding, say_count, say_money, say_points, say_share

_TRUST, _RANKING = "Are the probabilities probabilities?", "What is the ranking worth, and for whom?"
_WHEN, _WHOM = "When do people respond?", "Whom to write to, if anyone?"
_MOVED, _CHOSEN = "Whom does a message move?", "Who would be chosen?"

_TOP = 0.2  # share of the contacts that the ranking is judged by
_LARGE_ERROR = 0.02  # of a probability, on average

_UNEVEN = {
    "true_positive_rate": ("The model finds {} of the responders {}, but {} of those {}", say_share, 1),
    "calibration_gap": ("Responses are off what was said by {} for people {}, by {} for those {}", say_points, 1),
    "selection_rate": ("The model would choose {} of people {}, and {} of those {}", say_share, 2),
}
_CHANCE = {"cannot be told": ", which may be chance"}


def find(
    contacts: ContactFrame,
    split: Split,
    found: MethodComparison,
    deciding: Deciding,
    moved: Uplift,
    fair: Fairness | None,
    windows: ResponseWindows,
    *,
    permitted: Mapping[str, np.ndarray] | None,
    types: np.ndarray,
    by_decade: bool,
    truth: pd.DataFrame | None,
) -> list[Finding]:
    """Return the page's findings.

    The data are as the notebook makes them; `by_decade` says whether the groups are decades of birth, and `truth`
    has the true probabilities, as `true_values` takes them, or is None where they are not known.
    """
    hours = None
    if truth is not None and len(windows.peaks):
        hours = windows_against_truth(windows, contacts, split, types, truth)
    return [
        *_sends(contacts, permitted),
        *_policy(deciding, contacts, split, truth),
        *_groups(fair, by_decade=by_decade),
        _effect(moved, deciding, contacts, split, truth),
        _ranking(found),
        _hours(windows, hours),
        _probabilities(found),
    ]


def _sends(contacts: ContactFrame, permitted: Mapping[str, np.ndarray] | None) -> list[Finding]:
    counts = sent_unpermitted(contacts, permitted or {})
    n_sent, n_against = (sum(n) for n in zip((0, 0), *counts.values(), strict=True))
    if not n_against:
        return []
    return [
        Finding(
            text=f"{say_count(n_against)} of {say_count(n_sent)} messages looked at here went to people who did "
            "not permit that channel when they were sent.",
            action="Check the ledger at the moment of sending; no policy of this page writes to them.",
            strength="counted",
            worth=1,
            section=_WHOM,
            value=n_against,
            unit="messages",
            figure=None,
        )
    ]


def _policy(deciding: Deciding, contacts: ContactFrame, split: Split, truth: pd.DataFrame | None) -> list[Finding]:
    """What the model's choice earns beyond today's sending, and beyond the best simple rule."""
    if deciding.why_not or deciding.test is None:
        return []
    table = deciding.policy[(deciding.policy["estimator"] == "dr") & (deciding.policy["refused"] == "")]
    told = table[table["prices"] == deciding.costs["prices"].iloc[0]].set_index("policy")["gain_per_1000"]
    simple = told[[name for name in told.index if name.startswith(EVERYONE) or name == ANSWERED]]
    if MODEL not in told:
        return []
    true = truth if truth is None else true_probabilities(contacts, split, truth, actions=deciding.test.actions)
    at = "At the costs given" if len(deciding.costs) == 1 else "Even if messages cost nothing"
    more, error, planted = advantage(deciding, MODEL, TODAY, true=true)
    low, high = _ends(more, error)
    strength = _strength(low, high, true=planted)
    gains = low > 0 and strength != "contradicted"
    today = Finding(
        text=f"{at}, choosing whom to write to by expected profit earns {_said(more)} per 1,000 contacts than "
        f"today's sending{_missed(strength, planted)}.",
        action="Try it on customers drawn by chance." if gains else "Keep today's sending for now.",
        strength=strength,
        worth=1 if gains else 2,
        section=_WHOM,
        **_size(more, low, high, "money"),
    )
    return [today] if simple.empty else [today, _beside(deciding, str(simple.idxmax()), len(simple), true)]


def _beside(deciding: Deciding, rule: str, n_rules: int, true: np.ndarray | None) -> Finding:
    """The model's choice beside the simple rule that seems best of several."""
    more, error, planted = advantage(deciding, MODEL, rule, true=true)
    named = f"{rule.removeprefix(EVERYONE)} to everyone" if rule.startswith(EVERYONE) else f"the {rule}"
    low, high = _ends(more, error, n_tried=n_rules)
    strength = _strength(low, high, true=planted, before=_ends(more, error))
    said = f"The model's choice earns {_said(more)} per 1,000 contacts than a simple rule"
    beaten = planted is not None and planted < 0
    if planted is not None and beaten:
        strength = "contradicted"
        said = (
            f"By the known answer the model's choice earns {_said(planted)} per 1,000 contacts than a simple rule"
        )
    action = "Keep to the simple rule: nothing shows that the model earns more."
    if beaten or strength in ("clear", "known answer recovered"):
        action = "Use the model's choice." if more > 0 and not beaten else "Use the simple rule."
    return Finding(
        text=f"{said}: {named}, where permitted{'' if beaten else _missed(strength, planted)}.",
        action=action,
        strength=strength,
        worth=2,
        section=_WHOM,
        **({"value": planted, "unit": "money"} if beaten else _size(more, low, high, "money")),
    )


def _groups(fair: Fairness | None, *, by_decade: bool) -> list[Finding]:
    """The first of three measures in which groups differ, with what was tried three times corrected for."""
    if fair is None or fair.groups.empty:
        return []
    spread = fair.spread[fair.spread["rule"] == RULES[0]].set_index("measure")
    tried = [(name, at) for at in (0.05 / len(_UNEVEN), 0.05) for name in _UNEVEN if spread["p_value"][name] < at]
    measure, level = tried[0] if tried else (next(iter(_UNEVEN)), 1.0)
    text, say, worth = _UNEVEN[measure]
    gap, groups = spread.loc[measure], fair.groups[fair.groups["rule"] == RULES[0]].set_index("group")[measure]
    parts = [(say(groups[gap[end]]), _group(gap[end], by_decade=by_decade)) for end in ("largest", "smallest")]
    clear = level < 0.05 and gap["difference_low"] > 0
    strength = "clear" if clear else "suggestive" if tried else "cannot be told"
    return [
        Finding(
            text=f"{text.format(*parts[0], *parts[1])}{_CHANCE.get(strength, '')}.",
            action="Decide whether that is acceptable before the scores are used."
            if tried
            else "Look again with more contacts.",
            strength=strength,
            worth=worth if tried else 3,
            section=_CHOSEN,
            **_size(gap["difference"], gap["difference_low"], gap["difference_high"], "points"),
        )
    ]


def _effect(
    moved: Uplift, deciding: Deciding, contacts: ContactFrame, split: Split, truth: pd.DataFrame | None
) -> Finding:
    """Whether choosing by effect adds more than choosing by response."""
    if moved.why_not:
        return Finding(
            text="Whether messages bring anyone who would not have come anyway cannot be told here."
            if deciding.why_not
            else "Whom a message moves, beside who comes anyway, cannot be told from so few who got none.",
            action="Leave people drawn by chance without a message, record that chance, and collect enough.",
            strength="cannot be told",
            worth=2,
            section=_MOVED,
            figure=None,
        )
    gap = moved.rankings.set_index("ranking").loc["difference"]
    planted = None
    if truth is not None:
        planted = float(true_uplift(moved, contacts, split, truth).set_index("ranking")["qini"]["difference"])
    low, high = gap["qini_low"], gap["qini_high"]
    strength = _strength(low, high, true=planted)
    sure = f", and writes to {say_count(-gap['sure_visitors'])} fewer who come anyway"
    adds = (
        f"{'adds' if gap['qini'] >= 0 else 'loses'}, averaged over campaign sizes, {say_count(abs(gap['qini']))}"
    )
    return Finding(
        text=f"Choosing by effect instead of response {adds} responses per 1,000 contacts"
        f"{sure if gap['sure_visitors_high'] < 0 else ''}{_missed(strength, planted)}.",
        action="Choose by the response that a message adds."
        if low > 0 and strength != "contradicted"
        else "Choose by effect only once more contacts show that it finds more.",
        strength=strength,
        worth=2,
        section=_MOVED,
        **_size(gap["qini"], low, high, "responses per 1,000 contacts"),
    )


def _ranking(found: MethodComparison) -> Finding:
    gain, chosen = found.gain, found.chosen
    mine = gain[(gain["method"] == chosen.method) & (gain["resampling"] == chosen.resampling)]
    top = mine[np.isclose(mine["contacted_share"], _TOP)].iloc[0]
    strength = _strength(top["found_share_low"], top["found_share_high"], nothing=_TOP)
    return Finding(
        text=f"The fifth of the contacts that the model ranks highest holds {say_share(top['found_share'])} of "
        f"the responses; a fifth drawn at random holds {_TOP:.0%}{_CHANCE.get(strength, '')}.",
        action="Use the ranking to choose contacts; most of a single person's response stays unknown."
        if top["found_share_low"] > _TOP
        else "Do not choose by this ranking.",
        strength=strength,
        worth=2,
        section=_RANKING,
        **_size(top["found_share"], top["found_share_low"], top["found_share_high"], "share"),
    )


def _hours(windows: ResponseWindows, hours: WindowsTruth | None) -> Finding:
    """The window furthest beyond chance; that intervals of hours do not hold what they should comes first."""
    peaks = windows.peaks[windows.peaks["lift_low"] > 1] if len(windows.peaks) else windows.peaks
    if peaks.empty:
        return Finding(
            text="No hour or weekday is answered better than the others beyond chance."
            if len(windows.peaks)
            else "When people answer best cannot be told: times of sending are missing, or responses too few.",
            action="Send when it suits, spread over the day, and look again with more contacts.",
            strength="cannot be told",
            worth=3,
            section=_WHEN,
            figure=0 if len(windows.cells) else None,
        )
    best = peaks.loc[peaks["lift_low"].idxmax()]
    kind = best["person_type"]
    who = {ALL_PEOPLE: "People", UNKNOWN: "People of no known type"}.get(kind, f"People of type {kind}")
    when = f"{'at' if best['kind'] == 'hours' else 'on'} {best['window']}"
    said = f"{who} answer best {when}, {say_share(best['lift'] - 1)} more often than on average"
    ends = (float(best["lift"] - 1) - float(best["lift"] - best["lift_low"]) * _wider(len(windows.peaks)), np.inf)
    strength = _strength(*ends, before=(float(best["lift_low"]) - 1, np.inf))
    if hours is not None:
        true = hours.peaks.loc[best.name]
        strength = "known answer recovered" if true["inside"] and true["among"] else "contradicted"
        held = float(hours.kinds["inside_share"].iloc[0])
        if held < windows.level:
            strength = "contradicted"
            said += f"; but intervals of hours hold the truth in {say_share(held)}, not {say_share(windows.level)}"
    return Finding(
        text=f"{said}.",
        action="Try that time against another; take no interval of an hour at its word."
        if strength == "contradicted"
        else "Send then, and compare with those not contacted: they may come then anyway.",
        strength=strength,
        worth=2,
        section=_WHEN,
        **_size(best["lift"] - 1, best["lift_low"] - 1, best["lift_high"] - 1, "share"),
    )


def _probabilities(found: MethodComparison) -> Finding:
    row, before = found.row(calibrated=True), found.row(calibrated=False)
    off, was, chance = (f"{100 * at:.1f} points" for at in (row["ece"], before["ece"], row["ece_floor"]))
    worse, beyond = found.chosen.is_calibrated and row["ece"] > before["ece"], row["ece_low"] >= 0.0005
    said = f"Predicted probabilities are off by {off} on average, where chance alone shows {chance}."
    if worse:
        said = (
            f"Calibration did not help: on later contacts the probabilities are off by {off}, without it by {was}."
        )
    return Finding(
        text=said,
        action="Calibrate again with each campaign, before money is reckoned from them."
        if worse or beyond
        else "No error beyond chance is seen: look again with the next campaign.",
        strength="contradicted" if worse else "clear" if beyond else "cannot be told",
        worth=2 if worse or (beyond and row["ece"] > _LARGE_ERROR) else 3,
        section=_TRUST,
        **_size(row["ece"], row["ece_low"], row["ece_high"], "points"),
    )


def _ends(value: float, error: float, *, n_tried: int = 1) -> tuple[float, float]:
    half = float(norm.ppf(0.975)) * _wider(n_tried) * error
    return value - half, value + half


def _wider(n_tried: int) -> float:
    """By how much a 95 % interval grows that is one of several (Bonferroni)."""
    return float(norm.ppf(1 - 0.025 / n_tried) / norm.ppf(0.975))


def _strength(
    low: float,
    high: float,
    *,
    nothing: float = 0,
    true: float | None = None,
    before: tuple[float, float] = (np.nan, np.nan),
) -> str:
    """How sure an interval is, beside what was planted; `before` has its ends before correction."""
    if true is not None and not low <= true <= high:
        return "contradicted"
    if low > nothing or high < nothing:
        return "clear" if true is None else "known answer recovered"
    return "suggestive" if before[0] > nothing or before[1] < nothing else "cannot be told"


def _missed(strength: str, true: float | None) -> str:
    """That it may be chance, or what was planted where the interval misses it."""
    return (
        f"; the known answer is {say_count(true)}"
        if strength == "contradicted" and true
        else _CHANCE.get(strength, "")
    )


def _size(value: float, low: float, high: float, unit: str) -> dict[str, Any]:
    return {"value": float(value), "low": float(low), "high": float(high), "unit": unit}


def _said(more: float) -> str:
    return f"{say_money(abs(more))} {'more' if more > 0 else 'less'}"


def _group(name: str, *, by_decade: bool) -> str:
    if name == UNKNOWN:
        return "of unknown age" if by_decade else "of no known group"
    return f"born in the {name}s" if by_decade and name.isdigit() else f"of group {name.replace('_', ' ')}"
