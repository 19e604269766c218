"""Sentences of the page that depend on what was found."""

import pandas as pd

from journeybook.clickstream.attribution import Attribution
from journeybook.clickstream.channels import ChannelPaths
from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.sessions import START


def describe_counts(counts: StepCounts) -> str:
    """Return what was read, what was set aside, and what an interval stands for."""
    if counts.aggregated:
        read = f"{counts.n_events:,} aggregated paths walked {counts.n_sessions:,} times"
        people = "Nothing is known of people, so every step is taken for a new person's: intervals are too narrow."
    else:
        read = f"{counts.n_events:,} events in {counts.n_sessions:,} sessions"
        unknown = counts.n_clusters - counts.n_people
        who = [f"{counts.n_people:,} people"] * bool(counts.n_people)
        who += [f"{unknown:,} sessions of unknown visitors"] * bool(unknown)
        people = f"Intervals draw {' and '.join(who)}, each with all it did"
        people += f", in {counts.n_groups:,} random groups." if counts.n_groups < counts.n_clusters else "."
    if counts.conversion is None:
        ends = "No event counts as conversion, so every session ends in exit"
    elif counts.aggregated:
        ends = f"{counts.n_conversions:,} end in conversion"
    else:
        ends = f"A session ends at its first `{counts.conversion}`: {counts.n_conversions:,} do"
    aside = []
    if counts.conversion is not None and not counts.aggregated:
        aside.append(f"{counts.n_after_conversion:,} events after a conversion are set aside")
    aside += [f"{counts.n_unplaced:,} events with neither session nor customer are set aside"] * bool(
        counts.n_unplaced
    )
    if counts.n_cut_by_log:
        aside.append(f"{counts.n_cut_by_log:,} sessions may have been cut by the edges of the log")
    return f"{read}. {ends}. {'; '.join(aside)}{'. ' if aside else ''}{people}"


def describe_states(states: pd.DataFrame, counts: StepCounts) -> str:
    """Return where leaving costs most."""
    if not counts.n_conversions:
        busiest = states.assign(exits=states["visits"] * states["drop_off"]).nlargest(1, "exits").iloc[0]
        return (
            f"**What we see.** Nothing converts here, so leaving costs nothing that can be counted. Most sessions "
            f"end on `{busiest['state']}`, where {busiest['drop_off']:.1%} of the visits are the last."
        )
    top = states.iloc[0]
    most = states.iloc[int(states["drop_off"].argmax())]
    same = (
        "It is also where the largest share leaves."
        if most["state"] == top["state"]
        else (f"The largest share leaves at `{most['state']}` ({most['drop_off']:.1%}), where less is lost.")
    )
    return (
        f"**What we see.** Leaving at `{top['state']}` costs most: {top['drop_off']:.1%} of its {top['visits']:,} "
        f"visits are the last of their session, and had they gone on like the others they would have brought "
        f"{top['lost_conversions']:,.0f} conversions more ({top['lost_conversions_low']:,.0f} to "
        f"{top['lost_conversions_high']:,.0f}). {same} **What it does not show.** Who leaves may have meant to; "
        f"nobody can bring back all of them, and the losses of two pages do not add up. "
        f"**What to do.** Ask those who leave at `{top['state']}` why, before anything is built."
    )


def describe_bottlenecks(bottlenecks: pd.DataFrame, counts: StepCounts, *, improvement: float) -> str:
    """Return which step would bring most."""
    if bottlenecks.empty:
        return "**What we see.** No step leads to a conversion, so there is nothing to rank."
    top = bottlenecks.iloc[0]
    text = (
        f"**What we see.** The step from `{top['source']}` to `{top['target']}` would bring most: one per cent "
        f"more of it is {top['elasticity']:.2f} per cent more conversions ({top['elasticity_low']:.2f} to "
        f"{top['elasticity_high']:.2f}). Improved by {improvement:.0%}, from {top['probability']:.1%} to "
        f"{min(top['probability'] * (1 + improvement), 1):.1%}, it would have brought "
        f"{top['extra_conversions']:,.0f} conversions more than the {counts.n_conversions:,} there were. "
    )
    if len(bottlenecks) > 1:
        second = bottlenecks.iloc[1]
        text += (
            f"It ranks first in {top['first_share']:.0%} of the draws; next is `{second['source']}` to "
            f"`{second['target']}` with {second['elasticity']:.2f}. "
        )
    return text + (
        "**What it does not show.** What the improvement costs, and whether those who are moved would go on like "
        "those who came by themselves. **What to do.** Test a change of this step first, as an experiment."
    )


def describe_attribution(paths: ChannelPaths, found: Attribution) -> str:
    """Return what the channels are credited with."""
    if found.note is not None:
        return f"**What we see.** Nothing can be attributed: {found.note}."
    markov = found.table[found.table["method"] == "markov_removal"]
    top = markov.iloc[0]
    last = found.table[(found.table["method"] == "last_touch") & (found.table["channel"] == top["channel"])].iloc[
        0
    ]
    total = markov["removal_effect"].sum()
    who = "known people; unknown visitors cannot be followed" if paths.known_only else "every path"
    return (
        f"**What we see.** Over {paths.n_paths:,} paths ({who}), {paths.n_conversions:,} of which convert, "
        f"`{top['channel']}` takes the largest share by removal, {top['share']:.1%} ({top['share_low']:.1%} to "
        f"{top['share_high']:.1%}); by last touch it has {last['share']:.1%}. Taken one at a time the removals "
        f"lose {total:.0%} of the conversions in all: the effects overlap, so only their shares can be divided. "
        f"**What it does not show.** Who would have come anyway by another channel: removal sends them all away. "
        f"**What to do.** Read the shares as a ranking, and measure a channel by switching it off for some."
    )


