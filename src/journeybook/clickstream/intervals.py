"""The chain again and again on resampled people, and the tables of the page; intervals are of 95 %."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.elasticity import elasticities, elasticity_of, growth_of, solve_chains
from journeybook.journeys.sessions import CONVERSION, EXIT, START
from journeybook.statistics.chains import TransitionModel, dense, factors, transition_model

Array = NDArray[np.floating]

# Steps whose improvement is worked out and drawn again, those of the greatest elasticity.
MOST_STEPS = 200
OTHERS = "(other states)"
_WITH_ENDS = [f"{name}{end}" for name in ("elasticity", "gain") for end in ("", "_low", "_high")]
_BOTTLENECKS = ["source", "target", "n", "probability", *_WITH_ENDS, "extra_conversions", "first_share"]


@dataclass(frozen=True, eq=False)
class ChainDraws:
    """The chain of the data and of resampled data. `m` steps of `s` states, `d` draws.

    Attributes:
        drawn: Counts of each draw, by step, shape (d, m).
        clustered: Whether whole people were drawn; False for aggregated paths, whose steps are taken for
            independent (Dirichlet).
    """

    model: TransitionModel
    drawn: Array
    clustered: bool

    @property
    def drawn_visits(self) -> Array:
        """Visits to each state of each draw, shape (d, s)."""
        first = np.searchsorted(self.model.source, range(len(self.model.states)))
        return np.add.reduceat(self.drawn, first, axis=1)

    @property
    def drawn_steps(self) -> Array:
        """Probabilities of the steps of each draw, shape (d, m); 0 where a draw never visits the source."""
        totals = self.drawn_visits[:, self.model.source]
        return self.drawn / np.where(totals > 0, totals, 1.0)

    @property
    def probabilities(self) -> Array:
        """The chain of each draw, shape (d, s, s + 2); a state that no draw visits leads to exit."""
        chain = dense(self.model, self.drawn_steps)
        chain[..., -1] = np.where(chain.sum(axis=-1) > 0, chain[..., -1], 1.0)
        return chain


def draw_chains(counts: StepCounts, *, n_draws: int, rng: np.random.Generator) -> ChainDraws:
    """Solve the chain and draw it again, 2 times or more, from resampled people.

    Every step of aggregated paths is taken for a new person's, as a Dirichlet posterior does.

    Raises:
        ValueError: There are fewer than two draws, or `transition_model` refuses the counts.
    """
    if n_draws < 2:
        raise ValueError(f"n_draws is {n_draws}: at least 2 are needed.")
    frame = counts.counts
    model = transition_model(frame, conversion=CONVERSION, exit=EXIT)
    if not counts.aggregated:
        group, names = pd.factorize(frame["group"], sort=True)
        weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_draws)
        by_group = sparse.csr_array((frame["n"], (group, _steps(model, frame))), shape=(len(names), len(model.n)))
        drawn = weights @ by_group
    else:
        drawn = rng.standard_gamma(np.broadcast_to(model.n, (n_draws, len(model.n))))
    return ChainDraws(model=model, drawn=drawn, clustered=not counts.aggregated)


def pool_rare(chain: ChainDraws, *, least_visits: int) -> ChainDraws:
    """Return the chain with its rare states made one, for display only: no conclusion is drawn from it.

    States of fewer than `least_visits` visits become `OTHERS`; `(start)` never does, nor does a single state.

    Raises:
        ValueError: `least_visits` is below 1.
    """
    if least_visits < 1:
        raise ValueError(f"least_visits is {least_visits}: it must be 1 or more.")
    model = chain.model
    rare = np.bincount(model.source, weights=model.n) < least_visits
    rare &= np.array(model.states, dtype=object) != START
    if rare.sum() < 2:
        return chain
    pooling = dict.fromkeys(np.array(model.states, dtype=object)[rare], OTHERS)
    frame = steps_of_model(model).replace({"source": pooling, "target": pooling})
    pooled = transition_model(frame, conversion=CONVERSION, exit=EXIT)
    places = np.arange(len(frame)), _steps(pooled, frame)
    add_up = sparse.csr_array((np.ones(len(frame)), places), shape=(len(frame), len(pooled.n)))
    return replace(chain, model=pooled, drawn=chain.drawn @ add_up)


def _steps(model: TransitionModel, frame: pd.DataFrame) -> NDArray[np.intp]:
    """Return the number of each row's step, by its `source` and `target`."""
    number = pd.Series(range(len(model.states) + 2), index=[*model.states, CONVERSION, EXIT])
    width, (source, target) = len(number), (number[frame[end]].to_numpy() for end in ("source", "target"))
    return np.searchsorted(model.source * width + model.target, source * width + target)


