"""Every row has one place: the lines of files counted apart, the waterfall, and what is said of it."""

import gzip
import json

import ibis
import pandas as pd
import pytest

from journeybook import cleaning, collection
from journeybook.collection.rows import Collection
from journeybook.conservation import lay_out, n_without_place
from journeybook.datasets import build_dataset
from journeybook.plots.conservation import plot_places
from journeybook.report.erasing import erase
from journeybook.tables import new_key, owners_view, source_lines

PLACES = pd.DataFrame(
    {"table": ["a", "b"], "n_lines": [10, 20], "n_left_out": [1, 0], "n_quarantined": [0, 5], "n_kept": [9, 15]}
)
SHOP = "who,day,money,note\n" + "".join(f"c{n},2026-01-{n:02d},{n}.50,fine\n" for n in range(1, 10))
COLUMNS = {"customer_id": "who", "occurred_at": "day", "revenue": "money"}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("JOURNEYBOOK_KEY", new_key())


def build(folder, text: str | bytes, *, name="shop.csv", options=None, where=None) -> pd.DataFrame:
    """The lines of a file, once its table is made."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    block = {"path": name, "columns": COLUMNS, "options": options or {}}
    block |= {"where": where} if where else {}
    about = {"dataset": "files", "seed": 1, "scale": 1, "timezone": "UTC"}
    build_dataset(folder / "tables", **about, files={"transactions": block}, base=folder)
    return source_lines(owners_view(folder / "tables"))


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        (SHOP, "shop.csv", {}),
        (SHOP.replace(",fine", ',"two\nlines, and a ""quote"""'), "shop.csv", {}),
        (SHOP.replace("\n", "\r\n"), "shop.csv", {}),
        (SHOP.replace("c3,", "\n\nc3,"), "shop.csv", {}),
        (SHOP.replace("fine", "Größe").encode("latin-1"), "shop.csv", {}),
        (SHOP.encode("utf-16"), "shop.csv", {"encoding": "utf-16"}),
        (gzip.compress(SHOP.encode()), "shop.csv.gz", {}),
        ("a head\nof two lines\n" + SHOP, "shop.csv", {"skip": 2}),
        (SHOP.replace(",fine", ",'it; is'").replace(",", ";"), "shop.csv", {"quote": "'"})
    ],
)  # fmt: skip
def test_lines_are_counted_without_the_engine(tmp_path, text, name, options):
    found = build(tmp_path, text, name=name, options=options)
    assert found[["n_lines", "n_read"]].to_numpy().tolist() == [[9, 9]]


def test_lines_of_parquet_are_counted_from_its_footer(tmp_path):
    frame = pd.DataFrame({"who": ["a", "b"], "day": ["2026-01-01"] * 2, "money": [1.0, 2.0]})
    frame.to_parquet(tmp_path / "source.parquet")
    found = build(tmp_path, (tmp_path / "source.parquet").read_bytes(), name="shop.parquet")
    assert found[["n_lines", "n_read"]].to_numpy().tolist() == [[2, 2]]


def collected(tmp_path) -> tuple[Collection, pd.DataFrame]:
    text = SHOP + "c10,2026-01-10,much,fine\nc11,2026-01-11,1,fine,too,many\nc12,2026-01-12,2.00,test\n"
    lines = build(tmp_path, text, where="note <> 'test'")
    raw = ibis.read_parquet(tmp_path / "tables" / "raw" / "transactions.parquet")
    return collection.collect({"transactions": raw}), lines


def test_each_line_of_a_file_has_one_place(tmp_path):
    found, lines = collected(tmp_path)
    places = collection.row_places(found, found.accepted, lines=lines, withdrawn=pd.DataFrame())
    assert places.iloc[0].tolist() == ["transactions", 12, 1, 1, 1, 0, 9]
    assert collection.check_places(places, lines).value.tolist() == [0, 0]
    assert collection.check_places(places, lines.assign(n_read=11)).value.tolist() == [0, 1]
    assert collection.check_places(places.assign(n_kept=8), lines).value.tolist() == [1, 0]
    aside = found.quarantine.order_by("row").to_pandas()
    assert aside["column"].tolist() == ["revenue", "line"]
    assert json.loads(aside.record[0])["unconverted"] == "revenue: 'much'"
    assert "c11,2026-01-11,1,fine,too,many" in json.loads(aside.record[1])["unconverted"]
    assert "c11" not in aside.value[1]


def test_page_02_keeps_whole_what_it_sets_aside(tmp_path):
    found, _ = collected(tmp_path)
    accepted = found.accepted["transactions"]
    twice = accepted.union(accepted.filter(accepted.row == 1).mutate(row=ibis.literal(99).cast("int64")))
    rules = {"volume_quantity": 100, "outlier_mads": 5, "country_code": "", "as_of": None}
    cleaned = cleaning.clean_tables({"transactions": twice}, unique_key=["customer_id"], **rules)
    assert cleaning.row_places(cleaned).to_numpy().tolist() == [["transactions", 10, 1, 9]]
    aside = cleaning.rows_set_aside(cleaned).to_pandas()
    assert aside[["table", "row", "rule"]].to_numpy().tolist() == [
        ["transactions", 99, "copy of a line with the same key"]
    ]
    assert json.loads(aside.record[0])["customer_id"] == "c1"


def test_nothing_set_aside_is_a_table_without_rows():
    paths = ibis.memtable(pd.DataFrame({"row": [1], "path": ["a"], "conversions": [1], "nulls": [1]}))
    rules = {"volume_quantity": 100, "outlier_mads": 5, "country_code": "", "as_of": None}
    found = cleaning.clean_tables({"paths": paths}, unique_key=[], **rules)
    assert cleaning.rows_set_aside(found).count().execute() == 0


def test_the_waterfall_adds_up_and_is_drawn():
    steps = lay_out(PLACES)
    assert steps.n_rows.tolist() == [30, 1, 5, 24]
    assert steps.n_left.tolist() == [30, 29, 24, 24]
    assert n_without_place(PLACES) == 0
    assert n_without_place(PLACES.assign(n_kept=[10, 14])) == 2
    drawn = plot_places(PLACES)
    assert sorted(bar.get_width() for bar in drawn.patches) == [1, 5, 24, 30]
    assert drawn.figure.get_suptitle() == "24 of 30 rows go on"


def test_a_person_is_erased_from_the_rows_in_quarantine(tmp_path):
    found, _ = collected(tmp_path)
    tables = tmp_path / "tables"
    found.quarantine.to_parquet(tables / "quarantine.parquet")
    said = list(erase("c10", out=tmp_path))
    assert any(line.startswith("quarantine: 1 row removed") for line in said)
    assert any("1 lines that fit no header" in line for line in said)
    left = pd.read_parquet(tables / "quarantine.parquet")
    assert left["column"].tolist() == ["line"]
