"""The catalogue: of every table and column whose it is, for what it is read, and which page's code names it."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import pandas as pd

from journeybook.tables import readers, schema_of

_CODE = Path(__file__).parents[1]

# Answers first: a page shows the first six.
_COLUMNS = [
    "table",
    "column",
    "personal",
    "named_by",
    "n_filled",
    "party",
    "purposes",
    "pages",
    "licence",
    "retention_days",
    "rows",
    "data",
    "sha256",
]


def catalogue(tables: Mapping[str, ibis.Table], about: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """List every column.

    Args:
        tables: Raw rows by table.
        about: What is known of each: rows, sha256, data, and what is stated of party, licence, retention_days.

    Returns:
        One row a table and column: table, column, personal (`names a person`, `of a person`, `no`), named_by
        (pages whose code has the column's name; `any` of a column of any name, and of the ledger, which the door
        reads), n_filled, party (`first`, `second`, `third`), purposes, pages (whose notebook opens the table),
        licence, retention_days, rows, data, sha256.
    """
    rows = []
    for name, table in tables.items():
        schema, opened = schema_of(name) if name != "consents" else None, readers(name)
        code = {page: _words_of(page) for page in opened}
        filled = table.aggregate(**{c: table[c].count() for c in table.columns}).to_pandas().iloc[0]
        of_people = {"customer_id", "session_id", "unit_id"} & set(table.columns)
        party, purposes = "third" if name == "third_party" else "first", {p for of in opened.values() for p in of}
        stated = {"party": party, "licence": None, "retention_days": None, **about[name]}
        for column in (c for c in table.columns if c not in ("row", "unconverted")):
            known = schema.by_name.get(column) if schema else None
            named = [page[:2] for page, words in code.items() if column in words]
            personal = "names a person" if known and known.identifier else "of a person" if of_people else "no"
            used = {"purposes": ", ".join(sorted(purposes)), "pages": ", ".join(p[:2] for p in opened)}
            used |= {"named_by": ", ".join(named) if known else "any", "personal": personal}
            rows.append({"table": name, "column": column, **stated, **used, "n_filled": int(filled[column])})
    return pd.DataFrame(rows, columns=_COLUMNS)


@cache
def _words_of(page: str) -> set[str]:
    """Return the words of the code of a page, and of the journeys that pages of visits share."""
    of = [path for folder in (page[3:], "journeys") for path in (_CODE / folder).glob("*.py")]
    return {word for path in of for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
