"""The page's headline beside the same figures computed by another road, from the table of units alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.comparisons import EXACT, Experiment
from journeybook.experiments.corrections import adjust
from journeybook.experiments.looks import Look
from journeybook.experiments.measures import Measures, Metric
from journeybook.experiments.subgroups import filled_covariates

WITNESS_COLUMNS = ("name", "value", "reference", "tolerance", "source")
# Two ways of computing the same sum; a jackknife's error differs from the delta method's by some shares of 1/n.
ROUNDING, JACKKNIFE = 1e-6, 0.02


def witnesses(
    units: pd.DataFrame,
    found: Experiment,
    *,
    measured: Measures,
    health: pd.DataFrame,
    shares: dict | None,
    alpha: float,
) -> pd.DataFrame:
    """Recompute counts, effects, standard errors, p values and intervals, arms taken by their names.

    Args:
        units: One row a unit.
        found: The comparisons of these units.
        measured: Metrics and covariates.
        health: The health checks, for the sample ratio.
        shares: Planned share by variant; None is equal shares.
        alpha: One less the level of the intervals.

    Returns:
        One row a witness, columns `WITNESS_COLUMNS`.
    """
    names = units["variant"].astype(str).to_numpy()
    rows: list[tuple] = []
    metrics = {metric.name: metric for metric in measured.metrics}
    filled = filled_covariates(units, measured)
    for row in found.estimates.itertuples():
        metric, where = metrics[row.metric], f"{row.metric}, {row.variant}"
        columns = [units[c].astype("Float64").to_numpy(dtype=float, na_value=np.nan) for c in metric.columns]
        known = ~np.isnan(np.sum(columns, axis=0))
        sides = [known & (names == arm) for arm in (row.control_name, row.variant)]
        counts = (row.n_control, row.n_treatment)
        rows += [
            (f"units of {where}, {arm}", n, side.sum(), 0, "rows with a value, by name of the arm")
            for arm, n, side in zip(("control", "treatment"), counts, sides, strict=True)
        ]
        plain = found.methods[(found.methods["metric"] == row.metric) & (found.methods["variant"] == row.variant)]
        effect, error, source = _plain(metric, [[column[side] for column in columns] for side in sides])
        near = JACKKNIFE if metric.kind == "ratio" else ROUNDING
        bare = plain.iloc[0]
        rows.append((f"effect on {where}", bare["effect"] / error, effect / error, ROUNDING, source))
        if metric.kind in ("proportion", "mean", "ratio"):
            rows.append((f"standard error of {where}", bare["standard_error"] / error, 1, near, source))
        if filled and metric.kind in ("proportion", "mean"):
            effect, error = _adjusted(columns[0], sides, filled)
            source = "least squares with an intercept an arm, sandwich errors"
            rows.append((f"CUPED of {where}", plain.iloc[-1]["effect"] / error, effect / error, ROUNDING, source))
            best = plain.iloc[-1]["standard_error"]
            rows.append((f"error of CUPED, {where}", best / error, 1, 0.02, source))
        if found.horizon == "fixed_horizon" and metric.kind != "quantile" and not row.method.endswith(EXACT):
            last = plain.iloc[-1]
            rows += _read(row, error=last["standard_error"], effect=last["effect"], where=where, alpha=alpha)
        elif found.horizon == "always_valid" and metric.kind != "quantile":
            wide = (row.effect_high - row.effect_low) / (
                plain.iloc[-1]["effect_high"] - plain.iloc[-1]["effect_low"]
            )
            # At any size a mixture's boundary is wider than that of one look by 1.3 or more at usual levels.
            rows.append(
                (f"always-valid interval of {where} is wider", float(wide > 1.2), 1, 0, "Howard et al. 2021")
            )
    rows.append(_sample_ratio(names, health, shares))
    return pd.DataFrame(rows, columns=list(WITNESS_COLUMNS))


def procedure_witnesses(look: Callable[..., Look], *, entry: dict, n_units: int, plan: str) -> pd.DataFrame:
    """The correction and the register, on cases whose answers are known.

    Args:
        look: The page's `look`.
        entry: What the register keeps after this look.
        n_units: Units of this look.
        plan: Digest of the plan.

    Returns:
        One row a witness, columns `WITNESS_COLUMNS`.
    """
    # 0.01 x 4; then 0.011 x 3, 0.016 x 2 and 0.02 x 1, none of them below the one before.
    adjusted = adjust([0.01, 0.016, 0.02, 0.011], method="holm")
    rows: list[tuple] = [
        (f"Holm of four, p value {k}", p, 0.04, 1e-12, "Holm 1979, by hand: running maximum")
        for k, p in enumerate(adjusted, start=1)
    ]
    after = look(entry, digest="other data", n_units=n_units + 1, planned_units=0, over=True, plan=plan)
    source = "the page's register, asked with other data"
    rows.append(("number of the next look", after.number, len(entry["looks"]) + 1, 0, source))
    rows.append(("next look is always-valid", float(after.headline == "always_valid"), 1, 0, source))
    return pd.DataFrame(rows, columns=list(WITNESS_COLUMNS))


def _plain(metric: Metric, sides: list[list[np.ndarray]]) -> tuple[float, float, str]:
    """Effect without covariates, its standard error, and how they were computed."""
    match metric.kind:
        case "proportion" | "mean":
            test = stats.ttest_ind(sides[1][0], sides[0][0], equal_var=False)
            effect = float(sides[1][0].mean() - sides[0][0].mean())
            return effect, effect / float(test.statistic), "scipy.stats.ttest_ind(equal_var=False)"
        case "ratio":
            both = [_jackknife(*side) for side in sides]
            return both[1][0] - both[0][0], float(np.hypot(both[0][1], both[1][1])), "jackknife over units"
        case "quantile":
            low, high = (float(np.quantile(side[0], metric.level)) for side in sides)
            return high - low, 1.0, "numpy.quantile, by name of the arm"
    low, high = (_restricted(side[0], side[1], metric.horizon) for side in sides)
    return high - low, 1.0, "area under Kaplan and Meier's curve, unit by unit"


def _jackknife(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, float]:
    without = (numerator.sum() - numerator) / (denominator.sum() - denominator)
    n = len(numerator)
    return float(numerator.sum() / denominator.sum()), float(np.sqrt((n - 1) ** 2 / n * without.var(ddof=1)))


def _restricted(time: np.ndarray, happened: np.ndarray, horizon: float) -> float:
    order = np.lexsort((-happened, time))
    at, event = np.minimum(time[order], horizon), (happened[order] > 0) & (time[order] <= horizon)
    survival = np.cumprod(1 - event / np.arange(len(at), 0, -1))
    return float(np.diff(np.r_[0, at, horizon]) @ np.r_[1, survival])


def _adjusted(values: np.ndarray, sides: list[np.ndarray], filled: list[np.ndarray]) -> tuple[float, float]:
    """The effect by least squares, and its sandwich standard error (HC2)."""
    here = sides[0] | sides[1]
    x = np.column_stack([np.ones(here.sum()), sides[1][here], *[column[here] for column in filled]])
    x[:, 2:] -= x[:, 2:].mean(axis=0)
    inverse = np.linalg.pinv(x.T @ x)
    slopes = inverse @ x.T @ values[here]
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    scores = x * ((values[here] - x @ slopes) / np.sqrt(1 - leverage))[:, None]
    return float(slopes[1]), float(np.sqrt((inverse @ scores.T @ scores @ inverse)[1, 1]))


def _read(row: Any, *, effect: float, error: float, where: str, alpha: float) -> list[tuple]:
    """The p value and the ends of a headline at a fixed horizon."""
    # Beyond what a float holds both are 0.
    two_sided = max(2 * stats.t.sf(abs(effect / error), row.df), 1e-300)
    at = {"control": row.control, "treatment": row.treatment}
    return [
        (
            f"p value of {where}, over two sides",
            max(row.p_value, 1e-300) / two_sided,
            1,
            ROUNDING,
            "two sides of Student's t",
        ),
        (
            f"half the interval of {where}",
            (row.effect_high - row.effect_low) / 2 / error,
            stats.t.isf(alpha / 2, row.df),
            ROUNDING,
            "quantile of Student's t",
        ),
        (f"arms of {where}", (at["treatment"] - at["control"] - effect) / error, 0, ROUNDING, "their difference"),
    ]


def _sample_ratio(names: np.ndarray, health: pd.DataFrame, shares: dict | None) -> tuple:
    counts = pd.Series(names).value_counts()
    planned = pd.Series(shares or dict.fromkeys(counts.index, 1.0))[counts.index].to_numpy(dtype=float)
    p_value = stats.chisquare(counts, planned / planned.sum() * counts.sum()).pvalue
    said = health.loc[health["check"] == "sample_ratio", "p_value"].iloc[0]
    return ("sample ratio, p value", said, p_value, ROUNDING, "scipy.stats.chisquare of the counts by name")
