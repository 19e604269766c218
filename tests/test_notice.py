"""The notice: plain words, made of the catalogue and the ledger of budget, and nothing that is not in them."""

import json
import re
from datetime import date

import pandas as pd
import pytest
from test_erasing import out

from journeybook.cli import main
from journeybook.enrichment import feature_dictionary
from journeybook.privacy.ledger import append, grant, locked, read_ledger
from journeybook.report.notice import notice_text
from journeybook.tables import PURPOSES, keys, owners_view, signature

__all__ = ["out"]

KEY = bytes(range(32)).hex()
CATALOGUE = pd.DataFrame(
    [
        ("transactions", "customer_id", "of a person", "analytics, personalisation", 365.0),
        ("transactions", "revenue", "of a person", "analytics, personalisation", 365.0),
        ("transactions", "colour_of_bag", "of a person", "analytics, personalisation", 365.0),
        ("contacts", "clicked", "of a person", "marketing_email", None),
        ("products", "brand", "no", "analytics", None),
    ],
    columns=["table", "column", "personal", "purposes", "retention_days"],
)
_SAID = {"groups": {}, "attributes": [], "by_place": False, "purposes": {"transactions": "analytics"}}
FEATURES = feature_dictionary(["recency_days", "n_baskets", "n_baskets_28d"], **_SAID)
RELEASE = {"kind": "release", "release": "press_2026", "made_on": "2026-03-01", "figures": [{"figure": "sum"}]}
JARGON = [
    "epsilon",
    "delta",
    "zcdp",
    "parquet",
    "pseudonym",
    "quarantine",
    "null",
    "boolean",
    "laplace",
    "gaussian",
]
JARGON += ["sensitivity", "ledger", "analytics", "table"]


def text(released=(), catalogue=CATALOGUE) -> str:
    return notice_text(catalogue, FEATURES, contact="privacy@shop.example", released=released)


def test_it_says_what_why_how_long_what_was_released_and_how_to_object():
    said = text()
    assert [line for line in said.splitlines() if line.startswith("#")] == [
        "# How we use your data",
        "## What we hold about you",
        "## What we work out from it",
        "## What we use it for",
        "## How long we keep it",
        "## What we publish",
        "## How to say no",
    ]
    assert "receipts.** Id of the customer; amount received for the line; colour of bag." in said
    assert "Contacts: no end is set yet." in said and "Transactions: 365 days." in said
    assert "write to you by e-mail**: from: contacts." in said and "text message**: not today." in said
    assert said.count("* Baskets.") == 1 and "* Since the last basket." in said and "brand" not in said.lower()
    assert "We have published no figures" in said and "Write to: **privacy@shop.example**" in said
    assert "no record of who allowed what" in said
    asked = CATALOGUE.iloc[:1].assign(table="consents", purposes="analytics, marketing_sms")
    told = text(catalogue=pd.concat([CATALOGUE, asked]))
    assert "text message**: we look up whether you allow it." in told and "no record" not in told
    assert sum(line.startswith("* **To ") for line in said.splitlines()) == len(PURPOSES)


@pytest.mark.parametrize(
    ("epsilon", "told"), [(1.0, "no surer than 74 times"), (0.1, "no surer than 53 times"), (9.0, "almost sure")]
)
def test_what_a_budget_gives_away_is_said_in_times_of_a_hundred(epsilon, told):
    said = text([{"kind": "budget", "epsilon": epsilon}, RELEASE])
    assert told in said and "2026-03-01: totals (press 2026)" in said


def test_it_can_be_read_without_statistics():
    said = text([{"kind": "budget", "epsilon": 1.0}, RELEASE])
    assert not [word for word in JARGON if re.search(rf"\b{word}s?\b", said.lower())]
    sentences = re.split(r"(?<=[.:;])\s", said.replace("*", ""))
    assert max(len(sentence.split()) for sentence in sentences) <= 25


@pytest.fixture
def made(out, monkeypatch, tmp_path):
    """A run with a catalogue, and a ledger with one release."""
    monkeypatch.setenv("JOURNEYBOOK_KEY", KEY)
    keys.secret.cache_clear()
    results = out / "results" / "01_collection.json"
    results.write_text(
        json.dumps(
            {"tables": {"catalogue": CATALOGUE.astype(object).where(CATALOGUE.notna(), None).to_dict("records")}}
        )
    )
    run, ledger = owners_view(out / "tables"), tmp_path / "budget.jsonl"

    def sign(content):
        return signature(run, content)

    grant(ledger, epsilon=1.0, delta=0.0, unit="person", period="2026-01-01/2026-12-31", sign=sign)
    with locked(ledger):
        append(ledger, read_ledger(ledger, sign=sign), [RELEASE | {"made_on": str(date(2026, 3, 1))}], sign=sign)
    yield out, ledger
    keys.secret.cache_clear()


def tell(made, target, contact="We & <you>"):
    out, ledger = made
    return main(["notice", "--to", str(target), "--contact", contact, "--out", str(out), "--ledger", str(ledger)])


def test_the_command_writes_markdown_and_a_page_that_fetches_nothing(made, tmp_path, capsys):
    assert tell(made, tmp_path / "notice.md") == tell(made, tmp_path / "notice.html") == 0
    assert "press 2026" in (tmp_path / "notice.md").read_text()
    page = (tmp_path / "notice.html").read_text()
    assert "<h2" in page and "What we publish</h2>" in page and "We &amp; &lt;you&gt;" in page
    assert not re.findall(r'(?:src|href)="(?!#)', page) and "script" not in page
    assert "Have it read by whoever answers for it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "contact", "said"),
    [("notice.txt", "me", "ends with .html or .md"), ("notice.md", " ", "contact is empty")],
)
def test_what_cannot_be_written_is_one_sentence(made, tmp_path, capsys, name, contact, said):
    assert tell(made, tmp_path / name, contact) == 2
    assert said in capsys.readouterr().err and not (tmp_path / name).exists()


def test_a_file_that_is_there_and_a_run_without_catalogue_are_one_sentence(made, tmp_path, capsys):
    (tmp_path / "notice.md").write_text("mine")
    assert tell(made, tmp_path / "notice.md") == 2 and (tmp_path / "notice.md").read_text() == "mine"
    (made[0] / "results" / "01_collection.json").unlink()
    assert tell(made, tmp_path / "other.md") == 2
    assert "has no catalogue" in capsys.readouterr().err and not (tmp_path / "other.md").exists()
