"""What the page is held against: worked examples, brute force, simulated people, the planted truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from journeybook.clickstream.chain import TransitionModel, factors, transition_model
from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.elasticity import elasticities
from journeybook.clickstream.intervals import draw_chains, transition_table
from journeybook.clickstream.sessions import CONVERSION, EXIT, START

Array = NDArray[np.floating]

# Steps whose elasticity is also found by brute force, at most.
MOST_FORCED = 200
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


@dataclass(frozen=True, eq=False)
class CoverageStudy:
    """Coverage at several numbers of steps.

    Attributes:
        table: One row a number of steps, the fields of `Coverage`.
        clustered: Mean share over the rows, for the bootstrap that draws people.
        low: Lower end of the range that share lies in 99.9 % of the time if it is 95 % in truth.
        high: Upper end.
    """

    table: pd.DataFrame
    clustered: float
    low: float
    high: float


@dataclass(frozen=True)
class Planted:
    """How the page's figures compare with what the demo planted.

    Attributes:
        n_steps: Steps expected at least 20 times.
        covered_share: Share of them whose interval holds the planted probability.
        least_covered: The least that share may be: 95 % less four standard errors.
        chance: Planted probability that a session converts.
        chance_error: Standard error of the page's share of sessions that convert, people drawn.
        bottleneck: The planted bottleneck, "source to target".
        rank: Its rank by elasticity on the page, 1 for the first.
    """

    n_steps: int
    covered_share: float
    least_covered: float
    chance: float
    chance_error: float
    bottleneck: str
    rank: int


def drunkards_error() -> float:
    """Return the greatest error in the drunkard's walk (Grinstead & Snell 1997, examples 11.13 to 11.15).

    Corners 0 to 4, home at 4, bar at 0, and half a chance either way. In print are N, the expected steps
    t = (3, 4, 3), and the chance of reaching home, (1/4, 1/2, 3/4).
    """
    steps = pd.DataFrame(
        [("1", "0", 1), ("1", "2", 1), ("2", "1", 1), ("2", "3", 1), ("3", "2", 1), ("3", "4", 1)],
        columns=["source", "target", "n"],
    )
    walk = transition_model(steps, conversion="4", exit="0")
    errors = [
        walk.visits - np.array([[1.5, 1.0, 0.5], [1.0, 2.0, 1.0], [0.5, 1.0, 1.5]]),
        walk.expected_steps - np.array([3.0, 4.0, 3.0]),
        walk.conversion_probability - np.array([0.25, 0.5, 0.75]),
    ]
    return max(float(np.abs(error).max()) for error in errors)


def elasticity_error(model: TransitionModel) -> float:
    """Return the greatest difference between the elasticities and brute force; 0 where nothing converts.

    Of more than `MOST_FORCED` steps so many are tried, spread evenly over the model.
    """
    start = model.at(START)
    found = elasticities(model, start=start)
    tried = np.flatnonzero(np.isfinite(found))
    tried = tried[np.unique(np.linspace(0, len(tried) - 1, min(len(tried), MOST_FORCED), dtype=int))]
    forced = elasticity_by_difference(model, tried, start=start)
    return float(np.max(np.abs(forced - found[tried]), initial=0.0))


def elasticity_by_difference(
    model: TransitionModel, asked: NDArray[np.integer], *, start: int, change: float = 1e-5
) -> Array:
    """Return elasticities by brute force: change one step a little both ways, solve the whole chain again.

    Args:
        model: The chain.
        asked: Numbers of the steps, shape (k,).
        start: Number of the state every journey begins in.
        change: Relative change of the step.
    """
    found = np.empty(len(asked))
    for k, step in enumerate(asked):
        p = model.steps[step]
        chances = []
        for factor in (1 + change, 1 - change):
            moved = model.steps.copy()
            moved[model.source == model.source[step]] *= (1 - p * factor) / (1 - p)
            moved[step] = p * factor
            chances.append(_conversion(model, moved)[start])
        found[k] = (chances[0] - chances[1]) / (2 * change * model.conversion_probability[start])
    return found


def _conversion(model: TransitionModel, steps: Array) -> Array:
    s = len(model.states)
    straight = np.bincount(model.source, weights=steps * (model.target == s), minlength=s)
    return factors(model.source, model.target, steps, s).solve(straight)


def interval_coverage(
    *, n_people: int, steps_each: int, n_simulations: int, n_draws: int, rng: np.random.Generator
) -> Coverage:
    """Simulate people of three types and count how often the page's own intervals hold the truth.

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
        taken = rng.binomial(steps_each, rng.choice(TYPES, size=n_people))
        group = np.arange(n_people)
        won = pd.DataFrame({"group": group, "target": CONVERSION, "n": taken})
        lost = pd.DataFrame({"group": group, "target": EXIT, "n": steps_each - taken})
        walked, steps = n_people * steps_each, pd.concat([won, lost], ignore_index=True)
        counts = StepCounts(
            counts=steps.assign(source=START, seconds=0), conversion=CONVERSION, n_events=walked,
            n_sessions=walked, n_conversions=int(taken.sum()), n_people=n_people, n_clusters=n_people,
            n_groups=n_people, n_after_conversion=0, n_one_event=0, n_machine_sessions=0, n_machine_events=0,
            n_short_sessions=0, n_unplaced=0, n_cut_by_log=None, timed=False, aggregated=False,
        )  # fmt: skip
        for k, independent in enumerate((False, True)):
            chain = draw_chains(counts, n_draws=n_draws, rng=rng, independent=independent)
            step = transition_table(chain).set_index("target").loc[CONVERSION]
            held[k] += step["probability_low"] <= truth <= step["probability_high"]
    shares = held / n_simulations
    return Coverage(n_people, steps_each, float(shares[0]), float(shares[1]), n_simulations)


