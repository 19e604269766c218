"""Error rates by simulation: what a procedure claims when nothing happened."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.contrasts import ArmMoments, contrast
from journeybook.experiments.measures import Measures, numbers


@dataclass(frozen=True, eq=False)
class FalsePositives:
    """Share of experiments without any effect that a procedure calls significant.

    Attributes:
        subject: What was tested.
        rates: One row a procedure or number of looks: `rate` and `monte_carlo_error` (its standard error).
        n_simulations: Simulated experiments a row.
        alpha: The rate that the procedure promises.
    """

    subject: str
    rates: pd.DataFrame
    n_simulations: int
    alpha: float


def peeking(*, n_looks: int, alpha: float, n_simulations: int, rng: np.random.Generator) -> FalsePositives:
    """Stop at the first significant look: the false positives of 1 to `n_looks` equally spaced looks.

    Each look tests all units so far with a normal mean test at `alpha`, so the statistics of the looks are a
    random walk divided by the square root of its length (Armitage, McPherson & Rowe 1969).

    Args:
        n_looks: Greatest number of looks.
        alpha: Level of each single look.
        n_simulations: Simulated experiments.
        rng: Source of chance.
    """
    bound = stats.norm.isf(alpha / 2)
    looks = np.arange(1, n_looks + 1)
    walked = np.zeros(n_simulations)
    stopped = np.zeros(n_simulations, dtype=bool)
    rates = []
    for look in looks:
        walked += rng.standard_normal(n_simulations)
        stopped |= np.abs(walked) > bound * np.sqrt(look)
        rates.append(stopped.mean())
    table = pd.DataFrame({"looks": looks, "rate": rates})
    return _with_error("normal means", table, n_simulations, alpha)


def a_a_rates(
    units: pd.DataFrame,
    *,
    metric: str,
    covariates: Sequence[str],
    treatment_share: float,
    alpha: float,
    n_simulations: int,
    max_units: int,
    rng: np.random.Generator,
) -> FalsePositives:
    """Assign the experiment's own units again at random, where no effect can be, and count what is called
    one.

    Args:
        units: One row a unit.
        metric: The metric tested; units without a value are left out.
        covariates: Columns that CUPED adjusts for; none gives Welch's test alone.
        treatment_share: Probability of the treatment arm.
        alpha: Level of the tests.
        n_simulations: Random assignments.
        max_units: Units used at most, drawn without replacement.
        rng: Source of chance.
    """
    columns = [numbers(units, c) for c in (metric, *covariates)]
    values = np.column_stack([columns[0], *(np.where(np.isnan(x), np.nanmean(x), x) for x in columns[1:])])
    values = values[~np.isnan(values[:, 0])]
    if len(values) > max_units:
        values = values[np.sort(rng.choice(len(values), max_units, replace=False))]
    values = values - values.mean(axis=0)
    width = values.shape[1]
    products = (values[:, :, None] * values[:, None, :]).reshape(len(values), -1)
    sums = np.column_stack([np.ones(len(values)), values, products])
    total, block, p_values = sums.sum(axis=0), max(1, 4_000_000 // len(values)), []
    for start in range(0, n_simulations, block):
        treated = rng.random((min(block, n_simulations - start), len(values))) < treatment_share
        treatment = treated.astype(float) @ sums
        both = np.stack([total - treatment, treatment], axis=1)
        n = both[..., 0]
        mean = both[..., 1 : 1 + width] / n[..., None]
        second = both[..., 1 + width :].reshape(*n.shape, width, width)
        square = n[..., None, None] * mean[..., :, None] * mean[..., None, :]
        covariance = (second - square) / (n - 1)[..., None, None]
        full = ArmMoments(n=n, mean=mean, covariance=covariance)
        plain = ArmMoments(n=n, mean=mean[..., :1], covariance=covariance[..., :1, :1])
        tests = [contrast(plain, weights=(-1, 1))]
        if width > 1:
            tests.append(contrast(full, weights=(-1, 1)))
        p_values.append(np.stack([test.p_value for test in tests]))
    claimed = (np.concatenate(p_values, axis=1) < alpha).mean(axis=1)
    table = pd.DataFrame({"method": ["welch", "cuped"][: len(claimed)], "rate": claimed})
    return _with_error(metric, table, n_simulations, alpha)


def most_skewed(units: pd.DataFrame, *, measured: Measures) -> str:
    """The metric with the largest skewness, on which the normal approximation is worst."""
    found = {}
    for metric in measured.kinds:
        values = numbers(units, metric)
        found[metric] = abs(float(stats.skew(values[~np.isnan(values)])))
    return max(found, key=lambda metric: found[metric])


def _with_error(subject: str, table: pd.DataFrame, n_simulations: int, alpha: float) -> FalsePositives:
    error = np.sqrt(table["rate"] * (1 - table["rate"]) / n_simulations)
    return FalsePositives(subject, table.assign(monte_carlo_error=error), n_simulations, alpha)
