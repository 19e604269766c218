"""What people did on the site and with messages before each date, in the engine."""

from collections.abc import Sequence
from datetime import datetime
from functools import reduce

import ibis
import pandas as pd
from ibis.expr import types

from journeybook.enrichment.habits import LONG, SHORT, STAGES, rate
from journeybook.enrichment.snapshots import DATES
from journeybook.tables import in_sample, kept_in_engine, sample_share

# Channel of a decision not to write.
NO_MESSAGE = "none"
# Usual names of what fills a basket and of a purchase; outcomes of a message, the first of them tells of fatigue.
BASKET_EVENTS, PURCHASE_EVENTS = ("basket", "cart", "add_to_cart"), ("purchase",)
OUTCOMES = ("opened", "clicked", "responded")
# Stage of who is known and has not bought.
REGISTERED = "registered"
_SECONDS_A_DAY = 86_400.0


def visits(events: ibis.Table | None, *, basket_event: str | None, conversion: str | None) -> ibis.Table | None:
    """Return the visits of known people, computed once; None where events name no person or have no time.

    A visit is what one session holds of one day, so that none reaches beyond a midnight; without sessions, what
    one person did on one day. Who signs in during a visit is known in all of it; one of two people is nobody's.
    `basket_event` fills a basket, `conversion` is a purchase; None is the usual name that is among the events.

    Returns:
        One row a visit: `person_id`, `at` (its first step), `row` (of the first step in the file), `n_steps`,
        `seconds` (first to last step), and where events tell it `device`, `has_basket`, `converts`.
    """
    if events is None or not {"person_id", "occurred_at"} <= set(events.columns):
        return None
    known = events.filter(events.occurred_at.notnull())
    names = set(known.event.value_counts().event.to_pandas())
    asked = {"has_basket": (basket_event, BASKET_EVENTS), "converts": (conversion, PURCHASE_EVENTS)}
    told = {made: names & (set(usual) if name is None else {name}) for made, (name, usual) in asked.items()}
    optional = {made: known.event.isin(sorted(found)).any() for made, found in told.items() if found}
    if "device" in known.columns:
        optional["device"] = known.device.min()
    who = known.session_id.fill_null(known.person_id) if "session_id" in known.columns else known.person_id
    begin, end = known.occurred_at.min(), known.occurred_at.max()
    sums = {"person_id": known.person_id.min(), "other": known.person_id.max(), "row": known.row.min()}
    sums |= {"at": begin, "seconds": end.delta(begin, unit="second"), "n_steps": known.count()}
    found = known.group_by(visit=who, day=known.occurred_at.date()).aggregate(**sums, **optional)
    return kept_in_engine(found.filter(found.person_id == found.other).drop("visit", "day", "other"))


def messages(contacts: ibis.Table | None) -> ibis.Table | None:
    """Return what was sent to known people; None where contacts name no person or have no time.

    One row a message: `person_id`, `at`, `row`, `responded`, and `opened` and `clicked` where contacts have them.
    """
    if contacts is None or not {"person_id", "occurred_at"} <= set(contacts.columns):
        return None
    sent = contacts.filter(contacts.person_id.notnull(), contacts.occurred_at.notnull())
    if "channel" in sent.columns:
        sent = sent.filter((sent.channel != NO_MESSAGE).fill_null(True))
    outcomes = [name for name in OUTCOMES if name in sent.columns]
    return sent.select("person_id", "row", *outcomes, at=sent.occurred_at)


def written(events: ibis.Table | None) -> ibis.Table | None:
    """Return the texts of known people: `person_id`, `at`, `tone`; None where events have no `text_tone`."""
    if events is None or not {"person_id", "occurred_at", "text_tone"} <= set(events.columns):
        return None
    told = events.filter(*(events[c].notnull() for c in ("person_id", "occurred_at", "text_tone")))
    # Of decimals a sum does not depend on the order of the engine's rows.
    return told.select("person_id", at=told.occurred_at, tone=told.text_tone.cast("decimal(6, 4)"))


