"""Bandits beside the fixed split: what they save, and what they do to the estimate."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

POLICIES = ("fixed_split", "thompson", "epsilon_greedy")
ESTIMATORS = ("naive", "adaptively_weighted")
# Draws from the posterior that the probabilities of Thompson sampling are counted from.
_POSTERIOR_DRAWS = 100


@dataclass(frozen=True, eq=False)
class BanditStudy:
    """Simulated experiments on arms of known conversion rates.

    Attributes:
        policies: One row a policy: policy, regret (conversions lost to never choosing a worse arm, a whole
            experiment), regret_error (Monte Carlo standard error), best_share (of the units, to a best arm).
        estimates: One row a policy, estimator and quantity (`mean of <arm>`, `effect of <arm>`): truth, bias,
            bias_error, coverage of the interval, coverage_error.
        path: Mean regret so far by policy and n (units so far).
        rates: True conversion rate by arm, the control first.
        alpha: One less the level of the intervals.
    """

    policies: pd.DataFrame
    estimates: pd.DataFrame
    path: pd.DataFrame
    rates: dict[str, float]
    alpha: float

    def worst(self) -> pd.DataFrame:
        """By policy and estimator the largest bias of an arm's mean, and the lowest coverage of an effect."""
        is_mean = self.estimates["quantity"].str.startswith("mean of ")
        by = ["policy", "estimator"]
        means = self.estimates[is_mean].assign(size=self.estimates["bias"].abs())
        means = means.loc[means.groupby(by, sort=False)["size"].idxmax(), [*by, "bias", "bias_error"]]
        effects = self.estimates[~is_mean]
        lowest = effects.loc[effects.groupby(by, sort=False)["coverage"].idxmin()]
        return means.merge(lowest[[*by, "coverage", "coverage_error"]], on=by)


@dataclass(frozen=True, eq=False)
class History:
    """What was assigned and seen, batch by batch.

    Attributes:
        units: Units by batch, simulation and arm.
        successes: Conversions, of the same shape.
        probability: Probability with which each unit of the batch was given the arm, of the same shape.
    """

    units: NDArray[np.int64]
    successes: NDArray[np.int64]
    probability: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimates of the arms' rates, shape (simulations, arms), and their covariance, (simulations, arms, arms)."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def planned_rates(
    needed: pd.DataFrame, *, shares: Mapping[str, float], baseline: float, lift: float
) -> dict[str, float]:
    """Rates of the arms as they are planned: the first share's mean, with the lift in the first variant.

    Where no metric of `sizes` is a share, the rate is `baseline`.
    """
    share = needed.loc[needed["kind"] == "share", "mean"]
    rate = float(share.iloc[0]) if len(share) else baseline
    return {name: min(rate * (1 + lift * (number == 1)), 1.0) for number, name in enumerate(shares)}


def bandit_study(
    rates: Mapping[str, float],
    *,
    n_units: int,
    n_batches: int,
    epsilon: float,
    alpha: float,
    n_simulations: int,
    rng: np.random.Generator,
) -> BanditStudy:
    """Run each policy many times, and estimate the rates from what it saw.

    Probabilities change between batches only; the first is split evenly. Both bandits give the share `epsilon` of
    the units to random arms.

    Raises:
        ValueError: There is one arm, a rate is not from 0 to 1, a batch would hold fewer than two units an
            arm, or epsilon is not above 0 and at most 1.
    """
    names, truth = list(rates), np.array([float(rate) for rate in rates.values()])
    if len(names) < 2 or not ((truth >= 0) & (truth <= 1)).all():
        raise ValueError(f"rates: found {dict(rates)}, needed two arms or more with rates from 0 to 1.")
    if n_batches < 2 or n_units < 2 * n_batches * len(names):
        raise ValueError(
            f"n_batches: found {n_batches} for {n_units} units; needed 2 or more, with two units an arm in each."
        )
    if not 0 < epsilon <= 1:
        raise ValueError(f"epsilon: found {epsilon}, needed above 0 and at most 1.")
    ends = np.linspace(0, n_units, n_batches + 1).round().astype(np.int64)
    sizes = ends[1:] - ends[:-1]
    policies, estimates, paths = [], [], []
    for policy in POLICIES:
        seen = simulate(truth, sizes=sizes, policy=policy, epsilon=epsilon, n_simulations=n_simulations, rng=rng)
        lost = (seen.units @ (truth.max() - truth)).cumsum(axis=0)
        best = seen.units[..., truth == truth.max()].sum(axis=(0, 2)).mean() / n_units
        error = lost[-1].std(ddof=1) / np.sqrt(n_simulations)
        regret = {"regret": float(lost[-1].mean()), "regret_error": float(error), "best_share": float(best)}
        policies.append({"policy": policy} | regret)
        paths.append(pd.DataFrame({"policy": policy, "n": sizes.cumsum(), "regret": lost.mean(axis=1)}))
        for estimator in ESTIMATORS:
            found = estimate(seen, estimator=estimator)
            about = {"policy": policy, "estimator": estimator}
            estimates += [about | row for row in _judged(found, names, truth, alpha)]
    return BanditStudy(
        policies=pd.DataFrame(policies),
        estimates=pd.DataFrame(estimates),
        path=pd.concat(paths, ignore_index=True),
        rates=dict(zip(names, truth.tolist(), strict=True)),
        alpha=alpha,
    )


