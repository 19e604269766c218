"""How sessions go on: how many survive each event, where they flow, how long it takes to convert."""

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.journeys.sessions import CONVERSION, EXIT, START, clock
from journeybook.journeys.visitors import cluster_groups
from journeybook.statistics import cluster_weights
from journeybook.statistics.chains import TransitionModel

Array = NDArray[np.floating]
OTHERS = "(other)"
_QUARTILES = (0.25, 0.5, 0.75)


def session_survival(
    steps: ibis.Table,
    model: TransitionModel,
    *,
    longest: int,
    n_draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the share of sessions still going after 0, 1, 2, ... events, and of those that ended either way.

    It is told up to `longest` events, 1 or more; of paths nothing is, here as below. Intervals draw people.

    Returns:
        One row a number of events, from 0: `events`, `n` (sessions with more events than that), `share` of all
        sessions with `share_low` and `share_high`, `converted` and `left` (shares that have ended in either way by
        then; the three sum to 1) and `by_chain` (the share by the chain of the first order).

    Raises:
        ValueError: `longest` is below 1.
    """
    if longest < 1:
        raise ValueError(f"longest is {longest}: at least 1 event is needed.")
    if "session" not in steps.columns:
        return pd.DataFrame()
    joined = steps.join(cluster_groups(steps).select("cluster", "group"), "cluster")
    ends = joined.filter(joined["last"])
    by_group = (
        ends.group_by("group", events=ends.step + 1)
        .aggregate(n=ends.count(), converted=ends.converts.sum())
        .order_by("group", "events")
        .to_pandas()
    )
    by_group["events"] = by_group["events"].clip(upper=longest + 1)
    group, names = pd.factorize(by_group["group"], sort=True)
    ended, converted = (np.zeros((len(names), longest + 2)) for _ in range(2))
    np.add.at(ended, (group, by_group["events"]), by_group["n"])
    np.add.at(converted, (group, by_group["events"]), by_group["converted"])
    # Sessions with more than k events, by group, k from 0 to `longest`.
    going = (ended.sum(axis=1, keepdims=True) - ended.cumsum(axis=1))[:, :-1]
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_draws)
    drawn = weights @ going
    low, high = np.quantile(drawn / drawn[:, [0]], [0.025, 0.975], axis=0)
    n = ended.sum()
    bought = converted.sum(axis=0).cumsum()[:-1] / n
    share = going.sum(axis=0) / n
    return pd.DataFrame(
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
    """Count the sessions that go from one state to another at each of the first `n_steps` steps, 1 or more.

    The first leads from `(start)` to the first event. The `most` states visited most within these steps keep their
    names, the others are `(other)`.

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
    """Return how long sessions that convert take, in events and in minutes.

    Whoever does not convert is not in these figures, so they say nothing of how long one must wait for the others.

    Returns:
        One row a measure and quartile: `measure` (events, minutes), `share` (0.25, 0.5, 0.75), `value`,
        `value_low`, `value_high`, `n` (conversions). Minutes only where there are times. No rows where nothing
        converts.
    """
    rows, won = [], pd.DataFrame()
    if "session" in steps.columns:
        took = {}
        if "occurred_at" in steps.columns:
            seconds = clock(steps).epoch_seconds()
            took["minutes"] = (seconds.max() - seconds.min()) / 60
        sessions = steps.group_by("session").aggregate(
            cluster=steps.cluster.min(),
            row=steps.row.min(),
            converts=steps.converts.max(),
            events=steps.count(),
            **took,
        )
        won = sessions.filter(sessions.converts == 1).order_by("row").to_pandas()
    for measure in [name for name in ("events", "minutes") if name in won.columns and len(won)]:
        ordered = won.sort_values(measure, kind="stable")
        values = ordered[measure].to_numpy(dtype=float)
        # Clusters in the order of their rows, so that no value of an id plays a part.
        first = ordered.groupby("cluster", sort=False)["row"].transform("min").to_numpy()
        drawn = cluster_weights(first, n_draws=n_draws, rng=rng).cumsum(axis=1)
        for share in _QUARTILES:
            middle = values[(drawn < share * drawn[:, [-1]]).sum(axis=1)]
            low, high = np.quantile(middle, [0.025, 0.975])
            value = np.quantile(values, share, method="inverted_cdf")
            rows.append((measure, share, value, low, high, len(values)))
    return pd.DataFrame(rows, columns=["measure", "share", "value", "value_low", "value_high", "n"])
