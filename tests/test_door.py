"""What a page may open: the tables and purposes its notebook names, its log, and what a hand run leaves alone."""

import json
import stat
from dataclasses import replace

import ibis
import pandas as pd
import pytest
from mutants.planted import run_page

from journeybook.cleaning.records import clean_records
from journeybook.errors import JourneybookError
from journeybook.report.pages import discover
from journeybook.tables import (
    REFUSAL_RULES,
    access_of,
    coded,
    consent_note,
    keep_in_register,
    list_tables,
    new_key,
    open_run,
    owners_view,
    permitted_at,
    permitted_people,
    pseudonyms,
    raw,
    read,
    read_refused,
    read_register,
    read_truth,
    refusing_ids,
    rotate_key,
    store,
    unpermitted_sends,
    write,
    write_files,
)
from journeybook.tables import keys as keys_module
from journeybook.tables import run as run_module

AT = pd.Timestamp("2017-06-01")
KEY = bytes(range(32)).hex()
RECORD = {
    "row": 1, "record_id": "r", "source": "web", "customer_id": "a", "given_name": "Ann", "surname": "Lee",
    "email": "ann@example.com", "phone": "2075550123", "address": "1 Elm", "postcode": "90210",
}  # fmt: skip


NEIGHBOUR = RECORD | {"email": None, "phone": "3075550123", "address": "1 Elms"}


def ledger(*rows: tuple) -> pd.DataFrame:
    """Rows of (customer_id, purpose, granted, moment)."""
    frame = pd.DataFrame(rows, columns=["customer_id", "purpose", "granted", "occurred_at"])
    return frame.assign(row=range(1, len(frame) + 1), occurred_at=pd.to_datetime(frame.occurred_at))


LEDGER = ledger(
    ("a", "analytics", True, "2017-01-01"),
    ("a", "personalisation", True, "2017-01-01"),
    ("a", "marketing_email", True, "2017-01-01"),
    ("a", "marketing_email", False, "2017-05-01"),
    ("b", "identity_resolution", False, "2017-01-01"),
)


@pytest.fixture
def tables(tmp_path):
    """A small run with every kind of table, names in it."""
    folder = tmp_path / "data" / "processed"
    records = pd.DataFrame([RECORD])
    receipts = pd.DataFrame({"row": [1, 2], "customer_id": ["a", "b"], "occurred_at": AT, "revenue": 1.0})
    people = pd.DataFrame({"customer_id": ["a"], "person_id": ["p"], "row": [1]})
    profiles = pd.DataFrame({"person_id": ["p"], "row": [1], "postcode": ["90210"], "n_records": [1]})
    contents = {
        "raw/customer_records": records, "accepted/customer_records": records, "clean/customer_records": records,
        "raw/transactions": receipts, "accepted/transactions": receipts, "clean/transactions": receipts,
        "clean/events": receipts.assign(event="view"), "clean/contacts": receipts.assign(responded=True),
        "refused/customer_records": pd.DataFrame({"row": [1], "customer_id": ["b"], "code": ["c"]}),
        "quarantine": records, "consents": LEDGER, "people": people, "profiles": profiles, "postcodes": profiles,
        "features": pd.DataFrame({"person_id": ["p", "q"], "row": [1, 2]}),
        "segments": pd.DataFrame({"person_id": ["p"], "row": [1], "segment": [0]}), "truth/people": people,
    }  # fmt: skip
    connection = ibis.duckdb.connect()
    for name, frame in contents.items():
        store(connection, ibis.memtable(frame), folder / f"{name}.parquet", about={"provenance": "SIMULATED"})
    described = {"dataset": "journey_demo", "seed": 1, "scale": 1.0, "timezone": "UTC", "tables": {"consents": {}}}
    described |= {"as_of": "2018-01-01T00:00:00", "ledger_as_of": "2018-01-01T00:00:00"}
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


