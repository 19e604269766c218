"""Visits to the site and the app, simulated so that the planted chain is exactly the chain of the mix.

One basket in ten is online, drawn among the real ones; a household with a web account is twice as likely to
have bought it there. Each is the end of a journey: a row of sessions of which the last ends in `purchase` at
the basket's time. These journeys are drawn from the planted law given that they convert; others, given that
they do not, are added in the number that the law says, n (1 - h) / h for each customer type, rounded to whole
journeys. So the conversion rate of journeys is the law's but for that rounding, and every transition is
distributed as in the law. Journeys without purchase belong to the same households in the same proportions.

While the checkout is at fault, some payments in the app fail: visits that would have ended in a purchase end
there, on top of the real baskets.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.datasets.demo import event_chains as chains
from journeybook.datasets.demo.event_truth import describe_events
from journeybook.statistics import stream

ONLINE_SHARE = 0.1
ACCOUNT_WEIGHT = 2.0
# Fewest and most days the checkout is at fault.
FAULT_DAYS = (14, 24)
# Seconds between two events: lognormal, always within one session (30 minutes).
PAUSE_MEDIAN, PAUSE_SPREAD, PAUSE_MOST = 24.0, 1.0, 1_740
# Seconds between the ends of two sessions of one journey.
RETURN_MEDIAN, RETURN_SPREAD, RETURN_LEAST, RETURN_MOST = 50_000.0, 0.8, 7_200, 216_000
# Sessions of one person are at least so many seconds apart, wherever moving a journey achieves it.
APART, TRIES = 2_400, 8
DAY = 86_400

_N = chains.N_STATES


@dataclass(frozen=True, eq=False)
class DemoEvents:
    """Canonical `events` in the order of time, and the truth behind them, frames by name (see `event_truth`)."""

    events: pd.DataFrame
    truth: dict[str, pd.DataFrame]


def simulate_events(connection: Backend, *, seed: int, web_accounts: pd.DataFrame) -> DemoEvents:
    """Simulate visits around the real baskets of the connection's `transactions`.

    `web_accounts` has one row a household: `household_id`, `customer_id` of its web account (null where there is
    none; its visits are then not signed in) and `customer_type`, one of three, else ValueError.
    """
    baskets = _online_baskets(connection, web_accounts, stream(seed, "events: online baskets"))
    types, customer_type = np.unique(baskets["customer_type"].to_numpy(dtype=str), return_inverse=True)
    if len(types) != chains.N_TYPES:
        raise ValueError(f"customer_type of web_accounts holds {list(types)}: three types are needed.")
    law = chains.draw_law(stream(seed, "events: law"), weights=np.bincount(customer_type).astype(float))
    window = _fault_window(baskets, stream(seed, "events: fault"))
    journeys = _draw_journeys(baskets, customer_type, law, window, stream(seed, "events: journeys"))
    sessions = _draw_sessions(journeys, law, stream(seed, "events: sessions"))
    steps = _draw_steps(sessions, law, stream(seed, "events: steps"))
    events = _timed(steps, sessions, stream(seed, "events: times"))
    truth = describe_events(law, journeys, sessions, window, stream(seed, "events: reruns"))
    return DemoEvents(events=events, truth=truth)


def _online_baskets(connection: Backend, web_accounts: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw one real basket in ten, in the order of the receipts."""
    found = connection.con.execute(
        """
        SELECT min(customer_id) AS household_id, epoch(min(occurred_at))::BIGINT AS ends_at
        FROM transactions WHERE customer_id IS NOT NULL GROUP BY basket_id ORDER BY min(row)
        """
    ).df()
    baskets = found.merge(web_accounts, on="household_id", how="left", validate="many_to_one")
    weight = np.where(baskets["customer_id"].notna(), ACCOUNT_WEIGHT, 1.0)
    # The largest keys u^(1/w) are a weighted draw without replacement (Efraimidis & Spirakis 2006).
    keys = np.log(rng.random(len(baskets))) / weight
    chosen = np.sort(np.argsort(-keys, kind="stable")[: round(ONLINE_SHARE * len(baskets))])
    return baskets.iloc[chosen].reset_index(drop=True)


def _fault_window(baskets: pd.DataFrame, rng: np.random.Generator) -> tuple[int, int]:
    """Draw the fault's first second and the first one after it: whole days, away from the ends of the data."""
    first_day, last_day = baskets["ends_at"].min() // DAY, baskets["ends_at"].max() // DAY
    days = int(rng.integers(*FAULT_DAYS, endpoint=True))
    start = int(rng.integers(first_day + 60, max(last_day - 60 - days, first_day + 61)))
    return start * DAY, (start + days) * DAY


