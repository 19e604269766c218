"""From rows to one row a unit or cluster: exposures and outcomes in the engine, and who withdrew a consent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import ibis
import numpy as np
import pandas as pd

from journeybook.experiments.measures import Measures, known_values, numbers
from journeybook.experiments.variants import Arms, arms_of, is_summed, spelled_alike

MEASURED_BY_CLUSTER = ("proportion", "mean", "ratio")
HOW = ("any", "count", "hours_to_first", "max", "mean", "min", "sum")
# These can be taken of whole rows; the others need a column.
_OF_ROWS = ("any", "count", "hours_to_first")
_OWN = ("row", "unit_id", "variant", "occurred_at")
# Sums of floats depend on their order, sums of decimals do not.
_EXACT = "decimal(38, 6)"
# Microseconds.
_HOUR, _DAY = 3.6e9, 8.64e10
# Share of the people that must have several rows before people, and not rows, are taken for what was assigned.
MIN_REPEATED = 0.01


@dataclass(frozen=True, eq=False)
class UnitRows:
    """Units made from rows.

    Attributes:
        units: Lazy table, one row a unit and variant, in no order: `row` and `occurred_at` of its first exposure,
            `unit_id`, `variant`, `n_exposures`, every further column of the exposures at its first known value,
            one column an aggregate, and `pre_<name>` for what came before.
        n_exposures: Rows of exposures.
        n_outcomes: Rows of outcomes.
        n_unmatched: Outcomes of units that were never exposed.
        n_outside: Outcomes of exposed units outside the windows before and after the exposure.
        n_unfinished: Units left out because the data end before their window does.
        n_respelled: Rows whose variant was spelled with other capitals or spaces than most.
        n_values: Rows of the long format, each one value of one metric.
    """

    units: ibis.Table
    n_exposures: int = 0
    n_outcomes: int = 0
    n_unmatched: int = 0
    n_outside: int = 0
    n_unfinished: int = 0
    n_respelled: int = 0
    n_values: int = 0


@dataclass(frozen=True, eq=False)
class Analysed:
    """What effects are measured on.

    Attributes:
        units: One row a unit, or a cluster or person where these were assigned whole.
        measured: The metrics on these rows.
        share: Rows for each unit: 1 but for clusters and people.
        by: What a row is: `unit`, `cluster` or `person`; `arm` where arms came summed up, and no unit is known.
        empty: Metrics that an arm has no two values of, by name, with the arm; they are set aside.
    """

    units: pd.DataFrame
    measured: Measures
    share: float = 1.0
    by: str = "unit"
    empty: dict[str, str] = field(default_factory=dict)


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
    one at the very moment of the exposure counts as after it, and without times every outcome does. A unit exposed
    to two variants keeps a row in each. Sums are of decimals, so that the order of rows plays no part.

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
    exposures, n_respelled = spelled_alike(exposures)
    n_values = 0
    if {"metric", "value"} <= set(exposures.columns):
        n_values, exposures = int(exposures.count().execute()), units_from_values(exposures)
    if not aggregates:
        return UnitRows(exposures, n_respelled=n_respelled, n_values=n_values)
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
    # Of a column, so that they are one truth a row also where there are no times.
    after, before = joined.unit_id.notnull(), joined.unit_id.isnull()
    if timed:
        joined = joined.mutate(gap=joined.occurred_at.delta(joined.entered_at, unit="microsecond"))
        after, before = joined.gap >= 0, (joined.gap < 0) & (joined.gap >= -(pre_days or 0) * _DAY)
        after &= joined.gap < (window_days * _DAY if window_days is not None else np.inf)
    made = {name: (how, after) for name, how in aggregates.items()}
    if pre_days is not None:
        made |= {
            f"pre_{name}": (how, before) for name, how in aggregates.items() if how["how"] != "hours_to_first"
        }
    came = {}
    if timed and window_days is None and outcomes is not exposures:
        counted = ibis.or_(*(_happened(joined, how) for how in aggregates.values())) & after
        came = {"outcome_at": joined.occurred_at.min(where=counted)}
    totals = joined.group_by("unit_id").aggregate(
        **came,
        **{name: _aggregate(joined, how, rows) for name, (how, rows) in made.items()},
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
        n_respelled=n_respelled,
        n_values=n_values,
    )


def units_from_values(values: ibis.Table) -> ibis.Table:
    """One row a unit and variant of a table in long format, with a column for each name in `metric`.

    A unit without a row of a metric has no value of it. Every other column takes its first known value.

    Raises:
        ValueError: A unit has two rows of one metric, or a metric has the name of another column.
    """
    by = ["unit_id", "variant"]
    if "unit_id" not in values.columns:
        raise ValueError(
            "metric: rows of a metric and value need the column 'unit_id', whose they are; rows of whole arms are "
            "`experiment_arms`."
        )
    twice = values.group_by(*by, "metric").aggregate(n=values.count()).filter(lambda t: t.n > 1)
    n_twice = int(twice.count().execute())
    if n_twice:
        first = twice.order_by(*by, "metric").limit(1).to_pandas().iloc[0]
        raise ValueError(
            f"metric: {n_twice} units have several rows of one metric (one {first['n']} of '{first['metric']}'); "
            "where rows are events, map `experiment` with a column for each amount, and use `aggregates`."
        )
    names = sorted(values.metric.value_counts().metric.to_pandas().dropna())
    kept = [c for c in values.columns if c not in ("row", *by, "metric", "value")]
    taken = [name for name in names if name in ("row", *by, *kept)]
    if taken:
        raise ValueError(f"metric: '{taken[0]}' is also a column of the table; give the metric another name.")
    return values.group_by(*by).aggregate(
        row=values.row.min(),
        **{column: values[column].argmin(values.row) for column in kept},
        **{name: values.value.max(where=values.metric == name) for name in names},
    )


def with_zeros(units: pd.DataFrame, *, columns: Sequence[str]) -> pd.DataFrame:
    """Count an empty value of these columns as 0: whoever has none did nothing.

    Raises:
        ValueError: A column is not there.
    """
    for column in columns:
        if column not in units.columns:
            raise ValueError(f"empty_is_zero: '{column}' is not a column; there are {', '.join(units.columns)}.")
    return units.fillna(dict.fromkeys(columns, 0)) if columns else units


def with_withdrawals(units: ibis.Table, ledger: ibis.Table | None) -> ibis.Table:
    """Mark the units whose person withdrew a consent after the assignment.

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
    """One row a cluster or person where these decide the variant, else the units as they are.

    What was drawn at random is the unit of every test and interval (Donner & Klar 2000). Where the column
    `cluster` decides, a cluster's value is the mean of its units' values, and each cluster counts the same. Where
    people have several rows, nearly always in one arm, a mean is the ratio of their sums: each row counts the
    same, and the error lets the rows of a person depend on each other. Quantiles and times to an event are then
    set aside, and in any case metrics that an arm has no two values of.

    Raises:
        ValueError: No metric is left.
    """
    if is_summed(units):
        return Analysed(units, replace(measured, metrics=[]), by="arm")
    arms = arms_of(units, control=control)
    kept = [metric for metric in measured.metrics if metric.kind in MEASURED_BY_CLUSTER]
    clusters = _clusters(units, arms.number)
    if clusters is not None and not kept:
        raise ValueError("metrics: variants are assigned by cluster, and so a share, mean or ratio is needed.")
    if clusters is not None:
        by, name = clusters
        averaged = [*(column for metric in kept for column in metric.columns), *measured.covariates]
        values = pd.DataFrame({column: numbers(units, column) for column in dict.fromkeys(averaged)})
        groups, rows = units.groupby(name, sort=True), values.groupby(name, sort=True)
        others = [c for c in units.columns if c not in (*averaged, "unit_id", "row", "occurred_at", "cluster")]
        alike = [column for column in others if (groups[column].nunique(dropna=False) <= 1).all()]
        sums, n = rows.sum(), rows.count()
        found = pd.concat([groups[alike].first(), sums / n.where(n > 0)], axis=1)
        metrics = [replace(metric, kind="mean") if metric.kind == "proportion" else metric for metric in kept]
        if by == "person":
            metrics = [
                m if m.kind == "ratio" else replace(m, kind="ratio", second=f"rows of {m.column}") for m in kept
            ]
            for metric in metrics:
                counted = n[metric.column] if metric.second not in sums else sums[metric.second]
                found[metric.column], found[metric.second] = sums[metric.column], counted
        if "occurred_at" in units.columns:
            found["occurred_at"] = groups["occurred_at"].min()
        found = found.rename_axis("unit_id").reset_index()
        found.insert(0, "row", np.arange(1, len(found) + 1))
        share = len(found) / len(units)
        units, measured, arms = found, replace(measured, metrics=metrics), arms_of(found, control=control)
    return _with_values(units, measured, arms, share=share if clusters else 1.0, by=by if clusters else "unit")


