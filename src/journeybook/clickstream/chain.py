"""The journey as an absorbing Markov chain, solved exactly (Grinstead & Snell 1997, chapter 11)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class TransitionModel:
    """A first-order chain with two ends, and what follows from it. `s` is the number of passing states.

    Attributes:
        states: Passing states, those first seen as a source first.
        probabilities: Estimated steps, shape (s, s + 2); the last two columns are conversion and exit.
        visits: Expected visits to the state of the column from that of the row before the end, the
            fundamental matrix (I - Q)^-1, shape (s, s).
        conversion_probability: Probability of ending in conversion, by state, shape (s,).
        expected_steps: Expected steps to the end, by state, shape (s,).
    """

    states: tuple[str, ...]
    probabilities: Array
    visits: Array
    conversion_probability: Array
    expected_steps: Array

    def at(self, state: str) -> int:
        """Return the number of a state."""
        return self.states.index(state)


def transition_model(transitions: pd.DataFrame, *, conversion: str, exit: str) -> TransitionModel:
    """Solve the journey as an absorbing Markov chain.

    Args:
        transitions: Counts `n` by `source` and `target`, several rows a pair are added up.
        conversion: Absorbing state that counts as success.
        exit: Absorbing state that counts as leaving.

    Returns:
        Probabilities, expected steps and visits by state (Grinstead & Snell 1997, ch. 11).

    Raises:
        ValueError: There are no counts, a count is negative, an end has steps that leave it, or a state can
            never reach `conversion` or `exit`; the message names it.

    A coin is thrown until it shows heads: on average twice.

    >>> counts = pd.DataFrame({"source": ["coin"] * 2, "target": ["coin", "heads"], "n": [1, 1]})
    >>> float(transition_model(counts, conversion="heads", exit="(exit)").expected_steps[0])
    2.0
    """
    states, counts = count_matrix(transitions, conversion=conversion, exit=exit)
    stuck = _never_ends(counts)
    if stuck.any():
        name = states[int(np.argmax(stuck))]
        raise ValueError(f"state {name!r} never reaches {conversion!r} or {exit!r}: every state must.")
    probabilities = counts / counts.sum(axis=1, keepdims=True)
    visits = fundamental(probabilities)
    return TransitionModel(
        states=states,
        probabilities=probabilities,
        visits=visits,
        conversion_probability=visits @ probabilities[:, -2],
        expected_steps=visits.sum(axis=1),
    )


def count_matrix(transitions: pd.DataFrame, *, conversion: str, exit: str) -> tuple[tuple[str, ...], Array]:
    """Return the passing states and their counts, shape (s, s + 2), conversion and exit last."""
    total = transitions.groupby(["source", "target"], sort=False)["n"].sum()
    if total.empty:
        raise ValueError("transitions hold no rows: at least one step is needed.")
    if (total < 0).any():
        raise ValueError(f"n is {total.min()} for the step {total.idxmin()}: counts must not be negative.")
    for end in (conversion, exit):
        if end in total.index.get_level_values("source"):
            raise ValueError(f"steps leave {end!r}: the journey ends there.")
    sources = list(dict.fromkeys(total.index.get_level_values("source")))
    targets = [name for name in dict.fromkeys(total.index.get_level_values("target")) if name not in sources]
    states = (*sources, *[name for name in targets if name not in (conversion, exit)])
    number = {name: k for k, name in enumerate([*states, conversion, exit])}
    counts = np.zeros((len(states), len(states) + 2))
    for source, target, n in total.reset_index().itertuples(index=False):
        counts[number[source], number[target]] = n
    return states, counts


def fundamental(probabilities: Array) -> Array:
    """Return (I - Q)^-1 of one chain or of a stack of them, shape (..., s, s + 2) -> (..., s, s)."""
    s = probabilities.shape[-2]
    return np.linalg.inv(np.eye(s) - probabilities[..., :s])


def values_after(visits: Array, probabilities: Array) -> Array:
    """Return the probability of conversion after each step's target: the states, then 1, then 0."""
    chance = (visits @ probabilities[..., -2][..., None])[..., 0]
    ends = np.broadcast_to([1.0, 0.0], (*chance.shape[:-1], 2))
    return np.concatenate([chance, ends], axis=-1)


def elasticities(probabilities: Array, *, start: int) -> Array:
    """Return how much conversion grows, in per cent, when a step grows by one per cent of itself.

    The other steps of the row shrink in proportion. With P the probability of conversion from `start`, N the
    expected visits and h the probability of conversion by state,

        dP/dp_ij = N_si (h_j - sum over k != j of p_ik h_k / (1 - p_ij)),  times p_ij / P.

    Args:
        probabilities: One chain or a stack of them, shape (..., s, s + 2), conversion and exit last.
        start: Number of the state every journey begins in.

    Returns:
        The shape of `probabilities`; NaN where there is nothing to shift (p is 0 or 1), where nothing ever
        converts, and for steps into exit.
    """
    p = probabilities
    visits = fundamental(p)
    after = values_after(visits, p)
    whole = after[..., start, None, None]
    free = (p > 0) & (p < 1)
    rest = np.where(free, 1 - p, 1.0)
    others = ((p @ after[..., None]) - p * after[..., None, :]) / rest
    gain = visits[..., start, :, None] * (after[..., None, :] - others) * p
    found = np.where(free & (whole > 0), gain / np.where(whole > 0, whole, 1.0), np.nan)
    found[..., -1] = np.nan
    return found


def improved(probabilities: Array, *, start: int, factor: float) -> Array:
    """Return by what share conversion grows when each step in turn is multiplied by `factor`, up to 1.

    The other steps of the row shrink in proportion. Exact, by the change of an inverse when one row changes
    (Sherman & Morrison 1950).

    Args:
        probabilities: One chain or a stack of them, shape (..., s, s + 2), conversion and exit last.
        start: Number of the state every journey begins in.
        factor: What a step is multiplied by, above 0.

    Returns:
        The shape of `probabilities`; NaN where `elasticities` has it.
    """
    if not factor > 0:
        raise ValueError(f"factor is {factor}: it must be above 0.")
    p = probabilities
    s = p.shape[-2]
    visits = fundamental(p)
    after = values_after(visits, p)
    whole = after[..., start, None, None]
    free = (p > 0) & (p < 1)
    moved = np.minimum(p * factor, 1.0) - p
    rest = np.where(free, 1 - p, 1.0)

    # Change of the row's mean of any quantity: the step gains `moved`, the others lose it in proportion.
    def change(quantity: Array) -> Array:
        mean = (p * quantity).sum(axis=-1, keepdims=True)
        return moved * (quantity - (mean - p * quantity) / rest)

    gained = change(np.broadcast_to(after[..., None, :], p.shape))
    back = np.concatenate([np.swapaxes(visits, -1, -2), np.zeros((*p.shape[:-2], s, 2))], axis=-1)
    returns = change(back)
    delta = visits[..., start, :, None] * gained / (1 - returns)
    found = np.where(free & (whole > 0), delta / np.where(whole > 0, whole, 1.0), np.nan)
    found[..., -1] = np.nan
    return found


def _never_ends(counts: Array) -> NDArray[np.bool_]:
    """Return which states have no way to either end."""
    s = len(counts)
    ends: NDArray[np.bool_] = np.asarray((counts[:, s:] > 0).any(axis=1))
    for _ in range(s):
        reached = ends | ((counts[:, :s] > 0) @ ends)
        if (reached == ends).all():
            break
        ends = reached
    return np.logical_not(ends)
