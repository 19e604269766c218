"""What page 03 says to whoever decides: each branch, and nothing that is not known."""

import pandas as pd
from finding_rules import told

from journeybook import identity

PEOPLE = pd.DataFrame({"customer_id": list("abcdef"), "person_id": list("ppppqr"), "row": range(1, 7)})
RIGHT = pd.DataFrame({"person_id": list("ppppqr"), "household_id": [1, 1, 1, 1, 2, 3], "row": range(1, 7)})
REACH = pd.DataFrame(
    {"purpose": ["analytics", "marketing_email"], "n_refusing_ids": [2, 3], "n_carried_ids": [0, 4]}
)
KEYS = pd.DataFrame({"key": ["given_name + surname"], "n_wrong": [39], "wrong_share": [0.185]})
COPIES = identity.PairQuality(n_true=100, n_found=90, n_right=81, precision=0.9, recall=0.81, f1=0.85)
HOLDS, REFUSALS = "Does it hold?", "Whose refusals hold for whom?"


def find(*, truth=None, probability=1.0, reach=REACH, keys=KEYS, n_recognised=3, n_overruled=0, copies=COPIES):
    records = PEOPLE[["row", "customer_id"]].assign(cluster=[0, 0, 0, 0, 1, 2])
    none = pd.DataFrame()
    found = identity.Resolution(records, none, none, threshold=0.9, n_people=3, n_cut=0)
    carried = identity.CarriedRefusals(PEOPLE, none, pd.Series([], dtype="str"), n_recognised)
    linked = pd.DataFrame({"probability": [probability] * 6})
    findings = identity.find(
        found, linked, carried, reach, keys, copies=copies, n_overruled=n_overruled, truth=truth
    )
    return told(findings, "03_identity")


def test_more_wrong_links_than_the_model_expects_come_first_and_are_contradicted():
    said = find(truth=RIGHT.assign(household_id=range(1, 7)))
    assert next(iter(said.values())).text == (
        "6 of 6 pairs of customer numbers joined are different people; the linkage itself expected 0."
    )
    assert said["Which pairs are one person? contradicted"].text.startswith(
        "6 customer numbers belong to 3 people, in truth to 6"
    )
    assert f"{HOLDS} known answer recovered" in find(truth=RIGHT)
    # As many wrong pairs as expected are no news.
    assert f"{HOLDS} known answer recovered" in find(truth=RIGHT.assign(household_id=range(1, 7)), probability=0.3)


def test_without_truth_nothing_is_claimed_of_a_known_answer():
    said = find()
    assert {f.strength for f in said.values()} == {"suggestive", "counted"}
    assert "90.0% of the pairs joined are right, and 81.0%" in said[f"{HOLDS} suggestive"].text
    assert (
        "counted by number, customers would be 100% too many"
        in said["Which pairs are one person? suggestive"].text
    )
    assert said["The pitfall: one key is enough suggestive"].text.endswith("as far as this page can tell.")
    nothing = identity.PairQuality(n_true=0, n_found=0, n_right=0, precision=1, recall=1, f1=1)
    assert not any(key.startswith(HOLDS) for key in find(copies=nothing))


def test_refusals_are_told_as_far_as_they_reach():
    said = find(n_overruled=2)
    assert next(iter(said)) == f"{REFUSALS} contradicted" and said[f"{REFUSALS} contradicted"].worth == 1
    recognised = find(reach=REACH.assign(n_carried_ids=0))[f"{REFUSALS} counted"]
    assert "3 customers who refuse to be matched were recognised on 0" in recognised.text
    assert find()[f"{REFUSALS} counted"].text.startswith(
        "Refusing marketing email under one customer number silences 4"
    )
    silent = find(reach=REACH.assign(n_refusing_ids=0, n_carried_ids=0), n_recognised=0)
    assert f"{REFUSALS} cannot be told" in silent and f"{REFUSALS} counted" not in silent
    assert not any("pitfall" in key for key in find(keys=KEYS.assign(n_wrong=0)))
    assert not any("pitfall" in key for key in find(keys=KEYS.head(0)))
