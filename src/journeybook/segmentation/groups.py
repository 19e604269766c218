"""How many groups the data hold: none (one cloud) is an answer.

Four questions about each number of clusters k. Is the data tighter in k clusters than a box without groups is
(gap statistic: Tibshirani, Walther & Hastie 2001)? Would one half of the people predict who belongs together in
the other (prediction strength: Tibshirani & Walther 2005)? Is there a valley between neighbours, fewer people
midway between two centres than at either? Do two halves draw the same borders (adjusted Rand index: Hubert &
Arabie 1985)? Slices of one cloud are predicted and agreed on, and a cloud that is no box is tighter than one:
only a valley tells a group from a slice.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import ThreadpoolController

# People used to choose the number of groups; all are assigned to a segment afterwards.
MAX_PEOPLE = 4_000
STRONG = 0.8
# Midway between two groups there are at most half as many people as at the thinner of their centres.
DEEP = 0.5
# Different people needed for each group that is tried.
PEOPLE_A_GROUP = 10
# People midway or at a centre: those within this share of the way from centre to centre.
BAND = 0.15

EVIDENCE = [
    "k",
    "explained_share",
    "gap",
    "gap_se",
    "prediction_strength",
    "prediction_strength_se",
    "valley",
    "stability",
]
_THREADS = ThreadpoolController()


@dataclass(frozen=True, eq=False)
class GroupCount:
    """The evidence for each number of clusters, and what it says.

    Attributes:
        evidence: One row a k from 1: `explained_share` of the variance, `gap` and `gap_se`, `prediction_strength`
            and `prediction_strength_se`, `valley` (people midway to the nearest cluster for one at the thinner
            centre, the largest over clusters), `stability` (mean adjusted Rand index of two halves).
        n_groups: Groups that the data support: the largest k that the gap statistic's choice does not exceed,
            that is predicted with strength 0.8 and has a valley of 0.5 or deeper round each. 1 is one cloud.
        n_slices: The k up to which two halves agree on all borders (stability 0.8); 2 where they do on none, and 1
            where there are too few people for two.
    """

    evidence: pd.DataFrame
    n_groups: int
    n_slices: int


def fit_kmeans(values: np.ndarray, *, n_clusters: int, n_starts: int, rng: np.random.Generator) -> KMeans:
    """scikit-learn's k-means on one thread, so that the same numbers give the same centres."""
    model = KMeans(n_clusters=n_clusters, n_init=n_starts, random_state=int(rng.integers(2**31)))
    with _THREADS.limit(limits=1):
        return model.fit(values)


def nearest(values: np.ndarray, *, centres: np.ndarray) -> np.ndarray:
    """Number of the nearest centre; the first of equally near ones."""
    return ((centres**2).sum(axis=1) - 2 * values @ centres.T).argmin(axis=1)


