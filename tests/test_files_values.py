"""Values of somebody's own files: what converts, what goes to quarantine, what is refused."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from own_files import SHOP, SHOP_COLUMNS, block, build, buy, check_files, refusal, transactions, write


def test_a_value_that_does_not_convert_goes_to_quarantine(tmp_path):
    text = SHOP + "536368,13047.0,yesterday,3,1.25,France\n536369,13047.0,2010-12-03,three,1.25,France\n"
    found = transactions(tmp_path, text)
    assert len(found) == 6
    assert found.unconverted.dropna().to_dict() == {4: "occurred_at: 'yesterday'", 5: "revenue: Quantity 'three'"}
    assert pd.isna(found.occurred_at[4]) and pd.isna(found.revenue[5])


def test_a_bad_value_in_where_is_kept_for_quarantine(tmp_path):
    text = SHOP + "536369,13047.0,2010-12-03,three,1.25,France\n"
    found = transactions(tmp_path, text, where="Quantity > 2")
    assert found.revenue.tolist()[:2] == [Decimal("15.3"), Decimal("3.75")] and len(found) == 3
    assert found.unconverted[2] == "revenue: Quantity 'three'\x1fwhere: Quantity 'three'"


def test_a_cast_that_fails_for_one_row_does_not_stop_the_run(tmp_path):
    columns = {
        **SHOP_COLUMNS,
        "revenue": "CAST(UnitPrice AS DECIMAL(10, 2))",
        "quantity": "1000 // (Quantity + 1)",
    }
    text = SHOP.replace("27.50", "n/a")
    found = transactions(tmp_path, text, columns=columns)
    assert found.unconverted.dropna().to_dict() == {
        2: "revenue: cannot be computed\x1fquantity: cannot be computed"
    }
    assert found["quantity"].isna().tolist() == [False, False, True, False]


def test_lines_that_do_not_fit_are_kept_for_quarantine(tmp_path):
    text = SHOP + '1,2,3\n1,2,3,4,5,6,7,8\n536370,"12, 3",2010-12-04,1,1,"a\nb"\n'
    found = transactions(tmp_path, text)
    assert len(found) == 7 and found.customer_id[4] == "12, 3"
    assert found.unconverted.dropna().str.contains("Expected Number of Columns").sum() == 2
    assert found.row.tolist() == list(range(1, 8))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("yes no", [True, False]),
        ("1 0", [True, False]),
        ("TRUE False", [True, False]),
        ("Y n", [True, False]),
        ("1.0 0.0", [True, False]),
        ("Ja nein WAHR falsch", [True, False] * 2),
        ("oui non Vrai Faux sí não", [True, False] * 3),
    ],
)
def test_booleans(tmp_path, words, expected):
    text = "answer,x\n" + "".join(f"{word},1\n" for word in words.split())
    found = build(tmp_path, {"contacts": block(write(tmp_path, "c.csv", text), {"responded": "answer"})})[
        "contacts"
    ]
    assert found.responded.tolist() == expected


def test_a_boolean_of_another_word_is_quarantined(tmp_path):
    text = "answer,x\nyes,1\nno,1\nmaybe,1\n2,1\n"
    found = build(tmp_path, {"contacts": block(write(tmp_path, "c.csv", text), {"responded": "answer"})})[
        "contacts"
    ]
    assert found.unconverted.dropna().tolist() == ["responded: 'maybe'", "responded: '2'"]


@pytest.mark.parametrize(
    ("dates", "first"),
    [
        (("2020-03-01", "2020-12-31"), datetime(2020, 3, 1)),
        (("2020-03-01T10:20:30", "2020-12-31 01:02"), datetime(2020, 3, 1, 10, 20, 30)),
        (("20200301", "20201231"), datetime(2020, 3, 1)),
        (("12/1/2010 8:26", "12/31/2010 18:26"), datetime(2010, 12, 1, 8, 26)),
        (("1/12/2010 8:26", "31/12/2010 18:26"), datetime(2010, 12, 1, 8, 26)),
        (("01.03.20", "31.12.20"), datetime(2020, 3, 1)),
        (("1 Mar 2020", "31 Dec 2020"), datetime(2020, 3, 1)),
        (("Sept. 5, 2020", "Oct. 6, 2020"), datetime(2020, 9, 5)),
        (("Sept 5, 2020", "Oct 6, 2020", "Nov 7, 2020"), datetime(2020, 9, 5)),
        (("3/1/2020 1:05 PM", "12/31/2020 12:00 AM"), datetime(2020, 3, 1, 13, 5)),
        (("5/5/2020", "6/6/2020"), datetime(2020, 5, 5)),
    ],
)
def test_dates(tmp_path, dates, first):
    text = "who,day,spent\n" + "".join(f'c,"{day}",1\n' for day in dates)
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    found = transactions(tmp_path, text, columns=columns)
    assert found.occurred_at[0] == first and found.occurred_at.notna().all()


def test_ambiguous_dates_stop_the_run(tmp_path):
    text = "who,day,spent\nc,01/02/2020,1\nc,03/04/2020,1\n"
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    files = {"transactions": block(write(tmp_path, "t.csv", text), columns)}
    assert "month first or day first" in refusal(tmp_path, files)
    files["transactions"]["options"] = {"dateformat": "%d/%m/%Y"}
    assert build(tmp_path, files)["transactions"].occurred_at[0] == datetime(2020, 2, 1)
    columns["occurred_at"] = "strptime(day, '%m/%d/%Y')"
    assert build(tmp_path, files)["transactions"].occurred_at[0] == datetime(2020, 1, 2)


def test_a_number_that_is_a_date_reads_by_expression_as_text_or_number(tmp_path):
    text = "who,day,spent\nc,20200201,1\nc,20200403,1\n"
    for expression in ("strptime(day, '%Y%m%d')", "strptime(CAST(day AS VARCHAR), '%Y%m%d')"):
        columns = {"customer_id": "who", "occurred_at": expression, "revenue": "spent"}
        assert transactions(tmp_path, text, columns=columns).occurred_at[0] == datetime(2020, 2, 1)


def test_times_with_an_offset_become_local(tmp_path):
    text = "who,at,spent\nc,2020-07-01T12:00:00Z,1\nc,2020-07-01T12:00:00+02:00,1\nc,2020-01-01T12:00:00Z,1\n"
    columns = {"customer_id": "who", "occurred_at": "at", "revenue": "spent"}
    found = transactions(tmp_path, text, columns=columns)
    assert [moment.hour for moment in found.occurred_at] == [13, 11, 12]


@pytest.mark.parametrize("when", ["2024-05-01 14:00 IST", "2024-W18-3", "2024-13-01", "next week"])
def test_a_date_of_an_unknown_kind_is_refused_with_the_cure(tmp_path, when):
    assert "options: {dateformat:" in buy(tmp_path, "occurred_at", [when, when], refused=True)


def test_a_given_format_with_an_offset_gives_local_time(tmp_path):
    options = {"dateformat": "%d.%m.%Y %H:%M %z"}
    found = buy(tmp_path, "occurred_at", ["01.05.2024 14:00 +0300"], options=options)
    assert found.occurred_at[0] == datetime(2024, 5, 1, 12)


@pytest.mark.parametrize(
    "written", [
        ["2024-10-27T01:50:00+01:00", "2024-10-27T01:10:00+00:00"],
        ["2024-10-27 02:50:00 CEST", "2024-10-27 01:10:00 UTC"],
        ["1729990200", "1729991400"],
    ],
)  # fmt: skip
def test_events_keep_their_instant_through_a_change_of_clocks(tmp_path, written):
    text = "s,e,at\n" + "".join(f"1,{event},{at}\n" for event, at in zip("ab", written, strict=True))
    columns = {"session_id": "s", "event": "e", "occurred_at": "at"}
    found = build(tmp_path, {"events": block(write(tmp_path, "e.csv", text), columns)})["events"]
    assert (found.occurred_at[1] - found.occurred_at[0]).total_seconds() == -40 * 60
    assert (found.instant[1] - found.instant[0]).total_seconds() == 20 * 60
    assert found.instant[1] == datetime(2024, 10, 27, 1, 10)


def test_local_times_measure_pauses_by_the_zone_unless_its_clocks_skip_one(tmp_path):
    columns = {"session_id": "s", "event": "e", "occurred_at": "at"}
    text = "s,e,at\n1,a,2024-03-31 00:50:00\n1,b,2024-03-31 02:10:00\n"
    found = build(tmp_path, {"events": block(write(tmp_path, "e.csv", text), columns)})["events"]
    assert (found.instant[1] - found.instant[0]).total_seconds() == 20 * 60
    assert (found.occurred_at[1] - found.occurred_at[0]).total_seconds() == 80 * 60
    for more in ("1,c,2024-03-31 01:30:00\n", ""):
        rows = (text if more else text.replace("03-31", "03-30")) + more
        found = build(tmp_path, {"events": block(write(tmp_path, "e.csv", rows), columns)})["events"]
        assert "instant" not in found


def test_parquet_brings_types(tmp_path):
    frame = pd.DataFrame(
        {
            "id": [12345.0, 7.0, None],
            "at": pd.to_datetime(["2020-07-01T12:00:00Z", "2020-01-01T12:00:00Z", "2020-01-01T13:00:00Z"]),
            "day": [20200101, 20200102, 20200103],
            "spent": [1.5, float("nan"), 2.0],
            "tags": [["a"], ["b"], []],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    columns = {"customer_id": "id", "occurred_at": "at", "revenue": "spent", "basket_id": "day"}
    found = build(tmp_path, {"transactions": block("t.parquet", columns)})["transactions"]
    assert found.customer_id.tolist()[:2] == ["12345", "7"] and pd.isna(found.customer_id[2])
    assert [moment.hour for moment in found.occurred_at] == [13, 12, 13]
    assert found.basket_id[0] == "20200101" and pd.isna(found.revenue[1])
    columns |= {"occurred_at": "day"}
    assert build(tmp_path, {"transactions": block("t.parquet", columns)})["transactions"].occurred_at[0].day == 1


def test_codes_keep_their_zeros(tmp_path):
    text = "who,day,spent,shop\n00042,2020-01-01,1,01\n00043,2020-01-02,2,02\n"
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent", "store_id": "shop || '-' || who"}
    found = transactions(tmp_path, text, columns=columns)
    assert found.customer_id.tolist() == ["00042", "00043"] and found.store_id[0] == "01-00042"


def test_money_is_exact(tmp_path):
    text = "who,day,spent\n" + "".join(f"c,2020-01-01,{n}.07\n" for n in range(200))
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    assert sum(transactions(tmp_path, text, columns=columns).revenue) == Decimal("19914")


@pytest.mark.parametrize(
    ("dates", "second"),
    [
        (("25-03-24", "01-12-24"), datetime(2024, 12, 1)),
        (("25-3-24", "1-12-24"), datetime(2024, 12, 1)),
        (("1714554000", "1714557600"), datetime(2024, 5, 1, 11)),
        (("1714554000.5", "1714557600.25"), datetime(2024, 5, 1, 11, 0, 0, 250_000)),
        (("1714554000000", "1714557600001"), datetime(2024, 5, 1, 11, 0, 0, 1_000)),
        (("1714554000000000", "1714557600000001"), datetime(2024, 5, 1, 11, 0, 0, 1)),
        (("45296", "45297.5"), datetime(2024, 1, 6, 12)),
        (("2024-05-01 23:59", "2024-05-01 24:00"), datetime(2024, 5, 2)),
        (("31.12.2024 23:59", "31.12.2024 24:00"), datetime(2025, 1, 1)),
        (("20240131235900", "20240201000100"), datetime(2024, 2, 1, 0, 1)),
        (("20240131T235900", "20240201T000100"), datetime(2024, 2, 1, 0, 1)),
        (("Wed Jan 31 23:59:00 2024", "Thu Feb  1 00:01:00 2024"), datetime(2024, 2, 1, 0, 1)),
        (("January 31, 2024", "February 1, 2024"), datetime(2024, 2, 1)),
        (("31. Januar 2024", "1. M\u00e4rz 2024"), datetime(2024, 3, 1)),
        (("Montag, 1. Juli 2024", "Dienstag, 2. Juli 2024 um 14:30"), datetime(2024, 7, 2, 14, 30)),
        (("31 janvier 2024", "1er ao\u00fbt 2024"), datetime(2024, 8, 1)),
        (("31 de enero de 2024", "1 de sept. de 2024"), datetime(2024, 9, 1)),
        (("31-gen-2024", "1-mag-24"), datetime(2024, 5, 1)),
        (("31 mei 2024", "1 mrt 2024"), datetime(2024, 3, 1)),
        (("31 de janeiro de 2024", "1 out 2024"), datetime(2024, 10, 1)),
        (("2024-05-01 1:00 PM", "2024-05-01 2:00 PM"), datetime(2024, 5, 1, 14)),
        (("5/31/24, 1:00\u202fPM", "6/1/24, 2:00\u202fPM"), datetime(2024, 6, 1, 14)),
        (("31/5/2024 1:00 p. m.", "1/6/2024 2:00 a. m."), datetime(2024, 6, 1, 2)),
        (("2024-05-01 08:00:00 -0500", "2024-05-01 09:00:00 -0500"), datetime(2024, 5, 1, 15)),
        (("2024-05-01T14:00:00.000+0000", "2024-05-01T13:00:00Z"), datetime(2024, 5, 1, 14)),
        (("Wed, 01 May 2024 14:00:00 +0200", "Wed, 01 May 2024 13:00:00 +0000"), datetime(2024, 5, 1, 14)),
        (("2024-05-01 14:00:00 CEST", "2024-05-01 14:00:00 CET"), datetime(2024, 5, 1, 14)),
        (("2024-05-01 14:00:00 GMT+0200", "2024-05-01 14:00:00 UTC"), datetime(2024, 5, 1, 15)),
    ],
)
def test_kinds_of_dates(tmp_path, dates, second):
    found = buy(tmp_path, "occurred_at", dates)
    # Seconds count from 1970 in UTC; London is an hour ahead of it in May.
    assert found.occurred_at[1] == second
    assert "unconverted" not in found.columns


def dated(folder: Path, *files: list[str], refused: bool = False, **more):
    for number, days in enumerate(files):
        write(folder, f"raw/{number}.csv", "who,day,spent\n" + "".join(f"c,{day},1\n" for day in days))
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    asked = {"transactions": block("raw/*.csv", columns, **more)}
    return refusal(folder, asked) if refused else build(folder, asked)["transactions"].occurred_at.tolist()


def test_each_file_has_its_own_order_of_day_and_month(tmp_path):
    found = dated(tmp_path, ["25/03/2024", "01/02/2024"], ["03/25/2024", "02/01/2024"], ["2024-02-01"])
    assert found == [datetime(2024, 3, 25), datetime(2024, 2, 1)] * 2 + [datetime(2024, 2, 1)]


def test_a_file_that_cannot_tell_follows_the_others_where_they_agree(tmp_path):
    assert dated(tmp_path, ["25/03/2024"], ["01/02/2024"])[1] == datetime(2024, 2, 1)
    assert dated(tmp_path, ["03/25/2024"], ["01/02/2024"])[1] == datetime(2024, 1, 2)
    assert dated(tmp_path, ["05/05/2024"], ["25/03/2024"], ["01/02/2024"])[2] == datetime(2024, 2, 1)


@pytest.mark.parametrize(
    "files",
    [
        [["25/03/2024"], ["03/25/2024"], ["01/02/2024"]],
        [["05/05/2024"], ["01/02/2024"]],
        [["25/03/2024", "03/25/2024", "01/02/2024"]],
    ],
)
def test_dates_that_nothing_decides_ask_for_dateformat(tmp_path, files):
    message = dated(tmp_path, *files, refused=True)
    assert "options: {dateformat:" in message and message.startswith("files.transactions.columns.occurred_at")


@pytest.mark.parametrize(
    ("dates", "last"),
    [
        (["2026-03-05"] * 9 + ["25/03/2026", "05/03/2026"], datetime(2026, 3, 5)),
        (["25/03/2026"] * 9 + ["2026-03-25 14:00", "2026-03-05"], datetime(2026, 3, 5)),
        (["2026-03-05T10:00:00Z"] * 9 + ["5 March 2026"], datetime(2026, 3, 5)),
    ],
)
def test_two_ways_of_writing_dates_in_one_file_are_both_read_and_said(tmp_path, dates, last):
    assert dated(tmp_path, dates)[-1] == last
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    (check,) = check_files({"transactions": block("raw/*.csv", columns)}, base=tmp_path)
    assert any("written in two ways" in note for note in check.notes)


def test_a_second_way_that_nothing_decides_asks_where_it_is_many_and_goes_to_quarantine_where_it_is_few(tmp_path):
    message = dated(tmp_path, ["2026-03-25"] * 20 + ["05/03/2026", "04/02/2026"], refused=True)
    assert "options: {dateformat:" in message
    found = dated(tmp_path, ["2026-03-25"] * 200 + ["05/03/2026", "04/02/2026"])
    assert sum(pd.isna(one) for one in found) == 2


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        (["1,012.80", "12.80", "3"], ["1012.8", "12.8", "3"]),
        (["1,012", "12", "1,234,567"], ["1012", "12", "1234567"]),
        (["1.012,80", "12,80", "1.234.567"], ["1012.8", "12.8", "1234567"]),
        (["12,80", "7", "-3,5"], ["12.8", "7", "-3.5"]),
        (["1 012,80", "12,80"], ["1012.8", "12.8"]),
        (["1\u202f012,80", "1\u00a0012,80"], ["1012.8", "1012.8"]),
        (["1'012.80", "12.80"], ["1012.8", "12.8"]),
        (["1,23,456.00", "12.00"], ["123456", "12"]),
        (["(12.00)", "12.50", "(1,012.00)"], ["-12", "12.5", "-1012"]),
        (["12.50-", "12.50"], ["-12.5", "12.5"]),
        (["12,-", "12,50", "12,50-"], ["12", "12.5", "-12.5"]),
        (["\u221212.50", "12.50"], ["-12.5", "12.5"]),
        (["$12.50", "-$1,012.50", "($3.00)"], ["12.5", "-1012.5", "-3"]),
        (["12,50 \u20ac", "-1.012,50 \u20ac"], ["12.5", "-1012.5"]),
        (["EUR 12.50", "12.50 EUR", "\u20ac3.00"], ["12.5", "12.5", "3"]),
        (["R$ 1.012,50", "R$ 3,00"], ["1012.5", "3"]),
        (["1.5e+03", "2"], ["1500", "2"]),
    ],
)
def test_kinds_of_amounts(tmp_path, amounts, expected):
    found = buy(tmp_path, "revenue", amounts)
    assert found.revenue.tolist() == [Decimal(amount) for amount in expected]
    assert "unconverted" not in found.columns


@pytest.mark.parametrize(
    ("amounts", "said"),
    [
        (["1,012.80", "12,80", "3.50"], "2 numbers with a decimal point and 1 with a decimal comma"),
        (["1,012", "2,500"], "2 numbers with a comma and three digits"),
        (["1.012", "2.500"], "2 numbers with a point and three digits"),
        (["$12.50", "\u20ac12.50"], "USD"),
        (["12.50 GBP", "12.50 SEK"], "GBP and SEK"),
    ],
)
def test_amounts_that_read_in_two_ways_are_refused(tmp_path, amounts, said):
    message = buy(tmp_path, "revenue", amounts, refused=True)
    assert said in message and message.startswith("files.transactions.columns.revenue")


def test_the_option_decides_what_amounts_do_not(tmp_path):
    for options, amount, expected in (
        ({"decimal_separator": ".", "thousands": ","}, "1,012", "1012"),
        ({"decimal_separator": ","}, "1,012", "1.012"),
        ({"decimal_separator": "."}, "1.012", "1.012"),
        ({"decimal_separator": ",", "thousands": "."}, "1.012", "1012"),
    ):
        assert buy(tmp_path, "revenue", [amount], options=options).revenue.tolist() == [Decimal(expected)]


def test_a_second_column_of_currencies_is_refused_unless_it_is_used(tmp_path):
    text = "who,day,spent,Currency\nc,2024-01-01,1,EUR\nc,2024-01-02,2,USD\n"
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    files = {"transactions": block(write(tmp_path, "t.csv", text), columns)}
    assert "'EUR', 'USD'" in refusal(tmp_path, files)
    files["transactions"]["where"] = "Currency = 'EUR'"
    assert len(build(tmp_path, files)["transactions"]) == 1


@pytest.mark.parametrize("word", ["Guest", "NULL", "nan", "\\N", "-1", "None", "n/a", "(not set)"])
def test_a_word_for_nobody_is_a_guest(tmp_path, word):
    found = buy(tmp_path, "customer_id", [word, "c2", "c3"])
    assert found.customer_id.isna().tolist() == [True, False, False] and "unconverted" not in found.columns


def test_zero_is_a_guest_only_where_it_has_many_rows(tmp_path):
    ids = [str(n) for n in range(40)]
    assert buy(tmp_path, "customer_id", ids).customer_id.notna().all()
    assert buy(tmp_path, "customer_id", [*ids, *["0"] * 20]).customer_id.isna().sum() == 21


def test_codes_stay_text(tmp_path):
    assert buy(tmp_path, "customer_id", ["12E4", "13E5", "120000"]).customer_id.tolist() == [
        "12E4",
        "13E5",
        "120000",
    ]


def test_ids_that_lost_digits_are_refused(tmp_path):
    assert "cut off" in buy(tmp_path, "customer_id", ["4.79386071892e+17", "4.8E+17"], refused=True)
    rounded = [f"{4_793_860_718_920_00 + n}000" for n in range(30)]
    assert "rounded" in buy(tmp_path, "customer_id", rounded, refused=True)
    exact = [f"{479_386_071_892_000_123 + n}" for n in range(30)]
    assert buy(tmp_path, "customer_id", exact).customer_id.tolist() == exact
    pd.DataFrame({"id": [2.0**53 + 2, 7.0], "at": "2024-01-01", "spent": 1}).to_parquet(tmp_path / "t.parquet")
    columns = {"customer_id": "id", "occurred_at": "at", "revenue": "spent"}
    assert "floats" in refusal(tmp_path, {"transactions": block("t.parquet", columns)})


def test_join_ids_makes_one_of_an_id_in_several_spellings(tmp_path):
    ids = ["000123", "123", "123.0", "AB 1", "ab1"]
    assert buy(tmp_path, "customer_id", ids).customer_id.nunique() == 5
    found = buy(tmp_path, "customer_id", ids, options={"join_ids": True})
    assert found.customer_id.tolist() == ["123", "123", "123", "ab1", "ab1"]


def test_no_customer_at_all_leaves_guests(tmp_path):
    columns = {name: SHOP_COLUMNS[name] for name in ("occurred_at", "revenue")}
    assert transactions(tmp_path, columns=columns).customer_id.isna().all()


def test_a_word_for_nothing_is_a_missing_number(tmp_path):
    text = "who,day,spent,n\nc,2024-01-01,1,2\nc,2024-01-02,2,NULL\nc,2024-01-02,2,x\n"
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent", "quantity": "n"}
    text += "c,2024-01-01,1,2\n" * 3
    found = transactions(tmp_path, text, columns=columns)
    assert found.unconverted.dropna().to_dict() == {2: "quantity: 'x'"}


@pytest.mark.parametrize("guard", ['="{}"', '"=""{}"""', "'{}", "\u200b{}", "\u00a0{}\u00a0"])
def test_what_a_spreadsheet_puts_around_a_code_is_no_part_of_it(tmp_path, guard):
    text = "who,day,spent\n" + "".join(f"{guard.format(code)},2024-01-01,1\n" for code in ("00123", "00124"))
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    assert transactions(tmp_path, text, columns=columns).customer_id.tolist() == ["00123", "00124"]


