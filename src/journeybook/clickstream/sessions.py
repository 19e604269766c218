"""From events to sessions and from sessions to counts of steps, lazily in the engine."""

from dataclasses import dataclass

import ibis
import pandas as pd

START, CONVERSION, EXIT = "(start)", "(conversion)", "(exit)"
RESERVED = (START, CONVERSION, EXIT)
# The event that counts as conversion where none is named.
USUAL_CONVERSION = "purchase"
# People are put into so many random groups at most, and the groups are resampled. Three hexadecimal digits.
MOST_GROUPS = 4096
_DIGITS = 3


@dataclass(frozen=True, eq=False)
class StepCounts:
    """How often one step was followed by another, and what was counted on the way.

    Attributes:
        counts: Columns `group`, `source`, `target`, `n`; every session begins at `(start)` and ends in
            `(conversion)` or `(exit)`.
        conversion: Event that counts as conversion; None where every session ends in exit.
        n_events: Events read.
        n_sessions: Sessions, or walks of aggregated paths.
        n_conversions: Sessions that convert.
        n_people: People with an id; 0 where there are none.
        n_clusters: People, and sessions of unknown visitors; what the bootstrap draws.
        n_groups: Groups they were put into; as many as clusters unless there are more than 4,096.
        n_after_conversion: Events after the first conversion of their session, set aside.
        n_unplaced: Events with neither session nor customer, set aside.
        n_cut_by_log: Sessions without conversion within one gap of the log's first or last event, which may
            have begun before it or gone on after it; None where there are no times.
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
    n_unplaced: int
    n_cut_by_log: int | None
    aggregated: bool


def default_conversion(table: ibis.Table) -> str | None:
    """Return `purchase` where it is among the events, None where it is not; paths bring their own end."""
    if "path" in table.columns:
        return CONVERSION
    found = table.filter(table.event == USUAL_CONVERSION).count().execute()
    return USUAL_CONVERSION if found else None


def count_steps(table: ibis.Table, *, conversion: str | None, session_gap_minutes: float) -> StepCounts:
    """Count the steps of events or of aggregated paths.

    Args:
        table: Canonical `events`, with `person_id` where people are known, or canonical `paths`.
        conversion: Event at which a session is cut; None if every session ends in exit.
        session_gap_minutes: A pause strictly longer begins a new session, where no session is given.

    Raises:
        ValueError: The gap is not positive, an event bears a reserved name, or `conversion` never happens.
    """
    if not session_gap_minutes > 0:
        raise ValueError(f"session_gap_minutes is {session_gap_minutes}: it must be above 0.")
    if "path" in table.columns:
        return _count_paths(table)
    _check_names(table, conversion)
    placed = place(table, session_gap_minutes=session_gap_minutes)
    sizes = placed.aggregate(
        n_placed=placed.count(),
        n_people=placed.cluster.nunique(where=placed.known),
        n_clusters=placed.cluster.nunique(),
    )
    n_placed, n_people, n_clusters = (int(value) for value in sizes.to_pandas().iloc[0])
    counts = grouped_counts(cut(placed, conversion=conversion), many=n_clusters > MOST_GROUPS)
    n_events = int(table.count().execute())
    reached = counts.groupby("target")["n"].sum()
    n_conversions, n_exits = int(reached.get(CONVERSION, 0)), int(reached.get(EXIT, 0))
    return StepCounts(
        counts=counts,
        conversion=conversion,
        n_events=n_events,
        n_sessions=n_conversions + n_exits,
        n_conversions=n_conversions,
        n_people=n_people,
        n_clusters=n_clusters,
        n_groups=counts["group"].nunique(),
        # Every event that is kept is the target of one step.
        n_after_conversion=n_placed - int(reached.sum()) + n_exits,
        n_unplaced=n_events - n_placed,
        n_cut_by_log=_cut_by_log(placed, conversion, session_gap_minutes),
        aggregated=False,
    )


def session_steps(events: ibis.Table, *, conversion: str | None, session_gap_minutes: float) -> ibis.Table:
    """Return the events that are kept, one row each, with where they stand in their session.

    Args:
        events: Canonical `events`, with `person_id` where people are known.
        conversion: Event at which a session is cut; None if every session ends in exit.
        session_gap_minutes: A pause strictly longer begins a new session, where no session is given.

    Returns:
        Columns `session`, `cluster` (the person, or the session of an unknown visitor), `known` (whether it is a
        person), `label` (the event, the conversion as `(conversion)`), `occurred_at`, `position` and `row` as far
        as they are there, `channel` and `device` likewise, `converts` (1 for the conversion), `step` (from 0),
        `previous` (`(start)` for the first) and `last`.

    Raises:
        ValueError: The gap is not positive, an event bears a reserved name, or `conversion` never happens.
    """
    if not session_gap_minutes > 0:
        raise ValueError(f"session_gap_minutes is {session_gap_minutes}: it must be above 0.")
    _check_names(events, conversion)
    return cut(place(events, session_gap_minutes=session_gap_minutes), conversion=conversion)


def place(events: ibis.Table, *, session_gap_minutes: float) -> ibis.Table:
    """Give each event its session: the one given, or the customer's events without a longer pause.

    Events in one session are ordered by time, then position, then name of the event. Events with neither
    session nor customer are left out.

    Returns:
        Columns `session`, `cluster` (the person, or the session of an unknown visitor), `known` (whether it
        is a person), `label` (the event), the ordering columns, and `channel` and `device` where they are.
    """
    columns = events.columns
    person = events.person_id if "person_id" in columns else ibis.null("string")
    given = events.session_id if "session_id" in columns else ibis.null("string")
    base = events.mutate(person=person, given=given).filter(ibis._.given.notnull() | ibis._.person.notnull())
    if "session_id" in columns and not base.given.isnull().any().execute():
        base = base.mutate(session=base.given)
    else:
        base = _by_pause(base, session_gap_minutes)
    base = base.mutate(cluster=base.person.fill_null(base.session), known=base.person.notnull(), label=base.event)
    wanted = ["session", "cluster", "known", "label", *_order_names(columns)]
    return base.select(*wanted, *[name for name in ("channel", "device") if name in columns])


def _by_pause(base: ibis.Table, session_gap_minutes: float) -> ibis.Table:
    """Add `session`: the one given, or the person and the number of the run of events without a longer pause."""
    if "occurred_at" not in base.columns:
        return base.mutate(session=ibis.coalesce("s " + base.given, "p " + base.person))
    within = {"group_by": [base.person, base.given.isnull()], "order_by": _order(base)}
    gap = ibis.interval(seconds=round(session_gap_minutes * 60))
    opens = base.occurred_at > base.occurred_at.lag().over(**within) + gap
    base = base.mutate(opens=opens.fill_null(True).cast("int64"))
    number = base.opens.cumsum(group_by=[base.person, base.given.isnull()], order_by=_order(base))
    counted = "p " + base.person + " " + number.cast("string")
    return base.mutate(session=ibis.coalesce("s " + base.given, counted))


def cut(placed: ibis.Table, *, conversion: str | None) -> ibis.Table:
    """Cut each session at its first conversion and add `converts`, `step` (from 0), `previous` and `last`.

    The conversion's label becomes `(conversion)`.
    """
    within = {"group_by": placed.session, "order_by": _order(placed)}
    marked = placed.mutate(converts=_converts(placed, conversion).cast("int64"))
    kept = marked.filter(marked.converts.cumsum(**within) - marked.converts == 0)
    kept = kept.mutate(label=ibis.ifelse(kept.converts == 1, CONVERSION, kept.label))
    within = {"group_by": kept.session, "order_by": _order(kept)}
    return kept.mutate(
        step=ibis.row_number().over(**within),
        previous=kept.label.lag().over(**within).fill_null(START),
        last=kept.label.lead().over(**within).isnull(),
    )


def grouped_counts(kept: ibis.Table, *, many: bool) -> pd.DataFrame:
    """Count the steps of cut sessions by group of clusters, source and target.

    Args:
        kept: What `cut` returns.
        many: Put clusters into random groups by a hash of the order in which they first appear; without,
            each cluster is its own group. No value of an id plays a part.
    """
    steps = kept.select("cluster", "row", source=kept.previous, target=kept.label)
    leaves = kept.filter(kept.last & (kept.label != CONVERSION))
    steps = steps.union(leaves.select("cluster", "row", source=leaves.label, target=ibis.literal(EXIT)))
    counts = steps.group_by("cluster", "source", "target").aggregate(n=ibis._.count(), row=ibis._.row.min())
    counts = counts.mutate(first=counts.row.min().over(group_by=counts.cluster))
    # The rank, not the row: rows that nobody may read must leave no trace in the groups.
    rank = ibis.dense_rank().over(order_by=counts["first"]).cast("string")
    group = rank.hexdigest("md5").substr(0, _DIGITS) if many else rank
    counts = counts.mutate(group=group).group_by("group", "source", "target").aggregate(n=ibis._.n.sum())
    found = counts.order_by("group", "source", "target").to_pandas()
    return found.astype({"n": "int64"})


def _cut_by_log(placed: ibis.Table, conversion: str | None, session_gap_minutes: float) -> int | None:
    """Count the sessions without conversion that reach within one gap of the log's first or last event."""
    if "occurred_at" not in placed.columns:
        return None
    sessions = placed.group_by("session").aggregate(
        converts=_converts(placed, conversion).any(),
        opens=placed.occurred_at.min(),
        closes=placed.occurred_at.max(),
    )
    gap = ibis.interval(seconds=round(session_gap_minutes * 60))
    edges = sessions.mutate(first=sessions.opens.min().over(), final=sessions.closes.max().over())
    near = (edges.closes + gap >= edges.final) | (edges.opens <= edges["first"] + gap)
    return int((near & ~edges.converts).sum().execute() or 0)


