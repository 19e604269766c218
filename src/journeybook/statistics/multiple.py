"""Filling in so that spread and doubt stay: donors within a class, and multiple imputation with Rubin's rules."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


def hot_deck(values: np.ndarray, classes: np.ndarray, *, max_uses: int, rng: np.random.Generator) -> np.ndarray:
    """Find a donor for each missing value: a row of the same class drawn at random (Andridge & Little 2010).

    Within a class all donors are used once before one is used again, and none more than `max_uses` times. Who
    finds none there gets one of any class.

    Args:
        values: Numbers, NaN where missing, shape (n,).
        classes: Class of each row, whole numbers from 0, shape (n,).
        max_uses: Times that one row may be a donor, at least 1.
        rng: Chance of the draw.

    Returns:
        Row of the donor of each missing value, in order, shape (missing,).

    Raises:
        ValueError: There are too few donors for their limit.
    """
    needy, donors = np.isnan(values), np.flatnonzero(~np.isnan(values))
    if max_uses < 1 or needy.sum() > max_uses * len(donors):
        raise ValueError(
            f"max_uses is {max_uses}: {len(donors)} donors cannot serve {int(needy.sum())} missing values."
        )
    n_classes = int(classes.max(initial=0)) + 1
    donors = rng.permutation(donors)
    donors = donors[np.argsort(classes[donors], kind="stable")]
    asking = rng.permutation(np.flatnonzero(needy))
    asking = asking[np.argsort(classes[asking], kind="stable")]
    n_donors, n_asking = (np.bincount(classes[rows], minlength=n_classes) for rows in (donors, asking))
    own = classes[asking]
    turn = np.arange(len(asking)) - (np.cumsum(n_asking) - n_asking)[own]
    served = turn < max_uses * n_donors[own]
    place = (np.cumsum(n_donors) - n_donors)[own] + turn % np.maximum(n_donors[own], 1)
    found = np.full(len(values), -1)
    found[asking[served]] = donors[place[served]]
    if not served.all():
        left = np.repeat(donors, max_uses - np.bincount(found[asking[served]], minlength=len(values))[donors])
        found[asking[~served]] = rng.permutation(left)[: (~served).sum()]
    return found[needy]


def normal_draws(values: np.ndarray, others: np.ndarray, *, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw missing values from a normal linear regression, whose own doubt is drawn too (Rubin 1987, p. 167).

    Args:
        values: Numbers, NaN where missing, shape (n,).
        others: Columns that help, without a missing value, shape (n, k).
        n_draws: Completed sets, at least 2.
        rng: Chance of the draws.

    Returns:
        Values for the missing cells, shape (n_draws, missing).

    Raises:
        ValueError: There are fewer known values than the regression needs.
    """
    known = ~np.isnan(values)
    centre, scale = others.mean(axis=0), others.std(axis=0)
    x = np.column_stack([np.ones(len(values)), (others - centre)[:, scale > 1e-12] / scale[scale > 1e-12]])
    free = int(known.sum()) - x.shape[1]
    if free < 1 or n_draws < 2:
        raise ValueError(
            f"n_draws is {n_draws} with {int(known.sum())} known values: needed are 2 and more than {x.shape[1]}."
        )
    gram = x[known].T @ x[known]
    # Columns that say the same leave the sum of squares without an inverse: a trace of ridge gives it one.
    inverse = np.linalg.inv(gram + 1e-9 * len(values) * np.eye(len(gram)))
    fitted = inverse @ (x[known].T @ values[known])
    residual = values[known] - x[known] @ fitted
    spread = np.sqrt((residual @ residual) / rng.chisquare(free, n_draws))
    doubt = rng.standard_normal((n_draws, len(gram))) @ np.linalg.cholesky(inverse).T
    noise = rng.standard_normal((n_draws, int((~known).sum())))
    return (fitted + spread[:, None] * doubt) @ x[~known].T + spread[:, None] * noise


@dataclass(frozen=True)
class Pooled:
    """One estimate from several completed sets.

    Attributes:
        estimate: Mean of the sets' estimates.
        low: Lower end of its interval.
        high: Upper end.
        error: Standard error, of the sampling and of what is missing.
        missing_share: Share of its variance that is due to what is missing.
        degrees: Degrees of freedom of the t distribution behind the interval.
    """

    estimate: float
    low: float
    high: float
    error: float
    missing_share: float
    degrees: float


def pooled(estimates: np.ndarray, variances: np.ndarray, *, level: float, degrees_complete: float) -> Pooled:
    """Pool estimates of completed sets by Rubin's rules (Rubin 1987; degrees of freedom: Barnard & Rubin 1999).

    Args:
        estimates: Estimate of each completed set, two or more, shape (m,).
        variances: Squared standard error of each, shape (m,).
        level: Level of the interval, between 0 and 1.
        degrees_complete: Degrees of freedom that the estimate would have without a missing value.
    """
    m, within, between = len(estimates), variances.mean(), estimates.var(ddof=1) * (1 + 1 / len(estimates))
    total = within + between
    share = float(between / total) if total > 0 else 0.0
    seen = degrees_complete * (degrees_complete + 1) / (degrees_complete + 3) * (1 - share)
    degrees = 1 / (share**2 / (m - 1) + 1 / seen) if seen > 0 else float(m - 1)
    centre, error = float(estimates.mean()), float(np.sqrt(total))
    reach = stats.t.ppf((1 + level) / 2, degrees) * error
    return Pooled(centre, centre - reach, centre + reach, error, share, float(degrees))
