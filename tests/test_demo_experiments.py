"""The simulated tests: planted effects, real spending before, fair assignment."""

import ibis
import numpy as np
import pandas as pd
import pytest

from journeybook.datasets.demo.experiments import N_UNITS, VARIANTS, simulate_experiments

N_HOUSEHOLDS = 300


@pytest.fixture(scope="module")
def connection():
    rng = np.random.default_rng(1)
    lines = pd.DataFrame(
        {
            "row": np.arange(1, 6001),
            "customer_id": rng.integers(N_HOUSEHOLDS, size=6000).astype(str),
            "occurred_at": pd.Timestamp("2017-06-01") + pd.to_timedelta(rng.integers(180, size=6000), unit="D"),
            "revenue": rng.gamma(2, 10, size=6000).round(2),
        }
    )
    held = ibis.duckdb.connect()
    held.con.register("lines", lines)
    held.raw_sql("CREATE TABLE transactions AS SELECT * FROM lines")
    return held


@pytest.fixture(scope="module")
def demo(connection):
    return simulate_experiments(connection, seed=7)


def truth(demo, name, metric):
    of_all = (demo.truth["group"] == "all") & (demo.truth["experiment"] == name)
    return demo.truth[of_all & (demo.truth["metric"] == metric)].set_index("variant")


@pytest.mark.parametrize("name", ["experiment", "factorial", "ongoing"])
def test_every_household_is_one_unit_and_the_rest_are_unknown(demo, name):
    frame = demo.tables[name]
    assert len(frame) == N_UNITS[name] == frame["unit_id"].nunique()
    assert frame["customer_id"].dropna().is_unique
    assert frame["customer_id"].notna().sum() == N_HOUSEHOLDS
    assert frame["occurred_at"].is_monotonic_increasing


def test_pre_spend_of_a_household_is_what_it_really_spent(connection, demo):
    lines = connection.table("transactions").to_pandas()
    start = pd.Timestamp("2017-09-04")
    before = lines[lines["occurred_at"].between(start - pd.Timedelta(weeks=8), start, inclusive="left")]
    spent = before.groupby("customer_id")["revenue"].sum()
    known = demo.tables["experiment"].dropna(subset=["customer_id"])
    expected = known["customer_id"].map(spent).fillna(0).to_numpy()
    np.testing.assert_allclose(known["pre_spend"], expected, atol=0.006)


@pytest.mark.parametrize("name", ["experiment", "factorial", "ongoing"])
def test_assignment_is_fair_and_blind_to_spending(demo, name):
    frame = demo.tables[name]
    share = 1 / len(VARIANTS[name])
    counts = frame["variant"].value_counts()
    assert set(counts.index) == set(VARIANTS[name])
    assert (np.abs(counts - N_UNITS[name] * share) < 4.5 * np.sqrt(N_UNITS[name] * share * (1 - share))).all()
    error = frame["pre_spend"].std() / np.sqrt(N_UNITS[name] * share)
    means = frame.groupby("variant")["pre_spend"].mean()
    assert (np.abs(means - frame["pre_spend"].mean()) < 4.5 * error).all()


@pytest.mark.parametrize("name", ["experiment", "factorial", "ongoing"])
@pytest.mark.parametrize("metric", ["converted", "spend", "orders", "hours_to_order"])
def test_outcomes_have_the_planted_means(demo, name, metric):
    frame = demo.tables[name]
    groups = frame.groupby("variant")[metric]
    error = groups.std() / np.sqrt(groups.size())
    planted = truth(demo, name, metric)["mean"].reindex(error.index)
    assert (np.abs(groups.mean() - planted) < 4.5 * error).all()


def test_effects_are_differences_of_the_means(demo):
    for metric in ("converted", "spend"):
        rows = truth(demo, "factorial", metric)
        alone = rows.loc["banner", "effect"] + rows.loc["free_delivery", "effect"]
        interaction = rows.loc["banner x free_delivery", "effect"]
        assert rows.loc["banner+free_delivery", "effect"] == pytest.approx(alone + interaction, abs=1e-12)
        assert rows.loc["control", "effect"] == 0


def test_only_units_that_convert_spend(demo):
    frame = demo.tables["experiment"]
    assert ((frame["spend"] > 0) == (frame["converted"] == 1)).all()


def test_the_planted_ratio_is_that_of_the_means(demo):
    groups = demo.tables["experiment"].groupby("variant")
    ratio = groups["spend"].mean() / groups["orders"].mean()
    planted = truth(demo, "experiment", "spend_per_order")["mean"]
    # The delta method's standard error.
    units = demo.tables["experiment"]
    rest = units["spend"] - units["variant"].map(ratio) * units["orders"]
    error = rest.groupby(units["variant"]).std() / np.sqrt(groups.size()) / groups["orders"].mean()
    assert (np.abs(ratio - planted.reindex(ratio.index)) < 4.5 * error).all()


def test_the_effect_differs_between_devices_where_planted(demo):
    rows = demo.truth[(demo.truth["metric"] == "converted") & (demo.truth["variant"] == "treatment")]
    rows = rows[rows["experiment"] == "experiment"]
    planted = rows.set_index("group")["effect"]
    assert abs(planted["mobile"] - planted["desktop"]) > 0.015
    frame = demo.tables["experiment"]
    for device in ("desktop", "mobile"):
        groups = frame[frame["stratum"] == device].groupby("variant")["converted"]
        error = np.sqrt((groups.var() / groups.size()).sum())
        assert groups.mean()["treatment"] - groups.mean()["control"] == pytest.approx(
            planted[device], abs=4.5 * error
        )


def test_units_meet_the_change_after_their_assignment(demo):
    assert (demo.tables["experiment"]["exposed_at"] > demo.tables["experiment"]["occurred_at"]).all()


def test_the_time_ends_with_the_order_or_with_the_week(demo):
    frame = demo.tables["experiment"]
    assert ((frame["hours_to_order"] == 168) == (frame["converted"] == 0)).mean() > 0.999
    assert ((frame["orders"] > 0) == (frame["converted"] == 1)).all()
