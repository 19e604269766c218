"""Four case studies, SIMULATED: personalised against static on the same people, where the gain is planted.

People are of kinds, and content that suits their kind lifts what they do by a planted share. The static campaign
sends everyone what suits the commonest kind. The personalised one sends what suits the kind it believes a person
to be of, which it gets right with a planted probability. Who has which is drawn by lot.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.errors import nearest
from journeybook.statistics.contrasts import arm_moments, contrast
from journeybook.statistics.power import sample_size

KINDS = np.array([0.4, 0.3, 0.2, 0.1])
"""Shares of the kinds of people, the commonest first."""


@dataclass(frozen=True)
class Case:
    """What is planted in a case study, beside the lift.

    Attributes:
        steps: By outcome, in order: its rate without a lift, or the mean of an amount.
        right: Probability that a person's kind is known, one a step, or one for all.
        funnel: Whether a step needs the one before; else each is on its own, and their sum is an outcome too.
        amount: Which outcome is an amount, drawn from a gamma distribution of shape 2; empty for none.
        window: Share of people whom a static message meets in their peak window; 1 where time plays no part.
    """

    steps: Mapping[str, float]
    right: tuple[float, ...]
    funnel: bool = True
    amount: str = ""
    window: float = 1.0


_MONTHS = dict.fromkeys(("month 1", "month 2", "month 3"), 0.10)
_ITERATIONS = dict.fromkeys(("iteration 1", "iteration 2", "iteration 3"), 0.08)
CASES = {
    "segmented e-mail": Case({"opened": 0.22, "clicked": 0.15, "converted": 0.10}, (0.8,)),
    "retail segments": Case({"bought": 0.12, "spend": 40.0}, (0.8,), amount="spend"),
    "style and peak window": Case(_MONTHS, (0.7,), funnel=False, window=0.25),
    "on-site recommendation": Case(_ITERATIONS, (0.4, 0.6, 0.8), funnel=False),
}


@dataclass(frozen=True, eq=False)
class World:
    """People of one case.

    Attributes:
        arm: 0 static, 1 personalised, shape (n,).
        done: What each did by outcome, each of shape (n,).
        planted: By outcome, what all these people together would gain a person by being personalised.
    """

    arm: np.ndarray
    done: dict[str, np.ndarray]
    planted: dict[str, float]


def simulate(case: Case, *, n: int, lift: float, rng: np.random.Generator) -> World:
    """Draw people of a case and let each do what their arm brings; with a lift of 0 both arms are alike."""
    arm = rng.permutation(np.arange(n) % 2)
    commonest, met, known = rng.random(n) < KINDS[0], rng.random(n) < case.window, rng.random(n)
    done, planted = {}, {}
    before, reach = np.ones(n), np.ones((2, n))
    for name, right in zip(case.steps, np.resize(case.right, len(case.steps)), strict=True):
        # Whose kind is not known is sent what suits the commonest.
        suits = np.array([commonest & met, commonest | (known < right)])
        rates = case.steps[name] * (1 + lift * suits)
        own = np.where(arm == 1, rates[1], rates[0])
        done[name] = before * (rng.gamma(2.0, own / 2) if name == case.amount else rng.random(n) < own)
        rates = reach * rates
        planted[name] = float((rates[1] - rates[0]).mean())
        if case.funnel:
            before, reach = done[name], rates
    if not case.funnel:
        done = {"in all": np.sum([*done.values()], axis=0), **done}
        planted = {"in all": sum(planted.values()), **planted}
    return World(arm, done, planted)


def headline(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the row of each case that speaks for it: all its months or iterations, else its last step."""
    return cases[(cases["outcome"] == "in all") | cases["outcome"].isin(["converted", "spend"])]


def measure_cases(lifts: Mapping[str, float], *, n: int, power: float, rng: np.random.Generator) -> pd.DataFrame:
    """Run each case on `n` people, and measure the gain of personalised over static beside the planted one.

    Returns:
        One row a case and outcome: case, outcome, static (mean of the arm), gain, low, high (Welch's 95 %
        interval), planted, n, and needed, the people in both arms at which the planted gain is found with
        probability `power` at 5 % (infinite for no gain).

    Raises:
        ValueError: A lift is of no case.
    """
    rows = []
    for name, lift in lifts.items():
        if name not in CASES:
            raise ValueError(f"planted_lifts names {name!r}; {nearest(name, CASES)}")
        world = simulate(CASES[name], n=n, lift=lift, rng=rng)
        for outcome, planted in world.planted.items():
            arms = arm_moments([world.done[outcome].astype(float)], world.arm, n_arms=2)
            found, sds = contrast(arms, weights=(-1, 1)), np.sqrt(arms.covariance[:, 0, 0])
            asked = {"sd_control": sds[0], "sd_treatment": sds[1], "alpha": 0.05, "power": power}
            size = sample_size(planted, **asked) if planted else None
            needed = float(size.n_control + size.n_treatment) if size else np.inf
            gain, margin = float(found.effect), float(found.margin(alpha=0.05))
            ends = [gain, gain - margin, gain + margin]
            rows.append([name, outcome, float(arms.mean[0, 0]), *ends, planted, n, needed])
    return pd.DataFrame(
        rows, columns=["case", "outcome", "static", "gain", "low", "high", "planted", "n", "needed"]
    )


def null_worlds(*, n_worlds: int, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Run each case without any lift many times: how often is a campaign called better that is not?

    Of 4,000 worlds of 1,000 people a case, 4.7 % to 4.9 % are called different and 2.2 % to 2.5 % better, with a
    Monte Carlo error of 0.3 points (tests/test_impact.py).

    Returns:
        One row a case: case, outcome (its first, or its amount), n_worlds, called (share of worlds whose 95 %
        interval leaves out 0), better (share in which personalised is called better), and error, the Monte Carlo
        error of `called`.
    """
    rows = []
    for name, case in CASES.items():
        world = simulate(case, n=n_worlds * n, lift=0.0, rng=rng)
        outcome = case.amount or next(iter(world.done))
        # A world is a block of people; the lot was drawn over all of them, so arms of a world may differ in size.
        arm = 2 * (np.arange(n_worlds * n) // n) + world.arm
        arms = arm_moments([world.done[outcome].astype(float)], arm, n_arms=2 * n_worlds).shaped(n_worlds, 2)
        found = contrast(arms, weights=(-1, 1))
        clear = found.p_value < 0.05
        error = (max(clear.mean() * (1 - clear.mean()), 1 / n_worlds) / n_worlds) ** 0.5
        rows.append([name, outcome, n_worlds, clear.mean(), (clear & (found.effect > 0)).mean(), error])
    return pd.DataFrame(rows, columns=["case", "outcome", "n_worlds", "called", "better", "error"])
