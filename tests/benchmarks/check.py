"""How long `journeybook check` of a large CSV takes, against DuckDB's own scan of the same file in the same run.

Run: python tests/benchmarks/check.py [ROWS]. The file is made in a temporary folder and removed.
"""

import sys
import tempfile
import time
from pathlib import Path

import duckdb

from journeybook.datasets.files import open_checked

COLUMNS = {"customer_id": "customer", "occurred_at": "date", "revenue": "amount"}


def seconds(do, times: int = 3) -> float:
    """Return the shortest of several runs."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        do()
        taken.append(time.perf_counter() - started)
    return min(taken)


def main(rows: int) -> None:
    """Print the seconds of both, and how many times DuckDB's scan the check takes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.csv"
        duckdb.sql(
            "COPY (SELECT 'c' || (i * 7919 % 500000) AS customer, "
            "TIMESTAMP '2023-01-01' + INTERVAL (i % 600000) MINUTE AS date, "
            f"round(i % 9973 / 7.0, 2) AS amount, 'shop ' || (i % 50) AS shop FROM range({rows}) r(i)) "
            f"TO '{file}' (HEADER)"
        )
        files = {"transactions": {"path": file.name, "columns": COLUMNS}}
        own = seconds(lambda: duckdb.sql(f"SELECT count(COLUMNS(*)) FROM read_csv('{file}')").fetchall())

        def check() -> None:
            with open_checked(files=files, base=Path(folder), timezone="UTC"):
                pass

        ours = seconds(check)
        size = f"{rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB"
        print(f"{size}: scan {own:.2f} s, check {ours:.2f} s, {ours / own:.2f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
