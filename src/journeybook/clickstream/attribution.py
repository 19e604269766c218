"""Which channel brought the conversions: exact removal effects, and the rules of thumb beside them."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.clickstream.chain import count_matrix
from journeybook.clickstream.sessions import (
    CONVERSION,
    EXIT,
    MOST_GROUPS,
    START,
    cut,
    grouped_counts,
    path_steps,
    place,
)

Array = NDArray[np.floating]
UNKNOWN = "(unknown)"
_COLUMNS = (
    "channel",
    "method",
    "removal_effect",
    "removal_effect_low",
    "removal_effect_high",
    "share",
    "share_low",
    "share_high",
    "credit",
)


@dataclass(frozen=True, eq=False)
class ChannelPaths:
    """The channels people came through, one after the other, up to a conversion.

    Attributes:
        counts: Steps between channels: `group`, `source`, `target`, `n`, from `(start)` to `(conversion)` or
            `(exit)`.
        touches: Converting paths only: `channel`, `n_touches` (length of the path), `n` (touches), `first`
            and `last` (how many of them open and close a path).
        n_paths: Paths.
        n_conversions: Paths that end in conversion.
        known_only: Whether sessions of unknown visitors were left out, since nothing joins them.
        aggregated: Whether the input were paths with their numbers.
        note: Why nothing can be attributed; None where something can.
    """

    counts: pd.DataFrame
    touches: pd.DataFrame
    n_paths: int
    n_conversions: int
    known_only: bool
    aggregated: bool
    note: str | None


@dataclass(frozen=True, eq=False)
class Attribution:
    """Conversions credited to channels.

    Attributes:
        table: One row a channel and method: `channel`, `method` (markov_removal, first_touch, last_touch,
            linear), `removal_effect` (share of the conversions lost without the channel; markov_removal
            only) with `removal_effect_low` and `_high`, `share` (of all credit) with `share_low` and
            `share_high` (markov_removal only), `credit` (conversions).
            Empty where nothing can be attributed.
        conversion_probability: Probability that a path converts, by the chain.
        note: Why nothing can be attributed; None where something can.
    """

    table: pd.DataFrame
    conversion_probability: float
    note: str | None


def channel_paths(
    table: ibis.Table, *, conversion: str | None, session_gap_minutes: float, path_gap_days: float
) -> ChannelPaths:
    """Put the sessions of each person in a row and count the steps between their channels.

    A session's channel is that of its first event. A path ends with a conversion, or when the person stays
    away longer than `path_gap_days`. Where people are known, unknown visitors are left out; where nobody is,
    every session is a path.

    Args:
        table: Canonical `events` with `channel`, or canonical `paths`, whose steps are the channels.
        conversion: Event that counts as conversion.
        session_gap_minutes: A pause strictly longer begins a new session, where no session is given.
        path_gap_days: A pause strictly longer begins a new path.

    Raises:
        ValueError: `path_gap_days` is not positive.
    """
    if not path_gap_days > 0:
        raise ValueError(f"path_gap_days is {path_gap_days}: it must be above 0.")
    if "path" in table.columns:
        return _aggregated(table)
    if "channel" not in table.columns:
        return _no_paths("the events name no channel")
    if conversion is None:
        return _no_paths("no event counts as conversion")
    known_only = "person_id" in table.columns and bool(table.person_id.notnull().any().execute())
    if known_only:
        table = table.filter(table.person_id.notnull())
    kept = cut(place(table, session_gap_minutes=session_gap_minutes), conversion=conversion)
    timed = "occurred_at" in kept.columns
    sessions = kept.group_by("session").aggregate(
        cluster=kept.cluster.min(),
        label=kept.channel.max(where=kept.step == 0).fill_null(UNKNOWN),
        converts=kept.converts.max(),
        row=kept.row.min(),
        **({"occurred_at": kept.occurred_at.min(), "ends_at": kept.occurred_at.max()} if timed else {}),
    )
    return _counted(_as_paths(sessions, path_gap_days), known_only)


def attribute(paths: ChannelPaths, *, n_draws: int, rng: np.random.Generator, level: float = 0.95) -> Attribution:
    """Credit the conversions to the channels by four methods.

    The removal effect of a channel is exact: in the chain of channels its visits lead to exit instead, and
    the chance of conversion is solved again (Anderl et al. 2016, with the fundamental matrix in place of
    simulation). Its credit is its share of all removal effects.

    Args:
        paths: Steps between channels.
        n_draws: Draws behind the intervals.
        rng: Random numbers; people are drawn, or steps where paths are aggregated.
        level: Probability that an interval holds its target.
    """
    if paths.note is not None:
        return Attribution(table=pd.DataFrame(columns=[*_COLUMNS]), conversion_probability=0.0, note=paths.note)
    states, total = count_matrix(paths.counts, conversion=CONVERSION, exit=EXIT)
    start = states.index(START)
    channels = [name for name in states if name != START]
    effect = removal_effects(total, start=start)
    drawn = removal_effects(_draws(paths, states, total, n_draws, rng), start=start)
    tail = [(1 - level) / 2, (1 + level) / 2]
    effect_low, effect_high = np.nanquantile(drawn, tail, axis=0)
    share = effect / effect.sum()
    share_low, share_high = np.nanquantile(drawn / drawn.sum(axis=-1, keepdims=True), tail, axis=0)
    markov = pd.DataFrame(
        {
            "channel": channels,
            "method": "markov_removal",
            "removal_effect": effect,
            "removal_effect_low": effect_low,
            "removal_effect_high": effect_high,
            "share": share,
            "share_low": share_low,
            "share_high": share_high,
        }
    )
    rules = [_rule(paths.touches, channels, method) for method in ("last_touch", "first_touch", "linear")]
    table = pd.concat([markov, *rules], ignore_index=True)
    order = markov.sort_values(["share", "channel"], ascending=[False, True])["channel"].tolist()
    table = table.assign(credit=table["share"] * paths.n_conversions, rank=table["channel"].map(order.index))
    table = table.sort_values(["rank", "method"], ignore_index=True, kind="stable").drop(columns="rank")
    chance = float(_conversion(total[None], start)[0])
    return Attribution(table=table[[*_COLUMNS]], conversion_probability=chance, note=None)


def removal_effects(counts: Array, *, start: int) -> Array:
    """Return the share of conversions lost when each channel's visits lead to exit.

    Args:
        counts: Steps between channels, one chain or a stack, shape (..., s, s + 2), conversion and exit last.
        start: Number of the state `(start)`.

    Returns:
        Shape (..., s - 1): the channels in their order, without `(start)`.
    """
    stack = counts.reshape(-1, *counts.shape[-2:])
    whole = _conversion(stack, start)
    effects = []
    for channel in range(counts.shape[-2]):
        if channel == start:
            continue
        removed = stack.copy()
        removed[:, channel, :] = 0.0
        removed[:, channel, -1] = 1.0
        effects.append(1 - _conversion(removed, start) / np.where(whole > 0, whole, np.nan))
    return np.stack(effects, axis=-1).reshape(*counts.shape[:-2], -1)


def _conversion(counts: Array, start: int) -> Array:
    """Return the chance of conversion from `start` of each chain of a stack."""
    totals = counts.sum(axis=-1, keepdims=True)
    p = counts / np.where(totals > 0, totals, 1.0)
    s = p.shape[-2]
    return np.linalg.solve(np.eye(s) - p[..., :s], p[..., -2][..., None])[..., start, 0]


def _draws(
    paths: ChannelPaths, states: tuple[str, ...], total: Array, n_draws: int, rng: np.random.Generator
) -> Array:
    if paths.aggregated:
        return rng.standard_gamma(np.broadcast_to(total, (n_draws, *total.shape)))
    frame = paths.counts
    number = pd.Series(range(len(states) + 2), index=[*states, CONVERSION, EXIT])
    cell = number[frame["source"]].to_numpy() * total.shape[1] + number[frame["target"]].to_numpy()
    group, names = pd.factorize(frame["group"], sort=True)
    by_group = np.zeros((len(names), total.size))
    np.add.at(by_group, (group, cell), frame["n"].to_numpy())
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_draws)
    return (weights @ by_group).reshape(n_draws, *total.shape)


def _rule(touches: pd.DataFrame, channels: list[str], method: str) -> pd.DataFrame:
    """Credit by a rule of thumb; the sums run over counts in a fixed order."""
    if method == "linear":
        credit = (touches["n"] / touches["n_touches"]).groupby(touches["channel"]).sum()
    else:
        credit = touches.groupby("channel")["last" if method == "last_touch" else "first"].sum()
    credit = credit.reindex(channels, fill_value=0).astype(float)
    return pd.DataFrame({"channel": channels, "method": method, "share": (credit / credit.sum()).to_numpy()})


def _as_paths(sessions: ibis.Table, path_gap_days: float) -> ibis.Table:
    """Add `path`: a person's sessions up to a conversion, or to a pause of more than so many days."""
    order = [sessions[name] for name in ("occurred_at", "row") if name in sessions.columns]
    within = {"group_by": sessions.cluster, "order_by": order}
    opens = sessions.converts.lag().over(**within).fill_null(1) == 1
    if "occurred_at" in sessions.columns:
        pause = ibis.interval(seconds=round(path_gap_days * 86_400))
        late = sessions.occurred_at > sessions.ends_at.lag().over(**within) + pause
        opens = opens | late.fill_null(True)
    marked = sessions.mutate(opens=opens.cast("int64"))
    order = [marked[name] for name in ("occurred_at", "row") if name in marked.columns]
    number = marked.opens.cumsum(group_by=marked.cluster, order_by=order)
    return marked.mutate(path=marked.cluster + " " + number.cast("string"))