def _draw_journeys(
    baskets: pd.DataFrame,
    customer_type: np.ndarray,
    law: chains.PlantedLaw,
    window: tuple[int, int],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw journeys that end in a basket, those that fail by the fault, and those that end in nothing.

    Returns:
        `person`, `customer_id` and `customer_type` of the basket it ends in, or that lends them to it; `converts`
        (reaches a purchase), `fails` (by the fault), `in_fault` (ends in the app while the checkout is at fault),
        `app`, `ends_at` (seconds since 1970).
    """
    moment = baskets["ends_at"].to_numpy()
    app = rng.random(len(moment)) < law.app_share[customer_type]
    at_fault = app & (moment >= window[0]) & (moment < window[1])
    # Of the payments made meanwhile the baskets are the share that did not fail.
    n_failing = round(at_fault.sum() * law.failure_share / (1 - law.failure_share))
    failing = rng.choice(np.flatnonzero(at_fault), size=n_failing) if n_failing else np.empty(0, dtype=int)
    would = np.concatenate([np.arange(len(moment)), failing])
    chance = (law.arrival * chains.journeys_convert(law)[1]).sum(axis=1)
    of_type = [would[customer_type[would] == t] for t in range(chains.N_TYPES)]
    null = [rng.choice(rows, size=round(len(rows) * (1 - h) / h)) for rows, h in zip(of_type, chance, strict=True)]
    basket = np.concatenate([would, *null])
    number, inside = np.arange(len(basket)), at_fault[basket]
    # What is not a basket has a day of its own: in the window if its basket was, else outside it in the app.
    first, last = window[0] // DAY, window[1] // DAY
    days = np.arange(moment.min() // DAY, moment.max() // DAY + 1)
    outside = days[(days < first) | (days >= last)]
    day = np.where(app[basket], rng.choice(outside, size=len(inside)), rng.choice(days, size=len(inside)))
    day = np.where(inside, rng.integers(first, last, size=len(inside)), day)
    of_day = np.clip(moment[basket] % DAY + rng.normal(0, 3_600, len(basket)), 600, DAY - 600).astype(np.int64)
    return pd.DataFrame(
        {
            "person": baskets["household_id"].factorize()[0][basket],
            "customer_id": baskets["customer_id"].array.take(basket),
            "customer_type": customer_type[basket],
            "converts": number < len(would),
            "fails": (number >= len(moment)) & (number < len(would)),
            "in_fault": inside,
            "app": app[basket],
            "ends_at": np.where(number < len(moment), moment[basket], day * DAY + of_day),
        }
    )


def _draw_sessions(journeys: pd.DataFrame, law: chains.PlantedLaw, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the sessions of every journey: `channel`, `last`, `reaches`, `bought`, `journey` and its fields."""
    by_session, by_journey = chains.journeys_convert(law)
    starts, moves = [], []
    for t in range(chains.N_TYPES):
        ahead = chains.channel_moves(law, by_session[t])
        ends = (1 - by_session[t]) * (1 - law.comes_back)
        starts += [law.arrival[t] * (1 - by_journey[t]), law.arrival[t] * by_journey[t]]
        moves += [chains.conditioned(ahead, ends), chains.conditioned(ahead, by_session[t])]
    block = (journeys["customer_type"] * 2 + journeys["converts"]).to_numpy()
    first = chains.draw_rows(chains.cumulated(np.array(starts))[block], rng)
    cumulative = chains.cumulated(np.concatenate(moves))
    journey, state = chains.walk(block * chains.N_CHANNELS + first, cumulative, rng)
    last = np.r_[journey[1:] != journey[:-1], True]
    sessions = journeys.iloc[journey].reset_index(drop=True)
    reaches = last & sessions["converts"]
    made = {"journey": journey, "channel": state % chains.N_CHANNELS, "last": last, "reaches": reaches}
    return sessions.assign(**made, bought=reaches & ~sessions["fails"])


def _draw_steps(sessions: pd.DataFrame, law: chains.PlantedLaw, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the pages of every session: `session`, `state`, in order; a purchase is the last of its session."""
    chance = chains.sessions_convert(law)
    starts, moves = [], []
    for t in range(chains.N_TYPES):
        inside, buys, leaves = law.steps[t][:, :_N], law.steps[t][:, _N], law.steps[t][:, _N + 1]
        starts += [law.landing * (1 - chance[t]), law.landing * chance[t]]
        moves += [chains.conditioned(inside, leaves), chains.conditioned(inside, buys)]
    block = (sessions["customer_type"] * 2 + sessions["reaches"]).to_numpy()
    first = chains.draw_rows(chains.cumulated(np.array(starts))[block, sessions["channel"].to_numpy()], rng)
    session, state = chains.walk(block * _N + first, chains.cumulated(np.concatenate(moves)), rng)
    bought = np.flatnonzero(sessions["bought"])
    steps = pd.DataFrame({"session": np.r_[session, bought], "state": np.r_[state % _N, np.full(len(bought), _N)]})
    return steps.sort_values("session", kind="stable", ignore_index=True)


def _timed(steps: pd.DataFrame, sessions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Give pages their moments and sessions their ids; return the canonical events in the order of time."""
    session, journey = steps["session"].to_numpy(), sessions["journey"].to_numpy()
    pause = _lognormal(PAUSE_MEDIAN, PAUSE_SPREAD, 1, PAUSE_MOST, len(steps), rng)
    opens = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
    closes = np.r_[opens[1:], len(steps)] - 1
    pause[opens] = 0
    elapsed = np.cumsum(pause)
    before_end = elapsed[closes][session] - elapsed
    length = before_end[opens]
    away = _lognormal(RETURN_MEDIAN, RETURN_SPREAD, RETURN_LEAST, RETURN_MOST, len(sessions), rng)
    away[np.r_[True, journey[1:] != journey[:-1]]] = 0
    passed = np.cumsum(away)
    ends_at = sessions["ends_at"].to_numpy() - (passed[sessions["last"].to_numpy()][journey] - passed)
    ends_at = ends_at + _moves(ends_at, length, sessions, rng)[journey]
    moment = ends_at[session] - before_end
    # Sessions are numbered by when they begin, so that an id says nothing of how one ends.
    number = np.empty(len(sessions), dtype=np.int64)
    number[np.argsort(ends_at - length, kind="stable")] = np.arange(1, len(sessions) + 1)
    names = pd.array([f"S{n:07d}" for n in number], dtype="str")
    position = np.arange(len(steps)) - opens[session] + 1
    order = np.lexsort((position, number[session], moment))
    at, state = session[order], steps["state"].to_numpy()[order]
    return pd.DataFrame(
        {
            "session_id": names.take(at),
            "customer_id": sessions["customer_id"].array.take(at),
            "event": pd.array(chains.TARGETS, dtype="str").take(state),
            "occurred_at": pd.to_datetime(moment[order], unit="s").astype("datetime64[us]"),
            "position": position[order].astype(np.int64),
            "channel": pd.array(chains.CHANNELS, dtype="str").take(sessions["channel"].to_numpy()[at]),
            "device": pd.array(("web", "app"), dtype="str").take(sessions["app"].to_numpy(dtype=int)[at]),
        }
    )


def _lognormal(
    median: float, spread: float, least: int, most: int, n: int, rng: np.random.Generator
) -> np.ndarray:
    drawn = np.exp(rng.normal(np.log(median), spread, n))
    return np.clip(np.round(drawn), least, most).astype(np.int64)


def _moves(
    ends_at: np.ndarray, length: np.ndarray, sessions: pd.DataFrame, rng: np.random.Generator
) -> np.ndarray:
    """Draw by how many seconds journeys without purchase move so that sessions of one person do not touch."""
    journey, person = sessions["journey"].to_numpy(), sessions["person"].to_numpy()
    signed_in = np.flatnonzero(sessions["customer_id"].notna())
    movable = ~sessions["converts"].to_numpy()
    latest = (sessions["ends_at"].max() // DAY + 1) * DAY - 1
    last_end = sessions.loc[sessions["last"], "ends_at"].to_numpy()
    moved = np.zeros(len(last_end), dtype=np.int64)
    for _ in range(TRIES):
        now = ends_at + moved[journey]
        order = signed_in[np.lexsort((now[signed_in], person[signed_in]))]
        here, following = order[:-1], order[1:]
        pause = now[following] - length[following] - now[here]
        touching = (person[here] == person[following]) & (pause < APART)
        which = np.where(movable[following], following, here)[touching]
        which = np.unique(journey[which[movable[which]]])
        if not len(which):
            break
        hours = rng.integers(3_600, 18_000, size=len(which)) * rng.choice([-1, 1], size=len(which))
        moved[which] += np.where(last_end[which] + moved[which] + hours > latest, -hours, hours)
    return moved
