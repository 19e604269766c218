"""When an offer changes most: for each state of a live session, here or further on."""

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.clickstream.elasticity import MOST_DENSE
from journeybook.clickstream.intervals import OTHERS, ChainDraws, ends_of, pool_rare, whole
from journeybook.journeys.links import person_of
from journeybook.journeys.sessions import START, clock
from journeybook.statistics.chains import TransitionModel, fundamental

Array = NDArray[np.floating]

_TOLD = ["best_state", "reach_probability", "gain_now"]


def best_moments(chain: ChainDraws, *, kept_share: float) -> pd.DataFrame:
    """Return, for each state a live session may be in, what its one offer brings there and where it is best made.

    An offer made at a state keeps `kept_share` of those who would leave there at that visit; they go on like the
    others. With p_e the chance of leaving and h that of conversion, it brings g = kept_share p_e h / (1 - p_e)
    conversions. From state i it is best made at the state j of the greatest g_j times the chance of coming there,
    N_ij / N_jj; which one that is does not depend on `kept_share`. Of very many states the `MOST_DENSE` visited
    most are told apart, and the others are one. `kept_share` is above 0 and at most 1.

    Returns:
        One row a state but `(start)`, most to gain first: `state`, `visits`, `conversion_probability`, `gain_now`
        (conversions an offer brings a session, made here) with `gain_now_low` and `_high`, `best_state`,
        `reach_probability` (chance of coming there, 1 where it is this state) and `gain_best` (what the offer
        brings if it is kept for that state).

    Raises:
        ValueError: `kept_share` is out of range.
    """
    if not 0 < kept_share <= 1:
        raise ValueError(f"kept_share is {kept_share}: it must be above 0 and at most 1.")
    visits = np.sort(np.bincount(chain.model.source, weights=chain.model.n))[::-1]
    if len(visits) > MOST_DENSE:
        chain = pool_rare(chain, least_visits=int(visits[MOST_DENSE - 1]) + 1)
    p, states = chain.model.probabilities, np.array(chain.model.states, dtype=object)
    gain, drawn = kept_share * offer_values(p), kept_share * offer_values(chain.probabilities)
    reach = reach_probabilities(p)
    each, best = np.arange(len(states)), (reach * gain).argmax(axis=1)
    low, high = ends_of(drawn)
    frame = pd.DataFrame(
        {
            "state": states,
            "visits": whole(np.bincount(chain.model.source, weights=chain.model.n)),
            "conversion_probability": chain.model.conversion_probability,
            "gain_now": gain,
            "gain_now_low": low,
            "gain_now_high": high,
            "best_state": states[best],
            "reach_probability": reach[each, best],
            "gain_best": (reach * gain)[each, best],
        }
    )
    frame = frame[frame["state"] != START]
    return frame.sort_values(["gain_now", "visits"], ascending=False, ignore_index=True, kind="stable")


def offer_values(probabilities: Array) -> Array:
    """Return the conversions that keeping everyone at a state, once, would bring, shape (..., s).

    It is the chance of leaving times the chance of conversion of those who go on; 0 where everyone leaves.
    """
    p = probabilities
    chance = (fundamental(p) @ p[..., -2][..., None])[..., 0]
    stays = 1 - p[..., -1]
    return np.where(stays > 0, p[..., -1] * chance / np.where(stays > 0, stays, 1.0), 0.0)


def reach_probabilities(probabilities: Array) -> Array:
    """Return the chance of coming from each state to each, 1 to itself, shape (s, s): N_ij / N_jj."""
    visits = fundamental(probabilities)
    return visits / np.diagonal(visits)


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
        `conversion_probability`, `best_state`, `reach_probability`, `gain_now`; those to gain most first.
    """
    if "occurred_at" not in steps.columns:
        return pd.DataFrame(
            columns=["session", "person_id", "state", "n_events", "conversion_probability", *_TOLD]
        )
    gap = ibis.interval(seconds=round(session_gap_minutes * 60))
    ended = steps.mutate(now=clock(steps), ends_at=clock(steps).max().over())
    now = ended.filter(ended["last"] & (ended.converts == 0) & (ended.now + gap >= ended.ends_at))
    now = now.filter(now.known) if known_only else now
    person = ibis.ifelse(now.known, person_of(now.cluster), ibis.null("string"))
    live = now.order_by("row").select(now.session, person_id=person, state=now.label, n_events=now.step + 1)
    live = live.to_pandas()
    chance = pd.Series(model.conversion_probability, index=list(model.states))
    live["conversion_probability"] = live["state"].map(chance)
    told = live["state"].where(live["state"].isin(moments["state"]), OTHERS)
    offers = moments.set_index("state")[_TOLD].reindex(told).reset_index(drop=True)
    joined = pd.concat([live, offers], axis=1)
    return joined.sort_values("gain_now", ascending=False, ignore_index=True, kind="stable")
