"""Rules for deciding, read from a user's versioned file and bound to the columns there are.

A file holds `version`, `slots` (a name, and a local time such as `Monday 10:00` or `2026-01-05 10:00`), `actions`
(`channel`; where wanted `content`, an expression, `fallback`, a text where the content is null, and `eligible`, a
condition) and `rules` (`when`, a condition; `action`; where wanted `priority`, the lowest first, and `override`).
Where wanted also `caps` (messages in 7 days by channel, `all` for all together), `quiet_hours` by channel,
`holidays`, `capacity` (messages a slot by channel), `budget` (a slot), `fallback` (an action) and `holdout` (a
share of people). Expressions are DuckDB's, one value of one row, as in `files`. The action `best` has no channel:
the best is chosen.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import yaml

from journeybook.datasets.expressions import parse_expression
from journeybook.datasets.notation import column_name
from journeybook.decisions.people import People
from journeybook.errors import JourneybookError, nearest

BEST = "best"
"""The action whose channel is chosen by expected gain."""

FALLBACK = "fallback"
"""Name of the rule that holds for everybody, where a file names a fallback."""

CONTEXT = ("slot", "hour", "weekday", "holiday")
"""Columns that a moment adds to those of a person."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"


def _leaf(needed: str, **schema: Any) -> dict[str, Any]:
    return {"description": needed, **schema}


def _block(keys: Mapping[str, Any], *required: str) -> dict[str, Any]:
    needed = f"a block with {', '.join(required or keys)}"
    return _leaf(needed, type="object", properties=keys, required=[*required], additionalProperties=False)


def _named(needed: str, each: Mapping[str, Any], least: int = 0) -> dict[str, Any]:
    return _leaf(needed, type="object", minProperties=least, additionalProperties=each)


_TEXT = _leaf("a text", type="string", minLength=1)
_COUNT = _leaf("a whole number of at least 0", type="integer", minimum=0)
_TIME = _leaf("a time in quotes, such as '21:00'", type="string", pattern=f"^{_CLOCK}$")
_MOMENT = _leaf("a local time such as Monday 10:00 or 2026-01-05 10:00", type="string", pattern=f"{_CLOCK}(:00)?$")
_ACTION = _block(dict.fromkeys(("channel", "content", "fallback", "eligible"), _TEXT))
_RULE = _block(
    {
        "when": _TEXT,
        "action": _TEXT,
        "priority": _leaf("a number, the lowest first", type="number"),
        "override": _leaf("true or false", type="boolean"),
    },
    "when",
    "action",
)
_FILE = _block(
    {
        "version": _leaf("a text in quotes, such as '2026-01'", type="string", minLength=1),
        "slots": _named("at least one name with its local time", _MOMENT, 1),
        "actions": _named("at least one action", _ACTION, 1),
        "rules": _named("at least one rule", _RULE, 1),
        "caps": _named("messages in 7 days by channel", _COUNT),
        "quiet_hours": _named(
            "a beginning and an end by channel",
            _leaf("two times, such as ['21:00', '08:00']", type="array", items=_TIME, minItems=2, maxItems=2),
        ),
        "holidays": _leaf(
            "a list of days", type="array", items=_leaf("a day such as 2026-01-01", pattern=r"^\d{4}-\d\d-\d\d$")
        ),
        "capacity": _named("messages a slot by channel", _COUNT),
        "budget": _leaf("an amount of at least 0", type="number", minimum=0),
        "fallback": _TEXT,
        "holdout": _leaf("a share from 0 to below 1", type="number", minimum=0, exclusiveMaximum=1),
    },
    *("version", "slots", "actions", "rules"),
)  # fmt: skip


@dataclass(frozen=True)
class Action:
    """What may be done: by `channel`, empty for `best`; `content` and `eligible` are expressions or empty."""

    name: str
    channel: str = ""
    content: str = ""
    fallback: str = ""
    eligible: str = ""


@dataclass(frozen=True)
class Rule:
    """A condition and its action; `override` lifts caps, capacity, budget and holidays, never consent."""

    name: str
    when: str
    action: Action
    priority: float = float("inf")
    override: bool = False


