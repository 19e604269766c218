"""params.yaml and --set, read strictly."""

from pathlib import Path

import pytest

from journeybook.errors import JourneybookError
from journeybook.report.kinds import check_kind
from journeybook.report.pages import discover, read_page, read_parameter_cell
from journeybook.report.params import PARAMS, read_parameters
from journeybook.report.reading import read_value


@pytest.fixture
def read(toy_pages, tmp_path):
    """Read a text as the user's own file, with settings, over `defaults`."""

    def reading(text: str | None = None, *settings: str, defaults: str = ""):
        (tmp_path / "params.yaml").write_text(defaults, encoding="utf-8")
        file = None
        if text is not None:
            file = tmp_path / "own.yaml"
            file.write_text(text, encoding="utf-8")
        return read_parameters(file, pages=toy_pages, settings=settings, defaults=tmp_path / "params.yaml")

    return reading


def values(parameters, name: str) -> dict:
    return {run.name: run.values for run in parameters.pages}[name]


def test_without_files_the_cells_decide(read) -> None:
    parameters = read()
    assert (parameters.dataset, parameters.engine, parameters.scale) == ("journey_demo", "duckdb", 1.0)
    assert parameters.timezone == "America/New_York"
    assert [run.name for run in parameters.pages] == ["01_copy", "02_count", "03_visits", "04_last"]
    assert values(parameters, "02_count") == {"table": "transactions", "least": None}


def test_own_file_changes_only_what_it_names(read) -> None:
    parameters = read(
        "pages: {02_count: {least: 5}}",
        defaults="seed: 3\npages: {01_copy: {rows: 9}, 02_count: {table: products}}",
    )
    assert parameters.seed == 3
    assert values(parameters, "01_copy") == {"rows": 9}
    assert values(parameters, "02_count") == {"table": "products", "least": 5}


def test_settings_come_last_and_may_leave_out_pages(read) -> None:
    parameters = read("pages: {01_copy: {rows: 9}}", "01_copy.rows=4", "pages.02_count.least=0.5", "seed=11")
    assert values(parameters, "01_copy") == {"rows": 4}
    assert values(parameters, "02_count")["least"] == 0.5
    assert parameters.seed == 11


