"""What page 15 found, for whoever decides."""

from collections.abc import Iterator

import pandas as pd

from journeybook.findings import Finding, say_points, say_share, size
from journeybook.monitoring.drift import ALL, CALIBRATION, CONCEPT, LABEL
from journeybook.monitoring.limits import CHANGED
from journeybook.monitoring.series import MEASURES, RATE, SHARE
from journeybook.monitoring.words import gravest, say_moved, say_span

_ALARMS, _FAULTS, _DRIFT = (
    "When did something change?",
    "Would a fault be found?",
    "Do people and scores still hold?",
)


def find(
    alarms: pd.DataFrame, standing: pd.DataFrame, drift: pd.DataFrame, *, planted: pd.DataFrame
) -> list[Finding]:
    """Return the page's findings; `planted` are the faults that are known, each with the row of its alarm."""
    return [*_broken(alarms, planted), *_models(drift), *_blind(standing)]


def _broken(alarms: pd.DataFrame, planted: pd.DataFrame) -> Iterator[Finding]:
    """New alarms, then those that are known to be right, then the gravest; of each table and measure one."""
    sure = gravest(alarms[alarms["verdict"] == CHANGED])
    known = sure.index.isin(planted["alarm"])
    sure = pd.concat([sure[of] for of in (sure.is_new, ~sure.is_new & known, ~sure.is_new & ~known)])
    sure = sure.drop_duplicates(["table", "measure"])
    for alarm in sure.head(2).itertuples():
        known = planted[planted["alarm"] == alarm.Index]
        kind, moved = MEASURES[alarm.measure], say_moved(alarm)
        unit = "share" if kind == RATE else "points" if kind == SHARE else "standard deviations"
        yield Finding(
            text=f"{moved[0].upper()}{moved[1:]}, {say_span(alarm)}.",
            action="Find what was released or agreed then, and leave these days out of what is learnt.",
            strength="known answer recovered" if len(known) else "clear",
            worth=1 if pd.isna(alarm.until) else 2 if alarm.is_new else 3,
            section=_ALARMS,
            **size(alarm.effect, alarm.low, alarm.high, unit),
        )


def _models(drift: pd.DataFrame) -> Iterator[Finding]:
    """Response, concept and calibration in all; then what moved most."""
    of = drift[drift["part"].isin([LABEL, CONCEPT, CALIBRATION]) & (drift["name"] == ALL)]
    for row in (
        of.sort_values("part", key=lambda p: p.map({CALIBRATION: 0, CONCEPT: 1, LABEL: 2})).head(1).itertuples()
    ):
        against = {
            CALIBRATION: "its scores",
            CONCEPT: "what the same features gave before",
            LABEL: "the rate before",
        }[row.part]
        actions = {
            "same": "Keep the scores; ask again with the next rows.",
            CHANGED: "Recalibrate the scores before they decide anything.",
            "cannot be told": "Wait for more contacts before touching the scores.",
        }
        yield Finding(
            text=f"In the newest days the response rate is {say_points(row.effect)} against {against}; up to "
            f"{100 * row.margin:g} points count as none.",
            action=actions[row.verdict],
            strength="cannot be told" if row.verdict == "cannot be told" else "clear",
            worth=2 if row.verdict == CHANGED else 3,
            section=_DRIFT,
            **size(row.effect, row.low, row.high, "points"),
        )


def _blind(standing: pd.DataFrame) -> Iterator[Finding]:
    if len(standing):
        slow = (~(standing["delay_days"] <= 28)).mean()
        yield Finding(
            text=f"In {say_share(slow)} of the series a move of the margin takes over four weeks to be found.",
            action="Do not take silence there for health: watch sums over longer times, or fewer sources.",
            strength="counted",
            worth=3,
            section=_FAULTS,
            value=float(slow),
            unit="share",
        )