def digests(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


ATTACKS = {
    "raw": lambda run: raw(run, "customer_records"),
    "read raw": lambda run: read(run, "raw/customer_records", purpose="analytics"),
    "a dot": lambda run: read(run, "./raw/customer_records", purpose="analytics"),
    "a dot, resolving": lambda run: read(run, "./raw/customer_records", purpose="identity_resolution"),
    "up and down": lambda run: read(run, "clean/../raw/customer_records", purpose="analytics"),
    "raw, up and down": lambda run: raw(run, "../clean/customer_records"),
    "out of the run": lambda run: read(run, "../processed/clean/events", purpose="analytics"),
    "from the root": lambda run: read(run, "/clean/events", purpose="analytics"),
    "resolving": lambda run: read(run, "clean/customer_records", purpose="identity_resolution"),
    "accepted records": lambda run: read(run, "accepted/customer_records", purpose="analytics"),
    "accepted ids": lambda run: read(run, "accepted/transactions", purpose="analytics"),
    "profiles, e-mail": lambda run: read(run, "profiles", purpose="marketing_email"),
    "profiles": lambda run: read(run, "profiles", purpose="analytics"),
    "refused": lambda run: read(run, "refused/customer_records", purpose="analytics"),
    "read_refused": lambda run: read_refused(run, "customer_records", purpose="identity_resolution"),
    "quarantine": lambda run: read(run, "quarantine", purpose="analytics"),
    "consents": lambda run: read(run, "consents", purpose="analytics"),
    "people": lambda run: read(run, "people", purpose="analytics"),
    "people, resolving": lambda run: read(run, "people", purpose="identity_resolution"),
    "truth": lambda run: read(run, "truth/people", purpose="analytics"),
    "read_truth": lambda run: read_truth(run, "people"),
    "another purpose": lambda run: read(run, "clean/events", purpose="marketing_email"),
    "who permits": lambda run: permitted_people(run, purpose="analytics"),
    "who permits then": lambda run: permitted_at(
        run, pd.DataFrame({"person_id": ["p"], "occurred_at": [AT]}), purpose="analytics"
    ),
    "who refuses": lambda run: refusing_ids(run, purpose="analytics"),
    "pseudonyms": lambda run: pseudonyms(run, pd.Series(["a"])),
    "write": lambda run: write(run, "segments", pd.DataFrame({"row": [1]}), sources=["clean/events"]),
    "write files": lambda run: write_files(run, "models/07_channel_response", {"a": b"1"}),
    "register": lambda run: keep_in_register(run, "looks", key="a", entry={}),
    "read register": lambda run: read_register(run, "looks"),
    "write outside": lambda run: write(run, "../x", pd.DataFrame({"row": [1]}), sources=["clean/events"]),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_page_08_gets_nothing_that_its_notebook_does_not_name(tables, attack):
    run = open_run(tables, page="08_clickstream")
    before = digests(tables)
    with pytest.raises(JourneybookError) as refused:
        attack(run)
    assert str(refused.value).count(". ") == 0, "one sentence"
    assert digests(tables) == before, "nothing is written, and no read is logged that was refused"


def test_a_refusal_says_page_table_purpose_and_what_is_allowed(tables):
    run = open_run(tables, page="08_clickstream")
    says = (
        "page 08_clickstream may not read 'clean/events' for 'marketing_email': .* names clean/events|clean/paths"
    )
    with pytest.raises(JourneybookError, match=says):
        read(run, "clean/events", purpose="marketing_email")
    with pytest.raises(JourneybookError, match=r"may not write 'segments'.* names transitions, session_moments"):
        write(run, "segments", pd.DataFrame({"row": [1]}), sources=["clean/events"])


def test_what_is_named_is_read_with_people_in_place_of_customers(tables):
    run = open_run(tables, page="08_clickstream")
    seen = read(run, "./clean/events", purpose="analytics").to_pandas()
    assert seen.person_id.tolist() == ["p"]
    assert "customer_id" not in seen


@pytest.mark.parametrize("name", ["key", "folder", "connection"])
def test_a_run_shows_no_key_and_no_way_round(tables, name):
    run = open_run(tables, page="08_clickstream")
    assert not hasattr(run, name)
    assert name not in repr(run)


def test_rules_hold_whatever_a_notebook_names():
    everything = ["raw/*", "refused/*", "accepted/*", "clean/*", "quarantine"]
    metadata = {"journeybook": {"reads": dict.fromkeys(everything, "analytics"), "writes": []}}
    opens = {
        "raw/transactions": {"01"},
        "refused/customer_records": {"03"},
        "clean/customer_records": {"02", "03"},
        "accepted/customer_records": {"02", "03"},
        "quarantine": {"01", "02"},
        "clean/transactions": {page.name[:2] for page in discover()},
    }
    for name, numbers in opens.items():
        opened = set()
        for page in discover():
            try:
                access_of(metadata, page=page.name).check_read(name, purpose="analytics")
            except JourneybookError:
                continue
            opened.add(page.name[:2])
        assert opened == numbers, name


def test_who_is_who_is_not_asked_after_page_03_whatever_a_notebook_names(tables):
    values = pd.DataFrame({"person_id": ["p"], "row": [1], "field": ["surname"], "value": ["Lee"]})
    write(owners_view(tables), "profile_values", values, sources=["people"])
    asked = {"profile_values": "identity_resolution", "clean/events": "identity_resolution"}
    metadata = {"journeybook": {"reads": asked, "writes": []}}
    run = replace(open_run(tables, page="05_segmentation"), _access=access_of(metadata, page="05_segmentation"))
    for name in asked:
        with pytest.raises(JourneybookError, match="who is who is asked up to page 03 only"):
            read(run, name, purpose="identity_resolution")


def test_a_link_to_another_table_is_none(tables):
    path = tables / "clean" / "events.parquet"
    path.unlink()
    path.symlink_to(tables / "raw" / "customer_records.parquet")
    with pytest.raises(JourneybookError, match="'clean/events' is not in this run"):
        read(open_run(tables, page="08_clickstream"), "clean/events", purpose="analytics")
    elsewhere = tables.parent / "elsewhere"
    tables.rename(elsewhere)
    tables.symlink_to(elsewhere)
    seen = read(open_run(tables, page="05_segmentation"), "features", purpose="personalisation")
    assert seen.count().to_pandas() == 1, "a run may lie behind a link"


def test_who_permitted_once_is_asked_of_those_in_the_data_alone(tables):
    run, then = open_run(tables, page="05_segmentation"), {"purpose": "marketing_email", "as_of": "2017-03-01"}
    assert permitted_people(run, **then).person_id.to_pandas().tolist() == ["p"]
    others = pd.Series(["q", "q", None])
    assert permitted_people(run, **then, among=others).count().to_pandas() == 0
    log = logged(tables)
    assert log.n_rows.tolist() == [1, 0]


def test_a_parameter_stands_for_tables_of_its_kind(tables):
    run = open_run(tables, page="07_channel_response.coupons")
    assert read(run, "clean/contacts", purpose="personalisation").count().to_pandas() == 1
    run._access.check_read("clean/coupon_contacts", purpose="personalisation")
    for name in ("clean/transactions", "clean/events", "clean/customer_records", "clean/contacts_of_mine"):
        with pytest.raises(JourneybookError, match="may not read"):
            read(run, name, purpose="personalisation")


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"reads": ["features"], "writes": []}, "does not name its tables"),
        ({"reads": {"features": "curiosity"}, "writes": []}, "for 'curiosity', which is not one of"),
        ({"reads": {"features": []}, "writes": []}, "for no purpose"),
        ({"reads": {"features": "analytics"}}, "does not name its tables"),
    ],
)
def test_a_table_without_a_purpose_is_an_error_of_the_notebook(block, says):
    with pytest.raises(JourneybookError, match=says):
        access_of({"journeybook": block}, page="05_segmentation")


