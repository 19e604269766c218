"""Which variant a unit is in, and which variant the others are compared against."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from journeybook.experiments.factorial import design

CONTROL_NAMES = ("baseline", "control", "holdout", "no treatment", "none", "placebo")


@dataclass(frozen=True, eq=False)
class Arms:
    """The variant of each unit.

    Attributes:
        names: The variants as text, the control first, the others sorted.
        number: Place of each unit's variant in `names`, shape (units,).
    """

    names: list[str]
    number: np.ndarray

    @property
    def counts(self) -> dict[str, int]:
        """Units by variant."""
        return dict(zip(self.names, np.bincount(self.number, minlength=len(self.names)).tolist(), strict=True))


def choose_control(variants: Sequence[str], *, control: str | None) -> str:
    """The variant that the others are compared against.

    None is resolved only where the names leave no doubt: of two variants the one called control (or a name of
    `CONTROL_NAMES`), of a factorial design the cell that has none of the changes.

    Raises:
        ValueError: There are fewer than two variants, or the control is unknown or not clear; the message
            lists them.
    """
    names = sorted({str(name) for name in variants})
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
    crossed = design(names)
    if crossed is not None:
        return crossed.cells[0]
    raise ValueError(f"control: name the variant to compare against; the variants are {listed}.")


def arms_of(units: pd.DataFrame, *, control: str | None) -> Arms:
    """The variant of each unit as a number, the control 0.

    Args:
        units: One row a unit.
        control: The variant compared against; None is resolved by `choose_control`.

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
    return Arms(names=names, number=pd.Index(names).get_indexer(labels)[codes])


def check_one_row_a_unit(units: pd.DataFrame, arms: Arms) -> None:
    """Raise unless every unit that has an id has one row.

    Raises:
        ValueError: A unit id occurs twice; the message says how many do, and how many of them in two variants.
    """
    if "unit_id" not in units.columns:
        return
    ids = units["unit_id"]
    repeated = ids.notna() & ids.duplicated(keep=False)
    if repeated.any():
        rows = pd.DataFrame({"id": ids, "arm": arms.number})[repeated]
        in_arms = rows.groupby("id")["arm"].nunique()
        raise ValueError(
            f"unit_id: {len(in_arms)} units have more than one row ({int((in_arms > 1).sum())} of them in two "
            "variants); one row a unit is needed."
        )
