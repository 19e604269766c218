"""Releases by segment of one million people beside the same aggregates without noise, and beside noise row by row.

    PYTHONPATH=src python tests/benchmarks/privacy.py [PEOPLE]

In one run, in seconds of processor time: counts, sums and means by segment from a table of one row a person, with
contributions bounded and OpenDP's noise; the same bounded aggregates without noise; and a local mechanism of
diffprivlib, called person by person in pandas before grouping. Bars: 5 s; 1.5 times; ten times slower.
"""

import sys
import time

import ibis
import numpy as np
import pandas as pd
from diffprivlib.mechanisms import LaplaceTruncated

from journeybook.privacy.asking import make_plan
from journeybook.privacy.bounding import bounded_cells
from journeybook.privacy.mechanisms import draw, noise_of
from journeybook.statistics import stream
from journeybook.tables import kept_in_engine

SEGMENTS = ["new", "steady", "fading", "gone"]
PLAN = {
    "unit": "person",
    "releases": {
        kind: {
            "kind": kind,
            "table": "people",
            "by": ["group"],
            "values": {"group": SEGMENTS},
            "most": {"rows": 1, "groups": 1} | ({} if kind == "people" else {"amount": 5000}),
            "epsilon": 0.5,
        }
        | ({} if kind == "people" else {"of": "revenue"})
        for kind in ("people", "sum", "mean")
    },
}


def main(n: int) -> None:
    """Print the seconds of each road, and the three bars."""
    rng = stream(1, "people")
    people = pd.DataFrame(
        {
            "unit": np.char.add("p", np.arange(n).astype(str)),
            "group": rng.choice(SEGMENTS, n),
            "revenue": rng.gamma(2, 400, n).round(2),
        }
    )
    connection = ibis.duckdb.connect()
    connection.con.register("people", people)
    table = kept_in_engine(connection.table("people"))
    plan = make_plan(PLAN)
    taken = {}

    def timed(name: str, do) -> None:
        started = time.process_time()
        do()
        taken[name] = time.process_time() - started
        print(f"{name:<36}{taken[name]:>8.2f} s", flush=True)

    def plain() -> None:
        for asked in plan.releases:
            bounded_cells(table, asked)

    def released() -> None:
        for asked in plan.releases:
            draw(bounded_cells(table, asked), noise_of(asked))

    def row_by_row() -> None:
        amounts = people.revenue.clip(0, 5000)
        for asked in plan.releases:
            add = LaplaceTruncated(epsilon=0.5, sensitivity=5000, lower=0, upper=5000)
            one = amounts * 0 + 1 if asked.kind == "people" else amounts
            one.map(add.randomise).groupby(people.group).agg("mean" if asked.kind == "mean" else "sum")

    noise_of(plan.releases[0])
    plain()  # what is loaded at first use is no part of either
    timed("aggregates without noise", plain)
    timed("released", released)
    timed("noise row by row, in pandas", row_by_row)
    print(f"released within 5 s: {taken['released'] < 5}")
    print(f"{taken['released'] / taken['aggregates without noise']:.2f} times the same without noise; bar 1.5")
    print(f"row by row {taken['noise row by row, in pandas'] / taken['released']:.0f} times slower; bar 10")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
