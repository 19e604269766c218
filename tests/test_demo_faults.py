"""Faults planted in the demo: what they leave alone, that pages find them, and what is no fault."""

from datetime import datetime
from pathlib import Path

import ibis
import pandas as pd
import pytest

from journeybook import cleaning, collection
from journeybook.cleaning.mistakes import Mistakes, find_mistakes
from journeybook.collection.rows import Collection
from journeybook.collection.tracking import out_of_order
from journeybook.collection.validity import impossible, late_rows
from journeybook.datasets import build_dataset
from journeybook.datasets.demo import faults
from journeybook.datasets.demo.properties import BROKEN
from journeybook.planted import faults_found, hold_faults, say_faults
from journeybook.tables import schema_of

TABLES = ("customer_records", "events", "contacts", "third_party")
AS_OF = datetime(2018, 1, 1)
PLAN = collection.read_plan(None, dataset="journey_demo")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """The demo with its faults, and as it was before them."""
    folder = tmp_path_factory.mktemp("demo")
    build_dataset(folder / "faulty", dataset="journey_demo", seed=20260101, scale=0.06)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "journeybook.datasets.demo.plant_faults",
            lambda tables, **_: faults.DemoFaults(dict(tables), pd.DataFrame({"row": [1]})),
        )
        build_dataset(folder / "sound", dataset="journey_demo", seed=20260101, scale=0.06)
    return {"faulty": folder / "faulty", "sound": folder / "sound"}


@pytest.fixture(scope="module")
def truth(runs) -> pd.DataFrame:
    return pd.read_parquet(runs["faulty"] / "truth" / "faults.parquet")


@pytest.fixture(scope="module")
def collected(runs) -> Collection:
    raw = {path.stem: ibis.read_parquet(path) for path in (runs["faulty"] / "raw").glob("*.parquet")}
    return collection.collect(raw, plan=PLAN)


@pytest.fixture(scope="module")
def mistakes(collected) -> Mistakes:
    return find_mistakes({name: collected.accepted[name] for name in TABLES}, as_of=AS_OF)


def raw(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "raw" / f"{name}.parquet")


def test_nothing_else_of_the_demo_changes(runs):
    unlike = {
        path.stem
        for path in runs["sound"].rglob("*.parquet")
        if path.read_bytes() != (runs["faulty"] / path.relative_to(runs["sound"])).read_bytes()
    }
    assert unlike == {*TABLES, "faults"}


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_added_at_the_end_and_cells_change_only_where_told(runs, truth, name):
    before, after = raw(runs["sound"], name), raw(runs["faulty"], name)
    same = after.iloc[: len(before)]
    unlike = ~((same == before) | (same.isna() & before.isna()))
    cells = {(row + 1, column) for row, column in unlike.stack()[lambda s: s].index}
    told = truth[(truth["table"] == name) & (truth["found_by"] != "")]
    inside = told["row"] <= len(before)
    assert cells == set(zip(told["row"][inside], told["column"][inside], strict=True))
    assert set(told["row"][~inside]) == set(range(len(before) + 1, len(after) + 1))
    assert len(after) > len(before) or name == "third_party"


def test_only_cells_that_were_empty_are_filled(runs, truth):
    for name in ("customer_records", "third_party"):
        before = raw(runs["sound"], name)
        told = truth[(truth["table"] == name) & (truth["found_by"] == "02") & (truth["row"] <= len(before))]
        filled = told[~told["fault"].str.contains("exchanged")]
        assert len(filled) >= 9
        assert all(
            pd.isna(before.at[row - 1, column]) for row, column in zip(filled.row, filled.column, strict=True)
        )


def test_no_record_of_whoever_refuses_identity_resolution_is_touched(runs, truth):
    ledger = raw(runs["faulty"], "consents")
    refused = ledger.loc[(ledger["purpose"] == "identity_resolution") & ~ledger["granted"], "customer_id"]
    told = truth[(truth["table"] == "customer_records") & (truth["found_by"] == "02")]
    touched = raw(runs["faulty"], "customer_records").set_index("row").loc[told["row"], "customer_id"]
    assert len(refused) > 0
    assert not set(touched) & set(refused)


def test_page_01_finds_all_that_is_its_own_and_nothing_else(collected, runs, truth):
    events = ibis.read_parquet(runs["faulty"] / "raw/events.parquet")
    asked = {"disordered": out_of_order(events, PLAN), "days_asked": False}
    score = collection.score_faults(collected.quarantine, collected.late, truth, **asked)
    assert (score[["precision", "recall"]] == 1).all(axis=None)
    rates = collection.track(events, collected, asked["disordered"])
    of = rates[rates.by == "release"].sort_values("failed_share")
    assert of.value.iloc[-1] == BROKEN
    assert of.failed_share.iloc[-1] > 20 * of.failed_share.iloc[-2]
    assert set(score.fault) >= {"delivered late", "a release that sends no name", "a date that cannot be"}
    assert (hold_faults(score, missed=[]).value == 0).all()


def test_page_02_finds_its_own_and_gives_back_the_rows_as_they_were(collected, mistakes, runs, truth):
    accepted = {name: collected.accepted[name] for name in TABLES}
    score, unruled = cleaning.score_mistakes(mistakes, truth, accepted)
    assert unruled == ["given name and surname swapped"]
    assert score.n_planted.sum() == (truth.found_by != "01").sum()
    missed = score.fault == "given name and surname swapped"
    assert missed.any()
    assert (score[~missed][["precision", "recall"]] == 1).all(axis=None)
    assert (score[missed].recall == 0).all()
    held = hold_faults(score, missed=["given name and surname swapped"])
    assert held.kind.tolist() == ["witness", "witness", "known_miss"]
    assert held.value.tolist()[:2] == [0, 0]
    for name in TABLES:
        mended = mistakes.tables[name].order_by("row").to_pandas()
        pd.testing.assert_frame_equal(mended, ibis.read_parquet(runs["sound"] / f"raw/{name}.parquet").to_pandas())
    assert (cleaning.mistakes_hold(accepted, mistakes).value == 0).all()
    assert "found" in say_faults(score)


