"""What the page says of the segments, in sentences computed from its results."""

import re

import numpy as np
import pandas as pd

from journeybook.findings import say_group, say_share
from journeybook.segmentation.groups import DEEP, GroupCount
from journeybook.segmentation.movement import Movement, Refitted
from journeybook.segmentation.segments import RfmScores, Segmentation


def title_count(count: GroupCount, *, n_segments: int) -> str:
    """Say how many groups there are, and what was made of them."""
    said = "One cloud, no groups" if count.n_groups == 1 else f"{count.n_groups} groups"
    return said if count.n_groups == n_segments else f"{said}: cut into {n_segments} slices"


def say_count(count: GroupCount, power: pd.DataFrame) -> str:
    """Say what speaks for the groups, and which planted ones the same questions find."""
    rows, n = count.evidence.set_index("k").astype(float), max(count.n_groups, 2)
    if len(rows) < 2:
        return "There are **too few different people** to ask for groups: ten a group are needed, and two groups."
    said = (
        f"Midway between {n} clusters stand {rows.loc[n, 'valley']:.2f} people for one at a centre; groups need "
    )
    said += f"{DEEP} or fewer."
    if power.empty:
        return f"{said} There are too few different people to plant groups among."
    n_all, found = power["n_features"].max(), []
    for row in power[power["distance"] > 0].itertuples():
        where = "every measure" if row.n_features == n_all else f"{row.n_features} of {n_all} measures"
        found.append(f"{row.n_found} times {row.distance:.0f} sd apart in {where}")
    said += f" Two groups, planted {power['n_repeats'].iloc[0]} times each, were found {', '.join(found)}"
    return said + ("; groups in few measures are not ruled out." if len(missed(power)) else ".")


def missed(power: pd.DataFrame) -> pd.DataFrame:
    """Rows of `detection` with groups in some features that are surely missed at least once in five times."""
    few = power["n_features"] < power["n_features"].max()
    return power[few & (power["distance"] > 0) & (power["high"] < 0.8)]


def money_shares(found: Segmentation) -> np.ndarray:
    """Return each segment's share of the revenue that orders them; nothing where none does, or it is below 0."""
    money = (found.profile["n_people"] * found.profile[found.ordered_by].fillna(0)).to_numpy(dtype=float)
    is_money = found.ordered_by.startswith("revenue") and money.min() >= 0 and money.sum() > 0
    return money / money.sum() if is_money else np.array([])


def title_profile(found: Segmentation) -> str:
    """Say who makes the money; where that is not known, only that they differ."""
    shares = money_shares(found)
    if found.n_segments < 2 or not len(shares):
        return "What sets the segments apart"
    days, of_people = re.search(r"\d+", found.ordered_by), found.profile["share"].to_numpy()
    first, last = (
        f"{say_group(found.names[at])} {who}, {say_share(of_people[at])}{of_all}, bring {say_share(shares[at])}"
        for at, who, of_all in ((0, "customers", " of all"), (-1, "ones", ""))
    )
    of_days = f" of the last {days[0]} days" if days else ""
    return f"{first[0].upper()}{first[1:]} of revenue{of_days}; {last}"


def say_nothing(found: Segmentation, nothing: np.ndarray, scores: RfmScores) -> str:
    """Say how well the segments do beside clusters of structureless clouds, and beside RFM scores."""
    low, high = say_share(nothing.min()), say_share(nothing.max())
    return (
        f"The segments explain {say_share(found.explained_share)} of the variance; {low} to {high} in "
        f"{len(nothing)} clouds without groups. With RFM scores they agree by {scores.agreement:.2f} "
        f"(adjusted Rand index)."
    )


def title_movement(moves: Movement) -> str:
    """Say how many people stay, and where most of the others go."""
    if not moves.n_steps:
        return "How people move cannot be told: the data are too short"
    said = f"{say_share(moves.stay_share)} stay in their segment from one snapshot to the next"
    rows = moves.transitions[moves.transitions["source"] != moves.transitions["target"]]
    if not rows["n"].sum():
        return said
    most = rows.loc[rows["share"].astype(float).idxmax()]
    source, target = say_group(most["source"]), say_group(most["target"])
    return f"{said}; of the {source}, {say_share(most['share'])} become {target}"


def say_pitfall(refitted: Refitted, moves: Movement) -> str:
    """Say how much movement is made up by segments made anew; empty without two snapshots."""
    if not np.isfinite(refitted.refitted):
        return ""
    anew, matched, one = (say_share(1 - stay) for stay in (refitted.refitted, refitted.matched, moves.stay_share))
    return f"Segments made anew see {anew} of steps move, matched by overlap {matched}, one model {one}."


def headline_figures(
    count: GroupCount, found: Segmentation, nothing: np.ndarray, moves: Movement, refitted: Refitted
) -> dict[str, float]:
    """The page's figures for the index, flat; what cannot be computed is left out."""
    figures = {
        "n_groups_supported": count.n_groups,
        "n_segments": found.n_segments,
        "n_people": int(found.profile["n_people"].sum()),
        "explained_share": found.explained_share,
        "explained_share_of_nothing": float(nothing.mean()),
        "stay_share": moves.stay_share,
        "stay_share_low": moves.stay_low,
        "stay_share_high": moves.stay_high,
        "stay_share_refitted": refitted.refitted,
        "stay_share_refitted_and_matched": refitted.matched,
    }
    made = count.evidence.set_index("k").reindex([found.n_segments]).iloc[0]
    figures |= {name: float(made[name]) for name in ("stability", "prediction_strength")}
    return {name: value for name, value in figures.items() if np.isfinite(value)}
