"""Page 06 beside lifetimes 0.11.3, in one process: BG/NBD, Pareto/NBD, and the summary of receipts.

    python -m venv other && other/bin/pip install -r requirements.lock lifetimes==0.11.3
    PYTHONPATH=src:tests other/bin/python tests/benchmarks/lifetime_value.py [LINES]

Customers are simulated from known parameters over 39 weeks, by the day; both fit the same rows, and their log
likelihoods must agree. Receipts are LINES lines (10,000,000) of a hundredth as many customers over a year. The
bars: one second and ten times faster for BG/NBD on 1,000,000 customers, two seconds for Pareto/NBD on 100,000, ten
times faster for the summary, and each grows with at most the power 1.1 of its size. Wall seconds mislead on a busy
machine; those of the processor stand beside them.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
from planted_customers import planted_customers

from journeybook import lifetime_value as worth
from journeybook.lifetime_value.family import histories
from journeybook.lifetime_value.models import BG_NBD, PARETO_NBD

try:
    import lifetimes
    from lifetimes.utils import summary_data_from_transaction_data
except ImportError:
    lifetimes = None

LINES = """
COPY (SELECT row_number() OVER () AS row, 'p' || (hash(i) % {people}) AS person_id,
  TIMESTAMP '2026-01-01' + to_seconds(CAST(hash(i * 7) % 31449600 AS BIGINT)) AS occurred_at,
  CAST(1 + hash(i * 13) % 5000 / 100.0 AS DECIMAL(18, 4)) AS revenue FROM range({n}) AS r(i)) TO '{path}'
"""


def timed(what: str, run: Callable[[], Any]) -> tuple[Any, float]:
    """Run once, print wall and processor seconds, and return what it returned and the latter."""
    began, used = time.perf_counter(), time.process_time()
    found = run()
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    print(f"{what:<44} {wall:7.2f} s {cpu:7.2f} s of the processor", flush=True)
    return found, cpu


def growth(what: str, n: int, run: Callable[[int], Any]) -> Any:
    """Run at a tenth of a size and at the size, print the power by which time grows, and return the latter."""
    run(n // 100)
    small = timed(f"{what}, {n // 10:,}", lambda: run(n // 10))[1]
    found, large = timed(f"{what}, {n:,}", lambda: run(n))
    print(f"    grows with the power {np.log10(large / small):.2f}")
    return found


def models(family: Any, theta: list[float], n: int, theirs: str) -> None:
    """Fit a model to n simulated customers by both."""
    rng = np.random.default_rng(1)
    x, t_x, T = planted_customers(family.name, np.array(theta), rng.integers(1, 274, n) / 7, rng=rng)
    t_x = np.where(x > 0, np.maximum(np.round(t_x * 7), 1) / 7, 0)
    found = growth(family.name, n, lambda n: worth.fit(family, histories(x[:n], t_x[:n], T[:n])))
    print(f"    {found.theta.round(3)}, {found.trouble or 'certified'}")
    if lifetimes is not None:
        fitter = getattr(lifetimes, theirs)()
        timed(f"lifetimes {theirs}", lambda: fitter.fit(x, t_x, T))
        their = fitter.params_.to_numpy()
        print(f"    {their.round(3)}")
        h = histories(x, t_x, T)
        assert h.weight @ family.likelihood(their, h)[0] <= found.log_likelihood + 1e-6


def summary(n: int) -> None:
    """Sum up n receipt lines by both."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.parquet"
        duckdb.connect().execute(LINES.format(people=n // 100, n=n, path=path))
        lines = ibis.duckdb.connect(threads=2).read_parquet(path)
        end = datetime(2027, 1, 1)
        found = growth(
            "summary of lines",
            n,
            lambda some: worth.customer_summary(
                worth.purchase_days(lines.filter(lines.row <= some)), split=end, end=end
            ),
        )
        if lifetimes is not None:
            read = {"columns": ["person_id", "occurred_at", "revenue"]}
            of = {"observation_period_end": "2027-01-01", "monetary_value_col": "revenue"}
            theirs, _ = timed(
                "lifetimes summary_data_from_transaction_data",
                lambda: summary_data_from_transaction_data(
                    pd.read_parquet(path, **read).astype({"revenue": float}), "person_id", "occurred_at", **of
                ),
            )
            assert int(found["x"].sum()) == int(theirs["frequency"].sum())


if __name__ == "__main__":
    models(BG_NBD, [0.25, 4.4, 0.8, 2.4], 1_000_000, "BetaGeoFitter")
    models(PARETO_NBD, [0.55, 10.6, 0.6, 11.7], 100_000, "ParetoNBDFitter")
    summary(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
