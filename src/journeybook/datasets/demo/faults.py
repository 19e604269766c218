"""Faults that sources really make, planted in the simulated tables so that pages 01 and 02 have something to find.

A fault adds a row at the end of a table, fills a cell that was empty, or exchanges two cells; no other value is
touched, and receipts and consents not at all. So whoever finds every fault is left with the tables as they were.
Cells are filled, and cells exchanged, only in records of those who never refused identity resolution.
`truth/faults` names each: the page that can find it, or nobody.

    customer_records   no customer id; 1900-01-01, a birth to come; no-reply addresses; N.A., 999; test records;
                       e-mail and phone exchanged; address and postcode exchanged
    events             a release that sends no name, or one id for all visits; 1970-01-01, 2038-01-19;
                       deliveries doubled, most of them late
    contacts           percentages for probabilities; no response; impossible dates; doubled and late deliveries
    third_party        999999 and -999 for what is not known; no postcode; a year that is centuries off
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from journeybook.datasets.demo.third_party import ATTRIBUTES
from journeybook.statistics import stream

# Share of a table's rows, or of its cells that may hold a fault, and the least number.
SHARES = {"records": 0.02, "cells": 0.05, "release": 0.002, "copies": 0.003, "rows": 0.0005}
LEAST = 3
RELEASE_HOURS = 30
# A delivery is late if rows more than so many days younger came before it.
LATE = np.timedelta64(7, "D")
NO_REPLY = ("noreply@example.com", "none@none.com", "test@test.com", "no-reply@example.org")
COLUMNS = ["table", "row", "column", "fault", "found_by", "key"]

_NAMES_SWAPPED = "given name and surname swapped"


@dataclass(frozen=True, eq=False)
class DemoFaults:
    """Tables with faults, and which they are.

    Attributes:
        tables: The tables given, with faults.
        truth: One row a fault: table, row (from 1), column, fault, found_by (`01`, `02`, or nobody: empty), and
            key, which names the row where rows are numbered anew.
    """

    tables: dict[str, pd.DataFrame]
    truth: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Planted:
    """One table on its way: its rows, how they are known, and the faults so far."""

    frame: pd.DataFrame
    key: Sequence[str]
    told: tuple[pd.DataFrame, ...] = ()

    def add(self, rows: pd.DataFrame, column: str, fault: str, found_by: str = "01") -> "_Planted":
        """Add rows at the end."""
        frame = pd.concat([self.frame, rows.astype(self.frame.dtypes)], ignore_index=True)
        return replace(self, frame=frame).tell(np.arange(len(self.frame), len(frame)), column, fault, found_by)

    def put(self, places: np.ndarray, cells: Mapping[str, object], fault: str) -> "_Planted":
        """Write into cells; a value for all of them, or one for each."""
        frame, planted = self.frame.copy(), self
        for column, values in cells.items():
            frame.loc[places, column] = values
            planted = planted.tell(places, column, fault, "02")
        return replace(planted, frame=frame)

    def tell(self, places: np.ndarray, column: str, fault: str, found_by: str) -> "_Planted":
        """Note faults at places."""
        rows = self.frame.iloc[places]
        key = rows[self.key[0]].astype("str").fillna("")
        for name in self.key[1:]:
            key = key + "/" + rows[name].astype("str")
        told = {"row": places + 1, "column": column, "fault": fault, "found_by": found_by, "key": key}
        return replace(self, told=(*self.told, pd.DataFrame(told)))


def plant_faults(
    tables: Mapping[str, pd.DataFrame], *, open_ids: pd.Series, names_swapped: pd.Series, seed: int
) -> DemoFaults:
    """Plant faults in customer records, events, contacts and third-party attributes.

    Args:
        tables: The four tables by name, their rows in order.
        open_ids: Ids of customers who never refused identity resolution, and permit it.
        names_swapped: Records whose given name and surname were exchanged before: told, and found by nobody.
        seed: Seed of the data set.
    """
    rng = stream(seed, "demo faults")
    records = tables["customer_records"]
    planted = {
        "customer_records": _in_records(records, records["customer_id"].isin(open_ids).to_numpy(), rng),
        "events": _in_events(tables["events"], rng),
        "contacts": _in_contacts(tables["contacts"], rng),
        "third_party": _in_third_party(tables["third_party"], rng),
    }
    both = records[["given_name", "surname"]].notna().all(axis=1) & records["record_id"].isin(names_swapped)
    swapped = planted["customer_records"]
    for column in ("given_name", "surname"):
        swapped = swapped.tell(np.flatnonzero(both), column, _NAMES_SWAPPED, "")
    planted["customer_records"] = swapped
    truth = pd.concat([told.assign(table=name) for name, one in planted.items() for told in one.told])
    return DemoFaults({name: one.frame for name, one in planted.items()}, truth[COLUMNS].reset_index(drop=True))


def _draw(where: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw places where a condition holds: a share of them, and at least a few, in order."""
    places = np.flatnonzero(where)
    n = min(len(places), max(LEAST, round(share * len(places))))
    return np.sort(rng.choice(places, n, replace=False))


