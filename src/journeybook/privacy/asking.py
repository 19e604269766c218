"""What is asked to be published: a plan of releases, every bound declared in it and none taken from the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from journeybook.errors import JourneybookError, list_names, nearest
from journeybook.privacy.ledger import UNITS
from journeybook.privacy.releases import CENTS, band_names

NEEDS = {
    "people": (),
    "rows": (),
    "sum": ("of",),
    "mean": ("of",),
    "histogram": ("of", "edges"),
    "quantiles": ("of", "edges", "shares"),
    "rate": ("of",),
    "transitions": ("of",),
}
"""What each kind of release needs beside its table, its bounds and its budget."""

OF_AMOUNTS = ("sum", "mean", "histogram", "quantiles")
FOUND = ("people", "rows", "transitions")
"""Kinds whose groups may be found in the data, above a threshold."""

_OPTIONAL = ("by", "values", "epsilon", "rho", "delta")


@dataclass(frozen=True)
class Asked:
    """One release.

    Attributes:
        name: Its name.
        kind: One of `NEEDS`.
        table: A table of page 02, such as `transactions`.
        of: Column that is added up, that says yes or no, or that holds the states; None where rows are counted.
        by: Columns that group; `segment` is the band of the unit's own total.
        values: Declared values by column of `by`; a column without them is found in the data.
        rows: Most rows of a unit that count.
        groups: Most groups that a unit counts in.
        amount: Most that a unit adds to a group, in hundredths; 0 where nothing is added up.
        epsilon: Budget of a pure release, with Laplace noise; None where `rho` is.
        rho: Budget in zCDP, with Gaussian noise; None where `epsilon` is.
        delta: Probability with which a group that one unit makes is listed; 0 where all groups are declared.
        edges: Ascending edges of the bins of a histogram or of quantiles.
        shares: Which quantiles, each between 0 and 1.
    """

    name: str
    kind: str
    table: str
    of: str | None
    by: tuple[str, ...]
    values: dict[str, tuple[str, ...]]
    rows: int
    groups: int
    amount: int
    epsilon: float | None
    rho: float | None
    delta: float
    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def declared(self) -> list[tuple[str, ...]] | None:
        """All groups there may be, in their order; None where they are found in the data."""
        if any(column not in self.values for column in self.by):
            return None
        return list(product(*(self.values[column] for column in self.by)))


@dataclass(frozen=True)
class Plan:
    """What one file asks to be published.

    Attributes:
        unit: Whom the releases protect: `person` or `household`.
        currency: Of amounts; None where it is not known.
        segment_of: Table and column whose total of a unit says its segment; None without segments.
        segment_edges: Ascending edges of the segments.
        releases: In their order.
    """

    unit: str
    currency: str | None
    segment_of: tuple[str, str] | None
    segment_edges: tuple[float, ...]
    releases: tuple[Asked, ...]


def read_plan(path: Path) -> Plan:
    """Return the plan of a YAML file; JourneybookError in one sentence where it cannot be done as asked."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise JourneybookError(f"{str(path)!r} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise JourneybookError(f"{str(path)!r} is no YAML: a plan of releases needs to be.") from None
    return make_plan(found)


def make_plan(found: Any) -> Plan:
    """Return a plan from what its file holds (see `Plan` and `Asked`), every value held against what is needed."""
    plan = _mapping(found, "the plan", needed=("unit", "releases"), optional=("currency", "segments"))
    if plan["unit"] not in UNITS:
        raise JourneybookError(f"unit is {plan['unit']!r}: a release protects a person or a household.")
    segments = plan.get("segments")
    if segments is not None:
        segments = _mapping(segments, "segments", needed=("table", "of", "edges"))
    edges = _edges(segments["edges"], "segments.edges") if segments else ()
    asked = _mapping(plan["releases"], "releases")
    if not asked:
        raise JourneybookError("releases is empty: a plan names one release or more.")
    bands = band_names(edges) if segments else ()
    return Plan(
        unit=plan["unit"],
        currency=plan.get("currency"),
        segment_of=(segments["table"], segments["of"]) if segments else None,
        segment_edges=edges,
        releases=tuple(_asked(str(name), about, bands) for name, about in asked.items()),
    )


