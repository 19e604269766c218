"""Segments: k-means on the last snapshot, carried to every snapshot, named by what sets them apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from journeybook.segmentation.groups import fit_kmeans, nearest
from journeybook.segmentation.names import name_segments
from journeybook.segmentation.preparation import RFM, Preparation, last_snapshot, matrix, prepare
from journeybook.statistics import stream

# The first of these that is used, or another revenue, orders the segments; number 1 has most of it.
VALUE_COLUMNS = ("revenue_91d", "revenue")
N_STARTS = 10
SCORES = ["recency", "frequency", "monetary"]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Segments of every person in every snapshot.

    Attributes:
        assignments: One row a row of the features: person_id, as_of, segment (such as `1 frequent`), row.
        profile: One row a segment of the last snapshot: segment, n_people, share, and the mean of each feature
            used, in its own unit.
        standardised: Means of the features used in standard deviations from everyone's, a row a segment.
        centres: Centres on the comparable scale, in order, shape (segments, features).
        preparation: How features became comparable numbers.
        explained_share: Share of the variance on the comparable scale that lies between segments.
        ordered_by: The feature that orders the segments.
    """

    assignments: pd.DataFrame
    profile: pd.DataFrame
    standardised: pd.DataFrame
    centres: np.ndarray
    preparation: Preparation
    explained_share: float
    ordered_by: str

    @property
    def n_segments(self) -> int:
        return len(self.centres)

    @property
    def names(self) -> list[str]:
        return self.profile["segment"].tolist()

    @property
    def at_end(self) -> pd.Series:
        """Segment of each person of the last snapshot, in the order of `row`."""
        return self.assignments.loc[self.assignments["as_of"] == self.assignments["as_of"].max(), "segment"]


def segment(
    features: pd.DataFrame, *, preparation: Preparation, n_segments: int, rng: np.random.Generator
) -> Segmentation:
    """Fit k-means to the last snapshot and give every earlier snapshot the segment of its nearest centre.

    One model for all snapshots: a person moves only if the person's features do. Segments are numbered by their
    mean of the value feature, most first, so that the same groups carry the same numbers in another run.

    Raises:
        ValueError: `n_segments` is below 1 or above the number of different people.
    """
    last, columns = last_snapshot(features), preparation.columns
    values = matrix(last, preparation=preparation)
    if not 1 <= n_segments <= len(np.unique(values, axis=0)):
        raise ValueError(f"n_segments: found {n_segments}, needed 1 to {len(np.unique(values, axis=0))} here.")
    centres = fit_kmeans(values, n_clusters=n_segments, n_starts=N_STARTS, rng=rng).cluster_centers_
    worth = [c for c in VALUE_COLUMNS if c in columns] + [c for c in columns if c.startswith("revenue")]
    ordered_by = [*worth, *columns][0]
    amounts = last[ordered_by].astype("Float64").fillna(0).to_numpy(dtype=float)
    labels = nearest(values, centres=centres)
    means = [amounts[labels == number].mean() for number in range(n_segments)]
    centres = centres[np.argsort([-mean for mean in means], kind="stable")]
    labels = nearest(values, centres=centres)
    standardised = pd.DataFrame(values, columns=columns).groupby(labels).mean()
    names = np.array(name_segments(standardised), dtype=object)
    inside = last[columns].astype("Float64").groupby(labels).mean().astype(float)
    scatter = ((values - values.mean(axis=0)) ** 2).sum()
    sizes = np.bincount(labels, minlength=n_segments)
    told = pd.DataFrame({"segment": names, "n_people": sizes, "share": sizes / len(last)})
    ordered = features.sort_values("row", kind="stable", ignore_index=True)
    found = names[nearest(matrix(ordered, preparation=preparation), centres=centres)]
    return Segmentation(
        assignments=ordered[["person_id", "as_of"]].assign(segment=found, row=ordered["row"]),
        profile=pd.concat([told, inside], axis=1),
        standardised=standardised.set_axis(pd.Index(names, name="segment")),
        centres=centres,
        preparation=preparation,
        explained_share=float(1 - ((values - centres[labels]) ** 2).sum() / scatter) if scatter else 0.0,
        ordered_by=ordered_by,
    )


