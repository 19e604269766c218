"""What the same procedure says of nothing, and of planted groups."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from journeybook.segmentation.groups import (
    MAX_PEOPLE,
    PEOPLE_A_GROUP,
    fit_kmeans,
    has_groups,
    proven,
    valleys_alone,
)
from journeybook.segmentation.preparation import FURTHEST_SD
from journeybook.statistics import proportion_interval

# Share of the people in the smaller of two planted groups.
PLANTED_SHARE = 0.4
# Two groups must be found this often for their separation to count as seen.
POWER_WANTED = 0.8
DISTANCES = np.arange(0.5, 8.5, 0.5)
# Clouds without groups in which any may be claimed.
FALSE_ALARMS = 0.05
POWER = ["n_features", "distance", "n_found", "n_repeats", "found_share", "low", "high"]


def clouds(values: np.ndarray) -> Callable[[np.random.Generator], np.ndarray]:
    """A sampler of people without groups: a Gaussian copula (Nelsen 2006, sec. 2.3).

    What is drawn has the data's own marginal distributions and rank correlations, and nothing else of them. A
    feature that has a valley by itself holds groups in its own marginal, and gets a normal one instead.
    """
    n, n_features = values.shape
    scores = norm.ppf(rankdata(values, axis=0) / (n + 1))
    covariance, ordered = np.atleast_2d(np.cov(scores.T)), np.sort(values, axis=0)
    spread = np.sqrt(np.diag(covariance))
    apart = proven(valleys_alone(values, n_tried=n_features)).to_numpy()
    normal = norm.ppf((np.arange(n) + 0.5) / n)[:, None]
    ordered[:, apart] = values[:, apart].mean(axis=0) + values[:, apart].std(axis=0) * normal

    def draw(rng: np.random.Generator) -> np.ndarray:
        drawn = rng.multivariate_normal(np.zeros(len(covariance)), covariance, size=n, method="eigh")
        place = norm.cdf(drawn / np.where(spread > 0, spread, 1.0))
        return np.take_along_axis(ordered, np.minimum((place * n).astype(int), n - 1), axis=0)

    return draw


def structureless(values: np.ndarray, *, n_clusters: int, n_clouds: int, rng: np.random.Generator) -> np.ndarray:
    """Share of variance that k-means explains in clouds with the data's marginals and correlations, and no groups.

    Shape (n_clouds,); shares of 0 where people are too few, or too alike, for a cloud.
    """
    if len(np.unique(values, axis=0)) < PEOPLE_A_GROUP:
        return np.zeros(n_clouds)
    shares, draw = [], clouds(values)
    for _ in range(n_clouds):
        cloud = draw(rng)
        within = fit_kmeans(cloud, n_clusters=n_clusters, n_starts=3, rng=rng).inertia_
        shares.append(1 - within / ((cloud - cloud.mean(axis=0)) ** 2).sum())
    return np.array(shares)


def detection(
    values: np.ndarray, *, weights: np.ndarray, n_repeats: int, rng: np.random.Generator
) -> pd.DataFrame:
    """The smallest separation of two groups that this page finds, and how often it finds any where none are.

    Clouds without groups are drawn as `clouds` does, as many people as the page counts. Two people in five are
    moved by a number of standard deviations in one feature, in three, or in every one; all is brought to the
    `weights` again and asked for groups as the page does it, `n_repeats` times. The smallest distance found in
    four of five is sought by halving. Too few different people for three groups give no rows.

    Returns:
        `n_features` moved, `distance` (standard deviations in each of them; 0 is no groups, infinite if none up to
        8 is found), `n_found`, `n_repeats`, `found_share` and its interval `low` to `high` (Wilson, 95 %).
    """
    if n_repeats < 5:
        raise ValueError(f"n_repeats: found {n_repeats}, needed 5 or more.")
    if len(np.unique(values, axis=0)) < 3 * PEOPLE_A_GROUP:
        return pd.DataFrame(columns=POWER)
    if len(values) > MAX_PEOPLE:
        values = values[np.sort(rng.choice(len(values), MAX_PEOPLE, replace=False))]
    draw, n_all, rows = clouds(values), values.shape[1], []

    def n_found(n_moved: int, distance: float, *, n: int, fewest: float) -> int:
        found = 0
        for done in range(1, n + 1):
            cloud = standardised(_planted(draw, n_moved, distance, rng)) * weights
            found += has_groups(cloud, rng=rng)
            if done - found > n - fewest:
                break
        return found

    fewest = POWER_WANTED * n_repeats
    for n_moved in [k for k in (1, 3) if k < n_all] + [n_all]:
        below, above, best = -1, len(DISTANCES), 0
        while above - below > 1:
            middle = (below + above) // 2
            n = n_found(n_moved, DISTANCES[middle], n=n_repeats, fewest=fewest)
            below, above, best = (below, middle, n) if n >= fewest else (middle, above, best)
        rows.append((n_moved, [*DISTANCES, np.inf][above], best, n_repeats))
    rows.append((n_all, 0.0, n_found(n_all, 0.0, n=2 * n_repeats, fewest=0), 2 * n_repeats))
    table = pd.DataFrame(rows, columns=POWER[:4])
    interval = proportion_interval(table["n_found"], table["n_repeats"])
    return table.assign(found_share=table["n_found"] / table["n_repeats"], low=interval.low, high=interval.high)


def standardised(values: np.ndarray) -> np.ndarray:
    """Comparable numbers, as `preparation.matrix` makes them of features before it weighs them."""
    spread = values.std(axis=0)
    return ((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).clip(-FURTHEST_SD, FURTHEST_SD)


def _planted(draw: Callable, n_moved: int, distance: float, rng: np.random.Generator) -> np.ndarray:
    """A cloud, two people in five of which were moved."""
    cloud = draw(rng)
    moved, columns = rng.random(len(cloud)) < PLANTED_SHARE, rng.choice(cloud.shape[1], n_moved, replace=False)
    cloud[np.ix_(moved, columns)] += distance * cloud[:, columns].std(axis=0)
    return cloud
