"""The chain again and again on resampled people, and the tables of the page."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.clickstream.chain import (
    TransitionModel,
    count_matrix,
    elasticities,
    fundamental,
    improved,
    transition_model,
)
from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.sessions import CONVERSION, EXIT, START

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class ChainDraws:
    """The chain of the data and of resampled data.

    Attributes:
        model: The chain of the data.
        counts: Its counts, shape (s, s + 2), conversion and exit last.
        draws: Counts of each draw, shape (draws, s, s + 2).
        clustered: Whether whole people were drawn; False for aggregated paths, whose steps are taken for
            independent (Dirichlet).
        level: Probability that an interval holds its target.
    """

    model: TransitionModel
    counts: Array
    draws: Array
    clustered: bool
    level: float

    @property
    def probabilities(self) -> Array:
        """The chain of each draw, shape (draws, s, s + 2); a state that no draw visits leads to exit."""
        totals = self.draws.sum(axis=-1, keepdims=True)
        chain = self.draws / np.where(totals > 0, totals, 1.0)
        chain[..., -1] = np.where(totals[..., 0] > 0, chain[..., -1], 1.0)
        return chain


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
    states, total = count_matrix(frame, conversion=CONVERSION, exit=EXIT)
    clustered = not (counts.aggregated or independent)
    if not clustered:
        draws = rng.standard_gamma(np.broadcast_to(total, (n_draws, *total.shape)))
        return ChainDraws(model=model, counts=total, draws=draws, clustered=False, level=level)
    number = pd.Series(range(len(states) + 2), index=[*states, CONVERSION, EXIT])
    cell = number[frame["source"]].to_numpy() * total.shape[1] + number[frame["target"]].to_numpy()
    group, names = pd.factorize(frame["group"], sort=True)
    table = np.zeros((len(names), total.size))
    np.add.at(table, (group, cell), frame["n"].to_numpy())
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_draws)
    draws = (weights @ table).reshape(n_draws, *total.shape)
    return ChainDraws(model=model, counts=total, draws=draws, clustered=True, level=level)


def transition_table(chain: ChainDraws) -> pd.DataFrame:
    """Return every step seen: source, target, n, probability and its interval."""
    source, target = np.nonzero(chain.counts)
    low, high = _ends(chain, chain.probabilities[:, source, target])
    names = np.array([*chain.model.states, CONVERSION, EXIT], dtype=object)
    return _by_source(
        pd.DataFrame(
            {
                "source": names[source],
                "target": names[target],
                "n": chain.counts[source, target].astype(np.int64),
                "probability": chain.model.probabilities[source, target],
                "probability_low": low,
                "probability_high": high,
            }
        )
    )


def state_table(chain: ChainDraws) -> pd.DataFrame:
    """Return every state: visits, chance of conversion, steps to the end, who leaves, and what that loses.

    Lost conversions are the exits at a state times the chance of conversion of a visit that does not leave
    at once, h / (1 - p_exit): what the exits would have brought had they gone on like the others.
    """
    p = chain.model.probabilities
    chance, lost = _lost(p, chain.counts)
    draws = chain.probabilities
    drawn_chance, drawn_lost = _lost(draws, chain.draws)
    chance_low, chance_high = _ends(chain, drawn_chance)
    lost_low, lost_high = _ends(chain, drawn_lost)
    leaves_low, leaves_high = _ends(chain, draws[..., -1])
    frame = pd.DataFrame(
        {
            "state": chain.model.states,
            "visits": chain.counts.sum(axis=1).astype(np.int64),
            "conversion_probability": chance,
            "conversion_probability_low": chance_low,
            "conversion_probability_high": chance_high,
            "expected_steps": chain.model.expected_steps,
            "drop_off": p[:, -1],
            "drop_off_low": leaves_low,
            "drop_off_high": leaves_high,
            "lost_conversions": lost,
            "lost_conversions_low": lost_low,
            "lost_conversions_high": lost_high,
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
        seen) and `first_share` (share of the draws in which the step ranks first). No rows where nothing
        converts.
    """
    start = chain.model.at(START)
    p, draws = chain.model.probabilities, chain.probabilities
    elastic = elasticities(p, start=start)
    source, target = np.nonzero(np.isfinite(elastic))
    if not len(source):
        return pd.DataFrame(columns=[*_BOTTLENECKS])
    drawn = elasticities(draws, start=start)[:, source, target]
    gain = improved(p, start=start, factor=1 + improvement)[source, target]
    drawn_gain = improved(draws, start=start, factor=1 + improvement)[:, source, target]
    low, high = _ends(chain, drawn)
    gain_low, gain_high = _ends(chain, drawn_gain)
    ranked = drawn[np.isfinite(drawn).any(axis=1)]
    first = np.bincount(np.nanargmax(ranked, axis=1), minlength=len(source)) / max(len(ranked), 1)
    names = np.array([*chain.model.states, CONVERSION, EXIT], dtype=object)
    columns = [names[source], names[target], chain.counts[source, target].astype(np.int64), p[source, target]]
    columns += [elastic[source, target], low, high, gain, gain_low, gain_high]
    columns += [gain * chain.counts[:, -2].sum(), first]
    frame = pd.DataFrame(dict(zip(_BOTTLENECKS, columns, strict=True)))
    return frame.sort_values("elasticity", ascending=False, ignore_index=True, kind="stable")


