"""What a data vendor says of postcodes."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from journeybook.datasets.demo import third_party
from journeybook.datasets.demo.third_party import simulate_third_party, third_party_truth

N = 3_000


def simulate(seed: int):
    spend = np.random.default_rng(3).lognormal(7, 1, N)
    households = pd.DataFrame({"customer_id": [str(k) for k in range(N)], "spend": spend})
    vendor = simulate_third_party(households, seed=seed)
    postcodes = pd.DataFrame({"customer_id": households["customer_id"], "postcode": vendor.postcodes[vendor.home]})
    return households, vendor, third_party_truth(vendor, postcodes), postcodes


@pytest.fixture(scope="module")
def demo():
    return simulate(1)


def test_postcodes_are_different_and_a_part_begins_with_zero(demo):
    _, vendor, _, _ = demo
    codes = vendor.areas["postcode"].unique()
    assert len(codes) == 150
    assert all(len(code) == 5 and code.isdigit() for code in codes)
    assert 0.25 < np.mean([code.startswith("0") for code in codes]) < 0.35
    assert len({code[:3] for code in codes}) == third_party.N_DISTRICTS
    assert 100 <= len(np.unique(vendor.home)) <= third_party.N_POSTCODES


def test_a_release_lacks_postcodes_and_spells_them_its_own_way(demo):
    _, vendor, _, _ = demo
    for as_of, missing in zip(third_party.RELEASES, third_party.MISSING_RATES, strict=True):
        listed = vendor.areas.loc[vendor.areas["as_of"] == as_of, "listed"]
        assert stats.binomtest(int((~listed).sum()), len(listed), missing).pvalue > 1e-5
        assert (vendor.table["as_of"] == as_of).sum() == listed.sum()
    first = vendor.table.loc[vendor.table["as_of"] == third_party.RELEASES[0], "postcode"]
    assert not first.str.startswith("0").any()
    assert (first.str.len() == 4).any()
    second = vendor.table.loc[vendor.table["as_of"] == third_party.RELEASES[1], "postcode"]
    assert second.str.startswith("0").any()
    assert 0.05 < second.str.contains("-").mean() < 0.27


def test_a_join_on_repaired_postcodes_finds_exactly_the_truth(demo):
    _, vendor, truth, postcodes = demo
    sold = vendor.table.assign(postcode=vendor.table["postcode"].str.split("-").str[0].str.zfill(5))
    joined = postcodes.merge(sold, on="postcode").merge(
        truth, on=["customer_id", "as_of"], how="right", suffixes=("", "_true")
    )
    assert (joined["postcode"].notna() == joined["listed"]).all()
    known = joined[joined["median_income"].notna()]
    assert (known["median_income"] == known["median_income_true"]).all()
    naive = postcodes.merge(vendor.table, on="postcode")
    assert len(naive) < joined["listed"].sum()


def test_affluence_goes_with_spending_as_planted_and_the_others_do_not():
    for seed in (1, 2, 3):
        households, vendor, truth, _ = simulate(seed)
        latest = (
            truth[truth["as_of"] == third_party.RELEASES[1]]
            .set_index("customer_id")
            .loc[households["customer_id"]]
        )
        found = np.corrcoef(np.log(households["spend"]), np.log(latest["median_income"]))[0, 1]
        assert abs(found - vendor.correlation) < 0.08
        # Over postcodes, for households of one postcode share its value.
        by_area = latest.groupby("density_per_km2")[["families_share", "median_income"]].first()
        assert abs(stats.spearmanr(by_area["families_share"], by_area["median_income"]).statistic) < 0.4
    assert len({simulate(seed)[1].correlation for seed in (1, 2, 3)}) == 3
