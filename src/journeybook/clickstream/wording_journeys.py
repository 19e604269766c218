"""Sentences on channels, paths, funnels and moments."""

import pandas as pd

from journeybook.clickstream.attribution import Attribution
from journeybook.clickstream.channels import ChannelPaths
from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.funnels import LOOSE, STRICT
from journeybook.clickstream.moments import NOW
from journeybook.clickstream.witnesses import CoverageStudy


def describe_attribution(paths: ChannelPaths, found: Attribution) -> str:
    """Return what the channels are credited with."""
    if found.note is not None:
        return f"**What we see.** Nothing can be attributed: {found.note}."
    table = found.table
    markov = table[table["method"] == table["method"].iloc[0]]
    top = markov.iloc[0]
    of_top = table[(table["channel"] == top["channel"]) & (table["method"] != top["method"])]
    least, most = of_top.loc[of_top["share"].idxmin()], of_top.loc[of_top["share"].idxmax()]
    total = markov["removal_effect"].sum()
    who = "of known people" if paths.known_only else "all there are"
    untimed = "" if paths.timed else " Without times, time decay halves with each touch further back."
    return (
        f"**What we see.** Over {paths.n_paths:,} paths ({who}), {paths.n_conversions:,} of which convert, "
        f"`{top['channel']}` takes the largest share by removal, {top['share']:.1%} ({top['share_low']:.1%} to "
        f"{top['share_high']:.1%}); the other methods give it {least['share']:.1%} ({_name(least['method'])}) to "
        f"{most['share']:.1%} ({_name(most['method'])}). Taken one at a time the removals lose {total:.0%} of "
        f"the conversions in all: the effects overlap, so only their shares can be divided.{untimed} **What it "
        "does not show.** Who would have come anyway by another channel: removal sends them all away. The "
        "intervals are those of the shares, not of what a channel causes. **What to do.** Move no budget on these "
        "shares, also where the methods agree: switch a channel off for some, at random, and count."
    )


def describe_planted_channels(found: Attribution, beside: pd.DataFrame, truth: pd.DataFrame) -> str:
    """Return how far each method is from the shares the demo planted.

    Args:
        found: The page's attribution.
        beside: What `beside_planted` returns.
        truth: Truth `event_channels`: `channel`, `removal_effect`.
    """
    listed = ", ".join(f"{_name(row.method)} {100 * row.mean_distance:.1f}" for row in beside.itertuples())
    first = found.table[found.table["method"] == found.table["method"].iloc[0]]
    held = int(beside["n_inside"].max())
    inside = (
        "No interval of any method holds a planted share"
        if held == 0
        else f"The intervals of no method hold more than {held} of the {len(truth)} planted shares"
    )
    return (
        f"**Against the truth.** Mean distance from the planted shares, in percentage points: {listed}. "
        f"{inside}. Run again without each channel in turn, the generator loses "
        f"{truth['removal_effect'].sum():.0%} of the conversions in all, where removal from the chain loses "
        f"{first['removal_effect'].sum():.0%}: many would have come by another channel, and no path shows who."
    )


def describe_coverage(study: CoverageStudy) -> str:
    """Return how often intervals hold the truth that take every step for a new person's."""
    held = ", ".join(f"{share:.0%}" for share in study.table["independent"])
    each = ", ".join(str(n) for n in study.table["steps_each"])
    return (
        f"Intervals that take every step for a new person's (a Dirichlet posterior) hold the truth {held} of the "
        f"time at {each} steps a person; the page's, which draw people, {study.clustered:.0%}."
    )


def describe_journeys(found: pd.DataFrame) -> str:
    """Return the paths taken most, the loop that matters, and what comes before leaving."""
    paths, won = (found[found["kind"] == kind] for kind in ("path", "converting_path"))
    if paths.empty:
        return "**What we see.** There is no session."
    top = paths.iloc[0]
    text = (
        f"**What we see.** The most frequent session is `{top['sequence']}`, {top['share']:.1%} of all; the "
        f"{len(paths)} most frequent are {paths['share'].sum():.0%}. "
    )
    if len(won):
        best = won.iloc[0]
        text += f"Of those that convert {best['share']:.1%} go `{best['sequence']}`. "
    loops = found[(found["kind"] == "loop") & found["usual"].notna()]
    apart = loops[(loops["rate_high"] < loops["usual"]) | (loops["rate_low"] > loops["usual"])]
    if len(apart) and apart["usual"].max() > 0:
        row = apart.iloc[int(((apart["rate"] - apart["usual"]).abs() * apart["n"]).argmax())]
        text += (
            f"After the loop `{row['sequence']}` {row['rate']:.1%} convert ({row['rate_low']:.1%} to "
            f"{row['rate_high']:.1%}), after other visits to the same page {row['usual']:.1%}. "
        )
    elif len(loops):
        text += (
            "After none of the loops shown is conversion clearly rarer or more frequent than after other visits. "
        )
    exits = found[(found["kind"] == "before_exit") & found["usual"].notna()]
    more = exits[exits["rate_low"] > exits["usual"]]
    if len(more):
        row = more.iloc[0]
        text += (
            f"After `{row['sequence']}` {row['rate']:.1%} leave, where {row['usual']:.1%} do on the same page "
            "after other events. "
        )
    return text + (
        "**What it does not show.** Why: whoever loops may differ from whoever does not. Of many sequences some "
        "stand apart by chance. **What to do.** Take a sequence that stands apart as a question for the next "
        "test."
    )