def _converts(placed: ibis.Table, conversion: str | None) -> ibis.Value:
    """Return whether an event is the conversion; none is where none is named, for no event has a reserved name."""
    return placed.label == (CONVERSION if conversion is None else conversion)


def _count_paths(paths: ibis.Table) -> StepCounts:
    """Count the steps of canonical `paths`; they end in conversion or exit in the numbers given."""
    totals = (
        paths.aggregate(n=paths.count(), conversions=paths.conversions.sum(), nulls=paths.nulls.sum())
        .to_pandas()
        .iloc[0]
    )
    steps = path_steps(paths)
    _check_labels(sorted(steps.select(steps.label).distinct().to_pandas()["label"]))
    walked = steps.conversions + steps.nulls
    inner = steps.select(source=steps.previous, target=steps.label, n=walked)
    ends = steps.filter(steps.last)
    won = ends.select(source=ends.label, target=ibis.literal(CONVERSION), n=ends.conversions)
    lost = ends.select(source=ends.label, target=ibis.literal(EXIT), n=ends.nulls)
    counts = inner.union(won).union(lost).group_by("source", "target").aggregate(n=ibis._.n.sum())
    found = counts.filter(counts.n > 0).order_by("source", "target").to_pandas().astype({"n": "int64"})
    n_conversions, n_nulls = int(totals["conversions"] or 0), int(totals["nulls"] or 0)
    return StepCounts(
        counts=found.assign(group="all")[["group", "source", "target", "n"]],
        conversion=CONVERSION if n_conversions else None,
        n_events=int(totals["n"]),
        n_sessions=n_conversions + n_nulls,
        n_conversions=n_conversions,
        n_people=0,
        n_clusters=n_conversions + n_nulls,
        n_groups=1,
        n_after_conversion=0,
        n_unplaced=0,
        n_cut_by_log=None,
        aggregated=True,
    )


