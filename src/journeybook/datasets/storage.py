"""How a data set's rows are stored: raw tables with a row number, and the truth apart from them."""

from pathlib import Path

import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.tables import store


def write_raw(
    connection: Backend, folder: Path, name: str, table: ibis.Table | pd.DataFrame, *, provenance: str, source: str
) -> None:
    """Write `raw/<name>.parquet`, with a column `row` from 1 in the order given.

    A lazy table brings its own `row`, for an engine has no order to go by. `provenance` is REAL, SIMULATED, MIXED
    or YOURS, `source` where the rows come from, in a few words.
    """
    if isinstance(table, pd.DataFrame):
        # In one piece: the engine reads several side by side, and then the bytes of the file are chance.
        table = ibis.memtable(connection.to_pyarrow(ibis.memtable(_numbered(table))).combine_chunks())
    else:
        table = table.order_by("row")
    table = table.relocate("row", before=table.columns[0])
    about = {"provenance": provenance, "source": source}
    store(connection, table, folder / "raw" / f"{name}.parquet", about=about)


def write_truth(connection: Backend, folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write `truth/<name>.parquet`: what a simulation planted, for comparing results with."""
    about = {"provenance": "SIMULATED", "source": "planted by the simulation"}
    store(connection, ibis.memtable(_numbered(frame)), folder / "truth" / f"{name}.parquet", about=about)


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if "row" in frame.columns else frame.assign(row=range(1, len(frame) + 1))
