"""From events to sessions: what a session is, which count, where each is cut.

The engine puts small numbers in order, once, and hands them over; NumPy walks through them in lots of whole
visitors. Windows in the engine sort twice, to find the pauses and again to number what lies between them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from journeybook.journeys.visitors import cluster_groups, line_groups, with_lines

START, CONVERSION, EXIT = "(start)", "(conversion)", "(exit)"
RESERVED = (START, CONVERSION, EXIT)
# Fewest events of a session whose pace is judged: a person may open a few pages at once.
PACED = 10
# What becomes of an event: kept, or set aside for what its session is or for coming after its conversion.
KEPT, MACHINE, SHORT, AFTER = range(4)
# Kinds of event, at most: beyond, the draws behind the intervals ask for more memory than a page has.
MOST_KINDS = 1_000
SEVERAL = ("first", "last", "each")
# Events read at a time, at most.
_LOT = 1_000_000
_SECOND = np.timedelta64(1, "s")
_STEPS = pa.schema(
    {"row": "int64", "number": "int64", "converts": "int64", "step": "int64", "previous": "string", "last": "bool"}
)


def said(name: str) -> str:
    """Return the name of a state or channel in words.

    >>> [said(name) for name in ("(start)", "(exit)", "paid_search", "(unknown)")]
    ['the entry', 'leaving', 'paid search', 'unknown']
    """
    ends = {START: "the entry", CONVERSION: "conversion", EXIT: "leaving"}
    return ends.get(name, name.strip("()").replace("_", " "))


@dataclass(frozen=True, eq=False)
class Log:
    """What is known of a log of events before it is walked through.

    Attributes:
        events: Those that have a session or a customer, with `cluster`, `known` and `line`: what is walked through
            in one go, the events of a customer or a session that the data name.
        clusters: `cluster`, `known`, `group`.
        lines: `line`, `group` and `place`, from 0 in the order of the groups.
        codes: `event` and `code`, of every name.
        names: Every event and the reserved names, in order; the code of a name is its place here.
        frequent: The events seen most, eight at most.
        n_events: Events, those with neither session nor customer, or without a time, among them.
        begins: Time of the first event; None where there are no times.
        ends: Time of the last.
    """

    events: ibis.Table
    clusters: ibis.Table
    lines: ibis.Table
    codes: ibis.Table
    names: NDArray[np.object_]
    frequent: tuple[str, ...]
    n_events: int
    begins: np.datetime64 | None
    ends: np.datetime64 | None

    def code(self, name: str) -> int:
        """Return the code of a name."""
        return int(np.searchsorted(self.names, name))


@dataclass(frozen=True, eq=False)
class Lot:
    """Events of some visitors, all that each has, in their order; arrays of one entry an event.

    Attributes:
        row: Row of the event.
        group: Group of its visitor; where several share a session, of one of them.
        label: Code of the event, or of `(conversion)`.
        previous: Code of what came before it in its session; of `(start)` for the first.
        number: Which session of its visitor it belongs to, from 1.
        step: Its place in the session, from 0.
        opens: Whether it is the first of its session.
        tied: Whether only the order of the rows says that it comes after the event before it in its session.
        final: Whether it is the last of its session, before any cut.
        converts: Whether it is the conversion.
        fate: `KEPT`, `MACHINE`, `SHORT` or `AFTER`.
        by_edge: Whether its session so far reaches within one gap of the log's first or last event.
    """

    row: NDArray[np.int64]
    group: NDArray[np.integer]
    label: NDArray[np.integer]
    previous: NDArray[np.integer]
    number: NDArray[np.integer]
    step: NDArray[np.integer]
    opens: NDArray[np.bool_]
    tied: NDArray[np.bool_]
    final: NDArray[np.bool_]
    converts: NDArray[np.bool_]
    fate: NDArray[np.int8]
    by_edge: NDArray[np.bool_]


def session_steps(events: ibis.Table, **rules: Any) -> ibis.Table:
    """Return the events that are kept, one row each, with where they stand in their session.

    A session that the data name is kept as it is; otherwise a longer pause of a customer begins the next. Events
    of one session are ordered by time, then position, then as the file has them. A session is cut at its
    conversion; see `walk` for several. Who is known at any event of a session is known at all of them.

    Args:
        events: Canonical `events`, with `person_id` where people are known. If some have a time, those that have
            none are left out.
        rules: The arguments of `walk`.

    Returns:
        Columns `session`, `cluster` (the person, or the session of an unknown visitor), `known` (whether it is a
        person), `label` (the event, the conversion as `(conversion)`), `occurred_at`, `instant` and `position` as
        far as they are there, `row`, `channel` and `device` likewise, `converts` (1 for the conversion, else 0),
        `step` (from 0), `previous` (`(start)` for the first) and `last`.

    Raises:
        ValueError: `open_log` or `walk` refuses the events or the rules.
    """
    with open_log(events) as log:
        return steps_of_lots(log, [kept_of(lot, log) for lot in walk(log, **rules)])


def clock(events: ibis.Table) -> ibis.Value:
    """Return the time that orders events and measures pauses: the instant where it is known, else local time."""
    if "instant" not in events.columns:
        return events.occurred_at
    return ibis.ifelse(events.occurred_at.notnull(), events.instant.coalesce(events.occurred_at), None)


def kept_of(lot: Lot, log: Log) -> pa.RecordBatch:
    """Return where the kept events of a lot stand in their session."""
    kept = lot.fate == KEPT
    columns = [lot.row, lot.number, lot.converts, lot.step, lot.previous, lot.final | lot.converts]
    arrays = [pa.array(values[kept]) for values in columns]
    arrays[4] = pa.DictionaryArray.from_arrays(arrays[4].cast("int32"), pa.array(log.names.tolist()))
    cast = [array.cast(field.type) for array, field in zip(arrays, _STEPS, strict=True)]
    return pa.RecordBatch.from_arrays(cast, schema=_STEPS)


def steps_of_lots(log: Log, kept: list[pa.RecordBatch]) -> ibis.Table:
    """Join where events stand in their session to the events; see `session_steps`."""
    found = log.events.drop("line", "splits").join(ibis.memtable(pa.Table.from_batches(kept, _STEPS)), "row")
    label = ibis.ifelse(found.converts == 1, CONVERSION, found.event)
    found = found.mutate(session=_session_names(found), label=label)
    first = ["session", "cluster", "known", "label", *_named(found, "occurred_at", "instant", "position"), "row"]
    return found.select(*first, *_named(found, "channel", "device"), "converts", "step", "previous", "last")


@contextmanager
def open_log(events: ibis.Table) -> Iterator[Log]:
    """Read what has to be known before the walk; what was computed for it goes when the log is closed.

    Raises:
        ValueError: An event bears a reserved name.
    """
    timed = "occurred_at" in events.columns
    times = {"begins": clock(events).min(), "ends": clock(events).max()} if timed else {}
    found = events.group_by("event").aggregate(n=events.count(), **times).to_pandas()
    check_labels(sorted(found["event"]))
    # Of all events, as the names are: some may be borne only by events that are left out.
    names = np.array(sorted([*found["event"], *RESERVED]), dtype=object)
    listed = ibis.array(names.tolist()).unnest().name("event").as_table()
    codes = listed.select("event", code=ibis.row_number().over(order_by=listed.event).cast("int32"))
    common = found.sort_values(["n", "event"], ascending=[False, True])["event"].head(8)
    if timed:
        timed = bool(found["begins"].notna().any())
        events = events.filter(events.occurred_at.notnull()) if timed else events.drop("occurred_at")
    placed = with_lines(events)
    with _held(cluster_groups(placed)) as clusters, _held(line_groups(placed, clusters)) as lines:
        yield Log(
            events=placed,
            clusters=clusters,
            lines=lines,
            codes=codes,
            names=names,
            frequent=tuple(common),
            n_events=int(found["n"].sum()),
            begins=found["begins"].min().to_datetime64() if timed else None,
            ends=found["ends"].max().to_datetime64() if timed else None,
        )


def walk(
    log: Log,
    *,
    conversion: str | None,
    session_gap_minutes: float,
    least_events: int = 1,
    most_events: int | None = None,
    least_pause_seconds: float = 0.0,
    several_conversions: str = "first",
) -> Iterator[Lot]:
    """Walk through a log, in lots of whole groups.

    Args:
        log: What `open_log` gives.
        conversion: Event at which a session is cut; None if every session ends in exit, as they all do where it
            is not among the events: a part of a log may have none.
        session_gap_minutes: A pause strictly longer begins a new session, where no session is given.
        least_events: Sessions of fewer events are left out; 1 keeps those of one event, visits that ended at once.
        most_events: Sessions of more events are taken for a machine's and left out; None for no limit.
        least_pause_seconds: Sessions of 10 events or more whose pauses are shorter on average are taken for a
            machine's and left out; 0 for no limit. A session whose events all bear one time has no pace.
        several_conversions: At which conversion a session is cut: `first`, `last` (those before it are steps like
            others), or `each`, where what leads to the next conversion is a session of its own.

    Raises:
        ValueError: A number is out of its range.
    """
    if not session_gap_minutes > 0:
        raise ValueError(f"session_gap_minutes is {session_gap_minutes}: it must be above 0.")
    if least_events < 1:
        raise ValueError(f"least_events is {least_events}: it must be 1 or more.")
    if most_events is not None and most_events < least_events:
        raise ValueError(f"most_events is {most_events}: it must be at least least_events, {least_events}.")
    if not least_pause_seconds >= 0:
        raise ValueError(f"least_pause_seconds is {least_pause_seconds}: it must be 0 or more.")
    if several_conversions not in SEVERAL:
        raise ValueError(f"several_conversions is {several_conversions!r}: it must be {', '.join(SEVERAL)}.")
    groups = log.lines.order_by("place")["group"].to_pandas().to_numpy()
    rules: dict[str, Any] = {"gap": round(session_gap_minutes * 60) * _SECOND, "conversion": conversion}
    rules |= {"least_events": least_events, "most_events": most_events, "least_pause_seconds": least_pause_seconds}
    rules |= {"several_conversions": several_conversions}
    return (_lot(table, log, groups, **rules) for table in _whole_groups(_in_order(log), groups))


def computed(table: ibis.Table) -> ibis.Table:
    """Compute a table once, for the many queries that build on it."""
    return table.get_backend().create_table(ibis.util.gen_name("computed"), table, temp=True)


@contextmanager
def _held(table: ibis.Table) -> Iterator[ibis.Table]:
    """Compute a table and let it go afterwards."""
    held = computed(table)
    try:
        yield held
    finally:
        held.get_backend().raw_sql(f"DROP TABLE {held.get_name()}")


def _in_order(log: Log) -> pa.RecordBatchReader:
    """Return place of the line, code and time of every event, as the engine puts them in order."""
    events = log.events.join(log.lines.drop("group"), "line").join(log.codes, "event")
    order = ["place", *_named(events, "occurred_at", "position"), "row"]
    timed = {"occurred_at": clock(events)} if "occurred_at" in events.columns else {}
    found = events.mutate(**timed).select("splits", "code", *order).order_by(order)
    # Read as it comes: `to_pyarrow_batches` of ibis 12 asks DuckDB 2 for a method that it no longer has.
    backend = found.get_backend()
    return backend.con.sql(backend.compile(found)).to_arrow_reader(_LOT)


def _whole_groups(batches: pa.RecordBatchReader, groups: NDArray[np.integer]) -> Iterator[pa.Table]:
    """Cut batches anew where groups end; without events there is one table, without rows."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        group = groups[batch["place"].to_numpy()]
        cut = int(np.searchsorted(group, group[-1]))
        if cut:
            yield pa.Table.from_batches([*held, batch.slice(0, cut)])
            held = []
        held.append(batch.slice(cut))
    yield pa.Table.from_batches(held, schema=batches.schema)


