"""What is measured on each unit of an experiment, and which variant is the control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

CONTROL_NAMES = ("baseline", "control", "holdout", "no treatment", "none", "placebo")
KINDS = ("proportion", "mean")
NOT_MEASURED = ("row", "unit_id", "customer_id", "person_id", "variant", "occurred_at", "stratum", "unconverted")
COVARIATE_PREFIX = "pre_"


@dataclass(frozen=True, eq=False)
class Measures:
    """What is measured on each unit.

    Attributes:
        kinds: Kind of each metric, `proportion` or `mean`, by column.
        covariates: Columns measured before assignment; CUPED adjusts for them.
        columns: One row a column of the table: column, role, kind, reason.
    """

    kinds: dict[str, str]
    covariates: list[str]
    columns: pd.DataFrame


def measures(
    units: pd.DataFrame, *, metrics: str | Mapping[str, str], covariates: Sequence[str] | None
) -> Measures:
    """Decide which columns are metrics, of which kind, and which are covariates.

    Args:
        units: One row a unit.
        metrics: Kind by column, or `auto`: 0/1 columns are proportions, other numbers are means, and text,
            dates, constants and empty columns are left out with the reason shown.
        covariates: Columns measured before assignment; `[]` says there are none. None takes the columns whose
            names begin with `pre_`, and is refused with `auto` where there is no such column: a covariate
            taken for a metric is a wrong result that nothing else would show.

    Raises:
        ValueError: A column is missing, is no number, is infinite or constant, or a kind is unknown.
    """
    if units.empty:
        raise ValueError("The experiment has no units; one row a unit is needed.")
    candidates = [column for column in units.columns if column not in NOT_MEASURED]
    if covariates is None:
        covariates = [column for column in candidates if str(column).startswith(COVARIATE_PREFIX)]
        if metrics == "auto" and not covariates:
            raise ValueError(
                "covariates: with metrics: auto name the columns measured before assignment ([] if none); "
                f"the columns are {', '.join(candidates) or 'none'}."
            )
    left_out: dict[str, str] = {}
    if isinstance(metrics, str):
        if metrics != "auto":
            raise ValueError(f"metrics: found '{metrics}', needed 'auto' or a kind for each metric column.")
        kinds = {}
        for column in candidates:
            if column not in covariates:
                kind, reason = _inferred_kind(units[column])
                if kind:
                    kinds[column] = kind
                else:
                    left_out[column] = reason
    else:
        kinds = dict(metrics)
        left_out = {c: "not named" for c in candidates if c not in kinds and c not in covariates}
    if not kinds:
        raise ValueError(f"metrics: none found among the columns {', '.join(candidates) or 'none'}.")
    both = sorted(set(kinds) & set(covariates))
    if both:
        raise ValueError(f"covariates: '{both[0]}' is named both as a metric and as a covariate.")
    for column, kind in kinds.items():
        _check_metric(units, column, kind)
    for column in covariates:
        values = numbers(units, column)
        if len(np.unique(values[np.isfinite(values)])) < 2:
            raise ValueError(f"covariates: column '{column}' has fewer than two values, so it adjusts nothing.")
    rows = [(c, "metric", kind, "") for c, kind in kinds.items()]
    rows += [(c, "covariate", "", "") for c in covariates]
    rows += [(c, "left out", "", reason) for c, reason in left_out.items()]
    return Measures(
        kinds=kinds,
        covariates=list(covariates),
        columns=pd.DataFrame(rows, columns=["column", "role", "kind", "reason"]),
    )


def numbers(units: pd.DataFrame, column: str) -> np.ndarray:
    """A column as floats, missing as NaN.

    Raises:
        ValueError: The column is missing, holds text or dates, or an infinite value.
    """
    if column not in units.columns:
        raise ValueError(f"Column '{column}' is not in the table, which has {', '.join(map(str, units.columns))}.")
    values = units[column]
    if _is_text(values):
        found = values.dropna().iloc[0] if values.notna().any() else "no value"
        raise ValueError(f"Column '{column}' must hold numbers; found '{found}'.")
    array = values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(array).any():
        raise ValueError(
            f"Column '{column}' holds {int(np.isinf(array).sum())} infinite values; numbers are needed."
        )
    return array


def _is_text(values: pd.Series) -> bool:
    """Whether a column holds text, dates or classes."""
    if values.dtype == object:
        return any(isinstance(value, str) for value in values)
    return isinstance(values.dtype, pd.StringDtype | pd.CategoricalDtype) or values.dtype.kind in "mM"


def _inferred_kind(values: pd.Series) -> tuple[str, str]:
    """Kind of a column under `auto`, or an empty kind and the reason it is left out."""
    if _is_text(values):
        return "", "not a number"
    array = numbers(values.to_frame(), str(values.name))
    known = np.unique(array[~np.isnan(array)])
    if len(known) == 0:
        return "", "no values"
    if len(known) == 1:
        return "", "the same value for every unit"
    return ("proportion" if set(known) <= {0.0, 1.0} else "mean"), ""


def _check_metric(units: pd.DataFrame, column: str, kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"metrics: '{column}' has kind '{kind}'; allowed are {', '.join(KINDS)}.")
    if column in NOT_MEASURED:
        raise ValueError(f"metrics: '{column}' names the unit or its assignment and is no metric.")
    known = np.unique(numbers(units, column))
    known = known[~np.isnan(known)]
    if kind == "proportion" and not set(known) <= {0.0, 1.0}:
        other = next(value for value in known if value not in (0.0, 1.0))
        raise ValueError(f"metrics: '{column}' is a proportion but holds {other:g}; 0 and 1 are needed.")
    if len(known) < 2:
        found = "no value" if len(known) == 0 else f"only the value {known[0]:g}"
        raise ValueError(f"metrics: '{column}' holds {found}, so no effect on it can be measured.")


def factors(variants: Sequence[str]) -> tuple[str, str, str, str] | None:
    """The cells (neither, first, second, both) of a 2x2 design whose variants are named x, a, b and a+b, else
    None.

    >>> factors(["control", "banner", "gift", "banner+gift"])
    ('control', 'banner', 'gift', 'banner+gift')
    """
    names = sorted(variants)
    if len(names) != 4:
        return None
    for both in names:
        parts = [part.strip() for part in both.split("+")]
        if len(parts) == 2 and parts[0] != parts[1] and all(part in names for part in parts):
            (neither,) = set(names) - {both, *parts}
            return neither, parts[0], parts[1], both
    return None


def choose_control(variants: Sequence[str], *, control: str | None) -> str:
    """The variant that the others are compared against.

    None is resolved only where the names leave no doubt: of two variants the one called control (or a name of
    `CONTROL_NAMES`), of a 2x2 design the cell that has neither change.

    Raises:
        ValueError: There are fewer than two variants, or the control is unknown or not clear; the message
            lists them.
    """
    names = sorted(set(variants))
    listed = ", ".join(f"'{name}'" for name in names) or "none"
    if len(names) < 2:
        raise ValueError(f"variant: a comparison needs two variants or more; found {listed}.")
    if control is not None:
        if str(control) not in names:
            raise ValueError(f"control: '{control}' is not a variant; the variants are {listed}.")
        return str(control)
    named = [name for name in names if name.strip().lower() in CONTROL_NAMES]
    if len(names) == 2 and len(named) == 1:
        return named[0]
    cells = factors(names)
    if cells:
        return cells[0]
    raise ValueError(f"control: name the variant to compare against; the variants are {listed}.")


def variant_labels(units: pd.DataFrame) -> np.ndarray:
    """The variants as text.

    Raises:
        ValueError: There is no such column, no unit, or a unit without a variant.
    """
    if "variant" not in units.columns:
        raise ValueError(f"Column 'variant' is not in the table, which has {', '.join(map(str, units.columns))}.")
    if units.empty:
        raise ValueError("The experiment has no units; one row a unit is needed.")
    missing = int(units["variant"].isna().sum())
    if missing:
        raise ValueError(f"Column 'variant' is empty for {missing} units; every unit needs its variant.")
    return units["variant"].astype(str).to_numpy(dtype=object)
