"""What was planted behind the simulated visits, written down so that page 08 can be judged by it.

* `event_chains`: the chain of each customer type: source, target, probability;
* `event_mix`: the chain of all sessions together, the fault included: expected_n, probability;
* `event_conversion`: by type, the share of sessions that convert in the law, and how many did;
* `event_bottlenecks`: elasticity of every step of the mix; the planted one is marked;
* `event_faults`: the planted fault of the checkout: where, when, how many payments failed;
* `event_channels`: conversions lost when the generator runs again without each channel;
* `event_customers`: type of every web account that has been online;
* `event_sessions`: type, journey and basket of every session.
"""

import numpy as np
import pandas as pd

from journeybook.datasets.demo import event_chains as chains

N_RERUNS = 20
_SOURCES = np.array([chains.START, *chains.STATES], dtype=object)
_TARGETS = np.array([*chains.STATES, chains.PURCHASE, chains.EXIT], dtype=object)


def describe_events(
    law: chains.PlantedLaw,
    types: np.ndarray,
    journeys: chains.Journeys,
    sessions: pd.DataFrame,
    baskets: pd.DataFrame,
    window: tuple[int, int],
    rng: np.random.Generator,
) -> dict[str, pd.DataFrame]:
    """Return the truth of the visits, frames by name; the module says what each holds.

    Args:
        law: The planted law.
        types: Names of the customer types.
        journeys: The journeys drawn.
        sessions: Their sessions: `journey`, `channel`, `reaches_purchase`, `session_id`.
        baskets: The online baskets.
        window: First second of the fault and the first one after it.
        rng: Random numbers of the reruns.
    """
    counts = _mix_counts(law, journeys)
    return {
        "event_chains": _chains(law, types),
        "event_mix": _mix(counts),
        "event_conversion": _conversion(law, types, journeys, sessions),
        "event_bottlenecks": _bottlenecks(law, counts),
        "event_faults": _faults(law, journeys, window),
        "event_channels": _channels(law, journeys, sessions, rng),
        "event_customers": _customers(baskets),
        "event_sessions": _sessions(types, journeys, sessions, baskets),
    }


def _mix_counts(law: chains.PlantedLaw, journeys: chains.Journeys) -> np.ndarray:
    """Return the expected transitions of all sessions, shape (start + page, page + purchase + exit)."""
    counts = chains.expected_counts(law, np.bincount(journeys.customer_type, minlength=chains.N_TYPES))
    payment, n_failed = 1 + chains.STATES.index("payment"), journeys.fails.sum()
    counts[payment, -2] -= n_failed
    counts[payment, -1] += n_failed
    return counts


def _chains(law: chains.PlantedLaw, types: np.ndarray) -> pd.DataFrame:
    frames = []
    for name, sessions, steps in zip(types, chains.expected_sessions(law), law.steps, strict=True):
        rows = np.vstack([np.r_[sessions @ law.landing / sessions.sum(), 0, 0], steps])
        source, target = np.nonzero(rows)
        frame = {
            "customer_type": name,
            "source": _SOURCES[source],
            "target": _TARGETS[target],
            "probability": rows[source, target],
        }
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True)


def _mix(counts: np.ndarray) -> pd.DataFrame:
    source, target = np.nonzero(counts)
    share = counts / counts.sum(axis=1, keepdims=True)
    return pd.DataFrame(
        {
            "source": _SOURCES[source],
            "target": _TARGETS[target],
            "expected_n": counts[source, target],
            "probability": share[source, target],
        }
    )


def _bought(journeys: chains.Journeys, sessions: pd.DataFrame) -> np.ndarray:
    """Return whether each session ends in a purchase that did not fail."""
    return sessions["reaches_purchase"].to_numpy() & ~journeys.fails[sessions["journey"]]


def _conversion(
    law: chains.PlantedLaw, types: np.ndarray, journeys: chains.Journeys, sessions: pd.DataFrame
) -> pd.DataFrame:
    visits = chains.expected_sessions(law)
    by_session, _ = chains.journeys_convert(law)
    session_type = journeys.customer_type[sessions["journey"]]
    bought, fails = _bought(journeys, sessions), journeys.fails & journeys.converts
    return pd.DataFrame(
        {
            "customer_type": types,
            "probability": (visits * by_session).sum(axis=1) / visits.sum(axis=1),
            "n_sessions": np.bincount(session_type, minlength=chains.N_TYPES),
            "n_conversions": np.bincount(session_type[bought], minlength=chains.N_TYPES),
            "n_failed": np.bincount(journeys.customer_type[fails], minlength=chains.N_TYPES),
        }
    )


def _bottlenecks(law: chains.PlantedLaw, counts: np.ndarray) -> pd.DataFrame:
    share = counts / counts.sum(axis=1, keepdims=True)
    gains = chains.elasticities(share[0, : chains.N_STATES], share[1:])
    source, target = np.nonzero(share[1:, :-1])
    frame = pd.DataFrame(
        {
            "source": _SOURCES[1 + source],
            "target": _TARGETS[target],
            "probability": share[1:][source, target],
            "elasticity": gains[source, target],
        }
    )
    planted = (frame["source"] == law.bottleneck[0]) & (frame["target"] == law.bottleneck[1])
    return frame.assign(planted=planted).sort_values("elasticity", ascending=False, ignore_index=True)


