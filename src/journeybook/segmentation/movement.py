"""How people move between segments from one snapshot to the next."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.segmentation.groups import fit_kmeans, nearest
from journeybook.segmentation.preparation import matrix
from journeybook.segmentation.segments import Segmentation, same_numbers
from journeybook.statistics import cluster_weights

DRAWS_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class Movement:
    """Steps from each snapshot to the next, of people who are in both.

    Attributes:
        transitions: One row a pair of segments: source, target, n (steps), share of those from source, low, high.
        sizes: Share of the people of each snapshot by segment: as_of, segment, share.
        flows: One row a segment: segment, n_entered (steps of people who were in no snapshot before), n_left (who
            are in no next one).
        stay_share: Share of all steps that stay.
        stay_low: Lower end of its interval.
        stay_high: Upper end.
        n_steps: Number of steps.
    """

    transitions: pd.DataFrame
    sizes: pd.DataFrame
    flows: pd.DataFrame
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
        return Movement(nothing, sizes, _flows(assignments, names), np.nan, np.nan, np.nan, 0)
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
    return Movement(table, sizes, _flows(assignments, names), stay, stay_low, stay_high, int(total.sum()))


def move_on(rows: pd.DataFrame, *, found: Segmentation, before: pd.Series | None, border: float) -> pd.Series:
    """Give the people of one date their segment: the one of the date `before`, unless another is surely nearer.

    A person moves only to a centre whose distance is at most 1 - `border` of that to the old one, so that who
    stands near a border does not move to and fro. Only yesterday's segments and today's rows are needed.

    Args:
        rows: Rows of the features of one date.
        found: The model.
        before: Numbers of segments, from 0, by person_id; None where there are none.
        border: Width of the border, 0 to below 1; 0 is the nearest centre.

    Returns:
        Numbers of segments, from 0, by person_id, in the order of `rows`.
    """
    if not 0 <= border < 1:
        raise ValueError(f"border: found {border:g}, needed at least 0 and below 1.")
    values = matrix(rows, preparation=found.preparation)
    now = pd.Series(nearest(values, centres=found.centres), rows["person_id"].to_numpy())
    if before is None:
        return now
    old = before.reindex(now.index)
    kept = old.fillna(now).astype(int).to_numpy()
    apart = np.linalg.norm(values - found.centres[kept], axis=1)
    surely = np.linalg.norm(values - found.centres[now.to_numpy()], axis=1) <= (1 - border) * apart
    return now.where(surely, kept)


def steady(features: pd.DataFrame, *, found: Segmentation, border: float) -> pd.DataFrame:
    """Give every row its segment by `move_on`, date after date: person_id, as_of, segment, row; by `row`."""
    made, before = [], None
    for _, rows in features.sort_values("row", kind="stable").groupby("as_of"):
        before = move_on(rows, found=found, before=before, border=border)
        named = np.array(found.names, dtype=object)[before.to_numpy()]
        made.append(rows[["person_id", "as_of"]].assign(segment=named, row=rows["row"]))
    return pd.concat(made).sort_values("row", ignore_index=True)


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


def begins_hold(features: pd.DataFrame, since: pd.Timestamp, *, found: Segmentation) -> pd.DataFrame:
    """Ask from which snapshot on the windows are full, by the day of the first basket of all."""
    windows = [
        int(c.rpartition("_")[2][:-1]) for c in found.preparation.columns if c[-1] == "d" and c[-2].isdigit()
    ]
    dates, due = np.sort(features["as_of"].unique()), features["as_of"].min()
    if windows:
        begin = (features["as_of"] - pd.to_timedelta(features["tenure_days"], unit="D")).min().floor("s")
        full = dates[dates >= begin + pd.Timedelta(days=max(windows))]
        due = full[0] if len(full) else dates[-1]
    n_apart = abs(int((dates < np.datetime64(due)).sum()) - int((dates < np.datetime64(since)).sum()))
    row = ("snapshots by which movement begins too early or late", n_apart, 0, 0, "the first basket of all")
    return pd.DataFrame([row], columns=["name", "value", "reference", "tolerance", "source"])


def refit_holds(refitted: Refitted) -> pd.DataFrame:
    """Renaming by overlap may keep more people than the numbers as they come, never fewer."""
    figures = ("share kept by renaming", refitted.matched, refitted.refitted, "at least", "numbers as they come")
    return pd.DataFrame([figures], columns=["name", "value", "reference", "rule", "source"])


def _flows(assignments: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """People who enter and leave, between the first snapshot and the last."""
    seen = assignments.assign(at=assignments["as_of"].rank(method="dense").astype(int))
    people, gaps = seen.sort_values(["person_id", "at"], kind="stable"), {}
    by = people.groupby("person_id")["at"]
    gaps["n_entered"] = people[(by.diff() != 1) & (people["at"] > 1)]
    gaps["n_left"] = people[(by.diff(-1) != -1) & (people["at"] < people["at"].max())]
    counts = {name: rows["segment"].value_counts().reindex(names, fill_value=0) for name, rows in gaps.items()}
    return pd.DataFrame(counts).rename_axis("segment").reset_index()


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
    labels, n, before = raw.copy(), int(raw.max()) + 1, None
    for as_of in np.sort(rows["as_of"].unique()):
        here = (rows["as_of"] == as_of).to_numpy()
        now = pd.Series(raw[here], rows["person_id"][here])
        if before is not None:
            labels[here] = same_numbers(before, now, n=n)[raw[here]]
        before = pd.Series(labels[here], rows["person_id"][here])
    return labels
