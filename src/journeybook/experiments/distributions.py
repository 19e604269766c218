"""How the values of a metric are spread in each arm: what a mean cannot show."""

import numpy as np
import pandas as pd

from journeybook.experiments.measures import Measures, Metric, known_values
from journeybook.experiments.variants import arms_of

N_BINS = 24
# Beyond this quantile of all units' values the last bin is open.
OPEN_BEYOND = 0.99


def distributions(units: pd.DataFrame, *, measured: Measures, control: str | None) -> pd.DataFrame:
    """Shares of each arm's units by their value.

    Means and quantiles show their column, ratios each unit's own ratio; shares and times to an event have other
    figures. Zeros stand apart, because most metrics of customers are mostly 0.

    Args:
        units: One row a unit.
        measured: Metrics and covariates of `measures`.
        control: The variant compared against.

    Returns:
        One row a metric, variant and bin: metric, variant, low, high (infinite for the last), share (of the arm's
        units with a value), zero_share; a column that two metrics share is shown once.
    """
    arms = arms_of(units, control=control)
    rows, seen = [], set()
    for metric in measured.metrics:
        if metric.kind not in ("mean", "ratio", "quantile") or tuple(metric.columns) in seen:
            continue
        seen.add(tuple(metric.columns))
        values, number = _values(units, metric, arms.number)
        present = values[values != 0]
        if len(present):
            edges = np.linspace(min(present.min(), 0), np.quantile(present, OPEN_BEYOND), N_BINS + 1)
            edges[-1] = np.inf
            for arm, name in enumerate(arms.names):
                own = values[number == arm]
                counts = np.histogram(own[own != 0], bins=edges)[0]
                rows += [
                    (metric.name, name, low, high, count / len(own), float((own == 0).mean()))
                    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
                ]
    return pd.DataFrame(rows, columns=["metric", "variant", "low", "high", "share", "zero_share"])


def _values(units: pd.DataFrame, metric: Metric, arm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One value a unit that has one, and its arm."""
    values, known = known_values(units, metric)
    if metric.kind != "ratio":
        return values[known, 0], arm[known]
    known &= values[:, 1] > 0
    return values[known, 0] / values[known, 1], arm[known]
