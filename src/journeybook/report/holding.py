"""What a run holds of one person: which ids and pseudonyms are theirs, and which rows of a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.datasets import build_dataset
from journeybook.report.params import RunParameters
from journeybook.tables import Run, pseudonyms

_NAMES = ("person_id", "person_id_before", "left_id", "right_id")
"""Columns that hold pseudonyms, those of page 03's crosswalk and pairs among them."""


@dataclass(frozen=True)
class Person:
    """One person, as a run knows them.

    Attributes:
        ids: The id asked for, with every other id that page 03 found to be theirs.
        names: Their pseudonyms.
        sessions: Visits without an id that page 03 found to be theirs.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    sessions: tuple[str, ...]


def find_person(run: Run, tables: Path, connection: Backend, customer_id: str) -> Person:
    """Return who has an id, whether the run holds it or not."""
    ids, people = {customer_id}, pd.DataFrame()
    if (tables / "people.parquet").is_file():
        people = pd.read_parquet(tables / "people.parquet", columns=["customer_id", "person_id"])
        own = people.person_id[people.customer_id == customer_id]
        ids |= set(people.customer_id[people.person_id.isin(own)])
    names = set(pseudonyms(run, pd.Series(sorted(ids))))
    if len(people):
        names |= set(people.person_id[people.customer_id.isin(ids)])
    sessions: list[str] = []
    if (tables / "session_people.parquet").is_file():
        visits = connection.read_parquet(tables / "session_people.parquet")
        theirs = visits.filter(visits.person_id.isin(sorted(names))).session_id.cast("string")
        sessions = sorted(theirs.to_pandas().dropna())
    return Person(tuple(sorted(ids)), tuple(sorted(names)), tuple(sessions))


def is_of_person(table: ibis.Table, person: Person) -> ibis.expr.types.BooleanValue | None:
    """Return whether each row of a table is a person's; None for a table that names nobody."""
    theirs = [
        table[column].cast("string").isin(values)
        for column, values in ({"customer_id": person.ids} | dict.fromkeys(_NAMES, person.names)).items()
        if column in table.columns
    ]
    if "session_id" in table.columns and "person_id" not in table.columns and person.sessions:
        unnamed = table.customer_id.isnull() if "customer_id" in table.columns else ibis.literal(True)
        theirs.append(table.session_id.cast("string").isin(person.sessions) & unnamed)
    if "record" in table.columns:
        # A whole row set aside, as text.
        theirs.append(table.record.cast("json")["customer_id"].unwrap_as("string").isin(person.ids))
    return ibis.or_(*theirs).fill_null(False) if theirs else None


def about_file(connection: Backend, path: Path) -> dict[str, str]:
    """Return the few words that a table's file holds about it, such as `provenance` and `source`."""
    asked = "SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)"
    return dict(connection.con.execute(asked, [str(path)]).fetchall())


def rows_in_files(
    connection: Backend, person: Person, parameters: RunParameters, *, place: Path
) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield the user's own files that hold a person now: path, table, and their rows; `place` is a new folder."""
    build_dataset(place, **parameters.source)
    for path in sorted(place.glob("raw/*.parquet")):
        table = connection.read_parquet(path)
        theirs = is_of_person(table, person)
        if theirs is not None and len(found := table.filter(theirs).to_pandas()):
            yield parameters.files[path.stem]["path"], path.stem, found
