"""Erasing a person from a run: the rows, the saved models, the report, and what can only be said."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ibis.backends.duckdb import Backend

from journeybook.errors import JourneybookError
from journeybook.report.holding import Person, about_file, find_person, is_of_person, rows_in_files
from journeybook.report.params import RunParameters
from journeybook.report.running import folders
from journeybook.tables import REGISTERS, engine, owners_view, root, store

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
    person = find_person(run, tables, connection, customer_id)
    removed = [(path, n) for path in paths if (n := _remove_rows(connection, path, person))]
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
        yield from _own_files(connection, person, parameters)
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


def _own_files(connection: Backend, person: Person, parameters: RunParameters) -> Iterator[str]:
    """Name the user's files that still hold the person."""
    with tempfile.TemporaryDirectory() as place:
        for named, table, rows in rows_in_files(connection, person, parameters, place=Path(place)):
            yield f"{named}: still holds {len(rows):,} row{'s' if len(rows) > 1 else ''} of this person ({table})"


def _remove_rows(connection: Backend, path: Path, person: Person) -> int:
    """Rewrite a table without the rows of a person; returns how many there were."""
    table = connection.read_parquet(path)
    theirs = is_of_person(table, person)
    if theirs is None:
        return 0
    n = int(table.filter(theirs).count().to_pyarrow().as_py())
    if n:
        store(connection, table.filter(~theirs), path, about=about_file(connection, path))
    return n