def describe_without_exits(wrong: pd.DataFrame, counts: StepCounts) -> str:
    """Return how large the error is when exits are left out."""
    start = wrong[wrong["source"] == START].iloc[0]
    step = _most_wrong(wrong)
    text = (
        f"**What we see.** The step from `{step['source']}` to `{step['target']}` is taken on "
        f"{step['probability']:.1%} of the visits; without exits it seems "
        f"{step['probability_without_exits']:.1%}, because "
        f"{1 - step['probability'] / step['probability_without_exits']:.0%} of the visits are gone. "
    )
    if counts.n_conversions:
        text += (
            f"A session converts with probability {start['conversion_probability']:.1%}; by the chain without "
            f"exits {start['conversion_without_exits']:.0%} would. "
        )
    return text + "**What to do.** Count the end of a session as a step, `(exit)`, like any other."


def describe_planted_channels(found: Attribution, truth: pd.DataFrame) -> str:
    """Return how far each method is from the shares the demo planted.

    Args:
        found: The page's attribution.
        truth: Truth `event_channels`: `channel`, `share`, `removal_effect`.
    """
    planted = truth.set_index("channel")
    away = found.table.assign(away=(found.table["share"] - found.table["channel"].map(planted["share"])).abs())
    by_method = away.groupby("method")["away"].mean().sort_values()
    listed = ", ".join(f"{str(method).replace('_', ' ')} {100 * value:.1f}" for method, value in by_method.items())
    markov = found.table[found.table["method"] == "markov_removal"]
    return (
        f"**Against the truth.** Mean distance from the planted shares, in percentage points: {listed}. Run again "
        f"without each channel in turn, the generator loses {planted['removal_effect'].sum():.0%} of the "
        f"conversions in all, where removal from the chain loses {markov['removal_effect'].sum():.0%}: many would "
        f"have come by another channel, and no path shows who."
    )


def headline(
    counts: StepCounts, bottlenecks: pd.DataFrame, found: Attribution, wrong: pd.DataFrame
) -> dict[str, float]:
    """Return the figures of the page that the report shows; those that do not exist are left out."""
    figures = {
        "n_sessions": counts.n_sessions,
        "n_conversions": counts.n_conversions,
        "conversion_share": counts.n_conversions / counts.n_sessions,
    }
    if not bottlenecks.empty:
        figures["top_step_elasticity"] = bottlenecks["elasticity"].iloc[0]
        figures["top_step_extra_conversions"] = bottlenecks["extra_conversions"].iloc[0]
    if found.note is None:
        markov = found.table[found.table["method"] == "markov_removal"]
        figures["top_channel_removal_share"] = markov["share"].iloc[0]
    step = _most_wrong(wrong)
    figures["pitfall_step_share"] = step["probability"]
    figures["pitfall_step_share_without_exits"] = step["probability_without_exits"]
    start = wrong[wrong["source"] == START].iloc[0]
    figures["pitfall_conversion_share_without_exits"] = start["conversion_without_exits"]
    return {name: float(value) if isinstance(value, float) else int(value) for name, value in figures.items()}


def _most_wrong(wrong: pd.DataFrame) -> pd.Series:
    """Return the step that gains most, in percentage points, when exits are left out."""
    gained = wrong["probability_without_exits"] - wrong["probability"]
    return wrong.iloc[int(gained.argmax())]


def summarise(
    counts: StepCounts, states: pd.DataFrame, bottlenecks: pd.DataFrame, found: Attribution, *, improvement: float
) -> str:
    """Return the three bullets at the top of the page."""
    if not counts.n_conversions:
        busiest = states[states["state"] != START].iloc[0]
        start = states[states["state"] == "(start)"].iloc[0]
        return (
            f"* {counts.n_sessions:,} sessions, none of which converts; a session has "
            f"{start['expected_steps'] - 1:.1f} events on average.\n"
            f"* The page visited most is `{busiest['state']}`.\n"
            f"* Name the event that counts in `conversion` to see what would help most."
        )
    top, step = states.iloc[0], bottlenecks.iloc[0]
    channel = "Nothing can be attributed to channels."
    if found.note is None:
        best = found.table[found.table["method"] == "markov_removal"].iloc[0]
        channel = f"`{best['channel']}` takes the largest share of conversions by removal, {best['share']:.0%}."
    return (
        f"* {counts.n_conversions / counts.n_sessions:.1%} of {counts.n_sessions:,} sessions convert; leaving at "
        f"`{top['state']}` costs most.\n"
        f"* Improving `{step['source']}` to `{step['target']}` by {improvement:.0%} would bring "
        f"{step['gain']:.1%} more conversions, more than any other step.\n"
        f"* {channel}"
    )
