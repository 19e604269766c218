"""How people move between segments from one snapshot to the next."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from journeybook.segmentation.groups import fit_kmeans
from journeybook.segmentation.preparation import matrix
from journeybook.segmentation.segments import Segmentation
from journeybook.statistics import cluster_weights

DRAWS_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class Movement:
    """Steps from each snapshot to the next, of people who are in both.

    Attributes:
        transitions: One row a pair of segments: source, target, n (steps), share of those from source, low, high.
        sizes: Share of the people of each snapshot by segment: as_of, segment, share.
        stay_share: Share of all steps that stay.
        stay_low: Lower end of its interval.
        stay_high: Upper end.
        n_steps: Number of steps.
    """

    transitions: pd.DataFrame
    sizes: pd.DataFrame
    stay_share: float
    stay_low: float
    stay_high: float
    n_steps: int


def movement(
    assignments: pd.DataFrame, *, since: pd.Timestamp, n_draws: int, level: float, rng: np.random.Generator
) -> Movement:
    """Count the steps and put intervals around their shares by drawing whole people (clustered bootstrap).

    A person's steps are alike, so that steps counted as if independent would give intervals that are too narrow.
    `assignments` hold person_id, as_of, segment, row; those from the snapshot `since` on are used.
    """
    if n_draws < 2:
        raise ValueError(f"n_draws: found {n_draws}, needed 2 or more.")
    assignments = assignments[assignments["as_of"] >= since]
    names = sorted(assignments["segment"].unique())
    shares = pd.crosstab(assignments["as_of"], assignments["segment"], normalize="index")
    sizes = shares.rename_axis(columns="segment").reset_index().melt(id_vars="as_of", value_name="share")
    steps = _steps(assignments, names)
    if steps.empty:
        nothing = pd.DataFrame(columns=["source", "target", "n", "share", "low", "high"])
        return Movement(nothing, sizes, np.nan, np.nan, np.nan, 0)
    k = len(names)
    people, person = np.unique(steps["person"], return_inverse=True)
    counts = np.zeros((len(people), k * k))
    np.add.at(counts, (person, steps["source"].to_numpy() * k + steps["target"].to_numpy()), 1)
    sizes_drawn = [min(DRAWS_AT_ONCE, n_draws - start) for start in range(0, n_draws, DRAWS_AT_ONCE)]
    parts = [cluster_weights(np.arange(len(people)), n_draws=n, rng=rng) @ counts for n in sizes_drawn]
    drawn = np.concatenate(parts).reshape(-1, k, k)
    total = counts.sum(axis=0).reshape(k, k)
    ends = [(1 - level) / 2, (1 + level) / 2]
    with np.errstate(invalid="ignore"):
        share = total / total.sum(axis=1, keepdims=True)
        low, high = np.nanquantile(drawn / drawn.sum(axis=2, keepdims=True), ends, axis=0)
    stays = np.trace(drawn, axis1=1, axis2=2) / drawn.sum(axis=(1, 2))
    pairs = {"source": np.repeat(names, k), "target": np.tile(names, k), "n": total.ravel().astype(int)}
    told = {name: values.ravel() for name, values in (("share", share), ("low", low), ("high", high))}
    stay, (stay_low, stay_high) = float(np.trace(total) / total.sum()), np.quantile(stays, ends).tolist()
    table = pd.DataFrame(pairs | told)
    return Movement(table, sizes, stay, stay_low, stay_high, int(total.sum()))


@dataclass(frozen=True)
class Refitted:
    """Shares of steps that seem to stay where every snapshot is clustered anew.

    Attributes:
        refitted: With the numbers each clustering gives its segments.
        matched: With segments renamed by overlap with those before.
    """

    refitted: float
    matched: float


def refit_each_snapshot(
    features: pd.DataFrame, *, found: Segmentation, since: pd.Timestamp, rng: np.random.Generator
) -> Refitted:
    """The tempting wrong way: cluster every snapshot from `since` on anew and compare the labels."""
    rows = features[features["as_of"] >= since].sort_values("row", kind="stable")
    values = matrix(rows, preparation=found.preparation)
    raw = np.zeros(len(rows), dtype=int)
    for as_of in sorted(rows["as_of"].unique()):
        here = (rows["as_of"] == as_of).to_numpy()
        k = min(found.n_segments, len(np.unique(values[here], axis=0)))
        raw[here] = fit_kmeans(values[here], n_clusters=k, n_starts=5, rng=rng).labels_
    both = [_paired(labels, rows) for labels in (raw, _matched(raw, rows))]
    return Refitted(*(float((one["source"] == one["target"]).mean()) for one in both))


def _steps(assignments: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    return _paired(pd.Index(names).get_indexer(pd.Index(assignments["segment"])), assignments)


def _paired(code: np.ndarray, rows: pd.DataFrame) -> pd.DataFrame:
    """One row a person and pair of neighbouring snapshots: person (number by first row), source, target."""
    moment = rows["as_of"].rank(method="dense").to_numpy()
    frame = pd.DataFrame({"person": pd.factorize(rows["person_id"])[0], "at": moment, "source": code})
    frame = frame.sort_values(["person", "at"], kind="stable")
    after = frame.shift(-1)
    joined = (frame["person"] == after["person"]) & (frame["at"] + 1 == after["at"])
    return frame.assign(target=after["source"])[joined].drop(columns="at").astype(int)


def _matched(raw: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
    """Labels renamed, snapshot by snapshot, so that as many people as possible keep theirs."""
    labels, k = raw.copy(), int(raw.max()) + 1
    for before, now in pairwise(np.sort(rows["as_of"].unique())):
        two = rows["as_of"].isin([before, now]).to_numpy()
        steps = _paired(labels[two], rows[two])
        overlap = np.zeros((k, k))
        np.add.at(overlap, (steps["target"].to_numpy(), steps["source"].to_numpy()), 1)
        here = (rows["as_of"] == now).to_numpy()
        labels[here] = linear_sum_assignment(-overlap)[1][labels[here]]
    return labels
