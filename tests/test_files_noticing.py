"""What is odd about somebody's own rows: said with its size, by `check` and on page 01."""

import json

import pandas as pd
import pytest
from own_files import ENGINE, block, check_files, write

from journeybook.datasets import build_dataset
from journeybook.findings import Finding
from journeybook.tables import owners_view, source_notices

COLUMNS = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
DAYS = [f"2024-01-{1 + n % 28:02d}" for n in range(200)]


def notices(
    folder, frame: pd.DataFrame, table: str = "transactions", columns: dict | None = None, **more
) -> list[dict]:
    """The notices of a table, as page 01 gets them; each makes a finding."""
    frame.to_csv(folder / "t.csv", index=False)
    files = {table: block("t.csv", columns or COLUMNS, **more)}
    run = folder / "tables"
    build_dataset(run, dataset="files", seed=1, timezone="Europe/London", files=files, base=folder)
    found = source_notices(owners_view(run))
    for one in found:
        finding = Finding(**one)
        assert len(finding.text.split()) <= 30 and len(finding.action.split()) <= 30
    return found


def shop(**changed) -> pd.DataFrame:
    return pd.DataFrame({"who": [f"c{n % 40}" for n in range(200)], "day": DAYS, "spent": 10.0, **changed})


def test_nothing_is_noticed_where_nothing_is_odd(tmp_path):
    assert notices(tmp_path, shop()) == []


def test_rows_that_cannot_be_read_are_said_with_their_share_of_revenue(tmp_path):
    spent = ["about 90" if n < 10 else "10" for n in range(200)]
    (found,) = notices(tmp_path, shop(spent=spent))
    assert (
        "10 rows" in found["text"] and "5.0% of the rows" in found["text"] and "32.1% of revenue" in found["text"]
    )
    assert found["value"] == pytest.approx(900 / 2800) and found["worth"] == 1


def test_debits(tmp_path):
    (found,) = notices(tmp_path, shop(spent=-10.0))
    assert "200 of 200 amounts" in found["text"]
    assert notices(tmp_path, shop(spent=[-10.0 if n % 10 == 0 else 10.0 for n in range(200)])) == []


def test_ids_in_several_spellings(tmp_path):
    ids = [("{:06d}", "{}", "{}.0")[n % 3].format(n % 40 + 1) for n in range(200)]
    (found,) = notices(tmp_path, shop(who=ids))
    assert "120 values" in found["text"] and "are 40 but" in found["text"] and "join_ids" in found["action"]
    assert notices(tmp_path, shop(who=ids), options={"join_ids": True}) == []


def test_guests_and_a_crowd(tmp_path):
    (found,) = notices(tmp_path, shop(who=["Guest" if n % 4 == 0 else f"c{n % 40}" for n in range(200)]))
    assert "50 rows" in found["text"] and found["worth"] == 3
    (found,) = notices(tmp_path, shop(who=["till 7" if n % 2 == 0 else f"c{n % 80}" for n in range(200)]))
    assert "50% of the rows" in found["text"]


def test_an_id_that_is_new_with_each_order(tmp_path):
    ids = [f"o{n}" for n in range(200)]
    (found,) = notices(tmp_path, shop(who=ids, lasting=[n % 60 for n in range(200)]))
    assert "200 ids in 200" in found["text"] and "'lasting'" in found["text"]
    (found,) = notices(tmp_path, shop(who=ids))
    assert "Column" not in found["text"]


