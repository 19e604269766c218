"""Whether an adaptive choice beats the best fixed one: a contextual bandit on a replay of logged contacts."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from scipy.stats import norm

from journeybook.errors import TooLittle
from journeybook.monitoring.acting import Scored
from journeybook.sends import NO_CONTACT, channels_of
from journeybook.statistics.recalibration import clustered_covariance
from journeybook.statistics.simultaneous import largest_t

FEWEST = 500
"""Contacts that a replay must have met the bandit on."""


@dataclass(frozen=True, eq=False)
class Logged:
    """Contacts whose choice chance made, in the order of time.

    Attributes:
        actions: Names of the choices, k of them; the last may always be chosen.
        x: What was known before each, shape (n, d).
        taken: Place of what was chosen, shape (n,).
        propensity: Probability with which it was, shape (n,), above 0.
        reward: What it brought, shape (n,).
        allowed: What might have been chosen, shape (n, k).
        person: Code of the person, shape (n,).
        row: The contact's number, shape (n,).
    """

    actions: tuple[str, ...]
    x: np.ndarray
    taken: np.ndarray
    propensity: np.ndarray
    reward: np.ndarray
    allowed: np.ndarray
    person: np.ndarray
    row: np.ndarray


@dataclass(frozen=True, eq=False)
class Replay:
    """A bandit beside fixed policies.

    Attributes:
        met: Place of each contact that the replay counts, in order: there chance chose as the bandit did.
        policies: One row a policy, the bandit first: `policy`, `n` contacts it is read from, `value` (mean reward)
            with 95 % ends, clustered by person.
        best: The fixed policy of the greatest value.
        regret: What the best fixed policy would have brought more than the bandit, per contact.
        low: Lower end of its 95 % interval, which allows for having looked for the best; `high` the upper.
        curve: One row a contact met: `n`, and `regret` so far, summed.
        logged: The contacts that left a choice, to which `met` counts.
    """

    met: np.ndarray
    policies: pd.DataFrame
    best: str
    regret: float
    low: float
    high: float
    curve: pd.DataFrame
    logged: Logged


class LinUCB:
    """Ridge regression of the reward for each choice; the most hopeful is taken (Li et al. 2010, algorithm 1)."""

    def __init__(self, n_actions: int, n_inputs: int, *, width: float):
        self.width = width
        self.inverse = np.repeat(np.eye(n_inputs)[None], n_actions, axis=0)
        self.total = np.zeros((n_actions, n_inputs))
        self.weight = np.zeros((n_actions, n_inputs))

    def choose(self, x: np.ndarray, allowed: np.ndarray) -> int:
        """Return the allowed choice with the highest upper end."""
        spread = np.sqrt(np.einsum("i,aij,j->a", x, self.inverse, x))
        return int(np.where(allowed, self.weight @ x + self.width * spread, -np.inf).argmax())

    def learn(self, action: int, x: np.ndarray, reward: float) -> None:
        """Take up what a choice brought (Sherman & Morrison 1950)."""
        along = self.inverse[action] @ x
        self.inverse[action] -= np.outer(along, along) / (1 + x @ along)
        self.total[action] += reward * x
        self.weight[action] = self.inverse[action] @ self.total[action]


def replay(logged: Logged, *, width: float, rng: np.random.Generator) -> Replay:
    """Let LinUCB choose at each logged contact, and count those where chance chose the same.

    A contact is kept with probability floor / propensity, floor being the least propensity: of what is kept each
    choice had the same chance, so that what is counted is what the bandit would have met live (Li, Chu, Langford &
    Wang 2011, theorem 1; rejection as in Dudik, Erhan, Langford & Li 2012). Only there it learns. A fixed policy
    makes one choice wherever it is allowed and the last elsewhere; its value is self-normalised (Swaminathan &
    Joachims 2015), of all contacts. Contacts with one allowed choice are left out.

    Args:
        logged: Contacts.
        width: Standard errors by which the bandit hopes, at least 0.
        rng: What is kept.

    Raises:
        ValueError: A propensity is out of range, what was chosen was not allowed, or `width` is below 0.
        TooLittle: Fewer than `FEWEST` contacts are met.
    """
    logged = _open(logged, width)
    n, x = len(logged.taken), np.column_stack([np.ones(len(logged.taken)), logged.x])
    kept = rng.random(n) < logged.propensity.min() / logged.propensity
    bandit, met = LinUCB(len(logged.actions), x.shape[1], width=width), []
    for i in np.flatnonzero(kept):
        chosen = bandit.choose(x[i], logged.allowed[i])
        if chosen == logged.taken[i]:
            met.append(i)
            bandit.learn(chosen, x[i], logged.reward[i])
    if len(met) < FEWEST:
        raise TooLittle(f"Chance chose as the bandit did in {len(met)} contacts; {FEWEST} are needed.")
    return _beside_fixed(logged, np.array(met), rng)


def fixed_choice(logged: Logged, action: int) -> np.ndarray:
    """Return what a fixed policy chooses of each contact, shape (n,): its action where allowed, else the last."""
    return np.where(logged.allowed[:, action], action, len(logged.actions) - 1)


def logged_choices(
    scored: Scored, asked: ibis.Table, permitted: Mapping[str, np.ndarray] | None, *, n_inputs: int
) -> Logged:
    """Lay out the contacts of page 07 as choices among messages and none; a response counts 1.

    Contacts that nobody permitted, or that chance did not choose, are left out.

    Args:
        scored: Contacts.
        asked: The same contacts with `row` and `propensity`.
        permitted: Whether each channel may be used, by name, each of shape (n,); None permits all.
        n_inputs: Principal components of what was known before each that the bandit sees, from 1.

    Raises:
        TooLittle: There are no propensities.
    """
    if "propensity" not in asked.columns:
        raise TooLittle("The contacts have no propensity, so that nothing tells what another choice would bring.")
    rows = scored.rows
    known = asked.select("row", "propensity").to_pandas().set_index("row")["propensity"]
    propensity = rows["row"].map(known).to_numpy(dtype=float)
    names = (*(name for name in channels_of(rows) if name != NO_CONTACT), NO_CONTACT)
    taken = pd.Index(names).get_indexer(pd.Index(rows["channel"]))
    allowed = np.ones((len(rows), len(names)), dtype=bool)
    if permitted is not None:
        allowed[:, :-1] = np.column_stack([permitted[name] for name in names[:-1]])
    chance = (propensity > 0) & (propensity <= 1) & allowed[np.arange(len(rows)), taken]
    # What page 07's rows say of the channel that was chosen must not be known before it is.
    seen = scored.x[:, : scored.x.shape[1] - rows["channel"].nunique()]
    taught = seen[(rows["part"] == "fit").to_numpy()]
    _, _, axes = np.linalg.svd(taught - taught.mean(axis=0), full_matrices=False)
    inputs = (seen - taught.mean(axis=0)) @ axes[:n_inputs].T
    inputs = inputs / inputs.std(axis=0)
    reward, person = rows["responded"].to_numpy(dtype=float), rows["person"].to_numpy()
    columns = (inputs, taken, propensity, reward, allowed, person, rows["row"].to_numpy())
    return Logged(names, *(column[chance] for column in columns))


def _open(logged: Logged, width: float) -> Logged:
    """The contacts where there was a choice, checked."""
    if width < 0 or not ((logged.propensity > 0) & (logged.propensity <= 1)).all():
        raise ValueError("width must be at least 0, and every propensity above 0 and at most 1.")
    if not logged.allowed[np.arange(len(logged.taken)), logged.taken].all():
        raise ValueError("a choice was made that was not allowed.")
    free = logged.allowed.sum(axis=1) > 1
    if free.sum() < FEWEST:
        raise TooLittle(f"{int(free.sum())} contacts left a choice; {FEWEST} are needed.")
    each = {name: getattr(logged, name)[free] for name in ("x", "taken", "propensity", "reward", "allowed", "row")}
    return Logged(logged.actions, **each, person=pd.factorize(logged.person[free])[0])


def _beside_fixed(logged: Logged, met: np.ndarray, rng: np.random.Generator) -> Replay:
    n, reward = len(logged.taken), logged.reward
    weights = [np.bincount(met, minlength=n).astype(float)]
    names = [f"always {name}" for name in logged.actions]
    weights += [(logged.taken == fixed_choice(logged, k)) / logged.propensity for k in range(len(names))]
    values = np.array([(w * reward).sum() / w.sum() for w in weights])
    influence = np.column_stack([w * (reward - v) / w.sum() for w, v in zip(weights, values, strict=True)])
    covariance = clustered_covariance(influence, logged.person)
    half = norm.ppf(0.975) * np.sqrt(np.diag(covariance))
    table = pd.DataFrame(
        {"policy": ["adaptive", *names], "n": [int((w > 0).sum()) for w in weights], "value": values}
    )
    apart = np.column_stack([-np.ones(len(names)), np.eye(len(names))])
    regrets, between = apart @ values, apart @ covariance @ apart.T
    reach = largest_t(between, level=0.95, rng=rng) * np.sqrt(np.diag(between))
    best = int(regrets.argmax())
    curve = {"n": np.arange(1, len(met) + 1), "regret": np.cumsum(values[1 + best] - reward[met])}
    return Replay(
        met=met,
        policies=table.assign(low=values - half, high=values + half),
        best=names[best],
        regret=float(regrets[best]),
        low=float((regrets - reach).max()),
        high=float((regrets + reach).max()),
        curve=pd.DataFrame(curve),
        logged=logged,
    )
