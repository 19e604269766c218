"""Many chains of one shape solved at once, and how much conversion grows when a step does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from journeybook.statistics.chains import TransitionModel, dense, factors, fundamental

Array = NDArray[np.floating]
Numbers = NDArray[np.integer]

# Up to so many states all chains are inverted together; beyond, each is factored as a sparse matrix.
MOST_DENSE = 200
_BLOCK_CELLS = 4_000_000
# Chance per visit below which a chain is taken for one that never ends: rounding leaves as much of nothing.
_ENDS = 1e-9


@dataclass(frozen=True, eq=False)
class Solved:
    """Chains with the steps of one model and probabilities of their own: `d` chains, `s` states, `k` steps asked.

    Attributes:
        steps: Probabilities of the steps, shape (d, m).
        chance: Probability of ending in conversion, by state, shape (d, s).
        visits: Expected visits to each state of journeys from the start, shape (d, s).
        back: Expected visits to the source of each step asked, from its target, shape (d, k).
        own: The same from the source itself, shape (d, k).
    """

    steps: Array
    chance: Array
    visits: Array
    back: Array
    own: Array


def solve_chains(model: TransitionModel, steps: Array, *, start: int, asked: Numbers) -> Solved:
    """Solve chains that share the states and steps of a model, by the probabilities of the steps, shape (d, m).

    A row that is 0 throughout leads to exit. `start` is the state every journey begins in, `asked` the numbers of
    the steps for `back` and `own`, shape (k,).
    """
    d, s, k = len(steps), len(model.states), len(asked)
    found = Solved(steps, np.empty((d, s)), np.empty((d, s)), np.zeros((d, k)), np.empty((d, k)))
    block = max(1, _BLOCK_CELLS // s**2) if s <= MOST_DENSE else 1
    for first in range(0, d, block):
        part = slice(first, first + block)
        _solve_block(model, found, part, start=start, asked=asked)
    return found


def _solve_block(model: TransitionModel, found: Solved, part: slice, *, start: int, asked: Numbers) -> None:
    """Fill in a block of chains: by their inverses, or one large chain by its factors."""
    s = len(model.states)
    steps = found.steps[part]
    source, target = model.source[asked], model.target[asked]
    inside = target < s
    m = len(model.source)
    by_source = sparse.csr_array((np.ones(m), (np.arange(m), model.source)), shape=(m, s))
    straight = np.where(model.target == s, steps, 0.0) @ by_source
    if s <= MOST_DENSE:
        visits = fundamental(dense(model, steps))
        found.chance[part] = (visits @ straight[..., None])[..., 0]
        found.visits[part] = visits[:, start]
        found.back[part, inside] = visits[:, target[inside], source[inside]]
        found.own[part] = visits[:, source, source]
    else:
        lu = factors(model.source, model.target, steps[0], s)
        found.chance[part] = lu.solve(straight[0])
        found.visits[part] = lu.solve(np.eye(1, s, start)[0], trans="T")
        columns, column = np.unique(source, return_inverse=True)
        unit = np.zeros((s, len(columns)))
        unit[columns, np.arange(len(columns))] = 1.0
        visits = lu.solve(unit)
        found.back[part, inside] = visits[target[inside], column[inside]]
        found.own[part] = visits[source, column]


def after(model: TransitionModel, chance: Array) -> Array:
    """Return the probability of conversion after each step: that of its target, 1 or 0. Shape (..., m)."""
    ends = np.broadcast_to([1.0, 0.0], (*chance.shape[:-1], 2))
    return np.concatenate([chance, ends], axis=-1)[..., model.target]


def elasticity_of(model: TransitionModel, solved: Solved, *, start: int) -> Array:
    """Return how much conversion grows, in per cent, when a step grows by one per cent of itself.

    The other steps of the state shrink in proportion. With P the probability of conversion from `start`, N the
    expected visits and h the probability of conversion by state,

        dP/dp_ij = N_si (h_j - sum over k != j of p_ik h_k / (1 - p_ij)),  times p_ij / P.

    Returns:
        Shape (d, m); NaN where there is nothing to shift (p is 0 or 1), where nothing ever converts, and for steps
        into exit.
    """
    gained = _gain_of_visit(model, solved) * solved.steps
    whole = solved.chance[:, [start]]
    return _where_free(model, solved, solved.visits[:, model.source] * gained, whole)


def growth_of(model: TransitionModel, solved: Solved, *, start: int, asked: Numbers, factor: float) -> Array:
    """Return by what share conversion grows when each step asked, by itself, is multiplied by `factor`, up to 1.

    The other steps of the state shrink in proportion. Exact, by the change of an inverse when one row changes
    (Sherman & Morrison 1950).

    Returns:
        Shape (d, k); NaN where `elasticity_of` has it, and where the chain with the step capped would never end.

    Raises:
        ValueError: `factor` is not above 0.
    """
    if not factor > 0:
        raise ValueError(f"factor is {factor}: it must be above 0.")
    p = solved.steps[:, asked]
    moved = np.minimum(p * factor, 1.0) - p
    rest = np.where(p < 1, 1 - p, 1.0)
    gained = moved * _gain_of_visit(model, solved)[:, asked]
    # What the row's visits bring back to itself: N_ii - 1 is the sum of p_ik N_ki.
    returned = moved * (solved.back - (solved.own - 1 - p * solved.back) / rest)
    # With the step capped, a visitor may never leave again: then there is no chain to compare with.
    ends = 1 - returned > _ENDS
    brought = solved.visits[:, model.source[asked]] * gained
    grown = np.where(ends, brought / np.where(ends, 1 - returned, 1.0), np.nan)
    whole = solved.chance[:, [start]]
    full = np.full(solved.steps.shape, np.nan)
    full[:, asked] = grown
    return _where_free(model, solved, full, whole)[:, asked]


def elasticities(model: TransitionModel, *, start: int) -> Array:
    """Return the elasticity of every step of a model, shape (m,); see `elasticity_of`."""
    none = np.empty(0, dtype=int)
    solved = solve_chains(model, model.steps[None], start=start, asked=none)
    return elasticity_of(model, solved, start=start)[0]


def _gain_of_visit(model: TransitionModel, solved: Solved) -> Array:
    """Return what a visit gains in chance of conversion for a shift towards a step, a whole one. Shape (d, m)."""
    p, here = solved.steps, solved.chance[:, model.source]
    there = after(model, solved.chance)
    gained = there - (here - p * there) / np.where(p < 1, 1 - p, 1.0)
    # Staying longer leaves all else in proportion: 0, which rounding would rank one way or the other.
    return np.where(model.source == model.target, 0.0, gained)


def _where_free(model: TransitionModel, solved: Solved, gain: Array, whole: Array) -> Array:
    free = (solved.steps > 0) & (solved.steps < 1) & (model.target != len(model.states) + 1) & (whole > 0)
    return np.where(free, gain / np.where(whole > 0, whole, 1.0), np.nan)
