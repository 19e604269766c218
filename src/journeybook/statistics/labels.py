"""Names of groups, made of the values of a column."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

UNKNOWN = "unknown"
"""Name of the group of those without a value."""

MOST_VALUES = 12  # a number of more values than this is cut in thirds


def labels(values: pd.Series) -> NDArray[np.object_]:
    """Return values as names of groups: text as it stands, numbers of more than 12 values in thirds, shape (n,).

    >>> labels(pd.Series([1960.0, None])).tolist()
    ['1960', 'unknown']
    """
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values.astype("object").where(values.notna(), UNKNOWN).astype(str).to_numpy(dtype=object)
    if values.nunique() <= MOST_VALUES:
        names = values.map("{:g}".format, na_action="ignore")
    else:
        third = np.ceil(values.rank(pct=True) * 3).map({1.0: "low", 2.0: "middle", 3.0: "high"})
        names = third.map(lambda word: f"{values.name} {word}", na_action="ignore")
    return names.astype("object").where(names.notna(), UNKNOWN).astype(str).to_numpy(dtype=object)


def labels_before(asked: pd.DataFrame, dated: pd.DataFrame, *, column: str) -> NDArray[np.object_]:
    """Return the label of each person as last known strictly before a moment, shape (n,), in the order of `row`.

    Args:
        asked: `row`, `person_id` and `occurred_at`, one row a question.
        dated: `person_id`, `as_of` and the column, one row a person and date.
        column: What labels are made of.
    """
    found = pd.merge_asof(
        asked.sort_values("occurred_at", kind="stable").astype({"occurred_at": "datetime64[us]"}),
        dated.sort_values("as_of", kind="stable").astype({"as_of": "datetime64[us]"}),
        left_on="occurred_at",
        right_on="as_of",
        by="person_id",
        allow_exact_matches=False,
    )
    return labels(found.sort_values("row")[column])
