"""Page 02: rules, the change log and missing values."""

from datetime import datetime
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pytest

from journeybook import cleaning
from journeybook.cleaning import witnesses
from journeybook.cleaning.attributes import clean_products, pass_through
from journeybook.cleaning.missing import customer_spend
from journeybook.cleaning.phones import one_form
from journeybook.cleaning.records import clean_records, has_five_digit_postcodes
from journeybook.cleaning.transactions import clean_transactions, revenue_fence
from journeybook.cleaning.words import differs
from journeybook.statistics import stream
from journeybook.statistics.ranks import chance_of_more

RULES = {"unique_key": [], "volume_quantity": 100, "outlier_mads": 5.0, "country_code": "1", "as_of": None}
MONEY = "decimal(18, 4)"


def table(**columns):
    frame = pd.DataFrame(columns)
    frame.insert(0, "row", range(1, len(frame) + 1))
    return ibis.memtable(frame)


def receipts(lines, *, columns=("customer_id", "revenue", "quantity", "product_id")):
    frame = pd.DataFrame(lines, columns=list(columns))
    made = table(**frame, occurred_at=pd.date_range("2026-01-05 10:00", periods=len(frame), freq="h"))
    casts = {c: made[c].cast(MONEY) for c in ("revenue", "quantity") if c in columns}
    return made.mutate(**casts)


def touched(changes):
    some = changes[changes.rows_changed > 0]
    return {(row.column, row.rule): row.rows_changed for row in some.itertuples()}


# Each line of a receipt and the type a reader gives it by hand.
LINES = [
    (("a", 2.5, 1, "p"), "sale"),
    (("a", 0, 1, "p"), "free"),
    (("a", 0, 0, "p"), "empty"),
    (("a", 1.5, 0, "p"), "amount_only"),
    (("a", -2.5, -1, "p"), "return"),
    (("b", -2.5, 1, "p"), "return"),
    (("b", 0, -1, "p"), "return"),
    (("b", 0, None, "p"), "free"),
    (("b", 3, None, "p"), "sale"),
]


def test_every_line_gets_its_type_and_keeps_its_amounts():
    lines = receipts([line for line, _ in LINES])
    found = clean_transactions(lines, unique_key=[], volume_quantity=100, outlier_mads=5)
    frame = found.table.order_by("row").to_pandas()
    assert list(frame.line_type) == [kind for _, kind in LINES]
    before = lines.to_pandas()
    assert list(frame.revenue) == list(before.revenue)
    assert found.set_aside is None


def test_without_quantities_money_alone_says_the_type():
    lines = receipts(
        [("a", 2, "p"), ("a", 0, "p"), ("a", -1, "p")], columns=("customer_id", "revenue", "product_id")
    )
    found = clean_transactions(lines, unique_key=[], volume_quantity=100, outlier_mads=5)
    frame = found.table.order_by("row").to_pandas()
    assert list(frame.line_type) == ["sale", "free", "return"]
    assert "units" not in frame and "by_volume" not in frame


def test_fuel_counts_as_one_unit_and_a_big_purchase_does_not():
    fuel = [("a", 20, 9000 + i, "fuel") for i in range(3)] + [("a", 2, 40, "fuel")]
    corn = [("a", 1, 5, "corn"), ("a", 1, 4, "corn"), ("a", 9, 144, "corn")]
    found = clean_transactions(receipts(fuel + corn), unique_key=[], volume_quantity=100, outlier_mads=5)
    frame = found.table.order_by("row").to_pandas()
    assert list(frame.by_volume) == [True] * 4 + [False] * 3
    assert [int(u) for u in frame.units] == [1, 1, 1, 1, 5, 4, 144]
    assert list(frame.is_outlier) == [False] * 6 + [True]


