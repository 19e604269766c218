"""What a message would gain from whom: effect times worth less cost, and who is written to within limits."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from journeybook.decisions.off_policy import LEAST_EFFECTIVE, doubly_robust_scores, off_policy_value
from journeybook.decisions.policy import Deciding
from journeybook.decisions.uplift import part_of
from journeybook.statistics.clusters import clustered_error

ALL = "all"
"""The group of people whose own group tells too little."""

_LEVELS = 50  # of gain, into which more people than `_ONE_BY_ONE` of one kind are put together
_ONE_BY_ONE = 5_000


@dataclass(frozen=True, eq=False)
class Gains:
    """What one message brings each of n people, by c channels.

    Attributes:
        channels: Names of the channels, c of them.
        effects: One row a group and channel: `group`, `channel`, `effect` (responses a message adds), `low`,
            `high` (95 %, clustered by person), `effective_n` (people it is worth), `own` (whether it is the
            group's own).
        effect: Effect, low and high by person's group, shape (groups, c, 3); NaN where it cannot be told.
        group: Place of each person's group, shape (n,).
        worth: What a response of each person is worth, shape (n,).
        cost: Cost of a message with its fatigue, shape (c,); `paid` is the cost without, what the budget counts.
    """

    channels: tuple[str, ...]
    effects: pd.DataFrame
    effect: np.ndarray
    group: np.ndarray
    worth: np.ndarray
    cost: np.ndarray
    paid: np.ndarray

    def of(self, rows: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """Return expected gain, low and high of a message to some people, shape (m, 3); `channel` is a place."""
        effect = self.effect[self.group[rows], channel]
        return effect * self.worth[rows, None] - self.cost[channel][..., None]

    def matrix(self, rows: np.ndarray) -> np.ndarray:
        """Return the expected gain of some people by every channel, shape (m, c)."""
        return self.effect[self.group[rows], :, 0] * self.worth[rows, None] - self.cost


def effects_by_group(deciding: Deciding, groups: np.ndarray | None, channels: tuple[str, ...]) -> pd.DataFrame:
    """Measure what a message of each channel adds to not writing, by group of the test contacts.

    The mean over a group of doubly robust scores (as `uplift_study`), of contacts that permitted the channel. A
    group worth fewer than `LEAST_EFFECTIVE` people, for the message or for none, has the effect on all.

    Returns:
        One row a group and channel, `all` first; see `Gains.effects`. Empty where nothing tells of effects.
    """
    test, records = deciding.test, []
    columns = ["group", "channel", "effect", "low", "high", "effective_n", "own"]
    if test is None:
        return pd.DataFrame(columns=columns)
    labels = np.full(len(test.taken), ALL) if groups is None else groups
    for channel in (name for name in channels if name in test.actions[:-1]):
        place, pooled = test.actions.index(channel), None
        for group in [ALL, *sorted(set(labels) - {ALL})]:
            inside = test.allowed[:, place] & ((labels == group) | (group == ALL))
            own = part_of(test, inside)
            chosen, nothing = (np.full(inside.sum(), to) for to in (place, test.nothing))
            found = [off_policy_value(own, to) for to in (chosen, nothing)] if inside.any() else []
            n = min((value.effective_n for value in found), default=0.0)
            told = bool(found) and n >= LEAST_EFFECTIVE and not any(value.refusal for value in found)
            if told:
                added = doubly_robust_scores(own, chosen) - doubly_robust_scores(own, nothing)
                half = norm.ppf(0.975) * clustered_error(added - added.mean(), own.person)
                ends = (added.mean(), added.mean() - half, added.mean() + half)
            else:
                ends = pooled or (np.nan, np.nan, np.nan)
            pooled = ends if group == ALL else pooled
            records.append((group, channel, *ends, n, told))
    return pd.DataFrame(records, columns=columns)


def expected_gains(
    effects: pd.DataFrame, deciding: Deciding, people: pd.DataFrame, channels: tuple[str, ...], *, given: bool
) -> Gains:
    """Join effects with what a response of each person is worth, and with costs at the first set of them.

    A response is worth what the person spends at a purchase (`spend` of page 06) where that is known, unless a
    value was `given`; else the value of a response. Groups are `segment`, else one.
    """
    groups = [ALL, *[name for name in dict.fromkeys(effects["group"]) if name != ALL]]
    at = effects.set_index(["group", "channel"])[["effect", "low", "high"]]
    effect = np.array([
        [at.loc[(g, c)] if (g, c) in at.index else (np.nan,) * 3 for c in channels] for g in groups
    ], dtype=float).reshape(len(groups), len(channels), 3)  # fmt: skip
    own = people["segment"] if "segment" in people else pd.Series(ALL, index=people.index)
    worth = np.full(len(people), deciding.value_per_response)
    if "spend" in people and not given:
        spend = people["spend"].to_numpy(dtype=float, na_value=np.nan)
        worth = np.where(np.isfinite(spend), spend, worth)
    listed = {} if deciding.costs.empty else deciding.costs.iloc[0].to_dict()
    paid = np.array([listed.get(name, 0.0) for name in channels], dtype=float)
    group = np.maximum(pd.Index(groups).get_indexer(pd.Index(own.fillna(ALL))), 0)
    return Gains(channels, effects, effect, group, worth, paid + listed.get("fatigue", 0.0), paid)


def assign(
    gain: np.ndarray, kind: np.ndarray, *, paid: np.ndarray, capacity: Mapping[int, int], budget: float | None
) -> np.ndarray:
    """Choose at most one message a person so that the gains add up to most, within capacities and a budget.

    A mixed-integer programme (SciPy's `milp`, HiGHS). Beyond 5,000 people those of one kind with alike gains are
    counted together, and the best of them are chosen first.

    Args:
        gain: Expected gain of each message, shape (m, c); NaN or -infinity where it may not be sent.
        kind: A code of who may be put together, shape (m,): same group and same channels open.
        paid: Cost of a message by channel, shape (c,), as the budget counts it.
        capacity: Messages that can be sent, by place of channel; others have no bound.
        budget: What they may cost together, or None.

    Returns:
        Place of the channel of each person, c for none, shape (m,).
    """
    from scipy.optimize import LinearConstraint, milp
    from scipy.sparse import csr_array

    m, c = gain.shape
    chosen = np.full(m, c)
    usable = np.where(gain > 0, gain, -np.inf)
    some = np.flatnonzero(usable.max(axis=1, initial=-np.inf) > 0)
    if not len(some):
        return chosen
    usable, best = usable[some], usable[some].max(axis=1)
    bundle = np.arange(len(some))
    if len(some) > _ONE_BY_ONE:
        level = (
            (pd.Series(best).groupby(kind[some]).rank(pct=True, method="first") * _LEVELS).to_numpy().astype(int)
        )
        bundle = pd.factorize(kind[some] * (_LEVELS + 1) + level)[0]
    n_of = np.bincount(bundle)
    means = np.stack([np.bincount(bundle, weights=usable[:, j]) / n_of for j in range(c)], axis=1)
    at, to = np.nonzero(np.isfinite(means))
    places = np.arange(len(at))
    limits = [LinearConstraint(csr_array((np.ones(len(at)), (at, places))), -np.inf, n_of)]
    for channel, most in capacity.items():
        limits.append(LinearConstraint(csr_array((to == channel).astype(float)[None, :]), -np.inf, most))
    if budget is not None:
        limits.append(LinearConstraint(csr_array(paid[to][None, :]), -np.inf, budget))
    found = milp(-means[at, to], constraints=limits, integrality=np.ones(len(at)), options={"mip_rel_gap": 1e-4})
    if found.x is None:
        raise ValueError(f"no message can be chosen within capacity and budget: {found.message}")
    # Within a bundle the best come first.
    order = np.lexsort((-best, bundle))
    start = np.r_[0, np.cumsum(n_of)[:-1]]
    for place in np.flatnonzero(np.round(found.x) > 0):
        n = round(found.x[place])
        chosen[some[order[start[at[place]] : start[at[place]] + n]]] = to[place]
        start[at[place]] += n
    return chosen
