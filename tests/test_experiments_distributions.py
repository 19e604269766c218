"""Shares of units by value, counted by hand."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_effectsize

from journeybook import experiments
from journeybook.experiments.distributions import N_BINS

UNITS = pd.DataFrame(
    {
        "variant": ["control"] * 5 + ["new"] * 5,
        "spend": [0, 0, 1.0, 2, 100, 0, 5, 5, np.nan, 5],
        "orders": [0, 0, 1, 2, 4, 0, 1, 5, 1, 1],
        "bought": [0, 0, 1, 1, 1, 0, 1, 1, 1, 1],
    }
)


def shares(metrics) -> pd.DataFrame:
    measured = experiments.measures(UNITS, metrics=metrics, covariates=[])
    return experiments.distributions(UNITS, measured=measured, control="control")


def test_every_unit_with_a_value_is_in_a_bin_or_among_the_zeros():
    found = shares({"spend": "mean", "bought": "proportion"})
    assert found["metric"].unique().tolist() == ["spend"]
    groups = found.groupby("variant")
    assert groups.size().tolist() == [N_BINS, N_BINS]
    assert groups["zero_share"].first().to_dict() == {"control": 0.4, "new": 0.25}
    assert (groups["share"].sum() + groups["zero_share"].first()).tolist() == pytest.approx([1, 1])
    assert (groups["low"].first() == 0).all() and np.isinf(groups["high"].last()).all()
    fives = found[(found["variant"] == "new") & (found["share"] > 0)]
    assert fives["share"].tolist() == [0.75] and (fives["low"] <= 5).all() and (fives["high"] > 5).all()


def test_a_ratio_shows_each_unit_s_own_and_leaves_out_those_without():
    found = shares({"per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"}})
    control = found[found["variant"] == "control"]
    # Of 1, 1 and 25 an order two are alike; the two units without an order have no ratio.
    assert sorted(control.loc[control["share"] > 0, "share"]) == pytest.approx([1 / 3, 2 / 3])
    assert (control["zero_share"] == 0).all()


def test_a_column_is_shown_once():
    both = {"spend": "mean", "high": {"kind": "quantile", "column": "spend", "level": 0.9}}
    assert shares(both)["metric"].unique().tolist() == ["spend"]


def test_effect_sizes_by_metric_in_cohen_s_words():
    arms = pd.DataFrame(
        {
            "metric": ["bought"] * 3 + ["spend"] * 3 + ["p90"] * 3,
            "variant": ["control", "x", "y"] * 3,
            "n": 100,
            "mean": [0.1, 0.1, 0.9, 10.0, 13.0, 9.0, 1.0, 2.0, 3.0],
            "sd": [0.3, 0.3, 0.3, 5.0, 5.0, 5.0, np.nan, np.nan, np.nan],
        }
    )
    found = experiments.effect_sizes(
        arms, kinds={"bought": "proportion", "spend": "mean", "p90": "quantile"}, control="control"
    )
    assert found[["metric", "variant", "measure"]].astype(str).to_numpy().tolist() == [
        ["bought", "x", "cohen_h"], ["bought", "y", "cohen_h"],
        ["spend", "x", "cohen_d"], ["spend", "y", "cohen_d"],
    ]  # fmt: skip
    assert found["magnitude"].tolist() == ["below small", "large", "medium", "small"]
    assert found["size"].tolist() == pytest.approx([0, proportion_effectsize(0.9, 0.1), 0.6, -0.2])
