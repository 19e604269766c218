"""The data set `files`: mapping, conversion, quarantine, and one sentence for whatever cannot be used."""

import gzip
import hashlib
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import ibis
import pandas as pd
import pytest

from journeybook.datasets.files import build_files, check_files
from journeybook.errors import JourneybookError

SHOP = """InvoiceNo,CustomerID,InvoiceDate,Quantity,UnitPrice,Country
536365,17850.0,2010-12-01 08:26:00,6,2.55,United Kingdom
536366,13047.0,2010-12-01 08:28:00,2,3.39,France
C536379,,2010-12-01 09:41:00,-1,27.50,United Kingdom
536367,13047.0,2010-12-02 10:03:00,3,1.25,France
"""
SHOP_COLUMNS = {"customer_id": "CustomerID", "occurred_at": "InvoiceDate", "revenue": "Quantity * UnitPrice"}


ENGINE = ibis.duckdb.connect()


def write(folder: Path, name: str, text: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def block(path: str, columns: dict | None = None, **more) -> dict:
    return {"path": path, "columns": SHOP_COLUMNS if columns is None else columns, **more}


def build(folder: Path, files: dict, *, timezone: str = "Europe/London") -> dict[str, pd.DataFrame]:
    build_files(ENGINE, folder / "tables", files=files, timezone=timezone, base=folder)
    made = sorted((folder / "tables" / "raw").glob("*.parquet"))
    return {path.stem: ENGINE.read_parquet(path).order_by("row").to_pandas() for path in made}


def transactions(folder: Path, text: str | bytes = SHOP, *, name: str = "shop.csv", **more) -> pd.DataFrame:
    return build(folder, {"transactions": block(write(folder, name, text), **more)})["transactions"]


def refusal(folder: Path, files: dict) -> str:
    with pytest.raises(JourneybookError) as problem:
        build(folder, files)
    message = str(problem.value)
    assert message.endswith(".") and "\n" not in message
    assert list((folder / "tables").glob(".staged*")) == []
    return message


# The mapping


def test_columns_and_expressions(tmp_path):
    found = transactions(tmp_path)
    assert found.columns.tolist() == ["row", "customer_id", "occurred_at", "revenue"]
    assert found.row.tolist() == [1, 2, 3, 4]
    assert found.customer_id.tolist()[:2] == ["17850", "13047"] and pd.isna(found.customer_id[2])
    assert found.revenue.tolist() == [Decimal("15.3"), Decimal("6.78"), Decimal("-27.5"), Decimal("3.75")]
    assert found.occurred_at[0] == datetime(2010, 12, 1, 8, 26)


def test_where_filters_and_renumbers(tmp_path):
    found = transactions(tmp_path, where="Quantity > 0 AND Country = 'France'")
    assert found.row.tolist() == [1, 2] and found.customer_id.tolist() == ["13047", "13047"]


@pytest.mark.parametrize(
    "where", ["InvoiceNo NOT LIKE 'C%'", "NOT starts_with(InvoiceNo, 'C')", "InvoiceNo <> 'C536379'"]
)
def test_a_code_that_is_mostly_digits_is_text_where_text_is_asked(tmp_path, where):
    found = transactions(tmp_path, where=where)
    assert len(found) == 3 and "unconverted" not in found.columns


def test_names_with_dots_spaces_quotes_and_capitals(tmp_path):
    text = 'emp.var.rate,Customer ID,"a ""b""",Date,Y\n1.5,c1,2,2020-01-01,yes\n2.5,c2,3,2020-01-02,no\n'
    columns = {
        "responded": "y = 'yes'",
        "customer_id": "Customer ID",
        "occurred_at": "date",
        "rate": "emp.var.rate",
        "double": "emp.var.rate * 2",
        "sum": '"a ""b""" + 1',
    }
    found = build(tmp_path, {"contacts": block(write(tmp_path, "c.csv", text), columns)})["contacts"]
    assert found.responded.tolist() == [True, False]
    assert found.customer_id.tolist() == ["c1", "c2"]
    assert (
        found.rate.tolist() == [1.5, 2.5]
        and found.double.tolist() == [3.0, 5.0]
        and found["sum"].tolist() == [3, 4]
    )


def test_literals(tmp_path):
    columns = {**SHOP_COLUMNS, "quantity": 1, "store_id": "'s1'"}
    found = transactions(tmp_path, columns=columns)
    assert set(found.quantity) == {Decimal(1)} and set(found.store_id) == {"s1"}
    columns = {"responded": True, "value": 2.5, "channel": "'email'"}
    contacts = build(tmp_path, {"contacts": block("shop.csv", columns)})["contacts"]
    assert contacts.responded.all() and set(contacts.value) == {Decimal("2.5")}


def test_keep_rest_keeps_what_no_expression_names(tmp_path):
    text = "y,age,job,duration,score\n yes ,30,clerk,10,1\nno,31,unknown,20,2\n"
    columns = {"responded": "y = 'yes'", "fast": "duration < 15"}
    found = build(tmp_path, {"contacts": block(write(tmp_path, "c.csv", text), columns, keep="rest")})["contacts"]
    assert found.columns.tolist() == ["row", "responded", "fast", "age", "job", "score"]
    assert found.responded.tolist() == [True, False] and found.fast.tolist() == [True, False]
    assert found.age.dtype == "int64" and found.job.tolist() == ["clerk", "unknown"]


def test_keep_rest_takes_canonical_names_and_leaves_out_identifiers(tmp_path):
    text = "y,channel,Phone,E-mail,row,Score,value\n1,Web,555,a@b.org,9,3,2.50\n0,App,556,c@d.org,8,4,0\n"
    files = {"contacts": block(write(tmp_path, "c.csv", text), {"responded": "y"}, keep="rest")}
    found = build(tmp_path, files)["contacts"]
    assert found.columns.tolist() == ["row", "responded", "channel", "source_row", "Score", "value"]
    assert found.row.tolist() == [1, 2] and found["value"].tolist() == [Decimal("2.5"), Decimal(0)]
    (checked,) = check_files(ENGINE, files=files, base=tmp_path)
    assert "'Phone'" in checked.notes[0] and "'E-mail'" in checked.notes[0]


def test_several_files_in_order(tmp_path):
    header = "CustomerID,InvoiceDate,Quantity,UnitPrice\n"
    write(tmp_path, "raw/2.csv", header + "b,2020-01-02,1,2\n")
    write(tmp_path, "raw/1.csv", header + "a,2020-01-01,1,1\n")
    write(tmp_path, "raw/3.csv", "InvoiceDate;CustomerID;UnitPrice;Quantity\n2020-01-03;c;3;1\n")
    found = build(tmp_path, {"transactions": block("raw/*.csv")})["transactions"]
    assert found.customer_id.tolist() == ["a", "b", "c"] and found.row.tolist() == [1, 2, 3]
    assert found.revenue.tolist() == [1, 2, 3]


def test_files_that_differ_are_joined_by_name_only_on_request(tmp_path):
    write(tmp_path, "1.csv", "CustomerID,InvoiceDate,Quantity,UnitPrice\na,2020-01-01,1,1\n")
    write(tmp_path, "2.csv", "CustomerID,InvoiceDate,Quantity,UnitPrice,Shop\nb,2020-01-02,1,1,s\n")
    assert "'Shop'" in refusal(tmp_path, {"transactions": block("[12].csv")})
    columns = {**SHOP_COLUMNS, "store_id": "Shop"}
    files = {"transactions": block("[12].csv", columns, options={"union_by_name": True})}
    found = build(tmp_path, files)["transactions"]
    assert found.store_id.isna().tolist() == [True, False]


# Values


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
        (("3/1/2020 1:05 PM", "12/31/2020 12:00 AM"), datetime(2020, 3, 1, 13, 5)),
        (("5/5/2020", "6/6/2020"), datetime(2020, 5, 5)),
    ],
)
def test_dates(tmp_path, dates, first):
    text = "who,day,spent\n" + "".join(f"c,{day},1\n" for day in dates)
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


