"""The engine that assigns the page's own units again, against brute force."""

import assigned_again as simulations
import numpy as np
import pandas as pd
import pytest
from assigned_again import FalsePositives, a_a_rates, reassigned

from journeybook.experiments.measures import measures
from journeybook.statistics import stream
from journeybook.statistics.contrasts import arm_moments


def drawn(n: int) -> pd.DataFrame:
    rng = stream(1, "units")
    before = rng.gamma(2, 5, n)
    orders = 1.0 + rng.poisson(before / 10)
    return pd.DataFrame(
        {
            "variant": np.where(np.arange(n) % 2, "a", "control"),
            "pre_spend": before,
            "orders": orders,
            "spend": before + orders * rng.gamma(2, 5, n),
        }
    )


def rates(units: pd.DataFrame, *, metrics: dict, seed: int = 2, **given) -> FalsePositives:
    given = {"shares": [1, 1], "n_looks": 1, "n_simulations": 300, "max_units": 20_000} | given
    measured = measures(units, metrics=metrics, covariates=["pre_spend"])
    return a_a_rates(units, measured=measured, alpha=0.05, rng=stream(seed, "a-a"), **given)


def test_the_statistics_are_those_of_the_units_assigned(monkeypatch):
    # Three blocks, of which the last is not full; a remainder of two units is left out.
    monkeypatch.setattr(simulations, "MAX_ASSIGNMENTS", 4 * 60)
    rng, shares = stream(3, "values"), [1, 2, 1]
    columns = [1e6 + rng.gamma(2, 5, 62), rng.normal(size=62)]
    blocks = list(reassigned(columns, shares=shares, n_looks=3, n_simulations=10, rng=stream(4, "assignments")))
    assert [block.n.shape for block in blocks] == [(3, 4, 3), (3, 4, 3), (3, 2, 3)]
    again = stream(4, "assignments")
    for block in blocks:
        drawn = again.random((3, block.n.shape[1], 20), dtype=np.float32)
        arm = (drawn >= 0.25).astype(int) + (drawn >= 0.75)
        for look in range(3):
            for number in range(block.n.shape[1]):
                assigned = arm[: look + 1, number].ravel()
                one = arm_moments([x[: len(assigned)] for x in columns], assigned, n_arms=3)
                assert block.n[look, number].tolist() == one.n.tolist()
                assert block.mean[look, number] == pytest.approx(one.mean, rel=1e-13, abs=1e-12)
                assert block.covariance[look, number] == pytest.approx(one.covariance, rel=1e-9, abs=1e-9)


def test_every_metric_and_procedure_is_counted_and_the_seed_fixes_it():
    units = drawn(1_000)
    metrics = {"spend": "mean", "per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"}}
    found = rates(units, metrics=metrics, n_looks=5)
    together = [
        *("one look, uncorrected", "one look, Holm"),
        *("every look, uncorrected", "every look, Holm", "every look, always valid and Holm"),
    ]
    assert found.rates["procedure"].tolist() == ["welch", "cuped", "delta", "delta_cuped", *together]
    assert found.rates["metric"].tolist() == ["spend"] * 2 + ["per_order"] * 2 + ["any metric"] * 5
    assert (found.n_simulations, found.n_units, found.n_looks) == (300, 1_000, 5)
    pd.testing.assert_frame_equal(found.rates, rates(units, metrics=metrics, n_looks=5).rates)
    rate = found.rates.set_index("procedure")["rate"]
    assert rate["every look, uncorrected"] >= rate["every look, Holm"] >= rate["one look, Holm"]
    assert rate["one look, uncorrected"] >= rate["one look, Holm"]
    assert len(rates(units, metrics=metrics).rates) == 6
    # Shuffled units are other experiments, so the figures could differ.
    other = rates(units, metrics=metrics, n_looks=5, seed=3)
    assert other.rates["rate"].tolist() != found.rates["rate"].tolist()


def test_units_without_a_value_are_left_out_and_more_than_asked_are_drawn():
    units = drawn(1_000)
    units.loc[:99, "spend"] = np.nan
    assert rates(units, metrics={"spend": "mean"}).n_units == 900
    assert rates(units, metrics={"spend": "mean"}, max_units=500).n_units == 500


def test_a_dozen_units_are_no_error_and_get_one_look():
    metrics = {"spend": "mean", "per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"}}
    found = rates(drawn(12), metrics=metrics, n_looks=5, n_simulations=2_000)
    assert found.n_looks == 1 and len(found.rates) == 6
    assert (found.rates["rate"] < 0.2).all()


def test_without_sums_there_is_nothing_to_assign_again():
    metrics = {"middle": {"kind": "quantile", "column": "spend", "level": 0.5}}
    found = rates(drawn(100), metrics=metrics)
    assert found.rates.empty
