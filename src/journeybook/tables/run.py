"""A run and its tables: where they are, and the one door through which they are read and written."""

import json
import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from journeybook.errors import JourneybookError
from journeybook.tables.consent import check_purpose, pseudonym, standing, standings
from journeybook.tables.dates import last_times, ledger_dates, midnight_after
from journeybook.tables.schema import PURPOSES, schema_of

# The data sets that come with journeybook hold no secret, and their results must be the same everywhere.
PUBLISHED_KEY = "journeybook: a published key, for published data only"

# The purposes that need a postcode; every other identifier is for identity resolution alone.
_POSTCODE_PURPOSES = ("identity_resolution", "third_party_enrichment")


@dataclass(frozen=True)
class Run:
    """One run: its folder of tables and what is known of its data.

    Attributes:
        folder: Folder of the tables.
        page: Page that reads and writes, with its variant if it has one.
        dataset: `journey_demo`, `complete_journey` or `files`.
        seed: Seed the data set was made with.
        scale: Share of the households drawn.
        timezone: Zone in which `occurred_at` is local.
        has_ledger: Whether the data set has a consent ledger.
        key: Secret of the pseudonyms.
        connection: DuckDB inside the process.
    """

    folder: Path
    page: str | None
    dataset: str
    seed: int
    scale: float
    timezone: str
    has_ledger: bool
    key: str = field(repr=False)
    connection: Backend = field(repr=False, compare=False)


def root() -> Path:
    """Return the repository's folder, or the working directory where journeybook is not run from it."""
    here = Path(__file__).resolve().parents[3]
    return here if (here / "notebooks").is_dir() else Path.cwd()


def open_run(tables: str | Path | None = None, *, page: str | None = None) -> Run:
    """Open a run's tables, and hold the process to one thread for arrays.

    Sums on several threads differ in the last digit from run to run; a notebook run by hand must give the figures
    of the report.

    Args:
        tables: Folder of the tables; None is the last default run, `data/processed`.
        page: Name of the page that reads, with its variant if it has one.

    Raises:
        JourneybookError: There is no run in the folder.
    """
    folder = Path(tables) if tables is not None else root() / "data" / "processed"
    described = folder / "dataset.json"
    if not described.is_file():
        raise JourneybookError(
            f"there are no tables in {folder.name!r}: `make report` or `journeybook run` makes them."
        )
    data = json.loads(described.read_text(encoding="utf-8"))
    threadpool_limits(1)
    return Run(
        folder=folder,
        page=page,
        dataset=data["dataset"],
        seed=data["seed"],
        scale=data["scale"],
        timezone=data["timezone"],
        has_ledger="consents" in data["tables"],
        key=_secret() if data["dataset"] == "files" else PUBLISHED_KEY,
        connection=ibis.duckdb.connect(),
    )


def has(run: Run, name: str) -> bool:
    """Return whether the run holds a table."""
    return _path(run, name).is_file()


def list_tables(run: Run, stage: str) -> list[str]:
    """Return the bare names of the tables of one stage (`raw`, `accepted`, `clean`), sorted."""
    return sorted(path.stem for path in (run.folder / stage).glob("*.parquet"))


def raw(run: Run, name: str) -> ibis.Table:
    """Return a table as it was collected, before any purpose applies; for page 01 alone."""
    return _open(run, f"raw/{name}")


def read(run: Run, name: str, *, purpose: str, as_of: datetime | str | None = None) -> ibis.Table:
    """Return the rows and columns of a table that a purpose may see.

    Rows of customers who do not permit the purpose as of the date are left out; a refusal on any record of
    a person holds for all of that person's records. Rows without a customer (guests, unknown visitors) stay.
    From page 04 on `person_id` stands in place of `customer_id`, and no direct identifier is returned.
    Where the data set has no ledger every row is returned, and the page must say so (`consent_note`).

    Args:
        run: The run.
        name: `accepted/<table>`, `clean/<table>`, or a table a page wrote, such as `features`.
        purpose: One of the purposes of the ledger.
        as_of: Date of the ledger; None is today (`ledger_as_of`), when a refusal holds whatever its date.

    Raises:
        JourneybookError: The table is not there, is raw, or the purpose is unknown.
    """
    check_purpose(purpose)
    stage = name.split("/")[0]
    if stage == "raw":
        raise JourneybookError(f"{name!r} is read for {purpose!r}: raw tables are open to 01_collection only.")
    table = _open(run, name)
    schema = schema_of(name)
    resolving = purpose == "identity_resolution"
    if "customer_id" in table.columns and (stage == "accepted" or resolving):
        table = _permitted_rows(run, table, "customer_id", _permitted_customers(run, purpose, as_of))
    elif "customer_id" in table.columns:
        table = _as_people(run, table)
        table = _permitted_rows(run, table, "person_id", _permitted_people(run, purpose, as_of))
    elif "person_id" in table.columns:
        table = _permitted_rows(run, table, "person_id", _permitted_people(run, purpose, as_of))
    if schema is None or resolving:
        return table
    hidden = [
        column
        for column in schema.identifiers
        if column in table.columns and not (column == "postcode" and purpose in _POSTCODE_PURPOSES)
    ]
    return table.drop(*hidden)


