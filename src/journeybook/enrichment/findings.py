"""What the page found, for whoever decides."""

from functools import partial

import pandas as pd

from journeybook.enrichment.leak import LeakTrial
from journeybook.enrichment.snapshots import RECENT_DAYS
from journeybook.enrichment.third_party import MatchTruth
from journeybook.findings import Finding, say_count, say_money, say_share

_KNOWN = "What is known of each person at the start of each month?"
_OUTSIDE = "Whom are third-party attributes known of?"
_HOLDS, _LATER = "Does it hold?", "The pitfall: features that know what came after"

_MUCH = 0.05
"""Revenue of guests beyond this share changes what figures by person can say."""


def find(
    by_date: pd.DataFrame,
    totals: pd.DataFrame,
    known_of: pd.DataFrame,
    *,
    n_all: int,
    leak: LeakTrial | None,
    question: str,
    joined: MatchTruth | None,
) -> list[Finding]:
    """Return the page's findings.

    Args:
        by_date: As `features_by_date` returns it.
        totals: As `totals_by_date` returns it.
        known_of: As `coverage` returns it.
        n_all: People with receipts, before any limit.
        leak: The trial of features that know what came after; None where outcomes are too few.
        question: What that trial predicts.
        joined: The join held against the planted truth; None where there is none.
    """
    money = [*_lost(totals), *_guests(totals)]
    return [*money, *_right(joined), *_outside(known_of), *_windows(by_date), _leak(leak, question),
            _described(by_date, n_all)]  # fmt: skip


def _lost(totals: pd.DataFrame) -> list[Finding]:
    lost = float(totals.left_over.abs().max())
    if not lost > 0:
        return []
    text = f"Revenue of {say_money(lost)} is neither that of people nor of guests: features and receipts disagree."
    action = "Use no figure by person before it is found."
    return [
        Finding(text=text, action=action, strength="contradicted", worth=1, section=_HOLDS, value=lost,
                unit="money", figure=None)
    ]  # fmt: skip


def _guests(totals: pd.DataFrame) -> list[Finding]:
    last = totals.iloc[-1]
    if not 0 < last.guests < last.total:
        return []
    share = float(last.guests / last.total)
    text = f"{say_share(share)} of revenue is that of guests, of whom nothing can be known."
    action = "Add it to any total that is built up from people."
    return [
        Finding(text=text, action=action, strength="counted", worth=2 if share > _MUCH else 3, section=_HOLDS,
                value=share, unit="share", figure=None)
    ]  # fmt: skip


def _described(by_date: pd.DataFrame, n_all: int) -> Finding:
    n, day = int(by_date.n_people.iloc[-1]), by_date.as_of.iloc[-1]
    text = f"{say_count(n)} of {say_count(n_all)} people are described as of {day.day} {day:%B %Y}, by nothing "
    text += "recorded later."
    others = "Plan for the others without features: they had not bought by then, or are outside the sample."
    action = others if n_all > n else "Nothing to do."
    return Finding(text=text, action=action, strength="counted", worth=3, section=_KNOWN, value=n, unit="people")


def _windows(by_date: pd.DataFrame) -> list[Finding]:
    about = partial(Finding, section=_KNOWN, worth=2, unit="snapshots")
    n, n_short, days = len(by_date), int((~by_date.window_full).sum()), max(RECENT_DAYS)
    if n_short == n:
        text = f"No snapshot looks back over full {days} days, so that no two can be compared."
        return [about(text=text, action="Wait until the data reach back further.", strength="cannot be told")]
    if not n_short:
        return []
    text = f"{n_short} of {n} snapshots look back over less than {days} days: what rises there is the data's "
    text += "beginning, not the customers' doing."
    action = f"Compare snapshots from {by_date.as_of[by_date.window_full].min():%B %Y} on only."
    return [about(text=text, action=action, strength="counted", value=n_short)]


def _outside(known_of: pd.DataFrame) -> list[Finding]:
    if known_of.empty:
        return []
    about, last = partial(Finding, section=_OUTSIDE, unit="share"), known_of.iloc[-1]
    share, with_them, without = (
        float(last[c]) for c in ("known_share", "median_revenue_known", "median_revenue_unknown")
    )
    if last.n_known == 0:
        text, action = "Third-party data were joined, and are known of nobody.", "Conclude nothing from them."
        return [about(text=text, action=action, strength="cannot be told", worth=2)]
    text = f"Third-party data are known of {say_share(share)} of {say_count(last.n_people)} people"
    if last.n_known == last.n_people:
        return [about(text=f"{text}.", action="Nothing to do.", strength="counted", worth=3, value=share)]
    text += f"; the median revenue of those is {say_money(with_them)}, of the others {say_money(without)}."
    kept = "spend more" if with_them > without else "spend less"
    action = f"Keep people without them in every model and report: dropping them would keep those who {kept}."
    return [about(text=text, action=action, strength="counted", worth=2, value=share)]


def _right(joined: MatchTruth | None) -> list[Finding]:
    if joined is None or not joined.n_known:
        return []
    wrong = 1 - joined.right_share
    text = f"{say_share(wrong)} of the people with third-party data carry those of a place where they do not live."
    action, strength, worth = "Renew addresses, and decide nothing about one person by them.", "contradicted", 2
    if not wrong > 0:
        text = "Everybody with third-party data carries those of the place where they live."
        action, strength, worth = "Nothing to do.", "known answer recovered", 3
    return [
        Finding(text=text, action=action, strength=strength, worth=worth, section=_HOLDS, value=wrong,
                unit="share", figure=None)
    ]  # fmt: skip


def _leak(leak: LeakTrial | None, question: str) -> Finding:
    about = partial(
        Finding, section=_LATER, action="Use no figure from after the question: nobody has it on the day."
    )
    if leak is None:
        text = "Too few outcomes show what figures from after the question would seem to gain."
        return about(text=text, strength="cannot be told", worth=3, figure=None)
    honest, later, gain = leak.figures.roc_auc
    low, high = (float(leak.figures[c].iloc[-1]) for c in ("roc_auc_low", "roc_auc_high"))
    clear = low > 0 or high < 0
    text = f"Asked {question}, figures from after the question would {'seem to ' if clear else ''}rank "
    text += f"{say_share(later)} of pairs rightly, honest ones {say_share(honest)}"
    text += "." if clear else ": too close to tell."
    return about(text=text, strength="clear" if clear else "cannot be told", worth=2 if clear else 3, value=gain,
                 low=low, high=high, unit="points")  # fmt: skip
