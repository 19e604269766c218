"""What was planted behind the simulated visits, written down so that pages 08 and 09 can be judged by it."""

import numpy as np
import pandas as pd

from journeybook.datasets.demo import event_chains as chains

N_RERUNS = 20
_SOURCES = np.array([chains.START, *chains.STATES], dtype=object)
_TARGETS = np.array(chains.TARGETS, dtype=object)


def describe_events(
    law: chains.PlantedLaw,
    journeys: pd.DataFrame,
    sessions: pd.DataFrame,
    window: tuple[int, int],
    rng: np.random.Generator,
) -> dict[str, pd.DataFrame]:
    """Return the truth of the visits; `window` is the fault's first second and the first one after it.

    Frames by name: `event_mix` (of all sessions, the fault included: source, target, expected_n, probability),
    `event_bottlenecks` (the planted step), `event_faults` (the checkout's: where, when, how many payments failed),
    `event_channels` (conversions lost when the generator runs again without each).
    """
    counts = chains.expected_counts(law, np.bincount(journeys["customer_type"], minlength=chains.N_TYPES))
    n_failed = int(journeys["fails"].sum())
    counts[1 + chains.STATES.index("payment"), -2:] += [-n_failed, n_failed]
    starts_at, ends_at = pd.to_datetime(list(window), unit="s").astype("datetime64[us]")
    fault = {"source": "payment", "target": chains.PURCHASE, "device": "app", "starts_at": starts_at}
    fault |= {"ends_at": ends_at, "failure_share": law.failure_share, "n_failed": n_failed}
    return {
        "event_mix": _listed(counts, expected_n=counts, probability=counts / counts.sum(axis=1, keepdims=True)),
        "event_bottlenecks": pd.DataFrame([(*law.bottleneck, True)], columns=["source", "target", "planted"]),
        "event_faults": pd.DataFrame([fault]),
        "event_channels": _channels(law, journeys, sessions, rng),
    }


def _listed(steps: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    """Return the possible steps as rows, with what is known of each."""
    source, target = np.nonzero(steps)
    named = {"source": _SOURCES[source], "target": _TARGETS[target]}
    return pd.DataFrame(named | {name: values[source, target] for name, values in columns.items()})


def _channels(
    law: chains.PlantedLaw, journeys: pd.DataFrame, sessions: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Run the generator again without each channel.

    A journey up to its first session through the channel stays as it was. There the person comes through
    another channel, as `replaced_by` says, and the journey goes on by the law; or stays away, and it ends.
    """
    journey, channel = sessions["journey"].to_numpy(), sessions["channel"].to_numpy()
    bought = (journeys["converts"] & ~journeys["fails"]).to_numpy()
    customer_type = journeys["customer_type"].to_numpy()
    keeps = np.where(journeys["in_fault"], 1 - law.failure_share, 1.0)
    lost = []
    for c in range(chains.N_CHANNELS):
        touched = np.unique(journey[channel == c])
        again = [_rerun(law, customer_type, touched, c, rng) for _ in range(N_RERUNS)]
        lost.append(np.mean([bought[touched].sum() - keeps[converting].sum() for converting in again]))
    table = pd.DataFrame({"channel": chains.CHANNELS, "conversions_lost": lost})
    effect, total = table["conversions_lost"] / bought.sum(), table["conversions_lost"].sum()
    return table.assign(removal_effect=effect, share=table["conversions_lost"] / total)


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
    moves = np.concatenate([chains.channel_moves(law, by_channel) for by_channel in converts])
    moves = chains.without_channel(moves, channel, law.replaced_by)
    ends = 1 - moves.sum(axis=1)
    cumulative = chains.cumulated(np.column_stack([moves, ends]))
    walks, state = chains.walk(customer_type[who] * chains.N_CHANNELS + first, cumulative, rng)
    last = state[np.r_[walks[1:] != walks[:-1], True]] if len(walks) else state
    # A journey ends after a session because that session converts, or because the person does not return.
    return who[rng.random(len(last)) < converts.ravel()[last] / ends[last]]