# How files are written


def test_semicolons_and_decimal_commas(tmp_path):
    text = "\ufeffKunde;Tag;Betrag;Anzahl\r\nMüller;01.02.2020;1.234,50;2\r\nGroß;28.02.2020;7,00;1,5\r\n"
    columns = {"customer_id": "Kunde", "occurred_at": "Tag", "revenue": "Betrag", "quantity": "Anzahl * 2"}
    options = {"decimal_separator": ",", "thousands": "."}
    found = transactions(tmp_path, text, columns=columns, options=options)
    assert found.customer_id.tolist() == ["Müller", "Groß"]
    assert found.revenue.tolist() == [Decimal("1234.5"), Decimal(7)] and found.quantity.tolist() == [4, 3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(tmp_path, encoding):
    text = "who,day,spent\nJosé,2020-01-01,1\n".encode(encoding)
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    assert transactions(tmp_path, text, columns=columns).customer_id.tolist() == ["José"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path, end):
    assert len(transactions(tmp_path, SHOP.replace("\n", end))) == 4


def test_mixed_line_ends(tmp_path):
    found = transactions(tmp_path, SHOP.replace("2.55,United Kingdom\n", "2.55,United Kingdom\r\n"))
    assert len(found) == 4 and found.revenue[0] == Decimal("15.3")


@pytest.mark.parametrize("name", ["a [1]*?.csv", "it's.csv", 'a"b.csv', "-x.csv", "größe.csv", "shop.txt", "shop"])
def test_hostile_file_names(tmp_path, name):
    assert len(transactions(tmp_path, name=name)) == 4


def test_gzip(tmp_path):
    assert len(transactions(tmp_path, gzip.compress(SHOP.encode()), name="shop.csv.gz")) == 4


def test_duplicate_and_blank_column_names(tmp_path):
    text = ",id,id,ID,\n0,c,2,3,x\n1,d,4,5,y\n"
    columns = {"responded": "id_1 > 3", "customer_id": "id"}
    found = build(tmp_path, {"contacts": block(write(tmp_path, "c.csv", text), columns, keep="rest")})["contacts"]
    assert found.columns.tolist() == ["row", "responded", "customer_id", "column0", "ID_2", "column4"]
    assert found.customer_id.tolist() == ["c", "d"]


def test_fixed_width_lines(tmp_path):
    text = " id    date     n  value\n 00001 19970101  1   11.77\n 00002 19970112  5  177.00\n"
    options = {"header": False, "skip": 1, "names": ["line"], "delim": "\t"}
    columns = {
        "customer_id": "substr(line, 2, 5)",
        "occurred_at": "strptime(substr(line, 8, 8), '%Y%m%d')",
        "revenue": "CAST(substr(line, 20) AS DECIMAL(10, 2))",
    }
    found = transactions(tmp_path, text, columns=columns, options=options)
    assert found.customer_id.tolist() == ["00001", "00002"] and found.revenue.tolist() == [
        Decimal("11.77"),
        Decimal(177),
    ]


def test_missing_values_as_the_user_writes_them(tmp_path):
    text = SHOP.replace(",17850.0,", ",NULL,")
    found = transactions(tmp_path, text, options={"nullstr": ["NULL", 999]})
    assert found.customer_id.isna().tolist() == [True, False, True, False] and found.customer_id[1] == "13047"


# What cannot be used


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("sum(Quantity)", "sum(), an aggregate"),
        ("Quantity / max(UnitPrice)", "an aggregate"),
        ("weighted_avg(Quantity, UnitPrice)", "an aggregate"),
        ("row_number() OVER ()", "a window function"),
        ("(SELECT 1)", "a subquery"),
        ("Quantity IN (SELECT 1)", "a subquery"),
        ("read_csv('/etc/passwd')", "a table function"),
        ("unnest([1, 2])", "a table function"),
        ("1) FROM read_text('/etc/passwd') WHERE (1 = 1", "more than one expression"),
        ("1; DROP TABLE x", "cannot parse"),
        ("Quantity, UnitPrice", "several values"),
        ("[Quantity]", "several values"),
        ("*", "a star"),
        ("$1", "a parameter"),
        ("random()", "another value at each run"),
        ("now()", "another value at each run"),
        ("Quantity *", "cannot parse"),
        ("Quantity + Pries", "'Pries' is not a column"),
        ("Country * 2", "cannot compute"),
        ("email", "'email' is not a column"),
        ("Quantiti", "the nearest is 'Quantity'"),
        ("Country", "none of its 4 values converts (one is 'France')"),
        ("CAST(Country AS INTEGER)", "cannot be computed"),
        ("", "is empty"),
        (None, "must be the name of a column"),
        (["Quantity"], "must be the name of a column"),
    ],
)
def test_expressions_that_cannot_be_used(tmp_path, expression, said):
    columns = {**SHOP_COLUMNS, "revenue": expression}
    message = refusal(tmp_path, {"transactions": block(write(tmp_path, "shop.csv", SHOP), columns)})
    assert message.startswith("files.transactions.columns.revenue") and said in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "shp.csv"}, "the nearest is 'shop.csv'"),
        ({"path": "none/*.csv"}, "no such folder"),
        ({"path": "."}, "is the folder"),
        ({"path": "https://a.org/b.csv"}, "only files of this machine"),
        ({"path": 3}, "must be the path"),
        ({"colums": {}}, "the nearest is 'columns'"),
        ({"keep": "all"}, "can only be rest"),
        ({"columns": ["a"]}, "must map names"),
        ({"columns": {"customer_id": "CustomerID"}}, "gives no occurred_at and no revenue"),
        ({"columns": {**SHOP_COLUMNS, "revenu": "Quantity"}}, "the nearest is 'revenue'"),
        ({"columns": {**SHOP_COLUMNS, "row": "Quantity"}}, "made by journeybook"),
        ({"where": "Quantity"}, "must be a condition"),
        ({"where": "Quantity > 1000"}, "keeps no row"),
        ({"where": False}, "keeps no row"),
        ({"where": 3}, "must be the name of a column"),
        ({"columns": {**SHOP_COLUMNS, "Revenue": "Quantity"}}, "the nearest is 'revenue'"),
        ({"options": {"decimal_separator": ",", "thousands": ","}}, "one character of its own"),
        ({"where": "sum(Quantity) > 1"}, "an aggregate"),
        ({"options": {"delimeter": ";"}}, "is not an option"),
        ({"options": {"types": {"a": "INT"}}}, "write a CAST"),
        ({"options": {"delim": ";;"}}, "must be one character"),
        ({"options": {"encoding": "ebcdic"}}, "must be utf-8, latin-1 or utf-16"),
        ({"options": {"skip": -1}}, "0 or more"),
        ({"options": {"delim": ";"}}, "'CustomerID' is not a column"),
    ],
)
def test_blocks_that_cannot_be_used(tmp_path, change, said):
    write(tmp_path, "shop.csv", SHOP)
    message = refusal(tmp_path, {"transactions": {**block("shop.csv"), **change}})
    assert message.startswith("files.transactions") and said in message