def read_refused(run: Run, name: str, *, purpose: str) -> ibis.Table:
    """Return the accepted rows of customers who refuse a purpose; for one use, to make the refusal hold elsewhere.

    Page 01 keeps them apart in `refused/<name>`, where no other page reads.
    """
    check_purpose(purpose)
    if not run.has_ledger:
        return _open(run, f"accepted/{name}").limit(0)
    decided = standing(_ledger(run), purpose=purpose, as_of=_ledger_dates(run, people=False))
    return _open(run, f"refused/{name}").semi_join(decided.filter(decided.refuses), "customer_id")


def permitted_people(run: Run, *, purpose: str, as_of: datetime | str | None = None) -> ibis.Table:
    """Return `person_id` of everyone who permits a purpose as of a date.

    Raises:
        JourneybookError: The data set has no ledger, so that nobody is known to permit anything.
    """
    check_purpose(purpose)
    permitted = _permitted_people(run, purpose, as_of)
    if permitted is None:
        raise JourneybookError(f"purpose {purpose!r} cannot be looked up: the data set has no consent ledger.")
    return permitted


def permitted_at(run: Run, asked: pd.DataFrame, *, purpose: str) -> NDArray[np.bool_]:
    """Return whether each person permitted a purpose at a moment: what `permitted_people` says, moment by moment.

    Args:
        run: The run whose ledger counts.
        asked: `person_id` and `occurred_at`, one row a question; nobody (null) has permitted nothing.
        purpose: One of the purposes of the ledger.

    Returns:
        One value a row of `asked`, shape (n,).

    Raises:
        JourneybookError: The data set has no ledger, or the purpose is unknown.
    """
    check_purpose(purpose)
    if not run.has_ledger:
        raise JourneybookError(f"purpose {purpose!r} cannot be looked up: the data set has no consent ledger.")
    ledger = _ledger(run)
    decided = ledger.filter(ledger.purpose == purpose).mutate(voice=ledger.customer_id, carried=False)
    voices = _as_people(run, decided)
    if has(run, "refusal_links"):
        links = _open(run, "refusal_links").select("customer_id", "person_id")
        carried = decided.inner_join(links, "customer_id").mutate(carried=True)
        voices = voices.union(carried.select(*voices.columns))
    question = ibis.memtable(asked[["person_id", "occurred_at"]].assign(question=range(len(asked))))
    question = question.rename(person="person_id", moment="occurred_at")
    made = question.inner_join(voices, question.person == voices.person_id)
    made = made.filter(made.occurred_at < made.moment)
    if "recorded_at" in made.columns:
        made = made.filter(~made.granted | (made.recorded_at.fill_null(made.occurred_at) < made.moment))
    newest = ibis.row_number().over(
        group_by=[made.question, made.voice, made.carried], order_by=[made.occurred_at.desc(), made.granted.asc()]
    )
    latest = made.mutate(newest=newest).filter(ibis._.newest == 0)
    lasts = (
        latest.expires_at.isnull() | (latest.expires_at > latest.moment)
        if "expires_at" in latest.columns
        else True
    )
    # As in `permitted_people`: a record linked only to carry its refusal grants nothing.
    counted = latest.mutate(permits=latest.granted & lasts & ~latest.carried)
    answers = counted.group_by("question").aggregate(permits=counted.permits.any() & counted.granted.all())
    yes = answers.filter(answers.permits).question.to_pandas()
    permitted = np.zeros(len(asked), dtype=bool)
    permitted[yes.to_numpy(dtype=int)] = True
    return permitted


