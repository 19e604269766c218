"""What was planted in simulated events, and how near the page comes to it."""

from collections.abc import Callable, Mapping

import pandas as pd

from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.faults import FaultScan
from journeybook.journeys.links import USUAL_CONVERSION
from journeybook.journeys.sessions import CONVERSION, START

Truths = Mapping[str, pd.DataFrame]

_NAMES = ("event_mix", "event_bottlenecks", "event_faults")
_COLUMNS = ["name", "value", "reference", "tolerance", "rule", "source"]


def known_truth(truth: Callable[[str], pd.DataFrame | None], *, counts: StepCounts) -> dict[str, pd.DataFrame]:
    """Return what was planted, by name; nothing where another event counts as conversion."""
    if counts.conversion != USUAL_CONVERSION:
        return {}
    known = {name: truth(name) for name in _NAMES}
    return {n: t.replace({"target": {USUAL_CONVERSION: CONVERSION}}) for n, t in known.items() if t is not None}


def hold_against_truth(truths: Truths, tables: Mapping[str, pd.DataFrame], *, faults: FaultScan) -> pd.DataFrame:
    """Hold steps, conversion, bottleneck and fault against what was planted.

    Returns:
        One row a check; no rows where nothing was planted.
    """
    rows: list[tuple] = []
    if "event_mix" in truths:
        rows += _steps(truths["event_mix"], tables["states"], tables["transitions"])
        bottlenecks, (source, target) = tables["bottlenecks"], planted_step(truths)
        found = bottlenecks.index[(bottlenecks["source"] == source) & (bottlenecks["target"] == target)]
        rank = int(found[0]) + 1 if len(found) else len(bottlenecks) + 1
        name = f"rank of {source} to {target}, planted"
        rows.append((name, rank, 1, 0, "within", "truth of the demo"))
    if "event_faults" in truths:
        overlap, n_false = fault_overlap(faults, truths["event_faults"])
        name, demo = "days of the planted fault found", "truth of the demo"
        rows.append((name, overlap, 0.75, 0, "at least", demo))
        rows.append(("faults found that were not planted", n_false, 0, 0, "within", demo))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _steps(mix: pd.DataFrame, states: pd.DataFrame, transitions: pd.DataFrame) -> list[tuple]:
    """The share of planted steps, expected 20 times or more, that the intervals hold; the chance of conversion."""
    often = mix[mix["expected_n"] >= 20]
    both = often.merge(transitions, on=["source", "target"], how="left", suffixes=("_planted", ""))
    held = both["probability_planted"].between(both["probability_low"], both["probability_high"]).mean()
    start = states.set_index("state").loc[START]
    error = (start["conversion_probability_high"] - start["conversion_probability_low"]) / (2 * 1.96)
    ends = mix.loc[mix["target"] == CONVERSION, "expected_n"].sum()
    chance = ends / mix.loc[mix["source"] == START, "expected_n"].sum()
    least = 0.95 - 4 * (0.95 * 0.05 / len(both)) ** 0.5
    demo = "truth of the demo; {} four standard errors{}"
    return [
        ("planted steps inside their interval", held, least, 0, "at least",
         demo.format("95 % less", "")),
        ("chance of conversion, planted", start["conversion_probability"], chance, 4 * error, "within",
         demo.format("within", ", people drawn")),
    ]  # fmt: skip


def planted_step(truths: Truths) -> tuple[str, str]:
    """Return source and target of the planted bottleneck."""
    steps = truths["event_bottlenecks"]
    source, target = steps.loc[steps["planted"].astype(bool), ["source", "target"]].iloc[0]
    return source, target


def fault_overlap(faults: FaultScan, planted: pd.DataFrame) -> tuple[float, int]:
    """Return how well the planted fault was found, and how many faults were not planted.

    Returns:
        Days in both spans as a share of the days in either, 0 where the step's drop is no fault on that device;
        and the number of other faults.
    """
    truth, found = planted.iloc[0], faults.table[faults.table["fault"].astype(bool)]
    right = (found[["source", "target", "device"]] == truth[["source", "target", "device"]]).all(axis=1)
    if not right.any():
        return 0.0, len(found)
    row = found[right].iloc[0]
    starts, ends = (sorted([row[name], truth[name]]) for name in ("starts_at", "ends_at"))
    return max((ends[0] - starts[1]) / (ends[1] - starts[0]), 0.0), int((~right).sum())
