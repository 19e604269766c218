"""What the same procedure says where the truth is known: of nothing, of planted groups, of unscaled features."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from journeybook.segmentation.groups import count_groups, fit_kmeans, nearest
from journeybook.segmentation.preparation import last_snapshot
from journeybook.segmentation.segments import Segmentation


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
    """Cluster normal clouds with the mean and covariance of the data and nothing else of it.

    Args:
        values: People on comparable scales, shape (people, features).
        n_clusters: Clusters asked for.
        n_clouds: Clouds drawn.
        rng: Source of chance.
    """
    mean, covariance = values.mean(axis=0), np.atleast_2d(np.cov(values.T))
    shares, agreements = [], []
    for _ in range(n_clouds):
        cloud = rng.multivariate_normal(mean, covariance, size=len(values), method="eigh")
        whole = fit_kmeans(cloud, n_clusters=n_clusters, n_starts=3, rng=rng)
        shares.append(1 - whole.inertia_ / ((cloud - cloud.mean(axis=0)) ** 2).sum())
        halves = [fit_kmeans(cloud[start::2], n_clusters=n_clusters, n_starts=3, rng=rng) for start in (0, 1)]
        agreements.append(adjusted_rand_score(*(nearest(cloud, centres=fit.cluster_centers_) for fit in halves)))
    return Structureless(np.array(shares), np.array(agreements))


@dataclass(frozen=True, eq=False)
class Planted:
    """What the procedure found where groups were planted, and where none were.

    Attributes:
        n_planted: Groups planted.
        n_found: Groups found in the planted data.
        agreement: Adjusted Rand index of k-means with the planted groups.
        n_found_in_normal: Groups found in one normal cloud with the data's covariance.
        n_found_in_uniform: Groups found in one uniform cloud with the data's covariance. Its ends are sharp and it
            is no box, which is where the gap statistic errs.
    """

    n_planted: int
    n_found: int
    agreement: float
    n_found_in_normal: int
    n_found_in_uniform: int


def planted_groups(
    values: np.ndarray, *, n_planted: int, max_groups: int, n_people: int, rng: np.random.Generator
) -> Planted:
    """Plant unequal normal groups eight standard deviations apart, and twice none, and count the groups of each.

    Args:
        values: People on comparable scales; the number of features and their covariance are taken from them.
        n_planted: Groups planted.
        max_groups: Largest number tried.
        n_people: People simulated.
        rng: Source of chance.
    """
    n_features = values.shape[1]
    share = np.arange(n_planted, 0, -1) / np.arange(n_planted, 0, -1).sum()
    truth = rng.choice(n_planted, n_people, p=share)
    # Corners of a simplex are equally far apart; with fewer features than groups they lie on a line.
    corners = np.eye(n_planted, n_features) * 8 / np.sqrt(2)
    if n_features < n_planted - 1:
        corners = np.outer(np.arange(n_planted) * 8.0, np.eye(n_features)[0])
    people = corners[truth] + rng.standard_normal((n_people, n_features))
    labels = fit_kmeans(people, n_clusters=n_planted, n_starts=10, rng=rng).labels_
    size, root = (n_people, n_features), np.linalg.cholesky(_regular(np.atleast_2d(np.cov(values.T))))
    normal = rng.standard_normal(size) @ root.T
    uniform = rng.uniform(-np.sqrt(3), np.sqrt(3), size) @ root.T
    found = [
        count_groups(data, max_groups=max_groups, n_references=8, n_splits=4, rng=rng).n_groups
        for data in (people, normal, uniform)
    ]
    return Planted(n_planted, found[0], float(adjusted_rand_score(truth, labels)), found[1], found[2])


def _regular(covariance: np.ndarray) -> np.ndarray:
    """A covariance that can be factored although features repeat each other."""
    return covariance + 1e-6 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))


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
    """The tempting wrong way: cluster the features as they come.

    Args:
        features: One row a person and snapshot.
        found: Segments to compare with; their columns and number are used.
        rng: Source of chance.
    """
    last = last_snapshot(features)
    known = last[found.preparation.columns].astype("Float64")
    raw = known.fillna(known.median()).to_numpy(dtype=float)
    variance = raw.var(axis=0)
    widest = int(variance.argmax())
    labels = fit_kmeans(raw, n_clusters=found.n_segments, n_starts=10, rng=rng).labels_
    alone = fit_kmeans(raw[:, [widest]], n_clusters=found.n_segments, n_starts=10, rng=rng).labels_
    final = found.assignments[found.assignments["as_of"] == found.assignments["as_of"].max()].sort_values("row")
    return Unscaled(
        found.preparation.columns[widest],
        float(variance[widest] / variance.sum()),
        float(adjusted_rand_score(labels, alone)),
        float(adjusted_rand_score(labels, final["segment"])),
    )
