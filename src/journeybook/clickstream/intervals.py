"""The chain again and again on resampled people, and the tables of the page."""

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
        model: The chain of the data.
        drawn: Counts of each draw, by step, shape (d, m).
        clustered: Whether whole people were drawn; False for aggregated paths, whose steps are taken for
            independent (Dirichlet).
        level: Probability that an interval holds its target.
    """

    model: TransitionModel
    drawn: Array
    clustered: bool
    level: float

    @property
    def drawn_steps(self) -> Array:
        """Probabilities of the steps of each draw, shape (d, m); 0 where a draw never visits the source."""
        totals = self.drawn_visits[:, self.model.source]
        return self.drawn / np.where(totals > 0, totals, 1.0)

    @property
    def drawn_visits(self) -> Array:
        """Visits to each state of each draw, shape (d, s)."""
        return np.add.reduceat(
            self.drawn, np.searchsorted(self.model.source, range(len(self.model.states))), axis=1
        )

    @property
    def probabilities(self) -> Array:
        """The chain of each draw, shape (d, s, s + 2); a state that no draw visits leads to exit."""
        chain = dense(self.model, self.drawn_steps)
        chain[..., -1] = np.where(chain.sum(axis=-1) > 0, chain[..., -1], 1.0)
        return chain

    def interval(self, drawn: Array) -> tuple[Array, Array]:
        """Return both ends of the interval of each column of drawn values; NaN where a column holds none."""
        return _ends(self.level, drawn)


def draw_chains(
    counts: StepCounts, *, n_draws: int, rng: np.random.Generator, independent: bool = False, level: float = 0.95
) -> ChainDraws:
    """Solve the chain and draw it again from resampled people.

    Args:
        counts: Steps by group of people.
        n_draws: Number of draws, 2 or more.
        rng: Random numbers.
        independent: Take every step for a new person's, as a Dirichlet posterior does; to compare with.
        level: Probability that an interval holds its target.

    Raises:
        ValueError: There are fewer than two draws, or `transition_model` refuses the counts.
    """
    if n_draws < 2:
        raise ValueError(f"n_draws is {n_draws}: at least 2 are needed.")
    frame = counts.counts
    model = transition_model(frame, conversion=CONVERSION, exit=EXIT)
    number = pd.Series(range(len(model.states) + 2), index=[*model.states, CONVERSION, EXIT])
    key = model.source * len(number) + model.target
    step = np.searchsorted(
        key, number[frame["source"]].to_numpy() * len(number) + number[frame["target"]].to_numpy()
    )
    clustered = not (counts.aggregated or independent)
    if clustered:
        group, names = pd.factorize(frame["group"], sort=True)
        weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_draws)
        drawn = weights @ sparse.csr_array((frame["n"], (group, step)), shape=(len(names), len(key)))
    else:
        drawn = rng.standard_gamma(np.broadcast_to(model.n, (n_draws, len(key))))
    return ChainDraws(model=model, drawn=drawn, clustered=clustered, level=level)


def pool_rare(chain: ChainDraws, *, least_visits: int) -> ChainDraws:
    """Return the chain with its rare states made one, for display only: no conclusion is drawn from it.

    Args:
        chain: The chain and its draws.
        least_visits: States of fewer visits become `OTHERS`; `(start)` never does, nor does a single state.

    Raises:
        ValueError: `least_visits` is below 1.
    """
    if least_visits < 1:
        raise ValueError(f"least_visits is {least_visits}: it must be 1 or more.")
    model = chain.model
    rare = np.bincount(model.source, weights=model.n) < least_visits
    if START in model.states:
        rare[model.at(START)] = False
    if rare.sum() < 2:
        return chain
    pooling = dict.fromkeys(np.array(model.states, dtype=object)[rare], OTHERS)
    frame = steps_of_model(model).replace({"source": pooling, "target": pooling})
    pooled = transition_model(frame, conversion=CONVERSION, exit=EXIT)
    number = pd.Series(range(len(pooled.states) + 2), index=[*pooled.states, CONVERSION, EXIT])
    width = len(number)
    key = number[frame["source"]].to_numpy() * width + number[frame["target"]].to_numpy()
    step = np.searchsorted(pooled.source * width + pooled.target, key)
    add_up = sparse.csr_array((np.ones(len(step)), (np.arange(len(step)), step)), shape=(len(step), len(pooled.n)))
    return replace(chain, model=pooled, drawn=chain.drawn @ add_up)


def steps_of_model(model: TransitionModel) -> pd.DataFrame:
    """Return every step of a model by name: `source`, `target`, `n`, `probability`."""
    names = np.array([*model.states, CONVERSION, EXIT], dtype=object)
    ends = {"source": names[model.source], "target": names[model.target]}
    return pd.DataFrame(ends | {"n": whole(model.n), "probability": model.steps})


def whole(values: Array) -> NDArray:
    """Return counts as whole numbers, where they are; the numbers of aggregated paths may be fractions."""
    return values.astype(np.int64) if (values == np.round(values)).all() else values


def transition_table(chain: ChainDraws) -> pd.DataFrame:
    """Return every step seen: source, target, n, probability and its interval."""
    model, visited = chain.model, chain.drawn_visits[:, chain.model.source] > 0
    low, high = chain.interval(np.where(visited, chain.drawn_steps, np.nan))
    frame = steps_of_model(model).assign(probability_low=low, probability_high=high)
    return _by_source(frame[frame["n"] > 0])


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
            **_with_ends(chain, "conversion_probability", chance, np.where(seen, drawn.chance, np.nan)),
            "expected_steps": model.expected_steps,
            **_with_ends(chain, "drop_off", exits / visits, leaves),
            **_with_ends(chain, "lost_conversions", _lost(exits, exits / visits, chance), lost),
            "first_share": first,
        }
    )
    return frame.sort_values(["lost_conversions", "visits"], ascending=False, ignore_index=True, kind="stable")


def bottleneck_table(chain: ChainDraws, *, improvement: float) -> pd.DataFrame:
    """Return the steps ranked by elasticity, with what an improvement of each would bring.

    Args:
        chain: The chain and its draws.
        improvement: Share by which a step is improved, such as 0.1; the step is capped at 1.

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
            **_with_ends(chain, "elasticity", elastic[asked], drawn),
            **_with_ends(chain, "gain", gain, drawn_gain),
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


def _with_ends(chain: ChainDraws, name: str, value: Array, drawn: Array) -> dict[str, Array]:
    """Return a column and the two ends of its interval, by name."""
    low, high = chain.interval(drawn)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _ends(level: float, drawn: Array) -> tuple[Array, Array]:
    tail = (1 - level) / 2
    with warnings.catch_warnings():
        # A column without a single number has no interval.
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return low, high


def _by_source(frame: pd.DataFrame) -> pd.DataFrame:
    """Order steps by how often their source is visited, `(start)` first, then by how often they are taken."""
    visits = frame.groupby("source")["n"].transform("sum").where(frame["source"] != START, np.inf)
    keys = frame.assign(visits=visits)
    order = keys.sort_values(["visits", "source", "n", "target"], ascending=[False, True, False, True]).index
    return frame.loc[order].reset_index(drop=True)


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