@dataclass(frozen=True)
class Rules:
    """One version of a user's rules.

    Attributes:
        source: Name of the file.
        version: Its version.
        slots: When is decided, by name, in order of time.
        tried: The rules in the order they are tried: by priority, then as written, the fallback last.
        caps: Messages a person may be sent in 7 days, by channel, `all` for all together.
        quiet_hours: Beginning and end of the hours without messages, by channel; may pass midnight.
        holidays: Days without messages.
        capacity: Messages that can be sent a slot, by channel.
        budget: What messages may cost a slot, or None.
        holdout: Share of people that a lot leaves without messages.
        sql: Expressions by name and key, once they are bound to columns (`bind`); empty before.
        reads: Columns that each rule's condition and eligibility read, once they are bound.
    """

    source: str
    version: str
    slots: Mapping[str, datetime]
    tried: tuple[Rule, ...]
    caps: Mapping[str, int]
    quiet_hours: Mapping[str, tuple[str, str]]
    holidays: tuple[str, ...]
    capacity: Mapping[str, int]
    budget: float | None
    holdout: float
    sql: Mapping[tuple[str, str], str]
    reads: Mapping[str, tuple[str, ...]]

    def channels(self, others: Sequence[str]) -> tuple[str, ...]:
        """Return the channels that actions name, and those that `best` may choose among."""
        named = [rule.action.channel for rule in self.tried if rule.action.channel]
        return tuple(dict.fromkeys([*named, *(others if any(r.action.name == BEST for r in self.tried) else ())]))


def read_rules(path: str | None, *, dataset: str, as_of: datetime, demo: str = "rules.yaml") -> Rules | None:
    """Return the rules of a file; without one the demo's own, and None for any other data.

    `as_of` is the end of the data: a slot by weekday is the first such time from then on.

    Raises:
        JourneybookError: There is no such file, or it holds no rules: one sentence names the key, what was found
            and what is needed.
    """
    if path is None and dataset != "journey_demo":
        return None
    where = Path(path or str(files("journeybook.datasets.demo") / demo))
    if not where.is_file():
        raise JourneybookError(f"rules is {path}: there is no such file.")
    try:
        # JSON has no days: they become text.
        held = json.loads(json.dumps(yaml.safe_load(where.read_bytes()), default=str))
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as wrong:
        raise JourneybookError(f"rules {where.name} is no YAML: {' '.join(str(wrong).split())}.") from None
    for found in jsonschema.Draft202012Validator(_FILE).iter_errors(held):
        raise JourneybookError(f"rules {where.name}: {_sentence(found)}")
    actions = {name: Action(name, **block) for name, block in held["actions"].items()}
    blocks = dict(held["rules"])
    if FALLBACK in blocks:
        raise JourneybookError(
            f"rules {where.name}: rules.{FALLBACK} is the name of the key {FALLBACK}; take another."
        )
    if FALLBACK in held:
        blocks[FALLBACK] = {"when": "true", "action": held[FALLBACK], "priority": float("inf")}
    for name, block in blocks.items():
        key = FALLBACK if name == FALLBACK else f"rules.{name}.action"
        if block["action"] not in actions:
            raise JourneybookError(
                f"rules {where.name}: {key} is {block['action']!r}, no action; {nearest(block['action'], actions)}"
            )
    for name, action in actions.items():
        if bool(action.channel) == (name == BEST):
            found = "has a channel, which is chosen" if name == BEST else "has no channel"
            raise JourneybookError(
                f"rules {where.name}: actions.{name} {found}: needed by all actions but {BEST}."
            )
    channels = [action.channel for action in actions.values() if action.channel]
    for key in ("caps", "quiet_hours", "capacity"):
        known = [*channels, *(["all"] if key == "caps" else [])]
        for name in held.get(key, {}):
            if name not in known and BEST not in actions:
                raise JourneybookError(
                    f"rules {where.name}: {key}.{name} is no channel of an action; {nearest(name, known)}"
                )
    tried = [Rule(name, **{**block, "action": actions[block["action"]]}) for name, block in blocks.items()]
    slots = {
        name: _moment(text, as_of, f"rules {where.name}: slots.{name}") for name, text in held["slots"].items()
    }
    return Rules(
        source=where.name,
        version=held["version"],
        slots=dict(sorted(slots.items(), key=lambda slot: slot[1])),
        tried=tuple(sorted(tried, key=lambda rule: (rule.priority, rule.name == FALLBACK))),
        caps=held.get("caps", {}),
        quiet_hours={name: (begin, end) for name, (begin, end) in held.get("quiet_hours", {}).items()},
        holidays=tuple(held.get("holidays", ())),
        capacity=held.get("capacity", {}),
        budget=held.get("budget"),
        holdout=held.get("holdout", 0.0),
        sql={},
        reads={},
    )