def coverage_study(
    *, n_people: int, steps_each: Sequence[int], n_simulations: int, n_draws: int, rng: np.random.Generator
) -> CoverageStudy:
    """Simulate `interval_coverage` at several numbers of steps, `n_simulations` data sets each."""
    rows = [
        interval_coverage(n_people=n_people, steps_each=n, n_simulations=n_simulations, n_draws=n_draws, rng=rng)
        for n in steps_each
    ]
    table = pd.DataFrame([vars(row) for row in rows])
    half = 3.29 * np.sqrt(0.95 * 0.05 / (n_simulations * len(rows)))
    return CoverageStudy(table, float(table["clustered"].mean()), float(0.95 - half), float(0.95 + half))


def compare_with_planted(
    states: pd.DataFrame,
    transitions: pd.DataFrame,
    bottlenecks: pd.DataFrame,
    *,
    mix: pd.DataFrame,
    planted: pd.DataFrame,
) -> Planted:
    """Compare the page's conversion, steps and ranking with the demo's truth.

    Args:
        states: The page's table of states.
        transitions: The page's table of steps.
        bottlenecks: The page's ranking.
        mix: Truth `event_mix`.
        planted: Truth `event_bottlenecks`.
    """
    mix = mix.assign(target=mix["target"].replace("purchase", CONVERSION))
    both = mix[mix["expected_n"] >= 20].merge(
        transitions, on=["source", "target"], how="left", suffixes=("_planted", "")
    )
    held = both["probability_planted"].between(both["probability_low"], both["probability_high"])
    ends = mix[mix["target"] == CONVERSION]["expected_n"].sum()
    step = planted[planted["planted"]].iloc[0]
    source, target = step["source"], str(step["target"]).replace("purchase", CONVERSION)
    found = bottlenecks.index[(bottlenecks["source"] == source) & (bottlenecks["target"] == target)]
    start = states.set_index("state").loc[START]
    width = start["conversion_probability_high"] - start["conversion_probability_low"]
    return Planted(
        n_steps=len(both),
        covered_share=float(held.mean()),
        least_covered=0.95 - 4 * (0.95 * 0.05 / len(both)) ** 0.5,
        chance_error=float(width / (2 * 1.96)),
        chance=float(ends / mix[mix["source"] == "(start)"]["expected_n"].sum()),
        bottleneck=f"{source} to {target}",
        rank=int(found[0]) + 1 if len(found) else len(bottlenecks) + 1,
    )
