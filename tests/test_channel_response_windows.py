"""Page 07, windows: the mixed model against scikit-learn, intervals and peaks by simulation with known truth."""

import dataclasses

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import ConstantKernel, ExpSineSquared

from journeybook import channel_response as cr
from journeybook.channel_response import windows as module
from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.splits import Split
from journeybook.channel_response.truth import windows_against_truth
from journeybook.channel_response.windows import (
    ANY_DAY,
    EVERYONE,
    WEEKDAYS,
    person_types,
    response_windows,
    window_name,
)
from journeybook.statistics import stream
from journeybook.statistics.labels import labels
from journeybook.statistics.log_odds import log_odds_posterior

HOURS = np.arange(8, 22)


def curve(*, height: float, at: float = 18.0) -> np.ndarray:
    """Log odds by hour of the day, with one peak."""
    return height * (np.exp(4 * (np.cos(2 * np.pi * (np.arange(24) - at) / 24) - 1)) - 0.4)


def simulated(
    n_people: int = 500,
    *,
    per: int = 16,
    height: float = 1.0,
    differ: float = 0.7,
    seed: int = 1,
    prefix: str = "p",
) -> pd.DataFrame:
    """Contacts in the order of time; "early" people peak at 10, "late" ones at 18, Sunday is good for all."""
    rng = np.random.default_rng(seed)
    person = rng.permutation(np.repeat(np.arange(n_people), per))
    n = len(person)
    at = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 200, n)), unit="D")
    at = (
        at
        + pd.to_timedelta(rng.choice(HOURS, size=n), unit="h")
        + pd.to_timedelta(rng.integers(60, size=n), unit="m")
    )
    late, sent = person % 2 == 1, rng.random(n) < 0.8
    when = np.where(late, curve(height=height)[at.hour], curve(height=height, at=10.0)[at.hour])
    score = -2 + differ * rng.normal(size=n_people)[person] + sent * (when + 0.4 * (at.day_of_week == 6))
    return pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "contact_id": [f"c{i}" for i in range(n)],
            "person_id": [f"{prefix}{i * 7919 % 1009:04d}" for i in person],
            "occurred_at": at,
            "channel": np.where(sent, "email", "none"),
            "responded": rng.random(n) < expit(score),
            "habit": np.where(late, "late", "early"),
            "probability": expit(score),
        }
    )


def framed(frame: pd.DataFrame) -> tuple[ContactFrame, Split]:
    """The contacts, and a split of which all are training."""
    contacts = cr.contact_frame(ibis.memtable(frame.drop(columns="probability")), None, max_rows=100_000)
    every, none = np.arange(len(frame)), np.array([], dtype=int)
    return contacts, Split(every, none, none, none, "draw", None, np.array([], dtype=bool), "")


def found_in(frame: pd.DataFrame, **change) -> module.ResponseWindows:
    contacts, split = framed(frame)
    types = contacts.rows["habit"].to_numpy(dtype=object)
    return response_windows(contacts, split, types, **({"window_hours": 3, "rng": stream(1, "windows")} | change))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulated()


@pytest.fixture(scope="module")
def windows(frame):
    return found_in(frame)


# --- the mixed model -----------------------------------------------------------------------------------------


def test_laplace_approximation_is_that_of_scikit_learn():
    rng = np.random.default_rng(2)
    hours, n = np.arange(8, 16), rng.integers(20, 40, size=8)
    hits = rng.binomial(n, 0.25)
    kernel = ConstantKernel(4.0) + ConstantKernel(0.3) * ExpSineSquared(length_scale=0.5, periodicity=24)
    x = np.repeat(hours, n)[:, None].astype(float)
    y = np.concatenate([np.arange(m) < k for k, m in zip(hits, n, strict=True)]).astype(int)
    theirs = GaussianProcessClassifier(kernel, optimizer=None).fit(x, y)
    ours = log_odds_posterior(hits.astype(float), n.astype(float), kernel(hours[:, None].astype(float))[None])
    assert ours.evidence[0] == pytest.approx(theirs.log_marginal_likelihood_value_, abs=1e-4)
    mode = theirs.base_estimator_.f_cached[np.cumsum(n) - 1]
    assert ours.mode[0] == pytest.approx(mode, abs=1e-5)
    # The covariance by its definition: the inverse of the prior's inverse and the curvature together.
    rate = expit(ours.mode[0])
    inverse = np.linalg.inv(kernel(hours[:, None].astype(float)) + 1e-10 * np.eye(8)) + np.diag(
        n * rate * (1 - rate)
    )
    assert ours.covariance[0] == pytest.approx(np.linalg.inv(inverse), abs=1e-6)


