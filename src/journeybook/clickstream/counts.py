"""From sessions to counts of steps: by group of people, lot by lot, and by place in the session."""

from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from journeybook.journeys.links import check_ends, links, path_separator, path_steps
from journeybook.journeys.sessions import (
    AFTER,
    CONVERSION,
    EXIT,
    KEPT,
    MACHINE,
    SHORT,
    START,
    Log,
    Lot,
    check_labels,
    computed,
    kept_of,
    open_log,
    steps_of_lots,
    walk,
)

_FATES = (KEPT, MACHINE, SHORT, AFTER)


@dataclass(frozen=True, eq=False)
class StepCounts:
    """How often one step was followed by another, and what was counted on the way.

    Attributes:
        counts: Columns `group`, `source`, `target`, `n`; every session begins at `(start)` and ends in
            `(conversion)` or `(exit)`.
        conversion: Event that counts as conversion; None where every session ends in exit.
        n_events: Events read, or aggregated paths.
        n_sessions: Sessions, or walks of aggregated paths; a fraction where their numbers are.
        n_conversions: Sessions that convert.
        n_clusters: People, and sessions of unknown visitors; what the bootstrap draws.
        aggregated: Whether the input were paths with their numbers; people are then unknown.
        n_people: People with an id.
        n_tied: Events that only the order of the rows puts after the one before them in their session.
        n_after_conversion: Events after the conversion that ends their session, set aside.
        n_machine_sessions: Sessions taken for a machine's, set aside.
        n_short_sessions: Sessions of fewer than `least_events` events, set aside.
        n_unplaced: Events with neither session nor customer, or without a time where others have one, set aside.
        n_cut_by_log: Sessions without conversion within one gap of the log's first or last event, which may
            have begun before it or gone on after it; 0 where there are no times.
        n_empty_steps: Empty steps of aggregated paths, left out.
        separator: What stands between the steps of aggregated paths, as a regular expression.
    """

    counts: pd.DataFrame
    conversion: str | None
    n_events: int
    n_sessions: float
    n_conversions: float
    n_clusters: float
    aggregated: bool
    n_people: int = 0
    n_tied: int = 0
    n_after_conversion: int = 0
    n_machine_sessions: int = 0
    n_short_sessions: int = 0
    n_unplaced: int = 0
    n_cut_by_log: int = 0
    n_empty_steps: int = 0
    separator: str = ""


@dataclass(frozen=True, eq=False)
class Walked:
    """Sessions walked once: their steps counted, and kept one by one as `steps_of` returns them."""

    counts: StepCounts
    steps: ibis.Table


def walk_sessions(table: ibis.Table, *, conversion: str | None, **rules: Any) -> Walked:
    """Count the steps of events or of aggregated paths, and keep each for what is asked next.

    The arguments and the errors are those of `count_steps`.
    """
    if "path" in table.columns:
        return Walked(count_steps(table, conversion=conversion), path_steps(table))
    kept: list[pa.RecordBatch] = []
    with open_log(table) as log:
        counts = _count(log, kept, conversion=conversion, **rules)
        return Walked(counts, computed(steps_of_lots(log, kept)))


def count_steps(table: ibis.Table, *, conversion: str | None, **rules: Any) -> StepCounts:
    """Count the steps of events or of aggregated paths.

    Args:
        table: Canonical `events`, with `person_id` where people are known, or canonical `paths`.
        conversion: Event at which a session is cut; None if every session ends in exit.
        rules: The other arguments of `sessions.walk`, of no use for paths.

    Raises:
        ValueError: `session_steps` refuses the events, `conversion` never happens, no session is left, or a path
            holds a reserved name.
    """
    if "path" in table.columns:
        check_ends(conversion)
        return _count_paths(table)
    with open_log(table) as log:
        return _count(log, None, conversion=conversion, **rules)


