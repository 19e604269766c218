"""From sessions to counts of steps by group of people, in one pass of the engine."""

from dataclasses import dataclass

import ibis
import pandas as pd

from journeybook.clickstream.sessions import (
    AFTER,
    CONVERSION,
    EXIT,
    KEPT,
    MACHINE,
    MOST_GROUPS,
    SHORT,
    check_labels,
    mark_events,
    path_steps,
    with_clusters,
)

# Spreads neighbouring numbers over all groups.
_MULTIPLIER = 0x45D9F3B
_COUNTS = ("group", "source", "target", "n", "seconds")


@dataclass(frozen=True, eq=False)
class StepCounts:
    """How often one step was followed by another, and what was counted on the way.

    Attributes:
        counts: Columns `group`, `source`, `target`, `n`, `seconds` (all that these steps took; 0 where there are
            no times, and for the first and the last step of a session, which take none that is seen); every
            session begins at `(start)` and ends in `(conversion)` or `(exit)`.
        conversion: Event that counts as conversion; None where every session ends in exit.
        n_events: Events read.
        n_sessions: Sessions, or walks of aggregated paths.
        n_conversions: Sessions that convert.
        n_people: People with an id; 0 where there are none.
        n_clusters: People, and sessions of unknown visitors; what the bootstrap draws.
        n_groups: Groups they were put into; as many as clusters unless there are more than 4,096.
        n_after_conversion: Events after the first conversion of their session, set aside.
        n_one_event: Sessions of one event; they are kept unless `least_events` says otherwise.
        n_machine_sessions: Sessions taken for a machine's, set aside.
        n_machine_events: Their events.
        n_short_sessions: Sessions of fewer than `least_events` events, set aside.
        n_unplaced: Events with neither session nor customer, set aside.
        n_cut_by_log: Sessions without conversion within one gap of the log's first or last event, which may
            have begun before it or gone on after it; None where there are no times.
        timed: Whether the events have times.
        aggregated: Whether the input were paths with their numbers; people are then unknown.
    """

    counts: pd.DataFrame
    conversion: str | None
    n_events: int
    n_sessions: int
    n_conversions: int
    n_people: int
    n_clusters: int
    n_groups: int
    n_after_conversion: int
    n_one_event: int
    n_machine_sessions: int
    n_machine_events: int
    n_short_sessions: int
    n_unplaced: int
    n_cut_by_log: int | None
    timed: bool
    aggregated: bool


def count_steps(
    table: ibis.Table,
    *,
    conversion: str | None,
    session_gap_minutes: float,
    least_events: int = 1,
    most_events: int | None = None,
    least_pause_seconds: float = 0.0,
) -> StepCounts:
    """Count the steps of events or of aggregated paths.

    Args:
        table: Canonical `events`, with `person_id` where people are known, or canonical `paths`.
        conversion: Event at which a session is cut; None if every session ends in exit.
        session_gap_minutes: As `session_steps` takes it, like the three that follow.
        least_events: Sessions of fewer events are set aside.
        most_events: Sessions of more events are set aside, as a machine's.
        least_pause_seconds: Longer sessions that go faster are set aside, as a machine's.

    Raises:
        ValueError: `session_steps` refuses the events, or the paths hold a reserved name.
    """
    if "path" in table.columns:
        return _count_paths(table)
    placed = with_clusters(table)
    clusters = number_clusters(placed)
    sizes = clusters.aggregate(n=clusters.count(), n_people=clusters.known.sum()).to_pandas().fillna(0).iloc[0]
    marked = mark_events(
        _slim(placed, clusters),
        conversion=conversion,
        session_gap_minutes=session_gap_minutes,
        least_events=least_events,
        most_events=most_events,
        least_pause_seconds=least_pause_seconds,
    )
    marked = marked.mutate(group=_group(marked.cluster, many=bool(sizes["n"] > MOST_GROUPS)))
    found = _counted(marked, _near_edges(marked, table, session_gap_minutes))
    kept = found[found["fate"] == KEPT]
    exits = kept.groupby(["group", "target"], as_index=False)["n_exits"].sum().query("n_exits > 0")
    exits = exits.assign(seconds=0, exit=EXIT).set_axis(["group", "source", "n", "seconds", "target"], axis=1)
    counts = pd.concat([kept[[*_COUNTS]], exits[[*_COUNTS]]], ignore_index=True)
    by_fate = found.groupby("fate")[["n", "n_sessions"]].sum().reindex([KEPT, MACHINE, SHORT, AFTER], fill_value=0)
    n_events = int(table.count().execute())
    return StepCounts(
        counts=counts,
        conversion=conversion,
        n_events=n_events,
        n_sessions=int(by_fate.loc[KEPT, "n_sessions"]),
        n_conversions=int(counts.loc[counts["target"] == CONVERSION, "n"].sum()),
        n_people=int(sizes["n_people"]),
        n_clusters=int(sizes["n"]),
        n_groups=counts["group"].nunique(),
        n_after_conversion=int(by_fate.loc[AFTER, "n"]),
        n_one_event=int(found["n_one_event"].sum()),
        n_machine_sessions=int(by_fate.loc[MACHINE, "n_sessions"]),
        n_machine_events=int(by_fate.loc[MACHINE, "n"]),
        n_short_sessions=int(by_fate.loc[SHORT, "n_sessions"]),
        n_unplaced=n_events - int(by_fate["n"].sum()),
        n_cut_by_log=int(found["n_cut_by_log"].sum()) if "occurred_at" in marked.columns else None,
        timed="occurred_at" in table.columns,
        aggregated=False,
    )


