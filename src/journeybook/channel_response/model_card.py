"""The card of a saved model: what it is and is not for, what it learned from, how good it is."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.encoding import RARE_LEVEL
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.splits import Split
from journeybook.channel_response.storage import TrainedColumn
from journeybook.channel_response.study import MethodComparison

_JUDGED_ON = {"time": "later contacts", "person": "contacts of other people", "draw": "contacts drawn at random"}
_MEASURES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss (nats)",
    "brier": "Brier score",
    "ece": "expected calibration error",
}


def model_card(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    comparison: MethodComparison,
    columns: tuple[TrainedColumn, ...],
    *,
    data_is: str,
) -> str:
    """Return the card of the chosen model in Markdown, after Mitchell et al. (2019).

    Every figure is computed from what the page found; none is of one person.

    Args:
        contacts: As made by `contact_frame`.
        split: As made by `split_contacts`.
        gate: What it set aside is named.
        comparison: Its chosen model is described.
        columns: The training contract, as made by `training_contract`.
        data_is: REAL, SIMULATED, MIXED or YOURS.
    """
    model = comparison.chosen
    kinds = {kind: _listed(c.name for c in columns if c.kind == kind) for kind in ("number", "level")}
    learned, calibrated, judged = (_part(contacts, part) for part in (split.fit, split.calibrate, split.test))
    met = f", {split.seen_share:.0%} of people met in training" if contacts.has_people else ""
    sections = {
        "Model": [
            f"Method `{model.method}`, resampling `{model.resampling}`; calibrated by Platt's method.",
            f"It reads as numbers {kinds['number']}; as levels {kinds['level']}.",
            f"Kept out, for they may tell the outcome: {_listed(dict.fromkeys(gate.leaks['column']))}.",
            f"Nothing in it is of one person: no row is kept, a level of fewer than {RARE_LEVEL} rows has no "
            "name, ranges are rounded outwards.",
        ],
        "Intended use": [
            "The probability that a contact is answered within the response window.",
            "Not for whom a contact moves: response is not effect (page 14).",
            "Not for credit, work, housing or insurance, nor for people who have not permitted it.",
            "A row outside the ranges and levels of `contract.json` is refused, not guessed at.",
        ],
        "Training data": [
            f"Data: {data_is}. Channels: {_listed(contacts.channels)}.",
            f"Fitted on {learned}; calibrated on {calibrated}.",
        ],
        "Evaluation": [
            f"Judged on {judged}: {_JUDGED_ON[split.how]}{met}.",
            "Intervals are 95 %, clustered by person; they hold the model fixed.",
        ],
    }
    limits = [
        split.warning or "A later campaign, or one of another kind, may be answered otherwise.",
        "Who was contacted was chosen by someone; the model knows people like those.",
        "It may serve groups of people unequally; page 14 shows by how much.",
        "Columns that grow with time leave their range; fit and calibrate again with new campaigns.",
    ]
    parts = ["# Model card: who answers a contact"]
    parts += [_section(title, lines) for title, lines in sections.items()]
    return "\n\n".join([*parts, _quality_table(comparison), _section("Limits", limits)]) + "\n"


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"## {title}", "", *(f"* {line}" for line in lines)])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _part(contacts: ContactFrame, positions: np.ndarray) -> str:
    rows = contacts.rows.iloc[positions]
    when = ""
    if contacts.has_times:
        when = f", {rows['occurred_at'].min():%d %B %Y} to {rows['occurred_at'].max():%d %B %Y}"
    return f"{len(rows):,} contacts ({rows['responded'].mean():.1%} responded{when})"


def _quality_table(comparison: MethodComparison) -> str:
    """One row a measure for all channels together, then the ranking and calibration of each channel."""
    chosen = comparison.chosen
    table = comparison.methods
    mine = table[
        (table["method"] == chosen.method) & (table["resampling"] == chosen.resampling) & table["calibrated"]
    ].set_index("channel")
    lines = ["| measure | channel | value | 95 % interval |", "|---|---|---|---|"]
    for channel, row in mine.iterrows():
        for name in _MEASURES if channel == "all" else ("roc_auc", "ece"):
            lines.append(f"| {_MEASURES[name]} | {channel} | {_cells(row, name)} |")
    return "\n".join(lines)


def _cells(row: pd.Series, name: str) -> str:
    return f"{row[name]:.3f} | {row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f}"
