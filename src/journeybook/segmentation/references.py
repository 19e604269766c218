"""What the same procedure says of nothing, of planted groups, of unscaled features."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from journeybook.segmentation.groups import fit_kmeans, has_groups, nearest
from journeybook.segmentation.preparation import FURTHEST_SD, last_snapshot
from journeybook.segmentation.segments import Segmentation
from journeybook.statistics import proportion_interval

# Share of the people in the smaller of two planted groups.
PLANTED_SHARE = 0.4


@dataclass(frozen=True, eq=False)
class Structureless:
    """What k-means finds in clouds without groups that have the data's own covariance.

    Attributes:
        explained_share: Share of variance between clusters in each cloud, shape (clouds,).
        stability: Adjusted Rand index of the borders two halves of each cloud draw, shape (clouds,).
    """

    explained_share: np.ndarray
    stability: np.ndarray


def structureless(
    values: np.ndarray, *, n_clusters: int, n_clouds: int, rng: np.random.Generator
) -> Structureless:
    """Cluster normal clouds with the mean and covariance of the data, and nothing else of it."""
    mean, covariance = values.mean(axis=0), np.atleast_2d(np.cov(values.T))
    shares, agreements = [], []
    for _ in range(n_clouds):
        cloud = rng.multivariate_normal(mean, covariance, size=len(values), method="eigh")
        whole = fit_kmeans(cloud, n_clusters=n_clusters, n_starts=3, rng=rng)
        shares.append(1 - whole.inertia_ / ((cloud - cloud.mean(axis=0)) ** 2).sum())
        halves = [fit_kmeans(cloud[start::2], n_clusters=n_clusters, n_starts=3, rng=rng) for start in (0, 1)]
        agreements.append(adjusted_rand_score(*(nearest(cloud, centres=fit.cluster_centers_) for fit in halves)))
    return Structureless(np.array(shares), np.array(agreements))


def detection(
    values: np.ndarray, *, n_references: int, n_splits: int, n_repeats: int, rng: np.random.Generator
) -> pd.DataFrame:
    """How often the count of groups finds two groups planted in a cloud, and none where none are.

    A normal cloud with the data's covariance is drawn, of at most 1,000 people. Two people in five are moved by a
    number of standard deviations in one feature, in three, or in every one. All is brought to the same spread
    again and counted as the page does it, up to three groups, `n_repeats` times.

    Returns:
        `n_features` moved, `distance` (standard deviations in each of them; 0 is no groups), `n_found`,
        `n_repeats`, `found_share` and its interval `low` to `high` (Wilson, 95 %).
    """
    n_people, n_all = min(len(values), 1_000), values.shape[1]
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
            cloud = ((cloud - cloud.mean(axis=0)) / cloud.std(axis=0)).clip(-FURTHEST_SD, FURTHEST_SD)
            n_found += has_groups(cloud, max_groups=3, n_references=n_references, n_splits=n_splits, rng=rng)
        rows.append((n_moved, distance, n_found, n_repeats))
    table = pd.DataFrame(rows, columns=["n_features", "distance", "n_found", "n_repeats"])
    interval = proportion_interval(table["n_found"], table["n_repeats"])
    return table.assign(found_share=table["n_found"] / n_repeats, low=interval.low, high=interval.high)


@dataclass(frozen=True, eq=False)
class Unscaled:
    """K-means on features in their own units.

    Attributes:
        column: The feature with the largest variance.
        variance_share: Its share of the variance of all features.
        agreement_with_column: Adjusted Rand index of the unscaled clusters with clusters of that feature alone.
        agreement_with_segments: Adjusted Rand index of the unscaled clusters with the segments.
    """

    column: str
    variance_share: float
    agreement_with_column: float
    agreement_with_segments: float


def unscaled(features: pd.DataFrame, *, found: Segmentation, rng: np.random.Generator) -> Unscaled:
    """The tempting wrong way: cluster the features of the segments as they come."""
    last = last_snapshot(features)
    known = last[found.preparation.columns].astype("Float64")
    raw = known.fillna(known.median()).to_numpy(dtype=float)
    variance = raw.var(axis=0)
    widest = int(variance.argmax())
    labels, alone = (
        fit_kmeans(some, n_clusters=found.n_segments, n_starts=10, rng=rng).labels_
        for some in (raw, raw[:, [widest]])
    )
    return Unscaled(
        column=found.preparation.columns[widest],
        variance_share=float(variance[widest] / variance.sum()),
        agreement_with_column=float(adjusted_rand_score(labels, alone)),
        agreement_with_segments=float(adjusted_rand_score(labels, found.at_end)),
    )