def test_a_column_may_be_called_where(tmp_path):
    files = {
        "contacts": block(
            write(tmp_path, "c.csv", "y,place\n1,x\n0,y\n"), {"responded": "y", "where": "place || ''"}
        )
    }
    assert build(tmp_path, files)["contacts"]["where"].tolist() == ["x", "y"]


def test_most_dates_decide_how_dates_are_written(tmp_path):
    text = "who,day,spent\nc,2020-01-02,1\nc,12/31/2020,1\nc,12/30/2020,1\nc,11/30/2020,1\n"
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    found = transactions(tmp_path, text, columns=columns)
    assert found.unconverted.dropna().to_dict() == {0: "occurred_at: '2020-01-02'"}


def test_long_ids_keep_their_digits(tmp_path):
    text = "who,day,spent\n12345678901234567890,2020-01-01,1\n12345678901234567891,2020-01-02,2\n"
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent", "basket_id": "who || '-' || spent"}
    found = transactions(tmp_path, text, columns=columns)
    assert found.customer_id[1] == "12345678901234567891" and found.basket_id[0] == "12345678901234567890-1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"CustomerID,InvoiceDate,Quantity,UnitPrice\n", "no file has a row"),
        (b"\n\n\n", "has no header"),
        (b"PK\x03\x04 a spreadsheet", "is not text"),
        (b"a,b\n1,2,3\n4,5,6\n", "do not fit its header"),
        (
            b'CustomerID,InvoiceDate,Quantity,UnitPrice\na,"open,1,1\nb,2020-01-01,1,1\nc,2020-01-01,1,1\n',
            "is not closed",
        ),
    ],
)
def test_files_that_cannot_be_used(tmp_path, content, said):
    (tmp_path / "shop.csv").write_bytes(content)
    assert said in refusal(tmp_path, {"transactions": block("shop.csv")})


