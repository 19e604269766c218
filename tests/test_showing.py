"""Tables as they are shown: formats from names, intervals in one column, six columns and twelve rows at most."""

import re
from datetime import datetime
from decimal import Decimal
from html import unescape

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from journeybook.showing import as_html, show_tables


def tables(html: str) -> list[list[list[str]]]:
    """The texts of each table's cells, row by row."""
    found = []
    for table in re.findall(r"<table>.*?</table>", html, flags=re.DOTALL):
        rows = re.findall(r"<tr>.*?</tr>", table, flags=re.DOTALL)
        cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]
        found.append([[unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row] for row in cells])
    return found


def shown(**columns: list) -> list[list[str]]:
    """The first table of a frame of these columns, without its head."""
    return tables(as_html(pd.DataFrame(columns)))[0][1:]


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("open_share", [0.4766, 0.002, 1.0], ["47.7%", "0.20%", "100%"]),
        ("error_rate", [0.05475, None, float("nan")], ["5.5%", "–", "–"]),
        ("n_rows", [1469307, 0, 12], ["1,469,307", "0", "12"]),
        ("n_known", [1.0, np.nan, 2500.0], ["1", "–", "2,500"]),
        ("p_value", [3e-19, 0.0336, 1.0], ["< 0.001", "0.034", "1"]),
        ("p_adjusted", [1e-4, 0.5, 0.5], ["< 0.001", "0.5", "0.5"]),
        ("median_revenue", [617.6, Decimal("2.5"), -4596039.5], ["617.60", "2.50", "−4,596,039.50"]),
        (
            "at",
            [datetime(2017, 1, 2), datetime(2017, 9, 5, 9, 5), pd.NaT],
            ["2017-01-02", "2017-09-05 09:05", "–"],
        ),
        ("effect", [0.0123456, -0.02, 0.0], ["0.0123", "−0.0200", "0.0000"]),
        ("value", [0.00781234, 12345.678, 1e-9], ["0.00781", "12,346", "1e−09"]),
        ("days", [np.inf, 3, 4], ["∞", "3", "4"]),
        ("year", [2016, 2017, 2018], ["2016", "2017", "2018"]),
        ("converged", [True, np.bool_(False), None], ["yes", "no", "–"]),
        ("method", ["at_random", "no pooling", "<b>"], ["at random", "no pooling", "<b>"]),
        ("column", ["a_b", "third_party.income", "c"], ["a_b", "third_party.income", "c"]),
    ],
)
def test_the_name_of_a_column_says_how_its_values_are_said(name: str, values: list, said: list[str]) -> None:
    assert shown(**{"key": ["x", "y", "z"], name: values}) == [list(row) for row in zip("xyz", said, strict=True)]


def test_an_interval_stands_behind_its_value() -> None:
    auc = {"auc": [0.7561], "auc_low": [0.7012], "auc_high": [0.8034]}
    assert shown(**auc, of=["all"], low=[-0.01], high=[0.02]) == [
        ["0.756 (0.701 to 0.803)", "all", "−0.0100 to 0.0200"]
    ]
    assert shown(share=[0.5], share_low=[0.25], share_high=[None]) == [["50.0%"]]
    assert shown(rate=[0.05], low=[0.04], high=[0.06]) == [["5.0% (4.0% to 6.0%)"]]
    assert shown(revenue_low=[1.0], revenue_median=[2.0], revenue_high=[3.0]) == [["2.00 (1.00 to 3.00)"]]


def test_a_label_is_in_words_and_shows_the_column_s_name_on_hover() -> None:
    html = as_html(pd.DataFrame({"n_rows": [1], "effect": [0.1], "effect_low": [0.0], "effect_high": [0.2]}))
    assert re.findall(r'title="([^"]+)">([^<]+)<', html) == [
        ("n_rows", "Rows"),
        ("effect, effect_low, effect_high", "Effect"),
    ]
    html = as_html(pd.DataFrame({"control": [0.1], "n_control": [7]}))
    assert re.findall(r">([^<]+)</th>", html) == ["Control", "Number: control"]


