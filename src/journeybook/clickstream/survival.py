"""How sessions go on: how many survive each event, where they flow, how long it takes to convert."""

from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.journeys.sessions import CONVERSION, EXIT, START
from journeybook.journeys.visitors import cluster_groups
from journeybook.statistics import cluster_bootstrap
from journeybook.statistics.chains import TransitionModel

Array = NDArray[np.floating]
OTHERS = "(other)"
_QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Survival:
    """How many sessions are still going after so many events.

    Attributes:
        table: One row a number of events, from 0: `events`, `n` (sessions with more events than that), `share` of
            all sessions with `share_low` and `share_high`, `converted` and `left` (shares that have ended in
            either way by then; the three sum to 1) and `by_chain` (the share by the chain of the first order).
        n_sessions: Sessions.
        most_events: Events of the longest session.
    """

    table: pd.DataFrame
    n_sessions: int
    most_events: int


def session_survival(
    steps: ibis.Table,
    model: TransitionModel,
    *,
    longest: int,
    n_draws: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Survival:
    """Return the share of sessions still going after 0, 1, 2, ... events, and of those that ended either way.

    Args:
        steps: Kept events of `session_steps`; of paths nothing is told, here as below.
        model: Their chain.
        longest: Events up to which the share is told; 1 or more.
        n_draws: Draws of people behind the intervals.
        rng: Random numbers.
        level: Probability that an interval holds its target.

    Raises:
        ValueError: `longest` is below 1.
    """
    if longest < 1:
        raise ValueError(f"longest is {longest}: at least 1 event is needed.")
    if "session" not in steps.columns:
        return Survival(table=pd.DataFrame(), n_sessions=0, most_events=0)
    joined = steps.join(cluster_groups(steps).select("cluster", "group"), "cluster")
    ends = joined.filter(joined["last"])
    by_group = (
        ends.group_by("group", events=ends.step + 1)
        .aggregate(n=ends.count(), converted=ends.converts.sum())
        .order_by("group", "events")
        .to_pandas()
    )
    most = int(by_group["events"].max())
    by_group["events"] = by_group["events"].clip(upper=longest + 1)
    group, names = pd.factorize(by_group["group"], sort=True)
    ended, converted = (np.zeros((len(names), longest + 2)) for _ in range(2))
    np.add.at(ended, (group, by_group["events"]), by_group["n"])
    np.add.at(converted, (group, by_group["events"]), by_group["converted"])
    # Sessions with more than k events, by group, k from 0 to `longest`.
    going = (ended.sum(axis=1, keepdims=True) - ended.cumsum(axis=1))[:, :-1]
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_draws)
    drawn = weights @ going
    low, high = np.quantile(drawn / drawn[:, [0]], [(1 - level) / 2, (1 + level) / 2], axis=0)
    n = ended.sum()
    bought = converted.sum(axis=0).cumsum()[:-1] / n
    share = going.sum(axis=0) / n
    table = pd.DataFrame(
        {
            "events": np.arange(longest + 1),
            "n": going.sum(axis=0).astype(np.int64),
            "share": share,
            "share_low": low,
            "share_high": high,
            "converted": bought,
            "left": 1 - share - bought,
            "by_chain": survival_by_chain(model, longest=longest),
        }
    )
    return Survival(table=table, n_sessions=int(n), most_events=most)


def survival_by_chain(model: TransitionModel, *, longest: int) -> Array:
    """Return the share of sessions with more than 0, 1, ... `longest` events by the chain, shape (longest + 1,).

    A session that converts counts the conversion as an event, as `session_survival` does.
    """
    s = len(model.states)
    at = np.zeros(s)
    at[model.at(START)] = 1.0
    found = np.empty(longest + 1)
    for k in range(longest + 1):
        flow = at[model.source] * model.steps
        found[k] = flow[model.target != s + 1].sum()
        inner = model.target < s
        at = np.bincount(model.target[inner], weights=flow[inner], minlength=s).astype(float)
    return found


