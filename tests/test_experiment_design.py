"""Sentences say the numbers of their tables, for other data too; figures draw every case."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from journeybook.experiment_design.bandits import bandit_study
from journeybook.experiments import words_design as words
from journeybook.experiments.looks import look
from journeybook.plots.experiments import design as figures
from journeybook.statistics import stream
from journeybook.statistics.bayes import posteriors
from journeybook.statistics.power import power_curve, power_table
from journeybook.statistics.sequential import looking

ROWS = pd.DataFrame(
    {
        "metric": ["bought", "bought", "spend"],
        "variant": ["new", "newer", "new"],
        "method": "welch",
        "control": [0.2, 0.2, -3.0],
        "n_control": 5000,
        "n_treatment": 5000,
        "standard_error": [0.008, 0.009, 1.0],
    }
)

KINDS = {"bought": "proportion", "spend": "mean"}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_power_is_told_for_the_variant_where_it_is_hardest():
    table = power_table(ROWS, minimum_effects={"bought": 0.03}, alpha=0.05, power=0.8, units_per_day=1000.0)
    text = words.power_sentence(table, power=0.8, kinds=KINDS)
    hardest = table.iloc[1]
    assert f"{100 * hardest['minimum_detectable_effect']:.3g} points (12.6% of the control) on bought" in text
    assert f"{hardest['n_control_needed'] + hardest['n_treatment_needed']:,.0f} units in control and newer" in text
    assert f"{hardest['days_needed']:,.0f} days" in text
    assert "The planned effect of 3 points on bought" in text
    assert "2.8 on spend" in text
    assert "planned" not in words.power_sentence(
        power_table(ROWS, minimum_effects={}, alpha=0.05, power=0.8, units_per_day=None), power=0.8, kinds=KINDS
    )
    curve = power_curve(ROWS, metric="bought", variant="new", alpha=0.05)
    ax = figures.plot_power(curve, power=0.8, kinds=KINDS)
    assert ax.get_ylim()[0] == 0
    assert ax.get_xlabel().startswith("true effect on bought, points")
    assert ax.lines[0].get_xdata().max() == pytest.approx(100 * curve["effect"].max())


def test_a_look_is_told_with_its_reason():
    end = look(None, digest="a", n_units=100, planned_units=100, over=True, plan="p" * 64)
    assert (
        "Look 1 at this experiment (100 of 100 planned units): the planned end is reached"
        in words.look_sentence(end, n_units=100, planned_units=100)
    )
    bare = look(None, digest="a", n_units=100, planned_units=0, over=True, plan="")
    assert "nothing was looked at before" in words.look_sentence(bare, n_units=100, planned_units=0)
    early = look(end.entry, digest="b", n_units=110, planned_units=200, over=False, plan="q" * 64)
    text = words.look_sentence(early, n_units=110, planned_units=200)
    assert "**The plan has changed.** The first look at this experiment had the plan pppppppppppp." in text
    assert "the planned end is not reached and an earlier look at other data" in text
    assert "always-valid" in text


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_looking_is_told_and_drawn_for_any_level(alpha):
    rates = looking(n_looks=6, alpha=alpha, n_simulations=4000, rng=stream(1, "l"))
    text = words.looking_sentence(rates, alpha=alpha)
    naive = rates[(rates["method"] == "naive") & (rates["looks"] == 6)]["rate"].iloc[0]
    assert f"6 looks call {naive:.1%}" in text
    assert f"{naive / alpha:.1f} times the {alpha:.1%}" in text
    assert len(figures.plot_looking(rates, alpha=alpha).lines) == 5


def test_an_effect_that_cannot_be_followed_is_told():
    assert "cannot be followed" in words.followed_sentence(pd.DataFrame(), alpha=0.05)


def test_what_is_believed_is_told_with_its_prior():
    arms = pd.DataFrame({"metric": "bought", "variant": ["old", "new"], "n": 500, "mean": [0.2, 0.3], "sd": 0.4})
    table = posteriors(arms, kinds={"bought": "proportion"}, control="old", level=0.95)
    text = words.posteriors_sentence(table, level=0.95, kinds=KINDS)
    assert "new is best on bought with probability above 99.9 %" in text
    assert "bought: Beta(1, 1)" in text
    assert len(figures.plot_posteriors(table).axes) == 2
    assert "needs a proportion or mean" in words.posteriors_sentence(table.iloc[:0], level=0.95, kinds={})


def test_guardrails_are_told_by_verdict():
    table = pd.DataFrame({"metric": ["a", "b"], "variant": "new", "verdict": ["holds", "harmed"]})
    text = words.guardrails_sentence(table, alpha=0.05)
    assert "shown within the margin: a of new; worse than the margin: b of new (one-sided" in text
    assert "open:" not in text
    assert "names no guardrails" in words.guardrails_sentence(table.iloc[:0], alpha=0.05)


def test_assignment_that_fails_names_its_checks():
    checks = pd.DataFrame({"check": ["hash_shares", "hash_buckets"], "passed": [True, False]})
    assert "1 of 2 checks fail: hash_buckets" in words.assignment_sentence(checks, salt="s")
    assert "all 2 checks pass" in words.assignment_sentence(checks.assign(passed=True), salt="s")


def test_bandits_are_told_and_drawn():
    given = {"n_units": 2000, "n_batches": 10, "epsilon": 0.1, "alpha": 0.05, "n_simulations": 200}
    study = bandit_study({"a": 0.2, "b": 0.3, "c": 0.1}, **given, rng=stream(1, "s"))
    none = bandit_study({"a": 0.2, "b": 0.2, "c": 0.2}, **given, rng=stream(1, "n"))
    text = words.bandit_sentence(study, none=none)
    lost = study.policies.set_index("policy")["regret"]
    assert f"The fixed split loses {lost['fixed_split']:,.0f} conversions" in text
    worst = none.worst()
    naive = worst[(worst["policy"] != "fixed_split") & (worst["estimator"] == "naive")]
    assert f"off by {100 * naive['bias'].iloc[naive['bias'].abs().argmax()]:+.2f} points" in text
    assert f"{1 - naive['coverage'].min():.1%} (naive)" in text
    figure = figures.plot_bandits(study, none=none)
    assert [len(ax.containers) for ax in figure.axes] == [0, 3, 3]
    assert np.isfinite(figure.axes[1].get_ylim()).all()
