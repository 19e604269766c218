"""Four ways to look for groups, side by side on the same numbers."""

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, ward
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from journeybook.segmentation.groups import fit_kmeans, valley

MAX_PEOPLE = 2_000
# HDBSCAN calls a group what holds at least this share of the people.
FEWEST_SHARE = 0.02
METHODS = [
    "method",
    "chosen_by",
    "n_groups",
    "largest_share",
    "outlier_share",
    "silhouette",
    "valley",
    "agreement",
]


def side_by_side(values: np.ndarray, *, max_segments: int, rng: np.random.Generator) -> pd.DataFrame:
    """Look for groups by k-means, Ward's method, a Gaussian mixture and HDBSCAN, of at most 2,000 people.

    Each chooses its own number of groups, from 2 on where its rule cannot say 1: k-means at the elbow of what it
    explains (furthest from the chord, Satopää et al. 2011), Ward (1963) before the dearest merger, the mixture by
    BIC, HDBSCAN (Campello et al. 2013) by density, which also leaves people out.

    Returns:
        One row a method: method, chosen_by, n_groups, largest_share of the people in one group, outlier_share,
        silhouette (Rousseeuw 1987), valley between its groups (see `groups.valley`; below 0.5 would be a group),
        agreement with as many k-means clusters (adjusted Rand index). Missing where it finds no two groups; no row
        for fewer than 30 people.
    """
    if len(values) > MAX_PEOPLE:
        values = values[np.sort(rng.choice(len(values), MAX_PEOPLE, replace=False))]
    most = min(max_segments, len(np.unique(values, axis=0)) // 10)
    if most < 3:
        return pd.DataFrame(columns=METHODS)
    fits = {k: fit_kmeans(values, n_clusters=k, n_starts=3, rng=rng) for k in range(2, most + 1)}
    within = np.array([((values - values.mean(axis=0)) ** 2).sum(), *(fit.inertia_ for fit in fits.values())])
    k_elbow = elbow(within)
    seed = int(rng.integers(2**31))
    with threadpool_limits(limits=1):
        tree = ward(values)
        mixtures = [GaussianMixture(k, reg_covar=1e-3, random_state=seed).fit(values) for k in range(1, most + 1)]
        best = min(mixtures, key=lambda mixture: mixture.bic(values))
        dense = HDBSCAN(min_cluster_size=max(int(FEWEST_SHARE * len(values)), 5), copy=True).fit(values)
        steps = np.diff(tree[-most:, 2])[::-1]
        found = {
            ("k-means", "elbow"): fits[max(k_elbow, 2)].labels_,
            ("Ward", "dearest merger"): fcluster(tree, int(steps.argmax()) + 2, "maxclust") - 1,
            ("Gaussian mixture", "BIC"): best.predict(values),
            ("HDBSCAN", "density"): dense.labels_,
        }
        rows = [(*name, *_figures(values, labels, fits)) for name, labels in found.items()]
    return pd.DataFrame(rows, columns=METHODS)


def elbow(within: np.ndarray) -> int:
    """The number of clusters furthest below the chord of what is left within, for k from 1.

    >>> elbow(np.array([100.0, 40, 10, 8, 6]))
    3
    """
    k = np.arange(len(within))
    chord = within[0] + (within[-1] - within[0]) * k / k[-1]
    return int((chord - within).argmax()) + 1


def _figures(values: np.ndarray, labels: np.ndarray, fits: dict) -> tuple:
    inside = labels >= 0
    names, sizes = np.unique(labels[inside], return_counts=True)
    n, largest = len(names), float(sizes.max() / len(labels)) if len(sizes) else 0.0
    told = (n, largest, float(1 - inside.mean()))
    if n < 2:
        return (*told, np.nan, np.nan, np.nan)
    centres = np.array([values[labels == name].mean(axis=0) for name in names])
    alike = adjusted_rand_score(labels, fits[n].labels_) if n in fits else np.nan
    scored = float(silhouette_score(values[inside], labels[inside]))
    return (*told, scored, valley(values[inside], centres=centres)[0], float(alike))
