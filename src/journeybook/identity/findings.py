"""What the page found, for whoever decides."""

from functools import partial

import pandas as pd

from journeybook.findings import Finding, say_count, say_share
from journeybook.identity.clusters import Resolution
from journeybook.identity.people import CarriedRefusals
from journeybook.identity.quality import PairQuality, in_truth, people_quality

_PAIRS, _REFUSALS = "Which pairs are one person?", "Whose refusals hold for whom?"
_HOLDS, _KEY = "Does it hold?", "The pitfall: one key is enough"

_NEAR = 0.01
"""A number of people no further than this share from the truth is the truth recovered."""


def find(
    found: Resolution,
    linked: pd.DataFrame,
    carried: CarriedRefusals,
    reach: pd.DataFrame,
    keys: pd.DataFrame,
    *,
    copies: PairQuality,
    n_overruled: int,
    truth: pd.DataFrame | None,
) -> list[Finding]:
    """Return the page's findings.

    Args:
        found: Records linked into people.
        linked: Pairs from the threshold on, with their `probability`.
        carried: Refusals carried to people.
        reach: As `refusal_reach` counts it.
        keys: As `keys_alone` judges them: by the truth where it is known, else by the people found.
        copies: Pairs of the copies of known truth.
        n_overruled: People permitted despite a refusal.
        truth: The person in truth, as `people_quality` takes it; None where it is not known.
    """
    linkage = _copies(copies) if truth is None else _truth(carried, truth, linked)
    people = _people(found, carried.people, truth)
    return [*linkage, people, *_refusals(reach, carried, n_overruled), *_keys(keys, truth)]


def _truth(carried: CarriedRefusals, truth: pd.DataFrame, linked: pd.DataFrame) -> list[Finding]:
    people = carried.people
    got = people_quality(people[~people.customer_id.isin(carried.set_apart)], truth)
    n_wrong, expected = got.n_found - got.n_right, float((1 - linked.probability).sum())
    if not got.n_found:
        return []
    if n_wrong - expected > 2 * n_wrong**0.5:  # two errors of a count, as in "Does it hold?"
        text = f"{say_count(n_wrong)} of {say_count(got.n_found)} pairs of customer numbers joined "
        text += f"are different people; the linkage itself expected {say_count(expected)}."
        action = "Check joined records that share a household by hand before anything personal depends on them."
        strength, worth = "contradicted", 2
    else:
        text = f"{say_share(got.precision)} of the pairs joined are one person in truth, as the linkage expected; "
        text += f"of the true pairs {say_share(got.recall)} are joined."
        action, strength, worth = "Nothing to do.", "known answer recovered", 3
    return [
        Finding(text=text, action=action, strength=strength, worth=worth, section=_HOLDS, value=n_wrong,
                unit="wrong pairs", figure=None)
    ]  # fmt: skip


def _copies(copies: PairQuality) -> list[Finding]:
    if not copies.n_found:
        return []
    text = f"On copies made of these records, {say_share(copies.precision)} of the pairs joined are right, and "
    text += f"{say_share(copies.recall)} of the true pairs are joined."
    action = "Have some joined records checked by hand: real records have errors that copies lack."
    return [
        Finding(text=text, action=action, strength="suggestive", worth=3, section=_HOLDS, value=copies.precision,
                unit="share")
    ]  # fmt: skip


def _people(found: Resolution, people: pd.DataFrame, truth: pd.DataFrame | None) -> Finding:
    n_ids, n_people = found.records.customer_id.nunique(), found.n_people
    text, strength = f"{say_count(n_ids)} customer numbers belong to {say_count(n_people)} people", "suggestive"
    if truth is not None:
        n_true = in_truth(truth[truth.person_id.isin(people.person_id)]).nunique()
        text += f", in truth to {say_count(n_true)}"
        near = abs(n_people - n_true) <= _NEAR * n_true
        strength = "known answer recovered" if near else "contradicted"
    more = f"; counted by number, customers would be {say_share(n_ids / max(n_people, 1) - 1)} too many"
    merged = n_ids > n_people
    return Finding(
        text=text + (more if merged else "") + ".",
        action="Count, budget and write by person." if merged else "Nothing to do.",
        strength=strength,
        worth=2 if merged else 3,
        section=_PAIRS,
        value=n_people,
        unit="people",
    )


def _refusals(reach: pd.DataFrame, carried: CarriedRefusals, n_overruled: int) -> list[Finding]:
    about = partial(Finding, section=_REFUSALS, figure=None)
    found, most = [], reach.loc[reach.n_carried_ids.idxmax()]
    n_carried, n_recognised = int(most.n_carried_ids), carried.n_recognised
    if n_overruled:
        text = f"{say_count(n_overruled)} permissions overrule a refusal by the same person."
        action = "Write to nobody before this is mended."
        found.append(about(text=text, action=action, strength="contradicted", worth=1, value=n_overruled))
    if n_carried:
        text = f"Refusing {most.purpose.replace('_', ' ')} under one customer number silences "
        text += f"{say_count(n_carried)} further numbers of the same people."
        action = "Let customers refuse once, for all their accounts."
        found.append(about(text=text, action=action, strength="counted", worth=2, value=n_carried, unit="numbers"))
    if n_recognised:
        text = f"{say_count(n_recognised)} customers who refuse to be matched were recognised on "
        text += f"{say_count(len(carried.set_apart))} other customer numbers, which now stand alone."
        action = "Nothing to do: what any of them refuses holds for the others."
        found.append(about(text=text, action=action, strength="counted", worth=3, value=n_recognised))
    if not reach.n_refusing_ids.sum():
        text = "Nobody's refusal is on record, so none could hold for a person's other customer numbers."
        action = "Where no ledger is kept, keep one: silence is no permission."
        found.append(about(text=text, action=action, strength="cannot be told", worth=3))
    return found


def _keys(keys: pd.DataFrame, truth: pd.DataFrame | None) -> list[Finding]:
    if not keys.n_wrong.sum():
        return []
    worst = keys.loc[keys.n_wrong.idxmax()]
    key = worst.key.replace(" + ", " and ").replace("_", " ")
    text = f"Joining all who share {key} would make one person of {say_count(worst.n_wrong)} pairs of different "
    text += f"people, {say_share(worst.wrong_share)} of all it joins"
    return [
        Finding(
            text=f"{text}." if truth is not None else f"{text}, as far as this page can tell.",
            action="Ask for a given name or a birth date beside anything that a household shares.",
            strength="suggestive" if truth is None else "counted",
            worth=3,
            section=_KEY,
            value=worst.wrong_share,
            unit="share",
        )
    ]