def _count(log: Log, kept: list[pa.RecordBatch] | None, *, conversion: str | None, **rules: Any) -> StepCounts:
    """Walk through a log and count; the kept events are added to `kept`, where it is a list."""
    if conversion is not None and conversion not in log.names:
        raise ValueError(
            f"conversion is {conversion!r}, which never happens; the most frequent events are "
            f"{', '.join(log.frequent)}."
        )
    tallies = []
    for lot in walk(log, conversion=conversion, **rules):
        tallies.append(_tally(lot, log))
        if kept is not None:
            kept.append(kept_of(lot, log))
    clusters = log.clusters.aggregate(n=log.clusters.count(), n_people=log.clusters.known.sum())
    sizes = clusters.to_pandas().fillna(0).iloc[0]
    # Groups are whole in a lot, so that what was counted in one needs no adding up with another.
    counts = pd.concat([tally.counts for tally in tallies], ignore_index=True)
    events, sessions = (sum(getattr(tally, name) for tally in tallies) for name in ("events", "sessions"))
    if not sessions[KEPT]:
        raise ValueError(
            f"no session is left: of {sessions.sum():,}, {sessions[SHORT]:,} have fewer events than least_events, "
            f"{rules.get('least_events', 1)}, and {sessions[MACHINE]:,} are taken for machines' by most_events "
            "and least_pause_seconds."
        )
    return StepCounts(
        counts=counts,
        conversion=conversion,
        n_events=log.n_events,
        n_sessions=int(sessions[KEPT]),
        n_conversions=int(counts.loc[counts["target"] == CONVERSION, "n"].sum()),
        n_clusters=int(sizes["n"]),
        aggregated=False,
        n_people=int(sizes["n_people"]),
        n_tied=sum(tally.n_tied for tally in tallies),
        n_after_conversion=int(events[AFTER]),
        n_machine_sessions=int(sessions[MACHINE]),
        n_short_sessions=int(sessions[SHORT]),
        n_unplaced=log.n_events - int(events.sum()),
        n_cut_by_log=sum(tally.n_cut_by_log for tally in tallies) if log.begins is not None else 0,
    )


@dataclass(frozen=True, eq=False)
class _Tally:
    """What one lot adds: counts as `StepCounts` has them, events and sessions by fate, and two numbers."""

    counts: pd.DataFrame
    events: NDArray[np.int64]
    sessions: NDArray[np.int64]
    n_tied: int
    n_cut_by_log: int


def _tally(lot: Lot, log: Log) -> _Tally:
    kept = lot.fate == KEPT
    leaves = kept & lot.final & ~lot.converts
    group = np.concatenate([lot.group[kept], lot.group[leaves]])
    source = np.concatenate([lot.previous[kept], lot.label[leaves]])
    target = np.concatenate([lot.label[kept], np.full(leaves.sum(), log.code(EXIT))])
    size = len(log.names)
    place, key = pd.factorize((group.astype("int64") * size + source) * size + target)
    ends = (pd.Categorical.from_codes(code, categories=log.names) for code in (key // size % size, key % size))
    columns = dict(zip(("source", "target"), ends, strict=True))
    columns |= {"n": np.bincount(place)}
    return _Tally(
        counts=pd.DataFrame({"group": key // size**2} | columns),
        events=np.bincount(lot.fate, minlength=len(_FATES)),
        sessions=np.bincount(lot.fate[lot.opens], minlength=len(_FATES)),
        n_tied=int(lot.tied.sum()),
        n_cut_by_log=int(lot.by_edge[leaves].sum()),
    )


def _count_paths(paths: ibis.Table) -> StepCounts:
    """Count the steps of canonical `paths`; they end in conversion or exit in the numbers given."""
    steps = path_steps(paths)
    check_labels(sorted(steps.select(steps.label).distinct().to_pandas()["label"]), "a step of a path")
    counts = links(steps).group_by("source", "target").aggregate(n=ibis._.n.sum())
    found = counts.order_by("source", "target").to_pandas().astype({"n": float})
    ends = found.groupby("target")["n"].sum()
    n_conversions, n_walks = ends.get(CONVERSION, 0), found.loc[found["source"] == START, "n"].sum()
    separator = path_separator(paths)
    n_parts = paths.path.re_split(separator).length().sum().execute() or 0
    return StepCounts(
        counts=found.assign(group="all")[["group", "source", "target", "n"]],
        conversion=CONVERSION if n_conversions else None,
        n_events=int(paths.count().execute()),
        n_sessions=n_walks,
        n_conversions=n_conversions,
        n_clusters=n_walks,
        aggregated=True,
        n_empty_steps=int(n_parts) - int(steps.count().execute()),
        separator=separator,
    )
