"""Records with known truth, made from the page's own."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
DIGITS = np.array(list("0123456789"))


@dataclass(frozen=True, eq=False)
class KnownRecords:
    """Records of which it is known who is who.

    Attributes:
        records: `row`, `customer_id` (one a record) and the fields, normalised.
        truth: Person of each record, in the order of `row`.
        n_people: Number of people.
        n_relatives: Number of them that are invented relatives of another.
    """

    records: pd.DataFrame
    truth: np.ndarray
    n_people: int
    n_relatives: int


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

    An original is one record of a person already found, so that no two are the same person. A copy has,
    field by field, one typing error (a character replaced, dropped or exchanged with the next) or no value. A
    relative has the surname, phone, address and postcode of an original, in half the cases the e-mail
    address too, and a given name and birth date of someone else.

    Args:
        records: Normalised records, one a person: `row`, `customer_id` and fields.
        n_people: Originals drawn; all if there are fewer.
        copy_share: Share of the originals that get a copy, 0 to 1.
        error_rate: Probability of a typing error in each field of a copy that has a value, 0 to 1.
        missing_rate: Probability that a field of a copy has no value, 0 to 1.
        relative_share: Share of the originals that get a relative, 0 to 1.
        rng: Draws all of it.

    Raises:
        ValueError: A share or rate is not from 0 to 1.
    """
    names = ("copy_share", "error_rate", "missing_rate", "relative_share")
    for name, value in zip(names, (copy_share, error_rate, missing_rate, relative_share), strict=True):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}: needed is a share from 0 to 1.")
    fields = [column for column in records.columns if column not in ("row", "customer_id")]
    chosen = np.sort(rng.permutation(len(records))[:n_people])
    originals = records.sort_values("row")[fields].astype(object).iloc[chosen].reset_index(drop=True)
    n = len(originals)
    copied = np.sort(rng.permutation(n)[: round(copy_share * n)])
    copies = originals.iloc[copied].map(lambda value: _mistyped(value, error_rate, missing_rate, rng))
    related = np.sort(rng.permutation(n)[: round(relative_share * n)])
    relatives = originals.iloc[related].copy()
    for field in ("given_name", "birth_date"):
        if field in fields:
            relatives[field] = originals[field].to_numpy()[rng.permutation(n)[: len(related)]]
    if "email" in fields:
        relatives["email"] = relatives.email.where(rng.random(len(related)) < 0.5, None)
    together = pd.concat([originals, copies, relatives], ignore_index=True)
    together = together.where(together.notna(), None)
    together.insert(0, "row", range(1, len(together) + 1))
    together.insert(1, "customer_id", [f"known {row}" for row in together.row])
    return KnownRecords(
        records=together,
        truth=np.concatenate([np.arange(n), copied, n + np.arange(len(related))]),
        n_people=n + len(related),
        n_relatives=len(related),
    )


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