def _counted(sessions: ibis.Table, known_only: bool) -> ChannelPaths:
    order = [sessions[name] for name in ("occurred_at", "row") if name in sessions.columns]
    within = {"group_by": sessions.path, "order_by": order}
    steps = sessions.mutate(
        previous=sessions.label.lag().over(**within).fill_null(START),
        last=sessions.label.lead().over(**within).isnull(),
        won=sessions.converts.max().over(group_by=sessions.path),
        n_touches=ibis._.count().over(group_by=sessions.path),
    )
    n_clusters = int(sessions.cluster.nunique().execute())
    # Each touch is a step into its channel; a path that converts takes one more, into conversion.
    inner = steps.select("cluster", "row", "previous", "label", last=steps.last & (steps.won == 0))
    won = steps.filter(steps.last & (steps.won == 1))
    won = won.select(
        "cluster", "row", previous=won.label, label=ibis.literal(CONVERSION), last=ibis.literal(False)
    )
    counts = grouped_counts(inner.union(won), many=n_clusters > MOST_GROUPS)
    touched = steps.filter(steps.won == 1)
    touches = (
        touched.group_by(channel=touched.label, n_touches=touched.n_touches)
        .aggregate(
            n=touched.count(),
            first=(touched.previous == START).cast("int64").sum(),
            last=touched.last.cast("int64").sum(),
        )
        .order_by("channel", "n_touches")
        .to_pandas()
    )
    return _channel_paths(counts, touches, known_only=known_only, aggregated=False)


