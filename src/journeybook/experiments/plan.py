"""The plan of an experiment: what was asked, how large, how long, and by which rule it is decided."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from journeybook.experiments.measures import Measures, is_time
from journeybook.experiments.variants import n_units

DIRECTIONS = ("increase", "decrease")
NEEDED = ("primary", "minimum_effect", "alpha", "power", "planned_units")
OPTIONAL = ("name", "hypotheses", "direction", "guardrails", "planned_end", "subgroups")


@dataclass(frozen=True, eq=False)
class Plan:
    """What was decided before the experiment began.

    Attributes:
        alpha: Accepted rate of false positives.
        power: Probability with which `minimum_effect` should be detected.
        primary: The metric that decides; empty where no plan was given.
        minimum_effect: Smallest effect worth having on the primary metric, in its unit, above 0.
        direction: The change of the primary metric that is wanted, one of `DIRECTIONS`.
        guardrails: Margin by metric: below 0 it may fall by no more, above 0 it may rise by no more.
        planned_units: Units of all variants at the planned end; 0 where no plan was given.
        planned_end: Last day on which units are to be assigned; None where only their number counts.
        subgroups: Columns by which effects are compared.
        hypotheses: What is claimed, in words.
        name: Name of the experiment in the register of looks; empty is the table's.
        sha256: Digest of the plan's block; empty where no plan was given.
    """

    alpha: float
    power: float
    primary: str = ""
    minimum_effect: float = float("nan")
    direction: str = "increase"
    guardrails: dict[str, float] = field(default_factory=dict)
    planned_units: int = 0
    planned_end: date | None = None
    subgroups: tuple[str, ...] = ()
    hypotheses: tuple[str, ...] = ()
    name: str = ""
    sha256: str = ""

    @property
    def given(self) -> bool:
        """Whether there is a plan, and not only a level and a power."""
        return bool(self.sha256)

    @property
    def sign(self) -> int:
        """1 where more of the primary metric is wanted, -1 where less is."""
        return 1 if self.direction == "increase" else -1

    @property
    def minimum_effects(self) -> dict[str, float]:
        """The smallest effect worth having, by metric."""
        return {self.primary: self.minimum_effect} if self.given else {}


def read_plan(
    block: Mapping[str, Any] | None, *, measured: Measures, units: pd.DataFrame, alpha: float, power: float
) -> Plan:
    """The plan as the parameters hold it, checked against what was measured; without a block a level and a power.

    Raises:
        ValueError: A key is unknown, missing or out of its range, or names a metric or column that is not there.
    """
    if block is None:
        return Plan(alpha=_between(alpha, "alpha"), power=_between(power, "power"))
    for key in block:
        if key not in NEEDED + OPTIONAL:
            raise ValueError(f"plan: unknown key '{key}'; allowed are {', '.join(NEEDED + OPTIONAL)}.")
    for key in NEEDED:
        if key not in block:
            raise ValueError(f"plan: '{key}' is missing; needed are {', '.join(NEEDED)}.")
    primary, direction = str(block["primary"]), str(block.get("direction", "increase"))
    _is_metric(primary, measured, "primary")
    if direction not in DIRECTIONS:
        raise ValueError(f"plan: direction is '{direction}'; allowed are {', '.join(DIRECTIONS)}.")
    guardrails = _mapping(block, "guardrails")
    for metric, margin in guardrails.items():
        _is_metric(metric, measured, "guardrails")
        if metric == primary or not _is_number(margin) or margin == 0:
            raise ValueError(
                f"plan: the margin of guardrail '{metric}' is {margin}; a number other than 0 is needed (-2: may "
                "fall by no more than 2), and a metric other than the primary one."
            )
    if not _is_number(block["minimum_effect"]) or not block["minimum_effect"] > 0:
        raise ValueError(f"plan: minimum_effect is {block['minimum_effect']}; a number above 0 is needed.")
    size = block["planned_units"]
    if isinstance(size, bool) or not isinstance(size, int) or size < 4:
        raise ValueError(f"plan: planned_units is {size}; a whole number from 4 up is needed.")
    for column in _texts(block, "subgroups"):
        if column not in units.columns or column in measured.outcomes:
            raise ValueError(f"plan: subgroup '{column}' is no column known before assignment.")
    return Plan(
        alpha=_between(block["alpha"], "plan: alpha"),
        power=_between(block["power"], "plan: power"),
        primary=primary,
        minimum_effect=float(block["minimum_effect"]),
        direction=direction,
        guardrails={str(metric): float(margin) for metric, margin in guardrails.items()},
        planned_units=size,
        planned_end=_day(block.get("planned_end")),
        subgroups=tuple(_texts(block, "subgroups")),
        hypotheses=tuple(_texts(block, "hypotheses")),
        name=str(block.get("name", "")),
        sha256=plan_sha256(block),
    )


def plan_sha256(block: Mapping[str, Any]) -> str:
    """Digest of a plan, whatever the order of its keys.

    >>> plan_sha256({"a": 1, "b": [2]}) == plan_sha256({"b": [2], "a": 1}) != plan_sha256({"a": 2, "b": [2]})
    True
    """
    return hashlib.sha256(json.dumps(block, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def plan_table(block: Mapping[str, Any] | None, plan: Plan) -> pd.DataFrame:
    """The plan as a table to show and keep: one row an item, values as text."""
    items = dict(block or {"plan": "none given", "alpha": plan.alpha, "power": plan.power})
    items |= {"sha256": plan.sha256} if plan.given else {}
    return pd.DataFrame([(key, str(value)) for key, value in items.items()], columns=["item", "planned"])


def is_over(plan: Plan, units: pd.DataFrame) -> bool:
    """Whether the planned end is reached: the units are there, and so is the last day where one is planned.

    Without a plan there is no end to wait for.

    Raises:
        ValueError: A last day is planned, and the units have no times of assignment.
    """
    if not plan.given or plan.planned_end is None:
        return n_units(units) >= plan.planned_units
    if "occurred_at" not in units.columns or units["occurred_at"].isna().all():
        raise ValueError("plan: planned_end needs the column 'occurred_at', when each unit was assigned.")
    last = pd.Timestamp(units["occurred_at"].max()).date()
    return n_units(units) >= plan.planned_units and last >= plan.planned_end


def lower_is_better(measured: Measures, *, plan: Plan, given: Mapping[str, bool] | None) -> list[str]:
    """Metrics of which less is better: those said or planned, and else the times to an event.

    Raises:
        ValueError: A name is no metric of this page.
    """
    said = dict(given or {})
    for name in said:
        if name not in measured.kinds:
            raise ValueError(
                f"higher_is_better: '{name}' is no metric; the metrics are {', '.join(measured.kinds)}."
            )
    lower = [
        metric.name
        for metric in measured.metrics
        if not said.get(metric.name, not (metric.kind == "time_to_event" or is_time(metric.column)))
    ]
    lower += [plan.primary] if plan.direction == "decrease" else []
    return list(dict.fromkeys([*lower, *(metric for metric, margin in plan.guardrails.items() if margin > 0)]))


def _between(value: Any, where: str) -> float:
    if not _is_number(value) or not 0 < value < 1:
        raise ValueError(f"{where}: found {value}, needed a number between 0 and 1.")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _is_metric(name: str, measured: Measures, where: str) -> None:
    if name not in measured.kinds:
        raise ValueError(f"plan: {where} names '{name}'; the metrics are {', '.join(measured.kinds)}.")


def _mapping(block: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = block.get(key) or {}
    if not isinstance(found, Mapping):
        raise ValueError(f"plan: {key} is {found!r}; a mapping of metrics to margins is needed.")
    return found


def _texts(block: Mapping[str, Any], key: str) -> list[str]:
    found = block.get(key) or []
    if isinstance(found, str) or not all(isinstance(text, str) for text in found):
        raise ValueError(f"plan: {key} is {found!r}; a list of text is needed.")
    return list(found)


def _day(given: Any) -> date | None:
    if given is None:
        return None
    try:
        return date.fromisoformat(str(given))
    except ValueError:
        raise ValueError(f"plan: planned_end is '{given}'; a day such as 2017-10-01 is needed.") from None
