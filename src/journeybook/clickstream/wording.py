"""Sentences of the page that depend on what was found."""

import pandas as pd

from journeybook.clickstream.attribution import Attribution
from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.sessions import CONVERSION, EXIT, START
from journeybook.clickstream.survival import OTHERS, Survival

# What is said in the place of what only sessions can show.
NO_SESSIONS = "**What we see.** Nothing: aggregated paths do not tell sessions apart."


def describe_counts(counts: StepCounts) -> str:
    """Return what was read, what was set aside, and what an interval stands for."""
    if counts.aggregated:
        read = f"{counts.n_events:,} aggregated paths walked {counts.n_sessions:,} times"
        people = (
            "Nothing is known of people, so intervals take every step for a new person's (Dirichlet), and are too "
            "narrow. Nor do such paths tell sessions apart: how long they live, their ways and the funnel are "
            "left out."
        )
    else:
        read = f"{counts.n_events:,} events in {counts.n_sessions:,} sessions"
        unknown = counts.n_clusters - counts.n_people
        who = [f"{counts.n_people:,} people"] * bool(counts.n_people)
        who += [f"{unknown:,} sessions of unknown visitors"] * bool(unknown)
        among = ", those set aside among them" * bool(counts.n_machine_sessions + counts.n_short_sessions)
        people = f"Intervals draw {' and '.join(who)}{among}, each with all it did"
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
    if counts.n_machine_sessions:
        machines = f"{counts.n_machine_sessions:,} sessions with {counts.n_machine_events:,} events"
        aside.append(f"{machines} are taken for machines' and set aside")
    if counts.n_short_sessions:
        aside.append(f"{counts.n_short_sessions:,} sessions are shorter than asked and set aside")
    if counts.n_unplaced:
        untimed = ", or without a time," if counts.timed else ""
        aside.append(f"{counts.n_unplaced:,} events with neither session nor customer{untimed} are set aside")
    if not counts.aggregated:
        aside.append(f"sessions of one event, visits that ended at once: {counts.n_one_event:,}")
    if counts.n_cut_by_log:
        aside.append(f"{counts.n_cut_by_log:,} sessions may have been cut by the edges of the log")
    beside = "; ".join(aside)
    return f"{read}. {ends}. {beside[:1].upper()}{beside[1:]}{'. ' if beside else ''}{people}"


def describe_states(states: pd.DataFrame, counts: StepCounts) -> str:
    """Return where leaving costs most."""
    if not counts.n_conversions:
        exits = states["visits"] * states["drop_off"]
        busiest = states.loc[exits.idxmax()]
        return (
            f"**What we see.** Nothing converts here, so leaving costs nothing that can be counted. More sessions "
            f"end on `{busiest['state']}` than on any other page, {exits.max() / exits.sum():.0%}; it is the last "
            f"of {busiest['drop_off']:.1%} of its visits."
        )
    top = states.iloc[0]
    if not top["lost_conversions"] > 0:
        return "**What we see.** Nobody leaves who might have converted, so leaving costs nothing."
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
        f"{top['lost_conversions_high']:,.0f}). It ranks first in {top['first_share']:.0%} of the draws. {same} "
        f"**What it does not show.** Who leaves may have meant to; "
        f"nobody can bring back all of them, and the losses of two pages do not add up. "
        f"**What to do.** Ask those who leave at `{top['state']}` why, before anything is built."
    )


def describe_bottlenecks(bottlenecks: pd.DataFrame, counts: StepCounts, *, improvement: float) -> str:
    """Return which step would bring most."""
    if bottlenecks.empty:
        return "**What we see.** No step leads to a conversion, so there is nothing to rank."
    top = bottlenecks.iloc[0]
    more = min(top["probability"] * (1 + improvement), 1)
    text = (
        f"**What we see.** Conversion hangs most on the step from `{top['source']}` to `{top['target']}`: one per "
        f"cent more of it is {top['elasticity']:.2f} per cent more conversions ({top['elasticity_low']:.2f} to "
        f"{top['elasticity_high']:.2f}). From {top['probability']:.1%} to {more:.1%} of the visits would be about "
        f"{_rounded(top['extra_conversions'])} conversions on top of {counts.n_conversions:,}, if those moved "
        "went on like the others: arithmetic of the chain, no forecast. "
    )
    if len(bottlenecks) > 1:
        second = bottlenecks.iloc[1]
        text += (
            f"It ranks first in {top['first_share']:.0%} of the draws; next is `{second['source']}` to "
            f"`{second['target']}` with {second['elasticity']:.2f}. "
        )
    return text + (
        "**What it does not show.** Whether the step can be improved, and what that costs. **What to do.** Test a "
        "change of this step first, as an experiment."
    )