def records(**columns: list) -> ibis.Table:
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame(
        {"record_id": [f"r{k}" for k in range(n)], "source": "shop", "customer_id": "c", **columns}
    )
    return ibis.memtable(frame.assign(row=range(1, n + 1)))


def mended(table: ibis.Table, name: str = "customer_records") -> pd.DataFrame:
    return find_mistakes({name: table}, as_of=AS_OF).tables[name].order_by("row").to_pandas()


def test_nobody_is_a_test_for_a_name_or_for_an_address_alone():
    table = records(
        given_name=["Test", "Anna", "Test"],
        surname=["Okafor", "Berg", "Berg"],
        email=["t.okafor@example.com", "test@example.com", "test@example.com"],
    )
    kept = mended(table)
    assert kept.given_name.tolist() == ["Test", "Anna"]
    assert kept.email.tolist()[0] == "t.okafor@example.com"
    assert kept.email.isna().tolist() == [False, True]


def test_exchanged_cells_go_back_and_others_stay():
    table = records(
        email=["555-0100-123", "a@b.org", "x", None],
        phone=["c@d.org", "555-0100", "e@f.org", "g@h.org"],
        address=["12345", "1 High Street", "12345", "Rose Cottage"],
        postcode=["4 Main Road", "SW1A 1AA", "SW1A 1AA", "99999"],
    )
    kept = mended(table)
    assert kept.email.tolist()[:3] == ["c@d.org", "a@b.org", "x"]
    assert kept.phone.tolist() == ["555-0100-123", "555-0100", "e@f.org", "g@h.org"]
    assert kept.address.tolist() == ["4 Main Road", "1 High Street", "12345", "Rose Cottage"]
    assert kept.postcode.tolist() == ["12345", "SW1A 1AA", "SW1A 1AA", "99999"]


def test_a_number_is_a_sentinel_only_far_from_all_others():
    frame = pd.DataFrame({"row": [1, 2, 3, 4], "postcode": list("abcd"), "as_of": pd.Timestamp("2017-01-01")})
    table = ibis.memtable(
        frame.assign(cars=[999, 400, 800, 990], share=[0.2, 0.4, 999, 0.1], balance=[-99, -80, 3, 5])
    )
    kept = mended(table, "third_party")
    assert kept.cars.tolist() == [999, 400, 800, 990]
    assert kept.share.isna().tolist() == [False, False, True, False]
    assert kept.balance.tolist() == [-99, -80, 3, 5]


def test_equal_rows_are_one_delivery_only_where_something_names_the_row():
    steps = {"event": ["home"] * 2, "occurred_at": [pd.Timestamp("2017-01-01")] * 2, "customer_id": ["c"] * 2}
    rows = {"row": [1, 2]}
    unnamed = ibis.memtable(pd.DataFrame(rows | steps))
    named = ibis.memtable(pd.DataFrame(rows | steps | {"session_id": ["s"] * 2, "position": [1, 1]}))
    variants = ibis.memtable(pd.DataFrame(rows | {"unit_id": ["u", "u"], "variant": ["a", "a"]}))
    found = find_mistakes({"events": unnamed, "experiment": variants}, as_of=None)
    assert {name: t.count().execute() for name, t in found.tables.items()} == {"events": 2, "experiment": 2}
    assert mended(named, "events").row.tolist() == [1]


def test_rows_are_late_only_in_a_table_in_order_of_time():
    days = pd.date_range("2017-01-01", periods=99)
    in_order = pd.DataFrame({"row": range(1, 101), "occurred_at": [*days, days[3]]})
    at_random = in_order.assign(occurred_at=in_order.occurred_at.sample(frac=1, random_state=1).to_numpy())
    late = late_rows({"events": ibis.memtable(in_order), "contacts": ibis.memtable(at_random)})
    assert late.to_pandas().to_numpy().tolist() == [["events", 100]]


def test_a_name_that_names_nothing_is_no_name_but_null_and_none_are():
    table = ibis.memtable(pd.DataFrame({"row": [1, 2, 3], "event": ["undefined", "null", " (Not set) "]}))
    broken, column, _, _ = impossible(schema_of("events"), table)[0]
    assert column == "event"
    assert table.mutate(broken=broken).order_by("row").broken.to_pandas().tolist() == [True, False, True]
    assert impossible(schema_of("consents"), table) == []


def test_precision_counts_finds_that_nobody_planted():
    planted = pd.DataFrame({"table": "t", "column": "c", "fault": ["x", "x", "y"], "row": [1, 2, 3]})
    found = pd.DataFrame({"table": "t", "column": ["c", "c", "c", "d"], "row": [1, 3, 9, 1]})
    score = faults_found(planted, found, by=["row"]).set_index("fault")
    assert score.precision.to_dict() == {"x": 0.5, "y": 0.5, "nothing planted": 0}
    assert score.recall.drop("nothing planted").to_dict() == {"x": 0.5, "y": 1}
    assert score.n_planted.to_dict() == {"x": 2, "y": 1, "nothing planted": 0}
    held = hold_faults(score.reset_index(), missed=[]).set_index("name").value
    assert held["planted faults not found"] == 1
    assert held["finds that nobody planted"] == 2