def add_behaviour(
    snapshots: ibis.Table,
    visited: ibis.Table | None,
    sent: ibis.Table | None,
    *,
    as_of_dates: Sequence[datetime],
    known_after_days: int,
    written: ibis.Table | None = None,
) -> ibis.Table:
    """Add to each person and date what `visits` and `messages` before it tell, where there are any; computed once.

    Of visits: `n_visits_28d`, `n_visits_91d`, `visits_per_28d` (see `rate`; 0 of who never came) and
    `days_since_visit`; of those in 91 days, missing where there is none, `steps_per_visit_91d`,
    `minutes_per_visit_91d`, and as far as events tell `n_devices_91d`, `visit_purchase_share_91d` (that convert)
    and `abandoned_share_91d` (of those with a basket, that do not).

    Of messages: `n_messages_28d`, `n_messages_91d`, `days_since_message`; of those in 91 days whose outcome was
    known on the date, `known_after_days` after sending, `opened_share_91d`, `clicked_share_91d` and
    `responded_share_91d`; and `fatigue_28d`: by how much less was opened (without openings, clicked, then
    answered) in the last 28 days than in the 63 before. Missing where no outcome is known.

    Of texts `written` in 91 days: `n_texts_91d`, and `text_tone_91d`, their mean, missing where there is none.

    Raises:
        ValueError: `known_after_days` is below 0 or not below 28.
    """
    if not 0 <= known_after_days < SHORT:
        raise ValueError(f"known_after_days is {known_after_days}: it must be at least 0 and below {SHORT}.")
    if visited is not None:
        snapshots = _add_visits(snapshots, visited, as_of_dates)
    if sent is not None:
        snapshots = _add_messages(snapshots, sent, as_of_dates, known_after_days)
    if written is not None:
        pairs, _ = _in_window(written, as_of_dates)
        sums = {"n_texts_91d": pairs.count(), "text_tone_91d": pairs.tone.sum().cast("float64") / pairs.count()}
        found = pairs.group_by("person_id", "as_of").aggregate(**sums)
        snapshots = _joined(snapshots, found, ["n_texts_91d"])
    return kept_in_engine(snapshots)


def _add_visits(snapshots: ibis.Table, made: ibis.Table, days: Sequence[datetime]) -> ibis.Table:
    pairs, recent = _in_window(made, days)
    n, optional = pairs.count(), {}
    if "device" in made.columns:
        optional["n_devices_91d"] = pairs.device.nunique()
    if "converts" in made.columns:
        optional["visit_purchase_share_91d"] = pairs.converts.cast("float64").mean()
        if "has_basket" in made.columns:
            optional["abandoned_share_91d"] = (~pairs.converts).cast("float64").mean(where=pairs.has_basket)
    sums = {"n_visits_28d": pairs.count(where=recent), "n_visits_91d": n}
    sums["steps_per_visit_91d"] = pairs.n_steps.sum().cast("float64") / n
    sums["minutes_per_visit_91d"] = pairs.seconds.sum().cast("float64") / n / 60
    joined = _joined(snapshots, pairs.group_by("person_id", "as_of").aggregate(**sums, **optional), [*sums][:2])
    first = made.group_by("person_id").aggregate(first_at=made["at"].min())
    joined = joined.left_join(first, "person_id").drop("person_id_right")
    there = joined.as_of.delta(joined.first_at, unit="second") / _SECONDS_A_DAY
    per = (joined.first_at < joined.as_of).fill_null(False).ifelse(rate(joined.n_visits_91d, there), 0.0)
    return _days_since(joined.mutate(visits_per_28d=per).drop("first_at"), made, "days_since_visit")


def _add_messages(
    snapshots: ibis.Table, sent: ibis.Table, days: Sequence[datetime], known_after_days: int
) -> ibis.Table:
    pairs, recent = _in_window(sent, days)
    known = pairs["at"] < pairs.as_of - ibis.interval(days=known_after_days)
    told = {name: pairs[name].cast("float64") for name in OUTCOMES if name in sent.columns}
    sums = {"n_messages_28d": pairs.count(where=recent), "n_messages_91d": pairs.count()}
    sums |= {f"{name}_share_91d": outcome.mean(where=known) for name, outcome in told.items()}
    opened = next(iter(told.values()))
    sums["fatigue_28d"] = opened.mean(where=known & ~recent) - opened.mean(where=known & recent)
    joined = _joined(snapshots, pairs.group_by("person_id", "as_of").aggregate(**sums), [*sums][:2])
    return _days_since(joined, sent, "days_since_message")


