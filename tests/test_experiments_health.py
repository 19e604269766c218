"""Health checks: each finds what was broken, and nothing else."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from experiment_units import checked as of_units
from experiment_units import simulated
from scipy import stats

from journeybook import experiments
from journeybook.experiments.health import cautions, slopes_differ
from journeybook.statistics import stream


def checked(units: pd.DataFrame, **given) -> pd.DataFrame:
    measured = experiments.measures(units, metrics="auto", covariates=["pre_spend"])
    return of_units(units, measured=measured, **{"control": "control"} | given).set_index("check")


def test_a_sound_experiment_passes():
    assert checked(simulated(2_000))["passed"].all()


def test_health_alarms_on_what_was_broken_and_on_nothing_else():
    units = simulated(4_000)
    treated = np.flatnonzero(units["variant"] == "new")
    broken = units.drop(index=treated[:400])
    assert checked(broken).query("~passed").index.tolist() == ["sample_ratio"]
    assert checked(broken, shares={"control": 2_000, "new": 1_600})["passed"].all()
    lost = units.copy()
    lost.loc[treated[:100], "spend"] = np.nan
    assert checked(lost).query("~passed").index.tolist() == ["missing_outcome: spend"]
    moved = units.assign(pre_spend=units["pre_spend"] + 2 * (units["variant"] == "new"))
    assert checked(moved).query("~passed").index.tolist() == ["balance: pre_spend"]
    rare = units.assign(converted=0)
    rare.loc[:5, "converted"] = 1
    assert checked(rare).query("~passed").index.tolist() == ["rare_outcome: converted"]
    people = units.assign(person_id=[f"p{i // 2}" for i in range(len(units))])
    assert checked(people).query("~passed").index.tolist() == ["person_in_two_arms"]
    few = people.assign(person_id=[None] * 3_990 + ["p1", "p1", "p2", "p2", *"abcdef"])
    assert checked(few)["passed"].all()
    twice = pd.concat([units, units.head(1).assign(variant="new"), units.tail(1)])
    assert not checked(twice).loc[["unit_twice"], "passed"].any()


def test_health_refuses_shares_that_do_not_fit():
    with pytest.raises(ValueError, match="a share is needed for each of the variants control, new"):
        checked(simulated(50), shares={"control": 1})
    with pytest.raises(ValueError, match="above 0"):
        checked(simulated(50), shares={"control": 1, "new": 0})


def test_exposures_before_assignment_and_withdrawals_by_arm_are_found():
    units = simulated(4_000)
    day = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(4_000) % 28, unit="D")
    timed = units.assign(
        occurred_at=day, exposed_at=day + pd.Timedelta("1h"), withdrew=stream(7, "w").random(4_000) < 0.05
    )
    timed["withdrew"] = timed["withdrew"].astype(float)
    assert checked(timed)["passed"].all()
    early = timed.assign(exposed_at=timed["exposed_at"].where(timed.index != 17, day[17] - pd.Timedelta("1s")))
    assert checked(early).query("~passed")["value"].to_dict() == {"exposed_before_assignment": 1}
    leaving = timed.copy()
    leaving.loc[leaving.query("variant == 'new'").index[:90], "withdrew"] = 1
    assert checked(leaving).query("~passed").index.tolist() == ["withdrew_consent"]
    unknown = timed.assign(withdrew=np.nan)
    assert checked(unknown).loc["withdrew_consent", "p_value"] == 1


def test_an_outlier_that_makes_the_effect_is_found():
    units = simulated(4_000)
    units.loc[units.index[units["variant"] == "new"][0], "spend"] = 1e5
    found = checked(units)
    assert found.query("~passed").index.tolist() == ["outliers: spend"]
    assert experiments.alarms(found.reset_index()) == []
    assert cautions(found.reset_index()) == ["outliers: spend"]
    # Without the outlier's pull the effect is nearly that of the other units.
    assert found.loc["outliers: spend", "value"] == pytest.approx(1, abs=0.1)


def days_of(fading: float, *, seed: int = 1) -> pd.DataFrame:
    """The effect is 2 on the first day and changes by `fading` a day."""
    rng = stream(seed, "days")
    day = rng.integers(20, size=8_000)
    treated = rng.integers(2, size=8_000)
    return pd.DataFrame(
        {
            "variant": np.where(treated, "new", "control"),
            "occurred_at": pd.Timestamp("2026-01-01")
            + pd.to_timedelta(day * 24 + rng.integers(24, size=8_000), unit="h"),
            "spend": rng.normal(20, 5, 8_000) + treated * (2 + fading * day),
        }
    )


def test_an_effect_that_fades_is_found_and_its_trend_is_weighted_least_squares():
    units = days_of(-0.1)
    measured = experiments.measures(units, metrics={"spend": "mean"}, covariates=[])
    daily = experiments.daily_effects(units, measured=measured, control="control")
    assert daily["day"].tolist() == list(range(20))
    fit = sm.WLS(daily["effect"], sm.add_constant(daily["day"]), weights=daily["standard_error"] ** -2.0).fit()
    assert daily["trend"].iloc[0] == pytest.approx(fit.params["day"], rel=1e-9)
    z = fit.params["day"] / np.sqrt(fit.normalized_cov_params.loc["day", "day"])
    assert daily["trend_p_value"].iloc[0] == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)
    checks = [of_units(days_of(size), measured=measured, control="control") for size in (-0.1, 0.0)]
    novelty = [found.set_index("check")["passed"]["novelty: spend, new"] for found in checks]
    assert novelty == [False, True]
    without = experiments.daily_effects(units.drop(columns="occurred_at"), measured=measured, control="control")
    assert without.empty


def test_cuped_slopes_are_least_squares_with_robust_variances():
    rng = stream(4, "slopes")
    x, arm = rng.gamma(2, 3, (600, 2)), rng.integers(2, size=600)
    y = x @ [1.0, -0.5] + x[:, 0] * rng.normal(size=600)
    fits = [sm.OLS(y[arm == a], sm.add_constant(x[arm == a])).fit(cov_type="HC0") for a in (0, 1)]
    gap = fits[1].params[1:] - fits[0].params[1:]
    covariance = fits[0].cov_params()[1:, 1:] + fits[1].cov_params()[1:, 1:]
    assert slopes_differ(y[:, None], x, arm, n_arms=2) == pytest.approx(
        gap @ np.linalg.solve(covariance, gap), rel=1e-9
    )


def test_cuped_slopes_alarm_as_often_as_they_say_where_money_spreads_with_its_size():
    rng, p_values = stream(5, "spread"), []
    for _ in range(200):
        x = rng.gamma(1, 5, 1_000)
        y, arm = x * rng.lognormal(0, 0.7, 1_000), rng.integers(2, size=1_000)
        p_values.append(stats.chi2.sf(slopes_differ(y[:, None], x[:, None], arm, n_arms=2), 1))
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_cuped_checks_find_an_effect_that_varies_with_the_covariate():
    units = simulated(4_000)
    measured = experiments.measures(units, metrics="auto", covariates=["pre_spend"])

    def slopes(table, by):
        found = of_units(table, measured=by, control="control")
        return found[found["check"].str.startswith("cuped_slopes")].set_index("check")["passed"].to_dict()

    assert slopes(units, measured) == {"cuped_slopes: spend": True, "cuped_slopes: converted": True}
    varied = units.assign(spend=units["spend"] + 0.2 * units["pre_spend"] * (units["variant"] == "new"))
    assert slopes(varied, measured) == {"cuped_slopes: spend": False, "cuped_slopes: converted": True}
    bare = experiments.measures(units, metrics={"spend": "mean"}, covariates=[])
    assert slopes(units, bare) == {}
