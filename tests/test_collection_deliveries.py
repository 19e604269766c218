"""Evidence of consent, the catalogue, and what is unlike other deliveries."""

from datetime import datetime, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from journeybook import collection
from journeybook.tables import PURPOSES

NOON = datetime(2020, 1, 1, 12)


def table(frame: pd.DataFrame) -> ibis.Table:
    return ibis.memtable(frame.assign(row=range(1, len(frame) + 1)))


@pytest.fixture(scope="module")
def ledger() -> pd.DataFrame:
    """Three hundred customers who change their minds, each word with its end and its proof."""
    rng, n = np.random.default_rng(2), 2_000
    at = pd.Timestamp(NOON) + pd.to_timedelta(np.sort(rng.integers(0, 300 * 86_400, n)), unit="s")
    ends = at + pd.to_timedelta(rng.integers(1, 400 * 86_400, n), unit="s")
    return pd.DataFrame(
        {
            "customer_id": rng.integers(300, size=n).astype(str),
            "purpose": rng.choice(PURPOSES, n),
            "granted": rng.random(n) < 0.8,
            "occurred_at": at,
            "expires_at": ends.where(rng.random(n) < 0.7).astype("datetime64[us]"),
            "proof": [f"p{k}" if k % 3 else None for k in range(n)],
            "confirmed_at": (at + timedelta(hours=1)).where(rng.random(n) < 0.3).astype("datetime64[us]"),
        }
    ).astype({"occurred_at": "datetime64[us]"})


@pytest.fixture(scope="module")
def consent(ledger) -> collection.Consent:
    return collection.who_permits(collection.collect({"consents": table(ledger)}).accepted)


@pytest.fixture(scope="module")
def last(ledger, consent) -> pd.DataFrame:
    """The grants that hold, by pandas."""
    words = ledger[ledger.occurred_at < consent.as_of].groupby(["customer_id", "purpose"], as_index=False).last()
    newest = ledger.loc[ledger.groupby(["customer_id", "purpose"]).tail(1).index]
    words = newest[newest.occurred_at < consent.as_of]
    return words[words.granted & ~(words.expires_at <= consent.as_of)]


def test_evidence_is_that_of_the_decision_that_holds(consent, last):
    found = collection.evidence(collection.standing_grants(consent)).set_index("purpose")
    by_hand = last.groupby("purpose")
    assert found.n_permits.to_dict() == by_hand.size().to_dict()
    assert found.n_proof.to_dict() == by_hand.proof.count().to_dict()
    assert found.n_confirmed_at.to_dict() == by_hand.confirmed_at.count().to_dict()
    for days in (30, 60, 90):
        due = last.expires_at <= consent.as_of + timedelta(days=days)
        assert found[f"n_due_{days}"].to_dict() == due.groupby(last.purpose).sum().to_dict()
    assert "n_wording" not in found
    assert 10 < found.n_due_30.sum() < found.n_due_90.sum() < found.n_permits.sum()


def test_renewals_are_listed_with_what_is_known_of_them(consent, last):
    due = collection.renewals_due(collection.standing_grants(consent)).to_pandas()
    by_hand = last[last.expires_at <= consent.as_of + timedelta(days=90)]
    assert set(due.proof.dropna()) == set(by_hand.proof.dropna())
    left = (due.expires_at - consent.as_of) / timedelta(days=1)
    assert ((due.due_within_days - left >= 0) & (due.due_within_days - left < 30)).all()
    assert len(due) == len(by_hand)