@pytest.mark.parametrize("page", ["05_nothing", "", "../05_segmentation"])
def test_a_page_without_a_notebook_opens_nothing(tables, page):
    with pytest.raises(JourneybookError, match="has no notebook"):
        open_run(tables, page=page)


def test_a_page_cannot_forget_its_name(tables):
    with pytest.raises(TypeError):
        open_run(tables)


def test_the_postcode_of_a_profile_is_for_third_parties_alone(tables):
    assert "postcode" in read(
        open_run(tables, page="04_enrichment"), "postcodes", purpose="third_party_enrichment"
    )
    for name in ("profiles", "postcodes"):
        assert "postcode" not in read(owners_view(tables), name, purpose="analytics").columns
    seen = read(open_run(tables, page="14_decisions"), "profiles", purpose="personalisation")
    assert set(seen.columns) == {"person_id", "row", "n_records"}


# --- the log ---------------------------------------------------------------------------------------------


def logged(tables) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted((tables / "reads").glob("*.parquet"))])


def test_each_read_is_logged_and_no_row_is_changed(tables):
    run = open_run(tables, page="08_clickstream")
    read(run, "clean/events", purpose="analytics")
    first = logged(tables)
    assert first.drop(columns="columns").values.tolist() == [
        [1, "08_clickstream", "clean/events", "analytics", 1, len(first["columns"][0].split(", "))]
    ]
    assert "person_id" in first["columns"][0] and "customer_id" not in first["columns"][0]
    again = open_run(tables, page="08_clickstream")
    read(again, "segments", purpose="analytics")
    read(open_run(tables, page="05_segmentation"), "features", purpose="personalisation")
    log = logged(tables)
    assert log.page.tolist() == ["05_segmentation", "08_clickstream", "08_clickstream"]
    assert log.row.tolist() == [1, 1, 2]
    assert log[log.page == "08_clickstream"].iloc[:1].reset_index(drop=True).equals(first)
    assert stat.S_IMODE((tables / "reads" / "08_clickstream.parquet").stat().st_mode) == 0o600


