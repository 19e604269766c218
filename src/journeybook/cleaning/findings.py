"""What page 02 found, for whoever builds on its tables."""

from collections.abc import Iterator
from functools import partial

import pandas as pd

from journeybook.cleaning.stage import Cleaning
from journeybook.cleaning.words import differs
from journeybook.findings import Finding, say_count, say_share

_MISSING = "What is missing, and does it depend on what we want to know?"
_about_rules = partial(Finding, section="Which rules touched which rows?")


def find(
    found: Cleaning, report: pd.DataFrame, *, presence: pd.DataFrame, chosen: pd.DataFrame, score: pd.DataFrame
) -> list[Finding]:
    """Return the page's findings; the frames are those of the page's other functions."""
    return [
        *_mistakes(found, score),
        *_spend(differs(presence)),
        *_holes(report, chosen),
        _rows(found),
    ]


def _mistakes(found: Cleaning, score: pd.DataFrame) -> Iterator[Finding]:
    for worst in score[score.n_right < score.n_planted].head(1).itertuples():
        n, of = worst.n_planted - worst.n_right, worst.n_planted
        yield _about_rules(
            text=f"{say_count(n)} of {say_count(of)} planted mistakes of one kind were not found: {worst.fault}.",
            action="Do not take the tables for free of mistakes: no rule finds what it was not written for.",
            strength="contradicted",
            worth=3,
            value=float(n),
            unit="mistakes",
            figure=None,
        )
    hit = found.mistakes.changes[found.mistakes.changes.rows_changed > 0]
    cells, rows = (int(hit[hit.action == action].rows_changed.sum()) for action in ("changed", "set aside"))
    for most in hit.sort_values("rows_changed", ascending=False, kind="stable").head(1).itertuples():
        yield _about_rules(
            text=f"The sources sent {say_count(rows)} rows that count nobody and {say_count(cells)} wrong cells; "
            f"most often {most.rule} in {most.table.replace('_', ' ')}.",
            action="They are mended or set aside here: tell the source, or next week brings them again.",
            strength="counted",
            worth=2,
            value=float(cells + rows),
            unit="mistakes",
            figure=None,
        )


def _spend(differing: pd.DataFrame) -> Iterator[Finding]:
    for one in differing.head(1).itertuples():
        yield Finding(
            text=f"Having a value goes with spend in {len(differing)} of the columns that describe customers, "
            f"first of all in {one.column.replace('_', ' ')} of {one.table.replace('_', ' ')}.",
            action="Say whom such a figure covers, and keep not known as a value of its own.",
            strength="clear",
            worth=2,
            section=_MISSING,
            value=float(len(differing)),
            unit="columns",
        )


def _holes(report: pd.DataFrame, chosen: pd.DataFrame) -> Iterator[Finding]:
    holes = report[report.n_missing > 0].sort_values("missing_share", ascending=False, kind="stable")
    better = chosen.column[(chosen.method == "model") & (chosen.n_missing > 0)]
    action = "Fill it in with the median and flag it: nothing comes nearer to the segments' profile."
    if len(better):
        named = " and ".join(name.split(".")[-1].replace("_", " ") for name in better[:2])
        action = f"Fill in {named} from the other columns, as pages 05 and 07 do; flag the rest as missing."
    for most in holes.head(1).itertuples():
        if not len(better) and most.column not in chosen.column.str.split(".").str[-1].tolist():
            action = "Map the column that holds it, if there is one: no other column stands in for it."
        yield Finding(
            text=f"{most.column.replace('_', ' ').capitalize()} of {most.table.replace('_', ' ')} is missing in "
            f"{say_share(most.missing_share)} of the rows that should have it, the most of all columns.",
            action=action,
            strength="counted",
            worth=3,
            section="What would filling in do?" if len(better) else _MISSING,
            value=float(most.missing_share),
            unit="share",
        )


def _rows(found: Cleaning) -> Finding:
    n, touched, aside = (int(found.counts[c].sum()) for c in ("rows_in", "rows_touched", "rows_set_aside"))
    return _about_rules(
        text=f"Rules touched {say_count(touched)} of {say_count(n)} rows; {say_count(aside)} are set aside "
        "and none is lost.",
        action="Count units, not quantity; a rule that finds far more than last week tells of the source.",
        strength="counted",
        worth=3,
        value=float(touched),
        unit="rows",
    )