def cluster_groups(events: ibis.Table) -> ibis.Table:
    """Put people, and sessions of unknown visitors, into the groups that the bootstrap draws.

    Up to `MOST_GROUPS` of them are each a group of their own. More are hashed into as many groups by the order in
    which they first appear. No value of an id plays a part, nor does a row that may not be read.

    Args:
        events: Events with `cluster`, `known` and `row`.

    Returns:
        Columns `cluster`, `group`.
    """
    clusters = number_clusters(events)
    many = ibis._.count().over() > MOST_GROUPS
    group = ibis.ifelse(many, _group(clusters.number, many=True), _group(clusters.number, many=False))
    return clusters.select("cluster", group=group)


def number_clusters(events: ibis.Table) -> ibis.Table:
    """Number people, and sessions of unknown visitors, by the order in which they first appear.

    Returns:
        Columns `cluster`, `known`, `number` (from 1).
    """
    clusters = events.group_by("cluster").aggregate(known=events.known.any(), first=events.row.min())
    # The rank, not the row: rows that may not be read must leave no trace in the groups.
    number = ibis.row_number().over(order_by=clusters["first"]) + 1
    return clusters.select("cluster", "known", number=number.cast("int32"))


def _group(number: ibis.Value, *, many: bool) -> ibis.Value:
    """Return the group of a cluster: its number or, of many, a hash of it (32-bit, multiply and shift)."""
    if not many:
        return number.cast("int64")
    mixed = number.cast("int64")
    for _ in range(2):
        mixed = ((mixed ^ (mixed >> 16)) * _MULTIPLIER) % 2**32
    return (mixed ^ (mixed >> 16)) % MOST_GROUPS


def _slim(events: ibis.Table, clusters: ibis.Table) -> ibis.Table:
    """Keep what counting needs, with numbers for ids where there are ids of one kind: they sort faster."""
    joined = events.join(clusters.select("cluster", "number"), "cluster")
    kept = [name for name in ("event", "occurred_at", "position") if name in events.columns]
    ids = {name: joined[name] for name in ("session_id", "person_id") if name in events.columns}
    if len(ids) == 1:
        ids = dict.fromkeys(ids, joined.number)
    return joined.select(*kept, "known", cluster=joined.number, **ids)


def _counted(marked: ibis.Table, near_edges: ibis.Value) -> pd.DataFrame:
    """Count marked events by group, fate and, of those that are kept, source and target."""
    kept = marked.fate == KEPT
    leaves = marked.final & ~marked.converts & kept
    nothing = ibis.null("string")
    source, target = (ibis.ifelse(kept, name, nothing) for name in (marked.previous, marked.label))
    found = marked.group_by("group", "fate", source=source, target=target).aggregate(
        n=marked.count(),
        n_exits=marked.count(where=leaves),
        seconds=marked.seconds.sum(),
        n_sessions=marked.count(where=marked.opens),
        n_one_event=marked.count(where=marked.opens & marked.final),
        n_cut_by_log=marked.count(where=leaves & near_edges),
    )
    return found.order_by("group", "fate", "source", "target").to_pandas()


def _near_edges(marked: ibis.Table, table: ibis.Table, session_gap_minutes: float) -> ibis.Value:
    """Return whether a session that ends here reaches within one gap of the first or last event of the log."""
    if "occurred_at" not in table.columns:
        return ibis.literal(False)
    log = table.aggregate(first=table.occurred_at.min(), final=table.occurred_at.max()).to_pandas().iloc[0]
    gap = pd.Timedelta(minutes=session_gap_minutes)
    return (marked.occurred_at >= log["final"] - gap) | (marked.opened_at <= log["first"] + gap)


def _count_paths(paths: ibis.Table) -> StepCounts:
    """Count the steps of canonical `paths`; they end in conversion or exit in the numbers given."""
    totals = (
        paths.aggregate(n=paths.count(), conversions=paths.conversions.sum(), nulls=paths.nulls.sum())
        .to_pandas()
        .iloc[0]
    )
    steps = path_steps(paths)
    check_labels(sorted(steps.select(steps.label).distinct().to_pandas()["label"]))
    walked = steps.conversions + steps.nulls
    inner = steps.select(source=steps.previous, target=steps.label, n=walked)
    ends = steps.filter(steps.last)
    won = ends.select(source=ends.label, target=ibis.literal(CONVERSION), n=ends.conversions)
    lost = ends.select(source=ends.label, target=ibis.literal(EXIT), n=ends.nulls)
    counts = inner.union(won).union(lost).group_by("source", "target").aggregate(n=ibis._.n.sum())
    found = counts.filter(counts.n > 0).order_by("source", "target").to_pandas().astype({"n": "int64"})
    n_conversions, n_nulls = int(totals["conversions"] or 0), int(totals["nulls"] or 0)
    return StepCounts(
        counts=found.assign(group="all", seconds=0)[["group", "source", "target", "n", "seconds"]],
        conversion=CONVERSION if n_conversions else None,
        n_events=int(totals["n"]),
        n_sessions=n_conversions + n_nulls,
        n_conversions=n_conversions,
        n_people=0,
        n_clusters=n_conversions + n_nulls,
        n_groups=1,
        n_after_conversion=0,
        n_one_event=0,
        n_machine_sessions=0,
        n_machine_events=0,
        n_short_sessions=0,
        n_unplaced=0,
        n_cut_by_log=None,
        timed=False,
        aggregated=True,
    )
