"""Page 02: the trial of filling in missing values, and the rule by which a method is chosen."""

from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
import pytest
from test_cleaning import table

from journeybook import cleaning
from journeybook.channel_response import contact_frame, split_contacts
from journeybook.cleaning.cells import Cells, correlated_normals, with_outcome
from journeybook.cleaning.imputation import METHODS, _fill
from journeybook.statistics import stream
from journeybook.statistics.imputation import rules_by_column


@pytest.mark.parametrize("method", METHODS)
def test_known_cells_stay_and_hidden_ones_are_filled(method):
    frame = correlated_normals(200, correlation=0.6, rng=stream(1, "cells")).frame
    frame.loc[::4, "y"] = np.nan
    before = frame.copy()
    sets = _fill(frame, "y", method, stream(1, method))
    pd.testing.assert_frame_equal(frame, before)
    known = before.y.notna().to_numpy()
    assert len(sets) == (5 if method == "multiple" else 1)
    assert (sets[:, known] == before.y[known].to_numpy()).all()
    assert np.isfinite(sets).all()
    if method == "donor":
        assert np.isin(sets[0, ~known], before.y[known]).all()


# Error in standard deviations, and variance kept, of normals of correlation r, hidden at random.
CLOSED_FORMS = {
    "median": lambda r: (1, 0),
    "model": lambda r: ((1 - r**2) ** 0.5, r**2),
    "multiple": lambda r: ((2 * (1 - r**2)) ** 0.5, 1),
}


@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_the_trial_agrees_with_closed_forms(correlation):
    pairs = correlated_normals(10_000, correlation=correlation, rng=stream(11, "pairs"))
    trial = cleaning.impute_trial([pairs], hidden_share=0.3, repeats=2, rng=stream(11, "trial"))
    found = cleaning.by_method(trial, "MCAR")
    for method, closed in CLOSED_FORMS.items():
        rmse, kept = closed(correlation)
        # 6,000 hidden cells: standard errors are about 0.01 of an error and 0.02 of a variance.
        assert found.error[method] == pytest.approx(rmse, abs=0.04)
        # The scale of arcsinh draws expected values far from 0 in, by a tenth of the variance they keep.
        assert found.variance_ratio[method] == pytest.approx(kept, abs=0.06 + 0.1 * (method == "model"))
        assert abs(found.mean_shift[method]) < 0.02
    assert found.variance_ratio["donor"] == pytest.approx(1, abs=0.06)


def test_what_is_hidden_because_it_is_low_cannot_be_repaired_and_by_another_column_it_can():
    pairs = correlated_normals(2_000, correlation=0.7, rng=stream(2, "pairs"))
    trial = cleaning.impute_trial([pairs], hidden_share=0.3, repeats=3, rng=stream(2, "trial"))
    by_other, by_itself = (cleaning.by_method(trial, mechanism) for mechanism in ("MAR", "MNAR"))
    assert (by_itself.mean_shift > 0.07).all()
    helped = by_other.drop(index=["median", "indicator"])
    assert (helped.mean_shift.abs() < 0.03).all() and by_other.mean_shift["median"] > 0.08
    assert (helped.profile_off < 0.1).all() and by_other.profile_off["median"] > 0.3
    assert by_other.auc_off["model"] > by_other.auc_off["donor"] > by_other.auc_off["median"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_share": 0}, "hidden_share is 0"),
        ({"hidden_share": 0.9}, "hidden_share is 0.9"),
        ({"repeats": 0}, "repeats is 0"),
        ({"column": "x"}, "column 'x' has one value only"),
        ({"frame": pd.DataFrame({"x": [1.0], "y": [2.0]})}, "the trial has 1 rows"),
    ],
)
def test_a_trial_that_cannot_be_made_says_why(change, message):
    frame = pd.DataFrame({"x": np.ones(60), "y": np.arange(60.0)})
    asked = {"frame": frame, "column": "y", "hidden_share": 0.3, "repeats": 1, "rng": stream(1, "t")} | change
    half = np.arange(60) % 2 == 0
    cells = Cells(asked.pop("frame"), asked.pop("column"), half, "simulated", frame, half.astype(int))
    with pytest.raises(ValueError, match=message):
        cleaning.impute_trial([cells], **asked)


