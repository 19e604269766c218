"""Any file of any canonical table is loaded, every line accounted for, or refused by a sentence that says where.

Files are drawn from a seeded generator: columns, values, encodings, ragged lines. They are read as a run reads
them, and page 01 then judges their rows.
"""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from own_files import ENGINE

from journeybook import collection
from journeybook.datasets.files import build_files, check_files
from journeybook.errors import JourneybookError
from journeybook.tables import PURPOSES, SCHEMAS, Schema

TEXTS = [
    "a",
    "Zoë",
    "李",
    "x y",
    "a;b",
    "a,b",
    'say "hi"',
    "two\nlines",
    "  pad ",
    "0012",
    "12E4",
    "7.0",
    "-",
    "n/a",
]
MISSING = ["", "", "NULL", "nan"]
NUMBERS = ["0", "1", "3.50", "-2", "1,012.80", "(4.00)", "€5", "1e3", "inf", "abc", "9" * 25]
TIMES = ["2024-03-05 10:11:12", "2024-03-06", "2024-03-31T02:30:00", "2024-02-30", "soon", "24:00", "1999-01-01"]
OTHER_TIMES = [
    "25/03/2024 10:00",
    "03/04/2024",
    "1711324800",
    "45296.5",
    "5 Mar 2024",
    "2024-03-05T10:00:00+02:00",
]
POOLS = {"string": TEXTS, "boolean": ["1", "0", "true", "no", "2", "maybe"], "int64": ["1", "2", "-1", "2.5", "x"]}


def values(rng: np.random.Generator, dtype: str, name: str, n: int) -> list[str]:
    """Values of a column: mostly of its kind, some missing, some of none; sometimes all of them strange."""
    pool = POOLS.get(dtype, NUMBERS)
    if dtype in ("date", "timestamp(6)"):
        pool = TIMES if rng.random() < 0.7 else [*OTHER_TIMES, *TIMES[:2]]
    if name == "purpose":
        pool = [*PURPOSES, "spying"]
    if name.endswith("_id"):
        pool = [f"c{i}" for i in range(6)] + ["Guest", "0", "4.79E+17", "000123"]
    usual = list(pool[: max(1, len(pool) // 2)])
    drawn = rng.choice(usual if rng.random() < 0.7 else [*pool], n)
    missing = rng.choice(MISSING, n)
    return np.where(rng.random(n) < rng.choice([0, 0.1, 1.0], p=[0.5, 0.4, 0.1]), missing, drawn).tolist()


def drawn_file(rng: np.random.Generator, schema: Schema, path: Path) -> tuple[dict, int]:
    """Write a file; returns its block of the parameters, and how many lines stand below its header."""
    n = int(rng.choice([1, 2, 7, 60]))
    needed = {column.name for column in schema.columns if column.required}
    needed |= {group[rng.integers(len(group))] for group in schema.either if rng.random() < 0.9}
    names = [c.name for c in schema.columns if c.name in needed or rng.random() < 0.4]
    types = {name: schema.by_name[name].dtype for name in names} | {"extra": "string", "Amount of it": "float64"}
    columns = {
        f"col {name}" if rng.random() < 0.2 else name: values(rng, kind, name, n) for name, kind in types.items()
    }
    written, delimiter = io.StringIO(), str(rng.choice([",", ";", "\t", "|"]))
    writer = csv.writer(written, delimiter=delimiter, lineterminator=str(rng.choice(["\n", "\r\n"])))
    rows = list(zip(*columns.values(), strict=True))
    n_lines = sum(any(row) for row in rows)
    writer.writerows([list(columns), *(row for row in rows if any(row))])
    if ragged := rng.random() < 0.2:
        writer.writerow(["x"] * (len(columns) + 2))
    path.write_bytes(written.getvalue().encode(str(rng.choice(["utf-8", "utf-8-sig", "utf-16"]))))
    given = {name: own for name, own in zip(types, columns, strict=True) if name in schema.by_name}
    block: dict = {"path": path.name, "columns": given}
    if schema.further and rng.random() < 0.5:
        block["keep"] = "rest"
    if rng.random() < 0.2:
        block["where"] = "extra IS DISTINCT FROM 'a'"
    return block, n_lines + ragged


def attempt(do) -> str:
    """What a refusal says; empty where there was none."""
    try:
        do()
    except JourneybookError as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 40))]
)
@pytest.mark.parametrize("table", SCHEMAS)
def test_a_file_is_loaded_whole_or_refused_by_name(tmp_path: Path, table: str, seed: int) -> None:
    rng = np.random.default_rng([seed, *table.encode()])
    block, n_lines = drawn_file(rng, SCHEMAS[table], tmp_path / "f.csv")
    made: dict = {}
    asked = {"files": {table: block}, "base": tmp_path, "timezone": "Europe/London"}
    refused = attempt(lambda: made.update(build_files(ENGINE, tmp_path / "tables", **asked)))
    assert attempt(lambda: check_files(ENGINE, **asked)) == refused, "check refuses what a run would refuse"
    if refused:
        assert refused.endswith((".", "?")) and "\n" not in refused
        assert f"files.{table}" in refused
        assert any(
            name in refused for name in [*SCHEMAS[table].by_name, *block["columns"].values(), "extra", "f.csv"]
        )
        return
    lines = made[table]["lines"]
    assert lines["n_counted"] == lines["n_read"] == n_lines
    rows = ENGINE.read_parquet(tmp_path / "tables" / "raw" / f"{table}.parquet")
    found = collection.collect({table: rows}, first_day=None, last_day=None)
    # A row that breaks several rules stands several times in the quarantine.
    aside = found.quarantine.select("table", "row").distinct()
    n_kept, n_aside = (int(t.count().execute()) for t in (found.accepted[table], aside))
    assert n_kept + n_aside + lines["n_left_out"] == n_lines
