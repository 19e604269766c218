"""Page 01: rows accepted or set aside, the ledger over time, and what the page is held against."""

import json
import os
from datetime import datetime
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest

from journeybook import collection
from journeybook.collection.consents import consent_history, count_permits
from journeybook.collection.pitfalls import consent_pitfall, type_pitfall
from journeybook.collection.rows import Collection
from journeybook.collection.witnesses import check_rules
from journeybook.datasets.files import build_files
from journeybook.tables import PURPOSES, standing, standings

AS_OF = datetime(2020, 7, 1)


def table(frame: pd.DataFrame) -> ibis.Table:
    return ibis.memtable(frame.assign(row=range(1, len(frame) + 1)))


def sales(**changed) -> pd.DataFrame:
    columns = {
        "customer_id": ["a", "b", None, "a"],
        "occurred_at": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]),
        "revenue": [1.0, 2.0, 3.0, 4.0],
        "product_id": ["p", "p", "q", "r"],
    }
    return pd.DataFrame(columns | changed)


def ledger(*decisions: tuple) -> ibis.Table:
    columns = ["customer_id", "purpose", "granted", "occurred_at", "recorded_at", "expires_at"]
    filled = [(*decision, *[None] * (6 - len(decision))) for decision in decisions]
    frame = pd.DataFrame(filled, columns=columns)
    times = {column: pd.to_datetime(frame[column]).astype("datetime64[us]") for column in columns[3:]}
    return table(frame.assign(**times).astype({"granted": "boolean"}))


def quarantine(found: Collection) -> pd.DataFrame:
    return found.quarantine.order_by("table", "row", "column", "problem").to_pandas()


# Rows


def test_every_row_is_accepted_or_set_aside():
    found = collection.collect({"transactions": table(sales(revenue=[1.0, None, 3.0, np.inf]))})
    assert found.accepted["transactions"].row.to_pandas().tolist() == [1, 3]
    assert quarantine(found)[["row", "column", "problem"]].to_numpy().tolist() == [
        [2, "revenue", "is missing"],
        [4, "revenue", "is not a number"],
    ]
    counts = found.counts.iloc[0]
    assert (counts.n_collected, counts.n_accepted, counts.n_quarantined, counts.n_customers) == (4, 2, 2, 1)
    assert (counts.first_at, counts.last_at) == ("2020-01-01", "2020-03-01")
    assert str(found.accepted["transactions"].schema()["revenue"]) == "decimal(18, 4)"


@pytest.mark.parametrize(
    ("name", "frame", "aside"),
    [
        (
            "contacts",
            {"responded": [True] * 4, "propensity": [0.5, 1.5, -0.1, np.nan]},
            [[2, "propensity", "is above 1", "1.5"], [3, "propensity", "is below 0", "-0.1"]],
        ),
        (
            "consents",
            {
                "customer_id": ["a"],
                "purpose": ["spying"],
                "granted": [True],
                "occurred_at": pd.Timestamp(2020, 1, 1),
            },
            [[1, "purpose", "is not an allowed value", "spying"]],
        ),
        (
            "events",
            {"session_id": ["s", None], "event": ["home", "home"], "position": [1, 2]},
            [[2, "session_id or customer_id", "is missing", ""]],
        ),
    ],
)
def test_what_breaks_a_rule(name, frame, aside):
    found = collection.collect({name: table(pd.DataFrame(frame))})
    told = quarantine(found)[["row", "column", "problem", "value"]].fillna("")
    assert told.to_numpy().tolist() == aside


def test_a_row_is_kept_whole_with_every_rule_that_it_breaks():
    frame = pd.DataFrame({"responded": [True, None], "propensity": [0.5, 1.5], "channel": "email"})
    found = collection.collect({"contacts": table(frame)})
    assert quarantine(found)[["row", "column"]].to_numpy().tolist() == [[2, "propensity"], [2, "responded"]]
    assert json.loads(quarantine(found).record[0]) == {"responded": None, "propensity": "1.5", "channel": "email"}
    assert found.counts.n_quarantined.item() == 1


def test_a_contract_cannot_end_before_the_day_it_began():
    began = pd.to_datetime(["2020-03-05 10:00"] * 4)
    ended = pd.to_datetime(["2020-03-05", "2020-03-04", None, "2020-06-01"])
    rows = pd.DataFrame({"customer_id": ["a", "b", "c", "d"], "started_at": began, "churned_at": ended})
    found = collection.collect({"contracts": table(rows)})
    (said,) = found.problems.itertuples()
    assert (said.column, said.problem, said.n_rows) == ("churned_at", "is earlier than started_at", 1)
    assert sorted(found.accepted["contracts"].customer_id.to_pandas()) == ["a", "c", "d"]
    by_hand = check_rules({"contracts": table(rows)}, found, max_rows=10)
    assert by_hand["value"].tolist() == [0, 0]