def test_shares_by_source_have_wilson_s_interval(consent, ledger):
    names = ledger.customer_id.unique()
    records = pd.DataFrame(
        {"customer_id": [*names, names[0]], "source": ["web", "shop"] * (len(names) // 2) + ["web"]}
    )
    shares = collection.shares_by_group(consent, table(records))
    low, high = proportion_confint(shares.n_permits, shares.n_decided, method="wilson")
    np.testing.assert_allclose(
        shares[["permitted_low", "permitted_high"]], np.column_stack([low, high]), atol=1e-12
    )
    assert shares.n_permits.sum() == collection.evidence(collection.standing_grants(consent)).n_permits.sum()
    assert collection.shares_by_group(consent, None).empty


def test_without_a_ledger_or_an_end_nothing_is_due(ledger):
    assert collection.evidence(collection.standing_grants(collection.Consent())).empty
    endless = table(ledger[["customer_id", "purpose", "granted", "occurred_at"]])
    grants = collection.standing_grants(collection.who_permits(collection.collect({"consents": endless}).accepted))
    assert collection.evidence(grants)[["n_due_30", "n_due_90"]].sum().tolist() == [0, 0]
    assert collection.renewals_due(grants.mutate(expires_at=ibis.null("timestamp"))).count().execute() == 0


def sales(n: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = pd.Timestamp(NOON) + pd.to_timedelta(np.sort(rng.integers(0, 100 * 86_400, n)), unit="s")
    return pd.DataFrame(
        {"customer_id": rng.integers(50, size=n).astype(str), "occurred_at": at, "revenue": rng.random(n)}
    )


def test_a_delivery_that_came_twice_is_found_as_one_piece():
    rows = sales(300)
    came = pd.concat([rows, rows[50:90], sales(40, seed=2), rows[:30], rows[200:210], rows[100:105]])
    found = collection.delivered_twice({"transactions": table(came), "other": table(rows)})
    assert found.to_numpy().tolist() == [["transactions", 301, 340, 40, 51], ["transactions", 381, 410, 30, 1]]
    assert "70 rows of `transactions` came twice" in collection.say_deliveries(found, found.head(0), [])
    alike = pd.DataFrame({"path": ["a"] * 300})
    assert collection.delivered_twice({"paths": table(alike.iloc[:20])}).empty


def test_days_far_from_their_weekday_s_median_are_odd():
    rows = sales(9_000)
    day = rows.occurred_at.dt.strftime("%Y-%m-%d")
    kept = rows[(day != "2020-02-12") & ((day != "2020-02-20") | (rows.index % 4 == 0))]
    twice = pd.concat([kept, kept[day[kept.index] == "2020-03-03"]])
    odd = collection.odd_days(
        {"transactions": table(twice), "products": table(pd.DataFrame({"product_id": ["p"]}))}
    )
    assert odd.day.tolist() == ["2020-02-12", "2020-02-20", "2020-03-03"]
    assert odd.n_rows.iloc[0] == 0
    assert collection.odd_days({"transactions": table(rows.head(4_000))}).empty


def test_few_quiet_days_are_called_odd():
    seeds = range(20)
    n_odd = sum(len(collection.odd_days({"transactions": table(sales(2_000, seed=seed))})) for seed in seeds)
    assert n_odd <= 0.002 * 98 * len(seeds)


def test_a_changed_schema_is_said_once_and_again_for_the_same_delivery():
    first, second = {"transactions": table(sales(5))}, {"transactions": table(sales(6).assign(store_id="s"))}
    wider = {
        "transactions": second["transactions"].cast({"revenue": "string"}).drop("customer_id"),
        "paths": first["transactions"],
    }
    digests = {"transactions": {"sha256": "a"}}, {"transactions": {"sha256": "b"}}
    told, kept = collection.compare_schemas(first, digests[0], {})
    assert told == []
    told, kept = collection.compare_schemas(second, digests[1], {"kept": kept})
    assert told == ["`transactions.store_id` was none, and is string"]
    assert collection.compare_schemas(second, digests[1], {"kept": kept}) == (told, kept)
    told, later = collection.compare_schemas(wider, digests[1], {"kept": kept})
    assert told == [
        "`transactions.customer_id` was string, and is none",
        "`transactions.revenue` was float64, and is string",
        "table `paths` is new",
    ]
    assert collection.compare_schemas(first, digests[0], {"kept": later})[0][-1] == "table `paths` is gone"


def test_the_catalogue_says_whose_a_column_is_and_who_names_it():
    records = pd.DataFrame({"record_id": ["1"], "source": "s", "customer_id": "1", "email": [None]})
    tables = {"transactions": table(sales(3).assign(strange=1)), "customer_records": table(records)}
    about = {"transactions": {"rows": 3, "party": "second"}, "customer_records": {"rows": 1}}
    listed = collection.catalogue(tables, about).set_index(["table", "column"])
    assert listed.loc[("customer_records", "email"), ["personal", "pages", "n_filled"]].tolist() == [
        "names a person",
        "02, 03",
        0,
    ]
    assert listed.loc[("transactions", "revenue"), ["party", "personal"]].tolist() == ["second", "of a person"]
    assert "04" in listed.named_by["transactions", "revenue"]
    assert listed.named_by["transactions", "strange"] == "any"
    unread = listed.assign(named_by="").reset_index()
    assert "`transactions.revenue`" in collection.say_catalogue(unread)
    assert "No later page" not in collection.say_catalogue(listed.assign(named_by="04").reset_index())
