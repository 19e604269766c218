"""What is measured on each unit of an experiment: metrics of five kinds, and covariates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from journeybook.errors import TooLittle, list_names
from journeybook.experiments.variants import is_summed

# What each kind needs besides the metric's name: key, and whether it may be left out.
KINDS: dict[str, dict[str, bool]] = {
    "proportion": {"column": True},
    "mean": {"column": True},
    "ratio": {"numerator": False, "denominator": False},
    "quantile": {"column": True, "level": False},
    "time_to_event": {"column": True, "event": False, "horizon": False},
}
NOT_MEASURED = [
    "row",
    "unit_id",
    "customer_id",
    "person_id",
    "variant",
    "occurred_at",
    "exposed_at",
    "stratum",
    "cluster",
    "unconverted",
    "withdrew",
    "outcome_at",
]
COVARIATE_PREFIX = "pre_"
TIME_PREFIXES = ("hours_to_", "days_to_", "minutes_to_", "seconds_to_", "time_to_")


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: Name in every table.
        kind: One of `KINDS`.
        column: Column of the values; of a ratio the numerator, of a time to event the time observed.
        second: Denominator of a ratio; of a time, 1 where the event was seen and 0 where observation ended before.
        level: Level of a quantile, between 0 and 1.
        horizon: Time up to which a time to event is averaged, in its unit.
    """

    name: str
    kind: str
    column: str
    second: str = ""
    level: float = float("nan")
    horizon: float = float("nan")

    @property
    def columns(self) -> list[str]:
        """The columns it is computed from."""
        return [self.column, self.second] if self.second else [self.column]

    @property
    def definition(self) -> str:
        """How it is computed, in words."""
        match self.kind:
            case "ratio":
                return f"sum of {self.column} over sum of {self.second}"
            case "quantile":
                return f"quantile of {self.column} at {self.level:g}"
            case "time_to_event":
                return f"mean of {self.column} up to {self.horizon:g}, censored where {self.second} is 0"
        return f"{'share' if self.kind == 'proportion' else 'mean'} of {self.column}"


@dataclass(frozen=True, eq=False)
class Measures:
    """What is measured on each unit, and what each column is taken for.

    Attributes:
        metrics: The metrics, in the order of the parameters or of the table.
        covariates: Columns measured before assignment; CUPED adjusts for them.
        columns: One row a metric, covariate, or column left out: column, role, kind, definition, reason.
        alike: Share of the units with a value, of named metrics that are the same for all of these.
    """

    metrics: list[Metric]
    covariates: list[str]
    columns: pd.DataFrame
    alike: dict[str, float] = field(default_factory=dict)

    @property
    def kinds(self) -> dict[str, str]:
        """Kind by name of the metric."""
        return {metric.name: metric.kind for metric in self.metrics}

    @property
    def outcomes(self) -> list[str]:
        """The columns that the metrics are computed from, each once."""
        return list(dict.fromkeys(column for metric in self.metrics for column in metric.columns))


