"""Page 07, reading: sentences say the numbers and no more than they show; figures show every group and window."""

import dataclasses
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from journeybook.channel_response import words as say
from journeybook.channel_response.explanation import Explanation
from journeybook.channel_response.truth import KnownAnswers, WindowsTruth
from journeybook.channel_response.windows import ANY_DAY, WEEKDAYS, ResponseWindows
from journeybook.plots import channel_response as figures


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def title(ax) -> str:
    """The title, wherever the style puts it."""
    return ax.get_title() or ax.get_title(loc="left")


@pytest.fixture
def explanation() -> Explanation:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"visits": [1.0, 2.0, np.nan, 4.0], "region": ["n", "s", "s", "n"]})
    values = pd.DataFrame({"visits": [0.3, -0.1, 0.2, -0.6], "region": rng.normal(size=4).round(2)})
    features = pd.DataFrame({"feature": ["visits", "region"], "mean_size": [0.3, 0.1], "share": [0.75, 0.25]})
    return Explanation(rows, values, -2.0, np.array([0.1, 0.2, 0.3, 0.4]), features)


def cell(kind: str, weekday: str, hour: float, rate: float) -> dict:
    ends = {"response_rate_low": rate - 0.02, "response_rate_high": rate + 0.02, "lift": rate / 0.1}
    where = {"person_type": kind, "weekday": weekday, "hour": hour}
    return {**where, "n_rows": 50, "observed_rate": rate, "response_rate": rate, **ends}


@pytest.fixture
def windows() -> ResponseWindows:
    cells = [cell(kind, ANY_DAY, h, 0.1 + h / 1000) for kind in ("x", "y") for h in (9.0, 10.0, 11.0)]
    cells += [cell(kind, day, np.nan, 0.1) for kind in ("x", "y") for day in WEEKDAYS]
    peak = {"kind": "hours", "first": 10, "n_rows": 100, "response_rate": 0.12, "response_rate_low": 0.1}
    peak |= {"response_rate_high": 0.14, "lift": 1.2, "best_probability": 0.9, "window": "10:00-12:00"}
    peaks = [
        peak | {"person_type": "x", "lift_low": 1.1, "lift_high": 1.3, "could_be_best": "10:00-12:00"},
        peak
        | {"person_type": "y", "lift_low": 0.9, "lift_high": 1.5, "could_be_best": "10:00-12:00, 09:00-11:00"},
    ]
    return ResponseWindows(pd.DataFrame(cells), pd.DataFrame(peaks), 2, 0.95, ("z",))


def test_the_explanation_says_whose_it_is(explanation):
    trees = SimpleNamespace(method="xgboost", resampling="none")
    row = {"xgboost": {"roc_auc": 0.71}, "logistic": {"roc_auc": 0.73}}
    found = SimpleNamespace(chosen=trees, row=lambda **asked: row[asked["method"]])
    own = say.say_explanation(explanation, trees, found)
    assert own == "Explained is the chosen model, on 4 test contacts."
    found.chosen = SimpleNamespace(method="logistic", resampling="smote")
    other = say.say_explanation(explanation, trees, found)
    assert "XGBoost without resampling (ROC AUC 0.710), not the chosen model (0.730)" in other
    assert say.title_shapley(explanation).endswith("visits (75%) and region (25%)")


def test_a_peak_that_may_be_chance_is_called_so(windows):
    assert say.title_windows(windows) == (
        "People of type x answer best at 10:00-12:00, 20.0% more often than on average"
    )
    assert say.say_windows(windows).startswith("1 of 2 peaks are beyond chance")
    assert "too few responses: z" in say.say_windows(windows)
    chance = dataclasses.replace(windows, peaks=windows.peaks.assign(lift_low=0.9))
    assert say.title_windows(chance) == "No hour or weekday is answered better than the others beyond chance"
    empty = dataclasses.replace(windows, peaks=windows.peaks.head(0))
    assert "too few to compare" in say.say_windows(empty)


def test_the_known_answer_of_windows():
    kinds = pd.DataFrame({"kind": ["hour"], "n_rates": [42], "inside_share": [0.95]})
    peaks = pd.DataFrame({"true_rate": [0.18, 0.2], "best_rate": [0.2, 0.2], "among": [False, True]})
    truth = WindowsTruth(kinds, peaks)
    said = say.say_known_answers(KnownAnswers(None, truth, pd.DataFrame()))
    assert "95% of 42 hour rates" in said
    assert "for 1 of 2 peaks" in said
    assert say.say_known_answers(KnownAnswers(None, None, pd.DataFrame())) == ""


def test_the_plot_of_the_explanation(explanation):
    axes = figures.plot_shapley(explanation)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["region", "visits"]
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == 8


def test_windows_of_skewed_rates_and_of_one_rate_are_drawn(windows):
    skewed = dataclasses.replace(windows, cells=windows.cells.assign(response_rate_high=0.01))
    assert len(figures.plot_windows(skewed).axes) == 2
    one = dataclasses.replace(windows, cells=windows.cells.head(1), peaks=windows.peaks.head(0))
    assert len(figures.plot_windows(one).axes) == 1


def test_plots_of_windows(windows):
    hours, days = figures.plot_windows(windows).axes
    lines = {c.get_label(): c.lines[0] for c in hours.containers}
    assert list(lines) == ["x", "y"] and lines["x"].get_color() != lines["y"].get_color()
    assert len(days.containers) == 2
    assert len(hours.patches) == 1  # only the peak beyond chance is shaded
    assert hours.patches[0].get_x() == 9.5
    daily = dataclasses.replace(windows, cells=windows.cells[windows.cells["hour"].isna()])
    assert [title(ax) for ax in figures.plot_windows(daily).axes] == ["By weekday"]


def test_where_there_is_nothing_nothing_is_drawn(windows):
    empty = dataclasses.replace(windows, cells=windows.cells.head(0), peaks=windows.peaks.head(0))
    assert figures.plot_windows(empty) is None
