"""What the page says of the segments, in sentences computed from its results."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from journeybook.findings import say_feature, say_group, say_share
from journeybook.segmentation.behaviour import Behaviour
from journeybook.segmentation.describe import Words
from journeybook.segmentation.groups import DEEP, GroupCount
from journeybook.segmentation.movement import Movement, Refitted
from journeybook.segmentation.rules import Declared
from journeybook.segmentation.segments import RfmScores, Segmentation


def title_count(count: GroupCount, *, n_segments: int) -> str:
    """Say how many groups there are, and what was made of them."""
    said = "One cloud, no groups" if count.n_groups == 1 else f"{count.n_groups} groups"
    return said if count.n_groups == n_segments else f"{said}: cut into {n_segments} slices"


def say_count(count: GroupCount, power: pd.DataFrame, *, columns: Sequence[str]) -> str:
    """Say what speaks for the groups, and how far apart two groups must be to be found here."""
    rows, n = count.evidence.set_index("k").astype(float), max(count.n_groups, 2)
    if len(rows) < 2:
        return "There are **too few different people** to ask for groups: ten a group are needed, and two groups."
    said = f"Midway between {n} clusters stand {rows.loc[n, 'valley']:.2f} people for one at a centre"
    if not count.seen_in.all():
        where = ", ".join(np.array(columns)[count.seen_in])
        depth = count.alone["valley"][count.seen_in].min()
        said = f"The groups are seen in {where} alone, where {depth:.2f} stand midway"
    said += f"; groups need {DEEP} or fewer."
    if power.empty:
        return f"{said} There are too few different people to plant groups among."
    n_all, found = power["n_features"].max(), []
    for row in power[power["distance"] > 0].itertuples():
        where = "every measure" if row.n_features == n_all else f"{row.n_features} of {n_all} measures"
        far = f"from {row.distance:g} sd apart in {where}" if np.isfinite(row.distance) else f"never in {where}"
        found.append(far)
    nothing = power[power["distance"] == 0].iloc[0]
    said += f" Two groups planted among as many people are found {', '.join(found)}; in clouds without any, "
    return f"{said}some were claimed {nothing.n_found:.0f} times of {nothing.n_repeats:.0f}."


def say_declared(declared: Declared) -> str:
    """Say what high value means, and which version of the rules was applied."""
    by = f", what the best fifth had spent by {declared.made_on:%-d %B %Y}" if declared.made_on is not None else ""
    said = f"High value is {declared.high_value:,.2f} or more in 91 days{by}."
    return f"{said} The rules, version {declared.version}:\n\n```sql\n{declared.sql}\n```"


def say_behaviour(found: Behaviour | None, checks: pd.DataFrame) -> str:
    """Say which groups the steps on the site show, and how near they come to what was planted."""
    if found is None:
        return "No groups are sought in steps on the site: the data have no events of sixty known people."
    said = f"In the steps on the site of {len(found.groups):,} people there are **{found.count.n_groups}** groups"
    if found.count.n_groups == 1:
        return "In the steps on the site there are **no groups**."
    said += f"; most apart they are in {', '.join(found.profile.columns[2:5])}."
    for row in checks[checks["name"].str.startswith("customer types")].itertuples():
        said += f" With the planted types of customers they agree by {row.value:.2f} (adjusted Rand index)."
    return said


def title_usefulness(uses: pd.DataFrame) -> str:
    """What foretells the first outcome best, beside the segments."""
    by = uses[uses["target"] == uses["target"].iloc[0]].set_index("predictor")["explained"]
    first = uses["target"].iloc[0]
    said = f"Next quarter's {first}: {say_feature(str(by.idxmax()))} explain most of it, {by.max():.1%}"
    return said if by.idxmax() == "segments" else f"{said}; segments {by['segments']:.1%}"


def say_usefulness(uses: pd.DataFrame) -> str:
    """Say for each outcome what the segments explain of it, and what the simplest rival does."""
    said = []
    for target, rows in uses.groupby("target", sort=False):
        by = rows.set_index("predictor")["explained"]
        parts = ", ".join(f"{name} {share:.1%}" for name, share in by.items())
        said.append(f"Of the next quarter's **{target}**, explained out of sample: {parts}.")
    return " ".join(said) or "The data reach too short a time to see what segments foretell."


def say_words(words: Words, flagged: pd.DataFrame) -> str:
    """Say how far the rules can stand in for the segments, and which features stand in for age."""
    low, high = (float(end) for end in (words.interval.low, words.interval.high))
    said = f"The rules put {words.fidelity:.1%} ({low:.1%} to {high:.1%}) of people held out in their segment; "
    said += f"calling everyone by the largest would put {words.by_largest:.1%}."
    if len(flagged):
        named = ", ".join(flagged.loc[flagged["flagged"], "feature"]) or "no feature"
        said += f" Standing in for age: {named}."
    first = words.rules.groupby("segment").first()
    return f"{said}\n\n" + "\n".join(f"* **{name}**: {row.rule}" for name, row in first.iterrows())


def say_methods(methods: pd.DataFrame) -> str:
    """Say how many groups each method finds, and whether any lies behind a valley."""
    if methods.empty:
        return "There are too few different people to compare methods."
    found = ", ".join(f"{row.method} {row.n_groups} (by {row.chosen_by})" for row in methods.itertuples())
    deepest = methods["valley"].min()
    said = f"the deepest valley between groups is {deepest:.2f}, and {DEEP} would be a group."
    return f"Groups found: {found}; " + (said if np.isfinite(deepest) else "none finds two.")


def fallen(people: pd.DataFrame) -> tuple[int, int]:
    """How many were of high value on the last date but one, and how many of them are at risk or have lapsed."""
    dates = np.sort(people["as_of"].unique())
    if len(dates) < 2:
        return 0, 0
    before = people[(people["as_of"] == dates[-2]) & people["high_value"]]["person_id"]
    now = people[(people["as_of"] == dates[-1]) & people["person_id"].isin(before)]
    return len(before), int(now["lifecycle"].isin(["at risk", "lapsed"]).sum())


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
    count: GroupCount,
    found: Segmentation,
    nothing: np.ndarray,
    moves: Movement,
    refitted: Refitted,
    *,
    uses: pd.DataFrame,
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
    figures["stability"] = float(made["stability"])
    for row in uses[uses["predictor"] != "RFM cells"].itertuples():
        figures[f"{row.target}_explained_by_{row.predictor.split()[0]}"] = row.explained
    return {name: value for name, value in figures.items() if np.isfinite(value)}