def steps_of_model(model: TransitionModel) -> pd.DataFrame:
    """Return every step of a model by name: `source`, `target`, `n`, `probability`."""
    names = np.array([*model.states, CONVERSION, EXIT], dtype=object)
    ends = {"source": names[model.source], "target": names[model.target]}
    return pd.DataFrame(ends | {"n": whole(model.n), "probability": model.steps})


def whole(values: NDArray) -> NDArray:
    """Return counts as whole numbers, where they are; the numbers of aggregated paths may be fractions."""
    return values.astype(np.int64) if (values == np.round(values)).all() else values


def ends_of(drawn: Array) -> tuple[Array, Array]:
    """Return both ends of the interval of each column of drawn values; NaN where a column holds none."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    return low, high


def transition_table(chain: ChainDraws) -> pd.DataFrame:
    """Return every step seen: source, target, n, probability and its interval."""
    model, visited = chain.model, chain.drawn_visits[:, chain.model.source] > 0
    low, high = ends_of(np.where(visited, chain.drawn_steps, np.nan))
    frame = steps_of_model(model).assign(probability_low=low, probability_high=high)
    # By how often the source is visited, `(start)` first, then by how often the step is taken.
    frame["visits"] = frame.groupby("source")["n"].transform("sum").where(frame["source"] != START, np.inf)
    order = ["visits", "source", "n", "target"]
    frame = frame[frame["n"] > 0].sort_values(order, ascending=[False, True, False, True], ignore_index=True)
    return frame.drop(columns="visits")


def state_table(chain: ChainDraws) -> pd.DataFrame:
    """Return every state: what becomes of a visit, how often it is visited, who leaves, and what that loses.

    Lost conversions are the exits at a state times the chance of conversion of a visit that does not leave
    at once, h / (1 - p_exit): what the exits would have brought had they gone on like the others.

    Returns:
        `state`, `visits`, `conversion_probability`, `expected_steps` (to the end of the session), `drop_off`
        (share of the visits that are the last), `lost_conversions` and `first_share` (share of the draws in which
        most is lost there); `_low` and `_high` are intervals. Most lost first.
    """
    model, start = chain.model, chain.model.at(START)
    none = np.empty(0, dtype=int)
    drawn = solve_chains(model, chain.drawn_steps, start=start, asked=none)
    seen = chain.drawn_visits > 0
    exits, drawn_exits = _exits(model, model.n[None])[0], _exits(model, chain.drawn)
    visits, chance = np.bincount(model.source, weights=model.n), model.conversion_probability
    leaves = np.where(seen, drawn_exits / np.where(seen, chain.drawn_visits, 1), np.nan)
    lost = _lost(drawn_exits, np.nan_to_num(leaves), drawn.chance)
    first = np.bincount(lost.argmax(axis=1), minlength=len(model.states)) / len(lost)
    frame = pd.DataFrame(
        {
            "state": model.states,
            "visits": whole(visits),
            **_with_ends("conversion_probability", chance, np.where(seen, drawn.chance, np.nan)),
            "expected_steps": model.expected_steps,
            **_with_ends("drop_off", exits / visits, leaves),
            **_with_ends("lost_conversions", _lost(exits, exits / visits, chance), lost),
            "first_share": first,
        }
    )
    return frame.sort_values(["lost_conversions", "visits"], ascending=False, ignore_index=True, kind="stable")


def bottleneck_table(chain: ChainDraws, *, improvement: float) -> pd.DataFrame:
    """Return the steps ranked by elasticity, with what an improvement of each would bring.

    `improvement` is the share by which a step is improved, such as 0.1; the step is capped at 1.

    Returns:
        `source`, `target`, `n`, `probability`, `elasticity` with its interval, `gain` (relative growth of
        conversion with the improvement) with its interval, `extra_conversions` (gain times the conversions
        seen: arithmetic of the chain, no forecast) and `first_share` (share of the draws in which the step ranks
        first), the `MOST_STEPS` of the greatest elasticity. No rows where nothing converts.

    Raises:
        ValueError: `improvement` is not above 0.
    """
    if not improvement > 0:
        raise ValueError(f"improvement is {improvement}: it must be above 0.")
    model, start = chain.model, chain.model.at(START)
    elastic = elasticities(model, start=start)
    asked = np.argsort(-np.nan_to_num(elastic, nan=-np.inf), kind="stable")[:MOST_STEPS]
    asked = asked[np.isfinite(elastic[asked])]
    if not len(asked):
        return steps_of_model(model)[:0].reindex(columns=_BOTTLENECKS)
    whole = solve_chains(model, model.steps[None], start=start, asked=asked)
    again = solve_chains(model, chain.drawn_steps, start=start, asked=asked)
    drawn = elasticity_of(model, again, start=start)[:, asked]
    gain = growth_of(model, whole, start=start, asked=asked, factor=1 + improvement)[0]
    drawn_gain = growth_of(model, again, start=start, asked=asked, factor=1 + improvement)
    ranked = drawn[np.isfinite(drawn).any(axis=1)]
    return (
        steps_of_model(model)
        .iloc[asked]
        .reset_index(drop=True)
        .assign(
            **_with_ends("elasticity", elastic[asked], drawn),
            **_with_ends("gain", gain, drawn_gain),
            extra_conversions=gain * model.n[model.target == len(model.states)].sum(),
            first_share=np.bincount(np.nanargmax(ranked, axis=1), minlength=len(asked)) / max(len(ranked), 1),
        )
    )


def without_exits(chain: ChainDraws) -> pd.DataFrame:
    """Return what becomes of steps and of the chance of conversion when exits are left out.

    Leaving them out takes the end of a session for missing data: each row is spread over the steps that were
    taken, and then every visit that can convert does.

    Returns:
        `source`, `target`, `n`, `probability`, `probability_without_exits`, and of the source
        `conversion_probability` and `conversion_without_exits`; the steps that gain most, in points, first.
    """
    model = chain.model
    s = len(model.states)
    stays = model.target != s + 1
    source, target, n = model.source[stays], model.target[stays], model.n[stays]
    spread = n / np.bincount(source, weights=n, minlength=s)[source]
    converts = _converts_in_the_end(source, target, spread, s)
    frame = steps_of_model(model)[stays].assign(
        probability_without_exits=spread,
        conversion_probability=model.conversion_probability[source],
        conversion_without_exits=converts[source],
    )
    gained = frame["probability"] - frame["probability_without_exits"]
    return frame.iloc[gained.argsort(kind="stable")].reset_index(drop=True)


def _exits(model: TransitionModel, counts: Array) -> Array:
    """Return how often each state is left for exit, shape (d, m) -> (d, s)."""
    found = np.zeros((len(counts), len(model.states)))
    leaves = model.target == len(model.states) + 1
    found[:, model.source[leaves]] = counts[:, leaves]
    return found


def _lost(exits: Array, drop_off: Array, chance: Array) -> Array:
    """Return the conversions lost by state, of one chain or of a stack."""
    return exits * chance / np.where(drop_off < 1, 1 - drop_off, 1.0)


def _with_ends(name: str, value: Array, drawn: Array) -> dict[str, Array]:
    """Return a column and the two ends of its interval, by name."""
    low, high = ends_of(drawn)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _converts_in_the_end(source: NDArray, target: NDArray, spread: Array, s: int) -> Array:
    """Return the chance of conversion where nobody leaves; states that cannot convert have none."""
    can = np.zeros(s + 1, dtype=bool)
    can[s] = True
    for _ in range(s):
        grown = can.copy()
        grown[source[can[target]]] = True
        if (grown == can).all():
            break
        can = grown
    # Steps among those that can convert; a step to the others is a way out.
    among = can[source] & can[target]
    straight = np.bincount(source[among], weights=(spread * (target == s))[among], minlength=s)
    return factors(source[among], target[among], spread[among], s).solve(straight)
