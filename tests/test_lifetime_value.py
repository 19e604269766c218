"""Page 06: published fits, SciPy's hypergeometric functions, simulated customers, histories by hand."""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import ibis
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from finding_rules import told
from numpy.testing import assert_allclose
from planted_customers import planted_customers
from scipy import stats
from scipy.special import hyp2f1

from journeybook import lifetime_value as worth
from journeybook.errors import TooLittle
from journeybook.lifetime_value.family import histories
from journeybook.lifetime_value.fitting import maximise
from journeybook.lifetime_value.holdout import Judged, baselines
from journeybook.lifetime_value.models import ANY_TIME, BG_NBD, PARETO_NBD, fit
from journeybook.lifetime_value.spend import fit_gamma_gamma
from journeybook.lifetime_value.words import say_way
from journeybook.plots import lifetime_value as figures
from journeybook.statistics import stream

THETA = {"BG/NBD": [0.25, 4.4, 0.8, 2.4], "MBG/NBD": [0.5, 6.2, 0.9, 1.6], "Pareto/NBD": [0.55, 10.6, 0.6, 11.7]}
SPLIT, END = datetime(2020, 10, 1), datetime(2021, 1, 1)


@pytest.fixture(scope="module")
def cdnow():
    """The sample of 2,357 CDNOW customers (Fader & Hardie): x, t_x, T in weeks; mean spend of repeat buyers."""
    folder = os.environ.get("JOURNEYBOOK_DATA")
    if not folder:
        pytest.skip("1 witness needs cdnow/CDNOW_sample.txt under JOURNEYBOOK_DATA")
    names = ["master_id", "customer_id", "day", "n", "revenue"]
    lines = pd.read_csv(Path(folder) / "cdnow/CDNOW_sample.txt", sep=r"\s+", names=names, dtype={"day": str})
    lines = lines.assign(occurred_at=pd.to_datetime(lines["day"]), person_id=lines["customer_id"].astype(str))
    lines.insert(0, "row", range(1, len(lines) + 1))
    # Some orders cost nothing; the published histories count them, and this page does not.
    return lines[["row", "person_id", "occurred_at", "revenue"]]


def summed(lines):
    days = worth.purchase_days(ibis.memtable(lines))
    return worth.customer_summary(days, split=datetime(1997, 10, 1), end=datetime(1998, 7, 1))


def of_sample(lines):
    # The published clock ends on 30 September, a day before the split.
    cdnow = summed(lines.assign(revenue=lines["revenue"].clip(lower=0.01)))
    return histories(cdnow["x"], cdnow["t_x"], (7 * cdnow["T"] - 1).round() / 7)


@pytest.mark.parametrize(
    ("family", "theta", "log_likelihood"),
    [
        (BG_NBD, [0.243, 4.414, 0.793, 2.426], -9582.43),
        (PARETO_NBD, [0.553, 10.578, 0.606, 11.669], -9594.97),
    ],
)
def test_published_fits_come_out(cdnow, family, theta, log_likelihood):
    """Fader, Hardie & Lee 2005, table 1 and the notes on Pareto/NBD, to the digits printed."""
    found = fit(family, of_sample(cdnow))
    assert found.trouble is None
    assert_allclose(found.theta, theta, atol=6e-4)
    assert_allclose(found.log_likelihood, log_likelihood, atol=0.011)


def test_published_spend_comes_out(cdnow):
    """Fader & Hardie 2013: 946 repeat buyers."""
    customers = summed(cdnow)
    repeat = customers[customers["repeat_revenue"] > 0]
    assert len(repeat) == 946
    found = fit_gamma_gamma(repeat["x"].to_numpy(float), (repeat["repeat_revenue"] / repeat["x"]).to_numpy(float))
    assert_allclose(found.theta, [6.25, 3.74, 15.44], atol=6e-3)


