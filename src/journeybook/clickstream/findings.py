"""What the page found, for whoever decides."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.faults import FaultScan
from journeybook.clickstream.groups import GroupDifferences
from journeybook.clickstream.orders import OrderChoice
from journeybook.clickstream.truth import Truths, fault_overlap, planted_step
from journeybook.clickstream.words import say_fault, say_groups
from journeybook.findings import Finding, say_count, say_group, say_share
from journeybook.journeys.sessions import CONVERSION, EXIT, START, said

_SURE = 0.95  # of the draws, in which a step or page must rank first to be named for sure
_MANY_TIES = 0.01  # of the events, above which it is said that the order of the rows decides
_WHO = {"device": "on the {}", "channel": "from {}", "visitor": "of {} visitors", "segment": "of {} customers"}


def find(
    counts: StepCounts,
    states: pd.DataFrame,
    bottlenecks: pd.DataFrame,
    order: OrderChoice,
    differences: GroupDifferences,
    faults: FaultScan,
    *,
    improvement: float,
    truths: Truths,
) -> list[Finding]:
    """Return the page's findings."""
    sure = not counts.aggregated and order.chosen <= 1
    return [
        *_faults(faults, truths.get("event_faults")),
        *_step(counts, bottlenecks, truths, improvement=improvement, sure=sure),
        *_leaving(counts, states.iloc[0], sure=sure),
        *_groups(differences, faults),
        *_converts(counts),
        *_ties(counts),
    ]


def _faults(scan: FaultScan, planted: pd.DataFrame | None) -> Iterator[Finding]:
    about: dict[str, Any] = {"section": "Was a step ever broken?", "figure": 0}
    if planted is not None and not fault_overlap(scan, planted)[0]:
        text = f"The simulation broke the step {say_fault(planted.iloc[0])}, and the scan did not find it."
        action = "Do not take silence for health: watch this step by other means."
        yield Finding(text=text, action=action, strength="contradicted", worth=1, **about)
    for _, row in scan.table[scan.table["fault"].astype(bool)].iterrows():
        alone = replace(scan, table=row.to_frame().T)
        overlap = fault_overlap(alone, planted)[0] if planted is not None else None
        lasts, sale = row["ends_at"] > scan.daily["day"].max(), row["target"] == CONVERSION
        first, unit = f"{row['starts_at']:%-d %B}", "conversions" if sale else "steps"
        text = (
            f"The step {say_fault(row)}, was taken on {say_share(row['probability'])} of visits, not "
            f"{say_share(row['probability_outside'])}: {say_count(round(row['lost']))} {unit} lost."
        )
        action = f"Find what was released or switched off about {first}, and set an alarm on this step."
        if lasts:
            action = f"Repair it now, for it lasts to the end of the log; look what was released about {first}."
        if overlap == 0:
            action = "Change nothing: the simulation broke no step here, so this is a false alarm."
        strength = "clear" if overlap is None else "known answer recovered" if overlap else "contradicted"
        worth, size = 1 if overlap != 0 and (sale or lasts) else 2, float(row["lost"])
        yield Finding(text=text, action=action, strength=strength, worth=worth, value=size, unit=unit, **about)
        about["figure"] = None


def _step(
    counts: StepCounts, steps: pd.DataFrame, truths: Truths, *, improvement: float, sure: bool
) -> Iterator[Finding]:
    if steps.empty:
        return
    top = steps.iloc[0]
    strength = "clear" if sure and top["first_share"] >= _SURE else "suggestive"
    if "event_bottlenecks" in truths:
        same = (top["source"], top["target"]) == planted_step(truths)
        strength = "known answer recovered" if same else "contradicted"
    # The interval of a sum that supposes the improvement says nothing of whether it comes: none is told.
    extra = round(float(f"{top['extra_conversions']:.2g}"))
    if not extra:
        return
    about: dict[str, Any] = {"value": extra, "unit": "conversions"}
    text = (
        f"Taking {improvement:.0%} more visits from {said(top['source'])} to {said(top['target'])} would bring "
        f"about {say_count(extra)} conversions on top of {say_count(counts.n_conversions)}, the most of any step."
    )
    rough = "" if sure else ", and rough"
    action = f"Test a change of this step first: this is arithmetic, no forecast{rough}."
    section = "Which step, if improved, would bring most?"
    yield Finding(text=text, action=action, strength=strength, worth=2, section=section, **about)


