"""From rows to one row a unit or cluster: exposures and outcomes in the engine, and who withdrew a consent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import ibis
import numpy as np
import pandas as pd

from journeybook.experiments.measures import Measures, numbers
from journeybook.experiments.variants import arms_of

MEASURED_BY_CLUSTER = ("proportion", "mean", "ratio")
HOW = ("any", "count", "hours_to_first", "max", "mean", "min", "sum")
# These can be taken of whole rows; the others need a column.
_OF_ROWS = ("any", "count", "hours_to_first")
_OWN = ("row", "unit_id", "variant", "occurred_at")
# Sums of floats depend on their order, sums of decimals do not.
_EXACT = "decimal(38, 6)"
# Microseconds.
_HOUR, _DAY = 3.6e9, 8.64e10


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Units made from rows.

    Attributes:
        units: Lazy table, one row a unit and variant, in no order: `row` (of its first exposure), `unit_id`,
            `variant`, `occurred_at` (its first exposure), `n_exposures`, every further column of the exposures
            at its first known value, one column an aggregate, and `pre_<name>` for what came before.
        n_exposures: Rows of exposures.
        n_outcomes: Rows of outcomes.
        n_unmatched: Outcomes of units that were never exposed.
        n_outside: Outcomes of exposed units outside the windows before and after the exposure.
        n_unfinished: Units left out because the data end before their window does.
    """

    units: ibis.Table
    n_exposures: int
    n_outcomes: int
    n_unmatched: int
    n_outside: int
    n_unfinished: int


@dataclass(frozen=True, eq=False)
class Analysed:
    """What effects are measured on.

    Attributes:
        units: One row a unit, or a cluster of units where clusters were assigned.
        measured: The metrics on these rows.
        share: Rows for each unit: 1 but for clusters.
    """

    units: pd.DataFrame
    measured: Measures
    share: float


def units_from_rows(
    exposures: ibis.Table,
    outcomes: ibis.Table | None,
    *,
    aggregates: Mapping[str, Mapping[str, str]],
    window_days: float | None,
    pre_days: float | None,
) -> UnitRows:
    """Aggregate exposures and outcomes to one row a unit and variant; without aggregates a row is a unit already.

    An outcome counts from the unit's first exposure to any variant, for `window_days`, the same for every unit;
    one at the very moment of the exposure counts as after it. A unit exposed to two variants keeps a row in
    each, which the health checks report and the comparison refuses. Sums are of decimals with six places, so
    that the order of rows plays no part.

    Args:
        exposures: `row`, `unit_id`, `variant`; optional `occurred_at` and further columns.
        outcomes: `unit_id`; `occurred_at` where the exposures have it; the columns aggregated. None are the
            exposures.
        aggregates: By name of the new column: `how`, one of `HOW`, and the `column` it is taken of. `any`, `count`
            and `hours_to_first` need none; with one they are of the rows in which it is neither missing nor 0.
        window_days: Days after the first exposure; None is to the end of the data.
        pre_days: Days before it, for covariates `pre_<name>`; None makes none.

    Raises:
        ValueError: A column is missing, a unit has no id, an aggregate is unknown, or a window needs times that
            are not there.
    """
    if not aggregates:
        return UnitRows(exposures, 0, 0, 0, 0, 0)
    outcomes = exposures if outcomes is None else outcomes
    _check(exposures, outcomes, aggregates=aggregates, window_days=window_days, pre_days=pre_days)
    timed = "occurred_at" in exposures.columns and "occurred_at" in outcomes.columns
    kept = [c for c in exposures.columns if c not in (*_OWN, *aggregates, *_columns(aggregates))]
    moment = {"occurred_at": exposures.occurred_at.min()} if "occurred_at" in exposures.columns else {}
    units = exposures.group_by("unit_id", "variant").aggregate(
        row=exposures.row.min(),
        **moment,
        n_exposures=exposures.count(),
        **{column: exposures[column].argmin(exposures.row) for column in kept},
    )
    entered = exposures.group_by("unit_id").aggregate(entered_at=exposures.occurred_at.min() if timed else 0)
    facts = outcomes.select("unit_id", *(["occurred_at"] if timed else []), *_columns(aggregates))
    joined = facts.inner_join(entered, "unit_id")
    after, before = ibis.literal(True), ibis.literal(False)
    if timed:
        joined = joined.mutate(gap=joined.occurred_at.delta(joined.entered_at, unit="microsecond"))
        after, before = joined.gap >= 0, (joined.gap < 0) & (joined.gap >= -(pre_days or 0) * _DAY)
        after &= joined.gap < (window_days * _DAY if window_days is not None else np.inf)
    made = {name: (how, after) for name, how in aggregates.items()}
    if pre_days is not None:
        made |= {
            f"pre_{name}": (how, before) for name, how in aggregates.items() if how["how"] != "hours_to_first"
        }
    totals = joined.group_by("unit_id").aggregate(
        **{name: _aggregate(joined, how, rows) for name, (how, rows) in made.items()}
    )
    units = units.left_join(totals, "unit_id").drop("unit_id_right")
    nothing = {"any": 0, "count": 0, "sum": 0, "hours_to_first": 24.0 * (window_days or 0)}
    units = units.mutate(
        **{name: units[name].fill_null(nothing[h["how"]]) for name, (h, _) in made.items() if h["how"] in nothing}
    )
    n_unfinished = 0
    if timed and window_days is not None:
        end = max(outcomes.occurred_at.max().execute(), exposures.occurred_at.max().execute())
        finished = ibis.literal(end).delta(units.occurred_at, unit="microsecond") >= window_days * _DAY
        n_unfinished = int(units.filter(~finished).count().execute())
        units = units.filter(finished)
    n_outcomes, n_joined = int(outcomes.count().execute()), int(joined.count().execute())
    return UnitRows(
        units=units,
        n_exposures=int(exposures.count().execute()),
        n_outcomes=n_outcomes,
        n_unmatched=n_outcomes - n_joined,
        n_outside=n_joined - int(joined.filter(after | before).count().execute()),
        n_unfinished=n_unfinished,
    )