def measures(
    units: pd.DataFrame, *, metrics: str | Mapping[str, str | Mapping], covariates: Sequence[str] | None
) -> Measures:
    """Decide which columns are metrics, of which kind, and which are covariates.

    Args:
        units: One row a unit.
        metrics: Kind by name, or what the kind needs (`{"per_order": {"kind": "ratio", "numerator": "spend",
            "denominator": "orders"}}`; see `KINDS`); or `auto`: 0/1 columns are proportions, other numbers means.
        covariates: Columns measured before assignment; None takes those named `pre_...`. With `auto` one or more
            must be named: a covariate taken for a metric is a wrong result that nothing else would show.

    Raises:
        ValueError: A column is missing, is no number, is infinite or constant, a kind is unknown or lacks what
            it needs, or `auto` is asked without covariates.
        TooLittle: No column differs between units.
    """
    if units.empty:
        raise ValueError("The experiment has no units; one row a unit is needed.")
    if is_summed(units):
        return _summed_measures(units, metrics)
    candidates = [str(column) for column in units.columns if column not in NOT_MEASURED]
    listed, named = list_names(candidates) or "none", covariates
    before = [column for column in candidates if column.startswith(COVARIATE_PREFIX)]
    if covariates is None:
        covariates = [column for column in before if not _constant(_known(units, column))]
    if not candidates and metrics == "auto":
        raise TooLittle("the experiment has no column that could be a metric; `outcomes` may be another table.")
    reasons: dict[str, str] = {}
    alike: dict[str, float] = {}
    if isinstance(metrics, str):
        if metrics != "auto":
            raise ValueError(f"metrics: found '{metrics}', needed 'auto' or a kind for each metric column.")
        if not (covariates or (named is None and before)):
            found = "found none named pre_..." if named is None else "found []"
            raise ValueError(
                f"covariates: {found}, but with metrics: auto the columns measured before assignment must be "
                f"named (without any, give each metric its kind); the columns are {listed}."
            )
        taken, reasons = _inferred(units, [c for c in candidates if c not in covariates])
    else:
        declared = [_declared(name, given) for name, given in metrics.items()]
        taken = [metric for metric in declared if not _alike(units, metric)] or declared
        reasons = {metric.name: "the same value for every unit" for metric in declared if metric not in taken}
        alike = {m.name: float(units[m.column].notna().mean()) for m in declared if m not in taken}
    if not taken and candidates:
        raise TooLittle(f"no column that could be a metric differs between units; the columns are {listed}.")
    if not taken:
        raise ValueError("metrics: none found, for the table has no column but those that name a unit.")
    for metric in taken:
        _check_metric(units, metric)
    used = [column for metric in taken for column in metric.columns]
    for column in covariates:
        if column in used:
            raise ValueError(f"covariates: '{column}' is named both as a metric and as a covariate.")
        if _constant(_known(units, column)):
            raise ValueError(f"covariates: column '{column}' has fewer than two values, so it adjusts nothing.")
    rows = [(metric.name, "metric", metric.kind, metric.definition, "") for metric in taken]
    rows += [(column, "covariate", "", "", "") for column in covariates]
    left_out = [column for column in candidates if column not in used and column not in covariates]
    rows += [(column, "left out", "", "", reasons.get(column, "not named")) for column in left_out]
    columns = pd.DataFrame(rows, columns=["column", "role", "kind", "definition", "reason"])
    return Measures(metrics=taken, covariates=list(covariates), columns=columns, alike=alike)


def _summed_measures(units: pd.DataFrame, metrics: str | Mapping[str, str | Mapping]) -> Measures:
    """The metrics of arms that came summed up: all of them, or those named."""
    kinds = units.groupby("metric", sort=False)["kind"].first().to_dict()
    for name, kind in () if isinstance(metrics, str) else metrics.items():
        if kinds.get(name) != kind:
            listed = ", ".join(f"{metric} ({its})" for metric, its in kinds.items())
            raise ValueError(f"metrics: '{name}' is named a {kind}; the arms have {listed}.")
    asked = {name: kind for name, kind in kinds.items() if metrics == "auto" or name in metrics}
    arms = units.groupby("metric", sort=False)
    alike = [name for name in asked if arms["sd"].max()[name] == 0 and arms["mean"].nunique()[name] == 1]
    taken = [Metric(name, kind, name) for name, kind in asked.items() if name not in alike]
    if not taken:
        raise ValueError(f"metrics: none differs among {', '.join(kinds)}: nothing can be compared.")
    rows = [(metric.name, "metric", metric.kind, metric.definition, "") for metric in taken]
    columns = pd.DataFrame(rows, columns=["column", "role", "kind", "definition", "reason"])
    return Measures(metrics=taken, covariates=[], columns=columns, alike=dict.fromkeys(alike, 1.0))


