"""The tracking plan: which events may come, what each must hold, and after which others it may come.

A plan is a YAML file. Each event under `events` is a JSON Schema of its properties (`required`, and `properties`
with `type`, `enum`, `minimum` and `maximum`) with an `owner`, a `version` and `after`: one of these must come
before it in a session. Under `tables` a table may have its `party`, `licence` and `retention_days`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import jsonschema
import yaml

from journeybook.collection.validity import NO_NAMES, Rule, mask
from journeybook.tables import brought_in

# What the columns of `with_cells` begin with.
CELL = "cell: "
_TYPES = {"string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false"}
_KEYS = {"owner", "version", "after", "required", "properties"}
_LIMITS = {"type", "enum", "minimum", "maximum"}
_OF_TABLES = {"party", "licence", "retention_days"}
_SHOWN = 40


@dataclass(frozen=True)
class TrackingPlan:
    """What may come.

    Attributes:
        source: Name of the file, and the beginning of its SHA-256.
        events: What the plan says of each event, by name.
        tables: What it says of tables, by name.
    """

    source: str
    events: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Mapping[str, Any]]

    @property
    def properties(self) -> list[str]:
        """Every property that any event names, sorted."""
        said = self.events.values()
        return sorted({p for e in said for p in (*e.get("properties", ()), *e.get("required", ()))})


def read_plan(path: str | None, *, dataset: str) -> TrackingPlan | None:
    """Return the plan of a file; without one that of the demo, and None for any other data.

    Raises:
        ValueError: There is no such file, or it is no plan: the sentence names the place.
    """
    if path is None and dataset != "journey_demo":
        return None
    where = Path(path or str(files("journeybook.datasets.demo") / "tracking_plan.yaml"))
    if not where.is_file():
        raise ValueError(f"tracking_plan is {path}: there is no such file.")
    try:
        held = yaml.safe_load(where.read_bytes())
        events, tables = held["events"], held.get("tables", {})
        wrong = [f"tables.{t} says {key!r}" for t, says in tables.items() for key in {*says} - _OF_TABLES]
        for event, says in events.items():
            jsonschema.Draft202012Validator.check_schema(says)
            limits = says.get("properties", {}).values()
            keys = [*({*says} - _KEYS), *({*says.get("after", ())} - {*events}), *({*chain(*limits)} - _LIMITS)]
            keys += [of["type"] for of in limits if of.get("type", "string") not in _TYPES]
            wrong += [f"events.{event} says {key!r}, which a plan does not know" for key in keys]
    except jsonschema.SchemaError as problem:
        wrong = [problem.message]
    except (AttributeError, KeyError, TypeError, yaml.YAMLError):
        wrong = ["events: {name: {...}} is needed"]
    if wrong:
        raise ValueError(f"tracking_plan {where.name} is no plan: {wrong[0]}.")
    return TrackingPlan(f"{where.name} {hashlib.sha256(where.read_bytes()).hexdigest()[:12]}", events, tables)


@ibis.udf.scalar.builtin
def json_extract(properties: str, paths: list[str]) -> dt.Array(dt.JSON()):  # type: ignore
    """Return what is at each path, null where there is nothing (the engine's own)."""


@ibis.udf.scalar.builtin
def to_json(value) -> dt.JSON():  # type: ignore
    """Return a value as JSON (the engine's own)."""


def breaks_plan(events: ibis.Table, plan: TrackingPlan) -> Rule:
    """Return whether a row breaks anything of the plan."""
    read = with_cells(events, plan)
    rows = brought_in(read.filter(ibis.or_(*(rule.broken for rule in plan_rules(read, plan)))).select("row"))
    return Rule(events.row.isin(rows.row), "properties", "breaks the tracking plan", None)


def with_cells(events: ibis.Table, plan: TrackingPlan) -> ibis.Table:
    """Return events with the JSON of each property of the plan, and whether `properties` could be read.

    A column of a property's name stands before `properties`, which is parsed once.
    """
    cells, readable = {}, ibis.literal(True)
    if "properties" in events.columns:
        held = events.properties.cast("string")
        parsed = held.try_cast("json").cast("string")
        readable = held.isnull() | parsed.lstrip().startswith("{").fill_null(False)
        paths = [f"$.{json.dumps(p)}" for p in plan.properties]
        events = events.mutate(**{f"{CELL}all": json_extract(parsed, paths)})
        cells = {p: events[f"{CELL}all"][k].cast("string") for k, p in enumerate(plan.properties)}
    cells |= {p: to_json(events[p]).cast("string") for p in plan.properties if p in events.columns}
    told = {f"{CELL}{p}": cells.get(p, ibis.null("string")) for p in plan.properties}
    return events.mutate(**told, **{f"{CELL}read": readable})


def plan_rules(events: ibis.Table, plan: TrackingPlan) -> list[Rule]:
    """Return the rules of a plan for events `with_cells`.

    Null is missing. Of an unplanned event, or where `properties` cannot be read, nothing else is asked.
    """
    name, readable = events.event, events[f"{CELL}read"]
    unplanned = name.notin([*plan.events]) & name.strip().lower().notin(NO_NAMES)
    rules = [Rule(unplanned, "event", "is not in the tracking plan", name.left(_SHOWN))]
    if "properties" in events.columns:
        shown = events.properties.cast("string").left(_SHOWN)
        rules.append(Rule(~readable & ~unplanned, "properties", "is no JSON object", shown))
    asked: dict[tuple[str, str, str], list[str]] = {}
    for event, says in plan.events.items():
        limits = [(p, *limit) for p, of in says.get("properties", {}).items() for limit in of.items()]
        for column, keyword, limit in [*((p, "required", True) for p in says.get("required", ())), *limits]:
            asked.setdefault((column, keyword, json.dumps(limit, ensure_ascii=False)), []).append(event)
    for (column, keyword, limit), of in asked.items():
        text = events[f"{CELL}{column}"]
        wrong, problem = _judged(text, keyword, json.loads(limit))
        shown = ibis.ifelse(text.contains("@"), mask(text), text.left(_SHOWN))
        rules.append(Rule(name.isin(of) & readable & wrong, column, problem, shown))
    return rules


def _judged(text: ir.StringValue, keyword: str, limit: Any) -> tuple[ir.BooleanValue, str]:
    """Return whether the JSON of one value breaks a keyword of JSON Schema, and what is then said."""
    missing, number = text.isnull() | (text == "null"), text.try_cast("float64")
    if keyword == "required":
        return missing, "is missing"
    if keyword == "type":
        kinds = {"string": text.startswith('"'), "boolean": text.isin(["true", "false"])}
        kinds |= {"number": number.notnull(), "integer": (number % 1 == 0).fill_null(False)}
        return ~missing & ~kinds[limit], f"is not {_TYPES[limit]}"
    if keyword == "enum":
        allowed = [json.dumps(one, ensure_ascii=False) for one in limit]
        return ~missing & text.notin(allowed), "is not an allowed value"
    low = keyword == "minimum"
    return (number < limit if low else number > limit), f"is {'below' if low else 'above'} {limit:g}"
