"""What the same procedure says of nothing, and of planted groups."""

import numpy as np
import pandas as pd

from journeybook.segmentation.groups import PEOPLE_A_GROUP, fit_kmeans, has_groups
from journeybook.segmentation.preparation import FURTHEST_SD
from journeybook.statistics import proportion_interval

# Share of the people in the smaller of two planted groups.
PLANTED_SHARE = 0.4
POWER = ["n_features", "distance", "n_found", "n_repeats", "found_share", "low", "high"]


def structureless(values: np.ndarray, *, n_clusters: int, n_clouds: int, rng: np.random.Generator) -> np.ndarray:
    """Share of variance that k-means explains in normal clouds with the data's covariance, and nothing else of it.

    Shape (n_clouds,); shares of 0 where people are too few, or too alike, for a cloud.
    """
    shares, n = [], len(values)
    if len(np.unique(values, axis=0)) < PEOPLE_A_GROUP:
        return np.zeros(n_clouds)
    covariance = np.atleast_2d(np.cov(values.T))
    for _ in range(n_clouds):
        cloud = rng.multivariate_normal(np.zeros(len(covariance)), covariance, size=n, method="eigh")
        within = fit_kmeans(cloud, n_clusters=n_clusters, n_starts=3, rng=rng).inertia_
        shares.append(1 - within / ((cloud - cloud.mean(axis=0)) ** 2).sum())
    return np.array(shares)


def detection(
    values: np.ndarray, *, n_references: int, n_splits: int, n_repeats: int, rng: np.random.Generator
) -> pd.DataFrame:
    """How often the count of groups finds two groups planted in a cloud, and none where none are.

    A normal cloud with the data's covariance is drawn, of at most 1,000 people. Two people in five are moved by a
    number of standard deviations in one feature, in three, or in every one. All is brought to the same spread
    again and counted as the page does it, up to three groups, `n_repeats` times. Too few different people
    for three groups give no rows.

    Returns:
        `n_features` moved, `distance` (standard deviations in each of them; 0 is no groups), `n_found`,
        `n_repeats`, `found_share` and its interval `low` to `high` (Wilson, 95 %).
    """
    n_people, n_all = min(len(values), 1_000), values.shape[1]
    if len(np.unique(values, axis=0)) < 3 * PEOPLE_A_GROUP:
        return pd.DataFrame(columns=POWER)
    covariance = np.atleast_2d(np.cov(values.T))
    plans = [(k, 8.0) for k in (1, 3) if k < n_all] + [(n_all, 6.0), (n_all, 0.0)]
    rows = []
    for n_moved, distance in plans:
        n_found = 0
        for _ in range(n_repeats):
            cloud = rng.multivariate_normal(np.zeros(n_all), covariance, size=n_people, method="eigh")
            moved = rng.random(n_people) < PLANTED_SHARE
            columns = rng.choice(n_all, n_moved, replace=False)
            cloud[np.ix_(moved, columns)] += distance * cloud[:, columns].std(axis=0)
            spread = cloud.std(axis=0)
            cloud = ((cloud - cloud.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).clip(
                -FURTHEST_SD, FURTHEST_SD
            )
            n_found += has_groups(cloud, max_segments=3, n_references=n_references, n_splits=n_splits, rng=rng)
        rows.append((n_moved, distance, n_found, n_repeats))
    table = pd.DataFrame(rows, columns=POWER[:4])
    interval = proportion_interval(table["n_found"], table["n_repeats"])
    return table.assign(found_share=table["n_found"] / n_repeats, low=interval.low, high=interval.high)
