"""The page's witnesses bear as much as they say."""

import numpy as np
import pandas as pd
import pytest
from experiment_units import checked

from journeybook import experiments


@pytest.mark.parametrize("seed", range(12))
def test_standard_errors_differ_from_the_witness_by_no_more_than_the_method_says(seed):
    """Also under heavy tails, where a fixed tolerance would be too narrow; and it is a narrow one elsewhere."""
    rng = np.random.default_rng(seed)
    n = 100 * (seed + 1)
    before, orders = rng.lognormal(0, 1.5, n), np.ceil(rng.pareto(1.5, n))
    units = pd.DataFrame({"variant": rng.choice(["control", "new"], n), "pre_spend": before, "orders": orders})
    units["spend"] = orders * rng.lognormal(1, 1, n) + before
    metrics = {"spend": "mean", "each": {"kind": "ratio", "numerator": "spend", "denominator": "orders"}}
    measured = experiments.measures(units, metrics=metrics, covariates=["pre_spend"])
    found = experiments.compare(units, measured=measured, control=None, alpha=0.05, rng=rng)
    health = checked(units, measured=measured, control=None)
    rows = experiments.witnesses(units, found, measured=measured, health=health, shares=None, alpha=0.05)
    apart = (rows["value"] - rows["reference"]).abs() / rows["tolerance"].clip(lower=1e-12)
    bounded = rows["source"].str.contains("bound by")
    assert bounded.sum() == 2
    assert apart[bounded].between(1e-4, 1).all()
