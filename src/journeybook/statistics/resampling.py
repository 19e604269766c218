"""The bootstrap of whole clusters, and of quantiles: those of a sample are the data's at random ranks."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from journeybook.statistics.intervals import Effect

# Units that an arm needs beyond its quantile: below about ten the bootstrap's interval is too narrow.
MIN_TAIL = 10


def cluster_weights(clusters: ArrayLike, *, n_draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return bootstrap weights that draw whole clusters with replacement, shape (n_draws, n).

    Clusters, one value a row, are taken in the order in which they first appear: the values of ids play no part.
    """
    values, first, inverse = np.unique(np.asarray(clusters), return_index=True, return_inverse=True)
    appearance = np.argsort(np.argsort(first))
    m = len(values)
    drawn = rng.multinomial(m, np.full(m, 1 / m), size=n_draws).astype(np.int32)
    return drawn[:, appearance[inverse]]


def quantile_effect(
    control: np.ndarray,
    treatment: np.ndarray,
    *,
    quantile: float,
    alpha: float,
    n_draws: int,
    rng: np.random.Generator,
) -> Effect:
    """Difference of a quantile between two arms, with the percentile interval of the bootstrap (Efron 1979).

    The r-th smallest of n drawn values is the data's value at rank ceil(n U), where U, the r-th smallest of n
    uniforms, has a beta distribution: U is drawn instead of the units. The interval is conservative where values
    are tied at the quantile or few units lie beyond it; the smallest p value is 2 / (n_draws + 1).

    Raises:
        ValueError: The quantile is out of range, or fewer than `MIN_TAIL` units of an arm lie beyond it.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile: found {quantile:g}, needed a number between 0 and 1.")
    fewest = min(len(control), len(treatment))
    if fewest * min(quantile, 1 - quantile) < MIN_TAIL:
        raise ValueError(
            f"quantile: an arm of {fewest} units has fewer than {MIN_TAIL} beyond its quantile at {quantile:g}, "
            "too few for an interval."
        )
    sides = [_quantile_draws(values, quantile, n_draws, rng) for values in (control, treatment)]
    estimates = [float(np.quantile(values, quantile)) for values in (control, treatment)]
    return _from_draws(estimates, sides, alpha)


def _quantile_draws(values: np.ndarray, quantile: float, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    ordered, n = np.sort(values), len(values)
    rank, share = divmod((n - 1) * quantile, 1)
    first = rng.beta(rank + 1, n - rank, n_draws)
    # The next of the uniforms: the smallest of those that are left, all above the first.
    second = first + (1 - first) * rng.beta(1, n - rank - 1, n_draws)
    low, high = ((n * u).astype(np.int64).clip(max=n - 1) for u in (first, second))
    return ordered[low] + share * (ordered[high] - ordered[low])


def _from_draws(estimates: list[float], sides: list[np.ndarray], alpha: float) -> Effect:
    """Percentile intervals of difference and ratio; the p value is the alpha at which 0 leaves the first."""
    control, treatment = estimates
    drawn = sides[1] - sides[0]
    levels = [alpha / 2, 1 - alpha / 2]
    low, high = np.quantile(drawn, levels)
    clear = control > 0 and np.quantile(sides[0], alpha / 2) > 0
    ratio = sides[1] / np.where(sides[0] > 0, sides[0], np.nan) - 1 if clear else np.array([np.nan])
    beyond = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return Effect(
        method="bootstrap",
        p_value=float(min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))),
        effect=treatment - control,
        low=float(low),
        high=float(high),
        standard_error=float(drawn.std(ddof=1)),
        control=control,
        treatment=treatment,
        relative=treatment / control - 1 if control > 0 else np.nan,
        relative_low=float(np.nanquantile(ratio, levels[0])) if clear else np.nan,
        relative_high=float(np.nanquantile(ratio, levels[1])) if clear else np.nan,
    )
