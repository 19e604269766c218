"""Changing the key of the pseudonyms, with a crosswalk for its owner."""

from pathlib import Path

import ibis

from journeybook.errors import JourneybookError
from journeybook.tables.consent import pseudonym
from journeybook.tables.keys import key_file, new_key, secret
from journeybook.tables.places import write_private
from journeybook.tables.run import Run


def rotate_key(run: Run) -> Path:
    """Put a new key in place of the old, and write which pseudonym became which; returns that file.

    Both files have mode 600. Tables keep the old pseudonyms until the next run, which makes them anew.
    """
    if run.dataset != "files":
        raise JourneybookError(
            f"the key of {run.dataset} is published, as its rows are: there is no secret to change."
        )
    old, new = secret(), new_key()
    tables = [run._connection.read_parquet(path) for path in sorted((run._folder / "raw").glob("*.parquet"))]
    ids = [table.select("customer_id") for table in tables if "customer_id" in table.columns]
    if not ids:
        raise JourneybookError("no table of this run has customers: there is no pseudonym to change.")
    every = ibis.union(*ids, distinct=True) if len(ids) > 1 else ids[0].distinct()
    every = every.filter(every.customer_id.notnull())
    walk = every.select(old=pseudonym(every.customer_id, key=old), new=pseudonym(every.customer_id, key=new))
    path = key_file().with_name(f"crosswalk-{len(list(key_file().parent.glob('crosswalk-*.csv'))) + 1}.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, walk.order_by("old").to_pandas().to_csv(index=False).encode())
    write_private(key_file(), f"{new}\n".encode())
    secret.cache_clear()
    return path
