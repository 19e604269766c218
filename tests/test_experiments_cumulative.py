"""Effects as they stood at each look, against SciPy on the units up to it and against the page's comparison."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from journeybook.experiments.comparisons import compare
from journeybook.experiments.cumulative import effects_so_far, follow
from journeybook.experiments.measures import measures
from journeybook.statistics import stream
from journeybook.statistics.contrasts import ArmMoments, contrast

METRICS = {
    "bought": "proportion",
    "spend": "mean",
    "per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"},
    "p90": {"kind": "quantile", "column": "spend", "level": 0.9},
}


def units(n: int = 6000) -> pd.DataFrame:
    rng = stream(1, "units")
    before, orders = rng.gamma(2, 5, n), rng.poisson(1.5, n)
    variant = rng.choice(["control", "new"], n)
    spend = np.where(rng.random(n) < 0.1, np.nan, before * 0.5 + orders * 10 + rng.normal(0, 3, n))
    arrival = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**6, n), unit="s")
    return pd.DataFrame(
        {
            "row": np.arange(n), "occurred_at": arrival, "variant": variant, "pre_spend": before,
            "orders": orders, "spend": spend + (variant == "new"), "bought": (orders > 0).astype(int),
        }
    )  # fmt: skip


def followed(table: pd.DataFrame, *, covariates: list[str], planned_units: int = 0, n_looks: int = 10):
    measured = measures(table, metrics=METRICS, covariates=covariates)
    return effects_so_far(
        table, measured=measured, control="control", alpha=0.05,
        planned_units=planned_units, n_looks=n_looks,
    )  # fmt: skip


def test_a_look_is_welch_s_test_of_the_units_up_to_it():
    table = units()
    rows = followed(table, covariates=[]).query("metric == 'spend'").reset_index(drop=True)
    assert len(rows) == 10
    ordered = table.sort_values("occurred_at", kind="stable")
    for look in (0, 3, 9):
        seen = ordered.iloc[: 600 * (look + 1)]
        assert rows["until"][look] == str(seen["occurred_at"].max())
        new, control = (seen.loc[seen["variant"] == v, "spend"].dropna() for v in ("new", "control"))
        theirs = stats.ttest_ind(new, control, equal_var=False)
        assert rows["n"][look] == len(new) + len(control)
        assert rows["p_value"][look] == pytest.approx(theirs.pvalue, rel=1e-8)
        ends = theirs.confidence_interval(0.95)
        assert rows["effect_low"][look] == pytest.approx(ends.low, rel=1e-8)
        assert rows["effect_high"][look] == pytest.approx(ends.high, rel=1e-8)


def test_the_last_look_is_the_headline():
    table = units()
    rows = followed(table, covariates=["pre_spend"])
    assert rows["metric"].unique().tolist() == ["bought", "spend", "per_order"]
    measured = measures(table, metrics=METRICS, covariates=["pre_spend"])
    headline = compare(
        table, measured=measured, control="control", alpha=0.05, rng=stream(1, "bootstrap")
    ).comparisons.set_index("metric")
    last = rows.groupby("metric").last()
    for metric in last.index:
        for column in ("effect", "effect_low", "effect_high", "p_value"):
            assert last[column][metric] == pytest.approx(headline[column][metric], rel=1e-8), (metric, column)


def test_the_order_of_the_rows_plays_no_part():
    table = units()
    shuffled = table.sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(
        followed(shuffled, covariates=["pre_spend"]), followed(table, covariates=["pre_spend"]), rtol=1e-9
    )


def test_an_experiment_that_is_still_running_has_spent_less():
    rows = followed(units(), covariates=[], planned_units=12_000, n_looks=20).query("metric == 'bought'")
    assert rows["fraction"].iloc[-1] == pytest.approx(0.5)


def test_few_units_make_few_looks_and_none_without_times():
    assert followed(units(900), covariates=[]).groupby("metric")["look"].max().tolist() == [4, 4, 4]
    assert followed(units(150), covariates=[]).empty
    untimed = units(900)
    assert followed(untimed.drop(columns="occurred_at"), covariates=[]).empty
    untimed.loc[3, "occurred_at"] = pd.NaT
    assert followed(untimed, covariates=[]).empty


def test_follow_sets_the_rules_side_by_side():
    n = 400.0 * np.arange(1, 6)
    means = stream(3, "follow").normal([[0], [0.4]], 0.05, (5, 2, 1))
    arms = ArmMoments(np.repeat(n / 2, 2).reshape(5, 2), means, np.ones((5, 2, 1, 1)))
    looks = contrast(arms, weights=(-1, 1))
    rows = follow(looks, n=n, alpha=0.05, planned_n=2000)
    assert rows["fraction"].tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert (rows["always_valid_p_value"].diff().dropna() <= 0).all()
    assert rows["effect_high"].to_numpy() == pytest.approx(looks.effect + looks.margin(alpha=0.05), rel=1e-12)
    assert rows.iloc[-1][["crossed_naive", "crossed_always_valid"]].tolist() == [True] * 2
    ongoing = follow(looks, n=n, alpha=0.05, planned_n=4000)
    assert ongoing["fraction"].iloc[-1] == 0.5
