"""Applying a saved model to a file of new rows, all of them or none."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import MISSING, RARE
from journeybook.channel_response.storage import SavedModel, TrainedColumn, unpack_model
from journeybook.errors import JourneybookError
from journeybook.sends import MARKS_OF_MISSING

IDS = ("row", "contact_id", "customer_id", "person_id")
"""Columns that say which row a probability belongs to; they are carried over."""


def score_file(folder: Path, source: Path, target: Path | None) -> str | None:
    """Score the rows of a file with the model that page 07 saved in a folder.

    The file is a CSV with a header, or Parquet by its ending, and holds the model's columns. What is written to
    `target`, CSV or Parquet, is whole or not there; without a target the CSV is returned.

    Raises:
        JourneybookError: A file cannot be read or written, or a row breaks the training contract.
    """
    names = ("model.skops", "contract.json")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise JourneybookError(f"--model {folder}: there is no {' and no '.join(missing)}; page 07 writes them.")
    try:
        model = unpack_model({name: (folder / name).read_bytes() for name in names})
    except ValueError as error:
        raise JourneybookError(f"--model {folder}: {error}") from None
    rows = _rows(source)
    try:
        scored = score_rows(model, rows)
    except ValueError as error:
        raise JourneybookError(f"--input {source}: {error}") from None
    if target is None:
        return scored.to_csv(index=False)
    _write(scored, target, source=source)
    return None


def score_rows(saved: SavedModel, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the calibrated probability of a response of each row; text is read as the contract says.

    Returns:
        One row a row, in their order: those of `IDS` that `rows` has (`row`, 1..n, where it has none of them), and
        `probability`.

    Raises:
        ValueError: A column is missing, or a value breaks the training contract; the first one is named.
    """
    if missing := [column.name for column in saved.columns if column.name not in rows]:
        raise ValueError(
            f"no column {', '.join(missing)}; the model needs {', '.join(c.name for c in saved.columns)}, and "
            f"{', '.join(map(str, rows.columns)) or 'nothing'} is there."
        )
    if rows.empty:
        raise ValueError("there are no rows to score.")
    kept = pd.DataFrame({column.name: _as_trained(rows[column.name], column) for column in saved.columns})
    ids = rows[[name for name in IDS if name in rows]].reset_index(drop=True)
    if ids.empty:
        ids = pd.DataFrame({"row": np.arange(1, len(rows) + 1)})
    return ids.assign(probability=saved.model.probability(kept, calibrated=True))


def _as_trained(values: pd.Series, column: TrainedColumn) -> pd.Series:
    """Bring one column into the form that training had, or say which value breaks the contract."""
    values = values.reset_index(drop=True)
    said = values.astype("str").where(values.notna(), "")
    if column.kind == "level":
        words = said.where(said != "", MISSING).astype("object")
        strange = ~words.isin(column.levels)
        if column.others:
            return words.mask(strange, RARE)
        _refuse(words, strange, column.name, f"the model knows {', '.join(column.levels)}")
        return words
    absent = said.str.strip().str.lower().isin(MARKS_OF_MISSING)
    numbers = pd.to_numeric(values.mask(absent), errors="coerce").astype("float64")
    _refuse(values, numbers.isna() & ~absent, column.name, "a number is needed")
    if not column.missing:
        _refuse(values.mask(absent, MISSING), absent, column.name, "the model never met that")
    if column.low is None or column.high is None:
        _refuse(values, ~absent, column.name, "it was always missing")
        return numbers
    outside = (numbers < column.low) | (numbers > column.high)
    _refuse(values, outside, column.name, f"the model knows {column.low:g} to {column.high:g}")
    return numbers


def _refuse(values: pd.Series, wrong: pd.Series, name: str, needed: str) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        more = f" and in {int(wrong.sum()) - 1:,} rows more" if wrong.sum() > 1 else ""
        raise ValueError(f"{name} in row {at + 1} is {str(values[at])!r}{more}: {needed}.")


def _rows(source: Path) -> pd.DataFrame:
    if not source.is_file():
        raise JourneybookError(f"--input {source}: there is no such file.")
    try:
        if source.suffix == ".parquet":
            return pd.read_parquet(source)
        with source.open(encoding="utf-8-sig", newline="") as text:
            header, *lines = [cells for cells in csv.reader(text, strict=True) if cells] or [[]]
        if twice := [name for name in header if header.count(name) > 1]:
            raise ValueError(f"two columns are named {twice[0]!r}")
        for at, cells in enumerate(lines, start=1):
            if len(cells) != len(header):
                raise ValueError(f"row {at} has {len(cells)} fields, the header {len(header)}")
        return pd.DataFrame(lines, columns=header, dtype="str")
    except (ValueError, OSError, csv.Error) as error:  # those of Arrow and Unicode are kinds of ValueError
        why = " ".join(str(error).split()).rstrip(".")
        raise JourneybookError(f"--input {source}: it cannot be read: {why}.") from None


def _write(scored: pd.DataFrame, target: Path, *, source: Path) -> None:
    if target.exists() and target.samefile(source):
        raise JourneybookError(f"--output {target}: it is the input, which is not overwritten.")
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        if target.suffix == ".parquet":
            scored.to_parquet(unfinished, index=False)
        else:
            scored.to_csv(unfinished, index=False)
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise JourneybookError(f"--output {target}: it cannot be written: {error.strerror or error}.") from None
