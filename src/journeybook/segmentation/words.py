"""What the page says of the segments, in sentences computed from its results."""

import numpy as np
import pandas as pd

from journeybook.segmentation.groups import DEEP, GroupCount
from journeybook.segmentation.movement import Movement, Refitted
from journeybook.segmentation.references import Structureless, Unscaled
from journeybook.segmentation.segments import RfmScores, Segmentation
from journeybook.statistics import proportion_interval

# Kaufman & Rousseeuw 1990, table 4: up to 0.25 no substantial structure has been found.
NO_STRUCTURE = 0.25


def count_sentence(count: GroupCount, *, n_segments: int, power: pd.DataFrame) -> str:
    """How many groups there are, which ones would have been missed, and how many segments are made."""
    rows = count.evidence.set_index("k").astype(float)
    best = rows.loc[max(count.n_groups, 2)]
    if count.n_groups == 1:
        seen = (
            f"one cloud: cut in two it is predicted with strength {best['prediction_strength']:.2f}, but midway "
            f"between the centres there are {best['valley']:.2f} people for one at a centre, and between groups "
            f"there would be {DEEP} or fewer"
        )
    else:
        seen = (
            f"{count.n_groups} groups: tighter than a box without groups, with {best['valley']:.2f} people or "
            "fewer midway between two of them for one at a centre, and one half of the people predicts the groups "
            f"of the other (strength {best['prediction_strength']:.2f}, two halves agree with an adjusted Rand "
            f"index of {best['stability']:.2f})"
        )
    text = f"**What we see.** On {count.n_people:,} people the data support {seen}."
    text += f" {power_sentence(power)}"
    silhouette = rows["silhouette"].to_dict().get(n_segments, float("nan"))
    if silhouette <= NO_STRUCTURE:
        link = "But" if count.n_groups > 1 else "So"
        text += (
            f" {link} the {n_segments} segments overlap (silhouette {silhouette:.2f}; up to {NO_STRUCTURE} no "
            "substantial structure, Kaufman & Rousseeuw 1990): their borders run through people who are alike."
        )
    if n_segments == count.n_groups:
        return f"{text} **What to do.** Use {n_segments} segment{'s' if n_segments > 1 else ''}."
    return (
        f"{text} **What to do.** The page makes {n_segments} slices, which others would draw much the same way "
        "where stability is high; treat them as ranges of one population, not as kinds of people."
    )


def power_sentence(power: pd.DataFrame) -> str:
    """Which planted groups this procedure finds, from `detection`."""
    n_all = power["n_features"].max()
    said = []
    for row in power[power["distance"] > 0].itertuples():
        where = "every feature" if row.n_features == n_all else f"{row.n_features} of {n_all} features"
        said.append(f"{row.distance:.0f} sd apart in {where} {row.n_found} times")
    blind = missed(power)
    last = (
        " So this verdict **does not rule out** groups that differ in few features: it would have missed them."
        if len(blind)
        else ""
    )
    n = int(power["n_repeats"].iloc[0])
    return (
        f"What it could have seen: planted in clouds like these people, {n} times each, two groups were found "
        f"{', '.join(said)} (none of {n} means fewer than {float(proportion_interval(0, n).high):.0%}).{last}"
    )


def missed(power: pd.DataFrame) -> pd.DataFrame:
    """Rows of `detection` with groups in some features that are surely missed at least once in five times."""
    few = power["n_features"] < power["n_features"].max()
    return power[few & (power["distance"] > 0) & (power["high"] < 0.8)]


def dated_sentence(dated: pd.DataFrame, found: Segmentation) -> str:
    """How the segments of each date differ from those of the last model."""
    past = (dated["as_of"] < dated["as_of"].max()).to_numpy()
    if not past.any():
        return "There is one snapshot, so that no segment is of a past date."
    differs = (dated["segment"].to_numpy() != found.assignments["segment"].to_numpy())[past].mean()
    n_later = dated.loc[dated["retrospective"], "as_of"].nunique()
    text = (
        f"Made on their own date, {differs:.0%} of the segments of past dates have another name than in hindsight."
    )
    if n_later:
        dates = "date" if n_later == 1 else "dates"
        text += f" On {n_later} {dates} too little was known; their rows are marked `retrospective`."
    return text


def nothing_sentence(found: Segmentation, nothing: Structureless) -> str:
    """What k-means finds in clouds without groups, beside what it found here."""
    low, high = nothing.explained_share.min(), nothing.explained_share.max()
    more = found.explained_share > high
    added = found.explained_share - np.mean(nothing.explained_share)
    return (
        f"**What we see.** {found.n_segments} clusters explain {found.explained_share:.1%} of the variance "
        f"here, and {low:.1%} to {high:.1%} in {len(nothing.explained_share)} clouds that have the same "
        f"covariance and no groups: {100 * added:+.1f} points are all that grouping adds. "
        "Two halves of such a cloud agree on its borders with an index of "
        f"{np.mean(nothing.stability):.2f} on average. **What it does not show.** "
        f"{'Kinds of people: a skewed or clipped cloud also beats a normal one.' if more else 'Groups.'} "
        "**What to do.** Never take a share explained, or a stable border, for proof of groups."
    )


def rfm_sentence(scores: RfmScores, *, n_quantiles: int) -> str:
    """How the segments and the scores agree."""
    return (
        f"**What we see.** Recency, frequency and revenue, each cut into {n_quantiles} parts, and the segments "
        f"agree with an adjusted Rand index of {scores.agreement:.2f} (1 is the same groups, 0 chance). **What "
        "to do.** Where the scores rank people alike, the scores are simpler to explain."
    )


def movement_sentence(moves: Movement) -> str:
    """How many people stay."""
    if not moves.n_steps:
        return (
            "**What we see.** Nothing: movement needs two snapshots whose windows are full; the data are shorter."
        )
    rows = moves.transitions[moves.transitions["source"] != moves.transitions["target"]]
    text = (
        f"**What we see.** Of {moves.n_steps:,} steps between {moves.n_snapshots} snapshots "
        f"{moves.stay_share:.1%} stay in their segment (95 % interval {moves.stay_low:.1%} to "
        f"{moves.stay_high:.1%})."
    )
    if len(rows):
        most = rows.iloc[int(rows["share"].fillna(0).to_numpy().argmax())]
        text += (
            f" The likeliest move is {most['source']} to {most['target']}: {most['share']:.1%} "
            f"({most['low']:.1%} to {most['high']:.1%}) of those in {most['source']}."
        )
    return (
        f"{text} **What it does not show.** Causes; and people close to a border cross it without changing "
        "much. **What to do.** Plan for the flow and not for the label of today."
    )


def pitfall_sentence(refitted: Refitted, plain: Unscaled) -> str:
    """The two tempting wrong ways with their sizes."""
    text = ""
    if np.isfinite(refitted.refitted):
        text = (
            f"**Refitting every snapshot.** With one model {1 - refitted.one_model:.1%} of the steps are "
            f"moves; with a model a snapshot {1 - refitted.refitted:.1%} seem to be, because the algorithm "
            f"numbers its clusters anew. Matched by overlap it is {1 - refitted.matched:.1%}; the difference "
            "was made up. "
        )
    return (
        f"{text}**Features in their own units.** `{plain.column}` holds {plain.variance_share:.1%} of the "
        "variance, so unscaled k-means gives it most weight (adjusted Rand index with that feature alone "
        f"{plain.agreement_with_column:.2f}, with the segments {plain.agreement_with_segments:.2f})."
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