def test_days_outside_the_asked_ones():
    found = collection.collect({"transactions": table(sales())}, first_day="2020-02-01", last_day="2020-03-01")
    assert quarantine(found)[["row", "problem"]].to_numpy().tolist() == [
        [1, "is before 2020-02-01"],
        [4, "is after 2020-03-01"],
    ]


def test_what_does_not_convert_is_named_and_identifiers_are_not_shown():
    frame = pd.DataFrame(
        {
            "record_id": ["1", "2", "3"],
            "source": "web",
            "customer_id": ["1", "2", "3"],
            "birth_date": pd.to_datetime([None, None, "1980-01-01"]),
            "updated_at": pd.to_datetime([None, "2020-01-01", "2020-01-01"]),
            "unconverted": ["updated_at: 'once'\x1fbirth_date: '12 May'", "birth_date: '12 May 1980'", None],
        }
    )
    found = collection.collect({"customer_records": table(frame)})
    assert quarantine(found)[["column", "problem", "value"]].to_numpy().tolist() == [
        ["birth_date", "cannot be read", "•••"],
        ["updated_at", "cannot be read", "'once'"],
        ["birth_date", "cannot be read", "•••"],
    ]
    assert json.loads(quarantine(found).record[1])["unconverted"] == "updated_at: 'once'\x1fbirth_date: '12 May'"
    assert "unconverted" not in found.accepted["customer_records"].columns


def test_oddities_are_reported_and_removed_nowhere():
    lines = pd.concat([sales(), sales().tail(1)], ignore_index=True)
    products = pd.DataFrame({"product_id": ["p", "p", "q"]})
    found = collection.collect({"transactions": table(lines), "products": table(products)})
    odd = {(f.table, f.finding): f.n_rows for f in found.oddities.itertuples()}
    assert odd == {
        ("products", "product_id seen before"): 1,
        ("transactions", "rows equal to an earlier one (no key: kept)"): 1,
        ("transactions", "product_id not in products"): 2,
    }
    assert found.counts.n_quarantined.sum() == 0


def dated(*days: str, customer: str = "a") -> pd.DataFrame:
    """Receipts of one customer on some days, each at noon."""
    at = pd.to_datetime(list(days)) + pd.Timedelta("12h")
    return pd.DataFrame({"customer_id": customer, "occurred_at": at, "revenue": np.arange(1.0, len(days) + 1)})


def far_days(*frames: pd.DataFrame, **asked) -> list[str]:
    found = collection.collect({"transactions": table(pd.concat(frames, ignore_index=True))}, **asked)
    aside = found.quarantine.to_pandas()
    assert set(aside.problem) <= {"is far from all other dates"}
    return sorted(day[:10] for day in aside.value)


DAILY = dated(*(f"{day:%Y-%m-%d}" for day in pd.date_range("2020-01-01", periods=180)))
DECEMBERS = dated(*(f"{y}-12-{d:02d}" for y in (2019, 2020, 2021) for d in range(1, 25)))


@pytest.mark.parametrize(
    ("rest", "odd"),
    [
        (DAILY, "2042-03-01"),
        (DAILY, "2021-03-01"),
        (DAILY, "1900-01-01"),
        (DECEMBERS, "2042-12-03"),
        (dated("2020-01-01", "2020-01-08"), "2042-01-01"),
        (dated("2020-01-01", "2020-01-01"), "1970-01-01"),
    ],
)
def test_a_mistyped_year_goes_to_quarantine_with_its_date(rest, odd):
    assert far_days(rest, dated(odd)) == [odd]
    assert far_days(rest, dated(odd), first_day="1900-01-01", last_day="2100-01-01") == []


def test_two_mistyped_years_do_not_hide_each_other_and_a_sentinel_may_be_common():
    assert far_days(DAILY, dated("2042-01-01"), dated("1924-01-01")) == ["1924-01-01", "2042-01-01"]
    assert far_days(DAILY, dated("2042-01-01"), dated("2034-01-01")) == ["2034-01-01", "2042-01-01"]
    assert far_days(DAILY, dated(*["1900-01-01"] * 60)) == ["1900-01-01"] * 60


