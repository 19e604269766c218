"""What the page found, for whoever decides."""

from collections.abc import Iterator
from functools import partial
from math import ceil

import pandas as pd

from journeybook.enrichment.ablation import GIVE_BACK
from journeybook.enrichment.leak import LeakTrial
from journeybook.enrichment.snapshots import RECENT_DAYS
from journeybook.enrichment.truth import MatchTruth
from journeybook.enrichment.words import called, title_coverage
from journeybook.findings import Finding, say_count, say_names, say_share, size

# Revenue of guests beyond this share changes what figures by person can say.
_MUCH = 0.05


def find(
    by_date: pd.DataFrame,
    totals: pd.DataFrame,
    known_of: pd.DataFrame,
    leak: LeakTrial,
    joined: MatchTruth,
    added: pd.DataFrame,
    *,
    n_all: int,
    currency: str | None,
) -> list[Finding]:
    """Return the page's findings; `n_all` counts people with receipts before any limit."""
    outside = [*_sources(added), *_right(joined), *_outside(known_of, currency)]
    return [*outside, *(_known(by_date, totals, n_all) if len(by_date) else _nobody(n_all)), _leak(leak)]


def _nobody(n_all: int) -> Iterator[Finding]:
    text = "No receipt names a customer, so that nobody can be described."
    action = "Map the column that says who bought, if there is one."
    if n_all:
        text = f"None of {say_count(n_all)} customers is described: all their amounts are negative or empty lines."
        action = "If purchases are written as debits, map revenue with a minus sign."
    section = "What is known of each person at the start of each month?"
    yield Finding(
        text=text, action=action, section=section, strength="counted", worth=1, value=0, unit="people", figure=None
    )


def _known(by_date: pd.DataFrame, totals: pd.DataFrame, n_all: int) -> Iterator[Finding]:
    about = partial(Finding, section="What is known of each person at the start of each month?")
    n, day, last = int(by_date.n_people.iloc[-1]), by_date.as_of.iloc[-1], totals.iloc[-1]
    part, whole = last.revenue_guests, last.revenue_total
    guests = float(part / whole) if 0 < part <= whole else 0.0
    text = f"{say_count(n)} of {say_count(n_all)} people are described as of {day.day} {day:%B %Y}, by nothing "
    text += "recorded later" + (f"; {say_share(guests)} of revenue is that of unknown guests." if guests else ".")
    others = "Plan for all others without features." if n_all > n else "Nothing to do."
    action = "Add guests to any total that is built up from people." if guests else others
    worth = 2 if guests > _MUCH else 3
    yield about(text=text, action=action, strength="counted", worth=worth, value=n, unit="people")
    n, n_short, days = len(by_date), int((~by_date.window_full).sum()), max(RECENT_DAYS)
    if n_short == n:
        text = f"No snapshot looks back over full {days} days, so that no two can be compared."
        action = "Wait until the data reach back further."
        yield about(text=text, action=action, strength="cannot be told", worth=2)
    elif n_short:
        text = f"{n_short} of {n} snapshots look back over less than {days} days: what rises there is the data's "
        text += "beginning, not the customers' doing."
        action = f"Compare snapshots from {by_date.as_of[by_date.window_full].min():%B %Y} on only."
        yield about(text=text, action=action, strength="counted", worth=2, value=n_short, unit="snapshots")


def _outside(known_of: pd.DataFrame, currency: str | None) -> Iterator[Finding]:
    if known_of.empty:
        return
    last = known_of.iloc[-1]
    action, strength, worth = "Nothing to do.", "counted", 3
    if last.n_known == 0:
        action, strength = "Conclude nothing from them.", "cannot be told"
    elif last.n_known < last.n_people:
        more = "more" if last.median_revenue_known > last.median_revenue_unknown else "less"
        action = f"Keep people without them in every model and report: dropping them keeps those who spend {more}."
        worth = 2
    about = partial(Finding, section="Whom are third-party attributes known of?", unit="share", figure=None)
    text = f"{title_coverage(known_of, currency=currency)}."
    yield about(text=text, action=action, strength=strength, worth=worth, value=float(last.known_share))


def _sources(added: pd.DataFrame) -> Iterator[Finding]:
    if added.empty or added.source.nunique() < 2:
        return
    outcomes = f"next quarter's {say_names([*added.outcome.unique()])}"
    idle = added.groupby("source", sort=False).filter(lambda of: (of.verdict == GIVE_BACK).all())
    most = (idle if len(idle) else added).sort_values("gain_high").iloc[-1]
    about = partial(Finding, section="What does each source add?")
    about = partial(about, **size(most.gain, most.gain_low, most.gain_high, "share"))
    if idle.empty:
        text = f"No source can be spared yet: each may help to predict {outcomes}."
        yield about(text=text, action="Keep them all for now.", strength="cannot be told", worth=3)
        return
    names, several = say_names([called(source) for source in idle.source.unique()]), idle.source.nunique() > 1
    text = f"Linear models predict {outcomes} as well without {'one of ' * several}{names}: alone it explains "
    text += f"at most {say_share(max(ceil(1000 * most.gain_high), 1) / 1000)} more."
    action = f"Give back {'the dearest of ' * several}{names}, unless another purpose needs it"
    action += ", and ask again: two may stand in for each other." if several else "."
    yield about(text=text, action=action, strength="clear", worth=2)


def _right(joined: MatchTruth) -> Iterator[Finding]:
    if not joined.n_known:
        return
    wrong = 1 - joined.right_share
    text = f"{say_share(wrong)} of the people with third-party data carry those of a place they do not live at."
    action = "Renew addresses, and decide nothing about one person by them." if wrong else "Nothing to do."
    strength, worth = ("contradicted", 2) if wrong else ("known answer recovered", 3)
    about = partial(Finding, section="Does it hold?", value=wrong, unit="share", figure=None)
    yield about(text=text, action=action, strength=strength, worth=worth)


def _leak(leak: LeakTrial) -> Finding:
    about = partial(Finding, section="The pitfall: features that know what came after", figure=None)
    action = "Use no figure from after the question: nobody has it on the day."
    if leak.figures.empty:
        text = "Too few outcomes show what figures from after the question would seem to gain."
        return about(text=text, action=action, strength="cannot be told", worth=3)
    (honest, later, gain), apart = leak.figures.roc_auc, leak.figures.iloc[-1]
    low, high = float(apart.roc_auc_low), float(apart.roc_auc_high)
    told, strength, worth = ": too close to tell.", "cannot be told", 3
    if low > 0 or high < 0:
        told, strength, worth = ".", "clear", 2
    text = (
        f"Asked {leak.question}, figures from after the question would seem to rank {say_share(later)} of pairs "
    )
    text += f"rightly, honest ones {say_share(honest)}{told}"
    about = partial(about, value=gain, low=low, high=high, unit="points")
    return about(text=text, action=action, strength=strength, worth=worth)
