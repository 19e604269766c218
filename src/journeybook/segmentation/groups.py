"""How many groups the data hold: none (one cloud) is an answer.

K-means cuts anything into as many parts as it is asked for, and halves of one cloud agree on the cuts. Only a
valley tells a group from a slice: fewer people midway between two centres than at either. Where the people have
one peak, those midway are at least as many as those at the thinner end, so that a valley is tested exactly (sign
test; Bonferroni over all that is tried). It is sought between the clusters of all features together, and in each
feature by itself: groups that differ in one feature of many are lost among the others.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import binom
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import ThreadpoolController

# People used to choose the number of groups; all are assigned to a segment afterwards.
MAX_PEOPLE = 4_000
STRONG = 0.8
# Midway between two groups there are at most half as many people as at the thinner of their centres.
DEEP = 0.5
# More people at the least or greatest value than this are those without any, or with all: no group of their own.
AT_AN_END_SHARE = 0.05
# Chance of a valley, of all that are tried, where there is none.
ALPHA = 0.05
# Different people needed for each group that is tried.
PEOPLE_A_GROUP = 10
# People midway or at a centre: those within this share of the way from centre to centre.
BAND = 0.15
N_STARTS = 3

EVIDENCE = ["k", "explained_share", "valley", "p_value", "stability"]
_THREADS = ThreadpoolController()


@dataclass(frozen=True, eq=False)
class GroupCount:
    """The evidence for each number of clusters, and what it says.

    Attributes:
        evidence: One row a k from 1: `explained_share` of the variance, `valley` (people midway to the nearest
            cluster for one at the thinner centre, the largest over clusters), `p_value` of one peak (the largest
            over clusters, times all that are tried), `stability` (mean adjusted Rand index of two halves).
        alone: One row a feature, in order: `valley` and `p_value` between its two parts.
        n_groups: Groups that the data support: the largest k with a proven valley of 0.5 or deeper round each. 1
            is one cloud.
        n_slices: The k up to which two halves agree on all borders (stability 0.8); 2 where they do on none, and 1
            where there are too few people for two.
        seen_in: Whether the groups are seen in each feature, shape (features,): all where they are seen together.
    """

    evidence: pd.DataFrame
    alone: pd.DataFrame
    n_groups: int
    n_slices: int
    seen_in: np.ndarray


def fit_kmeans(values: np.ndarray, *, n_clusters: int, n_starts: int, rng: np.random.Generator) -> KMeans:
    """scikit-learn's k-means on one thread, so that the same numbers give the same centres."""
    model = KMeans(n_clusters=n_clusters, n_init=n_starts, random_state=int(rng.integers(2**31)))
    with _THREADS.limit(limits=1):
        return model.fit(values)


def nearest(values: np.ndarray, *, centres: np.ndarray) -> np.ndarray:
    """Number of the nearest centre; the first of equally near ones."""
    return ((centres**2).sum(axis=1) - 2 * values @ centres.T).argmin(axis=1)


