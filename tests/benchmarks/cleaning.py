"""Time of a hot deck of a million rows, and the variance it keeps: `python tests/benchmarks/cleaning.py`."""

import time

import numpy as np

from journeybook.statistics import stream
from journeybook.statistics.multiple import hot_deck

N, N_CLASSES, HIDDEN_SHARE = 1_000_000, 50, 0.3

rng = stream(1, "benchmark")
classes = rng.integers(0, N_CLASSES, N)
truth = rng.gamma(2.0, 1.0 + classes / N_CLASSES)
hidden = rng.random(N) < HIDDEN_SHARE
values = np.where(hidden, np.nan, truth)
began = time.perf_counter()
donors = hot_deck(values, classes, max_uses=2, rng=rng)
took = time.perf_counter() - began
ratio = values[donors].var() / truth[hidden].var()
uses = np.bincount(donors).max()
print(f"hot deck of {N:,} rows: {took:.2f} s, variance ratio {ratio:.3f}, a donor used {uses} times at most")
assert took < 5 and 0.95 < ratio < 1.05
