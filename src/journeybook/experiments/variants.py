"""Which variant a unit is in, which one the others are compared against, and units that were in two of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from journeybook.experiments.factorial import design

CONTROL_NAMES = ("baseline", "control", "default", "holdout", "no treatment", "none", "original", "placebo")
IN_TWO_ARMS = ("refuse", "leave_out")
# Columns by which arms that came summed up are known.
SUMMED = ("stratum", "variant", "metric", "kind", "n_units", "mean", "sd")


@dataclass(frozen=True, eq=False)
class Arms:
    """The variant of each unit.

    Attributes:
        names: The variants as text, the control first, the others sorted.
        number: Place of each row's variant in `names`, shape (rows,).
        stands_for: Units that each row stands for, shape (rows,); None where it is one.
    """

    names: list[str]
    number: np.ndarray
    stands_for: np.ndarray | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Units by variant."""
        n = np.bincount(self.number, weights=self.stands_for, minlength=len(self.names))
        return dict(zip(self.names, n.astype(int).tolist(), strict=True))


def is_summed(units: pd.DataFrame) -> bool:
    """Whether rows are arms summed up, as `summaries.summed_arms` makes them, and no units."""
    return set(SUMMED) <= set(units.columns)


def n_units(units: pd.DataFrame) -> int:
    """How many units the rows are of."""
    return int(_stand_for(units).sum()) if is_summed(units) else len(units)


def _stand_for(units: pd.DataFrame) -> np.ndarray:
    """Units of each summed row: an arm's metrics are of the same units, so that one row of it counts them."""
    arms = units.groupby(["stratum", "variant"], sort=False)["n_units"]
    return np.where(arms.cumcount() == 0, arms.transform("max"), 0)


def choose_control(variants: Sequence[str], *, control: str | None) -> str:
    """The variant that the others are compared against.

    None is resolved only where the names leave no doubt: of two variants the one called control (or a name of
    `CONTROL_NAMES`), of a factorial design the cell that has none of the changes.

    Raises:
        ValueError: There are fewer than two variants, or the control is unknown or not clear; it lists them.
    """
    names = sorted({str(name) for name in variants})
    listed = ", ".join(f"'{name}'" for name in names) or "none"
    if len(names) < 2:
        raise ValueError(f"variant: a comparison needs two variants or more; found {listed}.")
    if control is not None:
        alike = [name for name in names if _plain(name) == _plain(str(control))]
        if str(control) not in names and len(alike) != 1:
            raise ValueError(f"control: '{control}' is not a variant; the variants are {listed}.")
        return str(control) if str(control) in names else alike[0]
    named = [name for name in names if _plain(name) in CONTROL_NAMES]
    if len(names) == 2 and len(named) == 1:
        return named[0]
    crossed = design(names)
    if crossed is not None:
        return crossed.cells[0]
    raise ValueError(f"control: name the variant to compare against; the variants are {listed}.")


def arms_of(units: pd.DataFrame, *, control: str | None) -> Arms:
    """The variant of each unit as a number, the control 0.

    Raises:
        ValueError: There is no column `variant`, no unit, a unit without a variant, or no clear control.
    """
    if "variant" not in units.columns:
        raise ValueError(f"Column 'variant' is not in the table, which has {', '.join(map(str, units.columns))}.")
    if units.empty:
        raise ValueError("The experiment has no units; one row a unit is needed.")
    codes, found = pd.factorize(units["variant"])
    if (codes < 0).any():
        raise ValueError(
            f"Column 'variant' is empty for {int((codes < 0).sum())} units; every unit needs its variant."
        )
    labels = [str(label) for label in found]
    first = choose_control(labels, control=control)
    names = [first, *sorted(set(labels) - {first})]
    stands_for = _stand_for(units) if is_summed(units) else None
    return Arms(names, pd.Index(names).get_indexer(labels)[codes], stands_for)


def spelled_alike(exposures: ibis.Table) -> tuple[ibis.Table, int]:
    """Variants that differ in case or outer spaces alone are one, under their most frequent spelling.

    Returns:
        The table, and the rows that were spelled in another way.
    """
    if "variant" not in exposures.columns or not exposures.variant.type().is_string():
        return exposures, 0
    counts = exposures.variant.value_counts(name="n").to_pandas().dropna()
    counts = counts.sort_values(["n", "variant"], ascending=[False, True])
    usual = counts.groupby(counts["variant"].map(_plain))["variant"].transform("first")
    other = counts["variant"] != usual
    if not other.any():
        return exposures, 0
    spelling = dict(zip(counts["variant"][other], usual[other], strict=True))
    return exposures.mutate(variant=exposures.variant.substitute(spelling)), int(counts["n"][other].sum())


def units_in_arms(units: pd.DataFrame, *, units_in_two_arms: str) -> tuple[pd.DataFrame, int]:
    """Leave out the units that were in more than one variant, where `units_in_two_arms` is `leave_out`.

    `refuse` keeps them, for `health` to count and `compare` to refuse.

    Returns:
        The units that are left, and how many were left out.
    """
    if units_in_two_arms not in IN_TWO_ARMS:
        raise ValueError(
            f"units_in_two_arms: found '{units_in_two_arms}', needed one of {', '.join(IN_TWO_ARMS)}."
        )
    if units_in_two_arms == "refuse" or "unit_id" not in units.columns:
        return units, 0
    known = units["unit_id"].notna()
    both = known & (units.groupby("unit_id")["variant"].transform("nunique") > 1)
    return units[~both].reset_index(drop=True), int(units.loc[both, "unit_id"].nunique())


def check_one_row_a_unit(units: pd.DataFrame, arms: Arms) -> None:
    """Raise, with the cure, unless every unit that has an id has one row."""
    if "unit_id" not in units.columns:
        return
    ids = units["unit_id"]
    repeated = ids.notna() & ids.duplicated(keep=False)
    if not repeated.any():
        return
    in_arms = pd.DataFrame({"id": ids, "arm": arms.number})[repeated].groupby("id")["arm"].nunique()
    n, across = len(in_arms), int((in_arms > 1).sum())
    found = f"unit_id: {n} units have more than one row ({across} of them in two variants)"
    if across == ids.nunique():
        cure = "every id is in more than one arm, so rows look like counts: map them as `experiment_arms`"
    elif int(repeated.sum()) == 2 * across:
        cure = "one row a unit is needed; units_in_two_arms: leave_out goes on without those in two"
    else:
        cure = "`aggregates` makes one row a unit; map a row a unit and metric as `experiment_values`"
    raise ValueError(f"{found}; {cure}.")


def _plain(name: str) -> str:
    return " ".join(str(name).casefold().split())
