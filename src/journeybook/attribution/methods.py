"""Which channel brought the conversions: exact removal effects, and the rules of thumb beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from journeybook.attribution.paths import MARK, ChannelPaths
from journeybook.attribution.rules import RULES
from journeybook.journeys.sessions import CONVERSION, EXIT, START
from journeybook.statistics.chains import count_matrix, fundamental

Array = NDArray[np.floating]

MOST_STATES, MOST_STATES_DRAWN = 3_000, 300
"""A chain of more states is refused; of more than the second it is solved, but its effects have no intervals."""

_COLUMNS = [
    "channel",
    "method",
    "removal_effect",
    "removal_effect_low",
    "removal_effect_high",
    "share",
    "share_low",
    "share_high",
    "credit",
]
_CHUNK = 50  # draws solved at a time


@dataclass(frozen=True, eq=False)
class Attribution:
    """Conversions credited to channels.

    Attributes:
        table: One row a channel and method: `channel`, `method` (markov_removal, of order 1; markov_removal_2 and
            so on for the orders above; the rules of `rules.RULES`), `removal_effect` (share of the conversions
            lost without the channel; Markov only) with `removal_effect_low` and `_high`, `share` (of all credit)
            with `share_low` and `share_high`, `credit` (conversions). Empty where nothing can be attributed.
        conversion_probability: Probability that a path converts, by the chain; the same for every order.
        note: Why nothing can be attributed; None where something can.
    """

    table: pd.DataFrame
    conversion_probability: float
    note: str | None

    @property
    def removal(self) -> pd.DataFrame:
        """The rows of the page's first chain, the channel of the largest share first."""
        return self.table[self.table["method"] == self.table["method"].iloc[0]]


def attribute(paths: ChannelPaths, *, n_draws: int, rng: np.random.Generator, level: float = 0.95) -> Attribution:
    """Credit the conversions to the channels by every method.

    The removal effect of a channel is exact: in the chain of channels its visits lead to exit instead, and the
    chance of conversion is solved again (Anderl et al. 2016, with the fundamental matrix in place of simulation).
    Its credit is its share of all removal effects.

    Args:
        paths: Steps between channels, and credit by rule.
        n_draws: Draws behind the intervals.
        rng: Random numbers; people are drawn. Of aggregated paths the steps are, and for the rules the paths, as
            by a Dirichlet posterior.
        level: Probability that an interval holds its target.

    Raises:
        ValueError: The chain of an order has more than `MOST_STATES` states.
    """
    if paths.note is not None:
        return Attribution(table=pd.DataFrame(columns=_COLUMNS), conversion_probability=0.0, note=paths.note)
    channels, groups = (sorted(paths.credits[name].unique()) for name in ("channel", "group"))
    tail, weights = [(1 - level) / 2, (1 + level) / 2], None
    if not paths.aggregated:
        weights = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=n_draws)
    tables, chance = [], 0.0
    for order, counts in paths.counts.items():
        n_states = counts["source"].nunique()
        if n_states > MOST_STATES:
            raise ValueError(
                f"channel_orders holds {order}, whose chain has {n_states:,} states: at most {MOST_STATES:,} are "
                "solved; leave it out."
            )
        states, total = count_matrix(counts, conversion=CONVERSION, exit=EXIT)
        about: dict[str, Any] = {
            "start": states.index(START),
            "owner": owners(states, channels),
            "n_channels": len(channels),
        }
        effect, chances = removal_effects(total, **about)
        chance, drawn = float(chances), np.full((2, len(channels)), np.nan)
        if len(states) <= MOST_STATES_DRAWN:
            stacks = _count_draws(counts, groups, states, total, weights, n_draws, rng)
            drawn = np.concatenate([removal_effects(stack, **about)[0] for stack in stacks])
        method = "markov_removal" if order == 1 else f"markov_removal_{order}"
        low, high = _ends(drawn, tail)
        found = _rows(channels, method, effect, drawn, tail)
        tables.append(found.assign(removal_effect=effect, removal_effect_low=low, removal_effect_high=high))
    for rule in RULES:
        credit = paths.credits.pivot(index="group", columns="channel", values=rule).fillna(0.0).to_numpy()
        tables.append(
            _rows(channels, rule, credit.sum(axis=0), _credit_draws(credit, weights, n_draws, rng), tail)
        )
    table = pd.concat(tables, ignore_index=True)
    rank = tables[0].sort_values(["share", "channel"], ascending=[False, True])["channel"].tolist()
    table = table.assign(credit=table["share"] * paths.n_conversions, rank=table["channel"].map(rank.index))
    table = table.sort_values("rank", ignore_index=True, kind="stable")
    return Attribution(table=table[_COLUMNS], conversion_probability=chance, note=None)


