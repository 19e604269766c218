"""Every row has one place: from the lines of the files to the clean tables, counted and added up."""

import pandas as pd

# Places where rows end, in the order in which they are reached, and what each is called.
ENDS = {
    "n_left_out": "left out by `where`",
    "n_unparsed": "lines that do not fit their header",
    "n_quarantined": "in quarantine: a rule is broken",
    "n_withdrawn": "of customers who permit nothing",
    "n_set_aside": "set aside by a rule of cleaning",
}


def lay_out(places: pd.DataFrame) -> pd.DataFrame:
    """Return the waterfall of all tables together: place, n_rows, n_left (rows that go on after it).

    Args:
        places: One row a table: table, n_lines, one column for each of `ENDS` that applies, n_kept.
    """
    total = places.drop(columns="table").sum()
    ends = [column for column in ENDS if column in places.columns]
    steps = pd.DataFrame({"place": [ENDS[column] for column in ends], "n_rows": [int(total[c]) for c in ends]})
    steps["n_left"] = int(total.n_lines) - steps.n_rows.cumsum()
    first = ("came in", int(total.n_lines), int(total.n_lines))
    last = ("go on", int(total.n_kept), int(total.n_kept))
    names = list(steps.columns)
    return pd.concat([pd.DataFrame([first], columns=names), steps, pd.DataFrame([last], columns=names)])


def n_without_place(places: pd.DataFrame) -> int:
    """Return how many lines the places do not account for, or count twice, over all tables."""
    ends = [column for column in ENDS if column in places.columns]
    return int((places.n_lines - places[[*ends, "n_kept"]].sum(axis=1)).abs().sum())
