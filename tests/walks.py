"""Simulated walks of the shape `session_steps` returns, for the tests of page 08."""

from collections.abc import Sequence

import ibis
import numpy as np
import pandas as pd

START, CONVERSION, EXIT = "(start)", "(conversion)", "(exit)"
PAGES = ("home", "item", "cart")
# Rows: start, home, item, cart; columns: home, item, cart, conversion, exit.
LAW = np.array(
    [[0.6, 0.3, 0.1, 0.0, 0.0], [0.1, 0.5, 0.1, 0.0, 0.3], [0.2, 0.2, 0.3, 0.0, 0.3], [0.1, 0.2, 0.1, 0.4, 0.2]]
)
BROWSER = np.array(
    [[0.7, 0.3, 0.0, 0.0, 0.0], [0.3, 0.4, 0.1, 0.0, 0.2], [0.4, 0.3, 0.1, 0.0, 0.2], [0.3, 0.3, 0.1, 0.1, 0.2]]
)


def walk(law: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Walk once by a chain, or by one that also looks at the page before last (law of shape (4, 4, 5))."""
    before, here, walked = 0, 0, []
    while here < 4:
        row = law[here] if law.ndim == 2 else law[before, here]
        before, here = here, 1 + int(rng.choice(5, p=row))
        walked.append(here)
    return walked


def steps(
    walks: Sequence[Sequence[int]], people: Sequence[str | None] | None = None, **columns: Sequence
) -> ibis.Table:
    """Put walks in rows; `columns` (device, day ...) hold one value a walk, and `day` becomes `occurred_at`."""
    names = (START, *PAGES, CONVERSION)
    rows = []
    for number, walked in enumerate(walks):
        pages = [names[state] for state in walked if state < 5]
        known = people is not None and people[number] is not None
        for k, page in enumerate(pages):
            row = {
                "session": f"s{number}",
                "cluster": f"p {people[number]}" if known else f"s{number}",
                "known": known,
                "label": page,
                "row": len(rows) + 1,
                "converts": int(page == CONVERSION),
                "step": k,
                "previous": pages[k - 1] if k else START,
                "last": k == len(pages) - 1,
            }
            row |= {name: values[number] for name, values in columns.items() if name != "day"}
            if "day" in columns:
                row["occurred_at"] = pd.Timestamp("2026-01-01") + pd.Timedelta(
                    days=columns["day"][number], minutes=k
                )
            rows.append(row)
    return ibis.memtable(pd.DataFrame(rows))


def links_of(walks: Sequence[Sequence[int]]) -> list[tuple[tuple[int, ...], int]]:
    """Return (the states before, the state come to) of every link, states as numbers, 5 for exit."""
    return [(tuple(walked[:k]), walked[k]) for walked in walks for k in range(len(walked))]