def test_the_fence_is_the_median_plus_robust_deviations_of_the_log():
    money = [1.0, 2.0, 4.0, 8.0, 16.0]
    lines = receipts([("a", m, 1, "p") for m in money]).mutate(line_type=ibis.literal("sale"))
    # Logs are 0 to 4 times ln 2: median 2 ln 2, median absolute deviation ln 2.
    assert revenue_fence(lines, 2.0) == pytest.approx(np.exp(np.log(2) * (2 + 2 * 1.4826)))
    assert revenue_fence(lines.filter(lines.revenue == 2), 2.0) == np.inf
    assert revenue_fence(lines.filter(lines.revenue < 0), 2.0) == np.inf


def test_equal_lines_are_set_aside_only_where_a_key_says_so():
    twice = [("a", 2, 1, "p"), ("a", 2, 1, "p"), ("a", 2, 1, "q")]
    lines = receipts(twice).mutate(occurred_at=ibis.timestamp("2026-01-05 10:00:00"))
    kept = cleaning.clean_tables({"transactions": lines}, **RULES)
    assert kept.counts.iloc[0].tolist() == ["transactions", 3, 3, 0, 0]
    keyed = cleaning.clean_tables({"transactions": lines}, **RULES | {"unique_key": ["customer_id", "product_id"]})
    assert keyed.counts[["rows_set_aside", "rows_touched"]].to_numpy().tolist() == [[1, 1]]
    assert keyed.set_aside["transactions"].to_pandas()["row"].tolist() == [2]
    assert keyed.tables["transactions"].order_by("row").to_pandas()["row"].tolist() == [1, 2]
    assert touched(keyed.changes)["customer_id, product_id", "copy of a line with the same key"] == 1


def test_a_key_that_is_missing_makes_no_copies():
    lines = receipts([(None, 2, 1, "p"), (None, 2, 1, "p")]).mutate(
        customer_id=ibis.null("string"), occurred_at=ibis.timestamp("2026-01-05 10:00:00")
    )
    found = cleaning.clean_tables({"transactions": lines}, **RULES | {"unique_key": ["customer_id"]})
    assert found.counts.rows_set_aside.item() == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unique_key": ["receipt"]}, "unique_key names 'receipt'"),
        ({"volume_quantity": 1}, "volume_quantity is 1"),
        ({"outlier_mads": 0}, "outlier_mads is 0"),
    ],
)
def test_a_parameter_out_of_range_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        cleaning.clean_tables({"transactions": receipts([("a", 2, 1, "p")])}, **RULES | change)


def test_a_table_without_rules_is_named():
    with pytest.raises(ValueError, match="'weather' has no rules"):
        cleaning.clean_tables({"weather": table(rain=[1])}, **RULES)


def test_no_transaction_at_all_is_cleaned():
    empty = receipts([("a", 2, 1, "p")]).filter(ibis._.row < 0)
    found = cleaning.clean_tables({"transactions": empty}, **RULES)
    assert found.counts.rows_out.item() == 0
    assert found.changes.rows_changed.sum() == 0


# Customer records: how a field comes, and how it is written after.
FIELDS = [
    ("given_name", "  ZOË  Ann ", "zoe ann"),
    ("given_name", "-", None),
    ("surname", "O'Brien", "obrien"),
    ("surname", "Null", "null"),
    ("surname", "Smith-Jones", "smith-jones"),
    ("email", " Ann@Example.COM ", "ann@example.com"),
    ("email", "ann.example.com", None),
    ("email", "ann@localhost", None),
    ("phone", "(212) 555-0147", "2125550147"),
    ("phone", "+1 212 555 0147", "2125550147"),
    ("phone", "1-212-555-0147", "2125550147"),
    ("phone", "0012125550147", "2125550147"),
    ("phone", "555", None),
    ("phone", "000-000-0000", None),
    ("postcode", "02134-1234", "02134"),
    ("postcode", "2134", "02134"),
    ("postcode", "21341234", "02134"),
    ("postcode", "unknown", None),
    ("address", "12 North Main Street, Apt. 3", "12 n main st apt 3"),
    ("birth_date", pd.Timestamp("1980-02-03"), pd.Timestamp("1980-02-03")),
    ("birth_date", pd.Timestamp("1880-02-03"), None),
    ("birth_date", pd.Timestamp("2027-02-03"), None),
]


