"""Erasing a person from a run: the rows, the saved models, the report, and what can only be said."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.datasets import build_dataset
from journeybook.errors import JourneybookError
from journeybook.report.params import RunParameters
from journeybook.report.running import folders
from journeybook.tables import REGISTERS, engine, owners_view, pseudonyms, root, store

# What holds figures in the folder of a report, notebooks run by hand among them.
REPORT = ("index.html", "summary.md", "report.*", "[0-9][0-9]_*.html", "results", "executed", "manual")


def erase(customer_id: str, *, out: Path | None, parameters: RunParameters | None = None) -> Iterator[str]:
    """Remove a person's rows, the models trained with them and the report made of them; say so, line by line.

    The person is whoever has the id, with every other id that page 03 found to be theirs. Files of the user are
    not touched; with `parameters` they are read, and those that still hold the person are named.

    Raises:
        JourneybookError: There is no run, or no table of it holds the id.
    """
    folder, tables = folders(out)
    run, connection = owners_view(tables), engine(tables)
    paths = sorted(tables.rglob("*.parquet"))
    ids = {customer_id}
    if (tables / "people.parquet").is_file():
        people = pd.read_parquet(tables / "people.parquet", columns=["customer_id", "person_id"])
        own = people.person_id[people.customer_id == customer_id]
        ids |= set(people.customer_id[people.person_id.isin(own)])
    names = set(pseudonyms(run, pd.Series(sorted(ids))))
    if (tables / "people.parquet").is_file():
        names |= set(people.person_id[people.customer_id.isin(ids)])
    removed = [(path, n) for path in paths if (n := _remove_rows(connection, path, ids, names))]
    n_unread = _n_unread(connection, tables / "quarantine.parquet")
    if not removed:
        raise JourneybookError(f"no table of this run holds the customer {customer_id!r}.")
    for path, n in removed:
        yield f"{path.relative_to(tables).with_suffix('')}: {n:,} row{'s' if n > 1 else ''} removed"
    if n_unread:
        yield f"quarantine: {n_unread:,} lines that fit no header were not searched: mend them at their source"
    for models in sorted(tables.rglob("models")):
        shutil.rmtree(models)
        yield f"{models.relative_to(tables)}: saved models removed, for they were trained with this person's rows"
    if out is None and (by_hand := root() / "data" / "manual").is_dir():
        shutil.rmtree(by_hand)
        yield "data/manual: tables of notebooks run by hand removed"
    # Without it the next run takes no page as made already.
    (tables / "fingerprints.json").unlink(missing_ok=True)
    yield from _report(folder, tables)
    yield "tables made of many people: kept, their figures count this person until the next run makes them anew"
    for register in (path for path in sorted(tables.resolve().parent.glob("*.json")) if path.stem in REGISTERS):
        yield f"{register.name}: kept, for what was looked at or claimed cannot be taken back; it holds no id"
    yield "private releases that were published stay published; the ledger of their budget holds no row of anyone"
    for walk in sorted((root() / "data").glob("crosswalk-*.csv")):
        yield f"data/{walk.name}: kept, it says which pseudonym became which"
    if parameters is not None and parameters.dataset == "files":
        yield from _own_files(connection, ids, parameters)
    yield "your own files were not touched: what they still hold, the next run reads, unless the ledger refuses it"


def _n_unread(connection: Backend, path: Path) -> int:
    """Return how many lines in quarantine name nobody, because they could not be read."""
    if not path.is_file():
        return 0
    table = connection.read_parquet(path)
    return int(table.filter(table.column == "line").count().to_pyarrow().as_py())


def _report(folder: Path, tables: Path) -> Iterator[str]:
    """Remove the pages and results, whose figures count the person, and name what else is there."""
    gone = [path for name in REPORT for path in sorted(folder.glob(name))]
    for path in gone:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if gone:
        names = ", ".join(path.name for path in gone)
        yield f"{names}: removed with every figure in them; the next run writes them anew"
    left = sorted(path.name for path in folder.glob("[!.]*") if path.resolve() != tables.resolve())
    if left:
        yield f"{folder.name}: {', '.join(left)} kept and not searched; a message in a log may name an id"


def _own_files(connection: Backend, ids: set[str], parameters: RunParameters) -> Iterator[str]:
    """Name the user's files that still hold the person."""
    with tempfile.TemporaryDirectory() as place:
        build_dataset(place, **parameters.source)
        for path in sorted(Path(place).glob("raw/*.parquet")):
            table = connection.read_parquet(path)
            if "customer_id" in table.columns:
                n = int(table.customer_id.cast("string").isin(sorted(ids)).sum().to_pyarrow().as_py() or 0)
                if n:
                    named = parameters.files[path.stem]["path"]
                    yield f"{named}: still holds {n:,} row{'s' if n > 1 else ''} of this person ({path.stem})"


def _remove_rows(connection: Backend, path: Path, ids: set[str], names: set[str]) -> int:
    """Rewrite a table without the rows of these ids and pseudonyms; returns how many there were."""
    table = connection.read_parquet(path)
    theirs = [
        table[column].cast("string").isin(sorted(values))
        for column, values in (("customer_id", ids), ("person_id", names))
        if column in table.columns
    ]
    if "record" in table.columns:
        # A whole row set aside, as text.
        theirs.append(table.record.cast("json")["customer_id"].unwrap_as("string").isin(sorted(ids)))
    if not theirs:
        return 0
    gone = ibis.or_(*theirs).fill_null(False)
    n = int(table.filter(gone).count().to_pyarrow().as_py())
    if n:
        found = connection.con.execute(
            "SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)", [str(path)]
        )
        about = dict(found.fetchall())
        store(connection, table.filter(~gone), path, about=about)
    return n