def some_histories(longest=40.0):
    rng = np.random.default_rng(5)
    x = np.array([0, 0, 1, 2, 7, 30, 200, 1000], dtype=float)
    T = rng.uniform(0.5, longest, len(x))
    return histories(x, np.where(x > 0, T * rng.uniform(0.1, 1, len(x)), 0), T)


@pytest.mark.parametrize("family", ANY_TIME, ids=lambda family: family.name)
def test_slopes_are_those_of_the_likelihood(family):
    h, theta = some_histories(), np.array(THETA[family.name])
    ends = [[family.likelihood(theta + s * e, h)[0] for s in (1e-6, -1e-6)] for e in np.eye(4)]
    numeric = np.array([(up - down) / 2e-6 for up, down in ends])
    assert_allclose(family.likelihood(theta, h)[1], numeric, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("theta", [[0.5, 10, 0.6, 12], [0.5, 12, 0.6, 8], [1.4, 1.4, 10, 900.0]])
def test_pareto_likelihood_is_the_hypergeometric_one(theta):
    """Fader & Hardie 2005, eq. 5 to 7, where SciPy's function is still exact."""
    r, alpha, s, beta = theta
    h = some_histories()
    keep = h.x <= 30
    m, low, high = r + s + h.x, min(alpha, beta), max(alpha, beta)
    second = s + 1 if alpha >= beta else r + h.x

    def part(time):
        return hyp2f1(m, second, m + 1, (high - low) / (high + time)) / (high + time) ** m

    inside = (alpha + h.T) ** -(r + h.x) * (beta + h.T) ** -s + s / m * (part(h.t_x) - part(h.T))
    scale = np.array([np.prod(r + np.arange(x)) for x in h.x])
    wanted = np.log(scale[keep] * inside[keep]) + r * np.log(alpha) + s * np.log(beta)
    assert_allclose(PARETO_NBD.likelihood(np.array(theta, float), h)[0][keep], wanted, rtol=1e-9)


EXTREMES = [
    [3, 500, 2, 0.01],
    [3, 500, 20, 0.5],
    [0.05, 0.01, 0.05, 5_000],
    [0.05, 1, 10, 3_000],
    [1.4, 1.4, 10, 11_360],
]


@pytest.mark.parametrize("theta", EXTREMES)
def test_the_integral_has_converged_wherever_users_go(theta, monkeypatch):
    h, theta = some_histories(longest=10_000.0), np.array(theta, dtype=float)
    value, by = PARETO_NBD.likelihood(theta, h)
    monkeypatch.setattr("journeybook.lifetime_value.models.N_NODES", 200)
    finer, finer_by = PARETO_NBD.likelihood(theta, h)
    assert_allclose(value, finer, rtol=1e-9, atol=1e-9)
    assert_allclose(by, finer_by, rtol=1e-5, atol=1e-6)


def test_bg_expectation_is_the_hypergeometric_one():
    """Fader, Hardie & Lee 2005, eq. 10."""
    r, alpha, a, b = THETA["BG/NBD"]
    h, t = some_histories(), 39.0
    z = t / (alpha + h.T + t)
    inside = 1 - ((alpha + h.T) / (alpha + h.T + t)) ** (r + h.x) * hyp2f1(r + h.x, b + h.x, a + b + h.x - 1, z)
    odds = np.where(h.x > 0, a / (b + h.x - 1) * ((alpha + h.T) / (alpha + h.t_x)) ** (r + h.x), 0)
    wanted = (a + b + h.x - 1) / (a - 1) * inside / (1 + odds)
    few = h.x <= 30
    assert_allclose(BG_NBD.expected(np.array(THETA["BG/NBD"]), h, np.array([t]))[few, 0], wanted[few], rtol=1e-8)


@pytest.mark.parametrize("family", ANY_TIME, ids=lambda family: family.name)
def test_what_is_expected_is_the_mean_of_what_is_drawn(family):
    theta, rng, T = np.array(THETA[family.name]), np.random.default_rng(3), np.full(4_000, 30.0)
    h = histories(*planted_customers(family.name, theta, T, rng=rng))
    each = histories(h.x[h.place], h.t_x[h.place], h.T[h.place])
    drawn = np.array([each.weight @ family.simulated(theta, each, 20.0, rng) for _ in range(100)])
    foreseen = each.weight @ family.expected(theta, each, np.array([20.0]))[:, 0]
    assert abs(foreseen - drawn.mean()) < 4 * drawn.std() / np.sqrt(100)


@pytest.mark.parametrize("family", ANY_TIME, ids=lambda family: family.name)
def test_known_parameters_come_back_and_foresee(family):
    """Customers simulated purchase by purchase over twice the period: the first half foresees the second."""
    theta, rng = np.array(THETA[family.name]), np.random.default_rng(11)
    T = np.full(8_000, 60.0)
    x, t_x, _ = planted_customers(family.name, theta, T, rng=rng)
    found = fit(family, histories(x, t_x, T))
    assert found.trouble is None
    apart = np.log(found.theta / theta)
    assert apart @ np.linalg.solve(found.covariance, apart) < 18.5  # chi-square of 4, one in a thousand


def test_nobody_repeats_has_no_certificate():
    h = histories(np.zeros(500), np.zeros(500), np.linspace(1, 40, 500))
    assert all(fit(family, h).trouble for family in ANY_TIME)


def test_everybody_buys_once_a_week_has_no_certificate():
    h = histories(np.full(500, 40), np.full(500, 40.0), np.full(500, 40.5))
    assert all(fit(family, h).trouble for family in ANY_TIME)


def test_a_flat_likelihood_has_no_certificate():
    found = maximise(
        lambda theta, rows: (np.zeros(9), np.zeros((1, 9))), ("alpha",), weight=np.ones(9), sizes=[1.0]
    )
    assert found.trouble == "its likelihood has no single peak"


@pytest.mark.parametrize(
    "wrong", [([1], [0], [5]), ([0], [1], [5]), ([1], [6], [5]), ([1.5], [1], [5]), ([-1], [0], [5])]
)
def test_impossible_histories_are_refused(wrong):
    with pytest.raises(ValueError, match=r"t_x must be|must be numbers"):
        histories(*(np.array(part, dtype=float) for part in wrong))


def receipts(rows):
    frame = pd.DataFrame(rows, columns=["person_id", "occurred_at", "revenue"])
    frame["occurred_at"] = pd.to_datetime(frame["occurred_at"], format="mixed").astype("datetime64[us]")
    frame.insert(0, "row", range(1, len(frame) + 1))
    return ibis.memtable(frame, schema={"row": "int64", "person_id": "string", "occurred_at": "timestamp(6)",
                                        "revenue": "float64"})  # fmt: skip


def test_histories_by_hand():
    """Orders of a day are one; a return, a free order, a guest are none; returns after the first reduce spend."""
    days = worth.purchase_days(
        receipts(
            [
                ("a", "2019-12-30", -8),
                ("a", "2020-01-01 10:00", 10), ("a", "2020-01-08 09:00", 20), ("a", "2020-01-08 18:00", 5),
                ("a", "2020-01-10", -4), ("a", "2020-09-30 23:59", 0), ("a", "2020-10-01", 7),
                ("b", "2020-09-24", 3), (None, "2020-02-01", 99), ("c", "2020-11-01", 5), ("d", "2020-05-05", -5),
            ]
        )
    )  # fmt: skip
    found = worth.customer_summary(days, split=SPLIT, end=END)
    assert found["person_id"].tolist() == ["a", "b"]
    assert found["x"].tolist() == [1, 0]
    assert_allclose(found["t_x"], [1, 0])
    assert_allclose(found["T"], [274 / 7, 1])
    assert_allclose(found["repeat_revenue"], [21, 0])
    assert found["n_recent"].tolist() == [0, 1]
    assert found["n_after"].tolist() == [1, 0]
    assert found["n_last_year"].tolist() == [1, 0]
    assert_allclose(found["revenue_after"], [7, 0])


def test_last_year_is_the_same_weeks_of_it():
    """Weeks of 2021 from 4 October are those of 2020 from 5 October; without a year of history nobody has them."""
    bought = ["2020-10-04", "2020-10-05", "2020-12-27", "2020-12-28", "2021-09-30", "2021-11-01"]
    days = worth.purchase_days(receipts([("a", day, 10) for day in bought] + [("b", "2021-02-01", 9)]))
    split, end = datetime(2021, 10, 4), datetime(2021, 12, 27)
    customers = worth.customer_summary(days, split=split, end=end)
    assert customers["n_last_year"].tolist() == [2, 0]
    assert_allclose(baselines(customers, customers, weeks=12)["last year repeated"], [2.5, 0.5])
    assert "last year repeated" not in baselines(customers.iloc[1:], customers, weeks=12)
    assert say_way("last year repeated") == "repeating the same weeks of last year"


def shop(n=600, *, seed=0, correlated=0.0):
    """A shop of Pareto/NBD customers with gamma spend; `correlated` lets frequent customers spend more."""
    rng = np.random.default_rng(seed)
    rate, mean = rng.gamma(1.0, 0.4, n), rng.gamma(6, 5.0, n)
    mean = mean * (rate / rate.mean()) ** correlated
    left = rng.exponential(1 / rng.gamma(1.0, 1 / 60, n))
    rows = []
    for person in range(n):
        at = rng.uniform(0, 30)
        end = min(at + left[person], 52.0)
        while at < end:
            rows.append(
                (f"p{person}", pd.Timestamp("2020-01-02") + pd.Timedelta(weeks=at), rng.gamma(4, mean[person] / 4))
            )
            at += rng.exponential(1 / max(rate[person], 1e-3))
    return receipts(rows)


@pytest.fixture(scope="module")
def judged_shop():
    days, split = worth.purchase_days(shop()), datetime(2020, 10, 1)
    customers = worth.customer_summary(days, split=split, end=END)
    before = worth.customer_summary(days, split=datetime(2020, 7, 1), end=split)
    judged = worth.judge(customers, before, weeks=92 / 7)
    return days, customers, before, judged


def test_the_true_model_foresees_the_total(judged_shop):
    _, customers, _, judged = judged_shop
    table = judged.table.set_index("way")
    spread = 4 * np.sqrt(2 * customers["n_after"].sum())
    assert abs(table.loc[judged.best_model, "predicted"] - customers["n_after"].sum()) < spread
    assert table.loc[judged.best_model, "deviance"] < table.loc["own rate", "deviance"]
    assert judged.chosen == judged.best_model


def test_correlated_spend_refuses_gamma_gamma_and_independent_does_not():
    for correlated, refused in ((0.0, False), (0.6, True)):
        days = worth.purchase_days(shop(1_500, seed=4, correlated=correlated))
        spend = worth.spend_a_purchase(worth.customer_summary(days, split=END, end=END))
        assert (spend.refused is not None) == refused
        assert (spend.expected > 0).all()


def value_of(days, judged, **asked):
    now = worth.customer_summary(days, split=END, end=END)
    spend = worth.spend_a_purchase(now)
    found = fit(worth.family_of(judged.best_model), worth.histories_of(now))
    how = {"horizon_weeks": 26.0, "yearly_discount": 0.0, "margin": None, "n_tiers": 4, "n_draws": 50} | asked
    rng = stream(1, "tiers")
    return now, spend, worth.customer_value(now, spend, way=judged.best_model, found=found, **how, rng=rng)


def test_value_is_purchases_times_spend_discounted(judged_shop):
    days, _, _, judged = judged_shop
    now, spend, plain = value_of(days, judged)
    assert_allclose(plain.table["value"], plain.table["purchases_expected"] * spend.expected)
    _, _, half = value_of(days, judged, margin=0.5)
    assert_allclose(half.table[["value", "value_high"]], plain.table[["value", "value_high"]] / 2, atol=1e-9)
    _, _, later = value_of(days, judged, yearly_discount=0.1)
    ratio = later.table["value"] / plain.table["value"]
    assert ((ratio < 1) & (ratio > 1.1 ** (-26 / (365.25 / 7)))).all()
    assert set(plain.table["tier"]) == {1, 2, 3, 4}
    assert all(one == len(now) for one in (len(plain.table), plain.table["person_id"].nunique()))


def test_weeks_of_independent_customers_seldom_swing():
    """p values of 400 shops with a smooth trend: 5 % below 0.05, with a Monte Carlo error of 1.1 points."""
    rng, at = np.random.default_rng(8), np.arange(52)
    weeks = pd.DataFrame({"week": at, "n_first": 1.0})
    p = [worth.read_period(weeks.assign(n_purchases=rng.poisson(40 + at))).swing_p for _ in range(400)]
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 400)


