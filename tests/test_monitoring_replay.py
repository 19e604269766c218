"""The replay against the same bandit live, the best fixed choice, and the known optimum of a SIMULATED world."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from journeybook.errors import TooLittle
from journeybook.monitoring.replay import LinUCB, Logged, fixed_choice, replay

# What each choice brings by the first input: the best one depends on it. None brings little.
LINES = np.array([[-1.0, 1.2], [-1.0, -1.2], [-1.3, 0.0]])


def world(seed: int, *, n: int = 6000, lines: np.ndarray = LINES) -> tuple[Logged, np.ndarray]:
    """Contacts whose choice was drawn with chances that look at the same input; and the true reward of each."""
    rng = np.random.default_rng(seed)
    person = rng.integers(0, n // 4, n)
    x = rng.normal(size=(n, 2))
    truth = expit(lines[:, 0] + x[:, [0]] * lines[:, 1])
    chance = np.exp(np.column_stack([-0.7 * x[:, 0], 0.7 * x[:, 0], np.zeros(n)]))
    chance = 0.1 + 0.7 * chance / chance.sum(axis=1, keepdims=True)
    taken = (rng.random((n, 1)) >= np.cumsum(chance, axis=1)[:, :-1]).sum(axis=1)
    each = np.arange(n)
    reward = (rng.random(n) < truth[each, taken]).astype(float)
    return Logged(
        ("email", "sms", "none"), x, taken, chance[each, taken], reward, np.ones((n, 3), bool), person, each
    ), truth


def live(seed: int, n: int) -> float:
    """Mean reward of the same bandit in the same world, met directly."""
    rng = np.random.default_rng(seed)
    bandit, total = LinUCB(3, 3, width=1.0), 0.0
    for _ in range(n):
        x = np.array([1.0, *rng.normal(size=2)])
        action = bandit.choose(x, np.ones(3, bool))
        reward = float(rng.random() < expit(LINES[action, 0] + x[1] * LINES[action, 1]))
        bandit.learn(action, x, reward)
        total += reward
    return total / n


def test_the_replay_brings_what_the_bandit_brings_live() -> None:
    found = [replay(world(seed)[0], width=1.0, rng=np.random.default_rng(seed)) for seed in range(40)]
    replayed = np.array([one.policies["value"].iloc[0] for one in found])
    direct = np.array([live(1000 + seed, len(one.met)) for seed, one in enumerate(found)])
    error = np.sqrt(replayed.var(ddof=1) / 40 + direct.var(ddof=1) / 40)
    assert abs(replayed.mean() - direct.mean()) < 4 * error
    assert error < 0.01


def test_without_the_rejection_the_replay_is_biased() -> None:
    """Known failing case: contacts of likely choices count too often where all that agree are counted."""
    off = []
    for seed in range(16):
        logged, _ = world(seed)
        sound = replay(logged, width=1.0, rng=np.random.default_rng(seed)).policies["value"].iloc[0]
        every = replay(
            replace(logged, propensity=np.full(6000, 1 / 3)), width=1.0, rng=np.random.default_rng(seed)
        )
        off.append(every.policies["value"].iloc[0] - sound)
    assert abs(np.mean(off)) > 4 * np.std(off, ddof=1) / np.sqrt(16)


def test_fixed_policies_are_worth_what_the_world_says_and_intervals_hold() -> None:
    held, low_high, n = np.zeros(3), 0, 80
    for seed in range(n):
        logged, truth = world(seed, n=5600)
        found = replay(logged, width=1.0, rng=np.random.default_rng(seed))
        fixed = found.policies.iloc[1:]
        values = truth.mean(axis=0)
        held += (fixed["low"].to_numpy() <= values) & (values <= fixed["high"].to_numpy())
        each = truth[found.met, logged.taken[found.met]].mean()
        low_high += found.low <= values.max() - each <= found.high
    error = np.sqrt(0.05 * 0.95 / n)
    assert held / n == pytest.approx(0.95, abs=4 * error)
    assert low_high / n >= 0.95 - 4 * error


def test_regret_against_the_known_optimum_slows_down() -> None:
    """Live over 6,000 contacts: the last third adds less than half of what the first does (Li et al. 2010)."""
    lost = []
    for seed in range(6):
        rng, bandit, of = np.random.default_rng(seed), LinUCB(3, 3, width=1.0), []
        for _ in range(6000):
            x = np.array([1.0, *rng.normal(size=2)])
            truth = expit(LINES[:, 0] + x[1] * LINES[:, 1])
            action = bandit.choose(x, np.ones(3, bool))
            bandit.learn(action, x, float(rng.random() < truth[action]))
            of.append(truth.max() - truth[action])
        lost.append(of)
    thirds = np.array(lost).reshape(6, 3, 2000).sum(axis=2).mean(axis=0)
    assert thirds[2] < thirds[0] / 2
    chance = 6000 * np.mean([t.max(axis=1).mean() - t.mean() for t in [world(1)[1]]])
    assert thirds.sum() < chance / 3


def test_where_the_input_matters_the_bandit_wins_and_where_not_it_does_not() -> None:
    found = [replay(world(seed, n=20000)[0], width=0.5, rng=np.random.default_rng(seed)) for seed in range(5)]
    assert sum(one.high < 0 for one in found) >= 4
    flat = np.array([[-1.0, 0.0], [-1.6, 0.0], [-2.2, 0.0]])
    found = [
        replay(world(seed, n=20000, lines=flat)[0], width=0.5, rng=np.random.default_rng(seed))
        for seed in range(5)
    ]
    assert {one.best for one in found} == {"always email"}
    assert all(one.regret > -0.02 and one.high > 0 for one in found)


def test_the_weights_are_those_of_ridge_regression() -> None:
    rng = np.random.default_rng(1)
    bandit, x, y = LinUCB(2, 4, width=1.0), rng.normal(size=(50, 4)), rng.normal(size=50)
    for row, reward in zip(x, y, strict=True):
        bandit.learn(1, row, reward)
    gram = np.eye(4) + x.T @ x
    assert bandit.weight[1] == pytest.approx(np.linalg.solve(gram, x.T @ y), rel=1e-9)
    assert bandit.inverse[1] == pytest.approx(np.linalg.inv(gram), rel=1e-9)
    assert (bandit.weight[0] == 0).all()


def test_what_may_not_be_chosen_is_not_and_no_choice_is_none() -> None:
    logged, _ = world(2)
    allowed = logged.allowed.copy()
    forced = logged.taken == 2
    allowed[forced, 0] = False
    found = replay(replace(logged, allowed=allowed), width=1.0, rng=np.random.default_rng(1))
    assert (fixed_choice(replace(logged, allowed=allowed), 0)[forced] == 2).all()
    assert len(found.met) >= 500
    allowed[:] = False
    allowed[np.arange(6000), logged.taken] = True
    with pytest.raises(TooLittle, match="0 contacts left a choice"):
        replay(replace(logged, allowed=allowed), width=1.0, rng=np.random.default_rng(1))
    with pytest.raises(ValueError, match="a choice was made that was not allowed"):
        replay(replace(logged, allowed=~allowed), width=1.0, rng=np.random.default_rng(1))
    with pytest.raises(ValueError, match="every propensity above 0"):
        replay(replace(logged, propensity=0 * logged.propensity), width=1.0, rng=np.random.default_rng(1))
