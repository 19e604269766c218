"""Simulated contacts: the policy is honoured, consent holds, and responses follow the planted probabilities."""

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from journeybook.datasets.demo import contacts as module
from journeybook.datasets.demo.consents import MARKETING, simulate_consents
from journeybook.datasets.demo.contacts import (
    CHANNELS,
    FIRST_DAY,
    FLOOR,
    HOURS,
    MESSAGES,
    N_DAYS,
    simulate_contacts,
)
from journeybook.datasets.demo.households import CUSTOMER_TYPES, describe_households
from journeybook.datasets.demo.people import simulate_people

N = 420
POSTCODES = np.array([f"{number:05d}" for number in range(2100, 2220)])


def receipts() -> pd.DataFrame:
    """Return made-up receipts of households that shop at different rates, all from the first days on."""
    rng = np.random.default_rng(11)
    rows = []
    for household in range(1, N + 1):
        gaps = rng.exponential(rng.lognormal(1.7, 0.7), 200)
        gaps[0] = rng.random()
        days = np.cumsum(gaps)
        days = days[days < 365]
        rows.append(pd.DataFrame({"customer_id": str(household), "days": days, "mean": rng.lognormal(3, 0.5)}))
    lines = pd.concat(rows, ignore_index=True)
    start = np.datetime64("2017-01-01T00:00:00", "s")
    lines["occurred_at"] = (start + (lines.pop("days") * 86_400).astype("timedelta64[s]")).astype("datetime64[us]")
    lines["revenue"] = np.round(lines.pop("mean") * rng.lognormal(0, 0.6, len(lines)), 2)
    return lines.assign(
        basket_id=[str(k) for k in range(len(lines))], discount=np.round(0.1 * lines["revenue"], 2)
    )


def simulate(seed: int, lines: pd.DataFrame) -> tuple[module.DemoContacts, pd.DataFrame, pd.DataFrame]:
    connection = ibis.duckdb.connect()
    connection.con.register("lines", lines)
    connection.raw_sql(
        "CREATE TEMP TABLE transactions AS SELECT * REPLACE "
        "(revenue::DECIMAL(18, 4) AS revenue, discount::DECIMAL(18, 4) AS discount) FROM lines"
    )
    households = describe_households(connection, seed=seed)
    people = simulate_people(households, home=np.zeros(N, dtype=int), postcodes=POSTCODES, seed=seed)
    ledger = simulate_consents(people.accounts, seed=seed).ledger
    found = simulate_contacts(connection, households, accounts=people.accounts, ledger=ledger, seed=seed)
    return found, people.accounts, ledger


@pytest.fixture(scope="module")
def lines() -> pd.DataFrame:
    return receipts()


@pytest.fixture(scope="module")
def world(lines):
    return simulate(1, lines)


@pytest.fixture(scope="module")
def rows(world) -> pd.DataFrame:
    found = world[0]
    return found.contacts.merge(found.truth, on="contact_id", validate="one_to_one")


def test_one_row_a_decision_spread_over_months_weekdays_and_hours(rows):
    assert rows["contact_id"].is_unique
    assert len(rows) > 20 * N
    assert rows["occurred_at"].is_monotonic_increasing
    assert rows["occurred_at"].min() >= FIRST_DAY
    assert rows["occurred_at"].max() < FIRST_DAY + N_DAYS
    assert set(rows["occurred_at"].dt.hour) == set(HOURS)
    weekdays = rows["occurred_at"].dt.day_of_week.value_counts(normalize=True)
    assert weekdays.min() > 0.12
    months = rows["occurred_at"].dt.month.value_counts()
    assert set(months.index) == set(range(3, 12))


def test_windows_of_seven_days_of_one_household_do_not_overlap(rows):
    gaps = rows.groupby("customer_id")["occurred_at"].diff().dropna()
    assert gaps.min() > pd.Timedelta(days=7)


def test_there_is_no_identifier(world):
    assert world[0].contacts.columns.tolist() == [
        *("contact_id", "customer_id", "occurred_at", "channel", "propensity"),
        *("opened", "clicked", "responded", "value"),
    ]


def test_propensities_are_of_the_permitted_channels_and_add_up_to_one(rows):
    propensity = rows[[f"propensity_{name}" for name in CHANNELS]].to_numpy()
    np.testing.assert_allclose(propensity.sum(axis=1), 1, atol=1e-12)
    assert ((propensity == 0) | (propensity >= FLOOR - 1e-9)).all()
    assert (propensity[:, :3] > 0).any(axis=1).all()
    assert (propensity[:, 3] > 0).all()
    chosen = rows["channel"].map({name: k for k, name in enumerate(CHANNELS)}).to_numpy()
    np.testing.assert_array_equal(rows["propensity"], propensity[np.arange(len(rows)), chosen])