@pytest.mark.parametrize(
    "whole",
    [
        dated("2020-01-01", "2042-01-01"),
        dated("2019-03-01", "2020-02-01", "2020-12-24"),
        DECEMBERS,
        dated(*(f"{day:%Y-%m-%d}" for day in pd.date_range("2020-01-01", periods=30, freq="7D")), "2020-09-30"),
        # A shop that opens again after half a year, with more than one receipt.
        pd.concat([DAILY, dated("2020-12-28"), dated("2020-12-28", customer="b")]),
        # Half of the rows are of another time: neither half is far.
        dated("2020-01-01", "2020-01-02", "2030-01-01", "2030-01-02"),
    ],
)
def test_seasons_weeks_and_halves_are_not_far(whole):
    assert far_days(whole) == []


def test_a_date_that_another_table_reaches_is_not_far():
    later = DAILY.assign(occurred_at=DAILY.occurred_at + pd.Timedelta(days=300), responded=True)
    alone = pd.concat([DAILY, dated("2021-03-01")], ignore_index=True)
    found = collection.collect({"transactions": table(alone), "contacts": table(later)})
    assert found.counts.n_quarantined.sum() == 0


def test_a_release_of_few_rows_in_2042_is_far_and_an_old_census_is_not():
    codes = [f"{n:05d}" for n in range(40)]
    census, typed = (
        {"as_of": pd.Timestamp(day), "postcode": codes[:n]} for day, n in (("2010-04-01", 18), ("2042-04-01", 1))
    )
    rows = pd.concat(
        [
            pd.DataFrame(of | {"density": 1.0})
            for of in (census, census | {"as_of": pd.Timestamp("2020-04-01"), "postcode": codes}, typed)
        ]
    )
    found = collection.collect({"third_party": table(rows.reset_index(drop=True)), "transactions": table(DAILY)})
    assert found.quarantine.to_pandas().value.str[:4].tolist() == ["2042"]
    # What a third party has yet to release is no date that receipts may have.
    late = collection.collect(
        {
            "third_party": table(rows.reset_index(drop=True)),
            "transactions": table(pd.concat([DAILY, dated("2042-04-01")])),
        }
    )
    assert late.counts.n_quarantined.sum() == 2


def test_a_far_grant_goes_to_quarantine_and_a_far_refusal_holds():
    said = [(f"c{n}", "analytics", True, "2020-01-01", "2020-01-01") for n in range(20)]
    typed = ("c1", "analytics", True, "2042-01-01", "2042-01-01")
    refused = ("c2", "analytics", False, "2042-01-01", "2042-01-01")
    found = collection.collect({"consents": ledger(*said, typed, refused), "transactions": table(DAILY)})
    assert found.quarantine.to_pandas().column.tolist() == ["occurred_at", "recorded_at"]
    dates = collection.who_permits(found.accepted).dates
    assert dates["analytics"] == datetime(2020, 1, 2)
    permits = standing(found.accepted["consents"], purpose="analytics", as_of=dates)
    refuses = permits.filter(permits.refuses).customer_id.to_pandas().tolist()
    assert refuses == ["c2"] and permits.permits.sum().execute() == 19


def test_a_leaver_hides_and_makes_no_far_date():
    said = [
        ("a", "analytics", True, "2020-01-01", "2020-01-01"),
        ("z", "analytics", False, "2020-01-01", "2020-01-01"),
    ]
    leaver = dated("2020-08-15", "2020-10-01", customer="z")
    found = collection.collect(
        {
            "transactions": table(pd.concat([DAILY, dated("2020-10-10"), leaver], ignore_index=True)),
            "consents": ledger(*said),
        }
    )
    assert "2020-10-10" in {day[:10] for day in found.quarantine.to_pandas().value}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"tables": {}}, "tables is empty"),
        ({"tables": {"things": table(sales())}}, "'things' is not one"),
        ({"tables": {"transactions": table(sales())}, "first_day": "soon"}, "first_day is 'soon'"),
        (
            {"tables": {"transactions": table(sales())}, "first_day": "2020-02-01", "last_day": "2020-01-01"},
            "must not be later",
        ),
    ],
)
def test_collect_refuses(arguments, said):
    tables = arguments.pop("tables")
    with pytest.raises(ValueError, match=said):
        collection.collect(tables, **arguments)