@pytest.mark.parametrize(("column", "before", "after"), FIELDS)
def test_customer_records_are_written_one_way(column, before, after):
    records = table(record_id=["r"], source=["web"], customer_id=["c"], **{column: [before]})
    if column == "birth_date":
        records = records.mutate(birth_date=records.birth_date.cast("date"))
    found = clean_records(records, country_code="1", five_digits=True, as_of=datetime(2026, 1, 1))
    value = found.table.to_pandas()[column].item()
    assert (None if pd.isna(value) else value) == after


def test_other_countries_keep_their_postcodes_and_lose_their_code():
    records = table(
        record_id=["r", "s"],
        source=["web"] * 2,
        customer_id=["c", "d"],
        phone=["+44 (0)7700 900123", "07700 900123"],
        postcode=["sw1a 1aa", "2600"],
    )
    assert not has_five_digit_postcodes([records])
    found = clean_records(records, country_code="44", five_digits=False, as_of=None).table
    frame = found.order_by("row").to_pandas()
    assert list(frame.phone) == ["7700900123", "7700900123"]
    assert list(frame.postcode) == ["SW1A1AA", "2600"]


# (0)20 and 0044: +44 20; Mexico's +52 1, 044 and 01 until 2019; Argentina's 9 from abroad and 15 at home.
@pytest.mark.parametrize(
    ("country_code", "forms", "one"),
    [
        (
            "44",
            ["+44 (0)20 7946 0123", "020 7946 0123", "0044 20 7946 0123", "020 7946 0123 ext. 5"],
            "2079460123",
        ),
        ("52", ["+52 1 55 1234 5678", "044 55 1234 5678", "01 55 1234 5678", "55 1234 5678"], "5512345678"),
        ("1", ["+52 1 55 1234 5678", "0052 55 1234 5678", "011 52 1 55 1234 5678"], "525512345678"),
        ("54", ["+54 9 341 512 3456", "0341 15 512-3456", "+54 341 15 512-3456"], "93415123456"),
        ("54", ["+54 9 11 2345 6789", "011 15 2345-6789", "15 2345-6789"], "91123456789"),
        ("39", ["+39 06 698 12345", "06 698 12345"], "0669812345"),
        ("7", ["8 (912) 345-67-89", "+7 912 345 67 89"], "9123456789"),
        ("", ["+44 (0)20 7946 0123", "0044 20 7946 0123"], "442079460123"),
    ],
)
def test_a_number_has_one_form_at_home_and_abroad(country_code, forms, one):
    assert {one_form(written, country_code) for written in forms} == {one}


def test_a_record_listed_twice_is_set_aside_and_a_changed_one_is_kept():
    records = table(
        record_id=["r", "r", "r"], source=["web"] * 3, customer_id=["c"] * 3, email=["a@b.de", "a@b.de", "x@b.de"]
    )
    found = cleaning.clean_tables({"customer_records": records}, **RULES)
    assert found.counts[["rows_out", "rows_set_aside"]].to_numpy().tolist() == [[2, 1]]


def test_a_row_touched_by_two_rules_is_touched_once():
    records = table(record_id=["r", "s"], source=["web"] * 2, customer_id=["c", "d"], surname=["Doe", "doe"],
                    email=["Jane@Doe.org", "j@doe.org"])  # fmt: skip
    places = table(postcode=["4354", "12345"], as_of=[datetime(2026, 1, 1)] * 2, name=["?", "x"])
    found = cleaning.clean_tables({"customer_records": records, "third_party": places}, **RULES)
    assert found.changes.rows_changed.sum() == 4
    assert found.counts.rows_touched.tolist() == [1, 1]