def path_steps(paths: ibis.Table) -> ibis.Table:
    """Return one row a step of aggregated paths: `row`, `step`, `label`, `previous`, `last`, the two numbers."""
    parts = paths.select("row", "conversions", "nulls", part=paths.path.split(">"))
    steps = parts.select(
        "row",
        "conversions",
        "nulls",
        n=parts.part.length(),
        step=ibis.range(0, parts.part.length()).unnest(),
        part=parts.part,
    )
    steps = steps.mutate(label=steps.part[steps.step].strip(), last=steps.step == steps.n - 1)
    previous = steps.label.lag().over(group_by=steps.row, order_by=steps.step).fill_null(START)
    return steps.mutate(previous=previous).drop("part", "n")


def _check_names(events: ibis.Table, conversion: str | None) -> None:
    named = events.filter(events.event.isin(RESERVED)).event.first().execute()
    _check_labels([named] if isinstance(named, str) else [])
    if conversion is None or events.filter(events.event == conversion).count().execute():
        return
    common = events.group_by("event").aggregate(n=ibis._.count()).order_by(ibis.desc("n"), "event").limit(8)
    names = ", ".join(common.to_pandas()["event"])
    raise ValueError(f"conversion is {conversion!r}, which never happens; the most frequent events are {names}.")


def _check_labels(labels: list[str]) -> None:
    taken = [label for label in labels if label in RESERVED]
    if taken:
        raise ValueError(f"a step is named {taken[0]!r}: the names {', '.join(RESERVED)} are reserved.")


def _order_names(columns: tuple[str, ...]) -> list[str]:
    return [name for name in ("occurred_at", "position", "row") if name in columns]


def _order(table: ibis.Table) -> list:
    name = "label" if "label" in table.columns else "event"
    order = [table[column] for column in _order_names(table.columns) if column != "row"]
    return [*order, table[name], table["row"]]
