"""Page 08: from a Parquet file to the matrix of counts, beside retentioneering's `transition_graph_data`.

    python -m venv other && other/bin/pip install retentioneering==5.2.4
    python tests/benchmarks/clickstream_retentioneering.py --folder bench --python other/bin/python

writes 5,000,000 events of 500,000 people with 18 names, has each of the two cut them into sessions at pauses of
more than 30 minutes and count the steps, each in a process of its own, and prints wall and processor seconds.
Reading the file is part of it, importing libraries is not. Both must give the same counts. The page's function
further puts people into the groups of the bootstrap. The third line is retentioneering without sessions: a person
is one path.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

N_PEOPLE, N_EVENTS = 500_000, 10
WRITE = """
COPY (
  SELECT CAST(person * {n} + k + 1 AS BIGINT) AS row, 'p' || person AS person_id,
    'event ' || CAST(1 + floor(sqrt(hash(person * 17 + k) % 1000000 / 1e6) * 18) AS INTEGER) AS event,
    TIMESTAMP '2026-01-01' + to_seconds(CAST(hash(person) % 2000000 + k * 40 + 86400 * (k // 5) AS BIGINT))
      AS occurred_at
  FROM range({people}) AS p(person), range({n}) AS s(k)
) TO '{path}' (FORMAT parquet)
"""
THEIRS = """
import json, os, sys, time
os.environ["RETENTIONEERING_NO_TRACK"] = "1"
import pandas as pd
from retentioneering.eventstream.eventstream import Eventstream
began, before = time.perf_counter(), time.process_time()
rows = pd.read_parquet(sys.argv[1], columns=["person_id", "event", "occurred_at"])
schema = {"path_cols": ["person_id"], "event_col": "event", "timestamp_col": "occurred_at"}
stream = Eventstream(rows, schema=schema)
path = "person_id"
if sys.argv[2] == "sessions":
    stream, path = stream.split_sessions(timeout="30m"), "session_id"
matrix = stream.transition_graph_data(edge_weight="count", path_col=path)
took = [time.perf_counter() - began, time.process_time() - before]
print(json.dumps([*took, sorted([s, t, int(n)] for (s, t), n in matrix.stack().items() if n > 0)]))
"""
NAMES = {"path_start": "(start)", "path_end": "(exit)"}


def ours(path: Path) -> None:
    """Count the steps of the file and print wall and processor seconds and the counts."""
    import ibis
    import ibis.backends.duckdb  # what ibis would import when it connects

    from journeybook.clickstream.counts import count_steps

    began, before = time.perf_counter(), time.process_time()
    connection = ibis.duckdb.connect(threads=2)
    ibis.set_backend(connection)
    found = count_steps(connection.read_parquet(path), conversion=None, session_gap_minutes=30).counts
    total = found.groupby(["source", "target"])["n"].sum()
    took = [time.perf_counter() - began, time.process_time() - before]
    print(json.dumps([*took, sorted([s, t, int(n)] for (s, t), n in total.items())]))


def measure(command: list[str]) -> tuple[float, float, list]:
    """Run one of them in a process of its own: wall and processor seconds, and the counts."""
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
        duckdb.sql(WRITE.format(n=N_EVENTS, people=N_PEOPLE, path=path))
        page = measure([sys.executable, __file__, "--count", str(path)])
        other, whole = (measure([asked.python, "-c", THEIRS, str(path), how]) for how in ("sessions", "people"))
    finally:
        path.unlink(missing_ok=True)
    renamed = sorted([NAMES.get(s, s), NAMES.get(t, t), n] for s, t, n in other[2])
    assert page[2] == renamed, "the two count differently"
    print(f"{N_PEOPLE * N_EVENTS:,} events, {len(page[2])} steps   seconds   processor")
    for name, found in (("page", page), ("retentioneering", other), ("  without sessions", whole)):
        print(f"    {name:20} {found[0]:12.1f} {found[1]:11.1f}")
    print(f"    ratio                {other[0] / page[0]:12.1f} {other[1] / page[1]:11.1f}")


if __name__ == "__main__":
    main()
