"""Who the households are: one person each, the accounts they open, and what is true of them when.

A household is one person here: the one who shops. Everyone has a loyalty card; some also have a web account, or
have rung the call centre, and a few of these have two. Names come from Faker's lists for the United States,
e-mail addresses are at example.com, example.org and example.net, telephone numbers are 555-01xx, and postcodes
are made up.

One household in ten is half of a family pair: two households with one surname, and mostly one address and one
telephone, sometimes one mailbox or one given name. They are different persons, and hard to tell apart.

Published rates:

    share of households with a record      loyalty 1, web 0.26, call centre 0.075
    a second record in the same source     web 0.05, call centre 0.06
    moved house from July 2016 on          0.12
    changed telephone from July 2016 on    0.08
    half of a family pair                  0.10; of these one address 0.75, one telephone 0.75, one mailbox 0.30
    errors in a record                     `records.RATES`, by field and source
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pandas as pd
from faker.providers.person.en_US import Provider

from journeybook.datasets.demo.records import fill_in
from journeybook.statistics import stream

RECORD_SHARE = {"web": 0.26, "call_centre": 0.075}
SECOND_SHARE = {"web": 0.05, "call_centre": 0.06}
MOVED_SHARE = 0.12
NEW_PHONE_SHARE = 0.08
FAMILY_SHARE = 0.10
SAME_ADDRESS, SAME_PHONE, SAME_MAILBOX, SAME_GIVEN_NAME = 0.75, 0.75, 0.30, 0.40

_MAIL_HOSTS = ("example.com", "example.org", "example.net")
_STREETS = ("Street", "Avenue", "Road", "Lane", "Drive", "Court", "Way", "Place", "Boulevard", "Terrace")
_START, _END = np.datetime64("2016-01-01", "s"), np.datetime64("2017-12-31T20:00:00", "s")


@dataclass(frozen=True, eq=False)
class DemoPeople:
    """Customer records and whom they belong to.

    Attributes:
        records: `customer_records` as the three systems hold them.
        accounts: One row a customer_id: customer_id, household_id (truth), source, joined_at (its opening).
        postcodes: Truth: customer_id of the loyalty card, and the postcode at the end of 2017.
        names_swapped: Truth: ids of the records whose given name and surname were exchanged.
    """

    records: pd.DataFrame
    accounts: pd.DataFrame
    postcodes: pd.DataFrame
    names_swapped: pd.Series


def simulate_people(households: pd.DataFrame, *, home: np.ndarray, postcodes: np.ndarray, seed: int) -> DemoPeople:
    """Draw who the households (customer_id, first_at) are and what three systems hold of them.

    `home` is the index into `postcodes` of each household's home.
    """
    persons = _draw_persons(postcodes[home], postcodes, stream(seed, "demo persons"))
    accounts = _open_accounts(households, stream(seed, "demo accounts"))
    records = fill_in(accounts, persons, end=_END, rng=stream(seed, "demo records"))
    return DemoPeople(
        records=records.drop(columns="names_swapped"),
        accounts=accounts[["customer_id", "household_id", "source", "joined_at"]].copy(),
        postcodes=pd.DataFrame({"customer_id": households["customer_id"], "postcode": persons["postcode"]}),
        names_swapped=records.loc[records["names_swapped"], "record_id"],
    )


def _draw_persons(homes: np.ndarray, postcodes: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Return what is true of every household, now and before it moved or changed its number."""
    n = len(homes)
    names = _names(int(rng.integers(2**31)))
    woman = rng.random(n) < 0.58
    age_days = np.floor(np.clip(rng.normal(48, 15, n), 19, 92) * 365.25)
    persons = pd.DataFrame(
        {
            "woman": woman,
            "given_name": [names("first_names_female" if w else "first_names_male") for w in woman],
            "surname": [names("last_names") for _ in range(n)],
            "birth_date": np.datetime64("2017-07-01", "D") - age_days.astype("timedelta64[D]"),
            "address": _addresses(n, names, rng),
            "postcode": homes,
        }
    )
    numbers = _phones(2 * n, rng)
    persons["phone"] = numbers[:n]
    mailboxes = _make_families(persons, names, rng)
    moved = rng.random(n) < MOVED_SHARE
    persons["old_address"] = np.where(moved, _addresses(n, names, rng), persons["address"])
    persons["old_postcode"] = np.where(moved, rng.choice(postcodes, n), persons["postcode"])
    persons["moved_at"] = np.where(moved, _moments(n, rng), _START)
    renumbered = rng.random(n) < NEW_PHONE_SHARE
    persons["old_phone"] = np.where(renumbered, numbers[n:], persons["phone"])
    persons["renumbered_at"] = np.where(renumbered, _moments(n, rng), _START)
    taken: set[str] = set()
    persons["email"] = np.array(_emails(persons, taken, rng), dtype=object)[mailboxes]
    persons["other_email"] = _emails(persons, taken, rng)
    return persons


def _names(seed: int) -> Callable[[str], str]:
    """Return what draws a name from one of Faker's lists, as often as it is borne."""
    lists = ("first_names_female", "first_names_male", "first_names", "last_names")
    listed = {name: getattr(Provider, name) for name in lists}
    among = {name: (tuple(names), list(accumulate(names.values()))) for name, names in listed.items()}
    drawn = random.Random(seed)
    return lambda name: drawn.choices(among[name][0], cum_weights=among[name][1])[0]


