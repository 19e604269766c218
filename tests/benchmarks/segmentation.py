"""Page 05's segments of one million people, by step, in seconds of processor time; the bar is 30 for all.

    PYTHONPATH=src python tests/benchmarks/segmentation.py [PEOPLE]

Made are two snapshots of features, a quarter apart, with a row a person in both. Timed once each are the rules,
the choice and scale of features, the number of groups, the segments of both dates, RFM scores and steady movement.
"""

import sys
import time

import numpy as np
import pandas as pd

from journeybook import segmentation
from journeybook.statistics import stream


def snapshots(n: int) -> pd.DataFrame:
    """Features of n people on two dates."""
    rng, frames = stream(1, "people"), []
    for month, as_of in enumerate(pd.to_datetime(["2026-01-01", "2026-04-02"])):
        frames.append(
            pd.DataFrame(
                {
                    "person_id": np.char.add("p", np.arange(n).astype(str)),
                    "as_of": as_of,
                    "recency_days": rng.exponential(20, n),
                    "tenure_days": 300.0 + 91 * month,
                    "n_baskets": rng.poisson(20, n) + 9 * month,
                    "revenue": rng.gamma(2, 100, n) + 200 * month,
                    "n_baskets_91d": rng.poisson(9, n),
                    "revenue_91d": rng.gamma(2, 100, n),
                    **{f"share_{name}": rng.beta(2, 5, n) for name in "abcdefghij"},
                }
            )
        )
    return pd.concat(frames, ignore_index=True).assign(row=range(1, 2 * n + 1))


def main(n: int) -> None:
    """Print the seconds of each step."""
    features, started, total = snapshots(n), time.process_time(), time.process_time()

    def told(step: str) -> None:
        nonlocal started
        print(f"{step:<36}{time.process_time() - started:>8.1f} s", flush=True)
        started = time.process_time()

    days = {"new_days": 91, "at_risk_days": 28, "lapsed_days": 91}
    segmentation.declare(features, **days, high_value=None, held_out_days=91)
    told("declared rules")
    prepared = segmentation.prepare(features, columns=None, dictionary=None)
    values = segmentation.matrix(segmentation.last_snapshot(features), preparation=prepared)
    told("features, scale and weights")
    count = segmentation.count_groups(values, max_segments=8, n_splits=6, rng=stream(1, "count"))
    told("number of groups")
    how = {"preparation": prepared, "n_segments": count.n_slices}
    found = segmentation.segment(features, **how, rng=stream(1, "segments"))
    told("segments")
    segmentation.rfm_scores(features, found=found, n_quantiles=5)
    told("RFM scores")
    segmentation.steady(features, found=found, border=0.1)
    told("steady movement")
    print(f"{f'{n:,} people, two dates':<36}{time.process_time() - total:>8.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
