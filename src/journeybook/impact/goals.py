"""The goal tree: what is to be reached, from where, by when, at whose charge, and what must not suffer for it.

A file holds `goals`, a block each: `metric`, `definition`, `baseline`, `target`, `owner` and `date`; where wanted
`guardrail` (a metric, and the `least` effect on it that is borne), `part_of` (the goal above it) and `worth` (what
one unit of the metric is worth, in the data's currency).
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import jsonschema
import yaml

from journeybook.errors import nearest

_TEXT, _NUMBER = {"type": "string", "minLength": 1}, {"type": "number"}
_RAIL = {"metric": _TEXT, "least": _NUMBER}
_KEYS = {
    **dict.fromkeys(("metric", "definition", "owner", "part_of"), _TEXT),
    **dict.fromkeys(("baseline", "target", "worth"), _NUMBER),
    "date": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"},
    "guardrail": {"type": "object", "properties": _RAIL, "required": [*_RAIL], "additionalProperties": False},
}
_GOAL = {"type": "object", "properties": _KEYS, "additionalProperties": False}
_GOAL["required"] = ["metric", "definition", "baseline", "target", "owner", "date"]
_FILE = {"type": "object", "required": ["goals"], "additionalProperties": False}
_FILE["properties"] = {"goals": {"type": "object", "minProperties": 1, "additionalProperties": _GOAL}}


@dataclass(frozen=True)
class Goal:
    """One goal, as its file says it; a figure that is not said is NaN, a text empty.

    Attributes:
        name: Its name.
        metric: Column that measures it: of the contacts, or a metric of page 11.
        baseline: Where the metric stands without the change; `target` is where it is to be, in the same unit.
        least: Least effect on the metric `guardrail` that is borne.
        worth: What one unit of the metric is worth, in the data's currency.
    """

    name: str
    metric: str
    baseline: float = float("nan")
    target: float = float("nan")
    definition: str = ""
    owner: str = ""
    date: str = ""
    part_of: str = ""
    guardrail: str = ""
    least: float = float("nan")
    worth: float = float("nan")

    @property
    def wanted(self) -> float:
        """The effect that reaches the target from the baseline."""
        return self.target - self.baseline


def read_goals(path: str | None, *, dataset: str) -> list[Goal]:
    """Return the goals of a file, in its order; without one those of the demo, and none for any other data.

    Raises:
        ValueError: There is no such file, or it is no goal tree: one sentence that names the key.
    """
    if path is None and dataset != "journey_demo":
        return []
    where = Path(path or str(files("journeybook.datasets.demo") / "goals.yaml"))
    if not where.is_file():
        raise ValueError(f"goals is {path}: there is no such file.")
    try:
        # JSON has no days: they become text.
        held = json.loads(json.dumps(yaml.safe_load(where.read_bytes()), default=str))
        jsonschema.validate(held, _FILE)
    except jsonschema.ValidationError as wrong:
        key = ".".join(map(str, wrong.absolute_path)) or "the file"
        raise ValueError(f"goals {where.name} is no goal tree, at {key}: {wrong.message}.") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as wrong:
        raise ValueError(f"goals {where.name} is no YAML: {' '.join(str(wrong).split())}.") from None
    blocks = held["goals"]
    for name, block in blocks.items():
        above, passed = block.get("part_of"), {name}
        while above:
            if above not in blocks:
                raise ValueError(f"goals {where.name}: {name}.part_of names {above!r}; {nearest(above, blocks)}")
            if above in passed:
                raise ValueError(f"goals {where.name}: {name}.part_of leads back to {above!r}: a tree has a top.")
            passed.add(above)
            if "worth" in block and "worth" in blocks[above]:
                raise ValueError(f"goals {where.name}: {name}.worth would count again what {above}.worth counts.")
            above = blocks[above].get("part_of")
        if block["target"] == block["baseline"]:
            raise ValueError(f"goals {where.name}: {name}.target is its baseline: nothing is to be reached.")
        rail = block.pop("guardrail", {})
        block |= {"guardrail": rail["metric"], "least": rail["least"]} if rail else {}
    return [Goal(name=name, **block) for name, block in blocks.items()]
