"""Page 08, the chain solved: print, brute force, other libraries, large chains against small ones."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from journeybook.clickstream import elasticity
from journeybook.clickstream.elasticity import elasticities
from journeybook.journeys.sessions import CONVERSION, EXIT
from journeybook.statistics.chains import transition_model


def model_of(p, *, seed=0):
    """A chain with these counts, shape (s, s + 2); the first state is `(start)`."""
    names = np.array(["(start)", *[f"x{k}" for k in range(1, len(p))], CONVERSION, EXIT], dtype=object)
    source, target = np.nonzero(p)
    frame = pd.DataFrame({"source": names[source], "target": names[target], "n": p[source, target]})
    frame = frame.sample(frac=1, random_state=seed)
    return transition_model(frame, conversion=CONVERSION, exit=EXIT)


def improved(model, *, factor):
    """Growth of conversion by every step of a model, shape (m,)."""
    start, every = model.at("(start)"), np.arange(len(model.steps))
    solved = elasticity.solve_chains(model, model.steps[None], start=start, asked=every)
    return elasticity.growth_of(model, solved, start=start, asked=every, factor=factor)[0]


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(3)
    found = rng.integers(1, 50, size=(12, 14)) * (rng.random((12, 14)) < 0.5)
    found[:, 0] = 0
    found[:, -1] += 5
    found[4, -2] += 3
    return found


def test_the_order_of_states_changes_nothing(counts):
    one, two = model_of(counts, seed=1), model_of(counts, seed=2)
    assert one.states != two.states
    order = [two.at(name) for name in one.states]
    for name in ("conversion_probability", "expected_steps"):
        assert_allclose(getattr(two, name)[order], getattr(one, name), rtol=1e-12)
    ends = [(two.states.index(one.states[i])) for i in one.source]
    number = {(i, j): k for k, (i, j) in enumerate(zip(two.source, two.target, strict=True))}
    moved = [*order, len(order), len(order) + 1]
    same = [number[i, moved[j]] for i, j in zip(ends, one.target, strict=True)]
    start = one.at("(start)"), two.at("(start)")
    assert_allclose(elasticities(two, start=start[1])[same], elasticities(one, start=start[0]), atol=1e-12)


def test_large_chains_are_solved_as_small_ones(counts, monkeypatch):
    model = model_of(counts)
    rng, start = np.random.default_rng(4), model.at("(start)")
    drawn = rng.poisson(model.n, size=(5, len(model.n))) + 1.0
    drawn /= np.array([np.bincount(model.source, weights=row) for row in drawn])[:, model.source]
    asked = np.arange(0, len(model.n), 3)
    solved = elasticity.solve_chains(model, drawn, start=start, asked=asked)
    monkeypatch.setattr(elasticity, "MOST_DENSE", 1)
    large = elasticity.solve_chains(model, drawn, start=start, asked=asked)
    for name in ("chance", "visits", "back", "own"):
        assert_allclose(getattr(large, name), getattr(solved, name), rtol=1e-9, atol=1e-12)


def test_a_chain_of_thousands_of_states_is_solved():
    """A line with steps back: the chance of conversion is that of the gambler's ruin (Feller 1968, XIV.2)."""
    s, up = 3_000, 0.5001
    k = np.arange(s)
    steps = pd.DataFrame({"source": np.r_[k, k], "target": np.r_[k + 1, k - 1], "n": np.repeat([up, 1 - up], s)})
    names = {-1: EXIT, s: CONVERSION}
    steps["target"] = [names.get(t, str(t)) for t in steps["target"]]
    steps["source"] = steps["source"].astype(str)
    model = transition_model(steps, conversion=CONVERSION, exit=EXIT)
    r = (1 - up) / up
    truth = (1 - r ** (k + 1.0)) / (1 - r ** (s + 1.0))
    assert_allclose(model.conversion_probability[[model.at(str(n)) for n in k]], truth, rtol=1e-7)


def test_steps_into_exit_and_steps_back_to_themselves_are_no_bottlenecks(counts):
    """Exits are left out, and a step to itself moves nothing, by construction and not by rounding."""
    looped = counts.copy()
    looped[3, 3] = 20
    model = model_of(looped)
    found = elasticities(model, start=model.at("(start)"))
    leaves = model.target == len(model.states) + 1
    assert leaves.any() and np.isnan(found[leaves]).all()
    assert np.isnan(improved(model, factor=1.1)[leaves]).all()
    assert (found[model.source == model.target] == 0).all()


def test_a_step_that_capped_would_never_end_brings_no_figure():
    frame = pd.DataFrame(
        [("(start)", "a", 10), ("a", "b", 95), ("a", CONVERSION, 5), ("b", "a", 95)],
        columns=["source", "target", "n"],
    )
    model = transition_model(frame, conversion=CONVERSION, exit=EXIT)
    found = improved(model, factor=1.1)
    step = (model.source == model.at("a")) & (model.target == model.at("b"))
    assert np.isnan(found[step]).all()
    assert not np.isinf(found).any()
