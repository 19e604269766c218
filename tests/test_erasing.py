"""A person is erased from a run's tables and models; what stays is said."""

import ibis
import pandas as pd
import pytest
import yaml

from journeybook.cli import main
from journeybook.datasets import build_dataset
from journeybook.tables import store


@pytest.fixture
def out(tmp_path):
    """A run of three customers' files, two ids of whom are one person."""
    (tmp_path / "sales.csv").write_text(
        "who,at,sum\na,2024-01-01,1\nb,2024-01-02,2\nc,2024-01-03,3\na,2024-01-04,4\n"
    )
    columns = {"customer_id": "who", "occurred_at": "at", "revenue": "sum"}
    files = {"transactions": {"path": "sales.csv", "columns": columns}}
    tables = tmp_path / "reports" / "tables"
    build_dataset(tables, dataset="files", seed=1, files=files, base=tmp_path)
    connection = ibis.duckdb.connect()
    for name, frame in {
        "people": pd.DataFrame({"customer_id": ["a", "b", "c"], "person_id": ["p", "p", "q"]}),
        "features": pd.DataFrame({"row": [1, 2], "person_id": ["p", "q"], "revenue": [7.0, 3.0]}),
    }.items():
        store(connection, ibis.memtable(frame), tables / f"{name}.parquet", about={"provenance": "YOURS"})
    (tables / "models" / "07_channel_response").mkdir(parents=True)
    (tables / "fingerprints.json").write_text("{}")
    for place in (
        "results/04_enrichment.json",
        "executed/04_enrichment.ipynb",
        "04_enrichment.html",
        "index.html",
    ):
        path = tmp_path / "reports" / place
        path.parent.mkdir(exist_ok=True)
        path.write_text("1,234")
    (tmp_path / "reports" / "run.log").write_text("done")
    mine = {"dataset": "files", "timezone": "Europe/London", "files": files}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    return tmp_path / "reports"


def test_every_id_of_the_person_is_removed_and_said(out, capsys):
    assert main(["erase", "--customer", "b", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for line in ("raw/transactions: 3 rows removed", "features: 1 row removed", "models: saved models removed"):
        assert line in said
    assert "your own files were not touched" in said
    tables = out / "tables"
    assert pd.read_parquet(tables / "raw" / "transactions.parquet").customer_id.tolist() == ["c"]
    assert pd.read_parquet(tables / "features.parquet").person_id.tolist() == ["q"]
    assert pd.read_parquet(tables / "people.parquet").person_id.tolist() == ["q"]
    assert not (tables / "models").exists() and not (tables / "fingerprints.json").exists()
    assert (tables / "features.parquet").stat().st_mode & 0o077 == 0
    assert "a,2024-01-01" in (out.parent / "sales.csv").read_text()


def test_pages_and_results_are_removed_and_what_stays_is_named(out, capsys):
    assert main(["erase", "--customer", "b", "--out", str(out), "--params", str(out.parent / "mine.yaml")]) == 0
    said = capsys.readouterr().out
    assert "index.html, 04_enrichment.html, results, executed: removed with every figure in them" in said
    assert sorted(path.name for path in out.iterdir()) == ["run.log", "tables"]
    assert "reports: run.log kept and not searched" in said
    assert "sales.csv: still holds 3 rows of this person (transactions)" in said


def test_an_unknown_id_and_a_run_that_is_none_are_one_sentence(out, tmp_path, capsys):
    assert main(["erase", "--customer", "nobody", "--out", str(out)]) == 2
    assert capsys.readouterr().err == "journeybook: no table of this run holds the customer 'nobody'.\n"
    assert main(["erase", "--customer", "b", "--out", str(tmp_path / "none")]) == 2
    assert "there are no tables" in capsys.readouterr().err