def test_a_name_with_an_apostrophe_before_it_keeps_it(tmp_path):
    assert buy(tmp_path, "customer_id", ["'t Hooft", "c"]).customer_id[0] == "'t Hooft"


@pytest.mark.parametrize(
    ("column", "values"), [("revenue", ["15%", "5%"]), ("revenue", ["10 pcs", "2 pcs"]), ("revenue", ["&euro;1"])]
)
def test_what_is_no_number_is_refused_with_the_cure(tmp_path, column, values):
    assert "an expression makes one" in buy(tmp_path, column, values, refused=True)


@pytest.mark.parametrize("words", ["TRUE FALSE", "yes no", "1 0", "Y N"])
def test_yes_and_no_work_in_expressions(tmp_path, words):
    yes, no = words.split()
    text = f"opened,clicked\n{yes},{no}\n{yes},{yes}\n{no},{no}\n"
    columns = {"responded": "opened AND NOT clicked", "value": "CASE WHEN clicked THEN 2 ELSE 0 END"}
    found = build(tmp_path, {"contacts": block(write(tmp_path, "c.csv", text), columns)})["contacts"]
    assert found.responded.tolist() == [True, False, False] and found["value"].tolist() == [0, 2, 0]


def test_ids_of_digits_around_a_point_are_not_rounded(tmp_path):
    ids = [f"{1234567890123 + n}.{1700000123 + n}" for n in range(40)]
    text = "browser,day,spent\n" + "".join(f"{one},2024-01-05,10\n" for one in ids)
    columns = {"customer_id": "browser || '/x'", "occurred_at": "day", "revenue": "spent"}
    made = transactions(tmp_path, text, columns=columns)
    assert made.customer_id.tolist() == [f"{one}/x" for one in ids]


def test_a_spreadsheet_s_dash_beside_a_currency_is_nothing(tmp_path):
    text = "who,day,spent\n" + "".join(
        f"c{n},2024-01-05,{' $-   ' if n % 4 == 0 else ' $12.50 '}\n" for n in range(40)
    )
    made = transactions(tmp_path, text, columns={"customer_id": "who", "occurred_at": "day", "revenue": "spent"})
    assert made.revenue.astype(float).tolist() == [0 if n % 4 == 0 else 12.5 for n in range(40)]
