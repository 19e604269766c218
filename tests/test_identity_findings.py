"""What page 03 says to whoever decides."""

import pandas as pd
import pytest
from finding_rules import told

from journeybook import identity
from journeybook.identity.clusters import Resolution
from journeybook.identity.people import CarriedRefusals
from journeybook.identity.quality import PairQuality, people_quality

PEOPLE = pd.DataFrame({"customer_id": list("abcdef"), "person_id": list("ppppqr"), "row": range(1, 7)})
RIGHT = pd.DataFrame({"customer_id": list("abcdef"), "household_id": [1, 1, 1, 1, 2, 3], "row": range(1, 7)})
WRONG = RIGHT.assign(household_id=range(1, 7))


def find(*, truth=None, likely=1.0, carried=4, recognised=3, overruled=0, wrong=39, n_found=90):
    none = pd.DataFrame()
    found = Resolution(PEOPLE, none, threshold=0.9, n_people=3, n_cut=0)
    refusals = CarriedRefusals(PEOPLE, none, pd.Series([], dtype="str"), recognised)
    reach = pd.DataFrame({"purpose": ["analytics", "marketing_email"], "n_carried_ids": [0, carried]})
    keys = pd.DataFrame({"key": ["given_name + surname"], "n_wrong": wrong, "wrong_share": 0.185})
    judge = {"copies": PairQuality(100, n_found, 81, 0.9, 0.81, 0.85), "quality": people_quality(PEOPLE, truth)}
    judge |= {"n_overruled": overruled, "truth": truth}
    linked = pd.DataFrame({"probability": [likely] * 6})
    return told(identity.find(found, linked, refusals, reach, keys, **judge), "03_identity")


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ({"truth": WRONG}, 0, "2 contradicted: 6 of 6 pairs of customer numbers joined are different people; the"),
        ({"truth": WRONG}, 1, "2 contradicted: 6 customer numbers belong to 3 people, in truth to 6; counted by"),
        ({"truth": WRONG, "likely": 0.3}, 2, "3 known answer recovered: 0% of the pairs joined are right"),
        ({"truth": RIGHT}, 0, "2 known answer recovered: 6 customer numbers belong to 3 people, in truth to 3;"),
        ({}, 0, "2 suggestive: 6 customer numbers belong to 3 people; counted by number, customers would be 100%"),
        ({}, 1, "2 counted: Refusing marketing email under one customer number silences 4 further numbers"),
        ({}, 2, "3 suggestive: On copies made of these records, 90.0% of the pairs joined are right, and 81.0%"),
        ({"n_found": 0, "carried": 0}, 1, "3 counted: 3 customers who refuse to be matched were recognised on 0"),
        ({"overruled": 2}, 0, "1 contradicted: 2 permissions overrule a refusal by the same person."),
        (
            {"recognised": 0},
            -1,
            "3 suggestive: Joining all who share given name and surname would make one person",
        ),
        ({"truth": RIGHT}, -1, "3 counted: Joining all who share given name and surname"),
        ({"wrong": 0}, -1, "3 counted: 3 customers who refuse"),
    ],
)
def test_findings_follow_the_figures(change, place, said):
    assert find(**change)[place].startswith(said)


def test_without_truth_no_known_answer_is_claimed():
    assert not any("known answer" in line or "in truth" in line for line in find())