def test_variant_starts_from_its_page(read) -> None:
    parameters = read("pages: {02_count: {least: 5}, 02_count.events: {table: events}}", "02_count.events.least=6")
    assert [run.name for run in parameters.pages][1:3] == ["02_count", "02_count.events"]
    assert values(parameters, "02_count") == {"table": "transactions", "least": 5}
    assert values(parameters, "02_count.events") == {"table": "events", "least": 6}
    assert [run.variant for run in parameters.pages[1:3]] == ["", "events"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sead: 1", "own.yaml: unknown key sead; did you mean seed?"),
        ("dataset: journey_dmo", "own.yaml: dataset is 'journey_dmo' (text); did you mean journey_demo?"),
        ("engine: pyspark", "engine is 'pyspark' (text) (pyspark comes later); allowed: duckdb."),
        ("seed: yes", "seed is 'yes' (text), but must be a whole number."),
        ("seed: true", "seed is true, but must be a whole number."),
        ("seed: -1", "seed is -1, but must be from 0 to 2**63 - 1."),
        ("seed: null", "seed is null, but must be a whole number."),
        ("scale: 0", "scale is 0, but must be above 0 and at most 1."),
        ("scale: 2", "scale is 2, but must be above 0 and at most 1."),
        ("scale: .nan", "scale is nan (a number), but must be finite."),
        ("timezone: America/NewYork", "timezone is 'America/NewYork' (text); did you mean America/New_York?"),
        ("timezone: Europe/London", "timezone is Europe/London, but that of journey_demo is America/New_York."),
        ("currency: EUR", "currency is EUR, but that of journey_demo is USD."),
        ("currency: euro", "currency is 'euro' (text), but must be three letters such as EUR."),
        ("{dataset: complete_journey, scale: 0.3}", "scale is 0.3, but complete_journey is used whole"),
        ("pages: [01_copy]", "pages is ['01_copy'] (a list), but must hold a block for each page it changes."),
        ("pages: {02_cuont: {}}", "unknown page 02_cuont; did you mean 02_count?"),
        ("pages: {5: {}}", "unknown page 5; allowed: 01_copy, 02_count, 03_visits, 04_last."),
        ("pages: {02_count.a.b: {}}", "variant 02_count.a.b is not named in letters"),
        ("pages: {01_copy: 3}", "pages.01_copy is 3 (a whole number), but must hold parameter: value."),
        ("pages: {01_copy: {row: 3}}", "unknown parameter row of 01_copy; did you mean rows?"),
        ("pages: {01_copy: {seed: 3}}", "pages.01_copy.seed is the same for every page; write seed at the top."),
        ("pages: {01_copy: {tables: x}}", "pages.01_copy.tables is the same for every page; the run gives it."),
        ("pages: {01_copy: {rows: five}}", "pages.01_copy.rows is 'five' (text), but must be a whole number."),
        ("pages: {01_copy: {rows: 2.5}}", "pages.01_copy.rows is 2.5 (a number), but must be a whole number."),
        ("pages: {01_copy: {rows: 2017-10-01}}", "rows is '2017-10-01' (text), but must be a whole number."),
        ("pages: {02_count: {table: 12}}", "table is 12 (a whole number), but must be text; put it in quotes."),
        ("pages: {02_count: {table: null}}", "table is null, but must be text."),
        ("pages: {02_count: {least: [1]}}", "least is [1] (a list), but must be a number or null."),
        ("pages: {02_count: {least: .inf}}", "least is inf (a number), but must be finite."),
        ("seed: 1\nseed: 2", "own.yaml: line 2, column 1: the key seed stands twice."),
        ("pages:\n\t01_copy: {}", "own.yaml: line 2, column 1: a tab stands where spaces are needed."),
        ("seed: [1", "own.yaml: line 1"),
        ("just words", "own.yaml holds 'just words' (text), but must hold keys"),
        ("files: {transactions: {}}", "files is given, but dataset is journey_demo: write dataset: files"),
        ("dataset: files", "dataset is files, but files is null: a block for each table is needed"),
        ("{dataset: files, files: {transaction: {}}}", "table files.transaction; did you mean transactions?"),
        ("{dataset: files, files: {contacts: a.csv}}", "files.contacts is 'a.csv' (text), but must be like"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(read, text: str, sentence: str) -> None:
    with pytest.raises(JourneybookError) as raised:
        read(text)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("seed", "--set seed is not key=value"),
        ("rows=3", "unknown key rows"),
        ("pages.rows=3", "--set pages.rows=3 names no parameter"),
        ("01_copy.rows=[", "--set 01_copy.rows=[: line 1"),
        ("01_copy.row=1", "--set 01_copy.row=1: unknown parameter row of 01_copy; did you mean rows?"),
        ("copy.rows=1", "unknown page copy; did you mean 01_copy?"),
    ],
)
def test_mistaken_settings(read, setting: str, sentence: str) -> None:
    with pytest.raises(JourneybookError) as raised:
        read(None, setting)
    assert sentence in str(raised.value)


def test_missing_file_is_named(read, toy_pages, tmp_path: Path) -> None:
    with pytest.raises(JourneybookError, match=r"nowhere\.yaml does not exist"):
        read_parameters(tmp_path / "nowhere.yaml", pages=toy_pages)


def test_files_are_relative_to_the_file_and_have_no_zone_or_currency_of_ours(read, tmp_path: Path) -> None:
    parameters = read(
        "{dataset: files, files: {transactions: {path: a.csv}}}", "files.transactions.options.delim=;"
    )
    assert parameters.base == tmp_path.resolve()
    assert (parameters.timezone, parameters.currency) == ("UTC", None)
    own = "{dataset: files, currency: EUR, files: {transactions: {path: a.csv}}}"
    assert read(own).currency == "EUR" and read("seed: 3").currency == "USD"
    assert parameters.files == {"transactions": {"path": "a.csv", "options": {"delim": ";"}}}


