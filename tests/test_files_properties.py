"""Any file of any canonical table is loaded, every line accounted for, or refused by a sentence that says where.

Files are drawn by hypothesis: columns, values of their kind and of none, encodings, ragged lines. They are read as
a run reads them, and page 01 then judges their rows.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_files import ENGINE, check_files

from journeybook import collection
from journeybook.datasets.files import build_files
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
IDS = [*(f"c{i}" for i in range(6)), "Guest", "0", "4.79E+17", "000123"]
# Signs of any script, none that stands for no text.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)


@dataclass(frozen=True)
class Drawn:
    """A file: its bytes, its block of the parameters, and how many lines stand below its header."""

    content: bytes
    block: dict
    n_lines: int


@st.composite
def values(draw: st.DrawFn, dtype: str, name: str, n: int) -> list[str]:
    """Values of a column: mostly of its kind, some missing, some of none; sometimes all of them strange."""
    pool = POOLS.get(dtype, NUMBERS)
    if dtype in ("date", "timestamp(6)"):
        pool = draw(st.sampled_from([TIMES, TIMES, [*OTHER_TIMES, *TIMES[:2]]]))
    pool = [*PURPOSES, "spying"] if name == "purpose" else IDS if name.endswith("_id") else pool
    usual, strange = st.sampled_from(pool[: max(1, len(pool) // 2)]), st.sampled_from(pool)
    missing = st.sampled_from(MISSING)
    kind = draw(st.sampled_from([usual, usual, usual | missing, strange, strange | missing, ANY_TEXT, missing]))
    few = draw(st.lists(kind, min_size=1, max_size=min(n, 9)))
    return [few[i % len(few)] for i in range(n)]


@st.composite
def files(draw: st.DrawFn, schema: Schema) -> Drawn:
    """A file of one table."""
    n, chance = draw(st.sampled_from([1, 2, 7, 60])), st.sampled_from([False, False, True])
    needed = {column.name for column in schema.columns if column.required}
    needed |= {draw(st.sampled_from([*group, *group, "extra"])) for group in schema.either}
    names = [c.name for c in schema.columns if c.name in needed or draw(chance)]
    types = {name: schema.by_name[name].dtype for name in names} | {"extra": "string", "Amount of it": "float64"}
    columns = {
        f"col {name}" if draw(chance) else name: draw(values(kind, name, n)) for name, kind in types.items()
    }
    written, delimiter = io.StringIO(), draw(st.sampled_from(",;\t|"))
    writer = csv.writer(written, delimiter=delimiter, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    rows = [row for row in zip(*columns.values(), strict=True) if any(row)]
    writer.writerows([list(columns), *rows])
    if ragged := draw(chance):
        writer.writerow(["x"] * (len(columns) + 2))
    content = written.getvalue().encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    mapped = {name: own for name, own in zip(types, columns, strict=True) if name in schema.by_name}
    block: dict = {"path": "f.csv", "columns": mapped}
    if schema.further and draw(chance):
        block["keep"] = "rest"
    if draw(chance):
        block["where"] = "extra IS DISTINCT FROM 'a'"
    return Drawn(content, block, len(rows) + ragged)


def attempt(do) -> str:
    """What a refusal says; empty where there was none."""
    try:
        do()
    except JourneybookError as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("n_examples", [4, pytest.param(15, marks=pytest.mark.slow)])
@pytest.mark.parametrize("table", SCHEMAS)
def test_a_file_is_loaded_whole_or_refused_by_name(tmp_path: Path, table: str, n_examples: int) -> None:
    # The same files in each run: a failure is one for everybody.
    bounds = settings(
        derandomize=True, max_examples=n_examples, deadline=None, suppress_health_check=[*HealthCheck]
    )

    @bounds
    @given(files(SCHEMAS[table]))
    def holds(drawn: Drawn) -> None:
        is_loaded_or_refused(tmp_path, table, drawn)

    holds()


def is_loaded_or_refused(folder: Path, table: str, drawn: Drawn) -> None:
    block, n_lines = drawn.block, drawn.n_lines
    (folder / "f.csv").write_bytes(drawn.content)
    made: dict = {}
    asked = {"files": {table: block}, "base": folder, "timezone": "Europe/London"}
    refused = attempt(lambda: made.update(build_files(ENGINE, folder / "tables", **asked)))
    assert attempt(lambda: check_files(**asked)) == refused, "check refuses what a run would refuse"
    if refused:
        assert refused.endswith((".", "?")) and "\n" not in refused
        assert f"files.{table}" in refused
        assert any(
            name in refused for name in [*SCHEMAS[table].by_name, *block["columns"].values(), "extra", "f.csv"]
        )
        return
    lines = made[table]["lines"]
    assert lines["n_counted"] == lines["n_read"] == n_lines
    rows = ENGINE.read_parquet(folder / "tables" / "raw" / f"{table}.parquet")
    found = collection.collect({table: rows}, first_day=None, last_day=None)
    # A row that breaks several rules stands several times in the quarantine.
    aside = found.quarantine.select("table", "row").distinct()
    n_kept, n_aside = (int(t.count().execute()) for t in (found.accepted[table], aside))
    assert n_kept + n_aside + lines["n_left_out"] == n_lines
