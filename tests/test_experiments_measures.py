"""Which columns are metrics of which kind, which are covariates, and which variant is the control."""

import numpy as np
import pandas as pd
import pytest
from experiment_units import compared, simulated

from journeybook import experiments
from journeybook.errors import TooLittle
from journeybook.experiments.measures import numbers
from journeybook.experiments.variants import choose_control


@pytest.mark.parametrize(
    ("variants", "control", "answer"),
    [
        (["control", "new"], None, "control"),
        (["B", "Control"], None, "Control"),
        (["a", "b"], "b", "b"),
        (["base", "a", "b", "a+b"], None, "base"),
    ],
)
def test_the_control_is_named_or_clear(variants, control, answer):
    assert choose_control(variants, control=control) == answer


@pytest.mark.parametrize(
    ("variants", "control", "message"),
    [
        (["a", "b"], None, "'a', 'b'"),
        (["control", "a", "b"], None, "'a', 'b', 'control'"),
        (["control", "placebo"], None, "'control', 'placebo'"),
        (["control", "new"], "contro", "'contro' is not a variant"),
        (["control"], None, "two variants or more; found 'control'"),
    ],
)
def test_an_unclear_control_is_an_error_that_lists_the_variants(variants, control, message):
    with pytest.raises(ValueError, match=r".*".join(message.split(" "))):
        choose_control(variants, control=control)


def test_auto_shows_what_it_takes_each_column_for():
    units = simulated(100).assign(city="x", empty=np.nan, same=1.0, occurred_at=pd.Timestamp("2026-01-01"))
    shown = experiments.measures(units, metrics="auto", covariates=["pre_spend"]).columns.set_index("column")
    assert shown.loc["spend", ["role", "kind"]].tolist() == ["metric", "mean"]
    assert shown.loc["converted", "kind"] == "proportion"
    assert shown.loc["pre_spend", "role"] == "covariate"
    assert shown.loc[["city", "empty", "same"], "reason"].tolist() == [
        "not a number",
        "no values",
        "the same value for every unit",
    ]
    assert "occurred_at" not in shown.index


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        ({}, {"covariates": ["spend"], "metrics": {"spend": "mean"}}, "both as a metric and as a covariate"),
        ({}, {"metrics": {"sale": "mean"}}, "'sale' is not in the table"),
        ({}, {"metrics": {"spend": "median"}}, "allowed are proportion, mean, ratio, quantile, time_to_event"),
        ({}, {"metrics": {"spend": "ratio"}}, "is a ratio and lacks 'numerator'"),
        (
            {},
            {"metrics": {"a": {"kind": "ratio", "numerator": "spend", "denominator": "visits"}}},
            "'visits' is not in",
        ),
        ({}, {"metrics": {"a": {"kind": "ratio", "numerator": "converted", "denominator": "spend"}}}, "from 0 up"),
        ({}, {"metrics": {"spend": {"kind": "quantile", "level": 1}}}, "between 0 and 1 is needed"),
        ({}, {"metrics": {"spend": {"kind": "quantile", "level": "high"}}}, "a number is needed"),
        ({}, {"metrics": {"spend": {"kind": "mean", "level": 0.5}}}, "has the key 'level'; a mean takes column"),
        (
            {"d": 5},
            {"metrics": {"spend": {"kind": "time_to_event", "event": "d", "horizon": 2}}},
            "holds 5; 0 and",
        ),
        ({}, {"metrics": {"spend": {"kind": "time_to_event", "event": "converted", "horizon": 2}}}, "the time -"),
        (
            {"t": np.arange(50)},
            {"metrics": {"t": {"kind": "time_to_event", "event": "converted", "horizon": 90}}},
            "at most 49",
        ),
        ({}, {"metrics": {"unit_id": "mean"}}, "is no metric"),
        ({}, {"metrics": {"spend": "proportion"}}, "0 and 1 are needed"),
        ({}, {"metrics": "all"}, "needed 'auto'"),
        ({"spend": "much"}, {"metrics": {"spend": "mean"}}, "must hold numbers; found 'much'"),
        ({"spend": np.inf}, {"metrics": "auto"}, "infinite"),
        ({"spend": 3.0}, {"metrics": {"spend": "mean"}}, "only the value 3"),
        ({"converted": 0}, {"metrics": {"converted": "proportion"}}, "only the value 0"),
        ({"spend": np.nan}, {"metrics": {"spend": "mean"}}, "no value"),
        ({"pre_spend": 1.0}, {"covariates": ["pre_spend"]}, "fewer than two values"),
        ({"variant": None}, {}, "variant"),
    ],
)
def test_bad_columns_are_one_clear_sentence(change, given, message):
    with pytest.raises(ValueError, match=message) as problem:
        compared(simulated(50).assign(**change), **given)
    assert str(problem.value).count(". ") == 0


@pytest.mark.parametrize("covariates", [None, []])
def test_auto_without_named_covariates_is_an_error_that_lists_the_columns(covariates):
    units = simulated(50).rename(columns={"pre_spend": "history"})
    with pytest.raises(ValueError, match=r"must be named .* the columns are history, spend, converted"):
        compared(units, covariates=covariates)
    named = compared(units, covariates=["history"]).comparisons
    assert named["metric"].tolist() == ["spend", "converted"]


def test_decimals_booleans_and_missing_integers_are_numbers():
    from decimal import Decimal

    units = simulated(200)
    other = units.assign(
        spend=[Decimal(f"{x:.2f}") for x in units["spend"]], converted=units["converted"].astype(bool)
    )
    measured = experiments.measures(other, metrics="auto", covariates=["pre_spend"])
    assert measured.kinds == {"spend": "mean", "converted": "proportion"}
    assert numbers(pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}), "x")[0] == 1


def test_what_is_the_same_for_every_unit_is_left_out_or_too_little():
    units = simulated(50).assign(pre_spend=1.0)
    found = experiments.measures(units, metrics="auto", covariates=None)
    left = found.columns.set_index("column").loc["pre_spend"]
    assert found.covariates == [] and (left["role"], left["reason"]) == (
        "left out",
        "the same value for every unit",
    )
    with pytest.raises(TooLittle, match="no column that could be a metric differs between units"):
        experiments.measures(units.assign(spend=3.0, converted=0), metrics="auto", covariates=None)


@pytest.mark.parametrize(
    ("value", "cure"), [("3.2%", "CAST(replace(column, '%', '') AS DOUBLE)"), ("yes", "such as `column = 'yes'`")]
)
def test_text_that_stands_for_a_number_is_refused_with_an_expression(value, cure):
    with pytest.raises(ValueError) as refused:
        numbers(pd.DataFrame({"rate": [value, value]}), "rate")
    assert cure in str(refused.value)