def _leaving(counts: StepCounts, top: pd.Series, *, sure: bool) -> Iterator[Finding]:
    if not top["lost_conversions"] > 0:
        return
    text = (
        f"Most is lost at {said(top['state'])}: {say_share(top['drop_off'])} of its visits are the last, worth "
        f"{say_count(round(top['lost_conversions']))} conversions had all gone on like the others."
    )
    action = f"Ask those who leave at {said(top['state'])} why, before anything is built; not all can be won back."
    strength = "clear" if sure and top["first_share"] >= _SURE else "suggestive"
    section, about = (
        "Where do they leave, and what does it cost?",
        _sized(top, "lost_conversions", "conversions", counts),
    )
    yield Finding(text=text, action=action, strength=strength, worth=2, section=section, **about)


def _groups(found: GroupDifferences, faults: FaultScan) -> Iterator[Finding]:
    apart = found.table[found.table["differs"].astype(bool) & (found.table["state"] != START)]
    about: dict[str, Any] = {"section": "Do groups, or times, differ?", "strength": "cannot be told", "worth": 3}
    if apart.empty and len(found.table):
        text = f"No clear difference in how visitors go on is seen by {' or '.join(found.compared)}."
        yield Finding(text=text, action="Treat all alike; a small difference may still be there.", **about)
    if apart.empty:
        return
    # Who leaves or buys is worth more than who sees which page.
    ends = apart[apart["target"].isin([EXIT, CONVERSION])]
    top = (apart if ends.empty else ends).sort_values("cramers_v", ascending=False, kind="stable").iloc[0]
    where = f"{said(top['state'])} {_WHO.get(top['grouping'], '{}').format(say_group(said(top['level'])))}"
    goes_on = {EXIT: "are the last", CONVERSION: "convert"}.get(top["target"], f"lead to {said(top['target'])}")
    text = (
        f"{say_share(top['probability'])} of visits to {where} {goes_on}, "
        f"{say_share(top['probability_elsewhere'])} of all others; {say_groups(found).partition(':')[0]}."
    )
    broken = (faults.table["fault"].astype(bool) & (faults.table["source"] == top["state"])).any()
    why = "; the step that was broken may explain it" if broken else ""
    about |= {"strength": "clear", "worth": 3 if ends.empty else 2, "unit": "points"}
    about["value"] = float(top["probability"] - top["probability_elsewhere"])
    yield Finding(text=text, action=f"Look at {where} by itself, before it is changed for all{why}.", **about)


def _converts(counts: StepCounts) -> Iterator[Finding]:
    if counts.n_conversions:
        return
    text = f"None of {say_count(counts.n_sessions)} {'walks' if counts.aggregated else 'sessions'} convert."
    action = "Name the event that counts as conversion, to see where customers are lost."
    about: dict[str, Any] = {"section": "How do people move?", "value": 0.0, "unit": "share"}
    yield Finding(text=text, action=action, strength="counted", worth=2, **about)


def _ties(counts: StepCounts) -> Iterator[Finding]:
    if counts.n_tied <= _MANY_TIES * counts.n_events:
        return
    text = (
        f"{say_share(counts.n_tied / counts.n_events)} of the events bear the time of the one before in their "
        "session; the order of the file decides which came first."
    )
    action = "Map a position within the session, or finer times, if the file is not in the order of the events."
    about: dict[str, Any] = {"section": "How do people move?", "value": float(counts.n_tied), "unit": "events"}
    yield Finding(text=text, action=action, strength="counted", worth=2, **about)


def _sized(row: pd.Series, name: str, unit: str, counts: StepCounts) -> dict[str, Any]:
    """Return a figure and, where people are known for it to hold, its interval."""
    sized = {"value": float(row[name]), "unit": unit}
    ends = {end: float(row[f"{name}_{end}"]) for end in ("low", "high")}
    return sized if counts.aggregated or pd.isna([*ends.values()]).any() else sized | ends
