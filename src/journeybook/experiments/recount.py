"""The page's further tables made again by another road: units, corrections, beliefs, looks, groups, rule."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import ibis
import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.comparisons import Experiment
from journeybook.experiments.decision import SHIP, STOP, UNPLANNED, WAIT, cautioned
from journeybook.experiments.measures import Measures, filled_covariates
from journeybook.experiments.plan import Plan
from journeybook.experiments.subgroups import MAX_LEVELS, MISSING
from journeybook.experiments.variants import is_summed
from journeybook.experiments.witnesses import ROUNDING, adjusted_effect

_COLUMNS = ["name", "value", "reference", "tolerance", "source"]


def units_hold(
    exposed: ibis.Table, units: pd.DataFrame, data: pd.DataFrame, *, n_aside: int, share: float
) -> pd.DataFrame:
    """Count the units of the table, less those said to be set aside, beside those that are analysed."""
    if is_summed(units):
        return pd.DataFrame(columns=_COLUMNS)
    named = "unit_id" in exposed.columns
    n = exposed.count() if not named else exposed.unit_id.nunique() + exposed.unit_id.isnull().sum()
    there = int(n.to_pandas())
    rows = [
        ("units of the experiment", len(units), there - n_aside, 0, "distinct units, less those set aside"),
        ("rows analysed", len(data), round(share * len(units)), 0, "units, or the clusters they are in"),
    ]
    return pd.DataFrame(rows, columns=_COLUMNS)


def tables_hold(
    kept: Mapping[str, pd.DataFrame],
    units: pd.DataFrame,
    found: Experiment,
    *,
    measured: Measures,
    plan: Plan,
    lower_is_better: Collection[str],
    alarms: Sequence[str],
    cautions: Sequence[str],
    over: bool,
    tested: np.ndarray,
) -> pd.DataFrame:
    """Make the tables that the page keeps, by name, again from the units.

    `tested` says which units tested what the others found; the rest is as the page has it.
    """
    rows = [*_corrected(kept), *_relative(found), *_ruled(kept, found, plan, alarms, cautions, over)]
    if is_summed(units):
        return pd.DataFrame(rows, columns=_COLUMNS)
    filled, arm = filled_covariates(units, measured), units["variant"].astype(str).to_numpy()
    values = {
        metric.name: units[metric.column].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        for metric in measured.metrics
        if metric.kind in ("proportion", "mean")
    }

    def sides(row: Any, inside: np.ndarray) -> list[np.ndarray]:
        known = inside & ~np.isnan(values[row.metric])
        return [known & (arm == name) for name in (found.control, row.variant)]

    def effect(row: Any, inside: np.ndarray) -> float:
        return adjusted_effect(values[row.metric], sides(row, inside), filled)

    def told(name: str) -> pd.DataFrame:
        frame = kept[name]
        return frame[frame["metric"].isin(list(values))] if len(frame) else frame

    rows += _believed(told("posteriors"), values, arm, found, lower_is_better)
    rows += _daily(told("daily_effects"), units, values, sides)
    rows += _so_far(told("sequential"), units, found, sides, effect)
    rows += _grouped(told("subgroups"), told("heterogeneity"), units, sides, effect, tested, found.alpha)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _corrected(kept: Mapping[str, pd.DataFrame]) -> Iterator[tuple]:
    """Holm's correction as a running maximum in pandas."""
    groups = kept["subgroups"].drop_duplicates(["metric", "variant", "subgroup"])
    asked = [(kept["comparisons"], "p_"), (kept["heterogeneity"], "p_"), (groups, "interaction_p_")]
    off = 0.0
    for frame, name in [(frame, name) for frame, name in asked if len(frame)]:
        p = frame[f"{name}value"].astype(float).sort_values()
        by_hand = (p * np.arange(len(p), 0, -1)).cummax().clip(1e-300, 1)
        off = np.maximum(off, (frame[f"{name}adjusted"].clip(lower=1e-300) / by_hand - 1).abs().max())
    yield "corrected p values, share off", off, 0, 1e-9, "Holm 1979, running maximum"


