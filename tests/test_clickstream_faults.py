"""Page 08: the scan for faults, against brute force, planted faults and sound logs."""

import numpy as np
import pandas as pd
import pytest
from walks import LAW, steps, walk

from journeybook.clickstream import faults
from journeybook.clickstream.faults import find_faults
from journeybook.clickstream.truth import fault_overlap

FIRST = pd.Timestamp("2026-01-01")
SHARES = {"a": 0.3, "b": 0.1, "(exit)": 0.6}


def day_counts(rng, *, n_days=120, visits=40, broken=None, depth=0.5, mix=0.0):
    """Counts of two pages on two devices; the step a of page one in the app drops on the days of `broken`.

    `mix` is how far the shares move from week to week, as the standard deviation of their logarithm.
    """
    rows = []
    moved = np.repeat(np.exp(mix * rng.standard_normal((n_days // 7 + 1, 3))), 7, axis=0)[:n_days]
    for page in ("one", "two"):
        for device in ("app", "web"):
            for day in range(n_days):
                share = np.array([*SHARES.values()]) * moved[day]
                share /= share.sum()
                if broken is not None and day in broken and (page, device) == ("one", "app"):
                    share = share + depth * share[0] * np.array([-1.0, 0.0, 1.0])
                for target, n in zip(SHARES, rng.multinomial(rng.poisson(visits), share), strict=True):
                    rows.append((device, page, target, FIRST + pd.Timedelta(days=day), n))
    return pd.DataFrame(rows, columns=["device", "source", "target", "day", "n"])


def scan(counts, seed=1, alpha=0.05, shortest=1, longest=30, n_simulations=99):
    days, lengths = faults._by_day(counts), range(shortest, longest + 1)
    return faults._scan(days, lengths, alpha=alpha, n_simulations=n_simulations, rng=np.random.default_rng(seed))


def test_a_planted_fault_is_found_on_its_days_and_device():
    found = scan(day_counts(np.random.default_rng(2), broken=range(50, 62)))
    faulty = found.table[found.table["fault"]]
    assert faulty[["source", "target", "device"]].to_numpy().tolist() == [["one", "a", "app"]]
    planted = pd.DataFrame(
        [("one", "a", "app", FIRST + pd.Timedelta(days=50), FIRST + pd.Timedelta(days=62))],
        columns=["source", "target", "device", "starts_at", "ends_at"],
    )
    overlap, n_false = fault_overlap(found, planted)
    assert n_false == 0
    assert overlap > 0.75
    assert fault_overlap(found, planted.assign(device="web")) == (0.0, 1)


def test_overlap_is_days_in_both_over_days_in_either():
    found = scan(day_counts(np.random.default_rng(2), broken=range(50, 62)))
    row = found.table.iloc[0]
    length = (row["ends_at"] - row["starts_at"]).days
    planted = pd.DataFrame(
        [("one", "a", "app", row["starts_at"] + pd.Timedelta(days=2), row["ends_at"] + pd.Timedelta(days=3))],
        columns=["source", "target", "device", "starts_at", "ends_at"],
    )
    assert fault_overlap(found, planted)[0] == pytest.approx((length - 2) / (length + 3))


def test_the_fault_in_one_day_is_seen_only_where_one_day_is_looked_at():
    counts = day_counts(np.random.default_rng(3), visits=150, broken=[70], depth=1.0)
    top = scan(counts).table.iloc[0]
    assert top["fault"]
    assert (top["starts_at"], top["ends_at"]) == (FIRST + pd.Timedelta(days=70), FIRST + pd.Timedelta(days=71))
    assert (
        scan(counts, shortest=2).table["ends_at"] - scan(counts, shortest=2).table["starts_at"]
    ).dt.days.min() >= 2


def test_score_and_ends_by_brute_force():
    """Every span of the scan by the formula of a share in a sample without replacement; the ends by likelihood."""
    counts = day_counts(np.random.default_rng(4), n_days=40, broken=range(10, 15))
    days = faults._by_day(counts)
    lengths = faults._grid(2, 12)
    found = faults._deepest(days, days.took, [(n, faults._weights(days, n)) for n in lengths])
    start, length = faults._located(days, range(2, 13))
    for step in range(len(days.names)):
        k, n = days.took[step], days.visits[step]
        share = k.sum() / n.sum()
        seen = n > 0
        squares = (k - n * share)[seen] ** 2 / (n[seen] * share * (1 - share))
        weeks = [(k[at : at + 7].sum(), n[at : at + 7].sum()) for at in range(0, 40, 7)]
        by_week = np.median([(ki - ni * share) ** 2 / (ni * share * (1 - share)) for ki, ni in weeks]) / 0.4549364
        dispersion = max(squares.sum() / (seen.sum() - 1), by_week, 1)
        scores, likelihoods = [0.0], {}
        for width in range(2, 13):
            for at in range(40 - width + 1):
                inside = slice(at, at + width)
                ki, ni = k[inside].sum(), n[inside].sum()
                ko, no = k.sum() - ki, n.sum() - ni
                if width in lengths and min(ni * share, ni * (1 - share)) >= 5:
                    error = np.sqrt(share * (1 - share) * ni * (1 - ni / n.sum()) * dispersion)
                    scores.append((ni * share - ki) / error)
                if ki / ni < ko / no:
                    parts = [(ki, ni), (ni - ki, ni), (ko, no), (no - ko, no)]
                    likelihoods[at, width] = sum(x * np.log(x / m) for x, m in parts if x > 0)
        assert found[step] == pytest.approx(max(scores), rel=1e-6)
        assert (start[step], length[step]) == max(likelihoods, key=likelihoods.get)


def test_all_together_is_the_sum_of_the_devices():
    counts = day_counts(np.random.default_rng(5), n_days=10)
    days = faults._by_day(counts)
    names = days.names.set_index(["source", "target", "device"])
    assert set(names.index.get_level_values("device")) == {"app", "web", "(all)"}
    assert "(exit)" not in names.index.get_level_values("target")
    took = pd.DataFrame(days.took, index=names.index)
    both = took.drop("(all)", level="device").groupby(level=["source", "target"]).sum()
    together = took.xs("(all)", level="device")
    pd.testing.assert_frame_equal(both, together.sort_index(), check_dtype=False)
    one = faults._by_day(counts[counts["device"] == "app"])
    assert set(one.names["device"]) == {"app"}


def test_what_was_lost_is_what_the_other_days_would_have_brought():
    found = scan(day_counts(np.random.default_rng(2), broken=range(50, 62)))
    row = found.table.iloc[0]
    assert row["lost"] == pytest.approx(row["n"] * (row["probability_outside"] - row["probability"]))
    assert row["probability"] < row["probability_outside"]
    inside = found.daily["day"].between(row["starts_at"], row["ends_at"], inclusive="left")
    assert found.daily.loc[inside, "n"].sum() == row["n"]
    assert found.daily.loc[inside, "k"].sum() == round(row["n"] * row["probability"])


def false_alarms(n_logs, seed, **shape):
    rng = np.random.default_rng(seed)
    logs = (day_counts(rng, n_days=60, **shape) for _ in range(n_logs))
    tables = [scan(log, seed=seed + k, n_simulations=39).table for k, log in enumerate(logs)]
    return np.mean([table["fault"].any() for table in tables])


def test_sound_logs_show_no_fault_more_often_than_stated():
    assert false_alarms(50, seed=6) <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 50)


@pytest.mark.slow
def test_the_rate_of_false_alarms():
    share = false_alarms(400, seed=7)
    assert abs(share - 0.05) <= 3.3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.slow
def test_weeks_that_scatter_are_no_faults():
    """Shares that move by a twentieth from week to week: somewhat more alarms than stated, not many more."""
    assert false_alarms(200, seed=8, mix=0.05) < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 200) + 0.02


@pytest.fixture(scope="module")
def site():
    rng = np.random.default_rng(1)
    walks = [walk(LAW, rng) for _ in range(900)]
    return steps(walks, device=["app", "web", None] * 300, day=[n % 60 for n in range(900)])


def find(table, **given):
    asked = {"alpha": 0.05, "shortest_days": 1, "longest_days": 20, "n_simulations": 19}
    return find_faults(table, **(asked | given), rng=np.random.default_rng(1))


def test_days_are_counted_from_the_steps(site):
    counts = faults._day_counts(site)
    frame = site.to_pandas()
    assert set(counts["device"]) == {"app", "web", "(unknown)"}
    assert "(start)" not in set(counts["source"])
    leaves = counts[counts["target"] == "(exit)"]["n"].sum()
    assert leaves == (frame["last"] & (frame["label"] != "(conversion)")).sum()
    assert counts["n"].sum() == (frame["step"] > 0).sum() + leaves


def test_the_scan_says_what_it_looked_at_and_is_the_same_twice(site):
    first, again = find(site), find(site)
    pd.testing.assert_frame_equal(first.table, again.table)
    assert len(first.daily) == 60
    assert not first.table.duplicated(["source", "target"]).any()
    assert first.table["p_value"].between(0.05, 1).all()


def test_without_times_or_days_nothing_is_scanned(site):
    rng = np.random.default_rng(1)
    untimed = steps([walk(LAW, rng) for _ in range(20)])
    assert find(untimed).note.endswith("the data have no times")
    short = steps([walk(LAW, rng) for _ in range(20)], day=[0] * 20)
    assert "1 days with" in find(short).note
    assert find(short).table.empty


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"shortest_days": 0}, "the shortest fault has 0 days"),
        ({"shortest_days": 30}, "the shortest fault has 30 days: it must be from 1 to the longest, 20"),
        ({"n_simulations": 18}, "n_simulations is 18: at alpha 0.05 at least 19"),
    ],
)
def test_bad_input_is_named(site, given, message):
    with pytest.raises(ValueError, match=message):
        find(site, **given)