def two_windows(*, drift: float, n: int = 3_000, seed: int = 21):
    """BG/NBD customers of 39 weeks, split at 13 and 26; `drift` is the variance of each window's rate."""
    rng, weeks = np.random.default_rng(seed), 13.0
    rate, leaves, here = rng.gamma(2, 0.4, n), rng.beta(0.8, 20, n), np.ones(n, dtype=bool)
    at = [[0.0] for _ in range(n)]
    for window in range(3):
        own = rate * (rng.gamma(1 / drift, drift, n) if drift else 1.0)
        for person in range(n):
            time = window * weeks + rng.exponential(1 / own[person])
            while here[person] and time < (window + 1) * weeks:
                at[person].append(time)
                here[person] = rng.random() >= leaves[person]
                time += rng.exponential(1 / own[person])
    spent = rng.gamma(8, 2.0, n)

    def history(split):
        known = [np.array([t for t in days if t < split]) for days in at]
        after = np.array([sum(split <= t < split + weeks for t in days) for days in at])
        paid = [rng.gamma(4, mean / 4, len(days) - 1) for mean, days in zip(spent, known, strict=True)]
        return pd.DataFrame(
            {"x": [len(days) - 1 for days in known], "t_x": [days[-1] for days in known], "T": split,
             "repeat_revenue": [p.sum() for p in paid], "squares": [(p**2).sum() for p in paid],
             "n_after": after, "revenue_after": rng.gamma(4 * after, spent / 4)}
        )  # fmt: skip

    return history(26.0), history(13.0)


