"""From events to sessions, lazily in the engine: what a session is, which count, where each is cut."""

import ibis

START, CONVERSION, EXIT = "(start)", "(conversion)", "(exit)"
RESERVED = (START, CONVERSION, EXIT)
# The event that counts as conversion where none is named.
USUAL_CONVERSION = "purchase"
# People are put into so many random groups at most, and the groups are resampled: three hexadecimal digits.
MOST_GROUPS = 4096
# Fewest events of a session whose pace is judged: a person may open a few pages at once.
PACED = 10
# What becomes of an event: kept, or set aside for what its session is or for coming after its conversion.
KEPT, MACHINE, SHORT, AFTER = "kept", "machine", "short", "after"


def default_conversion(table: ibis.Table) -> str | None:
    """Return `purchase` where it is among the events, None where it is not; paths bring their own end."""
    if "path" in table.columns:
        return CONVERSION
    found = table.filter(table.event == USUAL_CONVERSION).count().execute()
    return USUAL_CONVERSION if found else None


def session_steps(
    events: ibis.Table,
    *,
    conversion: str | None,
    session_gap_minutes: float,
    least_events: int = 1,
    most_events: int | None = None,
    least_pause_seconds: float = 0.0,
) -> ibis.Table:
    """Return the events that are kept, one row each, with where they stand in their session.

    A session that the data name is kept as it is; otherwise a longer pause of a customer begins the next. Events
    of one session are ordered by time, then position, then name of the event. A session is cut at its first
    conversion.

    Args:
        events: Canonical `events`, with `person_id` where people are known.
        conversion: Event at which a session is cut; None if every session ends in exit.
        session_gap_minutes: A pause strictly longer begins a new session, where no session is given.
        least_events: Sessions of fewer events are left out; 1 keeps those of one event, visits that ended at once.
        most_events: Sessions of more events are taken for a machine's and left out; None for no limit.
        least_pause_seconds: Sessions of 10 events or more whose pauses are shorter on average are taken for a
            machine's and left out; 0 for no limit. A session whose events all bear one time has no pace.

    Returns:
        Columns `session`, `cluster` (the person, or the session of an unknown visitor), `known` (whether it is a
        person), `label` (the event, the conversion as `(conversion)`), `occurred_at`, `position` and `row` as far
        as they are there, `channel` and `device` likewise, `converts` (1 for the conversion, else 0), `step` (from
        0), `previous` (`(start)` for the first) and `last`.

    Raises:
        ValueError: A number is out of its range, an event bears a reserved name, or `conversion` never happens.
    """
    marked = mark_events(
        events,
        conversion=conversion,
        session_gap_minutes=session_gap_minutes,
        least_events=least_events,
        most_events=most_events,
        least_pause_seconds=least_pause_seconds,
    )
    kept = marked.filter(marked.fate == KEPT)
    found = ["session", "cluster", "known", "label", *_named(kept, "occurred_at", "position", "row", "channel")]
    kept = kept.mutate(converts=kept.converts.cast("int64"))
    return kept.select(*found, *_named(kept, "device"), "converts", "step", "previous", "last")


