"""How often intervals hold the truth when people differ, by simulation."""

from dataclasses import dataclass

import numpy as np

# Chance of one step for three equally frequent types of people.
TYPES = (0.15, 0.35, 0.55)


@dataclass(frozen=True)
class Coverage:
    """Share of simulated data sets whose 95 % interval holds the true probability of a step.

    Attributes:
        n_people: People in each data set.
        steps_each: Steps each of them takes.
        clustered: Share for the bootstrap that draws people.
        independent: Share for a Dirichlet posterior, which takes every step for a new person's.
        n_simulations: Data sets simulated.
    """

    n_people: int
    steps_each: int
    clustered: float
    independent: float
    n_simulations: int


def interval_coverage(
    *, n_people: int, steps_each: int, n_simulations: int, n_draws: int, rng: np.random.Generator
) -> Coverage:
    """Simulate people of three types and count how often either interval holds the truth.

    Args:
        n_people: People in each data set; their types are drawn.
        steps_each: Steps each takes from the state in question.
        n_simulations: Data sets.
        n_draws: Draws behind each interval.
        rng: Random numbers.
    """
    truth = float(np.mean(TYPES))
    held = np.zeros(2)
    for _ in range(n_simulations):
        chance = rng.choice(TYPES, size=n_people)
        taken = rng.binomial(steps_each, chance)
        weights = rng.multinomial(n_people, np.full(n_people, 1 / n_people), size=n_draws)
        clustered = weights @ taken / (n_people * steps_each)
        total = taken.sum()
        independent = rng.beta(total, n_people * steps_each - total, size=n_draws)
        for k, drawn in enumerate((clustered, independent)):
            low, high = np.quantile(drawn, [0.025, 0.975])
            held[k] += low <= truth <= high
    shares = held / n_simulations
    return Coverage(n_people, steps_each, float(shares[0]), float(shares[1]), n_simulations)