def test_the_log_shows_shapes_and_never_a_name():
    records = table(record_id=["r"], source=["web"], customer_id=["c"], surname=["Doe"], email=["Jane@Doe.org"])
    found = clean_records(records, country_code="1", five_digits=False, as_of=None)
    told = found.changes.to_csv().lower()
    assert "jane" not in told and "doe" not in told
    assert touched(found.changes) == {("surname", "written one way"): 1, ("email", "written one way"): 1}


def test_a_country_code_is_digits():
    with pytest.raises(ValueError, match="country_code is '\\+1'"):
        clean_records(
            table(record_id=["r"], source=["web"], customer_id=["c"]),
            country_code="+1",
            five_digits=True,
            as_of=None,
        )


def test_products_are_one_row_each_and_their_placeholders_missing():
    products = table(
        product_id=["p", "q", "p"], brand=["Private", " Unknown ", "National"], category=["A", "none", ""]
    )
    found = clean_products(products)
    frame = found.table.order_by("row").to_pandas()
    assert frame.product_id.tolist() == ["p", "q"]
    assert frame.brand.fillna("missing").tolist() == ["Private", "missing"]
    assert frame.category.tolist() == ["A", "none"]
    assert found.set_aside.to_pandas()["row"].tolist() == [3]


def test_third_party_rows_that_become_one_postcode_are_one_row():
    area = table(
        postcode=["02134", "2134", "02134-1234", "99501"],
        as_of=pd.to_datetime(["2026-01-01", "2026-01-01", "2026-07-01", "2026-01-01"]),
        income=[1.0, 2.0, 3.0, 4.0],
    )
    found = cleaning.clean_tables({"third_party": area}, **RULES)
    frame = found.tables["third_party"].order_by("row").to_pandas()
    assert frame.postcode.tolist() == ["02134", "02134", "99501"]
    assert frame.income.tolist() == [1.0, 3.0, 4.0]
    assert found.counts.rows_set_aside.item() == 1


def test_outcomes_variants_and_paths_pass_through():
    tables = {
        "contacts": table(responded=[True, False, True], age=[30, None, 30]),
        "experiment": table(variant=["a", "b", "a"], spend=[0.0, 1e9, 0.0]),
        "paths": table(path=["a > b", "a"], conversions=[1, 2], nulls=[0, 5]),
        "events": table(session_id=["1", "1"], event=["home", "home"], position=[1, 1]),
    }
    found = cleaning.clean_tables(tables, **RULES)
    for name, before in tables.items():
        pd.testing.assert_frame_equal(found.tables[name].order_by("row").to_pandas(), before.to_pandas())
    assert found.changes.empty


def test_rows_are_numbered_anew_without_gaps():
    some = table(event=["a", "b", "c"]).filter(ibis._.row != 2)
    assert pass_through(some).table.order_by("row").to_pandas()["row"].tolist() == [1, 2]


def test_missing_values_and_words_for_them_are_counted():
    report = cleaning.missing_report({"contacts": table(job=["clerk", None, " Unknown"], age=[1.0, None, None])})
    assert report.n_missing.tolist() == [1, 2]
    assert report.n_placeholders.tolist() == [1, 0]
    assert report.missing_share.tolist() == pytest.approx([1 / 3, 2 / 3])


def told_apart(name, made, column):
    """Present, not applicable, not asked, missing; and whether the second count of contacts agrees."""
    report = cleaning.missing_report({name: made})
    one = report[report["column"] == column].iloc[0]
    if name == "contacts":
        off = witnesses._empties_off(made, report.set_index("column"))
        lumped = report.assign(n_not_applicable=0, n_not_asked=0).set_index("column")
        assert (off, witnesses._empties_off(made, lumped)) == (0, one.n_not_applicable + one.n_not_asked)
    return one[["n_present", "n_not_applicable", "n_not_asked", "n_missing"]].tolist()