def test_a_broken_parquet_file(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and nothing else")
    assert "cannot be read" in refusal(tmp_path, {"transactions": block("t.parquet")})


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "files is empty"),
        (None, "files is empty"),
        ({"transaction": {}}, "the nearest is 'transactions'"),
        ({"transactions": "shop.csv"}, "must hold path and columns"),
    ],
)
def test_tables_that_are_unknown(tmp_path, files, said):
    assert said in refusal(tmp_path, files)


def test_what_the_engine_refuses_is_one_sentence_without_values(tmp_path):
    write(tmp_path, "shop.csv", SHOP.replace("2010-12-01 08:26:00", "2010-12-01T08:26:00Z"))
    with pytest.raises(
        JourneybookError, match=r"^files.transactions cannot be read as its columns say: .*\.$"
    ) as found:
        build(tmp_path, {"transactions": block("shop.csv")}, timezone="Europe/Atlantis")
    assert "Atlantis" not in str(found.value)


def test_an_identifier_belongs_to_customer_records_alone(tmp_path):
    text = "y,mail\n1,a@b.org\n0,c@d.org\n"
    files = {"contacts": block(write(tmp_path, "c.csv", text), {"responded": "y", "email": "mail"})}
    assert "names a person directly" in refusal(tmp_path, files)


