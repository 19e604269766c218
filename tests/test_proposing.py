"""Proposed mappings: exports made to their published columns, files of other names, what is said and refused."""

import re
from pathlib import Path

import duckdb
import openpyxl
import pytest
import yaml
from own_files import SHOP, build, write

from journeybook.cli import main
from journeybook.proposing.columns import how_alike
from journeybook.proposing.tables import exports
from journeybook.tables import SCHEMAS

# Small files with the columns of the sources that `exports.yaml` names, in their order; people and values are made
# up. For each: the export, the table, the rows kept, and figures that a reader of the file can work out.
FOLDER = Path(__file__).parent / "exports"
CASES = {
    "shopify_orders.csv": (
        "Shopify orders",
        "transactions",
        3,
        {"sum(revenue)": "49.5000", "max(hour(occurred_at))": "9"},
    ),
    "woocommerce_orders.csv": (
        "WooCommerce orders",
        "transactions",
        2,
        {"sum(revenue)": "41.0000", "count(customer_id)": "1"},
    ),
    "woocommerce_analytics_orders.csv": (
        "WooCommerce analytics orders",
        "transactions",
        1,
        {"sum(revenue)": "12.5000"},
    ),
    "stripe_charges.csv": (
        "Stripe charges",
        "transactions",
        1,
        {"sum(revenue)": "15.0000", "min(customer_id)": "cus_1"},
    ),
    "stripe_subscriptions.csv": (
        "Stripe subscriptions",
        "contracts",
        2,
        {"count(churned_at)": "1", "max(churned_at)": "2024-05-04 10:00:00", "count_if(active)": "1"},
    ),
    "uci_online_retail.csv": (
        "UCI Online Retail",
        "transactions",
        2,
        {"sum(revenue)": "12.7500", "min(month(occurred_at))": "12"},
    ),
    "uci_online_retail_ii.csv": (
        "UCI Online Retail II",
        "transactions",
        2,
        {"sum(revenue)": "12.7500", "count(customer_id)": "1"},
    ),
    "ga4_events.jsonl": (
        "GA4 events",
        "events",
        4,
        {"count(DISTINCT session_id)": "3", "min(session_id)": "u1.100"},
    ),
    "ga4_events_flat.csv": (
        "GA4 events",
        "events",
        3,
        {"max(session_id)": "u.2", "min(occurred_at)": "2024-04-01 00:00:00"},
    ),
    "snowplow_events.csv": ("Snowplow events", "events", 3, {"min(event)": "page_view", "min(customer_id)": "d1"}),
    "klaviyo_events.jsonl": (
        "Klaviyo events",
        "events",
        4,
        {"count(DISTINCT event)": "2", "max(hour(occurred_at))": "3"},
    ),
    "klaviyo_campaigns.csv": ("Klaviyo campaigns", "experiment_arms", 2, {"sum(n)": "210", "max(variant)": "B"}),
    "mailchimp_recipients.csv": (
        "Mailchimp recipients",
        "contacts",
        4,
        {"count_if(responded)": "3", "min(contact_id)": "c1.0ab"},
    ),
    "braze_messages.csv": (
        "Braze messages",
        "events",
        5,
        {"count(DISTINCT customer_id)": "3", "max(second(occurred_at))": "4"},
    ),
    "braze_messages_joined.csv": (
        "Braze messages",
        "contacts",
        5,
        {"count_if(responded)": "1", "count_if(opened)": "3"},
    ),
    "growthbook_results.csv": ("GrowthBook results", "experiment_arms", 2, {"sum(n)": "100", "max(sd)": "1.0"}),
    "growthbook_assignments.csv": ("GrowthBook assignments", "experiment", 4, {"count(DISTINCT variant)": "2"}),
    "optimizely_results.csv": (
        "Optimizely results",
        "experiment_arms",
        2,
        {"sum(successes)": "408", "max(metric)": "Clicks"},
    ),
    "optimizely_decisions.csv": (
        "Optimizely decisions",
        "experiment",
        4,
        {"min(occurred_at)": "2024-04-01 00:00:00"},
    ),
}


def proposed(folder: Path, *files: Path | str) -> tuple[str, dict]:
    target = folder / "mine.yaml"
    target.unlink(missing_ok=True)
    assert main(["map", *(str(folder / file) for file in files), "--output", str(target)]) == 0
    text = target.read_text()
    return text, yaml.safe_load(text)


