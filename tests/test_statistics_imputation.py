"""Filling in by a rule a column: constants by pandas, expected values by scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from journeybook.statistics import stream
from journeybook.statistics.imputation import (
    NOTHING,
    fill,
    fit_imputer,
    handed_imputer,
    imputer_table,
    side_by_side,
)


def correlated(n=400, *, seed=1):
    rng = stream(seed, "cells")
    x = rng.gamma(2, 50, n)
    frame = pd.DataFrame({"x": x, "y": x * np.exp(0.2 * rng.standard_normal(n)), "n": rng.integers(1, 5, n)})
    frame.loc[::5, "y"], frame.loc[::7, "n"] = np.nan, np.nan
    return frame


def test_known_cells_stay_and_constants_are_those_of_pandas():
    frame = correlated()
    before = frame.copy()
    filled = fill(frame, fit_imputer(frame, rules={"n": "mode", "z": "model"}))
    pd.testing.assert_frame_equal(frame, before)
    known = frame.notna()
    assert filled.where(known).equals(frame.astype(float))
    assert (filled["y"][frame["y"].isna()] == frame["y"].median()).all()
    assert (filled["n"][frame["n"].isna()] == frame["n"].mode()[0]).all()


def test_an_expected_value_is_that_of_a_ridge_in_scikit_learn():
    frame = correlated()
    imputer = fit_imputer(frame, rules={"y": "model"})
    others = np.arcsinh(frame[["x", "n"]].fillna(frame.median()))
    known = frame["y"].notna()
    scaler = StandardScaler().fit(others[known])
    ridge = Ridge(alpha=1e-3 * known.sum()).fit(scaler.transform(others[known]), np.arcsinh(frame["y"][known]))
    expected = np.sinh(ridge.predict(scaler.transform(others)))
    filled = fill(frame, imputer)["y"]
    inside = ~known & (expected > imputer.lowest[1]) & (expected < imputer.highest[1])
    assert inside.sum() > 70
    assert filled[inside].to_numpy() == pytest.approx(expected[inside], rel=1e-6)


def test_a_row_is_filled_alike_alone_and_nothing_leaves_the_range():
    frame = correlated()
    imputer = fit_imputer(frame, rules={"y": "model"})
    together = fill(frame, imputer)
    alone = pd.concat([fill(frame.iloc[[i]], imputer) for i in range(0, 50, 5)])
    pd.testing.assert_frame_equal(alone, together.iloc[:50:5], rtol=1e-12)
    far = pd.DataFrame({"x": [1e9, -1e9], "y": [np.nan, np.nan], "n": [1.0, 4.0]})
    highest, lowest = fill(far, imputer)["y"]
    assert frame["y"].max() <= highest <= 1.1 * frame["y"].max()
    assert 0 <= lowest <= frame["y"].min()


def test_a_column_without_a_value_becomes_nothing_and_helps_nobody():
    frame = correlated().assign(empty=np.nan)
    with_it, without = (
        fill(f, fit_imputer(f, rules={"y": "model"})) for f in (frame, frame.drop(columns="empty"))
    )
    assert (with_it["empty"] == 0).all()
    pd.testing.assert_frame_equal(with_it.drop(columns="empty"), without, rtol=1e-9)


def test_what_is_handed_on_as_a_table_fills_in_alike_and_nothing_later_teaches():
    frame = correlated()
    early, late = (fit_imputer(rows, rules={"y": "model", "n": "mode"}) for rows in (frame.head(100), frame))
    days = pd.to_datetime(["2026-01-01", "2026-02-01"])
    table = pd.concat(
        imputer_table(one, source="features", as_of=at) for one, at in zip((early, late), days, strict=True)
    )
    table = pd.concat([table, imputer_table(late, source="contacts", as_of=None)]).sample(frac=1, random_state=1)
    for before, due in ((days[1], early), (days[1] + pd.Timedelta(1, "us"), late), (None, late)):
        got = handed_imputer(table, source="features", before=before)
        pd.testing.assert_frame_equal(fill(frame, got, columns=[*frame]), fill(frame, due), rtol=1e-9)
    untimed = handed_imputer(table, source="contacts", before=days[0])
    pd.testing.assert_frame_equal(fill(frame, untimed, columns=[*frame]), fill(frame, late), rtol=1e-9)
    unknown = handed_imputer(table, source="features", before=days[0])
    holes = frame[[*unknown.columns]].isna().to_numpy()
    assert (fill(frame, unknown).to_numpy()[holes] == 0).all()


def test_helpers_that_are_not_there_count_as_their_medians_and_what_nobody_learned_is_named():
    frame = correlated()
    imputer = fit_imputer(frame, rules={"y": "model"})
    alone = fill(frame[["y"]], imputer, columns=["y"])
    assert np.allclose(alone.y[frame.y.isna()], np.sinh(imputer.intercepts[imputer.columns.index("y")]))
    both = side_by_side(fit_imputer(frame[["x"]], rules=None), fit_imputer(frame[["y"]], rules=None))
    assert fill(frame, both, columns=["y", "x"]).columns.tolist() == ["y", "x"]
    with pytest.raises(ValueError, match="'y': values are missing, and no page has learned"):
        fill(frame, NOTHING, columns=["y"])


def test_a_rule_that_is_none_is_named():
    with pytest.raises(ValueError, match="'y' is to be filled by 'magic'"):
        fit_imputer(correlated(), rules={"y": "magic"})
