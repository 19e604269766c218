"""In the engine: whose event it is, and the group of people that the bootstrap draws."""

import ibis

# People are put into so many random groups at most, and the groups are resampled: three hexadecimal digits.
MOST_GROUPS = 4096
# Spreads neighbouring numbers over all groups.
_MULTIPLIER = 0x45D9F3B


def with_lines(events: ibis.Table) -> ibis.Table:
    """Leave out events of neither session nor person, and add whose the others are and what they are walked with.

    Returns:
        The events and `cluster`, the person or the session of an unknown visitor, `known`, whether it is a person,
        `line`, the person's events or the session that the data name, and `splits`, whether pauses split it. Who
        signs in during a session is known at all of its events; a session that several share is one all the same.
    """
    if "person_id" not in events.columns:
        found = events.filter(events.session_id.notnull())
        return found.mutate(cluster=found.session_id, known=False, line=found.session_id, splits=False)
    if "session_id" not in events.columns:
        found = events.filter(events.person_id.notnull())
        return found.mutate(cluster=found.person_id, known=True, line=found.person_id, splits=True)
    found = events.filter(events.person_id.notnull() | events.session_id.notnull())
    if found.person_id.isnull().any().execute():
        found = _signed_in(found)
    known, session = found.person_id.notnull(), "s " + found.session_id
    cluster = ibis.ifelse(known, "p " + found.person_id, session)
    line = ibis.coalesce(session, cluster)
    return found.mutate(cluster=cluster, known=known, line=line, splits=found.session_id.isnull())


def _signed_in(events: ibis.Table) -> ibis.Table:
    """Give all events of a session that bear no person the first one that is known in it."""
    known = events.filter(events.person_id.notnull() & events.session_id.notnull())
    first = known.group_by("session_id").aggregate(who=known.person_id.argmin(known.row)).rename(of="session_id")
    joined = events.left_join(first, events.session_id == first.of)
    return joined.mutate(person_id=joined.person_id.coalesce(joined.who)).drop("of", "who")


def cluster_groups(events: ibis.Table) -> ibis.Table:
    """Put people, and sessions of unknown visitors, into the groups that the bootstrap draws.

    Up to `MOST_GROUPS` of them are each a group of their own, numbered by the order in which they first appear.
    More are hashed by that number into as many groups. No value of an id plays a part, nor does a row that may not
    be read.

    Args:
        events: Events with `cluster`, `known` and `row`.

    Returns:
        Columns `cluster`, `known`, `first` (their first row), `group`.
    """
    clusters = events.group_by("cluster").aggregate(known=events.known.any(), first=events.row.min())
    # The rank, not the row: rows that may not be read must leave no trace in the groups.
    number = (ibis.row_number().over(order_by=clusters["first"]) + 1).cast("int64")
    clusters = clusters.select("cluster", "known", "first", number=number, n=ibis._.count().over())
    group = ibis.ifelse(clusters.n > MOST_GROUPS, _spread(clusters.number), clusters.number)
    return clusters.select("cluster", "known", "first", group=group.cast("int32"))


def line_groups(events: ibis.Table, clusters: ibis.Table) -> ibis.Table:
    """Number the lines of events, group by group; a session that several people share is in the group of one.

    Returns:
        Columns `line`, `group`, `place` (from 0).
    """
    if "session_id" in events.columns and "person_id" in events.columns:
        joined = events.join(clusters.select("cluster", "group"), "cluster")
        lines = joined.group_by("line").aggregate(group=joined.group.min(), first=joined.row.min())
    else:
        lines = clusters.select("group", "first", line="cluster")
    place = ibis.row_number().over(order_by=[lines.group, lines["first"]])
    return lines.select("line", "group", place=place.cast("int32"))


def _spread(number: ibis.Value) -> ibis.Value:
    """Hash a number into a group (32-bit, multiply and shift)."""
    mixed = number
    for _ in range(2):
        mixed = ((mixed ^ (mixed >> 16)) * _MULTIPLIER) % 2**32
    return (mixed ^ (mixed >> 16)) % MOST_GROUPS
