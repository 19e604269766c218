"""What a budget is enough for: closed forms, and the release's own noise at the budget that is told."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from test_privacy_release import ASKED, asked, ledger, plan_of, publish, run

from journeybook import privacy
from journeybook.privacy.asking import make_plan
from journeybook.privacy.bounding import Cells
from journeybook.privacy.mechanisms import draw, noise_of
from journeybook.privacy.utility import Compared, _n_right, _unit_draws, budgets_of_release, enough_budget
from journeybook.statistics import stream

__all__ = ["ledger", "run"]

_WITHOUT_BUDGET = {k: v for k, v in ASKED["rate"].items() if k != "epsilon"}
MANY = {"right": 0.95, "n_draws": 20_000}


def test_two_groups_by_closed_form():
    """Noise turns two groups round with probability (2 + x) exp(-x) / 4, x = gap / scale; Gaussian by its tail."""
    x = optimize.brentq(lambda x: (2 + x) * np.exp(-x) / 4 - 0.05, 0.1, 20)
    for decision in ("order", "first"):
        two = Compared(np.array([10.0, 4.0]), 3.0, unit=0.0)
        budget, low, high = enough_budget(two, decision=decision, **MANY, rng=stream(1, "two"))
        assert low < x * 3 / 6 < high and low <= budget <= high < 1.2 * low
        two = replace(two, gaussian=True)
        budget, low, high = enough_budget(two, decision=decision, **MANY, rng=stream(2, "two"))
        # The difference of two has variance 2 * scale^2 / rho.
        assert low < 2 * (3 * stats.norm.ppf(0.95) / 6) ** 2 < high


def test_intervals_of_the_simulation_hold_what_they_say():
    x = optimize.brentq(lambda x: (2 + x) * np.exp(-x) / 4 - 0.05, 0.1, 20)
    two = Compared(np.array([1.0, 0.0]), 1.0, unit=0.0)
    asked_ = {"decision": "order", "right": 0.95, "n_draws": 500}
    found = [enough_budget(two, **asked_, rng=stream(seed, "held")) for seed in range(300)]
    held = sum(low <= x <= high for _, low, high in found)
    assert stats.binomtest(held, 300, 0.95).pvalue > 0.001


def test_unequal_noise_and_whole_steps_by_brute_force():
    """OpenDP's discrete Laplace noise on counts close together, at the budget that is told."""
    one = asked("people", values={"channel": ["a", "b", "c"]}, epsilon=1.0)
    value = np.array([40, 37, 20])
    figures = [{"figure": "people", "group": g, "value": v} for g, v in zip("abc", value, strict=True)]
    order, first = budgets_of_release(
        one, [*figures, {"figure": "people", "group": "total", "value": 97}], noise_of(one)
    )
    assert first["budget"] <= order["budget"]
    for told, is_right in ((order, lambda d: (np.diff(d) < 0).all()), (first, lambda d: d[0] > d[1:].max())):
        again = asked("people", values={"channel": ["a", "b", "c"]}, epsilon=told["budget"])
        cells = Cells([("a",), ("b",), ("c",)], {"people": value}, 0)
        noises = noise_of(again)
        right = np.mean([is_right(draw(cells, noises)[1]["people"]) for _ in range(3000)])
        assert right == pytest.approx(0.95, abs=4 * (2 * 0.0475 / 3000) ** 0.5)


@pytest.mark.parametrize("budget", [{"epsilon": 1.0}, {"rho": 0.1}])
def test_rates_are_right_at_the_budget_that_is_told(budget):
    values = {"values": {"channel": ["a", "b"]}}
    one = make_plan({"unit": "person", "releases": {"rate": {**_WITHOUT_BUDGET, **values, **budget}}}).releases[0]
    hits, rows = np.array([900, 700]), np.array([3000, 3100])
    figures = [
        {"figure": name, "group": group, "value": v}
        for name, values in (("hits", hits), ("rows", rows))
        for group, v in zip("ab", values, strict=True)
    ]
    told = budgets_of_release(one, figures, noise_of(one))[0]
    again = replace(one, **{next(iter(budget)): told["budget"]})
    noises, cells = noise_of(again), Cells([("a",), ("b",)], {"hits": hits, "rows": rows}, 0)
    drawn = [draw(cells, noises)[1] for _ in range(3000)]
    right = np.mean([d["hits"][0] / max(d["rows"][0], 1) > d["hits"][1] / max(d["rows"][1], 1) for d in drawn])
    assert right == pytest.approx(0.95, abs=4 * (2 * 0.0475 / 3000) ** 0.5)


def test_no_budget_tells_equal_figures_apart():
    equal = Compared(np.array([5.0, 5.0]), 1.0)
    assert enough_budget(equal, decision="first", **MANY, rng=stream(1, "equal")) == (np.inf,) * 3
    with pytest.raises(ValueError, match="right is 1"):
        enough_budget(equal, decision="first", right=1.0, n_draws=10, rng=stream(1, "x"))
    apart = Compared(np.array([5.0, 4.0, 0.0]), 1.0, unit=0.0)
    draws = _unit_draws(apart, 4000, stream(1, "x"))
    shares = [_n_right(apart, "order", budget, draws) / 4000 for budget in (0.1, 1, 9)]
    assert shares == sorted(shares) and shares[0] < 0.3 and shares[-1] > 0.95


def test_a_page_says_a_budget_for_each_decision():
    revenue = pd.Series(stream(1, "revenue").lognormal(6, 1.2, 500)).round(2)
    people = pd.DataFrame({"revenue": revenue})
    groups = privacy.group_people(people, segment_names=[], band_edges=[300.0, 900.0], max_revenue=5000.0)
    released = privacy.release_figures(revenue, groups, epsilon=1.0, count_share=0.5, rng=stream(1, "noise"))
    found = privacy.budgets_of_page(released, right=0.95, n_draws=4000, rng=stream(1, "decisions"))
    assert found.release.tolist() == ["people", "people", "revenue", "revenue"]
    assert (found.low <= found.budget).all() and (found.budget <= found.high).all()
    held = privacy.decisions_hold(released, found, n_draws=1000, rng=stream(1, "decided"))
    assert len(held) == 5 and (held.value - held.reference).abs().le(held.tolerance).all()
    said = privacy.say_decisions(found)
    assert "the order of its groups by people " in said and "noised figures taken as true" in said


def test_a_release_says_it_of_its_noised_figures_alone(run, ledger, tmp_path):
    first = publish(run, plan_of("people", "rate", "histogram", "found"), ledger, tmp_path / "r1")
    told = {one["release"]: one["decisions"] for one in json.loads(first.files["mechanisms.json"])}
    assert [len(told[name]) for name in ("people", "rate", "histogram", "found")] == [2, 2, 0, 0]
    figures = pd.read_csv(tmp_path / "r1" / "figures.csv").query("release == 'people'")
    one = asked("people")
    assert told["people"] == budgets_of_release(one, figures.to_dict("records"), noise_of(one))
    assert "right 95 times of 100 from epsilon" in first.files["card.md"]
    again = publish(run, plan_of("people", "rate", "histogram", "found"), ledger, tmp_path / "r2")
    assert again.files == first.files
