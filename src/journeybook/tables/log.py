"""The log of reads: which page read which table, for which purpose, and how much of it."""

from pathlib import Path

import duckdb
import ibis
import pandas as pd

from journeybook.tables.run import Run, store

COLUMNS = ("row", "page", "table", "purpose", "n_rows", "n_columns", "columns")


def log_read(run: Run, name: str, *, purpose: str, table: ibis.Table) -> int | None:
    """Append one row to the page's log, `reads/<page>`: rows are added, and none is changed.

    The log holds no clock, so that two runs leave the same; the owner's own looks are not logged.

    Returns:
        The rows read; None for the owner, whose looks are not counted.
    """
    if run.page is None:
        return None
    path = (run._layer or run._folder) / "reads" / f"{run.page}.parquet"
    before = pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=list(COLUMNS))
    n_rows = int(table.count().to_pandas())
    entry = (len(before) + 1, run.page, name, purpose, n_rows, len(table.columns), ", ".join(table.columns))
    added = pd.DataFrame([entry], columns=list(COLUMNS))
    log = pd.concat([before, added], ignore_index=True) if len(before) else added
    about = {"provenance": "LOG", "source": "reads by the pages"}
    store(run._connection, ibis.memtable(log), path, about=about)
    return n_rows


def logged_reads(tables: Path) -> list[dict]:
    """What each page read the last time: `page`, `table`, `purpose`, `n_rows`, `n_columns`."""
    logs = [str(path) for path in (tables / "reads").glob("*.parquet")]
    if not logs:
        return []
    asked = """
        SELECT page, "table", purpose, arg_max(n_rows, "row") AS n_rows, arg_max(n_columns, "row") AS n_columns
        FROM read_parquet($logs) GROUP BY page, "table", purpose ORDER BY ALL
    """
    return duckdb.execute(asked, {"logs": logs}).df().to_dict("records")
