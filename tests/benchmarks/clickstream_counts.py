"""Page 08: from a Parquet file of events to counts of steps, beside the bare DuckDB query that does the same.

    python tests/benchmarks/clickstream_counts.py --folder bench --people 10000000

writes a file of ten events a person to the folder, counts its steps in a process of its own for each of the two,
on two threads with 7 GB for the engine and 8 GiB of address space in use at most, prints time, processor time, the
highest memory in use, their ratios and the exponent with which time grows from a tenth of the people, and removes
the files. Both must give the same counts. The page's function further puts people into groups for the bootstrap,
counts machines, short sessions and those cut by the edges of the log; the bare query does none of that. With
10,000,000 people the files take about 2 GB, and the spilled rows of the engine up to 20 GB more.
"""

import argparse
import hashlib
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import ibis

EVENTS = [
    *("home", "search", "category", "offers", "product", "review", "basket", "delivery", "checkout"),
    *("payment", "account", "help", "blog", "stores", "wishlist", "compare", "login", "purchase"),
]
SETTINGS = {"threads": 2, "memory_limit": "7GB", "preserve_insertion_order": False}
# Pauses of less than two minutes, and one of days after every five events; ids are those of the consent door.
WRITE = """
COPY (
  SELECT CAST(person * 10 + k + 1 AS BIGINT) AS row, substr(md5('key' || person), 1, 24) AS person_id,
    list_extract({events}, CAST(least(18, 1 + floor(sqrt(hash(person * 17 + k) % 1000000 / 1e6) * 18)) AS INTEGER))
      AS event,
    TIMESTAMP '2026-01-01' + to_seconds(CAST(hash(person) % 2000000 + k * 40 + hash(person * 31 + k) % 40
      + 86400 * (k // 5) * (1 + hash(person + 7) % 9) AS BIGINT)) AS occurred_at
  FROM range({people}) AS p(person), range(10) AS s(k)
) TO '{path}' (FORMAT parquet)
"""
BARE = """
WITH paused AS (
  SELECT person_id, occurred_at, event,
    coalesce(occurred_at > lag(occurred_at) OVER w + INTERVAL 30 MINUTE, true) AS opens
  FROM '{path}' WINDOW w AS (PARTITION BY person_id ORDER BY occurred_at, event)
), numbered AS (
  SELECT *, sum(CAST(opens AS INTEGER)) OVER (PARTITION BY person_id ORDER BY occurred_at, event
    ROWS UNBOUNDED PRECEDING) AS number FROM paused
), stepped AS (
  SELECT event, lag(event) OVER w AS previous, lead(event) OVER w IS NULL AS final,
    coalesce(sum(CAST(event = 'purchase' AS INTEGER)) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
      AS bought
  FROM numbered WINDOW w AS (PARTITION BY person_id, number ORDER BY occurred_at, event)
), counted AS (
  SELECT coalesce(previous, '(start)') AS source, if(event = 'purchase', '(conversion)', event) AS target,
    final AND event <> 'purchase' AS leaves, count(*) AS n
  FROM stepped WHERE bought = 0 GROUP BY ALL
)
SELECT source, target, CAST(sum(n) AS BIGINT) AS n FROM counted GROUP BY ALL
UNION ALL SELECT target, '(exit)', CAST(sum(n) AS BIGINT) FROM counted WHERE leaves GROUP BY ALL
"""


def count(who: str, path: Path, spill: Path) -> None:
    """Count the steps and print wall and processor seconds, peak memory in GiB, and a hash of the counts."""
    settings = SETTINGS | {"temp_directory": str(spill)}
    if who == "page":
        from journeybook.clickstream.counts import count_steps

        connection = ibis.duckdb.connect(**settings)
        ibis.set_backend(connection)
        began, before = time.perf_counter(), time.process_time()
        found = count_steps(connection.read_parquet(path), conversion="purchase", session_gap_minutes=30).counts
        steps = found.groupby(["source", "target"])["n"].sum().reset_index().itertuples(index=False, name=None)
    else:
        engine = duckdb.connect(config=settings)
        began, before = time.perf_counter(), time.process_time()
        steps = engine.execute(BARE.format(path=path)).fetchall()
    took, worked = time.perf_counter() - began, time.process_time() - before
    told = hashlib.sha256(repr(sorted((s, t, int(n)) for s, t, n in steps)).encode()).hexdigest()[:12]
    print(took, worked, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, told)


def measure(who: str, path: Path, spill: Path) -> tuple[float, float, float, str]:
    """Run `count` in a process of its own."""
    command = [sys.executable, __file__, "--folder", str(spill), "--count", who, str(path)]
    wall, processor, memory, told = subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()
    return float(wall), float(processor), float(memory), told


def main() -> None:
    """Write the files, measure both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--count", nargs=2)
    asked = parser.parse_args()
    if asked.count:
        count(asked.count[0], Path(asked.count[1]), asked.folder)
        return
    asked.folder.mkdir(parents=True, exist_ok=True)
    times = {}
    for people in (asked.people // 10, asked.people):
        path = asked.folder / f"events_{people}.parquet"
        try:
            duckdb.connect(config=SETTINGS).execute(WRITE.format(events=EVENTS, people=people, path=path))
            page, bare = (measure(who, path, asked.folder / "spill") for who in ("page", "bare"))
        finally:
            path.unlink(missing_ok=True)
        assert page[3] == bare[3], "the two count differently"
        times[people] = page
        print(f"{10 * people:>13,} events   seconds   processor   GiB at most")
        print(f"    page        {page[0]:14.1f} {page[1]:11.1f} {page[2]:13.2f}")
        print(f"    bare query  {bare[0]:14.1f} {bare[1]:11.1f} {bare[2]:13.2f}")
        print(f"    ratio       {page[0] / bare[0]:14.2f} {page[1] / bare[1]:11.2f}", flush=True)
    few, many = times.values()
    for name, column in (("seconds", 0), ("processor", 1)):
        print(f"growth exponent of {name}: {math.log10(many[column] / few[column]):.2f}")


if __name__ == "__main__":
    main()
