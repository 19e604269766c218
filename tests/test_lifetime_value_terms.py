"""Page 06 at occasions, under contracts and with covariates: published fits, brute force, customers simulated."""

from datetime import datetime

import ibis
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from planted_customers import planted, planted_customers
from scipy.special import betaln
from statsmodels.duration.survfunc import SurvfuncRight

from journeybook import lifetime_value as worth
from journeybook.lifetime_value.contracts import retention
from journeybook.lifetime_value.family import Histories, histories
from journeybook.lifetime_value.models import BG_BB, BG_NBD, PARETO_NBD, SBG, WITH_COVARIATES, fit
from journeybook.plots import lifetime_value as figures
from journeybook.results import checks_of

# Fader, Hardie & Shang 2010: repeat donations, year of the last, donors of 1995; six years are known.
DONORS = """0 0 3464, 1 1 1091, 1 2 277, 1 3 129, 1 4 78, 1 5 119, 1 6 129, 2 2 613, 2 3 255, 2 4 155,
2 5 173, 2 6 234, 3 3 322, 3 4 181, 3 5 225, 3 6 357, 4 4 240, 4 5 284, 4 6 512, 5 5 335, 5 6 728, 6 6 1203"""
# Fader & Hardie 2007: customers of 1,000 left after 0 to 7 years.
REGULAR, HIGH_END = [1000, 631, 468, 382, 326, 289, 262, 241], [1000, 869, 743, 653, 593, 551, 517, 491]
DONATIONS = np.array([1.204, 0.750, 0.657, 2.783])


def donors():
    x, t_x, weight = np.array([row.split() for row in DONORS.split(",")], dtype=float).T
    return Histories(x, t_x, np.full(len(x), 6.5), weight, np.arange(len(x)), step=1.0)


def test_published_donations_come_out():
    h = donors()
    assert h.weight.sum() == 11_104
    found = fit(BG_BB, h)
    assert found.trouble is None
    assert_allclose(found.theta, DONATIONS, atol=6e-4)
    assert_allclose(found.log_likelihood, -33_225.6, atol=0.06)
    # Expected in the five years to come, of none and of all six.
    assert_allclose(BG_BB.expected(found.theta, h, np.array([5.0]))[[0, -1], 0], [0.07, 3.75], atol=6e-3)


@pytest.mark.parametrize(
    ("kept", "theta", "log_likelihood"), [(REGULAR, [0.704, 1.182], -1680.3), (HIGH_END, [0.668, 3.806], -1611.2)]
)
def test_published_retention_comes_out(kept, theta, log_likelihood):
    lost, last, none = -np.diff(kept), len(kept) - 1, np.zeros(len(kept))
    at, left = np.append(np.arange(1, last + 1.0), last), np.append(np.ones(last), 0)
    weight = np.append(lost, kept[-1]).astype(float)
    h = Histories(none, none, none, weight, np.repeat(np.arange(last + 1), weight.astype(int)), step=1.0,
                  periods=at + (1 - left) / 2, left=left)  # fmt: skip
    found = fit(SBG, h)
    assert found.trouble is None
    assert_allclose(found.theta, theta, atol=6e-4)
    assert_allclose(found.log_likelihood, log_likelihood, atol=0.06)
    shown = retention(h, found.theta)
    assert_allclose(shown["kaplan_meier"], np.array(kept[1:]) / 1000)
    assert_allclose(shown["model"], np.cumprod((found.theta[1] + at[:-1] - 1) / (found.theta.sum() + at[:-1] - 1)))


def test_retention_is_statsmodels_with_contracts_of_several_ages():
    rng = np.random.default_rng(8)
    stops, window = rng.geometric(rng.beta(1, 6, 900)), rng.integers(0, 15, 900)
    renewals, left = np.minimum(stops, window).astype(float), stops <= window
    none = np.zeros(900)
    shown = retention(
        histories(none, none, none, step=1.0, contract=(renewals + ~left, left)), np.array([1.0, 6.0])
    )
    other = SurvfuncRight(renewals, left)
    assert_allclose(shown["kaplan_meier"], other.surv_prob)
    width = other.surv_prob_se / np.abs(other.surv_prob * np.log(other.surv_prob))
    assert_allclose(shown["low"], other.surv_prob ** np.exp(1.959964 * width), rtol=1e-6)
    assert (shown["low"] < shown["kaplan_meier"]).all() and (shown["kaplan_meier"] < shown["high"]).all()


