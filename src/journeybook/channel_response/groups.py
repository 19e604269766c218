"""Which group each contact's person belongs to: for windows, as known when it was sent; for fairness."""

import numpy as np
import pandas as pd

from journeybook.channel_response.contacts import ContactFrame

EVERYONE = "everyone"
"""Type of everybody where no types are known."""

UNKNOWN = "unknown"

_MOST_VALUES = 12  # a number of more values than this is cut in thirds


def person_types(contacts: ContactFrame, segments: pd.DataFrame | None, *, column: str | None) -> np.ndarray:
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
    asked = rows[["row", "person_id", "occurred_at"]].sort_values("occurred_at", kind="stable")
    if "retrospective" in segments:
        segments = segments[~segments["retrospective"]]
    known = segments[["person_id", "as_of", "segment"]].sort_values("as_of", kind="stable")
    found = pd.merge_asof(
        asked.astype({"occurred_at": "datetime64[us]"}),
        known.astype({"as_of": "datetime64[us]"}),
        left_on="occurred_at",
        right_on="as_of",
        by="person_id",
        allow_exact_matches=False,
    )
    return labels(found.sort_values("row")["segment"])


def person_groups(
    contacts: ContactFrame, profiles: pd.DataFrame | None, *, column: str | None
) -> np.ndarray | None:
    """Return the group of the person of each contact, shape (n,), or None where no group is known.

    Args:
        contacts: As made by `contact_frame`.
        profiles: What is known of people, one row a `person_id`; None where there are none.
        column: Column of the contacts or of the profiles (see `labels`). None for `birth_decade` of the profiles.

    Raises:
        ValueError: Neither has such a column.
    """
    about = profiles if profiles is not None and contacts.has_people else pd.DataFrame({"person_id": []})
    name = column or "birth_decade"
    if name in contacts.rows:
        return labels(contacts.rows[name])
    if name in about:
        return labels(contacts.rows["person_id"].map(about.set_index("person_id")[name]).rename(name))
    if column is None:
        return None
    raise ValueError(
        f"fairness_by names {column!r}, neither a column of the contacts ({', '.join(contacts.rows)}) nor "
        f"of the profiles ({', '.join(about)})."
    )


def labels(values: pd.Series) -> np.ndarray:
    """Return values as names of groups: text as it stands, numbers of more than 12 values in thirds, shape (n,).

    >>> labels(pd.Series([1960.0, None])).tolist()
    ['1960', 'unknown']
    """
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values.astype("object").where(values.notna(), UNKNOWN).astype(str).to_numpy(dtype=object)
    if values.nunique() <= _MOST_VALUES:
        names = values.map("{:g}".format, na_action="ignore")
    else:
        third = np.ceil(values.rank(pct=True) * 3).map({1.0: "low", 2.0: "middle", 3.0: "high"})
        names = third.map(lambda word: f"{values.name} {word}", na_action="ignore")
    return names.fillna(UNKNOWN).astype(str).to_numpy(dtype=object)
