"""The results file: what it holds, and what it refuses to hold."""

import json
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pytest

from journeybook.errors import JourneybookError
from journeybook.findings import Finding
from journeybook.results import check, checks_of, describe_columns, failed, save_results, say_figure, show_checks
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
        (check("c", 1, reference=1, rule="at least", source="s"), True),
        (check("c", 0.9, reference=1, rule="at least", source="s"), False),
        (check("c", 1, reference=1, rule="at most", source="s"), True),
        (check("c", 1.1, reference=1, rule="at most", source="s"), False),
    ],
)
def test_a_check_passes_only_where_it_holds(made, passed):
    assert made.passed is passed
    assert show_checks([made]).passed.item() == ("yes" if passed else "NO")


def test_a_figure_that_does_not_hold_is_the_first_finding(run):
    checks = [
        check("a", 1.3, reference=1, tolerance=0.2, source="s"),
        check("b", 1, reference=2, rule="at most", source="s"),
        check("c", 3, reference=2, rule="at most", source="s", kind="known_miss"),
    ]
    other = Finding(text="x", action="y", strength="contradicted", worth=1, section="z")
    first, second = save(run, checks=checks, findings=[other])["findings"]
    assert first["text"] == "A figure of this page does not hold: a, 1.3, must be 1 ± 0.2."
    assert (first["strength"], first["worth"], second["text"]) == ("contradicted", 1, "x")
    assert failed(checks[1:]) == []
    assert failed(checks[:1] * 3)[0].text.startswith("3 figures of this page do not hold: a, 1.3, ")


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


# --- tables of columns ------------------------------------------------------------------------------------


def many(n: int = 400) -> pd.DataFrame:
    """Rows of made-up people, several each; every figure is somebody's own."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "row": range(1, n + 1),
            "person_id": [f"{i % 40:024x}" for i in range(n)],
            "revenue": rng.lognormal(4, 1, n),
            "n_baskets": rng.integers(0, 30, n),
            "bought_at": pd.Timestamp("2017-03-01") + pd.to_timedelta(rng.integers(0, 30_000_000, n), unit="s"),
            "channel": ["web", "app", "shop", "web"] * (n // 4),
            "comment": [f"comment {i}" for i in range(n)],
            "email": ["same@example.org"] * n,
            "income": np.where(np.arange(n) % 4 == 0, np.nan, 50_000.0),
        }
    )


def of(described: pd.DataFrame, column: str) -> dict[str, str]:
    return described.set_index("column").loc[column].to_dict()


def test_columns_are_described_by_what_many_share():
    found = describe_columns(many())
    assert found.column.tolist() == many().columns.tolist()
    assert of(found, "income") | {"different": "1"} == {
        "type": "number", "missing": "25%", "different": "1",
        "10 %": "50,000", "50 %": "50,000", "90 %": "50,000", "commonest": "",
    }  # fmt: skip
    assert of(found, "channel")["commonest"] == "web"
    assert of(found, "comment")["commonest"] == "", "nobody shares a comment"
    for hidden in ("row", "person_id", "email"):
        assert set(list(of(found, hidden).values())[3:]) == {""}
    assert float(of(found, "n_baskets")["50 %"]) == pytest.approx(many().n_baskets.median(), abs=1)


def test_a_quantile_is_at_the_finest_rounding_that_ten_people_share():
    frame = many()
    for q, said in ((0.1, "10 %"), (0.5, "50 %"), (0.9, "90 %")):
        shown, exact = of(describe_columns(frame), "revenue")[said], frame.revenue.quantile(q)
        assert shown not in frame.revenue.astype(str).tolist()
        sharing = {}
        for digits in (3, 2, 1):
            figure = float(f"{exact:.{digits - 1}e}")
            step = 10.0 ** (np.floor(np.log10(exact)) - digits + 1)
            sharing[figure] = frame.person_id[(frame.revenue - figure).abs() <= step / 2].nunique()
        shared = [figure for figure, n in sharing.items() if n >= 10]
        assert (shown == "") if not shared else float(shown.replace(",", "")) == shared[0]


def test_ten_rows_of_one_person_are_one_person():
    frame = pd.DataFrame({"person_id": ["a"] * 90 + list("bcdefghijk"), "spent": [7.31] * 90 + [*range(100, 110)]})
    found = describe_columns(frame.assign(shop="corner"))
    assert of(found, "spent")["50 %"] == ""
    assert of(found, "shop")["commonest"] == "corner"
    assert of(describe_columns(frame.drop(columns="person_id")), "spent")["50 %"] == "7.31"


@pytest.mark.parametrize("n", [0, 1, 9])
def test_of_fewer_than_ten_people_only_types_and_holes_are_said(n):
    found = describe_columns(many().head(n))
    assert found.type.tolist()[2:5] == ["number", "whole number", "time"]
    assert set(found.drop(columns=["column", "type", "missing"]).to_numpy().ravel()) == {""}


def test_a_column_without_a_value_has_no_quantiles():
    frame = many().assign(discount=np.nan, dated=pd.NaT)
    found = describe_columns(ibis.memtable(frame))
    for column in ("discount", "dated"):
        assert [of(found, column)[q] for q in ("10 %", "50 %", "90 %")] == ["", "", ""]


def test_the_engine_and_the_order_of_rows_play_no_part(tmp_path):
    shuffled = many().sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(describe_columns(many()), describe_columns(shuffled))
    many().to_parquet(tmp_path / "many.parquet")
    lazy = ibis.duckdb.connect().read_parquet(tmp_path / "many.parquet")
    pd.testing.assert_frame_equal(describe_columns(many()), describe_columns(lazy))


def test_a_table_without_rows_asks_for_no_check():
    assert checks_of(pd.DataFrame([])) == []
