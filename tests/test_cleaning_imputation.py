"""Page 02: the trial of filling in missing values."""

import numpy as np
import pandas as pd
import pytest
from test_cleaning import table

from journeybook import cleaning
from journeybook.cleaning.imputation import METHODS, Cells, correlated_normals, impute
from journeybook.statistics import stream


@pytest.mark.parametrize("method", METHODS)
def test_known_cells_stay_and_hidden_ones_are_filled(method):
    frame = correlated_normals(200, correlation=0.6, rng=stream(1, "cells"))
    frame.loc[::4, "y"] = np.nan
    before = frame.copy()
    filled = impute(frame, column="y", method=method, rng=stream(1, method))
    pd.testing.assert_frame_equal(frame, before)
    known = before.y.notna()
    assert filled[known].equals(before.y[known])
    assert filled.notna().all()
    if method == "donor":
        assert filled[~known].isin(before.y[known]).all()


def test_a_donor_is_one_of_the_five_nearest():
    x = np.arange(100, dtype=float)
    frame = pd.DataFrame({"x": x, "y": 2 * x})
    frame.loc[50, "y"] = np.nan
    drawn = {impute(frame, column="y", method="donor", rng=np.random.default_rng(s))[50] for s in range(60)}
    assert drawn <= {2.0 * k for k in (47, 48, 49, 51, 52, 53)}
    assert {98.0, 102.0} <= drawn and len(drawn) == 5


# Error in standard deviations, and variance kept, of normals of correlation r, hidden at random.
CLOSED_FORMS = {
    "mean": lambda r: (1, 0),
    "regression": lambda r: ((1 - r**2) ** 0.5, r**2),
    "donor": lambda r: ((2 * (1 - r**2)) ** 0.5, 1),
}


@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_the_trial_agrees_with_closed_forms(correlation):
    pairs = correlated_normals(20_000, correlation=correlation, rng=stream(11, "pairs"))
    trial = cleaning.impute_trial([Cells(pairs, "y")], hidden_share=0.3, repeats=2, rng=stream(11, "trial"))
    found = cleaning.by_method(trial, "at_random")
    for method, closed in CLOSED_FORMS.items():
        rmse, kept = closed(correlation)
        # 12,000 hidden cells: standard errors are about 0.01 of an error and 0.015 of a variance.
        assert found.error[method] == pytest.approx(rmse, abs=0.04)
        assert found.variance_ratio[method] == pytest.approx(kept, abs=0.06)
        assert abs(found.mean_shift[method]) < 0.02


def test_what_is_hidden_because_it_is_low_cannot_be_repaired():
    pairs = correlated_normals(5_000, correlation=0.5, rng=stream(2, "pairs"))
    trial = cleaning.impute_trial([Cells(pairs, "y")], hidden_share=0.3, repeats=2, rng=stream(2, "trial"))
    low = cleaning.by_method(trial, "low_values")
    assert (low.mean_shift > 0.08).all()
    assert low.mean_shift["donor"] < low.mean_shift["mean"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_share": 0}, "hidden_share is 0"),
        ({"hidden_share": 0.9}, "hidden_share is 0.9"),
        ({"repeats": 0}, "repeats is 0"),
        ({"column": "x"}, "column 'x' has one value only"),
        ({"cells": pd.DataFrame({"x": [1.0], "y": [2.0]})}, "the trial has 1 rows"),
    ],
)
def test_a_trial_that_cannot_be_made_says_why(change, message):
    cells = pd.DataFrame({"x": np.ones(60), "y": np.arange(60.0)})
    asked = {"cells": cells, "column": "y", "hidden_share": 0.3, "repeats": 1, "rng": stream(1, "t")} | change
    with pytest.raises(ValueError, match=message):
        cleaning.impute_trial([Cells(asked.pop("cells"), asked.pop("column"))], **asked)


def test_only_what_beats_the_mean_each_time_is_advised():
    rng = stream(4, "words")
    x = rng.standard_normal(300)
    some = pd.DataFrame({"x": x, "near": x + 0.1 * rng.standard_normal(300), "noise": rng.standard_normal(300)})
    cells = [Cells(some[["x", c]], c, name=c) for c in ("near", "noise")]
    trial = cleaning.impute_trial(cells, hidden_share=0.3, repeats=8, rng=rng)
    assert cleaning.advise(trial).set_index("column").advice.to_dict() == {"near": "regression", "noise": "none"}
    assert trial.scores.groupby(["column", "mechanism", "method"]).size().eq(8).all()
    held = cleaning.trial_holds(cells, trial, rng=stream(9, "witness"))
    assert ((held.value - held.reference).abs() <= held.tolerance).all()


def test_the_trial_takes_columns_with_holes_that_a_later_page_uses():
    n, rng = 200, stream(5, "holes")
    size = [f"{k % 7 + 1} OZ" for k in range(n - 20)] + ["3 LB"] * 10 + [None] * 10
    places = table(
        postcode=[f"{k:05}" for k in range(n)], income=[None, *rng.random(n - 1)], density=rng.random(n),
        home=[None, *(["owned", "owned", "rented"] * n)[: n - 1]],
    )  # fmt: skip
    tables = {
        "third_party": places,
        "products": table(product_id=[str(k) for k in range(n)], brand=["a", "b"] * (n // 2), package_size=size),
        "contacts": table(responded=[True] * n, value=[None] * n, age=range(n)),
    }
    cells = cleaning.holed_cells(tables, cleaning.missing_report(tables), max_rows=500, rng=rng)
    found = {one.name: (len(one.frame), one.used_by, one.n_missing) for one in cells}
    assert found == {
        "third_party.income": (199, "04_enrichment", 1),
        "products.package_size (log OZ)": (180, "none yet", 10),
    }
    by_name = {one.name: one.frame for one in cells}
    assert by_name["products.package_size (log OZ)"].package_size.max() == pytest.approx(np.log(7))
    assert sorted(by_name["third_party.income"]) == ["density", "home owned", "home rented", "income"]
    assert all(frame.notna().all(axis=None) for frame in by_name.values())


def test_without_a_column_of_numbers_the_trial_is_simulated():
    tables = {"paths": table(path=["a"], conversions=[1], nulls=[1])}
    (cells,) = cleaning.holed_cells(tables, cleaning.missing_report(tables), max_rows=500, rng=stream(1, "cells"))
    assert (cells.name, cells.table, len(cells.frame)) == ("simulated pairs", None, 2_000)