def test_addresses_as_events_are_counted(tmp_path):
    events = pd.DataFrame({"s": [n // 4 for n in range(600)], "e": ["home", "/p/{n}?u={n}", "cart", "pay"] * 150})
    events["e"] = [e.format(n=n) for n, e in enumerate(events["e"])]
    columns = {"session_id": "s", "event": "e"}
    events, columns = events.assign(n=events.groupby("s").cumcount() + 1), columns | {"position": "n"}
    (found,) = notices(tmp_path, events, "events", columns)
    assert found["text"].startswith("There are 153 kinds of event, and 150 of them come once")
    assert notices(tmp_path, events.assign(e=events["e"].str.split("?").str[0].str[:3]), "events", columns) == []


def test_hours_that_a_clock_skips_or_repeats(tmp_path):
    events = pd.DataFrame({"s": range(50), "e": "view", "day": "2024-03-31 01:30:00"})
    columns = {"session_id": "s", "event": "e", "occurred_at": "day"}
    assert "50 rows" in notices(tmp_path, events, "events", columns)[0]["text"]
    events["day"] = "2024-10-27 01:30:00"
    assert "repeat" in notices(tmp_path, events, "events", columns)[0]["text"]
    events["day"] = "2024-10-27T01:30:00Z"
    assert notices(tmp_path, events, "events", columns) == []


def test_check_says_what_it_understood_and_shows_no_value(tmp_path):
    text = "who,day,spent\n" + "".join(f"Jo{n % 7},25/03/2024,€{n}.50\n" for n in range(300)) + "x,never,1\n"
    files = {"transactions": block(write(tmp_path, "shop.csv", text), COLUMNS)}
    before = sorted(tmp_path.rglob("*"))
    (found,) = check_files(files, base=tmp_path)
    assert (found.n_files, found.n_rows, found.n_tried, found.n_unconverted) == (1, 301, 301, 1)
    assert found.period == ("2024-03-25 00:00", "2024-03-25 00:00") and found.currencies == ("EUR",)
    assert found.n_ids["customer_id"] == pytest.approx(8, abs=1)
    examples = {name: (given, made, lost) for name, given, made, lost in found.examples}
    assert examples["occurred_at"] == ("99/99/9999", "9999-99-99 99:99:99", pytest.approx(1 / 301))
    assert examples["customer_id"][0] in ("a", "aa9")
    assert sorted(tmp_path.rglob("*")) == before


def test_check_counts_all_rows_of_a_large_file(tmp_path):
    rows = 60_000
    ENGINE.con.execute(
        f"COPY (SELECT 'c' || (i % 500) AS who, DATE '2024-01-01' + (i // 1000)::INTEGER AS day, 1 AS spent "
        f"FROM range({rows}) r(i)) TO '{tmp_path / 'shop.csv'}'"
    )
    (found,) = check_files({"transactions": block("shop.csv", COLUMNS)}, base=tmp_path)
    assert found.n_rows == rows and found.n_tried == 20_000 and found.period[1] == "2024-02-29 00:00"


def test_notices_hold_no_id(tmp_path):
    found = notices(tmp_path, shop(who=["secret" if n % 2 == 0 else f"c{n}" for n in range(200)]))
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"who": ["Subtotal:" if n % 10 == 9 else f"c{n % 40}" for n in range(200)]}, "20 rows"),
        ({"spent": [None if n % 4 else 10.5 for n in range(200)]}, "150 rows"),
        ({"spent": [f"{1999 + n}" for n in range(200)]}, "whole numbers"),
    ],
    ids=["sums", "blank", "cents"],
)
def test_what_can_be_read_and_may_be_wrong_is_said(tmp_path, changed, said):
    (found,) = notices(tmp_path, shop(**changed))
    assert said in found["text"]


