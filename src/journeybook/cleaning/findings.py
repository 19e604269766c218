"""What page 02 found, for whoever builds on its tables."""

import pandas as pd

from journeybook.cleaning.stage import Cleaning
from journeybook.cleaning.words import differs
from journeybook.findings import Finding, say_count, say_share

_RULES, _MISSING, _FILLING = (
    "Which rules touched which rows?",
    "What is missing, and does it depend on what we want to know?",
    "What would filling in do?",
)


def find(
    found: Cleaning, report: pd.DataFrame, *, presence: pd.DataFrame, advice: pd.DataFrame, score: pd.DataFrame
) -> list[Finding]:
    """Return the page's findings.

    Args:
        found: All tables after cleaning.
        report: As `missing_report` returns it.
        presence: As `presence_by_spend` returns it.
        advice: As `advise` returns it.
        score: As `score_mistakes` returns it.
    """
    return [*_missed(score), *_mistakes(found), *_spend(differs(presence)), *_holes(report, advice), _rows(found)]


def _missed(score: pd.DataFrame) -> list[Finding]:
    missed = score[score.n_right < score.n_planted]
    if missed.empty:
        return []
    worst = missed.iloc[0]
    return [
        Finding(
            text=f"{say_count(worst.n_planted - worst.n_right)} of {say_count(worst.n_planted)} planted mistakes "
            f"of one kind were not found: {worst.fault}.",
            action="Do not take the tables for free of mistakes: no rule finds what it was not written for.",
            strength="contradicted",
            worth=3,
            section=_RULES,
            value=float(worst.n_planted - worst.n_right),
            unit="mistakes",
            figure=None,
        )
    ]


def _mistakes(found: Cleaning) -> list[Finding]:
    hit = found.mistakes.changes[found.mistakes.changes.rows_changed > 0]
    if hit.empty:
        return []
    cells, rows = (int(hit[hit.action == action].rows_changed.sum()) for action in ("changed", "set aside"))
    most = hit.sort_values("rows_changed", ascending=False, kind="stable").iloc[0]
    return [
        Finding(
            text=f"The sources sent {say_count(rows)} rows that count nobody and {say_count(cells)} wrong cells; "
            f"most often {most.rule} in {most.table.replace('_', ' ')}.",
            action="They are mended or set aside here: tell the source, or next week brings them again.",
            strength="counted",
            worth=2,
            section=_RULES,
            value=float(cells + rows),
            unit="mistakes",
            figure=None,
        )
    ]


def _spend(differing: pd.DataFrame) -> list[Finding]:
    if differing.empty:
        return []
    one = differing.iloc[0]
    return [
        Finding(
            text=f"Having a value goes with spend in {len(differing)} of the columns that describe customers, "
            f"first of all in {one.column.replace('_', ' ')} of {one.table.replace('_', ' ')}.",
            action="Say whom such a figure covers, and keep not known as a value of its own.",
            strength="clear",
            worth=2,
            section=_MISSING,
            value=float(len(differing)),
            unit="columns",
        )
    ]


def _holes(report: pd.DataFrame, advice: pd.DataFrame) -> list[Finding]:
    holes = report[report.n_missing > 0].sort_values("missing_share", ascending=False, kind="stable")
    if holes.empty:
        return []
    most = holes.iloc[0]
    better = advice[advice.advice != "none"] if len(advice) else advice
    action = "Leave it missing: no way of filling in comes nearer than the mean."
    if len(better):
        named = " and ".join(name.split(".")[-1].replace("_", " ") for name in better.column[:2])
        action = f"Fill in {named} from the other columns, inside a model's folds; leave the others missing."
    return [
        Finding(
            text=f"{most.column.replace('_', ' ').capitalize()} of {most.table.replace('_', ' ')} is missing in "
            f"{say_share(most.missing_share)} of the rows that should have it, the most of all columns.",
            action=action,
            strength="counted",
            worth=3,
            section=_FILLING if len(better) else _MISSING,
            value=float(most.missing_share),
            unit="share",
        )
    ]


def _rows(found: Cleaning) -> Finding:
    counts = found.counts
    touched, n = int(counts.rows_touched.sum()), int(counts.rows_in.sum())
    return Finding(
        text=f"Rules touched {say_count(touched)} of {say_count(n)} rows; "
        f"{say_count(counts.rows_set_aside.sum())} are set aside and none is lost.",
        action="Count units, not quantity; a rule that finds far more than last week tells of the source.",
        strength="counted",
        worth=3,
        section=_RULES,
        value=float(touched),
        unit="rows",
    )