def without_exits(chain: ChainDraws) -> pd.DataFrame:
    """Return what becomes of steps and of the chance of conversion when exits are left out.

    Leaving them out takes the end of a session for missing data: each row is spread over the steps that were
    taken, and then every visit that can convert does.

    Returns:
        `source`, `target`, `n`, `probability`, `probability_without_exits`, and of the source
        `conversion_probability` and `conversion_without_exits`; the most frequent steps first.
    """
    p = chain.model.probabilities
    stays = 1 - p[:, -1]
    spread = p[:, :-1] / np.where(stays > 0, stays, 1.0)[:, None]
    s = len(p)
    can = _reaches(spread)
    converts = np.zeros(s)
    inside = spread[np.ix_(can, [*np.flatnonzero(can)])]
    converts[can] = np.linalg.solve(np.eye(can.sum()) - inside, spread[can, -1])
    source, target = np.nonzero(chain.counts[:, :-1])
    names = np.array([*chain.model.states, CONVERSION], dtype=object)
    frame = pd.DataFrame(
        {
            "source": names[source],
            "target": names[target],
            "n": chain.counts[source, target].astype(np.int64),
            "probability": p[source, target],
            "probability_without_exits": spread[source, target],
            "conversion_probability": chain.model.conversion_probability[source],
            "conversion_without_exits": converts[source],
        }
    )
    return frame.sort_values("n", ascending=False, ignore_index=True, kind="stable")


_BOTTLENECKS = (
    "source",
    "target",
    "n",
    "probability",
    "elasticity",
    "elasticity_low",
    "elasticity_high",
    "gain",
    "gain_low",
    "gain_high",
    "extra_conversions",
    "first_share",
)


def _lost(probabilities: Array, counts: Array) -> tuple[Array, Array]:
    """Return the chance of conversion and the conversions lost by state, of one chain or of a stack."""
    chance = (fundamental(probabilities) @ probabilities[..., -2][..., None])[..., 0]
    stays = 1 - probabilities[..., -1]
    return chance, counts[..., -1] * chance / np.where(stays > 0, stays, 1.0)


def _ends(chain: ChainDraws, drawn: Array) -> tuple[Array, Array]:
    tail = (1 - chain.level) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return low, high


def _by_source(frame: pd.DataFrame) -> pd.DataFrame:
    """Order steps by how often their source is visited, `(start)` first, then by how often they are taken."""
    visits = frame.groupby("source")["n"].transform("sum").where(frame["source"] != START, np.inf)
    keys = frame.assign(visits=visits)
    order = keys.sort_values(["visits", "source", "n", "target"], ascending=[False, True, False, True]).index
    return frame.loc[order].reset_index(drop=True)


def _reaches(spread: Array) -> NDArray[np.bool_]:
    """Return which states have a way to conversion, the last column."""
    can = spread[:, -1] > 0
    for _ in range(len(spread)):
        can = can | ((spread[:, : len(spread)] > 0) @ can)
    return can