def test_bg_bb_is_a_sum_over_all_that_may_have_happened():
    """Every year of leaving and every coin by hand, averaged over a grid of the two beta distributions."""
    h, (alpha, beta, gamma, delta) = donors(), DONATIONS
    u, w = np.polynomial.legendre.leggauss(400)
    grid = ((1 + u) / 2) ** 6
    weigh = w / 2 * 6 * ((1 + u) / 2) ** 5
    p_weight = weigh * np.exp((alpha - 1) * np.log(grid) + (beta - 1) * np.log1p(-grid) - betaln(alpha, beta))
    q_weight = weigh * np.exp((gamma - 1) * np.log(grid) + (delta - 1) * np.log1p(-grid) - betaln(gamma, delta))
    for x, t, value in zip(h.x, h.t_x, BG_BB.likelihood(DONATIONS, h)[0], strict=True):
        seen = sum(
            (p_weight * grid**x * (1 - grid) ** (stayed - x)).sum()
            * (q_weight * (1 - grid) ** stayed * (grid if stayed < 6 else 1)).sum()
            for stayed in np.arange(t, 7)
        )
        assert value == pytest.approx(np.log(seen), abs=2e-3)


def of_occasions(n, *, seed, theta=DONATIONS, step=2.0):
    rng = np.random.default_rng(seed)
    none, T = np.zeros(n), rng.integers(2, 30, n) * step + rng.uniform(0.1, 1, n) * step
    return planted("BG/BB", theta, Histories(none, none, T, none + 1, np.arange(n), step=step), rng=rng)


def of_contracts(n, *, seed, theta=(0.8, 4.0), step=4.0):
    rng = np.random.default_rng(seed)
    none, T = np.zeros(n), rng.uniform(1, 100, n)
    x = rng.poisson(T / step).astype(float)
    blank = Histories(x, np.where(x > 0, T, 0), T, none + 1, np.arange(n), step=step, periods=T / step, left=none)
    return planted("sBG", np.array(theta), blank, rng=rng)


MADE = [(BG_BB, of_occasions, DONATIONS), (SBG, of_contracts, np.array([0.8, 4.0]))]
NAMES = [family.name for family, *_ in MADE]


@pytest.mark.parametrize(("family", "made", "theta"), MADE, ids=NAMES)
def test_slopes_are_those_of_the_likelihood(family, made, theta):
    h = made(300, seed=1)
    steps = np.eye(len(theta)) * 1e-6
    numeric = [(family.likelihood(theta + e, h)[0] - family.likelihood(theta - e, h)[0]) / 2e-6 for e in steps]
    assert_allclose(family.likelihood(theta, h)[1], numeric, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("family", "made", "theta"), MADE, ids=NAMES)
def test_what_is_expected_is_the_mean_of_what_is_drawn(family, made, theta):
    each, rng = made(3_000, seed=2).each, np.random.default_rng(3)
    for time in (3.0, 26.0):
        drawn = np.array([family.simulated(theta, each, time, rng).sum() for _ in range(100)])
        foreseen = family.expected(theta, each, np.array([time])).sum()
        assert abs(foreseen - drawn.mean()) < 4 * drawn.std() / np.sqrt(100)


@pytest.mark.parametrize(("family", "made", "theta"), MADE, ids=NAMES)
def test_known_parameters_come_back(family, made, theta):
    apart = []
    for seed in range(10):
        h = made(2_500, seed=seed)
        found = fit(family, h)
        assert found.trouble is None
        moved = np.log(found.theta / theta)
        apart.append(moved @ np.linalg.solve(found.covariance, moved))
    # The mean of 10 chi-squares, with four of its errors.
    k = len(theta)
    assert abs(np.mean(apart) - k) < 4 * np.sqrt(2 * k / 10)


def test_bg_bb_foresees_the_occasions_that_follow():
    """Coins of 20,000 donors at 20 occasions: the first ten foresee the next ten, by number of gifts."""
    rng, n = np.random.default_rng(4), 20_000
    alpha, beta, gamma, delta = DONATIONS
    there = np.cumprod(rng.random((n, 20)) >= rng.beta(gamma, delta, n)[:, None], axis=1)
    gave = there * (rng.random((n, 20)) < rng.beta(alpha, beta, n)[:, None])
    x, t_x = gave[:, :10].sum(axis=1), (gave[:, :10] * np.arange(1, 11)).max(axis=1)
    h = histories(x, t_x, np.full(n, 10.5), step=1.0)
    foreseen = BG_BB.expected(DONATIONS, h, np.array([10.0]))[h.place, 0]
    came = gave[:, 10:].sum(axis=1)
    for gifts in range(11):
        rows = x == gifts
        assert abs(foreseen[rows].mean() - came[rows].mean()) < 4 * came[rows].std() / np.sqrt(rows.sum())
    assert BG_BB.expected(DONATIONS, h, np.array([0.4])).max() == 0
    assert abs(BG_BB.alive(DONATIONS, h)[h.place].mean() - there[:, 9].mean()) < 4 * 0.5 / np.sqrt(n)


