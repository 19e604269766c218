"""What the page found, for whoever decides."""

from collections.abc import Iterator
from functools import partial

import pandas as pd

from journeybook.findings import Finding, say_count, say_share
from journeybook.identity.clusters import Resolution
from journeybook.identity.people import CarriedRefusals
from journeybook.identity.quality import PairQuality, in_truth


def find(
    found: Resolution, linked: pd.DataFrame, carried: CarriedRefusals, reach: pd.DataFrame, keys: pd.DataFrame,
    *, quality: PairQuality | None, copies: PairQuality, n_overruled: int, truth: pd.DataFrame | None,
) -> list[Finding]:  # fmt: skip
    """Return the page's findings; `quality` is against the `truth` (both None where it is not known)."""
    n_true = expected = None
    if truth is not None:
        n_true = in_truth(truth[truth.customer_id.isin(carried.people.customer_id)]).nunique()
        expected = float((1 - linked.probability).sum())
    persons = [*_pairs(quality or copies, expected), _people(found, n_true)]
    return [*persons, *_refusals(reach, carried, n_overruled), *_keys(keys, is_known=truth is not None)]


def _pairs(got: PairQuality, expected: float | None) -> Iterator[Finding]:
    n_wrong = got.n_found - got.n_right
    text = f"{say_share(got.precision)} of the pairs joined are right, and {say_share(got.recall)} of the true "
    text += "pairs are joined"
    action, strength = "Nothing to do: the linkage expected about as many wrong pairs.", "known answer recovered"
    if expected is None:
        text, strength = f"On copies made of these records, {text}", "suggestive"
        action = "Have some joined records checked by hand: real records have errors that copies lack."
    elif n_wrong - expected > 2 * n_wrong**0.5:  # two errors of a count, as in "Does it hold?"
        text = f"{say_count(n_wrong)} of {say_count(got.n_found)} pairs of customer numbers joined are different "
        text += f"people; the linkage itself expected {say_count(expected)}"
        action = "Check joined records that share a household by hand before anything personal depends on them."
        strength = "contradicted"
    value, unit, worth = got.precision, "share", 3
    if strength == "contradicted":
        value, unit, worth = n_wrong, "wrong pairs", 2
    if got.n_found:
        about = partial(Finding, section="Does it hold?", value=value, unit=unit)
        figure = int(expected is not None)  # copies made of the records, or all pairs against the truth
        yield about(text=f"{text}.", action=action, strength=strength, worth=worth, figure=figure)


def _people(found: Resolution, n_true: int | None) -> Finding:
    n_ids, n = found.records.customer_id.nunique(), found.n_people
    text, strength = f"{say_count(n_ids)} customer numbers belong to {say_count(n)} people", "suggestive"
    if n_true is not None:
        text += f", in truth to {say_count(n_true)}"
        strength = "known answer recovered" if n == n_true else "contradicted"
    text += f"; counted by number, customers would be {say_share(n_ids / n - 1)} too many." if n_ids > n else "."
    action, worth = ("Count, budget and write by person.", 2) if n_ids > n else ("Nothing to do.", 3)
    if strength == "contradicted" and n_true is not None:
        nearer = abs(n - n_true) < abs(n_ids - n_true)
        off = say_count(abs(n - n_true))
        action = f"Take no number of people as exact: this one is off by {off}"
        action += ", and counting by number would be further off." if nearer else "."
    about = partial(Finding, section="Which pairs are one person?", value=n, unit="people", figure=None)
    return about(text=text, action=action, strength=strength, worth=worth)


def _refusals(reach: pd.DataFrame, carried: CarriedRefusals, n_overruled: int) -> Iterator[Finding]:
    about = partial(Finding, section="Whose refusals hold for whom?", figure=None)
    most, n = reach.loc[reach.n_carried_ids.idxmax()], carried.n_recognised
    if n_overruled:
        text = f"{say_count(n_overruled)} permissions overrule a refusal by the same person."
        action = "Write to nobody before this is mended."
        yield about(text=text, action=action, strength="contradicted", worth=1, value=n_overruled)
    if most.n_carried_ids:
        text = f"Refusing {most.purpose.replace('_', ' ')} under one customer number silences "
        text += f"{say_count(most.n_carried_ids)} further numbers of the same people."
        action = "Let customers refuse once, for all their accounts."
        yield about(text=text, action=action, strength="counted", worth=2, value=int(most.n_carried_ids))
    if n:
        text = f"{say_count(n)} customers who refuse to be matched were recognised on "
        text += f"{say_count(len(carried.set_apart))} other customer numbers, which now stand alone."
        action = "Nothing to do: what any of them refuses holds for the others."
        yield about(text=text, action=action, strength="counted", worth=3, value=n)


def _keys(keys: pd.DataFrame, *, is_known: bool) -> Iterator[Finding]:
    if not keys.n_wrong.sum():
        return
    worst = keys.loc[keys.n_wrong.idxmax()]
    text = f"Joining all who share {worst.key.replace(' + ', ' and ').replace('_', ' ')} would make one person of "
    text += f"{say_count(worst.n_wrong)} pairs of different people, {say_share(worst.wrong_share)} of all it joins"
    text += "." if is_known else ", as far as this page can tell."
    action = "Ask for a given name or a birth date beside anything that a household shares."
    strength, section = "counted" if is_known else "suggestive", "The pitfall: one key is enough"
    about = partial(Finding, section=section, value=worst.wrong_share, unit="share", figure=None)
    yield about(text=text, action=action, strength=strength, worth=3)
