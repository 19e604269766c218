"""What rules may read of each person, now and at the moment of a past contact."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import ibis
import pandas as pd

from journeybook.sends import NO_CONTACT
from journeybook.tables import kept_in_engine


@dataclass(frozen=True, eq=False)
class People:
    """One row a person, or a past contact, for rules to read.

    Attributes:
        table: `row` (from 1), `person_id`, the columns, and of past contacts `moment`; held in the engine.
        columns: Names of the columns that rules may read, besides those of the moment.
        as_of: End of the data; None for past contacts.
        messages: Messages sent before: `person_id`, `channel`, `occurred_at`; None where they have no times.
    """

    table: ibis.Table
    columns: tuple[str, ...]
    as_of: datetime | None
    messages: ibis.Table | None


def people_now(
    asked: ibis.Table, known: Mapping[str, ibis.Table | None], *, ends: datetime | None
) -> People | None:
    """Return everyone with all that is known of them by the end of the data; None where nobody is.

    Args:
        asked: The contacts, whose people are decided on where there are no features.
        known: Of `features` and `segments` the latest snapshot, of `lifetime_value` all but its dates, of
            `response_scores` the latest as `score_<channel>`, of `triggers` the last as `last_trigger` and
            `trigger_days`, of `recommendations` the first as `product_id` and `offer_reason`; each may be None.
        ends: End of the data where there are no features.
    """
    features = known.get("features")
    if features is not None:
        ends = features.as_of.max().to_pandas().to_pydatetime()
        people = features.filter(features.as_of == ends).drop("as_of")
    elif "person_id" in asked.columns and ends is not None:
        named = asked.filter(asked.person_id.notnull())
        people = named.group_by("person_id").aggregate(row=named.row.min())
    else:
        return None
    for name, of in (("segments", _segments), ("lifetime_value", _values), ("response_scores", _scores),
                     ("triggers", _last_trigger), ("recommendations", _first_offer)):  # fmt: skip
        if (table := known.get(name)) is not None:
            more = of(table, ends)
            new = [column for column in more.columns if column not in people.columns]
            people = people.left_join(more.select("person_id", *new), "person_id").drop("person_id_right")
    people = people.mutate(row=ibis.row_number().over(order_by=[people.row, people.person_id]) + 1)
    return _kept(people, ends, asked)


def people_then(
    sent: pd.DataFrame, asked: ibis.Table, features: ibis.Table | None, segments: ibis.Table | None
) -> People | None:
    """Return past contacts with what was known strictly before each; None where they have no people or times."""
    if (
        sent.empty
        or "occurred_at" not in sent
        or sent["occurred_at"].isna().any()
        or sent["person_id"].isna().any()
    ):
        return None
    rows = sent[["person_id"]].assign(row=range(1, len(sent) + 1), moment=sent["occurred_at"])
    people = ibis.memtable(rows.astype({"moment": "datetime64[us]"}))
    for table in (features, None if segments is None else segments.select("person_id", "as_of", "segment")):
        if table is not None:
            table = table.drop(*[name for name in ("row",) if name in table.columns])
            found = people.asof_join(table, people.moment > table.as_of, predicates="person_id")
            people = found.drop("person_id_right", "as_of")
    return _kept(people, None, asked)


def _kept(people: ibis.Table, as_of: datetime | None, asked: ibis.Table) -> People:
    """The table in the engine, with plain numbers, and the messages before."""
    kinds = people.schema()
    mended = {name: people[name].cast("float64") for name, kind in kinds.items() if kind.is_decimal()}
    # What is not a number is above every number in the engine, and would meet a rule.
    mended |= {name: people[name].nullif(float("nan")) for name, kind in kinds.items() if kind.is_floating()}
    table = kept_in_engine(people.mutate(**mended).order_by("row"))
    timed = {"person_id", "channel", "occurred_at"} <= set(asked.columns)
    messages = asked.filter(asked.channel != NO_CONTACT) if timed else None
    return People(
        table,
        tuple(name for name in table.columns if name not in ("row", "person_id", "moment")),
        as_of,
        None if messages is None else messages.select("person_id", "channel", "occurred_at"),
    )


def _segments(table: ibis.Table, _ends: datetime) -> ibis.Table:
    return table.filter(table.as_of == table.as_of.max()).select("person_id", "segment")


def _values(table: ibis.Table, _ends: datetime) -> ibis.Table:
    return table.drop(*[name for name in ("as_of", "horizon_weeks", "row") if name in table.columns])


def _scores(table: ibis.Table, _ends: datetime) -> ibis.Table:
    latest = table.filter(table.as_of == table.as_of.max())
    names = sorted(latest.select("channel").distinct().to_pandas()["channel"])
    scores = {f"score_{name}": latest.score.max(where=latest.channel == name) for name in names}
    return latest.group_by("person_id").aggregate(**scores)


def _last_trigger(table: ibis.Table, ends: datetime) -> ibis.Table:
    before = table.filter(table.person_id.notnull() & (table.occurred_at < ibis.timestamp(ends)))
    last = ibis.row_number().over(
        group_by=before.person_id, order_by=[before.occurred_at.desc(), before.row.desc()]
    )
    days = (ibis.timestamp(ends).epoch_seconds() - before.occurred_at.epoch_seconds()) / 86400
    found = before.mutate(place=last, trigger_days=days)
    return found.filter(found.place == 0).select("person_id", "trigger_days", last_trigger="trigger")


def _first_offer(table: ibis.Table, _ends: datetime) -> ibis.Table:
    first = table.filter(table["rank"] == 1)
    return first.select("person_id", "product_id", offer_reason="reason")