def test_channels_are_drawn_with_the_logged_propensities(rows):
    for name in CHANNELS:
        p = rows[f"propensity_{name}"]
        some = p[p > 0]
        sent = (rows["channel"] == name)[p > 0]
        tenth = pd.qcut(some, 10, labels=False, duplicates="drop")
        expected, drawn = some.groupby(tenth).sum(), sent.groupby(tenth).sum()
        spread = (some * (1 - some)).groupby(tenth).sum()
        chi2 = ((drawn - expected) ** 2 / spread).sum()
        assert stats.chi2.sf(chi2, len(expected)) > 1e-4
        assert not sent[p == 0].any()


def test_responses_follow_the_planted_probability_and_no_other(rows):
    def misfit(probability: pd.Series) -> float:
        """Return the p-value of Hosmer and Lemeshow's test, with the probabilities given."""
        tenth = pd.qcut(probability, 10, labels=False, duplicates="drop")
        expected, responded = probability.groupby(tenth).sum(), rows["responded"].groupby(tenth).sum()
        spread = (probability * (1 - probability)).groupby(tenth).sum()
        return float(stats.chi2.sf(((responded - expected) ** 2 / spread).sum(), len(expected)))

    assert misfit(rows["probability"]) > 1e-4
    assert misfit(rows["probability"].clip(0.08, 0.15)) < 1e-4
    assert misfit(0.8 * rows["probability"]) < 1e-4

    def loss(probability: pd.Series) -> pd.Series:
        return -np.log(probability.where(rows["responded"], 1 - probability))

    # What the channel, the hour and the messages before change is seen in the responses too.
    worse = loss(rows["probability_none"]) - loss(rows["probability"])
    assert worse.mean() > 5 * worse.sem()
    chosen = rows["channel"].map({name: k for k, name in enumerate(CHANNELS)}).to_numpy()
    of_all = rows[[f"probability_{name}" for name in CHANNELS]].to_numpy()
    np.testing.assert_array_equal(rows["probability"], of_all[np.arange(len(rows)), chosen])


def test_the_response_rate_is_the_one_planted(rows, world):
    planted = world[0].parameters["contacts_response_rate"]
    assert 0.10 < planted < 0.13
    assert abs(rows["probability"].mean() - planted) < 1e-6
    assert stats.binomtest(int(rows["responded"].sum()), len(rows), planted).pvalue > 1e-4


def test_consent_holds_at_the_moment_of_sending_on_every_record_by_both_dates(rows, world):
    _, accounts, ledger = world
    needed = pd.concat(
        [rows.assign(purpose=purpose) for purpose in ("analytics", "personalisation")]
        + [rows.loc[rows["channel"] != "none"].assign(purpose="marketing_" + rows["channel"])]
    )[["contact_id", "customer_id", "purpose", "occurred_at"]].rename(columns={"occurred_at": "sent_at"})
    asked = needed.merge(
        accounts[["customer_id", "household_id"]].rename(columns={"customer_id": "account"}),
        left_on="customer_id",
        right_on="household_id",
    ).sort_values("sent_at")
    assert len(asked) > len(needed) > 2 * len(rows)
    told = ledger.rename(columns={"customer_id": "account"})
    for clock in ("occurred_at", "recorded_at"):
        last = pd.merge_asof(
            asked,
            told.sort_values([clock, "occurred_at"]),
            left_on="sent_at",
            right_on=clock,
            by=["account", "purpose"],
            allow_exact_matches=False,
        )
        unknown = last["granted"].isna()
        assert not (unknown & (last["account"] == last["customer_id"])).any()
        told_before = last[~unknown]
        assert told_before["granted"].astype(bool).all()
        assert (told_before["expires_at"].isna() | (told_before["expires_at"] > told_before["sent_at"])).all()


def test_who_refuses_on_a_second_record_is_not_written_to(rows, world):
    _, accounts, ledger = world
    refused = ledger[
        ~ledger["granted"] & ledger["purpose"].isin(MARKETING) & ledger["customer_id"].str.match("[WC]")
    ]
    refused = refused.merge(accounts[["customer_id", "household_id"]], on="customer_id")
    assert len(refused) > 10
    for row in refused.itertuples():
        later = ledger[
            (ledger["customer_id"] == row.customer_id)
            & (ledger["purpose"] == row.purpose)
            & (ledger["occurred_at"] > row.occurred_at)
        ]["occurred_at"]
        until = later.min() if len(later) else pd.Timestamp("2018-01-01")
        sent = rows[
            (rows["customer_id"] == row.household_id)
            & (rows["channel"] == row.purpose.removeprefix("marketing_"))
            & rows["occurred_at"].between(row.occurred_at, until)
        ]
        assert len(sent) == 0