def test_the_median_gives_way_only_where_another_is_nearer_each_time():
    rng = stream(4, "words")
    x = rng.standard_normal(300)
    some = pd.DataFrame({"x": x, "near": x + 0.1 * rng.standard_normal(300), "noise": rng.standard_normal(300)})
    cells = [
        replace(with_outcome(some[["x", c]], c, rng=rng), name=f"t.{c}", table="t") for c in ("near", "noise")
    ]
    trial = cleaning.impute_trial(cells, hidden_share=0.3, repeats=8, rng=rng)
    chosen = cleaning.choose(trial)
    assert chosen.set_index("column").method.to_dict() == {"t.near": "model", "t.noise": "median"}
    assert trial.scores.groupby(["column", "mechanism", "method"]).size().eq(8).all()
    held = cleaning.trial_holds(cells, trial, rng=stream(9, "witness"))
    assert ((held.value - held.reference).abs() <= held.tolerance).all()
    report = cleaning.missing_report({"contacts": table(responded=[True], job=[None])})
    rules = cleaning.imputation_rules(cells, chosen, report, tables=["transactions"])
    told = rules.set_index("column").method.to_dict()
    due = {"near": "model", "noise": "median", "job": "none", "gap_days_mean": "indicator"}
    assert {column: told[column] for column in due} == due
    assert rules_by_column(table(**rules))["near"] == "model"


def test_a_mark_is_chosen_where_being_missing_says_who_responds():
    cells = correlated_normals(400, correlation=0.0, rng=stream(3, "cells"))
    trial = cleaning.impute_trial([cells], hidden_share=0.3, repeats=4, rng=stream(3, "trial"))
    better = trial.scores.method == "indicator"
    marked = replace(trial, scores=trial.scores.assign(auc_off=np.where(better, 0.0, -0.1), profile_off=0.1))
    assert cleaning.choose(marked).method.tolist() == ["indicator"]


def test_pooled_intervals_are_wider_than_the_median_pretends():
    cells = correlated_normals(500, correlation=0.6, rng=stream(5, "cells"))
    whole = cells.whole.assign(y=cells.whole.y.mask(cells.whole.x < -0.3))
    means = cleaning.pooled_means([replace(cells, whole=whole)], level=0.95, rng=stream(5, "pooled"))
    means = means.set_index("way")
    width = means.high - means.low
    assert width["multiple imputation"] > 1.5 * width["median"]
    truth = cells.frame.y.mean()
    assert means.low["multiple imputation"] < truth < means.high["multiple imputation"]
    assert means.low["known cells"] > truth and means.low["median"] > truth
    assert 0.2 < means.missing_share["multiple imputation"] < 0.9


def test_the_trial_takes_columns_with_holes_that_a_later_page_uses():
    n, rng = 200, stream(5, "holes")
    places = table(
        postcode=[f"{k:05}" for k in range(n)], income=[None, *rng.random(n - 1)], density=rng.random(n),
        home=[None, *(["owned", "owned", "rented"] * n)[: n - 1]],
    )  # fmt: skip
    old = [None if k % 5 == 0 else float(k % 60) for k in range(n)]
    tables = {
        "third_party": places,
        "products": table(product_id=[str(k) for k in range(n)], package_size=[None] * n),
        "contacts": table(responded=[k % 60 > 30 for k in range(n)], age=old, since=np.arange(n) % 60),
    }
    cells = cleaning.holed_cells(tables, cleaning.missing_report(tables), max_rows=500, rng=rng)
    found = {one.name: (len(one.frame), one.n_missing, one.outcome_is) for one in cells}
    assert found == {"third_party.income": (199, 1, "simulated"), "contacts.age": (160, 40, "responded")}
    income, age = cells
    assert sorted(income.frame) == ["density", "home owned", "home rented", "income"]
    assert income.frame.notna().all(axis=None) and income.whole.income.isna().sum() == 1
    assert age.outcome.tolist() == (age.frame.age > 30).tolist()
    assert np.bincount(age.part).tolist() == [54, 53, 53]
    assert 0 < age.presence[1] < age.presence[0] < age.presence[2] < 1


