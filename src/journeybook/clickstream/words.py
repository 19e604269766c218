"""What page 08 says of its results: titles of figures, and the sentences under them."""

import pandas as pd

from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.faults import ALL, DAY, FaultScan
from journeybook.clickstream.funnels import LOOSE, STRICT
from journeybook.clickstream.groups import GroupDifferences
from journeybook.clickstream.orders import OrderChoice
from journeybook.findings import say_count, say_interval, say_names, say_p, say_share
from journeybook.journeys.sessions import CONVERSION, EXIT, START, said


def say_counts(counts: StepCounts) -> str:
    """Say what was read, what was set aside, and what an interval stands for."""
    n, share = say_count(counts.n_sessions), say_share(counts.n_conversions / max(counts.n_sessions, 1))
    if counts.aggregated:
        marks = {"-?>": "", r"\|": " Their steps stand between bars.", ",": " Their steps stand between commas."}
        empty = f" {say_count(counts.n_empty_steps)} empty steps are left out." * bool(counts.n_empty_steps)
        text = f"{say_count(counts.n_events)} paths, walked {n} times; {share} convert."
        return (
            f"{text}{marks[counts.separator]}{empty} People are not known, so intervals take every step for a new "
            "person's, and are too narrow."
        )
    text = f"{say_count(counts.n_events)} events in {n} sessions, of which {share} convert. "
    if counts.conversion is None:
        text = f"{say_count(counts.n_events)} events in {n} sessions; no event counts as conversion. "
    aside = {
        "events after a conversion": counts.n_after_conversion,
        "sessions taken for machines'": counts.n_machine_sessions,
        "sessions shorter than asked": counts.n_short_sessions,
        "events without session, customer or time": counts.n_unplaced,
    }
    left = [f"{say_count(number)} {what}" for what, number in aside.items() if number]
    text += f"Set aside: {', '.join(left)}. " if left else ""
    if counts.n_cut_by_log:
        text += f"{say_count(counts.n_cut_by_log)} sessions may have begun before the log or gone on after it. "
    if counts.n_tied:
        text += f"{say_count(counts.n_tied)} events bear the time of the one before, and keep the file's order. "
    unknown = counts.n_clusters - counts.n_people
    who = [f"{say_count(counts.n_people)} people"] * bool(counts.n_people)
    who += [f"{say_count(unknown)} sessions of unknown visitors"] * bool(unknown)
    return f"{text}Intervals draw {' and '.join(who)}, each with all it did."


def say_if_none(frame: pd.DataFrame, counts: StepCounts) -> str:
    """Say why a table has no rows; nothing where it has some."""
    why = (
        "Aggregated paths do not tell sessions apart."
        if counts.aggregated
        else "Nothing here leads to a conversion."
    )
    return "" if len(frame) else why


def say_note(found: GroupDifferences | FaultScan) -> str:
    """Say why something cannot be told; nothing where it can."""
    return "" if found.note is None else f"{found.note[0].upper()}{found.note[1:]}."


def say_steps(transitions: pd.DataFrame) -> str:
    """Return what becomes of visits to the busiest page, as a title."""
    busiest = transitions.loc[transitions["source"] != START, "source"].iloc[0]
    top = transitions[transitions["source"] == busiest].nlargest(2, "n")
    goes = {EXIT: "are the last", CONVERSION: "convert"}
    told = [
        f"{say_share(r.probability)} {goes.get(r.target, f'lead to {said(r.target)}')}" for r in top.itertuples()
    ]
    return f"Of visits to {said(busiest)}, the busiest page, {' and '.join(told)}"


def say_orders(order: OrderChoice) -> str:
    """Say how far back visitors remember."""
    text = f"BIC chooses a chain of order {order.chosen}"
    if order.held_out_chosen is None:
        return f"{text}; nobody can be held out."
    best = "the same" if order.held_out_chosen == order.chosen else f"order {order.held_out_chosen}"
    return f"{text}; {best} predicts {'visitors' if order.people_known else 'sessions'} held out best."


def first_order_mark(order: OrderChoice) -> str:
    """Return a warning for conclusions of the first order where a higher one is chosen; otherwise nothing."""
    if order.chosen <= 1:
        return ""
    before = "page" if order.chosen == 2 else f"{order.chosen - 1} pages"
    return (
        f"**First order.** BIC chooses order {order.chosen}, but what is said here forgets the {before} before "
        "the present one."
    )


