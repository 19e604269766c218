"""Bandits: closed forms, the same sums unit by unit, and coverage by simulation."""

import numpy as np
import pytest
from scipy import stats

from journeybook.experiment_design.bandits import History, bandit_study, estimate, simulate
from journeybook.statistics import stream
from journeybook.statistics.bayes import choose


def study(rates: dict[str, float], *, n_simulations: int = 800, **given):
    given = {"n_units": 6000, "n_batches": 20, "epsilon": 0.1, "alpha": 0.05} | given
    return bandit_study(rates, **given, n_simulations=n_simulations, rng=stream(1, "bandits"))


def of(table, *, estimator: str, quantity: str):
    return table[(table["estimator"] == estimator) & (table["quantity"] == quantity)].set_index("policy")


def test_sums_by_batch_are_those_of_the_units():
    # Hadad et al. (2021): scores m + 1{given} (outcome - m) / e, weights sqrt(e), unit by unit.
    rng, sizes, n_arms = stream(2, "units"), [40, 30, 50], 3
    arm, outcome, e, before = [], [], [], []
    n, k = np.zeros(n_arms), np.zeros(n_arms)
    batches = {"units": [], "successes": [], "probability": []}
    for size in sizes:
        share = rng.dirichlet(np.full(n_arms, 5))
        given = rng.choice(n_arms, size, p=share)
        won = (rng.random(size) < np.array([0.2, 0.5, 0.6])[given]).astype(int)
        arm, outcome = np.r_[arm, given], np.r_[outcome, won]
        e += [share] * size
        before += [(1 + k) / (2 + n)] * size
        counts = np.bincount(given, minlength=n_arms), np.bincount(given, won, minlength=n_arms)
        n, k = n + counts[0], k + counts[1]
        for key, value in zip(batches, (*counts, share), strict=True):
            batches[key].append(value[None])
    found = estimate(History(*(np.array(value) for value in batches.values())), estimator="adaptively_weighted")
    e, m = np.array(e), np.array(before)
    own = arm[:, None] == np.arange(n_arms)
    score = m + own * (outcome[:, None] - m) / e
    h = np.sqrt(e)
    mean = (h * score).sum(axis=0) / h.sum(axis=0)
    parts = h * (score - mean) / h.sum(axis=0)
    assert found.mean[0] == pytest.approx(mean, rel=1e-10)
    assert found.covariance[0] == pytest.approx(parts.T @ parts, rel=1e-8, abs=1e-12)


def test_the_fixed_split_in_closed_form():
    found = study({"a": 0.1, "b": 0.3, "c": 0.25}, n_simulations=400)
    fixed = found.policies.set_index("policy").loc["fixed_split"]
    assert fixed["regret"] == pytest.approx(6000 / 3 * (0.2 + 0.05), abs=4 * fixed["regret_error"])
    assert fixed["best_share"] == pytest.approx(1 / 3, abs=0.002)
    naive = of(found.estimates, estimator="naive", quantity="effect of b").loc["fixed_split"]
    assert naive["truth"] == pytest.approx(0.2)
    assert naive["bias_error"] * 20 == pytest.approx(np.sqrt((0.09 + 0.21) / 2000), rel=0.15)
    path = found.path[found.path["policy"] == "fixed_split"]
    assert path["regret"].iloc[-1] == pytest.approx(fixed["regret"])
    assert path["n"].iloc[-1] == 6000
    assert np.diff(path["regret"]) == pytest.approx(np.full(19, 25), rel=0.05)


def test_a_bandit_of_random_arms_alone_is_the_fixed_split():
    sizes = np.full(5, 200)
    for policy in ("thompson", "epsilon_greedy"):
        seen = simulate(
            np.array([0.2, 0.4]), sizes=sizes, policy=policy, epsilon=1.0, n_simulations=20, rng=stream(3, policy)
        )
        assert (seen.probability == 0.5).all()
        assert (seen.units.sum(axis=-1) == 200).all()


def test_thompson_s_probability_is_that_of_being_best():
    # One batch seen, 30 of 100 against 40 of 100: P(best) is known by quadrature.
    seen = simulate(
        np.array([0.3, 0.4]), sizes=np.array([200, 200]), policy="thompson", epsilon=0.2, n_simulations=400,
        rng=stream(4, "thompson"),
    )  # fmt: skip
    n, k, share = seen.units[0], seen.successes[0], seen.probability[1]
    gaps = []
    for simulation in range(0, 400, 8):
        beta = [stats.beta(1 + k[simulation, arm], 1 + n[simulation, arm] - k[simulation, arm]) for arm in (0, 1)]
        gaps.append(share[simulation, 1] - (0.1 + 0.8 * choose(beta).probability_best[1]))
    # A hundred draws each: an error of 0.05 at most, and none on average.
    assert np.abs(gaps).max() < 0.8 * 0.25
    assert np.mean(gaps) == pytest.approx(0, abs=4 * 0.8 * 0.05 / np.sqrt(50))