# --- by hand ---------------------------------------------------------------------------------------------


def test_a_notebook_by_hand_reads_through_and_changes_nothing(tables, monkeypatch):
    monkeypatch.setattr(run_module, "root", lambda: tables.parents[1])
    before = digests(tables)
    run = open_run(page="05_segmentation")
    assert "Run by hand" not in consent_note(run, purpose="personalisation")
    features = read(run, "features", purpose="personalisation")
    assert features.count().to_pandas() == 1
    mine = pd.DataFrame({"person_id": ["p"], "row": [1], "segment": [7]})
    write(run, "segments", mine, sources=["features"])
    assert digests(tables) == before
    assert "key that is published" in consent_note(run, purpose="personalisation")
    later = open_run(page="10_privacy")
    assert read(later, "segments", purpose="analytics").to_pandas().segment.tolist() == [7]
    assert "`segments` come from your own layer, `data/manual`" in consent_note(later, purpose="analytics")
    of_report = open_run(tables, page="10_privacy")
    assert read(of_report, "segments", purpose="analytics").to_pandas().segment.tolist() == [0]
    with pytest.raises(JourneybookError, match="may not read"):
        read(run, "segments", purpose="personalisation")


def test_a_register_by_hand_is_a_layer_too(tables, monkeypatch):
    keep_in_register(open_run(tables, page="11_experiments"), "looks", key="a", entry={"n": 1})
    before = (tables.parent / "looks.json").read_bytes()
    monkeypatch.setattr(run_module, "root", lambda: tables.parents[1])
    run = open_run(page="11_experiments")
    keep_in_register(run, "looks", key="b", entry={"n": 2})
    assert read_register(run, "looks") == {"a": {"n": 1}, "b": {"n": 2}}
    assert (tables.parent / "looks.json").read_bytes() == before


def test_tables_by_hand_of_another_data_set_are_not_read(tables, monkeypatch):
    monkeypatch.setattr(run_module, "root", lambda: tables.parents[1])
    write(open_run(page="05_segmentation"), "segments", pd.DataFrame({"row": [1]}), sources=["features"])
    described = json.loads((tables / "dataset.json").read_text())
    (tables / "dataset.json").write_text(json.dumps(described | {"seed": 2}))
    assert list(read(open_run(page="10_privacy"), "segments", purpose="analytics").columns) == [
        "person_id", "row", "segment",
    ]  # fmt: skip