def with_withdrawals(units: ibis.Table, ledger: ibis.Table | None) -> ibis.Table:
    """Mark the units whose person withdrew a consent after the assignment.

    Args:
        units: One row a unit; those without `person_id` or `occurred_at` cannot be marked.
        ledger: Consents of the people whose rows may be read: `person_id`, `granted`, `occurred_at`; None where
            the data have none.

    Returns:
        The units with `withdrew`: 1 or 0, null where the unit is no known person; the table itself where there is
        no ledger, or it lacks people or times.
    """
    if ledger is None or not {"person_id", "occurred_at"} <= set(units.columns):
        return units
    last = ledger.filter(~ledger.granted).group_by("person_id").aggregate(refused_at=ledger.occurred_at.max())
    joined = units.left_join(last, "person_id").drop("person_id_right")
    after = (joined.refused_at >= joined.occurred_at).fill_null(False).cast("int64")
    return joined.mutate(withdrew=joined.person_id.notnull().ifelse(after, None)).drop("refused_at")


def by_cluster(units: pd.DataFrame, *, measured: Measures, control: str | None) -> Analysed:
    """One row a cluster where the column `cluster` decides the variant, else the units as they are.

    What was drawn at random is then the cluster, so that it is the unit of every test and interval (Donner & Klar
    2000). A cluster's value is the mean of its units' values, and each cluster counts the same.

    Args:
        units: One row a unit.
        measured: Metrics and covariates of `measures`.
        control: The variant compared against; None is resolved by `choose_control`.

    Returns:
        The rows, and the metrics on them: a share becomes a mean of shares; quantiles and times to an event are
        set aside.

    Raises:
        ValueError: No metric is left.
    """
    if "cluster" not in units.columns or units["cluster"].isna().all():
        return Analysed(units, measured, 1.0)
    arms = arms_of(units, control=control)
    name = (
        units["cluster"].astype("string").fillna("none " + pd.Series(units.index, index=units.index).astype(str))
    )
    groups = units.assign(_arm=arms.number).groupby(name.to_numpy(dtype=str), sort=True)
    if groups.ngroups == len(units) or (groups["_arm"].nunique() > 1).any():
        return Analysed(units, measured, 1.0)
    kept = [metric for metric in measured.metrics if metric.kind in MEASURED_BY_CLUSTER]
    if not kept:
        raise ValueError("metrics: variants are assigned by cluster, and so a share, mean or ratio is needed.")
    averaged = [*(column for metric in kept for column in metric.columns), *measured.covariates]
    others = [column for column in units.columns if column not in (*averaged, "unit_id", "row", "occurred_at")]
    alike = [column for column in others if (groups[column].nunique(dropna=False) <= 1).all()]
    found = groups[[column for column in alike if column != "cluster"]].first()
    for column in averaged:
        found[column] = pd.Series(numbers(units, column)).groupby(name).mean()
    if "occurred_at" in units.columns:
        found["occurred_at"] = groups["occurred_at"].min()
    found = found.rename_axis("unit_id").reset_index()
    found.insert(0, "row", np.arange(1, len(found) + 1))
    metrics = [replace(metric, kind="mean") if metric.kind == "proportion" else metric for metric in kept]
    return Analysed(found, replace(measured, metrics=metrics), len(found) / len(units))


