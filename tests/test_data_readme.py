"""The cards in data/README.md name the columns of the canonical tables, and nothing else."""

import re

import pytest

from journeybook.tables import SCHEMAS, Schema, root

TEXT = (root() / "data" / "README.md").read_text(encoding="utf-8")
TYPES = {
    "string": "text",
    "timestamp(6)": "time",
    "date": "date",
    "boolean": "true or false",
    "int64": "whole number",
    "float64": "number",
    "decimal(18, 4)": "amount",
}


def column_rows(schema: Schema) -> list[str]:
    """The columns of a table as its card must show them, without what is lost, which the card alone says."""
    rows = []
    grouped = {column: group for group in schema.either for column in group}
    for column in schema.columns:
        needed = "yes" if column.required else ""
        if column.name in grouped:
            needed = "one of " + ", ".join(grouped[column.name])
        meaning = column.meaning + ("; names a person" if column.identifier else "")
        if column.allowed:
            meaning += ": " + ", ".join(column.allowed)
        rows.append(f"| `{column.name}` | {TYPES[column.dtype]} | {needed} | {meaning} | ")
    return rows + ([f"| any other | as found | | {schema.further} | |"] if schema.further else [])


def card(name: str) -> str:
    """The section of the README under a table's name."""
    found = re.search(rf"^## `{name}`.*?$(.*?)(?=^## |\Z)", TEXT, flags=re.M | re.S)
    return found.group(1) if found else ""


@pytest.mark.parametrize("name", SCHEMAS)
def test_card_shows_the_schema(name):
    head = "| column | type | needed | meaning | lost without it |\n|---|---|---|---|---|\n"
    rows = card(name).split(head)[1].split("\n\n")[0].strip().split("\n")
    due = column_rows(SCHEMAS[name])
    assert len(rows) == len(due)
    assert [one for one, start in zip(rows, due, strict=True) if not one.startswith(start)] == []
    lost = [row.split(" | ")[-1].strip("| ") for row in rows[: len(SCHEMAS[name].columns)]]
    assert not any(said for said, c in zip(lost, SCHEMAS[name].columns, strict=True) if c.required)


@pytest.mark.parametrize("name", SCHEMAS)
def test_card_says_where_rows_come_from(name):
    assert re.search(r"\b(?:REAL|SIMULATED)\b|no table of this kind", card(name))


def test_no_card_without_a_table():
    assert set(re.findall(r"^## `(\w+)`", TEXT, flags=re.M)) == set(SCHEMAS)