def describe_funnel(table: pd.DataFrame) -> str:
    """Return where the funnel narrows, and what the two definitions disagree on."""
    loose, strict = (table[table["definition"] == name].reset_index(drop=True) for name in (LOOSE, STRICT))
    worst = loose.iloc[1:].nsmallest(1, "of_previous").iloc[0]
    last_loose, last_strict = loose.iloc[-1], strict.iloc[-1]
    before = loose["stage"].iloc[int(worst["number"]) - 2]
    missed = last_loose["n_sessions"] - last_strict["n_sessions"]
    return (
        f"**What we see.** The narrowest step is `{before}` to `{worst['stage']}`: {worst['of_previous']:.1%} "
        f"({worst['of_previous_low']:.1%} to {worst['of_previous_high']:.1%}) of those who came so far take it. "
        f"{last_loose['n_sessions']:,} sessions come to the end where detours are allowed, "
        f"{last_strict['n_sessions']:,} of them without: the strict definition misses {missed:,}. **What it does "
        "not show.** Sessions that convert on another way, and people who come back another day. **What to "
        "do.** Say with a funnel which definition it has."
    )


def describe_moments(moments: pd.DataFrame, *, kept_share: float) -> str:
    """Return when the one offer of a session is best made."""
    if moments.empty or moments["gain_now"].max() == 0:
        return "**What we see.** No offer can bring a conversion here, so no moment is better than another."
    top = moments.iloc[0]
    unsure = moments["now_share"].between(0.05, 0.95)
    now, open_to_doubt = moments[(moments["offer"] == NOW) & ~unsure], moments[unsure]
    text = (
        f"**What we see.** An offer changes most at `{top['state']}`: if it kept {kept_share:.0%} of those about "
        f"to leave, it would bring {100 * top['gain_now']:.2f} conversions for a hundred sessions there "
        f"({100 * top['gain_now_low']:.2f} to {100 * top['gain_now_high']:.2f}). "
    )
    if len(now):
        text += f"With one offer a session it is best made at once at {_listed(now['state'])}. "
    if len(open_to_doubt):
        text += f"The data do not settle whether to wait at {_listed(open_to_doubt['state'])}. "
    if len(now) + len(open_to_doubt) < len(moments):
        text += "Elsewhere it is better held back. "
    return text + (
        "**What it does not show.** Whether an offer keeps anyone: that share is assumed, and taken to be the "
        "same everywhere; which moment is best does not depend on its size. **What to do.** Try the first "
        "moment in an experiment before building on it."
    )


def describe_live(live: pd.DataFrame, counts: StepCounts, *, has_ledger: bool) -> str:
    """Return how many sessions an offer can still be made to."""
    if not counts.timed:
        return "The events have no times, so it is not known which sessions are still open."
    whose = " of people who permit personalisation" if has_ledger else ""
    are = "session" + (f"{whose} is" if len(live) == 1 else f"s{whose} are")
    return f"{len(live):,} {are} open at the end of the log."


def describe_prefixes(calibration: pd.DataFrame) -> str:
    """Return whether the chance given to a live session is what becomes of it."""
    out = calibration[
        (calibration["predicted"] < calibration["observed_low"])
        | (calibration["predicted"] > calibration["observed_high"])
    ]
    away = (calibration["predicted"] - calibration["observed"]).abs().max()
    if out.empty:
        held = "within the interval of the share observed, however long the session has gone on"
    else:
        held = f"outside it for sessions of {', '.join(out['events_so_far'])} events so far"
    return f"The chance of conversion is {held}; it is off by {100 * away:.2f} percentage points at most."


def _name(method: str) -> str:
    return {"markov_removal": "removal", "shapley": "Shapley"}.get(method, method.replace("_", " ")).replace(
        "markov removal", "removal of order"
    )


def _listed(states: pd.Series, most: int = 6) -> str:
    names = [f"`{name}`" for name in states[:most]]
    if len(states) > most:
        return f"{', '.join(names)} and {len(states) - most} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
