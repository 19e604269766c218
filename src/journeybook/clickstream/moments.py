"""When an offer changes most: for each state of a live session, now or later."""

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.clickstream.elasticity import MOST_DENSE
from journeybook.clickstream.intervals import OTHERS, ChainDraws, pool_rare
from journeybook.journeys.sessions import CONVERSION, START
from journeybook.statistics.chains import TransitionModel, fundamental
from journeybook.statistics.rates import clustered_rates

Array = NDArray[np.floating]

NOW, WAIT = "now", "wait"

_CONVERGED = 1e-12
_BANDS = ((1, "1"), (2, "2"), (5, "3-5"), (10, "6-10"), (10**9, "11 and more"))
"""Last number of events, and name, of each band of session prefixes."""
_PREFIXES = ["events_so_far", "n", "predicted", "observed", "observed_low", "observed_high"]


def best_moments(chain: ChainDraws, *, kept_share: float) -> pd.DataFrame:
    """Return, for each state a live session may be in, whether its one offer is best made now or later.

    An offer made at a state keeps `kept_share` of those who would leave there at that visit; they go on like the
    others. With p_e the chance of leaving and h that of conversion, it brings g = kept_share p_e h / (1 - p_e)
    conversions. There is one offer a session, so when to make it is a problem of optimal stopping (Bellman 1957):
    V_i = max(g_i, sum over j of p_ij V_j). Which moment is best does not depend on `kept_share`. Of very many
    states the `MOST_DENSE` visited most are told apart, and the others are one.

    Args:
        chain: The chain and its draws.
        kept_share: Share of those about to leave whom an offer keeps, above 0 to 1.

    Returns:
        One row a state but `(start)`, most to gain first: `state`, `visits`, `conversion_probability`, `gain_now`
        and `gain_waiting` (conversions an offer brings a session, made now or at the best later moment), with
        `gain_now_low` and `_high`, `offer` (now, wait), `now_share` (share of the draws in which now is best),
        `best_state` (where an offer changes most, the chance of coming there counted) and `reach_probability`
        (chance of coming there).

    Raises:
        ValueError: `kept_share` is out of range.
    """
    if not 0 < kept_share <= 1:
        raise ValueError(f"kept_share is {kept_share}: it must be above 0 and at most 1.")
    visits = np.sort(np.bincount(chain.model.source, weights=chain.model.n))[::-1]
    if len(visits) > MOST_DENSE:
        chain = pool_rare(chain, least_visits=int(visits[MOST_DENSE - 1]))
    p, draws = chain.model.probabilities, chain.probabilities
    gain, drawn = kept_share * offer_values(p), kept_share * offer_values(draws)
    waiting, waiting_drawn = waiting_values(p, gain), waiting_values(draws, drawn)
    reach = reach_probabilities(p)
    best = (reach * gain).argmax(axis=1)
    tail = (1 - chain.level) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    states = np.array(chain.model.states, dtype=object)
    frame = pd.DataFrame(
        {
            "state": states,
            "visits": chain.counts.sum(axis=1).astype(np.int64),
            "conversion_probability": chain.model.conversion_probability,
            "gain_now": gain,
            "gain_now_low": low,
            "gain_now_high": high,
            "gain_waiting": waiting,
            "offer": np.where(gain >= waiting, NOW, WAIT),
            "now_share": (drawn >= waiting_drawn).mean(axis=0),
            "best_state": states[best],
            "reach_probability": reach[np.arange(len(states)), best],
        }
    )
    frame = frame[(frame["state"] != START) & (frame["visits"] > 0)]
    return frame.sort_values(["gain_now", "visits"], ascending=False, ignore_index=True, kind="stable")


def offer_values(probabilities: Array) -> Array:
    """Return the conversions that keeping everyone at a state, once, would bring, shape (..., s).

    It is the chance of leaving times the chance of conversion of those who go on; 0 where everyone leaves.
    """
    p = probabilities
    chance = (fundamental(p) @ p[..., -2][..., None])[..., 0]
    stays = 1 - p[..., -1]
    return np.where(stays > 0, p[..., -1] * chance / np.where(stays > 0, stays, 1.0), 0.0)


def waiting_values(probabilities: Array, gain: Array) -> Array:
    """Return what the one offer is worth if it is not made now but at the best later moment, shape (..., s)."""
    inside = probabilities[..., : probabilities.shape[-2]]
    value = gain
    while True:
        waiting = (inside @ value[..., None])[..., 0]
        better = np.maximum(gain, waiting)
        # Values only rise, and what one round leaves is less than the last by the chance of going on.
        if (better - value).max() < _CONVERGED:
            return waiting
        value = better