@pytest.mark.parametrize(
    ("name", "columns", "column", "counts"),
    [
        # Nothing sent twice; 20 messages of a channel that never tells; one hole of a channel that does.
        ("contacts", {"channel": ["none"] * 2 + ["sms"] * 20 + ["email"] * 2,
                      "opened": [None] * 22 + [True, None]}, "opened", [1, 2, 20, 1]),
        # 19 are too few to say that a channel never tells.
        ("contacts", {"channel": ["sms"] * 19 + ["email"], "clicked": [None] * 19 + [True]},
         "clicked", [1, 0, 0, 19]),
        ("contacts", {"responded": [True, True, False], "value": [1.0, None, None]}, "value", [1, 1, 0, 1]),
        ("contacts", {"opened": [True, None]}, "opened", [1, 0, 0, 1]),
        ("events", {"session_id": ["a", "a", "b", None], "customer_id": ["x", None, None, None]},
         "customer_id", [1, 0, 1, 2]),
        ("transactions", {"customer_id": ["x", None]}, "customer_id", [1, 0, 0, 1]),
        ("products", {"category": ["fuel"] * 20 + ["soap", None, "soap"], "name": ["a"] * 21 + [None, "a"],
                      "package_size": [None] * 22 + ["1 OZ"]}, "package_size", [1, 20, 1, 1]),
        ("third_party", {"postcode": ["1", "2", "3"], "income": [1.0, None, None], "age": ["x", "y", None]},
         "income", [1, 0, 1, 1]),
        ("third_party", {"postcode": ["1", "2"], "income": [1.0, None]}, "income", [1, 0, 0, 1]),
        ("customer_records", {"source": ["web"] * 20 + ["shop"] * 3, "email": ["a"] * 23,
                              "phone": [None] * 20 + ["1", "2", None]}, "phone", [2, 0, 20, 1]),
        ("customer_records", {"email": ["a", None, None], "phone": ["1", "2", None]}, "email", [1, 0, 1, 1])
    ],
)  # fmt: skip
def test_not_applicable_not_asked_and_missing_are_told_apart(name, columns, column, counts):
    made = table(**columns)
    kinds = {c: {"responded": "boolean", "opened": "boolean", "clicked": "boolean"}.get(c) for c in columns}
    made = made.mutate(**{c: made[c].cast(kind) for c, kind in kinds.items() if kind})
    assert told_apart(name, made, column) == counts


def test_who_was_sent_no_coupon_lacks_no_value():
    lines, _ = spenders()
    tables = {"transactions": lines, "coupon_contacts": table(customer_id=["c399"] * 30, responded=[True] * 30)}
    assert cleaning.presence_by_spend(tables, level=0.95, max_customers=1000).empty


def spenders(n=400):
    spend = np.arange(1, n + 1, dtype=float)
    lines = receipts([(f"c{i}", Decimal(str(s)), 1, "p") for i, s in enumerate(spend)])
    return lines, spend


def test_presence_that_goes_with_spend_is_found():
    lines, spend = spenders()
    rich = [f"c{i}" for i, s in enumerate(spend) if s > 300]
    tables = {"transactions": lines, "third_party": table(customer_id=rich, age=["x"] * len(rich))}
    found = cleaning.presence_by_spend(tables, level=0.95, max_customers=1000)
    assert found[["column", "n_with", "n_without"]].to_numpy().tolist() == [["any", 100, 300]]
    assert found.auc.item() == 1.0
    assert found.median_spend_with.item() == pytest.approx(350.5)
    assert len(differs(found)) == 1


def test_presence_at_random_is_seldom_called_anything_else():
    lines, spend = spenders()
    rng = stream(7, "presence")
    listed = table(customer_id=[f"c{i}" for i in range(len(spend))], **{
        f"v{k}": pd.Series(rng.random(len(spend)) < 0.5).map({True: "x", False: None}).tolist() for k in range(20)
    })  # fmt: skip
    found = cleaning.presence_by_spend(
        {"transactions": lines, "third_party": listed}, level=0.95, max_customers=1000
    )
    assert len(found) == 20
    assert len(differs(found)) <= 1


