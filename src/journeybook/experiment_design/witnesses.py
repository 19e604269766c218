"""The page's figures by another road: SciPy and least squares by hand, published tables, simulation."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiment_design import assignment
from journeybook.experiment_design.bandits import BanditStudy
from journeybook.experiment_design.rules import Rules
from journeybook.statistics import power as sizing
from journeybook.statistics.sequential import boundaries


def sizes_hold(
    units: pd.DataFrame,
    needed: pd.DataFrame,
    known: pd.DataFrame,
    *,
    lift: float,
    baseline: float,
    shares: Mapping[str, float],
    alpha: float,
    power: float,
    pace: float | None,
    covariates: Sequence[str] | None,
) -> pd.DataFrame:
    """Sizes by the normal formula on spreads that least squares gives, days by division; Cohen's table."""
    planned = np.array([*shares.values()], dtype=float) / sum(shares.values())
    control, treatment = planned[0], planned[1:].min()
    z2 = (stats.norm.isf(alpha / 2 / (len(planned) - 1)) + stats.norm.ppf(power)) ** 2
    before = [c for c in units.columns if c.startswith("pre_")] if covariates is None else [*covariates]
    rows = []
    measured = len(known) > 0 and known["n"].max() > 0
    for row in known.itertuples() if measured else ():
        source = "least squares on the arms"
        for name, value, by_hand in zip(
            ("mean", "spread"), (row.mean, row.deviation), _residual(units, row.metric, before=[]), strict=True
        ):
            rows.append(_row(f"{name} of {row.metric}", value, by_hand, 1e-6 * abs(by_hand), source))
    for row in needed.itertuples():
        mean, sd = (baseline, (baseline * (1 - baseline)) ** 0.5)
        if measured:
            mean, sd = _residual(units, row.metric, before=before if row.method != "plain" else [])
        n = z2 * sd**2 / (lift * mean) ** 2 * (1 / control + 1 / treatment)
        # Student's t needs z^2 / 4 units an arm more than the normal, and each arm is rounded up.
        name, near = f"{row.metric}, {row.method}", (z2 / 2 + 3) / min(control, treatment) + 1e-6 * n
        rows.append(_row(f"units for {name}", row.n_units, n, near, "normal formula, spread by least squares"))
        if pace is not None:
            weeks = np.ceil(row.n_units / pace / 7)
            rows.append(_row(f"weeks for {name}", row.days / 7, weeks, 0, "division, rounded up"))
    cohen, source = (
        sizing.sample_size(0.5, sd_control=1.0, alpha=0.05, power=0.8).n_control,
        "Cohen 1988, table 2.4.1",
    )
    rows.append(_row("units an arm for d = 0.5, power 80 %", float(cohen), 64, 0, source, "constant"))
    return pd.DataFrame(rows)


def assignment_holds(unit_ids: list[str], *, salt: str, shares: Mapping[str, float]) -> pd.DataFrame:
    """Variants of a hundred ids, from the digest by `int`, and the largest distance from the planned shares."""
    names, planned = [*shares], np.array([*shares.values()], dtype=float) / sum(shares.values())
    found = assignment.assign(unit_ids[:100], salt=salt, shares=shares)
    places = [int(hashlib.sha256(f"{salt}:{unit}".encode()).hexdigest(), 16) / 2**256 for unit in unit_ids[:100]]
    by_hand = [names[int(np.searchsorted(planned.cumsum()[:-1], place, side="right"))] for place in places]
    source = "SHA-256 of salt and id as one whole number over 2^256"
    same = float((found == np.array(by_hand, dtype=object)).mean())
    return pd.DataFrame([_row("variants as by hand, share of 100 ids", same, 1, 0, source)])


