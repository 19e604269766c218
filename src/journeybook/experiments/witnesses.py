"""The page's headline beside the same figures computed by another road, from the table of units alone."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments import looks
from journeybook.experiments.comparisons import WITHIN, Experiment
from journeybook.experiments.looks import Look
from journeybook.experiments.measures import Measures, Metric, filled_covariates
from journeybook.experiments.variants import is_summed
from journeybook.statistics import corrections, sequential
from journeybook.statistics.exact import SUFFIX

# Two ways of computing the same sum.
ROUNDING = 1e-6


def witnesses(
    units: pd.DataFrame,
    found: Experiment,
    *,
    measured: Measures,
    health: pd.DataFrame,
    shares: Mapping[str, float] | None,
    alpha: float,
    period: np.ndarray | None = None,
) -> pd.DataFrame:
    """Recompute counts, effects, standard errors, p values and intervals, arms taken by their names.

    Returns:
        One row a witness, as `results.checks_of` reads it.
    """
    if is_summed(units):
        counts = units.groupby(["stratum", "variant"])["n_units"].max().groupby("variant").sum()
        return pd.DataFrame([*_of_arms(units, found, alpha), _ratio(counts, health, shares)])
    names = units["variant"].astype(str).to_numpy()
    metrics, filled = {metric.name: metric for metric in measured.metrics}, filled_covariates(units, measured)
    rows: list[dict] = []
    for row in found.estimates.itertuples():
        metric, where = metrics[row.metric], f"{row.metric}, {row.variant}"
        columns = [units[c].astype("Float64").to_numpy(dtype=float, na_value=np.nan) for c in metric.columns]
        known = ~np.isnan(np.sum(columns, axis=0))
        sides = [known & (names == arm) for arm in (row.control_name, row.variant)]
        beside = found.methods[(found.methods["metric"] == row.metric) & (found.methods["variant"] == row.variant)]
        for arm, n, side in zip(("control", "treatment"), (row.n_control, row.n_treatment), sides, strict=True):
            rows.append(_witness(f"units of {where}, {arm}", n, side.sum(), 0, "rows with a value, by name"))
        rows += _plain(metric, where, [[column[side] for column in columns] for side in sides], beside.iloc[0])
        if filled and metric.kind in ("proportion", "mean"):
            effect, source = adjusted_effect(columns[0], sides, filled), "least squares on arm and covariates"
            error = beside.iloc[1]["standard_error"]
            rows.append(
                _witness(f"CUPED of {where}", beside.iloc[1]["effect"] / error, effect / error, ROUNDING, source)
            )
        if row.method == WITHIN or row.method.endswith(WITHIN):
            effect, source = _within(columns[0], sides, period), "differences by period, by their shares"
            name, near = f"effect within periods, {where}", ROUNDING * row.standard_error
            rows.append(_witness(name, row.effect, effect, near, source))
        if row.method.endswith("fisher" + SUFFIX):
            p_value = _fisher([columns[0][side] for side in sides])
            source = "twice scipy.stats.fisher_exact's tail"
            rows.append(_witness(f"exact p value of {where}", row.p_value, p_value, ROUNDING, source))
        elif not row.method.endswith(SUFFIX) and row.kind != "quantile":
            rows += _read(row, where, beside.iloc[-1], horizon=found.horizon, alpha=alpha)
    return pd.DataFrame([*rows, _ratio(pd.Series(names).value_counts(), health, shares)])


def _ratio(counts: pd.Series, health: pd.DataFrame, shares: Mapping[str, float] | None) -> dict:
    planned = pd.Series(shares or dict.fromkeys(counts.index, 1.0))[counts.index].to_numpy(dtype=float)
    p_value = stats.chisquare(counts, planned / planned.sum() * counts.sum()).pvalue
    said = health.loc[health["check"] == "sample_ratio", "p_value"].iloc[0]
    return _witness("sample ratio, p value", said, p_value, ROUNDING, "scipy.stats.chisquare, counts by name")


def _of_arms(units: pd.DataFrame, found: Experiment, alpha: float) -> Iterator[dict]:
    """The headline of arms that came summed up: of one stratum by SciPy, of several as a mean by their sizes."""
    for row in found.estimates.itertuples():
        where = f"{row.metric}, {row.variant}"
        own = units[units["metric"] == row.metric].set_index(["variant", "stratum"])
        both = own.loc[row.control_name].join(own.loc[row.variant], suffixes=("_0", ""), how="inner")
        both = both[both[["n_units", "n_units_0"]].min(axis=1) > 1]
        weight = both["n_units"] + both["n_units_0"]
        effect = float(np.average(both["mean"] - both["mean_0"], weights=weight))
        source = "differences by stratum, by their sizes"
        yield _witness(f"effect on {where}", row.effect, effect, ROUNDING * row.standard_error, source)
        beside = found.methods[(found.methods["metric"] == row.metric) & (found.methods["variant"] == row.variant)]
        if len(both) == weight.size == 1:
            sides = both[["mean", "sd", "n_units", "mean_0", "sd_0", "n_units_0"]].iloc[0]
            t, plain = float(stats.ttest_ind_from_stats(*sides, equal_var=False).statistic), beside.iloc[0]
            source = "scipy.stats.ttest_ind_from_stats"
            error = effect / t if t else plain["standard_error"]
            yield _witness(f"standard error of {where}", error / plain["standard_error"], 1, ROUNDING, source)
        if not row.method.endswith(SUFFIX):
            yield from _read(row, where, beside.iloc[-1], horizon=found.horizon, alpha=alpha)


def procedure_witnesses(seen: Look, *, n_units: int, plan: str) -> pd.DataFrame:
    """The correction, the register and the theory of looks, on cases whose answers are known."""
    # 0.01 x 4; then 0.011 x 3, 0.016 x 2 and 0.02 x 1, none of them below the one before.
    adjusted = corrections.holm([0.01, 0.016, 0.02, 0.011])
    source = "Holm 1979, by hand: running maximum"
    rows = [_witness("Holm of four, every p value", float(np.ptp(adjusted) + adjusted[0]), 0.04, 1e-12, source)]
    after = looks.look(seen.entry, digest="other data", n_units=n_units + 1, planned_units=0, over=True, plan=plan)
    source, number = "the page's register, asked with other data", len(seen.entry["looks"]) + 1
    rows.append(_witness("number of the next look", after.number, number, 0, source))
    rows.append(_witness("next look is always-valid", float(after.headline == "always_valid"), 1, 0, source))
    peeked, source = float(sequential.peeking(20, alpha=0.05)[-1]), "Armitage, McPherson & Rowe 1969"
    rows.append(_witness("false positives of twenty looks at 5 %", peeked, 0.248, 5e-4, source))
    return pd.DataFrame(rows).assign(kind=["witness"] * 3 + ["constant"])


def hold_against_truth(
    truth: pd.DataFrame | None, found: Experiment, crossed: pd.DataFrame, *, experiment: str
) -> pd.DataFrame:
    """Headline effects and interactions beside those a simulation planted, where four standard errors can tell.

    The truth has the columns experiment, metric, variant (a 2x2 interaction is `a x b`), group and effect; no rows
    where it is not known.
    """
    if truth is None:
        return pd.DataFrame(columns=["name"])
    together = crossed[crossed["order"] > 1].copy()
    together["variant"] = together["term"].str.removeprefix("interaction ").str.replace("+", " x ", regex=False)
    columns = ["metric", "variant", "effect", "standard_error"]
    rows = pd.concat([part[columns] for part in (found.estimates, together) if len(part)])
    planted = truth[(truth["experiment"] == experiment) & (truth["group"] == "all")]
    both = rows.merge(
        planted[["metric", "variant", "effect"]], on=["metric", "variant"], suffixes=("", "_planted")
    )
    both["reach"], source = 4 * both["standard_error"], "planted; four standard errors"
    told = [
        _witness(f"planted effect on {r.metric}, {r.variant}", r.effect, r.effect_planted, r.reach, source)
        for r in both[both["reach"] < both["effect_planted"].abs()].itertuples()
    ]
    return pd.DataFrame(told, columns=["name", "value", "reference", "tolerance", "source"])


def _witness(name: str, value: float, reference: float, tolerance: float, source: str) -> dict:
    return {"name": name, "value": value, "reference": reference, "tolerance": tolerance, "source": source}


def _plain(metric: Metric, where: str, sides: list[list[np.ndarray]], plain: pd.Series) -> Iterator[dict]:
    """Effect and standard error without covariates."""
    error, near = float("nan"), ROUNDING
    match metric.kind:
        case "proportion" | "mean":
            test, source = stats.ttest_ind(sides[1][0], sides[0][0], equal_var=False), "scipy.stats.ttest_ind"
            effect = float(sides[1][0].mean() - sides[0][0].mean())
            error = effect / float(test.statistic) if effect else float("nan")
        case "ratio":
            both, source = [_jackknife(*side) for side in sides], "jackknife over units"
            effect, error = both[1][0] - both[0][0], float(np.hypot(both[0][1], both[1][1]))
            # A unit's weight, by which the jackknife may differ from the delta method.
            near = 4 * max(float((side[1] / side[1].sum()).max()) for side in sides)
        case "quantile":
            low, high = (float(np.quantile(side[0], metric.level)) for side in sides)
            effect, source = high - low, "numpy.quantile"
        case _:
            low, high = (_restricted(side[0], side[1], metric.horizon) for side in sides)
            effect, source = high - low, "area under Kaplan and Meier's curve, unit by unit"
    scale = plain["standard_error"]
    yield _witness(f"effect on {where}", plain["effect"] / scale, effect / scale, ROUNDING, source)
    if np.isfinite(error):
        yield _witness(f"standard error of {where}", scale / error, 1, near, source)


def _jackknife(numerator: np.ndarray, denominator: np.ndarray) -> tuple[float, float]:
    without = (numerator.sum() - numerator) / (denominator.sum() - denominator)
    n = len(numerator)
    return float(numerator.sum() / denominator.sum()), float(np.sqrt((n - 1) ** 2 / n * without.var(ddof=1)))


def _restricted(time: np.ndarray, happened: np.ndarray, horizon: float) -> float:
    order = np.lexsort((-happened, time))
    at, event = np.minimum(time[order], horizon), (happened[order] > 0) & (time[order] <= horizon)
    survival = np.cumprod(1 - event / np.arange(len(at), 0, -1))
    return float(np.diff(np.r_[0, at, horizon]) @ np.r_[1, survival])


def adjusted_effect(values: np.ndarray, sides: list[np.ndarray], filled: list[np.ndarray]) -> float:
    """The effect by least squares with the covariates beside the arm."""
    here = sides[0] | sides[1]
    x = np.column_stack([np.ones(here.sum()), sides[1][here], *[column[here] for column in filled]])
    x[:, 2:] -= x[:, 2:].mean(axis=0)
    return float(np.linalg.lstsq(x, values[here], rcond=None)[0][1])


def _within(values: np.ndarray, sides: list[np.ndarray], period: np.ndarray | None) -> float:
    """The effect within periods; those with fewer than two units in an arm go to the largest."""
    units = pd.DataFrame({"period": period, "y": values, "treated": sides[1]})[sides[0] | sides[1]]
    n = units.groupby(["period", "treated"]).size().unstack(fill_value=0)
    thin = n.index[n.min(axis=1) < 2]
    units["period"] = units["period"].where(~units["period"].isin(thin), n.sum(axis=1).idxmax())
    mean = units.groupby(["period", "treated"])["y"].mean().unstack()
    return float(np.average(mean[True] - mean[False], weights=units["period"].value_counts()[mean.index]))


def _fisher(sides: list[np.ndarray]) -> float:
    table = [[int(side.sum()), int(len(side) - side.sum())] for side in reversed(sides)]
    return min(1.0, 2 * min(stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")))


def _read(row: Any, where: str, last: pd.Series, *, horizon: str, alpha: float) -> Iterator[dict]:
    """The p value and the ends of a headline that is not exact."""
    half = (row.effect_high - row.effect_low) / 2
    if horizon == "always_valid":
        # At any size a mixture's boundary is wider than that of one look by 1.3 or more at usual levels.
        wider = 2 * half / (last["effect_high"] - last["effect_low"]) > 1.2
        yield _witness(f"always-valid interval of {where} is wider", float(wider), 1, 0, "Howard et al. 2021")
        return
    error, effect = last["standard_error"], last["effect"]
    # Beyond what a float holds both are 0.
    p_value = max(row.p_value, 1e-300) / max(2 * stats.t.sf(abs(effect / error), row.df), 1e-300)
    yield _witness(f"p value of {where}, over two sides", p_value, 1, ROUNDING, "two sides of Student's t")
    source = "quantile of Student's t"
    yield _witness(f"half the interval of {where}", half / error, stats.t.isf(alpha / 2, row.df), ROUNDING, source)
