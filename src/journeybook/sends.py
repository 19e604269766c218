"""Messages and the ledger: who permitted which channel when it was used, and who was sent one all the same."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from journeybook.findings import say_count
from journeybook.tables import PURPOSES, Run, permitted_at, permitted_people

NO_CONTACT = "none"
"""Channel of a decision not to contact."""


def channels_of(sent: pd.DataFrame) -> tuple[str, ...]:
    """Return the channels of contacts, most contacts first."""
    counts = sent["channel"].value_counts()
    return tuple(sorted(counts.index, key=lambda name: (-counts[name], name)))


def permitted_channels(run: Run, sent: pd.DataFrame) -> dict[str, np.ndarray] | None:
    """Return whether each contact's person permitted each channel at the moment of the contact.

    For each channel but `none` one value a contact: False for a channel that the ledger has no purpose for, and
    for a contact that names nobody. Without times the whole ledger counts. None where the data set has no ledger,
    and nothing where no contact names anybody.
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
        for name in channels_of(sent)
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