def rules_hold(rules: Rules, *, n_simulations: int, rng: np.random.Generator) -> pd.DataFrame:
    """False positives of each rule by simulated walks; bounds and naive looks as published."""
    looks = np.arange(1, len(rules.bounds) + 1)
    walk = rng.standard_normal((n_simulations, len(looks))).cumsum(axis=1) / np.sqrt(looks)
    last, rows = rules.errors.groupby("rule")["false_positive_share"].last(), []
    reached = rules.errors.set_index(["rule", "looks"])["false_positive_share"]["naive"]
    for rule, bound in rules.bounds.items():
        name, rate = rule.replace("_", " "), float((np.abs(walk) >= bound.to_numpy()).any(axis=1).mean())
        error = 4 * (max(last[rule] * (1 - last[rule]), 1 / n_simulations) / n_simulations) ** 0.5
        source = f"{n_simulations:,} simulated walks; four Monte Carlo errors"
        rows.append(_row(f"false positives, {name}", last[rule], rate, error, source))
        if rule != "naive":
            promised = _row(f"level of {name}", last[rule], rules.alpha + 1e-6, 0, "the rule's promise")
            rows.append(promised | {"rule": "at most"})
    if rules.alpha == 0.05 and 5 in reached.index:
        source = "Armitage, McPherson & Rowe 1969"
        rows.append(_row("false positives of five looks at 5 %", reached[5], 0.142, 5e-4, source, "constant"))
    bound = boundaries([0.2, 0.4, 0.6, 0.8, 1.0], alpha=0.05, spending="obrien_fleming")["bound"].iloc[-1]
    source = "Jennison & Turnbull 2000, table 2.3"
    rows.append(_row("O'Brien-Fleming bound, five looks at 5 %", bound, 2.040, 0.0005, source, "constant"))
    return pd.DataFrame(rows)


def bandits_hold(earned: BanditStudy, none: BanditStudy, *, n_units: int) -> pd.DataFrame:
    """Regret of the fixed split in closed form, and the bias and coverage that the adaptive weights promise."""
    fixed = earned.policies.set_index("policy").loc["fixed_split"]
    rates = np.array([*earned.rates.values()])
    lost, error = n_units * (rates.max() - rates.mean()), 4 * fixed["regret_error"]
    rows = [_row("conversions lost by the fixed split", fixed["regret"], lost, error, "closed form; four errors")]
    effects = none.estimates[none.estimates["quantity"].str.startswith("effect of ")]
    own = effects[(effects["estimator"] == "adaptively_weighted") & (effects["policy"] != "fixed_split")]
    biased = own.loc[(own["bias"].abs() / own["bias_error"]).idxmax()]
    source = "simulation without a difference; five Monte Carlo errors"
    rows.append(_row("bias of the effect, weighted", biased["bias"], 0, 5 * biased["bias_error"], source))
    worst = own.loc[own["coverage"].idxmin()]
    near, source = 0.01 + 4 * worst["coverage_error"], "simulation; one point and four Monte Carlo errors"
    rows.append(_row("coverage of the effect, weighted", worst["coverage"], 1 - none.alpha, near, source))
    return pd.DataFrame(rows)


def _row(name: str, value: float, reference: float, tolerance: float, source: str, kind: str = "witness") -> dict:
    row = {"name": name, "value": value, "reference": reference, "tolerance": tolerance, "source": source}
    return row | {"kind": kind, "rule": "within"}


def _residual(units: pd.DataFrame, metric: str, *, before: list[str]) -> tuple[float, float]:
    """Mean of a metric, and what least squares on the arms (and what was known before) leaves of a unit."""
    own = metric.split("/")
    y = units[own].astype("float64").dropna()
    arms = pd.get_dummies(units.loc[y.index, "variant"].astype(str)).to_numpy(dtype=float)
    mean = float(y[own[0]].sum() / y[own[-1]].sum()) if len(own) > 1 else float(y[own[0]].mean())
    value = (y[own[0]] - mean * y[own[-1]]) / y[own[-1]].mean() if len(own) > 1 else y[own[0]]
    known = units[before].astype("float64")
    x = np.column_stack([arms, known.fillna(known.mean()).loc[y.index]])
    slopes = np.linalg.lstsq(x, value.to_numpy(), rcond=None)[0]
    residual = value.to_numpy() - x @ slopes
    return mean, float(np.sqrt(residual @ residual / (len(y) - arms.shape[1])))
