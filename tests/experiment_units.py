"""Simulated units for the tests of page 11."""

import numpy as np
import pandas as pd

from journeybook import experiments
from journeybook.statistics import stream


def simulated(n: int, *, seed: int = 1, effect: float = 0.5, variants: tuple[str, ...] = ("control", "new")):
    """Units with a covariate that explains most of the metric."""
    rng = stream(seed, "units")
    variant = rng.choice(list(variants), n)
    before = rng.gamma(2, 5, n)
    spend = before + rng.normal(0, 3, n) + effect * (variant != variants[0])
    converted = rng.random(n) < 0.2
    return pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "unit_id": [f"u{i}" for i in range(n)],
            "variant": variant,
            "pre_spend": before,
            "spend": spend,
            "converted": converted.astype(int),
        }
    )


def compared(units: pd.DataFrame, *, control: str = "control", **given):
    given = {"metrics": "auto", "covariates": None} | given
    measured = experiments.measures(units, **given)
    return experiments.compare(units, measured=measured, control=control, alpha=0.05, rng=stream(1, "quantiles"))


def checked(units: pd.DataFrame, *, measured, control: str | None, shares=None):
    """The checks of health, of effects by day among them."""
    given = {"measured": measured, "control": control}
    return experiments.health(units, daily=experiments.daily_effects(units, **given), shares=shares, **given)
