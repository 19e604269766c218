"""Whether the mechanisms keep their promise, and what it costs: error, neighbours, composition."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from diffprivlib import BudgetAccountant
from diffprivlib.mechanisms import Geometric, Laplace

from journeybook.privacy.releases import Grouping, clamped_sums
from journeybook.statistics import proportion_interval


@dataclass(frozen=True, eq=False)
class NeighbourTest:
    """A mechanism run many times on two data sets that differ in one person.

    Attributes:
        outputs: One row an output seen often enough: `output`, `n_with`, `n_without` (times seen with the person
            and without), `log_ratio`, `standard_error`.
        epsilon: The mechanism's promise: no log ratio beyond it, in truth.
        worst_excess: Largest excess of |log ratio| over epsilon, in its standard errors.
        epsilon_low: Epsilon that the outputs prove at least, at 99.8 % confidence or more; above `epsilon` the
            promise is broken.
    """

    outputs: pd.DataFrame
    epsilon: float
    worst_excess: float
    epsilon_low: float


def error_curve(
    epsilons: Sequence[float], *, sensitivity: float, n_draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the mean absolute error that noise adds, drawn and by closed form.

    Expected |noise| is sensitivity / epsilon for the Laplace mechanism and 1 / sinh(epsilon) for the
    geometric one at sensitivity 1. It depends on no data.

    Args:
        epsilons: Budgets, above 0.
        sensitivity: Of the Laplace mechanism, above 0.
        n_draws: Draws for each, 1,000 or more.
        rng: Seeds the noise.

    Returns:
        One row a mechanism and epsilon: `mechanism`, `epsilon`, `mean_error`, `standard_error`,
        `closed_form`, `deviation` (in standard errors).

    Raises:
        ValueError: A budget or the number of draws is out of range.
    """
    if n_draws < 1000 or not epsilons or min(epsilons) <= 0:
        raise ValueError(
            f"epsilons are {epsilons} and n_draws {n_draws}: needed are values above 0, and 1,000 or more."
        )
    rows = []
    for epsilon in epsilons:
        for name, expected in (("geometric", 1 / np.sinh(epsilon)), ("Laplace", sensitivity / epsilon)):
            seed = int(rng.integers(2**31))
            mechanism = (
                Geometric(epsilon=epsilon, sensitivity=1, random_state=seed)
                if name == "geometric"
                else Laplace(epsilon=epsilon, sensitivity=sensitivity, random_state=seed)
            )
            errors = np.abs([mechanism.randomise(0) for _ in range(n_draws)])
            mean, standard_error = errors.mean(), errors.std(ddof=1) / np.sqrt(n_draws)
            rows.append((name, epsilon, mean, standard_error, expected, (mean - expected) / standard_error))
    return pd.DataFrame(
        rows, columns=["mechanism", "epsilon", "mean_error", "standard_error", "closed_form", "deviation"]
    )


def compare_neighbours(
    *, epsilon: float, noise_epsilon: float, n_draws: int, rng: np.random.Generator, min_seen: int = 100
) -> NeighbourTest:
    """Count a group many times with one person and without, and compare how often each output comes.

    Args:
        epsilon: What is promised.
        noise_epsilon: What the noise is made for; more than `epsilon` makes a mechanism that breaks its promise.
        n_draws: Draws with the person and without; half choose the event that proves most, half prove it.
        rng: Seeds the noise.
        min_seen: Outputs seen less often, with or without, are left out of the log ratios.
    """
    n_people = 1000  # any number does: the noise does not depend on it
    drawn = []
    for n in (n_people + 1, n_people):
        mechanism = Geometric(epsilon=noise_epsilon, sensitivity=1, random_state=int(rng.integers(2**31)))
        drawn.append(np.array([mechanism.randomise(n) for _ in range(n_draws)]))
    values = np.arange(min(map(np.min, drawn)), max(map(np.max, drawn)) + 1)
    seen = np.array([np.bincount(draws - values[0], minlength=len(values)) for draws in drawn])
    often = (seen >= min_seen).all(axis=0)
    n_with, n_without = seen[:, often]
    outputs = pd.DataFrame(
        {
            "output": values[often],
            "n_with": n_with,
            "n_without": n_without,
            "log_ratio": np.log(n_with / n_without),
            "standard_error": np.sqrt(1 / n_with + 1 / n_without - 2 / n_draws),
        }
    )
    excess = (outputs.log_ratio.abs() - epsilon) / outputs.standard_error
    return NeighbourTest(
        outputs=outputs,
        epsilon=epsilon,
        worst_excess=float(excess.max()) if len(outputs) else float("nan"),
        epsilon_low=_proven(drawn[0], drawn[1], values),
    )


def composition(*, epsilon: float, n_releases: Sequence[int], slack: float) -> pd.DataFrame:
    """Return what repeated releases cost together.

    Args:
        epsilon: Of each release.
        n_releases: Numbers of releases.
        slack: Delta allowed for the advanced bound (Kairouz, Oh & Viswanath 2017), above 0.

    Returns:
        One row a number: `n_releases`, `epsilon` (of each), `epsilon_sum` (of all, delta 0), and by
        diffprivlib's accountant `epsilon_advanced` and `delta`.

    Raises:
        ValueError: `slack` is not between 0 and 1.
    """
    if not 0 < slack < 1:
        raise ValueError(f"slack is {slack}: needed is a probability between 0 and 1.")
    rows = []
    for n in n_releases:
        total = BudgetAccountant(slack=slack, spent_budget=[(epsilon, 0)] * n).total()
        rows.append((n, epsilon, n * epsilon, float(total[0]), float(total[1])))
    return pd.DataFrame(rows, columns=["n_releases", "epsilon", "epsilon_sum", "epsilon_advanced", "delta"])


def largest_change(revenue: pd.Series, groups: Grouping) -> float:
    """Return the most that leaving out any one person changes a published sum, as a share of its sensitivity.

    Every person is left out in turn. At most 1, or the sums are not private.
    """
    exact = clamped_sums(revenue, groups)
    amounts = np.clip(revenue.to_numpy(dtype=float), 0, groups.max_revenue[groups.codes])
    changes = np.floor(amounts * 100) / 100 / groups.max_revenue[groups.codes]
    biggest = int(changes.argmax())
    rest = np.arange(len(revenue)) != biggest
    others = Grouping(groups.names, groups.codes[rest], groups.max_revenue)
    recomputed = np.abs(exact - clamped_sums(revenue[rest], others)) / groups.max_revenue
    return float(max(changes.max(), recomputed.max()))


def _proven(draws_with: np.ndarray, draws_without: np.ndarray, values: np.ndarray) -> float:
    """Return the epsilon that events of the kind `output >= t` prove (Jagielski, Ullman & Oprea 2020).

    The threshold is chosen on the first half of the draws and judged on the second.
    """
    half = len(draws_with) // 2
    low = [_log_low((draws_with[:half] >= t).sum(), (draws_without[:half] >= t).sum(), half) for t in values]
    threshold = values[int(np.argmax(low))]
    n = len(draws_with) - half
    return _log_low((draws_with[half:] >= threshold).sum(), (draws_without[half:] >= threshold).sum(), n)


def _log_low(n_with: int, n_without: int, n: int) -> float:
    # Each end is wrong once in a thousand.
    low = float(proportion_interval(n_with, n, level=0.998).low)
    high = float(proportion_interval(n_without, n, level=0.998).high)
    return float(np.log(low / high)) if low > 0 else float("-inf")
