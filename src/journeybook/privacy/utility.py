"""What a budget is enough for: whether a decision comes out right, simulated from the mechanism alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from diffprivlib.mechanisms import Geometric, Laplace
from numpy.typing import NDArray
from scipy import optimize

from journeybook.privacy.releases import CENTS, PrivateReleases
from journeybook.statistics import proportion_interval, stream

if TYPE_CHECKING:  # they bring OpenDP, which the page does without
    from journeybook.privacy.asking import Asked
    from journeybook.privacy.mechanisms import Noise

DECISIONS = {"order": "the order of its groups", "first": "which group has most"}
_COLUMNS = ["release", "decision", "budget", "low", "high"]
_LEAST, _MOST = 1e-9, 1e9


@dataclass(frozen=True, eq=False)
class Compared:
    """Noised figures of groups that are held against each other, taken for what they are of.

    Attributes:
        value: Figures, or what is above the line of a mean or rate, shape (n_groups,).
        scale: Of their noise at a budget of 1, shape (n_groups,) or one for all; at budget B it is 1 / B of that,
            for Gaussian noise one over the root of B.
        under: What is below the line; 1 where there is none.
        under_scale: Of its noise, likewise.
        gaussian: Gaussian noise; else discrete Laplace noise on multiples of `unit`.
        unit: Least step of the figures; 0 for continuous noise.
    """

    value: NDArray[np.float64]
    scale: NDArray[np.float64] | float
    under: NDArray[np.float64] | float = 1.0
    under_scale: float = 0.0
    gaussian: bool = False
    unit: float = 1.0


def enough_budget(
    figures: Compared, *, decision: str, right: float, n_draws: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Return the least budget at which a decision is right with probability `right`, and an interval of it.

    All budgets are tried with the same draws, halving the span between too little and enough. The interval is
    where Wilson's interval of the share of right draws begins, and stops, to hold `right`: of the simulation
    alone.

    Args:
        figures: What is compared; at equal figures no budget is enough.
        decision: One of `DECISIONS`.
        right: Probability, above 0.5 and below 1.
        n_draws: Draws of the noise.
        rng: Draws it.

    Returns:
        Budget, low and high: epsilon, or rho for Gaussian noise; infinite where none up to a billion is enough.
    """
    if not 0.5 < right < 1:
        raise ValueError(f"right is {right}: needed is a probability above 0.5 and below 1.")
    draws, counts = _unit_draws(figures, n_draws, rng), np.arange(n_draws + 1)
    around = proportion_interval(counts, n_draws)
    needed = [int(np.argmax(ends >= right)) for ends in (counts / n_draws, around.high, around.low)]
    found = []
    for n in needed:
        low, high = _LEAST, _MOST
        if _n_right(figures, decision, high, draws) < n:
            found.append(float("inf"))
            continue
        while high / low > 1.0005:
            middle = (low * high) ** 0.5
            enough = _n_right(figures, decision, middle, draws) >= n
            low, high = (low, middle) if enough else (middle, high)
        found.append(high)
    return found[0], found[1], found[2]


