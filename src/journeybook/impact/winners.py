"""The winner's curse: what is reported because it was large was partly lucky, and what is left of it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.impact.increments import Z, held_out

MONTHS = ["month", "effect", "low", "high", "standard_error", "shrunk"]


def shrunk(effect: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return estimates drawn to their mean by how noisy each is, along the last axis.

    This is empirical Bayes (Efron & Morris 1975); mean and spread of the true effects are taken as DerSimonian and
    Laird (1986) do. Chosen for being large, such estimates are not too large on average.

    >>> shrunk(np.array([0.9, 1.0, 1.1]), np.ones(3)).round(6).tolist()
    [1.0, 1.0, 1.0]
    """

    def mean(of: NDArray, weight: NDArray) -> NDArray:
        return (weight * of).sum(axis=-1, keepdims=True) / weight.sum(axis=-1, keepdims=True)

    weight = error**-2.0
    q = (weight * (effect - mean(effect, weight)) ** 2).sum(axis=-1, keepdims=True)
    scale = weight.sum(axis=-1, keepdims=True) - mean(weight, weight)
    variance = np.maximum(q - (effect.shape[-1] - 1), 0) / scale
    middle = mean(effect, 1 / (error**2 + variance))
    return middle + variance / (variance + error**2) * (effect - middle)


def monthly(decisions: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the hold-out's effect by month, as short tests would tell it.

    Returns:
        One row a month with an effect, no row where there are fewer than three: month, effect, low, high,
        standard_error, shrunk.
    """
    if "occurred_at" not in decisions:
        return pd.DataFrame(columns=MONTHS)
    month = decisions["occurred_at"].dt.strftime("%Y-%m")
    found = pd.DataFrame(
        [effect | {"month": one} for one, of in decisions.groupby(month) for effect in held_out(of, metric)]
    )
    if len(found) < 3 or not (found["standard_error"] > 0).all():
        return pd.DataFrame(columns=MONTHS)
    effect, error = (found[name].to_numpy(float) for name in ("effect", "standard_error"))
    return found.assign(shrunk=shrunk(effect, error))[MONTHS]


def programme(*, n_tests: int, spread: float, n_programmes: int, rng: np.random.Generator) -> pd.DataFrame:
    """Simulate programmes of short tests of which those clearly above 0 are launched, and hold back for long.

    True effects have mean 0 and the given spread, in standard errors of one test. The holdback measures what all
    that was launched does together, with an error of one.

    Returns:
        One row a way of adding up: way (reported, shrunk, holdback), total and truth (means over the programmes of
        the launched tests' sums), and error, the Monte Carlo error of the mean of total less truth.
    """
    true = spread * rng.standard_normal((n_programmes, n_tests))
    seen = true + rng.standard_normal(true.shape)
    launched = seen > Z
    truth = (true * launched).sum(axis=1)
    ways = {"reported": (seen * launched).sum(axis=1)}
    ways["shrunk"] = (shrunk(seen, np.ones_like(seen)) * launched).sum(axis=1)
    ways["holdback"] = truth + rng.standard_normal(n_programmes)
    rows = [[way, of.mean(), truth.mean(), (of - truth).std() / n_programmes**0.5] for way, of in ways.items()]
    return pd.DataFrame(rows, columns=["way", "total", "truth", "error"])
