"""A user's expression for a column: parsed, held to one value a row, its column names made safe."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import duckdb

from journeybook.errors import JourneybookError, nearest

_OPENING = "SELECT (\n"

# What is not one value computed from one row, by the parser's name for it.
_REFUSED_CLASSES = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "STAR": "a star",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "a column by its number",
    "DEFAULT": "a default",
}


@dataclass(frozen=True)
class Expression:
    """A scalar expression over the columns of one source.

    Attributes:
        text: As the user wrote it.
        columns: Names of the source's columns in it, each once, in order of first use.
        cast: Those of them that the user casts, and that are therefore given as text.
        parts: Alternating SQL text and column names, beginning and ending with text.
    """

    text: str
    columns: tuple[str, ...]
    cast: frozenset[str]
    parts: tuple[str, ...]

    def sql(self, names: Mapping[str, str]) -> str:
        """Return the expression in SQL with each column replaced by what `names` says."""
        return "".join(names[part] if place % 2 else part for place, part in enumerate(self.parts))


def find_column(text: str, columns: Sequence[str]) -> str | None:
    """Return the column whose name is `text`: to the letter, or else without regard to case.

    >>> find_column("emp.var.rate", ["y", "emp.var.rate"])
    'emp.var.rate'
    """
    name = text.strip()
    if name in columns:
        return name
    alike = [column for column in columns if column.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def parse_expression(
    connection: duckdb.DuckDBPyConnection, text: str, *, columns: Sequence[str], place: str
) -> Expression:
    """Parse one scalar DuckDB expression.

    Args:
        connection: The engine whose parser is asked.
        text: The expression.
        columns: Names of the source's columns.
        place: Where the expression stands in the parameters, for messages.

    Raises:
        JourneybookError: It does not parse, names what is not a column, or is not scalar: an aggregate, a window,
            a subquery, a table function, several values, or a function that gives another value at each run.
    """
    tree = _tree(connection, text, place=place)
    functions = _functions()
    local: set[str] = set()
    for node in _nodes(tree):
        kind = node["class"]
        if kind in _REFUSED_CLASSES:
            raise not_scalar(place, text, _REFUSED_CLASSES[kind])
        if kind == "FUNCTION":
            name = str(node["function_name"]).lower()
            if name == "row" and node is tree:
                raise not_scalar(place, text, "several values")
            if name in functions:
                raise not_scalar(place, text, f"{name}(), {functions[name]}")
        if kind == "LAMBDA":
            local |= {n["column_names"][0] for n in _nodes(node.get("lhs")) if n["class"] == "COLUMN_REF"}
    found = [
        (node["query_location"], *_resolve(node, text, columns=columns, place=place))
        for node in _nodes(tree)
        if node["class"] == "COLUMN_REF" and node["column_names"][0] not in local
    ]
    cast = {
        column
        for node in _nodes(tree)
        if node["class"] == "CAST" and node["child"].get("class") == "COLUMN_REF"
        if (column := find_column(".".join(node["child"]["column_names"]), columns)) is not None
    }
    source, parts, at = text.encode(), [], 0
    for location, length, name in sorted(found):
        start = location - len(_OPENING)
        parts += [source[at:start].decode(), name]
        at = start + length
    parts.append(source[at:].decode())
    return Expression(
        text=text, columns=tuple(dict.fromkeys(parts[1::2])), cast=frozenset(cast), parts=tuple(parts)
    )


def not_scalar(place: str, text: str, what: str) -> JourneybookError:
    """Return the error for an expression that is not one value computed from one row."""
    return JourneybookError(
        f"{place} is {text!r}, which holds {what}: it must be one scalar expression, "
        "computed from the columns of one row."
    )


def _tree(connection: duckdb.DuckDBPyConnection, text: str, *, place: str) -> dict:
    """Return the parser's tree of the one expression, refusing anything around it."""
    if not text.strip():
        raise JourneybookError(f"{place} is empty: it needs the name of a column or an expression.")
    (answer,) = connection.execute("SELECT json_serialize_sql(?)", [f"{_OPENING}{text}\n)"]).fetchall()
    parsed = json.loads(answer[0])
    if parsed["error"]:
        reason = re.sub(r"\s+", " ", str(parsed.get("error_message", ""))).strip()
        raise JourneybookError(f"{place} is {text!r}, which DuckDB cannot parse as an expression: {reason}.")
    node = parsed["statements"][0]["node"]
    alone = (
        len(parsed["statements"]) == 1
        and node["type"] == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and not node["modifiers"]
        and not node["cte_map"]["map"]
        and not node["group_expressions"]
        and all(node.get(clause) is None for clause in ("where_clause", "having", "qualify", "sample"))
    )
    if not alone:
        raise not_scalar(place, text, "more than one expression")
    return node["select_list"][0]


def _nodes(tree: object) -> Iterator[dict]:
    """Yield every node of the tree that the parser gives a class."""
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
        for child in tree.values():
            yield from _nodes(child)
    elif isinstance(tree, list):
        for child in tree:
            yield from _nodes(child)


def _resolve(node: dict, text: str, *, columns: Sequence[str], place: str) -> tuple[int, str]:
    """Return how many bytes of the text name a column, and which column it is."""
    names = node["column_names"]
    column = find_column(".".join(names), columns)
    start = node["query_location"] - len(_OPENING)
    written = text.encode()[start : start + node["query_location_length"]].decode()
    if column is not None:
        return len(written.encode()), column
    # The first name may be a column that holds a structure, the others its fields.
    column = find_column(names[0], columns) if len(names) > 1 else None
    first = re.match(r'"(?:[^"]|"")*"|[^.]+', written)
    if column is None or first is None:
        name = ".".join(names)
        alone = "; the file has one column: name its delimiter with options: {delim: ...}"
        alone = alone if len(columns) == 1 and not columns[0].isidentifier() else ""
        if 3 * sum(column == f"column{n}" for n, column in enumerate(columns)) >= len(columns):
            alone = "; if the header stands lower, give options: {skip: n}"
        raise JourneybookError(
            f"{place} is {text!r}, and {name!r} is not a column{alone} (a text stands in single quotes inside "
            f"the expression); {nearest(name, columns)}"
        )
    return len(first.group().encode()), column


@cache
def _functions() -> dict[str, str]:
    """Return the functions that may not stand in an expression, each with the reason."""
    with duckdb.connect(config={"temp_directory": ""}) as engine:
        rows = engine.execute(
            "SELECT function_name, function_type, stability, macro_definition FROM duckdb_functions()"
        ).fetchall()
    kinds: dict[str, set[str]] = {}
    refused: dict[str, str] = {}
    for name, kind, stability, definition in rows:
        kinds.setdefault(name.lower(), set()).add(kind)
        unstable = kind == "scalar" and stability != "CONSISTENT"
        if unstable or (kind == "macro" and re.search(r"\b(?:current_\w+|now|today|random)\b", definition or "")):
            refused[name.lower()] = "which gives another value at each run"
    for name, found in kinds.items():
        if not found & {"scalar", "macro"}:
            refused[name] = "an aggregate" if "aggregate" in found else f"a {min(found)} function"
    return refused
