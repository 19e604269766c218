"""The simulated consent ledger."""

from datetime import datetime

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from journeybook.datasets.demo import consents
from journeybook.datasets.demo.consents import simulate_consents
from journeybook.tables import PURPOSES, standing

N = 2_500
END = pd.Timestamp("2018-01-01")


def accounts() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    household = [str(k) for k in range(N)]
    several = [str(k) for k in range(0, N, 3)]
    opened = pd.DataFrame(
        {
            "customer_id": household + [f"W{k}" for k in several],
            "household_id": household + several,
            "source": ["loyalty"] * N + ["web"] * len(several),
        }
    )
    at = np.datetime64("2016-01-01", "us") + (rng.random(len(opened)) * 400 * 86_400e6).astype("timedelta64[us]")
    return opened.assign(joined_at=at)


@pytest.fixture(scope="module")
def demo() -> consents.DemoConsents:
    return simulate_consents(accounts(), seed=1)


def test_everyone_is_asked_for_everything_when_the_account_is_opened(demo):
    first = demo.ledger.sort_values("occurred_at").drop_duplicates(["customer_id", "purpose"])
    assert len(first) == len(accounts()) * len(PURPOSES)
    joined = first["customer_id"].map(accounts().set_index("customer_id")["joined_at"])
    assert (first["occurred_at"] == joined.dt.floor("s")).all()


def test_dates_are_in_order(demo):
    ledger = demo.ledger
    assert (ledger["recorded_at"] >= ledger["occurred_at"]).all()
    assert ledger["recorded_at"].is_monotonic_increasing
    assert ledger["occurred_at"].min() >= pd.Timestamp("2016-01-01")
    assert ledger["recorded_at"].max() < END
    by_time = ledger.sort_values(["customer_id", "purpose", "occurred_at"])
    same = by_time.groupby(["customer_id", "purpose"])
    assert (same["occurred_at"].diff().dropna() > pd.Timedelta(0)).all()
    assert (same["recorded_at"].diff().dropna() >= pd.Timedelta(0)).all()


def test_grants_end_when_published_and_refusals_do_not(demo):
    ledger = demo.ledger
    assert ledger.loc[~ledger["granted"], "expires_at"].isna().all()
    for purpose, days in consents.LASTS.items():
        grants = ledger[ledger["granted"] & (ledger["purpose"] == purpose)]
        ends = (grants["expires_at"] - grants["occurred_at"]).dropna().unique().tolist()
        assert ends == ([] if np.isinf(days) else [pd.Timedelta(days=days)])


def test_first_answers_come_at_their_rates(demo):
    first = demo.ledger.sort_values("occurred_at").drop_duplicates(["customer_id", "purpose"])
    cards = first[~first["customer_id"].str.startswith("W")]
    for purpose, rate in consents.FIRST_GRANT.items():
        answers = cards.loc[cards["purpose"] == purpose, "granted"]
        assert stats.binomtest(int(answers.sum()), len(answers), rate).pvalue > 1e-5


def test_there_are_withdrawals_renewals_late_renewals_and_returns(demo):
    ledger = demo.ledger.sort_values(["customer_id", "purpose", "occurred_at"])
    same = ledger.groupby(["customer_id", "purpose"])
    before, ends = same["granted"].shift(), same["expires_at"].shift()
    withdrawn = ~ledger["granted"] & (before == True)  # noqa: E712
    renewed = ledger["granted"] & (before == True) & (ledger["occurred_at"] <= ends)  # noqa: E712
    late = ledger["granted"] & (before == True) & (ledger["occurred_at"] > ends)  # noqa: E712
    returned = ledger["granted"] & (before == False)  # noqa: E712
    assert withdrawn.sum() > 500
    assert renewed.sum() > 1_000
    assert late.sum() > 20
    assert returned.sum() > 100
    assert not (~ledger["granted"] & (before == False)).any()  # noqa: E712


def test_the_truth_at_the_end_is_what_the_door_reads_from_the_ledger(demo):
    ledger = ibis.memtable(demo.ledger)
    for purpose in PURPOSES:
        read = standing(ledger, purpose=purpose, as_of=END.to_pydatetime()).to_pandas().set_index("customer_id")
        planted = demo.standing[demo.standing["purpose"] == purpose].set_index("customer_id")
        assert (read["permits"].reindex(planted.index) == planted["permits"]).all()


def test_some_withdraw_on_one_record_only_and_almost_all_permit_analytics(demo):
    permits = demo.standing.groupby("purpose")["permits"].mean()
    assert 0.96 < permits["analytics"] < 0.99
    assert 0.96 < permits["identity_resolution"] < 0.99
    assert (
        permits["marketing_push"]
        < permits["marketing_sms"]
        < permits["marketing_email"]
        < permits["personalisation"]
    )
    # One record has withdrawn and the other says yes, at the end of 2017.
    last = (
        demo.ledger.sort_values("occurred_at")
        .groupby(["customer_id", "purpose"])["granted"]
        .agg(["first", "last"])
    )
    withdrawn, household = last["first"] & ~last["last"], last.index.get_level_values(0).str.removeprefix("W")
    by = [household, last.index.get_level_values(1)]
    odd = withdrawn.groupby(by).any() & last["last"].groupby(by).any()
    assert (odd.groupby(level=1).sum() > 0).all()


def test_paper_reaches_the_ledger_later_than_the_web(demo):
    delay = (demo.ledger["recorded_at"] - demo.ledger["occurred_at"]).dt.total_seconds()
    web = demo.ledger["customer_id"].str.startswith("W")
    assert delay[web].median() < 60
    assert 0.3 < delay[~web].median() / 86_400 < 2


def test_one_account_is_enough():
    alone = simulate_consents(accounts().head(1), seed=1)
    assert set(alone.ledger["purpose"]) == set(PURPOSES)
    assert alone.ledger["occurred_at"].min() > datetime(2016, 1, 1)


def test_households_with_several_records_withdraw_more_often(demo):
    ledger = demo.ledger.sort_values(["customer_id", "purpose", "occurred_at"])
    before = ledger.groupby(["customer_id", "purpose"])["granted"].shift()
    withdrawn = ledger[~ledger["granted"] & before.notna()]
    households = accounts().groupby("household_id").size()
    who = withdrawn["customer_id"].str.removeprefix("W").unique()
    several, one = households[households > 1].index, households[households == 1].index
    assert several.isin(who).mean() > 1.3 * one.isin(who).mean()
