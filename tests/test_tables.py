"""The door: whose rows and which columns a purpose sees, and what a run's files say of themselves."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import ibis
import pandas as pd
import pytest

import journeybook
from journeybook.errors import JourneybookError
from journeybook.report.storing import remove_unfinished
from journeybook.tables import (
    SCHEMAS,
    has,
    keep_permitted,
    open_run,
    owners_view,
    permitted_people,
    provenance,
    pseudonym,
    raw,
    read,
    read_refused,
    standing,
    standings,
    store,
    write,
)
from journeybook.tables.rows import rows_off

DAY = "2017-{:02d}-01"


def at(month: int) -> pd.Timestamp:
    return pd.Timestamp(DAY.format(month))


def ledger(*rows: tuple) -> pd.DataFrame:
    """Rows of (customer_id, granted, month decided, month recorded, month of expiry or None)."""
    return pd.DataFrame(
        {
            "customer_id": [r[0] for r in rows],
            "purpose": "analytics",
            "granted": [r[1] for r in rows],
            "occurred_at": [at(r[2]) for r in rows],
            "recorded_at": [at(r[3]) for r in rows],
            "expires_at": pd.to_datetime([None if r[4] is None else DAY.format(r[4]) for r in rows]),
        }
    )


@pytest.fixture
def make_run(tmp_path):
    """Write a small run by hand: tables by name, the ledger among them if there is one."""

    def make(tables: dict[str, pd.DataFrame]):
        connection = ibis.duckdb.connect()
        for name, frame in tables.items():
            path = tmp_path / f"{name}.parquet"
            store(connection, ibis.memtable(frame), path, about={"provenance": "SIMULATED"})
        described = {"dataset": "journey_demo", "seed": 1, "scale": 1.0, "timezone": "UTC"}
        described["tables"] = {name: {} for name in tables}
        (tmp_path / "dataset.json").write_text(json.dumps(described))
        return owners_view(tmp_path)

    return make


def receipts(*customers: str | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "row": range(1, len(customers) + 1),
            "customer_id": pd.Series(customers, dtype="object"),
            "occurred_at": at(1),
            "revenue": 1.0,
        }
    )


@pytest.mark.parametrize(
    ("decisions", "as_of", "permits"),
    [
        pytest.param([("a", True, 2, 2, None)], 12, True, id="a grant stands"),
        pytest.param([("a", True, 2, 2, None)], 2, False, id="a grant at the date asked is not before it"),
        pytest.param([("a", True, 2, 2, None), ("a", False, 5, 5, None)], 12, False, id="a later refusal wins"),
        pytest.param([("a", False, 2, 2, None), ("a", True, 5, 5, None)], 12, True, id="a renewal wins"),
        pytest.param([("a", True, 2, 2, None), ("a", False, 2, 2, None)], 12, False, id="a tie is a refusal"),
        pytest.param([("a", True, 2, 2, 6)], 5, True, id="a grant before its end"),
        pytest.param([("a", True, 2, 2, 6)], 6, False, id="a grant at its end"),
        pytest.param([("a", True, 2, 8, None)], 6, False, id="a grant not yet recorded"),
        pytest.param(
            [("a", True, 2, 2, None), ("a", False, 4, 8, None)], 6, False, id="a refusal holds unrecorded"
        ),
    ],
)
def test_the_latest_decision_before_the_date_counts(decisions, as_of, permits):
    found = standing(ibis.memtable(ledger(*decisions)), purpose="analytics", as_of=at(as_of).to_pydatetime())
    assert found.to_pandas().permits.any() == permits


def test_only_customers_who_permit_are_read_and_guests_stay(make_run):
    run = make_run(
        {
            "accepted/transactions": receipts("yes", "no", "never asked", None),
            "consents": ledger(("yes", True, 1, 1, None), ("no", False, 1, 1, None)),
        }
    )
    seen = read(run, "accepted/transactions", purpose="analytics").order_by("row").to_pandas()
    assert seen.row.tolist() == [1, 4]
    other = read(run, "accepted/transactions", purpose="personalisation").to_pandas()
    assert other.row.tolist() == [4], "a grant for one purpose is not a grant for another"


def test_a_withdrawal_on_any_record_holds_for_the_person(make_run):
    people = pd.DataFrame({"customer_id": ["loyalty", "web", "other"], "person_id": ["p1", "p1", "p2"], "row": 1})
    run = make_run(
        {
            "clean/transactions": receipts("loyalty", "web", "other"),
            "people": people,
            "consents": ledger(
                ("loyalty", True, 1, 1, None), ("web", False, 2, 2, None), ("other", True, 1, 1, None)
            ),
        }
    )
    assert read(run, "clean/transactions", purpose="analytics").to_pandas().person_id.tolist() == ["p2"]
    assert permitted_people(run, purpose="analytics").to_pandas().person_id.tolist() == ["p2"]
    before = read(run, "clean/transactions", purpose="analytics", as_of="2017-02-01").order_by("row").to_pandas()
    assert before.person_id.tolist() == ["p1", "p1", "p2"]


def test_a_refusal_is_carried_by_a_record_that_may_not_be_merged(make_run):
    run = make_run(
        {
            "clean/transactions": receipts("loyalty"),
            "people": pd.DataFrame({"customer_id": ["loyalty"], "person_id": ["p1"], "row": 1}),
            "refusal_links": pd.DataFrame({"customer_id": ["web"], "person_id": ["p1"], "row": 1}),
            "consents": ledger(("loyalty", True, 1, 1, None), ("web", False, 2, 2, None)),
        }
    )
    assert read(run, "clean/transactions", purpose="analytics").count().execute() == 0


def test_a_customer_who_was_not_linked_is_a_person_of_their_own(make_run):
    run = make_run({"clean/transactions": receipts("linked", "alone", None)})
    seen = read(run, "clean/transactions", purpose="analytics").order_by("row").to_pandas()
    assert "customer_id" not in seen
    assert seen.person_id.str.len().tolist()[:2] == [24, 24]
    assert seen.person_id.isna().tolist() == [False, False, True]
    assert not set(seen.person_id.dropna()) & {"linked", "alone"}


def test_identifiers_are_read_for_identity_resolution_alone(make_run):
    record = {c.name: "x" for c in SCHEMAS["customer_records"].columns if c.dtype == "string"} | {"row": 1}
    run = make_run({"clean/customer_records": pd.DataFrame([record])})
    hidden = {"given_name", "surname", "email", "phone", "address", "postcode"}
    assert hidden <= set(read(run, "clean/customer_records", purpose="identity_resolution").columns)
    assert not hidden & set(read(run, "clean/customer_records", purpose="analytics").columns)
    assert "postcode" in read(run, "clean/customer_records", purpose="third_party_enrichment").columns


def test_read_refused_gives_only_those_who_refuse(make_run):
    run = make_run(
        {
            "refused/customer_records": pd.DataFrame(
                {"row": [1, 2, 3], "customer_id": ["yes", "no", "never asked"], "code": ["1", "2", "3"]}
            ),
            "consents": ledger(("yes", True, 1, 1, None), ("no", False, 1, 1, None)),
        }
    )
    refused = read_refused(run, "customer_records", purpose="analytics").to_pandas()
    assert refused.customer_id.tolist() == ["no"]


def test_nobody_refuses_without_a_ledger(make_run):
    run = make_run({"accepted/customer_records": receipts("a")})
    assert read_refused(run, "customer_records", purpose="analytics").count().execute() == 0


def test_who_withdrew_everything_leaves_no_gap():
    decisions = ledger(("yes", True, 1, 1, None), ("left", True, 1, 1, None), ("left", False, 2, 2, None))
    rows = ibis.memtable(receipts("left", "yes", None, "never asked", "yes"))
    decided = standings(ibis.memtable(decisions), as_of=at(12).to_pydatetime())
    kept = keep_permitted(rows, permits=decided.filter(decided.permits)).order_by("row").to_pandas()
    assert kept.row.tolist() == [1, 2, 3]
    assert kept.customer_id.fillna("guest").tolist() == ["yes", "guest", "yes"]


def test_pseudonyms_depend_on_the_key_and_keep_nulls():
    ids = ibis.memtable(pd.DataFrame({"id": ["1", "1", "2", None]}))
    one, again, other = (
        ids.mutate(p=pseudonym(ids.id, key=key)).to_pandas().p for key in ("key", "key", "another key")
    )
    assert one.equals(again) and one[0] == one[1] != one[2] and pd.isna(one[3])
    assert not set(one.dropna()) & set(other.dropna())


@pytest.mark.parametrize(
    ("name", "purpose", "says"),
    [
        ("raw/transactions", "analytics", "not read for a purpose of the ledger"),
        ("clean/transactions", "curiosity", "'curiosity' is not one of identity_resolution"),
        ("clean/products", "analytics", "'clean/products' is not in this run"),
    ],
)
def test_the_door_says_why_it_stays_shut(make_run, name, purpose, says):
    run = make_run({"raw/transactions": receipts("a"), "clean/transactions": receipts("a")})
    with pytest.raises(JourneybookError, match=says):
        read(run, name, purpose=purpose)


def test_a_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(JourneybookError, match="there are no tables in"):
        owners_view(tmp_path)


def test_a_written_table_is_private_and_knows_what_it_is_made_of(make_run):
    run = make_run({"clean/transactions": receipts("a")})
    real = ibis.memtable(receipts("b"))
    store(ibis.duckdb.connect(), real, run._folder / "clean" / "events.parquet", about={"provenance": "REAL"})
    write(run, "features", receipts("a"), sources=["clean/transactions", "clean/events"])
    assert provenance(run, "features") == "MIXED"
    assert provenance(run, "clean/events") == "REAL"
    assert stat.S_IMODE((run._folder / "features.parquet").stat().st_mode) == 0o600
    assert not list(run._folder.glob("**/*.unfinished"))


def test_a_variant_writes_where_only_its_pages_read(make_run):
    run = make_run({"clean/contacts": receipts("a")})
    variant = open_run(run._folder, page="07_channel_response.coupons")
    write(variant, "response_scores", receipts("a"), sources=["clean/contacts"])
    assert not (run._folder / "response_scores.parquet").exists()
    assert (run._folder / "variants/coupons/response_scores.parquet").is_file()
    for page, there in (("14_decisions.coupons", True), ("14_decisions.other", False), ("14_decisions", False)):
        assert has(open_run(run._folder, page=page), "response_scores") is there


def test_the_same_rows_give_the_same_file(tmp_path):
    connection = ibis.duckdb.connect()
    frame = pd.DataFrame({"row": range(300_000), "revenue": [n * 0.01 for n in range(300_000)]})
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in files:
        store(connection, ibis.memtable(frame).order_by("row"), path, about={"provenance": "REAL"})
    assert files[0].read_bytes() == files[1].read_bytes()


def test_rows_are_held_against_their_table():
    table = ibis.memtable(pd.DataFrame({"row": [1, 2, 3, 4], "responded": [True, False, None, True]}))
    kept = pd.DataFrame({"row": [4, 2, 1], "responded": [1, 0, 1], "propensity": 0.5})
    asked = {"columns": ["responded", "propensity"]}
    assert rows_off(kept, table, **asked) == 0
    assert rows_off(kept.assign(responded=[0, 0, 1]), table, **asked) == 1
    # The third has no outcome there, and a fifth is not there at all.
    assert rows_off(kept.assign(row=[4, 3, 5]), table, **asked) == 2


def test_raw_is_given_as_collected(make_run):
    run = make_run({"raw/transactions": receipts("a", "b"), "consents": ledger(("a", False, 1, 1, None))})
    assert raw(run, "transactions").count().execute() == 2


def test_no_table_names_a_column_twice():
    for schema in SCHEMAS.values():
        names = [column.name for column in schema.columns]
        assert len(names) == len(set(names)), schema.name


# --- the engine ------------------------------------------------------------------------------------------

SPILL = """
import os, sys
from pathlib import Path
from journeybook.tables import engine
made = engine(Path(sys.argv[1]))
made.raw_sql("SET memory_limit = '60MB'; SET threads = 1")
made.raw_sql("CREATE TEMP TABLE t AS SELECT hash(i)::VARCHAR || hash(i + 1) AS h FROM range(2000000) r(i)")
os._exit(9) if sys.argv[2] == "killed" else made.disconnect()
"""


@pytest.mark.parametrize("end", ["killed", "done"])
def test_what_memory_does_not_hold_is_kept_in_the_run_for_its_owner_alone(end, tmp_path):
    working, tables = tmp_path / "working", tmp_path / "reports" / "tables"
    working.mkdir()
    subprocess.run([sys.executable, "-c", SPILL, str(tables), end], cwd=working, check=end == "done")
    assert list(working.iterdir()) == [] and tables.stat().st_mode & 0o077 == 0
    left = list(tables.rglob("*.tmp"))
    assert bool(left) == (end == "killed")
    remove_unfinished(tables.parent, tables)
    assert list(tables.iterdir()) == []


def test_no_engine_spills_into_the_working_folder():
    package = Path(journeybook.__file__).parent
    bare = re.compile(r"duckdb\.connect\((?!.*temp_directory)")
    assert [p.name for p in package.rglob("*.py") if bare.search(p.read_text(encoding="utf-8"))] == []
