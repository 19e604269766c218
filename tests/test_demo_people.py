"""Who the households are and what three systems hold of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from journeybook.datasets.complete_journey import TOTALS
from journeybook.datasets.demo import people, records
from journeybook.datasets.demo.households import draw_households
from journeybook.datasets.demo.people import simulate_people
from journeybook.datasets.demo.records import misdial, misspell, write_phone
from journeybook.errors import JourneybookError

N = 2_000
POSTCODES = np.array([f"{number:05d}" for number in range(2100, 2220)])


def made_up_households(n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    first_at = np.datetime64("2017-01-01T08:00:00", "us") + (rng.random(n) * 60 * 86_400e6).astype(
        "timedelta64[us]"
    )
    return pd.DataFrame({"customer_id": [str(k) for k in range(1, n + 1)], "first_at": first_at})


def simulate(seed: int = 1, n: int = N) -> people.DemoPeople:
    return simulate_people(made_up_households(n), home=np.arange(n) % 120, postcodes=POSTCODES, seed=seed)


@pytest.fixture(scope="module")
def demo() -> people.DemoPeople:
    return simulate()


def owners(demo: people.DemoPeople) -> pd.DataFrame:
    return demo.accounts[["customer_id", "household_id"]]


@pytest.fixture(scope="module")
def with_truth(demo) -> pd.DataFrame:
    return demo.records.merge(owners(demo), on="customer_id", validate="one_to_one")


def assert_share(found: int, n: int, share: float) -> None:
    """Assert that a count is not one that a binomial draw gives less than once in 100,000."""
    assert stats.binomtest(int(found), int(n), share).pvalue > 1e-5, (found, n, share)


def test_households_are_drawn_without_replacement_and_a_smaller_scale_is_a_subset():
    third, tenth = draw_households(5, 0.3), draw_households(5, 0.1)
    assert len(third) == len(set(third)) == round(0.3 * TOTALS["households"])
    assert set(tenth) < set(third)
    assert set(draw_households(6, 0.3)) != set(third)
    assert draw_households(5, 1) == sorted(draw_households(5, 1), key=int)


@pytest.mark.parametrize(
    ("scale", "says"), [(1.5, "comes later"), (0, "above 0"), (-1, "above 0"), (float("nan"), "above 0")]
)
def test_a_scale_that_cannot_be_drawn_is_one_sentence(scale, says):
    with pytest.raises(JourneybookError, match=says):
        draw_households(1, scale)


def test_every_household_has_one_card_and_the_other_accounts_come_at_their_rates(demo):
    accounts = demo.accounts
    cards = accounts[accounts["source"] == "loyalty"]
    assert (
        cards["customer_id"].tolist()
        == cards["household_id"].tolist()
        == made_up_households()["customer_id"].tolist()
    )
    for source, letter in (("web", "W"), ("call_centre", "C")):
        owners = accounts.loc[accounts["source"] == source, "household_id"].value_counts()
        assert_share(len(owners), N, people.RECORD_SHARE[source])
        assert_share((owners == 2).sum(), len(owners), people.SECOND_SHARE[source])
        assert accounts.loc[accounts["source"] == source, "customer_id"].str.fullmatch(rf"{letter}\d{{5}}").all()
    assert 1.30 < len(accounts) / N < 1.40


def test_ids_are_unique_and_every_record_belongs_to_an_account(demo):
    assert demo.records["record_id"].is_unique
    assert demo.records["customer_id"].is_unique
    assert set(demo.records["customer_id"]) == set(demo.accounts["customer_id"])


def test_a_card_is_taken_before_the_first_receipt_and_updates_come_after_opening(demo):
    cards = demo.accounts[demo.accounts["source"] == "loyalty"].set_index("customer_id")["joined_at"]
    assert (cards.to_numpy() <= made_up_households()["first_at"].to_numpy()).all()
    joined = demo.records["customer_id"].map(demo.accounts.set_index("customer_id")["joined_at"])
    updated = demo.records["updated_at"]
    assert (updated >= joined).all()
    assert joined.min() >= pd.Timestamp("2016-01-01")
    assert updated.max() < pd.Timestamp("2018-01-01")


def test_contact_details_can_belong_to_nobody(demo):
    hosts = demo.records["email"].dropna().str.split("@").str[-1]
    assert set(hosts) == {"example.com", "example.org", "example.net"}
    digits = demo.records["phone"].dropna().str.replace(r"\D", "", regex=True).str.removeprefix("1")
    assert digits.str.fullmatch(r"(\d{3})?55501\d\d").all()


def test_fields_are_missing_at_the_published_rates(with_truth):
    for field in ("given_name", "surname", "email", "phone", "address", "postcode", "birth_date"):
        for source, rate in zip(records.SOURCES, records.RATES[f"{field}_missing"], strict=True):
            rows = with_truth.loc[with_truth["source"] == source, field]
            assert_share(rows.isna().sum(), len(rows), rate)


def test_postcodes_are_written_in_the_published_ways(with_truth):
    loyalty = with_truth.loc[with_truth["source"] == "loyalty", "postcode"].dropna()
    assert_share((loyalty.str.len() == 4).sum(), len(loyalty), records.RATES["postcode_zero_lost"][0])
    web = with_truth.loc[with_truth["source"] == "web", "postcode"].dropna()
    assert_share(web.str.fullmatch(r"\d{5}-\d{4}").sum(), len(web), records.RATES["postcode_plus_four"][1])


def test_without_errors_a_record_is_what_was_true_at_its_update(monkeypatch):
    monkeypatch.setattr(records, "RATES", dict.fromkeys(records.RATES, (0.0, 0.0, 0.0)))
    monkeypatch.setattr(records, "PHONE_STYLES", dict.fromkeys(records.SOURCES, (0, 0, 1, 0, 0, 0)))
    demo = simulate()
    found = demo.records.merge(owners(demo), on="customer_id")
    assert not found.isna().any(axis=None)
    fields = ["given_name", "surname", "email", "birth_date"]
    assert (found.groupby("household_id")[fields].nunique() == 1).all(axis=None)
    # Only who moved or changed the number has two of them, and the newest is the one at the end of 2017.
    several = found[found.duplicated("household_id", keep=False)]
    moved = several.groupby("household_id")["address"].nunique() > 1
    assert 0 < moved.mean() < people.MOVED_SHARE
    at_the_end = demo.postcodes.set_index("customer_id")["postcode"]
    latest = found.sort_values("updated_at").drop_duplicates("household_id", keep="last").set_index("household_id")
    stale = (latest["postcode"] != at_the_end.reindex(latest.index)).mean()
    assert 0 < stale < people.MOVED_SHARE


@pytest.mark.parametrize("name", [name for name in records.RATES if not name.endswith("_missing")])
def test_every_error_changes_its_field_and_no_other(name, monkeypatch):
    none = dict.fromkeys(records.RATES, (0.0, 0.0, 0.0))
    monkeypatch.setattr(records, "RATES", none)
    right = simulate(n=200).records
    monkeypatch.setattr(records, "RATES", none | {name: (1.0, 1.0, 1.0)})
    wrong = simulate(n=200).records
    touched = {field for field in right.columns if not (right[field] == wrong[field]).all()}
    # Slips in names, addresses and mailboxes are drawn from the stream that also draws how numbers are written.
    fields = {"names": {"given_name", "surname"}, "birth": {"birth_date"}, "given": {"given_name"}}
    own = fields.get(name.split("_")[0], {name.split("_")[0]})
    assert own <= touched <= own | {"phone", "birth_date"}
    changed = np.mean([(right[field] != wrong[field]).mean() for field in own])
    least = {"given_name_nickname": 0.2, "postcode_zero_lost": 0.99, "birth_date_day_and_month_swapped": 0.25}
    assert changed > least.get(name, 0.8)


def test_families_share_what_makes_them_hard_to_tell_apart(monkeypatch):
    monkeypatch.setattr(records, "RATES", dict.fromkeys(records.RATES, (0.0, 0.0, 0.0)))
    monkeypatch.setattr(records, "PHONE_STYLES", dict.fromkeys(records.SOURCES, (0, 0, 1, 0, 0, 0)))
    cards = simulate().records.query("source == 'loyalty'")
    n_pairs = N * people.FAMILY_SHARE / 2
    for field, share in (
        ("email", people.SAME_MAILBOX),
        ("phone", people.SAME_PHONE),
        ("address", people.SAME_ADDRESS),
    ):
        shared = cards.duplicated(["surname", field]).sum()
        # The two halves of a pair may have moved or changed the number apart.
        assert 0.6 * share * n_pairs < shared < 1.2 * share * n_pairs
    namesakes = cards.duplicated(["given_name", "surname", "address"]).sum()
    assert namesakes > 0


def test_slips_are_one_slip_and_stay_fictional():
    rng = np.random.default_rng(1)
    slips = [misspell("Katherine", rng) for _ in range(300)]
    assert all(slip[0] == "K" and abs(len(slip) - 9) <= 1 for slip in slips)
    assert len(set(slips)) > 30
    assert np.mean([slip != "Katherine" for slip in slips]) > 0.95
    assert misspell("Al", rng) == "Al"
    numbers = [misdial("2075550123", rng) for _ in range(100)]
    assert all(number.startswith("20755501") and number != "2075550123" for number in numbers)
    assert {write_phone("2075550123", style)[-4:] for style in range(6)} == {"0123"}