def reach_probabilities(probabilities: Array) -> Array:
    """Return the chance of coming from each state to each, 1 to itself, shape (s, s): N_ij / N_jj."""
    visits = fundamental(probabilities)
    return visits / np.diagonal(visits)


def prefix_calibration(steps: ibis.Table, model: TransitionModel, *, level: float = 0.95) -> pd.DataFrame:
    """Hold the chance of conversion that the chain gives a live session against what became of it.

    The chain remembers only the last event, so sessions that have gone on for long are where it may be wrong.

    Args:
        steps: Kept events of `session_steps`; of paths nothing is told.
        model: The chain.
        level: Probability that an interval holds the share observed.

    Returns:
        One row a number of events so far: `events_so_far`, `n` (moments), `predicted` and `observed` share that
        converts, `observed_low` and `observed_high`, drawn from people. No rows where every session converts with
        its first event.
    """
    if "session" not in steps.columns or not model.conversion_probability.any():
        return pd.DataFrame(columns=_PREFIXES)
    wins = steps.converts.cast("int64").max().over(group_by=steps.session)
    moments = steps.mutate(hit=wins, events=steps.step + 1).filter(steps.label != CONVERSION)
    band = ibis.cases(*[(moments.events <= last, number) for number, (last, _) in enumerate(_BANDS)])
    banded = moments.mutate(band=band)
    found = clustered_rates(banded, by=["band"], hit="hit", level=level)
    if found.empty:
        return pd.DataFrame(columns=_PREFIXES)
    mix = banded.group_by("band", "label").aggregate(n=ibis._.count()).order_by("band", "label").to_pandas()
    chance = pd.Series(model.conversion_probability, index=list(model.states))
    weighed = (mix["n"] * mix["label"].map(chance)).groupby(mix["band"]).sum() / mix.groupby("band")["n"].sum()
    return pd.DataFrame(
        {
            "events_so_far": [_BANDS[number][1] for number in found["band"]],
            "n": found["n"],
            "predicted": weighed.loc[found["band"]].to_numpy(),
            "observed": found["rate"],
            "observed_low": found["rate_low"],
            "observed_high": found["rate_high"],
        }
    )


def live_sessions(
    steps: ibis.Table,
    moments: pd.DataFrame,
    model: TransitionModel,
    *,
    session_gap_minutes: float,
    known_only: bool,
) -> pd.DataFrame:
    """Return the sessions still open at the end of the log, with the chance of conversion and what to do.

    Open is a session without conversion whose last event is no longer ago than a session's longest pause. Without
    times none is known to be open.

    Args:
        steps: Kept events of `session_steps`, of those people only whom an offer may be made to.
        moments: What `best_moments` returns; a state it has not is one of its `OTHERS`.
        model: The chain; the chance of conversion is that of the session's own state.
        session_gap_minutes: The longest pause within a session.
        known_only: Whether sessions of unknown visitors are left out, since nobody can say what they permit.

    Returns:
        `session`, `person_id` (null for an unknown visitor), `state` (its last event), `n_events`,
        `conversion_probability`, `offer` (now, wait), `best_state`, `gain_now`; those to gain most first.
    """
    columns = ["conversion_probability", "offer", "best_state", "gain_now"]
    if "occurred_at" not in steps.columns:
        names = ["session", "person_id", "state", "n_events", *columns]
        return pd.DataFrame(columns=names)
    gap = ibis.interval(seconds=round(session_gap_minutes * 60))
    wins = steps.converts.cast("int64").max().over(group_by=steps.session)
    marked = steps.mutate(wins=wins, ends_at=steps.occurred_at.max().over())
    now = marked.filter(marked.last & (marked.wins == 0) & (marked.occurred_at + gap >= marked.ends_at))
    now = now.filter(now.known) if known_only else now
    person = ibis.ifelse(now.known, now.cluster.re_replace("^p ", ""), ibis.null("string"))
    found = now.order_by("row").select(now.session, person_id=person, state=now.label, n_events=now.step + 1)
    live = found.to_pandas()
    chance = pd.Series(model.conversion_probability, index=list(model.states))
    live["conversion_probability"] = live["state"].map(chance)
    told = live["state"].where(live["state"].isin(moments["state"]), OTHERS)
    offers = moments.set_index("state")[columns[1:]].reindex(told).reset_index(drop=True)
    joined = pd.concat([live, offers], axis=1)
    return joined.sort_values("gain_now", ascending=False, ignore_index=True, kind="stable")
