"""Page 08: differences between groups, against SciPy, permutations of people, and simulated people who differ."""

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from walks import BROWSER, LAW, steps, walk

from journeybook.clickstream.groups import compare_groups, rao_scott


def compare(table, **given):
    return compare_groups(table, **{"group_by": None, "n_periods": 2, "alpha": 0.05} | given)


def people_counts(rng, *, n_people=60, n_links=20, spread=1.0, shift=0.0):
    """Counts of shape (people, 2 groups, 3 targets): people differ, and the groups by `shift`.

    A person's links are in one group, or in both where `spread` says so.
    """
    shares = rng.dirichlet([2.0, 3.0, 5.0], size=n_people)
    inside = np.where(rng.random(n_people) < spread, rng.integers(2, size=n_people), 0.5)
    in_second = rng.binomial(n_links, inside)
    counts = np.zeros((n_people, 2, 3))
    for person, (share, k) in enumerate(zip(shares, in_second, strict=True)):
        moved = share + shift * np.array([1.0, 0.0, -1.0]) * np.minimum(share[0], share[2])
        counts[person] = rng.multinomial(n_links - k, share), rng.multinomial(k, moved)
    return counts


def plain(counts):
    return stats.chi2_contingency(counts.sum(axis=0), correction=False)


def test_the_statistic_is_pearson_s_and_with_independent_links_so_is_the_p_value():
    rng = np.random.default_rng(3)
    entries = np.zeros((6_000, 2, 3))
    entries[np.arange(6_000), rng.integers(2, size=6_000), rng.choice(3, size=6_000, p=[0.2, 0.3, 0.5])] = 1
    found, expected = rao_scott(entries), plain(entries)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.df == expected.dof
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.02)


def test_of_two_groups_and_two_targets_it_is_the_t_test_of_what_each_person_moves():
    counts = people_counts(np.random.default_rng(9), n_people=12)[..., :2]
    seen = counts.sum(axis=0)
    share = seen[:, 0].sum() / seen.sum()
    second = seen[1].sum() / seen.sum()
    moved = counts[:, 1, 0] - share * counts[:, 1].sum(axis=1)
    moved = moved - second * (counts[..., 0].sum(axis=1) - share * counts.sum(axis=(1, 2)))
    assert rao_scott(counts).p_value == pytest.approx(stats.ttest_1samp(moved, 0).pvalue, rel=1e-9)


def test_saying_everything_twice_changes_no_p_value():
    counts = people_counts(np.random.default_rng(4))
    once, twice = rao_scott(counts), rao_scott(2 * counts)
    assert twice.statistic == pytest.approx(2 * once.statistic)
    assert twice.p_value == pytest.approx(once.p_value, rel=1e-9)
    assert plain(2 * counts).pvalue < plain(counts).pvalue


def test_the_p_value_is_that_of_people_dealt_to_the_groups_again():
    rng = np.random.default_rng(6)
    counts = people_counts(rng, n_people=200)
    found = rao_scott(counts)
    each = counts.sum(axis=1)
    second = counts[:, 1].sum(axis=1) > 0
    dealt = []
    for _ in range(1_000):
        group = rng.permutation(second)
        table = np.stack([each[~group].sum(axis=0), each[group].sum(axis=0)])
        dealt.append(stats.chi2_contingency(table, correction=False).statistic)
    share = np.mean(np.array(dealt) >= found.statistic)
    assert 0.02 < share < 0.98
    assert found.p_value == pytest.approx(share, abs=0.05)


def size(n_simulations, seed, **shape):
    rng = np.random.default_rng(seed)
    drawn = [people_counts(rng, **shape) for _ in range(n_simulations)]
    return (
        np.mean([rao_scott(counts).p_value < 0.05 for counts in drawn]),
        np.mean([plain(counts).pvalue < 0.05 for counts in drawn]),
    )


def test_a_plain_chi_square_is_too_eager_where_people_differ_and_this_one_is_not():
    clustered, independent = size(600, seed=7)
    assert abs(clustered - 0.05) < 3.3 * np.sqrt(0.05 * 0.95 / 600)
    assert independent > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("n_people", [30, 60, 300])
@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_size(n_people, spread):
    clustered, independent = size(2_000, seed=n_people, n_people=n_people, spread=spread)
    assert abs(clustered - 0.05) < 3.3 * np.sqrt(0.05 * 0.95 / 2_000)
    assert independent > clustered


def test_a_difference_is_found():
    clustered, _ = size(200, seed=1, n_people=150, shift=0.6, spread=0.0)
    assert clustered > 0.9