def test_stages_are_listed_once_in_both_places(tables, monkeypatch):
    monkeypatch.setattr(run_module, "root", lambda: tables.parents[1])
    run = open_run(page="01_collection")
    write(run, "accepted/events", pd.DataFrame({"row": [1]}), sources=["raw/transactions"])
    assert list_tables(run, "accepted") == ["customer_records", "events", "transactions"]


# --- the ledger ------------------------------------------------------------------------------------------


def test_sends_without_permission_are_counted_by_channel():
    contacts = pd.DataFrame(
        {
            "row": range(1, 7),
            "customer_id": ["a", "a", "b", None, "a", "a"],
            "occurred_at": pd.to_datetime(
                ["2017-03-01", "2017-06-01", "2017-06-01", "2017-06-01"] + ["2017-03-01"] * 2
            ),
            "channel": ["email", "email", "email", "email", "sms", "none"],
        }
    )
    found = unpermitted_sends(ibis.memtable(contacts), ibis.memtable(LEDGER)).order_by("channel").to_pandas()
    assert found.values.tolist() == [["email", 4, 3], ["sms", 1, 1]]
    assert unpermitted_sends(ibis.memtable(contacts.drop(columns="channel")), ibis.memtable(LEDGER)) is None


# --- match codes -----------------------------------------------------------------------------------------


def test_codes_hold_no_name_and_match_only_what_agrees_exactly():
    one, key = ibis.memtable(pd.DataFrame([RECORD])), new_key()
    same = pd.DataFrame([RECORD | {"given_name": "ANN ", "email": "Ann+shop@example.com", "address": None}])
    codes, others = coded(one, key=key).to_pandas(), coded(ibis.memtable(same), key=key).to_pandas()
    assert list(codes) == ["row", "customer_id", "code"]
    fields = {"email", "given_name", "phone", "address"}
    assert len(codes) == sum(set(rule.split(" + ")) <= fields for rule in REFUSAL_RULES) == 3
    assert set(others.code) < set(codes.code)
    assert not set(codes.code) & set(coded(ibis.memtable(pd.DataFrame([NEIGHBOUR])), key=key).to_pandas().code)
    assert not set(coded(one, key=new_key()).to_pandas().code) & set(codes.code)
    nobody = coded(one.select("row", "customer_id"), key=key).to_pandas()
    assert nobody.empty and list(nobody) == ["row", "customer_id", "code"]


@pytest.mark.parametrize(
    ("home", "written"),
    [
        ("1", ["+1 207 555 0123", "(207) 555-0123", "1-207-555-0123 x12", "001 207 5550123"]),
        ("44", ["+44 (0)20 7946 0958", "0044 20 7946 0958", "020 7946 0958 ext. 7", "(020) 79460958"]),
        ("1", ["+44 20 7946 0958", "0044 20 7946 0958"]),
        ("52", ["+52 1 55 1234 5678", "044 55 1234 5678", "01 55 1234 5678", "55 1234 5678"]),
        ("45", ["+45 12 34 56 78", "12345678"]),
    ],
)
def test_a_number_as_written_has_the_code_of_the_form_that_page_02_gives_it(home, written):
    key = new_key()
    named = [
        RECORD | {"given_name": "Ann O’Hara", "address": "12 North Main Street, Apt. 4", "phone": w}
        for w in written
    ]
    refusing = ibis.memtable(pd.DataFrame(named))
    for one in named:
        records = ibis.memtable(pd.DataFrame([one]))
        tidy = clean_records(records, country_code=home, five_digits=False, as_of=None).table
        ours = set(coded(tidy, key=key).to_pandas().code)
        theirs = coded(refusing.filter(refusing.phone == one["phone"]), key=key).to_pandas().code
        assert ours <= set(theirs) and theirs.is_unique
        short = coded(records.mutate(phone=ibis.literal("555 012")), key=key).to_pandas().code
        assert len(short) == 2, "a number of six digits is none"


# --- the key ---------------------------------------------------------------------------------------------


@pytest.fixture
def own_files(tables, monkeypatch):
    """The run as one of the user's own files, whose key is a secret."""
    described = json.loads((tables / "dataset.json").read_text())
    (tables / "dataset.json").write_text(json.dumps(described | {"dataset": "files"}))
    monkeypatch.setattr(keys_module, "root", lambda: tables.parents[1])
    monkeypatch.delenv("JOURNEYBOOK_KEY", raising=False)
    keys_module.secret.cache_clear()
    yield tables
    keys_module.secret.cache_clear()