def _relative(found: Experiment) -> Iterator[tuple]:
    """A lift is of its own arms, and leaves out 0 where the effect does (Fieller)."""
    table = found.estimates
    off = (table["treatment"] - table["control"] - table["effect"]).abs() / table["standard_error"]
    lift = ((1 + table["relative"]) * table["control"] - table["treatment"]).abs() / table["standard_error"]
    yield "arms and lifts that do not make the effect, in errors", np.nanmax([off, lift]), 0, ROUNDING, "by hand"
    ends = table[(table["kind"] != "quantile") & table["relative_low"].notna()]
    unlike = (ends["relative_low"] > 0) != (ends["effect_low"] > 0)
    unlike |= (ends["relative_high"] < 0) != (ends["effect_high"] < 0)
    unlike &= ~ends["method"].str.contains("exact|fisher|permutation")
    yield "intervals of lifts that leave out 0 and the effect's does not", int(unlike.sum()), 0, 0, "Fieller 1954"


def _ruled(
    kept: Mapping[str, pd.DataFrame],
    found: Experiment,
    plan: Plan,
    alarms: Sequence[str],
    cautions: Sequence[str],
    over: bool,
) -> Iterator[tuple]:
    """Guardrails by one t test each, and the plan's rule as a truth table."""
    n_off = 0
    for row in kept["guardrails"].itertuples():
        own = found.estimates.query("metric == @row.metric and variant == @row.variant").iloc[0]
        # Above 0: within the margin.
        t = (own["effect"] - row.margin) * (1 if row.margin < 0 else -1) / own["standard_error"]
        clear = stats.t.isf(plan.alpha, own["df"])
        one_look = "holds" if t > clear else "harmed" if t < -clear else "open"
        # A test for every look is slower than that of one look, and never says the opposite.
        n_off += row.verdict != one_look and (found.horizon == "fixed_horizon" or row.verdict != "open")
    if len(kept["guardrails"]):
        yield "guardrails judged otherwise", n_off, 0, 0, "Student's t from the margin"
    n_off, decision = 0, kept["decision"].set_index("variant")["decision"]
    primary = found.estimates[found.estimates["metric"] == plan.primary].set_index("variant")
    adjusted = primary["p_value"].sort_values()
    adjusted = (adjusted * np.arange(len(adjusted), 0, -1)).cummax()
    for variant, said in decision.items():
        if not plan.given or variant not in primary.index:
            n_off += said != (STOP if plan.given else UNPLANNED)
            continue
        row, verdicts = primary.loc[variant], kept["guardrails"].query("variant == @variant")["verdict"]
        low, high = sorted([plan.sign * row["effect_low"], plan.sign * row["effect_high"]])
        worthy = low >= plan.minimum_effect and adjusted[variant] < plan.alpha and (verdicts == "holds").all()
        refused = high < plan.minimum_effect or (verdicts == "harmed").any()
        careful = cautioned(cautions, metric=plan.primary, variant=str(variant), method=row["method"])
        careful += [c for m in plan.guardrails for c in cautioned(cautions, metric=m, variant=str(variant))]
        ready = worthy and not refused and not alarms and not careful
        n_off += (said == SHIP) != ready or (said == WAIT and (over or refused or len(alarms) > 0))
    yield "decisions that the plan's rule does not allow", n_off, 0, 0, "the rule as a truth table"


