"""Events against their plan: how many fail by day, device and release, and which came out of order.

Order is asked of every event that was sent, those set aside among them: an event that is broken was there. One
that comes without any of its `after` before it is told and stays: what is wrong is the event that is not there.
"""

import ibis
import pandas as pd

from journeybook.collection.plan import TrackingPlan
from journeybook.collection.rows import Collection
from journeybook.collection.validity import NO_NAMES

_COUNTS = ("n_events", "n_failed", "n_unplanned", "n_disordered")


def track(events: ibis.Table | None, found: Collection, disordered: pd.DataFrame) -> pd.DataFrame:
    """Count the raw rows of `events` that were set aside, unplanned or, as `disordered` says, out of order.

    Returns:
        One row a value of event, device, release and day: by, value, n_events, n_failed (set aside, for whatever
        reason), n_unplanned (of them), n_disordered, failed_share. Nothing without events.
    """
    table = pd.DataFrame(columns=["by", "value", *_COUNTS, "failed_share"])
    if events is None:
        return table
    told = found.quarantine.filter(found.quarantine.table == "events")
    unplanned, undated = told.problem.contains("not in the tracking plan"), told.column == "occurred_at"
    aside = told.group_by("row").aggregate(unplanned=unplanned.any(), undated=undated.any())
    early = ibis.memtable(disordered[["row"]].astype("int64")).mutate(early=True)
    judged = events.left_join(aside, "row").drop("row_right").left_join(early, "row")
    if "occurred_at" in events.columns:
        day = judged.occurred_at.strftime("%Y-%m-%d")
        judged = judged.mutate(day=ibis.ifelse(judged.undated.fill_null(False), ibis.null("string"), day))
    asked = (judged.count(), judged.unplanned.count(), judged.unplanned.sum(), judged.early.sum())
    counts = dict(zip(_COUNTS, asked, strict=True))
    for by in (c for c in ("event", "device", "release", "day") if c in judged.columns):
        rates = judged.group_by(value=judged[by]).aggregate(**counts).order_by("value").to_pandas()
        table = pd.concat([table, rates.dropna(subset="value").fillna(0).assign(by=by)], ignore_index=True)
    table = table.astype(dict.fromkeys(_COUNTS, int))
    return table.assign(failed_share=table.n_failed / table.n_events)


def out_of_order(events: ibis.Table | None, plan: TrackingPlan | None) -> pd.DataFrame:
    """Return the events without one of those they come after earlier in their session: row, event, by row.

    Order is that of `position`, else of `occurred_at`, where equal times are no error. Events of no session are
    not judged.
    """
    found = [pd.DataFrame({"row": pd.Series(dtype="int64"), "event": pd.Series(dtype="str")})]
    if plan is None or events is None or "session_id" not in events.columns:
        return found[0]
    by_time = "position" not in events.columns
    sent = events.select("row", "session_id", "event", at=events.occurred_at if by_time else events.position)
    sent = sent.filter(sent.session_id.notin(NO_NAMES) & sent.at.notnull())
    for event, says in plan.events.items():
        if says.get("after"):
            of = sent.filter(sent.event.isin(says["after"]))
            first = of.group_by("session_id").aggregate(first=of.at.min())
            asked = sent.filter(sent.event == event).left_join(first, "session_id")
            early = asked.first.isnull() | (asked.first > asked.at if by_time else asked.first >= asked.at)
            found.append(asked.filter(early).select("row", "event").to_pandas())
    return pd.concat(found).sort_values("row", ignore_index=True)
