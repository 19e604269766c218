"""YAML without its traps, one sentence for what cannot be read."""

import re
from pathlib import Path
from typing import ClassVar

import yaml

from journeybook.errors import JourneybookError


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: a date, 12:30, no, on and 1e-3 are what they look like; a key stands once."""

    yaml_implicit_resolvers: ClassVar[dict] = {}  # type: ignore[misc]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """A mapping whose keys are all different."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                raise yaml.constructor.ConstructorError(
                    None, None, "a list or a mapping cannot be a key", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number, decimal or with 0x or 0o before it."""
        text = str(node.value).replace("_", "")
        return int(text, 0) if re.match(r"[-+]?0[xo]", text) else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
for _tag, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"[-+]?(?:[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"(?:[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def read_value(text: str, *, where: str) -> object:
    """The value that a YAML text stands for; `where` names it in messages.

    >>> read_value("{as_of: 2017-10-01, at: 12:30, answer: no, alpha: 1e-3}", where="here")
    {'as_of': '2017-10-01', 'at': '12:30', 'answer': 'no', 'alpha': 0.001}
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is not YAML"
        if "\\t" in problem:
            problem = "a tab stands where spaces are needed"
        place = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise JourneybookError(f"{where}:{place} {problem}.") from None


def read_document(file: Path) -> dict:
    """The keys and values of a YAML file; an empty file has none."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise JourneybookError(f"The parameters file {file} does not exist.") from None
    except (OSError, UnicodeDecodeError):
        raise JourneybookError(f"The parameters file {file} cannot be read as UTF-8 text.") from None
    document = read_value(text, where=file.name)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise JourneybookError(
            f"{file.name} holds {said(document)}, but must hold keys such as dataset: and pages:."
        )
    return document


def said(value: object) -> str:
    """A value as a message shows it.

    >>> said("five"), said(None), said(3)
    ("'five' (text)", 'null', '3 (a whole number)')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    kinds = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a mapping"}
    return f"{text} ({kinds.get(type(value), type(value).__name__)})"
