"""What page 04 says to whoever decides: each branch, and nothing that is not known."""

import pandas as pd
from finding_rules import told

from journeybook import enrichment

BY_DATE = pd.DataFrame(
    {"as_of": pd.to_datetime(["2017-04-01", "2017-05-01"]), "n_people": [80, 90], "window_full": [False, True]}
)
TOTALS = pd.DataFrame({"people": [85.0], "guests": [10.0], "total": [95.0], "left_over": [0.0]})
KNOWN_OF = pd.DataFrame(
    {
        "n_people": [90],
        "n_known": [60],
        "known_share": [2 / 3],
        "median_revenue_known": [1241.05],
        "median_revenue_unknown": [1116.44],
    }
)
KNOWN, OUTSIDE = (
    "What is known of each person at the start of each month?",
    "Whom are third-party attributes known of?",
)
HOLDS, LATER = "Does it hold?", "The pitfall: features that know what came after"


def trial(low: float, high: float) -> enrichment.LeakTrial:
    figures = pd.DataFrame({"roc_auc": [0.67, 0.69, 0.02], "roc_auc_low": low, "roc_auc_high": high})
    return enrichment.LeakTrial(figures, n_rows=100, n_people=50, outcome_share=0.5)


def find(*, by_date=BY_DATE, totals=TOTALS, known_of=KNOWN_OF, n_all=99, leak=None, right=None):
    joined = None if right is None else enrichment.MatchTruth(60, 80, right, 0.75)
    question = "who buys from 01 December 2017 to the end"
    findings = enrichment.find(by_date, totals, known_of, n_all=n_all, leak=leak, question=question, joined=joined)
    return told(findings, "04_enrichment")


def test_what_the_truth_and_the_money_contradict_comes_first():
    assert next(iter(find(right=0.9).values())).text.startswith("10.0% of the people with third-party data carry")
    lost = next(iter(find(right=0.9, totals=TOTALS.assign(left_over=-7.5)).values()))
    assert (lost.worth, lost.strength, lost.value) == (1, "contradicted", 7.5)
    assert f"{HOLDS} known answer recovered" in find(right=1.0, totals=TOTALS.assign(guests=0))
    assert not any("truth" in f.text or "answer" in f.strength for f in find().values())


def test_features_from_the_future_gain_only_where_the_interval_says_so():
    assert find(leak=trial(0.007, 0.035))[f"{LATER} clear"].worth == 2
    assert find(leak=trial(-0.007, 0.035))[f"{LATER} cannot be told"].text.endswith("too close to tell.")
    assert find()[f"{LATER} cannot be told"].text.startswith("Too few outcomes")


def test_who_is_known_and_who_is_not():
    said = find()
    assert said[f"{HOLDS} counted"].text == "10.5% of revenue is that of guests, of whom nothing can be known."
    full = find(by_date=BY_DATE.assign(window_full=True))[f"{KNOWN} counted"]
    assert full.text == "90 of 99 people are described as of 1 May 2017, by nothing recorded later."
    assert said[f"{OUTSIDE} counted"].action.endswith("those who spend more.")
    assert find(known_of=KNOWN_OF.assign(median_revenue_known=5))[f"{OUTSIDE} counted"].action.endswith("less.")
    everybody = find(known_of=KNOWN_OF.assign(n_known=90, known_share=1.0, median_revenue_unknown=float("nan")))
    assert everybody[f"{OUTSIDE} counted"].text == "Third-party data are known of 100% of 90 people."
    nobody = find(known_of=KNOWN_OF.assign(n_known=0, median_revenue_known=float("nan")))
    assert f"{OUTSIDE} cannot be told" in nobody
    assert not any(key.startswith(OUTSIDE) for key in find(known_of=KNOWN_OF.head(0)))


def test_windows_that_are_not_full_are_told():
    assert find()[f"{KNOWN} counted"].action == "Compare snapshots from May 2017 on only."
    short = find(by_date=BY_DATE.assign(window_full=False))
    assert short[f"{KNOWN} cannot be told"].text.startswith("No snapshot looks back over full 91 days")
