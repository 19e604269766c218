"""Posteriors against closed forms and draws."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from journeybook.statistics import stream
from journeybook.statistics.bayes import POSTERIOR_COLUMNS, choose, difference_interval, posteriors


def probability_above(a_b: int, b_b: int, a_a: int, b_a: int) -> float:
    """P(B > A) of two beta posteriors of whole-numbered shape (Miller 2015, eq. 6)."""
    i = np.arange(a_b)
    terms = special.betaln(a_a + i, b_b + b_a) - np.log(b_b + i) - special.betaln(1 + i, b_b)
    return float(np.exp(terms - special.betaln(a_a, b_a)).sum())


@pytest.mark.parametrize(
    "shapes", [(1, 1, 1, 1), (5, 20, 3, 25), (121, 881, 101, 901), (2801, 7201, 2301, 7701), (30, 2, 9000, 1001)]
)
def test_two_proportions_in_closed_form(shapes):
    a_b, b_b, a_a, b_a = shapes
    b, a = stats.beta(a_b, b_b), stats.beta(a_a, b_a)
    found = choose([b, a])
    above = probability_above(*shapes)
    assert found.probability_best == pytest.approx([above, 1 - above], abs=1e-9)
    # E max(A - B, 0) in closed form: each expectation is a probability under one shape more (Stucchio 2015).
    loss_b = a.mean() * (1 - probability_above(a_b, b_b, a_a + 1, b_a)) - b.mean() * (
        1 - probability_above(a_b + 1, b_b, a_a, b_a)
    )
    assert found.expected_loss[0] == pytest.approx(loss_b, abs=1e-9)
    assert found.expected_loss[1] - found.expected_loss[0] == pytest.approx(b.mean() - a.mean(), abs=1e-10)


@pytest.mark.parametrize(("gap", "s"), [(0.3, 1.0), (4.0, 0.5), (0.0, 100.0)])
def test_two_means_in_closed_form(gap, s):
    found = choose([stats.norm(gap, 1), stats.norm(0, s)])
    spread = np.hypot(1, s)
    z = gap / spread
    assert found.probability_best[0] == pytest.approx(stats.norm.cdf(z), abs=1e-9)
    loss = spread * (stats.norm.pdf(z) - z * stats.norm.sf(z))
    assert found.expected_loss[0] == pytest.approx(loss, abs=1e-9 * spread)
    low, high = difference_interval(stats.norm(gap, 1), stats.norm(0, s), level=0.9)
    assert [low, high] == pytest.approx([gap - 1.6448536 * spread, gap + 1.6448536 * spread], rel=1e-6)


def test_four_arms_against_draws():
    arms = [stats.beta(40, 160), stats.beta(45, 155), stats.beta(50, 150), stats.beta(3, 9)]
    found = choose(arms)
    drawn = np.stack([arm.rvs(400_000, random_state=n) for n, arm in enumerate(arms)])
    share = np.bincount(drawn.argmax(axis=0), minlength=4) / drawn.shape[1]
    assert found.probability_best == pytest.approx(share, abs=4 * np.sqrt(0.25 / drawn.shape[1]))
    assert found.probability_best.sum() == pytest.approx(1, abs=1e-12)
    loss = (drawn.max(axis=0) - drawn).mean(axis=1)
    assert found.expected_loss == pytest.approx(loss, abs=5e-4)
    ends = np.quantile(drawn[2] - drawn[0], [0.05, 0.95])
    assert difference_interval(arms[2], arms[0], level=0.9) == pytest.approx(ends, abs=1e-3)


def arms() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "metric": ["bought", "bought", "spend", "spend", "p90", "p90"],
            "variant": ["control", "new"] * 3,
            "n": [1000, 900] * 3,
            "mean": [0.2, 0.24, 10.0, 10.5, 30.0, 31.0],
            "sd": [0.4, 0.43, 8.0, 9.0, np.nan, np.nan],
        }
    )


KINDS = {"bought": "proportion", "spend": "mean", "p90": "quantile"}


def test_the_posterior_of_a_proportion_and_of_a_mean():
    table = posteriors(arms(), kinds=KINDS, control="control", level=0.95)
    assert [*table.columns] == POSTERIOR_COLUMNS
    assert table["metric"].unique().tolist() == ["bought", "spend"]
    rows = table.set_index(["metric", "variant"])
    bought = rows.loc[("bought", "new")]
    beta = stats.beta(1 + 216, 1 + 684)
    assert bought["posterior_mean"] == pytest.approx(217 / 902)
    assert [bought["posterior_low"], bought["posterior_high"]] == pytest.approx(beta.interval(0.95))
    assert bought["probability_better"] == pytest.approx(probability_above(217, 685, 201, 801), abs=1e-9)
    assert bought["prior"] == "Beta(1, 1)"
    # The normal posterior by Bayes' formula on a grid.
    centre = (1000 * 10 + 900 * 10.5) / 1900
    spread = np.sqrt((999 * 64 + 899 * 81 + 1000 * (10 - centre) ** 2 + 900 * (10.5 - centre) ** 2) / 1899)
    grid = np.linspace(8, 13, 200_001)
    density = stats.norm.pdf(grid, centre, spread) * stats.norm.pdf(10.5, grid, 9 / 30)
    density /= density.sum()
    spend = rows.loc[("spend", "new")]
    assert spend["posterior_mean"] == pytest.approx(float(density @ grid), rel=1e-8)
    below = np.interp(0.025, np.cumsum(density), grid)
    assert spend["posterior_low"] == pytest.approx(below, abs=1e-4)
    assert np.isnan(rows.loc[("spend", "control"), "effect"])
    assert rows.loc[("spend", "control"), "probability_best"] == pytest.approx(1 - spend["probability_best"])


@pytest.mark.parametrize("metric", ["bought", "spend"])
def test_less_may_be_better(metric):
    more, less = (
        posteriors(arms(), kinds=KINDS, control="control", level=0.95, lower_is_better=lower)
        .set_index(["metric", "variant"])
        .loc[metric]
        for lower in ([], [metric])
    )
    assert less["probability_better"]["new"] == pytest.approx(1 - more["probability_better"]["new"], abs=1e-9)
    assert less["expected_loss"]["control"] == pytest.approx(more["expected_loss"]["new"], abs=1e-9)
    assert less["posterior_low"].tolist() == more["posterior_low"].tolist()
    assert less["effect"]["new"] == more["effect"]["new"]


@pytest.mark.parametrize("n_simulations", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_intervals_cover_as_often_as_said_and_losses_are_right_on_average(n_simulations):
    # Rates drawn from the prior: then intervals cover exactly, and the stated loss is the mean of the true one.
    rng, n, level = stream(1, "prior"), 300, 0.9
    covered, stated, true = [], [], []
    for _ in range(n_simulations):
        p = rng.random(2)
        k = rng.binomial(n, p)
        table = posteriors(
            pd.DataFrame({"metric": "m", "variant": ["a", "b"], "n": n, "mean": k / n, "sd": 1.0}),
            kinds={"m": "proportion"}, control="a", level=level,
        )  # fmt: skip
        row = table.iloc[1]
        covered.append(row["effect_low"] <= p[1] - p[0] <= row["effect_high"])
        stated.append(row["expected_loss"])
        true.append(max(p[0] - p[1], 0))
    error = np.sqrt(level * (1 - level) / n_simulations)
    assert np.mean(covered) == pytest.approx(level, abs=4 * error)
    gap = np.array(stated) - np.array(true)
    assert gap.mean() == pytest.approx(0, abs=4 * gap.std() / np.sqrt(n_simulations))