def test_every_known_export_has_a_case() -> None:
    assert {name for name, *_ in CASES.values()} == set(exports())
    assert {file.name for file in FOLDER.iterdir()} == set(CASES)


@pytest.mark.parametrize("file", CASES)
def test_known_exports_keep_their_rows(file: str, tmp_path: Path) -> None:
    name, table, n_rows, figures = CASES[file]
    said, given = proposed(tmp_path, FOLDER / file)
    assert f"{name}, by their columns; published as" in " ".join(said.replace("#", " ").split())
    if table not in SCHEMAS:
        assert given["files"] == {} and f"it would be {table}" in said
        return
    assert list(given["files"]) == [table] and "! " not in said
    rows = build(tmp_path, given["files"], timezone=given["timezone"])[table]
    assert len(rows) == n_rows and "unconverted" not in rows
    asked = duckdb.sql(f"SELECT {', '.join(figures)} FROM rows").fetchall()[0]
    assert dict(zip(figures, map(str, asked), strict=True)) == figures


@pytest.mark.slow
@pytest.mark.parametrize("file", [file for file, (_, table, *_) in CASES.items() if table in SCHEMAS])
def test_known_exports_pass_the_check(file: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    proposed(tmp_path, FOLDER / file)
    code = main(["check", "--params", str(tmp_path / "mine.yaml")])
    # Of arms called A and B nobody can know which was there before: that alone is asked.
    asks = file in ("klaviyo_campaigns.csv", "growthbook_results.csv")
    assert (code, "control: name the variant" in capsys.readouterr().err) == ((2, True) if asks else (0, False))


@pytest.mark.slow
@pytest.mark.parametrize("file", ["shopify_orders.csv", "mailchimp_recipients.csv", "ga4_events.jsonl"])
def test_a_proposal_runs(file: str, tmp_path: Path) -> None:
    _, table, n_rows, _ = CASES[file]
    proposed(tmp_path, FOLDER / file)
    asked = ["--params", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out"), "--only", "01_collection"]
    assert main(["run", *asked]) == 0
    accepted = tmp_path / "out" / "tables" / "accepted" / f"{table}.parquet"
    assert duckdb.sql(f"SELECT count(*) FROM '{accepted}'").fetchall() == [(n_rows,)]


@pytest.mark.parametrize(
    ("name", "answered"), [("Braze messages", "opened OR clicked"), ("Klaviyo events", "responded")]
)
def test_sends_become_contacts_by_the_query_that_the_comment_gives(name, answered, tmp_path, monkeypatch) -> None:
    notes = " ".join(note for table in exports()[name]["tables"] for note in table.get("notes", []))
    query = re.search(r"COPY \(.* TO 'contacts.csv'", notes)[0]
    if name.startswith("Klaviyo"):
        moments = [("P0", "Received Email", 1), ("P0", "Clicked Email", 3), ("P1", "Received Email", 1)]
        moments += [("P1", "Clicked Email", 20), ("P2", "Clicked Email", 2), ("P2", "Received Email", 4)]
        text = "".join(
            f'{{"attributes": {{"datetime": "2024-04-{day:02d}T00:00:00+00:00"}}, "relationships": '
            f'{{"profile": {{"data": {{"id": "{who}"}}}}, "metric": {{"data": {{"id": "{what}"}}}}}}}}\n'
            for who, what, day in moments
        )
        write(tmp_path, "events.jsonl", text)
    else:
        head = "id,external_user_id,user_id,dispatch_id,time\n"
        write(tmp_path, "sends.csv", head + "".join(f"s{n},P{n},u{n},d{n},{1711929600 + n}\n" for n in range(3)))
        write(tmp_path, "opens.csv", head + "o0,P0,u0,d0,1711929700\no1,P1,u1,d9,1711929700\n")
        write(tmp_path, "clicks.csv", head + "c9,P9,u9,d9,1711929700\n")
    monkeypatch.chdir(tmp_path)
    duckdb.connect().execute(query)
    found = duckdb.sql(f"SELECT count(*), count_if({answered}) FROM 'contacts.csv'").fetchall()
    assert found == [(3, 1)], "of three sends one was answered, by its own recipient and in time"
    _, given = proposed(tmp_path, "contacts.csv")
    assert list(given["files"]) == ["contacts"]


GERMAN = """Bestellnummer;Kunden-Nr.;Bestelldatum;Artikelnummer;Menge;Einzelpreis;Filiale
1001;K17;03.04.2024;A1;2;1.012,80;Nord
1002;K18;05.04.2024;A2;1;12,50;Süd
1003;K17;25.04.2024;A1;3;12,50;Nord
"""
SENT = (
    "Kunden-Nr.;Kanal;Gesendet;Antwort;Alter\nK17;Mail;2024-04-01 10:00;ja;33\nK18;SMS;2024-04-02 11:00;nein;44\n"
)


def test_several_files_of_another_language_become_tables_that_join(tmp_path: Path) -> None:
    said, given = proposed(tmp_path, write(tmp_path, "kauf.csv", GERMAN), write(tmp_path, "post.csv", SENT))
    assert list(given["files"]) == ["transactions", "contacts"] and "! " not in said and "? Are" not in said
    made = build(tmp_path, given["files"])
    assert [str(value) for value in made["transactions"].revenue] == ["2025.6000", "12.5000", "37.5000"]
    assert set(made["contacts"].customer_id) == set(made["transactions"].customer_id)
    assert made["contacts"].responded.tolist() == [True, False] and made["contacts"].Alter.tolist() == [33, 44]


def test_nothing_but_values_is_said_to_be_a_guess(tmp_path: Path) -> None:
    rows = [f"u{i * 7 % 90},2024-05-{1 + i % 28:02d} 10:00:00,{1 + i / 8}" for i in range(400)]
    said, given = proposed(tmp_path, write(tmp_path, "a.csv", "who,moment,x\n" + "\n".join(rows)))
    assert given["files"]["transactions"]["columns"] == {
        "customer_id": "who",
        "occurred_at": "moment",
        "revenue": "x",
    }
    assert said.count("# by its values, not its name") == 3
    rows = [f"{i},{('control', 'new')[i % 2]},{i % 3}" for i in range(90)]
    _, given = proposed(tmp_path, write(tmp_path, "b.csv", "i,grp,z\n" + "\n".join(rows)))
    assert given["files"]["experiment"] == {"path": "b.csv", "columns": {"variant": "grp"}, "keep": "rest"}
    rows = [f"{i // 4},{('view', 'basket', 'pay')[i % 3]},2024-05-01 10:{i % 60:02d}" for i in range(400)]
    _, given = proposed(tmp_path, write(tmp_path, "c.csv", "s,e,at\n" + "\n".join(rows)))
    assert given["files"]["events"]["columns"] == {"session_id": "s", "event": "e", "occurred_at": "at"}


def test_subscriptions_become_contracts_by_their_names(tmp_path: Path) -> None:
    rows = "".join(
        f"s{n},K{n % 40},2024-0{1 + n % 3}-05,{'2024-06-01' if n % 2 else ''},12.50\n" for n in range(90)
    )
    for head in (
        "id,customer_id,started_at,cancelled_at,price",
        "Nr,Kundennummer,Vertragsbeginn,Vertragsende,Preis",
    ):
        _, given = proposed(tmp_path, write(tmp_path, "abos.csv", f"{head}\n{rows}"))
        _, who, began, ended, _ = head.split(",")
        columns = {"customer_id": who, "started_at": began, "churned_at": ended}
        assert given["files"]["contracts"]["columns"] == columns
    flagged = "".join(f"K{n},2024-0{1 + n % 3}-05,{('yes', 'no')[n % 2]}\n" for n in range(90))
    _, given = proposed(tmp_path, write(tmp_path, "flags.csv", f"member id,member since,active\n{flagged}"))
    assert "active" in given["files"]["contracts"]["columns"]


def test_what_is_needed_and_not_found_is_a_question(tmp_path: Path) -> None:
    text = "order id,customer id,quantity\n1,a,2\n2,b,1\n"
    said, given = proposed(tmp_path, write(tmp_path, "a.csv", text))
    assert given["files"] == {} and "# ? Which column is occurred_at: When it was paid, naive local time?" in said
    said, given = proposed(tmp_path, write(tmp_path, "b.csv", "colour,size\nred,4\n"))
    assert given["files"] == {} and "# b.csv: not recognised." in said and "# * Columns: colour, size." in said
    both = "customer,date,amount\na,03/04/2024,12.50\nb,05/06/2024,13.00\n"
    said, _ = proposed(tmp_path, write(tmp_path, "c.csv", both))
    assert "! `journeybook check` will stop here" in said and "month first or day first" in " ".join(said.split())
    assert "\n    # options: {dateformat: '%m/%d/%Y'}  # or '%d/%m/%Y'\n" in said


def test_an_export_that_writes_the_month_first_is_read_so_where_no_day_tells(tmp_path: Path) -> None:
    retail = (FOLDER / "uci_online_retail.csv").read_text().replace("/13/", "/1/").replace("/14/", "/2/")
    said, given = proposed(tmp_path, write(tmp_path, "retail.csv", retail))
    assert "this export writes the month first" in said
    rows = build(tmp_path, given["files"])["transactions"]
    assert [str(when) for when in rows.occurred_at] == ["2010-12-01 08:26:00", "2010-12-02 08:26:00"]


def test_preambles_sheets_and_deliveries(tmp_path: Path) -> None:
    head, *rows = SHOP.splitlines()
    book = openpyxl.Workbook()
    book.active.append(head.split(","))
    book.active.append(["1", 2, "2024-01-05", 3, 4.5, "UK"])
    book.create_sheet("2025").append(["other"])
    book.save(tmp_path / "book.xlsx")
    write(tmp_path, "top.csv", "\n".join(["Orders of 2024", "", head, *rows, *rows]))
    for file, options in (("book.xlsx", {"sheet": "Sheet"}), ("top.csv", {"skip": 1})):
        _, given = proposed(tmp_path, file)
        assert given["files"]["transactions"]["options"] == options
        assert len(build(tmp_path, given["files"])["transactions"]) == (1 if "sheet" in options else 8)
    for day in (1, 2):
        write(tmp_path, f"day_{day}.csv", SHOP)
    _, given = proposed(tmp_path, "day_1.csv", "day_2.csv")
    assert given["files"]["transactions"]["path"] == "day_*.csv"
    # A second source of one table is no part of the file, but a comment to choose from.
    said, given = proposed(tmp_path, "day_1.csv", FOLDER / "stripe_charges.csv")
    assert given["files"]["transactions"]["path"] == "day_1.csv" and "#     customer_id: Customer ID" in said


def test_names_of_columns() -> None:
    known = {"customer_id": "KundenNr", "revenue": "order_total", "occurred_at": "Créé le / Date commande"}
    assert {how_alike(name, column) for column, name in known.items()} == {3, 2}
    assert how_alike("Customer Name", "customer_id") == how_alike("update", "occurred_at") == 0


def test_nothing_is_overwritten_and_errors_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    shop = str(tmp_path / write(tmp_path, "shop.csv", SHOP))
    assert main(["map", shop]) == 0 and yaml.safe_load(capsys.readouterr().out)["dataset"] == "files"
    empty = str(tmp_path / write(tmp_path, "empty.csv", ""))
    for asked, said in (
        ([shop, "--output", shop], "is there already"),
        ([shop + "x"], "is no file."),
        ([str(tmp_path)], "is a folder: name its files"),
        ([empty], "'empty.csv' is empty."),
    ):
        assert main(["map", *asked]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line and line.endswith(".") and "file_0" not in line
    assert (tmp_path / "shop.csv").read_text() == SHOP


def test_strange_names_stay_in_their_line(tmp_path: Path) -> None:
    odd = 'date,"cust omer: {id}","amount # x","amount"\n2024-05-01,a,1.5,2.5\n2024-05-02,b,1.5,3.5\n'
    _, given = proposed(tmp_path, write(tmp_path, "odd.csv", odd))
    assert given["files"]["transactions"]["columns"] == {
        "customer_id": "cust omer: {id}",
        "occurred_at": "date",
        "revenue": "amount",
    }
    said, given = proposed(tmp_path, write(tmp_path, "bytes.dat", bytes(range(256)) * 20))
    assert given["files"] == {} and "not recognised" in said
