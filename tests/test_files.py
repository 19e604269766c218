"""The data set `files`: the mapping, one sentence for whatever cannot be used, and public data whole."""

import hashlib
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import ibis
import pandas as pd
import pytest
from own_files import ENGINE, SHOP, SHOP_COLUMNS, block, build, check_files, refusal, transactions, write

from journeybook.datasets.files import build_files
from journeybook.errors import JourneybookError


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
    (checked,) = check_files(files, base=tmp_path)
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
        ("Quantiti", "did you mean Quantity?"),
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
        ({"path": "shp.csv"}, "did you mean shop.csv?"),
        ({"path": "none/*.csv"}, "no such folder"),
        ({"path": "."}, "is the folder"),
        ({"path": "https://a.org/b.csv"}, "only files of this machine"),
        ({"path": 3}, "must be the path"),
        ({"colums": {}}, "did you mean columns?"),
        ({"keep": "all"}, "can only be rest"),
        ({"columns": ["a"]}, "must map names"),
        ({"columns": {"customer_id": "CustomerID"}}, "gives no occurred_at and no revenue"),
        ({"columns": {**SHOP_COLUMNS, "revenu": "Quantity"}}, "did you mean revenue?"),
        ({"columns": {**SHOP_COLUMNS, "row": "Quantity"}}, "made by journeybook"),
        ({"where": "Quantity"}, "must be a condition"),
        ({"where": "Quantity > 1000"}, "keeps no row"),
        ({"where": False}, "keeps no row"),
        ({"where": 3}, "must be the name of a column"),
        ({"columns": {**SHOP_COLUMNS, "Revenue": "Quantity"}}, "did you mean revenue?"),
        ({"options": {"decimal_separator": ",", "thousands": ","}}, "one character of its own"),
        ({"where": "sum(Quantity) > 1"}, "an aggregate"),
        ({"options": {"delimeter": ";"}}, "is not an option"),
        ({"options": {"types": {"a": "INT"}}}, "write a CAST"),
        ({"options": {"delim": ";;"}}, "must be one character"),
        ({"options": {"encoding": "ebcdic"}}, "must be an encoding such as utf-8"),
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


def test_dates_written_in_two_ways_are_both_read(tmp_path):
    text = "who,day,spent\nc,2020-01-02,1\nc,12/31/2020,1\nc,12/30/2020,1\nc,11/30/2020,1\n"
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    found = transactions(tmp_path, text, columns=columns)
    assert "unconverted" not in found
    assert found.occurred_at.dt.strftime("%d %b").tolist() == ["02 Jan", "31 Dec", "30 Dec", "30 Nov"]


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
        (b"PK\x03\x04 a spreadsheet", "cannot be unpacked"),
        (b"\xd0\xcf\x11\xe0 a spreadsheet", "an old Excel file"),
        (b"\x1f\x8b\x08 half of it", "cannot be unpacked"),
        (b"a,b\n1,2,3\n4,5,6\n", "do not fit its header"),
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
        ({"transaction": {}}, "did you mean transactions?"),
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
