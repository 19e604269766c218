"""Amounts that cannot be added up: of several currencies, or of numbers that read in two ways."""

import re
from collections.abc import Collection

import duckdb

from journeybook.datasets.converting import Column
from journeybook.datasets.reading import Source
from journeybook.datasets.targets import Target
from journeybook.errors import JourneybookError, list_names

_CURRENCY_NAME = re.compile(r"currency|devise|währung|moneda|valuta", re.IGNORECASE)


def check_numbers(column: Column, *, target: Target) -> None:
    """Raise JourneybookError where a column's numbers can be read in two ways, or are of several currencies."""
    place = f"{target.place} is {target.given!r}: column {column.name!r}"
    if len(column.currencies) > 1:
        raise JourneybookError(
            f"{place} holds {' and '.join(column.currencies[:4])}, amounts of several currencies that cannot be "
            f"added: keep one with where: \"{column.name}\" LIKE '%...%', or convert them before."
        )
    if column.unclear:
        raise JourneybookError(
            f'{place} {column.unclear}: say which with options: {{decimal_separator: ","}} or "."}}.'
        )


def check_currency(
    engine: duckdb.DuckDBPyConnection, source: Source, used: Collection[str], *, table: str
) -> None:
    """Raise JourneybookError where another column says that the amounts are of several currencies."""
    for column in source.columns:
        if not _CURRENCY_NAME.search(column.name) or column.name in used:
            continue
        asked = f"SELECT DISTINCT {column.stored} FROM {source.view} WHERE {column.stored} IS NOT NULL LIMIT 5"
        found = sorted(str(value) for (value,) in engine.execute(asked).fetchall())
        if len(found) > 1:
            raise JourneybookError(
                f"files.{table}: column {column.name!r} holds {list_names(map(repr, found))}, and amounts of "
                f'several currencies cannot be added: keep one with where: "{column.name}" = {found[0]!r}, or '
                "convert them in an expression."
            )
