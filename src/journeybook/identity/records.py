"""Customer records made comparable: fields, their kinds, normalising."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import pandas as pd

from journeybook.tables import spelled

KINDS = ("name", "text", "code", "date", "email")


@dataclass(frozen=True)
class Field:
    """One field that records are compared on.

    Attributes:
        name: Column of the records.
        kind: `name` or `text` (Jaro-Winkler similarity), `code` (edit distance of letters and digits), `date`
            (the same, and day and month may be swapped) or `email`.
        personal: Whether two people of one household agree on it by chance only, as on a given name.
    """

    name: str
    kind: str
    personal: bool = False


CUSTOMER_FIELDS = (
    Field("given_name", "name", personal=True),
    Field("surname", "name"),
    Field("email", "email"),
    Field("phone", "code"),
    Field("address", "text"),
    Field("postcode", "code"),
    Field("birth_date", "date", personal=True),
)


def usable_fields(records: ibis.Table, *, fields: Sequence[Field] = CUSTOMER_FIELDS) -> tuple[Field, ...]:
    """Return the fields that the records have a column for, in the order given.

    Raises:
        ValueError: A field's kind is unknown.
    """
    for field in fields:
        if field.kind not in KINDS:
            raise ValueError(f"field {field.name!r} has the kind {field.kind!r}: needed is one of {KINDS}.")
    return tuple(field for field in fields if field.name in records.columns)


def normalise(records: ibis.Table, *, fields: Sequence[Field] = CUSTOMER_FIELDS) -> ibis.Table:
    """Return the records with every field in one spelling, so that equal things compare as equal.

    Text is lower-cased without accents, punctuation and double spaces; codes keep letters and digits; dates
    become eight digits; e-mail addresses lose spaces and what follows a `+` in the part before the `@`.
    An empty value becomes null: it neither agrees nor disagrees with anything.

    Args:
        records: `row` and `customer_id`, unique rows; further columns as `fields` says.
        fields: The fields to normalise; those without a column are passed over.

    Returns:
        `row`, `customer_id` and one text column a field, lazily.

    Raises:
        ValueError: `row` or `customer_id` is missing.
    """
    for column in ("row", "customer_id"):
        if column not in records.columns:
            raise ValueError(f"records have no column {column!r}: identity resolution needs it.")
    usable = usable_fields(records, fields=fields)
    return records.select(
        "row", "customer_id", **{field.name: spelled(records[field.name], field.kind) for field in usable}
    )


def fill_rates(records: ibis.Table, *, fields: Sequence[Field] = CUSTOMER_FIELDS) -> pd.DataFrame:
    """Return how much each field can tell.

    Args:
        records: Customer records, normalised or not.
        fields: The fields to describe; those without a column are passed over.

    Returns:
        One row a field: `field`, `filled_share` (0 to 1), `n_values` (distinct), `most_shared` (records that hold
        its most common value).
    """
    records = normalise(records, fields=fields)
    rows = []
    for field in usable_fields(records, fields=fields):
        value = records[field.name]
        counts = records.filter(value.notnull()).group_by(field.name).aggregate(n=ibis._.count())
        found = counts.aggregate(filled=counts.n.sum(), n_values=counts.count(), most=counts.n.max()).to_pandas()
        filled, n_values, most = found.iloc[0].fillna(0).astype(int)
        rows.append((field.name, filled, n_values, most))
    found = pd.DataFrame(rows, columns=["field", "filled_share", "n_values", "most_shared"])
    return found.assign(filled_share=found.filled_share / max(records.count().to_pandas(), 1))
