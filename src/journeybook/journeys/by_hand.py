"""Sessions and steps once more, in plain pandas and by the written rules: what the pages' checks hold against."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import ibis
import numpy as np
import pandas as pd

from journeybook.journeys.sessions import CONVERSION, EXIT, PACED, START, session_steps

MOST_RECOUNTED = 1_000_000
"""Events that are counted again, at most; of a larger log nothing is, and the checks are left out."""

_PEOPLE_SPLIT = 300
_COLUMNS = ["name", "value", "reference", "tolerance", "source"]


def checks_of(apart: Mapping[str, float], *, source: str = "plain pandas, from the events") -> pd.DataFrame:
    """Return differences that must be none as rows that `Page.hold` takes."""
    rows = [(name, float(value), 0.0, 1e-6, source) for name, value in apart.items()]
    return pd.DataFrame(rows, columns=_COLUMNS)


def sessions_by_hand(
    events: pd.DataFrame,
    *,
    conversion: str | None,
    session_gap_minutes: float,
    least_events: int,
    most_events: int | None,
    least_pause_seconds: float,
) -> pd.DataFrame:
    """Return the events kept, with `session`, `person`, `label`, `previous`, `step` and `last`."""
    timed = "occurred_at" in events and events["occurred_at"].notna().any()
    events = events[events["occurred_at"].notna()] if timed else events.assign(occurred_at=pd.Timestamp(0))
    person = events["person_id"] if "person_id" in events else pd.Series(None, events.index, dtype=object)
    given = events["session_id"] if "session_id" in events else pd.Series(None, events.index, dtype=object)
    line = ("s " + given.astype("string")).fillna("p " + person.astype("string"))
    order = ["line", "occurred_at", *[c for c in ("position",) if c in events], "event", "row"]
    frame = events.assign(person=person, splits=given.isna(), line=pd.factorize(line, sort=True)[0])
    frame = frame[given.notna() | person.notna()].sort_values(order, ignore_index=True)
    pause = frame["occurred_at"].diff().dt.total_seconds()
    opens = (frame["line"] != frame["line"].shift()) | (frame["splits"] & (pause > session_gap_minutes * 60))
    frame["session"] = opens.cumsum()
    by_session = frame.groupby("session")["occurred_at"]
    size = by_session.transform("size")
    took = (by_session.transform("max") - by_session.transform("min")).dt.total_seconds()
    machine = (size >= PACED) & (took > 0) & (took < least_pause_seconds * (size - 1))
    machine |= size > (most_events or np.inf)
    won = frame["event"].eq(conversion)
    after = won.groupby(frame["session"]).cumsum() - won > 0
    kept = frame[~machine & (size >= least_events) & ~after].copy()
    kept["label"] = kept["event"].where(kept["event"] != conversion, CONVERSION)
    kept["step"] = kept.groupby("session").cumcount()
    kept["previous"] = kept.groupby("session")["event"].shift().fillna(START)
    kept["last"] = ~kept.duplicated("session", keep="last")
    return kept


def sessions_apart(
    mine: pd.DataFrame, steps: ibis.Table, events: pd.DataFrame, rules: Mapping[str, Any]
) -> dict[str, float]:
    """Count the events that `session_steps` places otherwise than `sessions_by_hand`.

    Some people's events are also split at pauses as if the data named no session, here and there alike.
    """
    found: dict[str, float] = {"events whose place in their session differs": _misplaced(mine, steps)}
    if {"person_id", "occurred_at"} <= set(events.columns):
        some = events["person_id"].drop_duplicates().dropna().iloc[:_PEOPLE_SPLIT]
        part = events[events["person_id"].isin(some)].drop(columns="session_id", errors="ignore")
        if len(part):
            again = session_steps(ibis.memtable(part), **rules)
            own = sessions_by_hand(part, **rules)
            found["events misplaced where pauses split sessions"] = _misplaced(own, again)
    return found


def _misplaced(mine: pd.DataFrame, steps: ibis.Table) -> int:
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


def walked_by_hand(paths: pd.DataFrame) -> pd.DataFrame:
    """Return the steps of paths with their numbers: `source`, `target`, `n`."""
    found = []
    for row in paths.itertuples():
        way = [START, *(step.strip() for step in row.path.split(">"))]
        found += [(a, b, row.conversions + row.nulls) for a, b in pairwise(way)]
        found += [(way[-1], CONVERSION, row.conversions), (way[-1], EXIT, row.nulls)]
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
