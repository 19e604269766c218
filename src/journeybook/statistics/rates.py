"""Shares of events by group, counted in the engine, with intervals that count people and not events."""

from collections.abc import Sequence

import ibis
import numpy as np
import pandas as pd

from journeybook.statistics import proportion_interval


def clustered_rates(rows: ibis.Table, *, by: Sequence[str], hit: str) -> pd.DataFrame:
    """Return the share of rows that are hits (0 or 1), by group: `n`, `n_hits`, `rate`, `rate_low`, `rate_high`.

    The interval, of 95 %, is Wilson's at the effective number of rows, n p (1 - p) over the variance of a ratio of
    totals by `cluster` (Korn & Graubard 1998), never more than the rows; where all rows or none are hits, the
    clusters.
    """
    part = rows.group_by(*by, "cluster").aggregate(n=ibis._.count(), k=rows[hit].cast("int64").sum().cast("int64"))
    sums = {
        "n": part.n.sum(),
        "n_hits": part.k.sum(),
        "clusters": part.n.count(),
        "nn": (part.n * part.n).sum(),
        "nk": (part.n * part.k).sum(),
        "kk": (part.k * part.k).sum(),
    }
    totals = part.group_by(*by).aggregate(**{name: value.cast("int64") for name, value in sums.items()})
    found = totals.order_by(*by).to_pandas()
    n, k, m = (found[name].to_numpy(dtype=float) for name in ("n", "n_hits", "clusters"))
    rate = k / np.where(n > 0, n, 1.0)
    nn, nk, kk = (found[name].to_numpy(dtype=float) for name in ("nn", "nk", "kk"))
    variance = (kk - 2 * rate * nk + rate**2 * nn) * m / np.maximum(m - 1, 1) / np.maximum(n, 1) ** 2
    spread = rate * (1 - rate)
    effective = np.where((spread > 0) & (variance > 0), spread / np.where(variance > 0, variance, 1.0), m)
    effective = np.minimum(effective, n)
    interval = proportion_interval(rate * effective, effective)
    return found[[*by, "n", "n_hits"]].assign(rate=rate, rate_low=interval.low, rate_high=interval.high)