def test_no_identifier_in_a_message(tmp_path):
    text = "id,born\n1,12 of May\n2,13 of June\n"
    columns = {"record_id": "id", "source": "'web'", "customer_id": "id", "birth_date": "born"}
    message = refusal(tmp_path, {"customer_records": block(write(tmp_path, "c.csv", text), columns)})
    assert "May" not in message and "99 aa aaa" in message


def test_events_need_one_of_two_ids_and_of_two_orders(tmp_path):
    text = "who,what,at\na,home,2020-01-01\n"
    files = {"events": block(write(tmp_path, "e.csv", text), {"event": "what"})}
    assert "session_id or customer_id and no occurred_at or position" in refusal(tmp_path, files)
    files["events"]["columns"] |= {"customer_id": "who", "occurred_at": "at"}
    assert len(build(tmp_path, files)["events"]) == 1


def test_check_reads_a_sample_and_writes_nothing(tmp_path):
    files = {"transactions": block(write(tmp_path, "shop.csv", SHOP + "1,2,never,1,1,x\n"))}
    before = sorted(tmp_path.rglob("*"))
    (found,) = check_files(ENGINE, files=files, base=tmp_path)
    assert (found.table, found.n_files, found.n_rows, found.n_unconverted) == ("transactions", 1, 5, 1)
    assert found.columns == ("customer_id", "occurred_at", "revenue")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_same_files_give_the_same_bytes(tmp_path):
    files = {"transactions": block(write(tmp_path, "shop.csv", SHOP), where="Quantity > 0")}
    contents = []
    for folder in ("one", "two"):
        connection = ibis.duckdb.connect()
        build_files(connection, tmp_path / folder, files=files, timezone="UTC", base=tmp_path)
        contents.append((tmp_path / folder / "raw" / "transactions.parquet").read_bytes())
    assert contents[0] == contents[1]


# Public data, whole: figures their authors published


