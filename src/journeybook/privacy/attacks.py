"""What an outsider can tell: unique people in a raw table, and whether the biggest spender is in the data."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from diffprivlib import tools
from diffprivlib.utils import PrivacyLeakWarning


@dataclass(frozen=True, eq=False)
class MembershipAttack:
    """How often an attacker tells rightly whether the biggest spender is in the data.

    Attributes:
        success: One row an epsilon: `epsilon`, `ceiling` (what epsilon allows at most), `declared` (bounds
            declared beforehand), `from_data` (noise fitted to the biggest value), `standard_error` (of
            `from_data`), `edges` (histogram whose edges are the extremes).
        outlier_ratio: Biggest value over the second biggest.
    """

    success: pd.DataFrame
    outlier_ratio: float


def uniqueness(people: pd.DataFrame, *, quasi_identifiers: Mapping[str, float]) -> pd.DataFrame:
    """Return how many people stand alone when one, two, ... columns of a table without names are known.

    Args:
        people: One row a person.
        quasi_identifiers: Column and the step it is rounded down to, such as `{"revenue": 10.0}`; columns
            that `people` lacks are passed over.

    Returns:
        One row a number of columns: `known` (their names), `n_unique` (people whose values no one shares),
        `unique_share`, `below_5_share` (people who share theirs with fewer than four others).

    Raises:
        ValueError: A step is not above 0, or `people` has none of the columns.
    """
    for column, step in quasi_identifiers.items():
        if not step > 0:
            raise ValueError(f"quasi_identifiers rounds {column!r} to {step}: needed is a step above 0.")
    columns = [column for column in quasi_identifiers if column in people]
    if not columns:
        raise ValueError(f"people have none of the columns {', '.join(quasi_identifiers)}: name one they have.")
    rounded = pd.DataFrame(
        {column: np.floor(people[column].astype(float) / quasi_identifiers[column]) for column in columns}
    )
    rows = []
    for n in range(1, len(columns) + 1):
        sharing = rounded.groupby(columns[:n], dropna=False)[columns[0]].transform("size")
        n_unique = int((sharing == 1).sum())
        rows.append((" + ".join(columns[:n]), n_unique, n_unique / len(people), float((sharing < 5).mean())))
    return pd.DataFrame(rows, columns=["known", "n_unique", "unique_share", "below_5_share"])


def membership_attack(
    values: pd.Series, *, epsilons: Sequence[float], max_value: float, n_draws: int, rng: np.random.Generator
) -> MembershipAttack:
    """Guess from one noised sum whether the biggest spender is in the data, at each epsilon.

    The attacker knows everybody else's value and the mechanism, and guesses by the likelihood ratio; half the
    time the person is there. With a declared bound U, `max_value`, noise of scale U / epsilon is added whether or
    not the person is there, and the guess is right with probability 1 - exp(-epsilon x / 2 U) / 2, x being the
    person's clamped value. Where the bound is the biggest value found, the person also sets the scale of the
    noise (`n_draws` with the person and without). Where histogram edges come from the data, as diffprivlib's do
    when no range is given (it warns), the last edge is the biggest value itself.

    Raises:
        ValueError: There are fewer than two people with a value above 0.
    """
    ordered = np.sort(values.to_numpy(dtype=float))[::-1]
    if len(ordered) < 2 or ordered[1] <= 0:
        raise ValueError("values hold fewer than two people above 0: there is no biggest spender to look for.")
    biggest, second = ordered[:2]
    ratio = biggest / second
    rows = []
    for epsilon in epsilons:
        declared = 1 - np.exp(-epsilon * min(biggest, max_value) / (2 * max_value)) / 2
        right = np.concatenate(_guesses_from_data(ratio, epsilon, n_draws, rng))
        ceiling = 1 / (1 + np.exp(-epsilon))
        rows.append((epsilon, ceiling, declared, right.mean(), 0.5 / np.sqrt(right.size)))
    success = pd.DataFrame(rows, columns=["epsilon", "ceiling", "declared", "from_data", "standard_error"])
    return MembershipAttack(success=success.assign(edges=_told_by_edges(ordered)), outlier_ratio=float(ratio))


def _guesses_from_data(
    ratio: float, epsilon: float, n_draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each guess is right, with the person and without; values in units of the second biggest."""

    def log_density(noised: np.ndarray, centre: float, bound: float) -> np.ndarray:
        return -np.abs(noised - centre) * epsilon / bound - np.log(bound)

    noised_with = ratio + rng.laplace(scale=ratio / epsilon, size=n_draws)
    noised_without = rng.laplace(scale=1 / epsilon, size=n_draws)
    right_with = log_density(noised_with, ratio, ratio) > log_density(noised_with, 0, 1)
    right_without = log_density(noised_without, ratio, ratio) <= log_density(noised_without, 0, 1)
    return right_with, right_without


def _told_by_edges(ordered: np.ndarray) -> float:
    """Return how often the published edges tell: always, unless the two biggest values are equal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrivacyLeakWarning)
        edges = [
            tools.histogram(values, epsilon=1.0, bins=5, random_state=0)[1] for values in (ordered, ordered[1:])
        ]
    return 1.0 if edges[0][-1] != edges[1][-1] else 0.5
