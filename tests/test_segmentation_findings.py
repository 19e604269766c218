"""What page 05 says to whoever decides."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from finding_rules import told

from journeybook import segmentation
from journeybook.segmentation.movement import Refitted

NAN = float("nan")
POWER = pd.DataFrame({"n_features": [1, 3, 17, 17], "distance": [4.0, 3.5, 1.5, 0.0]})
NONE = pd.DataFrame(columns=["target", "predictor"])
DATES = pd.to_datetime(["2026-01-01", "2026-02-01"])


def find(
    *,
    n_groups=1,
    k=3,
    stay=(0.79, 0.78, 0.80),
    matched=0.79,
    n_steps=99,
    by="revenue_91d",
    ks=(1, 2),
    ahead=None,
    lost=None,
    claimed=0.0,
):
    none, prepared = pd.DataFrame(), SimpleNamespace(columns=list("abcdefghijklmnopq"))
    profile = pd.DataFrame({"share": [0.5, 0.3, 0.2], "n_people": [50, 30, 20], "revenue_91d": [90.0, 10, 0]})
    profile = profile.assign(a=-1.0, segment=["1 frequent", "2 average", "3 lapsing"])
    found = segmentation.Segmentation(none, profile, none, np.zeros((k, 17)), prepared, 0.28, by)
    count = segmentation.GroupCount(pd.DataFrame({"k": ks}), none, n_groups, 3, np.ones(17, dtype=bool))
    nothing = np.array([0.25, 0.27])
    moves = segmentation.Movement(none, none, none, *stay, n_steps)
    uses = NONE if ahead is None else uses_of(*ahead)
    declared = SimpleNamespace(people=people_of(lost))
    refitted = Refitted(0.33, matched)
    power = POWER.assign(found_share=np.where(POWER["distance"] > 0, 0.8, claimed))
    said = segmentation.find(found, count, nothing, moves, refitted, power=power, uses=uses, declared=declared)
    return told(said, "05_segmentation")


def uses_of(ahead, low, high):
    rows = {"predictor": ["segments", "RFM cells"], "explained": [0.34, 0.34 + ahead], "low": 0.3, "high": 0.4}
    return pd.DataFrame(rows | {"target": "spend", "ahead": [0, ahead], "ahead_low": low, "ahead_high": high})


def people_of(lost):
    """Ten of high value a month ago, of whom some are at risk now; None for no dates."""
    if lost is None:
        return pd.DataFrame({"as_of": [], "person_id": [], "lifecycle": [], "high_value": []})
    then = pd.DataFrame({"as_of": DATES[0], "person_id": range(10), "lifecycle": "active", "high_value": True})
    now = then.assign(as_of=DATES[1], lifecycle=["at risk"] * lost + ["active"] * (10 - lost))
    return pd.concat([then, now])


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ({}, 0, "2 contradicted: The 3 segments are slices of one cloud: they explain 28.0% of the differences"),
        ({}, 1, "2 counted: Frequent customers, 50.0% of all, bring 93.8% of revenue of the last 91 days; la"),
        (
            {},
            2,
            "2 clear: From one snapshot to the next, 79.0% of people stay in their segment; segments made anew",
        ),
        ({}, 3, "3 cannot be told: Groups that lie less than 4 standard deviations apart in 3 or fewer of 17"),
        (
            {"ahead": (0.2, 0.1, 0.3)},
            0,
            "2 contradicted: Segments explain 34.0% of the differences in next-quarter",
        ),
        ({"ahead": (0.2, 0.1, 0.3)}, 1, "2 contradicted: The 3 segments are slices"),
        ({"ahead": (0.0, -0.1, 0.1)}, 1, "2 cannot be told: Segments explain 34.0%"),
        ({"ahead": (-0.2, -0.3, -0.1)}, 1, "2 clear: Segments explain 34.0%"),
        ({"lost": 3}, 1, "2 counted: Of 10 customers of high value a snapshot ago, 3 are now at risk or have la"),
        ({"lost": 0}, 4, "3 counted: Of 10 customers of high value a snapshot ago, 0 are now"),
        ({"n_groups": 3}, 0, "2 suggestive: There are 3 groups of customers; they explain 28.0% of the"),
        ({"n_groups": 4}, 0, "2 contradicted: The segments made are 3, but the data hold 4 groups;"),
        ({"n_groups": 3, "claimed": 0.5}, 0, "2 cannot be told: Groups are claimed in 50.0% of clouds like"),
        ({"k": 1}, 0, "2 cannot be told: The customers are one cloud; no groups were found."),
        ({"k": 1}, 1, "3 cannot be told: Groups that lie less than 4"),
        ({"k": 1, "ks": [1]}, 0, "2 cannot be told: There are too few different customers to tell groups"),
        ({"by": "a"}, 1, "2 clear: From one snapshot"),
        ({"matched": 0.7}, 2, "2 suggestive: From one snapshot"),
        ({"stay": (1, 1, 1), "matched": 1}, 2, "2 counted: From one snapshot to the next, 100% of people stay"),
        ({"n_steps": 0, "stay": (NAN, NAN, NAN)}, 3, "3 cannot be told: How people move cannot be told"),
    ],
)
def test_findings_follow_the_figures(change, place, said):
    assert find(**change)[place].startswith(said)