def public(name: str, sha256: str) -> Path:
    """The folder of the public data sets, if it holds the right file."""
    folder = os.environ.get("JOURNEYBOOK_DATA")
    if not folder:
        pytest.skip(f"1 witness needs {name} under JOURNEYBOOK_DATA")
    path = Path(folder) / name
    assert path.is_file(), f"JOURNEYBOOK_DATA is set, but {name} is not there"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256, f"{name} is not the published file"
    return Path(folder)


def built(tmp_path: Path, base: Path, files: dict) -> pd.DataFrame:
    build_files(ENGINE, tmp_path, files=files, timezone="UTC", base=base)
    (path,) = (tmp_path / "raw").glob("*.parquet")
    return ENGINE.read_parquet(path).order_by("row").to_pandas()


def test_hillstrom(tmp_path):
    name = "hillstrom/hillstrom.csv"
    base = public(name, "ff9e59285e9dc3f5fa3e0975419e6631ea5bdccd65d818991473d2367e02979c")
    columns = {"variant": "segment", "visit": "visit", "conversion": "conversion", "spend": "spend"}
    found = built(tmp_path, base, {"experiment": block(name, columns, keep="rest")})
    assert found.variant.value_counts().to_dict() == {
        "Womens E-Mail": 21_387,
        "Mens E-Mail": 21_307,
        "No E-Mail": 21_306,
    }
    by_arm = found.groupby("variant")[["visit", "conversion", "spend"]].mean()
    assert by_arm.visit["Mens E-Mail"] == pytest.approx(0.182757, abs=5e-7)
    assert by_arm.conversion["No E-Mail"] == pytest.approx(0.005726, abs=5e-7)
    assert by_arm.spend["Womens E-Mail"] == pytest.approx(1.077202, abs=5e-7)
    assert {"recency", "history", "channel"} < set(found.columns) and "segment" not in found.columns


def test_bank_marketing(tmp_path):
    name = "bank_marketing/bank-additional-full.csv"
    base = public(name, "74adfc578bf77a7ff4bb1ba4a9f8709d9e3c6907342959c2c8416847e0afb4d8")
    found = built(tmp_path, base, {"contacts": block(name, {"responded": "y = 'yes'"}, keep="rest")})
    assert len(found) == 41_188 and found.responded.sum() == 4_640
    assert found.contact.value_counts().to_dict() == {"cellular": 26_144, "telephone": 15_044}
    assert "y" not in found.columns and found["emp.var.rate"].dtype == "float64" and found.age.dtype == "int64"


def test_cdnow(tmp_path):
    name = "cdnow/CDNOW_sample.txt"
    base = public(name, "6fae10155c0b0ba363c2c386e30f77990d22328220efd862a5edd1443420d94a")
    options = {"header": False, "names": ["line"], "delim": "\t"}
    columns = {
        "customer_id": "substr(line, 2, 5)",
        "occurred_at": "strptime(substr(line, 13, 8), '%Y%m%d')",
        "quantity": "CAST(substr(line, 21, 3) AS INTEGER)",
        "revenue": "CAST(substr(line, 24) AS DECIMAL(10, 2))",
    }
    found = built(tmp_path, base, {"transactions": block(name, columns, options=options)})
    assert len(found) == 6_919 and found.customer_id.nunique() == 2_357
    assert sum(found.revenue) == Decimal("244091.94")


def test_febrl(tmp_path):
    name = "febrl/dataset1.csv"
    base = public(name, "637acf9db993a77cc49d479c7c53b739a748615f272a050ff973e8038b1b9cb6")
    columns = {"record_id": "rec_id", "source": "'febrl'", "customer_id": "rec_id", "birth_date": "date_of_birth"}
    columns |= {"given_name": "given_name", "surname": "surname", "postcode": "postcode"}
    found = built(tmp_path, base, {"customer_records": block(name, columns)})
    assert len(found) == 1_000 and found.record_id.str.endswith("-org").sum() == 500
    assert not found.surname.dropna().str.startswith(" ").any() and found.given_name.isna().any()
    # Days such as 1937-12-33 are not dates: the records that bear them go to quarantine.
    assert found.unconverted.dropna().str.startswith("birth_date: ").all()
