"""What page 04 says to whoever decides."""

import pandas as pd
import pytest
from finding_rules import told

from journeybook import enrichment
from journeybook.enrichment.truth import MatchTruth


def find(*, full=(False, True), guests=0.0, n_known=60, median=1241.05, joined=None, interval=None, third=True):
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
    findings = enrichment.find(by_date, totals, known_of, leak, truth, n_all=99, currency="USD")
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
