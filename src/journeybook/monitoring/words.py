"""What page 15 says beyond its figures' titles, computed from its results."""

from typing import Any

import pandas as pd

from journeybook.findings import say_count, say_feature, say_points, say_share
from journeybook.monitoring.drift import ALL, CALIBRATION, CONCEPT, LABEL
from journeybook.monitoring.limits import CHANGED, SAME, UNTOLD, Expectation
from journeybook.monitoring.series import MEASURES, RATE, SHARE, WHOLE


def gravest(alarms: pd.DataFrame) -> pd.DataFrame:
    """Alarms by how many margins their interval lies from no move, those that go on first among equals."""
    near = alarms[["low", "high"]].abs().min(axis=1).where(alarms["low"] * alarms["high"] > 0, 0)
    order = (near / alarms["margin"]).sort_values(ascending=False, kind="stable").index
    return alarms.loc[order]


def say_moved(alarm: Any) -> str:
    """Return what moved in an alarm, and how far, in the unit of its measure."""
    kind, effect, of = MEASURES[alarm.measure], alarm.effect, alarm.column.replace("_", " ")
    rows = f"rows of {alarm.table.replace('_', ' ')}" + f" ({alarm.source.replace('_', ' ')})" * (
        alarm.source != WHOLE
    )
    column, _, value = of.partition(": ")
    what = {
        "volume": rows,
        "completeness": f"{rows} without {of}",
        "validity": f"{rows} whose {of}",
        "uniqueness": f"repeated {rows}",
        "timeliness": f"the delay of {rows}",
        "consistency": f"{rows} with an unknown {of}",
        "mix": f"the share of {column} {value} among {rows}",
        "values": f"the size of {of} in {rows}",
    }
    far = say_share(abs(effect)) if kind == RATE else f"{abs(effect):.2g} standard deviations"
    far = say_points(abs(effect)).lstrip("+") if kind == SHARE else far
    return f"{what[alarm.measure]} {'rose' if effect > 0 else 'fell'} by {far}"


def say_span(alarm: Any) -> str:
    """Return from when, and when it was over: the last day is an estimate, and rather late.

    >>> say_span(pd.Series({"since": "2017-08-09", "until": None}))
    'since 9 August'
    """
    days = [
        f"{pd.Timestamp(day).day} {pd.Timestamp(day):%B}" for day in (alarm.since, alarm.until) if pd.notna(day)
    ]
    return f"from {days[0]}, over by {days[1]}" if len(days) > 1 else f"since {days[0]}"


def say_watched(expected: Expectation, standing: pd.DataFrame, *, n_series: int, recent_days: int) -> str:
    """How many series are watched, how they stand, and what it would take to tell more."""
    if standing.empty:
        return f"Nothing can be watched: no series has four weeks of reference. {expected.series.note}"
    told = standing["verdict"].value_counts()
    said = [f"{told.get(verdict, 0)} are {word}" for verdict, word in ((SAME, "the same"), (CHANGED, "changed"))]
    text = (
        f"{len(standing)} series of {n_series} have a reference. In the last {recent_days} days {', '.join(said)}"
    )
    text += f", and of {told.get(UNTOLD, 0)} it cannot be told. {expected.series.note} {expected.note}"
    return " ".join(text.split())


def say_alarms(alarms: pd.DataFrame, *, n_sums: int, limit: float, clean: pd.DataFrame, budget: float) -> str:
    """The limit that follows from the budget, and how often clean histories alarmed."""
    if not n_sums:
        return "No series can raise an alarm."
    rate, error = clean_rate(clean)
    changed = int((alarms["verdict"] == CHANGED).sum())
    made = f"{len(clean)} clean histories, SIMULATED, alarmed {rate:.2f} times a month (their error {error:.2f})"
    return (
        f"{n_sums} sums share a budget of {budget:g} false alarms a month: each alarms at {limit:.2f}. "
        f"{made}. There are {len(alarms)} alarms, {int(alarms['is_new'].sum())} of them new; of {changed} the "
        "whole interval lies beyond the margin."
    )


def clean_rate(clean: pd.DataFrame) -> tuple[float, float]:
    """Return the false alarms a month of clean histories, and the standard error of that."""
    each = clean["n_alarms"] / clean["months"]
    return float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5) if len(each) > 1 else float("nan")


def say_drifted(row: Any) -> str:
    """Return the name of one comparison."""
    asked = {LABEL: "response", CONCEPT: "response at the same features", CALIBRATION: "response less its score"}
    name = "" if row.name == ALL else say_feature(row.name)
    name += f" is {row.level}" if row.level else ""
    return f"{asked[row.part]}{name and ', '}{name}" if row.part in asked else name


def say_drift(table: pd.DataFrame, *, n_newest: int, n_before: int, scored: bool, kept: bool) -> str:
    """What was compared, and in one line what more it would take."""
    if table.empty:
        return "Drift cannot be told: that takes 100 dated contacts before the newest days, and 100 in them."
    text = f"{say_count(n_newest)} contacts of the newest days are held against "
    text += "an earlier report. " if kept else f"the {say_count(n_before)} before them. "
    parts = table.groupby("part", sort=False)["verdict"].value_counts().unstack(fill_value=0)
    for part, row in parts.iterrows():
        text += f"{part.capitalize()}: {row.get(CHANGED, 0)} changed, {row.get(SAME, 0)} the same, "
        text += f"{row.get(UNTOLD, 0)} cannot be told. "
    return text + "" * scored + "Scores of page 07 would tell calibration." * (not scored)


def say_pitfall(psi: pd.DataFrame) -> str:
    """How often PSI and this page speak, where nothing moved and where something did."""
    parts = []
    for row in psi.itertuples():
        what = "nothing moved" if not row.shift else f"the mean moved by {row.shift:g} sd"
        parts.append(
            f"At n = {say_count(row.n)}, where {what}, PSI alarms on {say_share(row.psi_alarms)} of samples; "
            f"this page says changed on {say_share(row.changed)}, the same on {say_share(row.same)}."
        )
    return " ".join(parts)