def numbers(units: pd.DataFrame, column: str) -> np.ndarray:
    """A column as floats, missing as NaN.

    Raises:
        ValueError: The column is missing, holds text or dates, or an infinite value.
    """
    if column not in units.columns:
        raise ValueError(f"Column '{column}' is not in the table, which has {list_names(units.columns)}.")
    values = units[column]
    if _is_text(values):
        found = str(values.dropna().iloc[0]) if values.notna().any() else "no value"
        raise ValueError(f"Column '{column}' must hold numbers; found '{found}'{_cure(found)}.")
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiub":
        array = values.to_numpy(dtype=float)
    else:
        array = values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    # A sum that is finite shows at once that every value is.
    if not np.isfinite(array.sum()) and np.isinf(array).any():
        n = int(np.isinf(array).sum())
        raise ValueError(f"Column '{column}' holds {n} infinite values; numbers are needed.")
    return array


def _cure(found: str) -> str:
    """How a text is mapped as a number, where that is plain."""
    if found.endswith("%"):
        return "; map it as `CAST(replace(column, '%', '') AS DOUBLE)`"
    yes = found.casefold() in ("yes", "no", "true", "false")
    return "; map a condition, such as `column = 'yes'`" if yes else ""


def known_values(units: pd.DataFrame, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
    """The values of a metric's columns, shape (units, columns), and which units have them all."""
    values = np.column_stack([numbers(units, column) for column in metric.columns])
    return values, ~np.isnan(values).any(axis=1)


def filled_covariates(units: pd.DataFrame, measured: Measures) -> list[np.ndarray]:
    """The covariates; a missing value takes the mean of its column over all arms, which favours none."""
    columns = (numbers(units, column) for column in measured.covariates)
    return [np.where(np.isnan(x), np.nanmean(x), x) for x in columns]


def amount(value: float, kind: str | None, *, sign: bool = False) -> str:
    """A difference of a metric in words; of a share in percentage points.

    >>> amount(0.02, "proportion", sign=True), amount(0.02, "mean")
    ('+2 points', '0.02')
    """
    number, unit = (100 * value, " points") if kind == "proportion" else (value, "")
    return f"{number:{'+' if sign else ''}.3g}{unit}"


def known_before(units: pd.DataFrame, *, measured: Measures, planned: Sequence[str]) -> list[str]:
    """Columns known before the assignment, by which effects may differ: covariates, planned subgroups, strata."""
    strata = ["stratum"] if "stratum" in units.columns and units["stratum"].nunique() > 1 else []
    return list(dict.fromkeys([*measured.covariates, *planned, *strata]))


def is_time(column: str) -> bool:
    """Whether a column is named as a time to something."""
    return column.startswith(TIME_PREFIXES)


def _alike(units: pd.DataFrame, metric: Metric) -> bool:
    """Whether a share or mean is the same for every unit that has one."""
    if metric.kind not in ("proportion", "mean") or metric.column in NOT_MEASURED:
        return False
    known = _known(units, metric.column)
    return len(known) > 0 and _constant(known)


def _declared(name: str, given: str | Mapping) -> Metric:
    """A metric as the parameters declare it."""
    block = {"kind": given} if isinstance(given, str) else dict(given)
    kind = block.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"metrics: '{name}' has kind '{kind}'; allowed are {', '.join(KINDS)}.")
    keys = KINDS[kind]
    for key in block:
        if key not in keys:
            raise ValueError(f"metrics: '{name}' has the key '{key}'; a {kind} takes {', '.join(keys)}.")
    for key, optional in keys.items():
        if key not in block and not optional:
            raise ValueError(f"metrics: '{name}' is a {kind} and lacks '{key}'; it takes {', '.join(keys)}.")
        if key in ("level", "horizon") and (
            isinstance(block[key], bool) or not isinstance(block[key], int | float)
        ):
            raise ValueError(f"metrics: {key} of '{name}' is '{block[key]}'; a number is needed.")
    return Metric(
        name=str(name),
        kind=kind,
        column=str(block.get("numerator", block.get("column", name))),
        second=str(block.get("denominator", block.get("event", ""))),
        level=float(block.get("level", np.nan)),
        horizon=float(block.get("horizon", np.nan)),
    )