def _asked(name: str, found: Any, bands: Sequence[str]) -> Asked:
    where = f"release {name!r}"
    kind = found.get("kind") if isinstance(found, Mapping) else None
    if kind not in NEEDS:
        raise JourneybookError(f"{where} is of kind {kind!r}: {nearest(kind, NEEDS)}")
    needed = ("kind", "table", "most", *NEEDS[kind])
    about = _mapping(found, where, needed=needed, optional=_OPTIONAL)
    limits = ("rows", "groups", *(("amount",) if kind in OF_AMOUNTS else ()))
    why = "; no bound has a default, and none is taken from the data"
    most = _mapping(about["most"], f"{where}: most", needed=limits, why=why)
    for limit in limits:
        whole = limit == "amount" or isinstance(most[limit], int)
        if not (_is_number(most[limit]) and most[limit] > 0 and whole):
            raise JourneybookError(
                f"{where}: most.{limit} is {most[limit]!r}: needed is a number above 0, whole but for amount{why}."
            )
    by = ("source", "target") if kind == "transitions" else _listed(about, "by", where)
    declared = _mapping(about.get("values", {}), f"{where}: values")
    values = {column: tuple(map(str, _listed(declared, column, f"{where}: values"))) for column in declared}
    if kind == "transitions" and "states" in values:
        states = values.pop("states")
        values = {"source": states, "target": states}
    if "segment" in by:
        if not bands:
            raise JourneybookError(f"{where} groups by segment: the plan needs segments with table, of and edges.")
        values["segment"] = tuple(bands)
    if kind in ("histogram", "quantiles") and by:
        raise JourneybookError(f"{where} groups by {by[0]!r}: a {kind} is of everybody.")
    if other := [column for column in values if column not in by]:
        raise JourneybookError(f"{where} declares values of {other[0]!r}, which it does not group by.")
    epsilon, rho = about.get("epsilon"), about.get("rho")
    if (epsilon is None) == (rho is None):
        raise JourneybookError(f"{where} needs epsilon (Laplace noise) or rho (Gaussian noise), and one of them.")
    delta = about.get("delta", 0.0)
    for what, value in (("epsilon", epsilon), ("rho", rho)):
        if value is not None and not (_is_number(value) and value > 0):
            raise JourneybookError(f"{where}: {what} is {value!r}: needed is a number above 0.")
    if not (_is_number(delta) and 0 <= delta < 1):
        raise JourneybookError(f"{where}: delta is {delta!r}: needed is a probability below 1.")
    if open_ := [column for column in by if column not in values]:
        if kind not in FOUND or rho is not None or not delta:
            raise JourneybookError(
                f"{where} groups by {open_[0]!r} without values: declare them; or, for {list_names(FOUND)} with "
                "epsilon, give a delta, and groups that few people make are left out."
            )
    elif delta:
        raise JourneybookError(f"{where} has a delta: all its groups are declared, and it needs none.")
    shares = _listed(about, "shares", where)
    if not all(_is_number(share) and 0 < share < 1 for share in shares):
        raise JourneybookError(f"{where}: shares are {list(shares)}: needed are numbers between 0 and 1.")
    return Asked(
        name=name,
        kind=kind,
        table=str(about["table"]),
        of=about.get("of"),
        by=by,
        values=values,
        rows=most["rows"],
        # A unit is in one segment, and in one bin.
        groups=1 if kind in ("histogram", "quantiles") or by in ((), ("segment",)) else most["groups"],
        amount=round(most.get("amount", 0) * CENTS),
        epsilon=epsilon,
        rho=rho,
        delta=float(delta),
        edges=_edges(about["edges"], f"{where}: edges") if "edges" in about else (),
        shares=shares,
    )


def _mapping(
    found: Any, where: str, *, needed: Sequence[str] = (), optional: Sequence[str] | None = None, why: str = ""
) -> Mapping[str, Any]:
    """Return a mapping that has what is needed; where anything is named, nothing else may be in it."""
    if not isinstance(found, Mapping):
        raise JourneybookError(f"{where} is {found!r}: needed are names with values.")
    if missing := [key for key in needed if key not in found]:
        raise JourneybookError(f"{where} has no {missing[0]}: needed are {list_names(needed)}{why}.")
    allowed = [*needed, *(optional or ())]
    if allowed and (unknown := [key for key in found if key not in allowed]):
        raise JourneybookError(f"{where} has {unknown[0]!r}: {nearest(unknown[0], allowed)}")
    return found


def _listed(about: Mapping[str, Any], key: str, where: str) -> tuple:
    found = about.get(key, [])
    if not isinstance(found, list):
        raise JourneybookError(f"{where}: {key} is {found!r}: needed is a list.")
    return tuple(found)


def _edges(found: Any, where: str) -> tuple[float, ...]:
    listed = found if isinstance(found, list) else []
    if not listed or not all(map(_is_number, listed)) or not all(low < high for low, high in pairwise(listed)):
        raise JourneybookError(f"{where} is {found!r}: needed are numbers in ascending order.")
    return tuple(map(float, listed))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