def test_without_a_column_of_numbers_the_trial_is_simulated():
    tables = {"paths": table(path=["a"], conversions=[1], nulls=[1])}
    (cells,) = cleaning.holed_cells(tables, cleaning.missing_report(tables), max_rows=500, rng=stream(1, "cells"))
    assert (cells.name, cells.table, len(cells.frame)) == ("simulated pairs", None, 2_000)


def test_rare_values_many_words_and_infinite_numbers_are_no_obstacle():
    n, rng = 60, stream(6, "odd")
    sold = [None if k % 6 == 0 else k == 1 for k in range(n)]
    rates = [np.inf if k == 3 else None if k % 9 == 0 else float(k % 7) for k in range(n)]
    words = {f"w{j}": [f"{k % 12}" for k in range(j, n + j)] for j in range(8)}
    tables = {"contacts": table(responded=[k % 2 == 0 for k in range(n)], rate=rates, sold=sold, **words)}
    tables["contacts"] = tables["contacts"].mutate(sold=tables["contacts"].sold.cast("boolean"))
    cells = cleaning.holed_cells(tables, cleaning.missing_report(tables), max_rows=500, rng=rng)
    assert {one.column for one in cells} == {"rate", "sold"}
    trial = cleaning.impute_trial(cells, hidden_share=0.8, repeats=3, rng=rng)
    assert np.isfinite(trial.scores.drop(columns=["column", "mechanism", "method", "variance_ratio"])).all(
        axis=None
    )
    assert np.isfinite(cleaning.pooled_means(cells, level=0.95, rng=rng)["mean"]).all()


def sent(n, **more):
    at = pd.date_range("2026-01-01", periods=n, freq="D")
    rng = np.random.default_rng(1)
    age = np.where(rng.random(n) < 0.2, np.nan, np.arange(n, dtype=float))
    columns = {"customer_id": [f"c{i % 50}" for i in range(n)], "occurred_at": at, "age": age, "responded": False}
    return table(**(columns | more))


def test_contacts_teach_only_what_is_sent_after_them():
    rows = sent(200, joined=pd.Timestamp("2025-01-01"), job="clerk", score=["1", "?"] * 100)
    taught = cleaning.contact_imputers({"contacts": rows}, {"age": "median"}, max_rows=1_000)
    assert set(taught.column) == {"age", "joined", "score"} and taught.as_of.nunique() == 10
    frame = rows.to_pandas()
    for one in taught[taught.column == "age"].itertuples():
        assert one.constant == frame.age[frame.occurred_at < one.as_of].median()
    held = cleaning.taught_holds({"contacts": rows}, taught, max_rows=1_000)
    assert held.value.tolist() == [0]
    wrong = cleaning.taught_holds({"contacts": rows}, taught.assign(constant=taught.constant + 1), max_rows=1_000)
    assert wrong.value.item() > 0


def test_without_times_people_teach_who_are_in_no_test_of_page_07():
    frame = sent(400).to_pandas().drop(columns="occurred_at")
    rows = ibis.memtable(frame)
    taught = cleaning.contact_imputers({"contacts": rows}, {}, max_rows=1_000)
    people = ibis.memtable(frame.rename(columns={"customer_id": "person_id"}).assign(responded=frame.row % 3 == 0))
    contacts = contact_frame(people, None, max_rows=1_000)
    shares = {"test_share": 0.3, "calibration_share": 0.25, "response_window_days": 0}
    split = split_contacts(contacts, **shares, rng=stream(1, "split"))
    teaches = contacts.rows["_learner"].to_numpy()
    assert taught.as_of.isna().all() and taught.constant.item() == contacts.rows.age[teaches].median()
    assert 0.2 < teaches.mean() < 0.6 and not teaches[split.test].any()
    late = split_contacts(
        contacts, **(shares | {"test_share": 0.7, "calibration_share": 0.5}), rng=stream(1, "split")
    )
    assert "also taught how missing numbers are filled in" in late.warning
