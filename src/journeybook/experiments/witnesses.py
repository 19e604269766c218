"""The page's headline beside the same figures computed by another road, from the table of units alone."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments import looks
from journeybook.experiments.comparisons import Experiment
from journeybook.experiments.looks import Look
from journeybook.experiments.measures import Measures, Metric, filled_covariates
from journeybook.statistics import corrections, sequential
from journeybook.statistics.contrasts import contrast, proportion_moments
from journeybook.statistics.exact import SUFFIX

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
        One row a witness, as `results.checks_of` reads it.
    """
    names = units["variant"].astype(str).to_numpy()
    rows: list[dict] = []
    metrics = {metric.name: metric for metric in measured.metrics}
    filled = filled_covariates(units, measured)
    for row in found.estimates.itertuples():
        columns = [
            units[c].astype("Float64").to_numpy(dtype=float, na_value=np.nan) for c in metrics[row.metric].columns
        ]
        known = ~np.isnan(np.sum(columns, axis=0))
        sides = [known & (names == arm) for arm in (row.control_name, row.variant)]
        plain = found.methods[(found.methods["metric"] == row.metric) & (found.methods["variant"] == row.variant)]
        rows += _recomputed(row, metrics[row.metric], columns, sides, plain, filled)
        if period is not None and row.kind in ("proportion", "mean"):
            effect = _within(columns[0], sides, period)
            source = "differences by period, by their shares of the units"
            name = f"effect within periods, {row.metric}, {row.variant}"
            rows.append(_witness(name, row.effect, effect, ROUNDING * row.standard_error, source))
        if row.method.endswith(SUFFIX):
            rows += _exactly(row, [columns[0][side] for side in sides], alpha=alpha)
        elif row.kind != "quantile":
            rows += _read(row, plain.iloc[-1], horizon=found.horizon, alpha=alpha)
    counts = pd.Series(names).value_counts()
    planned = pd.Series(shares or dict.fromkeys(counts.index, 1.0))[counts.index].to_numpy(dtype=float)
    p_value = stats.chisquare(counts, planned / planned.sum() * counts.sum()).pvalue
    said = health.loc[health["check"] == "sample_ratio", "p_value"].iloc[0]
    rows.append(
        _witness("sample ratio, p value", said, p_value, ROUNDING, "scipy.stats.chisquare of the counts by name")
    )
    return pd.DataFrame(rows)


def procedure_witnesses(seen: Look, *, n_units: int, plan: str) -> pd.DataFrame:
    """The correction, the register and the theory of looks, on cases whose answers are known.

    Args:
        seen: This look.
        n_units: Its units.
        plan: Digest of the plan.

    Returns:
        One row a witness, as `results.checks_of` reads it.
    """
    # 0.01 x 4; then 0.011 x 3, 0.016 x 2 and 0.02 x 1, none of them below the one before.
    adjusted = corrections.adjust([0.01, 0.016, 0.02, 0.011], method="holm")
    rows = [
        _witness(f"Holm of four, p value {k}", p, 0.04, 1e-12, "Holm 1979, by hand: running maximum")
        for k, p in enumerate(adjusted, start=1)
    ]
    after = looks.look(seen.entry, digest="other data", n_units=n_units + 1, planned_units=0, over=True, plan=plan)
    source, number = "the page's register, asked with other data", len(seen.entry["looks"]) + 1
    rows.append(_witness("number of the next look", after.number, number, 0, source))
    rows.append(_witness("next look is always-valid", float(after.headline == "always_valid"), 1, 0, source))
    visits = proportion_moments(n=[21_306, 21_307], successes=[2_262, 3_894])
    men = float(contrast(visits, weights=(-1, 1)).effect)
    peeked = float(sequential.peeking(20, alpha=0.05)[-1])
    source = "MineThatData challenge, published counts"
    constants = [
        _witness("Hillstrom 2008, men's e-mail on visits", men, 0.076590, 1e-6, source),
        _witness("false positives of twenty looks at 5 %", peeked, 0.248, 5e-4, "Armitage, McPherson & Rowe 1969"),
    ]
    return pd.concat([pd.DataFrame(rows).assign(kind="witness"), pd.DataFrame(constants).assign(kind="constant")])


