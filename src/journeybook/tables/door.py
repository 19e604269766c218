"""The one door through which pages read and write tables: for a purpose, and only what their notebook names."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.errors import JourneybookError
from journeybook.tables.access import CHECKING, COLLECTION, normalised
from journeybook.tables.codes import coded
from journeybook.tables.consent import check_purpose, pseudonym, said, standing, standings
from journeybook.tables.dates import last_times, ledger_dates, midnight_after
from journeybook.tables.log import log_read
from journeybook.tables.rows import brought_in
from journeybook.tables.run import Run, by_hand, find, has, opened, provenance, store, target
from journeybook.tables.schema import PURPOSES, schema_of

# What decides who permits what, and as of when.
_DECIDING = ("consents", "last_times", "people", "refusal_links")


def raw(run: Run, name: str) -> ibis.Table:
    """Return a table as it was collected, before any purpose applies; for page 01 alone."""
    name = _admitted(run, f"raw/{name}", COLLECTION)
    return _handed_out(run, name, COLLECTION, opened(run, name))


def read(
    run: Run, name: str, *, purpose: str, as_of: datetime | str | None = None, needed: bool = False
) -> ibis.Table:
    """Return the rows and columns of a table that a purpose may see.

    Rows of customers who do not permit the purpose as of the date are left out; a refusal on any record of a
    person holds for all of that person's records. Rows without a customer stay. From page 04 on `person_id`
    stands in place of `customer_id`, and no direct identifier is returned. Without a ledger every row is.

    Args:
        run: The run.
        name: `accepted/<table>`, `clean/<table>`, or a table a page wrote, such as `features`.
        purpose: One of the purposes of the ledger.
        as_of: Date of the ledger; None is today (`ledger_as_of`), when a refusal holds whatever its date.
        needed: Whether the page has nothing to say without a row.

    Raises:
        JourneybookError: The table is not there, not named with this purpose, or needed and without a row.
    """
    name = _admitted(run, name, purpose)
    stage = name.split("/")[0]
    if stage in ("raw", "refused", "truth"):
        raise JourneybookError(f"{name!r} is not read for a purpose of the ledger: it has a function of its own.")
    table = opened(run, name)
    schema = schema_of(name)
    resolving = purpose == "identity_resolution"
    if "customer_id" in table.columns and _sees_ids(run) and (stage == "accepted" or resolving):
        table = _permitted_rows(table, "customer_id", _permitted_customers(run, purpose, as_of))
    elif "customer_id" in table.columns:
        table = table.drop("customer_id") if "person_id" in table.columns else _as_people(run, table)
        table = _permitted_rows(table, "person_id", _permitted_people(run, purpose, as_of))
    elif "person_id" in table.columns:
        table = _permitted_rows(table, "person_id", _permitted_people(run, purpose, as_of))
    if schema is not None and not resolving:
        kept = "postcode" if purpose == "third_party_enrichment" else None
        table = table.drop(*[c for c in schema.identifiers if c in table.columns and c != kept])
    return _handed_out(run, name, purpose, table, needed=needed)


def read_refused(run: Run, name: str, *, purpose: str) -> ibis.Table:
    """Return the match codes (row, customer_id, code) of who refuses a purpose, to make it hold elsewhere."""
    name = _admitted(run, f"refused/{name}", purpose)
    if not run.has_ledger:
        none = pd.DataFrame({"row": [0], "customer_id": [""], "code": [""]})
        return _handed_out(run, name, purpose, ibis.memtable(none).limit(0))
    decided = _standing(run, purpose, None, people=False)
    codes = opened(run, name).semi_join(decided.filter(decided.refuses), "customer_id")
    return _handed_out(run, name, purpose, codes)


def refusing_ids(run: Run, *, purpose: str) -> pd.Series:
    """Return the customer ids whose own latest word refuses a purpose; none where the data set has no ledger."""
    if not _sees_ids(run):
        raise JourneybookError(f"page {run.page} may not see who refuses: customer ids end at page 03.")
    _look_up(run, purpose)
    if not run.has_ledger:
        return pd.Series([], name="customer_id", dtype="str")
    decided = _standing(run, purpose, None, people=False)
    found = decided.filter(decided.refuses).select("customer_id").order_by("customer_id")
    return _handed_out(run, "consents", purpose, found).to_pandas().customer_id


def match_codes(run: Run, records: ibis.Table) -> ibis.Table:
    """Return the keyed codes by which customer records are matched without their names (`codes.coded`)."""
    return coded(records, key=run._key)


def pseudonyms(run: Run, ids: pd.Series) -> pd.Series:
    """Return the keyed pseudonym of each customer id, by id, each once; refused after page 03."""
    if not _sees_ids(run):
        raise JourneybookError(f"page {run.page} makes no pseudonyms: customer ids end at page 03.")
    table = ibis.memtable(pd.DataFrame({"id": ids.drop_duplicates().astype("str")}))
    return table.select("id", own=pseudonym(table.id, key=run._key)).to_pandas().set_index("id").own


def permitted_people(
    run: Run, *, purpose: str, as_of: datetime | str | None = None, among: pd.Series | None = None
) -> ibis.Table:
    """Return `person_id` of everyone who permits a purpose as of a date, or `among` these people.

    Of a past date it must be asked of people who are in the data: others may have withdrawn since.

    Raises:
        JourneybookError: There is no ledger, or the page's notebook does not name `consents` with this purpose.
    """
    _look_up(run, purpose, needed=True)
    permitted = _permitted_people(run, purpose, as_of)
    assert permitted is not None
    if among is not None:
        permitted = permitted.semi_join(
            ibis.memtable(among.dropna().drop_duplicates().to_frame("person_id")), "person_id"
        )
    return _handed_out(run, "consents", purpose, permitted)


def permitted_at(run: Run, asked: pd.DataFrame, *, purpose: str) -> NDArray[np.bool_]:
    """Return whether each person permitted a purpose at a moment: what `permitted_people` says, moment by moment.

    Args:
        run: The run whose ledger counts.
        asked: `person_id` and `occurred_at`, one row a question; nobody (null) has permitted nothing.
        purpose: One of the purposes of the ledger.

    Returns:
        One value a row of `asked`, shape (n,).

    Raises:
        JourneybookError: There is no ledger, or the page's notebook does not name `consents` with this purpose.
    """
    _look_up(run, purpose, needed=True)
    ledger = opened(run, "consents")
    voices = _voices(run, ledger.filter(ledger.purpose == purpose))
    question = ibis.memtable(asked[["person_id", "occurred_at"]].assign(question=range(len(asked))))
    question = question.rename(person="person_id", moment="occurred_at")
    heard = question.inner_join(voices, question.person == voices.person_id)
    # Brought in, they are worked out once, and not for the log again.
    answers = brought_in(_permits(said(heard, by=("question", "voice", "carried")), by="question"))
    yes = _handed_out(run, "consents", purpose, answers).to_pandas().question
    permitted = np.zeros(len(asked), dtype=bool)
    permitted[yes.to_numpy(dtype=int)] = True
    return permitted


def data_as_of(run: Run, *, purpose: str) -> datetime | None:
    """Return the first midnight after the last row that a purpose may read of any table; a leaver moves none."""
    check_purpose(purpose)
    seen = _last_times(run)
    if purpose == "identity_resolution":
        seen = _permitted_rows(seen, "customer_id", _permitted_customers(run, purpose, None))
    else:
        seen = _permitted_rows(_as_people(run, seen), "person_id", _permitted_people(run, purpose, None))
    return midnight_after(seen.last_at.max().to_pandas())


def ledger_as_of(run: Run, *, purpose: str) -> datetime | None:
    """Return the date as of which a purpose is asked, set by those who permit it; None without a ledger."""
    check_purpose(purpose)
    return _ledger_dates(run, people=True)[purpose] if run.has_ledger else None


def read_truth(run: Run, name: str) -> pd.DataFrame:
    """Return the truth behind simulated rows, for comparison alone; `person_id` in it on the pages after 03."""
    name = _admitted(run, f"truth/{name}", CHECKING)
    table = opened(run, name)
    after = run._access is None or run._access.number > "03"
    if after and "customer_id" in table.columns and _knows(run, "people"):
        table = _as_people(run, table)
    table = table.order_by("row") if "row" in table.columns else table
    return _handed_out(run, name, CHECKING, table).to_pandas()


def write(run: Run, name: str, table: ibis.Table | pd.DataFrame, *, sources: Sequence[str]) -> None:
    """Write a table of the run, whole or not at all, for its owner's eyes only.

    Args:
        run: The run; a variant writes apart, for pages of the same variant alone, and so does a notebook by hand.
        name: Name of the table, which the page's notebook must name among those it writes.
        table: Its rows; a lazy table is stored in the order of `row`, or of all columns where it has none.
        sources: Tables it was made from; they decide whether it is REAL, SIMULATED, MIXED or YOURS.
    """
    name = normalised(name)
    if run._access is not None:
        run._access.check_write(name)
    if isinstance(table, pd.DataFrame):
        table = ibis.memtable(table)
    else:
        # The quarantine holds rows of several tables, each numbered for itself.
        order = [c for c in ("row", "table", "column", "problem") if c in table.columns]
        table = table.order_by(order if "row" in order else list(table.columns))
    about = {"provenance": provenance(run, *sources)}
    store(run._connection, table, target(run) / f"{name}.parquet", about=about)


def consent_note(run: Run, *, purpose: str) -> str:
    """Return in a sentence or two whose rows this page was allowed to read, and what it read from elsewhere."""
    mine = by_hand(run)
    besides = (
        f" Run by hand: {', '.join(f'`{name}`' for name in mine)} come from your own layer, `data/manual`, "
        "and not from the last report (`make clean` removes it)."
        if mine
        else ""
    )
    if run.dataset != "files":
        besides += " Pseudonyms are made with a key that is published, as these rows are: they hide nobody."
    permitted, asked = _permitted_customers(run, purpose, None), ledger_as_of(run, purpose=purpose)
    if permitted is None:
        unknown = "This data set has **no consent ledger**: whether anyone permitted this use is not known here."
        return unknown + besides
    n = permitted.count().execute()
    return (
        f"Rows are read for the purpose `{purpose}`: those of the {n:,} customer ids that permit it as of "
        f"{asked:%d %B %Y}, unless another record of the same person refuses it; no other customer's."
        f"{besides}"
    )


def _admitted(run: Run, name: str, purpose: str) -> str:
    """The name in its one spelling, once the page may read it for the purpose."""
    if purpose not in (COLLECTION, CHECKING):
        check_purpose(purpose)
    name = normalised(name)
    if run._access is not None:
        run._access.check_read(name, purpose=purpose)
    return name


def _handed_out(run: Run, name: str, purpose: str, table: ibis.Table, *, needed: bool = False) -> ibis.Table:
    """The table, once the log says that it was read."""
    n_rows = log_read(run, name, purpose=purpose, table=table)
    if needed and n_rows == 0:
        held = int(opened(run, name).count().to_pandas())
        why = "nobody permits it" if held else "it has none"
        raise JourneybookError(f"no row of {name.split('/')[-1]!r} may be read for {purpose!r}: {why}.")
    return table


def _look_up(run: Run, purpose: str, *, needed: bool = False) -> None:
    check_purpose(purpose)
    if run._access is not None:
        run._access.check_lookup(purpose=purpose)
    if needed and not run.has_ledger:
        raise JourneybookError(f"purpose {purpose!r} cannot be looked up: the data set has no consent ledger.")


def _sees_ids(run: Run) -> bool:
    """Whether customer ids may be seen: up to page 03, where people are made of them."""
    return run._access is None or run._access.number <= "03"


def _ledger_dates(run: Run, *, people: bool) -> dict[str, datetime]:
    """Return the date as of which each purpose is asked; with `people`, no other record of theirs must refuse."""

    def dates() -> dict[str, datetime]:
        silenced = None
        if people and _knows(run, "people"):
            known = opened(run, "people").select("customer_id", "person_id")
            refused = standings(opened(run, "consents"), as_of=dict.fromkeys(PURPOSES, datetime.max)).filter(
                ibis._.refuses
            )
            voices = _voices(run, refused).select("person_id", "purpose")
            silenced = known.inner_join(voices, "person_id").select("customer_id", "purpose").distinct()
        return ledger_dates(opened(run, "consents"), _last_times(run), silenced=silenced)

    return _once(run, f"ledger dates of people: {people}", dates)


def _last_times(run: Run) -> ibis.Table:
    return opened(run, "last_times") if has(run, "last_times") else last_times({})


def _standing(run: Run, purpose: str, as_of: datetime | str | None, *, people: bool) -> ibis.Table:
    moment = datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    when = _ledger_dates(run, people=people) if moment is None else moment
    return standing(opened(run, "consents"), purpose=purpose, as_of=when)


def _permitted_rows(table: ibis.Table, id_column: str, permitted: ibis.Table | None) -> ibis.Table:
    if permitted is None:
        return table
    return table.filter(table[id_column].isnull() | table[id_column].isin(permitted[id_column]))


def _permitted_customers(run: Run, purpose: str, as_of: datetime | str | None) -> ibis.Table | None:
    def permitted() -> ibis.Table:
        decided = _standing(run, purpose, as_of, people=False)
        return _held(run, decided.filter(decided.permits).select("customer_id"))

    return _once(run, f"customers, {purpose}, {as_of}", permitted) if run.has_ledger else None


def _permitted_people(run: Run, purpose: str, as_of: datetime | str | None) -> ibis.Table | None:
    def permitted() -> ibis.Table:
        voices = _voices(run, _standing(run, purpose, as_of, people=True))
        return _held(run, _permits(voices, by="person_id"))

    return _once(run, f"people, {purpose}, {as_of}", permitted) if run.has_ledger else None


def _voices(run: Run, rows: ibis.Table) -> ibis.Table:
    """Rows with a `customer_id`, for each person they speak for: `person_id`, `voice`, `carried`."""
    voices = _as_people(run, rows.mutate(voice=rows.customer_id, carried=False))
    if not _knows(run, "refusal_links"):
        return voices
    links = opened(run, "refusal_links").select("customer_id", "person_id")
    carried = rows.mutate(voice=rows.customer_id, carried=True).inner_join(links, "customer_id")
    return voices.union(carried.select(*voices.columns))


def _permits(voices: ibis.Table, *, by: str) -> ibis.Table:
    """Who, of those asked about, is permitted by one voice and refused by none."""
    # A record linked only to carry its refusal grants nothing.
    permits = (voices.permits & ~voices.carried).any()
    answers = voices.group_by(by).aggregate(permits=permits, refuses=voices.refuses.any())
    return answers.filter(answers.permits & ~answers.refuses).select(by)


def _once(run: Run, what: str, made: Callable[[], Any]) -> Any:
    """Work out once a page what the ledger says, for as long as no table that decides it is written anew."""
    files = [path for name in _DECIDING if (path := find(run, name)) is not None]
    key = (what, *((path, path.stat().st_mtime_ns) for path in files))
    if key not in run._known:
        run._known[key] = made()
    return run._known[key]


def _held(run: Run, table: ibis.Table) -> ibis.Table:
    """Hold a table in the run's connection: ids by the million, asked again by each read."""
    name = f"held_{len(run._known)}"
    run._connection.raw_sql(f"CREATE OR REPLACE TEMP TABLE {name} AS {run._connection.compile(table)}")
    return run._connection.table(name)


def _knows(run: Run, name: str) -> bool:
    """Whether a table of page 03 is there for the page: no earlier page sees one, whatever an earlier run left."""
    return has(run, name) and (run._access is None or run._access.number >= "03")


def _as_people(run: Run, table: ibis.Table) -> ibis.Table:
    """Replace `customer_id` by `person_id`, at its place."""
    own = pseudonym(table.customer_id, key=run._key)
    if _knows(run, "people"):
        people = opened(run, "people").select("customer_id", person="person_id")
        table = table.left_join(people, "customer_id").drop("customer_id_right")
        own = ibis.coalesce(table.person, pseudonym(table.customer_id, key=run._key))
    columns = [column for column in table.columns if column != "person"]
    return table.select(*(own.name("person_id") if c == "customer_id" else table[c] for c in columns))
