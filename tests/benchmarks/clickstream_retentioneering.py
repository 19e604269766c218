"""Page 08: from a Parquet file to the matrix of counts, beside retentioneering's `transition_graph_data`.

    python -m venv other && other/bin/pip install retentioneering==5.2.4
    python tests/benchmarks/clickstream_retentioneering.py --folder bench --python other/bin/python

writes 5,000,000 events of 500,000 visitors with 18 names, each visitor one session, and has each of the two make
the counts of steps in a process of its own; reading the file is part of it, importing libraries is not. Both must
give the same counts. The page's function further puts visitors into the groups of the bootstrap.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

N_VISITORS, N_EVENTS = 500_000, 10
WRITE = """
COPY (
  SELECT CAST(visitor * {n} + k + 1 AS BIGINT) AS row, 'v' || visitor AS session_id,
    'event ' || CAST(1 + floor(sqrt(hash(visitor * 17 + k) % 1000000 / 1e6) * 18) AS INTEGER) AS event,
    TIMESTAMP '2026-01-01' + to_seconds(CAST(hash(visitor) % 2000000 + k * 40 AS BIGINT)) AS occurred_at
  FROM range({visitors}) AS v(visitor), range({n}) AS s(k)
) TO '{path}' (FORMAT parquet)
"""
THEIRS = """
import os, sys, time
os.environ["RETENTIONEERING_NO_TRACK"] = "1"
import pandas as pd
from retentioneering.eventstream.eventstream import Eventstream
began = time.perf_counter()
rows = pd.read_parquet(sys.argv[1], columns=["session_id", "event", "occurred_at"])
schema = {"path_cols": ["session_id"], "event_col": "event", "timestamp_col": "occurred_at"}
stream = Eventstream(rows, schema=schema)
loaded = time.perf_counter()
matrix = stream.transition_graph_data(edge_weight="count")
done = time.perf_counter()
long = matrix.stack()
counts = sorted([s, t, int(n)] for (s, t), n in long.items() if n > 0)
import json
print(json.dumps([loaded - began, done - loaded, counts]))
"""
NAMES = {"path_start": "(start)", "path_end": "(exit)"}


def ours(path: Path) -> None:
    """Count the steps of the file and print the seconds and the counts."""
    import ibis

    from journeybook.clickstream import count_steps

    began = time.perf_counter()
    connection = ibis.duckdb.connect(threads=2)
    ibis.set_backend(connection)
    found = count_steps(connection.read_parquet(path), conversion=None, session_gap_minutes=30).counts
    total = found.groupby(["source", "target"])["n"].sum()
    took = time.perf_counter() - began
    print(json.dumps([0.0, took, sorted([s, t, int(n)] for (s, t), n in total.items())]))


def measure(command: list[str]) -> tuple[float, float, list]:
    """Run one of the two in a process of its own: seconds to load, seconds to count, the counts."""
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return tuple(json.loads(run.stdout.splitlines()[-1]))


def main() -> None:
    """Write the file, measure both, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--python", help="a Python that has retentioneering")
    parser.add_argument("--count", type=Path)
    asked = parser.parse_args()
    if asked.count:
        ours(asked.count)
        return
    import duckdb

    asked.folder.mkdir(parents=True, exist_ok=True)
    path = asked.folder / "visits.parquet"
    try:
        duckdb.sql(WRITE.format(n=N_EVENTS, visitors=N_VISITORS, path=path))
        page = measure([sys.executable, __file__, "--count", str(path)])
        other = measure([asked.python, "-c", THEIRS, str(path)])
    finally:
        path.unlink(missing_ok=True)
    renamed = sorted([NAMES.get(s, s), NAMES.get(t, t), n] for s, t, n in other[2])
    assert page[2] == renamed, "the two count differently"
    told = hashlib.sha256(json.dumps(page[2]).encode()).hexdigest()[:12]
    print(f"{N_VISITORS * N_EVENTS:,} events, {len(page[2])} steps, counts {told}")
    print(f"    page             {page[0] + page[1]:6.1f} s")
    print(f"    retentioneering  {other[0] + other[1]:6.1f} s ({other[0]:.1f} to load, {other[1]:.1f} to count)")
    print(f"    ratio            {(other[0] + other[1]) / (page[0] + page[1]):6.1f}")


if __name__ == "__main__":
    main()