def bind(rules: Rules, people: People, *, context: Sequence[str] = CONTEXT) -> Rules:
    """Return the rules with their expressions in SQL over people, each held to one value a row.

    `context` are columns of the moment that may be read besides.

    Raises:
        JourneybookError: An expression does not parse, reads a column that is not there (the nearest is named), is
            not scalar, or a condition is not true or false.
    """
    engine, columns = people.table.get_backend().con, [*people.columns, *context]
    table = f"(SELECT *, '' AS slot, 0 AS hour, '' AS weekday, false AS holiday FROM {people.table.get_name()})"
    made: dict[tuple[str, str], str] = {}
    reads: dict[str, tuple[str, ...]] = {}
    for rule in rules.tried:
        action, at = rule.action, f"rules.{rule.name}.when"
        for name, key, text in ((rule.name, "when", rule.when), (action.name, "eligible", action.eligible),
                                (action.name, "content", action.content)):  # fmt: skip
            if not text:
                continue
            place = f"rules {rules.source}: {at if key == 'when' else f'actions.{name}.{key}'}"
            parsed = parse_expression(engine, text, columns=columns, place=place)
            sql = parsed.sql({column: column_name(column) for column in columns})
            try:
                kind = engine.execute(f"DESCRIBE SELECT ({sql}) FROM {table}").fetchall()[0][1]
            except duckdb.Error as wrong:
                reason = str(wrong).split("\n")[0].rstrip(".")
                raise JourneybookError(f"{place} is {text!r}, which cannot be computed: {reason}.") from None
            if key != "content" and kind != "BOOLEAN":
                raise JourneybookError(f"{place} is {text!r}, which gives {kind}; needed: true or false.")
            made[name, key] = f"CAST(({sql}) AS VARCHAR)" if key == "content" else f"coalesce(({sql}), false)"
            if key != "content":
                reads[rule.name] = tuple(dict.fromkeys([*reads.get(rule.name, ()), *parsed.columns]))
    return replace(rules, sql=made, reads=reads)


def _sentence(wrong: jsonschema.ValidationError) -> str:
    """Where, what was found and what is needed, in the user's names."""
    key = ".".join(map(str, wrong.absolute_path))
    at = key or "the file"
    if wrong.validator == "additionalProperties":
        known = wrong.schema["properties"]
        (odd, *_) = [name for name in wrong.instance if name not in known]
        return f"{at} has the key {odd!r}, which is not known; {nearest(odd, known)}"
    if wrong.validator == "required":
        missing = next(name for name in wrong.schema["required"] if name not in wrong.instance)
        return f"{at} has no {missing}; needed: {wrong.schema['properties'][missing]['description']}."
    return f"{at} is {wrong.instance!r}; needed: {wrong.schema['description']}."


def _moment(text: str, as_of: datetime, place: str) -> datetime:
    """The time that a slot names, from the end of the data on."""
    day, _, clock = text.rpartition(" ")
    if day.lower() in _DAYS:
        hour, minute = map(int, clock.split(":")[:2])
        at = datetime.combine(as_of.date(), datetime.min.time()).replace(hour=hour, minute=minute)
        at += timedelta(days=(_DAYS.index(day.lower()) - at.weekday()) % 7)
        return at if at >= as_of else at + timedelta(days=7)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise JourneybookError(f"{place} is {text!r}; needed: {_MOMENT['description']}.") from None
    if at < as_of:
        raise JourneybookError(
            f"{place} is {text}, before the data end; needed: a time from {as_of:%Y-%m-%d %H:%M} on."
        )
    return at