def _lot(
    table: pa.Table,
    log: Log,
    groups: NDArray[np.integer],
    *,
    conversion: str | None,
    gap: np.timedelta64,
    least_events: int,
    most_events: int | None,
    least_pause_seconds: float,
    several_conversions: str,
) -> Lot:
    """Find sessions, conversions and what becomes of each event."""
    column = {name: table[name].to_numpy() for name in table.column_names}
    place, code, n = column["place"], column["code"], len(table)
    # Without times all events bear one, and there is no pause.
    times = column.get("occurred_at", np.zeros(n, "datetime64[us]"))
    pause = np.diff(times, prepend=times[:1])
    new_line = np.diff(place, prepend=-1) != 0
    opens = new_line | (column["splits"] & (pause > gap))
    # Positions that are not there are alike: NaN, or one number for all.
    position = np.nan_to_num(column.get("position", np.zeros(n)).astype(float), nan=-1.0)
    tied = ~opens & (pause == np.timedelta64(0)) & (np.diff(position, prepend=-1.0) == 0)
    starts, length = _runs(opens)
    first, n_of_line = _runs(new_line)
    converting = log.code(conversion) if conversion is not None and conversion in log.names else -1
    converts = code == converting
    sold = np.cumsum(converts) - converts
    sold -= np.repeat(sold[starts], length)
    last = np.repeat(sold[starts + length - 1] + converts[starts + length - 1], length)
    after = (last > 0) & (sold >= (1 if several_conversions == "first" else last))
    ends_at, opened_at = times[starts + length - 1], times[starts]
    took = (ends_at - opened_at) / _SECOND
    hurried = (length >= PACED) & (took > 0) & (took < least_pause_seconds * (length - 1))
    machine = hurried | (length > (n if most_events is None else most_events))
    fate = np.select([machine, length < least_events], [MACHINE, SHORT], KEPT).astype("int8")
    fate = np.repeat(fate, length)
    fate[(fate == KEPT) & after] = AFTER
    near = np.zeros(len(starts), bool)
    if log.begins is not None and log.ends is not None:
        near = (ends_at >= log.ends - gap) | (opened_at <= log.begins + gap)
    by_edge = np.repeat(near, length)
    if several_conversions == "last":
        converts &= sold == last - 1
    elif several_conversions == "each":
        opens = opens | (np.roll(converts, 1) & (fate == KEPT))
        starts, length = _runs(opens)
    number = np.cumsum(opens)
    return Lot(
        row=column["row"],
        group=groups[place],
        label=np.where(converts, log.code(CONVERSION), code),
        previous=np.where(opens, log.code(START), np.roll(code, 1)),
        number=number - np.repeat(number[first] - 1, n_of_line),
        step=np.arange(n) - np.repeat(starts, length),
        opens=opens,
        tied=tied,
        # The first event of a lot opens a session, so that rolled round it closes the last.
        final=np.roll(opens, -1),
        converts=converts,
        fate=fate,
        by_edge=by_edge,
    )