@pytest.fixture(scope="module")
def site():
    """120 people in the app or on the web, who move alike on both but from the item; visits over 100 days."""
    rng = np.random.default_rng(11)
    other = LAW.copy()
    other[2] = [0.1, 0.1, 0.5, 0.0, 0.3]
    people = [f"{n % 120}" if n % 4 else None for n in range(2000)]
    device = ["app" if rng.random() < 0.5 else "web" for _ in people]
    walks = [walk(other if name == "app" else LAW, rng) for name in device]
    days = rng.permutation(2000) % 100
    return steps(walks, people, device=device, day=[int(day) for day in days])


def test_the_page_that_differs_is_found_and_no_other(site):
    found = compare(site)
    assert found.compared == ("device", "period", "visitor")
    assert found.left_out == {"channel": "the events have no channel", "segment": "there are no segments"}
    different = found.table[found.table["differs"]]
    assert different[["grouping", "state"]].to_numpy().tolist() == [["device", "item"]]
    row = different.iloc[0]
    frame = site.to_pandas()
    inside = frame[frame["previous"] == "item"]
    leaves = frame[(frame["label"] == "item") & frame["last"]]
    assert row["n"] == len(inside) + len(leaves)
    assert row["target"] == "cart"
    own = inside[inside["device"] == row["level"]]
    visits = len(own) + (leaves["device"] == row["level"]).sum()
    assert row["probability"] == pytest.approx((own["label"] == "cart").sum() / visits)
    assert row["p_adjusted"] == pytest.approx(min(row["p_value"] * len(found.table), 1))


def test_new_is_a_person_s_first_session_by_time(site):
    frame = site.to_pandas()
    known = frame[frame["known"]]
    starts = known[known["step"] == 0]
    first = starts.sort_values(["occurred_at", "row"]).drop_duplicates("cluster")["session"]
    shares = pd.crosstab(starts["session"].isin(first), starts["label"], normalize="index")
    row = compare(site, group_by=["visitor"]).table.set_index("state").loc["(start)"]
    assert row["n"] == len(starts)
    assert row["probability"] == pytest.approx(shares.loc[row["level"] == "new", row["target"]])


def test_a_segment_is_the_one_of_the_last_snapshot_before(site):
    """Person 1 is gold from day 50 on; what was done before day 10 has no segment yet."""
    start = pd.Timestamp("2026-01-01")
    people = [f"{n}" for n in range(120)]
    early = pd.DataFrame({"person_id": people, "as_of": start + pd.Timedelta(days=10), "segment": "blue"})
    late = early.assign(
        as_of=start + pd.Timedelta(days=50), segment=["gold" if int(n) % 3 else "blue" for n in people]
    )
    snapshots = ibis.memtable(pd.concat([early, late], ignore_index=True))
    found = compare(site, group_by=["segment"], segments=snapshots).table.set_index("state").loc["(start)"]
    frame = site.to_pandas()
    begun = frame[frame["known"] & (frame["step"] == 0) & (frame["occurred_at"] >= start + pd.Timedelta(days=10))]
    after = begun["occurred_at"] >= start + pd.Timedelta(days=50)
    gold = after & (begun["cluster"].str[2:].astype(int) % 3 > 0)
    chosen = begun[gold if found["level"] == "gold" else ~gold]
    assert found["n"] == len(begun)
    assert found["probability"] == pytest.approx((chosen["label"] == found["target"]).mean())


def test_names_of_people_play_no_part(site):
    frame = site.to_pandas()
    renamed = frame.assign(cluster=frame["cluster"].where(~frame["known"], "p x" + frame["cluster"].str[:1:-1]))
    pd.testing.assert_frame_equal(compare(ibis.memtable(renamed)).table, compare(site).table)


def test_positions_alone_leave_nothing_but_the_device():
    rng = np.random.default_rng(1)
    walks = [walk(BROWSER, rng) for _ in range(100)]
    found = compare(steps(walks, device=["app", "web"] * 50))
    assert found.compared == ("device",)
    assert found.left_out["period"] == "the events have no times"
    nothing = compare(steps(walks))
    assert nothing.table.empty
    assert nothing.compared == ()


def test_one_visit_a_group_is_not_tested():
    rng = np.random.default_rng(1)
    found = compare(steps([walk(LAW, rng) for _ in range(10)], device=["app", "web"] * 5))
    assert found.table.empty
    assert "device: too few visitors" in found.note


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"group_by": ["colour"]}, "group_by names 'colour': it may name device"),
        ({"group_by": ["channel"]}, "group_by names 'channel', but the events have no channel"),
        ({"n_periods": 1}, "n_periods is 1"),
        ({"alpha": 1.5}, "alpha is 1.5"),
    ],
)
def test_bad_input_is_named(site, given, message):
    with pytest.raises(ValueError, match=message):
        compare(site, **given)
