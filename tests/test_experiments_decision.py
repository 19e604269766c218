"""Ship, do not ship, or keep running."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from journeybook import experiments
from journeybook.experiments.plan import Plan
from journeybook.experiments.words import say_decision
from journeybook.statistics import stream

PLAN = Plan(
    alpha=0.05, power=0.8, primary="converted", minimum_effect=0.02, planned_units=1000, sha256="x",
    guardrails={"spend": -1.0},
)  # fmt: skip


def estimate(effect: float, error: float = 0.01, variant: str = "new") -> pd.DataFrame:
    margin = 1.96 * error
    row = {
        "metric": "converted", "kind": "proportion", "variant": variant, "effect": effect,
        "effect_low": effect - margin, "effect_high": effect + margin,
        "p_value": 2 * stats.norm.sf(abs(effect) / error), "standard_error": error, "method": "welch",
    }  # fmt: skip
    return pd.DataFrame([row])


def guardrail(verdict: str, variant: str = "new") -> pd.DataFrame:
    return pd.DataFrame([{"metric": "spend", "variant": variant, "verdict": verdict}])


def decided(rows, *, verdict="holds", plan=PLAN, alarms=(), over=True):
    return experiments.decide(rows, guardrails=guardrail(verdict), plan=plan, alarms=list(alarms), over=over).iloc[
        0
    ]


@pytest.mark.parametrize(
    ("effect", "verdict", "alarms", "over", "decision", "reason"),
    [
        (0.05, "holds", (), True, "ship", "every guardrail holds"),
        (0.05, "holds", (), False, "ship", "every guardrail holds"),
        (0.05, "holds", ("sample_ratio",), True, "do not ship", "sample_ratio failed"),
        (0.05, "harmed", (), False, "do not ship", "spend is worse than its margin"),
        (0.05, "open", (), False, "keep running", "spend is not shown"),
        (0.05, "open", (), True, "do not ship", "the planned end is reached, and spend"),
        (0.03, "holds", (), False, "keep running", "begins at 1.04 points, below 2 points"),
        (0.03, "holds", (), True, "do not ship", "not that it is worth having"),
        (0.015, "holds", (), False, "keep running", "no effect on converted is shown"),
        (0.015, "holds", (), True, "do not ship", "the planned end is reached, and no effect"),
        (-0.01, "holds", (), False, "do not ship", "the smallest worth having, is excluded"),
        (-0.05, "holds", (), True, "do not ship", "the smallest worth having, is excluded"),
    ],
)
def test_the_rule(effect, verdict, alarms, over, decision, reason):
    row = decided(estimate(effect), verdict=verdict, alarms=alarms, over=over)
    assert row["decision"] == decision
    assert reason in row["reason"]


def test_less_may_be_what_is_wanted():
    fewer = Plan(**{**vars(PLAN), "direction": "decrease"})
    assert decided(estimate(-0.05), plan=fewer)["decision"] == "ship"
    row = decided(estimate(0.05), plan=fewer)
    assert row["decision"] == "do not ship" and row["gain_per_thousand"] == -50


def test_several_variants_are_held_to_holm():
    any_gain = Plan(**{**vars(PLAN), "minimum_effect": 0.001})
    rows = pd.concat([estimate(0.021, variant="a"), estimate(0.0, variant="b"), estimate(0.001, variant="c")])
    alone = experiments.decide(
        rows.head(1), guardrails=guardrail("holds", "a"), plan=any_gain, alarms=[], over=True
    )
    among = experiments.decide(rows, guardrails=guardrail("holds", "a"), plan=any_gain, alarms=[], over=True)
    assert alone["decision"].tolist() == ["ship"]
    assert among["decision"].iloc[0] == "do not ship"
    assert among["p_value"].iloc[0] == pytest.approx(3 * alone["p_value"].iloc[0])


def test_the_probability_of_being_wrong_is_the_posterior_beyond_the_line():
    density = stats.norm(0.04, 0.01).pdf
    row = decided(estimate(0.04))
    assert row["probability_wrong"] == pytest.approx(integrate.quad(density, -0.1, 0)[0], rel=1e-6)
    assert row["probability_worth_having"] == pytest.approx(integrate.quad(density, 0.02, 0.2)[0], rel=1e-6)
    held = decided(estimate(0.015))
    assert held["probability_wrong"] == held["probability_worth_having"] == pytest.approx(stats.norm.sf(0.5))
    waiting = decided(estimate(0.015), over=False)
    assert waiting["probability_wrong"] == min(waiting["probability_no_gain"], waiting["probability_worth_having"])


def test_the_rule_ships_where_the_interval_leaves_out_what_is_too_small():
    # At an effect of just the smallest worth having, z passes 1.96 in one test of forty: one side of alpha.
    for z, decision in ((1.959, "do not ship"), (1.961, "ship")):
        assert decided(estimate(0.02 + 0.01 * z))["decision"] == decision


@pytest.mark.parametrize(
    ("caution", "reason"),
    [
        ("outliers: converted", "a few extreme values decide the effect on converted"),
        ("novelty: converted, new", "the effect on converted changes with the day"),
        ("few_values: spend", "most units have no value of spend"),
        ("rare_outcome: converted", "too few units have the rarer outcome"),
        ("novelty: converted, other", None),
        ("outliers: visits", None),
        ("cuped_slopes: converted", None),
    ],
)
def test_a_caution_of_the_metric_or_a_guardrail_keeps_from_shipping(caution, reason):
    given = {"guardrails": guardrail("holds"), "plan": PLAN, "alarms": [], "over": False, "cautions": [caution]}
    row = experiments.decide(estimate(0.05), **given).iloc[0]
    assert row["decision"] == ("ship" if reason is None else "keep running")
    assert reason is None or row["reason"].startswith(reason)


def test_an_exact_test_needs_no_caution_of_rare_outcomes():
    given = {"guardrails": guardrail("holds"), "plan": PLAN, "alarms": [], "over": True}
    rows = estimate(0.05).assign(method="fisher_exact")
    assert experiments.decide(rows, cautions=["rare_outcome: converted"], **given)["decision"][0] == "ship"


def test_a_metric_that_an_arm_lacks_ships_nothing():
    given = {"guardrails": guardrail("holds"), "plan": PLAN, "alarms": ["nothing_in_an_arm"], "over": True}
    made = experiments.decide(estimate(0.05).assign(metric="spend"), **given)
    assert made["decision"].tolist() == ["do not ship"]
    assert say_decision(made) == "**new: do not ship**, because a variant has no values of converted. "


def test_gain_is_of_a_thousand_units_and_of_sums_alone():
    row = decided(estimate(0.05))
    assert row["gain_per_thousand"] == pytest.approx(50)
    assert row["gain_per_thousand_low"] == pytest.approx(1000 * (0.05 - 0.0196))
    ratio = decided(estimate(0.05).assign(kind="ratio"))
    assert np.isnan(ratio["gain_per_thousand"])


def test_words_follow_the_decision():
    frame = experiments.decide(estimate(0.05), guardrails=guardrail("holds"), plan=PLAN, alarms=[], over=True)
    told = say_decision(frame)
    assert told.startswith("**new: ship**, because an effect of 2 points or more on converted is shown")
    assert "Probability that there is no gain: below 0.01%" in told
    bare = Plan(alpha=0.05, power=0.8)
    none = experiments.decide(estimate(0.05), guardrails=guardrail("holds"), plan=bare, alarms=[], over=True)
    assert none["decision"].tolist() == ["no plan"]
    assert "No decision" in say_decision(none)


def rows(*effects: float, standard_error: float = 1.0, n: int = 500) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "metric": [f"m{number}" for number in range(len(effects))],
            "variant": "new",
            "effect": effects,
            "standard_error": standard_error,
            "df": np.nan,
            "n_control": n,
            "n_treatment": n,
        }
    )


def test_a_guardrail_holds_only_where_it_is_shown():
    margins = {"m0": -2.0, "m1": -2.0, "m2": -2.0, "m3": 2.0, "m4": 2.0}
    found = experiments.guardrails(rows(0.0, -1.0, -5.0, -5.0, 5.0), margins=margins, alpha=0.05)
    assert found["verdict"].tolist() == ["holds", "open", "harmed", "holds", "harmed"]
    assert found["p_value"][1] == pytest.approx(stats.norm.sf(1))
    assert experiments.guardrails(rows(0.0), margins={}, alpha=0.05).empty
    # With the right to look every day the same figures show less.
    asked = {"margins": margins, "alpha": 0.05, "planned_n": 1000}
    always = experiments.guardrails(rows(0.0, -1.0, -5.0, -5.0, 5.0), **asked)
    assert always["verdict"].tolist() == ["open", "open", "open", "holds", "open"]
    assert experiments.guardrails(rows(-7.0), **asked)["verdict"][0] == "harmed"


@pytest.mark.parametrize("n_simulations", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_guardrail_at_its_margin_is_rarely_called_held_at_one_look_or_at_twenty(n_simulations):
    rng, n_looks, n = stream(2, "margin"), 20, 50
    k = np.arange(1, n_looks + 1)
    mean = rng.standard_normal((n_simulations, n_looks)).cumsum(axis=1) / k
    looks = pd.DataFrame(
        {
            "metric": "m0",
            "variant": "new",
            "effect": (-2.0 + 10 * mean).ravel(),
            "standard_error": np.tile(10 / np.sqrt(k), n_simulations),
            "df": np.nan,
            "n_control": np.tile(n * k, n_simulations),
            "n_treatment": np.tile(n * k, n_simulations),
        }
    )
    held = {}
    for planned in (None, 2 * n * n_looks):
        found = experiments.guardrails(looks, margins={"m0": -2.0}, alpha=0.05, planned_n=planned)
        held[planned] = (found["verdict"] == "holds").to_numpy().reshape(mean.shape)
    error = 4 * np.sqrt(0.05 * 0.95 / n_simulations)
    assert held[None][:, -1].mean() == pytest.approx(0.05, abs=error)
    assert held[2 * n * n_looks].any(axis=1).mean() <= 0.025 + error
    assert held[None].any(axis=1).mean() > 0.1
