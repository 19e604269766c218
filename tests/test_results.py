"""The results file: what it holds, and what it refuses to hold."""

import json
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pytest

from journeybook.errors import JourneybookError
from journeybook.results import (
    check,
    check_at_least,
    check_at_most,
    check_inside,
    save_results,
    say_figure,
    show_checks,
)
from journeybook.tables import owners_view, store


@pytest.fixture
def run(tmp_path):
    described = {"dataset": "files", "seed": 1, "scale": 1.0, "timezone": "UTC", "as_of": None}
    (tmp_path / "dataset.json").write_text(json.dumps(described | {"ledger_as_of": None, "tables": {}}))
    rows = ibis.memtable(pd.DataFrame({"row": [1, 2, 3]}))
    store(ibis.duckdb.connect(), rows, tmp_path / "features.parquet", about={"provenance": "YOURS"})
    return owners_view(tmp_path)


def save(run, **changes):
    content = {
        "page": "05_segmentation",
        "parameters": {"max_segments": 8},
        "metrics": {"n_segments": np.int64(3)},
        "tables": {},
        "checks": [],
        "inputs": ["features"],
    }
    save_results(run, run._folder / "results", **(content | changes))
    return json.loads((run._folder / "results" / "05_segmentation.json").read_text())


@pytest.mark.parametrize(
    ("made", "passed"),
    [
        (check("c", 1.1, reference=1, tolerance=0.2, source="s"), True),
        (check("c", 1.3, reference=1, tolerance=0.2, source="s"), False),
        (check("c", float("nan"), reference=1, tolerance=0.2, source="s"), False),
        (check_at_least("c", 1, bound=1, source="s"), True),
        (check_at_least("c", 0.9, bound=1, source="s"), False),
        (check_at_most("c", 1.1, bound=1, source="s"), False),
        (check_inside("c", 2, low=1, high=2, source="s"), True),
        (check_inside("c", 2.1, low=1, high=2, source="s"), False),
    ],
)
def test_a_check_passes_only_where_it_holds(made, passed):
    assert made.passed is passed
    assert show_checks([made]).passed.item() == ("yes" if passed else "NO")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (3.0, "3"),
        (1e-9, "1e-09"),
        (-0.25, "-0.25"),
        (99999.4, "99,999.40"),
        (float("inf"), "inf"),
        (float("nan"), "none"),
        (None, "none"),
    ],
)
def test_figures_are_said_as_people_read_them(value, said):
    assert say_figure(value) == said


def test_a_file_holds_the_shortest_numbers_that_round_trip_and_null_for_nan(run):
    frame = pd.DataFrame({"x": [0.1, np.nan, np.inf], "at": pd.to_datetime(["2017-01-01", None, None])})
    saved = save(run, metrics={"third": 1 / 3}, tables={"t": frame})
    assert saved["metrics"]["third"] == 1 / 3
    assert [row["x"] for row in saved["tables"]["t"]] == [0.1, None, None]
    assert [row["at"] for row in saved["tables"]["t"]] == ["2017-01-01T00:00:00", None, None]


def test_a_file_says_what_it_was_made_from(run):
    saved = save(run, checks=[check("c", 1, reference=1, tolerance=0, source="s")])
    assert saved["inputs"]["features"]["rows"] == 3
    assert len(saved["inputs"]["features"]["sha256"]) == 64
    assert saved["provenance"] == "YOURS" and saved["consent_ledger"] is False
    assert saved["checks"][0]["passed"] is True


@pytest.mark.parametrize("value", ["3", True, None])
def test_a_metric_is_a_number(run, value):
    with pytest.raises(JourneybookError, match="metric 'm' of 05_segmentation is"):
        save(run, metrics={"m": value})


def test_what_json_cannot_hold_leaves_the_old_file_as_it_was(run):
    save(run)
    with pytest.raises(JourneybookError, match="which JSON cannot hold"):
        save(run, tables={"t": pd.DataFrame({"x": [Decimal(1)]})})
    content = json.loads((run._folder / "results" / "05_segmentation.json").read_text())
    assert content["metrics"] == {"n_segments": 3}
