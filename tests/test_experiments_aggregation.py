"""Units from rows, against pandas; withdrawals; bad rows."""

import ibis
import numpy as np
import pandas as pd
import pytest
from experiment_units import checked

from journeybook import experiments
from journeybook.experiments.words import say_rows

AGGREGATES = {
    "orders": {"how": "count"},
    "bought": {"how": "any", "column": "revenue"},
    "spend": {"how": "sum", "column": "revenue"},
    "largest": {"how": "max", "column": "revenue"},
    "smallest": {"how": "min", "column": "revenue"},
    "usual": {"how": "mean", "column": "revenue"},
    "hours": {"how": "hours_to_first", "column": "revenue"},
}


def rows(n_units: int = 60, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two exposures a unit or more, and outcomes before and after them, some of strangers."""
    rng = np.random.default_rng(seed)
    unit = rng.integers(n_units, size=4 * n_units)
    start = pd.Timestamp("2026-01-10")
    exposures = pd.DataFrame(
        {
            "row": np.arange(1, len(unit) + 1),
            "unit_id": [f"u{u}" for u in unit],
            "variant": np.where(unit % 2, "new", "control"),
            "occurred_at": start + pd.to_timedelta(rng.integers(8 * 24 * 60, size=len(unit)), unit="m"),
            "device": rng.choice(["a", "b"], len(unit)),
        }
    )
    who = rng.integers(n_units + 5, size=600)
    outcomes = pd.DataFrame(
        {
            "unit_id": [f"u{u}" for u in who],
            "occurred_at": start + pd.to_timedelta(rng.integers(-10 * 24, 25 * 24, size=600) * 60, unit="m"),
            "revenue": rng.choice([0.0, 5.25, 7.5, 11.1], 600),
        }
    )
    return exposures, outcomes


def made(exposures, outcomes, **given):
    given = {"aggregates": AGGREGATES, "window_days": 7.0, "pre_days": 5.0} | given
    found = experiments.units_from_rows(ibis.memtable(exposures), ibis.memtable(outcomes), **given)
    return found, found.units.order_by("row").to_pandas().set_index("unit_id")


def test_aggregates_are_those_of_pandas():
    exposures, outcomes = rows()
    found, units = made(exposures, outcomes)
    first = exposures.groupby("unit_id")["occurred_at"].min()
    joined = outcomes.assign(entered=outcomes["unit_id"].map(first)).dropna(subset=["entered"])
    gap = joined["occurred_at"] - joined["entered"]
    after = joined[(gap >= pd.Timedelta(0)) & (gap < pd.Timedelta("7D"))]
    before = joined[(gap < pd.Timedelta(0)) & (gap >= -pd.Timedelta("5D"))]
    end = max(outcomes["occurred_at"].max(), exposures["occurred_at"].max())
    done = first[first + pd.Timedelta("7D") <= end].index
    assert sorted(units.index) == sorted(done)
    groups = after.groupby("unit_id")["revenue"]
    for name, wanted, empty in (
        ("orders", groups.size(), 0),
        ("spend", groups.sum(), 0.0),
        ("bought", groups.max() > 0, 0),
        ("largest", groups.max(), np.nan),
        ("smallest", groups.min(), np.nan),
        ("usual", groups.mean(), np.nan),
    ):
        expected = wanted.astype(float).reindex(units.index, fill_value=empty)
        np.testing.assert_allclose(units[name].astype(float), expected, err_msg=name)
    bought = after[after["revenue"] > 0]
    hours = (
        ((bought["occurred_at"] - bought["entered"]).dt.total_seconds() / 3600).groupby(bought["unit_id"]).min()
    )
    np.testing.assert_allclose(units["hours"], hours.reindex(units.index, fill_value=168.0))
    pre = before.groupby("unit_id")["revenue"].sum().reindex(units.index, fill_value=0.0)
    np.testing.assert_allclose(units["pre_spend"], pre)
    assert "pre_hours" not in units
    assert (units["occurred_at"] == first[units.index]).all()
    assert units["n_exposures"].tolist() == exposures["unit_id"].value_counts()[units.index].tolist()
    known = exposures.sort_values("row").groupby("unit_id")["device"].first()
    assert units["device"].tolist() == known[units.index].tolist()
    assert (found.n_exposures, found.n_outcomes) == (len(exposures), len(outcomes))
    assert found.n_unmatched == len(outcomes) - len(joined)
    assert found.n_outside == len(joined) - len(after) - len(before)
    assert found.n_unfinished == len(first) - len(done)
    assert f"{found.n_unmatched:,} outcomes are of units never exposed" in say_rows(found, n_left_out=0)


def test_the_order_of_rows_plays_no_part():
    exposures, outcomes = rows()
    _, units = made(exposures, outcomes)
    _, shuffled = made(exposures.sample(frac=1, random_state=2), outcomes.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(units, shuffled)


def test_without_times_every_outcome_counts():
    exposures, outcomes = (frame.drop(columns="occurred_at") for frame in rows())
    plain = {"spend": {"how": "sum", "column": "revenue"}}
    found, units = made(exposures, outcomes, aggregates=plain, window_days=None, pre_days=None)
    wanted = outcomes.groupby("unit_id")["revenue"].sum().reindex(units.index, fill_value=0.0)
    np.testing.assert_allclose(units["spend"], wanted)
    assert (found.n_outside, found.n_unfinished) == (0, 0)


def test_a_unit_in_two_variants_keeps_both_rows_and_is_refused_later():
    exposures, outcomes = rows()
    exposures.loc[0, "variant"] = "new" if exposures.loc[0, "variant"] == "control" else "control"
    _, units = made(exposures, outcomes)
    frame = units.reset_index()
    assert frame["unit_id"].duplicated().sum() == 1
    measured = experiments.measures(frame, metrics={"spend": "mean"}, covariates=[])
    health = checked(frame, measured=measured, control="control", shares=None).set_index("check")
    assert not health.loc[["unit_twice", "unit_in_two_arms"], "passed"].any()
    with pytest.raises(ValueError, match=r"1 units have more than one row \(1 of them in two variants\)"):
        experiments.compare(frame, measured=measured, control="control", alpha=0.05, rng=np.random.default_rng(1))


def test_rows_of_one_table_can_be_both():
    exposures, _ = rows()
    visits = exposures.assign(spend=2.5)
    total = {"spend": {"how": "sum", "column": "spend"}}
    _, units = made(visits, visits, aggregates=total, window_days=None, pre_days=None)
    assert units["spend"].tolist() == (2.5 * units["n_exposures"]).tolist()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"aggregates": {"x": {"how": "median", "column": "revenue"}}},
            "made by 'median'; allowed are any, count",
        ),
        ({"aggregates": {"x": {"how": "sum"}}}, "lacks 'column'"),
        ({"aggregates": {"x": {"how": "sum", "column": "price"}}}, "needs the column 'price'"),
        ({"aggregates": {"x": {"how": "hours_to_first"}}, "window_days": None}, "needs times and window_days"),
        ({"window_days": 0.0}, "window_days is 0"),
        ({"pre_days": -1.0}, "pre_days is -1"),
    ],
)
def test_mistakes_are_one_sentence(given, message):
    with pytest.raises(ValueError, match=message) as problem:
        made(*rows(), **given)
    assert str(problem.value).count(". ") == 0


def test_rows_without_units_are_errors():
    exposures, outcomes = rows()
    with pytest.raises(ValueError, match="the outcomes lack the column 'unit_id'"):
        made(exposures, outcomes.drop(columns="unit_id"))
    with pytest.raises(ValueError, match="1 exposures have none"):
        made(exposures.assign(unit_id=[None, *exposures["unit_id"][1:]]), outcomes)


def test_a_withdrawal_counts_after_the_assignment_alone():
    day = pd.Timestamp("2026-01-10")
    units = pd.DataFrame(
        {"row": [1, 2, 3, 4], "person_id": ["a", "b", "c", None], "variant": "x", "occurred_at": [day] * 4}
    )
    ledger = pd.DataFrame(
        {
            "person_id": ["a", "b", "b", "c"],
            "granted": [False, False, True, True],
            "occurred_at": [day + pd.Timedelta("1D"), day - pd.Timedelta("1D"), day + pd.Timedelta("2D"), day],
        }
    )
    marked = experiments.with_withdrawals(ibis.memtable(units), ibis.memtable(ledger)).order_by("row").to_pandas()
    assert marked["withdrew"].tolist()[:3] == [1, 0, 0] and np.isnan(marked["withdrew"].iloc[3])
    bare = ibis.memtable(units.drop(columns="person_id"))
    assert experiments.with_withdrawals(bare, ibis.memtable(ledger)) is bare


def test_without_a_window_the_first_outcome_that_counts_has_its_time():
    exposures, outcomes = rows()
    spent = {name: how for name, how in AGGREGATES.items() if "column" in how and name != "hours"}
    _, units = made(exposures, outcomes, aggregates=spent, window_days=None, pre_days=None)
    entered = exposures.groupby("unit_id")["occurred_at"].min()
    own = outcomes.assign(entered=outcomes["unit_id"].map(entered)).query("occurred_at >= entered and revenue > 0")
    first = own.groupby("unit_id")["occurred_at"].min().reindex(units.index)
    pd.testing.assert_series_equal(units["outcome_at"], first, check_names=False, check_dtype=False)
    _, cut = made(exposures, outcomes)
    assert "outcome_at" not in cut