def mark_events(
    events: ibis.Table,
    *,
    conversion: str | None,
    session_gap_minutes: float,
    least_events: int,
    most_events: int | None,
    least_pause_seconds: float,
) -> ibis.Table:
    """Return every event that has a session or a customer, with its place in the session and what becomes of it.

    Two windows over the events of a customer in their order do it all; nothing is sorted by session.

    Returns:
        The columns of `events`, `cluster` and `known`, and further `session`, `label`, `converts` (whether it is
        the conversion), `step` (from 0), `previous`, `last`, `opens` and `final` (first and last event of the
        session before any cut), `fate` (`KEPT`, `MACHINE`, `SHORT` or `AFTER`), `seconds` since the event before
        (0 for the first), and, where there are times, `opened_at`.
    """
    _check_rules(session_gap_minutes, least_events, most_events, least_pause_seconds)
    _check_names(events, conversion)
    base, keys = _keyed(events if "cluster" in events.columns else with_clusters(events))
    # No event bears a reserved name, so that none converts where no conversion is named.
    base = base.mutate(converts=base.event == (CONVERSION if conversion is None else conversion))
    base = _numbered(_opened(base, keys, session_gap_minutes), keys)
    fates = [(_by_machine(base, most_events, least_pause_seconds), MACHINE)]
    fates += [(base.n_in_session < least_events, SHORT), (base.after_at > base.opening, AFTER)]
    return base.mutate(
        label=ibis.ifelse(base.converts, CONVERSION, base.event),
        step=base.place - base.opening,
        previous=ibis.ifelse(base.opens, START, base.before),
        last=base.final | base.converts,
        fate=ibis.cases(*fates, else_=KEPT),
    )


def computed(table: ibis.Table) -> ibis.Table:
    """Compute a table once, in the engine, for the many queries that build on it."""
    return table.get_backend().create_table(ibis.util.gen_name("computed"), table, temp=True)


def with_clusters(events: ibis.Table) -> ibis.Table:
    """Add `cluster`, the person or the session of an unknown visitor, and `known`; leave out who is neither."""
    if "person_id" not in events.columns:
        found = events.filter(events.session_id.notnull())
        return found.mutate(cluster=found.session_id, known=ibis.literal(False))
    if "session_id" not in events.columns:
        found = events.filter(events.person_id.notnull())
        return found.mutate(cluster=found.person_id, known=ibis.literal(True))
    found = events.filter(events.person_id.notnull() | events.session_id.notnull())
    known = found.person_id.notnull()
    return found.mutate(cluster=ibis.ifelse(known, "p " + found.person_id, "s " + found.session_id), known=known)


def _keyed(base: ibis.Table) -> tuple[ibis.Table, list[str]]:
    """Add `given`, the session that the data name; return with it the columns by which events are in a row."""
    if "session_id" not in base.columns:
        return base.mutate(given=ibis.null("string")), ["person_id"]
    base = base.mutate(given=base.session_id)
    if "person_id" not in base.columns or not base.given.isnull().any().execute():
        return base, ["given"]
    # Given sessions have no person here: whoever is in them, they are one.
    return base.mutate(who=ibis.ifelse(base.given.isnull(), base.person_id, ibis.null("string"))), ["given", "who"]


def _opened(base: ibis.Table, keys: list[str], session_gap_minutes: float) -> ibis.Table:
    """Add `place`, from 1, where an event comes `after` a conversion, `seconds`, whether it `opens` or is `final`.

    What is added is small, since the next window sorts it again.
    """
    within = {"group_by": keys, "order_by": _order(base)}
    place = ibis.row_number().over(**within).cast("int32") + 1
    found = {
        "place": place,
        "sold": base.converts.lag().over(**within),
        "following": base.converts.lead().over(**within),
    }
    if "occurred_at" in base.columns:
        found |= {
            "earlier": base.occurred_at.lag().over(**within),
            "later": base.occurred_at.lead().over(**within),
        }
    base = base.mutate(**found)
    opens, final, seconds = base.sold.isnull(), base.following.isnull(), ibis.literal(0, "int32")
    if "occurred_at" in base.columns:
        gap = ibis.interval(seconds=round(session_gap_minutes * 60))
        opens = opens | (base.given.isnull() & (base.occurred_at > base.earlier + gap))
        final = final | (base.given.isnull() & (base.later > base.occurred_at + gap))
        seconds = (base.occurred_at.epoch_seconds() - base.earlier.epoch_seconds()).cast("int32")
    after = ibis.ifelse(base.sold, base.place, 0)
    return base.mutate(opens=opens, final=final, after=after, seconds=ibis.ifelse(opens, 0, seconds))


