"""What three systems hold of a person: what was true at the last update, less what was not asked, with errors.

The errors are those of hands, ears and forms: typing slips, short forms of names, ways to write a number.
"""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

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

# Neighbours on a QWERTY keyboard.
_NEIGHBOURS = {
    key: row[max(i - 1, 0) : i] + row[i + 1 : i + 2]
    for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890")
    for i, key in enumerate(row)
}

# Short forms in common use in the United States, "long short" by pairs.
_SHORT_FORMS = """
Alexander Alex, Alexandra Alex, Alexandria Alex, Alexis Lexi, Allison Allie, Amanda Mandy, Andrea Andie,
Andrew Andy, Anthony Tony, Barbara Barb, Benjamin Ben, Bradley Brad, Calvin Cal, Cassandra Cassie,
Catherine Cathy, Charles Charlie, Christina Tina, Christine Chris, Christopher Chris, Cynthia Cindy,
Daniel Dan, David Dave, Deborah Debbie, Dennis Denny, Donald Don, Dorothy Dot, Douglas Doug, Edward Eddie,
Elizabeth Liz, Eugene Gene, Frances Fran, Frederick Fred, Gabriel Gabe, Gabriella Gabby, Gerald Jerry,
Gregory Greg, Jacob Jake, Jacqueline Jackie, James Jim, Janet Jan, Jeffery Jeff, Jeffrey Jeff, Jennifer Jen,
Jessica Jess, John Jack, Jonathan Jon, Joseph Joe, Joshua Josh, Judith Judy, Katherine Kate, Kathleen Kathy,
Kathryn Katie, Kenneth Ken, Kimberly Kim, Lawrence Larry, Leonard Len, Margaret Peggy, Matthew Matt,
Megan Meg, Melissa Missy, Michael Mike, Michelle Shelly, Mitchell Mitch, Nancy Nan, Natalie Nat, Nathan Nate,
Nathaniel Nate, Nicholas Nick, Nicole Nikki, Pamela Pam, Patricia Pat, Patrick Pat, Peter Pete, Philip Phil,
Phillip Phil, Raymond Ray, Rebecca Becky, Richard Rick, Robert Bob, Ronald Ron, Samantha Sam, Samuel Sam,
Sandra Sandy, Stephanie Steph, Stephen Steve, Steven Steve, Susan Sue, Teresa Terri, Theresa Terri,
Theodore Ted, Thomas Tom, Timothy Tim, Valerie Val, Veronica Ronnie, Victoria Vicky, Vincent Vince,
Virginia Ginny, Walter Walt, William Bill, Zachary Zach
"""
NICKNAMES = dict(pair.split() for pair in _SHORT_FORMS.split(","))

_FIELDS = ("given_name", "surname", "email", "phone", "address", "postcode", "birth_date")


def fill_in(
    accounts: pd.DataFrame, persons: pd.DataFrame, *, end: np.datetime64, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the record behind each account, updated by `end`, in the order of their random record ids.

    `accounts` are household (row of `persons`), source, customer_id, joined_at; `persons` what is true of each
    household, with `old_` fields before `moved_at` and `renumbered_at`. Returned are `customer_records` and a
    column `names_swapped` that no source has: names were exchanged.
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
    # A slip before the @, so that a mailbox stays at its host.
    name_of = re.compile("^[^@]+")
    _change(records, "email", wrong["email_typo"], lambda text: name_of.sub(lambda m: misspell(m[0], rng), text))
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
    swapped, names = wrong["names_swapped"], ["given_name", "surname"]
    records.loc[swapped, names] = records.loc[swapped, names[::-1]].to_numpy()


def _misdate(dates: pd.Series, wrong: dict[str, np.ndarray], rng: np.random.Generator) -> pd.Series:
    """Return dates of which some have day and month exchanged (up to the 12th) or a year that is off."""
    year, month, day = dates.dt.year, dates.dt.month, dates.dt.day
    swapped = wrong["birth_date_day_and_month_swapped"] & (day <= 12)
    off = np.where(wrong["birth_date_wrong_year"], rng.choice([-10, -2, -1, 1, 2, 10], len(dates)), 0)
    parts = {"year": year + off, "month": month.mask(swapped, day), "day": day.mask(swapped, month)}
    # No year that is off is a leap year for certain: 29 February becomes the 28th.
    parts["day"] = parts["day"].mask((parts["month"] == 2) & (parts["day"] == 29) & (off != 0), 28)
    return pd.to_datetime(pd.DataFrame(parts))


def misspell(text: str, rng: np.random.Generator) -> str:
    """Return the text with one slip: a neighbouring key, two signs exchanged, one dropped or one doubled.

    The first sign and everything but letters and digits are left alone; a text without two places for a slip
    comes back as it is, and so does an exchange of two equal letters.
    """
    places = [i for i, sign in enumerate(text) if i and sign.isalnum()]
    if len(places) < 2:
        return text
    i = places[rng.integers(len(places))]
    slip = rng.integers(4)
    near = _NEIGHBOURS.get(text[i].lower(), "")
    if slip == 0 and near:
        return text[:i] + near[rng.integers(len(near))] + text[i + 1 :]
    if slip == 1 and text[i + 1 : i + 2].isalnum():
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    if slip == 2:
        return text[:i] + text[i + 1 :]
    return text[: i + 1] + text[i] + text[i + 1 :]


def misdial(number: str, rng: np.random.Generator) -> str:
    """Return digits with one of the last two replaced by another, so that a fictional number stays one."""
    i = len(number) - 1 - rng.integers(2)
    wrong = (int(number[i]) + rng.integers(1, 10)) % 10
    return f"{number[:i]}{wrong}{number[i + 1 :]}"


def write_phone(number: str, style: int) -> str:
    """Return ten digits in one of six ways to write them; the last leaves the area code out.

    >>> write_phone("2075550123", 0)
    '(207) 555-0123'
    """
    area, exchange, line = number[:3], number[3:6], number[6:]
    return (
        f"({area}) {exchange}-{line}",
        f"{area}-{exchange}-{line}",
        number,
        f"{area}.{exchange}.{line}",
        f"+1 {area} {exchange} {line}",
        f"{exchange}-{line}",
    )[style]
