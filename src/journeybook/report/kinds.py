"""Whether a value is of the type that a parameter's annotation names."""

import ast
import math

from journeybook.errors import JourneybookError
from journeybook.report.reading import said

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
    "None": "null",
}


def check_kind(value: object, kind: str, *, where: str) -> None:
    """Raise one sentence unless a value is of a kind, such as `float`, `str | None` or `list[int]`.

    A whole number is also a number, a boolean is neither, and every number is finite; `where` is the key it is
    given for.
    """
    annotation = ast.parse(kind, mode="eval").body
    if not _finite(value):
        raise JourneybookError(f"{where} is {said(value)}, but must be finite.")
    if not _fits(value, annotation):
        scalar = isinstance(value, int | float | bool)
        hint = "; put it in quotes" if scalar and _fits(str(value), annotation) else ""
        raise JourneybookError(f"{where} is {said(value)}, but must be {in_words(kind)}{hint}.")


def in_words(kind: str) -> str:
    """A type in words.

    >>> in_words("list[str] | None")
    'a list of text or null'
    """
    return _words(ast.parse(kind, mode="eval").body)


def _finite(value: object) -> bool:
    if isinstance(value, list | dict):
        return all(_finite(v) for v in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _fits(value: object, kind: ast.expr) -> bool:
    match kind:
        case ast.BinOp(left=left, right=right):
            return _fits(value, left) or _fits(value, right)
        case ast.Constant(value=None):
            return value is None
        case ast.Subscript(value=ast.Name(id="list"), slice=element):
            return isinstance(value, list) and all(_fits(v, element) for v in value)
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, element])):
            return isinstance(value, dict) and all(
                isinstance(k, str) and _fits(v, element) for k, v in value.items()
            )
        case ast.Name(id="float"):
            return isinstance(value, int | float) and not isinstance(value, bool)
        case ast.Name(id="int"):
            return isinstance(value, int) and not isinstance(value, bool)
        case ast.Name(id="str" | "bool" | "list" | "dict" as name):
            return type(value).__name__ == name
    raise JourneybookError(f"A parameter is annotated {ast.unparse(kind)}, which cannot be checked.")


def _words(kind: ast.expr) -> str:
    match kind:
        case ast.BinOp(left=left, right=right):
            return f"{_words(left)} or {_words(right)}"
        case ast.Subscript(value=ast.Name(id="list"), slice=element):
            several = _words(element).replace("a whole number", "whole numbers").replace("a number", "numbers")
            return f"a list of {several}"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, element])):
            return f"a mapping of names to {_words(element)}"
    return _WORDS.get(ast.unparse(kind), ast.unparse(kind))