@pytest.mark.parametrize("alike", ["person", "day"])
def test_the_design_effect_by_hand(alike):
    """Each person, or day, has two contacts of one hour that end alike: variances are twice as large."""
    rng = np.random.default_rng(5)
    other = {"person": "day", "day": "person"}[alike]
    rows = pd.DataFrame({alike: np.repeat(np.arange(4000), 2), "hour": np.repeat(rng.integers(8, 12, 4000), 2)})
    rows[other] = np.arange(8000)
    rows["responded"] = np.repeat(rng.random(4000) < 0.2, 2).astype("int8")
    effect, shared = module._clustering(rows, "hour")
    assert effect == pytest.approx(2, abs=0.1)
    assert shared < 0.02
    # The same answers on different hours: hours are then as good as independent, and the level is what is shared.
    rows["hour"] = np.tile([8, 9], 4000)
    effect, shared = module._clustering(rows, "hour")
    rate = rows["responded"].mean()
    assert effect == pytest.approx(1, abs=0.05)
    assert shared == pytest.approx(np.sqrt(1 / (8000 * rate * (1 - rate))), rel=0.1)


def test_a_campaign_is_not_a_weekday():
    """Thirty mailings of 100 people each, which differ by chance: no weekday is better beyond it."""
    beyond = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(30), 100)
        rows = pd.DataFrame({"person": rng.permutation(3000), "day": day, "weekday": day % 5, "hour": 0})
        rows["responded"] = (rng.random(3000) < expit(-1.5 + 0.8 * rng.normal(size=30))[day]).astype("int8")
        _, (peak,) = module._of_type(rows, window_hours=3, level=0.95, n_draws=1000, rng=rng)
        beyond.append(peak["lift_low"].item() > 1)
    assert np.mean(beyond) <= 0.2


# --- estimates -----------------------------------------------------------------------------------------------


def test_cells_are_counted_by_hand(frame, windows):
    cells = windows.cells.set_index(["person_type", "weekday", "hour"])
    late = frame[(frame["habit"] == "late") & (frame["channel"] == "email")]
    at = late["occurred_at"].dt
    part = late[at.hour == 18]
    row = cells.loc[("late", ANY_DAY, 18.0)]
    assert (row["n_rows"], row["observed_rate"]) == (len(part), pytest.approx(part["responded"].mean()))
    assert len(windows.cells) == 2 * (14 + 7)


def test_a_copy_of_every_contact_adds_nothing(frame, windows):
    twice = (
        pd.concat([frame, frame]).sort_values("row", kind="stable").assign(row=np.arange(1, 2 * len(frame) + 1))
    )
    one, two = (
        cells.set_index(["person_type", "weekday", "hour"])
        for cells in (windows.cells, found_in(twice.reset_index(drop=True)).cells)
    )
    width, again = (cells["response_rate_high"] - cells["response_rate_low"] for cells in (one, two))
    assert (two["n_rows"] == 2 * one["n_rows"]).all()
    assert again.mean() == pytest.approx(width.mean(), rel=0.05)
    hours = [("late", ANY_DAY, float(hour)) for hour in HOURS]
    assert again[hours].mean() == pytest.approx(width[hours].mean(), rel=0.1)


def test_peaks_are_those_planted(frame, windows):
    peaks = windows.peaks.set_index(["person_type", "kind"])
    for habit, hour in (("early", 10.5), ("late", 18.5)):
        assert peaks.loc[(habit, "hours"), "first"] <= hour <= peaks.loc[(habit, "hours"), "first"] + 3
    assert peaks.loc[("late", "weekday"), "window"] == "Sunday"
    assert (peaks.xs("hours", level="kind")["lift_low"] > 1).all()
    hours = windows.cells[windows.cells["weekday"] == ANY_DAY]
    late = hours[hours["person_type"] == "late"].set_index("hour")["response_rate"]
    row = peaks.loc[("late", "hours")]
    inside = [float(row["first"] + i) for i in range(3)]
    assert row["response_rate"] == pytest.approx(late[inside].mean(), abs=1e-9)
    assert row["lift"] == pytest.approx(late[inside].mean() / late.mean(), abs=0.01)