def _believed(
    told: pd.DataFrame, values: Mapping[str, np.ndarray], arm: np.ndarray, found: Experiment, less: Collection[str]
) -> Iterator[tuple]:
    """Posteriors by SciPy; chances by the mean over a thousand quantiles of the arm's own."""
    offs, chances, at = [], [], (np.arange(1000) + 0.5) / 1000
    for metric, rows in told.groupby("metric"):
        own, here = {}, values[metric][~np.isnan(values[metric])]
        for name in rows["variant"]:
            y = values[metric][(arm == name) & ~np.isnan(values[metric])]
            if rows["kind"].iloc[0] == "proportion":
                own[name] = stats.beta(1 + y.sum(), 1 + len(y) - y.sum())
            else:
                # One unit's worth of belief that the mean is that of all.
                weights = np.array([len(y) / (y.var(ddof=1) or here.var(ddof=1)), 1 / here.var(ddof=1)])
                own[name] = stats.norm(weights @ [y.mean(), here.mean()] / weights.sum(), weights.sum() ** -0.5)
        base = own[found.control]
        for row in rows.itertuples():
            mine, others = own[row.variant], [own[name] for name in own if name != row.variant]
            ends = np.array([mine.mean(), *mine.interval(1 - found.alpha)])
            said = np.array([row.posterior_mean, row.posterior_low, row.posterior_high])
            offs.append(np.abs(said - ends).max() / mine.std())
            drawn = mine.ppf(at)
            beats = [other.sf(drawn) if metric in less else other.cdf(drawn) for other in others]
            chances.append(abs(row.probability_best - np.prod(beats, axis=0).mean()))
            if row.variant != found.control:
                beaten = base.sf(drawn) if metric in less else base.cdf(drawn)
                chances.append(abs(row.probability_better - beaten.mean()))
                offs.append(abs(row.effect - (mine.mean() - base.mean())) / mine.std())
                below = [base.sf(drawn - end).mean() for end in (row.effect_low, row.effect_high)]
                chances.append(np.abs(np.array(below) - [found.alpha / 2, 1 - found.alpha / 2]).max())
    if offs:
        yield "posteriors, furthest off in their spread", np.max(offs), 0, ROUNDING, "scipy.stats, arm by arm"
        yield "chances of posteriors, furthest off", np.max(chances), 0, 2e-3, "mean over a thousand quantiles"


def _daily(
    told: pd.DataFrame, units: pd.DataFrame, values: Mapping[str, np.ndarray], sides: Callable
) -> Iterator[tuple]:
    """Effects by SciPy's t test of each day, their trend by weighted least squares."""
    offs = []
    for _, rows in told.groupby(["metric", "variant"]) if len(told) else ():
        days = units["occurred_at"].dt.normalize()
        day = (days - days.min()).dt.days.to_numpy()
        for row in rows.itertuples():
            control, treatment = (values[row.metric][side] for side in sides(row, day == row.day))
            test, by_hand = stats.ttest_ind(treatment, control, equal_var=False), treatment.mean() - control.mean()
            offs += [abs(row.effect - by_hand) / row.standard_error]
            offs += [abs(by_hand / row.standard_error - test.statistic)]
        line, spread = np.polyfit(rows["day"], rows["effect"], 1, w=1 / rows["standard_error"], cov="unscaled")
        slope, error, said = line[0], spread[0, 0] ** 0.5, rows.iloc[0]
        offs.append(abs(said["trend"] - slope) / error)
        offs.append(abs(said["trend_p_value"] - 2 * stats.norm.sf(abs(slope) / error)))
    if offs:
        name, source = "daily effects and their trend, furthest off in errors", "scipy, numpy.polyfit"
        yield name, np.max(offs), 0, ROUNDING, source