def data_as_of(run: Run, *, purpose: str) -> datetime | None:
    """Return the first midnight after the last row that a purpose may read of any table; None without one.

    Rows of whoever refuses the purpose set no date, so that a withdrawal moves none.
    """
    check_purpose(purpose)
    seen = _last_times(run)
    if run.has_ledger and purpose == "identity_resolution":
        seen = _permitted_rows(run, seen, "customer_id", _permitted_customers(run, purpose, None))
    elif run.has_ledger:
        seen = _as_people(run, seen)
        seen = _permitted_rows(run, seen, "person_id", _permitted_people(run, purpose, None))
    return midnight_after(seen.last_at.max().to_pandas())


def ledger_as_of(run: Run, *, purpose: str) -> datetime | None:
    """Return the date as of which a purpose is asked, the last day of those who permit it; None without a ledger.

    A row or decision of whoever has withdrawn sets no date; the withdrawal itself holds whatever its date.
    """
    check_purpose(purpose)
    return _ledger_dates(run, people=True)[purpose] if run.has_ledger else None


def has_truth(run: Run, name: str) -> bool:
    """Return whether the truth behind simulated rows is known."""
    return (run.folder / "truth" / f"{name}.parquet").is_file()


def read_truth(run: Run, name: str) -> pd.DataFrame:
    """Return the truth behind simulated rows, to compare results with and for nothing else.

    `customer_id` comes as `person_id` once page 03 has run.
    """
    table = run.connection.read_parquet(run.folder / "truth" / f"{name}.parquet")
    if "customer_id" in table.columns and has(run, "people"):
        table = _as_people(run, table)
    return (table.order_by("row") if "row" in table.columns else table).to_pandas()


def write(run: Run, name: str, table: ibis.Table | pd.DataFrame, *, sources: Sequence[str]) -> None:
    """Write a table of the run, whole or not at all, for its owner's eyes only.

    Args:
        run: The run; a variant of a page writes apart, where no other page reads.
        name: Name of the table, such as `clean/transactions` or `features`.
        table: Its rows; a lazy table is stored in the order of `row`, or of all columns where it has none.
        sources: Tables it was made from; they decide whether it is REAL, SIMULATED, MIXED or YOURS.
    """
    path = _path(run, name)
    if run.page is not None and "." in run.page:
        path = run.folder / "variants" / run.page / f"{name}.parquet"
    if isinstance(table, pd.DataFrame):
        table = ibis.memtable(table)
    else:
        # The quarantine holds rows of several tables, each numbered for itself.
        table = table.order_by([c for c in ("row", "table") if c in table.columns] or list(table.columns))
    store(run.connection, table, path, about={"provenance": provenance(run, *sources)})


