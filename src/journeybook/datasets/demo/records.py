"""What three systems hold of a person: what was true at the last update, less what was not asked, with errors."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from journeybook.datasets.demo.misspelling import NICKNAMES, misdial, misspell, write_phone

SOURCES = ("loyalty", "web", "call_centre")

# Share of a source's records in which a thing goes wrong: loyalty, web, call centre. Each is drawn on its own.
RATES = {
    "given_name_nickname": (0.04, 0.12, 0.15),
    "given_name_typo": (0.02, 0.015, 0.05),
    "given_name_initial": (0.03, 0.01, 0.02),
    "given_name_missing": (0.01, 0.005, 0.02),
    "surname_typo": (0.02, 0.015, 0.06),
    "surname_missing": (0.0, 0.005, 0.01),
    "names_in_capitals": (0.05, 0.01, 0.25),
    "names_in_small_letters": (0.0, 0.06, 0.0),
    "names_with_spaces": (0.01, 0.02, 0.03),
    "names_swapped": (0.01, 0.02, 0.02),
    "email_other": (0.10, 0.10, 0.10),
    "email_typo": (0.02, 0.01, 0.04),
    "email_missing": (0.35, 0.02, 0.30),
    "phone_typo": (0.02, 0.015, 0.02),
    "phone_missing": (0.20, 0.35, 0.03),
    "address_typo": (0.03, 0.02, 0.06),
    "address_missing": (0.08, 0.35, 0.25),
    "postcode_zero_lost": (0.40, 0.0, 0.0),
    "postcode_plus_four": (0.0, 0.15, 0.02),
    "postcode_missing": (0.03, 0.10, 0.15),
    "birth_date_day_and_month_swapped": (0.01, 0.005, 0.03),
    "birth_date_wrong_year": (0.01, 0.02, 0.01),
    "birth_date_missing": (0.15, 0.40, 0.35),
}

# Share of a source's telephone numbers written in each of the ways of `write_phone`.
PHONE_STYLES = {
    "loyalty": (0.10, 0.10, 0.80, 0.00, 0.00, 0.00),
    "web": (0.35, 0.30, 0.15, 0.05, 0.12, 0.03),
    "call_centre": (0.10, 0.60, 0.10, 0.15, 0.00, 0.05),
}

_FIELDS = ("given_name", "surname", "email", "phone", "address", "postcode", "birth_date")


def fill_in(
    accounts: pd.DataFrame, persons: pd.DataFrame, *, end: np.datetime64, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the record behind each account, in the order of their random record ids.

    One column more, `names_swapped`, says whose given name and surname were exchanged; no source has it.

    Args:
        accounts: One row a customer_id: household (row of `persons`), source, customer_id, joined_at.
        persons: What is true of each household, with `old_` fields before `moved_at` and `renumbered_at`.
        end: Last moment of an update.
        rng: Random numbers.
    """
    n = len(accounts)
    joined = accounts["joined_at"].to_numpy().astype("datetime64[s]")
    updated = joined + (rng.random(n) ** 2 * (end - joined).astype(float)).astype("timedelta64[s]")
    source = accounts["source"].map({name: k for k, name in enumerate(SOURCES)}).to_numpy()
    wrong = {name: rng.random(n) < np.array(rates)[source] for name, rates in RATES.items()}
    true = persons.loc[accounts["household"]].reset_index(drop=True)
    moved, renumbered = true["moved_at"].to_numpy() <= updated, true["renumbered_at"].to_numpy() <= updated
    records = pd.DataFrame(
        {
            "record_id": [f"R{number}" for number in 100_000 + rng.choice(900_000, n, replace=False)],
            "source": accounts["source"],
            "customer_id": accounts["customer_id"],
            "given_name": true["given_name"],
            "surname": true["surname"],
            "email": np.where(wrong["email_other"], true["other_email"], true["email"]),
            "phone": np.where(renumbered, true["phone"], true["old_phone"]),
            "address": np.where(moved, true["address"], true["old_address"]),
            "postcode": np.where(moved, true["postcode"], true["old_postcode"]),
            "birth_date": true["birth_date"],
            "updated_at": updated.astype("datetime64[us]"),
        }
    )
    _misname(records, wrong, rng)
    _change(records, "email", wrong["email_typo"], lambda text: _misspell_mailbox(text, rng))
    _change(records, "phone", wrong["phone_typo"], lambda text: misdial(text, rng))
    styles = [rng.choice(6, p=PHONE_STYLES[name]) for name in records["source"]]
    records["phone"] = [write_phone(number, s) for number, s in zip(records["phone"], styles, strict=True)]
    _change(records, "address", wrong["address_typo"], lambda text: misspell(text, rng))
    _change(records, "postcode", wrong["postcode_zero_lost"], lambda text: text.lstrip("0"))
    _change(records, "postcode", wrong["postcode_plus_four"], lambda text: f"{text}-{rng.integers(1, 10_000):04d}")
    records["birth_date"] = _misdate(records["birth_date"], wrong, rng)
    for name in _FIELDS:
        records[name] = records[name].mask(wrong[f"{name}_missing"])
    records["names_swapped"] = wrong["names_swapped"]
    return records.sort_values("record_id", ignore_index=True)


def _change(records: pd.DataFrame, name: str, where: np.ndarray, how: Callable[[str], str]) -> None:
    """Change a field of some records, in place."""
    records.loc[where, name] = [how(text) for text in records.loc[where, name]]


def _misname(records: pd.DataFrame, wrong: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    _change(records, "given_name", wrong["given_name_nickname"], lambda text: NICKNAMES.get(text, text))
    _change(records, "given_name", wrong["given_name_typo"], lambda text: misspell(text, rng))
    _change(records, "given_name", wrong["given_name_initial"], lambda text: f"{text[0]}.")
    _change(records, "surname", wrong["surname_typo"], lambda text: misspell(text, rng))
    for name in ("given_name", "surname"):
        _change(records, name, wrong["names_in_capitals"], str.upper)
        _change(records, name, wrong["names_in_small_letters"], str.lower)
        _change(records, name, wrong["names_with_spaces"], lambda text: f" {text}  ")
    swapped = wrong["names_swapped"]
    given = records["given_name"].copy()
    records["given_name"] = given.where(~swapped, records["surname"])
    records["surname"] = records["surname"].where(~swapped, given)


def _misspell_mailbox(mailbox: str, rng: np.random.Generator) -> str:
    """Return a mailbox with a slip before the @, so that it stays at its host."""
    name, host = mailbox.split("@")
    return f"{misspell(name, rng)}@{host}"


def _misdate(dates: pd.Series, wrong: dict[str, np.ndarray], rng: np.random.Generator) -> pd.Series:
    """Return dates of which some have day and month exchanged (up to the 12th) or a year that is off."""
    year, month, day = dates.dt.year, dates.dt.month, dates.dt.day
    swapped = wrong["birth_date_day_and_month_swapped"] & (day <= 12)
    off = np.where(wrong["birth_date_wrong_year"], rng.choice([-10, -2, -1, 1, 2, 10], len(dates)), 0)
    parts = {"year": year + off, "month": month.mask(swapped, day), "day": day.mask(swapped, month)}
    # No year that is off is a leap year for certain: 29 February becomes the 28th.
    parts["day"] = parts["day"].mask((parts["month"] == 2) & (parts["day"] == 29) & (off != 0), 28)
    return pd.to_datetime(pd.DataFrame(parts))