def _is_text(values: pd.Series) -> bool:
    """Whether a column holds text, dates or classes."""
    if values.dtype == object:
        return any(isinstance(value, str) for value in values)
    return isinstance(values.dtype, pd.StringDtype | pd.CategoricalDtype) or values.dtype.kind in "mM"


def _inferred(units: pd.DataFrame, columns: Sequence[str]) -> tuple[list[Metric], dict[str, str]]:
    """The metrics that `auto` takes, and why it left other columns out."""
    taken, reasons = [], {column: "not a number" for column in columns if _is_text(units[column])}
    for column in (c for c in columns if c not in reasons):
        known = _known(units, column)
        if _constant(known):
            reasons[column] = "the same value for every unit" if len(known) else "no values"
        elif event := _event_of(units, column, columns):
            taken.append(Metric(column, "time_to_event", column, second=event, horizon=float(known.max())))
        else:
            taken.append(Metric(column, "mean" if len(_not_zero_one(known)) else "proportion", column))
    return taken, reasons


def _event_of(units: pd.DataFrame, column: str, columns: Sequence[str]) -> str:
    """The 0/1 column that is 0 only where a time to an event has its longest value; empty where there is none."""
    if is_time(column):
        time = numbers(units, column)
        for other in (c for c in columns if c != column and not _is_text(units[c])):
            happened = numbers(units, other)
            without = time[happened == 0]
            if not len(_not_zero_one(happened)) and len(without) and (without == np.nanmax(time)).all():
                return other
    return ""


def _check_metric(units: pd.DataFrame, metric: Metric) -> None:
    where = f"metrics: '{metric.name}'"
    for column in metric.columns:
        if column in NOT_MEASURED:
            raise ValueError(f"metrics: '{column}' names the unit or its assignment and is no metric.")
    values, known = known_values(units, metric)
    first, second = values[known, 0], values[known, -1]
    if metric.kind == "proportion":
        _only_zero_one(first, f"{where} is a proportion but")
    if _constant(first):
        found = f"only the value {first[0]:g}" if len(first) else "no value"
        raise ValueError(f"{where} holds {found}, so no effect on it can be measured.")
    if metric.kind == "quantile" and not 0 < metric.level < 1:
        raise ValueError(f"{where} is a quantile at {metric.level:g}; a level between 0 and 1 is needed.")
    if metric.kind == "ratio" and (second.min() < 0 or second.max() == 0):
        raise ValueError(
            f"{where} is a ratio whose denominator '{metric.second}' runs from {second.min():g} to "
            f"{second.max():g}; values from 0 up, not all 0, are needed."
        )
    if metric.kind == "time_to_event":
        _only_zero_one(second, f"{where}: its event '{metric.second}'")
        if first.min() < 0:
            raise ValueError(f"{where} holds the time {first.min():g}; times from 0 up are needed.")
        if not 0 < metric.horizon <= first.max():
            raise ValueError(
                f"{where} is averaged up to {metric.horizon:g}; a horizon above 0 and at most {first.max():g}, "
                "the longest time observed, is needed."
            )


def _known(units: pd.DataFrame, column: str) -> np.ndarray:
    values = numbers(units, column)
    return values[~np.isnan(values)]


def _only_zero_one(values: np.ndarray, where: str) -> None:
    other = _not_zero_one(values)
    if len(other):
        raise ValueError(f"{where} holds {other[0]:g}; 0 and 1 are needed.")


def _not_zero_one(values: np.ndarray) -> np.ndarray:
    return values[(values != 0) & (values != 1)]


def _constant(values: np.ndarray) -> bool:
    return len(values) == 0 or bool(values.min() == values.max())
