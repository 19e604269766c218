"""What an outsider can tell: unique people in a raw table, and whether the biggest spender is in the data."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def uniqueness(people: pd.DataFrame, *, quasi_identifiers: Mapping[str, float]) -> pd.DataFrame:
    """Return how many people stand alone when one, two, ... columns of a table without names are known.

    Args:
        people: One row a person.
        quasi_identifiers: Column and the step it is rounded down to; columns that `people` lacks are passed over.

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
    rounded = np.floor(people[columns].astype(float) / [quasi_identifiers[column] for column in columns])
    rows = []
    for n in range(1, len(columns) + 1):
        sharing = rounded.groupby(columns[:n], dropna=False)[columns[0]].transform("size")
        n_unique = int((sharing == 1).sum())
        rows.append((" + ".join(columns[:n]), n_unique, n_unique / len(people), float((sharing < 5).mean())))
    return pd.DataFrame(rows, columns=["known", "n_unique", "unique_share", "below_5_share"])


def membership_attack(
    values: pd.Series, *, epsilons: Sequence[float], max_value: float, n_draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Guess from one noised sum whether the biggest spender is in the data, at each epsilon.

    The attacker knows everybody else's value and the mechanism, and guesses by the likelihood ratio; half the
    time the person is there. With a declared bound U, `max_value`, noise of scale U / epsilon is added whether or
    not the person is there, and the guess is right with probability 1 - exp(-epsilon x / 2 U) / 2, x being the
    person's clamped value. Where the bound is the biggest value found, the person also sets the scale of the
    noise (`n_draws` with the person and without). Where histogram edges come from the data, as diffprivlib's do
    when no range is given, the last edge is the biggest value: it tells always, unless the two biggest are equal.

    Returns:
        One row an epsilon, shares of right guesses: `epsilon`, `ceiling` (what epsilon allows at most), `declared`
        (bounds declared beforehand), `from_data` (noise fitted to the biggest value), `standard_error` (of
        `from_data`), `edges` (histogram whose edges are the extremes).

    Raises:
        ValueError: There are fewer than two people with a value above 0.
    """
    ordered = np.sort(values.to_numpy(dtype=float))[::-1]
    if len(ordered) < 2 or ordered[1] <= 0:
        raise ValueError("values hold fewer than two people above 0: there is no biggest spender to look for.")
    ratio, edges = ordered[0] / ordered[1], 1.0 if ordered[0] != ordered[1] else 0.5
    rows = []
    for epsilon in epsilons:
        declared = 1 - np.exp(-epsilon * min(ordered[0], max_value) / (2 * max_value)) / 2
        # In units of the second biggest value, with the person and without.
        noised = np.array([ratio, 0])[:, None] + [rng.laplace(scale=s / epsilon, size=n_draws) for s in (ratio, 1)]
        density_with = -np.abs(noised - ratio) * epsilon / ratio - np.log(ratio)
        right = (density_with > -np.abs(noised) * epsilon) == [[True], [False]]
        ceiling = 1 / (1 + np.exp(-epsilon))
        rows.append((epsilon, ceiling, declared, right.mean(), 0.5 / np.sqrt(right.size), edges))
    return pd.DataFrame(rows, columns=["epsilon", "ceiling", "declared", "from_data", "standard_error", "edges"])