def test_equal_rows_of_the_e_mail_challenge(tmp_path):
    folder = os.environ.get("JOURNEYBOOK_DATA")
    if not folder:
        pytest.skip("1 witness needs hillstrom/hillstrom.csv under JOURNEYBOOK_DATA")
    columns = {"variant": "segment", "visit": "visit", "conversion": "conversion", "spend": "spend"}
    files = {"experiment": {"path": "hillstrom/hillstrom.csv", "columns": columns, "keep": "rest"}}
    engine = ibis.duckdb.connect()
    build_files(engine, tmp_path, files=files, timezone="UTC", base=Path(folder))
    found = collection.collect({"experiment": engine.read_parquet(tmp_path / "raw" / "experiment.parquet")})
    assert found.counts.n_accepted.item() == 64_000
    assert found.oddities.n_rows.tolist() == [6_562]


# The ledger


def test_a_refusal_that_cannot_be_read_is_not_taken_for_a_yes():
    words = ledger(
        ("a", "analytics", True, "2020-01-01"),
        ("a", "analytics", False, None),
        ("a", "personalisation", True, "2020-01-01"),
        ("b", "analytics", True, "2020-01-01"),
        ("b", "personalisation", True, "2020-01-01"),
        ("b", "who knows", None, "2020-02-01"),
        ("c", "analytics", True, "2020-01-01"),
        ("c", "analytics", True, None),
    )
    found = collection.collect({"consents": words})
    kept = found.accepted["consents"].order_by("row").to_pandas()
    assert kept[["customer_id", "purpose"]].to_numpy().tolist() == [["a", "personalisation"], ["c", "analytics"]]
    assert found.counts.n_quarantined.item() == 6
    assert quarantine(found).problem.str.startswith("cannot be trusted").sum() == 3


def words_of_three() -> ibis.Table:
    return ledger(
        ("a", "analytics", True, "2020-01-10", "2020-01-10"),
        ("a", "analytics", False, "2020-03-10", "2020-05-10"),
        ("a", "analytics", True, "2020-06-10", "2020-08-10"),
        ("b", "analytics", True, "2020-01-20", "2020-01-25", "2020-04-15"),
        ("b", "analytics", True, "2020-05-02", "2020-05-02"),
        ("c", "analytics", False, "2020-02-02", "2020-02-02"),
        ("c", "marketing_sms", True, "2020-02-02", "2020-02-02", "2021-02-02"),
    )


def consent_of(words: ibis.Table) -> collection.Consent:
    """What a ledger says as of one date, whoever sets it."""
    shares, now = consent_history(words, as_of=AS_OF), standings(words, as_of=AS_OF)
    return collection.Consent(ledger=words, as_of=AS_OF, now=now, shares=shares)


def test_consent_history_by_hand():
    consent = consent_of(words_of_three())
    analytics = consent.shares[consent.shares.purpose == "analytics"].set_index("as_of")
    assert analytics.n_permits.tolist() == [2, 2, 1, 0, 1, 1]
    assert analytics.n_refuses.tolist() == [0, 1, 2, 2, 2, 2]
    assert analytics.n_lapsed.tolist() == [0, 0, 0, 1, 0, 0]
    assert analytics.index[-1] == pd.Timestamp(AS_OF)
    assert consent.today.purpose.tolist() == ["analytics", "marketing_sms"]
    assert consent.today.permitted_share.tolist() == pytest.approx([1 / 3, 1])
    assert collection.title_consent(consent) == "100% permit SMS, 33.3% analytics"


def test_history_of_a_long_ledger_is_thinned_to_end_at_the_date():
    words = ledger(("a", "analytics", True, "2000-01-10"), ("a", "analytics", False, "2019-01-10"))
    shares = consent_history(words, as_of=AS_OF)
    assert len(shares) <= 36 and shares.as_of.max() == pd.Timestamp(AS_OF)


def test_an_empty_ledger_is_refused():
    with pytest.raises(ValueError, match="no accepted row"):
        consent_history(words_of_three().filter(ibis.literal(False)), as_of=AS_OF)


def test_recount_and_door_agree_with_the_history():
    rng = np.random.default_rng(3)
    n = 3000
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 200, n), unit="D")
    frame = pd.DataFrame(
        {
            "customer_id": rng.integers(0, 300, n).astype(str),
            "purpose": rng.choice(PURPOSES, n),
            "granted": rng.random(n) < 0.6,
            "occurred_at": days,
            "recorded_at": days + pd.to_timedelta(rng.integers(0, 30, n), unit="D"),
            "expires_at": (days + pd.Timedelta(days=60)).where(rng.random(n) < 0.5),
        }
    ).astype(dict.fromkeys(("occurred_at", "recorded_at", "expires_at"), "datetime64[us]"))
    consent = consent_of(table(frame))
    told = consent.today.set_index("purpose").n_permits.reindex(PURPOSES)
    assert told.tolist() == count_permits(consent.now).tolist() and told.sum() > 300
    assert (collection.check_ledger(consent, {}, refusing=None).value == 0).all()