def test_bandits_lose_less_where_arms_differ():
    found = study({"control": 0.2, "new": 0.3})
    lost = found.policies.set_index("policy")["regret"]
    assert lost["thompson"] < lost["fixed_split"] / 3
    assert lost["epsilon_greedy"] < lost["fixed_split"] / 3
    assert lost["fixed_split"] == pytest.approx(300, rel=0.02)


def test_naive_means_are_too_low_and_weighting_halves_the_bias_and_mends_the_intervals():
    found = study({"a": 0.2, "b": 0.2}, n_simulations=2000)
    for quantity in ("mean of a", "mean of b"):
        naive = of(found.estimates, estimator="naive", quantity=quantity)
        mended = of(found.estimates, estimator="adaptively_weighted", quantity=quantity)
        for policy in ("thompson", "epsilon_greedy"):
            assert naive["bias"][policy] < -8 * naive["bias_error"][policy]
            assert abs(mended["bias"][policy]) < 0.6 * abs(naive["bias"][policy])
            assert mended["coverage"][policy] == pytest.approx(0.95, abs=4 * mended["coverage_error"][policy])
        assert naive["bias"]["fixed_split"] == pytest.approx(0, abs=4 * naive["bias_error"]["fixed_split"])


@pytest.mark.parametrize("n_simulations", [1000, pytest.param(4_000, marks=pytest.mark.slow)])
def test_intervals_after_a_bandit(n_simulations):
    found = study({"a": 0.2, "b": 0.2}, n_simulations=n_simulations, n_units=20_000)
    naive = of(found.estimates, estimator="naive", quantity="effect of b")["coverage"]
    weighted = of(found.estimates, estimator="adaptively_weighted", quantity="effect of b")["coverage"]
    error = 4 * np.sqrt(0.05 * 0.95 / n_simulations)
    assert naive["fixed_split"] == pytest.approx(0.95, abs=error)
    assert naive["thompson"] < 0.95 - error / 2
    for policy in ("thompson", "epsilon_greedy"):
        assert weighted[policy] == pytest.approx(0.95, abs=0.01 + error), policy
        assert weighted[policy] > naive[policy], policy


def test_worst_names_the_largest_bias_and_the_lowest_coverage():
    found = study({"a": 0.1, "b": 0.2, "c": 0.2}, n_simulations=100)
    worst = found.worst().set_index(["policy", "estimator"])
    part = found.estimates[(found.estimates["policy"] == "thompson") & (found.estimates["estimator"] == "naive")]
    means = part[part["quantity"].str.startswith("mean")]
    effects = part[part["quantity"].str.startswith("effect")]
    assert len(means) == 3
    assert len(effects) == 2
    assert abs(worst["bias"]["thompson", "naive"]) == means["bias"].abs().max()
    assert worst["coverage"]["thompson", "naive"] == effects["coverage"].min()
    assert len(worst) == 6


def test_an_arm_that_nobody_answers_is_an_arm():
    found = study({"a": 0.1, "b": 0.0}, n_simulations=50)
    assert np.isfinite(found.estimates.drop(columns=["policy", "estimator", "quantity"]).to_numpy()).all()


def test_the_same_stream_gives_the_same_study():
    first, second = (study({"a": 0.1, "b": 0.2}, n_simulations=50) for _ in range(2))
    assert first.estimates.equals(second.estimates)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rates": {"a": 0.1}}, "needed two arms or more"),
        ({"rates": {"a": 0.1, "b": 1.2}}, "rates from 0 to 1"),
        ({"n_batches": 1}, "n_batches: found 1 for 6000 units"),
        ({"n_batches": 2000}, "n_batches: found 2000 for 6000 units"),
        ({"epsilon": 0.0}, "epsilon: found 0.0"),
    ],
)
def test_studies_that_cannot_be(given, message):
    with pytest.raises(ValueError, match=message):
        study(given.pop("rates", {"a": 0.1, "b": 0.2}), n_simulations=2, **given)
