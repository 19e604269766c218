"""How somebody's own files are written and packed."""

import gzip
import io
import json
import zipfile
from datetime import datetime
from decimal import Decimal

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from own_files import SHOP, block, build, check_files, refusal, transactions, write


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


NAMES = "who,day,spent\nJosé,2020-01-01,1\n"
OWN = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}


def test_windows_1252_is_found_and_said(tmp_path):
    text = "who,day,spent\nZoë’s €,2020-01-01,1\n".encode("cp1252")
    assert transactions(tmp_path, text, columns=OWN).customer_id.tolist() == ["Zoë’s €"]
    (found,) = check_files({"transactions": block("shop.csv", OWN)}, base=tmp_path)
    assert "shop.csv is not UTF-8 and was read as Windows-1252." in found.notes


@pytest.mark.parametrize("encoding", ["cp1251", "shift_jis", "utf-16-le"])
def test_any_encoding_by_name(tmp_path, encoding):
    text = NAMES.replace("José", "Жук" if encoding == "cp1251" else "山田").encode(encoding)
    found = transactions(tmp_path, text, columns=OWN, options={"encoding": encoding})
    assert found.customer_id[0] in ("Жук", "山田")


def test_packed_files(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        files.writestr("b.csv", NAMES)
        files.writestr("a.csv", NAMES.replace("José", "Ana"))
    assert transactions(tmp_path, packed.getvalue(), name="x.zip", columns=OWN).customer_id.tolist() == [
        "Ana",
        "José",
    ]
    assert len(transactions(tmp_path, gzip.compress(NAMES.encode()), name="export", columns=OWN)) == 1


def test_lines_above_the_header_ask_for_skip(tmp_path):
    text = "Report of May\n\nmade on 1 June\n" + SHOP
    files = {"transactions": block(write(tmp_path, "shop.csv", text))}
    assert "options: {skip: 3}" in refusal(tmp_path, files)
    files["transactions"]["options"] = {"skip": 3}
    assert len(build(tmp_path, files)["transactions"]) == 4


def test_a_quote_that_does_not_close_costs_its_line_alone(tmp_path):
    text = NAMES + 'b,"2020-01-02,1\nc,2020-01-03,1\nd,2020-01-04,"1\ne,2020-01-05,1\n'
    found = transactions(tmp_path, text, columns=OWN)
    assert found.customer_id.dropna().tolist() == ["José", "c", "e"]
    assert found.unconverted.dropna().str.contains("A quote opens and does not close").tolist() == [True, True]


def test_json_lines_with_properties_by_path(tmp_path):
    rows = [
        {
            "id": 479386071892000123,
            "at": "2024-05-01T10:00:00Z",
            "order": {"total": 12.5, "ship to": {"zip": "01234"}},
        },
        {"id": 7, "at": "2024-05-02T10:00:00Z", "order": {"total": 3}},
    ]
    columns = {"customer_id": "id", "occurred_at": "at", "revenue": "order.total", "store_id": "order.ship to.zip"}
    lines = "\n".join(map(json.dumps, rows)) + "\n"
    for text in (lines, json.dumps(rows)):
        found = transactions(tmp_path, text, name="events.json", columns=columns)
        assert found.customer_id.tolist() == ["479386071892000123", "7"] and found.store_id[0] == "01234"
        assert found.revenue.tolist() == [Decimal("12.5"), Decimal(3)] and found.occurred_at[0].hour == 11
    found = transactions(tmp_path, lines + "{broken\n", name="events.json", columns=columns)
    assert found.unconverted.dropna().str.contains("the line is no JSON").tolist() == [True]


def test_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="1 kind of file needs openpyxl")
    book = openpyxl.Workbook()
    for row in (
        ["who", "day", "spent"],
        [479386071892, datetime(2024, 5, 1, 12), 12.5],
        ["b", datetime(2024, 5, 2), 3],
    ):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    found = build(tmp_path, {"transactions": block("t.xlsx", OWN)})["transactions"]
    assert found.customer_id.tolist() == ["479386071892", "b"] and found.revenue.tolist() == [Decimal("12.5"), 3]
    book.create_sheet("Other").append(["x"])
    book.save(tmp_path / "t.xlsx")
    assert "'Sheet', 'Other'" in refusal(tmp_path, {"transactions": block("t.xlsx", OWN)})