def test_the_interval_of_a_chance_covers_it():
    rng = stream(3, "coverage")
    truth, covered = 0.6914624612740131, 0  # Phi(1 / 2): normals half a pooled deviation apart
    for _ in range(400):
        _, low, high = chance_of_more(rng.normal(0.5 * 2**0.5, 1, 60), rng.normal(0, 1, 90), level=0.95)
        covered += low <= truth <= high
    # 95 % of 400, less four standard errors.
    assert covered / 400 >= 0.95 - 4 * (0.95 * 0.05 / 400) ** 0.5


def test_customers_beyond_the_limit_are_drawn_by_a_hash_of_each():
    lines, _ = spenders(100)
    drawn = customer_spend(lines, max_customers=30).customer_id.tolist()
    assert 15 <= len(drawn) <= 45
    left = drawn[0]
    without = customer_spend(lines.filter(lines.customer_id != left), max_customers=30)
    assert without.customer_id.tolist() == drawn[1:]


def test_text_read_in_another_encoding_is_read_in_its_own_and_good_text_stays():
    words = ["ZoÃ«", "MÃ¼ller", "l’Ã‰tÃ©", "CAFÉ’S", "Müller", "AcciÓ”", "M\ufffdller", None]
    tables = {"products": table(product_id=[f"p{k}" for k in range(8)], name=words)}
    found = cleaning.clean_tables(tables, **RULES)
    after = found.tables["products"].order_by("row").to_pandas()["name"]
    assert after[:7].tolist() == ["Zoë", "Müller", "l’Été", *words[3:7]]
    told = touched(found.changes)
    assert told == {("name", "read in another encoding"): 3, ("name", "a letter was lost in an encoding"): 1}
    cells = found.cells.to_pandas()
    assert cells[["row", "before", "after"]].to_numpy().tolist()[0] == [1, "Aa«", "Aa"]


def test_every_changed_cell_is_told_by_the_row_of_the_clean_table_and_masked():
    records = table(
        record_id=["r", "t", "s"], source=["web"] * 3, customer_id=["c", "d", "e"],
        given_name=["ann", "Test", "Zoë"], email=["a@b.de", "test@x.de", "Z@b.de"],
        phone=["212 555 0147", None, "999"],
    )  # fmt: skip
    found = cleaning.clean_tables({"customer_records": records}, **RULES)
    cells = found.cells.to_pandas()
    told = cells[["row", "column", "before", "after"]].to_numpy().tolist()
    assert told == [
        [1, "phone", "999 999 9999", "9999999999"],
        [2, "email", "A@a.a", "a@a.a"],
        [2, "given_name", "Aa", "a"],
        [2, "phone", "999", "(missing)"],
    ]
    # Each cell that differs, counted apart from the rules.
    was = found.mistakes.tables["customer_records"].order_by("row").to_pandas().drop(columns="row")
    is_ = found.tables["customer_records"].order_by("row").to_pandas().drop(columns="row")
    assert int(((was != is_) & ~(was.isna() & is_.isna())).to_numpy().sum()) == 3


def test_records_alike_but_for_one_field_are_reported_and_stay():
    records = table(
        record_id=list("abcde"), source=["web"] * 5, customer_id=list("vwxyz"),
        given_name=["Ann", "ann", "Bob", "Bob", "Cy"], surname=["Doe", "Doe", "Roe", "Roe", None],
        email=["a@b.de", "a@b.com", "b@b.de", "c@c.de", None], postcode=["1", "1", "2", "3", "2"],
    )  # fmt: skip
    found = cleaning.clean_tables({"customer_records": records}, **RULES)
    assert touched(found.changes)["record_id", "alike but for one field"] == 2
    assert found.counts.rows_out.item() == 5


