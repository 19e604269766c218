"""The page's figures by another road: SciPy and least squares by hand, published tables, simulation."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiment_design import assignment, bandits
from journeybook.experiment_design.bandits import BanditStudy
from journeybook.experiment_design.rules import Rules
from journeybook.statistics import power as sizing
from journeybook.statistics.sequential import boundaries

_OF_A_UNIT = ["metric", "method", "mean", "deviation"]


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
    units_per_day: float | None,
    curve: pd.DataFrame | None,
) -> pd.DataFrame:
    """Sizes by the normal formula on spreads that least squares gives, days by division; Cohen's table.

    What is detectable, with last time's units and along `curve`, by the power that SciPy's noncentral t gives it.
    """
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
    if pace is not None:
        a_day = units_per_day
        if a_day is None:
            times = units["occurred_at"].dropna().to_numpy().astype("datetime64[us]")
            a_day = float(len(times) / (np.ptp(times) / np.timedelta64(1, "D")))
        rows.append(_row("units a day", pace, a_day, 1e-9 * a_day, "as given, or units over days"))
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
    last = needed.assign(n_units=needed["metric"].map(known.set_index("metric")["n"]) if measured else np.nan)
    asked = last if curve is None else pd.concat([last, curve.merge(needed[_OF_A_UNIT], on=_OF_A_UNIT[:2])])
    asked = asked.dropna(subset="detectable_share")
    arms = np.outer(asked["n_units"], [control, treatment])
    df, shift = arms.sum(axis=1) - 2, asked["detectable_share"] * asked["mean"].abs() / asked["deviation"]
    t, shift = stats.t.isf(alpha / 2 / (len(planned) - 1), df), shift.to_numpy() / np.sqrt((1 / arms).sum(axis=1))
    found = stats.nct.sf(t, df, shift) + stats.nct.cdf(-t, df, shift)
    if len(asked):
        rows.append(
            _row("power at what is detectable, furthest off", abs(found - power).max(), 0, 1e-6, "scipy.stats.nct")
        )
    cohen, source = (
        sizing.sample_size(0.5, sd_control=1.0, alpha=0.05, power=0.8).n_control,
        "Cohen 1988, table 2.4.1",
    )
    rows.append(_row("units an arm for d = 0.5, power 80 %", float(cohen), 64, 0, source, "constant"))
    return pd.DataFrame(rows)


def assignment_holds(
    unit_ids: list[str], assigned: pd.DataFrame, *, salt: str, other_salt: str, shares: Mapping[str, float]
) -> pd.DataFrame:
    """Variants of a hundred ids, from the digest by `int`, and the tests of all ids by their formulas."""
    names, planned = [*shares], np.array([*shares.values()], dtype=float) / sum(shares.values())
    found = assignment.assign(unit_ids[:100], salt=salt, shares=shares)
    places = [int(hashlib.sha256(f"{salt}:{unit}".encode()).hexdigest(), 16) / 2**256 for unit in unit_ids[:100]]
    by_hand = [names[int(np.searchsorted(planned.cumsum()[:-1], place, side="right"))] for place in places]
    source = "SHA-256 of salt and id as one whole number over 2^256"
    same = float((found == np.array(by_hand, dtype=object)).mean())
    rows = [_row("variants as by hand, share of 100 ids", same, 1, 0, source)]
    ids = list(dict.fromkeys(unit_ids))
    place, other = (
        np.array([int(hashlib.sha256(f"{name}:{unit}".encode()).hexdigest()[:16], 16) / 2**64 for unit in ids])
        for name in (salt, other_salt)
    )
    arms = [np.searchsorted(planned.cumsum()[:-1], at, side="right") for at in (place, other)]
    n, k, steps = len(ids), len(names), np.arange(len(ids) + 1) / len(ids)
    distance = max((steps[1:] - np.sort(place)).max(), (np.sort(place) - steps[:-1]).max())
    crossed = np.array([[((arms[0] == a) & (arms[1] == b)).sum() for b in range(k)] for a in range(k)])
    tests = []
    for counts, expected, df in (
        (crossed.sum(axis=1), planned * n, k - 1),
        (crossed, np.outer(crossed.sum(axis=1), crossed.sum(axis=0)) / n, (k - 1) ** 2),
    ):
        tests.append(stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), df))
    by_formula = {
        "hash_shares": tests[0],
        "hash_uniformity": stats.kstwo.sf(distance, n),
        "hash_independence": tests[1],
    }
    off = (assigned.set_index("check")["p_value"] - pd.Series(by_formula)).abs().max()
    rows.append(_row("p values of the assignment, furthest off", off, 0, 1e-6, "Pearson and Kolmogorov, by hand"))
    return pd.DataFrame(rows)


def rules_hold(rules: Rules, *, power: float, n_simulations: int, rng: np.random.Generator) -> pd.DataFrame:
    """False positives, power and costs of each rule by simulated walks; bounds and naive looks as published."""
    looks = np.arange(1, len(rules.bounds) + 1)
    walk = rng.standard_normal((n_simulations, len(looks))).cumsum(axis=1) / np.sqrt(looks)
    last, rows = rules.errors.groupby("rule")["false_positive_share"].last(), []
    one = stats.norm.isf(rules.alpha / 2) + stats.norm.ppf(power)
    reached = rules.errors.set_index(["rule", "looks"])["false_positive_share"]["naive"]
    for rule, bound in rules.bounds.items():
        name, rate = rule.replace("_", " "), float((np.abs(walk) >= bound.to_numpy()).any(axis=1).mean())
        error = 4 * (max(last[rule] * (1 - last[rule]), 1 / n_simulations) / n_simulations) ** 0.5
        source = f"{n_simulations:,} simulated walks; four Monte Carlo errors"
        rows.append(_row(f"false positives, {name}", last[rule], rate, error, source))
        if rule != "naive":
            promised = _row(f"level of {name}", last[rule], rules.alpha + 1e-6, 0, "the rule's promise")
            rows.append(promised | {"rule": "at most"})
            told = rules.costs.set_index("rule").loc[rule]
            drift = one * np.sqrt(told["size_ratio"] * looks / looks[-1])
            for column, moved in (("expected_ratio", walk + drift), ("none_ratio", walk)):
                beyond = np.abs(moved) >= bound.to_numpy()
                used = np.where(beyond.any(axis=1), (beyond.argmax(axis=1) + 1) / looks[-1], 1.0)
                error = 4 * told["size_ratio"] * used.std() / n_simulations**0.5
                used = told["size_ratio"] * used.mean()
                rows.append(_row(f"{column.replace('_', ' ')} of {name}", told[column], used, error, source))
                if column == "expected_ratio":
                    error = 4 * (power * (1 - power) / n_simulations) ** 0.5
                    rows.append(_row(f"power of {name}", beyond.any(axis=1).mean(), power, error, source))
    if rules.alpha == 0.05 and 5 in reached.index:
        source = "Armitage, McPherson & Rowe 1969"
        rows.append(_row("false positives of five looks at 5 %", reached[5], 0.142, 5e-4, source, "constant"))
    bound = boundaries([0.2, 0.4, 0.6, 0.8, 1.0], alpha=0.05, rule="obrien_fleming")[-1]
    source = "Jennison & Turnbull 2000, table 2.3"
    rows.append(_row("O'Brien-Fleming bound, five looks at 5 %", bound, 2.040, 0.0005, source, "constant"))
    return pd.DataFrame(rows)


def bandits_hold(
    earned: BanditStudy, none: BanditStudy, *, n_units: int, epsilon: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Regret of the fixed split in closed form, and the bias and coverage that the adaptive weights promise.

    Both estimators are made again on one bandit, unit by unit.
    """
    fixed = earned.policies.set_index("policy").loc["fixed_split"]
    rates = np.array([*earned.rates.values()])
    lost, error = n_units * (rates.max() - rates.mean()), 4 * fixed["regret_error"]
    rows = [_row("conversions lost by the fixed split", fixed["regret"], lost, error, "closed form; four errors")]
    sizes = np.full(4, 200)
    seen = bandits.simulate(rates, sizes=sizes, policy="thompson", epsilon=epsilon, n_simulations=1, rng=rng)
    n, k = np.zeros(len(rates)), np.zeros(len(rates))
    scores, weights = [], []
    for units, won, probability in zip(
        seen.units[:, 0], seen.successes[:, 0], seen.probability[:, 0], strict=True
    ):
        mean = (1 + k) / (2 + n)
        for arm, outcome, many in [
            (a, y, m) for a in range(len(rates)) for y, m in enumerate((units[a] - won[a], won[a]))
        ]:
            score = mean + (np.arange(len(rates)) == arm) * (outcome - mean) / probability
            scores += [score] * many
            weights += [probability**0.5] * many
        n, k = n + units, k + won
    share = np.array(weights) / np.sum(weights, axis=0)
    by_hand = (share * scores).sum(axis=0)
    apart = share * (scores - by_hand)
    offs = []
    for estimator, at, spread in (("adaptively_weighted", by_hand, apart.T @ apart),
                                  ("naive", k / n, np.diag(k / n * (1 - k / n) / n))):  # fmt: skip
        found = bandits.estimate(seen, estimator=estimator)
        offs += [np.abs(found.mean[0] - at).max(), np.abs(found.covariance[0] - spread).max()]
    rows.append(
        _row("estimators on one bandit, furthest off", max(offs), 0, 1e-9, "Hadad et al. 2021, unit by unit")
    )
    effects = none.estimates[none.estimates["quantity"].str.startswith("effect of ")]
    own = effects[(effects["estimator"] == "adaptively_weighted") & (effects["policy"] != "fixed_split")]
    biased = own.loc[(own["bias"].abs() / own["bias_error"]).idxmax()]
    source = "simulation without a difference; five Monte Carlo errors"
    rows.append(_row("bias of the effect, weighted", biased["bias"], 0, 5 * biased["bias_error"], source))
    means = none.estimates[~none.estimates["quantity"].str.startswith("effect of ")]
    naive = means[(means["estimator"] == "naive") & (means["policy"] != "fixed_split")]
    up = float((naive["bias"] / naive["bias_error"]).max())
    row = _row("bias of an arm's naive mean upwards, in its errors", up, 4, 0, "Nie et al. 2018: never above 0")
    rows.append(row | {"rule": "at most"})
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
