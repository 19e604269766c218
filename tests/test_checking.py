"""`journeybook check`: what a page would refuse is refused before it runs, by the page's own sentence."""

import re
from pathlib import Path

import pandas as pd
import pytest

from journeybook.cli import main

UNITS = pd.DataFrame(
    {"unit": range(60), "arm": ["old", "new"] * 30, "spend": [n % 7 for n in range(60)], "pre": range(60)}
)
COLUMNS = {"unit_id": "unit", "variant": "arm", "spend": "spend", "pre_spend": "pre"}


@pytest.fixture
def check(tmp_path: Path, capsys):
    """Check a table under some parameters of its page: the exit code, what is said of the page, and the error."""

    def checking(
        table: str, frame: pd.DataFrame, columns: dict, *settings: str, page: str
    ) -> tuple[int, str, str]:
        frame.to_csv(tmp_path / "f.csv", index=False)
        mapped = ", ".join(f"{name}: {column}" for name, column in columns.items())
        text = f"dataset: files\nfiles: {{{table}: {{path: f.csv, columns: {{{mapped}}}}}}}\n"
        (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
        asked = ["--set", *settings] if settings else []
        code = main(["check", "--params", str(tmp_path / "own.yaml"), *asked])
        said = capsys.readouterr()
        line = re.search(rf"^{page} +(.*)$", said.out, re.MULTILINE)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["f.csv", "own.yaml"]
        return code, line.group(1) if line else "", said.err

    return checking


def experiment(check, units: pd.DataFrame, *settings: str) -> tuple[int, str, str]:
    own = [f"11_experiments.{one}" for one in ("control=old", *settings)]
    return check("experiment", units, COLUMNS, *own, page="11_experiments")


def test_an_experiment_that_can_be_compared_will_run(check) -> None:
    assert experiment(check, UNITS) == (0, "will run", "")
    assert experiment(check, UNITS, "shares={old: 1.0, new: 1.0}", "metrics={spend: mean}")[0] == 0


@pytest.mark.parametrize(
    ("units", "settings", "sentence"),
    [
        (
            UNITS.assign(arm="new"),
            ["control=null"],
            "variant: a comparison needs two variants or more; found 'new'.",
        ),
        (UNITS.head(2), [], "metrics: variant 'old' has no two units with a value of 'spend'."),
        (UNITS.head(2).assign(spend=[812, 944]), [], "rows that are counts of many units as `experiment_arms`"),
        (pd.concat([UNITS, UNITS.head(9)]), [], "unit_id: 9 units have more than one row"),
        (UNITS, ["control=older"], "control: 'older' is not a variant; the variants are 'new', 'old'."),
        (UNITS, ["shares={old: 1.0}"], "shares: found old; a share is needed for each of the variants new, old."),
        (UNITS, ["metrics={spent: mean}"], "Column 'spent' is not in the table"),
        (UNITS, ["metrics={spend: median}"], "metrics: 'spend' has kind 'median'; allowed are proportion"),
        (UNITS, ["covariates=[]"], "covariates: found [], but with metrics: auto"),
        (UNITS, ["plan={primary: spend}"], "plan: 'minimum_effect' is missing"),
        (UNITS, ["higher_is_better={spent: true}"], "higher_is_better: 'spent' is no metric"),
        (UNITS, ["aggregates={n: {how: most}}"], "aggregates: 'n' is made by 'most'; allowed are"),
        (UNITS, ["aggregates={n: {how: count}}", "window_days=7.0"], "window_days is 7; "),
    ],
)
def test_an_experiment_that_page_11_refuses(check, units: pd.DataFrame, settings: list, sentence: str) -> None:
    code, said, error = experiment(check, units, *settings)
    assert code == 2 and said.startswith("REFUSED: ") and sentence in said
    assert error == f"journeybook: 11_experiments: {said.removeprefix('REFUSED: ')}\n"


def test_too_few_or_alike_is_told_and_no_error(check) -> None:
    code, said, _ = experiment(check, UNITS.assign(spend=3, pre=1))
    assert code == 0 and said.startswith("not possible: no column that could be a metric differs between units")
    contacts = pd.DataFrame({"who": range(40), "day": pd.date_range("2024-01-01", periods=40), "hit": [0, 1] * 20})
    columns = {"customer_id": "who", "occurred_at": "day", "responded": "hit"}
    code, said, _ = check("contacts", contacts, columns, page="07_channel_response")
    assert code == 0 and re.search(r"^not possible: .* at least 10 responses and 10 others are needed\.$", said)
    assert (
        check("contacts", contacts, columns, page="14_decisions")[1]
        == "not possible: it needs 07_channel_response"
    )


@pytest.mark.parametrize(
    ("setting", "page", "sentence"),
    [
        ("02_cleaning.unique_key=[receipt]", "02_cleaning", "unique_key names 'receipt'"),
        (
            "04_enrichment.as_of='2031-01-01'",
            "04_enrichment",
            "as_of is 2031-01-01: the data end before 2024-03-01",
        ),
        ("04_enrichment.as_of='2020-01-01'", "04_enrichment", "it must be a midnight after the first receipt"),
        ("05_segmentation.columns=[n_baskets, spend]", "05_segmentation", "columns: 'spend' is not a feature"),
        ("10_privacy.known_outside={shop: [0, 2]}", "10_privacy", "known_outside coarsens 'shop' by [0, 2]"),
    ],
)
def test_what_transactions_do_not_allow(check, setting: str, page: str, sentence: str) -> None:
    rows = pd.DataFrame({"who": range(60), "day": pd.date_range("2024-01-01", periods=60), "spent": 5})
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    code, said, _ = check("transactions", rows, columns, setting, page=page)
    assert code == 2 and said.startswith("REFUSED: ") and sentence in said
    assert check("transactions", rows, columns, page=page)[:2] == (0, "will run")


def test_what_events_and_contacts_do_not_allow(check) -> None:
    events = pd.DataFrame({"s": range(30), "e": ["home", "cart", "purchase"] * 10, "n": 1})
    asked = ("08_clickstream.funnel=[home, basket]",)
    columns = {"session_id": "s", "event": "e", "position": "n"}
    code, said, _ = check("events", events, columns, *asked, page="08_clickstream")
    assert (code, said) == (
        2,
        "REFUSED: funnel names 'basket', which never happens; the events are cart, home and purchase.",
    )
    code, said, _ = check("events", events, columns, "08_clickstream.group_by=[device]", page="08_clickstream")
    assert (code, said) == (2, "REFUSED: group_by names 'device', but the events have no device.")
    many = pd.DataFrame({"s": range(6000), "e": [f"/page/{n}" for n in range(6000)], "n": 1})
    assert "REFUSED: there are 6,000 kinds of event" in check("events", many, columns, page="08_clickstream")[1]


@pytest.mark.parametrize(
    ("settings", "page", "sentence"),
    [
        (["known_after_contact=[callback]"], "07_channel_response", "known_after_contact names 'callback'"),
        (["person_type=loyal"], "07_channel_response", "person_type names 'loyal'"),
        (["fairness_by=region", "costs={all: 0.1}"], "14_decisions", "fairness_by names 'region', no column of"),
    ],
)
def test_names_may_be_those_of_features(tmp_path, capsys, settings: list, page: str, sentence: str) -> None:
    people, days = [f"c{n % 300}" for n in range(900)], pd.date_range("2024-01-01", periods=900, freq="8h")
    bought = pd.DataFrame(
        {"customer_id": people, "occurred_at": days, "revenue": [n % 17 + 1 for n in range(900)]}
    )
    sent = bought.assign(responded=[int(n % 7 < 2) for n in range(900)], age=[n % 50 + 18 for n in range(900)])
    files = {"transactions": bought, "contacts": sent.drop(columns="revenue")}
    text = "dataset: files\nfiles:\n"
    for name, frame in files.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        text += (
            f"  {name}: {{path: {name}.csv, keep: rest, columns: {{{', '.join(f'{c}: {c}' for c in frame)}}}}}\n"
        )
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")

    def said_of(asked: list[str]) -> tuple[int, str]:
        own = [f"{page}.{one}" for one in asked]
        code = main(["check", "--params", str(tmp_path / "own.yaml"), "--set", *own])
        return code, re.search(rf"^{page} +(.*)$", capsys.readouterr().out, re.MULTILINE).group(1)

    code, said = said_of(settings)
    assert code == 2 and said.startswith("REFUSED: ") and sentence in said
    name = settings[0].split("=")[0]
    known = "[revenue_28d, age]" if "known" in name else "recency_days"
    assert said_of([f"{name}={known}", *settings[1:]]) == (0, "will run")


def test_a_date_far_from_all_others_is_told_with_its_rows(tmp_path, capsys) -> None:
    days = pd.date_range("2024-01-01", periods=200).strftime("%Y-%m-%d").tolist()
    text = "dataset: files\nfiles: {transactions: {path: t.csv, columns: "
    text += "{customer_id: who, occurred_at: day, revenue: spent}}}\n"
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")

    def told(days: list[str], *asked: str) -> list[str]:
        pd.DataFrame({"who": "c", "day": days, "spent": 1}).to_csv(tmp_path / "t.csv", index=False)
        own = ["--set", *asked] if asked else []
        assert main(["check", "--params", str(tmp_path / "own.yaml"), *own]) == 0
        return re.findall(r"(\S+ rows?) dated far", capsys.readouterr().out)

    assert told(days) == []
    assert told([*days, "2107-06-09"]) == ["1 row"]
    assert told([*days, "2107-06-09", "1900-01-01"]) == ["2 rows"]
    assert told([*days, "2107-06-09"], "01_collection.last_day=2200-01-01") == []


def test_rows_that_break_a_rule_of_their_table_are_told(tmp_path, capsys) -> None:
    text = "dataset: files\nfiles: {contacts: {path: t.csv, columns: "
    text += "{customer_id: who, responded: did, propensity: p}}}\n"
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    sent = pd.DataFrame({"who": range(90), "did": ["Y", "N", ""] * 30, "p": [40] * 7 + [0.4] * 83})
    sent.to_csv(tmp_path / "t.csv", index=False)
    assert main(["check", "--params", str(tmp_path / "own.yaml")]) == 0
    said = capsys.readouterr().out
    assert "7 rows for quarantine: propensity is above 1." in said
    assert "30 rows for quarantine: responded is missing." in said


def test_of_a_large_file_some_customers_say_that_a_page_will_run(check, monkeypatch) -> None:
    monkeypatch.setattr("journeybook.checking._SOME", 400)
    days = pd.Timestamp("2023-01-01") + pd.to_timedelta(
        [(n + n // 3000 * 61) % 700 for n in range(30_000)], unit="D"
    )
    lines = pd.DataFrame({"who": [f"c{n * 7919 % 3000}" for n in range(30_000)], "day": days, "spent": 10.0})
    columns = {"customer_id": "who", "occurred_at": "day", "revenue": "spent"}
    code, said, _ = check("transactions", lines, columns, page="06_lifetime_value")
    assert (code, said) == (0, "will run, as all rows of about 400 customers say")
    # Too few of some customers: then of all, whose number is in the sentence.
    code, said, _ = check("transactions", lines.drop_duplicates("who"), columns, page="06_lifetime_value")
    n_asked = int(said.removeprefix("not possible: ").split(" customers")[0].replace(",", ""))
    assert code == 0 and n_asked == (lines.drop_duplicates("who")["day"] < "2024-06-09").sum() > 2_000


def test_a_mark_of_several_arms_is_no_arm(check) -> None:
    several = pd.concat([UNITS, UNITS.head(4).assign(unit=range(900, 904), arm="__multiple__")])
    own = ["11_experiments.metrics={spend: mean}"]
    code, said, _ = check(
        "experiment", several, COLUMNS, *own, "11_experiments.control=old", page="11_experiments"
    )
    assert (code, said) == (0, "will run")