def segments_of_each_date(
    features: pd.DataFrame, *, columns: Sequence[str] | None, found: Segmentation, seed: int
) -> pd.DataFrame:
    """Give every snapshot the segments that could have been made on its date, a row for each of the features.

    Columns, scale and centres are learned from the rows up to the date; the count and the words of segments are
    those of `found`. `fitted_as_of` is the date whose data the model saw, `retrospective` that it is a later one,
    because too little was known.
    """
    made, last = [], features["as_of"].max()
    for as_of in sorted(features["as_of"].unique()):
        model, fitted = found, last
        if as_of < last:
            try:
                model = segment_as_of(features, as_of, columns=columns, n_segments=found.n_segments, seed=seed)
                fitted = as_of
            except ValueError:
                # Too few people or features on this date: the later model speaks, and the row says so.
                model = found
        rows = model.assignments[model.assignments["as_of"] == as_of]
        named = rows["segment"].map(dict(zip(model.names, found.names, strict=True)))
        made.append(rows.assign(segment=named, fitted_as_of=fitted, retrospective=fitted > as_of))
    table = pd.concat(made).sort_values("row", ignore_index=True)
    return table[["person_id", "as_of", "segment", "fitted_as_of", "retrospective", "row"]]


def segment_as_of(
    features: pd.DataFrame, as_of: pd.Timestamp, *, columns: Sequence[str] | None, n_segments: int, seed: int
) -> Segmentation:
    """Segment the people of a date by the rows up to it, and nothing later, from the stream `segments`."""
    prepared = prepare(features[features["as_of"] <= as_of], columns=columns)
    then = features[features["as_of"] == as_of]
    return segment(then, preparation=prepared, n_segments=n_segments, rng=stream(seed, "segments"))


@dataclass(frozen=True, eq=False)
class RfmScores:
    """Recency, frequency and monetary scores of the last snapshot.

    Attributes:
        scores: One row a person: person_id, recency, frequency, monetary, each 1 to 5, 5 the best fifth.
        by_segment: Mean scores by segment.
        agreement: Adjusted Rand index of the segments with as many equal groups of the summed score.
    """

    scores: pd.DataFrame
    by_segment: pd.DataFrame
    agreement: float


def rfm_scores(features: pd.DataFrame, *, found: Segmentation, n_quantiles: int) -> RfmScores:
    """Score people by quantiles of recency, frequency and revenue (Hughes 1994), beside their segments.

    People with equal values get equal scores, so that the quantiles are only as even as the values allow.
    """
    if n_quantiles < 2:
        raise ValueError(f"n_quantiles: found {n_quantiles}, needed 2 or more.")
    last = last_snapshot(features)
    scores = pd.DataFrame({"person_id": last["person_id"]})
    for name, column in zip(SCORES, RFM, strict=True):
        values = last[column].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        scores[name] = _quantile_score(-values if name == "recency" else values, n_quantiles)
    segments = found.at_end.to_numpy()
    by_segment = scores[SCORES].groupby(segments).mean().rename_axis("segment").reset_index()
    total = _quantile_score(scores[SCORES].sum(axis=1).to_numpy(dtype=float), found.n_segments)
    return RfmScores(scores, by_segment, float(adjusted_rand_score(segments, total)))


def _quantile_score(values: np.ndarray, n_quantiles: int) -> np.ndarray:
    """1 to n_quantiles by rank, equal for equal values; a missing value scores 1."""
    rank = pd.Series(values).rank(method="average", pct=True).fillna(0).to_numpy()
    return np.clip(np.ceil(rank * n_quantiles), 1, n_quantiles).astype(int)