def _numbered(base: ibis.Table, keys: list[str]) -> ibis.Table:
    """Add `session`, and of it the places where it is `opening` and `closing` and its times; `after_at`, `before`.

    Which of them a query does not ask for, the engine does not compute.
    """
    so_far = ibis.cumulative_window(group_by=keys, order_by=_order(base))
    from_here = ibis.window(group_by=keys, order_by=_order(base), preceding=0)
    nowhere = ibis.null("int32")
    found = {
        "opening": ibis.ifelse(base.opens, base.place, nowhere).max().over(so_far),
        "closing": ibis.ifelse(base.final, base.place, nowhere).min().over(from_here),
        "after_at": base.after.max().over(so_far),
        "number": base.opens.cast("int32").sum().over(so_far),
        "before": base.event.lag().over(group_by=keys, order_by=_order(base)),
    }
    if "occurred_at" in base.columns:
        never = ibis.null(base.occurred_at.type())
        found["opened_at"] = ibis.ifelse(base.opens, base.occurred_at, never).max().over(so_far)
        found["closed_at"] = ibis.ifelse(base.final, base.occurred_at, never).min().over(from_here)
    base = base.mutate(**found)
    session = base.given
    if keys != ["given"]:
        counted = "p " + base.person_id.cast("string") + " " + base.number.cast("string")
        session = ibis.coalesce("s " + base.given, counted)
    return base.mutate(session=session, n_in_session=base.closing - base.opening + 1)


def _by_machine(base: ibis.Table, most_events: int | None, least_pause_seconds: float) -> ibis.Value:
    """Return whether a session has too many events, or too little time between them, to be a person's."""
    machine = ibis.literal(False)
    if most_events is not None:
        machine = machine | (base.n_in_session > most_events)
    if least_pause_seconds > 0 and "occurred_at" in base.columns:
        seconds = base.closed_at.epoch_seconds() - base.opened_at.epoch_seconds()
        hurried = seconds < least_pause_seconds * (base.n_in_session - 1)
        machine = machine | ((base.n_in_session >= PACED) & (base.closed_at > base.opened_at) & hurried)
    return machine


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


def check_labels(labels: list[str]) -> None:
    """Refuse a step that bears a reserved name.

    Raises:
        ValueError: One does.
    """
    taken = [label for label in labels if label in RESERVED]
    if taken:
        raise ValueError(f"a step is named {taken[0]!r}: the names {', '.join(RESERVED)} are reserved.")


def _check_rules(
    session_gap_minutes: float, least_events: int, most_events: int | None, least_pause_seconds: float
) -> None:
    if not session_gap_minutes > 0:
        raise ValueError(f"session_gap_minutes is {session_gap_minutes}: it must be above 0.")
    if least_events < 1:
        raise ValueError(f"least_events is {least_events}: it must be 1 or more.")
    if most_events is not None and most_events < least_events:
        raise ValueError(f"most_events is {most_events}: it must be at least least_events, {least_events}.")
    if not least_pause_seconds >= 0:
        raise ValueError(f"least_pause_seconds is {least_pause_seconds}: it must be 0 or more.")


def _check_names(events: ibis.Table, conversion: str | None) -> None:
    named = events.filter(events.event.isin(RESERVED)).event.min().execute()
    check_labels([named] if isinstance(named, str) else [])
    if conversion is None or events.filter(events.event == conversion).count().execute():
        return
    common = events.group_by("event").aggregate(n=ibis._.count()).order_by(ibis.desc("n"), "event").limit(8)
    names = ", ".join(common.to_pandas()["event"])
    raise ValueError(f"conversion is {conversion!r}, which never happens; the most frequent events are {names}.")


def _named(table: ibis.Table, *names: str) -> list[str]:
    return [name for name in names if name in table.columns]


def _order(table: ibis.Table) -> list:
    return [table[name] for name in _named(table, "occurred_at", "position", "event", "row")]
