"""What page 14 found, for whoever decides."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import norm

from journeybook.decisions.choices import CERTAIN, JUDGED, who_was_certain
from journeybook.decisions.policy import ANSWERED, EVERYONE, MODEL, TODAY, Deciding, advantage
from journeybook.decisions.release import THE_RULES, Released
from journeybook.decisions.truth import KnownAnswers
from journeybook.decisions.uplift import Uplift
from journeybook.findings import (
    Finding,
    say_count,
    say_money,
    say_points,
    say_share,
    size,
    strength_of,
    wider,
)
from journeybook.sends import sent_unpermitted
from journeybook.statistics.fairness import RULES, Fairness
from journeybook.statistics.labels import UNKNOWN

_SENT, _WHOM = "Who was sent what they had not permitted?", "Whom to write to, if anyone?"
_RULED = "What would the rules have earned?"
_MOVED, _CHOSEN = "Whom does a message move?", "Who would be chosen?"

_UNEVEN = {
    "true_positive_rate": ("The model finds {} of the responders {}, but {} of those {}", say_share, 1),
    "calibration_gap": ("Responses are off what was said by {} for people {}, by {} for those {}", say_points, 1),
    "selection_rate": ("The model would choose {} of people {}, and {} of those {}", say_share, 2),
}
_CHANCE = {"cannot be told": ", which may be chance"}


def find(
    sent: pd.DataFrame,
    deciding: Deciding,
    moved: Uplift,
    fair: Fairness,
    known: KnownAnswers,
    *,
    permitted: Mapping[str, np.ndarray] | None,
    released: Released,
) -> list[Finding]:
    """Return the page's findings."""
    return [
        # First among its equals: whoever is treated worse than others.
        *unlike_groups(fair),
        *_policy(deciding, known.probability),
        *_released(released, known.probability),
        *_sends(sent, permitted),
        *_certain(sent),
        _effect(moved, known.rankings, decided=not deciding.why_not),
    ]


def _counted(text: str, action: str, *, n: int, unit: str, worth: int, section: str) -> list[Finding]:
    """A finding that is a count of what was looked at; none where it is 0."""
    found = Finding(
        text=text, action=action, strength="counted", worth=worth, section=section, value=n, unit=unit, figure=None
    )
    return [found] if n else []


def _sends(sent: pd.DataFrame, permitted: Mapping[str, np.ndarray] | None) -> list[Finding]:
    counts = sent_unpermitted(sent, permitted)
    n_sent, n_against = (sum(n) for n in zip((0, 0), *counts.values(), strict=True))
    return _counted(
        f"{say_count(n_against)} of {say_count(n_sent)} messages looked at here went to people who, under one "
        "of their customer numbers, did not permit that channel then.",
        "Check the ledger at the moment of sending; no policy of page 14 writes to them.",
        n=n_against, unit="messages", worth=1, section=_SENT,
    )  # fmt: skip


def _certain(sent: pd.DataFrame) -> list[Finding]:
    """Whom no value of a policy is about."""
    n, judged = int((sent["part"] == CERTAIN).sum()), int(sent["part"].isin([*JUDGED, CERTAIN]).sum())
    return _counted(
        f"For {say_count(n)} of {say_count(judged)} contacts the choice was certain "
        f"({who_was_certain(sent) if n else ''}); they count in no value of a policy.",
        "Leave some of them to chance, or decide about them apart.",
        n=n, unit="contacts", worth=2, section=_WHOM,
    )  # fmt: skip


def _policy(deciding: Deciding, true: np.ndarray | None) -> list[Finding]:
    """What the model's choice earns beyond today's sending, and beyond the best simple rule."""
    if deciding.why_not:
        return []
    table = deciding.policy[(deciding.policy["estimator"] == "dr") & (deciding.policy["refused"] == "")]
    told = table[table["prices"] == deciding.costs["prices"].iloc[0]].set_index("policy")["gain_per_1000"]
    simple = told[[name for name in told.index if name.startswith(EVERYONE) or name == ANSWERED]]
    if MODEL not in told:
        (why, *_) = deciding.policy.loc[deciding.policy["policy"] == MODEL, "refused"]
        text = f"What a choice earns cannot be told: {why.replace('`', '')}."
        action = "Mend that in the table of contacts, and run the page again."
        return [Finding(text=text, action=action, strength="cannot be told", worth=1, section=_WHOM, figure=None)]
    at = "At the costs given" if len(deciding.costs) == 1 else "Before the cost of messages"
    more, error, planted = advantage(deciding, MODEL, TODAY, true=true)
    low, high = _ends(more, error)
    strength = strength_of(low, high, true=planted)
    gains = low > 0 and strength != "contradicted"
    today = Finding(
        text=f"{at}, choosing whom to write to by expected profit earns {_said(more, deciding)} per 1,000 "
        f"contacts than today's sending{_missed(strength, planted)}.",
        action="Try it on customers drawn by chance." if gains else "Keep today's sending for now.",
        strength=strength,
        worth=1 if gains else 2,
        section=_WHOM,
        **size(more, low, high, deciding.currency or "money"),
    )
    return [today] if simple.empty else [today, _beside(deciding, str(simple.idxmax()), len(simple), true)]


