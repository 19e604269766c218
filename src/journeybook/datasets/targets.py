"""What a user's block asks for: one target a column, known to the table and to the file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb

from journeybook.datasets.expressions import Expression, find_column, parse_expression
from journeybook.datasets.notation import column_name
from journeybook.errors import JourneybookError, list_names, nearest
from journeybook.tables import SCHEMAS, Schema

# Columns that every table has of its own, or that stand for a person.
_RESERVED = ("row", "unconverted", "person_id", "instant")

# Names, without capitals and signs, under which a direct identifier could pass customer_records by.
_IDENTIFYING = {
    *("givenname", "firstname", "surname", "lastname", "familyname", "fullname", "customername", "email"),
    *("emailaddress", "mail", "phone", "phonenumber", "telephonenumber", "mobile", "address", "streetaddress"),
    *("birthdate", "dateofbirth", "dob", "birthday"),
}


@dataclass(frozen=True)
class Target:
    """One column to be made.

    Attributes:
        name: Its name in the table.
        place: Where it stands in the parameters.
        given: What the user wrote.
        dtype: Its canonical type; None for a further column, which keeps the type found.
        column: The source's column, where it is one as it stands.
        expression: The expression, where it is one.
        literal: SQL of the literal, where it is one.
        hidden: Whether its values may not be shown in a message.
        condition: Whether it is no column but the condition `where`.
    """

    name: str
    place: str
    given: str
    dtype: str | None
    column: str | None = None
    expression: Expression | None = None
    literal: str | None = None
    hidden: bool = False
    condition: bool = False

    @property
    def is_id(self) -> bool:
        """Whether it is the id of something."""
        return self.dtype == "string" and self.name.endswith("_id")

    @property
    def uses(self) -> tuple[str, ...]:
        """Columns of the source it is made from."""
        if self.expression is not None:
            return self.expression.columns
        return () if self.column is None else (self.column,)


def make_target(
    engine: duckdb.DuckDBPyConnection,
    schema: Schema | None,
    name: object,
    given: object,
    *,
    names: Sequence[str],
    place: str,
) -> Target:
    """Return what a user's line `name: given` asks for; without a schema it is a condition.

    Raises:
        JourneybookError: The table has no such column, or what is given is no column, expression or literal.
    """
    dtype, hidden = _canonical_type(schema, name, place=place) if schema is not None else ("boolean", False)
    target = Target(str(name), place, str(given), dtype, hidden=hidden, condition=schema is None)
    if isinstance(given, bool | int | float) and (schema is not None or isinstance(given, bool)):
        return replace(target, literal=str(given).lower() if isinstance(given, bool) else repr(given))
    if not isinstance(given, str):
        raise JourneybookError(
            f"{place} is {given!r}: it must be the name of a column, an expression in quotes, a number or a "
            "boolean."
        )
    column = find_column(given, names)
    if column is not None and schema is not None:
        return replace(target, column=column)
    text = given if column is None else column_name(column)
    return replace(target, expression=parse_expression(engine, text, columns=names, place=place))


def _canonical_type(schema: Schema, name: object, *, place: str) -> tuple[str | None, bool]:
    if not isinstance(name, str) or not name.strip():
        raise JourneybookError(f"{place}: {name!r} is not the name of a column.")
    if name in _RESERVED:
        raise JourneybookError(f"{place}: {name!r} is made by journeybook: give the column another name.")
    if name in schema.by_name:
        column = schema.by_name[name]
        return column.dtype, column.identifier
    alike = find_column(name, list(schema.by_name))
    if alike is not None or not schema.further:
        raise JourneybookError(f"{place}: {schema.name} has no column {name!r}; {nearest(name, schema.by_name)}")
    if name in SCHEMAS["customer_records"].identifiers and name != "postcode":
        raise JourneybookError(
            f"{place}: {name!r} names a person directly and belongs to customer_records, not to {schema.name}."
        )
    return None, False


def rest_of(
    schema: Schema, targets: Sequence[Target], *, names: Sequence[str], place: str
) -> tuple[list[Target], list[str]]:
    """Return the columns that no expression names, under their own names, and notes on those left out.

    A column that bears the name of a canonical column is that column; one that names a person is left out.
    """
    used = {column for target in targets for column in target.uses}
    taken = {target.name.lower() for target in targets}
    kept, left = [], []
    for name in names:
        if name in used:
            continue
        canonical = None if name.lower() in _RESERVED else find_column(name, list(schema.by_name))
        own = canonical or (f"source_{name}" if name.lower() in _RESERVED else name)
        identifying = re.sub(r"[^a-z]", "", name.lower()) in _IDENTIFYING and schema.name != "customer_records"
        if own.lower() in taken or (identifying and canonical is None):
            left.append(name)
            continue
        taken.add(own.lower())
        column = schema.by_name.get(own)
        kept.append(
            Target(
                name=own,
                place=f"{place}.keep (column {name!r})",
                given=name,
                dtype=column.dtype if column else None,
                column=name,
                hidden=column.identifier if column else False,
            )
        )
    notes = (
        [f"keep: rest leaves out {list_names(map(repr, left))}: taken names, or direct identifiers."]
        if left
        else []
    )
    return kept, notes


def check_required(schema: Schema, targets: Sequence[Target], *, names: Sequence[str], place: str) -> None:
    """Raise JourneybookError where a column is given twice, or one is lacking that the table cannot do without."""
    have = {target.name for target in targets}
    if len({target.name.lower() for target in targets}) < len(targets):
        raise JourneybookError(f"{place}.columns gives two columns whose names differ in capitals only.")
    lacking = [name for name in schema.required if name not in have and not schema.by_name[name].nullable]
    lacking += [" or ".join(group) for group in schema.either if not have & set(group)]
    if lacking:
        raise JourneybookError(
            f"{place}.columns gives no {' and no '.join(lacking)}, which {schema.name} needs "
            f"(columns of the file: {list_names(map(repr, names))})."
        )
