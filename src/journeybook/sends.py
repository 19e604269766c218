"""Messages and the ledger: who permitted which channel when it was used, and who was sent one all the same."""

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from journeybook.findings import say_count
from journeybook.tables import PURPOSES, Run, in_sample, permitted_at, permitted_people

NO_CONTACT = "none"
"""Channel of a decision not to contact."""

MARKS_OF_MISSING = frozenset({"?", "-", "", "na", "n/a", "nan", "null", "none", "missing", "unknown", "\\n"})
"""What stands for no value, in any case, where all else in a text column is numbers."""

_LEARNERS = 0.4


def quantity(column: pd.Series, *, sent_at: pd.Series | None) -> pd.Series | None:
    """Return a column of contacts as finite numbers and NaN, shape (n,); None of words and of yes or no.

    A time is days before sending, `sent_at`; None where the contacts have no times. Text is a number where all of
    it is but for `MARKS_OF_MISSING`.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        column = pd.Series(dtype="str") if sent_at is None else (sent_at - column).dt.total_seconds() / 86_400
    elif not pd.api.types.is_numeric_dtype(column):
        levels = column.dropna().unique()
        said = pd.Series(levels, dtype="object").astype("str").str.strip()
        marks = said.str.lower().isin(MARKS_OF_MISSING)
        numbers = pd.to_numeric(said.where(~marks), errors="coerce")
        if marks.any() and not marks.all() and numbers[~marks].notna().all():
            column = column.map(dict(zip(levels, numbers, strict=True))).astype("float64")
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return None
    return column.astype("float64").replace([np.inf, -np.inf], np.nan)


def learners(contacts: ir.Table, *, person: str) -> ir.BooleanValue:
    """Return who teaches how missing values are filled in, of contacts without times, and is in no test.

    Two in five are drawn, by a hash of the first `row` of each value of the column `person`, or of a row without.
    """
    first = contacts.row
    if person in contacts.columns:
        first = contacts[person].isnull().ifelse(first, first.min().over(group_by=contacts[person]))
    return in_sample(ibis.null("string"), first, share=_LEARNERS, name="learners")


def channels_of(sent: pd.DataFrame) -> tuple[str, ...]:
    """Return the channels of contacts, most contacts first."""
    counts = sent["channel"].value_counts()
    return tuple(sorted(counts.index, key=lambda name: (-counts[name], name)))


def permitted_channels(
    run: Run, sent: pd.DataFrame, *, channels: Sequence[str] | None = None
) -> dict[str, np.ndarray] | None:
    """Return whether each contact's person permitted each channel at the moment of the contact.

    For each channel but `none`, those of the contacts where none are given, one value a contact: False for a
    channel that the ledger has no purpose for, and for a contact that names nobody. Without times the whole
    ledger counts. None where the data set has no ledger, and nothing where no contact names anybody.
    """
    if not run.has_ledger:
        return None
    if "person_id" not in sent:
        return {}
    people, timed = sent["person_id"].astype("str"), "occurred_at" in sent and sent["occurred_at"].notna().all()

    def permitted(purpose: str) -> np.ndarray:
        if timed:
            asked = pd.DataFrame({"person_id": people, "occurred_at": sent["occurred_at"]})
            return permitted_at(run, asked.astype({"occurred_at": "datetime64[us]"}), purpose=purpose)
        return people.isin(permitted_people(run, purpose=purpose).person_id.to_pandas()).to_numpy()

    return {
        name: permitted(f"marketing_{name}")
        if f"marketing_{name}" in PURPOSES
        else np.zeros(len(sent), dtype=bool)
        for name in (channels_of(sent) if channels is None else channels)
        if name != NO_CONTACT
    }


def sent_unpermitted(sent: pd.DataFrame, permitted: Mapping[str, np.ndarray] | None) -> dict[str, tuple[int, int]]:
    """Return how many messages went out and how many unpermitted, by channel that the ledger has a purpose for."""
    channel = sent["channel"].to_numpy()
    asked = {name: may for name, may in (permitted or {}).items() if f"marketing_{name}" in PURPOSES}
    went = {name: channel == name for name in asked}
    return {name: (int(went[name].sum()), int((went[name] & ~may).sum())) for name, may in asked.items()}


def say_unpermitted(sent: pd.DataFrame, permitted: Mapping[str, np.ndarray] | None) -> str:
    """Say how many messages were sent to people who did not permit them at that moment, by channel."""
    if permitted is None:
        return "There is no consent ledger: everyone is taken to permit every channel."
    counts = sent_unpermitted(sent, permitted)
    if not counts:
        why = "the ledger has no purpose for these channels, or no contact names anybody"
        return f"Permission to send cannot be looked up: {why}."
    n_sent, n_against = (sum(n) for n in zip(*counts.values(), strict=True))
    listed = ", ".join(f"{name} {n:,}" for name, (_, n) in counts.items() if n)
    return (
        f"**{say_count(n_against)} of {say_count(n_sent)} messages were sent without permission**"
        f"{f' ({listed})' if listed else ''}, "
        "by the ledger at the moment of sending, among people who permit personalisation. A refusal "
        "under any number of a person counts; page 01 counts by single number."
    )