def _in_records(records: pd.DataFrame, open_: np.ndarray, rng: np.random.Generator) -> _Planted:
    planted, free = _Planted(records, ["record_id"]), open_.copy()

    def take(where: pd.Series, share: str) -> np.ndarray:
        # A record has one fault at most.
        places = _draw(free & where.to_numpy(), SHARES[share], rng)
        free[places] = False
        return places

    known, empty = records.notna(), records.isna()
    for one, other, fault in (
        ("email", "phone", "e-mail and phone exchanged"),
        ("address", "postcode", "address and postcode exchanged"),
    ):
        plain = known[one] & known[other]
        if one == "address":
            plain &= records["address"].str.match(r"^\d+ [A-Za-z]{3,}").fillna(False).astype(bool)
        at = take(plain, "records")
        swapped = {one: records[other].to_numpy()[at], other: records[one].to_numpy()[at]}
        planted = planted.put(at, swapped, fault)
    at = take(empty["birth_date"], "cells")
    planted = planted.put(at, {"birth_date": pd.Timestamp("1900-01-01")}, "born on 1900-01-01")
    at = take(empty["birth_date"], "cells")
    years = pd.to_datetime([f"{year}-05-17" for year in rng.integers(2030, 2098, len(at))])
    planted = planted.put(at, {"birth_date": years}, "born after the data end")
    at = take(empty["email"], "cells")
    planted = planted.put(at, {"email": rng.choice(NO_REPLY, len(at))}, "an address that nobody reads")
    planted = planted.put(take(empty["address"], "cells"), {"address": "N.A."}, "N.A. in a text")
    planted = planted.put(take(empty["surname"], "cells"), {"surname": "N.A."}, "N.A. in a text")
    planted = planted.put(take(empty["phone"], "cells"), {"phone": "999"}, "999 for a phone")
    like = records.iloc[_draw(open_, SHARES["records"] / 4, rng)]
    # Numbers above those of `fill_in`, so that no record has another's id.
    numbers = [f"R{1_000_000 + k}" for k in range(2 * len(like))]
    blank = dict.fromkeys(("phone", "address", "birth_date"), None)
    test = like.assign(given_name="Test", email="test@example.com", **blank, record_id=numbers[: len(like)])
    planted = planted.add(test, "record_id", "a test record", "02")
    lost = like.assign(**blank, customer_id="undefined", record_id=numbers[len(like) :])
    return planted.add(lost, "customer_id", "a record of no customer")


def _in_events(events: pd.DataFrame, rng: np.random.Generator) -> _Planted:
    planted, all_ = _Planted(events, ["session_id", "position"]), np.ones(len(events), dtype=bool)
    first, last = events["occurred_at"].min(), events["occurred_at"].max()
    released = (first + rng.uniform(0.3, 0.7) * (last - first)).floor("D")
    for column, fault in (
        ("event", "a release that sends no name"),
        ("session_id", "a release with one id for all"),
    ):
        like = events.iloc[_draw(all_, SHARES["release"], rng)]
        at = released + pd.to_timedelta(np.sort(rng.integers(0, RELEASE_HOURS * 3_600, len(like))), unit="s")
        wrong = like.assign(occurred_at=at, customer_id=None, device="app", **{column: "undefined"})
        planted = planted.add(wrong, column, fault)
    planted = _misdated(planted, events, ("1970-01-01", "2038-01-19"), rng)
    return _delivered_again(planted, events, rng)


def _in_contacts(contacts: pd.DataFrame, rng: np.random.Generator) -> _Planted:
    contacts = contacts.astype({"responded": "boolean"})
    planted, all_ = _Planted(contacts, ["contact_id"]), np.ones(len(contacts), dtype=bool)
    for column, fault in (
        ("propensity", "a percentage for a probability"),
        ("responded", "whether they responded is empty"),
    ):
        like = _newly_numbered(planted, contacts.iloc[_draw(all_, SHARES["rows"], rng)])
        value = np.maximum(like["propensity"] * 100, 1.5) if column == "propensity" else pd.NA
        planted = planted.add(like.assign(**{column: value}), column, fault)
    planted = _misdated(planted, contacts, ("1917-03-01", "2071-07-01"), rng)
    return _delivered_again(planted, contacts, rng)


def _in_third_party(sold: pd.DataFrame, rng: np.random.Generator) -> _Planted:
    planted, all_ = _Planted(sold, ["postcode", "as_of"]), np.ones(len(sold), dtype=bool)
    for column in ATTRIBUTES:
        value = {"median_income": 999_999, "density_per_km2": -999}.get(column, 999)
        cells = {column: value}
        planted = planted.put(_draw(sold[column].isna().to_numpy(), 0.5, rng), cells, f"{value} for not known")
    nowhere = sold.iloc[_draw(all_, SHARES["records"], rng)].assign(postcode=None)
    planted = planted.add(nowhere, "postcode or customer_id", "a row of no postcode")
    like = sold.iloc[_draw(all_, SHARES["records"], rng)]
    return planted.add(like.assign(as_of=pd.Timestamp("2107-07-01")), "as_of", "a date that cannot be")


def _newly_numbered(planted: _Planted, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with contact ids that nobody has."""
    first = 900_000 + len(planted.frame)
    return rows.assign(contact_id=[f"K{first + k}" for k in range(len(rows))])


def _misdated(planted: _Planted, rows: pd.DataFrame, days: Sequence[str], rng: np.random.Generator) -> _Planted:
    """Add rows of days that no clock has shown, or none yet; those of one day are alike."""
    for day in days:
        like = rows.iloc[_draw(np.ones(len(rows), dtype=bool), SHARES["rows"] / 10, rng)]
        like = _newly_numbered(planted, like) if "contact_id" in like.columns else like
        planted = planted.add(like.assign(occurred_at=pd.Timestamp(day)), "occurred_at", "a date that cannot be")
    return planted


def _delivered_again(planted: _Planted, rows: pd.DataFrame, rng: np.random.Generator) -> _Planted:
    """Add copies of rows, long after the rows or at once."""
    copies = rows.iloc[_draw(np.ones(len(rows), dtype=bool), SHARES["copies"], rng)]
    first = len(planted.frame)
    planted = planted.add(copies, "delivery", "delivered twice", "02")
    late = (rows["occurred_at"].max() - copies["occurred_at"] > LATE).to_numpy()
    return planted.tell(first + np.flatnonzero(late), "delivery", "delivered late", "01")