def test_without_a_peak_every_window_could_be_best():
    peaks = found_in(simulated(height=0.0, differ=0.0, seed=8)).peaks
    hours = peaks[peaks["kind"] == "hours"]
    assert (hours["lift_low"] <= 1).all()
    assert (hours["could_be_best"].str.count(",") > 5).all()


def test_truth_by_hand(frame, windows):
    contacts, split = framed(frame)
    types = contacts.rows["habit"].to_numpy(dtype=object)
    truth = windows_against_truth(windows, contacts, split, types, frame[["contact_id", "probability"]])
    sent = frame[frame["channel"] == "email"]
    true = sent.groupby(["habit", sent["occurred_at"].dt.hour])["probability"].mean()
    cells = windows.cells[windows.cells["weekday"] == ANY_DAY]
    at = pd.MultiIndex.from_arrays([cells["person_type"], cells["hour"].astype(int)])
    low, high = (cells[f"response_rate_{end}"].to_numpy() for end in ("low", "high"))
    held = (low <= true.loc[at].to_numpy()) & (true.loc[at].to_numpy() <= high)
    assert truth.kinds["n_rates"].tolist() == [28, 14]
    assert truth.kinds["inside_share"].iloc[0] == pytest.approx(held.mean())
    late = true["late"].rolling(3).mean().shift(-2)
    peak = truth.peaks.set_index(windows.peaks.set_index(["person_type", "kind"]).index).loc[("late", "hours")]
    assert (peak["best_window"], peak["best_rate"]) == (
        window_name(late.idxmax(), "hour", 3),
        pytest.approx(late.max()),
    )