@pytest.mark.parametrize("drift", [0.0, 0.3])
def test_widened_intervals_hold_where_habits_drift(drift):
    """90 % intervals of 3,000 customers; the standard error of a share learned and judged is 0.8 points."""
    customers, before = two_windows(drift=drift)
    judged = Judged(
        pd.DataFrame(), {}, {"BG/NBD": fit(BG_NBD, worth.histories_of(customers))}, "BG/NBD", "", (0.0,) * 3
    )
    held = worth.judge_intervals(customers, before, judged, weeks=13.0, n_draws=200, rng=stream(1, "held"))
    for row in held[held["interval"] == "widened"].itertuples():
        # Counts are whole and many bring nothing: an interval may hold more than it promises, and never less.
        assert row.reference < row.value < 0.97
    own = held[held["interval"] == "own"]
    assert ((own["value"] < own["reference"]) == (drift > 0)).all()
    nobody = replace(judged, best_model=None)
    assert worth.judge_intervals(customers, before, nobody, weeks=13.0, n_draws=9, rng=stream(1, "held")).empty


def test_cohorts_by_hand(monkeypatch):
    monkeypatch.setattr("journeybook.lifetime_value.cohorts.FEWEST", 2)
    days = worth.purchase_days(
        receipts(
            [
                ("a", "2020-01-05", 10), ("b", "2020-02-01", 20), ("b", "2020-04-01", 6), ("b", "2020-05-01", -2),
                ("c", "2020-04-03", 8), ("d", "2020-07-01", 4), ("d", "2020-10-01", 2), ("a", "2020-12-31", 50),
                ("e", "2020-07-09", -5), ("a", "2020-01-02", -1),
            ]
        )
    )  # fmt: skip
    found = worth.by_cohort(days, end=datetime(2020, 12, 31))
    assert found["cohort"].tolist() == ["2020 Q1"] * 3 + ["smaller cohorts"]
    assert found["quarter"].tolist() == [0, 1, 2, 0]
    assert found["n"].tolist() == [2, 2, 2, 2]
    assert_allclose(found["bought_share"], [1, 0.5, 0, 1])
    assert_allclose(found["revenue_per_customer"], [15, 2, 0, 6])
    monkeypatch.setattr("journeybook.lifetime_value.cohorts.FEWEST", 9)
    assert worth.by_cohort(days, end=datetime(2020, 12, 31)).empty


