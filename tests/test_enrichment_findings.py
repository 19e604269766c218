"""What page 04 says to whoever decides."""

import pandas as pd
import pytest
from finding_rules import told

from journeybook import enrichment
from journeybook.enrichment.truth import MatchTruth

NOTHING_ASKED = pd.DataFrame(columns=["outcome", "source", "gain", "gain_low", "gain_high", "verdict"])


def sources(**verdicts):
    """Two outcomes; a source is named with the upper ends of its intervals, 0.003 wide to each side."""
    rows = [
        (outcome, source, high - 0.003, high - 0.006, high, "can be given back" if high < 0.005 else "adds")
        for source, highs in verdicts.items()
        for outcome, high in zip(("spend", "response"), highs, strict=True)
    ]
    return pd.DataFrame(rows, columns=NOTHING_ASKED.columns)


def find(
    *,
    full=(False, True),
    guests=0.0,
    n_known=60,
    median=1241.05,
    joined=None,
    interval=None,
    third=True,
    added=NOTHING_ASKED,
):
    dates = pd.to_datetime(["2017-04-01", "2017-05-01"])
    by_date = pd.DataFrame({"as_of": dates, "n_people": [80, 90], "window_full": full})
    totals = pd.DataFrame({"revenue_guests": [guests], "revenue_total": [95.0]})
    known_of = pd.DataFrame({"n_people": [90], "n_known": n_known, "known_share": n_known / 90})
    known_of = known_of.assign(median_revenue_known=median, median_revenue_unknown=1116.44)
    low, high = interval or (0.0, 0.0)
    figures = pd.DataFrame({"roc_auc": [0.67, 0.69, 0.02], "roc_auc_low": low, "roc_auc_high": high})
    question = "who buys from 01 December 2017 to the end"
    leak = enrichment.LeakTrial(question, figures if interval else figures.head(0))
    truth = MatchTruth() if joined is None else MatchTruth(60, joined)
    known_of = known_of if third else known_of.head(0)
    findings = enrichment.find(by_date, totals, known_of, leak, truth, added, n_all=99, currency="USD")
    return told(findings, "04_enrichment")


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ({"joined": 0.9}, 0, "2 contradicted: 10.0% of the people with third-party data carry those of a place"),
        ({"joined": 1.0}, 2, "3 known answer recovered: 0% of the people with third-party data"),
        (
            {},
            0,
            "2 counted: Third-party data are known of 66.7% of 90 people; the median revenue of those is 1,241 U",
        ),
        (
            {"n_known": 90, "median": float("nan")},
            1,
            "3 counted: Third-party data are known of 100% of 90 people.",
        ),
        ({"n_known": 0, "median": float("nan")}, 1, "3 cannot be told: Third-party data are known of 0% of 90"),
        ({"third": False}, 0, "2 counted: 1 of 2 snapshots look back over less than 91 days"),
        ({"full": (False, False)}, 1, "2 cannot be told: No snapshot looks back over full 91 days"),
        (
            {"guests": 9.5},
            1,
            "2 counted: 90 of 99 people are described as of 1 May 2017, by nothing recorded later; 10",
        ),
        ({"full": (True, True)}, 1, "3 counted: 90 of 99 people are described as of 1 May 2017, by nothing"),
        ({"interval": (0.01, 0.03)}, 2, "2 clear: Asked who buys from 01 December 2017 to the end, figures from"),
        ({"interval": (-0.01, 0.03)}, -1, "3 cannot be told: Asked who buys from"),
        ({}, -1, "3 cannot be told: Too few outcomes"),
    ],
)
def test_findings_follow_the_figures(change, place, said):
    assert find(**change)[place].startswith(said)


def test_dropping_the_unknown_keeps_one_kind_of_customer():
    assert find()[0].endswith("those who spend more.") and find(median=5)[0].endswith("those who spend less.")
    assert not any("known answer" in line for line in find())


def test_a_source_that_adds_to_no_outcome_can_be_given_back():
    told = find(added=sources(transactions=(0.3, 0.1), events=(0.004, 0.002), third_party=(0.001, 0.02)))[0]
    assert told.startswith(
        "2 clear: Linear models predict next quarter's spend and response as well without events:"
    )
    assert "alone it explains at most 0.40% more" in told
    assert told.endswith("Give back events, unless another purpose needs it.")


def test_of_several_sources_one_is_given_back_at_a_time():
    told = find(added=sources(events=(0.001, 0.001), third_party=(0.002, -0.1)))[0]
    assert "as well without one of events and third-party data: alone it explains at most 0.20% more" in told
    assert "Give back the dearest of events and third-party data, unless another purpose needs it, and ask" in told


def test_where_no_source_can_be_spared_none_is_given_back():
    told = find(added=sources(events=(0.3, 0.001), contacts=(0.2, 0.2)))
    assert not any("source" in line for line in find(added=sources(transactions=(0.3, 0.3))))
    assert any(line.startswith("3 cannot be told: No source can be spared yet") for line in told)