ROWS = "a,2024-01-01,10\nb,2024-01-02,20\n"
PLAIN = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("\ufeff\ufeffwho,day,spent\n" + ROWS, {}),
        ("sep=;\nwho;day;spent\n" + ROWS.replace(",", ";"), {}),
        ('"sep=;"\r\nwho;day;spent\r\n' + ROWS.replace(",", ";").replace("\n", "\r\n"), {}),
        ('"who\nid",day,"spent\n(EUR)"\n' + ROWS, {"customer_id": "who id", "revenue": "spent (EUR)"}),
        ("who,day,spent\n" + ROWS.replace("\n", ",\n"), {}),
        ("who,day,spent,\n" + ROWS.replace("\n", ",\n"), {}),
        ("who,day,spent\n" + ROWS.replace("b,", "b\0,").replace("20\n", "2\x000\n"), {}),
        ("who,day,spent\r" + ROWS.replace("\n", "\r"), {}),
        ("who,day,spent\n" + ROWS.replace("1,10\n", "1,10\r"), {}),
    ],
    ids=[
        "two marks",
        "sep",
        "sep quoted",
        "lines in names",
        "one comma more",
        "and in the header",
        "NUL",
        "CR",
        "mixed",
    ],
)
def test_files_that_programs_leave_are_read(tmp_path, text, columns):
    found = transactions(tmp_path, text, columns=PLAIN | columns)
    assert found.customer_id.tolist() == ["a", "b"] and found.revenue.tolist() == [10, 20]
    assert "unconverted" not in found


def test_a_second_column_of_one_name_is_told(tmp_path):
    files = {"transactions": block(write(tmp_path, "t.csv", "who,day,spent,Spent\na,2024-01-01,1,2\n"), PLAIN)}
    (found,) = check_files(files, base=tmp_path)
    assert any("several columns named 'Spent'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ('"who,day,spent"\n"a,2024-01-01,""10"""\n', "stand in quotes"),
        ("<html><body><table><tr><td>who</td></tr></table></body></html>", "HTML"),
        ('{"orders": [{"who": "a"}, {"who": "b"}], "more": false}', "rows stand in 'orders'"),
        ("who~day~spent\na~2024-01-01~10\n", "options: {delim: ...}"),
        ("who   day         spent\na     2024-01-01  10\n", "options: {delim: ...}"),
        ("Report,,\nwho,day,spent\n" + ROWS, "options: {skip: n}"),
    ],
)
def test_files_that_cannot_be_read_are_refused_with_the_cure(tmp_path, text, cure):
    assert cure in refusal(tmp_path, {"transactions": block(write(tmp_path, "t.csv", text), PLAIN)})


def sheet(folder, *rows, merged=()):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for span in merged:
        book.active.merge_cells(span)
    book.save(folder / "t.xlsx")
    return {"transactions": block("t.xlsx", PLAIN)}


def test_a_title_and_merged_cells_of_a_sheet_are_refused_with_the_cure(tmp_path):
    head, day = ["who", "day", "spent"], datetime(2024, 1, 1)
    files = sheet(tmp_path, ["Sales", None, None], [None] * 3, head, ["a", day, 1], merged=["A1:C1"])
    assert "options: {skip: 1}" in refusal(tmp_path, files)
    files["transactions"]["options"] = {"skip": 1}
    assert len(build(tmp_path, files)["transactions"]) == 1
    files = sheet(tmp_path, head, ["a", day, 1], [None, day, 2], merged=["A2:A3"])
    assert "A2:A3" in refusal(tmp_path, files)


def test_a_header_once_more_in_the_middle_is_no_row(tmp_path):
    text = "who,what,way\na,buy,web\nwho,what,way\nb,buy,web\nwho,what,way\n"
    columns = {"session_id": "who", "event": "what", "channel": "way", "position": 1}
    found = build(tmp_path, {"events": block(write(tmp_path, "t.csv", text), columns)})["events"]
    assert found.session_id.dropna().tolist() == ["a", "b"] and found.row.tolist() == [1, 2, 3, 4]
    assert found.unconverted.dropna().tolist() == [f"line: t.csv line {n}, the header once more" for n in (3, 5)]
    options = {"header": False, "names": ["who", "what", "way"]}
    assert len(build(tmp_path, {"events": block("t.csv", columns, options=options)})["events"]) == 5


def test_digits_of_other_scripts_are_digits(tmp_path):
    text = "who,day,spent\n" + "".join(f"{n},٢٠٢٤-٠٣-١{n},{n}2.5\n" for n in "١٢٣") + "４,2024-03-14,４.5\n"
    found = transactions(tmp_path, text, columns=PLAIN)
    assert found.customer_id.tolist() == ["1", "2", "3", "4"]
    assert found.occurred_at.dt.day.tolist() == [11, 12, 13, 14]
    assert found.revenue.tolist() == [Decimal(n) for n in ("12.5", "22.5", "32.5", "4.5")]


def test_a_workbook_that_counts_from_1904_says_so(tmp_path):
    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    for row in (["who", "day", "spent"], ["a", datetime(2024, 3, 1), 1], ["b", datetime(2024, 3, 2), 2]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    files = {"transactions": block("t.xlsx", PLAIN)}
    assert build(tmp_path, files)["transactions"].occurred_at[0] == datetime(2024, 3, 1)
    (checked,) = check_files(files, base=tmp_path)
    assert any("counts days from 1904" in note for note in checked.notes)