def count_groups(values: np.ndarray, *, max_segments: int, n_splits: int, rng: np.random.Generator) -> GroupCount:
    """Weigh the evidence for 1 to `max_segments` groups, or as many as ten different people each allow.

    Args:
        values: People on comparable scales, shape (people, features); a sample of 4,000 is used of more.
        max_segments: Largest number tried, 2 or more.
        n_splits: Random splits into halves, 2 or more.
        rng: Source of chance.

    Raises:
        ValueError: A count is below 2.
    """
    for name, count in (("max_segments", max_segments), ("n_splits", n_splits)):
        if count < 2:
            raise ValueError(f"{name}: found {count}, needed 2 or more.")
    if len(values) > MAX_PEOPLE:
        values = values[np.sort(rng.choice(len(values), MAX_PEOPLE, replace=False))]
    max_segments = min(max_segments, len(np.unique(values, axis=0)) // PEOPLE_A_GROUP)
    n_features = values.shape[1]
    if max_segments < 2:
        nothing = pd.DataFrame({"k": [1]}).reindex(columns=EVIDENCE)
        alone = valleys_alone(values, n_tried=n_features)
        return GroupCount(nothing, alone, 1, 1, np.ones(n_features, dtype=bool))
    found = seek_groups(values, max_segments=max_segments, rng=rng)
    stability = _stability(values, max_segments, n_splits, rng)
    steady = found.evidence["k"][np.minimum.accumulate(stability) >= STRONG]
    return replace(found, evidence=found.evidence.assign(stability=stability), n_slices=max(int(steady.max()), 2))


def seek_groups(values: np.ndarray, *, max_segments: int, rng: np.random.Generator) -> GroupCount:
    """Seek valleys as `count_groups` does, which adds the stability of slices: in all features, and in each alone.

    Where single features have a valley, those features are also taken together by themselves; whichever shows more
    groups counts.
    """
    n_tried = max_segments - 1 + values.shape[1]
    evidence = _valleys_together(values, range(2, max_segments + 1), n_tried, rng)
    alone = valleys_alone(values, n_tried=n_tried)
    apart = proven(alone).to_numpy()
    n_groups, seen_in = _choose(evidence), np.ones(values.shape[1], dtype=bool)
    if apart.any():
        most = min(max_segments, len(np.unique(values[:, apart], axis=0)))
        inside = max(_choose(_valleys_together(values[:, apart], range(2, most + 1), n_tried, rng)), 2)
        if inside > n_groups:
            n_groups, seen_in = inside, apart
    return GroupCount(evidence, alone, n_groups, 1, seen_in)


def has_groups(values: np.ndarray, *, rng: np.random.Generator) -> bool:
    """Return whether `seek_groups`, up to three, finds more than one; it stops at the first valley."""
    n_tried = 2 + values.shape[1]
    if proven(valleys_alone(values, n_tried=n_tried)).any():
        return True
    return any(_choose(_valleys_together(values, [k], n_tried, rng)) > 1 for k in (2, 3))


def _valleys_together(
    values: np.ndarray, ks: Iterable[int], n_tried: int, rng: np.random.Generator
) -> pd.DataFrame:
    spread, rows = float(((values - values.mean(axis=0)) ** 2).sum()), [(1, 0.0, np.nan, np.nan)]
    for k in ks:
        fit = fit_kmeans(values, n_clusters=k, n_starts=N_STARTS, rng=rng)
        depth, p_value = valley(values, centres=fit.cluster_centers_)
        rows.append((k, 1 - fit.inertia_ / spread, depth, min(p_value * n_tried, 1.0)))
    return pd.DataFrame(rows, columns=EVIDENCE[:4])


def _choose(evidence: pd.DataFrame) -> int:
    """The largest k whose clusters all have a valley round them."""
    return int(evidence.loc[(evidence["k"] == 1) | proven(evidence), "k"].max())


def proven(rows: pd.DataFrame) -> pd.Series:
    """Return whether each valley is deep enough, and too deep for chance."""
    return (rows["valley"] <= DEEP) & (rows["p_value"] <= ALPHA)


def valley(values: np.ndarray, *, centres: np.ndarray) -> tuple[float, float]:
    """How shallow the valleys between clusters are, and how likely with one peak; the worst of all clusters.

    For each cluster and the one with the nearest centre, their people are projected on the line between the two
    centres. The number midway is divided by the number at the centre that has fewer; bands are equally wide. About
    1 between slices of one cloud, near 0 between groups.
    """
    labels = nearest(values, centres=centres)
    counts = []
    for own, centre in enumerate(centres):
        away = ((centres - centre) ** 2).sum(axis=1)
        away[own] = np.inf
        other = int(away.argmin())
        pair = values[(labels == own) | (labels == other)]
        along = (pair - centre) @ (centres[other] - centre) / away[other]
        counts.append([int((np.abs(along - place) <= BAND).sum()) for place in (0.0, 0.5, 1.0)])
    depths, p_values = _depths(np.array(counts))
    return float(depths.max()), float(p_values.max())


def valleys_alone(values: np.ndarray, *, n_tried: int) -> pd.DataFrame:
    """The valley between the two parts of each feature that differ least within (Fisher 1958), a row a feature.

    Its `p_value` is for `n_tried` valleys together (Bonferroni).
    Equal values are spread evenly between their neighbours, so that counts have no valleys between whole numbers.
    People at the least or the greatest value stand aside where they are more than one in twenty: who has not
    bought in a month is no other kind of person.
    """
    counts = []
    for column in values.T:
        ends = [end for end in (column.min(), column.max()) if (column == end).mean() > AT_AN_END_SHARE]
        ordered = _untied(column[~np.isin(column, ends)])
        if len(ordered) < 2:
            counts.append([0, 0, 0])
            continue
        n, total = np.arange(1, len(ordered)), np.cumsum(ordered)
        low, high = total[:-1] / n, (total[-1] - total[:-1]) / (len(ordered) - n)
        at = int((n * (len(ordered) - n) * (high - low) ** 2).argmax())
        along = (ordered - low[at]) / ((high[at] - low[at]) or 1.0)
        counts.append([int((np.abs(along - place) <= BAND).sum()) for place in (0.0, 0.5, 1.0)])
    depths, p_values = _depths(np.array(counts))
    return pd.DataFrame({"valley": depths, "p_value": (p_values * n_tried).clip(max=1)})


def _depths(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """People midway for one at the thinner centre, and P(so few midway | as many there), shape (pairs,) each."""
    midway, thinner = counts[:, 1], np.minimum(counts[:, 0], counts[:, 2])
    return np.where(thinner > 0, midway / np.maximum(thinner, 1), 1.0), binom.cdf(midway, midway + thinner, 0.5)


def _untied(column: np.ndarray) -> np.ndarray:
    """Values in order; equal ones are spread evenly from midway to the value below to midway to that above."""
    found, counts = np.unique(column, return_counts=True)
    if len(found) < 2:
        return np.sort(column)
    between = (found[1:] + found[:-1]) / 2
    low, high = np.r_[2 * found[0] - between[0], between], np.r_[between, 2 * found[-1] - between[-1]]
    place = (np.arange(len(column)) - np.repeat(np.cumsum(counts) - counts, counts) + 0.5) / np.repeat(
        counts, counts
    )
    return np.where(
        np.repeat(counts, counts) == 1,
        np.repeat(found, counts),
        np.repeat(low, counts) + place * np.repeat(high - low, counts),
    )


def _stability(values: np.ndarray, max_segments: int, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """Mean agreement of the borders that two halves draw, shape (max_segments,)."""
    agreements = np.ones((n_splits, max_segments))
    for split in range(n_splits):
        order = rng.permutation(len(values))
        half = len(values) // 2
        for k in range(2, max_segments + 1):
            fits = [
                fit_kmeans(values[part], n_clusters=k, n_starts=N_STARTS, rng=rng)
                for part in (order[:half], order[half : 2 * half])
            ]
            agreements[split, k - 1] = adjusted_rand_score(
                *(nearest(values, centres=fit.cluster_centers_) for fit in fits)
            )
    return agreements.mean(axis=0)
