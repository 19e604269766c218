"""Random streams, Wilson's interval and the clustered bootstrap against other libraries and simulation."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from journeybook.statistics import cluster_weights, proportion_interval, stream


def test_a_stream_is_the_same_at_each_call_and_differs_by_name_and_seed():
    draws = {
        (seed, name): tuple(stream(seed, name).integers(2**32, size=4))
        for seed in (1, 2)
        for name in ("bootstrap", "folds")
    }
    assert len(set(draws.values())) == 4
    assert draws[1, "folds"] == tuple(stream(1, "folds").integers(2**32, size=4))


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_wilson_agrees_with_statsmodels(level):
    successes, n = np.array([0, 1, 7, 50, 99, 100]), np.full(6, 100)
    found = proportion_interval(successes, n, level=level)
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    np.testing.assert_allclose(found.low, low, atol=1e-12)
    np.testing.assert_allclose(found.high, high, atol=1e-12)


def test_nothing_is_known_of_a_proportion_without_trials():
    found = proportion_interval(0, 0)
    assert (found.low, found.high) == (0, 1)


@pytest.mark.parametrize(("successes", "n"), [(-1, 10), (11, 10), ([1, 3], [2, 2])])
def test_more_successes_than_trials_is_an_error(successes, n):
    with pytest.raises(ValueError, match="successes must be from 0 to trials"):
        proportion_interval(successes, n)


def test_clusters_are_drawn_whole_and_their_names_play_no_part():
    named = np.array(["b", "b", "a", "c", "a", "b"])
    renamed = np.array(["x", "x", "z", "y", "z", "x"])
    weights = cluster_weights(named, n_draws=50, rng=stream(1, "w"))
    assert (weights == cluster_weights(renamed, n_draws=50, rng=stream(1, "w"))).all()
    assert (weights[:, [0, 0, 2]] == weights[:, [1, 5, 4]]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_clustered_intervals_cover_where_naive_ones_do_not():
    """Means of 40 people with 5 equal rows each: 400 simulations, Monte Carlo error 1.1 points at 95 %."""
    rng = stream(7, "coverage")
    people, rows, simulations = 40, 5, 400
    clusters = np.repeat(np.arange(people), rows)
    covered = np.zeros(2)
    for _ in range(simulations):
        values = np.repeat(rng.normal(size=people), rows)
        for i, groups in enumerate((clusters, np.arange(people * rows))):
            weights = cluster_weights(groups, n_draws=150, rng=rng)
            low, high = np.quantile(weights @ values / weights.sum(axis=1), [0.025, 0.975])
            covered[i] += low <= 0 <= high
    clustered, naive = covered / simulations
    assert 0.89 <= clustered <= 0.98
    assert naive < 0.75
