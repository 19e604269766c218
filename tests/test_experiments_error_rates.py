"""What the page promises about wrong claims, by simulation: 10,000 experiments when slow, fewer in a quick run.

Every figure is of the page's own functions. A rate is compared with its promise to within four Monte Carlo errors
in a quick run; in a slow one to within three, or to the bound that is stated.
"""

import assigned_again
import numpy as np
import pandas as pd
import pytest
from assigned_again import a_a_rates, reassigned
from scipy import stats

from journeybook.experiments.heterogeneity import MIN_UNITS, Splits, candidate_splits, split_effects, strongest
from journeybook.experiments.measures import Measures, measures
from journeybook.experiments.subgroups import Levels, levels
from journeybook.statistics import stream
from journeybook.statistics.contrasts import ArmMoments, arm_moments, contrast, equal_effects
from journeybook.statistics.resampling import quantile_effect
from journeybook.statistics.survival import restricted_mean_moments
from journeybook.statistics.two_samples import stratified

ALPHA = 0.05
QUICK, SLOW = 500, 10_000
SIZES = [pytest.param(QUICK, id="quick"), pytest.param(SLOW, id="slow", marks=pytest.mark.slow)]


def margin(n_simulations: int, rate: float = ALPHA) -> float:
    """Greatest distance by chance: three Monte Carlo errors of many simulations, four of few."""
    return (3 if n_simulations >= SLOW else 4) * (rate * (1 - rate) / n_simulations) ** 0.5


def most(n_simulations: int) -> float:
    """The most wrong claims where 5.5 % is the bound."""
    return max(0.055, ALPHA + margin(n_simulations)) if n_simulations < SLOW else 0.055


# --- false positives of each method alone -------------------------------------------------------------------


def units_again(n: int) -> pd.DataFrame:
    """A skewed spend, orders, a conversion, and two covariates of use, with no variant that matters."""
    rng = stream(11, "units")
    before = rng.gamma(1, 20, n)
    orders = 1.0 + rng.poisson(before / 15)
    return pd.DataFrame(
        {
            "variant": np.where(np.arange(n) % 2, "a", "control"),
            "pre_spend": before,
            "pre_orders": 1.0 * rng.poisson(before / 15),
            "orders": orders,
            "spend": orders * rng.lognormal(2, 0.8, n),
            "bought": (rng.random(n) < 0.1 + 0.2 * (before > 20)).astype(int),
        }
    )


def test_the_statistics_are_those_of_the_units_assigned(monkeypatch):
    # Three blocks, of which the last is not full; a remainder of two units is left out.
    monkeypatch.setattr(assigned_again, "MAX_ASSIGNMENTS", 4 * 60)
    rng, shares = stream(3, "values"), [1, 2, 1]
    columns = [1e6 + rng.gamma(2, 5, 62), rng.normal(size=62)]
    blocks = list(reassigned(columns, shares=shares, n_looks=3, n_simulations=10, rng=stream(4, "assignments")))
    assert [block.n.shape for block in blocks] == [(3, 4, 3), (3, 4, 3), (3, 2, 3)]
    again = stream(4, "assignments")
    for block in blocks:
        drawn = again.random((3, block.n.shape[1], 20), dtype=np.float32)
        arm = (drawn >= 0.25).astype(int) + (drawn >= 0.75)
        for look in range(3):
            for number in range(block.n.shape[1]):
                assigned = arm[: look + 1, number].ravel()
                one = arm_moments([x[: len(assigned)] for x in columns], assigned, n_arms=3)
                assert block.n[look, number].tolist() == one.n.tolist()
                assert block.mean[look, number] == pytest.approx(one.mean, rel=1e-13, abs=1e-12)
                assert block.covariance[look, number] == pytest.approx(one.covariance, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n_simulations", SIZES)
def test_cuped_ratio_sequential_and_correction_together(n_simulations):
    units = units_again(6_000)
    metrics = {
        "bought": "proportion",
        "spend": "mean",
        "per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"},
    }
    measured = measures(units, metrics=metrics, covariates=["pre_spend", "pre_orders"])
    how = {"alpha": ALPHA, "n_looks": 20, "n_simulations": n_simulations, "rng": stream(12, "a-a")}
    rates = a_a_rates(units, measured=measured, shares=[1, 1, 1], **how)
    alone = [("welch", "bought"), ("cuped", "bought"), ("welch", "spend"), ("cuped", "spend")]
    alone += [("delta", "per_order"), ("delta_cuped", "per_order")]
    assert rates[alone].tolist() == pytest.approx([ALPHA] * 6, abs=margin(n_simulations))
    assert rates["one look, Holm", "any metric"] <= most(n_simulations)
    assert rates["every look, always valid and Holm", "any metric"] <= most(n_simulations)
    # What they guard against: six tests at one look, and twenty looks at six tests.
    assert rates["one look, uncorrected", "any metric"] > 0.15
    assert rates["every look, Holm", "any metric"] > 0.15
    assert rates["every look, uncorrected", "any metric"] > 0.5


@pytest.mark.parametrize("n_simulations", SIZES)
def test_twenty_looks(n_simulations):
    units = units_again(4_000)
    measured = measures(units, metrics={"bought": "proportion"}, covariates=[])
    how = {"alpha": ALPHA, "n_looks": 20, "n_simulations": n_simulations, "rng": stream(13, "a-a")}
    rates = a_a_rates(units, measured=measured, shares=[1, 1], **how).droplevel(1)
    # Armitage, McPherson & Rowe 1969, table 2.
    assert rates["every look, uncorrected"] == pytest.approx(0.248, abs=margin(n_simulations, 0.248))
    assert rates["every look, always valid and Holm"] <= most(n_simulations)


