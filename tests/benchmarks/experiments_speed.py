"""Page 11's comparisons and simulations beside tea-tasting's, in one run on the same data.

    PYTHONPATH=tests python tests/benchmarks/experiments_speed.py

Compared, each as the best of some runs:

* the analysis of five metrics with CUPED (two of them ratios, by the delta method) over 1,000,000 units. The page
  adjusts each metric for all five covariates at once, tea-tasting each for its own; `with measures` adds the
  page's check of every column, which a page does once.
* A/A simulations of the same five metrics at 20,000 units: random assignment and every test of every metric. The
  page tests each metric with and without CUPED, and all of them after Holm's correction.

The bars are at most 0.2 s, and at least 1,000 simulations a second.
"""

import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from assigned_again import a_a_rates

from journeybook.experiments.comparisons import compare
from journeybook.experiments.measures import measures
from journeybook.statistics import stream

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tea_tasting

COVARIATES = [f"pre_{name}" for name in ("orders", "spend", "visits", "bought", "items")]
METRICS = {
    "bought": "proportion",
    "visits": "mean",
    "spend": "mean",
    "spend_per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"},
    "items_per_visit": {"kind": "ratio", "numerator": "items", "denominator": "visits"},
}
N_UNITS, N_A_A_UNITS, N_A_A, N_THEIR_A_A = 1_000_000, 20_000, 4_000, 100


def drawn(n: int) -> pd.DataFrame:
    """Units with five outcomes and the same five before."""
    rng = stream(1, "benchmark")
    taste = rng.gamma(2, 1, n)
    columns: dict[str, np.ndarray] = {"variant": rng.integers(2, size=n)}
    for prefix in ("pre_", ""):
        visits = 1.0 + rng.poisson(taste)
        orders = 1.0 + rng.poisson(taste / 2)
        columns[f"{prefix}visits"], columns[f"{prefix}orders"] = visits, orders
        columns[f"{prefix}spend"] = orders * rng.gamma(2, 10, n)
        columns[f"{prefix}items"] = visits * rng.gamma(3, 1, n)
        columns[f"{prefix}bought"] = (rng.random(n) < 0.1 * taste).astype(float)
    return pd.DataFrame(columns)


def theirs() -> tea_tasting.Experiment:
    """The same metrics in tea-tasting's words."""
    ratio = tea_tasting.RatioOfMeans
    return tea_tasting.Experiment(
        bought=tea_tasting.Mean("bought", "pre_bought"),
        visits=tea_tasting.Mean("visits", "pre_visits"),
        spend=tea_tasting.Mean("spend", "pre_spend"),
        spend_per_order=ratio("spend", "orders", "pre_spend", "pre_orders"),
        items_per_visit=ratio("items", "visits", "pre_items", "pre_visits"),
    )


def best(run: Callable[[], object], *, times: int) -> float:
    """The shortest of several runs, in seconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    """Print one row a task: the page, tea-tasting, and how many times faster the page is."""
    units, few, other = drawn(N_UNITS), drawn(N_A_A_UNITS), theirs()
    measured = measures(units, metrics=METRICS, covariates=COVARIATES)
    rng = stream(1, "runs")

    def analyse(measures_of) -> object:
        return compare(units, measured=measures_of, control="0", alpha=0.05, rng=rng)

    def again() -> object:
        how = {"alpha": 0.05, "n_looks": 1, "n_simulations": N_A_A, "rng": rng}
        return a_a_rates(few, measured=measured, shares=[1, 1], **how)

    ours = best(lambda: analyse(measured), times=7)
    whole = best(lambda: analyse(measures(units, metrics=METRICS, covariates=COVARIATES)), times=3)
    their_analysis = best(lambda: other.analyze(units), times=7)
    rate = N_A_A / best(again, times=3)
    their_rate = N_THEIR_A_A / best(lambda: other.simulate(few, N_THEIR_A_A, rng=1), times=2)
    print(f"{'task':<58}{'page':>12}{'tea-tasting':>14}{'ratio':>8}")
    task = f"5 metrics with CUPED, {N_UNITS:,} units"
    print(f"{task:<58}{ours:>10.3f} s{their_analysis:>12.3f} s{their_analysis / ours:>8.1f}")
    print(f"{task + ', with measures':<58}{whole:>10.3f} s{their_analysis:>12.3f} s{their_analysis / whole:>8.1f}")
    task = f"A/A simulations a second, {N_A_A_UNITS:,} units"
    print(f"{task:<58}{rate:>12,.0f}{their_rate:>14,.0f}{rate / their_rate:>8.1f}")


if __name__ == "__main__":
    main()
