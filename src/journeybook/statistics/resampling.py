"""The bootstrap: of whole clusters, of quantiles, of means and ratios.

Effects do not resample units one by one where they need not. A bootstrap sample's order statistics are the data's
order statistics at random ranks whose distribution is known, and its sums are Poisson counts of distinct values.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from journeybook.statistics.contrasts import Effect
from journeybook.statistics.intervals import Interval

# Units that an arm needs beyond its quantile: below about ten the bootstrap's interval is too narrow.
MIN_TAIL = 10
# Rows summed by the Poisson bootstrap at most; beyond it the units are first added up in random groups, which
# costs the standard error a spread of 1 %.
MAX_CELLS = 5_000
# Poisson counts held at a time.
MAX_COUNTS = 2_000_000


def cluster_weights(clusters: ArrayLike, *, n_draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return bootstrap weights that draw whole clusters with replacement (Cameron & Miller 2015, sec. II).

    Args:
        clusters: Cluster of each row, shape (n,); rows of one person carry one value.
        n_draws: Number of bootstrap samples.
        rng: Random numbers.

    Returns:
        How often each row is drawn, shape (n_draws, n). Clusters are taken in the order in which they first
        appear, so that the values of the ids play no part.
    """
    values, first, inverse = np.unique(np.asarray(clusters), return_index=True, return_inverse=True)
    appearance = np.argsort(np.argsort(first))
    m = len(values)
    drawn = rng.multinomial(m, np.full(m, 1 / m), size=n_draws)
    return drawn[:, appearance[inverse]]


def cluster_bootstrap(
    clusters: ArrayLike,
    statistic: Callable[[NDArray[np.int64]], ArrayLike],
    *,
    n_draws: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Interval:
    """Return percentile intervals of a statistic, drawing whole clusters with replacement.

    Args:
        clusters: Cluster of each row, shape (n,).
        statistic: From weights of shape (n,) to the estimate, any shape.
        n_draws: Number of bootstrap samples.
        rng: Random numbers.
        level: Probability that the interval holds the estimate's target.
    """
    weights = cluster_weights(clusters, n_draws=n_draws, rng=rng)
    draws = np.array([statistic(row) for row in weights], dtype=float)
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Interval(low=low, high=high)


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

    The r-th smallest of n values drawn with replacement is the data's value at rank ceil(n U), where U is the
    r-th smallest of n uniforms and so has a beta distribution. Drawing U instead of the units gives the same
    bootstrap at the price of a sort. The interval is conservative where values are tied at the quantile, and where
    few units lie beyond it (3.4 % false positives at the 0.9 quantile of 300 units an arm, 5 % of thousands).

    Args:
        control: Values of the control's units, finite.
        treatment: Values of the treatment's units.
        quantile: Between 0 and 1; the estimate interpolates linearly between two values.
        alpha: One less the level of the interval.
        n_draws: Bootstrap samples; the smallest p value is 2 / (n_draws + 1).
        rng: Source of chance.

    Raises:
        ValueError: The quantile is not between 0 and 1, or so far out that an arm's interval would rest on its
            largest or smallest value.
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
    return _from_draws("bootstrap", estimates, sides, alpha)


def _quantile_draws(values: np.ndarray, quantile: float, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    ordered, n = np.sort(values), len(values)
    rank, share = divmod((n - 1) * quantile, 1)
    first = rng.beta(rank + 1, n - rank, n_draws)
    # The next of the uniforms: the smallest of those that are left, all above the first.
    second = first + (1 - first) * rng.beta(1, n - rank - 1, n_draws)
    low, high = ((n * u).astype(np.int64).clip(max=n - 1) for u in (first, second))
    return ordered[low] + share * (ordered[high] - ordered[low])


def poisson_bootstrap(
    control: np.ndarray, treatment: np.ndarray, *, alpha: float, n_draws: int, rng: np.random.Generator
) -> Effect:
    """Difference of means or of ratios, each unit counted Poisson(1) times a draw (Chamandy et al. 2012).

    Units with the same values are counted together: a sum of Poisson counts is a Poisson count, so a proportion
    of a million units costs two counts a draw. An arm with more than `MAX_CELLS` distinct values is first added
    up in that many random groups of units, which are then counted instead of units.

    Args:
        control: The control's units, shape (units,) or (units, 1) for a mean, (units, 2) for a ratio's numerator
            and denominator.
        treatment: The treatment's units.
        alpha: One less the level of the percentile interval.
        n_draws: Bootstrap samples.
        rng: Source of chance.
    """
    sides, estimates = [], []
    for values in (control, treatment):
        pairs = np.column_stack([values, np.ones(len(values))])[:, :2]
        drawn = _poisson_sums(pairs, n_draws, rng)
        sides.append(drawn[:, 0] / drawn[:, 1])
        total = pairs.sum(axis=0)
        estimates.append(float(total[0] / total[1]))
    return _from_draws("poisson_bootstrap", estimates, sides, alpha)


def _poisson_sums(pairs: np.ndarray, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    distinct, counts = np.unique(pairs[:, 0] + 1j * pairs[:, 1], return_counts=True)
    cells = np.column_stack([distinct.real, distinct.imag])
    if len(cells) > MAX_CELLS:
        group = rng.permutation(len(pairs)) % MAX_CELLS
        cells = np.column_stack([np.bincount(group, weights=column) for column in pairs.T])
        counts = np.ones(MAX_CELLS, dtype=counts.dtype)
    block = max(1, MAX_COUNTS // len(cells))
    starts = range(0, n_draws, block)
    return np.concatenate([rng.poisson(counts, (min(block, n_draws - s), len(cells))) @ cells for s in starts])


def _from_draws(method: str, estimates: list[float], sides: list[np.ndarray], alpha: float) -> Effect:
    """Percentile intervals of difference and ratio; the p value is the alpha at which 0 leaves the first."""
    control, treatment = estimates
    drawn = sides[1] - sides[0]
    levels = [alpha / 2, 1 - alpha / 2]
    low, high = np.quantile(drawn, levels)
    clear = control > 0 and np.quantile(sides[0], alpha / 2) > 0
    ratio = sides[1] / np.where(sides[0] > 0, sides[0], np.nan) - 1 if clear else np.array([np.nan])
    beyond = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return Effect(
        method=method,
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