def count_groups(
    values: np.ndarray, *, max_segments: int, n_references: int, n_splits: int, rng: np.random.Generator
) -> GroupCount:
    """Weigh the evidence for 1 to `max_segments` groups, or as many as ten different people each allow.

    Args:
        values: People on comparable scales, shape (people, features); a sample of 4,000 is used of more.
        max_segments: Largest number tried, 2 or more.
        n_references: Boxes without groups the gap is measured against, 2 or more.
        n_splits: Random splits into halves, 2 or more.
        rng: Source of chance.

    Raises:
        ValueError: A count is below 2.
    """
    for name, count in (("max_segments", max_segments), ("n_references", n_references), ("n_splits", n_splits)):
        if count < 2:
            raise ValueError(f"{name}: found {count}, needed 2 or more.")
    if len(values) > MAX_PEOPLE:
        values = values[np.sort(rng.choice(len(values), MAX_PEOPLE, replace=False))]
    max_segments = min(max_segments, len(np.unique(values, axis=0)) // PEOPLE_A_GROUP)
    if max_segments < 2:
        return GroupCount(pd.DataFrame({"k": [1]}).reindex(columns=EVIDENCE), n_groups=1, n_slices=1)
    evidence = _evidence(values, _fits(values, max_segments, 3, rng), n_references, n_splits, rng)
    steady = (evidence["stability"] >= STRONG).cummin()
    n_slices = max(int(evidence.loc[steady, "k"].max()), 2)
    return GroupCount(evidence, _choose(evidence), n_slices)


def has_groups(
    values: np.ndarray, *, max_segments: int, n_references: int, n_splits: int, rng: np.random.Generator
) -> bool:
    """Return whether more than one group is found, as `count_groups` finds it; without a valley none is sought."""
    fits = _fits(values, max_segments, 3, rng)
    if min(valley(values, centres=fit.cluster_centers_) for fit in fits) > DEEP:
        return False
    return _choose(_evidence(values, fits, n_references, n_splits, rng)) > 1


def _fits(values: np.ndarray, max_segments: int, n_starts: int, rng: np.random.Generator) -> list[KMeans]:
    return [fit_kmeans(values, n_clusters=k, n_starts=n_starts, rng=rng) for k in range(2, max_segments + 1)]


def _evidence(
    values: np.ndarray, fits: list[KMeans], n_references: int, n_splits: int, rng: np.random.Generator
) -> pd.DataFrame:
    max_segments = len(fits) + 1
    within, box = _within(values, fits), _box(values)
    drawn = (box(rng) for _ in range(n_references))
    references = np.log([_within(cloud, _fits(cloud, max_segments, 1, rng)) for cloud in drawn])
    strengths, agreements = _halves(values, max_segments, n_splits, rng)
    columns = [
        np.arange(1, max_segments + 1),
        1 - within / within[0],
        references.mean(axis=0) - np.log(within),
        references.std(axis=0) * np.sqrt(1 + 1 / n_references),
        strengths.mean(axis=0),
        strengths.std(axis=0, ddof=1) / np.sqrt(n_splits),
        [np.nan, *(valley(values, centres=fit.cluster_centers_) for fit in fits)],
        agreements.mean(axis=0),
    ]
    return pd.DataFrame(dict(zip(EVIDENCE, columns, strict=True)))


def _choose(evidence: pd.DataFrame) -> int:
    """The largest k that passes; the gap statistic's own choice is the smallest within an error of the next."""
    gap, error = evidence["gap"].to_numpy(), evidence["gap_se"].to_numpy()
    enough = np.flatnonzero(gap[:-1] >= gap[1:] - error[1:])
    by_gap = int(enough[0]) + 1 if len(enough) else len(gap)
    strong = evidence["prediction_strength"] + evidence["prediction_strength_se"] >= STRONG
    good = strong & (evidence["k"] <= by_gap) & ((evidence["valley"] <= DEEP) | (evidence["k"] == 1))
    return int(evidence.loc[good, "k"].max())


def valley(values: np.ndarray, *, centres: np.ndarray) -> float:
    """How shallow the valleys between clusters are: about 1 between slices of one cloud, near 0 between groups.

    For each cluster and the one with the nearest centre, their people are projected on the line between the two
    centres. The number midway is divided by the number at the centre that has fewer; bands are equally wide. The
    largest ratio counts.
    """
    labels = nearest(values, centres=centres)
    worst = 0.0
    for own, centre in enumerate(centres):
        away = ((centres - centre) ** 2).sum(axis=1)
        away[own] = np.inf
        other = int(away.argmin())
        pair = values[(labels == own) | (labels == other)]
        along = (pair - centre) @ (centres[other] - centre) / away[other]
        at = [int((np.abs(along - place) <= BAND).sum()) for place in (0.0, 0.5, 1.0)]
        worst = max(worst, at[1] / max(min(at[0], at[2]), 1))
    return worst


def _within(values: np.ndarray, fits: list[KMeans]) -> np.ndarray:
    """Sum of squared distances to the nearest of k centres, for k from 1."""
    return np.array([((values - values.mean(axis=0)) ** 2).sum(), *(fit.inertia_ for fit in fits)])


def _box(values: np.ndarray):
    """A sampler of people without groups: uniform in the box of the data along its principal axes."""
    centre = values.mean(axis=0)
    with _THREADS.limit(limits=1):
        axes = np.linalg.svd(values - centre, full_matrices=False)[2]
    scores = (values - centre) @ axes.T
    low, high = scores.min(axis=0), scores.max(axis=0)
    return lambda rng: rng.uniform(low, high, size=scores.shape) @ axes + centre


def _halves(
    values: np.ndarray, max_segments: int, n_splits: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction strength and agreement of the borders of two halves, shape (n_splits, max_segments) each."""
    strengths, agreements = np.ones((n_splits, max_segments)), np.ones((n_splits, max_segments))
    for split in range(n_splits):
        order = rng.permutation(len(values))
        half = len(values) // 2
        parts = (order[:half], order[half : 2 * half])
        for k in range(2, max_segments + 1):
            fits = [fit_kmeans(values[part], n_clusters=k, n_starts=3, rng=rng) for part in parts]
            labels = [nearest(values, centres=fit.cluster_centers_) for fit in fits]
            strengths[split, k - 1] = np.mean(
                [_strength(labels[own][parts[own]], labels[1 - own][parts[own]], k) for own in (0, 1)]
            )
            agreements[split, k - 1] = adjusted_rand_score(*labels)
    return strengths, agreements


def _strength(own: np.ndarray, predicted: np.ndarray, k: int) -> float:
    """Of the pairs in one own cluster, the share that the prediction puts together too; of the worst cluster."""
    counts = np.zeros((k, k))
    np.add.at(counts, (own, predicted), 1)
    sizes = counts.sum(axis=1)
    pairs = (counts * (counts - 1)).sum(axis=1)
    possible = sizes * (sizes - 1)
    return float(np.min(np.where(possible > 0, pairs / np.maximum(possible, 1), 0.0)))