def recompute(rows: pd.DataFrame, lines: pd.DataFrame, size: dict[str, float], channel: str) -> np.ndarray:
    """Return the planted probabilities of some contacts, from the receipts, with plain pandas."""
    probabilities = []
    for contact in rows.itertuples():
        before = lines[
            (lines["customer_id"] == contact.customer_id) & (lines["occurred_at"] < contact.occurred_at)
        ]
        last = before[before["occurred_at"] >= contact.occurred_at - pd.Timedelta(days=28)]
        days = (contact.occurred_at - before["occurred_at"].max()).total_seconds() / 86_400
        frequency = (np.log1p(len(last)) - 1.5) / 0.8
        logit = size["contacts_intercept"] + size["contacts_frequency"] * frequency
        logit += size["contacts_recency"] * (np.log1p(days) - 1.8)
        logit += size["contacts_spend"] * (np.log1p(last["revenue"].sum()) - 4.2) / 1.8
        if channel != "none":
            kind, moment = contact.customer_type, contact.occurred_at
            messages = contact.recent_messages
            near = np.cos(2 * np.pi * (moment.hour + moment.minute / 60 - size[f"contacts_peak_hour_{kind}"]) / 24)
            logit += size[f"contacts_effect_{channel}_{kind}"] + size["contacts_sure_visitor"] * frequency
            logit += size["contacts_fatigue_per_message"] * messages
            logit += size[f"contacts_peak_height_{kind}"] * (np.exp(4 * (near - 1)) - 0.4)
            logit += size[f"contacts_weekend_{kind}"] * (moment.day_of_week >= 5)
        probabilities.append(1 / (1 + np.exp(-logit)))
    return np.array(probabilities)


@pytest.mark.parametrize("channel", CHANNELS)
def test_probabilities_are_those_of_the_planted_sizes_and_the_receipts_before(channel, rows, world, lines):
    sample = rows.sample(25, random_state=2).copy()
    sent = rows[rows["channel"] != "none"]
    sample["recent_messages"] = [
        (
            (sent["customer_id"] == contact.customer_id)
            & (sent["occurred_at"] < contact.occurred_at)
            & (sent["occurred_at"] >= contact.occurred_at - pd.Timedelta(days=28))
        ).sum()
        for contact in sample.itertuples()
    ]
    by_hand = recompute(sample, lines, world[0].parameters, channel)
    np.testing.assert_allclose(by_hand, sample[f"probability_{channel}"], atol=1e-9)


def test_nothing_that_happens_after_a_contact_changes_it(rows, lines):
    until = pd.Timestamp("2017-07-01")
    cut = simulate(1, lines[lines["occurred_at"] < until])[0]
    truth = cut.contacts.merge(cut.truth, on="contact_id").query("occurred_at < @until")
    whole = rows.query("occurred_at < @until")
    assert len(truth) == len(whole)
    for name in CHANNELS:
        np.testing.assert_array_equal(truth[f"propensity_{name}"], whole[f"propensity_{name}"])
        # The intercept is set for the mean of all contacts; but for it the probabilities are the same.
        shift = stats.logistic.ppf(truth[f"probability_{name}"]) - stats.logistic.ppf(whole[f"probability_{name}"])
        assert np.ptp(shift) < 1e-6


def test_outcomes_are_those_a_channel_can_have(rows):
    none, sms = rows["channel"] == "none", rows["channel"] == "sms"
    assert rows.loc[none | sms, "opened"].isna().all()
    assert rows.loc[none, "clicked"].isna().all()
    assert rows.loc[~none & ~sms, "opened"].notna().all()
    assert rows.loc[~none, "clicked"].notna().all()
    opens = rows[~none & ~sms].astype({"opened": bool, "clicked": bool})
    assert not (opens["clicked"] & ~opens["opened"]).any()
    assert (opens["responded"] & ~opens["clicked"]).any()
    assert ((rows["value"] > 0) == rows["responded"]).all()


def test_response_is_not_effect(rows):
    """Who would come anyway answers most and gains least, so that a response model finds the wrong people."""
    fifth = pd.qcut(rows["probability_none"], 5, labels=False)
    assert rows.loc[fifth == 4, "probability_none"].mean() > 0.12
    odds = {name: rows[f"probability_{name}"] / (1 - rows[f"probability_{name}"]) for name in CHANNELS}
    gain = np.log(pd.concat([odds[name] for name in MESSAGES], axis=1).mean(axis=1) / odds["none"])
    by_fifth = gain.groupby(fifth).mean()
    assert by_fifth[4] < by_fifth[0] - 0.2
    none = rows[rows["channel"] == "none"]
    assert stats.binomtest(int(none["responded"].sum()), len(none), 0.02).pvalue < 1e-6


def test_no_constant_names_every_types_favourite_channel():
    favourites = set()
    for seed in range(12):
        effects = module._draw_effects(np.random.default_rng(seed))
        favourites.add(tuple(MESSAGES[k] for k in effects["effect"].argmax(axis=1)))
    assert len(favourites) >= 4
    assert all(len(set(found)) == len(CUSTOMER_TYPES) for found in favourites)
