"""Everything that is held on one person, with where it comes from and what it is used for; for that person."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.errors import JourneybookError
from journeybook.report.holding import Person, about_file, find_person, is_of_person, rows_in_files
from journeybook.report.params import RunParameters
from journeybook.report.rendering import html_of
from journeybook.report.running import folders
from journeybook.report.storing import read_json
from journeybook.tables import (
    Run,
    engine,
    has_key,
    logged_reads,
    maker_of,
    owners_view,
    pseudonyms,
    root,
    schema_of,
    write_private,
)

SHOWN = 100
"""Rows of a table that the page shows; the JSON file has all of them."""
_TRIED = 5000


def access(
    customer_id: str, *, out: Path | None, target: Path | None, parameters: RunParameters | None = None
) -> Iterator[str]:
    """Write what a run holds of a person into a new folder, `held.json` and `held.html` of mode 600; say what,
    by line.

    Every table of the run is looked through: as collected, in quarantine, accepted, set aside, clean, and what the
    pages made of it. The log says which page read such a table, and for which purpose. With `parameters`, the
    user's own files are read again as they are now.

    Raises:
        JourneybookError: There is no run, the key is missing or another one, no table holds the id, or the
            folder is there already; nothing is written then.
    """
    tables = folders(out)[1]
    # The owner's view would make a new key, by which nobody is found.
    if read_json(tables / "dataset.json").get("dataset") == "files" and not has_key():
        raise JourneybookError("the key of the pseudonyms is missing: set JOURNEYBOOK_KEY to that of this run.")
    run, connection = owners_view(tables), engine(tables)
    _check_key(run, tables, connection)
    person = find_person(run, tables, connection, customer_id)
    folder = target or root() / "data" / f"access-{person.names[0][:12]}"
    if folder.exists():
        raise JourneybookError(f"{str(folder)!r} is there already: what is held is written into a new folder.")
    held = list(_held(tables, connection, person))
    if parameters is not None and parameters.dataset == "files":
        with tempfile.TemporaryDirectory() as place:
            for path, table, rows in rows_in_files(connection, person, parameters, place=Path(place)):
                held.append(_told(f"file {path} ({table})", rows, source=path, data="YOURS"))
    if not held:
        raise JourneybookError(f"no table of this run holds the customer {customer_id!r}.")
    reads = [read for read in logged_reads(tables) if read["table"] in {one["table"] for one in held}]
    for one in held:
        of_table = (
            (read["page"].split(".")[0], read["purpose"]) for read in reads if read["table"] == one["table"]
        )
        one["used"] = [{"page": page, "purpose": purpose} for page, purpose in dict.fromkeys(of_table)]
    found = {"customer": customer_id, "ids": [*person.ids], "pseudonyms": [*person.names], "tables": held}
    folder.mkdir(parents=True, mode=0o700)
    content = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    write_private(folder / "held.json", content.encode())
    write_private(folder / "held.html", html_of("access.html.j2", shown=SHOWN, **found).encode())
    yield from (f"{one['table']}: {one['n_rows']:,} row{'s' if one['n_rows'] > 1 else ''}" for one in held)
    yield f"Written: {folder}/held.html and held.json (mode 600). Hand them to nobody but this person."
    if out is None and (root() / "data" / "manual").is_dir():
        yield "data/manual, tables of notebooks run by hand, was not looked through"


def _held(tables: Path, connection: Backend, person: Person) -> Iterator[dict[str, Any]]:
    for path in sorted(tables.rglob("*.parquet")):
        name = path.relative_to(tables).with_suffix("").as_posix()
        # The truth behind simulated rows is about no real person, and the log has no rows of people.
        if name.startswith(("truth/", "reads/")):
            continue
        table = connection.read_parquet(path)
        theirs = is_of_person(table, person)
        rows = table.filter(theirs).to_pandas() if theirs is not None else pd.DataFrame()
        if len(rows):
            about, page = about_file(connection, path), maker_of(name)
            source = about.get("source") or (f"made by page {page}" if page else "made by this run")
            yield _told(name, rows, source=source, data=about.get("provenance", ""))


def _told(name: str, rows: pd.DataFrame, *, source: str, data: str) -> dict[str, Any]:
    """One table: `table`, `meaning` of a row, `source`, `data`, `n_rows`, and its `rows` as JSON has them."""
    rows = rows.sort_values("row") if "row" in rows else rows
    # Dates as text, decimals and lists likewise: what JSON has no word for.
    listed = json.loads(rows.to_json(orient="records", date_format="iso", default_handler=str))
    schema = schema_of(name)
    meaning = schema.meaning if schema is not None else ""
    return {"table": name, "meaning": meaning, "source": source, "data": data, "n_rows": len(rows), "rows": listed}


def _check_key(run: Run, tables: Path, connection: Backend) -> None:
    """Raise JourneybookError where no pseudonym of the run was made with this key."""
    made = next((path for name in ("people", "features") if (path := tables / f"{name}.parquet").is_file()), None)
    if made is None:
        return
    known = connection.read_parquet(made)
    table = known if made.stem == "people" else connection.read_parquet(tables / "raw" / "transactions.parquet")
    # A person's pseudonym is that of one of their ids; who refuses a use may have none.
    first = table.filter(table.customer_id.notnull()).select("customer_id").distinct().limit(_TRIED)
    names = pseudonyms(run, first.to_pandas().customer_id)
    if not int(known.filter(known.person_id.isin(names.tolist())).count().to_pyarrow().as_py()):
        raise JourneybookError("the key is not the one this run was made with: set JOURNEYBOOK_KEY to that one.")