def _so_far(
    told: pd.DataFrame, units: pd.DataFrame, found: Experiment, sides: Callable, effect: Callable
) -> Iterator[tuple]:
    """Each look by least squares on the first units; the last is the effect of all of them."""
    offs, n_narrow = [], 0
    for _, rows in told.groupby(["metric", "variant"]) if len(told) else ():
        last = rows.iloc[-1]
        order = units["occurred_at"].rank(method="first").to_numpy()
        both = np.logical_or(*sides(last, order > 0))
        offs.append(abs(last["n"] - both.sum()))
        for row in rows.iloc[[0, len(rows) // 2, -1]].itertuples():
            until = np.sort(order[both])[row.n - 1]
            offs.append(abs(row.effect - effect(row, order <= until)) / row.standard_error)
        own = found.methods.query("metric == @last.metric and variant == @last.variant")
        own = own[own["method"].str.contains("cuped" if "cuped" in " ".join(own["method"]) else "welch")].iloc[0]
        for figure in ("effect", "effect_low", "effect_high"):
            offs.append(abs(last[figure] - own[figure]) / own["standard_error"])
        offs.append(abs(last["p_value"] - own["p_value"]))
        wide = (rows["always_valid_high"] - rows["always_valid_low"]) / (rows["effect_high"] - rows["effect_low"])
        n_narrow += int((wide < 1.2).sum()) + int((rows["always_valid_p_value"].diff() > 0).sum())
    if offs:
        name, source = "effects so far, furthest off in errors", "least squares on the first units"
        yield name, np.max(offs), 0, ROUNDING, source
        yield "looks whose always-valid interval is no wider", n_narrow, 0, 0, "Howard et al. 2021"


def _grouped(
    told: pd.DataFrame,
    searched: pd.DataFrame,
    units: pd.DataFrame,
    sides: Callable,
    effect: Callable,
    tested: np.ndarray,
    alpha: float,
) -> Iterator[tuple]:
    """Effects of levels and of both sides of a split, by least squares on their own units."""
    told, offs, doubts = told.dropna(subset="effect_low") if len(told) else told, [], []
    for row in told.itertuples():
        inside = (_levels(units[row.subgroup], 4) == row.level).to_numpy()
        offs.append(abs(row.effect - effect(row, inside)) / (row.effect_high - row.effect_low))
        offs += [abs(n - side.sum()) for n, side in zip(row[6:8], sides(row, inside), strict=True)]
        df = row.n_control + row.n_treatment - 2
        doubts.append(_doubt(row.p_value, row.effect, row.effect_low, row.effect_high, alpha, df))
    for row in searched.itertuples():
        column = next(c for c in units if row.inside.startswith((f"{c} above ", f"{c} is ")))
        how, label = row.inside.removeprefix(f"{column} ").split(" ", 1)
        inside = (_levels(units[column], 10) == label).to_numpy()
        if how == "above":
            x = units[column].astype(float).to_numpy()
            inside = x > min(np.nanquantile(x, np.arange(1, 10) / 10), key=lambda edge: abs(edge - float(label)))
        by_hand = effect(row, inside & tested), effect(row, ~inside & tested)
        wide = row.difference_high - row.difference_low
        offs += [abs(row.effect_inside - by_hand[0]) / wide, abs(row.effect_outside - by_hand[1]) / wide]
        offs.append(abs(row.difference - by_hand[0] + by_hand[1]) / wide)
        df = int(np.logical_or(*sides(row, tested)).sum()) - 4
        doubts.append(_doubt(row.p_value, row.difference, row.difference_low, row.difference_high, alpha, df))
    if offs:
        name, source = "effects of groups and splits, furthest off in their width", "least squares"
        yield name, np.max(offs), 0, ROUNDING, source
        name, source = "p values of groups and splits beside their intervals", "Student's t, 5 % for Welch's df"
        yield name, np.max(doubts), 0, 0.05, source
    doubts = []
    for _, rows in told.groupby(["metric", "variant", "subgroup"]) if len(told) else ():
        df = (rows["n_control"] + rows["n_treatment"]).sum() - 2 * len(rows)
        weight = (2 * stats.t.isf(alpha / 2, df) / (rows["effect_high"] - rows["effect_low"])) ** 2
        apart = float((weight * (rows["effect"] - (weight * rows["effect"]).sum() / weight.sum()) ** 2).sum())
        same = float(stats.f.sf(apart / (len(rows) - 1), len(rows) - 1, df)) if len(rows) > 1 else 1.0
        z = [stats.norm.isf(max(p, 1e-4) / 2) for p in (same, rows["interaction_p_value"].iloc[0])]
        doubts.append(abs(z[0] - z[1]) / max(z[0], 1.0))
    if doubts:
        name, source = "p values that levels differ beside their effects", "Cochran's Q, a tenth for Welch"
        yield name, np.max(doubts), 0, 0.1, source


def _doubt(p_value: float, effect: float, low: float, high: float, alpha: float, df: int) -> float:
    """By what share the distance from 0 that a p value stands for is off that of its interval; up to 4 errors."""
    t = min(4.0, abs(effect) / (high - low) * 2 * stats.t.isf(alpha / 2, df))
    return abs(min(4.0, stats.t.isf(max(p_value, 1e-300) / 2, df)) - t) / max(t, 1.0)


def _levels(values: pd.Series, n_bands: int) -> pd.Series:
    """The level of each unit, as its label."""
    if not pd.api.types.is_numeric_dtype(values) or values.nunique() <= MAX_LEVELS:
        return values.astype(str).where(values.notna(), MISSING)
    edges = np.unique(np.nanquantile(values.astype(float), np.arange(1, n_bands) / n_bands))
    edges = edges[edges < values.max()]
    between = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    names = [f"up to {edges[0]:.4g}", *between, f"above {edges[-1]:.4g}"]
    bands = pd.cut(values.astype(float), [-np.inf, *edges, np.inf], labels=False)
    return bands.map(dict(enumerate(names))).fillna(MISSING)
