"""Everything that is held on one person is handed out, to nobody else, and nothing of others with it."""

import json

import ibis
import pandas as pd
import pytest
from test_erasing import out

from journeybook.cli import main
from journeybook.tables import keys, owners_view, pseudonyms, store

__all__ = ["out"]

KEY = bytes(range(32)).hex()


@pytest.fixture
def held(out, monkeypatch):
    """The run of `test_erasing`, with visits without an id, a decision, rows in quarantine and a log."""
    monkeypatch.setenv("JOURNEYBOOK_KEY", KEY)
    keys.secret.cache_clear()
    tables = out / "tables"
    own = pseudonyms(owners_view(tables), pd.Series([*"abc"]))
    connection = ibis.duckdb.connect()
    for name, frame in {
        "people": pd.DataFrame({"customer_id": [*"abc"], "person_id": [own["a"], own["a"], own["c"]]}),
        "features": pd.DataFrame({"row": [2, 1], "person_id": [own["c"], own["a"]], "revenue": [3.0, 7.0]}),
        "decisions": pd.DataFrame({"person_id": [own["a"]], "channel": ["<b>email</b>"]}),
        "session_people": pd.DataFrame({"session_id": ["s1", "s2"], "person_id": [own["a"], own["c"]]}),
        "raw/events": pd.DataFrame(
            {"session_id": ["s1", "s2", "s3"], "customer_id": [None, None, "b"], "event": ["look", "leave", "buy"]}
        ),
        "quarantine": pd.DataFrame(
            {"table": "transactions", "column": "line", "record": ['{"customer_id": "b"}', '{"customer_id": "c"}']}
        ),
        "consents": pd.DataFrame({"customer_id": ["b"], "purpose": ["analytics"], "granted": [True]}),
        "truth/people": pd.DataFrame({"customer_id": ["a"], "household_id": ["h"]}),
        "transitions": pd.DataFrame({"source": ["look"], "target": ["buy"], "n": [2]}),
        "reads/05_segmentation": pd.DataFrame(
            [(1, "05_segmentation", "features", "analytics", 2, 3, "x")],
            columns=["row", "page", "table", "purpose", "n_rows", "n_columns", "columns"],
        ),
    }.items():
        store(connection, ibis.memtable(frame), tables / f"{name}.parquet", about={"provenance": "YOURS"})
    yield out
    keys.secret.cache_clear()


def ask(out, folder, customer="b", *more):
    return main(["access", "--customer", customer, "--out", str(out), "--to", str(folder), *more])


def test_every_row_of_the_person_is_there_with_source_and_purpose(held, tmp_path, capsys):
    assert ask(held, tmp_path / "hers") == 0
    found = json.loads((tmp_path / "hers" / "held.json").read_text())
    assert found["ids"] == ["a", "b"] and len(found["pseudonyms"]) == 2
    by_table = {one["table"]: one for one in found["tables"]}
    due = ["consents", "decisions", "features", "people", "quarantine", "raw/events", "raw/transactions"]
    assert list(by_table) == [*due, "session_people"]
    n_rows = {name: len(one["rows"]) for name, one in by_table.items()}
    assert n_rows["raw/transactions"] == 3 and n_rows["people"] == 2 and n_rows["quarantine"] == 1
    assert [row["event"] for row in by_table["raw/events"]["rows"]] == ["look", "buy"]
    assert by_table["features"]["rows"][0]["revenue"] == 7.0
    assert by_table["features"]["used"] == [{"page": "05_segmentation", "purpose": "analytics"}]
    assert by_table["features"]["source"] == "made by page 04_enrichment"
    assert "sales.csv" in by_table["raw/transactions"]["source"]
    text = (tmp_path / "hers" / "held.html").read_text()
    assert "&lt;b&gt;email" in text and "<b>email" not in text and "http" not in text.replace("http-equiv", "")
    for name in by_table:
        assert f"<h2>{name}</h2>" in text
    for path in [tmp_path / "hers", *(tmp_path / "hers").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0
    said = capsys.readouterr().out
    assert "raw/transactions: 3 rows" in said and "mode 600" in said


def test_nothing_of_anybody_else_is_in_it(held, tmp_path):
    assert ask(held, tmp_path / "c", "c") == 0
    found = json.loads((tmp_path / "c" / "held.json").read_text())
    assert found["ids"] == ["c"]
    text = json.dumps(found["tables"])
    assert "leave" in text and "look" not in text and "email" not in text and '"customer_id": "b"' not in text


def test_own_files_are_read_again_when_they_are_named(held, tmp_path):
    assert ask(held, tmp_path / "hers", "b", "--params", str(held.parent / "mine.yaml")) == 0
    found = json.loads((tmp_path / "hers" / "held.json").read_text())
    last = found["tables"][-1]
    assert last["table"] == "file sales.csv (transactions)" and last["n_rows"] == 3


@pytest.mark.parametrize("customer", ["nobody", "h", ""])
def test_an_unknown_id_writes_nothing(held, tmp_path, capsys, customer):
    assert ask(held, tmp_path / "none", customer) == 2
    assert capsys.readouterr().err == f"journeybook: no table of this run holds the customer {customer!r}.\n"
    assert not (tmp_path / "none").exists()


def test_without_the_key_or_with_another_nothing_is_written(held, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JOURNEYBOOK_KEY", bytes(range(1, 33)).hex())
    keys.secret.cache_clear()
    assert ask(held, tmp_path / "none") == 2
    assert "the key is not the one this run was made with" in capsys.readouterr().err
    (held / "tables" / "people.parquet").unlink()
    assert ask(held, tmp_path / "none") == 2
    assert "the key is not the one" in capsys.readouterr().err
    monkeypatch.delenv("JOURNEYBOOK_KEY")
    monkeypatch.setattr(keys, "key_file", lambda: tmp_path / "pseudonym.key")
    assert ask(held, tmp_path / "none") == 2
    assert "the key of the pseudonyms is missing" in capsys.readouterr().err
    assert not (tmp_path / "none").exists() and not (tmp_path / "pseudonym.key").exists()


def test_a_folder_that_is_there_is_left_alone(held, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    assert ask(held, tmp_path / "there") == 2
    assert "new folder" in capsys.readouterr().err and not list((tmp_path / "there").iterdir())


def test_erasing_removes_what_access_shows(held, tmp_path):
    assert main(["erase", "--customer", "b", "--out", str(held)]) == 0
    assert ask(held, tmp_path / "none") == 2
    assert pd.read_parquet(held / "tables" / "raw" / "events.parquet").session_id.tolist() == ["s2"]
