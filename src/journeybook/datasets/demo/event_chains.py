"""The planted law of the simulated journeys: chains of sessions and of channels, and their algebra.

A journey is a row of sessions (touches) of one person, each reached through a channel. It ends when a session
ends in `purchase`, or when the person does not come back. A session is an absorbing Markov chain over pages;
its first page depends on the channel, its steps on the type of the customer.
"""

from dataclasses import dataclass

import numpy as np

PURCHASE, EXIT, START = "purchase", "(exit)", "(start)"
STATES = ("home", "search", "category", "offers", "product", "review", "basket", "delivery_info",
          "checkout", "payment", "account", "help")  # fmt: skip
TARGETS = (*STATES, PURCHASE, EXIT)
CHANNELS = ("direct", "organic", "paid_search", "email", "social", "affiliate")
N_STATES, N_CHANNELS, N_TYPES = len(STATES), len(CHANNELS), 3
CANDIDATES = (("basket", "checkout"), ("checkout", "payment"), ("payment", PURCHASE))

# Steps of an average visitor, in per cent; what is missing from 100 leaves. Seeds vary around them.
_STEPS = {
    "home": {"search": 24, "category": 24, "offers": 10, "product": 10, "account": 6, "help": 2, "basket": 3},
    "search": {"product": 50, "search": 14, "category": 8, "home": 3, "help": 1},
    "category": {"product": 46, "category": 14, "search": 8, "offers": 4, "home": 3},
    "offers": {"product": 40, "category": 14, "basket": 3, "home": 6},
    "product": {"product": 20, "review": 13, "basket": 22, "category": 11, "search": 9, "home": 3,
                "delivery_info": 3},
    "review": {"product": 52, "review": 8, "basket": 10, "category": 5},
    "basket": {"checkout": 50, "product": 18, "category": 9, "delivery_info": 7, "home": 3, "account": 3},
    "delivery_info": {"basket": 42, "checkout": 6, "product": 18, "help": 8},
    "checkout": {"payment": 75, "basket": 13, "delivery_info": 5, "account": 2, "help": 1},
    "payment": {PURCHASE: 82, "checkout": 10, "help": 2, "basket": 2},
    "account": {"home": 25, "basket": 14, "offers": 10, "help": 7},
    "help": {"home": 18, "delivery_info": 17, "account": 10, "basket": 12},
}  # fmt: skip
# Odds of these steps, by customer type in the order of their names: those who hunt offers, those who come to
# buy, those who compare and plan.
_TILTS = (
    {("home", "offers"): 3.0, ("category", "offers"): 2.5, ("offers", "product"): 1.5, ("basket", "product"): 1.5},
    {("product", "basket"): 1.8, ("home", "search"): 1.5, ("basket", "checkout"): 1.3, ("product", "review"): 0.5},
    {("product", "basket"): 0.6, ("product", "product"): 1.5, ("category", "category"): 1.5,
     ("product", "review"): 1.6},
)  # fmt: skip
# First pages by channel, in per cent.
_LANDING = {
    "direct": {"home": 62, "account": 12, "basket": 14, "search": 12},
    "organic": {"home": 35, "category": 25, "product": 22, "search": 12, "help": 3, "delivery_info": 3},
    "paid_search": {"product": 45, "category": 35, "offers": 15, "home": 5},
    "email": {"offers": 45, "product": 28, "basket": 15, "home": 12},
    "social": {"review": 35, "home": 30, "offers": 25, "product": 10},
    "affiliate": {"offers": 55, "product": 35, "category": 10},
}
# Channels of a first and of a later session, in per cent.
_ARRIVALS = (22, 26, 18, 12, 14, 8)
_RETURNS = (34, 18, 14, 18, 9, 7)
# How far the planted bottleneck's elasticity is above the second.
_MARGIN = 0.06


@dataclass(frozen=True, eq=False)
class PlantedLaw:
    """Everything the simulated journeys are drawn from: probabilities.

    Attributes:
        steps: Within a session, shape (type, page, page + purchase + exit).
        landing: First page by channel, shape (channel, page).
        arrival: Channel of a journey's first session, shape (type, channel).
        comes_back: Of coming back after a session without purchase, shape (channel,).
        next_channel: Channel of the next session by that of this one, shape (channel, channel).
        replaced_by: Without the channel of the row, of coming through that of the column instead, shape (channel,
            channel); what is missing from 1 stays away.
        app_share: Share of journeys made in the app, shape (type,).
        bottleneck: The step (source, target) whose improvement brings most.
        failure_share: Share of payments in the app that fail while the checkout is at fault.
    """

    steps: np.ndarray
    landing: np.ndarray
    arrival: np.ndarray
    comes_back: np.ndarray
    next_channel: np.ndarray
    replaced_by: np.ndarray
    app_share: np.ndarray
    bottleneck: tuple[str, str]
    failure_share: float