def describe_flow(flow: pd.DataFrame) -> str:
    """Return where sessions begin and how many are gone after the first events."""
    first = flow[flow["step"] == 0].sort_values("n", ascending=False, kind="stable")
    n, named = first["n"].sum(), first[first["target"] != OTHERS]
    begins = ""
    if len(named):
        top = named.iloc[0]
        begins = f"Of the pages named here, sessions begin most often on `{top['target']}` ({top['n'] / n:.0%}). "
    # Who leaves after k events does so at step k; who converts with the k-th event, at the step before.
    after = max(int(flow["step"].max()), 1)
    left = flow.loc[flow["target"] == EXIT, "n"].sum() / n
    bought = flow.loc[(flow["target"] == CONVERSION) & (flow["step"] < after), "n"].sum() / n
    return (
        f"**What we see.** {begins}After {after} event{'s' * (after > 1)} {left:.0%} have left and {bought:.0%} "
        "have converted; the rest go on. "
        "**What it does not show.** Who goes back and forth: a band says where the next event is, not whether it "
        "is progress. **What to do.** Follow the widest grey end back to the page it comes from."
    )


def describe_survival(survival: Survival) -> str:
    """Return how long sessions live, and where the chain is wrong about it."""
    table = survival.table
    half = table.loc[table["share"] <= 0.5, "events"]
    if len(half):
        n_events = int(half.iloc[0])
        median = f"Half of the sessions have ended after {n_events} event{'s' * (n_events > 1)}"
    else:
        median = f"More than half of the sessions go on beyond {table['events'].max()} events"
    # What the last digit told cannot show is no difference.
    low, high = table["share_low"] - 0.0005, table["share_high"] + 0.0005
    out = table[(table["by_chain"] < low) | (table["by_chain"] > high)]
    worst = table.loc[(table["by_chain"] - table["share"]).abs().idxmax()]
    text = (
        f"**What we see.** {median}; the longest has {survival.most_events:,}. "
        f"{table['share'].iloc[1]:.0%} go on after the first event. "
    )
    if out.empty:
        text += "At every length the chain of the first order says the same. "
    else:
        text += (
            f"The chain of the first order is outside the band at {len(out)} of {len(table) - 1} lengths, most "
            f"at {worst['events']:.0f} event{'s' * bool(worst['events'] > 1)}: {worst['by_chain']:.1%} where "
            f"{worst['share']:.1%} are still going. "
        )
    return text + (
        "**What it does not show.** Why a session ends: one that left may have found what it sought. "
        "**What to do.** Judge a change of the first page by who goes on after it, not by how long sessions are."
    )


def describe_times(times: pd.DataFrame) -> str:
    """Return how long those who convert take."""
    if times.empty:
        return "**What we see.** Nothing converts, so nothing takes time to."
    middle = times[times["share"] == 0.5].set_index("measure")
    of_all: list[str] = []
    of_known: list[str] = []
    for measure, row in middle.iterrows():
        digits = 0 if measure in ("events", "sessions") else 1
        value, low, high = (f"{row[name]:,.{digits}f}" for name in ("value", "value_low", "value_high"))
        told = of_known if measure in ("sessions", "days") else of_all
        told.append(f"{value} {str(measure).removesuffix('s' if value == '1' else '')} ({low} to {high})")
    text = f"**What we see.** Half of those who convert take at most {' and '.join(of_all)}. "
    if of_known:
        n = middle.loc["sessions", "n"]
        text += f"Half of the {n:,.0f} conversions of known people took at most {' and '.join(of_known)}. "
    return text + (
        "**What it does not show.** How long the others would take: only ways that ended in a conversion are in "
        "these figures, so they are no forecast for somebody who has not converted. "
        "**What to do.** Wait at least as long before a visit is taken for lost."
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
            f"A {_walk(counts)} converts with probability {start['conversion_probability']:.1%}; by the chain "
            f"without exits {start['conversion_without_exits']:.0%} would. "
        )
    return text + "**What to do.** Count the end of a session as a step, `(exit)`, like any other."


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
        removal = found.table[found.table["method"] == found.table["method"].iloc[0]]
        figures["top_channel_removal_share"] = removal["share"].max()
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


def _rounded(value: float) -> str:
    """Two digits that count: more would claim what no chain knows."""
    return f"{float(f'{value:.2g}'):,.0f}"


def _walk(counts: StepCounts) -> str:
    return "walk" if counts.aggregated else "session"