def fitted_to_planted(name, theta, rng):
    """A fit to 1,000 customers simulated from parameters; Gamma-Gamma knows what their purchases brought."""
    if name != "Gamma-Gamma":
        made = planted_customers(name, theta, rng.uniform(60, 120, 1_000), rng=rng)
        return fit(worth.family_of(name), histories(*made))
    p, q, gamma = theta
    x = rng.integers(1, 30, 1_000).astype(float)
    return fit_gamma_gamma(x, rng.gamma(p * x, 1 / rng.gamma(q, 1 / gamma, len(x))) / x)


PRIORS = {
    "BG/NBD": [0.6, 6, 1.2, 3],
    "Gamma-Gamma": [2, 4, 15],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIORS)
def test_ranks_of_planted_parameters_are_uniform(name):
    """Simulation-based calibration on 500 sets of 1,000 customers (Talts et al. 2018).

    Parameters are drawn and customers simulated. Ranks of the planted among 99 draws of the fitted are counted
    in ten classes: the chi-square of each parameter is below its quantile of one in 4,000.
    """
    rng, ranks, centre = np.random.default_rng(15), [], np.array(PRIORS[name], dtype=float)
    for _ in range(500):
        theta = centre * np.exp(rng.normal(0, 0.2, len(centre)))
        found = fitted_to_planted(name, theta, rng)
        assert found.trouble is None
        drawn = rng.multivariate_normal(np.log(found.theta), found.covariance, 99)
        ranks.append((drawn < np.log(theta)).sum(axis=0))
    counts = np.array([np.bincount(rank // 10, minlength=10) for rank in np.array(ranks).T])
    assert (((counts - 50) ** 2 / 50).sum(axis=1) < stats.chi2.isf(1 / 4_000, 9)).all(), counts


@pytest.mark.slow
def test_intervals_of_values_cover():
    """95 % intervals of expected purchases, over 200 shops whose expectation at the true parameters is known.

    The mean coverage over 20 histories is 0.9485 with an error of 0.004 (this test's seeds).
    """
    theta, rng, T = np.array(THETA["BG/NBD"]), np.random.default_rng(2), np.full(1_500, 39.0)
    asked = histories(np.arange(20) % 5 + 1.0, np.linspace(5, 38, 20), np.full(20, 39.0))
    truth = BG_NBD.expected(theta, asked, np.array([26.0]))[:, 0]
    inside = []
    for _ in range(200):
        found = fit(BG_NBD, histories(*planted_customers("BG/NBD", theta, T, rng=rng)))
        if found.trouble:
            continue
        moved = [[found.theta * np.exp(sign * 1e-4 * e) for sign in (1, -1)] for e in np.eye(4)]
        ends = [[BG_NBD.expected(at, asked, np.array([26.0]))[:, 0] for at in pair] for pair in moved]
        by = np.array([(up - down) / 2e-4 for up, down in ends])
        centre = BG_NBD.expected(found.theta, asked, np.array([26.0]))[:, 0]
        wide = 1.96 * np.sqrt(np.einsum("ic,ij,jc->c", by, found.covariance, by)) / centre
        inside.append(np.abs(np.log(truth / centre)) <= wide)
    assert len(inside) > 190
    assert 0.92 < np.mean(inside) < 0.97


def test_too_little_is_said():
    days = worth.purchase_days(receipts([("a", "2020-01-01", 10), ("b", "2020-02-01", 10)]))
    customers = worth.customer_summary(days, split=SPLIT, end=END)
    with pytest.raises(TooLittle, match=r"2 customers bought in transactions .*, 0 again; .* needs 100"):
        worth.check_customers(customers, customers)
    with pytest.raises(TooLittle, match="cover 2 whole weeks"):
        worth.split_of(datetime(2020, 12, 17), end=END, holdout_weeks=None)
    with pytest.raises(ValueError, match="holdout_weeks is 40: of 52 weeks it may be 1 to 17"):
        worth.split_of(datetime(2020, 1, 2), end=END, holdout_weeks=40)


def test_customers_from_before_the_data_are_told():
    weeks = pd.DataFrame(
        {"week": range(-40, 13), "n_purchases": 100.0, "n_first": [90.0, 60, 40, 20, 10, 8] + [5.0] * 47}
    )
    assert 0.35 < worth.read_period(weeks).before_share < 0.55
    assert worth.read_period(weeks.assign(n_first=9.0)).before_share == 0
    assert worth.read_period(weeks).season is None
    assert worth.read_period(weeks).swing_p > 0.9
    swing = weeks.assign(n_purchases=100 + 30 * np.sin(weeks["week"] / 3))
    assert worth.read_period(swing).swing_p < 1e-6
    yearly = np.cos(np.arange(156) / 52 * 2 * np.pi) * 50 + 100
    long = pd.DataFrame({"week": range(-100, 56), "n_purchases": yearly, "n_first": 1.0})
    assert worth.read_period(long).season > 0.9


def test_findings_and_figures(judged_shop):
    days, customers, before, judged = judged_shop
    _, spend, value = value_of(days, judged)
    tiers = worth.by_tier(customers, spend.expected[: len(customers)], judged, n_tiers=4)
    weekly = worth.weekly_purchases(days, split=SPLIT, end=END)
    period = worth.read_period(weekly)
    about = {"horizon_weeks": 26.0, "margin": None, "currency": "EUR"}
    held = pd.DataFrame({"value": [0.8, 0.9], "error": 0.01})
    found = told(worth.find(judged, tiers, value, held, **about), "06_lifetime_value")
    assert any("held 80.0% of them; widened" in text for text in found)
    fine = worth.find(judged, tiers, value, held.assign(value=0.89), **about)
    assert not any("widened" in finding.text for finding in fine)
    assert any("put first" in text and "by past revenue" in text for text in found)
    assert_allclose(tiers[["revenue_share", "past_share"]].sum(), 1)
    assert ((tiers["gain_low"] <= tiers["gain"]) & (tiers["gain"] <= tiers["gain_high"])).all()
    assert weekly["n_purchases"][weekly["week"] >= 0].sum() <= customers["n_after"].sum()
    plt.close(
        figures.plot_held_out(judged, worth.by_week(customers, judged, weekly), worth.by_past(customers, judged))
    )
    table = worth.by_cohort(days, end=END)
    plt.close(figures.plot_cohorts(table, currency="EUR"))
    assert figures.plot_cohorts(table.head(0), currency=None) is None
    assert worth.say_cohorts(table.head(0), period).startswith("The data hold no whole quarter")
    for ax in (figures.plot_tiers(tiers), figures.plot_value(value, what="revenue")):
        plt.close(ax.figure)
    pitfall = worth.find_pitfall(customers, before, judged, weeks=92 / 7)
    assert pitfall.rate_error > 0
