"""Segments: k-means on the last snapshot, carried to every snapshot, named by what sets them apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from journeybook.segmentation.groups import fit_kmeans, nearest
from journeybook.segmentation.preparation import RFM, Preparation, last_snapshot, matrix, prepare
from journeybook.statistics import stream

# The first of these that is used, or another revenue, orders the segments; S1 has most of it.
VALUE_COLUMNS = ("revenue_91d", "revenue")
N_STARTS = 20
# Means this many standard deviations from everyone's are worth a word.
WORTH_A_WORD_SD = 0.5


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Segments of every person in every snapshot.

    Attributes:
        assignments: One row a row of the features: person_id, as_of, segment (`S1`, `S2`, ...), row.
        profile: One row a segment of the last snapshot: segment, description, n_people, share, and the mean of
            each feature used, in its own unit.
        standardised: Means of the features used in standard deviations from everyone's, a row a segment.
        centres: Centres on the comparable scale, S1 first, shape (segments, features).
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
        """Number of segments."""
        return len(self.centres)


def segment(
    features: pd.DataFrame, *, preparation: Preparation, n_segments: int, rng: np.random.Generator
) -> Segmentation:
    """Fit k-means to the last snapshot and give every earlier snapshot the segment of its nearest centre.

    One model for all snapshots: a person moves only if the person's features do. Segments are numbered by their
    mean of the value feature, most first, so that the same groups carry the same names in another run.

    Args:
        features: One row a person and snapshot.
        preparation: Columns and scale, from `prepare`.
        n_segments: Number of segments, 1 or more.
        rng: Source of chance.

    Raises:
        ValueError: There are fewer different people than segments.
    """
    last = last_snapshot(features)
    values = matrix(last, preparation=preparation)
    if not 1 <= n_segments <= len(np.unique(values, axis=0)):
        raise ValueError(f"n_segments: found {n_segments}, needed 1 to {len(np.unique(values, axis=0))} here.")
    centres = fit_kmeans(values, n_clusters=n_segments, n_starts=N_STARTS, rng=rng).cluster_centers_
    worth_columns = [c for c in VALUE_COLUMNS if c in preparation.columns]
    worth_columns += [c for c in preparation.columns if c.startswith("revenue")]
    ordered_by = [*worth_columns, *preparation.columns][0]
    labels = nearest(values, centres=centres)
    worth = last[ordered_by].astype("Float64").fillna(0).to_numpy(dtype=float)
    means = [worth[labels == number].mean() for number in range(n_segments)]
    centres = centres[np.argsort([-mean for mean in means], kind="stable")]
    names = np.array([f"S{number + 1}" for number in range(n_segments)], dtype=object)
    ordered = features.sort_values("row", kind="stable")
    found = nearest(matrix(ordered, preparation=preparation), centres=centres)
    assignments = ordered[["person_id", "as_of", "row"]].assign(segment=names[found])
    labels = nearest(values, centres=centres)
    standardised = pd.DataFrame(
        [values[labels == number].mean(axis=0) for number in range(n_segments)],
        index=pd.Index(names, name="segment"),
        columns=preparation.columns,
    )
    inside = ((values - centres[labels]) ** 2).sum()
    return Segmentation(
        assignments=assignments[["person_id", "as_of", "segment", "row"]].reset_index(drop=True),
        profile=_profile(last, names[labels], standardised),
        standardised=standardised,
        centres=centres,
        preparation=preparation,
        explained_share=float(1 - inside / ((values - values.mean(axis=0)) ** 2).sum()),
        ordered_by=ordered_by,
    )


def segments_of_each_date(
    features: pd.DataFrame, *, columns: Sequence[str] | None, found: Segmentation, seed: int
) -> pd.DataFrame:
    """Give every snapshot the segments that could have been made on its date.

    Columns, scale and centres are learned from the rows up to the date; segments are numbered by revenue, so that
    their names mean alike without looking ahead. The number of segments is that of `found`.

    Args:
        features: One row a person and snapshot.
        columns: Features to use; None chooses, as `prepare` does.
        found: The segments of the last snapshot, from the stream `segments` of the seed.
        seed: Seed of the run.

    Returns:
        `person_id`, `as_of`, `segment`, `fitted_as_of` (date whose data the model saw), `retrospective` (the model
        is of a later date, because too little was known on this one), `row`; one row a row of the features.
    """
    made = []
    last = found.assignments["as_of"].max()
    for as_of in sorted(features["as_of"].unique()):
        model, fitted = found, last
        if as_of < last:
            past = features[features["as_of"] <= as_of]
            try:
                model = segment(
                    past,
                    preparation=prepare(past, columns=columns),
                    n_segments=found.n_segments,
                    rng=stream(seed, "segments"),
                )
                fitted = as_of
            except ValueError:
                # Too few people or features on this date: the later model speaks, and the row says so.
                model = found
        rows = model.assignments[model.assignments["as_of"] == as_of]
        made.append(rows.assign(fitted_as_of=fitted, retrospective=fitted > as_of))
    table = pd.concat(made).sort_values("row", ignore_index=True)
    return table[["person_id", "as_of", "segment", "fitted_as_of", "retrospective", "row"]]


def _profile(last: pd.DataFrame, labels: np.ndarray, standardised: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, away in standardised.iterrows():
        inside = last[labels == name]
        means = inside[list(standardised.columns)].astype("Float64").mean()
        row = {
            "segment": name,
            "description": describe(away),
            "n_people": len(inside),
            "share": len(inside) / len(last),
        }
        rows.append(row | {column: float(mean) for column, mean in means.items()})
    return pd.DataFrame(rows)


def describe(away: pd.Series) -> str:
    """The two features that set a segment most apart, in words.

    Args:
        away: Means in standard deviations from everyone's, by feature.

    >>> describe(pd.Series({"revenue_91d": 1.4, "recency_days": -0.9, "mean_basket": 0.1}))
    'high revenue_91d, low recency_days'
    """
    ranked = away.iloc[np.argsort(-away.abs().to_numpy(), kind="stable")].head(2)
    words = [
        f"{'high' if value > 0 else 'low'} {name}"
        for name, value in ranked.items()
        if abs(value) > WORTH_A_WORD_SD
    ]
    return ", ".join(words) or "near the average"


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

    Args:
        features: One row a person and snapshot, with recency_days, n_baskets and revenue.
        found: Segments to compare with.
        n_quantiles: Number of scores, 2 or more; 5 is usual.

    Raises:
        ValueError: One of the three columns is missing.
    """
    last = last_snapshot(features)
    missing = [column for column in RFM if column not in last.columns]
    if missing:
        raise ValueError(f"Column '{missing[0]}' is not in the features; RFM scores need {', '.join(RFM)}.")
    scores = pd.DataFrame({"person_id": last["person_id"]})
    for name, column in zip(("recency", "frequency", "monetary"), RFM, strict=True):
        values = last[column].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        scores[name] = _quantile_score(-values if name == "recency" else values, n_quantiles)
    final = found.assignments[found.assignments["as_of"] == found.assignments["as_of"].max()]
    segments = final.sort_values("row")["segment"].to_numpy()
    total = scores[["recency", "frequency", "monetary"]].sum(axis=1).to_numpy(dtype=float)
    by_segment = scores.groupby(segments, sort=False)[["recency", "frequency", "monetary"]].mean()
    by_segment = by_segment.reindex(found.profile["segment"]).rename_axis("segment").reset_index()
    agreement = adjusted_rand_score(segments, _quantile_score(total, found.n_segments))
    return RfmScores(scores, by_segment, float(agreement))


def _quantile_score(values: np.ndarray, n_quantiles: int) -> np.ndarray:
    """1 to n_quantiles by rank, equal for equal values; a missing value scores 1."""
    rank = pd.Series(values).rank(method="average", pct=True).fillna(0).to_numpy()
    return np.clip(np.ceil(rank * n_quantiles), 1, n_quantiles).astype(int)
