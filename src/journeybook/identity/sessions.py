"""Whose visits are whose: sessions joined to people by who signs in, on the device or during the visit."""

from dataclasses import dataclass

import ibis
import pandas as pd


@dataclass(frozen=True, eq=False)
class JoinedSessions:
    """Sessions, and whom they were joined to.

    Attributes:
        sessions: Lazy, one row a session: `session_id`, `channel` and `device` where there are some, `person_id`
            (missing where anonymous) and `via`: `signed in`, `same device`, `several people` (on the device within
            the window, or in the visit) or `anonymous`.
        counts: `channel`, `device`, `via`, `n_sessions`, in order.
    """

    sessions: ibis.Table
    counts: pd.DataFrame


def join_sessions(events: ibis.Table, people: pd.DataFrame, *, window_days: float) -> JoinedSessions:
    """Join anonymous sessions to people.

    A session in which one person signs in is theirs from its first step on. A session without a sign-in is that of
    the one person who signs in on its device within the window before or after it begins; where several do,
    it stays anonymous. Without `device_id` or times only the first rule holds.

    Args:
        events: `session_id`, `customer_id`, and perhaps `device_id`, `occurred_at`, `channel`, `device`.
        people: `customer_id` and `person_id`.
        window_days: Most days between the beginnings of an anonymous session and of one with a sign-in, above 0.
    """
    if window_days <= 0:
        raise ValueError(f"session_window_days is {window_days}: it must be above 0.")
    columns = [column for column in ("channel", "device", "device_id", "occurred_at") if column in events.columns]
    known = ibis.memtable(people[["customer_id", "person_id"]].astype("str"))
    named = events.filter(events.session_id.notnull()).left_join(known, "customer_id")
    each = named.group_by("session_id").aggregate(
        n_people=named.person_id.nunique(), person_id=named.person_id.min(), **{c: named[c].min() for c in columns}
    )
    each = each.mutate(person_id=(each.n_people == 1).ifelse(each.person_id, ibis.null("string")))
    nearby = each.filter(ibis.literal(False)).select("session_id", n_nearby="n_people", nearby_id="person_id")
    if {"device_id", "occurred_at"} <= set(columns):
        anonymous = each.filter(each.n_people == 0).select("session_id", "device_id", begins="occurred_at")
        near = anonymous.inner_join(each.filter(each.n_people == 1).drop("session_id"), "device_id")
        apart = near.begins.epoch_seconds() - near.occurred_at.epoch_seconds()
        near = near.filter(apart.abs() <= window_days * 86_400)
        nearby = near.group_by("session_id").aggregate(
            n_nearby=near.person_id.nunique(), nearby_id=near.person_id.min()
        )
    found = each.left_join(nearby, "session_id")
    via = ibis.cases(
        (found.n_people == 1, "signed in"),
        (found.n_nearby == 1, "same device"),
        ((found.n_people > 1) | (found.n_nearby > 1), "several people"),
        else_="anonymous",
    )
    person_id = ibis.coalesce(found.person_id, (found.n_nearby == 1).ifelse(found.nearby_id, ibis.null("string")))
    shown = [column for column in ("channel", "device") if column in columns]
    sessions = found.select("session_id", *shown, via=via, person_id=person_id)
    counts = sessions.group_by(*shown, "via").aggregate(n_sessions=ibis._.count())
    return JoinedSessions(sessions, counts.order_by(*shown, "via").to_pandas())


def say_sessions(joined: JoinedSessions, *, window_days: float) -> str:
    """Say how many sessions stay anonymous."""
    by_via = joined.counts.groupby("via").n_sessions.sum()
    n, n_left = int(by_via.sum()), int(by_via.get("anonymous", 0) + by_via.get("several people", 0))
    device = int(by_via.get("same device", 0))
    told = (
        f"Of {n:,} sessions, {int(by_via.get('signed in', 0)):,} have a sign-in, {device:,} more were joined by a "
    )
    return f"{told}sign-in on their device within {window_days:g} days, and {n_left:,} stay anonymous."