def _make_families(persons: pd.DataFrame, names: Callable[[str], str], rng: np.random.Generator) -> np.ndarray:
    """Make pairs of households families, in place; return whose mailbox each household reads."""
    mailboxes = np.arange(len(persons))
    n_pairs = round(len(persons) * FAMILY_SHARE / 2)
    chosen = rng.permutation(len(persons))[: 2 * n_pairs]
    of = {name: persons[name].to_numpy(dtype=object).copy() for name in persons}
    for first, second in zip(chosen[:n_pairs], chosen[n_pairs:], strict=True):
        same = rng.random(4) < (SAME_ADDRESS, SAME_PHONE, SAME_MAILBOX, SAME_GIVEN_NAME)
        shared = ["surname", *(["address", "postcode"] if same[0] else []), *(["phone"] if same[1] else [])]
        if same[2]:
            mailboxes[second] = first
        # A grown child, sometimes named after the parent, or a partner or sibling of about the same age.
        born = of["birth_date"][first]
        is_child = rng.random() < 0.5 and born < pd.Timestamp("1977-01-01")
        years = rng.uniform(20, 34) if is_child else rng.uniform(-6, 6)
        of["birth_date"][second] = min(born + pd.Timedelta(days=int(years * 365.25)), pd.Timestamp("1998-12-31"))
        if is_child and same[3] and of["woman"][first] == of["woman"][second]:
            shared.append("given_name")
        else:
            while of["given_name"][second] == of["given_name"][first]:
                of["given_name"][second] = names("first_names")
        for name in shared:
            of[name][second] = of[name][first]
    for name, values in of.items():
        persons[name] = pd.Series(values).astype(persons[name].dtype)
    return mailboxes


def _addresses(n: int, names: Callable[[str], str], rng: np.random.Generator) -> list[str]:
    """Return house number, street and, one time in four, a flat."""
    number, street = rng.integers(1, 2000, n), rng.integers(len(_STREETS), size=n)
    flat = np.where(rng.random(n) < 0.25, rng.integers(1, 60, n), 0)
    return [
        f"{a} {names('last_names')} {_STREETS[b]}" + (f" Apt {c}" if c else "")
        for a, b, c in zip(number, street, flat, strict=True)
    ]


def _phones(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n different telephone numbers of ten digits: an area code, 555, 01 and two digits more."""
    areas = np.array([area for area in range(201, 990) if area % 100 != 11])
    drawn = rng.choice(len(areas) * 100, n, replace=False)
    return np.array([f"{areas[k // 100]}55501{k % 100:02d}" for k in drawn], dtype=object)


def _emails(persons: pd.DataFrame, taken: set[str], rng: np.random.Generator) -> list[str]:
    """Return a mailbox for each person, none of which is taken yet, and take it."""
    host, style = rng.integers(len(_MAIL_HOSTS), size=len(persons)), rng.integers(5, size=len(persons))
    mailboxes = []
    born = persons["birth_date"].dt.year.astype(str)
    each = zip(persons["given_name"].str.lower(), persons["surname"].str.lower(), born, host, style, strict=True)
    for given, surname, year, at, how in each:
        name = (
            f"{given}.{surname}",
            f"{given[0]}{surname}",
            f"{given}{surname[0]}{year[2:]}",
            f"{given}_{surname}",
            f"{surname}{year}",
        )[how]
        mailbox, n = f"{name}@{_MAIL_HOSTS[at]}", 1
        while mailbox in taken:
            n += 1
            mailbox = f"{name}{n}@{_MAIL_HOSTS[at]}"
        taken.add(mailbox)
        mailboxes.append(mailbox)
    return mailboxes


def _moments(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return moments from July 2016 to the end of 2017."""
    first = np.datetime64("2016-07-01", "s")
    return first + (rng.random(n) * (_END - first).astype(float)).astype("timedelta64[s]")


def _open_accounts(households: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return one row a customer_id: the loyalty card of everyone, web accounts, call centre files.

    A card is taken before the first receipt, a web account is opened in 2016, a first call can come up to
    October 2017.
    """
    ids = households["customer_id"].to_numpy()
    n = len(ids)
    until = (households["first_at"].to_numpy().astype("datetime64[s]") - _START).astype(float)
    opened = [(np.arange(n), "loyalty", ids, rng.random(n) ** 0.7 * until)]
    for source, letter, last in (("web", "W", "2017-01-01"), ("call_centre", "C", "2017-11-01")):
        has = np.flatnonzero(rng.random(n) < RECORD_SHARE[source])
        owners = np.concatenate([has, has[rng.random(len(has)) < SECOND_SHARE[source]]])
        numbers = 10_000 + rng.choice(90_000, len(owners), replace=False)
        at = rng.random(len(owners)) * (np.datetime64(last, "s") - _START).astype(float)
        opened.append((owners, source, [f"{letter}{number}" for number in numbers], at))
    columns = ("household", "source", "customer_id", "at")
    accounts = pd.concat([pd.DataFrame(dict(zip(columns, o, strict=True))) for o in opened], ignore_index=True)
    joined = _START + accounts.pop("at").to_numpy().astype("timedelta64[s]")
    return accounts.assign(joined_at=joined.astype("datetime64[us]"), household_id=ids[accounts["household"]])
