"""The journey as an absorbing Markov chain, solved exactly (Grinstead & Snell 1997, chapter 11)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order
from scipy.sparse.linalg import SuperLU, splu

Array = NDArray[np.floating]
Numbers = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class TransitionModel:
    """A first-order chain with two ends, and what follows from it. `s` passing states, `m` steps.

    Attributes:
        states: Passing states, those first seen as a source first.
        source: Number of the state each step leaves, ascending, shape (m,).
        target: Number of the state each step comes to, shape (m,); `s` is conversion and `s + 1` exit.
        n: Observed steps, shape (m,).
        steps: Their estimated probabilities, n over the visits of the source, shape (m,).
        conversion_probability: Probability of ending in conversion, by state, shape (s,).
        expected_steps: Expected steps to the end, by state, shape (s,).
    """

    states: tuple[str, ...]
    source: Numbers
    target: Numbers
    n: Array
    steps: Array
    conversion_probability: Array
    expected_steps: Array

    def at(self, state: str) -> int:
        """Return the number of a state."""
        return self.states.index(state)

    @property
    def probabilities(self) -> Array:
        """The steps as a matrix, shape (s, s + 2); the last two columns are conversion and exit."""
        return dense(self, self.steps)

    @property
    def visits(self) -> Array:
        """Expected visits to the state of the column from that of the row, (I - Q)^-1, shape (s, s)."""
        return fundamental(self.probabilities)


def transition_model(transitions: pd.DataFrame, *, conversion: str, exit: str) -> TransitionModel:
    """Solve the journey, counts `n` by `source` and `target`, as an absorbing Markov chain: sparse LU of I - Q.

    `conversion` is the absorbing state that counts as success, `exit` the one that counts as leaving.

    Raises:
        ValueError: There are no counts, one is negative, steps leave an end, or a state reaches neither end.

    A coin is thrown until it shows heads: on average twice.

    >>> counts = pd.DataFrame({"source": ["coin"] * 2, "target": ["coin", "heads"], "n": [1, 1]})
    >>> float(transition_model(counts, conversion="heads", exit="(exit)").expected_steps[0])
    2.0
    """
    states, source, target, n = _numbered(transitions, conversion=conversion, exit=exit)
    s = len(states)
    stuck = _never_ends(source[n > 0], target[n > 0], s)
    if len(stuck):
        raise ValueError(f"state {states[stuck[0]]!r} never reaches {conversion!r} or {exit!r}: every state must.")
    steps = n / np.bincount(source, weights=n, minlength=s)[source]
    lu = factors(source, target, steps, s)
    straight = np.bincount(source, weights=steps * (target == s), minlength=s)
    return TransitionModel(
        states=states,
        source=source,
        target=target,
        n=n,
        steps=steps,
        conversion_probability=lu.solve(straight),
        expected_steps=lu.solve(np.ones(s)),
    )


def count_matrix(transitions: pd.DataFrame, *, conversion: str, exit: str) -> tuple[tuple[str, ...], Array]:
    """Return the passing states and their counts, shape (s, s + 2), conversion and exit last."""
    states, source, target, n = _numbered(transitions, conversion=conversion, exit=exit)
    counts = np.zeros((len(states), len(states) + 2))
    counts[source, target] = n
    return states, counts


def dense(model: TransitionModel, values: Array) -> Array:
    """Return values of the steps as matrices, shape (..., m) -> (..., s, s + 2)."""
    s = len(model.states)
    found = np.zeros((*values.shape[:-1], s, s + 2))
    found[..., model.source, model.target] = values
    return found


def factors(source: Numbers, target: Numbers, steps: Array, s: int) -> SuperLU:
    """Return the sparse LU factors of I - Q."""
    inside = target < s
    moves = sparse.csc_array((steps[inside], (source[inside], target[inside])), shape=(s, s))
    return splu(sparse.csc_array(sparse.eye_array(s, format="csc") - moves))


def fundamental(probabilities: Array) -> Array:
    """Return (I - Q)^-1 of one chain or of a stack of them, shape (..., s, s + 2) -> (..., s, s)."""
    s = probabilities.shape[-2]
    return np.linalg.inv(np.eye(s) - probabilities[..., :s])


def _numbered(
    transitions: pd.DataFrame, *, conversion: str, exit: str
) -> tuple[tuple[str, ...], Numbers, Numbers, Array]:
    """Return the passing states, and the steps by number of source and target with their counts."""
    total = transitions.groupby(["source", "target"], sort=False)["n"].sum()
    if total.empty:
        raise ValueError("transitions hold no rows: at least one step is needed.")
    if (total < 0).any():
        raise ValueError(f"n is {total.min()} for the step {total.idxmin()}: counts must not be negative.")
    sources, targets = (total.index.get_level_values(name) for name in ("source", "target"))
    for end in (conversion, exit):
        if end in sources:
            raise ValueError(f"steps leave {end!r}: the journey ends there.")
    passing = dict.fromkeys(sources) | dict.fromkeys(targets)
    states = tuple(name for name in passing if name not in (conversion, exit))
    number = pd.Series(range(len(states) + 2), index=[*states, conversion, exit])
    source, target = number[sources].to_numpy(), number[targets].to_numpy()
    order = np.lexsort((target, source))
    return states, source[order], target[order], total.to_numpy(dtype=float)[order]


def _never_ends(source: Numbers, target: Numbers, s: int) -> Numbers:
    """Return the states that have no way to either end, ascending."""
    # Backwards from both ends, made one.
    back = sparse.csr_array((np.ones(len(source)), (np.minimum(target, s), source)), shape=(s + 1, s + 1))
    reached = breadth_first_order(back, s, return_predecessors=False)
    return np.setdiff1d(np.arange(s), reached)