def _aggregated(paths: ibis.Table) -> ChannelPaths:
    steps = path_steps(paths)
    walked = steps.conversions + steps.nulls
    ends = steps.filter(steps.last)
    parts = [
        steps.select(source=steps.previous, target=steps.label, n=walked),
        ends.select(source=ends.label, target=ibis.literal(CONVERSION), n=ends.conversions),
        ends.select(source=ends.label, target=ibis.literal(EXIT), n=ends.nulls),
    ]
    counts = ibis.union(*parts).group_by("source", "target").aggregate(n=ibis._.n.sum())
    counts = counts.filter(counts.n > 0).order_by("source", "target").to_pandas().astype({"n": "int64"})
    length = steps.step.max().over(group_by=steps.row) + 1
    won = steps.mutate(n_touches=length).filter(steps.conversions > 0)
    touches = (
        won.group_by(channel=won.label, n_touches=won.n_touches)
        .aggregate(
            n=won.conversions.sum(),
            first=ibis.ifelse(won.step == 0, won.conversions, 0).sum(),
            last=ibis.ifelse(won.last, won.conversions, 0).sum(),
        )
        .order_by("channel", "n_touches")
        .to_pandas()
        .astype({"n": "int64", "first": "int64", "last": "int64"})
    )
    return _channel_paths(counts.assign(group="all"), touches, known_only=False, aggregated=True)


def _channel_paths(
    counts: pd.DataFrame, touches: pd.DataFrame, *, known_only: bool, aggregated: bool
) -> ChannelPaths:
    reached = counts.groupby("target")["n"].sum()
    n_conversions, n_exits = int(reached.get(CONVERSION, 0)), int(reached.get(EXIT, 0))
    return ChannelPaths(
        counts=counts,
        touches=touches,
        n_paths=n_conversions + n_exits,
        n_conversions=n_conversions,
        known_only=known_only,
        aggregated=aggregated,
        note=None if n_conversions else "no path ends in a conversion",
    )


def _no_paths(note: str) -> ChannelPaths:
    steps = pd.DataFrame(columns=["group", "source", "target", "n"])
    touches = pd.DataFrame(columns=["channel", "n_touches", "n", "first", "last"])
    return ChannelPaths(steps, touches, n_paths=0, n_conversions=0, known_only=False, aggregated=False, note=note)