def budgets_of_page(
    released: PrivateReleases, *, right: float, n_draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Return which budget of all figures together makes each decision of a page's releases right.

    As if the published figures were the exact ones: those are for the house alone.

    Returns:
        One row a release and decision: `release`, `decision`, `budget` (epsilon), `low`, `high`.
    """
    rows = []
    for name, of in released.noised.groupby("release", sort=False):
        if len(of) > 1:
            figures, seed = _of_page(of, released.epsilon), int(rng.integers(2**31))
            for decision in DECISIONS:
                # By the same draws, the whole order never takes less than its first.
                again = stream(seed, "budgets")
                found = enough_budget(figures, decision=decision, right=right, n_draws=n_draws, rng=again)
                rows.append((name, decision, *found))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _of_page(of: pd.DataFrame, epsilon: float) -> Compared:
    scale = (of.sensitivity * epsilon / of.epsilon).to_numpy(dtype=float)
    return Compared(of.value.to_numpy(dtype=float), scale, unit=float(of.mechanism.iloc[0] == "geometric"))


def decisions_hold(
    released: PrivateReleases, budgets: pd.DataFrame, *, n_draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Hold the budgets of a page against diffprivlib's mechanisms, and two groups against a closed form.

    At the budget that is told, figures noised by the library are right 95 times of 100. Of two groups a gap
    apart, with Laplace noise of scale b each, noise turns the order round with probability (2 + x) exp(-x) / 4,
    x = gap / b.
    """
    rows = []
    for told in budgets[np.isfinite(budgets.budget)].itertuples():
        of = released.noised[released.noised.release == told.release]
        share = told.budget / released.epsilon
        drawn = [_redrawn(one, epsilon=share * one.epsilon, n_draws=n_draws, rng=rng) for one in of.itertuples()]
        ranked = np.array(drawn)[np.argsort(-of.value.to_numpy(dtype=float), kind="stable")]
        held = (np.diff(ranked, axis=0) < 0).all(axis=0)
        if told.decision == "first":
            held = ranked[0] > ranked[1:].max(axis=0)
        # The budget is uncertain too: within its interval the share moves by about as much again.
        name, error = (
            f"{told.decision} by {told.release}: right at its budget, share",
            4 * (0.095 / n_draws) ** 0.5,
        )
        rows.append((name, held.mean(), 0.95, error, "diffprivlib's mechanisms"))
    gap = optimize.brentq(lambda x: (2 + x) * np.exp(-x) / 4 - 0.05, 0.1, 20)
    two = Compared(np.array([gap, 0.0]), 1.0, unit=0.0)
    right = _n_right(two, "order", 1.0, _unit_draws(two, n_draws, rng)) / n_draws
    error = 4 * (0.0475 / n_draws) ** 0.5
    rows.append(("two groups at the closed form's budget: right, share", right, 0.95, error, "Laplace variables"))
    return pd.DataFrame(rows, columns=["name", "value", "reference", "tolerance", "source"]).assign(rule="within")


def _redrawn(one: Any, *, epsilon: float, n_draws: int, rng: np.random.Generator) -> list[float]:
    """Noise one figure by diffprivlib's mechanism, many times."""
    counts = one.mechanism == "geometric"
    most, seed = int(one.sensitivity) if counts else one.sensitivity, int(rng.integers(2**31))
    made = (Geometric if counts else Laplace)(epsilon=epsilon, sensitivity=most, random_state=seed)
    return [made.randomise(round(one.value) if counts else one.value) for _ in range(n_draws)]


def budgets_of_release(
    asked: "Asked", figures: Sequence[Mapping[str, Any]], noises: Sequence["Noise"]
) -> list[dict[str, Any]]:
    """Return which budget makes each decision of a release right: made of its noised figures, at no cost.

    Returns:
        One record a decision: `decision`, `budget` (epsilon, or rho where it was asked in that), `low`, `high`, to
        three digits, None where none is enough; nothing for a release without declared groups to compare.
    """
    parts = {"mean": ("sum", "people"), "rate": ("hits", "rows")}.get(asked.kind, (asked.kind,))
    if asked.kind not in ("people", "rows", "sum", "mean", "rate") or len(asked.declared or ()) < 2:
        return []
    spent = asked.rho or asked.epsilon or 0.0
    value, scale = {}, {}
    for noise in noises:
        unit = CENTS if noise.figure == "sum" else 1
        told = [row["value"] for row in figures if row["figure"] == noise.figure and row["group"] != "total"]
        value[noise.figure] = np.array(told, dtype=float)
        scale[noise.figure] = noise.scale / unit * (spent**0.5 if asked.rho else spent)
    under: dict[str, Any] = {"under": value[parts[1]], "under_scale": scale[parts[1]]} if len(parts) > 1 else {}
    step = 1 / CENTS if parts[0] == "sum" else 1.0
    compared = Compared(value[parts[0]], scale[parts[0]], **under, gaussian=bool(asked.rho), unit=step)
    made = []
    for decision in DECISIONS:
        rng = stream(0, "budgets of a release")
        found = enough_budget(compared, decision=decision, right=0.95, n_draws=4000, rng=rng)
        three = [float(f"{end:.3g}") if np.isfinite(end) else None for end in found]
        made.append({"decision": decision, **dict(zip(_COLUMNS[2:], three, strict=True))})
    return made


def _unit_draws(figures: Compared, n_draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draws that a budget turns into noise, shape (4, n_draws, n_groups)."""
    shape = (4, n_draws, len(figures.value))
    return rng.standard_normal(shape) if figures.gaussian else rng.standard_exponential(shape)


def _n_right(figures: Compared, decision: str, budget: float, draws: NDArray[np.float64]) -> int:
    above = figures.value + _noise(figures, figures.scale, budget, draws[:2])
    below = np.asarray(figures.under) + _noise(figures, figures.under_scale, budget, draws[2:])
    # As in a release, nothing is divided by less than one.
    noised, order = (
        above / np.maximum(below, 1),
        np.argsort(-figures.value / np.maximum(figures.under, 1), kind="stable"),
    )
    if decision == "first":
        rest = np.delete(noised, order[0], axis=1)
        return int((noised[:, order[0]] > rest.max(axis=1)).sum())
    return int((np.diff(noised[:, order], axis=1) < 0).all(axis=1).sum())


def _noise(
    figures: Compared, scale: NDArray[np.float64] | float, budget: float, draws: NDArray[np.float64]
) -> NDArray[np.float64]:
    if figures.gaussian:
        return scale / budget**0.5 * draws[0]
    sized = scale / budget * draws
    # A whole part of exponential noise is geometric, and the difference of two such is discrete Laplace noise.
    steps = np.floor(sized / figures.unit) * figures.unit if figures.unit else sized
    return steps[0] - steps[1]