def store(connection: Backend, table: ibis.Table, path: Path, *, about: dict[str, str]) -> None:
    """Write rows to a Parquet file of mode 600, in their order, with a few words about them inside it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".unfinished")
    unfinished.touch(mode=0o600)
    unfinished.chmod(0o600)
    connection.to_parquet(table, unfinished, compression="zstd", kv_metadata=about)
    unfinished.chmod(0o600)
    unfinished.replace(path)


def provenance(run: Run, *names: str) -> str:
    """Return REAL, SIMULATED, MIXED or YOURS for tables taken together.

    Raises:
        JourneybookError: No table is named, or one is not there.
    """
    if not names:
        raise JourneybookError("provenance needs at least one table: name those that were read.")
    kinds = {_about(run, name)["provenance"] for name in names}
    return kinds.pop() if len(kinds) == 1 else "MIXED"


def consent_note(run: Run, *, purpose: str) -> str:
    """Return one sentence that says whose rows this page was allowed to read."""
    permitted, asked = _permitted_customers(run, purpose, None), ledger_as_of(run, purpose=purpose)
    if permitted is None:
        return "This data set has **no consent ledger**: whether anyone permitted this use is not known here."
    n = permitted.count().execute()
    return (
        f"Rows are read for the purpose `{purpose}`: those of the {n:,} customer ids that permit it as of "
        f"{asked:%d %B %Y}, unless another record of the same person refuses it; no other customer's."
    )


def _path(run: Run, name: str) -> Path:
    return run.folder / f"{name}.parquet"


def _open(run: Run, name: str) -> ibis.Table:
    if not has(run, name):
        raise JourneybookError(f"table {name!r} is not in this run: the page that writes it has not run.")
    return run.connection.read_parquet(_path(run, name))


def _about(run: Run, name: str) -> dict[str, str]:
    if not has(run, name):
        raise JourneybookError(f"table {name!r} is not in this run: the page that writes it has not run.")
    found = run.connection.con.execute(
        "SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)", [str(_path(run, name))]
    )
    return dict(found.fetchall())


def _ledger(run: Run) -> ibis.Table:
    return _open(run, "consents")


def _ledger_dates(run: Run, *, people: bool) -> dict[str, datetime]:
    """Return the date as of which each purpose is asked; with `people`, no other record of theirs must refuse."""
    silenced = None
    if people and has(run, "people"):
        known = _open(run, "people").select("customer_id", "person_id")
        refused = standings(_ledger(run), as_of=dict.fromkeys(PURPOSES, datetime.max)).filter(ibis._.refuses)
        voices = _as_people(run, refused).select("person_id", "purpose")
        if has(run, "refusal_links"):
            links = _open(run, "refusal_links").select("customer_id", "person_id")
            voices = voices.union(refused.inner_join(links, "customer_id").select("person_id", "purpose"))
        silenced = known.inner_join(voices, "person_id").select("customer_id", "purpose").distinct()
    return ledger_dates(_ledger(run), _last_times(run), silenced=silenced)


def _last_times(run: Run) -> ibis.Table:
    return _open(run, "last_times") if has(run, "last_times") else last_times({})


def _asked(as_of: datetime | str) -> datetime:
    return datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of


def _permitted_rows(run: Run, table: ibis.Table, id_column: str, permitted: ibis.Table | None) -> ibis.Table:
    if permitted is None:
        return table
    return table.filter(table[id_column].isnull() | table[id_column].isin(permitted[id_column]))


def _standing(run: Run, purpose: str, as_of: datetime | str | None, *, people: bool) -> ibis.Table:
    when = _ledger_dates(run, people=people) if as_of is None else _asked(as_of)
    return standing(_ledger(run), purpose=purpose, as_of=when)


def _permitted_customers(run: Run, purpose: str, as_of: datetime | str | None) -> ibis.Table | None:
    if not run.has_ledger:
        return None
    name = f"permitted_customers_{purpose}_{_words(as_of)}"
    decided = _standing(run, purpose, as_of, people=False)
    return _computed_once(run, name, decided.filter(decided.permits).select("customer_id"))


def _permitted_people(run: Run, purpose: str, as_of: datetime | str | None) -> ibis.Table | None:
    if not run.has_ledger:
        return None
    name = f"permitted_people_{purpose}_{_words(as_of)}"
    decided = _standing(run, purpose, as_of, people=True)
    voices = _as_people(run, decided)
    if has(run, "refusal_links"):
        links = _open(run, "refusal_links").select("customer_id", "person_id")
        carried = decided.filter(decided.refuses).inner_join(links, "customer_id")
        voices = voices.union(carried.select(*voices.columns))
    people = voices.group_by("person_id").aggregate(permits=voices.permits.any(), refuses=voices.refuses.any())
    return _computed_once(run, name, people.filter(people.permits & ~people.refuses).select("person_id"))


def _words(as_of: datetime | str | None) -> str:
    return "now" if as_of is None else f"{_asked(as_of):%Y%m%d%H%M%S}"


def _computed_once(run: Run, name: str, table: ibis.Table) -> ibis.Table:
    """Keep a table in the run's connection, so that a second read for the same purpose and date is free."""
    run.connection.raw_sql(f"CREATE TEMP TABLE IF NOT EXISTS {name} AS {run.connection.compile(table)}")
    return run.connection.table(name)


def _as_people(run: Run, table: ibis.Table) -> ibis.Table:
    """Replace `customer_id` by `person_id`, at its place."""
    own = pseudonym(table.customer_id, key=run.key)
    if has(run, "people"):
        people = _open(run, "people").select("customer_id", person="person_id")
        table = table.left_join(people, "customer_id").drop("customer_id_right")
        own = ibis.coalesce(table.person, pseudonym(table.customer_id, key=run.key))
    columns = {column: table[column] for column in table.columns if column != "person"}
    return table.select(
        **{
            ("person_id" if c == "customer_id" else c): (own if c == "customer_id" else v)
            for c, v in columns.items()
        }
    )


@cache
def _secret() -> str:
    """Return the user's own key: from the environment, or from a file of mode 600 made at first use."""
    given = os.environ.get("JOURNEYBOOK_KEY")
    if given:
        return given
    path = root() / "data" / "pseudonym.key"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise JourneybookError("data/pseudonym.key can be read by others: it needs mode 600 (chmod 600).")
    return path.read_text(encoding="ascii").strip()
