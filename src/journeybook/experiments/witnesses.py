"""The page's headline beside the same figures computed by another road, from the table of units alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.comparisons import Experiment
from journeybook.experiments.corrections import adjust
from journeybook.experiments.exact import SUFFIX
from journeybook.experiments.looks import Look
from journeybook.experiments.measures import Measures, Metric
from journeybook.experiments.subgroups import filled_covariates

WITNESS_COLUMNS = ("name", "value", "reference", "tolerance", "source")
# Two ways of computing the same sum.
ROUNDING = 1e-6
# Permutations of the page and of the check; ends between two assignments differ by one of all of them.
PERMUTATIONS = 20_000


def witnesses(
    units: pd.DataFrame,
    found: Experiment,
    *,
    measured: Measures,
    health: pd.DataFrame,
    shares: dict | None,
    alpha: float,
    period: np.ndarray | None = None,
) -> pd.DataFrame:
    """Recompute counts, effects, standard errors, p values and intervals, arms taken by their names.

    Args:
        units: One row a unit.
        found: The comparisons of these units.
        measured: Metrics and covariates.
        health: The health checks, for the sample ratio.
        shares: Planned share by variant; None is equal shares.
        alpha: One less the level of the intervals.
        period: Period of each unit, as `compare` took it.

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
        bare, near = plain.iloc[0], ROUNDING
        rows.append((f"effect on {where}", bare["effect"] / error, effect / error, ROUNDING, source))
        if metric.kind == "ratio":
            near, source = _leave_one(columns[1], sides), f"{source}; bound by the largest share of a unit"
        if metric.kind in ("proportion", "mean", "ratio"):
            rows.append((f"standard error of {where}", bare["standard_error"] / error, 1, near, source))
        if filled and metric.kind in ("proportion", "mean"):
            effect, error, near = _adjusted(columns[0], sides, filled)
            source = "least squares with an intercept an arm, sandwich errors"
            rows.append((f"CUPED of {where}", plain.iloc[1]["effect"] / error, effect / error, ROUNDING, source))
            best, source = plain.iloc[1]["standard_error"], f"{source}; bound by their leverage"
            rows.append((f"error of CUPED, {where}", best / error, 1, near, source))
        if period is not None and metric.kind in ("proportion", "mean"):
            effect = _within(columns[0], sides, period)
            source = "differences by period, by their shares of the units"
            rows.append((f"effect within periods, {where}", row.effect, effect, ROUNDING * error, source))
        if row.method.endswith(SUFFIX):
            rows += _exactly(row, [columns[0][side] for side in sides], where=where, alpha=alpha)
        elif found.horizon == "fixed_horizon" and metric.kind != "quantile":
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


def _leave_one(denominator: np.ndarray, sides: list[np.ndarray]) -> float:
    """Most by which a jackknife's error of a ratio can differ from the delta method's, as a share of it.

    Leaving a unit out moves the ratio by its linear part over 1 - h, where h is its share of the denominator, and
    the two divide by n and n - 1: so by h / (1 - h) + 1 / (n - 1) at most.
    """
    share = max(float(denominator[side].max() / denominator[side].sum()) for side in sides)
    bound = share / (1 - share) + 1 / (min(side.sum() for side in sides) - 1)
    return float(bound / max(1 - bound, 0.5))


def _within(values: np.ndarray, sides: list[np.ndarray], period: np.ndarray) -> float:
    """The effect within periods; those with fewer than two units in an arm go to the largest."""
    units = pd.DataFrame({"period": period, "y": values, "treated": sides[1]})[sides[0] | sides[1]]
    n = units.groupby(["period", "treated"]).size().unstack(fill_value=0)
    thin = n.index[n.min(axis=1) < 2]
    units["period"] = units["period"].where(~units["period"].isin(thin), n.sum(axis=1).idxmax())
    mean = units.groupby(["period", "treated"])["y"].mean().unstack()
    return float(np.average(mean[True] - mean[False], weights=units["period"].value_counts()[mean.index]))


def _exactly(row: Any, sides: list[np.ndarray], *, where: str, alpha: float) -> list[tuple]:
    """The p value and the ends of an exact headline, by SciPy's tests."""
    if row.kind == "proportion":
        table = [[int(side.sum()), int(len(side) - side.sum())] for side in reversed(sides)]
        tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
        source = "scipy.stats.fisher_exact, twice the smaller tail"
        return [(f"exact p value of {where}", row.p_value, min(1, 2 * min(tails)), ROUNDING, source)]
    rng, step = np.random.default_rng(0), 1e-9 * (row.effect_high - row.effect_low)

    def tail(shift: float, alternative: str) -> float:
        return float(
            stats.permutation_test(
                (sides[1] - shift, sides[0]), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
                vectorized=True, n_resamples=PERMUTATIONS, alternative=alternative, rng=rng,
            ).pvalue
        )  # fmt: skip

    least = min(tail(0.0, "less"), tail(0.0, "greater"))
    near = 4 * np.sqrt(2 * alpha / 2 / PERMUTATIONS)
    source = "scipy.stats.permutation_test, twice the smaller tail; four Monte Carlo errors of both"
    rows = [
        (
            f"exact p value of {where}",
            row.p_value,
            min(1.0, 2 * least),
            8 * np.sqrt(2 * least / PERMUTATIONS),
            source,
        )
    ]
    ends = [("low", row.effect_low, -step, "greater"), ("high", row.effect_high, step, "less")]
    for name, end, outward, side in ends if np.isfinite(step) else ():
        turns = tail(end + outward, side) <= alpha / 2 + near and tail(end - outward, side) >= alpha / 2 - near
        source = (
            f"scipy.stats.permutation_test of values shifted to it turns at {alpha / 2:g}, four Monte Carlo errors"
        )
        rows.append((f"exact {name} end of {where}", float(turns), 1, 0, source))
    return rows


def _adjusted(values: np.ndarray, sides: list[np.ndarray], filled: list[np.ndarray]) -> tuple[float, float, float]:
    """The effect by least squares, its sandwich error (HC2), and how far CUPED's may be from it, as a share.

    CUPED holds a residual to be independent of the covariates, and spreads the degrees of freedom evenly. So the
    two differ by what the covariates' part of a unit's weight does, and by what its leverage does.
    """
    here = sides[0] | sides[1]
    x = np.column_stack([np.ones(here.sum()), sides[1][here], *[column[here] for column in filled]])
    x[:, 2:] -= x[:, 2:].mean(axis=0)
    inverse = np.linalg.pinv(x.T @ x)
    slopes = inverse @ x.T @ values[here]
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    weight, residual = x @ inverse[1], values[here] - x @ slopes
    parts = residual**2 / (1 - leverage)
    variance = float((weight**2 * parts).sum())
    arm = np.where(sides[1][here], 1 / sides[1].sum(), -1 / sides[0].sum())
    by_covariates = abs(float(((weight**2 - arm**2) * parts).sum())) / variance
    by_leverage = float((arm**2 * (parts - residual**2)).sum()) / variance
    few = (len(filled) + 1) / (min(side.sum() for side in sides) - 1)
    return float(slopes[1]), float(np.sqrt(variance)), by_covariates + by_leverage + few


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