def hold_against_truth(
    truth: pd.DataFrame | None, found: Experiment, crossed: pd.DataFrame, *, experiment: str
) -> pd.DataFrame:
    """Headline effects and interactions beside those a simulation planted, where four standard errors can tell.

    Args:
        truth: Columns experiment, metric, variant (a 2x2 interaction is `a x b`), group, effect; None where it is
            not known.
        found: The comparisons.
        crossed: Main effects and interactions.
        experiment: Table that was analysed.

    Returns:
        One row a check, as `results.checks_of` reads it; no rows where the truth is not known.
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
    return pd.DataFrame(
        [
            _witness(
                f"planted effect on {row.metric}, {row.variant}",
                row.effect,
                row.effect_planted,
                4 * row.standard_error,
                "planted; four standard errors",
            )
            for row in both.itertuples()
            if 4 * row.standard_error < abs(row.effect_planted)
        ],
        columns=["name", "value", "reference", "tolerance", "source"],
    )


def _witness(name: str, value: float, reference: float, tolerance: float, source: str) -> dict:
    return {"name": name, "value": value, "reference": reference, "tolerance": tolerance, "source": source}


def _recomputed(
    row: Any,
    metric: Metric,
    columns: list[np.ndarray],
    sides: list[np.ndarray],
    plain: pd.DataFrame,
    filled: list[np.ndarray],
) -> Iterator[dict]:
    """Counts, effect and standard error without covariates and with them."""
    where = f"{row.metric}, {row.variant}"
    for arm, n, side in zip(("control", "treatment"), (row.n_control, row.n_treatment), sides, strict=True):
        yield _witness(f"units of {where}, {arm}", n, side.sum(), 0, "rows with a value, by name of the arm")
    effect, error, source = _plain(metric, [[column[side] for column in columns] for side in sides])
    bare, near = plain.iloc[0], ROUNDING
    yield _witness(f"effect on {where}", bare["effect"] / error, effect / error, ROUNDING, source)
    if metric.kind == "ratio":
        near, source = _leave_one(columns[1], sides), f"{source}; bound by the largest share of a unit"
    if metric.kind in ("proportion", "mean", "ratio"):
        yield _witness(f"standard error of {where}", bare["standard_error"] / error, 1, near, source)
    if filled and metric.kind in ("proportion", "mean"):
        effect, error, near = _adjusted(columns[0], sides, filled)
        source = "least squares with an intercept an arm, sandwich errors"
        yield _witness(f"CUPED of {where}", plain.iloc[1]["effect"] / error, effect / error, ROUNDING, source)
        best, source = plain.iloc[1]["standard_error"] / error, f"{source}; bound by their leverage"
        yield _witness(f"error of CUPED, {where}", best, 1, near, source)


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


def _exactly(row: Any, sides: list[np.ndarray], *, alpha: float) -> Iterator[dict]:
    """The p value and the ends of an exact headline, by SciPy's tests."""
    where = f"{row.metric}, {row.variant}"
    if row.kind == "proportion":
        table = [[int(side.sum()), int(len(side) - side.sum())] for side in reversed(sides)]
        tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
        source = "scipy.stats.fisher_exact, twice the smaller tail"
        yield _witness(f"exact p value of {where}", row.p_value, min(1, 2 * min(tails)), ROUNDING, source)
        return
    rng, step = np.random.default_rng(0), 1e-9 * (row.effect_high - row.effect_low)

    def tail(shift: float, alternative: str) -> float:
        return float(
            stats.permutation_test(
                (sides[1] - shift, sides[0]), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
                vectorized=True, n_resamples=PERMUTATIONS, alternative=alternative, rng=rng,
            ).pvalue
        )  # fmt: skip

    least = min(tail(0.0, "less"), tail(0.0, "greater"))
    source = "scipy.stats.permutation_test, twice the smaller tail; four Monte Carlo errors of both"
    error = 8 * np.sqrt(2 * least / PERMUTATIONS)
    yield _witness(f"exact p value of {where}", row.p_value, min(1.0, 2 * least), error, source)
    near = 4 * np.sqrt(2 * alpha / 2 / PERMUTATIONS)
    source = (
        f"scipy.stats.permutation_test of values shifted to it turns at {alpha / 2:g}, four Monte Carlo errors"
    )
    ends = [("low", row.effect_low, -step, "greater"), ("high", row.effect_high, step, "less")]
    for name, end, outward, side in ends if np.isfinite(step) else ():
        turns = tail(end + outward, side) <= alpha / 2 + near and tail(end - outward, side) >= alpha / 2 - near
        yield _witness(f"exact {name} end of {where}", float(turns), 1, 0, source)


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


def _read(row: Any, last: pd.Series, *, horizon: str, alpha: float) -> Iterator[dict]:
    """The p value and the ends of a headline that is not exact."""
    where, half = f"{row.metric}, {row.variant}", (row.effect_high - row.effect_low) / 2
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
    gap = (row.treatment - row.control - effect) / error
    yield _witness(f"arms of {where}", gap, 0, ROUNDING, "their difference")
