"""The demo as a whole: real rows untouched, every table as its schema says, the same bytes for the same seed."""

import shutil
from pathlib import Path

import ibis
import pandas as pd
import pytest

from journeybook.datasets.complete_journey import build_complete_journey
from journeybook.datasets.demo import build_demo, draw_households
from journeybook.tables import SCHEMAS, schema_of

SEED, SCALE = 4, 0.06
SIMULATED = (
    "customer_records",
    "consents",
    "third_party",
    "contacts",
    "events",
    "experiment",
    "factorial",
    "ongoing",
)


def simulate_into(folder: Path, *, seed: int, threads: int) -> None:
    connection = ibis.duckdb.connect()
    connection.raw_sql(f"SET threads = {threads}")
    build_demo(connection, folder, seed=seed)


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    households = draw_households(SEED, SCALE)
    build_complete_journey(ibis.duckdb.connect(), folder, households=households, with_demographics=False)
    return folder


@pytest.fixture(scope="module")
def demo(real, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "tables"
    shutil.copytree(real, folder)
    simulate_into(folder, seed=SEED, threads=2)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_the_real_tables_are_not_touched(real, demo):
    simulated = contents(demo)
    for name, found in contents(real).items():
        assert simulated[name] == found


def test_the_same_seed_gives_the_same_bytes_on_one_thread(real, demo, tmp_path):
    again = tmp_path / "another folder, it's told"
    shutil.copytree(real, again)
    simulate_into(again, seed=SEED, threads=1)
    first, second = contents(demo), contents(again)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_another_seed_plants_other_effects(real, demo, tmp_path):
    other = tmp_path / "tables"
    shutil.copytree(real, other)
    simulate_into(other, seed=SEED + 1, threads=2)
    first, second = contents(demo), contents(other)
    assert {name for name in first if first[name] == second[name]} == set(contents(real))
    planted = [
        pd.read_parquet(folder / "truth" / "parameters.parquet").set_index("name")["value"]
        for folder in (demo, other)
    ]
    assert (planted[0] != planted[1]).all()


def sound_rows(folder: Path, name: str) -> pd.DataFrame:
    """Rows of a table without those in which a fault was planted."""
    table, faults = (
        pd.read_parquet(folder / "raw" / f"{name}.parquet"),
        pd.read_parquet(folder / "truth/faults.parquet"),
    )
    return table[~table["row"].isin(faults.loc[faults["table"] == name, "row"])]


@pytest.mark.parametrize("name", SIMULATED)
def test_every_table_is_as_its_schema_says(name, demo):
    table = ibis.duckdb.connect().read_parquet(demo / "raw" / f"{name}.parquet")
    schema, found = schema_of(name), table.to_pandas()
    assert schema in SCHEMAS.values()
    assert found["row"].tolist() == list(range(1, len(found) + 1))
    found = sound_rows(demo, name)
    for column in schema.columns:
        if column.name in table.columns:
            assert str(table[column.name].type()) == column.dtype or table[column.name].type().copy(
                nullable=True
            ) == ibis.dtype(column.dtype), column.name
            assert column.nullable or found[column.name].notna().all()
            assert not column.allowed or set(found[column.name]) <= set(column.allowed)
    assert set(schema.required) <= set(table.columns)
    for key in schema.key:
        if key in table.columns:
            assert found[key].is_unique


def test_every_customer_id_has_a_ledger_and_a_truth(demo):
    records = pd.read_parquet(demo / "raw" / "customer_records.parquet")
    records = records[records["customer_id"] != "undefined"]
    ledger = pd.read_parquet(demo / "raw" / "consents.parquet")
    people = pd.read_parquet(demo / "truth" / "people.parquet")
    assert set(records["customer_id"]) == set(ledger["customer_id"]) == set(people["customer_id"])
    assert (ledger.groupby("customer_id")["purpose"].nunique() == 7).all()
    shoppers = pd.read_parquet(demo / "raw" / "transactions.parquet", columns=["customer_id"])["customer_id"]
    assert set(shoppers) == set(records.loc[records["source"] == "loyalty", "customer_id"])
    for name in ("contacts", "events"):
        known = pd.read_parquet(demo / "raw" / f"{name}.parquet", columns=["customer_id"])["customer_id"].dropna()
        assert set(known) <= set(records["customer_id"])