@pytest.mark.parametrize("family", WITH_COVARIATES, ids=lambda family: family.name)
def test_covariates_come_back(family):
    """Factors of a number and of a mark on buying and leaving, planted as CLVTools has them, in 5 data sets."""
    theta = np.array([0.6, 6.0, 0.9, 2.5] if family.plain is BG_NBD else [0.8, 9.0, 0.7, 12.0])
    on_buying, on_leaving, apart = np.array([0.5, -0.3]), np.array([-0.4, 0.6]), []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        known = pd.DataFrame({"mark": rng.integers(0, 2, 3_000), "number": rng.normal(size=3_000).round(1)})
        rows = []
        for values, part in known.groupby(["mark", "number"]):
            buying, leaving = np.exp(np.array(values) @ on_buying), np.exp(np.array(values) @ on_leaving)
            scales = (
                [1, 1 / buying, 1, 1 / leaving]
                if family.plain is PARETO_NBD
                else [1, 1 / buying, leaving, leaving]
            )
            made = planted_customers(family.plain.name, theta * scales, np.full(len(part), 60.0), rng=rng)
            rows.append(part.assign(x=made[0], t_x=made[1], T=made[2]))
        people = pd.concat(rows)
        found = fit(family, histories(people.x, people.t_x, people["T"], covariates=people[["mark", "number"]]))
        assert found.trouble is None
        moved = np.log(found.theta) - np.r_[np.log(theta), on_buying, on_leaving]
        apart.append(moved @ np.linalg.solve(found.covariance, moved))
    assert abs(np.mean(apart) - 8) < 4 * np.sqrt(16 / 5)


@pytest.mark.parametrize("family", WITH_COVARIATES, ids=lambda family: family.name)
def test_customers_alike_but_for_a_covariate_are_as_two_groups_apart(family):
    """A likelihood with a mark is that of each group at its own parameters, and so are its uses and its slopes."""
    rng, T = np.random.default_rng(6), np.full(400, 50.0)
    x, t_x, _ = planted_customers(family.plain.name, np.array([0.6, 6.0, 0.9, 12.0]), T, rng=rng)
    mark = pd.DataFrame({"mark": np.arange(400) % 2})
    theta = np.array([0.6, 6.0, 0.9, 12.0, 1.7, 0.6])
    h, times = histories(x, t_x, T, covariates=mark), np.array([5.0, 20.0])
    value, by = family.likelihood(theta, h)
    for group, factors in enumerate(([1, 1], [1.7, 0.6])):
        of = theta[:4] * ([1, 1 / factors[0], 1, 1 / factors[1]] if family.plain is PARETO_NBD else
                          [1, 1 / factors[0], factors[1], factors[1]])  # fmt: skip
        apart = histories(*(part[mark["mark"] == group] for part in (x, t_x, T)))
        rows = h.covariates[0] == group
        assert_allclose(value[rows], family.plain.likelihood(of, apart)[0])
        assert_allclose(family.alive(theta, h)[rows], family.plain.alive(of, apart))
        assert_allclose(family.expected(theta, h, times)[rows], family.plain.expected(of, apart, times))
    ends = [[family.likelihood(theta + s * e, h)[0] for s in (1e-6, -1e-6)] for e in np.eye(6)]
    assert_allclose(by, [(up - down) / 2e-6 for up, down in ends], rtol=2e-5, atol=2e-5)


def test_covariates_are_read_as_of_the_last_snapshot():
    people = pd.DataFrame({"person_id": ["a", "b", "c", "new"], "x": [1, 2, 0, 0]})
    rows = [("a", 1, 0.0), ("b", 1, 9.0), ("a", 2, 4.0), ("b", 2, 8.0), ("c", 2, 6.0), ("a", 3, 99.0)]
    features = pd.DataFrame(rows, columns=["person_id", "as_of", "income"])
    features["as_of"] = pd.to_datetime(features["as_of"].map("2020-0{}-01".format)).astype("datetime64[us]")
    asked = {"features": ibis.memtable(features), "at": datetime(2020, 2, 15)}
    found = worth.with_covariates(people, **asked, names=["income"])
    assert_allclose(found["covariate_income"], np.array([-1, 1, 0, 0]) * np.sqrt(1.5))
    assert worth.with_covariates(people, **asked, names=[]) is people
    with pytest.raises(ValueError, match="covariates names 'incom': page 04 has no such number"):
        worth.with_covariates(people, **asked, names=["incom"])
    with pytest.raises(ValueError, match="not known at 2019-12-31"):
        worth.with_covariates(people, **{**asked, "at": datetime(2019, 12, 31)}, names=["income"])


def receipts(rows):
    frame = pd.DataFrame(rows, columns=["person_id", "occurred_at"])
    frame["occurred_at"] = pd.to_datetime(frame["occurred_at"]).astype("datetime64[us]")
    return ibis.memtable(frame.assign(row=range(1, len(frame) + 1), revenue=10.0))