def test_yaml_is_read_as_it_looks() -> None:
    text = "[2017-10-01, 12:30, no, on, 1e-3, 010, 1_000, 0x10, ~, 1., .5, +3, '3', NULL, 2017-10-01 12:00:00]"
    found = read_value(text, where="here")
    wanted = ["2017-10-01", "12:30", "no", "on", 0.001, 10, 1000, 16, None, 1.0, 0.5, 3, "3", None]
    assert found == [*wanted, "2017-10-01 12:00:00"]
    assert [type(v) for v in found[4:6]] == [float, int]


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        (1, "float", True), (True, "float", False), (True, "int", False), (1, "bool", False), (1.0, "int", False),
        ([1, 2.5], "list[float]", True), ([1, "a"], "list[int]", False), ([], "list[int]", True),
        (1, "list[int]", False),
        ({"a": 1}, "dict[str, int]", True), ({1: 1}, "dict[str, int]", False), ([["a"]], "list[list[str]]", True),
        (None, "str | None", True), ("x", "int | str | None", True), (1.5, "int | str | None", False),
        ({"a": [1]}, "dict", True), (float("inf"), "float", False), ([float("nan")], "list[float]", False),
    ],
)  # fmt: skip
def test_kinds(value: object, kind: str, fits: bool) -> None:
    if fits:
        check_kind(value, kind, where="here")
        assert fits
    else:
        with pytest.raises(JourneybookError, match=r"^here is"):
            check_kind(value, kind, where="here")


def test_parameter_cells_hold_literals_only() -> None:
    cell = "# Days.\n# Range 1 up.\ndays = 28\n\nshares = [0.5, 1.0]\ncontrol: str | None = None"
    days, shares, control = read_parameter_cell(cell, where="a page")
    assert (days.default, days.kind, days.meaning) == (28, "int", "Days. Range 1 up.")
    assert (shares.kind, shares.meaning) == ("list[float]", "")
    assert (control.default, control.kind) == (None, "str | None")
    for wrong in ("import os", "days = 4 * 7", "a, b = 1, 2", "control = None", "print(3)", "days: int"):
        with pytest.raises(JourneybookError, match=r"a page: .*(literal|annotation)"):
            read_parameter_cell(wrong, where="a page")


def test_a_page_says_what_it_is(toy_pages) -> None:
    page = toy_pages[1]
    assert (page.name, page.title, page.question) == ("02_count", "02 Count", "What does count do?")
    assert (page.reads, page.writes) == (("accepted/{table}",), ("counts",))
    assert list(page.own) == ["table", "least"]
    assert list(page.given) == ["seed", "tables", "results", "page_name"]


def test_pages_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(JourneybookError, match="holds no page"):
        discover(tmp_path)
    empty = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    (tmp_path / "01_x.ipynb").write_text(empty, encoding="utf-8")
    with pytest.raises(JourneybookError, match=r"01_x\.ipynb has 0 cells tagged parameters"):
        read_page(tmp_path / "01_x.ipynb")


def test_committed_parameters_can_be_read() -> None:
    parameters = read_parameters(pages=discover(), defaults=PARAMS)
    assert parameters.dataset == "journey_demo"


def test_what_is_set_for_a_page_that_was_split_holds_for_both(tmp_path: Path) -> None:
    def values_of(text: str) -> dict[str, dict]:
        file = tmp_path / "own.yaml"
        file.write_text(f"pages: {{{text}}}", encoding="utf-8")
        return {run.name: run.values for run in read_parameters(file, pages=discover()).pages}

    clicks = "08_clickstream: {conversion: paid, half_life_days: 3}"
    found = values_of(clicks + ", 07_channel_response.mine: {selected_share: 0.2}")
    assert [found[name]["conversion"] for name in ("08_clickstream", "09_attribution")] == ["paid", "paid"]
    assert found["09_attribution"]["half_life_days"] == 3 and "half_life_days" not in found["08_clickstream"]
    assert found["14_decisions.mine"]["selected_share"] == 0.2 != found["14_decisions"]["selected_share"]
    assert values_of(clicks + ", 09_attribution: {conversion: seen}")["09_attribution"]["conversion"] == "seen"


def test_a_path_is_that_of_a_file_beside_the_parameters(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("pages: {01_collection: {tracking_plan: plan.yaml}}")
    with pytest.raises(
        JourneybookError, match=r"01_collection\.tracking_plan is plan\.yaml, but there is no such"
    ):
        read_parameters(file, pages=discover())
    (tmp_path / "plan.yaml").write_text("events: {}")
    page = next(run for run in read_parameters(file, pages=discover()).pages if run.name == "01_collection")
    assert page.values["tracking_plan"] == str(tmp_path / "plan.yaml")
