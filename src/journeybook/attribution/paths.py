"""The channels people came through, one after the other: paths, steps between channels, credit by rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import pandas as pd

from journeybook.attribution.rules import RULES, credits
from journeybook.journeys.links import NUMBER, hashed
from journeybook.journeys.sessions import CONVERSION, EXIT, START, check_labels, clock, computed
from journeybook.journeys.visitors import MOST_GROUPS

UNKNOWN = "(unknown)"
MARK = "\x1f"
"""Stands between the channels of a state that remembers several; no printed name holds it."""

HIGHEST_ORDER = 4


@dataclass(frozen=True, eq=False)
class ChannelPaths:
    """The channels people came through, one after the other, up to a conversion.

    Attributes:
        counts: Steps by order of the chain: `group`, `source`, `target`, `n`, from `(start)` to `(conversion)` or
            `(exit)`. A state of order k is the last k channels, joined by `MARK`.
        credits: Conversions credited by each rule of thumb: `group`, `channel`, and a column a rule.
        n_paths: Paths; a fraction where the numbers of aggregated paths are.
        n_conversions: Paths that end in conversion.
        n_unknown: Sessions of unknown visitors, each a path by itself.
        aggregated: Whether the input were paths with their numbers; `group` of `credits` is then the path.
        timed: Whether time decay is by days; otherwise every touch further back counts half.
        note: Why nothing can be attributed; None where something can.
    """

    counts: dict[int, pd.DataFrame]
    credits: pd.DataFrame
    n_paths: float = 0
    n_conversions: float = 0
    n_unknown: int = 0
    aggregated: bool = False
    timed: bool = False
    note: str | None = None


def channel_paths(
    steps: ibis.Table,
    *,
    path_gap_days: float,
    half_life_days: float,
    orders: Sequence[int],
    each_of: str | None = None,
) -> ChannelPaths:
    """Put the sessions of each person in a row, count the steps between their channels, and credit by rule.

    A session's channel is the first that any of its events bears. A path ends with a conversion, or when the
    person stays away longer than `path_gap_days`. Each session of an unknown visitor is a path.

    Args:
        steps: What `steps_of` returns: events with `channel`, or the steps of paths, which are the channels.
        path_gap_days: A pause strictly longer begins a new path.
        half_life_days: Days before the conversion in which a touch loses half its weight, for time decay.
        orders: Orders of the chains of channels, each 1 to 4.
        each_of: Event each of which is a conversion, however many a session holds, of steps cut at the last one; a
            path then counts once for each. None counts the conversion that ends a path.

    Raises:
        ValueError: A number is out of its range, or a channel bears a reserved name.
    """
    for name, value in (("path_gap_days", path_gap_days), ("half_life_days", half_life_days)):
        if not value > 0:
            raise ValueError(f"{name} is {value}: it must be above 0.")
    if not orders or any(order not in range(1, HIGHEST_ORDER + 1) for order in orders):
        raise ValueError(f"orders are {list(orders)}: at least one from 1 to {HIGHEST_ORDER} is needed.")
    if "session" not in steps.columns:
        return _aggregated(steps, orders)
    if "channel" not in steps.columns:
        return _no_paths("the events name no channel")
    _check_names(steps.channel.nullif(""))
    touches = _touches(steps, path_gap_days, each_of)
    touches = computed(touches.mutate(weight=touches.won, walked=ibis.greatest(touches.won, 1)))
    n_unknown = steps.filter(~steps.known).session.nunique().execute()
    asked = {"half_life_days": half_life_days, "n_unknown": int(n_unknown)}
    return _channel_paths(touches, touches, orders, timed="ends_at" in touches.columns, **asked)


def _touches(kept: ibis.Table, path_gap_days: float, each_of: str | None) -> ibis.Table:
    """One row a session: `path`, `touch` (from 0), `n_touches`, `label`, `group`, `won` (its path's)."""
    timed = "occurred_at" in kept.columns
    times = {"occurred_at": clock(kept).min(), "left_at": clock(kept).max()} if timed else {}
    sessions = kept.group_by("session").aggregate(
        cluster=kept.cluster.min(),
        label=kept.channel.argmin(kept.step, where=kept.channel != "").fill_null(UNKNOWN),
        converts=kept.converts.cast("int64").max(),
        sold=kept.label.isin([CONVERSION, each_of] if each_of else [CONVERSION]).cast("int64").sum(),
        row=kept.row.min(),
        **times,
    )
    within = {"group_by": sessions.cluster, "order_by": _order(sessions)}
    opens = sessions.converts.lag().over(**within).fill_null(1) == 1
    if times:
        pause = ibis.interval(seconds=round(path_gap_days * 86_400))
        opens = opens | (sessions.occurred_at > sessions.left_at.lag().over(**within) + pause).fill_null(True)
    marked = sessions.mutate(opens=opens.cast("int64"), first=sessions.row.min().over(group_by=sessions.cluster))
    number = marked.opens.cumsum(group_by=marked.cluster, order_by=_order(marked))
    # The rank, not the row: rows that nobody may read must leave no trace in the groups.
    rank = ibis.dense_rank().over(order_by=marked["first"])
    paths = marked.mutate(path=marked.cluster + " " + number.cast("string"), rank=rank)
    many = paths.rank.max().over() >= MOST_GROUPS
    ends = {"ends_at": paths.occurred_at.max().over(group_by=paths.path)} if times else {}
    return paths.mutate(
        touch=ibis.row_number().over(group_by=paths.path, order_by=_order(paths)),
        n_touches=ibis._.count().over(group_by=paths.path),
        won=paths.sold.sum().over(group_by=paths.path),
        group=ibis.ifelse(many, hashed(paths.rank, n_digits=3), paths.rank.cast("string")),
        **ends,
    )


def _states(touches: ibis.Table, order: int) -> ibis.Table:
    """Add `state`, the last `order` channels of the path, and `previous`, the state of the touch before."""
    within = {"group_by": touches.path, "order_by": touches.touch}
    state = touches.label
    for back in range(1, order):
        state = (touches.label.lag(back).over(**within) + MARK).fill_null("") + state
    found = touches.mutate(state=state)
    previous = found.state.lag().over(group_by=found.path, order_by=found.touch)
    return found.mutate(previous=previous.fill_null(START), last=found.touch == found.n_touches - 1)


def _steps(states: ibis.Table) -> pd.DataFrame:
    """Count the steps between states; each path takes one more, into conversion or exit."""
    inner = states.select("group", source=states.previous, target=states.state, n=states.walked)
    ends = states.filter(states.last)
    won = ends.select("group", source=ends.state, target=ibis.literal(CONVERSION), n=ends.weight)
    lost = ends.select(
        "group",
        source=ends.state,
        target=ibis.literal(EXIT),
        n=(ends.walked - ends.weight).cast(ends.walked.type()),
    )
    steps = inner.union(won).union(lost)
    counts = steps.filter(steps.n > 0).group_by("group", "source", "target").aggregate(n=ibis._.n.sum())
    return counts.order_by("group", "source", "target").to_pandas().astype({"n": float})


def _aggregated(steps: ibis.Table, orders: Sequence[int]) -> ChannelPaths:
    _check_names(steps.label)
    touches = steps.mutate(
        path=steps.row,
        touch=steps.step,
        n_touches=steps.step.max().over(group_by=steps.row) + 1,
        weight=steps.conversions.cast(NUMBER),
        walked=(steps.conversions + steps.nulls).cast(NUMBER),
        group=steps.row,
    )
    asked = {"half_life_days": None, "aggregated": True, "timed": False}
    return _channel_paths(touches, touches.mutate(group=ibis.literal("all")), orders, **asked)


def _channel_paths(
    credited: ibis.Table, counted: ibis.Table, orders: Sequence[int], *, half_life_days: float | None, **about: Any
) -> ChannelPaths:
    counts = {order: _steps(_states(counted, order)) for order in orders}
    reached = counts[orders[0]].groupby("target")["n"].sum()
    n_conversions, n_exits = reached.get(CONVERSION, 0), reached.get(EXIT, 0)
    if not n_conversions:
        return _no_paths("no path ends in a conversion")
    return ChannelPaths(
        counts=counts,
        credits=credits(credited, half_life_days=half_life_days).order_by("group", "channel").to_pandas(),
        n_paths=n_conversions + n_exits,
        n_conversions=n_conversions,
        **about,
    )


def _no_paths(note: str) -> ChannelPaths:
    return ChannelPaths({}, pd.DataFrame(columns=["group", "channel", *RULES]), note=note)


def _check_names(names: ibis.Value) -> None:
    found = names.name("channel").as_table().distinct().to_pandas()["channel"].dropna()
    check_labels(sorted(found), "a channel")


def _order(table: ibis.Table) -> list:
    return [table[name] for name in ("occurred_at", "row") if name in table.columns]
