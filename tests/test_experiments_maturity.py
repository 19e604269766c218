"""Units whose outcomes are still coming in: found from the times, left out, and no reason to ship."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from journeybook.experiments.decision import CAUTIONED, cautioned
from journeybook.experiments.maturity import delays, ripe_units
from journeybook.experiments.measures import Measures, Metric
from journeybook.experiments.words import say_ripe
from journeybook.statistics import stream

MEASURED = Measures([Metric("converted", "proportion", "converted")], [], pd.DataFrame())
GAIN, START = 0.05, pd.Timestamp("2026-03-01")


def entering(seed: int, *, takes_days: float, followed_days: float = 0, n: int = 20_000) -> pd.DataFrame:
    """Units that enter evenly over four weeks and convert at 20 and 25 %, with delays, up to an end."""
    rng = stream(seed, "entering")
    entered, arm, delay = rng.uniform(0, 28, n), rng.integers(0, 2, n), rng.exponential(takes_days, n)
    came = (rng.random(n) < 0.2 + GAIN * arm) & (entered + delay <= 28 + followed_days)
    outcome_at = (START + pd.to_timedelta(entered + delay, unit="D")).where(came)
    return pd.DataFrame(
        {
            "variant": np.where(arm, "new", "control"),
            "occurred_at": START + pd.to_timedelta(entered, unit="D"),
            "outcome_at": outcome_at,
            "converted": came.astype(float),
        }
    )


def gain(units: pd.DataFrame) -> float:
    return float(units.groupby("variant")["converted"].mean().diff().iloc[-1])


@pytest.mark.parametrize("timed", [True, False])
def test_effects_are_too_small_before_and_not_after_the_last_units_are_left_out(timed):
    before, after = [], []
    for seed in range(60):
        units = entering(seed, takes_days=5)
        found = ripe_units(units if timed else units.drop(columns="outcome_at"), measured=MEASURED)
        assert found.n_unripe == len(units) - len(found.units) > 0
        # The last to be assigned, whatever their arm.
        assert found.units["occurred_at"].max() < units["occurred_at"].nlargest(found.n_unripe).min()
        before.append(gain(units) - GAIN)
        after.append(gain(found.units) - GAIN)
    # A unit followed for f days has shown 1 - exp(-f / 5) of its chance; f is even over 28 days.
    expected = -GAIN * 5 / 28 * (1 - np.exp(-28 / 5))
    errors = [stats.sem(found) for found in (before, after)]
    assert abs(np.mean(before) - expected) < 4 * errors[0] and np.mean(before) < -4 * errors[0]
    assert -GAIN * 0.05 - 4 * errors[1] < np.mean(after) < 4 * errors[1]
    assert np.mean(after) - np.mean(before) > 4 * errors[1]


@pytest.mark.parametrize(("takes_days", "followed_days"), [(5, 60), (0.05, 0)])
@pytest.mark.parametrize("timed", [True, False])
def test_nothing_is_left_out_where_outcomes_are_in(takes_days, followed_days, timed):
    for seed in range(20):
        units = entering(seed, takes_days=takes_days, followed_days=followed_days)
        found = ripe_units(units if timed else units.drop(columns="outcome_at"), measured=MEASURED)
        assert found.n_unripe == 0 and len(found.units) == len(units) and say_ripe(found) == ""


def test_a_rate_that_steps_down_early_or_without_times_leaves_nobody_out():
    units = entering(1, takes_days=0.01).drop(columns="outcome_at")
    early = units["occurred_at"] < START + pd.Timedelta(5, "D")
    rng = stream(2, "step")
    stepped = units.assign(converted=(rng.random(len(units)) < np.where(early, 0.4, 0.1)).astype(float))
    assert ripe_units(stepped, measured=MEASURED).units is stepped
    bare = units.drop(columns="occurred_at")
    assert ripe_units(bare, measured=MEASURED).units is bare


@pytest.mark.parametrize("day", [16, 20, 24])
def test_a_rate_that_steps_down_late_and_stays_leaves_nobody_out(day):
    for seed in range(20):
        units = entering(seed, takes_days=0.01, n=8_000).drop(columns="outcome_at")
        rate = np.where(units["occurred_at"] > START + pd.Timedelta(day, "D"), 0.09, 0.2)
        stepped = units.assign(converted=(stream(seed, "late").random(len(units)) < rate).astype(float))
        assert ripe_units(stepped, measured=MEASURED).units is stepped


def test_delays_that_the_end_cuts_off_are_those_of_a_known_distribution():
    rng = stream(5, "delays")
    delay, followed = rng.exponential(5, 200_000), rng.uniform(0, 28, 200_000)
    seen = delay <= followed
    at, share = delays(delay[seen], followed[seen])
    known = stats.expon(scale=5).cdf(at) / stats.expon(scale=5).cdf(28)
    middle = (at > 0.5) & (at < 25)
    assert np.abs(share - known)[middle].max() < 0.01
    assert (delay[seen] <= 5).mean() - known[np.searchsorted(at, 5)] > 0.05


def test_outcomes_still_to_come_block_every_effect_and_are_told():
    assert cautioned(["unripe"], metric="spend", variant="new") == [CAUTIONED["unripe"]]
    told = say_ripe(ripe_units(entering(1, takes_days=5), measured=MEASURED))
    assert "Outcomes are still coming in" in told and "are left out" in told


def test_an_effect_that_fades_in_one_arm_is_no_outcome_to_come():
    units = entering(1, takes_days=0.01).drop(columns="outcome_at")
    day = (units["occurred_at"] - START).dt.days
    fading = np.where(units["variant"] == "new", 0.1 + 0.015 * (27 - day), 0.1)
    faded = units.assign(converted=(stream(3, "fading").random(len(units)) < fading).astype(float))
    assert ripe_units(faded, measured=MEASURED).units is faded