def one_test(method: str, rng: np.random.Generator) -> float:
    """The p value of a method on one experiment without effect, two arms of about 300 units."""
    n = 600
    treated = rng.integers(2, size=n)
    if method == "restricted_mean":
        time, end = rng.exponential(10, n), rng.uniform(3, 20, n)
        seen, time = time <= end, np.minimum(time, end)
        arms = restricted_mean_moments(time, seen, treated, n_arms=2, horizon=12.0)
        return float(contrast(arms, weights=(-1, 1)).p_value)
    if method == "stratified":
        stratum = rng.integers(6, size=n)
        return stratified(3 * stratum + rng.gamma(2, 1, n), treated, stratum, alpha=ALPHA).p_value
    if method == "quantile":
        # Its size comes from below: 3.4 % with 300 units an arm at the 0.9 quantile, 5 % with thousands.
        arms = rng.exponential(size=(2, 3_000))
        return quantile_effect(*arms, quantile=0.75, alpha=ALPHA, n_draws=1_000, rng=rng).p_value
    assert method == "interaction"
    spend = rng.poisson(1.5, n).astype(float)
    parts = [(spend[level::4], treated[level::4]) for level in range(4)]
    gaps = [y[t == 1].mean() - y[t == 0].mean() for y, t in parts]
    errors = [[y[t == side].var(ddof=1) / (t == side).sum() for side in (0, 1)] for y, t in parts]
    sizes = [[(t == side).sum() - 1 for side in (0, 1)] for _, t in parts]
    total = np.sum(errors, axis=1)
    df = total**2 / (np.square(errors) / sizes).sum(axis=1)
    return equal_effects(np.array(gaps), np.sqrt(total), df)


CLAIM_FIVE_PER_CENT = ["stratified", "quantile", "restricted_mean", "interaction"]


def p_values(method: str, n_simulations: int) -> np.ndarray:
    rng = stream(14, f"no effect: {method}")
    return np.array([one_test(method, rng) for _ in range(n_simulations)])


@pytest.mark.parametrize("method", CLAIM_FIVE_PER_CENT)
def test_p_values_are_uniform_without_an_effect(method):
    # A hundred p values tell a standard error that is a fifth too small as well as thousands of yes or no.
    assert stats.kstest(p_values(method, 150), "uniform").pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("method", CLAIM_FIVE_PER_CENT)
def test_a_method_that_claims_five_per_cent_has_it(method):
    n = 3_000
    rate = float((p_values(method, n) < ALPHA).mean())
    assert rate == pytest.approx(ALPHA, abs=3 * (ALPHA * (1 - ALPHA) / n) ** 0.5)


# --- heterogeneity --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_simulations", SIZES)
def test_heterogeneity_is_claimed_in_few_null_experiments(n_simulations):
    # The units, their halves and variants stay; their outcomes, with the same effect for all, are drawn again. So
    # the sums of all experiments are one product of matrices.
    rng, n = stream(19, "units"), 3_000
    columns = pd.DataFrame(
        {"before": rng.gamma(2, 5, n), "device": rng.choice(["a", "b", "c"], n), "new": rng.integers(2, size=n)}
    )
    grouped = [
        levels(columns, column, measured=Measures([], [], pd.DataFrame()), n_bands=10) for column in columns
    ]
    half, treated = rng.permutation(n) % 2, rng.integers(2, size=n)
    claimed, tempting = [], []
    for start in range(0, n_simulations, 500):
        outcome = stream(20, f"outcomes {start}").gamma(4, 5, (500, n)) + 3 * treated
        sides = [[_splits(outcome, group, half, treated, side) for group in grouped] for side in (0, 1)]
        searched, tested = (
            Splits(*(np.concatenate([getattr(one, name) for one in side]) for name in FIELDS)) for side in sides
        )
        picked = strongest(searched)
        claimed.append(_p_values(tested, picked) < ALPHA)
        tempting.append(_p_values(searched, picked) < ALPHA)
    assert np.mean(claimed) <= most(n_simulations)
    assert np.mean(claimed) == pytest.approx(ALPHA, abs=margin(n_simulations))
    # Testing the best split where it was found claims a difference far more often.
    assert np.mean(tempting) > 0.25


FIELDS = ("inside", "outside", "standard_error", "df")


def _splits(outcome: np.ndarray, group: Levels, half: np.ndarray, treated: np.ndarray, side: int) -> Splits:
    """Effects of all splits of one column in one half, of all experiments (rows of `outcome`)."""
    n_levels = len(group.labels)
    kept = half == side
    cell = np.eye(2 * n_levels)[group.codes[kept] * 2 + treated[kept]]
    n, sums, squares = cell.sum(axis=0), outcome[:, kept] @ cell, outcome[:, kept] ** 2 @ cell
    assert n.min() >= MIN_UNITS
    mean = sums / n
    parts = (np.broadcast_to(n, mean.shape), mean, (squares - sums * mean) / (n - 1))
    # From (experiments, levels x arms) to (levels, experiments, arms).
    n, mean, variance = (x.reshape(-1, n_levels, 2).transpose(1, 0, 2) for x in parts)
    arms = ArmMoments(n, mean[..., None], variance[..., None, None])
    return split_effects(arms, candidate_splits(group), ratio=False)


def _p_values(found: Splits, picked: np.ndarray) -> np.ndarray:
    z, df = (np.take_along_axis(x, picked[None], axis=0)[0] for x in (found.z, found.df))
    return 2 * stats.t.sf(np.abs(z), df)