def registered_people(
    features: ibis.Table,
    seen: Sequence[ibis.Table | None],
    *,
    history: ibis.Table | None,
    as_of_dates: Sequence[datetime],
    max_people: int,
) -> ibis.Table:
    """Return who was known before each date and had not bought yet: on record, or `seen` in visits or messages.

    A person is on record from the first value in the `history` of page 03 on.

    Returns:
        One row a person and date: `row` (1 to n, by date and place in the sources), `person_id`, `as_of`,
        `known_days` (since first known), `lifecycle_stage` (`registered`).
    """
    tables = [features.select("person_id", "row", at="as_of").limit(0)]
    tables += [table.select("person_id", "row", "at") for table in seen if table is not None]
    if history is not None:
        tables.append(history.select("person_id", "row", at="known_from"))
    # Places of one source after those of the other, so that each person has one of their own.
    placed = [t.mutate(at=t["at"].cast("timestamp(6)"), row=t.row + n * 10**12) for n, t in enumerate(tables)]
    known = reduce(ibis.union, placed)
    people = known.group_by("person_id").aggregate(first_at=known["at"].min(), place=known.row.min())
    share = sample_share(int(people.count().to_pyarrow().as_py()), at_most=max_people)
    people = people.filter(in_sample(people.person_id, people.place, share=share, name="people"))
    dates = ibis.memtable({"place": range(len(as_of_dates)), "as_of": sorted(as_of_dates)}, schema=DATES)
    pairs = people.join(dates.drop("place"), people.first_at < dates.as_of)
    pairs = pairs.anti_join(features, ["person_id", "as_of"])
    return pairs.select(
        row=(ibis.row_number().over(order_by=[pairs.as_of, pairs.place]) + 1).cast("int64"),
        person_id=pairs.person_id,
        as_of=pairs.as_of,
        known_days=pairs.as_of.delta(pairs.first_at, unit="second") / _SECONDS_A_DAY,
        lifecycle_stage=ibis.literal(REGISTERED),
    )


def people_by_stage(features: ibis.Table, registered: ibis.Table) -> pd.DataFrame:
    """Count people by date and stage, one row a date: `as_of` and a column a stage."""
    both = [t.select("lifecycle_stage", as_of=t.as_of.cast("timestamp(6)")) for t in (features, registered)]
    stages = ibis.union(*both)
    counts = stages.group_by("as_of", "lifecycle_stage").aggregate(n=stages.count()).to_pandas()
    table = counts.pivot(index="as_of", columns="lifecycle_stage", values="n").fillna(0).astype(int)
    return (
        table[[stage for stage in (*STAGES, REGISTERED) if stage in table]].rename_axis(columns=None).reset_index()
    )


def _in_window(rows: ibis.Table, days: Sequence[datetime]) -> tuple[ibis.Table, types.BooleanValue]:
    """Each row with every date in whose 91 days it lies, and whether it lies in the last 28."""
    dates = ibis.memtable({"place": range(len(days)), "as_of": sorted(days)}, schema=DATES)
    pairs = rows.join(dates, [rows["at"] < dates.as_of, rows["at"] >= dates.as_of - ibis.interval(days=LONG)])
    return pairs, pairs["at"] >= pairs.as_of - ibis.interval(days=SHORT)


def _joined(snapshots: ibis.Table, sums: ibis.Table, counts: Sequence[str]) -> ibis.Table:
    """The snapshots with the sums of their person and date; who has none has counts of 0."""
    joined = snapshots.left_join(sums, ["person_id", "as_of"]).drop("person_id_right", "as_of_right")
    return joined.mutate(**{name: joined[name].fill_null(0) for name in counts})


def _days_since(snapshots: ibis.Table, rows: ibis.Table, name: str) -> ibis.Table:
    """The snapshots with the days since the last of the rows before each: a point-in-time join in the engine."""
    last = rows.select("person_id", last_at="at").distinct()
    joined = snapshots.asof_join(last, on=snapshots.as_of > last.last_at, predicates="person_id")
    days = joined.as_of.delta(joined.last_at, unit="second") / _SECONDS_A_DAY
    return joined.mutate(**{name: days}).drop("last_at", "person_id_right")