def _runs(begins: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where runs begin, and how long each is."""
    starts = np.flatnonzero(begins)
    return starts, np.diff(starts, append=len(begins))


def _session_names(found: ibis.Table) -> ibis.Value:
    """Return the id of a session: its own, or its person and its number among the person's."""
    counted = found.number.cast("string")
    if "session_id" in found.columns:
        # More than one session of an id that the data name are those that end in a conversion each.
        own = ibis.ifelse(found.number > 1, found.session_id + " #" + counted, found.session_id)
    if "person_id" not in found.columns:
        return own
    counted = "p " + found.person_id.cast("string") + " " + counted
    if "session_id" not in found.columns:
        return counted
    if not found.session_id.isnull().any().execute():
        return own
    return ibis.coalesce("s " + own, counted)


def check_labels(labels: list[str], kind: str = "an event") -> None:
    """Refuse what bears a reserved name, and more kinds than a chain is solved of.

    Raises:
        ValueError: A name is reserved, or there are more than `MOST_KINDS` names.
    """
    taken = [label for label in labels if label in RESERVED]
    if taken:
        raise ValueError(f"{kind} is named {taken[0]!r}: the names {', '.join(RESERVED)} are reserved.")
    if len(labels) > MOST_KINDS:
        raise ValueError(
            f"there are {len(labels):,} kinds of {kind.split()[-1]}, such as {labels[0]!r} and {labels[-1]!r}: a "
            f"chain is made of at most {MOST_KINDS:,}. Group them in the mapping of the column, for example by "
            "split_part(url, '?', 1) or regexp_replace(url, '[0-9]+', '#', 'g')."
        )


def _named(table: ibis.Table, *names: str) -> list[str]:
    return [name for name in names if name in table.columns]
