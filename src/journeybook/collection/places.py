"""Where each row ended on this page, from the lines of the files to what goes on."""

from collections.abc import Mapping

import ibis
import pandas as pd

from journeybook.conservation import n_without_place


def row_places(
    counts: pd.DataFrame, kept: Mapping[str, ibis.Table], *, withdrawn: pd.DataFrame | None, lines: pd.DataFrame
) -> pd.DataFrame:
    """Count the rows of each table by the place where they ended.

    Args:
        counts: As `Collection.counts`.
        kept: What goes on, by table.
        withdrawn: As `withdrawn_rows` returns it; None without a ledger.
        lines: As `tables.source_lines` returns them: lines of the files, counted without the engine.

    Returns:
        One row a table: table, n_lines, n_left_out, n_unparsed, n_quarantined, n_withdrawn, n_kept.
    """
    places = lines[["table", "n_lines", "n_left_out"]].merge(
        counts[["table", "n_unparsed", "n_quarantined"]], on="table"
    )
    gone = {} if withdrawn is None else withdrawn.set_index("table").n_withdrawn.to_dict()
    places["n_withdrawn"] = [gone.get(name, 0) for name in places.table]
    places["n_kept"] = [int(kept[name].count().to_pyarrow().as_py()) for name in places.table]
    return places


def check_places(places: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """Add up the places, and hold the lines that the engine read against those counted without it."""
    n_unlike = int((lines.n_lines - lines.n_read).abs().sum())
    apart = "lines of each file, by Python's csv module or the footer of Parquet"
    rows = [
        ("rows without a place, or with two", n_without_place(places), apart, "conservation"),
        ("lines that were read otherwise than they are counted", n_unlike, apart, "conservation"),
    ]
    found = pd.DataFrame(rows, columns=["name", "value", "source", "kind"])
    return found.assign(reference=0, tolerance=0)