def test_of_many_columns_the_answer_comes_first_and_the_rest_is_folded() -> None:
    frame = pd.DataFrame({
        "metric": ["spend", "orders"], "kind": ["mean", "mean"], "n_units": [9, 8], "deviation": [2.5, 3.5],
        "won_share": [0.5, 0.6], "effect": [1.5, 2.5], "effect_low": [1.0, 2.0], "effect_high": [2.0, 3.0],
        "p_value": [0.04, 0.03], "p_adjusted": [0.08, 0.06], "size": [1.25, 1.5],
    })  # fmt: skip
    first, whole = tables(as_html(frame))
    assert first[0] == ["Metric", "Effect", "Adjusted p‑value", "p‑value", "Won share", "Deviation"]
    assert first[1] == ["spend", "1.50 (1.00 to 2.00)", "0.08", "0.04", "50.0%", "2.50"]
    assert len(whole[0]) == 9 and "Kind" in whole[0]
    assert "<summary>All 9 columns</summary>" in as_html(frame)


def test_of_many_rows_ten_are_shown_and_at_most_sixty_are_folded() -> None:
    assert len(tables(as_html(pd.DataFrame({"a": range(12)})))) == 1
    html = as_html(pd.DataFrame({"a": range(1080)}))
    assert [len(table) for table in tables(html)] == [11, 61]
    assert "<summary>The first 60 of 1,080 rows</summary>" in html


def test_an_index_is_shown_where_it_says_something() -> None:
    frame = pd.DataFrame({"n": [1, 2]})
    assert tables(as_html(frame))[0][0] == ["Number"]
    assert tables(as_html(frame.set_index(pd.Index([4, 9]))))[0][0] == ["Number"]
    named = frame.set_index(pd.Index(["a", "b"], name="group"))
    assert tables(as_html(named))[0][:2] == [["Group", "Number"], ["a", "1"]]
    wide = pd.concat({"early": frame, "late": frame}, axis=1)
    assert tables(as_html(wide))[0][0] == ["Early: n", "Late: n"]


def test_figures_stand_to_the_right_and_verdicts_have_a_class() -> None:
    html = as_html(pd.DataFrame({"check": ["a"], "value": ["1,234.5"], "passed": ["NO"], "source": ["x" * 20]}))
    cells = re.findall(r"<t([dh]) ?([^>]*)>([^<]*)</t", html.split("</thead>")[1])
    assert cells == [
        ("h", 'scope="row"', "a"),
        ("d", 'class="n"', "1,234.5"),
        ("d", 'class="bad"', "NO"),
        ("d", "", "x" * 20),
    ]


def test_names_of_code_are_said_in_words_but_where_a_column_is_named() -> None:
    names = ["missing_outcome: spend", "missing_outcome", "No: it is_text."]
    shown = tables(as_html(pd.DataFrame({"alarm": names, "column": ["hours_to_order"] * 3})))[0]
    assert shown[1:] == [
        ["missing outcome: spend", "hours_to_order"],
        ["missing outcome", "hours_to_order"],
        ["No: it is_text.", "hours_to_order"],
    ]


def test_what_the_data_say_is_not_taken_for_markup() -> None:
    html = as_html(pd.DataFrame({'<i x="1">': ["<script>alert(1)</script>", "&"]}))
    assert "<script>" not in html and "<i " not in html


def test_an_empty_frame_is_a_head_alone() -> None:
    assert tables(as_html(pd.DataFrame({"a": [], "a_low": [], "a_high": []}))) == [[["A"]]]


def test_a_notebook_shows_frames_and_styled_frames_alike() -> None:
    shell = InteractiveShell.instance()
    try:
        frame = pd.DataFrame({"n_rows": [1]})
        show_tables()
        said, _ = shell.display_formatter.format(frame)
        assert said["text/html"] == as_html(frame)
        styled, _ = shell.display_formatter.format(frame.style.hide())
        assert styled["text/html"] == as_html(frame)
    finally:
        InteractiveShell.clear_instance()