def reach(moves: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the probability of ending by `ends`, from each state of a chain that moves by `moves`.

    >>> float(reach(np.array([[0.5]]), np.array([0.25]))[0])
    0.5
    """
    return np.linalg.solve(np.eye(len(moves)) - moves, ends)


def visits(moves: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the expected visits to each state of a chain that begins by `start`."""
    return np.linalg.solve((np.eye(len(moves)) - moves).T, start)


def conditioned(moves: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the chain given that it ends by `ends` (Doob's transform); the last column is the end.

    Each step is weighted by how likely the end is after it, relative to before it, so each row sums to 1.
    """
    chance = reach(moves, ends)
    return np.column_stack([moves * chance, ends]) / np.where(chance > 0, chance, 1.0)[:, None]


def sessions_convert(law: PlantedLaw) -> np.ndarray:
    """Return the probability that a session ends in purchase, by type and page it is on, shape (type, page)."""
    return np.array([reach(steps[:, :N_STATES], steps[:, N_STATES]) for steps in law.steps])


def channel_moves(law: PlantedLaw, converts: np.ndarray) -> np.ndarray:
    """Return the channel of the next session by that of this one, where sessions convert so by channel."""
    return ((1 - converts) * law.comes_back)[:, None] * law.next_channel


def journeys_convert(law: PlantedLaw) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability that a session, and that a journey, ends in purchase, by type and channel."""
    converts = sessions_convert(law) @ law.landing.T
    return converts, np.array([reach(channel_moves(law, row), row) for row in converts])


def without_channel(entries: np.ndarray, channel: int, replaced_by: np.ndarray) -> np.ndarray:
    """Return the probabilities of coming through each channel when one is gone and its visits are replaced."""
    kept = entries + entries[..., [channel]] * replaced_by[channel]
    kept[..., channel] = 0.0
    return kept


def elasticities(start: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the relative gain in conversion for a relative gain of each step, the row's other steps rescaled.

    `start` has shape (page,), `steps` and what is returned (page, page + purchase + exit); that is 0 where a step
    has probability 0 or 1, and for steps into exit.
    """
    inside = steps[:, :N_STATES]
    after = np.r_[reach(inside, steps[:, N_STATES]), 1.0, 0.0]
    free = (steps > 0) & (steps < 1)
    others = ((steps @ after)[:, None] - steps * after) / np.where(free, 1 - steps, 1.0)
    gain = visits(inside, start)[:, None] * (after - others) * steps / (start @ after[:N_STATES])
    gain[:, -1] = 0.0
    return np.where(free, gain, 0.0)


def expected_sessions(law: PlantedLaw) -> np.ndarray:
    """Return the sessions a journey is expected to have through each channel, shape (type, channel)."""
    converts, _ = journeys_convert(law)
    return np.array([visits(channel_moves(law, r), a) for r, a in zip(converts, law.arrival, strict=True)])


def expected_counts(law: PlantedLaw, journeys: np.ndarray) -> np.ndarray:
    """Return the transitions expected of so many journeys of each type, shape (start + page, TARGETS)."""
    counts = np.zeros((N_STATES + 1, N_STATES + 2))
    for n, sessions, steps in zip(journeys, expected_sessions(law), law.steps, strict=True):
        first = n * sessions @ law.landing
        counts[0, :N_STATES] += first
        counts[1:] += visits(steps[:, :N_STATES], first)[:, None] * steps
    return counts


def mixed(law: PlantedLaw, conversions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first pages and steps of all sessions together, for so many conversions of each type."""
    counts = expected_counts(law, conversions / (law.arrival * journeys_convert(law)[1]).sum(axis=1))
    share = counts / counts.sum(axis=1, keepdims=True)
    return share[0, :N_STATES], share[1:]


def draw_law(rng: np.random.Generator, *, weights: np.ndarray) -> PlantedLaw:
    """Draw a law whose strongest step, over all types, is the planted bottleneck, clear of the second.

    The mix in which it is judged has conversions of each type in proportion to `weights`, shape (type,).
    """
    while True:
        law = _draw(rng)
        gains = elasticities(*mixed(law, weights / weights.sum()))
        place = STATES.index(law.bottleneck[0]), TARGETS.index(law.bottleneck[1])
        best, gains[place] = gains[place], -np.inf
        if best > gains.max() + _MARGIN:
            return law


def walk(first: np.ndarray, cumulative: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Walk many chains from their `first` states until each ends; return walk and state of every visit, in order.

    `cumulative` are cumulated probabilities of the next state; the last column is the end. Several chains of the
    same states may be stacked as blocks of rows: a walk stays in the block it begins in.
    """
    width = cumulative.shape[1] - 1
    walks, states = [np.arange(len(first))], [first]
    active, state = walks[0], first
    while len(active):
        drawn = draw_rows(cumulative[state], rng)
        stays = drawn < width
        active, state = active[stays], (state[stays] // width) * width + drawn[stays]
        walks.append(active)
        states.append(state)
    walk_ids, visited = np.concatenate(walks), np.concatenate(states)
    order = np.argsort(walk_ids, kind="stable")
    return walk_ids[order], visited[order]


def cumulated(rows: np.ndarray) -> np.ndarray:
    """Return probabilities cumulated along the last axis, ending on 1 whatever the rounding."""
    total = np.cumsum(rows, axis=-1)
    return total / np.where(total[..., -1:] > 0, total[..., -1:], 1.0)


def draw_rows(cumulative: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one column for each row of cumulated probabilities."""
    return (rng.random(len(cumulative))[:, None] >= cumulative[:, :-1]).sum(axis=1)


def _draw(rng: np.random.Generator) -> PlantedLaw:
    bottleneck = CANDIDATES[rng.integers(len(CANDIDATES))]
    base = _percent(_STEPS, TARGETS, rows=STATES)
    base[:, -1] = 1 - base[:, :-1].sum(axis=1)
    # At the bottleneck fewer go on, fewer go back, and more leave.
    source, target = STATES.index(bottleneck[0]), TARGETS.index(bottleneck[1])
    kept = np.full(N_STATES + 2, 0.6)
    kept[target], kept[-1] = rng.uniform(0.5, 0.65), 1.0
    base[source] *= kept
    base[source, -1] += 1 - base[source].sum()
    odds = np.repeat(base[None], N_TYPES, axis=0)
    for kind, tilts in enumerate(_TILTS):
        for (one, other), factor in tilts.items():
            odds[kind, STATES.index(one), STATES.index(other)] *= factor
    steps = np.array([_dirichlet(rng, of / of.sum(axis=1, keepdims=True), 400.0) for of in odds])
    elsewhere = rng.dirichlet(np.full(N_CHANNELS, 4.0), size=N_CHANNELS)
    np.fill_diagonal(elsewhere, 0.0)
    stays_away = rng.uniform(0.15, 0.85, size=(N_CHANNELS, 1))
    return PlantedLaw(
        steps=steps,
        landing=_dirichlet(rng, _percent(_LANDING, STATES, rows=CHANNELS), 40.0),
        arrival=_dirichlet(rng, np.tile(np.array(_ARRIVALS) / 100, (N_TYPES, 1)), 60.0),
        comes_back=rng.uniform(0.25, 0.55, size=N_CHANNELS),
        next_channel=_dirichlet(rng, np.tile(np.array(_RETURNS) / 100, (N_CHANNELS, 1)), 25.0),
        replaced_by=(1 - stays_away) * elsewhere / elsewhere.sum(axis=1, keepdims=True),
        app_share=rng.uniform(0.35, 0.6, size=N_TYPES),
        bottleneck=bottleneck,
        failure_share=float(rng.uniform(0.4, 0.65)),
    )


def _percent(table: dict, columns: tuple[str, ...], *, rows: tuple[str, ...]) -> np.ndarray:
    return np.array([[table[row].get(column, 0) / 100 for column in columns] for row in rows])


def _dirichlet(rng: np.random.Generator, means: np.ndarray, concentration: float) -> np.ndarray:
    """Draw rows around `means`; an impossible step stays impossible."""
    drawn = np.where(means > 0, rng.standard_gamma(np.maximum(means * concentration, 1e-9)), 0.0)
    return drawn / drawn.sum(axis=1, keepdims=True)
