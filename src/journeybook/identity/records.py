"""Customer records made comparable: fields, their kinds, normalising."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis

from journeybook.tables import spelled


@dataclass(frozen=True)
class Field:
    """One field that records are compared on.

    Attributes:
        name: Column of the records; where records are compared, a comma and a condition may follow.
        kind: `given` (a name with short forms), `name` or `text` (Jaro-Winkler similarity), `code` (edit distance
            of letters and digits), `phone` and `date` (the same, and forms of a number may differ, day and month
            be swapped), `email` or `source` (equal or not: a source seldom holds one person twice).
        personal: Whether two people of one household agree on it hardly more often than by chance, as on a
            given name: a child may be named after a parent, and twins are born on one day.
        beside: A field that says much of this one, as an address says of a postcode: who moved has another of
            both. How far records agree on this one is then learnt apart where they agree on the other, where
            they do not, and where the other is missing.
    """

    name: str
    kind: str
    personal: bool = False
    beside: str = ""

    @property
    def column(self) -> str:
        """The column compared: the name as far as a comma, behind which stands where."""
        return self.name.split(",")[0]


CUSTOMER_FIELDS = (
    Field("given_name", "given", personal=True),
    Field("surname", "name"),
    Field("email", "email"),
    Field("phone", "phone"),
    Field("address", "text"),
    Field("postcode", "code", beside="address"),
    Field("birth_date", "date", personal=True),
    Field("source", "source"),
)


def usable_fields(records: ibis.Table, *, fields: Sequence[Field] = CUSTOMER_FIELDS) -> tuple[Field, ...]:
    """Return the fields that the records have a column for, in the order given."""
    return tuple(field for field in fields if field.name in records.columns)


def normalise(records: ibis.Table, *, fields: Sequence[Field] = CUSTOMER_FIELDS) -> ibis.Table:
    """Return the records with every field in one spelling, so that equal things compare as equal.

    Text is lower-cased without accents, punctuation and double spaces; codes keep letters and digits; dates
    become eight digits; e-mail addresses lose spaces and what follows a `+` in the part before the `@`.
    An empty value becomes null: it neither agrees nor disagrees with anything.

    Returns:
        `row`, `customer_id` and one text column a field that the records have, lazily.
    """
    fields = usable_fields(records, fields=fields)
    spelling = {"phone": "code", "given": "name", "source": "text"}
    kinds = {field.name: spelling.get(field.kind, field.kind) for field in fields}
    return records.select("row", "customer_id", **{name: spelled(records[name], k) for name, k in kinds.items()})