def owners(states: tuple[str, ...], channels: list[str]) -> NDArray[np.int64]:
    """Return the number of the channel that each state has come to last; -1 for `(start)`."""
    number = {channel: k for k, channel in enumerate(channels)}
    return np.array([-1 if state == START else number[state.rpartition(MARK)[2]] for state in states])


def removal_effects(
    counts: Array, *, start: int, owner: NDArray[np.int64], n_channels: int
) -> tuple[Array, Array]:
    """Return the share of conversions lost when each channel's visits lead to exit, and the chance of conversion.

    A path is lost when it first comes to the channel. With C the channel's states, N the expected visits and h the
    chance of conversion by state, the path first comes to C at x with probability b_x, where b N_CC = N_sC: after
    the first visit the visits to C are those of a path that begins there. The loss is b h_C.

    Args:
        counts: Steps between states, one chain or a stack, shape (..., s, s + 2), conversion and exit last.
        start: Number of the state `(start)`.
        owner: Number of each state's channel, shape (s,); -1 for `(start)`.
        n_channels: Number of channels.

    Returns:
        Shapes (..., n_channels) and (...).
    """
    totals = counts.sum(axis=-1, keepdims=True)
    p = counts / np.where(totals > 0, totals, 1.0)
    visits = fundamental(p)
    h = (visits @ p[..., -2][..., None])[..., 0]
    whole = h[..., start]
    lost = np.empty((*whole.shape, n_channels))
    for channel in range(n_channels):
        inside = np.flatnonzero(owner == channel)
        among = np.swapaxes(visits[..., inside[:, None], inside], -1, -2)
        first = np.linalg.solve(among, visits[..., start, inside][..., None])[..., 0]
        lost[..., channel] = (first * h[..., inside]).sum(axis=-1)
    return lost / np.where(whole > 0, whole, np.nan)[..., None], whole


def _rows(channels: list[str], method: str, worth: Array, drawn: Array, tail: list[float]) -> pd.DataFrame:
    """One method's rows: shares of what each channel is worth, and their intervals from drawn worth."""
    low, high = _ends(drawn / drawn.sum(axis=1, keepdims=True), tail)
    shares = {"share": worth / worth.sum(), "share_low": low, "share_high": high}
    return pd.DataFrame({"channel": channels, "method": method, **shares}).reindex(columns=_COLUMNS)


def _ends(drawn: Array, tail: list[float]) -> Array:
    if np.isnan(drawn).all():
        return np.full((2, drawn.shape[1]), np.nan)
    return np.nanquantile(drawn, tail, axis=0)


def _count_draws(
    counts: pd.DataFrame,
    groups: list,
    states: tuple[str, ...],
    total: Array,
    weights: NDArray[np.int64] | None,
    n_draws: int,
    rng: np.random.Generator,
) -> Iterator[Array]:
    """Yield stacks of resampled counts: people drawn, or every step taken for a new person's."""
    number = pd.Series(range(len(states) + 2), index=[*states, CONVERSION, EXIT])
    if weights is not None:
        cell = number[counts["source"]].to_numpy() * total.shape[1] + number[counts["target"]].to_numpy()
        row = pd.Index(groups).get_indexer(counts["group"])
        table = sparse.csr_array((counts["n"].to_numpy(float), (row, cell)), shape=(len(groups), total.size))
    for begin in range(0, n_draws, _CHUNK):
        size = min(_CHUNK, n_draws - begin)
        if weights is None:
            yield rng.standard_gamma(np.broadcast_to(total, (size, *total.shape)))
        else:
            yield (weights[begin : begin + size] @ table).reshape(size, *total.shape)


def _credit_draws(
    credit: Array, weights: NDArray[np.int64] | None, n_draws: int, rng: np.random.Generator
) -> Array:
    """Credit of resampled people, or of paths whose conversions are drawn again, shape (n_draws, channels)."""
    if weights is not None:
        return weights @ credit
    conversions = credit.sum(axis=1)
    walked = conversions > 0
    share, conversions = credit[walked] / conversions[walked, None], conversions[walked]
    return np.array([rng.standard_gamma(conversions) @ share for _ in range(n_draws)])