def test_lines_in_another_currency_than_most_are_set_aside():
    lines = receipts([("a", 2, 1, "p"), ("a", 3, 1, "p"), ("b", 900, 1, "p"), ("b", 1, 1, "p")])
    priced = table(currency=["EUR", " €", "JPY", None]).rename(n="row")
    both = lines.inner_join(priced, lines.row == priced.n).drop("n")
    found = cleaning.clean_tables({"transactions": both}, **RULES)
    assert found.tables["transactions"].revenue.sum().execute() == 6
    assert found.set_aside["transactions"].to_pandas()[["row", "reason"]].to_numpy().tolist() == [
        [3, "not in EUR, as most lines are"]
    ]


def test_a_line_in_kilograms_is_one_unit():
    lines = receipts([("a", 2, 0.3, "p"), ("a", 3, 4, "q"), ("b", 9, 7, "r")])
    weighed = table(unit=["KG", "pieces", None]).rename(n="row")
    both = lines.inner_join(weighed, lines.row == weighed.n).drop("n")
    units = cleaning.clean_tables({"transactions": both}, **RULES).tables["transactions"].order_by("row").units
    assert [float(n) for n in units.to_pandas()] == [1, 4, 7]


def sales_by_hand(lines):
    """The sale that each return gives back, line by line: the latest by then, as long as it has units left."""
    left, found = {}, {}
    for one in sorted(
        lines.itertuples(), key=lambda line: (line.occurred_at, line.line_type == "return", line.row)
    ):
        key = (one.customer_id, one.product_id)
        if one.line_type == "sale":
            left[key] = [one.row, one.quantity]
        elif one.line_type == "return" and key in left:
            left[key][1] += one.quantity
            found[one.row] = left[key][0] if left[key][1] >= 0 else None
    return found


def test_returns_find_the_latest_sale_that_has_units_left():
    rng = stream(8, "returns")
    n = 300
    n_units = rng.integers(1, 4, n) * np.where(rng.random(n) < 0.4, -1, 1)
    drawn = [
        (f"c{c}", float(u), float(u), f"p{p}")
        for c, p, u in zip(rng.integers(0, 4, n), rng.integers(0, 4, n), n_units, strict=True)
    ]
    found = cleaning.clean_tables({"transactions": receipts(drawn)}, **RULES)
    lines = found.tables["transactions"].order_by("row").to_pandas()
    told = lines[lines.line_type == "return"].set_index("row").sale_row
    due = pd.Series(sales_by_hand(lines), dtype="float64").reindex(told.index)
    assert told.astype("float64").equals(due.rename("sale_row"))
    assert 0 < due.isna().sum() < len(due)
    log = touched(found.changes)
    matched, unmatched = int(due.notna().sum()), int(due.isna().sum())
    assert log["sale_row", "return matched to its sale"] == matched
    assert log["sale_row", "return without its sale"] == unmatched


def test_of_what_customers_write_the_tone_alone_goes_on():
    events = ibis.memtable(
        {"row": [1, 2, 3, 4], "event": ["review"] * 4, "text": ["I love it!", "Terrible quality.", None, "!!! 5"]},
        schema={"row": "int64", "event": "string", "text": "string"},
    )
    found = cleaning.clean_tables({"events": events}, **RULES)
    clean = found.tables["events"].order_by("row").to_pandas()
    # What the lexicon's authors give for both words: 3.2 and -2.1, over the root of their square and 15.
    assert clean.text_tone[:2].round(4).tolist() == [round((3.2 + 0.292) / (3.492**2 + 15) ** 0.5, 4), -0.4767]
    assert clean.text_tone[2:].isna().all() and "text" not in clean
    assert (
        "text_tone" not in cleaning.clean_tables({"events": events.drop("text")}, **RULES).tables["events"].columns
    )