def test_rows_that_a_purpose_opens_and_rows_that_end_here():
    tables = {"consents": words_of_three(), "transactions": table(sales(customer_id=["a", "b", None, "z"]))}
    accepted = collection.collect(tables).accepted
    consent = collection.who_permits(accepted)
    opened = consent.opened.set_index("purpose")
    assert opened.loc["analytics", ["n_rows", "n_without_customer", "n_permitted"]].tolist() == [4, 1, 2]
    assert opened.open_share["analytics"] == 0.75 and opened.open_share["marketing_push"] == 0.25
    assert consent.withdrawn.to_numpy().tolist() == [["transactions", 4, 1]]
    assert collection.goes_on(accepted, consent)["transactions"].row.to_pandas().tolist() == [1, 2, 3]
    said = collection.say_reach(consent, ["looks.json"])
    assert "permit nothing, 1 rows end here" in said and "left `looks.json`" in said


# Pitfalls and witnesses


def test_consent_pitfall():
    wrong = consent_pitfall(consent_of(words_of_three()))
    row = wrong.table.set_index("purpose").loc["analytics"]
    assert (row.n_permits, row.n_ever_granted) == (1, 2)
    assert wrong.size == 1 and "`analytics`: 2 instead of 1" in wrong.sentence


def test_type_pitfall():
    frame = sales(customer_id=["007", "8", None, "9"], product_id=["p", "NA", "q", "r"])
    wrong = type_pitfall(collection.collect({"transactions": table(frame)}).accepted, max_rows=10)
    assert wrong.table.set_index("column").n_changed.to_dict() == {"customer_id": 3, "product_id": 1}
    assert "4 values of 2 text columns" in wrong.sentence


def test_rules_are_recounted_in_plain_python():
    frame = sales(customer_id=["a", None, "b", "c"], revenue=[1.0, np.nan, np.inf, 2.0])
    tables = {"transactions": table(frame), "consents": ledger(("a", "spying", True, "2020-01-01"))}
    found = collection.collect(tables)
    assert collection.check_rules(tables, found, max_rows=10).value.tolist() == [0, 0]
    assert (collection.check_rows(tables, found).value == 0).all()


def test_planted_ledger():
    planted = pd.DataFrame({"purpose": ["analytics"] * 3, "permits": [False, True, False]})
    checked = collection.check_planted(consent_of(words_of_three()), planted)
    assert checked.value.tolist() == checked.reference.tolist() == [1]


def test_without_a_ledger_the_page_says_so():
    found = collection.collect({"transactions": table(sales(revenue=[1.0, None, 3.0, 4.0]))})
    nobody = collection.who_permits(found.accepted)
    pitfall = collection.find_pitfall(found.accepted, nobody, max_rows=10)
    assert collection.goes_on(found.accepted, nobody) == found.accepted
    assert collection.refusing_records(found.accepted, nobody) is None
    assert len(collection.check_ledger(nobody, {}, refusing=None)) == 0
    assert collection.say_reach(nobody, []) == ""
    assert collection.metrics(found, nobody, pitfall)["n_rows_quarantined"] == 1


def test_a_table_that_names_nobody_is_a_finding():
    found = collection.collect({"transactions": table(sales(customer_id=pd.Series([None] * 4, dtype="str")))})
    places = pd.DataFrame({"table": ["transactions"], "n_lines": [4], "n_left_out": [0], "n_kept": [4]})
    said = [f.text for f in collection.find(found, places, collection.Consent())]
    assert any(text.startswith("None of the 4 rows of transactions names a customer") for text in said)
    assert not any("names a customer" in f.text for f in collection.find(
        collection.collect({"transactions": table(sales())}), places, collection.Consent()
    ))  # fmt: skip


def test_a_table_without_text_has_no_pitfall_of_types():
    numbers = ibis.memtable(pd.DataFrame({"row": [1, 2], "responded": [True, False], "f0": [0.1, 0.2]}))
    assert type_pitfall({"contacts": numbers}, max_rows=9).size == 0
    codes = ibis.memtable(pd.DataFrame({"row": [1, 2], "code": ["0012", "7"]}))
    assert type_pitfall({"contacts": numbers, "codes": codes}, max_rows=9).size == 1
