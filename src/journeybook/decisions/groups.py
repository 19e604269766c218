"""The group of each contact's person, and how groups fare under the model's ranking."""

from collections.abc import Iterable, Sequence

import ibis
import numpy as np
import pandas as pd

from journeybook.decisions.choices import NO_CONTACT
from journeybook.statistics.fairness import Fairness, fairness
from journeybook.statistics.labels import UNKNOWN, labels, labels_before


def person_groups(
    sent: pd.DataFrame, profiles: ibis.Table | None, features: ibis.Table | None, *, column: str | None
) -> np.ndarray | None:
    """Return the group of the person of each contact, shape (n,), or None where no group is known.

    Args:
        sent: As made by `known_contacts`.
        profiles: What is known of people, one row a `person_id`; None where there are none.
        features: Snapshots by `person_id` and `as_of`; the latest strictly before sending counts.
        column: Column of the contacts, profiles or features (see `labels`). None for `birth_decade` of the
            profiles.

    Raises:
        ValueError: None of them has such a column.
    """
    name = column or "birth_decade"
    if name in sent:
        return labels(sent[name])
    if profiles is not None and name in profiles.columns:
        known = profiles.select("person_id", name).to_pandas().set_index("person_id")[name]
        found = labels(sent["person_id"].map(known).rename(name))
        return (
            found if column else np.array([f"{name}s" if name.isdigit() else name for name in found], dtype=object)
        )
    if features is not None and name in features.columns and sent["known_at"].notna().all():
        known = features.select("person_id", "as_of", name).to_pandas()
        return labels_before(sent[["row", "person_id", "occurred_at"]], known, column=name)
    if column is None:
        return None
    raise _unknown(column, [frame.columns for frame in (sent, profiles, features) if frame is not None])


def check_group(column: str | None, there: Sequence[Iterable[str]]) -> None:
    """Raise ValueError where none of the tables, given by their columns, has the column of the groups."""
    if column is not None and not any(column in columns for columns in there):
        raise _unknown(column, there)


def _unknown(column: str, there: Sequence[Iterable[str]]) -> ValueError:
    named = ", ".join(sorted(set().union(*there)))
    return ValueError(f"fairness_by names {column!r}, no column of the contacts, profiles or features: {named}.")


def compare_groups(
    sent: pd.DataFrame, groups: np.ndarray | None, *, selected_share: float, min_group_size: int
) -> Fairness:
    """Compare groups by the chosen model's probabilities of the test contacts that were sent a message.

    `groups` has the group of each contact's person, shape (n,); None where none is known: nothing is compared.
    """
    told = ((sent["part"] == "test") & (sent["channel"] != NO_CONTACT)).to_numpy()
    rows, names = sent[told], np.full(len(sent), UNKNOWN) if groups is None else groups
    return fairness(
        rows["probability"].to_numpy(),
        rows["responded"].to_numpy(),
        names[told],
        rows["person"].to_numpy(),
        selected_share=selected_share,
        min_group_size=min_group_size,
    )
