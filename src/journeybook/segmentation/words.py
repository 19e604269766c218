"""What the page says of the segments, in sentences computed from its results."""

import numpy as np
import pandas as pd

from journeybook.segmentation.groups import DEEP, GroupCount
from journeybook.segmentation.movement import Movement, Refitted
from journeybook.segmentation.references import Structureless, Unscaled
from journeybook.segmentation.segments import RfmScores, Segmentation

# Kaufman & Rousseeuw 1990, table 4: up to 0.25 no substantial structure has been found.
NO_STRUCTURE = 0.25


def say_count(count: GroupCount, *, n_segments: int) -> str:
    """Say what speaks for the groups, and what the segments made are."""
    rows = count.evidence.set_index("k").astype(float)
    best = rows.loc[max(count.n_groups, 2)]
    said = (
        f"Midway between the centres of {max(count.n_groups, 2)} clusters there are {best['valley']:.2f} people "
        f"for one at a centre; groups need {DEEP} or fewer. Prediction strength is "
        f"{best['prediction_strength']:.2f}."
    )
    silhouette = rows["silhouette"].to_dict().get(n_segments, float("nan"))
    if silhouette <= NO_STRUCTURE:
        said += (
            f" The {n_segments} segments overlap: silhouette {silhouette:.2f}, where up to {NO_STRUCTURE} is no "
            "substantial structure (Kaufman & Rousseeuw 1990)."
        )
    return said


def say_power(power: pd.DataFrame) -> str:
    """Say which planted groups this procedure finds, from `detection`."""
    n, n_all = int(power["n_repeats"].iloc[0]), power["n_features"].max()
    said = []
    for row in power[power["distance"] > 0].itertuples():
        where = "every feature" if row.n_features == n_all else f"{row.n_features} of {n_all} features"
        said.append(f"{row.n_found} times {row.distance:.0f} sd apart in {where}")
    blind = " Groups that differ in few features **are not ruled out**." if len(missed(power)) else ""
    return f"Two groups, planted {n} times each, were found {', '.join(said)}.{blind}"


def missed(power: pd.DataFrame) -> pd.DataFrame:
    """Rows of `detection` with groups in some features that are surely missed at least once in five times."""
    few = power["n_features"] < power["n_features"].max()
    return power[few & (power["distance"] > 0) & (power["high"] < 0.8)]


def say_dated(dated: pd.DataFrame, found: Segmentation) -> str:
    """Say how the segments of each date differ from those of the last model."""
    past = (dated["as_of"] < dated["as_of"].max()).to_numpy()
    if not past.any():
        return "There is one snapshot, so that no segment is of a past date."
    differs = (dated["segment"].to_numpy() != found.assignments["segment"].to_numpy())[past].mean()
    text = f"Fitted on their own date, {differs:.0%} of past segments have another name than in hindsight."
    if n_later := dated.loc[dated["retrospective"], "as_of"].nunique():
        text += f" Too little was known on {n_later} of the dates: their rows are marked `retrospective`."
    return text


def say_nothing(found: Segmentation, nothing: Structureless) -> str:
    """Say what k-means finds in clouds without groups, beside what it found here."""
    shares, n = nothing.explained_share, len(nothing.explained_share)
    return (
        f"{found.n_segments} clusters explain {found.explained_share:.1%} of the variance here, and "
        f"{shares.min():.1%} to {shares.max():.1%} in {n} clouds of the same covariance without groups. Two "
        f"halves of such a cloud agree on its borders with an adjusted Rand index of "
        f"{np.mean(nothing.stability):.2f}: "
        "neither figure proves groups."
    )


def say_rfm(scores: RfmScores, *, n_quantiles: int) -> str:
    """Say how the segments and the scores agree."""
    return (
        f"Scores of recency, frequency and revenue in {n_quantiles} parts agree with the segments with an "
        f"adjusted Rand index of {scores.agreement:.2f} (1 is the same groups, 0 chance)."
    )


def say_movement(moves: Movement) -> str:
    """Say how many people stay, and where most of the others go."""
    if not moves.n_steps:
        return "Movement needs two snapshots whose windows are full; the data are shorter."
    rows = moves.transitions[moves.transitions["source"] != moves.transitions["target"]]
    text = (
        f"Of {moves.n_steps:,} steps between {moves.n_snapshots} snapshots {moves.stay_share:.1%} stay in their "
        f"segment (95 % interval {moves.stay_low:.1%} to {moves.stay_high:.1%})."
    )
    if len(rows):
        most = rows.iloc[int(rows["share"].fillna(0).to_numpy().argmax())]
        text += (
            f" The likeliest move is {most['source']} to {most['target']}: {most['share']:.1%} "
            f"({most['low']:.1%} to {most['high']:.1%}) of those in {most['source']}."
        )
    return text


def say_pitfall(refitted: Refitted, plain: Unscaled) -> str:
    """Say the two tempting wrong ways with their sizes."""
    text = ""
    if np.isfinite(refitted.refitted):
        text = (
            f"**Refitting every snapshot.** One model sees {1 - refitted.one_model:.1%} of the steps as moves, a "
            f"model a snapshot {1 - refitted.refitted:.1%}: its clusters are numbered anew. Matched by overlap it "
            f"is {1 - refitted.matched:.1%}. "
        )
    return (
        f"{text}**Features in their own units.** `{plain.column}` holds {plain.variance_share:.1%} of the "
        f"variance: unscaled clusters agree with that feature alone by {plain.agreement_with_column:.2f} "
        f"(adjusted Rand "
        f"index), with the segments by {plain.agreement_with_segments:.2f}."
    )


def headline_figures(
    count: GroupCount,
    found: Segmentation,
    nothing: Structureless,
    moves: Movement,
    refitted: Refitted,
    plain: Unscaled,
) -> dict[str, float]:
    """The page's figures for the index, flat; what cannot be computed is left out."""
    figures = {
        "n_groups_supported": count.n_groups,
        "n_segments": found.n_segments,
        "n_people": int(found.profile["n_people"].sum()),
        "explained_share": found.explained_share,
        "explained_share_of_nothing": float(np.mean(nothing.explained_share)),
        "stay_share": moves.stay_share,
        "stay_share_low": moves.stay_low,
        "stay_share_high": moves.stay_high,
        "stay_share_refitted": refitted.refitted,
        "stay_share_refitted_and_matched": refitted.matched,
        "unscaled_agreement_with_segments": plain.agreement_with_segments,
        "unscaled_agreement_with_one_feature": plain.agreement_with_column,
    }
    row = count.evidence[count.evidence["k"] == found.n_segments]
    for name in ("stability", "prediction_strength", "silhouette"):
        figures[name] = float(row[name].sum()) if len(row) else float("nan")
    return {name: value for name, value in figures.items() if np.isfinite(value)}
