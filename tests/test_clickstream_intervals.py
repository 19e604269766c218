"""Page 08, intervals: how often they hold the truth when people are of several types, and display pooling."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from journeybook.clickstream.counts import StepCounts
from journeybook.clickstream.intervals import OTHERS, draw_chains, pool_rare, transition_table
from journeybook.journeys.sessions import CONVERSION, EXIT, START
from journeybook.report.pages import NOTEBOOKS
from journeybook.statistics import stream

# Steps from home and from item, to item, home, conversion, exit, for three types of people.
TYPES = np.array(
    [
        [[0.50, 0.10, 0.00, 0.40], [0.20, 0.30, 0.05, 0.45]],
        [[0.30, 0.10, 0.00, 0.60], [0.10, 0.30, 0.30, 0.30]],
        [[0.70, 0.05, 0.00, 0.25], [0.40, 0.20, 0.15, 0.25]],
    ]
)
NAMES = np.array(["item", "home", CONVERSION, EXIT], dtype=object)


def step_counts(by_person):
    """Counts of steps, shape (people, 2 sources, 4 targets), as the page has them."""
    person, source, target = np.nonzero(by_person)
    frame = pd.DataFrame(
        {
            "group": person,
            "source": np.array(["home", "item"], dtype=object)[source],
            "target": NAMES[target],
            "n": by_person[person, source, target],
        }
    )
    # Every person has sessions, and each begins at home.
    starts = pd.DataFrame({"group": range(len(by_person)), "source": START, "target": "home", "n": 1})
    return StepCounts(
        counts=pd.concat([starts, frame], ignore_index=True), conversion="buy", n_events=0, n_sessions=0,
        n_conversions=0, n_clusters=len(by_person), aggregated=False,
    )  # fmt: skip


def coverage(*ways, n_people, n_simulations, n_draws, seed):
    """Share of the intervals of `transition_table` that hold the truth, by step, and expected counts of the steps.

    A person's visits to home and item are Poisson and do not depend on the type, so the truth is the mean of the
    types' probabilities.
    """
    rng = np.random.default_rng(seed)
    truth = pd.DataFrame(TYPES.mean(axis=0), index=["home", "item"], columns=NAMES).stack()
    truth = truth[truth > 0]
    held = {name: pd.Series(0.0, index=truth.index) for name in ways}
    for _ in range(n_simulations):
        kind = rng.integers(3, size=n_people)
        visits = 1 + rng.poisson([6, 10], size=(n_people, 2))
        taken = rng.multinomial(visits, TYPES[kind])
        for name, share in held.items():
            counts = replace(step_counts(taken), aggregated=name == "independent")
            chain = draw_chains(counts, n_draws=n_draws, rng=rng)
            table = transition_table(chain).set_index(["source", "target"]).reindex(truth.index)
            share += (table["probability_low"] <= truth) & (truth <= table["probability_high"])
    expected = truth * np.repeat([7, 11], [sum(truth.index.get_level_values(0) == s) for s in ("home", "item")])
    return pd.DataFrame(held) / n_simulations, expected * n_people


def test_drawing_people_covers_and_drawing_steps_does_not():
    found, expected = coverage("clustered", "independent", n_people=150, n_simulations=60, n_draws=200, seed=1)
    assert (expected >= 20).all()
    # 60 simulations of 7 steps: the mean has a Monte Carlo error below 0.02.
    assert 0.89 < found["clustered"].mean() < 0.99
    assert found["independent"].mean() < found["clustered"].mean() - 0.03


@pytest.mark.slow
def test_intervals_cover_93_to_97_per_cent_with_three_types_of_people():
    found, expected = coverage("clustered", n_people=150, n_simulations=1_000, n_draws=200, seed=2)
    held = found.loc[expected >= 20, "clustered"]
    assert len(held) == 7
    # Each share has a Monte Carlo error of 0.007.
    assert held.between(0.93, 0.97).all(), held


def chain_of(counts):
    return draw_chains(counts, n_draws=50, rng=np.random.default_rng(1))


def test_pooled_states_keep_every_count():
    frame = pd.DataFrame(
        [("g1", START, "home", 500), ("g1", "home", "rare", 3), ("g2", "home", "odd", 2),
         ("g2", "odd", "rare", 1),
         ("g1", "rare", EXIT, 4), ("g2", "odd", CONVERSION, 1), ("g1", "home", EXIT, 495)],
        columns=["group", "source", "target", "n"],
    )  # fmt: skip
    whole = step_counts(np.zeros((1, 2, 4), dtype=int))
    chain = chain_of(StepCounts(**{**vars(whole), "counts": frame}))
    pooled = pool_rare(chain, least_visits=10)
    table = transition_table(pooled).set_index(["source", "target"])
    assert table["n"].to_dict() == {
        (START, "home"): 500, ("home", OTHERS): 5, ("home", EXIT): 495, (OTHERS, OTHERS): 1,
        (OTHERS, EXIT): 4, (OTHERS, CONVERSION): 1,
    }  # fmt: skip
    assert_allclose(pooled.drawn.sum(axis=1), chain.drawn.sum(axis=1))
    # Nothing but the display: where all are frequent, or one is rare, the chain is as it was.
    assert pool_rare(chain, least_visits=1) is chain


# Chance of one step for three equally frequent types of people.
CHANCES = (0.15, 0.35, 0.55)


def step_coverage(*, n_people, steps_each, n_simulations, n_draws, rng):
    """Share of the intervals of one step that hold its truth: people drawn, and each step a new person's."""
    held = np.zeros(2)
    nobody = step_counts(np.zeros((n_people, 2, 4), dtype=int))
    for _ in range(n_simulations):
        taken, group = rng.binomial(steps_each, rng.choice(CHANCES, size=n_people)), np.arange(n_people)
        won = pd.DataFrame({"group": group, "target": CONVERSION, "n": taken})
        lost = pd.DataFrame({"group": group, "target": EXIT, "n": steps_each - taken})
        steps = pd.concat([won, lost], ignore_index=True).assign(source=START)
        counts = StepCounts(**{**vars(nobody), "counts": steps})
        for k, independent in enumerate((False, True)):
            chain = draw_chains(replace(counts, aggregated=independent), n_draws=n_draws, rng=rng)
            step = transition_table(chain).set_index("target").loc[CONVERSION]
            held[k] += step["probability_low"] <= np.mean(CHANCES) <= step["probability_high"]
    return held / n_simulations


def test_the_table_on_the_page_is_what_the_simulation_gives():
    rng, asked = stream(20260101, "coverage"), {"n_people": 300, "n_simulations": 60, "n_draws": 200}
    found = [step_coverage(steps_each=n, rng=rng, **asked) for n in (5, 20, 60)]
    rows = [f"| {n} | {a:.0%} | {b:.0%} |" for n, (a, b) in zip((5, 20, 60), found, strict=True)]
    page = json.loads((NOTEBOOKS / "08_clickstream.ipynb").read_text(encoding="utf-8"))
    assert any("\n".join(rows) in cell["source"] for cell in page["cells"]), rows
    # 180 simulations at 95 %: 3.29 standard errors.
    assert abs(np.mean(found, axis=0)[0] - 0.95) < 3.29 * np.sqrt(0.95 * 0.05 / 180)


@pytest.mark.slow
def test_coverage_over_many_simulations():
    asked = {"n_people": 300, "n_simulations": 500, "n_draws": 300, "rng": np.random.default_rng(8)}
    found = np.array([step_coverage(steps_each=n, **asked) for n in (5, 20, 60)])
    assert 0.93 <= found[:, 0].mean() <= 0.97
    assert (found[:, 1] < [0.93, 0.82, 0.62]).all()