def _clusters(units: pd.DataFrame, arm: np.ndarray) -> tuple[str, np.ndarray] | None:
    """What was assigned whole, and the name of each unit's; None where units were assigned."""
    for by, column in (("cluster", "cluster"), ("person", "person_id")):
        if column not in units.columns or units[column].isna().all():
            continue
        alone = "none " + pd.Series(units.index, index=units.index).astype(str)
        name = units[column].astype("string").fillna(alone).to_numpy(dtype=str)
        sizes = pd.crosstab(name, arm)
        several, n = sizes[sizes.sum(axis=1) > 1], sizes.sum(axis=1)
        across = int((several > 0).sum(axis=1).gt(1).sum())
        if by == "cluster" and len(sizes) < len(units) and not across:
            return by, name
        # Were rows assigned one by one, as many people would have rows in several arms.
        share = np.bincount(arm) / len(arm)
        expected = sum(1 - (share**size).sum() for size in n[n > 1])
        if by == "person" and len(several) > MIN_REPEATED * len(sizes) and across < expected / 2:
            return by, np.array([f"{who} {number}" for who, number in zip(name, arm, strict=True)])
    return None


def _with_values(units: pd.DataFrame, measured: Measures, arms: Arms, *, share: float, by: str) -> Analysed:
    """The metrics of which every arm has two values, and of a ratio a denominator; the others are set aside."""
    empty = {}
    for metric in measured.metrics:
        values, known = known_values(units, metric)
        n = np.bincount(arms.number[known], minlength=len(arms.names))
        total = np.bincount(arms.number[known], weights=values[known, -1], minlength=len(arms.names))
        lacking = (n < 2) | ((metric.kind == "ratio") & (total <= 0))
        if lacking.any():
            empty[metric.name] = arms.names[int(lacking.argmax())]
    metrics = [metric for metric in measured.metrics if metric.name not in empty]
    if not metrics:
        name, arm = next(iter(empty.items()))
        raise ValueError(
            f"metrics: variant '{arm}' has no two units with a value of '{name}'. Map rows that are counts of "
            "many units as `experiment_arms`; where empty means none, name the column in `empty_is_zero`."
        )
    return Analysed(units, replace(measured, metrics=metrics), share, by, empty)


def _columns(aggregates: Mapping[str, Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(how["column"] for how in aggregates.values() if "column" in how))


def _aggregate(joined: ibis.Table, how: Mapping[str, str], rows: ibis.Value) -> ibis.Value:
    """One aggregate over some of a unit's outcomes; null where there is none."""
    value = joined[how["column"]] if "column" in how else ibis.literal(1)
    happened = rows & _happened(joined, how)
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


def _happened(joined: ibis.Table, how: Mapping[str, str]) -> ibis.Value:
    """Whether an outcome is one that an aggregate counts."""
    value = joined[how["column"]] if "column" in how else ibis.literal(1)
    return value.notnull() & (value.cast("float64") != 0)


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
