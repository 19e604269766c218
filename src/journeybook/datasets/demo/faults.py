"""Faults that sources really make, planted in the simulated tables so that pages 01 and 02 have something to find.

A fault adds a row at the end of a table, fills a cell that was empty, or exchanges two cells; no other value is
touched, and receipts and consents not at all. So whoever finds every fault is left with the tables as they were.
Cells are filled, and cells exchanged, only in records of those who never refused identity resolution.
`truth/faults` names each: the page that can find it, or nobody.

    customer_records   no customer id; 1900-01-01, a birth to come; no-reply addresses; N.A., 999; test records;
                       e-mail and phone exchanged; address and postcode exchanged
    events             a release that sends no name, or one id for all visits; 1970-01-01, 2038-01-19;
                       deliveries doubled, most of them late; a release that breaks the tracking plan
    contacts           percentages for probabilities; no response; impossible dates; doubled and late deliveries
    third_party        999999 and -999 for what is not known; no postcode; a year that is centuries off
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from journeybook.datasets.demo.event_chains import PURCHASE
from journeybook.datasets.demo.properties import BROKEN
from journeybook.datasets.demo.third_party import ATTRIBUTES
from journeybook.statistics import stream

# Share of a table's rows, or of its cells that may hold a fault, and the least number.
SHARES = {"records": 0.02, "cells": 0.05, "release": 0.002, "copies": 0.003, "rows": 0.0005, "tracking": 0.2}
LEAST = 3
RELEASE_HOURS = 30
# A delivery is late if rows more than so many days younger came before it.
LATE = np.timedelta64(7, "D")
NO_REPLY = ("noreply@example.com", "none@none.com", "test@test.com", "no-reply@example.org")


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


@dataclass(eq=False)
class _Planted:
    """One table on its way: its rows, how they are known, the rows and the faults added so far."""

    frame: pd.DataFrame
    key: Sequence[str]
    rng: np.random.Generator
    added: list[pd.DataFrame] = field(default_factory=list)
    told: list[pd.DataFrame] = field(default_factory=list)

    def draw(self, share: float, where: np.ndarray | None = None) -> np.ndarray:
        """Draw places, where a condition holds: a share of them, and at least a few, in order."""
        places = np.arange(len(self.frame)) if where is None else np.flatnonzero(where)
        n = min(len(places), max(LEAST, round(share * len(places))))
        return np.sort(self.rng.choice(places, n, replace=False))

    def like(self, share: float) -> pd.DataFrame:
        """Return rows such as some that are there, contacts with ids that nobody has."""
        rows, first = self.frame.iloc[self.draw(share)], 900_000 + self.n_rows
        fresh = {"contact_id": [f"K{first + k}" for k in range(len(rows))]} if "contact_id" in rows else {}
        return rows.assign(**fresh)

    @property
    def n_rows(self) -> int:
        return len(self.frame) + sum(map(len, self.added))

    def add(self, rows: pd.DataFrame, column: str, fault: str, found_by: str = "01") -> None:
        """Add rows at the end."""
        rows = rows.astype(self.frame.dtypes)
        self.tell(rows, self.n_rows + np.arange(len(rows)), column, fault, found_by)
        self.added.append(rows)

    def put(self, places: np.ndarray, cells: Mapping[str, object], fault: str) -> None:
        """Write into cells; a value for all of them, or one for each."""
        for column, values in cells.items():
            self.tell(self.frame.iloc[places], places, column, fault, "02")
            self.frame.loc[places, column] = values

    def tell(self, rows: pd.DataFrame, places: np.ndarray, column: str, fault: str, found_by: str) -> None:
        """Note faults at places."""
        key = rows[self.key[0]].astype("str").fillna("")
        for name in self.key[1:]:
            key = key + "/" + rows[name].astype("str")
        told = {"row": places + 1, "column": column, "fault": fault, "found_by": found_by, "key": key}
        self.told.append(pd.DataFrame(told))

    def misdate(self, days: Sequence[str]) -> None:
        """Add rows of days that no clock has shown, or none yet; those of one day are alike."""
        for day in days:
            like = self.like(SHARES["rows"] / 10)
            self.add(like.assign(occurred_at=pd.Timestamp(day)), "occurred_at", "a date that cannot be")

    def deliver_again(self) -> None:
        """Add copies of rows, long after the rows or at once."""
        copies, first = self.frame.iloc[self.draw(SHARES["copies"])], self.n_rows
        self.add(copies, "delivery", "delivered twice", "02")
        late = np.flatnonzero(self.frame["occurred_at"].max() - copies["occurred_at"] > LATE)
        self.tell(copies.iloc[late], first + late, "delivery", "delivered late", "01")


def plant_faults(
    tables: Mapping[str, pd.DataFrame], *, open_ids: pd.Series, names_swapped: pd.Series, seed: int
) -> DemoFaults:
    """Plant faults in customer records, events, contacts and third-party attributes, their rows in order.

    `open_ids` are of customers who permit identity resolution and never refused it; of the records `names_swapped`
    given name and surname were exchanged before, which is told, and found by nobody.
    """
    rng, records = stream(seed, "demo faults"), tables["customer_records"]
    planted = {
        "customer_records": _in_records(records, records["customer_id"].isin(open_ids).to_numpy(), rng),
        "events": _in_events(tables["events"], rng, stream(seed, "demo faults: tracking plan")),
        "contacts": _in_contacts(tables["contacts"].astype({"responded": "boolean"}), rng),
        "third_party": _in_third_party(tables["third_party"], rng),
    }
    both = records[["given_name", "surname"]].notna().all(axis=1) & records["record_id"].isin(names_swapped)
    for column in ("given_name", "surname"):
        swapped = records[both], np.flatnonzero(both), column, "given name and surname swapped", ""
        planted["customer_records"].tell(*swapped)
    truth = pd.concat([told.assign(table=name) for name, one in planted.items() for told in one.told])
    truth = truth[["table", "row", "column", "fault", "found_by", "key"]].reset_index(drop=True)
    made = {name: pd.concat([one.frame, *one.added], ignore_index=True) for name, one in planted.items()}
    return DemoFaults(made, truth)


def _in_records(records: pd.DataFrame, open_: np.ndarray, rng: np.random.Generator) -> _Planted:
    planted, free = _Planted(records.copy(), ["record_id"], rng), open_.copy()
    known, empty = records.notna(), records.isna()

    def take(where: pd.Series, share: str = "cells") -> np.ndarray:
        # A record has one fault at most.
        places = planted.draw(SHARES[share], free & where.to_numpy())
        free[places] = False
        return places

    plain = records["address"].str.match(r"^\d+ [A-Za-z]{3,}").fillna(False).astype(bool)
    for one, other, fault, where in (
        ("email", "phone", "e-mail and phone exchanged", known["email"]),
        ("address", "postcode", "address and postcode exchanged", plain),
    ):
        at = take(where & known[other], "records")
        swapped = {one: records[other].to_numpy()[at], other: records[one].to_numpy()[at]}
        planted.put(at, swapped, fault)
    planted.put(take(empty["birth_date"]), {"birth_date": pd.Timestamp("1900-01-01")}, "born on 1900-01-01")
    at = take(empty["birth_date"])
    years = pd.to_datetime([f"{year}-05-17" for year in rng.integers(2030, 2098, len(at))])
    planted.put(at, {"birth_date": years}, "born after the data end")
    at = take(empty["email"])
    planted.put(at, {"email": rng.choice(NO_REPLY, len(at))}, "an address that nobody reads")
    planted.put(take(empty["address"]), {"address": "N.A."}, "N.A. in a text")
    planted.put(take(empty["surname"]), {"surname": "N.A."}, "N.A. in a text")
    planted.put(take(empty["phone"]), {"phone": "999"}, "999 for a phone")
    like = records.iloc[planted.draw(SHARES["records"] / 4, open_)]
    # Numbers above those of `fill_in`, so that no record has another's id.
    numbers = [f"R{1_000_000 + k}" for k in range(2 * len(like))]
    blank = like.assign(**dict.fromkeys(("phone", "address", "birth_date"), None))
    test = blank.assign(given_name="Test", email="test@example.com", record_id=numbers[: len(like)])
    planted.add(test, "record_id", "a test record", "02")
    lost = blank.assign(customer_id="undefined", record_id=numbers[len(like) :])
    planted.add(lost, "customer_id", "a record of no customer")
    return planted


def _in_events(events: pd.DataFrame, rng: np.random.Generator, tracking: np.random.Generator) -> _Planted:
    planted = _Planted(events, ["session_id", "position"], rng)
    first, last = events["occurred_at"].min(), events["occurred_at"].max()
    released = (first + rng.uniform(0.3, 0.7) * (last - first)).floor("D")
    for column, fault in (
        ("event", "a release that sends no name"),
        ("session_id", "a release with one id for all"),
    ):
        like = planted.like(SHARES["release"])
        at = released + pd.to_timedelta(np.sort(rng.integers(0, RELEASE_HOURS * 3_600, len(like))), unit="s")
        nobody = dict.fromkeys({"customer_id", "release"} & {*like}, None)
        wrong = like.assign(occurred_at=at, device="app", **nobody, **{column: "undefined"})
        planted.add(wrong, column, fault)
    planted.misdate(("1970-01-01", "2038-01-19"))
    planted.deliver_again()
    planted.rng = tracking
    if "properties" in events:
        _break_plan(planted)
    return planted


def _break_plan(planted: _Planted) -> None:
    """Add events of the broken release, each like a sound one of it, that break the tracking plan."""
    sent = planted.frame["event"].where(planted.frame["release"] == BROKEN)
    for event, column, fault, pattern, wrong in (
        ("basket", "product_id", "a release that forgets the product", r', "product_id": "[^"]*"', ""),
        ("basket", "quantity", "a quantity in words", r'"quantity": \d+', '"quantity": "two"'),
        ("basket", "quantity", "a quantity of nothing", r'"quantity": \d+', '"quantity": 0'),
        ("product", "properties", "properties cut off", r'"product_id".*', '"prod'),
        (PURCHASE, "payment", "a payment that nobody takes", r'"payment": "\w+"', '"payment": "cheque"'),
        ("product", "event", "an event that nobody planned", "$", ""),
        (PURCHASE, "quantity", "a purchase sent on opening", r', "quantity": \d+', ""),
    ):
        rows = planted.frame.iloc[planted.draw(SHARES["tracking"], (sent == event).to_numpy(dtype=bool))]
        rows = rows.assign(properties=rows["properties"].str.replace(pattern, wrong, regex=True))
        if column == "event":
            rows = rows.assign(event="productViewed")
        if fault == "a purchase sent on opening":
            rows = rows.assign(session_id=[f"S9{k:06d}" for k in range(len(rows))], position=1)
            planted.tell(rows, planted.n_rows + np.arange(len(rows)), "order", fault, "01")
        planted.add(rows, column, fault)


def _in_contacts(contacts: pd.DataFrame, rng: np.random.Generator) -> _Planted:
    planted = _Planted(contacts, ["contact_id"], rng)
    like = planted.like(SHARES["rows"])
    percent = like.assign(propensity=np.maximum(like["propensity"] * 100, 1.5))
    planted.add(percent, "propensity", "a percentage for a probability")
    silent = planted.like(SHARES["rows"]).assign(responded=pd.NA)
    planted.add(silent, "responded", "whether they responded is empty")
    planted.misdate(("1917-03-01", "2071-07-01"))
    planted.deliver_again()
    return planted


def _in_third_party(sold: pd.DataFrame, rng: np.random.Generator) -> _Planted:
    planted = _Planted(sold.copy(), ["postcode", "as_of"], rng)
    for column in ATTRIBUTES:
        value = {"median_income": 999_999, "density_per_km2": -999}.get(column, 999)
        planted.put(planted.draw(0.5, sold[column].isna().to_numpy()), {column: value}, f"{value} for not known")
    # Copies of rows as they were sold.
    nowhere = sold.iloc[planted.draw(SHARES["records"])].assign(postcode=None)
    planted.add(nowhere, "postcode or customer_id", "a row of no postcode")
    like = sold.iloc[planted.draw(SHARES["records"])]
    planted.add(like.assign(as_of=pd.Timestamp("2107-07-01")), "as_of", "a date that cannot be")
    return planted
