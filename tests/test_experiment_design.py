"""Page 12: sizes by hand and by simulation, rules of stopping as published, words, figures and findings."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from experiment_units import simulated
from finding_rules import told
from scipy import stats

from journeybook import experiment_design as design
from journeybook.experiment_design import words
from journeybook.plots import experiment_design as figures
from journeybook.statistics import stream
from journeybook.statistics.sequential import peeking

PLAN = {"shares": {"control": 1.0, "new": 1.0}, "alpha": 0.05, "power": 0.8}
NOTHING = pd.DataFrame()
KNOWN = {"metrics": None, "covariates": None, "baseline": 0.1}
BANDIT = {"n_units": 2000, "n_batches": 10, "epsilon": 0.1, "alpha": 0.05, "n_simulations": 200}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def sized(units: pd.DataFrame = NOTHING, *, lift: float = 0.1, pace: float | None = None, **given) -> pd.DataFrame:
    known = design.spread(units, **KNOWN | {k: v for k, v in given.items() if k in KNOWN})
    return design.sizes(known, lift=lift, units_per_day=pace, **PLAN | {k: given[k] for k in PLAN if k in given})


def test_spread_is_within_arms_and_covariates_explain_what_least_squares_says():
    units = simulated(3_000, effect=5.0)
    known = design.spread(units, **KNOWN).set_index("metric")
    assert known.index.tolist() == ["spend", "converted"]
    assert known["kind"].tolist() == ["mean", "share"]
    arms = units.groupby("variant")["spend"]
    assert known.loc["spend", "mean"] == pytest.approx(units["spend"].mean())
    within = ((arms.count() - 1) * arms.var()).sum() / (len(units) - 2)
    assert known.loc["spend", "deviation"] == pytest.approx(within**0.5, rel=1e-9)
    apart = [units[c] - units.groupby("variant")[c].transform("mean") for c in ("spend", "pre_spend")]
    assert known.loc["spend", "explained_share"] == pytest.approx(np.corrcoef(*apart)[0, 1] ** 2, rel=1e-9)


def test_a_ratio_is_planned_by_the_delta_method():
    units = simulated(2_000).assign(orders=lambda d: 1.0 + stream(2, "orders").poisson(1, len(d)))
    row = design.spread(units, metrics=["spend/orders"], covariates=[], baseline=0.1).iloc[0]
    ratio = units["spend"].sum() / units["orders"].sum()
    assert (row["kind"], row["mean"]) == ("ratio", pytest.approx(ratio))
    part = (units["spend"] - ratio * units["orders"]) / units["orders"].mean()
    within = part - part.groupby(units["variant"]).transform("mean")
    assert row["deviation"] == pytest.approx((within @ within / (len(units) - 2)) ** 0.5, rel=1e-3)


def test_without_units_a_share_is_planned_from_its_rate():
    row = sized(pace=1000.0).iloc[0]
    z = stats.norm.isf(0.025) + stats.norm.ppf(0.8)
    assert row["n_units"] == pytest.approx(4 * z**2 * 0.1 * 0.9 / 0.01**2, abs=8)
    assert row["days"] == 7 * np.ceil(row["n_units"] / 1000 / 7)
    assert np.isnan(row["detectable_share"])
    given = {"lift": 0.1, "baseline": 0.1, "pace": 1000.0, "covariates": None, "units_per_day": 1000.0}
    found = design.sizes_hold(NOTHING, sized(pace=1000.0), pd.DataFrame(), curve=None, **given, **PLAN)
    assert (abs(found["value"] - found["reference"]) <= found["tolerance"]).all() and len(found) == 4


@pytest.mark.parametrize("shares", [{"a": 1, "b": 1}, {"a": 3, "b": 1}, {"a": 2, "b": 1, "c": 1}])
def test_a_planned_test_finds_the_lift_as_often_as_it_says(shares):
    row = sized(shares=shares).iloc[0]
    share = np.array([*shares.values()]) / sum(shares.values())
    n = np.round(row["n_units"] * share[[0, -1]]).astype(int)
    won = stream(4, "won").binomial(n, [0.1, 0.11], (4_000, 2)) / n
    error = np.sqrt((won * (1 - won) / n).sum(axis=1))
    found = 2 * stats.norm.sf(np.abs(won[:, 1] - won[:, 0]) / error) < 0.05 / (len(shares) - 1)
    # The larger rate has the larger spread, and so a point less power than equal spreads.
    assert found.mean() == pytest.approx(0.8, abs=0.02 + 4 * np.sqrt(0.16 / 4_000))


def test_as_many_units_as_last_time_detect_the_lift_they_would_need():
    units = simulated(4_000)
    row = sized(units).query("metric == 'spend' and method == 'with covariates'").iloc[0]
    again = sized(units, lift=row["detectable_share"]).query("metric == 'spend' and method == 'with covariates'")
    assert again["n_units"].iloc[0] == pytest.approx(4_000, abs=8)
    curve = design.detectable(sized(units), **PLAN)
    part = curve[curve["method"] == "with covariates"]
    assert np.interp(4_000, part["n_units"], part["detectable_share"]) == pytest.approx(
        row["detectable_share"], rel=0.01
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"baseline": 1.0}, "baseline: found 1, needed a share"),
        ({"metrics": ["clicks"]}, "'clicks' is no column of numbers"),
        ({"metrics": ["same"]}, "'same' does not vary"),
        ({"covariates": ["variant"]}, "'variant' is no column of numbers"),
        ({"shares": {"a": 1.0}}, "needed two variants"),
        ({"lift": 0.0}, "needed two variants, all above 0"),
    ],
)
def test_plans_that_cannot_be(given, message):
    with pytest.raises(ValueError, match=message):
        sized(simulated(100).assign(same=1), **given)


def test_units_a_day():
    units = pd.DataFrame({"occurred_at": pd.date_range("2026-01-01", "2026-01-11", 101)})
    assert design.units_a_day(units, given=None) == pytest.approx(10.1)
    assert design.units_a_day(units, given=5.0) == 5
    assert design.units_a_day(units.head(2), given=None) is None
    assert design.units_a_day(pd.DataFrame({"occurred_at": [pd.NaT]}), given=None) is None
    assert design.units_a_day(NOTHING, given=None) is None


def test_rules_of_stopping_err_as_published_and_cost_what_their_tables_say():
    rules = design.compare_rules(n_looks=5, alpha=0.05, power=0.8)
    last = rules.errors.groupby("rule")["false_positive_share"].last()
    assert last["naive"] == pytest.approx(0.142, abs=5e-4)
    assert last[["pocock", "obrien_fleming"]].tolist() == pytest.approx([0.05, 0.05], abs=1e-8)
    assert last["always_valid"] < 0.05
    # C. Jennison & B. W. Turnbull (2000), tables 2.2 and 2.4: R(5, 0.05, 0.2).
    cost = rules.costs.set_index("rule")["size_ratio"]
    assert cost[["pocock", "obrien_fleming"]].tolist() == pytest.approx([1.229, 1.028], abs=0.001)
    looks, one = np.arange(1, 6), stats.norm.isf(0.025) + stats.norm.ppf(0.8)
    steps = stream(2, "walks").standard_normal((20_000, 5)).cumsum(axis=1)
    for row in rules.costs.itertuples():
        for drift, used in ((one * row.size_ratio**0.5, row.expected_ratio), (0.0, row.none_ratio)):
            z = (steps + drift * looks / 5**0.5) / looks**0.5
            crossed = np.abs(z) >= rules.bounds[row.rule].to_numpy()
            stopped = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, 5) / 5
            assert row.size_ratio * stopped.mean() == pytest.approx(used, abs=0.01)
            assert drift == 0 or crossed.any(axis=1).mean() == pytest.approx(0.8, abs=0.012)
    found = design.rules_hold(rules, power=0.8, n_simulations=20_000, rng=stream(1, "walks"))
    within = found[found["rule"] == "within"]
    assert (abs(within["value"] - within["reference"]) <= within["tolerance"]).all() and len(found) == 18
    with pytest.raises(ValueError, match="n_looks: found 1"):
        design.compare_rules(n_looks=1, alpha=0.05, power=0.8)


def test_the_page_says_and_draws_what_it_found():
    units = simulated(4_000)
    needed, rules = sized(units, pace=500.0), design.compare_rules(n_looks=6, alpha=0.05, power=0.8)
    known = design.spread(units, **KNOWN)
    assert "last experiment's 4,000 units. Their pace is not known." in words.say_basis(known, pace=None)
    nothing = design.spread(NOTHING, **KNOWN)
    assert "planned from its rate alone. About 50 units" in words.say_basis(nothing, pace=50)
    n = needed.set_index(["metric", "method"])["n_units"]
    saved = 1 - n["spend", "with covariates"] / n["spend", "plain"]
    assert f"{100 * saved:.1f}% of the units" in words.say_sizes(needed, lift=0.1)
    curves = design.detectable(needed, **PLAN)
    drawn = figures.plot_sizes(curves, needed, lift=0.1)
    # A page that was run before in this process leaves its style, whose titles stand at the left.
    assert "find a lift of 10.0% in spend" in drawn.get_title() + drawn.get_title(loc="left")
    assert len(figures.plot_rules(rules).axes[0].lines) == 5
    rates = design.planned_rates(needed, shares=PLAN["shares"], baseline=0.1, lift=0.1)
    assert rates["new"] == pytest.approx(1.1 * rates["control"])
    earned = design.bandit_study(rates, **BANDIT, rng=stream(1, "s"))
    none = design.bandit_study(dict.fromkeys(rates, 0.2), **BANDIT, rng=stream(1, "n"))
    naive = none.worst().query("policy != 'fixed_split' and estimator == 'naive'")
    assert f"{1 - naive['coverage'].min():.1%} (naive)" in words.say_bandits(none)
    assert [len(ax.containers) for ax in figures.plot_bandits(earned, none=none).axes] == [0, 3, 3]
    checks = design.assignment_checks(design.unit_ids_of(units), salt="s", other_salt="o", shares=PLAN["shares"])
    assert "dealt evenly" in words.say_assignment(checks, salt="s")
    found = told(design.find(needed, checks, rules, earned, none, lift=0.1), "12_experiment_design")
    assert [line[0] for line in found] == ["3", "3", "3"]
    assert (
        "Detecting a change of 10.0% in spend needs" in found[0] and "adjust for what is known before" in found[0]
    )
    assert f"6 looks at p below 0.05 find an effect in {peeking(6, alpha=0.05)[-1]:.1%} of tests" in found[1]
    failed = checks.assign(passed=[False, True, True])
    assert "hash_shares fail: are ids unique?" in words.say_assignment(failed, salt="s")
    worst = told(design.find(needed, failed, rules, earned, none, lift=0.1), "12_experiment_design")
    assert worst[0].startswith("1 contradicted: 1 of 3 checks of the assignment by hash fail.")
    assert needed["days"].min() % 7 == 0


def test_assignment_is_as_by_hand_also_without_units():
    ids = design.unit_ids_of(NOTHING)
    assert len(ids) == len(set(ids)) == 20_000
    assert design.unit_ids_of(pd.DataFrame({"row": [3, 4], "unit_id": ["a", None]})) == ["3", "4"]
    given = {"salt": "s", "other_salt": "o", "shares": {"a": 0.5, "b": 0.2, "c": 0.3}}
    assigned = design.assignment_checks(ids, **given)
    found = design.assignment_holds(ids, assigned, **given)
    assert found["value"].tolist() == [1.0, pytest.approx(0, abs=1e-6)]
    halved = assigned.assign(p_value=assigned["p_value"] / 2)
    assert design.assignment_holds(ids, halved, **given)["value"].iloc[1] > 0.01


def test_a_log_of_exposures_without_a_metric_is_planned_from_a_rate():
    units = simulated(500)[["row", "unit_id", "variant"]]
    known = design.spread(units, **KNOWN)
    assert known[["metric", "n"]].to_numpy().tolist() == [["conversion", 0]]
    needed = design.sizes(known, lift=0.1, units_per_day=None, **PLAN)
    given = {"lift": 0.1, "baseline": 0.1, "pace": None, "covariates": None, "units_per_day": None, "curve": None}
    found = design.sizes_hold(units, needed, known, **given, **PLAN)
    assert (abs(found["value"] - found["reference"]) <= found["tolerance"]).all()
