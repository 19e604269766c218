"""Proposed mappings: exports made to their published columns, files of other names, what is said and refused."""

from pathlib import Path

import duckdb
import openpyxl
import pytest
import yaml
from own_files import SHOP, build, write

from journeybook.cli import main
from journeybook.datasets.files import check_files
from journeybook.proposing.columns import how_alike
from journeybook.proposing.tables import exports
from journeybook.tables import SCHEMAS

# Small files with the columns that `exports.yaml` names the source of, in that order; names and values are made up.
# For each: the export, the table, the rows kept, and figures that a reader of the file can work out.
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
def test_known_exports_pass_the_check_and_keep_their_rows(file: str, tmp_path: Path, engine) -> None:
    name, table, n_rows, figures = CASES[file]
    said, given = proposed(tmp_path, FOLDER / file)
    assert f"{name}, by their columns; published as" in " ".join(said.replace("#", " ").split())
    if table not in SCHEMAS:
        assert given["files"] == {} and f"it would be {table}" in said
        return
    assert list(given["files"]) == [table] and "! " not in said
    (checked,) = check_files(engine, files=given["files"], base=tmp_path, timezone=given["timezone"])
    assert (checked.n_rows, checked.n_unconverted) == (n_rows, 0)
    found = build(tmp_path, given["files"], timezone=given["timezone"])[table]
    asked = duckdb.sql(f"SELECT {', '.join(figures)} FROM found").fetchall()[0]
    assert dict(zip(figures, map(str, asked), strict=True)) == figures


@pytest.fixture(scope="module")
def engine():
    import ibis

    return ibis.duckdb.connect()
