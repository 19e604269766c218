"""A linkage tried on records of known truth, made from the page's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.clusters import resolve
from journeybook.identity.comparison import compare
from journeybook.identity.model import apply_linkage, fit_linkage
from journeybook.identity.quality import PairQuality, pair_quality

# Thresholds that the curve is drawn for, beside the page's own.
THRESHOLDS = (0.1, 0.5, 0.9, 0.99)
LETTERS, DIGITS = np.array(list("abcdefghijklmnopqrstuvwxyz")), np.array(list("0123456789"))


@dataclass(frozen=True, eq=False)
class KnownRecords:
    """Records of which it is known who is who.

    Attributes:
        records: `row`, `customer_id` (one a record) and the fields, normalised.
        truth: Person of each record, in the order of `row`.
    """

    records: pd.DataFrame
    truth: np.ndarray


def simulate_copies(
    records: pd.DataFrame,
    *,
    n_people: int,
    copy_share: float,
    error_rate: float,
    missing_rate: float,
    relative_share: float,
    rng: np.random.Generator,
) -> KnownRecords:
    """Make records of known truth: originals, faulty copies of some, and relatives who share a household.

    An original is one record of a person already found, so that no two are the same person. A copy has, field by
    field, one typing error (a character replaced, dropped or exchanged with the next) or no value, and comes from
    another source, where there is one. A relative has the surname, phone, address and postcode of an original, in
    half the cases the e-mail address too, and a given name and birth date of someone else.

    Args:
        records: Normalised records, one a person: `row`, `customer_id` and fields.
        n_people: Originals drawn, 1 or more; all if there are fewer.
        copy_share: Share of the originals that get a copy.
        error_rate: Probability of a typing error in each field of a copy that has a value.
        missing_rate: Probability that a field of a copy has no value.
        relative_share: Share of the originals that get a relative.
        rng: Draws all of it.
    """
    if n_people < 1:
        raise ValueError(f"n_known_people is {n_people}: needed is 1 or more.")
    fields = [column for column in records.columns if column not in ("row", "customer_id")]
    chosen = np.sort(rng.permutation(len(records))[:n_people])
    originals = records.sort_values("row")[fields].astype(object).iloc[chosen].reset_index(drop=True)
    n = len(originals)
    copied = np.sort(rng.permutation(n)[: round(copy_share * n)])
    copies = originals.iloc[copied].map(lambda value: _mistyped(value, error_rate, missing_rate, rng))
    if "source" in fields:
        copies["source"] = [_another(own, originals.source, rng) for own in originals.source.iloc[copied]]
    related = np.sort(rng.permutation(n)[: round(relative_share * n)])
    relatives = originals.iloc[related].copy()
    for field in ("given_name", "birth_date"):
        if field in fields:
            relatives[field] = originals[field].to_numpy()[rng.permutation(n)[: len(related)]]
    if "email" in fields:
        relatives["email"] = relatives.email.where(rng.random(len(related)) < 0.5, None)
    if "source" in fields:
        relatives["source"] = rng.permutation(originals.source.to_numpy())[: len(related)]
    together = pd.concat([originals, copies, relatives], ignore_index=True)
    together = together.where(together.notna(), None)
    together.insert(0, "row", range(1, len(together) + 1))
    together.insert(1, "customer_id", [f"known {row}" for row in together.row])
    return KnownRecords(together, np.concatenate([np.arange(n), copied, n + np.arange(len(related))]))


@dataclass(frozen=True, eq=False)
class LinkageTrial:
    """How a linkage does on records of known truth.

    Attributes:
        quality: Pairs at the page's threshold.
        expected_matches: Number of matches that the model expects among the pairs compared.
        n_off_day_two: Records that land in another cluster where the last third is linked to the rest a day later.
        curve: One row a threshold: `threshold`, `precision`, `recall`, `n_wrong`, `n_missed` (pairs), `cost`.
    """

    quality: PairQuality
    expected_matches: float
    n_off_day_two: int
    curve: pd.DataFrame


def try_linkage(
    known: KnownRecords,
    *,
    threshold: float,
    blocking: Sequence[str],
    max_block: int,
    max_diameter: int,
    n_random_pairs: int,
    max_iterations: int,
    wrong_cost: float,
    missed_cost: float,
    rng: np.random.Generator,
) -> LinkageTrial:
    """Link records of known truth as the page does, at several thresholds."""
    records = ibis.memtable(known.records)
    pairs = compare(records, blocking=blocking, max_block=max_block, n_random_pairs=n_random_pairs, rng=rng)
    model = fit_linkage(pairs, max_iterations=max_iterations)
    found = {}
    for at in sorted({threshold, *THRESHOLDS}):
        people = resolve(records, threshold=at, max_diameter=max_diameter, pairs=pairs, model=model)
        found[at] = pair_quality(people.records.cluster, known.truth)
    rows = [(at, q.precision, q.recall, q.n_found - q.n_right, q.n_true - q.n_right) for at, q in found.items()]
    curve = pd.DataFrame(rows, columns=["threshold", "precision", "recall", "n_wrong", "n_missed"])
    curve["cost"] = wrong_cost * curve.n_wrong + missed_cost * curve.n_missed
    # A day later: only what is new is compared, with the model and the names of the whole.
    compared = partial(
        compare, blocking=blocking, max_block=max_block, n_random_pairs=1, rng=rng, names_of=records
    )
    linked = partial(resolve, threshold=threshold, max_diameter=max_diameter)
    n_first = len(known.records) * 2 // 3
    early = compared(records.filter(records.row <= n_first))
    first = linked(records.filter(records.row <= n_first), pairs=early, model=apply_linkage(model, early))
    late = compared(records, after=n_first)
    both = linked(records, pairs=late, model=apply_linkage(model, late), before=first.links)
    at_once = linked(records, pairs=pairs, model=model)
    n_off = int((both.records.cluster != at_once.records.cluster).sum())
    return LinkageTrial(found[threshold], model.n_matches, n_off, curve)


def _another(source: str, sources: pd.Series, rng: np.random.Generator) -> str:
    others = sources[sources != source]
    return str(others.iloc[rng.integers(len(others))]) if len(others) else source


def _mistyped(value: object, error_rate: float, missing_rate: float, rng: np.random.Generator) -> object:
    lost, mistaken = rng.random(2) < (missing_rate, error_rate)
    if pd.isna(value) or lost:
        return None
    text = str(value)
    if not mistaken or len(text) < 2:
        return text
    place, kind = int(rng.integers(len(text) - 1)), int(rng.integers(3))
    if kind == 0:
        return text[:place] + str(rng.choice(DIGITS if text[place].isdigit() else LETTERS)) + text[place + 1 :]
    if kind == 1:
        return text[:place] + text[place + 1 :]
    return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
