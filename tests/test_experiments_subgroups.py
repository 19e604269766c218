"""Planned subgroups and the honest search, against statsmodels, the page's own comparisons and planted effects."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from journeybook.experiments import heterogeneity
from journeybook.experiments.heterogeneity import Heterogeneity, candidate_splits, search_heterogeneity
from journeybook.experiments.measures import Measures, measures
from journeybook.experiments.subgroups import MIN_UNITS, SUBGROUP_COLUMNS, levels, subgroups
from journeybook.experiments.words import say_whom
from journeybook.statistics import stream
from journeybook.statistics.contrasts import equal_effects

NONE = Measures([], [], pd.DataFrame())
METRICS = {
    "bought": "proportion",
    "spend": "mean",
    "per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"},
}


def drawn(n: int = 6_000, *, planted: float = 0.0) -> pd.DataFrame:
    """Units whose spend the change raises by 2, and by `planted` more on phones."""
    rng = stream(1, "units")
    treated = rng.integers(2, size=n)
    device = rng.choice(["phone", "desktop", "tablet"], n)
    before = rng.gamma(2, 5, n)
    orders = 1.0 + rng.poisson(1, n)
    return pd.DataFrame(
        {
            "variant": np.where(treated, "new", "control"),
            "device": device,
            "pre_spend": before,
            "orders": orders,
            "bought": (rng.random(n) < 0.4).astype(int),
            "spend": before + rng.normal(0, 5, n) + treated * (2 + planted * (device == "phone")),
        }
    )


def measured(units: pd.DataFrame, metrics=None):
    return measures(units, metrics=metrics or METRICS, covariates=["pre_spend"])


def test_equal_effects_of_means_is_welchs_analysis_of_variance():
    rng = stream(2, "groups")
    groups = [rng.normal(0.2 * k, 1 + k, 20 + 7 * k) for k in range(4)]
    means, sizes = (np.array([f(x) for x in groups]) for f in (np.mean, len))
    errors = np.array([x.std(ddof=1) for x in groups]) / np.sqrt(sizes)
    assert equal_effects(means, errors, sizes - 1.0) == pytest.approx(
        anova_oneway(groups, use_var="unequal", welch_correction=True).pvalue, rel=1e-9
    )
    two = stats.ttest_ind(groups[0], groups[1], equal_var=False)
    assert equal_effects(means[:2], errors[:2], sizes[:2] - 1.0) == pytest.approx(two.pvalue, rel=1e-9)


def test_levels_are_values_or_bands_and_missing_is_one():
    units = pd.DataFrame({"x": [*np.arange(100.0), np.nan], "city": ["b", "a", None] * 33 + ["a", "a"]})
    bands = levels(units, "x", measured=NONE, n_bands=4)
    assert bands.labels == ["up to 24.75", "24.75 to 49.5", "49.5 to 74.25", "above 74.25", "(missing)"]
    assert np.bincount(bands.codes).tolist() == [25, 25, 25, 25, 1]
    named = levels(units, "city", measured=NONE, n_bands=4)
    assert named.labels == ["a", "b", "(missing)"] and np.bincount(named.codes).tolist() == [35, 33, 33]
    # Above each cut, then the missing alone; each value.
    assert candidate_splits(bands).tolist() == [[0, 1, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    assert candidate_splits(named).tolist() == np.eye(3).tolist()
    two = levels(pd.DataFrame({"x": ["u", "v", "v"]}), "x", measured=NONE, n_bands=4)
    assert candidate_splits(two).tolist() == [[1, 0]]


def test_a_subgroups_effect_is_that_of_its_units_alone():
    units = drawn()
    spend = measured(units, {"spend": "mean"})
    found = subgroups(units, measured=spend, control=None, planned=["device"], alpha=0.05)
    assert [*found.columns] == [*SUBGROUP_COLUMNS, "interaction_p_adjusted"]
    assert found["level"].tolist() == ["desktop", "phone", "tablet"]
    plain = measures(units, metrics={"spend": "mean"}, covariates=[])
    row = subgroups(units, measured=plain, control=None, planned=["device"], alpha=0.05).iloc[1]
    a, b = (units.query("device == 'phone' and variant == @v")["spend"] for v in ("control", "new"))
    test = stats.ttest_ind(b, a, equal_var=False)
    assert row["p_value"] == pytest.approx(test.pvalue, rel=1e-9)
    assert row["effect_low"] == pytest.approx(test.confidence_interval(0.95).low, rel=1e-9)
    assert row[["n_control", "n_treatment"]].tolist() == [len(a), len(b)]


def test_a_planted_interaction_is_found_and_no_other():
    units = drawn(planted=2.0)
    found = subgroups(units, measured=measured(units), control=None, planned=["device", "pre_spend"], alpha=0.05)
    tests = found.drop_duplicates(["metric", "subgroup"]).set_index(["metric", "subgroup"])[
        "interaction_p_adjusted"
    ]
    # The ratio's numerator is the same spend.
    assert tests[tests < 0.05].index.tolist() == [("spend", "device"), ("per_order", "device")]
    nothing = Heterogeneity(pd.DataFrame(), 0)
    assert "2 of 6 planned interactions" in say_whom(found, nothing, alpha=0.05)
    calm = drawn()
    calm = subgroups(calm, measured=measured(calm), control=None, planned=["device"], alpha=0.05)
    assert "0 of 3 planned interactions" in say_whom(calm, nothing, alpha=0.05)


def test_small_levels_are_left_out_and_tiny_data_make_no_rows():
    units = drawn(2_000)
    units = units.assign(device=np.where(np.arange(2_000) % 50 < 1, "watch", units["device"]))
    spend = measured(units, {"spend": "mean"})
    found = subgroups(units, measured=spend, control=None, planned=["device"], alpha=0.05)
    assert found["level"].tolist() == ["desktop", "phone", "tablet"] and found["n_control"].min() >= MIN_UNITS
    few = drawn(40)
    none = subgroups(few, measured=measured(few, {"spend": "mean"}), control=None, planned=["device"], alpha=0.05)
    assert none.empty and [*none.columns] == [*SUBGROUP_COLUMNS, "interaction_p_adjusted"]


@pytest.mark.parametrize(
    ("column", "message"), [("city", "'city' is not in the"), ("spend", "outcome"), ("same", "same for every")]
)
def test_bad_subgroups_are_one_clear_sentence(column, message):
    units = drawn(500).assign(same=1)
    for function, given in ((subgroups, "planned"), (search_heterogeneity, "columns")):
        extra = {"rng": stream(1, "halves")} if function is search_heterogeneity else {}
        with pytest.raises(ValueError, match=message):
            function(units, measured=measured(units), control=None, alpha=0.05, **{given: [column]}, **extra)


def searched(units: pd.DataFrame, name: str = "halves"):
    return search_heterogeneity(
        units, measured=measured(units), control=None, columns=["device", "pre_spend"], alpha=0.05,
        rng=stream(3, name),
    )  # fmt: skip


def test_the_search_finds_a_planted_split_and_estimates_it_without_the_winners_curse():
    found = searched(drawn(20_000, planted=2.0))
    row = found.found.set_index("metric").loc["spend"]
    assert row["inside"] == "device is phone" and row["p_adjusted"] < 1e-6
    assert row["difference_low"] < 2 < row["difference_high"]
    assert row["effect_outside"] == pytest.approx(2, abs=0.5) and row["share_inside"] == pytest.approx(
        1 / 3, abs=0.02
    )
    assert found.n_splits == 3 + 9
    assert "1 of 3 hold" in say_whom(pd.DataFrame(), found, alpha=0.05) or "2 of 3 hold" in say_whom(
        pd.DataFrame(), found, alpha=0.05
    )


def test_the_tested_half_alone_gives_the_estimate():
    units = drawn(2_000, planted=6.0)
    plain = measures(units, metrics={"spend": "mean"}, covariates=[])
    half = stream(4, "halves").permutation(len(units)) % 2
    found = search_heterogeneity(
        units, measured=plain, control=None, columns=["device"], alpha=0.05, rng=stream(4, "halves")
    ).found.iloc[0]
    means = (
        units[half == 1]
        .assign(phone=lambda d: d["device"] == "phone")
        .groupby(["phone", "variant"])["spend"]
        .mean()
    )
    inside, outside = (means[phone, "new"] - means[phone, "control"] for phone in (True, False))
    assert [found["effect_inside"], found["effect_outside"]] == pytest.approx([inside, outside], rel=1e-9)


def test_with_too_few_units_nothing_is_searched():
    found = searched(drawn(6 * MIN_UNITS))
    assert found.found.empty and "none was searched" in say_whom(pd.DataFrame(), found, alpha=0.05)
    assert [*found.found.columns] == [*heterogeneity.HETEROGENEITY_COLUMNS, "p_adjusted"]
