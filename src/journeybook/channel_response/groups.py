"""The type of each contact's person, as known when it was sent."""

import ibis
import numpy as np

from journeybook.channel_response.contacts import ContactFrame
from journeybook.statistics.labels import labels, labels_before

EVERYONE = "everyone"
"""Type of everybody where no types are known."""


def person_types(contacts: ContactFrame, segments: ibis.Table | None, *, column: str | None) -> np.ndarray:
    """Return the type of the person of each contact, as known when it was sent, shape (n,).

    Args:
        contacts: As made by `contact_frame`.
        segments: `person_id`, `as_of`, `segment`; the latest strictly before sending counts, but for those
            marked `retrospective`, which know what came later. None where there are none.
        column: Column of the contacts to use instead (see `labels`). None for segments, or one type where there
            are none.

    Raises:
        ValueError: The contacts have no such column.
    """
    rows = contacts.rows
    if column is not None:
        if column not in rows:
            raise ValueError(f"person_type names {column!r}, not a column of the contacts: {', '.join(rows)}.")
        return labels(rows[column])
    if segments is None or not (contacts.has_times and contacts.has_people):
        return np.full(len(rows), EVERYONE, dtype=object)
    if "retrospective" in segments.columns:
        segments = segments.filter(~segments.retrospective)
    known = segments.select("person_id", "as_of", "segment").to_pandas()
    return labels_before(rows[["row", "person_id", "occurred_at"]], known, column="segment")