def test_occasions_are_found_where_all_purchases_are_days_apart():
    market = [("a", f"2020-01-{day:02}") for day in (4, 11, 25)] + [("b", f"2020-0{m}-01") for m in (2,)]
    market += [("b", f"2020-02-{day:02}") for day in (8, 15, 22, 29)]
    assert worth.find_terms(worth.purchase_days(receipts(market)), None, occasion_days=None).days == 7
    off = [*market, ("b", "2020-02-12")]
    assert worth.find_terms(worth.purchase_days(receipts(off)), None, occasion_days=None).days == 0
    asked = worth.find_terms(worth.purchase_days(receipts(off)), None, occasion_days=7)
    customers = worth.customer_summary(
        worth.purchase_days(receipts(off)), split=datetime(2020, 3, 2), end=datetime(2020, 3, 2)
    )
    with pytest.raises(ValueError, match="occasion_days is 7: 1 customers bought more often than once"):
        worth.under_terms(customers, asked, at=datetime(2020, 3, 2))
    with pytest.raises(ValueError, match="occasion_days is 0"):
        worth.find_terms(worth.purchase_days(receipts(off)), None, occasion_days=0)


def test_terms_of_contracts_by_hand():
    """Months of 30 days: renewed twice; left at the third; ended on an unknown day; begun after the purchase."""
    time = "datetime64[us]"
    contracts = pd.DataFrame(
        {
            "person_id": ["a", "b", "c", "a", "d"],
            "started_at": pd.to_datetime(
                ["2020-01-01", "2020-01-01", "2020-01-01", "2019-01-01", "2020-06-01"]
            ).astype(time),
            "churned_at": pd.to_datetime([None, "2020-03-20", None, "2019-03-01", None]).astype(time),
            "active": [True, False, False, False, True],
        }
    )
    days = worth.purchase_days(
        receipts(
            [
                ("a", "2020-01-01"),
                ("b", "2020-01-01"),
                ("c", "2020-01-01"),
                ("c", "2020-01-25"),
                ("d", "2020-02-20"),
            ]
        )
    )
    at = datetime(2020, 3, 25)
    terms = worth.find_terms(days, ibis.memtable(contracts), occasion_days=30)
    found = worth.under_terms(worth.customer_summary(days, split=at, end=at), terms, at=at).set_index("person_id")
    assert np.ceil(found["contract_periods"]).to_dict() == {"a": 3, "b": 3, "c": 2, "d": 2}
    assert found["left"].to_dict() == {"a": 0, "b": 1, "c": 1, "d": 0}
    assert_allclose(found["occasion_weeks"], 30 / 7)


def test_under_contracts_survival_takes_the_place_of_guesses():
    """Subscribers who pay every four weeks: what is foreseen is near what came, and nearer than a rate."""
    rng, end, split = np.random.default_rng(9), pd.Timestamp("2021-01-01"), pd.Timestamp("2020-10-01")
    rows, contracts = [], []
    for person in range(600):
        began = pd.Timestamp("2020-01-01") + pd.Timedelta(days=int(rng.integers(0, 200)))
        months = rng.geometric(rng.beta(1.5, 8))
        stops = began + pd.Timedelta(days=28 * months)
        rows += [(f"p{person}", at) for at in pd.date_range(began, min(stops, end), freq="28D", inclusive="left")]
        contracts.append((f"p{person}", began, stops if stops < end else pd.NaT))
    days = worth.purchase_days(receipts(rows))
    table = ibis.memtable(pd.DataFrame(contracts, columns=["person_id", "started_at", "churned_at"]))
    terms = worth.find_terms(days, table, occasion_days=28)
    weeks = (end - split).days / 7
    customers = worth.under_terms(worth.customer_summary(days, split=split, end=end), terms, at=split)
    before = worth.customer_summary(days, split=split - (end - split), end=split)
    judged = worth.judge(customers, before, weeks=weeks)
    assert judged.best_model == "sBG" == judged.chosen
    assert judged.gain[0] > 0
    came = customers["n_after"].sum()
    assert abs(judged.predictions[judged.chosen].sum() / came - 1) < 0.1
    assert "BG/NBD is left out: contracts tell who has left" in worth.say_models(judged)
    left = customers["left"] == 1
    assert (judged.predictions[judged.chosen][left] == 0).all() and left.sum() > 100
    checks = worth.models_hold(customers, judged, weeks=weeks, rng=rng)
    assert all(check.passed for check in checks_of(checks))
    ax = figures.plot_retention(worth.by_period(customers, judged))
    plt.close(ax.figure)
    assert figures.plot_retention(None) is None
    assert "of 600 had before the split" in worth.say_terms(terms, customers).replace(
        "Contracts tell who has left: ", ""
    )