def _columns(aggregates: Mapping[str, Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(how["column"] for how in aggregates.values() if "column" in how))


def _aggregate(joined: ibis.Table, how: Mapping[str, str], rows: ibis.Value) -> ibis.Value:
    """One aggregate over some of a unit's outcomes; null where there is none."""
    value = joined[how["column"]] if "column" in how else ibis.literal(1)
    happened = rows & value.notnull() & (value.cast("float64") != 0)
    match how["how"]:
        case "any":
            return happened.any().cast("int64")
        case "count":
            return happened.sum()
        case "hours_to_first":
            return joined.gap.min(where=happened) / _HOUR
        case "sum":
            return value.cast(_EXACT).sum(where=rows).cast("float64")
        case "mean":
            known = rows & value.notnull()
            return value.cast(_EXACT).sum(where=rows).cast("float64") / known.sum().nullif(0)
        case "max":
            return value.max(where=rows)
    return value.min(where=rows)


def _check(
    exposures: ibis.Table,
    outcomes: ibis.Table,
    *,
    aggregates: Mapping[str, Mapping[str, str]],
    window_days: float | None,
    pre_days: float | None,
) -> None:
    for name, table in (("exposures", exposures), ("outcomes", outcomes)):
        if "unit_id" not in table.columns:
            raise ValueError(f"aggregates: the {name} lack the column 'unit_id', which says whose rows they are.")
    nameless = int(exposures.unit_id.isnull().sum().execute() or 0)
    if nameless:
        raise ValueError(f"unit_id: {nameless} exposures have none; every exposure needs its unit.")
    timed = "occurred_at" in exposures.columns and "occurred_at" in outcomes.columns
    for name, how in aggregates.items():
        if how.get("how") not in HOW:
            raise ValueError(f"aggregates: '{name}' is made by '{how.get('how')}'; allowed are {', '.join(HOW)}.")
        if how["how"] not in _OF_ROWS and "column" not in how:
            raise ValueError(f"aggregates: '{name}' is a {how['how']} and lacks 'column', what it is taken of.")
        if "column" in how and how["column"] not in outcomes.columns:
            raise ValueError(
                f"aggregates: '{name}' needs the column '{how['column']}'; the outcomes have "
                f"{', '.join(outcomes.columns)}."
            )
        if how["how"] == "hours_to_first" and (window_days is None or not timed):
            raise ValueError(f"aggregates: '{name}' is hours_to_first, which needs times and window_days.")
    for name, days in (("window_days", window_days), ("pre_days", pre_days)):
        if days is not None and not (timed and days > 0):
            raise ValueError(
                f"{name} is {days:g}; a number above 0 is needed, and 'occurred_at' in exposures and outcomes."
            )
