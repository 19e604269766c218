"""How values are spread in each arm, and effects without a unit: what a mean cannot show."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from journeybook.experiments.measures import Measures, Metric, known_values
from journeybook.experiments.variants import arms_of
from journeybook.statistics.equivalence import cohen_d, cohen_h

N_BINS = 24
# Beyond this quantile of all units' values the last bin is open.
OPEN_BEYOND = 0.99
# Cohen (1988), for h and d alike: from 0.2, 0.5 and 0.8 on.
MAGNITUDES = ("below small", "small", "medium", "large")


def distributions(units: pd.DataFrame, *, measured: Measures, control: str | None) -> pd.DataFrame:
    """Shares of each arm's units by their value: of ratios a unit's own ratio.

    Zeros stand apart, because most metrics of customers are mostly 0.

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


def effect_sizes(arms: pd.DataFrame, *, kinds: Mapping[str, str], control: str) -> pd.DataFrame:
    """Effect sizes without a unit against the control: Cohen's h of each share, Cohen's d of each mean.

    Returns:
        metric, variant, measure, size, magnitude (Cohen's word for it); other kinds have no such size.
    """
    both = arms[arms["metric"].map(kinds).isin(["proportion", "mean"])]
    both = both[both["variant"] != control].merge(
        both[both["variant"] == control], on="metric", suffixes=("", "_0")
    )
    share = both["metric"].map(kinds) == "proportion"
    h = cohen_h(both["mean_0"].where(share, 0), both["mean"].where(share, 0))
    d = cohen_d(
        both["mean"] - both["mean_0"], sd_control=both["sd_0"], sd_treatment=both["sd"], n_control=both["n_0"],
        n_treatment=both["n"],
    )  # fmt: skip
    measure, size = np.where(share, "cohen_h", "cohen_d"), np.where(share, h, d)
    magnitude = np.array(MAGNITUDES)[np.searchsorted([0.2, 0.5, 0.8], np.abs(size), side="right")]
    return both[["metric", "variant"]].assign(measure=measure, size=size, magnitude=magnitude)