def simulate(
    rates: NDArray[np.float64],
    *,
    sizes: NDArray[np.int64],
    policy: str,
    epsilon: float,
    n_simulations: int,
    rng: np.random.Generator,
) -> History:
    """Let one policy assign the units of many experiments.

    Epsilon-greedy gives a share epsilon of the units to random arms and the others to the arm that leads.
    Thompson sampling (Thompson 1933) gives the others to each arm with the probability that it is best, under
    Beta(1, 1) posteriors; it keeps the share epsilon too, for where a probability falls to 0 nothing can be
    corrected afterwards.
    """
    n_arms = len(rates)
    even = np.full((n_simulations, n_arms), 1 / n_arms)
    units: list[np.ndarray] = []
    successes: list[np.ndarray] = []
    probabilities: list[np.ndarray] = []
    n, k = np.zeros((n_simulations, n_arms), dtype=np.int64), np.zeros((n_simulations, n_arms), dtype=np.int64)
    for size in sizes:
        if not units or policy == "fixed_split":
            share = even
        elif policy == "thompson":
            drawn = rng.beta(1 + k, 1 + n - k, size=(_POSTERIOR_DRAWS, *n.shape)).argmax(axis=-1)
            best = np.stack([(drawn == arm).mean(axis=0) for arm in range(n_arms)], axis=-1)
            share = epsilon / n_arms + (1 - epsilon) * best
        else:
            # Ties are broken by the order of the arms: they are rare after the first batch.
            leading = np.eye(n_arms)[((1 + k) / (2 + n)).argmax(axis=-1)]
            share = epsilon / n_arms + (1 - epsilon) * leading
        given = rng.multinomial(size, share)
        won = rng.binomial(given, rates)
        n, k = n + given, k + won
        units.append(given)
        successes.append(won)
        probabilities.append(share)
    return History(np.array(units), np.array(successes), np.array(probabilities))


def estimate(seen: History, *, estimator: str) -> Estimate:
    """The arms' rates from an adaptive assignment, by one of `ESTIMATORS`.

    `naive` takes the share of each arm as if the split had been fixed. `adaptively_weighted` weighs each unit by
    the inverse of its probability, augmented by the mean so far, and batches by sqrt(probability), which holds the
    variance of its parts level and gives a normal estimate (Hadad, Hirshberg, Zhan, Wager & Athey 2021).
    """
    n, k = seen.units.astype(float), seen.successes.astype(float)
    if estimator == "naive":
        total = n.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = k.sum(axis=0) / total
            variance = mean * (1 - mean) / total
        return Estimate(mean, variance[..., None] * np.eye(n.shape[-1]))
    e = seen.probability
    before = np.cumsum(n, axis=0) - n, np.cumsum(k, axis=0) - k
    m = (1 + before[1]) / (2 + before[0])
    size = n.sum(axis=-1, keepdims=True)
    # A unit's score of an arm: m, plus (outcome - m) / e where it was given that arm.
    own = n * m + (k - n * m) / e
    scores = own + (size - n) * m
    squares = k * (m + (1 - m) / e) ** 2 + (n - k) * (m - m / e) ** 2 + (size - n) * m**2
    elsewhere = size[..., None] - n[..., :, None] - n[..., None, :]
    products = own[..., :, None] * m[..., None, :] + m[..., :, None] * own[..., None, :]
    products += elsewhere * m[..., :, None] * m[..., None, :]
    arms = np.arange(n.shape[-1])
    products[..., arms, arms] = squares
    h = np.sqrt(e)
    weight = (h * size).sum(axis=0)
    mean = (h * scores).sum(axis=0) / weight
    centred = (
        products
        - mean[..., :, None] * scores[..., None, :]
        - scores[..., :, None] * mean[..., None, :]
        + size[..., None] * mean[..., :, None] * mean[..., None, :]
    )
    covariance = (h[..., :, None] * h[..., None, :] * centred).sum(axis=0)
    return Estimate(mean, covariance / (weight[..., :, None] * weight[..., None, :]))


def _judged(found: Estimate, names: list[str], truth: NDArray[np.float64], alpha: float) -> list[dict]:
    """Bias, spread and coverage of the arms' means and of their differences to the first arm."""
    eye = np.eye(len(names))
    quantities = {f"mean of {name}": weights for name, weights in zip(names, eye, strict=True)}
    quantities |= {f"effect of {name}": row - eye[0] for name, row in zip(names[1:], eye[1:], strict=True)}
    reach, rows = stats.norm.isf(alpha / 2), []
    for quantity, weights in quantities.items():
        value, target = found.mean @ weights, float(truth @ weights)
        error = np.sqrt(np.maximum(np.einsum("...ij,i,j->...", found.covariance, weights, weights), 0))
        covers = np.abs(value - target) <= reach * error
        n, coverage = len(value), float(covers.mean())
        spread = float(value.std(ddof=1))
        rows.append(
            {
                "quantity": quantity,
                "truth": target,
                "bias": float(value.mean() - target),
                "bias_error": spread / float(np.sqrt(n)),
                "coverage": coverage,
                "coverage_error": float(np.sqrt(coverage * (1 - coverage) / n)),
            }
        )
    return rows