@pytest.mark.parametrize(
    ("height", "differ", "n_samples"),
    [
        (1.0, 0.8, 20),
        *[
            pytest.param(*case, 100, marks=pytest.mark.slow)
            for case in ((0.0, 0.8), (0.4, 0.8), (1.0, 0.0), (1.0, 0.8))
        ],
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(height, differ, n_samples):
    """Rates of people not yet met; samples of 600 people each, and four standard errors of each share.

    Rates of one sample go together, so that the error is that of the samples' shares. Flat hours are held more
    often than said, for a rate drawn to the mean is nearly the mean.
    """
    spread = np.random.default_rng(0).normal(size=4000) * differ
    true = np.array([expit(-2 + spread + x).mean() for x in curve(height=height)[HOURS]])
    best = [
        window_name(8 + int(i), "hour", 3) for i in np.flatnonzero(_windows(true) >= _windows(true).max() - 1e-9)
    ]
    inside, rates, lifts, named = [], [], [], []
    for seed in range(n_samples):
        rng = np.random.default_rng(seed)
        person = np.repeat(np.arange(600), 14)
        hour = rng.choice(HOURS, size=len(person))
        score = -2 + differ * rng.normal(size=600)[person] + curve(height=height)[hour]
        rows = pd.DataFrame(
            {"person": person, "hour": hour, "weekday": 0, "day": rng.integers(0, 200, len(person))}
        )
        rows["responded"] = (rng.random(len(person)) < expit(score)).astype("int8")
        cells, peaks = module._of_type(rows, window_hours=3, level=0.95, n_draws=1000, rng=rng)
        inside.append(((cells[0]["response_rate_low"] < true) & (true < cells[0]["response_rate_high"])).mean())
        peak = peaks[0].iloc[0]
        at = _windows(true)[peak["first"] - 8]
        rates.append(peak["response_rate_low"] < at < peak["response_rate_high"])
        lifts.append(peak["lift_low"] <= at / true.mean() <= peak["lift_high"])
        named.append(any(name in peak["could_be_best"] for name in best))
    assert np.mean(inside) > 0.95 - 4 * np.std(inside) / np.sqrt(n_samples)
    for held in (rates, lifts, named):
        assert np.mean(held) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / n_samples)


def _windows(rates: np.ndarray) -> np.ndarray:
    return np.convolve(rates, np.full(3, 1 / 3), mode="valid")


# --- what is left out ----------------------------------------------------------------------------------------


def test_few_mailings_are_not_a_weekday(frame):
    """Mondays of three days only, and an hour with 20 contacts."""
    at = frame["occurred_at"]
    mondays = at[at.dt.day_of_week == 0].dt.normalize().unique()[:3]
    kept = (at.dt.day_of_week != 0) | at.dt.normalize().isin(mondays)
    early = at.dt.hour == 8
    kept &= ~early | (early.cumsum() <= 20)
    cells = found_in(frame[kept].reset_index(drop=True)).cells
    assert set(cells["weekday"]) == {ANY_DAY, *WEEKDAYS} - {"Monday"}
    assert cells["hour"].min() == 9


def test_types_with_few_responses_are_named(frame):
    rare = frame.assign(habit=np.where(frame["row"] <= 60, "rare", frame["habit"]))
    found = found_in(rare)
    assert found.left_out == ("rare",)
    assert set(found.peaks["person_type"]) == {"early", "late"}


def test_without_times_there_is_nothing(frame):
    found = found_in(frame.drop(columns="occurred_at"))
    assert found.cells.empty
    assert found.peaks.empty
    assert found.cells.columns.tolist() == found_in(frame).cells.columns.tolist()


def test_one_hour_leaves_weekdays(frame):
    found = found_in(frame.assign(occurred_at=frame["occurred_at"].dt.normalize()))
    assert set(found.peaks["kind"]) == {"weekday"}
    assert found.cells["hour"].isna().all()


def test_the_test_is_not_looked_at(frame):
    contacts, split = framed(frame)
    types = contacts.rows["habit"].to_numpy(dtype=object)
    half = dataclasses.replace(split, fit=split.fit[:4000], test=split.fit[4000:])
    given = {"window_hours": 3, "rng": None}
    one = response_windows(contacts, half, types, **given | {"rng": stream(1, "w")})
    turned = contacts.rows["responded"].where(np.arange(len(frame)) < 4000, 1 - contacts.rows["responded"])
    other = dataclasses.replace(contacts, rows=contacts.rows.assign(responded=turned))
    two = response_windows(other, half, types, **given | {"rng": stream(1, "w")})
    pd.testing.assert_frame_equal(one.cells, two.cells)


def test_results_depend_on_no_value_of_an_id(windows):
    pd.testing.assert_frame_equal(windows.cells, found_in(simulated(prefix="other")).cells)


@pytest.mark.parametrize("hours", [0, 13])
def test_windows_that_cannot_be_made(frame, hours):
    with pytest.raises(ValueError, match="window_hours must be from 1 to 12"):
        found_in(frame, window_hours=hours)


def test_types_of_another_length(frame):
    contacts, split = framed(frame)
    with pytest.raises(ValueError, match="one value a contact"):
        response_windows(contacts, split, np.array(["a"]), window_hours=3, rng=stream(1, "w"))


def test_a_window_may_go_past_midnight():
    assert window_name(23, "hour", 2) == "23:00-01:00"
    assert window_name(6, "weekday", 1) == "Sunday"


def test_log_odds_near_zero_counts_stay_finite():
    found = log_odds_posterior(np.array([0.0, 1.0]), np.array([40.0, 40.0]), np.eye(2)[None] + 100.0)
    assert np.isfinite(found.mode).all()
    assert (found.mode < logit(0.2)).all()


# --- types and groups ----------------------------------------------------------------------------------------


def test_the_type_is_the_segment_before_sending():
    times = pd.to_datetime(["2025-01-15", "2025-02-01", "2025-02-02", "2025-03-01", "2025-01-01"])
    frame = pd.DataFrame(
        {
            "row": [1, 2, 3, 4, 5],
            "person_id": ["a", "a", "a", "b", "a"],
            "occurred_at": times,
            "responded": [True, False, True, False, True],
            "spend": [1.0, 2.0, 3.0, 4.0, 5.0],
        }
    )
    contacts = cr.contact_frame(ibis.memtable(frame), None, max_rows=100)
    known = pd.DataFrame(
        {"person_id": ["a", "a"], "as_of": pd.to_datetime(["2025-01-01", "2025-02-01"]), "segment": ["S1", "S2"]}
    )
    segments = ibis.memtable(known)
    # A segment stamped at the moment of sending is not known by then; b has none.
    assert person_types(contacts, segments, column=None).tolist() == ["S1", "S1", "S2", "unknown", "unknown"]
    assert set(person_types(contacts, None, column=None)) == {EVERYONE}
    assert person_types(contacts, segments, column="spend").tolist() == ["1", "2", "3", "4", "5"]
    with pytest.raises(ValueError, match="person_type names 'spent', not a column"):
        person_types(contacts, None, column="spent")


def test_many_numbers_are_cut_in_thirds():
    values = pd.Series(np.arange(30.0), name="age")
    assert pd.Series(labels(values)).value_counts().to_dict() == {"age low": 10, "age middle": 10, "age high": 10}