def test_an_order_told_on_several_lines(tmp_path):
    orders = [f"o{n // 4}" for n in range(200)]
    columns = COLUMNS | {"basket_id": "order"}
    (found,) = notices(tmp_path, shop(order=orders, spent=[20.5 + n // 4 for n in range(200)]), columns=columns)
    assert "50 of 50 baskets" in found["text"] and "4.0-fold" in found["text"]
    (found,) = notices(
        tmp_path, shop(order=orders, spent=[None if n % 4 else 9.5 for n in range(200)]), columns=columns
    )
    assert "150 of them belong to a basket" in found["text"]
    assert notices(tmp_path, shop(order=orders, spent=[20.5 + n for n in range(200)]), columns=columns) == []


def test_times_without_an_offset_beside_others_are_noticed(tmp_path):
    mixed = [f"{day}T10:00:00{'Z' if n % 4 else ''}" for n, day in enumerate(DAYS)]
    (found,) = notices(tmp_path, shop(day=mixed))
    assert (
        found["text"].startswith("50 rows of transactions have a time without an offset") and found["value"] == 50
    )
    for alike in ("Z", ""):
        assert notices(tmp_path, shop(day=[f"{day}T10:00:00{alike}" for day in DAYS])) == []


def test_years_of_another_calendar_are_noticed(tmp_path):
    rows = "".join(f"c{n},25{67 + n % 2}-03-0{1 + n % 9},5\n" for n in range(40))
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    asked = {"transactions": block(write(tmp_path, "t.csv", f"who,day,spent\n{rows}"), columns)}
    (found,) = check_files(asked, base=tmp_path)
    assert any("40 rows of transactions are dated before 1900 or after 2199" in note for note in found.notes)


def test_several_ids_in_one_cell(tmp_path):
    several = [f"c{n % 40}; c{n % 7}" if n % 10 == 0 else f"c{n % 40}" for n in range(200)]
    (found,) = notices(tmp_path, shop(who=several))
    assert found["text"] == "In 20 rows of transactions customer_id looks like several ids in one cell."
    assert found["value"] == 20 and found["worth"] == 1


@pytest.mark.parametrize("who", ["12|{}", "Smith, {:c}", "jo+{}@example.org", "A/{}"])
def test_an_id_of_several_parts_is_one_id(tmp_path, who):
    ids = [who.format(97 + n % 20) for n in range(200)]
    assert notices(tmp_path, shop(who=ids)) == []


def test_several_ids_are_told_where_most_cells_hold_some(tmp_path):
    ids = [f"P{n % 9}, P{n % 5 + 20}" if n % 4 else f"P{n % 9}" for n in range(200)]
    (found,) = notices(tmp_path, shop(item=ids), columns={**COLUMNS, "product_id": "item"})
    assert "150 rows of transactions product_id" in found["text"]


def test_refunds_in_a_column_that_nothing_uses(tmp_path):
    back = ["12.50" if n % 10 == 0 else "0.00" if n % 2 else "" for n in range(200)]
    frame = shop(**{"Refunded Amount": back})
    (found,) = notices(tmp_path, frame)
    assert "holds amounts in 20 rows, 12.5% of revenue" in found["text"] and found["value"] == 0.125
    cure = {**COLUMNS, "revenue": 'spent - coalesce("Refunded Amount", 0)'}
    assert cure["revenue"].removeprefix("spent") in found["action"]
    assert notices(tmp_path, frame, columns=cure) == []


def test_states_that_say_a_row_was_no_sale(tmp_path):
    state = ["wc-failed" if n % 20 == 0 else "wc-refunded" if n % 20 == 1 else "wc-completed" for n in range(200)]
    frame = shop(status=state, **{"Cancelled at": ["2024-02-01" if n == 7 else "" for n in range(200)]})
    called_off, states = sorted(notices(tmp_path, frame), key=lambda one: one["text"])
    assert "In 1 row of" in called_off["text"] and called_off["worth"] == 3
    assert "20 rows of transactions, 10.0%" in states["text"] and "'wc-failed', 'wc-refunded'" in states["text"]
    where = states["action"].partition("where: ")[2].removesuffix(".")
    (left,) = notices(tmp_path, frame, where=where)
    assert "Cancelled at" in left["text"]


def test_messages_that_did_not_arrive(tmp_path):
    state = ["Hard Bounced" if n % 5 == 0 else "Delivered" for n in range(200)]
    frame = pd.DataFrame({"who": [f"c{n}" for n in range(200)], "y": [n % 2 for n in range(200)], "state": state})
    (found,) = notices(tmp_path, frame, "contacts", {"customer_id": "who", "responded": "y"})
    assert "In 40 rows of contacts, 20.0%" in found["text"] and "messages that arrived" in found["action"]


def test_deliveries_that_overlap(tmp_path):
    frame = shop(spent=[float(n) for n in range(200)])
    for number, part in enumerate((frame.head(120), frame.tail(120))):
        part.to_csv(tmp_path / f"week{number}.csv", index=False)
    odd = check_files({"transactions": block("week*.csv", COLUMNS)}, base=tmp_path)[0].notes
    (said,) = (note for note in odd if "another file" in note)
    assert said.startswith("40 rows of transactions stand in another file as well, 17%.")
    frame.tail(80).to_csv(tmp_path / "week1.csv", index=False)
    (found,) = check_files({"transactions": block("week*.csv", COLUMNS)}, base=tmp_path)
    assert not any("another file" in note for note in found.notes)


def test_rows_of_nothing_are_told_from_rows_without_an_amount(tmp_path):
    text = "who,day,spent\n" + "".join(f"c{n % 40},{day},10\n,,\n" for n, day in enumerate(DAYS))
    write(tmp_path, "gaps.csv", text)
    (found,) = check_files({"transactions": block("gaps.csv", COLUMNS)}, base=tmp_path)
    assert any("200 of them hold nothing at all" in note for note in found.notes)


def test_counts_where_yes_or_no_is_needed_name_the_expression(tmp_path):
    clicks = [n % 4 for n in range(200)]
    frame = pd.DataFrame({"who": [f"c{n}" for n in range(200)], "clicks": clicks})
    (found,) = notices(tmp_path, frame, "contacts", {"customer_id": "who", "responded": "clicks"})
    assert "responded: clicks > 0" in found["action"]
    assert notices(tmp_path, frame, "contacts", {"customer_id": "who", "responded": "clicks > 0"}) == []
