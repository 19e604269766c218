"""Factorial designs against least squares, with their power and aliasing."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from experiment_units import compared, simulated
from scipy import stats
from statsmodels.stats.power import TTestIndPower

from journeybook import experiments
from journeybook.experiments.factorial import design
from journeybook.experiments.words import say_factorial
from journeybook.statistics import stream
from journeybook.statistics.corrections import holm


def effects(units: pd.DataFrame, *, minimum_effects=None, covariates=(), metrics=None) -> pd.DataFrame:
    found = compared(units, metrics=metrics or {"spend": "mean"}, covariates=list(covariates))
    return experiments.factorial_effects(
        found.moments, names=found.names, alpha=0.05, power=0.8, minimum_effects=minimum_effects or {}
    )


def cell(letters: str) -> str:
    return "+".join(letters) or "control"


def cube(n: int, *, cells: list[str], seed: int = 1) -> pd.DataFrame:
    """Balanced cells; a adds 1, b adds 2, a and b together 1.5 more, all three 4 more."""
    rng = stream(seed, "cube")
    variant = np.repeat(cells, n)
    has = {f: np.array([f in name.split("+") for name in variant]) for f in "abc"}
    y = has["a"] + 2 * has["b"] + 1.5 * (has["a"] & has["b"]) + 4 * (has["a"] & has["b"] & has["c"])
    return pd.DataFrame({"variant": variant, "spend": y + rng.normal(0, 2, len(variant))})


FULL = [cell("".join(c)) for k in range(4) for c in combinations("abc", k)]


def test_two_by_two_is_least_squares_on_a_balanced_design():
    variants = ("control", "banner", "gift", "banner+gift")
    units = simulated(4_000, variants=variants)
    units = units.groupby("variant").head(900).reset_index(drop=True)
    found = effects(units).set_index("term")
    a = units["variant"].isin(["banner", "banner+gift"]) - 0.5
    b = units["variant"].isin(["gift", "banner+gift"]) - 0.5
    fit = sm.OLS(units["spend"], sm.add_constant(np.column_stack([a, b, a * b]))).fit()
    assert found["effect"].tolist() == pytest.approx(fit.params.iloc[1:].tolist(), rel=1e-9)
    assert found["standard_error"].tolist() == pytest.approx(fit.bse.iloc[1:].tolist(), rel=1e-3)
    assert found["standard_error"].iloc[2] == pytest.approx(2 * found["standard_error"].iloc[0], rel=1e-9)
    assert found.index.tolist() == ["banner", "gift", "interaction banner+gift"]
    adjusted = effects(simulated(2_000, variants=variants), covariates=["pre_spend"])
    assert set(adjusted["method"]) == {"cuped"}


def test_two_to_the_three_is_least_squares_and_finds_what_was_planted():
    units = cube(400, cells=FULL)
    found = effects(units).set_index("term")
    x = {f: np.array([f in name.split("+") for name in units["variant"]]) - 0.5 for f in "abc"}
    terms = [t for k in (1, 2, 3) for t in combinations("abc", k)]
    fit = sm.OLS(
        units["spend"], sm.add_constant(np.column_stack([np.prod([x[f] for f in t], axis=0) for t in terms]))
    )
    wanted = fit.fit().params[1:]
    assert len(found) == 7 and (found["aliased_with"] == "").all()
    for term, value in zip(terms, wanted, strict=True):
        name = term[0] if len(term) == 1 else "interaction " + "+".join(term)
        assert found.loc[name, "effect"] == pytest.approx(value, rel=1e-9)
    # The threefold difference is the planted 4; on average over c, a and b together add 1.5 + 4 / 2.
    assert found.loc["interaction a+b+c", "effect"] == pytest.approx(
        4, abs=4 * found.loc["interaction a+b+c", "standard_error"]
    )
    assert found.loc["interaction a+b", "effect"] == pytest.approx(
        3.5, abs=4 * found.loc["interaction a+b", "standard_error"]
    )


def test_a_half_fraction_tells_what_it_cannot_tell_apart():
    half = effects(cube(400, cells=["control", "a+b", "a+c", "b+c"])).set_index("term")
    assert half["aliased_with"].to_dict() == {
        "a": "interaction b+c",
        "b": "interaction a+c",
        "c": "interaction a+b",
    }
    # What is estimated is the effect together with its alias.
    means = cube(4_000, cells=FULL).groupby("variant")["spend"].mean()
    by_hand = (means["a+b"] + means["a+c"] - means["control"] - means["b+c"]) / 2
    large = effects(cube(4_000, cells=["control", "a+b", "a+c", "b+c"], seed=2)).set_index("term")
    assert large.loc["a", "effect"] == pytest.approx(by_hand, abs=0.2)
    told = say_factorial(half.reset_index(), power=0.8)
    assert "cannot tell a from interaction b+c" in told


@pytest.mark.parametrize(
    "names",
    [
        ["control", "new"],
        ["control", "a", "b"],
        ["control", "a", "b", "c"],
        ["control", "a", "b", "c", "a+b"],
        ["control", "a", "b", "a+a"],
        ["a", "b", "c", "a+b+c"],
        ["x", "y", "a", "a+b"],
    ],
)
def test_other_names_spell_no_design(names):
    assert design(names) is None


def test_power_is_that_of_statsmodels():
    units = cube(300, cells=["control", "a", "b", "a+b"])
    found = effects(units, minimum_effects={"spend": 0.3}).set_index("term")
    row = found.loc["a"]
    sd = row["standard_error"] / np.sqrt(1 / 600 + 1 / 600)
    wanted = TTestIndPower().power(0.3 / sd, nobs1=600, ratio=1, alpha=0.05, df=row["df"])
    assert row["power"] == pytest.approx(wanted, abs=1e-6)
    detectable = TTestIndPower().power(row["detectable_effect"] / sd, nobs1=600, ratio=1, alpha=0.05, df=row["df"])
    assert detectable == pytest.approx(0.8, abs=0.002)
    assert found.loc["interaction a+b", "power"] < row["power"]
    assert effects(units)["power"].isna().all()
    assert found["p_adjusted"].tolist() == pytest.approx(holm(found["p_value"]).tolist())
    assert stats.norm.ppf(0.975) < row["detectable_effect"] / row["standard_error"]