def step_flow(steps: ibis.Table, *, n_steps: int, most: int) -> pd.DataFrame:
    """Count the sessions that go from one state to another at each of the first steps.

    Args:
        steps: Kept events of `session_steps`.
        n_steps: Steps followed, 1 or more; the first leads from `(start)` to the first event.
        most: States that keep their names, those visited most within these steps; the others are `(other)`.

    Returns:
        One row a step and pair: `step` (from 0), `source`, `target`, `n`. `(conversion)` and `(exit)` are targets.

    Raises:
        ValueError: A number is below 1.
    """
    if n_steps < 1 or most < 1:
        raise ValueError(f"n_steps is {n_steps} and most is {most}: both must be at least 1.")
    if "session" not in steps.columns:
        return pd.DataFrame(columns=["step", "source", "target", "n"])
    early = steps.filter(steps.step < n_steps)
    leaves = early["last"] & (early.converts == 0)
    found = (
        early.group_by("step", source=early.previous, target=early.label)
        .aggregate(n=early.count(), n_exits=leaves.cast("int64").sum())
        .order_by("step", "source", "target")
        .to_pandas()
    )
    visits = found[found["target"] != CONVERSION].groupby("target")["n"].sum()
    named = set(visits.sort_values(ascending=False, kind="stable").index[:most]) | {START, CONVERSION}
    for end in ("source", "target"):
        found[end] = found[end].where(found[end].isin(named), OTHERS)
    left = found[(found["n_exits"] > 0) & (found["step"] < n_steps - 1)]
    left = left.assign(step=left["step"] + 1, source=left["target"], target=EXIT, n=left["n_exits"])
    both = pd.concat([found, left])[["step", "source", "target", "n"]]
    return both.groupby(["step", "source", "target"], as_index=False)["n"].sum().astype({"n": "int64"})


def time_to_conversion(steps: ibis.Table, *, n_draws: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return how long those who convert take: events and minutes of the session, sessions and days of the person.

    The way of a person begins with the first session, or the first after a conversion, and ends with the
    conversion. Sessions of unknown visitors count for events and minutes only. Whoever has not converted yet is
    not in these figures, so they say nothing of how long one must wait for the others.

    Args:
        steps: Kept events of `session_steps`.
        n_draws: Draws of people behind the intervals.
        rng: Random numbers.

    Returns:
        One row a measure and quartile: `measure` (events, minutes, sessions, days), `share` (0.25, 0.5, 0.75),
        `value`, `value_low`, `value_high`, `n` (conversions). Minutes and days only where there are times. No rows
        where nothing converts.
    """
    ways, rows = pd.DataFrame(), []
    if "session" in steps.columns:
        ways = _ways(steps)
        ways = ways.filter(ways.won == 1).order_by("row").to_pandas()
    for measure in ("events", "minutes", "sessions", "days"):
        if measure not in ways.columns:
            continue
        part = ways[ways["known"]] if measure in ("sessions", "days") else ways
        if part.empty:
            continue
        values = part[measure].to_numpy(dtype=float)
        order = np.argsort(values, kind="stable")
        clusters, ordered = part["cluster"].to_numpy()[order], values[order]

        def quartiles(weights: NDArray, ordered: Array = ordered) -> Array:
            reached = np.cumsum(weights) / weights.sum()
            return ordered[np.searchsorted(reached, _QUARTILES)]

        # Clusters in the order of their rows, so that no value of an id plays a part.
        first = part.groupby("cluster", sort=False)["row"].transform("min").to_numpy()[order]
        ends = cluster_bootstrap(first, quartiles, n_draws=n_draws, rng=rng)
        found = quartiles(np.ones(len(clusters)))
        rows += [
            {"measure": measure, "share": q, "value": v, "value_low": low, "value_high": high, "n": len(values)}
            for q, v, low, high in zip(_QUARTILES, found, ends.low, ends.high, strict=True)
        ]
    return pd.DataFrame(rows, columns=["measure", "share", "value", "value_low", "value_high", "n"])


def _ways(steps: ibis.Table) -> ibis.Table:
    """One row a session: its events and minutes, and the sessions and days since the person's way began."""
    timed = "occurred_at" in steps.columns
    times = {"opens": steps.occurred_at.min(), "closes": steps.occurred_at.max()} if timed else {}
    sessions = steps.group_by("session").aggregate(
        cluster=steps.cluster.min(), known=steps.known.any(), events=steps.count(), won=steps.converts.max(),
        row=steps.row.min(), **times,
    )  # fmt: skip
    order = [sessions[name] for name in ("opens", "row") if name in sessions.columns]
    within = {"group_by": sessions.cluster, "order_by": order}
    sessions = sessions.mutate(way=sessions.won.cumsum(**within) - sessions.won)
    order = [sessions[name] for name in ("opens", "row") if name in sessions.columns]
    found = sessions.mutate(
        sessions=ibis.row_number().over(group_by=[sessions.cluster, sessions.way], order_by=order) + 1
    )
    if not timed:
        return found
    began = found.opens.min().over(group_by=[found.cluster, found.way])
    return found.mutate(
        minutes=(found.closes.epoch_seconds() - found.opens.epoch_seconds()) / 60,
        days=(found.closes.epoch_seconds() - began.epoch_seconds()) / 86_400,
    )