def _released(released: Released, true: np.ndarray | None) -> list[Finding]:
    """What the user's rules would have earned beyond today's sending."""
    told = released.deciding
    if told is None or (released.values["refused"] != "").any():
        return []
    more, error, planted = advantage(told, THE_RULES, TODAY, true=true)
    low, high = _ends(more, error)
    strength = strength_of(low, high, true=planted)
    gains = low > 0 and strength != "contradicted"
    at = "At the costs given" if len(told.costs) == 1 else "Before the cost of messages"
    part = " (but those that read later facts)" if released.left_out else ""
    return [
        Finding(
            text=f"{at}, the rules{part} would have earned {_said(more, told)} per 1,000 contacts "
            f"than today's sending{_missed(strength, planted)}.",
            action="Release them, with people held out by lot." if gains else "Do not release them for this.",
            strength=strength,
            worth=2,
            section=_RULED,
            figure=None,
            **size(more, low, high, told.currency or "money"),
        )
    ]


def _beside(deciding: Deciding, rule: str, n_rules: int, true: np.ndarray | None) -> Finding:
    """The model's choice beside the simple rule that seems best of several."""
    more, error, planted = advantage(deciding, MODEL, rule, true=true)
    named = f"{rule.removeprefix(EVERYONE)} to everyone" if rule.startswith(EVERYONE) else f"the {rule}"
    low, high = _ends(more, error, n_tried=n_rules)
    strength = strength_of(low, high, true=planted, before=_ends(more, error))
    by, earns, beaten, unit = "The", more, False, deciding.currency or "money"
    if planted is not None and planted < 0:
        by, earns, beaten = "By the known answer the", planted, True
    action = "Keep to the simple rule: nothing shows that the model earns more."
    if beaten or strength in ("clear", "known answer recovered"):
        action = "Use the model's choice." if earns > 0 else "Use the simple rule."
    return Finding(
        text=f"{by} model's choice earns {_said(earns, deciding)} per 1,000 contacts than a simple rule: {named}, "
        f"where permitted{'' if beaten else _missed(strength, planted)}.",
        action=action,
        strength="contradicted" if beaten else strength,
        worth=2,
        section=_WHOM,
        **({"value": planted, "unit": unit} if beaten else size(more, low, high, unit)),
    )


def unlike_groups(fair: Fairness) -> list[Finding]:
    """Return the first of three measures in which groups differ, with what was tried three times corrected for."""
    if fair.groups.empty:
        return []
    spread = fair.spread[fair.spread["rule"] == RULES[0]].set_index("measure")
    tried = [(name, at) for at in (0.05 / len(_UNEVEN), 0.05) for name in _UNEVEN if spread["p_value"][name] < at]
    measure, level = tried[0] if tried else (next(iter(_UNEVEN)), 1.0)
    text, say, worth = _UNEVEN[measure]
    gap, groups = spread.loc[measure], fair.groups[fair.groups["rule"] == RULES[0]].set_index("group")[measure]
    parts = [(say(groups[gap[end]]), _group(gap[end])) for end in ("largest", "smallest")]
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
            **size(gap["difference"], gap["difference_low"], gap["difference_high"], "points"),
        )
    ]


def _effect(moved: Uplift, true: pd.DataFrame, *, decided: bool) -> Finding:
    """Whether choosing by effect adds more than choosing by response."""
    if moved.why_not:
        return Finding(
            text="Whether messages bring anyone who would not have come anyway cannot be told here."
            if not decided
            else "Whom a message moves, beside who comes anyway, cannot be told from so few who got none.",
            action="Leave people drawn by chance without a message, record that chance, and collect enough.",
            strength="cannot be told",
            worth=2,
            section=_MOVED,
            figure=None,
        )
    gap = moved.rankings.set_index("ranking").loc["difference"]
    planted = None if true.empty else float(true.set_index("ranking")["qini"]["difference"])
    low, high = gap["qini_low"], gap["qini_high"]
    strength = strength_of(low, high, true=planted)
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
        **size(gap["qini"], low, high, "responses per 1,000 contacts"),
    )


def _ends(value: float, error: float, *, n_tried: int = 1) -> tuple[float, float]:
    half = float(norm.ppf(0.975)) * wider(n_tried) * error
    return value - half, value + half


def _missed(strength: str, true: float | None) -> str:
    """That it may be chance, or what was planted where the interval misses it."""
    return (
        f"; the known answer is {say_count(true)}"
        if strength == "contradicted" and true
        else _CHANCE.get(strength, "")
    )


def _said(more: float, deciding: Deciding) -> str:
    return f"{say_money(abs(more), currency=deciding.currency)} {'more' if more > 0 else 'less'}"


def _group(name: str) -> str:
    if name == UNKNOWN:
        return "of no known group"
    return f"born in the {name}" if re.fullmatch(r"\d+s", name) else f"of group {name.replace('_', ' ')}"
