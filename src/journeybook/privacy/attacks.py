"""What an outsider can tell where bounds come from the data: whether the biggest spender is in it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


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