@pytest.mark.parametrize(
    "key", ["", " ", "short", "a passphrase that is long enough but made of words", KEY[:62], "ab" * 31]
)
def test_a_short_key_is_refused_in_one_sentence(own_files, monkeypatch, key):
    monkeypatch.setenv("JOURNEYBOOK_KEY", key)
    with pytest.raises(JourneybookError, match="JOURNEYBOOK_KEY is no key: at least 32 random bytes") as refused:
        open_run(own_files, page="08_clickstream")
    assert not key.strip() or key not in str(refused.value)
    assert not (own_files.parent / "pseudonym.key").exists()


@pytest.mark.parametrize(
    ("key", "n_bytes", "n_values"), [("ab" * 32, 32, 1), ("0123" * 16, 32, 2), ("AQ" * 22, 33, 3)]
)
def test_a_key_that_repeats_itself_is_told_from_a_short_one(own_files, monkeypatch, key, n_bytes, n_values):
    monkeypatch.setenv("JOURNEYBOOK_KEY", key)
    told = f"JOURNEYBOOK_KEY is not random: its {n_bytes} bytes have {n_values} different values"
    with pytest.raises(JourneybookError, match=told) as refused:
        open_run(own_files, page="08_clickstream")
    assert key not in str(refused.value)
    assert not (own_files.parent / "pseudonym.key").exists()


def test_a_made_key_is_taken_and_none_is_made_twice(own_files, monkeypatch):
    made = new_key()
    assert len(bytes.fromhex(made)) == 32 and made != new_key()
    monkeypatch.setenv("JOURNEYBOOK_KEY", made)
    run = open_run(own_files, page="03_identity")
    assert pseudonyms(run, pd.Series(["a", "a", "b"])).index.tolist() == ["a", "b"]


def test_rotation_leaves_a_crosswalk_for_its_owner(own_files):
    before = pseudonyms(owners_view(own_files), pd.Series(["a", "b"]))
    path = rotate_key(owners_view(own_files))
    after = pseudonyms(owners_view(own_files), pd.Series(["a", "b"]))
    assert not set(before) & set(after)
    walk = pd.read_csv(path).set_index("old").new
    assert walk[before["a"]] == after["a"] and walk[before["b"]] == after["b"] and len(walk) == 2
    for file in (path, own_files.parent / "pseudonym.key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_published_key_is_not_rotated(tables):
    with pytest.raises(JourneybookError, match="the key of journey_demo is published"):
        rotate_key(owners_view(tables))


@pytest.mark.parametrize(
    ("page", "table", "purpose"),
    [
        ("04_enrichment", "clean/transactions", "analytics"),
        ("05_segmentation", "features", "personalisation"),
        ("08_clickstream", "clean/events", "analytics"),
        ("11_experiments", "clean/experiment", "analytics"),
    ],
)
def test_a_page_whose_table_nobody_permits_or_that_is_empty_says_so_in_one_sentence(page, table, purpose, tables):
    connection, path = ibis.duckdb.connect(), tables / f"{table}.parquet"
    frame = pd.DataFrame({"row": [1], "person_id": ["p"], "variant": ["a"]})
    frame = pd.read_parquet(path) if path.exists() else frame
    refused = LEDGER.assign(granted=False)
    store(connection, ibis.memtable(frame), path, about={"provenance": "YOURS"})
    store(connection, ibis.memtable(refused), tables / "consents.parquet", about={"provenance": "YOURS"})
    for rows, why in ((len(frame), "nobody permits it"), (0, "it has none")):
        store(connection, ibis.memtable(frame).limit(rows), path, about={"provenance": "YOURS"})
        with pytest.raises(JourneybookError) as found:
            run_page(page, tables=tables, results=tables / "results")
        name = table.removeprefix("clean/")
        assert str(found.value) == f"no row of '{name}' may be read for '{purpose}': {why}."