def say_lost(states: pd.DataFrame) -> str:
    """Return where leaving costs most, as a title."""
    top = states.iloc[0]
    if not top["lost_conversions"] > 0:
        exits = states["visits"] * states["drop_off"]
        page, share = said(states.loc[exits.idxmax(), "state"]), say_share(exits.max() / exits.sum())
        return f"Most sessions, {share}, end on {page}; none of them would convert"
    ends = say_interval(say_count, round(top["lost_conversions_low"]), round(top["lost_conversions_high"]))
    return (
        f"Leaving at {said(top['state'])} costs most: {say_count(round(top['lost_conversions']))} conversions "
        f"({ends}), first in {top['first_share']:.0%} of draws"
    )


def say_step(bottlenecks: pd.DataFrame) -> str:
    """Return which step would bring most, as a title."""
    top = bottlenecks.iloc[0]
    ends = f"{top['elasticity_low']:.2f} to {top['elasticity_high']:.2f}"
    return (
        f"1% more visits from {said(top['source'])} to {said(top['target'])} is {top['elasticity']:.2f}% more "
        f"conversions ({ends}), first in {top['first_share']:.0%} of draws"
    )


def say_groups(found: GroupDifferences) -> str:
    """Return where groups differ, as a title."""
    clear = found.table[found.table["differs"]]
    by = [f"{len(part)} by {name}" for name, part in clear.groupby("grouping", sort=False)]
    return f"{len(clear)} of {len(found.table)} comparisons differ clearly{': ' * bool(by)}{', '.join(by)}"


def say_fault(row: pd.Series) -> str:
    """Return a step, the device it was broken on, and when."""
    last, device = row["ends_at"] - DAY, "" if row["device"] == ALL else f" on the {row['device'].strip('()')}"
    first = f"{row['starts_at']:%-d}" if row["starts_at"].month == last.month else f"{row['starts_at']:%-d %B}"
    return f"from {said(row['source'])} to {said(row['target'])}{device}, {first} to {last:%-d %B %Y}"


def say_faults(scan: FaultScan) -> str:
    """Return the steps that were broken, as a title."""
    faults, top = scan.table[scan.table["fault"].astype(bool)], scan.table.iloc[0]
    if faults.empty:
        deepest = f"from {said(top['source'])} to {said(top['target'])}"
        return (
            f"No step was broken; the deepest drop, {deepest}, is no deeper than chance ({say_p(top['p_value'])})"
        )
    more = f" and {len(faults) - 1} more" * (len(faults) > 1)
    return f"Broken: {say_fault(top)} ({say_p(top['p_value'])}){more}"


def say_funnel(table: pd.DataFrame) -> str:
    """Return where the funnel narrows, as a title."""
    loose, strict = (table[table["definition"] == name].reset_index(drop=True) for name in (LOOSE, STRICT))
    worst = loose.iloc[1:].nsmallest(1, "of_previous").iloc[0]
    before, missed = loose["stage"].iloc[int(worst["number"]) - 2], loose["n_sessions"] - strict["n_sessions"]
    return (
        f"Narrowest: {said(before)} to {said(worst['stage'])}, {say_share(worst['of_previous'])} go on; the "
        f"strict definition misses {say_count(missed.iloc[-1])} conversions"
    )


def say_when(moments: pd.DataFrame, live: pd.DataFrame, *, has_ledger: bool) -> str:
    """Say where the offer of a session changes most, and to how many sessions it can be made."""
    if moments.empty or moments["gain_now"].max() == 0:
        return "No offer can bring a conversion here, so no moment is better than another."
    top = moments.iloc[0]
    ends = f"{100 * top['gain_now_low']:.2g} to {100 * top['gain_now_high']:.2g}"
    best = say_names([said(state) for state in moments.loc[moments["best_state"] == moments["state"], "state"]])
    whose = " of people who permit personalisation" * has_ledger
    return (
        f"An offer changes most at {said(top['state'])}: {100 * top['gain_now']:.2g} conversions for a hundred "
        f"sessions ({ends}). It is best made at once at {best}; elsewhere another page is worth the wait. "
        f"Open at the end of the log: {len(live):,} session{'s' * (len(live) != 1)}{whose}."
    )


def say_without_exits(wrong: pd.DataFrame, counts: StepCounts) -> str:
    """Say how large the error is when exits are left out."""
    start, step = wrong[wrong["source"] == START].iloc[0], _most_wrong(wrong)
    text = (
        f"The step from {said(step['source'])} to {said(step['target'])} is taken on "
        f"{say_share(step['probability'])} of visits; without exits it seems "
        f"{say_share(step['probability_without_exits'])}."
    )
    if counts.n_conversions:
        text += (
            f" {say_share(start['conversion_probability'])} of sessions convert; by the chain without exits "
            f"{say_share(round(start['conversion_without_exits'], 6))} would."
        )
    return text


def _most_wrong(wrong: pd.DataFrame) -> pd.Series:
    """Return the step that gains most, in percentage points, when exits are left out."""
    return wrong.iloc[int((wrong["probability_without_exits"] - wrong["probability"]).argmax())]