def _faults(law: chains.PlantedLaw, journeys: chains.Journeys, window: tuple[int, int]) -> pd.DataFrame:
    starts_at, ends_at = pd.to_datetime(list(window), unit="s").astype("datetime64[us]")
    return pd.DataFrame(
        {
            "source": ["payment"],
            "target": [chains.PURCHASE],
            "device": ["app"],
            "starts_at": [starts_at],
            "ends_at": [ends_at],
            "failure_share": [law.failure_share],
            "n_failed": [int(journeys.fails.sum())],
        }
    )


def _channels(
    law: chains.PlantedLaw, journeys: chains.Journeys, sessions: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Run the generator again without each channel.

    A journey up to its first session through the channel stays as it was. There the person comes through
    another channel, as `replaced_by` says, and the journey goes on by the law; or stays away, and it ends.
    """
    journey, channel = sessions["journey"].to_numpy(), sessions["channel"].to_numpy()
    bought = _bought(journeys, sessions)
    keeps = np.where(journeys.in_fault, 1 - law.failure_share, 1.0)
    records = []
    for c, name in enumerate(chains.CHANNELS):
        touched = np.unique(journey[channel == c])
        stood = int((journeys.converts & ~journeys.fails)[touched].sum())
        again = [_rerun(law, journeys.customer_type, touched, c, rng) for _ in range(N_RERUNS)]
        lost = np.array([stood - keeps[converting].sum() for converting in again])
        records.append(
            {
                "channel": name,
                "n_sessions": int((channel == c).sum()),
                "n_conversions_through": int((bought & (channel == c)).sum()),
                "conversions_lost": float(lost.mean()),
                "conversions_lost_error": float(lost.std(ddof=1) / np.sqrt(N_RERUNS)),
                "conversions_lost_expected": _expected_loss(law, journeys, c),
                "removal_effect": float(lost.mean() / bought.sum()),
            }
        )
    frame = pd.DataFrame(records)
    return frame.assign(share=frame["conversions_lost"] / frame["conversions_lost"].sum())


def _rerun(
    law: chains.PlantedLaw,
    customer_type: np.ndarray,
    touched: np.ndarray,
    channel: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the journeys of `touched` that reach a purchase all the same, the channel being gone."""
    converts, _ = chains.journeys_convert(law)
    replaced = np.append(law.replaced_by[channel], 1 - law.replaced_by[channel].sum())
    first = chains.draw_rows(np.tile(chains.cumulated(replaced), (len(touched), 1)), rng)
    comes = first < chains.N_CHANNELS
    who, first = touched[comes], first[comes]
    moves = np.concatenate(
        [
            chains.without_channel(chains.channel_moves(law, by_channel), channel, law.replaced_by)
            for by_channel in converts
        ]
    )
    ends = 1 - moves.sum(axis=1)
    cumulative = chains.cumulated(np.column_stack([moves, ends]))
    walks, state = chains.walk(customer_type[who] * chains.N_CHANNELS + first, cumulative, rng)
    last = state[np.r_[walks[1:] != walks[:-1], True]] if len(walks) else state
    # A journey ends after a session because that session converts, or because the person does not return.
    return who[rng.random(len(last)) < converts.ravel()[last] / ends[last]]


def _expected_loss(law: chains.PlantedLaw, journeys: chains.Journeys, channel: int) -> float:
    """Return the same in closed form: what the law loses without the channel."""
    converts, by_journey = chains.journeys_convert(law)
    keeps = np.where(journeys.in_fault, 1 - law.failure_share, 1.0)
    weights = np.bincount(journeys.customer_type, weights=keeps, minlength=chains.N_TYPES)
    lost = 0.0
    for t in range(chains.N_TYPES):
        moves = chains.without_channel(chains.channel_moves(law, converts[t]), channel, law.replaced_by)
        arrival = chains.without_channel(law.arrival[t], channel, law.replaced_by)
        lost += weights[t] * (law.arrival[t] @ by_journey[t] - arrival @ chains.reach(moves, converts[t]))
    return float(lost)


def _customers(baskets: pd.DataFrame) -> pd.DataFrame:
    known = baskets.dropna(subset=["customer_id"]).drop_duplicates("customer_id")
    return known[["customer_id", "customer_type"]].reset_index(drop=True)


def _sessions(
    types: np.ndarray, journeys: chains.Journeys, sessions: pd.DataFrame, baskets: pd.DataFrame
) -> pd.DataFrame:
    journey = sessions["journey"].to_numpy()
    of_basket = baskets["basket_id"].to_numpy(dtype=object)[journeys.basket[journey]]
    frame = pd.DataFrame(
        {
            "session_id": sessions["session_id"],
            "customer_type": types.astype(object)[journeys.customer_type[journey]],
            "journey": journey + 1,
            "basket_id": np.where(_bought(journeys, sessions), of_basket, None),
            "fails": sessions["reaches_purchase"].to_numpy() & journeys.fails[journey],
        }
    )
    return frame.sort_values("session_id", ignore_index=True)
