"""A register of looks: what has been seen of an experiment before, and what that does to the headline.

The register is a plain dictionary, one entry an experiment, kept in a file beside the run's tables
(`tables.register`). An entry holds digests and counts, no times and nothing of a person.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from journeybook.experiments.plan import Plan, is_over
from journeybook.experiments.variants import n_units

# Columns that are made anew with another key or another order of rows, and say nothing of the outcome.
_NOT_DATA = ("row", "person_id", "customer_id")
# First units by which a test is known again, and the share of them that must still be there.
MOST_FIRST, MIN_SAME = 100, 0.8


@dataclass(frozen=True, eq=False)
class Look:
    """What the register says of one look at an experiment.

    Attributes:
        number: 1 for the first data seen, 2 for the next; a rerun on the same data keeps its number.
        n_before: Earlier looks at other data with no more units than this one.
        early: Whether the planned end is not yet reached.
        headline: `fixed_horizon` where this is the one look at the planned end, else `always_valid`.
        planned_n: Units that the always-valid interval is tuned to: the planned size, or that of the first look.
        plan_changed: Whether the plan differs from the one of the first look.
        first_plan: Digest of the plan of the first look; empty where there was none.
        entry: What the register must keep of the experiment after this look.
        key: Name of the experiment in the register.
    """

    number: int
    n_before: int
    early: bool
    headline: str
    planned_n: int
    plan_changed: bool
    first_plan: str
    entry: dict[str, Any]
    key: str = ""

    def valid_at(self, share: float) -> int | None:
        """Planned rows at which an always-valid headline is narrowest, with `share` rows a unit; else None."""
        return None if self.headline == "fixed_horizon" else round(share * self.planned_n)


def fingerprint(units: pd.DataFrame) -> str:
    """Digest of the units and all that was measured on them, whatever their order; ids of people play no part."""
    columns = sorted(str(column) for column in units.columns if column not in _NOT_DATA)
    plain = units[columns].astype({c: str for c in columns if not _is_plain(units[c])})
    rows = np.sort(pd.util.hash_pandas_object(plain, index=False).to_numpy())
    return hashlib.sha256("\0".join(columns).encode() + rows.astype("<u8").tobytes()).hexdigest()


def _is_plain(values: pd.Series) -> bool:
    """Whether values have one digest however they are stored; text and decimals take that of their text."""
    return pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)


def first_units(units: pd.DataFrame) -> str:
    """The units that were assigned first, a byte each: enough to know a test again, too little to find a person.

    A byte is of the unit's id, variant and time; of a unit without an id, of all that was measured on it.
    """
    named = "unit_id" in units.columns and units["unit_id"].notna().all()
    timed = ["occurred_at"] if "occurred_at" in units.columns else []
    order = [*timed, *(["unit_id"] if named and timed else []), *(["row"] if "row" in units.columns else [])]
    first = units.sort_values(order, kind="stable").head(MOST_FIRST) if order else units.head(MOST_FIRST)
    kept = (
        ["unit_id", "variant", *timed]
        if named
        else [c for c in first.columns if c not in (*_NOT_DATA, "withdrew")]
    )
    digests = pd.util.hash_pandas_object(first[kept].astype(str), index=False).to_numpy()
    return (digests & np.uint64(255)).astype(np.uint8).tobytes().hex()


def is_same_test(first: str, seen: str) -> bool:
    """Whether the first units of an earlier look are nearly all among the first of this one, in any order."""
    before, now = (Counter(bytes.fromhex(text)) for text in (first, seen))
    return (before & now).total() >= MIN_SAME * before.total()


def look_at(
    units: pd.DataFrame, plan: Plan, *, register: Mapping[str, Any], page: str, experiment: str, dataset: str
) -> Look:
    """Place a look at these units among those that the register knows of their experiment.

    Your own experiment is known by the first units in it, whatever its arms are called and however it grew; one
    whose plan has a name, by that name. The data sets that come with the repository are complete: other rows in
    them are another simulation and no later look.
    """
    digest = fingerprint(units.drop(columns="withdrew", errors="ignore"))
    about, first = f"{page} {plan.name or experiment}", first_units(units)
    key = f"{about}: {dataset} {digest[:12]}"
    if dataset == "files":
        # An entry that names no first units may be of this test.
        mine = {name: entry.get("first", "") for name, entry in register.items() if name.startswith(f"{about}: ")}
        same = (name for name, earlier in mine.items() if plan.name or is_same_test(earlier, first))
        key = next(same, f"{about}: {first[:12]}")
    found = look(
        register.get(key),
        digest=digest,
        n_units=n_units(units),
        planned_units=plan.planned_units,
        over=is_over(plan, units),
        plan=plan.sha256,
    )
    return replace(found, key=key, entry=found.entry | {"first": register.get(key, {}).get("first", first)})


def look(
    entry: Mapping[str, Any] | None,
    *,
    digest: str,
    n_units: int,
    planned_units: int,
    over: bool,
    plan: str,
) -> Look:
    """Place one look among those before it; `entry` is what the register holds of them, None at the first.

    The interval of a fixed horizon holds for one look at the planned end. So the headline is always-valid where
    that end is not reached, and where other data with no more units were looked at before. With no plan (its units
    0, its digest empty) the first look counts as the planned end.
    """
    seen = list(entry["looks"]) if entry else []
    first_plan = entry["plan"] if entry else plan
    number = next((k for k, earlier in enumerate(seen) if earlier["digest"] == digest), len(seen))
    if number == len(seen):
        seen.append({"digest": digest, "n_units": int(n_units)})
    n_before = sum(earlier["n_units"] <= n_units for earlier in seen[:number])
    return Look(
        number=number + 1,
        n_before=n_before,
        early=not over,
        headline="fixed_horizon" if over and not n_before else "always_valid",
        planned_n=planned_units or int(seen[0]["n_units"]),
        plan_changed=plan != first_plan,
        first_plan=first_plan,
        entry={"plan": first_plan, "looks": seen},
    )
