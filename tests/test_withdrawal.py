"""Withdrawing every consent leaves pages 02 to 11 as if the person had never been collected."""

from pathlib import Path

import duckdb
import ibis
import pandas as pd
import pytest

from journeybook.datasets import build_dataset
from journeybook.datasets.storage import write_raw
from journeybook.report import running
from journeybook.report.pages import discover
from journeybook.report.params import read_parameters
from journeybook.tables import PURPOSES, owners_view, raw

N_PEOPLE = 40


def _leavers(folder: Path) -> list[str]:
    """Every customer id of some people, most of whom are known to two systems or three."""
    known = pd.read_parquet(folder / "truth" / "people.parquet").sort_values("customer_id")
    n_records = known.groupby("household_id").customer_id.transform("nunique")
    people = known[n_records > 1].household_id.drop_duplicates().head(N_PEOPLE)
    return known[known.household_id.isin(people)].customer_id.drop_duplicates().tolist()


def _withdraw(folder: Path) -> None:
    """Append to the ledger a refusal of every purpose by every id of the leavers."""
    run = owners_view(folder)
    ledger = raw(run, "consents").order_by("row").to_pandas()
    moment = pd.Timestamp(run.ledger_as_of) - pd.Timedelta("1h")
    refusals = pd.DataFrame(
        [
            {"customer_id": c, "purpose": p, "granted": False, "occurred_at": moment, "recorded_at": moment}
            for c in _leavers(folder)
            for p in PURPOSES
        ]
    )
    changed = pd.concat([ledger.drop(columns="row"), refusals], ignore_index=True)
    write_raw(
        ibis.duckdb.connect(), folder, "consents", changed, provenance="SIMULATED", source="changed by a test"
    )


def _never_collect(folder: Path) -> None:
    """Remove every row of the leavers from every table, the ledger included."""
    run = owners_view(folder)
    leavers = _leavers(folder)
    for path in sorted((folder / "raw").glob("*.parquet")):
        table = raw(run, path.stem)
        if "customer_id" not in table.columns:
            continue
        stays = table.filter(table.customer_id.isnull() | table.customer_id.notin(leavers))
        renumbered = stays.mutate(row=ibis.row_number().over(order_by=stays.row) + 1)
        about = dict(
            duckdb.connect()
            .execute("SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)", [str(path)])
            .fetchall()
        )
        write_raw(run._connection, folder, path.stem, renumbered, **about)


@pytest.mark.slow
def test_who_withdrew_everything_was_never_there(tmp_path, monkeypatch):
    runs = {}
    for name, change in (("withdrawn", _withdraw), ("never collected", _never_collect)):

        def build(folder, *, change=change, **asked):
            build_dataset(folder, **asked)
            change(Path(folder))

        monkeypatch.setattr(running, "build_dataset", build)
        parameters = read_parameters(pages=discover(), settings=["scale=0.3"])
        out = tmp_path / name
        outcome = running.run_report(parameters, out=out)
        assert outcome.failed == 0
        runs[name] = {p.name: p.read_bytes() for p in sorted((out / "results").glob("*.json"))}
        runs[name] |= {p.name: p.read_bytes() for p in sorted((out / "executed").glob("*.ipynb"))}
        runs[name] |= {p.name: p.read_bytes() for p in sorted((out / "tables").glob("*.parquet"))}
        runs[name] |= {f"clean/{p.name}": p.read_bytes() for p in sorted((out / "tables" / "clean").glob("*"))}
    withdrawn, never = runs["withdrawn"], runs["never collected"]
    assert withdrawn.keys() == never.keys()
    assert withdrawn["01_collection.json"] != never["01_collection.json"], "page 01 counts what was withdrawn"
    of_page_01 = {"01_collection.json", "01_collection.ipynb", "consents.parquet", "quarantine.parquet"}
    assert not {name for name in withdrawn if withdrawn[name] != never[name]} - of_page_01
