"""Assignment that was not one draw a unit: whole clusters assigned together, and shares that moved."""

from dataclasses import replace

import numpy as np
import pandas as pd

from journeybook.experiments.health import periods
from journeybook.experiments.measures import Measures, numbers
from journeybook.experiments.variants import arms_of

MEASURED_BY_CLUSTER = ("proportion", "mean", "ratio")
POOLED = "_pooled_biased"


def by_cluster(units: pd.DataFrame, *, measured: Measures, control: str | None) -> tuple[pd.DataFrame, Measures]:
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
        return units, measured
    arms = arms_of(units, control=control)
    name = (
        units["cluster"].astype("string").fillna("none " + pd.Series(units.index, index=units.index).astype(str))
    )
    groups = units.assign(_arm=arms.number).groupby(name.to_numpy(dtype=str), sort=True)
    if groups.ngroups == len(units) or (groups["_arm"].nunique() > 1).any():
        return units, measured
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
    return found, replace(measured, metrics=metrics)


def cluster_sentence(units: pd.DataFrame, rows: pd.DataFrame, measured: Measures, analysed: Measures) -> str:
    """What was made of the units, empty where nothing was."""
    if len(rows) == len(units):
        return ""
    gone = ", ".join(name for name in measured.kinds if name not in analysed.kinds)
    return (
        f"**Variants are assigned by cluster.** From here on a row is a cluster: {len(units):,} units are "
        f"{len(rows):,} rows, each the mean of its units. Shares are means of shares, as parts of 1. Intervals by "
        "unit would be too narrow." + (f" Not measured by cluster, and left out: {gone}." if gone else "")
    )


def moved_periods(units: pd.DataFrame, *, health: pd.DataFrame) -> np.ndarray | None:
    """The period of each unit where the allocation changed between periods; None where it did not.

    Args:
        units: One row a unit.
        health: The health checks of these units.
    """
    check = health[health["check"] == "allocation_over_time"]
    return periods(units["occurred_at"]) if len(check) and not check["passed"].iloc[0] else None
