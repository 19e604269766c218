"""Sessions and steps once more, in plain pandas and by the written rules: what the pages' checks hold against."""

import re
from collections.abc import Mapping
from itertools import pairwise

import ibis
import numpy as np
import pandas as pd

from journeybook.journeys.sessions import CONVERSION, EXIT, PACED, START

MOST_RECOUNTED = 1_000_000
"""Events that are counted again, at most; of a larger log nothing is, and the checks are left out."""

_WALKED = ("row", "session_id", "person_id", "event", "occurred_at", "instant", "position", "channel", "device")


def checks_of(apart: Mapping[str, float], *, source: str = "plain pandas, from the events") -> pd.DataFrame:
    """Return differences that must be none as rows that `Page.hold` takes."""
    rows = [(name, float(value), 0.0, 1e-6, source) for name, value in apart.items()]
    return pd.DataFrame(rows, columns=["name", "value", "reference", "tolerance", "source"])


def read_out(rows: ibis.Table) -> pd.DataFrame:
    """Return paths, or events in their order with what sessions and steps go by."""
    walked = [c for c in _WALKED if c in rows.columns]
    return (rows.select(walked) if "event" in walked else rows).order_by("row").to_pandas()


def sessions_by_hand(
    events: pd.DataFrame,
    *,
    conversion: str | None,
    session_gap_minutes: float,
    least_events: int,
    most_events: int | None,
    least_pause_seconds: float,
    several_conversions: str = "first",
) -> pd.DataFrame:
    """Return the events kept, with `session`, `person`, `moment`, `label`, `previous`, `step` and `last`."""
    timed = "occurred_at" in events and events["occurred_at"].notna().any()
    events = events[events["occurred_at"].notna()] if timed else events.assign(occurred_at=pd.Timestamp(0))
    nobody = pd.Series(None, events.index, dtype=object)
    given, person = events.get("session_id", nobody), events.get("person_id", nobody)
    person = person.fillna(person.groupby(given).transform("first"))
    line = ("s " + given.astype("string")).fillna("p " + person.astype("string"))
    events = events.assign(moment=events["instant" if timed and "instant" in events else "occurred_at"])
    order = ["line", "moment", *[c for c in ("position",) if c in events], "row"]
    frame = events.assign(person=person, splits=given.isna(), line=pd.factorize(line)[0])
    frame = frame[given.notna() | person.notna()].sort_values(order, ignore_index=True)
    pause = frame["moment"].diff().dt.total_seconds()
    opens = (frame["line"] != frame["line"].shift()) | (frame["splits"] & (pause > session_gap_minutes * 60))
    frame["session"] = opens.cumsum()
    by_session = frame.groupby("session")["moment"]
    size = by_session.transform("size")
    took = (by_session.transform("max") - by_session.transform("min")).dt.total_seconds()
    machine = (size >= PACED) & (took > 0) & (took < least_pause_seconds * (size - 1))
    machine |= size > (most_events or np.inf)
    won = frame["event"].eq(conversion)
    total = won.groupby(frame["session"]).transform("sum")
    frame["sold"] = won.groupby(frame["session"]).cumsum() - won
    after = (frame["sold"] >= (1 if several_conversions == "first" else total)) & (total > 0)
    ends = won & ((several_conversions != "last") | (frame["sold"] == total - 1))
    frame["label"] = frame["event"].mask(ends, CONVERSION)
    kept = frame[~machine & (size >= least_events) & ~after].copy()
    if several_conversions == "each":
        kept["session"] = kept.groupby(["session", "sold"]).ngroup()
    kept["step"] = kept.groupby("session").cumcount()
    kept["previous"] = kept.groupby("session")["event"].shift().fillna(START)
    kept["last"] = ~kept.duplicated("session", keep="last")
    return kept


def misplaced(mine: pd.DataFrame, steps: ibis.Table) -> int:
    """Count the events that `session_steps` places otherwise than `sessions_by_hand`."""
    columns = ["row", "label", "previous", "step", "last"]
    both = mine[columns].merge(steps.select(columns).to_pandas(), on="row", how="outer", indicator=True)
    same = both["_merge"].eq("both")
    for name in columns[1:]:
        same &= both[f"{name}_x"].eq(both[f"{name}_y"])
    return int((~same).sum())


def links_by_hand(mine: pd.DataFrame) -> pd.DataFrame:
    """Return every step of sessions by hand, the last of each into conversion or exit."""
    leaves = mine[mine["last"] & (mine["label"] != CONVERSION)]
    ends = leaves.drop(columns="previous").rename(columns={"label": "source"}).assign(target=EXIT)
    return pd.concat([mine.rename(columns={"previous": "source", "label": "target"}), ends]).assign(n=1)


def parts_by_hand(path: str, separator: str) -> list[str]:
    """Return the steps of a path between its separators, a regular expression; empty ones are left out."""
    return [step.strip() for step in re.split(separator, path) if step.strip()]


def walked_by_hand(paths: pd.DataFrame, separator: str) -> pd.DataFrame:
    """Return the steps of paths with their numbers: `source`, `target`, `n`."""
    found = []
    for row in paths.itertuples():
        way = [START, *parts_by_hand(row.path, separator)]
        won, lost = float(row.conversions), float(row.nulls)
        found += [(a, b, won + lost) for a, b in pairwise(way)] + [
            (way[-1], CONVERSION, won),
            (way[-1], EXIT, lost),
        ]
    return pd.DataFrame(found, columns=["source", "target", "n"])


def crossed(steps: pd.DataFrame) -> pd.DataFrame:
    """Return counts with a row a source and a column a target."""
    return steps.groupby(["source", "target"], observed=True)["n"].sum().unstack(fill_value=0)


def solved(p: pd.DataFrame) -> pd.Series:
    """Return the chance of conversion by state, from a table of probabilities with a row a state."""
    inside = p.reindex(columns=p.index, fill_value=0.0).to_numpy()
    straight = p[CONVERSION].to_numpy() if CONVERSION in p else np.zeros(len(p))
    return pd.Series(np.linalg.solve(np.eye(len(p)) - inside, straight), p.index)


def apart(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """Return the greatest difference between two tables, a missing cell counting as 0."""
    return float((ours.sub(theirs, fill_value=0).fillna(0)).abs().to_numpy().max())
