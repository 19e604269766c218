"""Segments: k-means on the last snapshot, carried to every snapshot, named by what sets them apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from journeybook.segmentation.groups import fit_kmeans, nearest
from journeybook.segmentation.names import name_segments
from journeybook.segmentation.preparation import RFM, Preparation, last_snapshot, matrix, prepare
from journeybook.statistics import stream

# The first of these that is used, or another revenue, orders the segments; number 1 has most of it.
VALUE_COLUMNS = ("revenue_91d", "revenue")
N_STARTS = 10
# People that centres are fitted to; all are given the nearest.
MAX_FITTED = 20_000
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
    """Fit k-means to the last snapshot (to 20,000 of more people), and give every row its nearest centre.

    One model for all snapshots: a person moves only if the person's features do. Segments are numbered by their
    mean of the value feature, most first, so that the same groups carry the same numbers in another run.

    Raises:
        ValueError: `n_segments` is below 1 or above the number of different people.
    """
    last, columns = last_snapshot(features), preparation.columns
    values = matrix(last, preparation=preparation)
    fitted = values
    if len(values) > MAX_FITTED:
        fitted = values[np.sort(rng.choice(len(values), MAX_FITTED, replace=False))]
    most = len(np.unique(fitted, axis=0))
    if not 1 <= n_segments <= most:
        raise ValueError(f"n_segments: found {n_segments}, needed 1 to {most} here.")
    centres = fit_kmeans(fitted, n_clusters=n_segments, n_starts=N_STARTS, rng=rng).cluster_centers_
    worth = [c for c in VALUE_COLUMNS if c in columns] + [c for c in columns if c.startswith("revenue")]
    ordered_by = [*worth, *columns][0]
    amounts = last[ordered_by].astype("Float64").fillna(0).to_numpy(dtype=float)
    labels = nearest(values, centres=centres)
    means = [amounts[labels == number].mean() for number in range(n_segments)]
    centres = centres[np.argsort([-mean for mean in means], kind="stable")]
    labels = nearest(values, centres=centres)
    weights = np.where(preparation.weights > 0, preparation.weights, 1.0)
    standardised = pd.DataFrame(values / weights, columns=columns).groupby(labels).mean()
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
    features: pd.DataFrame,
    *,
    columns: Sequence[str] | None,
    dictionary: pd.DataFrame | None,
    found: Segmentation,
    seed: int,
) -> pd.DataFrame:
    """Give every snapshot the segments that could have been made on its date, a row for each of the features.

    Columns, scale and centres are learned from the rows up to the date, as is the number of each segment: the one
    that most people had on the date before (Hungarian method: Kuhn 1955). The count of segments, the last numbers
    and their words are those of `found`. `fitted_as_of` is the date whose data the model saw, `retrospective`
    that it is a later one, because too little was known.
    """
    made, last = [], features["as_of"].max()
    before: pd.Series | None = None
    for as_of in sorted(features["as_of"].unique()):
        model, fitted = found, last
        if as_of < last:
            try:
                model = segment_as_of(
                    features, as_of, columns=columns, dictionary=dictionary, found=found, seed=seed
                )
                fitted = as_of
            except ValueError:
                # Too few people or features on this date: the later model speaks, and the row says so.
                model = found
        rows = model.assignments[model.assignments["as_of"] == as_of]
        number = pd.Index(model.names).get_indexer(pd.Index(rows["segment"]))
        if before is not None:
            number = same_numbers(before, pd.Series(number, rows["person_id"]), n=found.n_segments)[number]
        before = pd.Series(number, rows["person_id"])
        made.append(rows.assign(number=number, fitted_as_of=fitted, retrospective=fitted > as_of))
    table = pd.concat(made).sort_values("row", ignore_index=True)
    # One name for each number, on every date: those of the last model.
    told = pd.Index(found.names).get_indexer(pd.Index(rows["segment"]))
    names = np.array(found.names, dtype=object)
    names[number] = names[told]
    table["segment"] = names[table["number"]]
    return table[["person_id", "as_of", "segment", "fitted_as_of", "retrospective", "row"]]


def same_numbers(before: pd.Series, now: pd.Series, *, n: int) -> np.ndarray:
    """For each number of today, the one under which as many people as possible keep theirs, shape (n,).

    `before` and `now` are numbers from 0 by person_id.

    >>> same_numbers(pd.Series([0, 0, 1], ["a", "b", "c"]), pd.Series([1, 1, 0], ["a", "b", "c"]), n=2).tolist()
    [1, 0]
    """
    both = pd.concat([before.rename("before"), now.rename("now")], axis=1, join="inner")
    overlap = np.zeros((n, n))
    np.add.at(overlap, (both["now"].to_numpy(), both["before"].to_numpy()), 1)
    return linear_sum_assignment(-overlap)[1]


def segment_as_of(
    features: pd.DataFrame,
    as_of: pd.Timestamp,
    *,
    columns: Sequence[str] | None,
    dictionary: pd.DataFrame | None,
    found: Segmentation,
    seed: int,
) -> Segmentation:
    """Segment the people of a date by the rows up to it, and nothing later, from the stream `segments`.

    The number of segments is that of `found`; values are filled in as they were on the date.
    """
    known, handed = features[features["as_of"] <= as_of], found.preparation.handed
    prepared = prepare(known, columns=columns, dictionary=dictionary, handed=handed)
    then = features[features["as_of"] == as_of]
    return segment(then, preparation=prepared, n_segments=found.n_segments, rng=stream(seed, "segments"))


@dataclass(frozen=True, eq=False)
class RfmScores:
    """Recency, frequency and monetary scores of the last snapshot.

    Attributes:
        scores: One row a person: person_id, recency, frequency, monetary, each 1 to 5, 5 the best fifth.
        thresholds: What a score means: measure, score, low, high (least and greatest value with it), n_people.
        cells: One row a cell there is: recency, frequency, monetary, n_people.
        by_segment: Mean scores by segment.
        agreement: Adjusted Rand index of the segments with as many equal groups of the summed score.
    """

    scores: pd.DataFrame
    thresholds: pd.DataFrame
    cells: pd.DataFrame
    by_segment: pd.DataFrame
    agreement: float


def rfm_scores(features: pd.DataFrame, *, found: Segmentation, n_quantiles: int) -> RfmScores:
    """Score people by quantiles of recency, frequency and revenue (Hughes 1994), beside their segments.

    People with equal values get equal scores, so that the quantiles are only as even as the values allow.
    """
    if n_quantiles < 2:
        raise ValueError(f"n_quantiles: found {n_quantiles}, needed 2 or more.")
    last = last_snapshot(features)
    scores = rfm_of(last, n_quantiles=n_quantiles)
    segments = found.at_end.to_numpy()
    by_segment = scores[SCORES].groupby(segments).mean().rename_axis("segment").reset_index()
    total = _quantile_score(scores[SCORES].sum(axis=1).to_numpy(dtype=float), found.n_segments)
    parts = [
        last[column].astype(float).groupby(scores[name]).agg(low="min", high="max", n_people="size")
        for name, column in zip(SCORES, RFM, strict=True)
    ]
    thresholds = pd.concat(parts, keys=RFM, names=["measure", "score"]).reset_index()
    cells = scores.groupby(SCORES).size().rename("n_people").reset_index()
    return RfmScores(scores, thresholds, cells, by_segment, float(adjusted_rand_score(segments, total)))


def rfm_of(rows: pd.DataFrame, *, n_quantiles: int) -> pd.DataFrame:
    """Score the people of one date: person_id, and a score of 1 (worst) to `n_quantiles` for each measure."""
    scores = pd.DataFrame({"person_id": rows["person_id"]})
    for name, column in zip(SCORES, RFM, strict=True):
        values = rows[column].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        scores[name] = _quantile_score(-values if name == "recency" else values, n_quantiles)
    return scores


def _quantile_score(values: np.ndarray, n_quantiles: int) -> np.ndarray:
    """1 to n_quantiles by rank, equal for equal values; a missing value scores 1."""
    rank = pd.Series(values).rank(method="average", pct=True).fillna(0).to_numpy()
    return np.clip(np.ceil(rank * n_quantiles), 1, n_quantiles).astype(int)
